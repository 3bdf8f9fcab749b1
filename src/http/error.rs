//! What went wrong, as a response: a refusal is told, a fault is logged once and kept to ourselves.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tracing::error;

use super::envelope;
use crate::domain::refusal::{self, Refusal};
use crate::services;

/// The header that names a fault's number in the log.
pub(super) const NUMBER: &str = "x-fault";

/// Why a handler has no value to return.
#[derive(Debug)]
pub struct Problem(services::Error);

impl<E: Into<services::Error>> From<E> for Problem {
    fn from(cause: E) -> Self {
        Self(cause.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self.0 {
            services::Error::Refused(refusal) => refused(&refusal),
            services::Error::Fault(cause) => fault(&cause),
        }
    }
}

/// Answers with a refusal's own text.
pub(super) fn refused(refusal: &Refusal) -> Response {
    envelope::failure(code(refusal), &refusal.to_string())
}

/// Answers that the fault is ours. The cause goes to the log, under a number that the answer's `X-Fault` header names.
pub(super) fn fault(cause: &anyhow::Error) -> Response {
    let number = next_number();
    error!(fault = number, "Fault {number} while answering a request: {cause:#}");
    answer(number)
}

/// Answers for a handler that panicked. The panic hook has printed where; this ties the answer to it. It serves builds
/// that unwind: a release build ends at a panic, whole, rather than run on half dead (`Cargo.toml`).
pub(super) fn panicked(payload: &(dyn Any + Send)) -> Response {
    let number = next_number();
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    error!(fault = number, "Fault {number}: a handler panicked: {}", text.unwrap_or("no text"));
    answer(number)
}

fn answer(number: u64) -> Response {
    let mut response = envelope::failure(StatusCode::INTERNAL_SERVER_ERROR, refusal::FAULT);
    response.headers_mut().insert(NUMBER, number.into());
    response
}

fn next_number() -> u64 {
    static FAULTS: AtomicU64 = AtomicU64::new(1);
    FAULTS.fetch_add(1, Ordering::Relaxed)
}

/// The few refusals that HTTP has a code of its own for; clients of the contract read `status` and expect 200.
pub(super) fn code(refusal: &Refusal) -> StatusCode {
    const CODES: [(Refusal, StatusCode); 6] = [
        (Refusal::NotAllowed, StatusCode::FORBIDDEN),
        (Refusal::PageForged, StatusCode::FORBIDDEN),
        (Refusal::PathUnknown, StatusCode::NOT_FOUND),
        (Refusal::MethodNotAllowed, StatusCode::METHOD_NOT_ALLOWED),
        (Refusal::BodyTooLarge, StatusCode::PAYLOAD_TOO_LARGE),
        (Refusal::TooManyRequests, StatusCode::TOO_MANY_REQUESTS),
    ];
    CODES.iter().find(|(listed, _)| listed == refusal).map_or(StatusCode::OK, |(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn answers_a_refusal_with_200_and_its_text() {
        let response = Problem::from(Refusal::PortTaken).into_response();

        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"{"error":"Port already in use","msg":"","status":"error"}"#);
    }

    #[tokio::test]
    async fn keeps_a_fault_to_itself() {
        let response = Problem::from(anyhow::anyhow!("the disk at /secret is on fire")).into_response();

        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.headers().contains_key("x-fault"));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"{"error":"Internal error","msg":"","status":"error"}"#);
    }

    #[test]
    fn gives_transport_refusals_their_code() {
        assert_eq!(code(&Refusal::NotAllowed), StatusCode::FORBIDDEN);
        assert_eq!(code(&Refusal::PathUnknown), StatusCode::NOT_FOUND);
        assert_eq!(code(&Refusal::MethodNotAllowed), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(code(&Refusal::BodyTooLarge), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(code(&Refusal::TooManyRequests), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(code(&Refusal::NotAuthorized), StatusCode::OK);
    }
}
