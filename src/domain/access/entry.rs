//! An access hash: what a program shows, from where, until when, and what it may.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::caller::Authority;
use super::user::{PanelUser, Role};
use crate::domain::field::{Bound, given, moment};
use crate::domain::limits;
use crate::domain::name::UserName;
use crate::domain::refusal::Refusal;

/// An access hash as it is kept: never the hash that the client shows, only that one's SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessEntry {
    /// What it is for (`dns_name` in the contract); unique.
    pub label: String,
    /// The addresses from which alone it works.
    pub net: IpNet,
    /// SHA-256 of the 40 bytes that the client shows as 80 hex digits.
    pub digest: [u8; 32],
    /// When it was made.
    pub created: Timestamp,
    /// When it last let somebody in, to the minute.
    pub last_login: Option<Timestamp>,
    /// What it may.
    pub scope: Authority,
    /// When it ends; absent for never.
    pub expires: Option<Timestamp>,
    /// The user who has made it for himself, with whom it ends; absent where an admin has made it.
    pub owner: Option<UserName>,
}

impl AccessEntry {
    /// Whether it lets somebody in from there and then.
    pub fn admits(&self, from: IpAddr, at: Timestamp) -> bool {
        self.net.contains(&from.to_canonical()) && self.expires.is_none_or(|end| at < end)
    }

    /// The user with whom it ends: whose own it is, or whose accounts alone it sees.
    pub fn holder(&self) -> Option<&UserName> {
        self.owner.as_ref().or_else(|| self.scope.reseller())
    }

    /// What it may now: it is worth nothing once its holder is gone, or is something else.
    pub fn authority(&self, user: impl FnOnce(&UserName) -> Option<Role>) -> Option<Authority> {
        let is_alive = self.holder().is_none_or(|holder| user(holder) == Some(self.scope.role()));
        is_alive.then(|| self.scope.clone())
    }

    /// The addresses as people write them: one of them without the length of a prefix.
    pub fn from_where(&self) -> String {
        if self.net.prefix_len() == self.net.max_prefix_len() {
            return self.net.addr().to_string();
        }
        self.net.to_string()
    }
}

/// An access hash as somebody wants it, field by field as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessDraft {
    /// What it is for.
    pub label: Option<String>,
    /// An address, or a network as CIDR.
    pub ip: Option<String>,
    /// A role's word; absent for an admin's.
    pub role: Option<String>,
    /// Whose accounts alone it sees, where its role is a reseller's.
    pub reseller: Option<String>,
    /// A day, a time, or `never`; absent for never.
    pub expires: Option<String>,
}

/// What a draft says, checked as far as that goes without knowing who there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTerms {
    /// See [`AccessEntry::label`].
    pub label: String,
    /// See [`AccessEntry::net`].
    pub net: IpNet,
    /// What it is to be.
    pub role: Role,
    /// See [`AccessDraft::reseller`].
    pub reseller: Option<String>,
    /// See [`AccessEntry::expires`].
    pub expires: Option<Timestamp>,
}

impl AccessDraft {
    /// This draft as one of a user's own: of exactly what he may himself, whatever else it asks for, and named after him.
    /// So he learns nothing of others' labels, and the audit log names no caller but him.
    #[must_use]
    pub fn own(self, user: &PanelUser) -> Self {
        // no user's name has a `/`
        let label = given(self.label.as_ref()).map(|label| format!("{}/{label}", user.name));
        let reseller = (user.role == Role::Reseller).then(|| user.name.to_string());
        Self { label, role: Some(user.role.word().to_owned()), reseller, ..self }
    }

    /// Checks what is asked for. A time without an offset is of `zone`, and a day lasts to its end.
    ///
    /// # Errors
    /// `FieldMalformed`.
    pub fn settle(&self, zone: &TimeZone) -> Result<AccessTerms, Refusal> {
        let malformed = |field, rule| Refusal::FieldMalformed { field, rule };
        let label = self.label.as_deref().unwrap_or_default().trim();
        if !(1..=limits::LABEL_LENGTH).contains(&label.len()) || label.chars().any(char::is_control) {
            return Err(malformed("label", "1 to 128 bytes of printable text"));
        }
        let net = network(self.ip.as_deref().unwrap_or_default().trim());
        let role = match given(self.role.as_ref()) {
            None => Role::Admin,
            Some(word) => {
                Role::parse(word).ok_or_else(|| malformed("role", "admin, operator, read_only or reseller"))?
            }
        };
        let expires = match given(self.expires.as_ref()) {
            None => None,
            Some(text) if text.eq_ignore_ascii_case("never") => None,
            Some(text) => {
                let known = "never, a day as 2026-12-31, or a time as 2026-12-31T18:00:00Z";
                Some(moment(text, zone, Bound::End).ok_or_else(|| malformed("expires", known))?)
            }
        };
        Ok(AccessTerms {
            label: label.to_owned(),
            net: net.ok_or_else(|| malformed("ip", "an IP address"))?,
            role,
            reseller: given(self.reseller.as_ref()).map(str::to_owned),
            expires,
        })
    }
}

