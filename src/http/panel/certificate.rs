//! The certificate by which browsers and clients of the API know this host: the one that is shown, one's own, or one that an
//! authority gives and that is renewed by itself.

use askama::Template;
use axum::extract::State;

use super::page::{self, Answer, Refused};
use super::sheet::Sheet;
use super::show::Moment;
use super::visit::Visit;
use crate::domain::access::Right;
use crate::domain::ikev2::{Certificate, Subject};
use crate::domain::limits;
use crate::domain::password::Password;
use crate::domain::web_certificate::{AuthorityDraft, Challenge, OwnCertificateDraft};
use crate::http::form::Fields;
use crate::services::Services;

/// Where the page is.
const HOME: &str = "/panel/certificate";

#[derive(Template)]
#[template(path = "certificate.html", config = "src/http/panel/askama.toml")]
struct Page<'a> {
    visit: &'a Visit,
    shown: Option<Shown>,
    kind: &'static str,
    fault: Option<String>,
    ask: Option<Sheet<'a>>,
    bring: Option<Sheet<'a>>,
    may_withdraw: bool,
    may_make: bool,
    against: Option<String>,
}

/// The certificate that is shown, for people.
struct Shown {
    names: String,
    subject: String,
    issuer: String,
    begins: Option<Moment>,
    ends: Option<Moment>,
    fingerprint: String,
}

impl Shown {
    fn of(certificate: &Certificate, services: &Services) -> Self {
        let named = |of: Subject| {
            let parts = [of.organization, of.common_name].into_iter().filter(|text| !text.is_empty());
            parts.collect::<Vec<_>>().join(", ")
        };
        let moment = |at| Moment::of(at, services);
        Self {
            names: certificate.names().join(", "),
            subject: named(certificate.subject()),
            issuer: named(certificate.issuer()),
            begins: certificate.begins().map(moment),
            ends: certificate.expires().map(moment),
            fingerprint: certificate.fingerprint(),
        }
    }
}

/// Which of the two forms was refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Ask,
    Bring,
}

/// Shows it.
pub(super) async fn show(visit: Visit, State(services): State<Services>) -> Answer {
    shown(&visit, &services, None, None)
}

fn shown(visit: &Visit, services: &Services, refused: Option<(Form, &Refused)>, against: Option<String>) -> Answer {
    let of = |form| refused.filter(|(refused, _)| *refused == form).map(|(_, refused)| refused);
    let look = services.web_certificate.look();
    let may_write = visit.has(Right::Administer) && !look.is_configured;
    let is_other = look.is_brought || look.authority.is_some();
    let authority = look.authority.as_ref();
    let challenges = Challenge::ALL.map(|way| {
        let name = match way {
            Challenge::Http => "certificate.http",
            Challenge::TlsAlpn => "certificate.tls",
        };
        (way.word().to_owned(), visit.say(name).to_owned())
    });
    let ask = Sheet::new(visit, "acme", "/panel/certificate/ask", "certificate.ask")
        .again(of(Form::Ask))
        .hinted("name", authority.map(|of| of.name.clone()).unwrap_or_default(), "vpn.example.com")
        .hinted("email", authority.map(|of| of.email.clone()).unwrap_or_default(), "admin@example.com")
        .choice("challenge", authority.map(|of| of.challenge).unwrap_or_default().word(), challenges.into())
        .hinted("directory", authority.map(|of| of.directory.clone()).unwrap_or_default(), limits::ACME_DIRECTORY)
        .pem("root", authority.map(|of| pem(&of.root)).unwrap_or_default());
    let bring = Sheet::new(visit, "own", "/panel/certificate/own", "certificate.bring")
        .again(of(Form::Bring))
        .pem("certificate", "")
        .pem("key", "");
    page::page(&Page {
        visit,
        shown: look.shown.as_ref().map(|certificate| Shown::of(certificate, services)),
        kind: match () {
            () if look.is_configured => "certificate.configured",
            () if look.authority.is_some() => "certificate.renewed",
            () if look.is_brought => "certificate.brought",
            () => "certificate.made",
        },
        fault: look.fault,
        ask: may_write.then_some(ask),
        bring: may_write.then_some(bring),
        may_withdraw: may_write && is_other,
        may_make: may_write && !is_other,
        against,
    })
}

fn pem(certificates: &[Certificate]) -> String {
    certificates.iter().map(Certificate::to_pem).collect()
}

/// Asks an authority, and waits for what it says.
pub(super) async fn ask(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let draft = AuthorityDraft {
        name: fields.text("name"),
        email: fields.text("email"),
        directory: fields.text("directory"),
        challenge: fields.text("challenge"),
        root: fields.pem("root"),
    };
    match page::refused(services.web_certificate.ask(visit.caller(), draft).await, fields)? {
        Ok(()) => Ok(page::done(HOME, "said.saved")),
        Err(refused) => shown(&visit, &services, Some((Form::Ask, &refused)), None),
    }
}

/// Takes a certificate that somebody brings.
pub(super) async fn bring(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let key = fields.pem("key").map(Password::new);
    let draft = OwnCertificateDraft { certificate: fields.pem("certificate"), key };
    // what was typed is not shown again: a private key is among it
    match page::refused(services.web_certificate.bring(visit.caller(), draft).await, Fields::default())? {
        Ok(()) => Ok(page::done(HOME, "said.saved")),
        Err(refused) => shown(&visit, &services, Some((Form::Bring, &refused)), None),
    }
}

/// Goes back to the certificate that the appliance signed itself.
pub(super) async fn withdraw(visit: Visit, State(services): State<Services>) -> Answer {
    services.web_certificate.withdraw(visit.caller()).await?;
    Ok(page::done(HOME, "said.deleted"))
}

/// Makes another certificate that the appliance signs itself, and shows it.
pub(super) async fn make(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    match page::refused(services.web_certificate.make(visit.caller()).await, fields)? {
        Ok(()) => Ok(page::done(HOME, "said.done")),
        Err(refused) => shown(&visit, &services, None, Some(page::told(&visit, &refused.refusal))),
    }
}
