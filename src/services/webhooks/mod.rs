//! Webhooks: what the API and the command line may do with them, what they tell, and how it gets to them.

mod queue;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;
use tracing::debug;

pub use self::queue::Delivery;
use self::queue::Queue;
use self::watch::{Online, Stand, Stands, Watch};
use super::{Caller, Error, Ground, GroundParts, Traffic};
use crate::domain::audit::{Deed, Kind};
use crate::domain::hex::hex;
use crate::domain::limits;
use crate::domain::name::WebhookName;
use crate::domain::refusal::Refusal;
use crate::domain::restriction::Restriction;
use crate::domain::webhook::{Event, EventKind, Message, Protocol, Webhook, WebhookDraft};
use crate::observe::{fields, webhook};
use crate::runtime::os::{clock, entropy};
use crate::store::Change;

/// The use cases of webhooks.
#[derive(Debug, Clone)]
pub struct Webhooks {
    ground: Ground,
    traffic: Traffic,
    /// Held over a whole look, so that looks come one after the other.
    watch: Arc<tokio::sync::Mutex<Watch>>,
}

/// Messages that wait, and a bell for who sends them.
#[derive(Debug, Default)]
pub(super) struct Post {
    queue: Mutex<Queue>,
    bell: Notify,
    /// Held while the store is told what waits; whether it has told what waited in an earlier process.
    kept: tokio::sync::Mutex<bool>,
}

/// A message on its way.
#[derive(Debug)]
pub struct Sending {
    to: Arc<Webhook>,
    message: Message,
}

impl Post {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GroundParts {
    /// Has every webhook told of something that wants to know it.
    pub(super) fn announce(&self, event: &Event) {
        let Some(kind) = event.kind() else { return };
        let webhooks = self.store.webhooks();
        for webhook in webhooks.values().filter(|webhook| webhook.wants(kind)) {
            self.post.queue().push(&webhook.name, message(event, clock::timestamp()), clock::now());
        }
        self.post.bell.notify_one();
    }
}

impl Webhooks {
    pub(super) fn new(ground: Ground) -> Self {
        Self { traffic: Traffic::new(ground.clone()), ground, watch: Arc::default() }
    }

    /// Every webhook, by name, and how it stands.
    pub fn list(&self) -> Vec<(Arc<Webhook>, Delivery)> {
        let queue = self.ground.post.queue();
        self.ground.store.webhooks().values().map(|webhook| (webhook.clone(), queue.delivery(&webhook.name))).collect()
    }

    /// Adds a webhook. The caller is about to show its secret.
    ///
    /// # Errors
    /// `NameTaken`, `WebhooksExceeded` and the refusals of [`WebhookDraft`].
    pub async fn add(&self, by: &Caller, draft: WebhookDraft) -> Result<Arc<Webhook>, Error> {
        let random = entropy::bytes();
        let rule = move |change: &mut Change| {
            let webhook = draft.settle(random)?;
            if change.webhooks().contains_key(&webhook.name) {
                return Err(Refusal::NameTaken);
            }
            if change.webhooks().len() >= limits::WEBHOOKS {
                return Err(Refusal::WebhooksExceeded);
            }
            let text = format!("Added webhook `{}`", webhook.name);
            let deed = Deed::to(Kind::Webhook, &webhook.name, text);
            Ok((change.put_webhook(webhook), deed))
        };
        let webhook = self.ground.write(by, rule).await?;
        // what happens from now on is told
        self.look().await;
        Ok(webhook)
    }

    /// Edits what the draft names; what waits is tried again at once.
    ///
    /// # Errors
    /// `WebhookNotFound` and the refusals of [`WebhookDraft`].
    pub async fn edit(&self, by: &Caller, name: &str, draft: WebhookDraft) -> Result<(Arc<Webhook>, Delivery), Error> {
        let name = name.to_owned();
        let rule = move |change: &mut Change| {
            let current = change.webhooks().get(name.as_str()).ok_or(Refusal::WebhookNotFound)?.clone();
            let webhook = draft.amend(&current)?;
            let deed = Deed::to(Kind::Webhook, &name, format!("Edited webhook `{name}`"));
            Ok((if *current == webhook { current } else { change.put_webhook(webhook) }, deed))
        };
        let webhook = self.ground.write(by, rule).await?;
        let delivery = {
            let mut queue = self.ground.post.queue();
            queue.retry(&webhook.name);
            queue.delivery(&webhook.name)
        };
        self.ground.post.bell.notify_one();
        Ok((webhook, delivery))
    }

    /// Removes a webhook, and what waits for it.
    ///
    /// # Errors
    /// `WebhookNotFound`.
    pub async fn remove(&self, by: &Caller, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        let rule = move |change: &mut Change| {
            change.remove_webhook(&name)?;
            Ok(((), Deed::to(Kind::Webhook, &name, format!("Removed webhook `{name}`"))))
        };
        self.ground.write(by, rule).await?;
        let webhooks = self.ground.store.webhooks();
        self.ground.post.queue().keep(|name| webhooks.contains_key(name));
        Ok(())
    }

