//! Who may call: access hashes of the API, users of the panel and their sessions, and what each of them may.

mod caller;
mod entry;
mod neighbourhood;
mod right;
mod second_factor;
mod session;
mod settle;
mod tries;
mod user;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

pub use self::caller::{Author, Authority, Caller};
pub use self::entry::{AccessDraft, AccessEntry, AccessTerms};
pub use self::neighbourhood::Neighbourhood;
pub use self::right::Right;
pub use self::second_factor::{RecoveryCode, SECRET_BYTES, SecondFactor, TotpSecret, recovery_codes};
pub use self::session::{SessionEntry, Token, TokenDigest};
pub use self::settle::{PasswordRule, UserDraft};
pub use self::tries::Tries;
pub use self::user::{Caps, PanelUser, Role, Spent};
use super::name::UserName;

/// Everybody who may call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessBook {
    /// The access hashes, by label.
    pub entries: BTreeMap<String, AccessEntry>,
    /// The panel's users, by name.
    pub users: BTreeMap<UserName, PanelUser>,
    /// Their sessions, by the digests of their tokens. Some may have ended and not been taken away yet.
    pub sessions: Arc<BTreeMap<TokenDigest, SessionEntry>>,
}

impl AccessBook {
    /// The sessions of a user, ended or not, the oldest first.
    pub fn sessions_of(&self, user: &str) -> Vec<&SessionEntry> {
        let mut sessions: Vec<_> = self.sessions.values().filter(|session| session.user.as_str() == user).collect();
        sessions.sort_by_key(|session| (session.created, session.digest));
        sessions
    }

    /// The access hashes that a user has made for himself, by label.
    pub fn own_of<'a>(&'a self, user: &'a str) -> impl Iterator<Item = &'a AccessEntry> {
        self.entries.values().filter(move |entry| entry.owner.as_ref().is_some_and(|owner| owner.as_str() == user))
    }

    /// The user of the panel who asks, if it is one and he still is what he was when he came in. No access hash has a user's
    /// name for a label.
    pub fn asking(&self, by: &Caller) -> Option<&PanelUser> {
        let user = self.users.get(by.label.as_str())?;
        (Authority::new(user.role, &user.name) == by.authority).then_some(user)
    }

    /// How many admins there are besides the user of this name.
    pub fn other_admins(&self, name: &str) -> usize {
        self.users.values().filter(|user| user.role == Role::Admin && user.name.as_str() != name).count()
    }
}

/// The TCP connection by which a request came; IPv4 addresses in IPv6 clothes are undressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The other end.
    pub from: SocketAddr,
    /// Our end.
    pub to: SocketAddr,
}

impl Way {
    /// The way between two ends of a socket.
    pub fn new(from: SocketAddr, to: SocketAddr) -> Self {
        let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        Self { from: plain(from), to: plain(to) }
    }
}
