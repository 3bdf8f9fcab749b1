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
    ("system_config", ("system/config", "")),
    ("system_config_edit", ("system/config", "traffic_statistics_frequency=10&wireguard_handshake_uptime=300")),
    ("system_config_default", ("system/config/default", "")),
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
    ("account_traffic_statistics", ("account/peer_1/traffic_statistics/2022/11", "")),
    ("license", ("license", "")),
    ("firewall_info", ("firewall/info", "")),
    ("firewall_conf", ("firewall/conf", "")),
    ("firewall_conf_edit", ("firewall/conf", "ip_forward=1&internal_traffic=1&policy_forward=ACCEPT")),
    ("firewall_filter_list", ("firewall/rules/filter", "")),
    ("firewall_filter_add", ("firewall/rules/filter/top", RULE)),
    ("firewall_filter_delete", ("firewall/rules/filter/TEST", "")),
    ("dns", ("dns", "")),
    ("dns_edit", ("dns", "enabled=true&forwarders_1=77.87.125.10&forwarders_2=77.87.125.20&max_cache_ttl=300")),
    ("traffic_logging", ("traffic_logging", "")),
    ("traffic_logging_edit", (TRAFFIC_LOG, "enabled=1&enabled_remote_syslog=1&remote_syslog_server=192.0.2.7")),
    ("firewall_nat_list", ("firewall/rules/nat", "")),
    ("firewall_mangle_list", ("firewall/rules/mangle", "")),
    ("backups", ("backups", "")),
    ("backup_create", ("backups", "statistics=0")),
    ("backup_restore", ("backups/restore", "backup_name=whole.zip")),
    ("backup_download", ("backups/whole.zip", "")),
    ("backups_config", ("backups/config", "")),
    ("backups_config_edit", ("backups/config", "every_day=1&every_day_hour=13&number_backups=10")),
    ("account_ikev2_profile", ("account/peer_1/ikev2_profile", "")),
    ("ikev2_info", ("ikev2/info", "")),
    ("ikev2_config", ("ikev2/config", "")),
    ("ikev2_import_ca", IMPORT_CA),
    ("ikev2_generate_ca", ("ikev2/generate_ca_rsa", "ca_common_name=a&ca_organization=b&key_type=ecdsa256")),
    ("ikev2_delete_ca", ("ikev2/delete_ca_rsa", "")),
    ("ikev2_generate_server", GENERATE_SERVER),
    ("ikev2_delete_server", ("ikev2/delete_server_rsa", "")),
    ("ikev2_enable", ("ikev2", "enabled=1")),
    ("ikev2_advanced", (ADVANCED, "")),
    ("ikev2_advanced_edit", (ADVANCED, "ike=aes256-sha256-modp2048!&esp=aes256gcm16!&rekey=yes&lifetime=3600")),
    ("ikev2_advanced_default", ("ikev2/advanced_settings/default", "")),
    ("ikev2_online", ("ikev2/online", "")),
    ("ikev2_drop", ("ikev2/online/peer_1", "")),
    ("account_otl", ("account/peer_1/otl", "")),
    ("otl_config", ("otl/config", "")),
    ("otl_list", ("otl/list", "")),
    ("otl_config_wireguard", ("otl/config_wireguard", "")),
    ("otl_config_ikev2", ("otl/config_ikev2", "")),
];

/// The same for what the table has beyond the contract, where a form or a path is judged.
pub(crate) const BEYOND_SUCCESSES: &[(&str, Asked)] = &[
    ("account_connections", ("account/peer_1/connections", "")),
    ("account_ikev2_mobileconfig", ("account/peer_1/ikev2_mobileconfig", "")),
    ("account_ikev2_powershell", ("account/peer_1/ikev2_powershell", "")),
    ("account_otl_withdraw", ("account/peer_1/otl", "")),
    ("account_traffic_hourly", ("account/peer_1/traffic_hourly/2022/11/5", "")),
    ("audit", ("audit", "about=account&limit=10")),
    ("backup_delete", ("backups/whole.zip", "")),
    ("firewall_filter_move", ("firewall/rules/filter/TEST", "place=0")),
    ("local_access_add", ("local/v1/access", "label=billing&ip=192.0.2.7")),
    ("local_access_remove", ("local/v1/access/home", "")),
    ("local_account_config_qr_text", ("local/v1/account/peer_1/config_qr_text", "")),
    ("otl_config_edit", ("otl/config", "title=Your VPN&lifetime=3")),
    ("otl_config_ikev2_edit", ("otl/config_ikev2", "enable=1")),
    ("otl_config_wireguard_edit", ("otl/config_wireguard", "enable=1")),
    ("webhook_add", WEBHOOK),
    ("webhook_delete", ("webhooks/billing", "")),
    ("webhook_edit", ("webhooks/billing", "enabled=0")),
];

