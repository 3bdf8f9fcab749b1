//! What a backup has otherwise than the appliance: what a restore would bring, take away and change.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::audit::Kind;
use crate::domain::name::AccountName;
use crate::domain::one_time_link::{LinkDigest, OneTimeLink};
use crate::store::Holding;

/// The kind of what is set, whatever it is set of.
pub const SETTINGS: &str = "settings";

/// What of one kind of thing differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// The kind: the word of an [`audit::Kind`](crate::domain::audit::Kind), or [`SETTINGS`], where the names are such words.
    pub kind: &'static str,
    /// Names of what a restore brings.
    pub added: Vec<String>,
    /// Names of what it takes away.
    pub removed: Vec<String>,
    /// Names of what it changes.
    pub changed: Vec<String>,
}

/// The name of an open link: its account's. Two of one account are two all the same.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct LinkName(AccountName, LinkDigest);

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// From what is to what is carried; kinds of which nothing differs are left out, and so are links that have ended by `now`.
pub(super) fn compare(present: &Holding, carried: &Holding, now: Timestamp) -> Vec<Differing> {
    let (present_links, carried_links) = (links(present, now), links(carried, now));
    let (now, then) = (&present.intended, &carried.intended);
    let servers = |holding: &Holding| {
        let all = holding.intended.servers.values();
        all.map(|server| (server.server.name.to_string(), (server.server.clone(), server.forwards.clone()))).collect()
    };
    let accounts =
        |holding: &Holding| holding.intended.accounts().map(|one| (one.name.to_string(), one.clone())).collect();
    let rules = |rules: &[crate::domain::firewall::FilterRule]| {
        let kept = rules.iter().filter(|rule| !rule.is_system());
        kept.map(|rule| (rule.name.to_string(), rule.clone())).collect()
    };
    let users = |holding: &Holding| {
        let all = holding.access.users.iter();
        all.map(|(name, user)| (name.to_string(), (user.role, user.caps))).collect()
    };
    let hashes = |holding: &Holding| {
        let all = holding.access.entries.values();
        all.map(|one| (one.label.clone(), (one.digest, one.net, one.scope.clone(), one.expires))).collect()
    };
    let hooks =
        |holding: &Holding| holding.webhooks.iter().map(|(name, hook)| (name.to_string(), hook.clone())).collect();
    let all = [
        differing("server", &servers(present), &servers(carried)),
        differing("account", &accounts(present), &accounts(carried)),
        differing("firewall_rule", &rules(&now.firewall.rules), &rules(&then.firewall.rules)),
        differing("user", &users(present), &users(carried)),
        differing("access", &hashes(present), &hashes(carried)),
        differing("webhook", &hooks(present), &hooks(carried)),
        differing(Kind::Link.word(), &present_links, &carried_links),
        settings(present, carried),
    ];
    all.into_iter().flatten().collect()
}

/// What is set of what, by the words of their kinds. Secrets count too, though nobody is told of them.
fn settings(present: &Holding, carried: &Holding) -> Option<Differing> {
    let (now, then) = (&present.intended, &carried.intended);
    let same = [
        (Kind::Backup, present.backups == carried.backups),
        (Kind::Dns, now.dns == then.dns),
        (Kind::Firewall, now.firewall.settings == then.firewall.settings),
        (Kind::Ikev2, now.ikev2 == then.ikev2),
        (Kind::Link, present.links.settings == carried.links.settings),
        (Kind::System, now.system == then.system && present.host == carried.host),
        (Kind::TrafficLog, now.traffic_log == then.traffic_log),
    ];
    let changed = same.into_iter().filter(|(_, is_same)| !is_same).map(|(kind, _)| kind.word().to_owned());
    let changed: Vec<_> = changed.collect();
    let is_same = changed.is_empty();
    (!is_same).then_some(Differing { kind: SETTINGS, added: Vec::new(), removed: Vec::new(), changed })
}

