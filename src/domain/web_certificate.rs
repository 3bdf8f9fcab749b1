//! The certificate by which the API and the panel are known: the operator's own, or one that an authority gave and that is
//! renewed by itself (ACME, RFC 8555). Where there is neither, the listener shows one that it signed itself.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::domain::ikev2::{Certificate, SigningKey};
use crate::domain::password::Password;
use crate::domain::refusal::Refusal;
use crate::domain::{field, limits};

/// What is shown, and who renews it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebCertificate {
    /// A certificate that was brought, or that the authority gave. Without one the listener's own is shown.
    pub credential: Option<WebCredential>,
    /// Who is asked for the next one.
    pub authority: Option<Authority>,
}

/// A certificate, those between it and its root, and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebCredential {
    /// The host's own first (RFC 8446, section 4.4.2).
    pub chain: Vec<Certificate>,
    /// The key of the first.
    pub key: SigningKey,
}

/// An authority that gives certificates to who proves that a name leads to him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// The URL of its directory.
    pub directory: String,
    /// The name to be certified.
    pub name: String,
    /// Whom it may write to; empty for nobody.
    pub email: String,
    /// How the name is proven.
    pub challenge: Challenge,
    /// The account there, with its key; empty before the first certificate.
    pub account: Password,
    /// Whom to believe that it is the authority, beside those whom the host believes: for one of the house's own.
    pub root: Vec<Certificate>,
}

/// How it is proven that a name leads here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Challenge {
    /// A file that is asked for at port 80 (RFC 8555, section 8.3).
    #[default]
    Http,
    /// A certificate that is asked for at port 443 (RFC 8737).
    TlsAlpn,
}

impl Challenge {
    /// Every way.
    pub const ALL: [Self; 2] = [Self::Http, Self::TlsAlpn];

    /// Its name in the RFC.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Http => "http-01",
            Self::TlsAlpn => "tls-alpn-01",
        }
    }
}

/// What an authority looks for, to see that a name leads here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// At port 80, under `/.well-known/acme-challenge/` (RFC 8555, section 8.3).
    File {
        /// The file's name.
        token: String,
        /// What stands in it.
        text: String,
    },
    /// At port 443, in a certificate for this name that answers to `acme-tls/1` (RFC 8737, section 3).
    Certificate {
        /// The name.
        name: String,
        /// The SHA-256 in its extension.
        digest: [u8; 32],
    },
}

impl WebCertificate {
    /// Whether it is time for the next certificate: a third of its time is left, or thirty days, or there is none.
    pub fn is_due(&self, now: Timestamp) -> bool {
        if self.authority.is_none() {
            return false;
        }
        let Some(leaf) = self.credential.as_ref().and_then(|credential| credential.chain.first()) else { return true };
        let (Some(begins), Some(ends)) = (leaf.begins(), leaf.expires()) else { return true };
        let third = (ends.as_second() - begins.as_second()) / 3;
        ends.as_second() - now.as_second() < third.min(limits::RENEW_BEFORE)
    }
}

impl WebCredential {
    /// Reads a chain and its key, both in PEM.
    ///
    /// # Errors
    /// `FieldMalformed` of `certificate` or `key`: the one cannot be read, is not valid at the time, is followed by more than
    /// [`limits::WEB_CHAIN`], or the two do not belong together.
    pub fn read(chain: &str, key: &str, at: Timestamp) -> Result<Self, Refusal> {
        let malformed = |rule| Refusal::FieldMalformed { field: "certificate", rule };
        let chain = Certificate::read_chain(chain)
            .ok()
            .filter(|chain| chain.len() <= limits::WEB_CHAIN)
            .ok_or_else(|| malformed("a certificate in PEM, with those that lead to its root"))?;
        let key = SigningKey::read(key).map_err(|_| Refusal::FieldMalformed {
            field: "key",
            rule: "a private key in PEM: RSA, P-256 or P-384, without a passphrase",
        })?;
        let leaf = chain.first().ok_or_else(|| malformed("a certificate in PEM"))?;
        if !leaf.is_of(&key) {
            return Err(Refusal::FieldMalformed { field: "key", rule: "the private key of the first certificate" });
        }
        let is_valid = leaf.begins().is_some_and(|begins| begins <= at) && leaf.expires().is_some_and(|ends| at < ends);
        if is_valid { Ok(Self { chain, key }) } else { Err(malformed("a certificate that is valid now")) }
    }
}

/// A certificate that somebody brings.
#[derive(Debug, Clone, Default)]
pub struct OwnCertificateDraft {
    /// The chain in PEM.
    pub certificate: Option<String>,
    /// The key in PEM.
    pub key: Option<Password>,
}

impl OwnCertificateDraft {
    /// What is shown from now on; nobody renews it.
    ///
    /// # Errors
    /// As [`WebCredential::read`].
    pub fn settle(&self, at: Timestamp) -> Result<WebCertificate, Refusal> {
        let chain = self.certificate.as_deref().unwrap_or_default();
        let key = self.key.as_ref().map(Password::reveal).unwrap_or_default();
        Ok(WebCertificate { credential: Some(WebCredential::read(chain, key, at)?), authority: None })
    }
}

