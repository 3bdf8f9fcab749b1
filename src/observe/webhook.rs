//! Messages of webhooks on their way: one signed POST each, as Standard Webhooks 1.0 has it
//! (<https://www.standardwebhooks.com>).

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::trust;

/// How long a receiver may take to accept a connection, and to answer.
const PATIENCE: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(20)];

/// Sends a message. Waits for the network, so it runs where waiting is allowed. Redirections are not followed: what a
/// receiver signs for is meant for it alone.
///
/// # Errors
/// One sentence for the operator, which does not hold the URL: that may hold a token.
pub fn send(url: &str, key: &[u8], id: &str, at: Timestamp, body: &str) -> Result<(), String> {
    let seconds = at.as_second().to_string();
    let agent = trust::agent(PATIENCE[0], PATIENCE[1], PATIENCE[1]);
    let request = agent
        .post(url)
        .config()
        .max_redirects(0)
        .build()
        .header("content-type", "application/json")
        .header("user-agent", concat!("culvert/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", id)
        .header("webhook-timestamp", &seconds)
        .header("webhook-signature", signature(key, id, &seconds, body));
    let response = request.send(body).map_err(|error| error.to_string().replace(url, "the receiver"))?;
    if response.status().is_success() { Ok(()) } else { Err(format!("the receiver answered {}", response.status())) }
}

fn signature(key: &[u8], id: &str, seconds: &str, body: &str) -> String {
    let signed = format!("{id}.{seconds}.{body}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn signs_as_the_specification_does() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();

        let signature = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);

        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
