//! Names, checked once and then trusted.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::firewall::SYSTEM_RULE;
use super::limits;
use super::refusal::Refusal;

/// Whether `text` is one to [`limits::NAME_LENGTH`] letters, digits and signs of `signs`.
fn well_formed(text: &str, signs: &str) -> bool {
    (1..=limits::NAME_LENGTH).contains(&text.len())
        && text.chars().all(|sign| sign.is_ascii_alphanumeric() || signs.contains(sign))
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $signs:literal, $refusal:expr, $reserved:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks `text`.
            ///
            /// # Errors
            /// The contract's refusal for a malformed or reserved name.
            pub fn parse(text: &str) -> Result<Self, Refusal> {
                let reserved: &[&str] = $reserved;
                if !well_formed(text, $signs) || reserved.contains(&text) {
                    return Err($refusal);
                }
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = Refusal;
            fn try_from(text: String) -> Result<Self, Refusal> {
                Self::parse(&text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.as_ref().into()
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`{}`", self.0)
            }
        }
    };
}

name!(
    /// A server's name; `info` and `online` are paths of the API and therefore no names.
    ServerName, "_-", Refusal::NameMalformed, &["info", "online"]
);
name!(
    /// An account's name, unique over all servers.
    AccountName, "_-", Refusal::NameMalformed, &[]
);
name!(
    /// The name with which an account logs in by IKEv2, unique over all servers.
    Username, "_-", Refusal::UsernameMalformed, &[]
);

name!(
    /// A webhook's name.
    WebhookName, "_-", Refusal::NameMalformed, &[]
);
name!(
    /// The name of a panel's user; that of the command line and of the clock are nobody's.
    UserName, "_-.@", Refusal::UserNameMalformed, &["local", "schedule"]
);
name!(
    /// A firewall rule's name, which has no `-`.
    RuleName, "_", Refusal::RuleNameMalformed, &[]
);

impl RuleName {
    /// The name of the rule that keeps the API reachable.
    pub fn system() -> Self {
        Self(SYSTEM_RULE.into())
    }
}

/// The name of a server's network interface: `wg` and a number of at most five digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InterfaceName(u32);

impl InterfaceName {
    /// The interface `wgN`.
    pub const fn numbered(number: u32) -> Self {
        Self(number)
    }

    /// Checks `text`.
    ///
    /// # Errors
    /// [`Refusal::InterfaceMalformed`] unless it is `wg` and one to five digits without a needless leading zero.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let digits = text.strip_prefix("wg").ok_or(Refusal::InterfaceMalformed)?;
        let canonical = !digits.is_empty()
            && digits.len() <= 5
            && digits.bytes().all(|b| b.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        if !canonical {
            return Err(Refusal::InterfaceMalformed);
        }
        digits.parse().map(Self).map_err(|_| Refusal::InterfaceMalformed)
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wg{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_letters_digits_underscores_and_dashes() {
        for name in ["peer_1", "77_87_125_200", "a", "A-b"] {
            assert_eq!(AccountName::parse(name).map(|n| n.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn refuses_everything_else() {
        let long = "a".repeat(limits::NAME_LENGTH + 1);
        for name in ["", "a b", "a/b", "ä", "a\n[Peer]", "a.b", long.as_str()] {
            assert_eq!(AccountName::parse(name), Err(Refusal::NameMalformed), "{name:?}");
        }
    }

    #[test]
    fn takes_no_dash_in_the_name_of_a_rule() {
        assert_eq!(RuleName::parse("system_PUQVPNCP"), Ok(RuleName::system()));
        for name in ["", "a-b", "a b", "ä"] {
            assert_eq!(RuleName::parse(name), Err(Refusal::RuleNameMalformed), "{name:?}");
        }
    }

    #[test]
    fn refuses_a_server_name_that_is_a_path_of_the_api() {
        assert_eq!(ServerName::parse("info"), Err(Refusal::NameMalformed));
        assert_eq!(ServerName::parse("online"), Err(Refusal::NameMalformed));
    }

    #[test]
    fn takes_wg_and_a_number_as_an_interface() {
        assert_eq!(InterfaceName::parse("wg28").map(|i| i.to_string()), Ok("wg28".into()));
        for name in ["", "wg", "wg-1", "wg01", "eth0", "wg123456", "wg1x"] {
            assert_eq!(InterfaceName::parse(name), Err(Refusal::InterfaceMalformed), "{name:?}");
        }
    }
}
