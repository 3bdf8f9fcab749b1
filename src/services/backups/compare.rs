//! What a backup has otherwise than the appliance: what a restore would bring, take away and change.

use std::collections::BTreeMap;

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

/// From what is to what is carried; kinds of which nothing differs are left out.
pub(super) fn compare(present: &Holding, carried: &Holding) -> Vec<Differing> {
    let (now, then) = (&present.intended, &carried.intended);
    let settings = |holding: &Holding| {
        let intended = &holding.intended;
        let all = [
            ("dns", format!("{:?}", intended.dns)),
            ("firewall", format!("{:?}", intended.firewall.settings)),
            ("ikev2", format!("{:?}", intended.ikev2)),
            ("one_time_link", format!("{:?}", holding.links.settings)),
            ("system", format!("{:?}", intended.system)),
            ("traffic_log", format!("{:?}", intended.traffic_log)),
        ];
        all.into_iter().collect::<BTreeMap<_, _>>()
    };
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
        differing(SETTINGS, &settings(present), &settings(carried)),
    ];
    all.into_iter().flatten().collect()
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
        assert!(compare(&Holding::default(), &Holding::default()).is_empty());
    }
}
