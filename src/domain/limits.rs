//! Every default and every bound, one table.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::rate::Mbps;

/// The longest name of a server, an account or a user, in bytes.
pub const NAME_LENGTH: usize = 64;
/// Below so many percent, or so many bytes, of room the disk of the data folder is told of.
pub const DISK_LOW: (u64, u64) = (10, 200 << 20);
/// Below so much, as in [`DISK_LOW`], it is told of as something that cannot wait.
pub const DISK_ACUTE: (u64, u64) = (3, 50 << 20);
/// The year of this program: a clock that says an earlier one is wrong.
pub const YEAR_OF_PROGRAM: i16 = 2026;
/// By how many seconds a record may be later than now: who keeps a clock right may set it back a little.
pub const CLOCK_STEP: i64 = 60;
/// How many entries the audit log keeps; the oldest goes for the newest.
pub const AUDIT_ENTRIES: u64 = 100_000;
/// How many entries of the audit log an answer holds, and how many where nobody says so.
pub const AUDIT_PAGE: RangeInclusive<u16> = 1..=1_000;
/// See [`AUDIT_PAGE`].
pub const AUDIT_PAGE_DEFAULT: u16 = 100;
/// How many accounts have series of their own in the metrics: those that have moved most.
pub const METRICS_ACCOUNTS: usize = 10_000;
/// For how long metrics that were gathered are shown again, so that no number of scrapes costs more than one.
pub const METRICS_AGE: Duration = Duration::from_secs(1);
/// The most webhooks.
pub const WEBHOOKS: usize = 16;
/// The length of the key that a webhook's messages are signed with, in bytes.
pub const WEBHOOK_KEY: usize = 32;
/// How many messages may wait for a webhook; the oldest goes for the newest.
pub const WEBHOOK_QUEUE: usize = 1_000;
/// For how long a message is tried.
pub const WEBHOOK_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// The lowest port on which a server may listen; automatic choice begins one above it.
pub const LISTEN_PORT_FIRST: u16 = 51_820;
/// External ports that clients' packets may leave by: below every server's listen port.
pub const NAT_PORTS: RangeInclusive<u16> = 16_384..=51_819;
/// The fewest external ports that the operator may leave to clients: so many that each of the most workers has some.
pub const NAT_PORTS_MIN: u16 = 1_024;
/// The lowest port that needs no privilege; no client's packet leaves by one below (RFC 4787, REQ-3 (a)).
pub const PORT_UNPRIVILEGED: u16 = 1_024;
/// The highest bandwidth that can be set, in Mbit/s; 0 means unlimited.
pub const RATE_MAX: u16 = 10_000;
/// The largest tunnel MTU that the contract takes, in bytes.
pub const MTU_MAX: u16 = 9_100;
/// The tunnel MTU of a server that names none: what fits in an Ethernet frame over IPv6, in bytes.
pub const MTU_DEFAULT: u16 = 1_420;
/// The persistent keepalive of a new server's clients, in seconds.
pub const KEEP_ALIVE_DEFAULT: u32 = 25;
/// The first account's mark; each further one takes the lowest free integer from here.
pub const MARK_FIRST: u32 = 100;
/// The length of a password that the appliance chooses, in characters.
pub const PASSWORD_LENGTH: usize = 10;
/// The longest password that is taken, in bytes.
pub const PASSWORD_MAX: usize = 256;
/// DNS servers of a new server's clients.
pub const DNS_DEFAULT: [Ipv4Addr; 2] = [Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(9, 9, 9, 9)];
/// Whom the resolver asks where neither the API nor the configuration names anybody.
pub const DNS_FORWARDERS: [Ipv4Addr; 2] = DNS_DEFAULT;
/// How long the resolver may remember an answer, in seconds.
pub const DNS_CACHE_TTL: RangeInclusive<u16> = 30..=3_600;
/// How long it remembers one at most where nobody says so, in seconds.
pub const DNS_CACHE_TTL_DEFAULT: u16 = 3_600;
/// How many of the names that were blocked most often are shown.
pub const DNS_MOST_BLOCKED: usize = 10;
/// Answers that the resolver remembers at most.
pub const DNS_CACHE_ENTRIES: usize = 65_536;
/// Memory that they take at most, in bytes.
pub const DNS_CACHE_BYTES: usize = 16 << 20;
/// How many accounts may exist where the operator names no cap: as many as clients of the API can count.
pub const ACCOUNTS_UNLIMITED: u32 = 2_147_483_647;
/// The port of the API and the panel.
pub const API_PORT: u16 = 8_098;
/// How slow an account is whose quota is used up, where nobody has set that.
pub const QUOTA_RATE_DEFAULT: Mbps = Mbps::new(1).unwrap();
/// Years for which traffic may be asked.
pub const YEARS: RangeInclusive<i16> = 1970..=9998;
/// How many days of traffic figures are kept by the hour, besides today.
pub const HOURLY_DAYS: i64 = 62;
/// As many months as a history may have that is counted: more than there are.
pub const MONTHS_COUNTED: u32 = 12 * 9_000;
/// Seconds since the last handshake within which a peer counts as online: what can be set.
pub const HANDSHAKE_UPTIME: RangeInclusive<u32> = 1..=300;
/// That span where nobody has set it: what WireGuard gives a session (its white paper, section 6.1).
pub const HANDSHAKE_UPTIME_DEFAULT: u32 = 180;
/// How often traffic figures are put on disk, in minutes: what can be set.
pub const TRAFFIC_FREQUENCY: RangeInclusive<u32> = 1..=1_440;
/// That span where nobody has set it, in minutes.
pub const TRAFFIC_FREQUENCY_DEFAULT: u32 = 5;
/// How many whole months of traffic figures are kept besides the present one: what can be set.
pub const TRAFFIC_HISTORY: RangeInclusive<u32> = 0..=2_147_483_647;
/// That number where nobody has set it.
pub const TRAFFIC_HISTORY_DEFAULT: u32 = 2;
/// Bytes of an access hash; clients see twice as many hex digits.
pub const ACCESS_HASH_BYTES: usize = 40;
/// How many access hashes a user may make for himself.
pub const ACCESS_OF_USER: usize = 16;
/// The longest label of an access hash, in bytes.
pub const LABEL_LENGTH: usize = 128;
/// How many backups are kept where nothing else is set.
pub const BACKUPS_DEFAULT: u32 = 10;
/// The last minute of an hour, and so of a schedule.
pub const MINUTE_LAST: u8 = 59;
/// The last hour of a day.
pub const HOUR_LAST: u8 = 23;
/// The port of FTP (RFC 959).
pub const FTP_PORT: u16 = 21;
/// The port of syslog over UDP (RFC 5426, section 3.3).
pub const SYSLOG_PORT: u16 = 514;
/// The longest text of a setting that has no bound of its own, in bytes.
pub const TEXT_LENGTH: usize = 1_024;
/// The largest archive that is looked into, and the most that it may hold unpacked, in bytes.
pub const ARCHIVE_BYTES: u64 = 1 << 30;