fn links(holding: &Holding, now: Timestamp) -> BTreeMap<LinkName, Arc<OneTimeLink>> {
    let open = holding.links.links.iter().filter(|(_, link)| link.expires > now);
    open.map(|(digest, link)| (LinkName(link.account.clone(), *digest), link.clone())).collect()
}

fn differing<K: Ord + ToString, V: PartialEq>(
    kind: &'static str,
    now: &BTreeMap<K, V>,
    then: &BTreeMap<K, V>,
) -> Option<Differing> {
    let names = |of: &BTreeMap<K, V>, wanted: &dyn Fn(&K, &V) -> bool| -> Vec<String> {
        of.iter().filter(|(name, value)| wanted(name, value)).map(|(name, _)| name.to_string()).collect()
    };
    let told = Differing {
        kind,
        added: names(then, &|name, _| !now.contains_key(name)),
        removed: names(now, &|name, _| !then.contains_key(name)),
        changed: names(then, &|name, value| now.get(name).is_some_and(|other| other != value)),
    };
    let is_same = told.added.is_empty() && told.removed.is_empty() && told.changed.is_empty();
    (!is_same).then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::backup::BackupSettings;
    use crate::domain::host::HostSettings;
    use crate::domain::limits;
    use crate::domain::one_time_link::{LinkBook, LinkKey};
    use crate::domain::password::Password;

    fn map(pairs: &[(&str, u8)]) -> BTreeMap<String, u8> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn tells_what_comes_what_goes_and_what_changes() {
        let told = differing("server", &map(&[("a", 1), ("b", 1), ("c", 1)]), &map(&[("b", 2), ("c", 1), ("d", 1)]));

        let told = told.unwrap();
        assert_eq!((told.added, told.removed, told.changed), (vec!["d".into()], vec!["a".into()], vec!["b".into()]));
    }

    #[test]
    fn leaves_out_a_kind_of_which_nothing_differs() {
        assert_eq!(differing("server", &map(&[("a", 1)]), &map(&[("a", 1)])), None);
        assert!(compare(&Holding::default(), &Holding::default(), Timestamp::UNIX_EPOCH).is_empty());
    }

    #[test]
    fn tells_of_a_secret_that_is_another() {
        let with = |password: &str| Holding {
            backups: BackupSettings { passphrase: Password::new(password.into()), ..BackupSettings::default() }.into(),
            ..Holding::default()
        };

        let told = compare(&with("one"), &with("other"), Timestamp::UNIX_EPOCH);

        assert_eq!(told.len(), 1);
        assert_eq!((told[0].kind, &told[0].changed), (SETTINGS, &vec!["backup".to_owned()]));
    }

    #[test]
    fn tells_of_a_host_that_is_found_elsewhere() {
        let host = HostSettings { endpoint: Some("vpn.example".into()), ..HostSettings::default() };
        let carried = Holding { host: host.into(), ..Holding::default() };

        let told = compare(&Holding::default(), &carried, Timestamp::UNIX_EPOCH);

        assert_eq!((told[0].kind, &told[0].changed), (SETTINGS, &vec!["system".to_owned()]));
    }

    #[test]
    fn tells_of_links_that_are_open() {
        let account = AccountName::parse("peer_1").unwrap();
        let (made, end): (Timestamp, _) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(60).unwrap());
        let link = |byte: u8| {
            let key = LinkKey::from_entropy([byte; limits::LINK_KEY_BYTES]);
            let link = OneTimeLink { key, account: account.clone(), created: made, expires: end };
            (LinkDigest([byte; 32]), Arc::new(link))
        };
        let links = LinkBook { links: Arc::new([link(1), link(2)].into()), ..LinkBook::default() };
        let carried = Holding { links: links.into(), ..Holding::default() };

        let told = compare(&Holding::default(), &carried, made);

        assert_eq!(told.len(), 1);
        assert_eq!(
            (told[0].kind, told[0].added.as_slice()),
            ("one_time_link", &["peer_1".into(), "peer_1".into()][..])
        );
        assert!(compare(&Holding::default(), &carried, end).is_empty());
    }
}