impl AccessTerms {
    /// What such a hash may.
    ///
    /// # Errors
    /// `FieldMalformed` where a reseller is named and none is wanted, or none is named and one is; `UserNotFound` where
    /// the user of that name is none.
    pub fn scope<'a>(&self, user: impl FnOnce(&str) -> Option<&'a PanelUser>) -> Result<Authority, Refusal> {
        let malformed = |rule| Refusal::FieldMalformed { field: "reseller", rule };
        match (self.role, &self.reseller) {
            (Role::Reseller, None) => Err(malformed("the name of a reseller")),
            (Role::Reseller, Some(name)) => {
                let user = user(name).filter(|user| user.role == Role::Reseller).ok_or(Refusal::UserNotFound)?;
                Ok(Authority::Reseller(user.name.clone()))
            }
            (_, Some(_)) => Err(malformed("empty where the role is not a reseller's")),
            (Role::Admin, None) => Ok(Authority::Admin),
            (Role::Operator, None) => Ok(Authority::Operator),
            (Role::ReadOnly, None) => Ok(Authority::ReadOnly),
        }
    }
}

/// An address or a network; an IPv4 one in IPv6 clothes is undressed, and what a network has beyond its prefix goes.
fn network(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address.to_canonical()));
    }
    text.parse::<IpNet>().ok().map(|net| net.trunc())
}

#[cfg(test)]
mod tests {
    use super::super::user::Caps;
    use super::*;

    fn draft() -> AccessDraft {
        AccessDraft { label: Some("billing".into()), ip: Some("192.0.2.1".into()), ..AccessDraft::default() }
    }

    fn settle(draft: &AccessDraft) -> Result<AccessTerms, Refusal> {
        draft.settle(&TimeZone::UTC)
    }

    fn entry(net: &str, expires: Option<&str>) -> AccessEntry {
        AccessEntry {
            label: "a".into(),
            net: network(net).unwrap(),
            digest: [0; 32],
            created: Timestamp::UNIX_EPOCH,
            last_login: None,
            scope: Authority::Admin,
            owner: None,
            expires: expires.map(|end| end.parse().unwrap()),
        }
    }

    #[test]
    fn refuses_labels_that_would_break_a_line_or_a_table() {
        for label in ["", "  ", "a\nb", &"x".repeat(129)] {
            assert!(settle(&AccessDraft { label: Some(label.into()), ..draft() }).is_err(), "{label:?}");
        }
        let terms = settle(&AccessDraft { label: Some(" billing.example.com ".into()), ..draft() }).unwrap();
        assert_eq!(terms.label, "billing.example.com");
    }

    #[test]
    fn takes_an_address_or_a_network() {
        let shown = |text: &str| {
            let terms = settle(&AccessDraft { ip: Some(text.into()), ..draft() })?;
            Ok::<_, Refusal>(AccessEntry { net: terms.net, ..entry("::1", None) }.from_where())
        };

        assert_eq!(shown("::ffff:10.1.2.3"), Ok("10.1.2.3".into()));
        assert_eq!(shown("10.1.2.3/8"), Ok("10.0.0.0/8".into()));
        assert_eq!(shown("2001:db8::1/32"), Ok("2001:db8::/32".into()));
        assert_eq!(shown("10.1.2.3/32"), Ok("10.1.2.3".into()));
        for text in ["", "10.1.2", "10.0.0.0/33", "localhost"] {
            assert!(shown(text).is_err(), "{text}");
        }
    }

    #[test]
    fn is_an_admins_for_ever_where_nobody_says_more() {
        let terms = settle(&draft()).unwrap();

        assert_eq!((terms.scope(|_| None), terms.expires), (Ok(Authority::Admin), None));
    }

