//! IKEv2: the authority, the server's certificate, the switch, and the advanced settings.

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse as _;

use super::page::{self, Answer, Refused};
use super::sheet::Sheet;
use super::visit::Visit;
use crate::domain::access::Right;
use crate::domain::ikev2::settings::{
    Action, AuthBy, ConnectionType, Fragmentation, Ikev2Settings, ModeConfig, SUBSYSTEMS, StrictCrlPolicy, UniqueIds,
};
use crate::domain::ikev2::{Certificate, KeyChoice, Subject};
use crate::domain::limits;
use crate::domain::refusal::Refusal;
use crate::http::api::ikev2::{draft, holder, server_draft};
use crate::http::form::Fields;
use crate::services::Services;
use crate::services::ikev2::{Ikev2Config, Ikev2Versions};

/// Where the page is.
const HOME: &str = "/panel/ikev2";
/// Where the advanced settings are.
const ADVANCED: &str = "/panel/ikev2/advanced";

/// The fields of how much is logged, in the order of [`SUBSYSTEMS`].
const LEVELS: [&str; SUBSYSTEMS.len()] = [
    "charondebug_dmn",
    "charondebug_mgr",
    "charondebug_ike",
    "charondebug_chd",
    "charondebug_job",
    "charondebug_cfg",
    "charondebug_knl",
    "charondebug_net",
    "charondebug_asn",
    "charondebug_enc",
    "charondebug_lib",
    "charondebug_esp",
    "charondebug_tls",
    "charondebug_tnc",
    "charondebug_imc",
    "charondebug_imv",
    "charondebug_pts",
];

#[derive(Template)]
#[template(path = "ikev2.html", config = "src/http/panel/askama.toml")]
struct Page<'a> {
    visit: &'a Visit,
    enabled: bool,
    online: usize,
    versions: Ikev2Versions,
    authority: Option<Shown>,
    server: Option<Shown>,
    server_domain: String,
    generate: Sheet<'a>,
    import: Sheet<'a>,
    order: Sheet<'a>,
    may_write: bool,
}

#[derive(Template)]
#[template(path = "ikev2_advanced.html", config = "src/http/panel/askama.toml")]
struct Advanced<'a> {
    visit: &'a Visit,
    sheet: Sheet<'a>,
    may_write: bool,
}

/// A certificate as people read it. Its key is not shown.
struct Shown {
    subject: Subject,
    expires: String,
    pem: String,
}

impl Shown {
    fn new(certificate: &Certificate) -> Self {
        let expires = certificate.expires().map_or_else(|| "–".to_owned(), |at| at.to_string());
        Self { subject: certificate.subject(), expires, pem: certificate.to_pem() }
    }
}

/// Which of the page's forms was refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Generate,
    Import,
    Order,
}

/// Shows certificates and the switch.
pub(super) async fn show(visit: Visit, State(services): State<Services>) -> Answer {
    shown(&visit, &services, None)
}

fn shown(visit: &Visit, services: &Services, refused: Option<(Form, &Refused)>) -> Answer {
    let of = |form| refused.filter(|(refused, _)| *refused == form).map(|(_, refused)| refused);
    let Ikev2Config { ikev2, suggested: (name, address) } = services.ikev2.config();
    let server = ikev2.server.as_deref();
    let domain = server.map_or_else(|| name.clone(), |server| server.domain.clone());
    let ip = server.map_or(address, |server| server.ip);
    let ipv6 = server.and_then(|server| server.ipv6).map(|address| address.to_string()).unwrap_or_default();
    let import = Sheet::new(visit, "import", "/panel/ikev2/ca/import", "ikev2.import")
        .again(of(Form::Import))
        .pem("ca_cert", "")
        .pem("ca_key", "");
    page::page(&Page {
        visit,
        enabled: ikev2.enabled,
        online: services.ikev2.online(visit.caller()).len(),
        versions: services.ikev2.versions(),
        authority: ikev2.authority.as_deref().map(|authority| Shown::new(&authority.certificate)),
        server: server.map(|server| Shown::new(&server.credential.certificate)),
        generate: generate(visit, &name, of(Form::Generate)),
        import,
        order: order(visit, [&domain, &ip.to_string(), &ipv6], of(Form::Order)),
        server_domain: domain,
        may_write: visit.has(Right::Handle),
    })
}

