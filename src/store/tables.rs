//! Every table of the file, how all of them are read, and how steps are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};

use super::access_records::{AccessV3, PanelUserV2, SessionV1};
use super::audit;
use super::backups_record::BackupsV1;
use super::dns_record::DnsV1;
use super::host_record::HostV1;
use super::ikev2::{CredentialV1, Ikev2SettingsV1, Ikev2SwitchV1, ServerCredentialV1};
use super::link_records::{LinkSettingsV1, OneTimeLinkV1};
use super::messages;
use super::record::{self, Record, Undecodable};
use super::records::{AccountV3, FilterRuleV1, FirewallV1, PortForwardV1, ServerV2, SystemV1};
use super::state::{Beside, State, Step};
use super::traffic_log_record::TrafficLogV1;
use super::web_certificate_record::WebCertificateV2;
use super::webhook_record::WebhookV1;
use crate::domain::access::{AccessEntry, PanelUser, SessionEntry};
use crate::domain::account::Account;
use crate::domain::backup::BackupSettings;
use crate::domain::dns::DnsSettings;
use crate::domain::firewall::{FilterRule, FirewallSettings};
use crate::domain::host::HostSettings;
use crate::domain::ikev2::{Credential, Ikev2Settings, ServerCredential};
use crate::domain::intended::Revision;
use crate::domain::name::ServerName;
use crate::domain::one_time_link::{LinkSettings, OneTimeLink};
use crate::domain::port_forward::{OuterPort, PortForward};
use crate::domain::server::Server;
use crate::domain::system::SystemConfig;
use crate::domain::web_certificate::WebCertificate;
use crate::domain::webhook::Webhook;

type Records = TableDefinition<'static, &'static str, &'static [u8]>;

const SERVERS: Records = TableDefinition::new("servers");
const ACCOUNTS: Records = TableDefinition::new("accounts");
const ACCESS: Records = TableDefinition::new("access");
const PANEL_USERS: Records = TableDefinition::new("panel_users");
/// One record, at [`SETTINGS_KEY`].
const FIREWALL: Records = TableDefinition::new("firewall");
const FILTER_RULES: Records = TableDefinition::new("filter_rules");
const PORT_FORWARDS: Records = TableDefinition::new("port_forwards");
/// By the digests of their keys.
const ONE_TIME_LINKS: Records = TableDefinition::new("one_time_links");
/// One record, at [`SETTINGS_KEY`].
const LINK_SETTINGS: Records = TableDefinition::new("link_settings");
/// One record, at [`SETTINGS_KEY`].
const DNS: Records = TableDefinition::new("dns");
/// One record, at [`SETTINGS_KEY`].
const TRAFFIC_LOG: Records = TableDefinition::new("traffic_log");
/// One record, at [`SETTINGS_KEY`].
const BACKUPS: Records = TableDefinition::new("backups");
/// One record, at [`SETTINGS_KEY`].
const SYSTEM: Records = TableDefinition::new("system");
/// One record, at [`SETTINGS_KEY`].
const IKEV2: Records = TableDefinition::new("ikev2");
/// One record, at [`SETTINGS_KEY`].
const IKEV2_SETTINGS: Records = TableDefinition::new("ikev2_settings");
/// At most one record, at [`SETTINGS_KEY`].
const IKEV2_AUTHORITY: Records = TableDefinition::new("ikev2_authority");
/// At most one record, at [`SETTINGS_KEY`].
const IKEV2_SERVER: Records = TableDefinition::new("ikev2_server");
const WEBHOOKS: Records = TableDefinition::new("webhooks");
/// By the digests of their tokens. No part of a backup: a restore ends every session.
const SESSIONS: Records = TableDefinition::new("sessions");
/// At most one record, at [`SETTINGS_KEY`]. No part of a backup: it is this host's.
const WEB_CERTIFICATE: Records = TableDefinition::new("web_certificate");
/// At most one record, at [`SETTINGS_KEY`].
const HOST: Records = TableDefinition::new("host");
/// Every table of records that a backup has.
const ALL: [Records; 19] = [
    SERVERS,
    ACCOUNTS,
    ACCESS,
    PANEL_USERS,
    FIREWALL,
    FILTER_RULES,
    PORT_FORWARDS,
    ONE_TIME_LINKS,
    LINK_SETTINGS,
    DNS,
    TRAFFIC_LOG,
    BACKUPS,
    SYSTEM,
    HOST,
    IKEV2,
    IKEV2_SETTINGS,
    IKEV2_AUTHORITY,
    IKEV2_SERVER,
    WEBHOOKS,
];
/// [`FORMAT_KEY`] and [`REVISION_KEY`].
const COUNTERS: TableDefinition<'static, &'static str, u64> = TableDefinition::new("counters");

