//! Who is connected by IKEv2: a table that the responder fills and everybody else reads.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::domain::ikev2::Ikev2Session;
use crate::domain::name::AccountName;

/// The sessions, an account each; cheap to clone, all clones are one table. Nobody is in it while no responder runs.
#[derive(Debug, Clone, Default)]
pub struct Ikev2Sessions(Arc<Mutex<BTreeMap<AccountName, Live>>>);

/// A session: where its client is, and since when.
#[derive(Debug, Clone, Copy)]
struct Live {
    endpoint: IpAddr,
    since: Instant,
}

impl Ikev2Sessions {
    /// Puts a session in, or in the place of the account's earlier one.
    pub fn put(&self, account: AccountName, endpoint: IpAddr, since: Instant) {
        self.table().insert(account, Live { endpoint, since });
    }

    /// Takes a session out; says whether there was one.
    pub fn take(&self, account: &str) -> bool {
        self.table().remove(account).is_some()
    }

    /// All sessions, by account.
    pub fn list(&self, now: Instant) -> Vec<Ikev2Session> {
        let session = |(account, live): (&AccountName, &Live)| Ikev2Session {
            account: account.clone(),
            endpoint: live.endpoint,
            age: now.saturating_duration_since(live.since),
        };
        self.table().iter().map(session).collect()
    }

    fn table(&self) -> std::sync::MutexGuard<'_, BTreeMap<AccountName, Live>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::runtime::os::clock;

    #[test]
    fn lists_who_is_connected_until_he_is_not() {
        let (sessions, since) = (Ikev2Sessions::default(), clock::now());
        let account = AccountName::parse("laptop").unwrap();
        sessions.put(account.clone(), [192, 0, 2, 1].into(), since);
        sessions.put(account.clone(), [192, 0, 2, 2].into(), since);

        let listed = sessions.list(since + Duration::from_secs(11));

        let age = Duration::from_secs(11);
        assert_eq!(listed, [Ikev2Session { account, endpoint: [192, 0, 2, 2].into(), age }]);
        assert!(sessions.take("laptop"));
        assert!(!sessions.take("laptop"));
        assert_eq!(sessions.list(since), []);
    }
}
