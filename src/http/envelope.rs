//! The one form of every answer: `{"error", "msg", "status"}`, in that order.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::{self, Problem};

/// What a handler returns.
pub(super) type Answer<T> = Result<Success<T>, Problem>;

/// The value of a request that succeeded.
#[derive(Debug)]
pub(super) struct Success<T>(pub(super) T);

#[derive(Serialize)]
struct Envelope<'a, T> {
    error: &'a str,
    msg: T,
    status: &'static str,
}

impl<T: Serialize> IntoResponse for Success<T> {
    fn into_response(self) -> Response {
        enclose(StatusCode::OK, &Envelope { error: "", msg: self.0, status: "success" })
    }
}

/// Puts the reason why a request did not succeed into an envelope.
pub(super) fn failure(code: StatusCode, text: &str) -> Response {
    enclose(code, &Envelope { error: text, msg: "", status: "error" })
}

fn enclose<T: Serialize>(code: StatusCode, envelope: &Envelope<'_, T>) -> Response {
    match serde_json::to_vec(envelope) {
        Ok(body) => (code, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        // plain text cannot fail again, so this ends
        Err(cause) => error::fault(&cause.into()),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn text(response: Response) -> String {
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn encloses_a_success() {
        let response = Success(vec![1, 2]).into_response();

        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(text(response).await, r#"{"error":"","msg":[1,2],"status":"success"}"#);
    }

    #[tokio::test]
    async fn encloses_a_failure() {
        let response = failure(StatusCode::NOT_FOUND, "Not found");

        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(text(response).await, r#"{"error":"Not found","msg":"","status":"error"}"#);
    }
}