/// A webhook that nobody ever answers.
const WEBHOOK: Asked = ("webhooks", "name=billing&url=https://192.0.2.9/hook");

/// What must have been asked before an endpoint succeeds: each step with its id.
pub(crate) const BEFORE: &[(&str, &[(&str, Asked)])] = &[
    ("account_ikev2_mobileconfig", BOTH_CERTIFICATES),
    ("account_ikev2_powershell", BOTH_CERTIFICATES),
    ("webhook_delete", &[("webhook_add", WEBHOOK)]),
    ("webhook_edit", &[("webhook_add", WEBHOOK)]),
    ("account_ikev2_profile", BOTH_CERTIFICATES),
    ("ikev2_config", BOTH_CERTIFICATES),
    ("ikev2_delete_ca", BOTH_CERTIFICATES),
    ("ikev2_generate_server", &[("ikev2_import_ca", IMPORT_CA)]),
    ("ikev2_delete_server", BOTH_CERTIFICATES),
    ("ikev2_enable", BOTH_CERTIFICATES),
];

/// What [`BEFORE`] has for those who need an authority and a server's certificate.
const BOTH_CERTIFICATES: &[(&str, Asked)] =
    &[("ikev2_import_ca", IMPORT_CA), ("ikev2_generate_server", GENERATE_SERVER)];

/// A root and its key, raw as clients send them: a `+` arrives as a blank.
pub(crate) const IMPORT_CA: Asked = (
    "ikev2/import_ca_rsa",
    concat!("ca_cert=", include_str!("../support/ikev2/rsa.crt"), "&ca_key=", include_str!("../support/ikev2/rsa.key")),
);

/// A root with the key of another.
const MISMATCHED_CA: &str =
    concat!("ca_cert=", include_str!("../support/ikev2/rsa.crt"), "&ca_key=", include_str!("../support/ikev2/ec.key"));

/// A server's certificate that is made fast.
const GENERATE_SERVER: Asked = (
    "ikev2/generate_server_rsa",
    "server_domain=vpn.test.test&server_ip=172.16.0.1&server_common_name=TEST_CN&server_organization=TEST_O\
     &server_country_name=TEST_S&key_type=ecdsa256",
);

const ADVANCED: &str = "ikev2/advanced_settings";

/// A rule that can be.
const RULE: &str =
    "name=web&action=ACCEPT&chain=FORWARD&protocol=TCP&s_ip=10.0.0.0/24&s_port=0&d_ip=0.0.0.0/0&d_port=443";

const NO_SERVER: &str = "Wireguard server not found";
const NO_ACCOUNT: &str = "Account not found";
const NAME_TAKEN: &str = "The name is already in use";
const NAME_MALFORMED: &str = "Wrong name (only letters, numbers and '_', '-')";
const ADDRESS_TAKEN: &str = "IP address already in use";
const ADDRESS_OUTSIDE: &str = "The IP address is not within the range of the wireguard server";

