//! What to ask so that an endpoint succeeds, and so that it refuses with each of its texts.
//!
//! Every world is furnished: the server `Default_1` with the accounts `peer_1` and `peer_2`, and the empty server `spare`.

/// A path below `/api/v1` and a form.
pub(crate) type Asked = (&'static str, &'static str);

/// For each endpoint a request that succeeds in a furnished world.
pub(crate) const SUCCESSES: &[(&str, Asked)] = &[
    ("system_status", ("system/status", "")),
    ("system_info", ("system/info", "")),
    ("system_reload", ("system/reload", "")),
    ("wireguard_info", ("wireguard/info", "")),
    ("wireguard_list", ("wireguard", "")),
    ("wireguard_add", ("wireguard", "")),
    ("wireguard_edit", ("wireguard/Default_1", "listen_port=52000")),
    ("wireguard_delete", ("wireguard/spare", "")),
    ("wireguard_detail", ("wireguard/Default_1", "")),
    ("wireguard_peers", ("wireguard/Default_1/peers", "")),
    ("server_dump", ("wireguard/Default_1/dump", "")),
    ("server_available_ips", ("wireguard/Default_1/available_ips", "")),
    ("server_set_bandwidth", ("wireguard/Default_1/set_bandwidth", "b_download=10&b_upload=20")),
    ("wireguard_online", ("wireguard/online", "")),
    ("account_list", ("account", "")),
    ("account_detail", ("account/peer_1", "")),
    ("account_add", ("account", "wg_name=Default_1")),
    ("account_edit", ("account/peer_1", "status=disable")),
    ("account_delete", ("account/peer_1", "")),
    ("account_config_text", ("account/peer_1/config_text", "")),
    ("account_config_qr", ("account/peer_1/config_qr", "")),
    ("account_dump", ("account/peer_1/dump", "")),
    ("port_forward_list", ("wireguard/Default_1/port_forward", "")),
    (
        "port_forward_add",
        ("wireguard/Default_1/port_forwarding", "dst_port=23&protocol=udp&to_peer=peer_1&to_port=325"),
    ),
    ("port_forward_delete", ("wireguard/Default_1/port_forwarding/123/tcp", "")),
    ("server_nat_rules", ("wireguard/Default_1/firewall_nat_rules", "")),
    ("server_filter_rules", ("wireguard/Default_1/firewall_filter_rules", "")),
    ("server_traffic_control", ("wireguard/Default_1/traffic_control", "")),
    ("account_mangle_rules", ("account/peer_1/firewall_mangle_rules", "")),
    ("account_traffic_control", ("account/peer_1/traffic_control", "")),
    ("firewall_info", ("firewall/info", "")),
    ("firewall_conf", ("firewall/conf", "")),
    ("firewall_conf_edit", ("firewall/conf", "ip_forward=1&internal_traffic=1&policy_forward=ACCEPT")),
    ("firewall_filter_list", ("firewall/rules/filter", "")),
    ("firewall_filter_add", ("firewall/rules/filter/top", RULE)),
    ("firewall_filter_delete", ("firewall/rules/filter/TEST", "")),
    ("dns", ("dns", "")),
    ("dns_edit", ("dns", "enabled=true&forwarders_1=77.87.125.10&forwarders_2=77.87.125.20&max_cache_ttl=300")),
    ("firewall_nat_list", ("firewall/rules/nat", "")),
    ("firewall_mangle_list", ("firewall/rules/mangle", "")),
];

/// A rule that can be.
const RULE: &str =
    "name=web&action=ACCEPT&chain=FORWARD&protocol=TCP&s_ip=10.0.0.0/24&s_port=0&d_ip=0.0.0.0/0&d_port=443";

const NO_SERVER: &str = "Wireguard server not found";
const NO_ACCOUNT: &str = "Account not found";
const NAME_TAKEN: &str = "The name is already in use";
const NAME_MALFORMED: &str = "Wrong name (only letters, numbers and '_', '-')";
const ADDRESS_TAKEN: &str = "IP address already in use";
const ADDRESS_OUTSIDE: &str = "The IP address is not within the range of the wireguard server";

