//! Every reason to say no, with its text, word for word as the API's contract has it.
//!
//! No other file writes such a text: the contract test compares this list with the contract's.

use thiserror::Error;

/// What a client reads when the fault is ours; the cause is for the log alone.
pub const FAULT: &str = "Internal error";

/// A request that is understood and refused; its `Display` is what the client reads.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The caller showed no valid access hash, or not from the address that it was made for.
    #[error("Not authorized")]
    NotAuthorized,
    /// The appliance is still bringing up what the store asks for.
    #[error("PUQVPNCP status not OK")]
    StatusNotOk,

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
    /// Beyond the contract: no access hash has this label.
    #[error("Access not found")]
    AccessNotFound,
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
