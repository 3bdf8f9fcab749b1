//! Webhooks: who is told by HTTP of what happens, and of which events.

mod event;
mod message;

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::field::{self, given};
use super::limits;
use super::name::WebhookName;
use super::password::Password;
use super::refusal::Refusal;
use super::words::words;

pub use self::event::{Event, Protocol};
pub use self::message::{Kept, Message};

/// What begins the text of a secret (<https://www.standardwebhooks.com>).
const SECRET_PREFIX: &str = "whsec_";

/// A kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// An account's client has connected.
    Connected,
    /// It is connected no more.
    Disconnected,
    /// An account's end has come.
    Expired,
    /// Four fifths of an account's quota, or all of it, are used up.
    Quota,
    /// A backup could not be made, or its copy not sent.
    BackupFailed,
}

words!(EventKind {
    Connected = "account.connected",
    Disconnected = "account.disconnected",
    Expired = "account.expired",
    Quota = "account.quota",
    BackupFailed = "backup.failed",
});

/// A webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name.
    pub name: WebhookName,
    /// Where messages go: an http or https URL.
    pub url: String,
    /// What messages are signed with: `whsec_` and the key in base64.
    pub secret: Password,
    /// Of which events it tells.
    pub events: BTreeSet<EventKind>,
    /// Whether it tells anything.
    pub enabled: bool,
}

impl fmt::Debug for Webhook {
    /// A URL may hold a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).field("events", &self.events).finish_non_exhaustive()
    }
}

impl Webhook {
    /// Whether it tells of events of this kind.
    pub fn wants(&self, kind: EventKind) -> bool {
        self.enabled && self.events.contains(&kind)
    }

    /// The key that its messages are signed with.
    pub fn key(&self) -> Vec<u8> {
        key(self.secret.reveal()).unwrap_or_default()
    }
}

/// What somebody asks of a webhook. An absent field chooses the default, or keeps what is there.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct WebhookDraft {
    /// Letters, digits, `_` and `-`; fixed once it is there.
    pub name: Option<String>,
    /// An http or https URL.
    pub url: Option<String>,
    /// `whsec_` and 24 to 64 bytes in base64; chosen where it is blank.
    pub secret: Option<String>,
    /// Words of [`EventKind`], separated by commas, or `all`.
    pub events: Option<String>,
    /// A flag.
    pub enabled: Option<String>,
}

impl WebhookDraft {
    /// The webhook that is asked for.
    ///
    /// # Errors
    /// `NameMalformed`, `FieldMalformed`.
    pub fn settle(&self, random: [u8; limits::WEBHOOK_KEY]) -> Result<Webhook, Refusal> {
        let name = WebhookName::parse(given(self.name.as_ref()).unwrap_or_default())?;
        let fresh = Webhook {
            name,
            url: String::new(),
            secret: Password::new(format!("{SECRET_PREFIX}{}", STANDARD.encode(random))),
            events: EventKind::ALL.into(),
            enabled: true,
        };
        self.amend(&fresh)
    }

    /// The webhook as it is to be.
    ///
    /// # Errors
    /// `FieldMalformed`.
    pub fn amend(&self, current: &Webhook) -> Result<Webhook, Refusal> {
        let malformed = |field, rule| Refusal::FieldMalformed { field, rule };
        let mut webhook = current.clone();
        if let Some(url) = given(self.url.as_ref()) {
            url.clone_into(&mut webhook.url);
        }
        if !is_url(&webhook.url) {
            return Err(malformed("url", "an http or https URL"));
        }
        if let Some(secret) = given(self.secret.as_ref()) {
            key(secret).ok_or_else(|| malformed("secret", "whsec_ and 24 to 64 bytes in base64"))?;
            webhook.secret = Password::new(secret.to_owned());
        }
        if let Some(events) = given(self.events.as_ref()) {
            let rule = "all, or some of account.connected, account.disconnected, account.expired, account.quota, \
                        backup.failed";
            webhook.events = self::events(events).ok_or_else(|| malformed("events", rule))?;
        }
        field::amend_flag("enabled", self.enabled.as_ref(), &mut webhook.enabled)?;
        Ok(webhook)
    }
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    text.len() <= limits::LINK_URL_LENGTH
        && host.is_some_and(|host| !host.is_empty())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn key(secret: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(secret.strip_prefix(SECRET_PREFIX)?).ok()?;
    (24..=64).contains(&key.len()).then_some(key)
}

fn events(text: &str) -> Option<BTreeSet<EventKind>> {
    if text.eq_ignore_ascii_case("all") {
        return Some(EventKind::ALL.into());
    }
    text.split(',').map(|word| EventKind::parse(word.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(url: &str) -> WebhookDraft {
        WebhookDraft { name: Some("billing".into()), url: Some(url.into()), ..WebhookDraft::default() }
    }

    #[test]
    fn tells_of_everything_with_a_secret_of_its_own_unless_it_is_said_otherwise() {
        let webhook = draft("https://example.org/hook").settle([7; limits::WEBHOOK_KEY]).unwrap();

        assert!(EventKind::ALL.into_iter().all(|kind| webhook.wants(kind)));
        assert_eq!(webhook.key(), [7; limits::WEBHOOK_KEY]);
        assert!(webhook.secret.reveal().starts_with("whsec_"));
        assert!(!format!("{webhook:?}").contains(webhook.secret.reveal()));
    }

    #[test]
    fn changes_what_is_named() {
        let webhook = draft("http://[2001:db8::1]:8080").settle([7; limits::WEBHOOK_KEY]).unwrap();
        let events = Some("account.expired, ACCOUNT.QUOTA".to_owned());

        let amended = WebhookDraft { events, enabled: Some("0".into()), ..WebhookDraft::default() }.amend(&webhook);

        let amended = amended.unwrap();
        assert_eq!(amended.events, [EventKind::Expired, EventKind::Quota].into());
        assert!(!amended.wants(EventKind::Expired));
        assert_eq!((amended.url, amended.secret), (webhook.url, webhook.secret));
    }

    #[test]
    fn refuses_what_cannot_be() {
        let fine = draft("https://example.org");
        let long = format!("https://example.org/{}", "x".repeat(limits::LINK_URL_LENGTH));
        for url in ["", "example.org", "ftp://example.org", "https://", "https:///x", "https://a b", long.as_str()] {
            assert!(draft(url).settle([0; limits::WEBHOOK_KEY]).is_err(), "{url}");
        }
        for secret in ["secret", "whsec_", "whsec_AAAA", "whsec_!"] {
            let draft = WebhookDraft { secret: Some(secret.into()), ..fine.clone() };
            assert!(draft.settle([0; limits::WEBHOOK_KEY]).is_err(), "{secret}");
        }
        for events in ["nothing", "account.expired,", "all,account.expired"] {
            let draft = WebhookDraft { events: Some(events.into()), ..fine.clone() };
            assert!(draft.settle([0; limits::WEBHOOK_KEY]).is_err(), "{events}");
        }
    }
}