    /// Sends a message of no consequence now, whether the webhook is enabled or not.
    ///
    /// # Errors
    /// `WebhookNotFound`; `WebhookFailed`, with what the receiver said.
    pub async fn test(&self, name: &str) -> Result<(), Error> {
        let webhooks = self.ground.store.webhooks();
        let to = webhooks.get(name).ok_or(Refusal::WebhookNotFound)?.clone();
        let outcome = send(Sending { to, message: message(&Event::Test, clock::timestamp()) }).await;
        outcome.map_err(|why| Refusal::WebhookFailed(why).into())
    }

    /// Has what waits outlive the process, after what an earlier one has left was taken over. To be called each second:
    /// what arrives sooner never gets to the disk.
    pub async fn keep(&self) {
        self.keep_all(false).await;
    }

    /// [`Self::keep`], of everything: the last call.
    pub async fn close(&self) {
        self.keep_all(true).await;
    }

    async fn keep_all(&self, at_the_end: bool) {
        let mut resumed = self.ground.post.kept.lock().await;
        if !*resumed {
            match self.ground.store.messages().await {
                Ok(kept) => self.ground.post.queue().resume(kept, clock::timestamp(), clock::now()),
                Err(cause) => {
                    debug!({ fields::CAUSE } = %cause, "Messages of webhooks cannot be read: {cause}");
                    return;
                }
            }
            *resumed = true;
            self.ground.post.bell.notify_one();
        }
        let changes = self.ground.post.queue().changes(at_the_end, clock::now());
        if changes.is_empty() {
            return;
        }
        let written = changes.clone();
        let rule = move |change: &mut Change| {
            change.keep_messages(written);
            Ok(())
        };
        if let Err(cause) = self.ground.store.write(rule).await {
            debug!({ fields::CAUSE } = %cause, "Messages of webhooks wait in memory alone: {cause}");
            self.ground.post.queue().fail_to_keep(changes);
        }
    }

    /// Returns when something new waits.
    pub async fn rung(&self) {
        self.ground.post.bell.notified().await;
    }

    /// What is to be sent now.
    pub fn due(&self) -> Vec<Sending> {
        let webhooks = self.ground.store.webhooks();
        let mut queue = self.ground.post.queue();
        queue.keep(|name| webhooks.contains_key(name));
        let due = queue.begin(clock::now()).into_iter();
        // one that is gone was forgotten a moment ago
        due.filter_map(|(name, message)| Some(Sending { to: webhooks.get(&name)?.clone(), message })).collect()
    }

    /// Sends a message and notes what became of it.
    pub async fn send(&self, sending: Sending) {
        let name: WebhookName = sending.to.name.clone();
        let outcome = send(sending).await;
        if let Err(why) = &outcome {
            debug!({ fields::CAUSE } = why, "A message of webhook `{name}` waits for the next try: {why}");
        }
        self.ground.post.queue().end(&name, outcome, clock::now());
        self.ground.post.bell.notify_one();
    }

    /// Looks at what has happened to accounts since the last time, and tells it. To be called each second.
    pub async fn look(&self) {
        let mut watch = self.watch.lock().await;
        let webhooks = self.ground.store.webhooks();
        let wanted =
            |kinds: &[EventKind]| kinds.iter().any(|kind| webhooks.values().any(|webhook| webhook.wants(*kind)));
        if !wanted(&[EventKind::Connected, EventKind::Disconnected, EventKind::Expired, EventKind::Quota]) {
            watch.forget();
            return;
        }
        let mut events = watch.look_online(self.online().await);
        events.extend(watch.look_stands(self.stands().await));
        for event in events {
            self.ground.announce(&event);
        }
    }

    /// Who is connected now: as the contract's lists of those who are online have it.
    async fn online(&self) -> Online {
        let intended = self.ground.store.intended();
        let within = intended.system.wireguard_handshake_uptime;
        let figures = self.ground.runtime.figures().await.into_iter();
        let connected = figures.filter(|of| of.is_online(within));
        let by_wireguard =
            connected.map(|of| ((of.account, Protocol::WireGuard), (of.server, of.endpoint.map(|from| from.ip()))));
        let sessions = self.ground.runtime.ikev2().list(clock::now()).into_iter();
        let by_ikev2 = sessions.filter_map(|session| {
            let server = intended.account(session.account.as_str())?.server.clone();
            Some(((session.account, Protocol::Ikev2), (server, Some(session.endpoint))))
        });
        by_wireguard.chain(by_ikev2).collect()
    }

    /// How the accounts with an end or a quota stand now.
    async fn stands(&self) -> Stands {
        let standings = self.traffic.recent_standings().await;
        let intended = self.ground.store.intended();
        let limited = intended.accounts().filter(|account| account.allowance.is_limited());
        let stand = limited.map(|account| {
            let standing = standings.of(account);
            let stand = Stand {
                id: account.id,
                server: account.server.clone(),
                is_expired: standing.restriction == Some(Restriction::Expired),
                used: standing.used,
                quota: account.allowance.quota,
            };
            (account.name.clone(), stand)
        });
        stand.collect()
    }
}

fn message(event: &Event, at: Timestamp) -> Message {
    Message { id: format!("msg_{}", hex(&entropy::bytes::<16>())), at, body: event.message(at) }
}

async fn send(Sending { to, message: Message { id, at, body } }: Sending) -> Result<(), String> {
    let work = move || webhook::send(&to.url, &to.key(), &id, at, &body);
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
}
