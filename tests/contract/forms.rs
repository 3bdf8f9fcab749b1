//! The forms of the firewall, of port forwards, of bandwidths and of the traffic log, field by field with everything that can be wrong with one:
//! generated from a table whose fields are the contract's.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::header;
use serde_json::Value;

use crate::entry::named;
use crate::support::{Reply, World};

/// A form.
struct Form {
    id: &'static str,
    path: &'static str,
    fields: &'static [Field],
    /// Where to look whether something was changed.
    state: &'static str,
}

struct Field {
    name: &'static str,
    /// A value that can be; with the other fields' it makes a request that succeeds.
    good: &'static str,
    /// Values that can just be.
    edges: &'static [&'static str],
    /// Values that cannot: of another type, or just out of bounds.
    wrong: &'static [&'static str],
    /// What is answered to those.
    text: &'static str,
    /// Whether its absence is answered like that too; else it changes nothing.
    required: bool,
}

const ANY: Field = Field { name: "", good: "0", edges: &[], wrong: &[], text: "", required: true };
const PORT: Field = Field { edges: &["1", "65535"], wrong: &["0", "65536", "-1", "%2B1", "1.5", "x", "0x50"], ..ANY };
const RULE_PORT: Field = Field { edges: &["0", "65535"], wrong: &["65536", "-1", "%2B1", "1.5", "x"], ..ANY };
const NETWORK: Field = Field {
    good: "0.0.0.0/0",
    edges: &["::/0", "255.255.255.255/32", "2001:db8::/128", "192.0.2.1", "10.9.9.9/8"],
    wrong: &["1", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "256.0.0.0/8", "::/129", "host.example"],
    ..ANY
};
const POLICY: Field =
    Field { good: "DROP", edges: &["ACCEPT", "drop"], wrong: &["0", "REJECT", "ACCEPTED"], required: false, ..ANY };
const FLAG: Field = Field { edges: &["1", "TRUE", "false"], wrong: &["2", "-1", "on", "yes"], required: false, ..ANY };
const RATE: Field =
    Field { good: "7", edges: &["0", "10000"], wrong: &["-1", "10001", "1.5", "x"], required: false, ..ANY };

const LINE: Field =
    Field { edges: &["a", "%C3%A4+b=%26"], wrong: &["a%00b", "a%1Bb", "a%0Ab"], required: false, ..ANY };

