//! What is asked of a certificate that is to be made: from a form to an order that can be carried out.

use std::net::IpAddr;

use super::certificate::Subject;
use crate::domain::field::{self, given};
use crate::domain::limits;
use crate::domain::refusal::Refusal;

/// Which key is to be made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyChoice {
    /// RSA with 2,048 bits.
    Rsa2048,
    /// RSA with 3,072 bits.
    Rsa3072,
    /// RSA with 4,096 bits: what every client takes, and what the contract's examples have.
    #[default]
    Rsa4096,
    /// ECDSA over P-256. Apple's devices take it only by a profile.
    EcdsaP256,
    /// ECDSA over P-384. Apple's devices take it only by a profile.
    EcdsaP384,
}

impl KeyChoice {
    /// Each with its word.
    pub const WORDS: [(Self, &'static str); 5] = [
        (Self::Rsa2048, "rsa2048"),
        (Self::Rsa3072, "rsa3072"),
        (Self::Rsa4096, "rsa4096"),
        (Self::EcdsaP256, "ecdsa256"),
        (Self::EcdsaP384, "ecdsa384"),
    ];

    /// Reads a word; nothing chooses the default.
    ///
    /// # Errors
    /// [`Refusal::FieldMalformed`].
    fn settle(text: Option<&String>) -> Result<Self, Refusal> {
        let Some(text) = given(text) else { return Ok(Self::default()) };
        let known = Self::WORDS.into_iter().find(|(_, word)| word.eq_ignore_ascii_case(text));
        let rule = "rsa2048|rsa3072|rsa4096|ecdsa256|ecdsa384";
        known.map(|(choice, _)| choice).ok_or(Refusal::FieldMalformed { field: "key_type", rule })
    }
}

/// An authority to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityOrder {
    /// Whose it is.
    pub subject: Subject,
    /// Its key.
    pub key: KeyChoice,
}

/// A server's certificate to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOrder {
    /// Whose it is.
    pub subject: Subject,
    /// Its key.
    pub key: KeyChoice,
    /// What clients connect to: a domain or an address.
    pub domain: String,
    /// An address of the server.
    pub ip: IpAddr,
    /// Another, over IPv6.
    pub ipv6: Option<IpAddr>,
}

/// What somebody asks of an authority: the form as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthorityDraft {
    /// CN.
    pub common_name: Option<String>,
    /// O.
    pub organization: Option<String>,
    /// OU.
    pub organizational_unit: Option<String>,
    /// L.
    pub locality: Option<String>,
    /// ST.
    pub state_or_province_name: Option<String>,
    /// C.
    pub country_name: Option<String>,
    /// A word of [`KeyChoice`]; beyond the contract.
    pub key_type: Option<String>,
}

/// What somebody asks of a server's certificate: the form as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerOrderDraft {
    /// A domain or an address.
    pub domain: Option<String>,
    /// An address.
    pub ip: Option<String>,
    /// An IPv6 address.
    pub ipv6: Option<String>,
    /// Whose it is, and its key.
    pub holder: AuthorityDraft,
}

impl AuthorityDraft {
    /// The order that it stands for.
    ///
    /// # Errors
    /// [`Refusal::CommonNameMissing`], [`Refusal::OrganizationMissing`]; [`Refusal::FieldMalformed`] for texts that are
    /// too long (RFC 5280, appendix A.1) or hold what cannot be printed.
    pub fn settle(&self) -> Result<AuthorityOrder, Refusal> {
        let missing =
            [(&self.common_name, Refusal::CommonNameMissing), (&self.organization, Refusal::OrganizationMissing)];
        for (field, refusal) in missing {
            given(field.as_ref()).ok_or(refusal)?;
        }
        let subject = Subject {
            common_name: text("common_name", self.common_name.as_ref())?,
            organization: text("organization", self.organization.as_ref())?,
            organizational_unit: text("organizational_unit", self.organizational_unit.as_ref())?,
            locality: text("locality", self.locality.as_ref())?,
            state_or_province_name: text("state_or_province_name", self.state_or_province_name.as_ref())?,
            country_name: text("country_name", self.country_name.as_ref())?,
        };
        Ok(AuthorityOrder { subject, key: KeyChoice::settle(self.key_type.as_ref())? })
    }
}