/// For each text of each endpoint a request that is refused with it. Some need another world than the furnished one: they
/// are in [`ELSEWHERE`].
pub(crate) const REFUSALS: &[(&str, &str, Asked)] = &[
    (
        "system_config_edit",
        "Incorrect value Traffic Statistics Frequency (should be 1 to 2147483647)",
        ("system/config", "traffic_statistics_frequency=1441"),
    ),
    (
        "system_config_edit",
        "Incorrect value Traffic Statistics History (should be 0 to 2147483647)",
        ("system/config", "traffic_statistics_history=-1"),
    ),
    (
        "system_config_edit",
        "Incorrect value Wireguard Handshake Uptime (should be 1 to 300)",
        ("system/config", "wireguard_handshake_uptime=301"),
    ),
    ("dns_edit", "Incorrect data in Forwarder1 parameters", ("dns", "forwarders_1=1.1.1")),
    ("dns_edit", "Incorrect data in Forwarder2 parameters", ("dns", "forwarders_2=x")),
    ("traffic_logging_edit", "Remote Syslog Server must be filled", (TRAFFIC_LOG, "enabled_remote_syslog=1")),
    ("traffic_logging_edit", "InfluxDB Url must be filled", (TRAFFIC_LOG, "enabled_influxdb=1")),
    (
        "traffic_logging_edit",
        "InfluxDB Token must be filled",
        (TRAFFIC_LOG, "enabled_influxdb=1&influxdb_url=http://192.0.2.7:8086"),
    ),
    (
        "traffic_logging_edit",
        "InfluxDB Bucket must be filled",
        (TRAFFIC_LOG, "enabled_influxdb=1&influxdb_url=http://192.0.2.7:8086&influxdb_token=a"),
    ),
    (
        "traffic_logging_edit",
        "InfluxDB Organization must be filled",
        (TRAFFIC_LOG, "enabled_influxdb=1&influxdb_url=http://192.0.2.7:8086&influxdb_token=a&influxdb_bucket=b"),
    ),
    (
        "traffic_logging_edit",
        "At least one logging method must be enabled (Remote Syslog or/and InfluxDB)",
        (TRAFFIC_LOG, "enabled=1"),
    ),
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
    ("account_otl", NO_ACCOUNT, ("account/nobody/otl", "")),
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
    ("account_traffic_statistics", NO_ACCOUNT, ("account/nobody/traffic_statistics/2022/11", "")),
    ("account_traffic_statistics", "Wrong month setting", ("account/peer_1/traffic_statistics/2022/13", "")),
    ("account_traffic_statistics", "Wrong year setting", ("account/peer_1/traffic_statistics/x/11", "")),
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
    ("backup_restore", "There is no backup with this name", ("backups/restore", "backup_name=nothing.zip")),
    (
        "backups_config_edit",
        "In every hour schedule, the minute parameter must be between 0 and 59",
        (BACKUPS, "every_hour_minute=60"),
    ),
    (
        "backups_config_edit",
        "In the daily schedule, the hour parameter must be between 0 and 23",
        (BACKUPS, "every_day_hour=24"),
    ),
    (
        "backups_config_edit",
        "In a daily schedule, the minute parameter must be between 0 and 59",
        (BACKUPS, "every_day_minute=60"),
    ),
    ("backups_config_edit", "Number backups parameter must be greater than 0", (BACKUPS, "number_backups=0")),
    ("backups_config_edit", "FTP server must be filled", (BACKUPS, "backup_to_ftp=1")),
    ("backups_config_edit", "FTP user must be filled", (BACKUPS, "backup_to_ftp=1&ftp_server=a.example")),
    (
        "backups_config_edit",
        "FTP password must be filled",
        (BACKUPS, "backup_to_ftp=1&ftp_server=a.example&ftp_user=u"),
    ),
    ("account_ikev2_profile", NO_ACCOUNT, ("account/nobody/ikev2_profile", "")),
    ("ikev2_import_ca", "CaCert must be filled", ("ikev2/import_ca_rsa", "ca_key=x")),
    ("ikev2_import_ca", "CaKey must be filled", ("ikev2/import_ca_rsa", "ca_cert=x")),
    ("ikev2_import_ca", "Certificate not found", ("ikev2/import_ca_rsa", "ca_cert=x&ca_key=x")),
    ("ikev2_import_ca", "Certificate failed", ("ikev2/import_ca_rsa", MISMATCHED_CA)),
    ("ikev2_generate_ca", "Common Name must be filled", ("ikev2/generate_ca_rsa", "ca_organization=a")),
    ("ikev2_generate_ca", "Organization must be filled", ("ikev2/generate_ca_rsa", "ca_common_name=a")),
    ("ikev2_delete_ca", NO_ROOT, ("ikev2/delete_ca_rsa", "")),
    ("ikev2_generate_server", "The root certificate is not present in the system", GENERATE_SERVER),
    ("ikev2_delete_server", NO_ROOT, ("ikev2/delete_server_rsa", "")),
    ("ikev2_enable", NO_ROOT, ("ikev2", "enabled=1")),
    ("ikev2_advanced_edit", "Esp must be filled", (ADVANCED, "ike=aes256-sha256-modp2048!&esp=")),
    ("ikev2_advanced_edit", "Ike must be filled", (ADVANCED, "esp=aes256-sha256!")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug dmn (should be -1 to 4)", (ADVANCED, "charondebug_dmn=5")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug mgr (should be -1 to 4)", (ADVANCED, "charondebug_mgr=5")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug ike (should be -1 to 4)", (ADVANCED, "charondebug_ike=5")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug chd (should be -1 to 4)", (ADVANCED, "charondebug_chd=5")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug job (should be -1 to 4)", (ADVANCED, "charondebug_job=5")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug cfg (should be -1 to 4)", (ADVANCED, "charondebug_cfg=5")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug knl (should be -1 to 4)", (ADVANCED, "charondebug_knl=5")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug net (should be -1 to 4)", (ADVANCED, "charondebug_net=5")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug asn (should be -1 to 4)", (ADVANCED, "charondebug_asn=5")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug enc (should be -1 to 4)", (ADVANCED, "charondebug_enc=5")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug lib (should be -1 to 4)", (ADVANCED, "charondebug_lib=5")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug esp (should be -1 to 4)", (ADVANCED, "charondebug_esp=5")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug tls (should be -1 to 4)", (ADVANCED, "charondebug_tls=5")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug tnc (should be -1 to 4)", (ADVANCED, "charondebug_tnc=5")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug imc (should be -1 to 4)", (ADVANCED, "charondebug_imc=5")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug imv (should be -1 to 4)", (ADVANCED, "charondebug_imv=5")),
    ("ikev2_advanced_edit", "Incorrect value Charondebug pts (should be -1 to 4)", (ADVANCED, "charondebug_pts=5")),
    (
        "ikev2_advanced_edit",
        "Incorrect value Uniqueids (should be yes|no|never|replace|keep)",
        (ADVANCED, "uniqueids=x"),
    ),
    (
        "ikev2_advanced_edit",
        "Incorrect value Strictcrlpolicy (should be yes|no|ifuri)",
        (ADVANCED, "strictcrlpolicy=x"),
    ),
    (
        "ikev2_advanced_edit",
        "Incorrect value Authby (should be pubkey|rsasig|ecdsasig|psk|secret|xauthrsasig|xauthpsk|never)",
        (ADVANCED, "authby=x"),
    ),
    (
        "ikev2_advanced_edit",
        "Incorrect value Closeaction (should be none|clear|hold|restart)",
        (ADVANCED, "closeaction=x"),
    ),
    ("ikev2_advanced_edit", "Incorrect value Compress (should be yes|no)", (ADVANCED, "compress=x")),
    ("ikev2_advanced_edit", "Incorrect value Dpdaction (should be none|clear|hold|restart)", (ADVANCED, "dpdaction=x")),
    ("ikev2_advanced_edit", "Incorrect value Dpddelay (should be 0 to 2147483647)", (ADVANCED, "dpddelay=-1")),
    (
        "ikev2_advanced_edit",
        "Incorrect value Dpdtimeout (should be 0 to 2147483647)",
        (ADVANCED, "dpdtimeout=2147483648"),
    ),
    ("ikev2_advanced_edit", "Incorrect value Inactivity (should be 0 to 2147483647)", (ADVANCED, "inactivity=x")),
    ("ikev2_advanced_edit", "Incorrect value Forceencaps (should be yes|no)", (ADVANCED, "forceencaps=x")),
    (
        "ikev2_advanced_edit",
        "Incorrect value Fragmentation (should be yes|accept|force|no)",
        (ADVANCED, "fragmentation=x"),
    ),
    ("ikev2_advanced_edit", "Incorrect value Ikelifetime (should be 0 to 2147483647)", (ADVANCED, "ikelifetime=x")),
    ("ikev2_advanced_edit", "Incorrect value Installpolicy (should be yes|no)", (ADVANCED, "installpolicy=x")),
    ("ikev2_advanced_edit", "Incorrect value Keyingtries (should be 1 to 2147483647)", (ADVANCED, "keyingtries=0")),
    ("ikev2_advanced_edit", "Incorrect value Lifetime (should be 1 to 86400)", (ADVANCED, "lifetime=86401")),
    ("ikev2_advanced_edit", "Incorrect value Margintime (should be 1 to 2147483647)", (ADVANCED, "margintime=0")),
    ("ikev2_advanced_edit", "Incorrect value Mobike (should be yes|no)", (ADVANCED, "mobike=x")),
    ("ikev2_advanced_edit", "Incorrect value Modeconfig (should be push|pull)", (ADVANCED, "modeconfig=x")),
    ("ikev2_advanced_edit", "Incorrect value Reauth (should be yes|no)", (ADVANCED, "reauth=x")),
    ("ikev2_advanced_edit", "Incorrect value Rekey (should be yes|no)", (ADVANCED, "rekey=x")),
    ("ikev2_advanced_edit", "Incorrect value Rekeyfuzz (should be 0 to 2147483647)", (ADVANCED, "rekeyfuzz=x")),
    (
        "ikev2_advanced_edit",
        "Incorrect value Type (should be tunnel|transport|transport_proxy|passthrough|drop)",
        (ADVANCED, "type=x"),
    ),
];

