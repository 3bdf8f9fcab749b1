//! `ikev2_*`.

use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{DONE, Named, accounts};
use crate::domain::access::Caller;
use crate::domain::ikev2::settings::{
    Action, AuthBy, ConnectionType, Fragmentation, Ikev2Settings, ModeConfig, SUBSYSTEMS, StrictCrlPolicy, UniqueIds,
    YesNo,
};
use crate::domain::ikev2::{AuthorityDraft, Certificate, Credential, Ikev2Draft, KeyChoice, ServerOrderDraft, Subject};
use crate::domain::limits;
use crate::domain::refusal::Refusal;
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::http::openapi::field::{Field, Kind, flag, number, text};
use crate::http::openapi::operation::{Group, Operation, Shape};
use crate::services::Services;
use crate::services::ikev2::{Format, Ikev2Config, Ikev2Versions, OnlineClient};

/// Shows what speaks IKEv2 here.
pub(crate) async fn info(State(services): State<Services>) -> Answer<VersionsView> {
    Ok(Success(services.ikev2.versions().into()))
}

/// Shows certificates, keys and the switch.
pub(crate) async fn config(State(services): State<Services>) -> Answer<ConfigView> {
    Ok(Success(services.ikev2.config().into()))
}

/// Takes a certificate authority.
pub(crate) async fn import_ca(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<ConfigView> {
    let pem = |name: &str| fields.pem(name).unwrap_or_default();
    services.ikev2.import_authority(&caller, pem("ca_cert"), pem("ca_key")).await?;
    config(State(services)).await
}

/// Makes a certificate authority.
pub(crate) async fn generate_ca(
    State(services): State<Services>,
    caller: Caller,
    fields: Fields,
) -> Answer<ConfigView> {
    services.ikev2.generate_authority(&caller, &holder(&fields, "ca")).await?;
    config(State(services)).await
}

/// Deletes the certificate authority and the server's certificate.
pub(crate) async fn delete_ca(State(services): State<Services>, caller: Caller) -> Answer<ConfigView> {
    services.ikev2.delete_authority(&caller).await?;
    config(State(services)).await
}

/// Makes the server's certificate.
pub(crate) async fn generate_server(
    State(services): State<Services>,
    caller: Caller,
    fields: Fields,
) -> Answer<ConfigView> {
    services.ikev2.generate_server(&caller, &server_draft(&fields)).await?;
    config(State(services)).await
}

/// What a form says of the server's certificate.
pub(in crate::http) fn server_draft(fields: &Fields) -> ServerOrderDraft {
    ServerOrderDraft {
        domain: fields.text("server_domain"),
        ip: fields.text("server_ip"),
        ipv6: fields.text("server_ipv6"),
        holder: holder(fields, "server"),
    }
}

/// Deletes the server's certificate.
pub(crate) async fn delete_server(State(services): State<Services>, caller: Caller) -> Answer<ConfigView> {
    services.ikev2.delete_server(&caller).await?;
    config(State(services)).await
}

/// Turns IKEv2 on or off.
pub(crate) async fn enable(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<ConfigView> {
    services.ikev2.enable(&caller, fields.text("enabled")).await?;
    config(State(services)).await
}

/// Shows the advanced settings.
pub(crate) async fn advanced(State(services): State<Services>) -> Answer<Map<String, Value>> {
    Ok(Success(advanced_view(&services.ikev2.settings())))
}

/// Changes what the form names of the advanced settings.
pub(crate) async fn edit_advanced(
    State(services): State<Services>,
    caller: Caller,
    fields: Fields,
) -> Answer<Map<String, Value>> {
    let settings = services.ikev2.edit_settings(&caller, draft(&fields)).await?;
    Ok(Success(advanced_view(&settings)))
}

/// Sets the advanced settings back to their defaults.
pub(crate) async fn default_advanced(State(services): State<Services>, caller: Caller) -> Answer<Map<String, Value>> {
    let settings = services.ikev2.default_settings(&caller).await?;
    Ok(Success(advanced_view(&settings)))
}

/// Lists the accounts that are connected now.
pub(crate) async fn online(State(services): State<Services>, caller: Caller) -> Answer<Vec<OnlineView>> {
    Ok(Success(services.ikev2.online(&caller).iter().map(OnlineView::from).collect()))
}

/// Ends an account's sessions.
pub(crate) async fn disconnect(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
) -> Answer<&'static str> {
    services.ikev2.disconnect(&caller, &name).await?;
    Ok(Success(DONE))
}

/// Shows what strongSwan's app imports.
pub(crate) async fn sswan(State(services): State<Services>, caller: Caller, Named(name): Named) -> Answer<String> {
    Ok(Success(services.ikev2.profile(&caller, &name, Format::Sswan)?))
}

/// Shows what Apple's systems import.
pub(crate) async fn mobileconfig(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
) -> Answer<String> {
    Ok(Success(services.ikev2.profile(&caller, &name, Format::Mobileconfig)?))
}

/// Shows the script that makes the connection on Windows.
pub(crate) async fn powershell(State(services): State<Services>, caller: Caller, Named(name): Named) -> Answer<String> {
    Ok(Success(services.ikev2.profile(&caller, &name, Format::Powershell)?))
}

/// Whose certificate is asked for; every field begins with whose it is.
pub(in crate::http) fn holder(fields: &Fields, whose: &str) -> AuthorityDraft {
    let text = |name: &str| fields.text(&format!("{whose}_{name}"));
    AuthorityDraft {
        common_name: text("common_name"),
        organization: text("organization"),
        organizational_unit: text("organizational_unit"),
        locality: text("locality"),
        state_or_province_name: text("state_or_province_name"),
        country_name: text("country_name"),
        key_type: fields.text("key_type"),
    }
}

/// What a form says of the advanced settings.
pub(in crate::http) fn draft(fields: &Fields) -> Ikev2Draft {
    Ikev2Draft {
        charondebug: SUBSYSTEMS.map(|subsystem| fields.text(&format!("charondebug_{subsystem}"))),
        uniqueids: fields.text("uniqueids"),
        strictcrlpolicy: fields.text("strictcrlpolicy"),
        authby: fields.text("authby"),
        closeaction: fields.text("closeaction"),
        compress: fields.text("compress"),
        dpdaction: fields.text("dpdaction"),
        dpddelay: fields.text("dpddelay"),
        dpdtimeout: fields.text("dpdtimeout"),
        inactivity: fields.text("inactivity"),
        esp: fields.text("esp"),
        forceencaps: fields.text("forceencaps"),
        fragmentation: fields.text("fragmentation"),
        ike: fields.text("ike"),
        ikelifetime: fields.text("ikelifetime"),
        installpolicy: fields.text("installpolicy"),
        keyingtries: fields.text("keyingtries"),
        lifetime: fields.text("lifetime"),
        margintime: fields.text("margintime"),
        mobike: fields.text("mobike"),
        modeconfig: fields.text("modeconfig"),
        reauth: fields.text("reauth"),
        rekey: fields.text("rekey"),
        rekeyfuzz: fields.text("rekeyfuzz"),
        connection: fields.text("type"),
    }
}

/// The contract's `ikev2_info`: both processes of strongSwan are this one.
#[derive(Serialize, ToSchema)]
#[schema(as = Ikev2Versions)]
pub(crate) struct VersionsView {
    pid_charon: String,
    pid_starter: String,
    strongswan: String,
}

impl From<Ikev2Versions> for VersionsView {
    fn from(versions: Ikev2Versions) -> Self {
        let process = versions.process.to_string();
        Self { pid_charon: process.clone(), pid_starter: process, strongswan: versions.version }
    }
}

/// The contract's `ikev2_config`; what is absent is "", and names without a certificate are suggestions.
#[derive(Serialize, ToSchema)]
#[schema(as = Ikev2Config)]
pub(crate) struct ConfigView {
    ca_cert: String,
    ca_common_name: String,
    ca_country_name: String,
    /// Beyond the contract: when the certificate ends; "" without one.
    ca_expires: String,
    ca_key: String,
    ca_locality: String,
    ca_organization: String,
    ca_organizational_unit: String,
    ca_state_or_province_name: String,
    enabled: bool,
    server_cert: String,
    server_common_name: String,
    server_country_name: String,
    server_domain: String,
    /// Beyond the contract: when the certificate ends; "" without one.
    server_expires: String,
    server_ip: String,
    /// Beyond the examples: the form has it.
    server_ipv6: String,
    server_key: String,
    server_locality: String,
    server_organization: String,
    server_organizational_unit: String,
    server_state_or_province_name: String,
}

impl From<Ikev2Config> for ConfigView {
    fn from(config: Ikev2Config) -> Self {
        let Ikev2Config { ikev2, suggested: (name, address) } = config;
        let server = ikev2.server.as_deref();
        let ca = CredentialView::new(ikev2.authority.as_deref(), &name);
        let shown = CredentialView::new(server.map(|server| &server.credential), &name);
        let ipv6 = server.and_then(|server| server.ipv6);
        Self {
            ca_cert: ca.certificate,
            ca_common_name: ca.subject.common_name,
            ca_country_name: ca.subject.country_name,
            ca_expires: ca.expires,
            ca_key: ca.key,
            ca_locality: ca.subject.locality,
            ca_organization: ca.subject.organization,
            ca_organizational_unit: ca.subject.organizational_unit,
            ca_state_or_province_name: ca.subject.state_or_province_name,
            enabled: ikev2.enabled,
            server_cert: shown.certificate,
            server_common_name: shown.subject.common_name,
            server_country_name: shown.subject.country_name,
            server_domain: server.map_or(name, |server| server.domain.clone()),
            server_expires: shown.expires,
            server_ip: server.map_or(address, |server| server.ip).to_string(),
            server_ipv6: ipv6.map_or_else(String::new, |address| address.to_string()),
            server_key: shown.key,
            server_locality: shown.subject.locality,
            server_organization: shown.subject.organization,
            server_organizational_unit: shown.subject.organizational_unit,
            server_state_or_province_name: shown.subject.state_or_province_name,
        }
    }
}

/// A certificate and its key as text.
struct CredentialView {
    certificate: String,
    key: String,
    expires: String,
    subject: Subject,
}

impl CredentialView {
    fn new(credential: Option<&Credential>, suggested: &str) -> Self {
        let certificate = credential.map(|credential| &credential.certificate);
        let suggested = || {
            let [common_name, organization] = [suggested, suggested].map(str::to_owned);
            Subject { common_name, organization, ..Subject::default() }
        };
        let expires = certificate.and_then(Certificate::expires);
        Self {
            certificate: certificate.map_or_else(String::new, Certificate::to_pem),
            key: credential.map_or_else(String::new, |credential| credential.key.to_pem()),
            expires: expires.map_or_else(String::new, |at| at.to_string()),
            subject: certificate.map_or_else(suggested, Certificate::subject),
        }
    }
}

/// The contract's `ikev2_advanced`, its keys in its order.
fn advanced_view(settings: &Ikev2Settings) -> Map<String, Value> {
    let yes_no = |on: bool| Value::from(YesNo::from(on).word());
    let mut view: Map<String, Value> = SUBSYSTEMS
        .iter()
        .map(|subsystem| (format!("charondebug_{subsystem}"), Value::from(settings.level(subsystem))))
        .collect();
    let others = [
        ("authby", Value::from(settings.authby.word())),
        ("closeaction", settings.closeaction.word().into()),
        ("compress", yes_no(settings.compress)),
        ("dpdaction", settings.dpdaction.word().into()),
        ("dpddelay", settings.dpddelay.into()),
        ("dpdtimeout", settings.dpdtimeout.into()),
        ("esp", settings.esp.as_str().into()),
        ("forceencaps", yes_no(settings.forceencaps)),
        ("fragmentation", settings.fragmentation.word().into()),
        ("ike", settings.ike.as_str().into()),
        ("ikelifetime", settings.ikelifetime.into()),
        ("inactivity", settings.inactivity.into()),
        ("installpolicy", yes_no(settings.installpolicy)),
        ("keyingtries", settings.keyingtries.into()),
        ("lifetime", settings.lifetime.into()),
        ("margintime", settings.margintime.into()),
        ("mobike", yes_no(settings.mobike)),
        ("modeconfig", settings.modeconfig.word().into()),
        ("reauth", yes_no(settings.reauth)),
        ("rekey", yes_no(settings.rekey)),
        ("rekeyfuzz", settings.rekeyfuzz.into()),
        ("strictcrlpolicy", settings.strictcrlpolicy.word().into()),
        ("type", settings.connection.word().into()),
        ("uniqueids", settings.uniqueids.word().into()),
    ];
    view.extend(others.map(|(name, value)| (name.to_owned(), value)));
    view.sort_keys();
    view
}

/// An account that is connected now.
#[derive(Serialize, ToSchema)]
#[schema(as = Ikev2Online)]
pub(crate) struct OnlineView {
    #[serde(rename = "allowed_IPs")]
    allowed_ips: String,
    b_download: String,
    b_upload: String,
    endpoint: String,
    name: String,
    status: &'static str,
    /// As strongSwan tells it, the blank before it too: ` 11 seconds ago`.
    uptime: String,
    username: String,
    wg_name: String,
}

impl From<&OnlineClient> for OnlineView {
    fn from(client: &OnlineClient) -> Self {
        let OnlineClient { account, session } = client;
        Self {
            allowed_ips: account.address.to_string(),
            b_download: account.b_download.to_string(),
            b_upload: account.b_upload.to_string(),
            endpoint: session.endpoint.to_canonical().to_string(),
            name: account.name.to_string(),
            status: accounts::status(account),
            uptime: format!(" {} ago", span(session.age.as_secs())),
            username: account.username.to_string(),
            wg_name: account.server.to_string(),
        }
    }
}

/// A span as strongSwan prints it: in the largest unit of which there are more than two.
fn span(seconds: u64) -> String {
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds > 2 * unit).unwrap_or((1, "seconds"));
    let count = seconds / unit;
    format!("{count} {}", if count == 1 { &name[..name.len() - 1] } else { name })
}