impl ServerOrderDraft {
    /// The order that it stands for.
    ///
    /// # Errors
    /// [`Refusal::ServerDomainMissing`], [`Refusal::ServerIpMissing`], what [`AuthorityDraft::settle`] refuses, and
    /// [`Refusal::FieldMalformed`] for what is no domain and no address.
    pub fn settle(&self) -> Result<ServerOrder, Refusal> {
        let domain = given(self.domain.as_ref()).ok_or(Refusal::ServerDomainMissing)?;
        let ip = given(self.ip.as_ref()).ok_or(Refusal::ServerIpMissing)?;
        let AuthorityOrder { subject, key } = self.holder.settle()?;
        let malformed = |field, rule| Refusal::FieldMalformed { field, rule };
        let domain = field::endpoint(domain).ok_or_else(|| malformed("server_domain", "a domain or an IP address"))?;
        let ip = field::external_ip(ip).ok_or_else(|| malformed("server_ip", "an IP address"))?;
        let ipv6 = given(self.ipv6.as_ref()).map(|ipv6| {
            field::external_ip(ipv6).filter(IpAddr::is_ipv6).ok_or_else(|| malformed("server_ipv6", "an IPv6 address"))
        });
        Ok(ServerOrder { subject, key, domain, ip, ipv6: ipv6.transpose()? })
    }
}

/// Reads a text of a name.
fn text(name: &'static str, field: Option<&String>) -> Result<String, Refusal> {
    let text = given(field).unwrap_or_default();
    if text.chars().count() > limits::SUBJECT_TEXT || text.chars().any(char::is_control) {
        return Err(Refusal::FieldMalformed { field: name, rule: "a text of at most 64 characters" });
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder() -> AuthorityDraft {
        let some = |text: &str| Some(text.to_owned());
        AuthorityDraft { common_name: some("a"), organization: some("b"), ..AuthorityDraft::default() }
    }

    fn server(domain: &str, ip: &str, ipv6: &str) -> Result<ServerOrder, String> {
        let [domain, ip, ipv6] = [domain, ip, ipv6].map(|text| Some(text.to_owned()));
        let draft = ServerOrderDraft { domain, ip, ipv6, holder: holder() };
        draft.settle().map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn needs_a_name_and_an_organization() {
        let nameless = AuthorityDraft { common_name: Some(" ".into()), ..holder() };
        assert_eq!(nameless.settle(), Err(Refusal::CommonNameMissing));
        let alone = AuthorityDraft { organization: None, ..holder() };
        assert_eq!(alone.settle(), Err(Refusal::OrganizationMissing));
        assert_eq!(holder().settle().unwrap().key, KeyChoice::Rsa4096);
    }

    #[test]
    fn takes_texts_of_64_characters_that_can_be_printed() {
        let named = |text: &str| AuthorityDraft { locality: Some(text.into()), ..holder() }.settle();
        assert_eq!(named(&"ö".repeat(64)).unwrap().subject.locality, "ö".repeat(64));
        let rule = "a text of at most 64 characters";
        for text in [&"o".repeat(65), "a\u{0}b", "a\nb"] {
            assert_eq!(named(text), Err(Refusal::FieldMalformed { field: "locality", rule }), "{text:?}");
        }
    }

    #[test]
    fn knows_every_kind_of_key() {
        for (choice, word) in KeyChoice::WORDS {
            assert_eq!(KeyChoice::settle(Some(&word.to_uppercase())), Ok(choice));
        }
        assert!(KeyChoice::settle(Some(&"rsa1024".into())).is_err());
    }

    #[test]
    fn needs_a_domain_and_an_address_of_the_server() {
        let order = server("VPN.example", "192.0.2.1", "2001:db8::1").unwrap();
        assert_eq!((order.domain.as_str(), order.ipv6), ("vpn.example", "2001:db8::1".parse().ok()));
        assert_eq!(server("192.0.2.1", "2001:db8::1", "").unwrap().ipv6, None);
        for (domain, ip, ipv6, text) in [
            ("", "192.0.2.1", "", "Server Domain must be filled"),
            ("a.example", "", "", "Server IP must be filled"),
            ("a b", "192.0.2.1", "", "Incorrect value server_domain (should be a domain or an IP address)"),
            ("*.example", "192.0.2.1", "", "Incorrect value server_domain (should be a domain or an IP address)"),
            ("a.example", "1.2.3", "", "Incorrect value server_ip (should be an IP address)"),
            ("a.example", "0.0.0.0", "", "Incorrect value server_ip (should be an IP address)"),
            ("a.example", "192.0.2.1", "192.0.2.1", "Incorrect value server_ipv6 (should be an IPv6 address)"),
        ] {
            assert_eq!(server(domain, ip, ipv6), Err(text.into()));
        }
    }
}