const FORMS: [Form; 5] = [
    Form {
        id: "port_forward_add",
        path: "wireguard/Default_1/port_forwarding",
        fields: &[
            Field { name: "dst_port", good: "23", text: "DST port must be within 1-65535", ..PORT },
            Field {
                name: "protocol",
                good: "udp",
                edges: &["TCP"],
                wrong: &["6", "icmp", "tcpudp"],
                text: "Protocol must be tcp or udp",
                ..ANY
            },
            Field {
                name: "to_peer",
                good: "peer_1",
                edges: &["peer_2"],
                wrong: &["1", "nobody", "Peer_1"],
                text: "Entered incorrect peer",
                ..ANY
            },
            Field { name: "to_port", good: "325", text: "To port must be within 1-65535", ..PORT },
        ],
        state: "wireguard/Default_1/port_forwarding",
    },
    Form {
        id: "firewall_filter_add",
        path: "firewall/rules/filter/end",
        fields: &[
            Field {
                name: "name",
                good: "web",
                edges: &["a", "9", "_", "a234567890123456789012345678901234567890123456789012345678901234"],
                wrong: &[
                    "a-b",
                    "a b",
                    "a.b",
                    "%C3%A4",
                    "a2345678901234567890123456789012345678901234567890123456789012345",
                ],
                text: "Wrong rule name. Must be letters and numbers only",
                ..ANY
            },
            Field {
                name: "action",
                good: "ACCEPT",
                edges: &["drop"],
                wrong: &["0", "REJECT", "ACCEPTED"],
                text: "Incorrect value action (should be ACCEPT|DROP)",
                ..ANY
            },
            Field {
                name: "chain",
                good: "FORWARD",
                edges: &["input", "OUTPUT"],
                wrong: &["0", "PREROUTING", "FORWARDS"],
                text: "Not correct Chain",
                ..ANY
            },
            Field { name: "d_ip", text: "Destination IP must be in CIDR format", ..NETWORK },
            Field { name: "d_port", text: "Incorrect value d_port (should be 0 to 65535)", ..RULE_PORT },
            Field {
                name: "protocol",
                good: "TCP",
                edges: &["udp", "ICMP", "Any"],
                wrong: &["6", "SCTP", "TCPUDP"],
                text: "Incorrect value protocol (should be TCP|UDP|ICMP|ANY)",
                ..ANY
            },
            Field { name: "s_ip", text: "Source IP must be in CIDR format", ..NETWORK },
            Field { name: "s_port", text: "Incorrect value s_port (should be 0 to 65535)", ..RULE_PORT },
        ],
        state: "firewall/rules/filter",
    },
    Form {
        id: "firewall_conf_edit",
        path: "firewall/conf",
        fields: &[
            Field { name: "internal_traffic", text: "Incorrect value internal_traffic (should be 1|0)", ..FLAG },
            Field { name: "ip_forward", text: "Incorrect value ip_forward (should be 1|0)", ..FLAG },
            Field {
                name: "policy_forward",
                text: "Wrong parameter: FORWARD policy, should be: ACCEPT or DROP",
                ..POLICY
            },
            Field { name: "policy_input", text: "Wrong parameter: INPUT policy, should be: ACCEPT or DROP", ..POLICY },
            Field {
                name: "policy_output",
                text: "Wrong parameter: OUTPUT policy, should be: ACCEPT or DROP",
                ..POLICY
            },
        ],
        state: "firewall/conf",
    },
    Form {
        id: "server_set_bandwidth",
        path: "wireguard/Default_1/set_bandwidth",
        fields: &[
            Field { name: "b_download", text: "Incorrect value b_download (should be 0 to 10000)", ..RATE },
            Field { name: "b_upload", text: "Incorrect value b_upload (should be 0 to 10000)", ..RATE },
        ],
        state: "wireguard/Default_1/peers",
    },
    Form {
        id: "traffic_logging_edit",
        path: "traffic_logging",
        fields: &[
            // on only with somewhere to log to, and each of the other fields is left out once
            Field { name: "enabled", edges: &["false"], text: "Incorrect value enabled (should be 1|0)", ..FLAG },
            Field { name: "established", text: "Incorrect value established (should be 1|0)", ..FLAG },
            Field { name: "incoming", text: "Incorrect value incoming (should be 1|0)", ..FLAG },
            Field { name: "interface_in", text: "Incorrect value interface_in (should be 1|0)", ..FLAG },
            Field { name: "interface_out", text: "Incorrect value interface_out (should be 1|0)", ..FLAG },
            Field { name: "invalid", text: "Incorrect value invalid (should be 1|0)", ..FLAG },
            Field { name: "len", text: "Incorrect value len (should be 1|0)", ..FLAG },
            Field { name: "mark", text: "Incorrect value mark (should be 1|0)", ..FLAG },
            Field { name: "new", text: "Incorrect value new (should be 1|0)", ..FLAG },
            Field { name: "related", text: "Incorrect value related (should be 1|0)", ..FLAG },
            Field { name: "tos", text: "Incorrect value tos (should be 1|0)", ..FLAG },
            Field { name: "untracked", text: "Incorrect value untracked (should be 1|0)", ..FLAG },
            Field { name: "enabled_influxdb", text: "Incorrect value enabled_influxdb (should be 1|0)", ..FLAG },
            Field {
                name: "enabled_remote_syslog",
                text: "Incorrect value enabled_remote_syslog (should be 1|0)",
                ..FLAG
            },
            Field {
                name: "influxdb_bucket",
                good: "logs",
                text: "Incorrect value influxdb_bucket (should be a line of at most 1024 bytes)",
                ..LINE
            },
            Field {
                name: "influxdb_organization",
                good: "PUQ sp. z o.o.",
                text: "Incorrect value influxdb_organization (should be a line of at most 1024 bytes)",
                ..LINE
            },
            Field {
                name: "influxdb_token",
                good: "xbUOAf==",
                text: "Incorrect value influxdb_token (should be a line of at most 1024 bytes)",
                ..LINE
            },
            Field {
                name: "influxdb_url",
                good: "http://192.0.2.7:8086",
                edges: &["https://a", "http://[::1]:8086/below"],
                wrong: &["192.0.2.7:8086", "ftp://a", "http://", "https://a b"],
                text: "Incorrect value influxdb_url (should be http://host:port or https://host)",
                required: false,
            },
            Field {
                name: "remote_syslog_server",
                good: "192.0.2.7",
                edges: &["2001:db8::514", "255.255.255.254"],
                wrong: &["1", "192.0.2", "logs.example", "0.0.0.0", "::"],
                text: "Incorrect value remote_syslog_server (should be an address)",
                required: false,
            },
            Field {
                name: "remote_syslog_server_port",
                good: "1514",
                text: "Incorrect value remote_syslog_server_port (should be 1 to 65535)",
                required: false,
                ..PORT
            },
        ],
        state: "traffic_logging",
    },
];