/// What the document says of these.
pub(crate) fn described() -> Group {
    let certificates = || [Refusal::RootMissing];
    let profiles = [
        ("account_ikev2_profile", "Shows what strongSwan's app imports", "A profile of JSON."),
        ("account_ikev2_mobileconfig", "Shows what Apple's systems import", "A profile of XML."),
        ("account_ikev2_powershell", "Shows the script for Windows", "A script of PowerShell."),
    ];
    let profiles = profiles
        .map(|(id, about, format)| Operation::new(id, about, Shape::text(format)).refuses([Refusal::AccountNotFound]));
    let settings = || Shape::as_set("Ikev2Settings", &settings_form());
    let operations = [
        Operation::new("ikev2_info", "Shows what speaks IKEv2", Shape::of::<VersionsView>()),
        Operation::new("ikev2_config", "Shows certificates, keys and the switch", Shape::of::<ConfigView>())
            .about("What is absent is empty; names without a certificate are suggestions."),
        Operation::new("ikev2_enable", "Turns IKEv2 on or off", Shape::of::<ConfigView>())
            .form([flag("enabled", "Whether it answers.").required().such_as("1")])
            .refuses([Refusal::RootMissing, Refusal::ServerCertificateMissing]),
        Operation::new("ikev2_import_ca", "Takes a certificate authority", Shape::of::<ConfigView>())
            .form([
                Field::new("ca_cert", Kind::Pem, "Its certificate.").required(),
                Field::new("ca_key", Kind::Pem, "Its key.").required(),
            ])
            .refuses([
                Refusal::RootPresent,
                Refusal::CaCertMissing,
                Refusal::CaKeyMissing,
                Refusal::CertificateNotFound,
                Refusal::CertificateFailed,
            ]),
        Operation::new("ikev2_generate_ca", "Makes a certificate authority", Shape::of::<ConfigView>())
            .form(holder_form("ca"))
            .refuses([Refusal::RootPresent, Refusal::CommonNameMissing, Refusal::OrganizationMissing]),
        Operation::new("ikev2_delete_ca", "Deletes the authority", Shape::of::<ConfigView>())
            .about("The server's certificate goes with it.")
            .refuses(certificates()),
        Operation::new("ikev2_generate_server", "Makes the server's certificate", Shape::of::<ConfigView>())
            .form([
                Field::new("server_domain", Kind::Host, "What clients connect to.").required().such_as("vpn.example"),
                Field::new("server_ip", Kind::Ip, "The server's address.").required().such_as("192.0.2.1"),
                Field::new("server_ipv6", Kind::Ipv6, "Another, over IPv6."),
            ])
            .form(holder_form("server"))
            .refuses([
                Refusal::RootAbsent,
                Refusal::ServerDomainMissing,
                Refusal::ServerIpMissing,
                Refusal::CommonNameMissing,
                Refusal::OrganizationMissing,
            ]),
        Operation::new("ikev2_delete_server", "Deletes the server's certificate", Shape::of::<ConfigView>())
            .refuses(certificates()),
        Operation::new("ikev2_advanced", "Shows the advanced settings", settings()),
        Operation::new("ikev2_advanced_edit", "Changes what the form names", settings())
            .form(settings_form())
            .refuses([Refusal::EspMissing, Refusal::IkeMissing]),
        Operation::new("ikev2_advanced_default", "Sets them as they were at first", settings()),
        Operation::new("ikev2_online", "Lists who is connected", Shape::list_of::<OnlineView>()),
        Operation::new("ikev2_drop", "Ends an account's sessions", Shape::done()).refuses([Refusal::AccountNotFound]),
    ];
    Group {
        name: "IKEv2",
        about: "The responder for clients that systems have built in: its certificates, settings and sessions.",
        named: ("The account's name.", "peer_1"),
        operations: operations.into_iter().chain(profiles).collect(),
    }
}

