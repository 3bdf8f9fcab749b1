//! To a store that speaks Amazon S3: one signed PUT.

use std::io::Read;
use std::time::Duration;

use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use ureq::SendBody;

use crate::domain::backup::S3;
use crate::observe::trust::agent;

/// How long the signature is good, and the whole upload may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How much of an error's document is read, in bytes.
const EXPLANATION: u64 = 65_536;
/// How long the store may take no byte of it: an upload that stands still keeps every other backup waiting.
const STALL: Duration = Duration::from_secs(60);
/// How long the store may take to answer once it has everything.
const ANSWER: Duration = Duration::from_secs(60);
/// How long the store may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(20);

/// Sends a file of so many bytes to this bucket.
///
/// # Errors
/// One sentence for the operator.
pub fn send(to: &S3, name: &str, file: &mut dyn Read, size: u64) -> Result<(), String> {
    send_unless_stalled(to, name, file, size, STALL)
}

fn send_unless_stalled(to: &S3, name: &str, file: &mut dyn Read, size: u64, stall: Duration) -> Result<(), String> {
    let endpoint = to.endpoint.parse().map_err(|_| "the endpoint is no URL".to_owned())?;
    let bucket = Bucket::new(endpoint, UrlStyle::Path, to.bucket.clone(), to.region.clone());
    let bucket = bucket.map_err(|error| error.to_string())?;
    let credentials = Credentials::new(to.access_key.clone(), to.secret_key.reveal());
    let path = to.path.trim_matches('/');
    let key = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
    let url = bucket.put_object(Some(&credentials), &key).sign(PATIENCE);
    let request = agent(CONNECT, ANSWER, PATIENCE).put(url.as_str());
    // the store takes no body whose length it does not know
    let request = request.header("content-length", size.to_string());
    let body = SendBody::from_reader(file);
    let answer = request.config().timeout_per_write(Some(stall)).build().send(body).map_err(|error| {
        if matches!(error, ureq::Error::Timeout(ureq::Timeout::PerWrite)) {
            return "the store stopped taking it".to_owned();
        }
        without(&error.to_string(), url.as_str())
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let text = answer.into_body().with_config().limit(EXPLANATION).read_to_string().unwrap_or_default();
    Err(code(&text)
        .map_or_else(|| format!("the store answered {status}"), |code| format!("the store answered {status}: {code}")))
}

/// The code of an error's document, as in `<Code>NoSuchBucket</Code>`.
fn code(document: &str) -> Option<&str> {
    let (_, rest) = document.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    (code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(code)
}

/// The signed URL is as good as the credentials for a while: no message shows it.
fn without(message: &str, url: &str) -> String {
    message.replace(url, "the store")
}

#[cfg(test)]
mod tests {
    use std::io::repeat;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn gives_up_on_a_store_that_takes_nothing_more() {
        // it accepts connections, and never reads: the system's buffers fill
        let store = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = S3 {
            endpoint: format!("http://{}", store.local_addr().unwrap()),
            region: "r".into(),
            bucket: "b".into(),
            ..S3::default()
        };
        let size = 64 << 20;

        let outcome = send_unless_stalled(&to, "a.zip.age", &mut repeat(0), size, Duration::from_millis(100));

        assert_eq!(outcome, Err("the store stopped taking it".to_owned()));
    }

    #[test]
    fn finds_the_code_of_an_error() {
        let document = "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchBucket</Code><Message>m</Message></Error>";

        assert_eq!(code(document), Some("NoSuchBucket"));
        for other in ["", "<html>", "<Code>", "<Code>a\nb</Code>", "<Code><b></Code>"] {
            assert_eq!(code(other), None, "{other}");
        }
    }
}