/// The largest body of a form, in bytes.
pub const FORM_BYTES: usize = 64 * 1024;
/// How much of a body that is too large, or that nobody wants, is taken off the wire before the answer, in bytes.
pub const BODY_DISCARDED: usize = 1024 * 1024;
/// The most fields of a form; the contract's largest has 41.
pub const FORM_FIELDS: usize = 256;
/// How often a neighbourhood may show a wrong access hash: so often at once, and so often a minute.
pub const WRONG_TRIES: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// How many neighbourhoods' wrong tries are remembered; a few MiB.
pub const WRONG_TRIES_REMEMBERED: usize = 65_536;
/// The most connections to the API at a time.
pub const CONNECTIONS: usize = 1_024;
/// The most connections of one neighbourhood (an IPv4 address or an IPv6 /64).
pub const CONNECTIONS_OF_ONE: usize = 64;
/// How long a client may take over the TLS handshake.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// How long a client may take over a request's head, and how long a connection may wait for its next request.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a client may take over a request's body.
pub const BODY_TIME: Duration = Duration::from_secs(30);
/// How long a client may leave an answer lying without taking a single byte of it.
pub const STALL_TIME: Duration = Duration::from_secs(30);
/// How long open requests may go on after the stop was asked for.
pub const STOP_TIME: Duration = Duration::from_millis(1_500);
/// The largest head of a request, in bytes.
pub const HEAD_BYTES: usize = 16 * 1024;
/// The most headers of a request.
pub const HEADERS: usize = 64;
/// The smallest tunnel MTU that is taken, in bytes: what every IPv4 host takes whole (RFC 791, section 3.1).
pub const MTU_MIN: u16 = 576;
/// The smallest tunnel MTU of a server with IPv6, in bytes (RFC 8200, section 5).
pub const MTU_MIN_IPV6: u16 = 1_280;
/// The longest keepalive that the contract takes, in seconds.
pub const KEEP_ALIVE_MAX: u32 = 2_147_483_647;
/// The longest keepalive that `wg` reads in a client's file, in seconds.
pub const KEEP_ALIVE_CLIENT_MAX: u32 = 65_535;
/// How many networks a server may have its clients route into the tunnel.
pub const ALLOWED_IPS_MAX: usize = 256;
/// How many free addresses are listed.
pub const AVAILABLE_IPS_MAX: usize = 65_536;
/// The shortest prefix of a server's network: one that holds 16 million clients.
pub const PREFIX_SHORTEST: u8 = 8;
/// The longest prefix of a server's network: one that holds the server and one client.
pub const PREFIX_LONGEST: u8 = 30;
/// The shortest prefix of a server's IPv6 network.
pub const PREFIX_SHORTEST_V6: u8 = 16;
/// The longest prefix of a server's IPv6 network.
pub const PREFIX_LONGEST_V6: u8 = 126;
/// The stem of an account's chosen name; a number follows.
pub const ACCOUNT_STEM: &str = "peer_";
/// The stem of a chosen username; a number follows.
pub const USERNAME_STEM: &str = "user_";
/// The first login of the panel.
pub const PANEL_USER_FIRST: &str = "admin";
/// The length of the first login's password, in characters.
pub const PANEL_PASSWORD_LENGTH: usize = 20;
/// The shortest password of a panel's user, in characters.
pub const PANEL_PASSWORD_MIN: usize = 10;
/// The most users of the panel.
pub const USERS: usize = 1_024;
/// How many sessions a user may have at a time; the oldest goes for the newest.
pub const SESSIONS_OF_USER: usize = 16;
/// Seconds for which a session may be idle.
pub const SESSION_IDLE: i64 = 12 * 60 * 60;
/// Seconds after which a session ends in any case.
pub const SESSION_LIFE: i64 = 30 * 24 * 60 * 60;
/// How much is kept of what a browser calls itself, in bytes.
pub const AGENT_LENGTH: usize = 256;
/// So many wrong tries in a row lock a user.
pub const LOGIN_TRIES: u32 = 5;
/// For how long, the first time; it doubles each time.
pub const LOGIN_LOCK: Duration = Duration::from_secs(60);
/// The longest lock.
pub const LOGIN_LOCK_MAX: Duration = Duration::from_secs(15 * 60);
/// After so long without a try, wrong ones are forgotten.
pub const LOGIN_MEMORY: Duration = Duration::from_secs(24 * 60 * 60);
/// How many names' wrong tries are told apart.
pub const LOGIN_PLACES: usize = 4_096;
/// How many passwords are hashed at a time: each takes 19 MiB.
pub const PASSWORDS_AT_ONCE: usize = 2;
/// How many recovery codes a user gets with a second factor.
pub const RECOVERY_CODES: usize = 10;
/// For how long a second factor that was offered can be confirmed.
pub const OFFER_TIME: Duration = Duration::from_secs(15 * 60);
/// The longest word for a language or a theme, in bytes.
pub const PREFERENCE_LENGTH: usize = 35;
/// The label of the first access hash.
pub const ACCESS_LABEL_FIRST: &str = "first_start";
/// The shortest span between two records of an access hash's last use, in seconds.
pub const LAST_LOGIN_GRAIN: i64 = 60;
/// The most firewall rules, the one that keeps the API reachable not counted.
pub const FILTER_RULES_MAX: usize = 16_384;
/// The highest place to which a rule may be moved: behind all others.
pub const RULE_PLACE_MAX: u16 = 16_384;
/// The most port forwards of a server.
pub const PORT_FORWARDS_MAX: usize = 1_024;
/// The bits of an RSA key of a certificate.
pub const RSA_BITS: RangeInclusive<usize> = 2_048..=4_096;
/// The largest certificate that is taken, in bytes of DER: it goes to clients whole, in an IKE message.
pub const CERTIFICATE_BYTES: usize = 8_192;
/// The longest text of a certificate's subject, in characters (RFC 5280, appendix A.1).
pub const SUBJECT_TEXT: usize = 64;
/// How long a certificate authority that is made here is valid, in years.
pub const AUTHORITY_YEARS: i16 = 10;
/// How long a server certificate is valid, in days: below the bound of 825 that Apple sets.
pub const SERVER_CERTIFICATE_DAYS: i32 = 824;
/// The longest string of proposals, in bytes.
pub const PROPOSALS_LENGTH: usize = 1_024;
/// The most proposals of a string.
pub const PROPOSALS_MAX: usize = 32;
/// The levels of a subsystem's log.
pub const DEBUG_LEVELS: RangeInclusive<i8> = -1..=4;
/// The highest number that the advanced settings take.
pub const IKE_NUMBER_MAX: u32 = 2_147_483_647;
/// Seconds of silence after which a client of IKEv2 is asked.
pub const DPD_DELAY: u32 = 300;
/// Seconds that an unanswered request of IKEv2 is repeated at most.
pub const DPD_TIMEOUT: u32 = 150;
/// Seconds without a packet after which a tunnel of IKEv2 ends.
pub const IKE_INACTIVITY: u32 = 86_400;
/// Seconds that an IKE SA lives.
pub const IKE_LIFETIME: u32 = 86_400;
/// How often rekeying is tried.
pub const KEYING_TRIES: u32 = 5;
/// Seconds that a CHILD SA lives.
pub const CHILD_LIFETIME: u32 = 3_600;
/// The longest life of a CHILD SA, in seconds.
pub const CHILD_LIFETIME_MAX: u32 = 86_400;
/// Seconds before its end at which an SA is rekeyed.
pub const REKEY_MARGIN: u32 = 600;
/// By how many percent of [`REKEY_MARGIN`] rekeying begins earlier at random.
pub const REKEY_FUZZ: u32 = 100;
/// Bytes of a one-time link's key; its address ends with twice as many hex digits.
pub const LINK_KEY_BYTES: usize = 40;
/// How many days a one-time link is open where nobody says so.
pub const LINK_LIFETIME_DEFAULT: u16 = 10;
/// The most days that a one-time link may be open.
pub const LINK_LIFETIME_MAX: u16 = 365;
/// The most open one-time links of an account: who makes them in a loop makes no more until some are used or end.
pub const LINKS_OF_ACCOUNT: usize = 16;
/// The most open one-time links of all accounts together: one for each of as many accounts as there may be.
pub const LINKS_MAX: usize = 100_000;
/// The longest piece of HTML or CSS of the page of a one-time link, in bytes: escaped it still fits into a form.
pub const LINK_HTML_LENGTH: usize = 16 * 1024;
/// The longest title and the longest label of that page, in bytes.
pub const LINK_LABEL_LENGTH: usize = 128;
/// How long before its end a certificate is renewed, at most, in seconds: thirty days.
pub const RENEW_BEFORE: i64 = 30 * 86_400;
/// The most certificates from the panel's own to its root.
pub const WEB_CHAIN: usize = 8;
/// The authority that is asked for certificates where nobody names another: Let's Encrypt.
pub const ACME_DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Where an authority looks for the proof of a name by HTTP (RFC 8555, section 8.3).
pub const ACME_PORT: u16 = 80;
/// The longest address to which a button of that page leads, in bytes.
pub const LINK_URL_LENGTH: usize = 1_024;
