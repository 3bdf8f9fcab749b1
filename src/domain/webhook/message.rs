//! Messages of webhooks.

use std::fmt;

use jiff::Timestamp;

use crate::domain::name::WebhookName;

/// A message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// What a receiver knows it again by that gets it twice.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// The body.
    pub body: String,
}

/// A message that waits where it outlives the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Larger for one that is to be sent later.
    pub number: u64,
    /// The webhook that it is for.
    pub to: WebhookName,
    /// The message.
    pub message: Message,
}

impl fmt::Debug for Message {
    /// A body tells of accounts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("id", &self.id).field("at", &self.at).finish_non_exhaustive()
    }
}