/// An authority that somebody wants to be asked.
#[derive(Debug, Clone, Default)]
pub struct AuthorityDraft {
    /// See [`Authority`].
    pub name: Option<String>,
    /// See [`Authority`].
    pub email: Option<String>,
    /// See [`Authority`]; empty for Let's Encrypt.
    pub directory: Option<String>,
    /// [`Challenge::word`].
    pub challenge: Option<String>,
    /// See [`Authority`]; certificates in PEM, or nothing.
    pub root: Option<String>,
}

impl AuthorityDraft {
    /// Whom to ask. The account of the present authority goes on where it is the same.
    ///
    /// # Errors
    /// `FieldMalformed`.
    pub fn settle(&self, present: Option<&Authority>) -> Result<Authority, Refusal> {
        let malformed = |field, rule| Refusal::FieldMalformed { field, rule };
        let text = |field: &Option<String>| field.as_deref().unwrap_or_default().trim().to_owned();
        let name =
            domain(&text(&self.name)).ok_or_else(|| malformed("name", "a domain with a dot, as vpn.example.com"))?;
        let email = text(&self.email);
        if !email.is_empty() && !is_email(&email) {
            return Err(malformed("email", "an address, or nothing"));
        }
        let directory = Some(text(&self.directory)).filter(|url| !url.is_empty());
        let directory = directory.unwrap_or_else(|| limits::ACME_DIRECTORY.to_owned());
        let is_url = directory.len() <= limits::TEXT_LENGTH && directory.bytes().all(|byte| byte.is_ascii_graphic());
        // without TLS only to this host itself, where one of the operator's own may run
        let near = ["https://", "http://127.0.0.1:", "http://[::1]:", "http://localhost:"];
        let rest = near.into_iter().find_map(|near| directory.strip_prefix(near));
        if !is_url || rest.is_none_or(str::is_empty) {
            return Err(malformed("directory", "https://..."));
        }
        let challenge = text(&self.challenge);
        let challenge = if challenge.is_empty() {
            Challenge::default()
        } else {
            let known = Challenge::ALL.into_iter().find(|known| known.word() == challenge);
            known.ok_or_else(|| malformed("challenge", "http-01|tls-alpn-01"))?
        };
        let root = match text(&self.root) {
            empty if empty.is_empty() => Vec::new(),
            pem => Certificate::read_chain(&pem)
                .ok()
                .filter(|root| root.len() <= limits::WEB_CHAIN)
                .ok_or_else(|| malformed("root", "a certificate in PEM, or nothing"))?,
        };
        let same = present.filter(|present| present.directory == directory && present.email == email);
        let account = same.map(|present| present.account.clone()).unwrap_or_default();
        Ok(Authority { directory, name, email, challenge, account, root })
    }
}

/// A domain that an authority can certify: with a dot, and no address.
fn domain(text: &str) -> Option<String> {
    field::endpoint(text).filter(|name| name.contains('.') && name.parse::<IpAddr>().is_err())
}

fn is_email(text: &str) -> bool {
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
    text.len() <= limits::TEXT_LENGTH && text.split_once('@').is_some_and(|(local, host)| plain(local) && plain(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ikev2::fixture;

    fn draft(name: &str) -> AuthorityDraft {
        AuthorityDraft { name: Some(name.into()), ..AuthorityDraft::default() }
    }

    #[test]
    fn asks_lets_encrypt_at_port_80_where_nothing_else_is_said() {
        let authority = draft("vpn.example.com").settle(None).unwrap();

        assert_eq!(authority.directory, limits::ACME_DIRECTORY);
        assert_eq!((authority.name.as_str(), authority.challenge), ("vpn.example.com", Challenge::Http));
    }

    #[test]
    fn refuses_what_no_authority_certifies() {
        for name in ["", "localhost", "192.0.2.1", "a b.example", "*.example.com", &"a.".repeat(200)] {
            assert!(draft(name).settle(None).is_err(), "{name}");
        }
        for (field, value) in
            [("email", "nobody"), ("directory", "http://a.example/d"), ("challenge", "dns-01"), ("root", "none")]
        {
            let mut draft = draft("vpn.example.com");
            let place = match field {
                "email" => &mut draft.email,
                "directory" => &mut draft.directory,
                "root" => &mut draft.root,
                _ => &mut draft.challenge,
            };
            *place = Some(value.into());
            assert!(matches!(draft.settle(None), Err(Refusal::FieldMalformed { field: of, .. }) if of == field));
        }
    }

    #[test]
    fn believes_a_root_that_is_named() {
        let with = AuthorityDraft { root: Some(fixture::EC_CA.into()), ..draft("vpn.example.com") };

        assert_eq!(with.settle(None).unwrap().root, [Certificate::read(fixture::EC_CA).unwrap()]);
        assert_eq!(draft("vpn.example.com").settle(None).unwrap().root, []);
    }

    #[test]
    fn keeps_its_account_with_the_same_authority_alone() {
        let first = Authority { account: Password::new("kept".into()), ..draft("a.example").settle(None).unwrap() };

        let same = draft("b.example").settle(Some(&first)).unwrap();
        let elsewhere = AuthorityDraft { directory: Some("https://ca.example/d".into()), ..draft("a.example") };

        assert_eq!(same.account, first.account);
        assert_ne!(elsewhere.settle(Some(&first)).unwrap().account, first.account);
    }
}