    #[test]
    fn lets_in_from_its_network_until_its_end() {
        let entry = entry("10.0.0.0/8", Some("2026-01-02T00:00:00Z"));
        let (before, end) = ("2026-01-01T23:59:59Z".parse().unwrap(), "2026-01-02T00:00:00Z".parse().unwrap());
        let inside = IpAddr::from([10, 1, 2, 3]);

        assert!(entry.admits(inside, before) && entry.admits("::ffff:10.9.9.9".parse().unwrap(), before));
        assert!(!entry.admits(inside, end) && !entry.admits(IpAddr::from([11, 0, 0, 1]), before));
    }

    #[test]
    fn takes_the_end_of_a_day_and_no_nonsense() {
        let ends =
            |text: &str| settle(&AccessDraft { expires: Some(text.into()), ..draft() }).map(|terms| terms.expires);

        assert_eq!(ends("2026-01-01"), Ok(Some("2026-01-02T00:00:00Z".parse().unwrap())));
        assert_eq!((ends("never"), ends("")), (Ok(None), Ok(None)));
        assert!(ends("soon").is_err());
    }

    fn user(role: Role) -> PanelUser {
        PanelUser {
            name: UserName::parse("shop").unwrap(),
            password_hash: String::new(),
            password_is_first: false,
            created: Timestamp::UNIX_EPOCH,
            role,
            caps: Caps::default(),
            spent: None,
            second_factor: None,
            language: None,
            theme: None,
        }
    }

    #[test]
    fn is_of_what_its_owner_may_whatever_it_asks_for() {
        let forged = AccessDraft {
            label: Some(" other/billing ".into()),
            role: Some("admin".into()),
            reseller: Some("other".into()),
            ..draft()
        };
        for role in [Role::Operator, Role::ReadOnly, Role::Reseller] {
            let user = user(role);

            let terms = settle(&forged.clone().own(&user)).unwrap();

            assert_eq!(terms.label, "shop/other/billing");
            assert_eq!(terms.scope(|name| (name == "shop").then_some(&user)), Ok(Authority::new(role, &user.name)));
        }
        assert!(settle(&AccessDraft { label: Some(" ".into()), ..draft() }.own(&user(Role::Operator))).is_err());
    }

    #[test]
    fn is_worth_nothing_once_its_owner_is_gone_or_something_else() {
        let shop = UserName::parse("shop").unwrap();
        for role in [Role::Operator, Role::ReadOnly, Role::Reseller] {
            let scope = Authority::new(role, &shop);
            let own = AccessEntry { scope: scope.clone(), owner: Some(shop.clone()), ..entry("::1", None) };

            for now in Role::ALL {
                let expected = (now == role).then(|| scope.clone());
                assert_eq!(own.authority(|name| (*name == shop).then_some(now)), expected, "{role} {now}");
            }
            assert_eq!(own.authority(|_| None), None);
        }
        let admins = AccessEntry { scope: Authority::Operator, ..entry("::1", None) };
        assert_eq!(admins.authority(|_| None), Some(Authority::Operator), "nobody's own stays");
    }

    #[test]
    fn names_a_reseller_where_it_is_ones_and_nowhere_else() {
        let terms = |role: &str, reseller: Option<&str>| {
            let reseller = reseller.map(Into::into);
            settle(&AccessDraft { role: Some(role.into()), reseller, ..draft() }).unwrap().scope(|_| None)
        };

        assert!(matches!(terms("reseller", None), Err(Refusal::FieldMalformed { field: "reseller", .. })));
        assert!(matches!(terms("admin", Some("r")), Err(Refusal::FieldMalformed { field: "reseller", .. })));
        assert_eq!(terms("reseller", Some("r")), Err(Refusal::UserNotFound));
        assert_eq!(terms("read_only", None), Ok(Authority::ReadOnly));
    }

    /// A hash of a reseller must not grow with its user.
    #[test]
    fn is_worth_nothing_once_its_reseller_is_something_else() {
        let reseller = UserName::parse("r").unwrap();
        let entry = AccessEntry { scope: Authority::Reseller(reseller.clone()), ..entry("::1", None) };

        assert_eq!(entry.authority(|_| Some(Role::Reseller)), Some(Authority::Reseller(reseller)));
        for now in [None, Some(Role::Admin), Some(Role::Operator), Some(Role::ReadOnly)] {
            assert_eq!(entry.authority(|_| now), None, "{now:?}");
        }
    }
}