const NO_ROOT: &str = "The ROOT certificate is not present in the system";

const FORWARDS: &str = "wireguard/Default_1/port_forwarding";
/// The path of the backups' settings.
const BACKUPS: &str = "backups/config";
/// The path of the traffic log's settings.
const TRAFFIC_LOG: &str = "traffic_logging";
const RULES: &str = "firewall/rules/filter/end";

/// Texts that are reached in a world of their own; each has its own test.
pub(crate) const ELSEWHERE: &[(&str, &str)] = &[
    ("account_add", "VPN account limit exceeded"),
    ("system_reload", "PUQVPNCP status not OK"),
    // these in tests/api/backups.rs
    ("backup_create", "Error backup creation: <why>"),
    ("backup_create", "FTP upload error: <why>"),
    ("backup_restore", "PUQVPNCP status not OK"),
    ("backup_restore", "Error backup reader: <why>"),
    ("backup_restore", "Empty list of files in file with file list"),
    ("backup_restore", "Empty archive"),
    ("backup_restore", "The number of files in the archive does not match the list of files in the file"),
    ("backup_restore", "Mismatch between files in archive and list of files"),
    ("backup_restore", "Unable to delete old configuration: <why>"),
    ("backup_restore", "Failed to open archive, ERROR: <why>"),
    ("backup_restore", "Failed to create folder: <why>"),
    ("backup_restore", "Failed to create file: <why>"),
    ("backup_restore", "Failed to unzip file: <why>"),
    // and these in tests/api/ikev2.rs
    ("ikev2_import_ca", ROOT_PRESENT),
    ("ikev2_generate_ca", ROOT_PRESENT),
    ("ikev2_generate_server", "Server Domain must be filled"),
    ("ikev2_generate_server", "Server IP must be filled"),
    ("ikev2_generate_server", "Common Name must be filled"),
    ("ikev2_generate_server", "Organization must be filled"),
    ("ikev2_enable", "The SERVER certificate is not present in the system"),
];

/// What says that there is an authority already.
pub(crate) const ROOT_PRESENT: &str = "The root certificate is already in the system";

/// Texts that the documentation lists and no request can reach, with the reason. May only shrink.
pub(crate) const UNREACHABLE: &[(&str, &str, &str)] = &[
    ("dns", "The license is not active", "this software needs no licence"),
    ("wireguard_add", NO_SERVER, "it names no server that exists; check and write are one transaction"),
    ("license", "The license is not active", "this software needs none"),
    ("traffic_logging_edit", "InfluxDB Telegraf not installed", "this software writes to InfluxDB itself"),
    ("account_add", NO_ACCOUNT, "it names no account that exists; check and write are one transaction"),
    ("port_forward_add", "ListenPort processing error", "a server's listen port is a number, not text to be processed"),
];