impl Form {
    /// The good form, without a field.
    fn without(&self, left_out: &str) -> String {
        let rest = self.fields.iter().filter(|field| field.name != left_out);
        rest.flat_map(|field| [field.name, "=", field.good, "&"]).collect()
    }

    async fn send(&self, world: &World, form: &str) -> Reply {
        world.call(named(self.id).method, &format!("/api/v1/{}", self.path), form).await
    }

    async fn state(&self, world: &World) -> Value {
        world.get(&format!("/api/v1/{}", self.state)).await.success()
    }
}

impl Field {
    /// Every form in which this field, and nothing else, is wrong.
    fn spoilt(&self, form: &Form) -> Vec<String> {
        let (name, rest) = (self.name, form.without(self.name));
        let long = "9".repeat(10_000);
        let mut spoilt: Vec<String> =
            self.wrong.iter().copied().chain([long.as_str()]).map(|wrong| format!("{rest}{name}={wrong}")).collect();
        // of two the last counts
        spoilt.extend(self.wrong.iter().map(|wrong| format!("{name}={}&{rest}{name}={wrong}", self.good)));
        if self.required {
            spoilt.extend([
                rest.clone(),
                format!("{rest}{name}"),
                format!("{rest}{name}="),
                format!("{rest}{name}=+++%0D%0A"),
            ]);
        }
        spoilt
    }
}

#[test]
fn has_the_fields_of_the_contract() {
    for form in &FORMS {
        let fields: BTreeSet<_> = form.fields.iter().map(|field| field.name.to_owned()).collect();
        assert_eq!(fields, named(form.id).fields, "{}", form.id);
    }
}

#[tokio::test]
async fn refuses_every_field_that_is_wrong_and_changes_nothing() {
    let world = World::furnished().await;
    for form in &FORMS {
        let before = form.state(&world).await;
        for field in form.fields {
            for spoilt in field.spoilt(form) {
                let reply = form.send(&world, &spoilt).await;
                let shown: String = spoilt.chars().take(200).collect();
                assert_eq!((reply.refusal().as_str(), reply.code.as_u16()), (field.text, 200), "{}: {shown}", form.id);
            }
        }
        assert_eq!(form.state(&world).await, before, "{}", form.id);
    }
}

#[tokio::test]
async fn refuses_what_is_no_text_or_no_form_and_changes_nothing() {
    let world = World::furnished().await;
    for form in &FORMS {
        let before = form.state(&world).await;
        for field in form.fields {
            let reply = form.send(&world, &format!("{}{}=%FF", form.without(field.name), field.name)).await;
            assert_eq!(reply.refusal(), "Malformed request body", "{}: {}", form.id, field.name);
            let json = format!("{{\"{}\": [\"{}\"]}}", field.name, field.good);
            let request = world.request(named(form.id).method, &format!("/api/v1/{}", form.path));
            let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(json)).unwrap();
            assert_eq!(world.send(request).await.refusal(), "Malformed request body", "{}: {}", form.id, field.name);
        }
        let reply = form.send(&world, &format!("{}rest={}", form.without(""), "x".repeat(65_536))).await;
        assert_eq!((reply.refusal().as_str(), reply.code.as_u16()), ("Request body too large", 413), "{}", form.id);
        assert_eq!(form.state(&world).await, before, "{}", form.id);
    }
}

#[tokio::test]
async fn takes_every_value_that_can_just_be() {
    for form in &FORMS {
        for field in form.fields {
            let rest = form.without(field.name);
            for edge in field.edges {
                let world = World::furnished().await;
                let before = form.state(&world).await;
                // of two the last counts, and blanks and line ends around it do not
                let spoilt = field.wrong[0];
                form.send(&world, &format!("{0}={spoilt}&{rest}{0}=+{edge}%0D%0A", field.name)).await.success();
                assert_ne!(form.state(&world).await, before, "{}: {}={edge}", form.id, field.name);
            }
            if !field.required {
                for absent in [rest.clone(), format!("{rest}{}=", field.name)] {
                    World::furnished()
                        .await
                        .call(named(form.id).method, &format!("/api/v1/{}", form.path), &absent)
                        .await
                        .success();
                }
            }
        }
    }
}