/// For each text of each endpoint a request that is refused with it. Two texts need another world than the furnished
/// one: they are in [`ELSEWHERE`].
pub(crate) const REFUSALS: &[(&str, &str, Asked)] = &[
    ("dns_edit", "Incorrect data in Forwarder1 parameters", ("dns", "forwarders_1=1.1.1")),
    ("dns_edit", "Incorrect data in Forwarder2 parameters", ("dns", "forwarders_2=x")),
    ("wireguard_add", NAME_TAKEN, ("wireguard", "name=spare")),
    ("wireguard_add", "Wrong network interface name (wgXXX)", ("wireguard", "interface_name=eth0")),
    ("wireguard_add", NAME_MALFORMED, ("wireguard", "name=a+b")),
    ("wireguard_add", "Keys are invalid", ("wireguard", "private_key=abc")),
    ("wireguard_add", "Interface already in use", ("wireguard", "interface_name=wg1")),
    ("wireguard_add", "Port already in use", ("wireguard", "listen_port=51821")),
    ("wireguard_add", "Wrong external IP format", ("wireguard", "external_ip=1.2.3")),
    ("wireguard_add", "Wrong Port format", ("wireguard", "listen_port=80")),
    ("wireguard_add", "IP address or subnet already in use", ("wireguard", "address=10.0.0.77/24")),
    ("wireguard_add", "Wrong DNS1 IP format", ("wireguard", "dns_1=x")),
    ("wireguard_add", "Wrong DNS2 IP format", ("wireguard", "dns_2=x")),
    ("wireguard_edit", NO_SERVER, ("wireguard/nobody", "mtu=1400")),
    ("wireguard_edit", NAME_TAKEN, ("wireguard/Default_1", "name=spare")),
    ("wireguard_edit", "Wrong network interface name (wgXXX)", ("wireguard/Default_1", "interface_name=eth0")),
    ("wireguard_edit", NAME_MALFORMED, ("wireguard/Default_1", "name=a+b")),
    ("wireguard_edit", "Keys are invalid", ("wireguard/Default_1", "private_key=abc")),
    ("wireguard_edit", "Interface already in use", ("wireguard/Default_1", "interface_name=wg2")),
    ("wireguard_edit", "Port already in use", ("wireguard/Default_1", "listen_port=51822")),
    ("wireguard_edit", "Wrong external IP format", ("wireguard/Default_1", "external_ip=1.2.3")),
    ("wireguard_edit", "Wrong Port format", ("wireguard/Default_1", "listen_port=x")),
    ("wireguard_edit", "IP address or subnet already in use", ("wireguard/Default_1", "address=10.0.1.1/24")),
    ("wireguard_edit", "Wrong DNS1 IP format", ("wireguard/Default_1", "dns_1=x")),
    ("wireguard_edit", "Wrong DNS2 IP format", ("wireguard/Default_1", "dns_2=x")),
    ("wireguard_delete", NO_SERVER, ("wireguard/nobody", "")),
    ("wireguard_delete", "Cannot be deleted. There are active peers.", ("wireguard/Default_1", "")),
    ("wireguard_detail", NO_SERVER, ("wireguard/nobody", "")),
    ("wireguard_peers", NO_SERVER, ("wireguard/nobody/peers", "")),
    ("server_dump", NO_SERVER, ("wireguard/nobody/dump", "")),
    ("server_available_ips", NO_SERVER, ("wireguard/nobody/available_ips", "")),
    ("server_set_bandwidth", NO_SERVER, ("wireguard/nobody/set_bandwidth", "")),
    ("account_detail", NO_ACCOUNT, ("account/nobody", "")),
    ("account_add", "Wireguard server not valid", ("account", "wg_name=nobody")),
    ("account_add", NAME_MALFORMED, ("account", "wg_name=Default_1&name=a+b")),
    ("account_add", NAME_TAKEN, ("account", "wg_name=Default_1&name=peer_1")),
    ("account_add", "The username is already in use", ("account", "wg_name=Default_1&username=user_1")),
    (
        "account_add",
        "Wrong Username (only letters, numbers and '_', '-')",
        ("account", "wg_name=Default_1&username=a+b"),
    ),
    ("account_add", "Wrong IP format", ("account", "wg_name=Default_1&allowed_IPs=10.0.0")),
    ("account_add", ADDRESS_TAKEN, ("account", "wg_name=Default_1&allowed_IPs=10.0.0.2")),
    ("account_add", ADDRESS_OUTSIDE, ("account", "wg_name=Default_1&allowed_IPs=10.0.9.2")),
    ("account_add", "Keys are invalid", ("account", "wg_name=Default_1&public_key=abc")),
    ("account_edit", NO_ACCOUNT, ("account/nobody", "status=disable")),
    ("account_edit", "Wireguard server not valid", ("account/peer_1", "wg_name=nobody")),
    ("account_edit", "Wrong external IP format", ("account/peer_1", "allowed_IPs=10.0.0")),
    ("account_edit", ADDRESS_TAKEN, ("account/peer_1", "allowed_IPs=10.0.0.3")),
    ("account_edit", ADDRESS_OUTSIDE, ("account/peer_1", "allowed_IPs=10.0.9.2")),
    ("account_delete", NO_ACCOUNT, ("account/nobody", "")),
    ("account_config_text", NO_ACCOUNT, ("account/nobody/config_text", "")),
    ("account_config_qr", NO_ACCOUNT, ("account/nobody/config_qr", "")),
    ("account_dump", NO_ACCOUNT, ("account/nobody/dump", "")),
    ("port_forward_list", NO_SERVER, ("wireguard/nobody/port_forward", "")),
    (
        "port_forward_add",
        NO_SERVER,
        ("wireguard/nobody/port_forwarding", "dst_port=23&protocol=udp&to_peer=peer_1&to_port=325"),
    ),
    (
        "port_forward_add",
        "Protocol must be tcp or udp",
        (FORWARDS, "dst_port=23&protocol=icmp&to_peer=peer_1&to_port=1"),
    ),
    (
        "port_forward_add",
        "DST port must be within 1-65535",
        (FORWARDS, "dst_port=65536&protocol=udp&to_peer=peer_1&to_port=1"),
    ),
    (
        "port_forward_add",
        "DST port and protocol are already enabled",
        (FORWARDS, "dst_port=123&protocol=tcp&to_peer=peer_1&to_port=1"),
    ),
    (
        "port_forward_add",
        "DstPort cannot be ListenPort",
        (FORWARDS, "dst_port=51821&protocol=udp&to_peer=peer_1&to_port=1"),
    ),
    (
        "port_forward_add",
        "To port must be within 1-65535",
        (FORWARDS, "dst_port=23&protocol=udp&to_peer=peer_1&to_port=0"),
    ),
    ("port_forward_add", "Entered incorrect peer", (FORWARDS, "dst_port=23&protocol=udp&to_peer=nobody&to_port=1")),
    ("port_forward_delete", NO_SERVER, ("wireguard/nobody/port_forwarding/123/tcp", "")),
    ("port_forward_delete", "There is no such port forwarding", ("wireguard/Default_1/port_forwarding/123/udp", "")),
    (
        "port_forward_delete",
        "Incorrect protocol parameter (tcp|udp)",
        ("wireguard/Default_1/port_forwarding/123/icmp", ""),
    ),
    ("port_forward_delete", "Incorrect dst_port parameter", ("wireguard/Default_1/port_forwarding/x/tcp", "")),
    ("server_nat_rules", NO_SERVER, ("wireguard/nobody/firewall_nat_rules", "")),
    ("server_filter_rules", NO_SERVER, ("wireguard/nobody/firewall_filter_rules", "")),
    ("server_traffic_control", NO_SERVER, ("wireguard/nobody/traffic_control", "")),
    ("account_mangle_rules", NO_ACCOUNT, ("account/nobody/firewall_mangle_rules", "")),
    ("account_traffic_control", NO_ACCOUNT, ("account/nobody/traffic_control", "")),
    (
        "firewall_conf_edit",
        "Wrong parameter: INPUT policy, should be: ACCEPT or DROP",
        ("firewall/conf", "policy_input=REJECT"),
    ),
    (
        "firewall_conf_edit",
        "Wrong parameter: FORWARD policy, should be: ACCEPT or DROP",
        ("firewall/conf", "policy_forward=REJECT"),
    ),
    (
        "firewall_conf_edit",
        "Wrong parameter: OUTPUT policy, should be: ACCEPT or DROP",
        ("firewall/conf", "policy_output=REJECT"),
    ),
    ("firewall_filter_add", "Wrong rule name. Must be letters and numbers only", (RULES, "name=a-b")),
    ("firewall_filter_add", "A rule with the same name already exists", (RULES, "name=TEST")),
    ("firewall_filter_add", "Not correct Chain", (RULES, "name=web&action=DROP&chain=POSTROUTING")),
    (
        "firewall_filter_add",
        "Destination IP must be in CIDR format",
        (RULES, "name=web&action=DROP&chain=INPUT&protocol=TCP&d_ip=10.0.0.0/33"),
    ),
    (
        "firewall_filter_add",
        "Source IP must be in CIDR format",
        (RULES, "name=web&action=DROP&chain=INPUT&protocol=TCP&d_ip=10.0.0.0/8&s_ip=x"),
    ),
    ("firewall_filter_delete", "No rule found with given name", ("firewall/rules/filter/nobody", "")),
    (
        "firewall_filter_delete",
        "You cannot delete this rule. ONLY name=system_PUQVPNCP",
        ("firewall/rules/filter/system_PUQVPNCP", ""),
    ),
];

const FORWARDS: &str = "wireguard/Default_1/port_forwarding";
const RULES: &str = "firewall/rules/filter/end";

/// Texts that are reached in a world of their own; each has its own test.
pub(crate) const ELSEWHERE: &[(&str, &str)] =
    &[("account_add", "VPN account limit exceeded"), ("system_reload", "PUQVPNCP status not OK")];

/// Texts that the documentation lists and no request can reach, with the reason. May only shrink.
pub(crate) const UNREACHABLE: &[(&str, &str, &str)] = &[
    ("dns", "The license is not active", "this software needs no licence"),
    ("wireguard_add", NO_SERVER, "it names no server that exists; check and write are one transaction"),
    ("account_add", NO_ACCOUNT, "it names no account that exists; check and write are one transaction"),
    ("port_forward_add", "ListenPort processing error", "a server's listen port is a number, not text to be processed"),
];
