//! The client side of the API, over the data folder's socket or straight into a router.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tower::ServiceExt as _;

use super::Failure;
use super::request::Call;

/// The socket's name in the data folder.
const SOCKET: &str = "culvert.sock";
/// How long to wait for a process that holds the store and does not answer yet: it is starting, or on its way out.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How often to look whether it answers by now.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long an answer may take.
const ANSWER_BOUND: Duration = Duration::from_secs(30);

/// Why the data folder could not be opened by ourselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offline {
    /// Another process has it.
    Busy(String),
    /// It cannot be used.
    Unusable(String),
}

/// Where requests go.
#[derive(Debug)]
pub(super) enum Door {
    /// To the process that runs.
    Socket(PathBuf),
    /// To a router of our own.
    Router(axum::Router),
}

/// Finds who answers for a data folder: the process that runs there, else we ourselves.
pub(super) async fn open(
    data: &Path,
    offline: impl Fn() -> Result<axum::Router, Offline>,
    patience: Duration,
) -> Result<Door, Failure> {
    let socket = data.join(SOCKET);
    let mut waited = Duration::ZERO;
    loop {
        match UnixStream::connect(&socket).await {
            Ok(_) => return Ok(Door::Socket(socket)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
            Err(error) => return Err(Failure::unusable(format!("cannot use `{}`: {error}", socket.display()))),
        }
        match offline() {
            Ok(router) => return Ok(Door::Router(router)),
            Err(Offline::Unusable(sentence)) => return Err(Failure::unusable(sentence)),
            Err(Offline::Busy(sentence)) if waited >= patience => return Err(Failure::unusable(sentence)),
            Err(Offline::Busy(_)) => tokio::time::sleep(LOOK_AGAIN).await,
        }
        waited += LOOK_AGAIN;
    }
}

impl Door {
    /// Sends a request and takes the envelope off its answer.
    pub(super) async fn send(&self, call: &Call) -> Result<Value, Failure> {
        let answer = tokio::time::timeout(ANSWER_BOUND, self.send_patiently(call)).await;
        answer.unwrap_or_else(|_| Err(Failure::refused("the appliance does not answer")))
    }

    /// The same of a request whose answer may take as long as it takes.
    pub(super) async fn send_patiently(&self, call: &Call) -> Result<Value, Failure> {
        let form = serde_urlencoded::to_string(&call.form)
            .map_err(|error| Failure::unusable(format!("cannot form a request: {error}")))?;
        let read = async |answer: Response<Body>| {
            let bytes = answer.into_body().collect().await.map_err(|error| broken(&error))?.to_bytes();
            unwrap_envelope(&bytes)
        };
        self.exchange(call.request(form.into())?, read).await
    }

    /// Sends a request and has `take` read its answer.
    pub(super) async fn exchange<T>(
        &self,
        request: Request<Body>,
        take: impl AsyncFnOnce(Response<Body>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match self {
            Self::Socket(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| broken(&error))?;
                let (mut sender, connection) =
                    http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
                let answer = async {
                    let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
                    take(answer.map(Body::new)).await
                };
                // the connection moves the bytes of both directions for as long as the answer is awaited
                tokio::select! {
                    biased;
                    answer = answer => answer,
                    ended = connection => Err(broken(&ended.err().map_or_else(|| "it hung up".to_owned(), |error| error.to_string()))),
                }
            }
            Self::Router(router) => {
                let Ok(answer): Result<_, Infallible> = router.clone().oneshot(request).await;
                take(answer).await
            }
        }
    }
}

fn broken(error: &dyn std::fmt::Display) -> Failure {
    Failure::refused(format!("cannot speak to the appliance: {error}"))
}

/// The `msg` of an answer that is a success.
///
/// # Errors
/// The API's own text; and where there is no envelope.
pub(super) fn unwrap_envelope(bytes: &[u8]) -> Result<Value, Failure> {
    let foreign = || Failure::refused("what answers there is not Culvert");
    let mut envelope: Value = serde_json::from_slice(bytes).map_err(|_| foreign())?;
    match envelope.get("status").and_then(Value::as_str) {
        Some("success") => Ok(envelope.get_mut("msg").map(Value::take).unwrap_or_default()),
        Some("error") => Err(Failure::refused(envelope.get("error").and_then(Value::as_str).ok_or_else(foreign)?)),
        Some(_) | None => Err(foreign()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::{get, post};
    use std::cell::Cell;

    fn router() -> axum::Router {
        let answer = r#"{"error":"","msg":{"a":1},"status":"success"}"#;
        axum::Router::new()
            .route("/yes", get(async move || answer))
            .route("/echo", post(async |body: String| format!(r#"{{"error":"","msg":"{body}","status":"success"}}"#)))
    }

    async fn answering<T>(data: &Path, asking: impl Future<Output = T>) -> T {
        let listener = tokio::net::UnixListener::bind(data.join(SOCKET)).unwrap();
        tokio::select! {
            _ = axum::serve(listener, router()) => panic!("the listener ended"),
            outcome = asking => outcome,
        }
    }

    fn nobody() -> Result<axum::Router, Offline> {
        Err(Offline::Unusable("closed".into()))
    }

    #[tokio::test]
    async fn asks_the_process_that_runs() {
        let folder = tempfile::tempdir().unwrap();
        let asking = async {
            let door = open(folder.path(), nobody, PATIENCE).await?;
            door.send(&Call::get("/yes")).await
        };

        let answer = answering(folder.path(), asking).await;

        assert_eq!(answer.unwrap(), serde_json::json!({"a": 1}));
    }

    #[tokio::test]
    async fn sends_the_form_escaped() {
        let folder = tempfile::tempdir().unwrap();
        let call = Call { method: "POST", path: "/echo".into(), form: vec![("public_key", "a+b/=".into())] };

        let by_socket = answering(folder.path(), async {
            open(folder.path(), nobody, PATIENCE).await.unwrap().send(&call).await.unwrap()
        });
        let by_router = async { Door::Router(router()).send(&call).await.unwrap() };

        assert_eq!(by_socket.await, "public_key=a%2Bb%2F%3D");
        assert_eq!(by_router.await, "public_key=a%2Bb%2F%3D");
    }

    #[tokio::test]
    async fn asks_itself_where_nobody_answers() {
        let folder = tempfile::tempdir().unwrap();
        // what a process that was killed leaves behind
        drop(std::os::unix::net::UnixListener::bind(folder.path().join(SOCKET)).unwrap());

        let door = open(folder.path(), || Ok(router()), PATIENCE).await.unwrap();

        assert!(matches!(door, Door::Router(_)));
        assert_eq!(door.send(&Call::get("/yes")).await.unwrap(), serde_json::json!({"a": 1}));
    }

    #[tokio::test]
    async fn waits_for_a_process_that_is_starting() {
        let folder = tempfile::tempdir().unwrap();
        let looks = Cell::new(0);
        let busy_at_first = || {
            looks.set(looks.get() + 1);
            if looks.get() < 5 { Err(Offline::Busy("busy".into())) } else { Ok(router()) }
        };

        assert!(matches!(open(folder.path(), busy_at_first, PATIENCE).await, Ok(Door::Router(_))));
        assert_eq!(looks.get(), 5);
    }

    #[tokio::test]
    async fn gives_up_on_a_process_that_never_answers() {
        let folder = tempfile::tempdir().unwrap();

        let refused = open(folder.path(), || Err(Offline::Busy("busy".into())), LOOK_AGAIN).await;

        assert_eq!(refused.unwrap_err(), Failure::unusable("busy"));
    }

    #[test]
    fn says_what_the_api_says() {
        let refusal = br#"{"error":"Account not found","msg":"","status":"error"}"#;
        assert_eq!(unwrap_envelope(refusal).unwrap_err(), Failure::refused("Account not found"));
    }

    #[test]
    fn refuses_an_answer_without_an_envelope() {
        for answer in [&b""[..], b"<html>", b"{}", b"[]", br#"{"status":"fine","msg":1}"#, br#"{"status":"error"}"#] {
            assert_eq!(unwrap_envelope(answer).unwrap_err(), Failure::refused("what answers there is not Culvert"));
        }
    }
}