const FORMAT_KEY: &str = "format";
const REVISION_KEY: &str = "revision";
const SETTINGS_KEY: &str = "settings";
/// The latest format of the whole that is known here: it grows when a table changes its meaning, or when there is one
/// without which nothing may run, not with a record. Format 1 had no firewall and no port forwards; the first commit
/// makes it 2, so that no program runs on it that would leave them out.
pub(super) const FORMAT: u64 = 2;

/// Why a file cannot be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// Its format is later than [`FORMAT`].
    Newer(u64),
    /// It is a database, but not what was written.
    Damaged(String),
    /// The database failed.
    Database(Box<redb::Error>),
}

impl<E: Into<redb::Error>> From<E> for Unreadable {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

/// Makes every table in an empty database.
pub(super) fn lay_out(database: &Database) -> Result<(), Box<redb::Error>> {
    let transaction = begin(database)?;
    for table in ALL {
        transaction.open_table(table).map_err(boxed)?;
    }
    transaction.open_table(SESSIONS).map_err(boxed)?;
    transaction.open_table(COUNTERS).map_err(boxed)?.insert(FORMAT_KEY, FORMAT).map_err(boxed)?;
    transaction.commit().map_err(boxed)
}

/// Writes steps and the revision that they make, durably.
pub(super) fn commit(database: &Database, steps: &[Step], revision: Revision) -> Result<(), Box<redb::Error>> {
    let transaction = begin(database)?;
    for step in steps {
        write(&transaction, step)?;
    }
    {
        let mut counters = transaction.open_table(COUNTERS).map_err(boxed)?;
        counters.insert(REVISION_KEY, revision.0).map_err(boxed)?;
        counters.insert(FORMAT_KEY, FORMAT).map_err(boxed)?;
    }
    transaction.commit().map_err(boxed)
}

/// The rows of a table as they lie in the file: keys and records.
pub(super) type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Every table of a backup with its rows, as of one moment.
pub(super) fn dump(transaction: &ReadTransaction) -> Result<BTreeMap<String, Rows>, Box<redb::Error>> {
    use redb::TableHandle as _;
    let mut tables = BTreeMap::new();
    for table in ALL {
        let mut rows = Rows::new();
        match transaction.open_table(table) {
            Ok(open) => {
                for row in open.iter().map_err(boxed)? {
                    let (key, record) = row.map_err(boxed)?;
                    rows.push((key.value().as_bytes().to_vec(), record.value().to_vec()));
                }
            }
            // an older file lacks it
            Err(redb::TableError::TableDoesNotExist(_)) => {}
            Err(error) => return Err(boxed(error)),
        }
        tables.insert(table.name().to_owned(), rows);
    }
    Ok(tables)
}

/// Puts other rows into every table, durably, and in one step: all of them or none. A table that is not named becomes
/// empty.
pub(super) fn replace(
    database: &Database,
    tables: &BTreeMap<String, Rows>,
    revision: Revision,
) -> Result<(), Box<redb::Error>> {
    use redb::TableHandle as _;
    let unknown = |what: &str| boxed(redb::StorageError::Corrupted(what.to_owned()));
    if let Some(stranger) = tables.keys().find(|name| ALL.iter().all(|table| table.name() != name.as_str())) {
        return Err(unknown(&format!("there is no table `{stranger}`")));
    }
    let transaction = begin(database)?;
    for table in ALL {
        transaction.delete_table(table).map_err(boxed)?;
        let mut open = transaction.open_table(table).map_err(boxed)?;
        for (key, record) in tables.get(table.name()).into_iter().flatten() {
            let key = std::str::from_utf8(key).map_err(|_| unknown("a key is no text"))?;
            open.insert(key, record.as_slice()).map_err(boxed)?;
        }
    }
    transaction.delete_table(SESSIONS).map_err(boxed)?;
    {
        let mut counters = transaction.open_table(COUNTERS).map_err(boxed)?;
        counters.insert(REVISION_KEY, revision.0).map_err(boxed)?;
        counters.insert(FORMAT_KEY, FORMAT).map_err(boxed)?;
    }
    transaction.commit().map_err(boxed)
}

/// Two phases: the slot that the file names is then always whole, whatever a crash did to the other.
fn begin(database: &Database) -> Result<WriteTransaction, Box<redb::Error>> {
    let mut transaction = database.begin_write().map_err(boxed)?;
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

fn write(transaction: &WriteTransaction, step: &Step) -> Result<(), Box<redb::Error>> {
    match step {
        Step::Server(server) => put(transaction, SERVERS, server.name.as_str(), &ServerV2::from(server.as_ref())),
        Step::NoServer(name) => take(transaction, SERVERS, name.as_str()),
        Step::Account(account) => put(transaction, ACCOUNTS, account.name.as_str(), &AccountV3::from(account.as_ref())),
        Step::NoAccount(name) => take(transaction, ACCOUNTS, name.as_str()),
        Step::Firewall(settings) => put(transaction, FIREWALL, SETTINGS_KEY, &FirewallV1::from(settings)),
        Step::TrafficLog(settings) => {
            put(transaction, TRAFFIC_LOG, SETTINGS_KEY, &TrafficLogV1::from(settings.as_ref()))
        }
        Step::Dns(settings) => put(transaction, DNS, SETTINGS_KEY, &DnsV1::from(settings)),
        Step::Rule(place, rule) => put(transaction, FILTER_RULES, rule.name.as_str(), &FilterRuleV1::new(*place, rule)),
        Step::NoRule(name) => take(transaction, FILTER_RULES, name.as_str()),
        Step::Forward(server, forward) => {
            let record = PortForwardV1::new(server, forward);
            put(transaction, PORT_FORWARDS, &forward_key(server, forward.outer), &record)
        }
        Step::NoForward(server, outer) => take(transaction, PORT_FORWARDS, &forward_key(server, *outer)),
        Step::System(config) => put(transaction, SYSTEM, SETTINGS_KEY, &SystemV1::from(config)),
        Step::Ikev2(on) => put(transaction, IKEV2, SETTINGS_KEY, &Ikev2SwitchV1::from(*on)),
        Step::Ikev2Settings(settings) => {
            put(transaction, IKEV2_SETTINGS, SETTINGS_KEY, &Ikev2SettingsV1::from(settings.as_ref()))
        }
        Step::Authority(None) => take(transaction, IKEV2_AUTHORITY, SETTINGS_KEY),
        Step::Authority(Some(credential)) => {
            put(transaction, IKEV2_AUTHORITY, SETTINGS_KEY, &CredentialV1::from(credential.as_ref()))
        }
        Step::ServerCertificate(None) => take(transaction, IKEV2_SERVER, SETTINGS_KEY),
        Step::ServerCertificate(Some(credential)) => {
            put(transaction, IKEV2_SERVER, SETTINGS_KEY, &ServerCredentialV1::from(credential.as_ref()))
        }
        Step::Beside(step) => write_beside(transaction, step),
    }
}

fn write_beside(transaction: &WriteTransaction, step: &Beside) -> Result<(), Box<redb::Error>> {
    match step {
        Beside::Access(entry) => put(transaction, ACCESS, &entry.label, &AccessV3::from(entry)),
        Beside::NoAccess(label) => take(transaction, ACCESS, label),
        Beside::PanelUser(user) => put(transaction, PANEL_USERS, user.name.as_str(), &PanelUserV2::from(user.as_ref())),
        Beside::NoPanelUser(name) => take(transaction, PANEL_USERS, name.as_str()),
        Beside::Session(session) => {
            put(transaction, SESSIONS, &session.digest.to_hex(), &SessionV1::from(session.as_ref()))
        }
        Beside::NoSession(digest) => take(transaction, SESSIONS, &digest.to_hex()),
        Beside::Backups(settings) => put(transaction, BACKUPS, SETTINGS_KEY, &BackupsV1::from(settings.as_ref())),
        Beside::WebCertificate(certificate) => {
            put(transaction, WEB_CERTIFICATE, SETTINGS_KEY, &WebCertificateV2::from(certificate.as_ref()))
        }
        Beside::Host(settings) => put(transaction, HOST, SETTINGS_KEY, &HostV1::from(settings.as_ref())),
        Beside::Link(link) => {
            put(transaction, ONE_TIME_LINKS, &link.key.digest().to_hex(), &OneTimeLinkV1::from(link.as_ref()))
        }
        Beside::NoLink(digest) => take(transaction, ONE_TIME_LINKS, &digest.to_hex()),
        Beside::LinkSettings(settings) => {
            put(transaction, LINK_SETTINGS, SETTINGS_KEY, &LinkSettingsV1::from(settings.as_ref()))
        }
        Beside::Webhook(webhook) => {
            put(transaction, WEBHOOKS, webhook.name.as_str(), &WebhookV1::from(webhook.as_ref()))
        }
        Beside::NoWebhook(name) => take(transaction, WEBHOOKS, name.as_str()),
        Beside::Messages(changes) => messages::write(transaction, changes),
        Beside::Audit(entry) => audit::write(transaction, entry),
        Beside::Audited(_) => Ok(()),
    }
}

/// A port forward's key: no server's name has a `/`.
fn forward_key(server: &ServerName, outer: OuterPort) -> String {
    format!("{server}/{outer}")
}

fn put<R: Record>(
    transaction: &WriteTransaction,
    table: Records,
    key: &str,
    record: &R,
) -> Result<(), Box<redb::Error>> {
    let bytes = record::encode(record).map_err(|error| boxed(redb::StorageError::Corrupted(error.to_string())))?;
    transaction.open_table(table).map_err(boxed)?.insert(key, bytes.as_slice()).map_err(boxed)?;
    Ok(())
}

fn take(transaction: &WriteTransaction, table: Records, key: &str) -> Result<(), Box<redb::Error>> {
    transaction.open_table(table).map_err(boxed)?.remove(key).map_err(boxed)?;
    Ok(())
}

pub(super) fn boxed(error: impl Into<redb::Error>) -> Box<redb::Error> {
    Box::new(error.into())
}

/// Reads everything.
pub(super) fn load(database: &Database) -> Result<State, Unreadable> {
    let transaction = database.begin_read()?;
    let counters = transaction.open_table(COUNTERS)?;
    let counter = |key: &str| -> Result<Option<u64>, Unreadable> { Ok(counters.get(key)?.map(|value| value.value())) };
    match counter(FORMAT_KEY)? {
        None => return Err(Unreadable::Damaged("it has no format number".into())),
        Some(format) if format > FORMAT => return Err(Unreadable::Newer(format)),
        Some(_) => {}
    }
    let mut state = State::default();
    state.intended.revision = Revision(counter(REVISION_KEY)?.unwrap_or(0));
    load_tunnels(&transaction, &mut state)?;
    load_firewall(&transaction, &mut state)?;
    each(&transaction, SYSTEM, |record: SystemV1| {
        state.intended.system = SystemConfig::from(record);
        Ok(())
    })?;
    load_ikev2(&transaction, &mut state)?;
    load_access(&transaction, &mut state)?;
    each(&transaction, TRAFFIC_LOG, |record: TrafficLogV1| {
        state.intended.traffic_log = Arc::new(record.into());
        Ok(())
    })?;
    each(&transaction, DNS, |record: DnsV1| {
        state.intended.dns = DnsSettings::from(record);
        Ok(())
    })?;
    each(&transaction, BACKUPS, |record: BackupsV1| {
        state.backups = Arc::new(BackupSettings::from(record));
        Ok(())
    })?;
    each(&transaction, WEB_CERTIFICATE, |record: WebCertificateV2| {
        state.web_certificate = Arc::new(WebCertificate::from(record));
        Ok(())
    })?;
    each(&transaction, HOST, |record: HostV1| {
        state.host = Arc::new(HostSettings::from(record));
        Ok(())
    })?;
    load_links(&transaction, &mut state)?;
    let webhooks = Arc::make_mut(&mut state.webhooks);
    each(&transaction, WEBHOOKS, |record: WebhookV1| {
        let webhook = Webhook::from(record);
        webhooks.insert(webhook.name.clone(), Arc::new(webhook));
        Ok(())
    })?;
    state.audited = audit::latest(&transaction)?;
    Ok(state)
}

fn load_tunnels(transaction: &ReadTransaction, state: &mut State) -> Result<(), Unreadable> {
    each(transaction, SERVERS, |record: ServerV2| {
        state.intended.insert_server(Arc::new(Server::from(record)));
        Ok(())
    })?;
    each(transaction, ACCOUNTS, |record: AccountV3| {
        let mut account = Account::try_from(record).map_err(|_| "its end is no time")?;
        let server = state.intended.server(account.server.as_str()).ok_or("its server is missing")?;
        // one name in memory for all accounts of a server
        account.server = server.server.name.clone();
        state.intended.insert_account(Arc::new(account)).map_err(|_| "its server is missing")?;
        Ok(())
    })
}

fn load_firewall(transaction: &ReadTransaction, state: &mut State) -> Result<(), Unreadable> {
    each(transaction, FIREWALL, |record: FirewallV1| {
        Arc::make_mut(&mut state.intended.firewall).settings = FirewallSettings::from(record);
        Ok(())
    })?;
    let mut rules: Vec<(i64, FilterRule)> = Vec::new();
    each(transaction, FILTER_RULES, |record: FilterRuleV1| {
        rules.push(record.into());
        Ok(())
    })?;
    // in order, so that each goes to the end
    rules.sort_by_key(|(place, _)| *place);
    for (place, rule) in rules {
        state.place(place, rule);
    }
    each(transaction, PORT_FORWARDS, |record: PortForwardV1| {
        let (name, forward) = record.into();
        let server = state.intended.server(name.as_str()).ok_or("its server is missing")?;
        let account = server.accounts.get(&forward.to_peer).ok_or("its account is missing")?;
        // one name in memory for all that belongs to an account
        let forward = PortForward { to_peer: account.name.clone(), ..forward };
        state.intended.insert_forward(&name, forward);
        Ok(())
    })
}

fn load_ikev2(transaction: &ReadTransaction, state: &mut State) -> Result<(), Unreadable> {
    let ikev2 = &mut state.intended.ikev2;
    each(transaction, IKEV2, |record: Ikev2SwitchV1| {
        ikev2.enabled = record.into();
        Ok(())
    })?;
    each(transaction, IKEV2_SETTINGS, |record: Ikev2SettingsV1| {
        ikev2.settings = Arc::new(Ikev2Settings::try_from(record)?);
        Ok(())
    })?;
    each(transaction, IKEV2_AUTHORITY, |record: CredentialV1| {
        ikev2.authority = Some(Arc::new(Credential::from(record)));
        Ok(())
    })?;
    each(transaction, IKEV2_SERVER, |record: ServerCredentialV1| {
        ikev2.server = Some(Arc::new(ServerCredential::from(record)));
        Ok(())
    })
}

fn load_access(transaction: &ReadTransaction, state: &mut State) -> Result<(), Unreadable> {
    each(transaction, ACCESS, |record: AccessV3| {
        let entry = AccessEntry::try_from(record)?;
        state.access.entries.insert(entry.label.clone(), entry);
        Ok(())
    })?;
    each(transaction, PANEL_USERS, |record: PanelUserV2| {
        let user = PanelUser::try_from(record)?;
        state.access.users.insert(user.name.clone(), user);
        Ok(())
    })?;
    let sessions = Arc::make_mut(&mut state.access.sessions);
    each(transaction, SESSIONS, |record: SessionV1| {
        let session = SessionEntry::try_from(record).map_err(|_| "its time is none")?;
        sessions.insert(session.digest, session);
        Ok(())
    })
}

/// A link whose account is missing shows nothing: a program that knows no links may have removed it.
fn load_links(transaction: &ReadTransaction, state: &mut State) -> Result<(), Unreadable> {
    each(transaction, LINK_SETTINGS, |record: LinkSettingsV1| {
        state.links.settings = Arc::new(LinkSettings::from(record));
        Ok(())
    })?;
    let links = Arc::make_mut(&mut state.links.links);
    each(transaction, ONE_TIME_LINKS, |record: OneTimeLinkV1| {
        let link = OneTimeLink::try_from(record).map_err(|_| "its key or a time is none")?;
        links.insert(link.key.digest(), Arc::new(link));
        Ok(())
    })
}

/// Hands every record of a table to `place`.
fn each<R: Record>(
    transaction: &ReadTransaction,
    table: Records,
    mut place: impl FnMut(R) -> Result<(), &'static str>,
) -> Result<(), Unreadable> {
    use redb::TableHandle as _;
    let rows = match transaction.open_table(table) {
        Ok(rows) => rows,
        // an older file lacks it: the first write makes it
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for row in rows.iter()? {
        let (key, bytes) = row?;
        let damaged = |why: &str| Unreadable::Damaged(format!("{} `{}`: {why}", table.name(), key.value()));
        let record = record::decode(bytes.value()).map_err(|error| match error {
            Undecodable::Version(version) => damaged(&format!("version {version} is unknown")),
            Undecodable::Malformed => damaged("malformed"),
        })?;
        place(record).map_err(damaged)?;
    }
    Ok(())
}
