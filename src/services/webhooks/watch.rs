//! What has happened to accounts between two looks at them. A pure machine: how they stand in, events out.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::domain::account::AccountId;
use crate::domain::name::{AccountName, ServerName};
use crate::domain::webhook::{Event, Protocol};

/// Parts of a quota that are told, in percent.
const STEPS: [u8; 2] = [80, 100];

/// Who is connected, how, and from where.
pub(super) type Online = BTreeMap<(AccountName, Protocol), (ServerName, Option<IpAddr>)>;

/// How an account with an end or a quota stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stand {
    pub(super) id: AccountId,
    pub(super) server: ServerName,
    pub(super) is_expired: bool,
    /// Bytes that count for its quota.
    pub(super) used: u64,
    /// 0 where it has none.
    pub(super) quota: u64,
}

/// By account.
pub(super) type Stands = BTreeMap<AccountName, Stand>;

/// The machine. Its first look finds nothing new: what was so before is no event.
#[derive(Debug, Default)]
pub(super) struct Watch {
    online: Option<Online>,
    stands: Option<Stands>,
}

impl Watch {
    /// Looks at who is connected.
    pub(super) fn look_online(&mut self, now: Online) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(before) = &self.online {
            let missing = |from: &Online, other: &Online, connected| -> Vec<Event> {
                let new = from.iter().filter(|(client, _)| !other.contains_key(*client));
                let event = |((account, protocol), (server, address)): (&(AccountName, Protocol), &(_, _))| {
                    let (account, server) = (account.clone(), ServerName::clone(server));
                    Event::Presence { connected, account, server, protocol: *protocol, address: *address }
                };
                new.map(event).collect()
            };
            events.extend(missing(before, &now, false));
            events.extend(missing(&now, before, true));
        }
        self.online = Some(now);
        events
    }

    /// Looks at how accounts with an end or a quota stand.
    pub(super) fn look_stands(&mut self, now: Stands) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(before) = &self.stands {
            for (account, stand) in &now {
                let before = before.get(account).filter(|before| before.id == stand.id);
                let (account, server) = (account.clone(), stand.server.clone());
                if stand.is_expired && before.is_none_or(|before| !before.is_expired) {
                    events.push(Event::Expired { account: account.clone(), server: server.clone() });
                }
                let (step, reached) = (step(stand), before.map_or(0, step));
                if step > reached {
                    let (used, quota) = (stand.used, stand.quota);
                    events.push(Event::Quota { account, server, percent: step, used, quota });
                }
            }
        }
        self.stands = Some(now);
        events
    }

    /// Forgets how it was: the next look finds nothing new.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// The largest of [`STEPS`] that is reached, or 0.
fn step(stand: &Stand) -> u8 {
    let reached =
        |step: &u8| stand.quota > 0 && u128::from(stand.used) * 100 >= u128::from(stand.quota) * u128::from(*step);
    STEPS.into_iter().rev().find(reached).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> AccountName {
        AccountName::parse(name).unwrap()
    }

    fn server() -> ServerName {
        ServerName::parse("wg").unwrap()
    }

    fn online(names: &[&str]) -> Online {
        names.iter().map(|name| ((account(name), Protocol::WireGuard), (server(), None))).collect()
    }

    fn stands(id: u64, is_expired: bool, used: u64) -> Stands {
        let stand = Stand { id: AccountId(id), server: server(), is_expired, used, quota: 1_000 };
        [(account("a"), stand)].into()
    }

    #[test]
    fn tells_who_came_and_who_went() {
        let mut watch = Watch::default();
        assert!(watch.look_online(online(&["a", "b"])).is_empty());

        let events = watch.look_online(online(&["b", "c"]));

        let told: Vec<_> = events
            .iter()
            .map(|event| {
                let Event::Presence { connected, account, .. } = event else { panic!("{event:?}") };
                (account.as_str(), *connected)
            })
            .collect();
        assert_eq!(told, [("a", false), ("c", true)]);
        assert!(watch.look_online(online(&["b", "c"])).is_empty());
    }

    #[test]
    fn tells_each_part_of_a_quota_once_and_again_in_the_next_period() {
        let mut watch = Watch::default();
        let mut told = Vec::new();
        for used in [0, 799, 800, 999, 1_000, 5_000, 0, 2_000] {
            for event in watch.look_stands(stands(1, false, used)) {
                let Event::Quota { percent, used, .. } = event else { panic!("{event:?}") };
                told.push((percent, used));
            }
        }
        assert_eq!(told, [(80, 800), (100, 1_000), (100, 2_000)]);
    }

    #[test]
    fn tells_an_end_once_and_that_of_an_account_made_anew() {
        let mut watch = Watch::default();
        watch.look_stands(stands(1, false, 0));

        assert_eq!(watch.look_stands(stands(1, true, 0)).len(), 1);
        assert!(watch.look_stands(stands(1, true, 0)).is_empty());
        assert_eq!(watch.look_stands(stands(2, true, 0)).len(), 1);
    }

    #[test]
    fn finds_nothing_new_at_first_and_after_it_has_forgotten() {
        let mut watch = Watch::default();
        assert!(watch.look_stands(stands(1, true, 1_000)).is_empty());
        watch.forget();
        assert!(watch.look_online(online(&["a"])).is_empty());
        assert!(watch.look_stands(stands(2, true, 1_000)).is_empty());
    }
}