/// The form of a certificate's holder; every field begins with whose it is.
fn holder_form(whose: &str) -> [Field; 7] {
    let of = |name: &str, about| Field::new(format!("{whose}_{name}"), Kind::Characters(limits::SUBJECT_TEXT), about);
    let keys = Kind::Words(KeyChoice::WORDS.map(|(_, word)| word).into());
    [
        of("common_name", "Whom it is for.").required().such_as("vpn.example"),
        of("organization", "Whose it is.").required().such_as("Example"),
        of("organizational_unit", "The part of the organization."),
        of("locality", "The city."),
        of("state_or_province_name", "The state or province."),
        of("country_name", "The country."),
        Field::new("key_type", keys, "The kind of the key that is made."),
    ]
}

/// The form of the advanced settings, in strongSwan's words.
fn settings_form() -> Vec<Field> {
    let kept = "Kept for clients of the API; does nothing here.";
    let word = |name, rule, about| Field::new(name, Kind::of_rule(rule), about);
    let any = |name, about| number(name, 0..=limits::IKE_NUMBER_MAX, about);
    let debug = SUBSYSTEMS.iter().map(|subsystem| {
        let levels = i64::from(*limits::DEBUG_LEVELS.start())..=i64::from(*limits::DEBUG_LEVELS.end());
        Field::new(format!("charondebug_{subsystem}"), Kind::Number(levels), kept)
    });
    let others = [
        word("uniqueids", UniqueIds::RULE, "What becomes of an account's earlier session."),
        word("strictcrlpolicy", StrictCrlPolicy::RULE, kept),
        word("authby", AuthBy::RULE, "Which key the server must have to prove who it is."),
        word("closeaction", Action::RULE, "What becomes of a tunnel that its client has closed."),
        word("compress", YesNo::RULE, kept),
        word("dpdaction", Action::RULE, "What becomes of a tunnel that has gone silent."),
        any("dpddelay", "Seconds of silence after which a client is asked.").such_as("30"),
        any("dpdtimeout", "Seconds that an unanswered request is repeated at most."),
        any("inactivity", "Seconds without a packet after which a tunnel ends."),
        text("esp", limits::PROPOSALS_LENGTH, "Proposals for tunnels.").required().such_as("aes256gcm16!"),
        word("forceencaps", YesNo::RULE, "Whether ESP is always carried in UDP."),
        word("fragmentation", Fragmentation::RULE, "Whether messages may come in fragments (RFC 7383)."),
        text("ike", limits::PROPOSALS_LENGTH, "Proposals for IKE.").required().such_as("aes256-sha256-modp2048!"),
        any("ikelifetime", "Seconds that an IKE SA lives."),
        word("installpolicy", YesNo::RULE, kept),
        number("keyingtries", 1..=limits::IKE_NUMBER_MAX, "How often rekeying is tried."),
        number("lifetime", 1..=limits::CHILD_LIFETIME_MAX, "Seconds that a CHILD SA lives."),
        number("margintime", 1..=limits::IKE_NUMBER_MAX, "Seconds before its end at which an SA is rekeyed."),
        word("mobike", YesNo::RULE, "Whether clients may move to another address (RFC 4555)."),
        word("modeconfig", ModeConfig::RULE, kept),
        word("reauth", YesNo::RULE, "Whether a client must log in again where an IKE SA ends."),
        word("rekey", YesNo::RULE, "Whether the server begins rekeying itself."),
        any("rekeyfuzz", "By how many percent of margintime rekeying begins earlier at random."),
        word("type", ConnectionType::RULE, "What a connection is."),
    ];
    debug.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::fixture::house;
    use crate::domain::ikev2::Ikev2Session;

    #[test]
    fn shows_an_online_client_with_the_contracts_keys_and_types() {
        let account = house().account("peer_1").unwrap().clone();
        let endpoint = "::ffff:79.184.218.180".parse().unwrap();
        let session = Ikev2Session { account: account.name.clone(), endpoint, age: Duration::from_secs(11) };

        let shown = serde_json::to_string(&OnlineView::from(&OnlineClient { account, session })).unwrap();

        assert_eq!(
            shown,
            r#"{"allowed_IPs":"10.0.0.2","b_download":"0","b_upload":"0","endpoint":"79.184.218.180","name":"peer_1","status":"enable","uptime":" 11 seconds ago","username":"user_1","wg_name":"Default_1"}"#
        );
    }

    #[test]
    fn prints_spans_as_strongswan_does() {
        for (seconds, text) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (120, "120 seconds"),
            (121, "2 minutes"),
            (7_201, "2 hours"),
            (172_801, "2 days"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