fn keys() -> Vec<(String, String)> {
    KeyChoice::WORDS.map(|(_, word)| (word.to_owned(), word.to_owned())).into()
}

fn default_key() -> &'static str {
    KeyChoice::WORDS.into_iter().find(|(key, _)| *key == KeyChoice::default()).map_or("", |(_, word)| word)
}

fn generate<'a>(visit: &'a Visit, name: &str, refused: Option<&'a Refused>) -> Sheet<'a> {
    Sheet::new(visit, "ca", "/panel/ikev2/ca/generate", "ikev2.generate")
        .again(refused)
        .text("ca_common_name", name)
        .text("ca_organization", name)
        .text("ca_organizational_unit", "")
        .text("ca_locality", "")
        .text("ca_state_or_province_name", "")
        .text("ca_country_name", "")
        .choice("key_type", default_key(), keys())
}

fn order<'a>(visit: &'a Visit, [domain, ip, ipv6]: [&str; 3], refused: Option<&'a Refused>) -> Sheet<'a> {
    Sheet::new(visit, "cert", "/panel/ikev2/server/generate", "ikev2.generate")
        .again(refused)
        .text("server_domain", domain)
        .text("server_ip", ip)
        .text("server_ipv6", ipv6)
        .text("server_common_name", domain)
        .text("server_organization", domain)
        .text("server_organizational_unit", "")
        .text("server_locality", "")
        .text("server_state_or_province_name", "")
        .text("server_country_name", "")
        .choice("key_type", default_key(), keys())
}

/// Makes a certificate authority.
pub(super) async fn generate_ca(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let outcome = services.ikev2.generate_authority(visit.caller(), &holder(&fields, "ca")).await;
    match page::refused(outcome, fields)? {
        Ok(()) => Ok(page::done(HOME, "said.added")),
        Err(refused) => shown(&visit, &services, Some((Form::Generate, &refused))),
    }
}

/// Takes a certificate authority. What was typed is not shown again: it has a private key.
pub(super) async fn import_ca(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let pem = |name: &str| fields.pem(name).unwrap_or_default();
    let outcome = services.ikev2.import_authority(visit.caller(), pem("ca_cert"), pem("ca_key")).await;
    match page::refused(outcome, Fields::default())? {
        Ok(()) => Ok(page::done(HOME, "said.added")),
        Err(refused) => shown(&visit, &services, Some((Form::Import, &refused))),
    }
}

/// Deletes the certificate authority and the server's certificate.
pub(super) async fn delete_ca(visit: Visit, State(services): State<Services>) -> Answer {
    services.ikev2.delete_authority(visit.caller()).await?;
    Ok(page::done(HOME, "said.deleted"))
}

/// Gives out the authority's certificate, which clients are to trust.
pub(super) async fn ca_file(State(services): State<Services>) -> Answer {
    let authority = services.ikev2.config().ikev2.authority.ok_or(Refusal::RootMissing)?;
    let headers = [
        (header::CONTENT_TYPE, "application/x-pem-file"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"ca.pem\""),
    ];
    Ok((headers, authority.certificate.to_pem()).into_response())
}

/// Makes the server's certificate.
pub(super) async fn generate_server(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let outcome = services.ikev2.generate_server(visit.caller(), &server_draft(&fields)).await;
    match page::refused(outcome, fields)? {
        Ok(()) => Ok(page::done(HOME, "said.added")),
        Err(refused) => shown(&visit, &services, Some((Form::Order, &refused))),
    }
}

/// Deletes the server's certificate.
pub(super) async fn delete_server(visit: Visit, State(services): State<Services>) -> Answer {
    services.ikev2.delete_server(visit.caller()).await?;
    Ok(page::done(HOME, "said.deleted"))
}

/// Turns IKEv2 on or off.
pub(super) async fn enable(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    services.ikev2.enable(visit.caller(), fields.text("enabled")).await?;
    Ok(page::done(HOME, "said.saved"))
}

/// Shows the advanced settings.
pub(super) async fn advanced(visit: Visit, State(services): State<Services>) -> Answer {
    advanced_page(&visit, &services, None)
}

