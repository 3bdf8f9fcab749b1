//! The firewall: what the API and the command line may do with it, and what the API's own listener asks of it.

use std::sync::Arc;

use super::{Caller, Error, Ground, Way};
use crate::domain::audit::{Deed, Kind};
use crate::domain::figures::Counter;
use crate::domain::firewall::{
    self, End, FilterRule, FilterRuleDraft, FirewallDraft, FirewallSettings, MarkRow, NatRow, mark_rows, nat_row,
};
use crate::domain::refusal::Refusal;
use crate::store::Change;

/// The use cases of the firewall.
#[derive(Debug, Clone)]
pub struct Firewall {
    ground: Ground,
}

/// The contract's `firewall_info`: versions, under the names of Debian's packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirewallVersions {
    /// Whether anything is forwarded.
    pub ip_forward: bool,
    /// What shapes traffic here.
    pub iproute2: String,
    /// What filters and translates here.
    pub iptables: String,
}

impl Firewall {
    pub(super) fn new(ground: Ground) -> Self {
        Self { ground }
    }

    /// The firewall as of the last commit. Costs no disk.
    pub fn current(&self) -> Arc<firewall::Firewall> {
        self.ground.store.intended().firewall.clone()
    }

    /// What filters, translates and shapes here.
    pub fn versions(&self) -> FirewallVersions {
        let ours = format!("{} (Culvert, in userspace)", self.ground.settings.version);
        let ip_forward = self.settings().ip_forward;
        FirewallVersions { ip_forward, iproute2: ours.clone(), iptables: ours }
    }

    /// The settings.
    pub fn settings(&self) -> FirewallSettings {
        self.current().settings
    }

    /// Edits what the draft names.
    ///
    /// # Errors
    /// The refusals of [`FirewallDraft`].
    pub async fn edit(&self, by: &Caller, draft: FirewallDraft) -> Result<(), Error> {
        let rule = move |change: &mut Change| {
            let current = change.intended().firewall.settings;
            let settings = draft.amend(&current)?;
            if settings != current {
                change.put_firewall(settings);
            }
            Ok(((), Deed::of(Kind::Firewall, format!("Set the firewall to {settings}"))))
        };
        self.ground.write(by, rule).await
    }

    /// The rules in the order in which they are tried, and how often each has decided.
    pub async fn rules(&self) -> Vec<(FilterRule, Counter)> {
        let counters = self.ground.runtime.rule_counters().await;
        let counters = counters.into_iter().chain(std::iter::repeat(Counter::default()));
        self.current().rules.iter().cloned().zip(counters).collect()
    }

    /// Adds a rule. `way` is how the request came; the command line has none.
    ///
    /// # Errors
    /// The refusals of [`FilterRuleDraft`], `LocksOut`.
    pub async fn add(&self, by: &Caller, way: Option<Way>, end: End, draft: FilterRuleDraft) -> Result<(), Error> {
        let rule = move |change: &mut Change| {
            let rule = draft.settle(&change.intended().firewall)?;
            let name = rule.name.clone();
            change.add_rule(rule, end)?;
            stays_open(change, way)?;
            let text = format!("Added firewall rule `{name}`");
            Ok(((), Deed::to(Kind::Rule, &name, text)))
        };
        self.ground.write(by, rule).await
    }

    /// Moves a rule, so that as many others as `place` says are tried before it.
    ///
    /// # Errors
    /// `FieldMalformed`, `RuleNotFound`, `RuleIsSystem`, `LocksOut`.
    pub async fn move_to(&self, by: &Caller, way: Option<Way>, name: &str, place: Option<String>) -> Result<(), Error> {
        let (moved, place) = (name.to_owned(), firewall::place(place.as_ref())?);
        let rule = move |change: &mut Change| {
            change.move_rule(&moved, place)?;
            stays_open(change, way)?;
            let text = format!("Moved firewall rule `{moved}` to place {}", place + 1);
            Ok(((), Deed::to(Kind::Rule, &moved, text)))
        };
        self.ground.write(by, rule).await
    }

    /// Removes a rule.
    ///
    /// # Errors
    /// `RuleNotFound`, `RuleIsSystem`, `LocksOut`.
    pub async fn remove(&self, by: &Caller, way: Option<Way>, name: &str) -> Result<(), Error> {
        let removed = name.to_owned();
        let rule = move |change: &mut Change| {
            change.remove_rule(&removed)?;
            stays_open(change, way)?;
            let text = format!("Removed firewall rule `{removed}`");
            Ok(((), Deed::to(Kind::Rule, &removed, text)))
        };
        self.ground.write(by, rule).await
    }

    /// The translations of all servers that have one.
    pub fn nat_rows(&self) -> Vec<NatRow> {
        let intended = self.ground.store.intended();
        intended.servers.values().filter_map(|server| nat_row(&server.server)).collect()
    }

    /// The marks of all accounts, by server and then by name.
    pub fn mark_rows(&self) -> Vec<MarkRow> {
        let intended = self.ground.store.intended();
        intended.accounts().flat_map(|account| mark_rows(account)).collect()
    }
}

/// Refuses what would close the API to the connection by which it is asked for.
fn stays_open(change: &Change, way: Option<Way>) -> Result<(), Refusal> {
    match way {
        Some(Way { from, to }) if change.intended().firewall.locks_out(from, to) => Err(Refusal::LocksOut),
        Some(_) | None => Ok(()),
    }
}
