//! Every reason to say no, with its text, word for word as the API's contract has it.
//!
//! No other file writes such a text: the contract test compares this list with the contract's.

use thiserror::Error;

use super::rate::Mbps;

/// What a client reads when the fault is ours; the cause is for the log alone.
pub const FAULT: &str = "Internal error";

/// A request that is understood and refused; its `Display` is what the client reads.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The caller showed no valid access hash, or not from the address that it was made for.
    #[error("Not authorized")]
    NotAuthorized,
    /// Beyond the contract: something was sent in the name of somebody who is logged in, and not by a page of that session.
    #[error("The page was not of this session. Load it again")]
    PageForged,
    /// The appliance is still bringing up what the store asks for.
    #[error("PUQVPNCP status not OK")]
    StatusNotOk,

    /// How often traffic is put on disk is no number of minutes that can be.
    #[error("Incorrect value Traffic Statistics Frequency (should be 1 to 2147483647)")]
    TrafficFrequencyMalformed,
    /// How long traffic is kept is no number of months that can be.
    #[error("Incorrect value Traffic Statistics History (should be 0 to 2147483647)")]
    TrafficHistoryMalformed,
    /// How long a peer counts as online is no number of seconds that can be.
    #[error("Incorrect value Wireguard Handshake Uptime (should be 1 to 300)")]
    HandshakeUptimeMalformed,

    /// No server has this name.
    #[error("Wireguard server not found")]
    ServerNotFound,
    /// An account names a server that does not exist.
    #[error("Wireguard server not valid")]
    ServerNotValid,
    /// Another server or account has this name.
    #[error("The name is already in use")]
    NameTaken,
    /// A name holds something else than letters, digits, `_` and `-`, or is reserved.
    #[error("Wrong name (only letters, numbers and '_', '-')")]
    NameMalformed,
    /// An interface name that is not `wg` and a number.
    #[error("Wrong network interface name (wgXXX)")]
    InterfaceMalformed,
    /// Another server has this interface name.
    #[error("Interface already in use")]
    InterfaceTaken,
    /// A key is not 32 bytes of base64, or the public key is not the private key's.
    #[error("Keys are invalid")]
    KeysInvalid,
    /// Another server listens on this port.
    #[error("Port already in use")]
    PortTaken,
    /// A port that is no number, or out of bounds.
    #[error("Wrong Port format")]
    PortMalformed,
    /// An external address that is no address.
    #[error("Wrong external IP format")]
    ExternalIpMalformed,
    /// A server's network that is malformed or overlaps another server's.
    #[error("IP address or subnet already in use")]
    SubnetTaken,
    /// The first DNS server is no address.
    #[error("Wrong DNS1 IP format")]
    Dns1Malformed,
    /// The second DNS server is no address.
    #[error("Wrong DNS2 IP format")]
    Dns2Malformed,
    /// A server that still has accounts.
    #[error("Cannot be deleted. There are active peers.")]
    ServerHasPeers,

    /// No account has this name.
    #[error("Account not found")]
    AccountNotFound,
    /// The operator's cap on accounts is reached.
    #[error("VPN account limit exceeded")]
    AccountLimitExceeded,
    /// A year of traffic that is none.
    #[error("Wrong year setting")]
    YearMalformed,
    /// A month of traffic that is none.
    #[error("Wrong month setting")]
    MonthMalformed,
    /// Another account has this username.
    #[error("The username is already in use")]
    UsernameTaken,
    /// A username holds something else than letters, digits, `_` and `-`.
    #[error("Wrong Username (only letters, numbers and '_', '-')")]
    UsernameMalformed,
    /// An inner address that is no address.
    #[error("Wrong IP format")]
    AddressMalformed,
    /// Another account, or the server itself, has this inner address.
    #[error("IP address already in use")]
    AddressTaken,
    /// An inner address outside its server's network.
    #[error("The IP address is not within the range of the wireguard server")]
    AddressOutOfRange,

    /// A firewall rule's name that is malformed.
    #[error("Wrong rule name. Must be letters and numbers only")]
    RuleNameMalformed,
    /// Another firewall rule has this name.
    #[error("A rule with the same name already exists")]
    RuleNameTaken,
    /// A chain that is none of the three.
    #[error("Not correct Chain")]
    ChainMalformed,
    /// A rule's destination that is no network.
    #[error("Destination IP must be in CIDR format")]
    DestinationMalformed,
    /// A rule's source that is no network.
    #[error("Source IP must be in CIDR format")]
    SourceMalformed,
    /// No firewall rule has this name.
    #[error("No rule found with given name")]
    RuleNotFound,
    /// The rule that keeps the API reachable is to go.
    #[error("You cannot delete this rule. ONLY name=system_PUQVPNCP")]
    RuleIsSystem,
    /// A policy of INPUT that is neither of the two.
    #[error("Wrong parameter: INPUT policy, should be: ACCEPT or DROP")]
    PolicyInputMalformed,
    /// A policy of FORWARD that is neither of the two.
    #[error("Wrong parameter: FORWARD policy, should be: ACCEPT or DROP")]
    PolicyForwardMalformed,
    /// A policy of OUTPUT that is neither of the two.
    #[error("Wrong parameter: OUTPUT policy, should be: ACCEPT or DROP")]
    PolicyOutputMalformed,

    /// A port forward of a protocol without ports.
    #[error("Protocol must be tcp or udp")]
    ForwardProtocolMalformed,
    /// A port to be forwarded that is none.
    #[error("DST port must be within 1-65535")]
    ForwardPortMalformed,
    /// The port is forwarded already, or is the API's.
    #[error("DST port and protocol are already enabled")]
    ForwardTaken,
    /// A server listens on the port that is to be forwarded.
    #[error("DstPort cannot be ListenPort")]
    ForwardIsListenPort,
    /// A client's port that is none.
    #[error("To port must be within 1-65535")]
    ForwardToPortMalformed,
    /// The client is no account of the server.
    #[error("Entered incorrect peer")]
    ForwardPeerUnknown,
    /// The server forwards no such port.
    #[error("There is no such port forwarding")]
    ForwardNotFound,
    /// A path that names no protocol with ports.
    #[error("Incorrect protocol parameter (tcp|udp)")]
    ForwardPathProtocol,
    /// A path that names no port.
    #[error("Incorrect dst_port parameter")]
    ForwardPathPort,

    /// The resolver's first forwarder is no address that can be asked.
    #[error("Incorrect data in Forwarder1 parameters")]
    Forwarder1Malformed,
    /// The resolver's second forwarder is no address that can be asked.
    #[error("Incorrect data in Forwarder2 parameters")]
    Forwarder2Malformed,

    /// Records go to a syslog server that is not named.
    #[error("Remote Syslog Server must be filled")]
    SyslogServerMissing,
    /// Records go to an `InfluxDB` server that is not named.
    #[error("InfluxDB Url must be filled")]
    InfluxDbUrlMissing,
    /// Records go to an `InfluxDB` server that lets nobody write.
    #[error("InfluxDB Token must be filled")]
    InfluxDbTokenMissing,
    /// Records go to no bucket.
    #[error("InfluxDB Bucket must be filled")]
    InfluxDbBucketMissing,
    /// Records go to nobody's bucket.
    #[error("InfluxDB Organization must be filled")]
    InfluxDbOrganizationMissing,
    /// Traffic is logged to nowhere.
    #[error("At least one logging method must be enabled (Remote Syslog or/and InfluxDB)")]
    NoLoggingMethod,

    /// A minute of the hourly backup that no clock shows.
    #[error("In every hour schedule, the minute parameter must be between 0 and 59")]
    HourlyMinute,
    /// An hour of the daily backup that no clock shows.
    #[error("In the daily schedule, the hour parameter must be between 0 and 23")]
    DailyHour,
    /// A minute of the daily backup that no clock shows.
    #[error("In a daily schedule, the minute parameter must be between 0 and 59")]
    DailyMinute,
    /// No backup would be kept.
    #[error("Number backups parameter must be greater than 0")]
    BackupsTooFew,
    /// Copies go to an FTP server that is not named.
    #[error("FTP server must be filled")]
    FtpServerMissing,
    /// Copies go to an FTP server with no user.
    #[error("FTP user must be filled")]
    FtpUserMissing,
    /// Copies go to an FTP server with no password.
    #[error("FTP password must be filled")]
    FtpPasswordMissing,
    /// A backup could not be made.
    #[error("Error backup creation: {0}")]
    BackupFailed(String),
    /// A backup was made and its copy did not arrive.
    #[error("FTP upload error: {0}")]
    FtpUploadFailed(String),
    /// Beyond the contract: as before, at the S3 store.
    #[error("S3 upload error: {0}")]
    S3UploadFailed(String),
    /// Beyond the contract: an archive that is brought has a name that is taken.
    #[error("There is already a backup with this name")]
    BackupTaken,
    /// No backup has this name.
    #[error("There is no backup with this name")]
    BackupNotFound,
    /// A backup's file, or its list of files, cannot be read.
    #[error("Error backup reader: {0}")]
    BackupUnreadable(String),
    /// A backup whose list of files is empty or missing.
    #[error("Empty list of files in file with file list")]
    BackupListEmpty,
    /// A backup that holds nothing.
    #[error("Empty archive")]
    BackupEmpty,
    /// A backup with more or fewer files than its list names.
    #[error("The number of files in the archive does not match the list of files in the file")]
    BackupCountMismatch,
    /// A backup with other files than its list names.
    #[error("Mismatch between files in archive and list of files")]
    BackupListMismatch,
    /// The state as it is could not be replaced.
    #[error("Unable to delete old configuration: {0}")]
    RestoreCommit(String),
    /// A backup that is no archive.
    #[error("Failed to open archive, ERROR: {0}")]
    BackupNoArchive(String),
    /// The folder for what is kept before a restore cannot be made.
    #[error("Failed to create folder: {0}")]
    RestoreFolder(String),
    /// What is to be kept before a restore cannot be written.
    #[error("Failed to create file: {0}")]
    RestoreFile(String),
    /// A file of a backup that is damaged, or holds what cannot be.
    #[error("Failed to unzip file: {0}")]
    BackupDamaged(String),

    /// There is a certificate authority already.
    #[error("The root certificate is already in the system")]
    RootPresent,
    /// There is no certificate authority, says the generation of a server's certificate.
    #[error("The root certificate is not present in the system")]
    RootAbsent,
    /// There is no certificate authority, says everything else.
    #[error("The ROOT certificate is not present in the system")]
    RootMissing,
    /// There is no server certificate.
    #[error("The SERVER certificate is not present in the system")]
    ServerCertificateMissing,
    /// An import without a certificate.
    #[error("CaCert must be filled")]
    CaCertMissing,
    /// An import without a key.
    #[error("CaKey must be filled")]
    CaKeyMissing,
    /// A text that holds no certificate.
    #[error("Certificate not found")]
    CertificateNotFound,
    /// A certificate that can be no authority, or a key that is not its own.
    #[error("Certificate failed")]
    CertificateFailed,
    /// A certificate for nobody.
    #[error("Common Name must be filled")]
    CommonNameMissing,
    /// A certificate for no organization.
    #[error("Organization must be filled")]
    OrganizationMissing,
    /// A server certificate without a domain.
    #[error("Server Domain must be filled")]
    ServerDomainMissing,
    /// A server certificate without an address.
    #[error("Server IP must be filled")]
    ServerIpMissing,
    /// Advanced settings without proposals for tunnels.
    #[error("Esp must be filled")]
    EspMissing,
    /// Advanced settings without proposals for IKE.
    #[error("Ike must be filled")]
    IkeMissing,

    /// Beyond the contract: as many firewall rules as there may be.
    #[error("Firewall rule limit exceeded")]
    RulesExceeded,
    /// Beyond the contract: a change of the firewall that would close the API to whoever asks for it.
    #[error("This would close the API to your own address")]
    LocksOut,
    /// Beyond the contract: as many port forwards as a server may have.
    #[error("Port forwarding limit exceeded")]
    ForwardsExceeded,
    /// Beyond the contract: a field whose value has no text of its own there.
    #[error("Incorrect value {field} (should be {rule})")]
    FieldMalformed {
        /// The field's name as the form has it.
        field: &'static str,
        /// What would have been accepted.
        rule: &'static str,
    },
    /// Beyond the contract: a day of traffic that is none.
    #[error("Wrong day setting")]
    DayMalformed,
    /// Beyond the contract: a field that a form does not have.
    #[error("Unknown field {field}")]
    FieldUnknown {
        /// The field's name as it came, or the beginning of it.
        field: String,
    },
    /// Beyond the contract: as many open one-time links as an account, or the appliance, may have.
    #[error("One-time link limit exceeded")]
    LinksExceeded,
    /// Beyond the contract: no webhook has this name.
    #[error("Webhook not found")]
    WebhookNotFound,
    /// Beyond the contract: as many webhooks as there may be.
    #[error("Webhook limit exceeded")]
    WebhooksExceeded,
    /// Beyond the contract: a message that did not arrive.
    #[error("Webhook error: {0}")]
    WebhookFailed(String),
    /// Beyond the contract: a collector of the traffic log that does not take a record.
    #[error("Traffic log error: {0}")]
    TrafficLogFailed(String),
    /// Beyond the contract: an authority that gave no certificate.
    #[error("Certificate error: {0}")]
    CertificateNotIssued(String),
    /// Beyond the contract: the certificate of the API and the panel is named by the configuration.
    #[error("The certificate is set in the configuration")]
    CertificateConfigured,
    /// Beyond the contract: no access hash has this label.
    #[error("Access not found")]
    AccessNotFound,
    /// Beyond the contract: the caller is known and may not do this.
    #[error("Not allowed")]
    NotAllowed,
    /// Beyond the contract: a login with an unknown name, a wrong password or a wrong code, which all look alike.
    #[error("Wrong name, password or code")]
    LoginWrong,
    /// Beyond the contract: name and password are right, and the user has a second factor.
    #[error("A code of the second factor is required")]
    LoginCodeWanted,
    /// Beyond the contract: too many wrong tries, of a user or from an address.
    #[error("Too many wrong tries, try again in {seconds} seconds")]
    LoginLocked {
        /// For how long, in seconds.
        seconds: u64,
    },
    /// Beyond the contract: a change of what protects a login, with a wrong password.
    #[error("Wrong password")]
    PasswordWrong,
    /// Beyond the contract: a code that was to confirm a second factor and is wrong.
    #[error("Wrong code")]
    CodeWrong,
    /// Beyond the contract: there is no second factor to be confirmed or removed.
    #[error("No second factor")]
    SecondFactorMissing,
    /// Beyond the contract: there is a second factor already.
    #[error("There is a second factor already")]
    SecondFactorPresent,
    /// Beyond the contract: a user's name holds something else than letters, digits, `_`, `-`, `.` and `@`, or is reserved.
    #[error("Wrong user name (only letters, numbers and '_', '-', '.', '@')")]
    UserNameMalformed,
    /// Beyond the contract: a reseller asks for more bandwidth than it may give.
    #[error("Incorrect value {field} (should be 1 to {cap})")]
    AboveCap {
        /// The field's name as the form has it.
        field: &'static str,
        /// The most that it may give, in Mbit/s.
        cap: Mbps,
    },
    /// Beyond the contract: the accounts of a reseller have moved all that they may this month.
    #[error("Traffic limit exceeded")]
    TrafficCapReached,
    /// Beyond the contract: no user has this name.
    #[error("User not found")]
    UserNotFound,
    /// Beyond the contract: as many users as there may be.
    #[error("User limit exceeded")]
    UsersExceeded,
    /// Beyond the contract: as many access hashes of a user's own as there may be.
    #[error("Access hash limit exceeded")]
    AccessExceeded,
    /// Beyond the contract: the only admin is to go, or to be something else.
    #[error("The last admin can be neither removed nor demoted")]
    LastAdmin,
    /// Beyond the contract: the user has no such session.
    #[error("Session not found")]
    SessionNotFound,
    /// Beyond the contract: every address of the server's network is taken.
    #[error("No free IP address in the range of the wireguard server")]
    PoolExhausted,
    /// Beyond the contract: a path that names nothing.
    #[error("Not found")]
    PathUnknown,
    /// Beyond the contract: a path that does not take this method.
    #[error("Method not allowed")]
    MethodNotAllowed,
    /// Beyond the contract: a body larger than any form needs.
    #[error("Request body too large")]
    BodyTooLarge,
    /// Beyond the contract: a body that is not a form.
    #[error("Malformed request body")]
    BodyMalformed,
    /// Beyond the contract: too many wrong tries or requests from one address.
    #[error("Too many requests")]
    TooManyRequests,
}