fn advanced_page(visit: &Visit, services: &Services, refused: Option<&Refused>) -> Answer {
    let sheet = advanced_sheet(visit, &services.ikev2.settings(), refused);
    page::page(&Advanced { visit, sheet, may_write: visit.has(Right::Handle) })
}

fn advanced_sheet<'a>(visit: &'a Visit, settings: &Ikev2Settings, refused: Option<&'a Refused>) -> Sheet<'a> {
    let (any, day) = (u64::from(limits::IKE_NUMBER_MAX), u64::from(limits::CHILD_LIFETIME_MAX));
    let sheet = Sheet::new(visit, "advanced", ADVANCED, "servers.save")
        .locked(!visit.has(Right::Handle))
        .again(refused)
        .part("advanced.part.agreed")
        .long("ike", settings.ike.as_str())
        .long("esp", settings.esp.as_str())
        .choice("authby", settings.authby.word(), words(AuthBy::RULE))
        .choice("type", settings.connection.word(), words(ConnectionType::RULE))
        .part("advanced.part.clients")
        .choice("uniqueids", settings.uniqueids.word(), words(UniqueIds::RULE))
        .flag("mobike", settings.mobike)
        .choice("fragmentation", settings.fragmentation.word(), words(Fragmentation::RULE))
        .flag("forceencaps", settings.forceencaps)
        .flag("installpolicy", settings.installpolicy)
        .part("advanced.part.life")
        .flag("rekey", settings.rekey)
        .flag("reauth", settings.reauth)
        .number("ikelifetime", settings.ikelifetime, 0, any)
        .number("lifetime", settings.lifetime, 1, day)
        .number("margintime", settings.margintime, 1, any)
        .number("rekeyfuzz", settings.rekeyfuzz, 0, any)
        .number("keyingtries", settings.keyingtries, 1, any)
        .part("advanced.part.silence")
        .choice("dpdaction", settings.dpdaction.word(), words(Action::RULE))
        .number("dpddelay", settings.dpddelay, 0, any)
        .number("dpdtimeout", settings.dpdtimeout, 0, any)
        .number("inactivity", settings.inactivity, 0, any)
        .part("advanced.part.kept")
        .choice("closeaction", settings.closeaction.word(), words(Action::RULE))
        .choice("modeconfig", settings.modeconfig.word(), words(ModeConfig::RULE))
        .choice("strictcrlpolicy", settings.strictcrlpolicy.word(), words(StrictCrlPolicy::RULE))
        .flag("compress", settings.compress)
        .part("advanced.part.levels");
    LEVELS.into_iter().zip(settings.debug).fold(sheet, |sheet, (name, level)| sheet.choice(name, level, levels()))
}

/// The words of a rule as the contract writes it, each standing for itself.
fn words(rule: &str) -> Vec<(String, String)> {
    rule.split('|').map(|word| (word.to_owned(), word.to_owned())).collect()
}

fn levels() -> Vec<(String, String)> {
    limits::DEBUG_LEVELS.map(|level| (level.to_string(), level.to_string())).collect()
}

/// Changes the advanced settings.
pub(super) async fn edit_advanced(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    match page::refused(services.ikev2.edit_settings(visit.caller(), draft(&fields)).await, fields)? {
        Ok(_) => Ok(page::done(ADVANCED, "said.saved")),
        Err(refused) => advanced_page(&visit, &services, Some(&refused)),
    }
}

/// Sets the advanced settings back to their defaults.
pub(super) async fn default_advanced(visit: Visit, State(services): State<Services>) -> Answer {
    services.ikev2.default_settings(visit.caller()).await?;
    Ok(page::done(ADVANCED, "said.saved"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_a_field_for_how_much_each_subsystem_logs() {
        for (field, subsystem) in LEVELS.into_iter().zip(SUBSYSTEMS) {
            assert_eq!(field.strip_prefix("charondebug_"), Some(subsystem));
        }
    }

    #[test]
    fn offers_every_word_of_a_rule() {
        let offered = words(UniqueIds::RULE);

        assert_eq!(offered.len(), UniqueIds::ALL.len());
        assert!(offered.iter().all(|(word, _)| UniqueIds::parse(word).is_some()));
    }
}
