//! What is asked of a caller, and who has it. The one place that says which role may what.

use super::caller::{Authority, Caller};
use crate::domain::audit::{Deed, Kind};
use crate::domain::refusal::Refusal;

/// What an endpoint wants of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Seeing accounts and what belongs to them; a reseller sees its own.
    SeeAccounts,
    /// Seeing what a client of an account imports, and changing accounts; a reseller its own.
    HandleAccounts,
    /// Seeing what the appliance is, does and is set to.
    See,
    /// Changing that, and seeing the secrets in it.
    Handle,
    /// Saying who may call, what the appliance as a whole is set to, who is told of it, and what it is restored to.
    Administer,
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 5] = [Self::SeeAccounts, Self::HandleAccounts, Self::See, Self::Handle, Self::Administer];
}

impl Authority {
    /// Whether he has this right.
    pub fn has(&self, right: Right) -> bool {
        match self {
            Self::Admin => true,
            Self::Operator => right != Right::Administer,
            Self::ReadOnly => matches!(right, Right::SeeAccounts | Right::See),
            Self::Reseller(_) => matches!(right, Right::SeeAccounts | Right::HandleAccounts),
        }
    }

    /// Whether he sees the secrets of what he sees: keys, passwords, clients' files.
    pub fn sees_secrets(&self) -> bool {
        self.has(Right::HandleAccounts)
    }

    /// Whether he may have done this. Whose account it was is not asked here.
    pub fn may_do(&self, deed: &Deed) -> bool {
        self.has(match deed.kind {
            Kind::Account => Right::HandleAccounts,
            // a link has its account's name, what links show has none
            Kind::Link if !deed.name.is_empty() => Right::HandleAccounts,
            Kind::User | Kind::Access | Kind::Webhook | Kind::System => Right::Administer,
            Kind::Server
            | Kind::Forward
            | Kind::Rule
            | Kind::Firewall
            | Kind::Dns
            | Kind::Ikev2
            | Kind::TrafficLog
            | Kind::Backup
            | Kind::Link => Right::Handle,
        })
    }
}

impl Caller {
    /// Refuses whoever does not have this right.
    ///
    /// # Errors
    /// `NotAllowed`.
    pub fn must(&self, right: Right) -> Result<(), Refusal> {
        if self.authority.has(right) { Ok(()) } else { Err(Refusal::NotAllowed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::name::UserName;

    fn all() -> [Authority; 4] {
        let reseller = Authority::Reseller(UserName::parse("r").unwrap());
        [Authority::Admin, Authority::Operator, Authority::ReadOnly, reseller]
    }

    /// The rows of this table are the decision; what reads them is in many places.
    #[test]
    fn gives_each_role_its_rights() {
        let had = all().map(|authority| Right::ALL.map(|right| authority.has(right)));

        assert_eq!(had[0], [true; 5]);
        assert_eq!(had[1], [true, true, true, true, false]);
        assert_eq!(had[2], [true, false, true, false, false]);
        assert_eq!(had[3], [true, true, false, false, false]);
    }

    #[test]
    fn gives_nobody_what_an_admin_has_not() {
        for authority in all() {
            for right in Right::ALL.into_iter().filter(|right| authority.has(*right)) {
                assert!(Authority::Admin.has(right), "{authority:?} {right:?}");
            }
        }
    }

    #[test]
    fn lets_who_only_looks_do_nothing() {
        for kind in Kind::ALL {
            for name in ["", "x"] {
                assert!(!Authority::ReadOnly.may_do(&Deed::to(kind, name, "")), "{kind}");
            }
        }
    }

    #[test]
    fn lets_a_reseller_do_nothing_but_to_accounts() {
        let [.., reseller] = all();

        let done: Vec<_> = Kind::ALL.into_iter().filter(|kind| reseller.may_do(&Deed::to(*kind, "x", ""))).collect();

        assert_eq!(done, [Kind::Account, Kind::Link]);
        assert!(!reseller.may_do(&Deed::of(Kind::Link, "")), "what links show is not an account's");
    }
}
