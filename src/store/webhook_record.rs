//! Webhooks, as they lie in the file.

use serde::{Deserialize, Serialize};

use super::record::{Nothing, Record};
use super::records::first_version;
use crate::domain::name::WebhookName;
use crate::domain::password::Password;
use crate::domain::webhook::{EventKind, Webhook};

first_version!(WebhookV1);

/// A webhook.
#[derive(Serialize, Deserialize)]
pub(super) struct WebhookV1 {
    name: WebhookName,
    url: String,
    secret: Password,
    /// By their words.
    events: Vec<String>,
    enabled: bool,
}

impl From<&Webhook> for WebhookV1 {
    fn from(webhook: &Webhook) -> Self {
        Self {
            name: webhook.name.clone(),
            url: webhook.url.clone(),
            secret: webhook.secret.clone(),
            events: webhook.events.iter().map(ToString::to_string).collect(),
            enabled: webhook.enabled,
        }
    }
}

impl From<WebhookV1> for Webhook {
    fn from(record: WebhookV1) -> Self {
        Self {
            name: record.name,
            url: record.url,
            secret: record.secret,
            // a kind of event that a later program knows never happens here
            events: record.events.iter().filter_map(|word| EventKind::parse(word)).collect(),
            enabled: record.enabled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{decode, encode};
    use super::*;

    /// What version 1 looks like on disk: a release has written it, so this text never changes.
    #[test]
    fn reads_back_what_it_has_written() {
        let webhook = Webhook {
            name: WebhookName::parse("b").unwrap(),
            url: "http://h".into(),
            secret: Password::new("whsec_".into()),
            events: [EventKind::Expired].into(),
            enabled: true,
        };

        let bytes = encode(&WebhookV1::from(&webhook)).unwrap();

        let expected = b"\x01\x01b\x08http://h\x06whsec_\x01\x0faccount.expired\x01";
        assert_eq!(bytes, expected);
        assert_eq!(Webhook::from(decode::<WebhookV1>(&bytes).unwrap()), webhook);
    }
}
