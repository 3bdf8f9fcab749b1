//! The firewall, from the rule that is always there to the last.
//!
//! Here nothing runs, so counters stay at 0: what traffic adds to them is told in `tests/e2e/firewall.rs`. How many rules
//! there may be is told beside the code.

use std::net::SocketAddr;

use axum::http::{Method, header};
use culvert::services::Way;
use serde_json::{Value, json};

use crate::support::{Reply, World};

const CONF: &str = "/api/v1/firewall/conf";
const RULES: &str = "/api/v1/firewall/rules/filter";
const TOP: &str = "/api/v1/firewall/rules/filter/top";
const END: &str = "/api/v1/firewall/rules/filter/end";
const SYSTEM: &str = "/api/v1/firewall/rules/filter/system_PUQVPNCP";

/// A form for a rule that can be.
fn rule(name: &str) -> String {
    format!("name={name}&action=DROP&chain=FORWARD&protocol=TCP&s_ip=10.0.0.0/24&s_port=0&d_ip=0.0.0.0/0&d_port=25")
}

#[tokio::test]
async fn moves_rules() {
    let world = World::new().await;
    for name in ["a", "b"] {
        world.post(END, &rule(name)).await.success();
    }

    world.put(&format!("{RULES}/b"), "place=0").await.success();
    let refused = world.put(SYSTEM, "place=0").await.refusal();

    assert_eq!(names(&world).await, ["b", "system_PUQVPNCP", "a"]);
    assert!(!refused.is_empty());
    world.put(&format!("{RULES}/nobody"), "place=0").await.refusal();
    world.put(&format!("{RULES}/a"), "place=first").await.refusal();
}

async fn names(world: &World) -> Vec<String> {
    let rules = world.get(RULES).await.success();
    rules.as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap().to_owned()).collect()
}

/// Sends a form as it comes over a TCP connection between these two ends.
async fn call_by(world: &World, (from, to): (&str, &str), method: Method, path: &str, form: &str) -> Reply {
    let [from, to] = [from, to].map(|end| end.parse::<SocketAddr>().unwrap());
    let request = world.request(method, path).extension(Way { from, to });
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    world.send(request.body(form.to_owned().into()).unwrap()).await
}

#[tokio::test]
async fn begins_with_the_rule_that_keeps_the_api_reachable() {
    let world = World::new().await;

    let rules = world.get(RULES).await.success();

    let system = json!([{
        "action": "ACCEPT", "bytes": 0, "chain": "INPUT", "d_ip": "0.0.0.0/0", "d_port": "8098", "name": "system_PUQVPNCP",
        "packets": 0, "protocol": "TCP", "s_ip": "0.0.0.0/0", "s_port": "0",
    }]);
    assert_eq!(rules, system);
}

#[tokio::test]
async fn lists_rules_in_the_order_in_which_they_are_tried() {
    let world = World::new().await;
    for (end, name) in [(END, "third"), (TOP, "second"), (END, "last"), (TOP, "first")] {
        assert_eq!(world.post(end, &rule(name)).await.success(), "success");
    }

    assert_eq!(names(&world).await, ["first", "second", "system_PUQVPNCP", "third", "last"]);
}

#[tokio::test]
async fn shows_a_rule_as_it_is_understood() {
    let world = World::new().await;
    let form =
        "name=a_1&action=accept&chain=input&protocol=udp&s_ip=10.1.2.3/8&s_port=65535&d_ip= 192.0.2.7 &d_port=53&\r\n";
    world.post(TOP, form).await.success();

    let rules = world.get(RULES).await.success();

    for (key, value) in [
        ("action", "ACCEPT"),
        ("chain", "INPUT"),
        ("protocol", "UDP"),
        ("s_ip", "10.0.0.0/8"),
        ("s_port", "65535"),
        ("d_ip", "192.0.2.7/32"),
        ("d_port", "53"),
    ] {
        assert_eq!(rules[0][key], value, "{key}");
    }
}

#[tokio::test]
async fn takes_every_kind_of_rule() {
    let world = World::new().await;
    for (number, (chain, protocol, source)) in [
        ("INPUT", "ANY", "0.0.0.0/0"),
        ("FORWARD", "ICMP", "2001:db8::/32"),
        ("OUTPUT", "UDP", "192.0.2.1/32"),
        ("FORWARD", "TCP", "::/0"),
    ]
    .into_iter()
    .enumerate()
    {
        let form = format!(
            "name=r{number}&action=DROP&chain={chain}&protocol={protocol}&s_ip={source}&s_port=0&d_ip=0.0.0.0/0&d_port=0"
        );
        world.post(END, &form).await.success();

        let shown = world.get(RULES).await.success()[number + 1].clone();
        assert_eq!([&shown["chain"], &shown["protocol"], &shown["s_ip"]], [chain, protocol, source]);
    }
}

#[tokio::test]
async fn leaves_the_rules_as_they_were_when_it_refuses() {
    let world = World::furnished().await;
    let before = world.get(RULES).await.success();
    let name = "Wrong rule name. Must be letters and numbers only";
    let (destination, source) = ("Destination IP must be in CIDR format", "Source IP must be in CIDR format");
    for (field, value, text) in [
        ("name", "a-b", name),
        ("name", "", name),
        ("name", "TEST", "A rule with the same name already exists"),
        ("name", "system_PUQVPNCP", "A rule with the same name already exists"),
        ("chain", "POSTROUTING", "Not correct Chain"),
        ("d_ip", "10.0.0.0/33", destination),
        ("d_ip", "", destination),
        ("s_ip", "host.example", source),
        ("s_ip", "2001:db8::/129", source),
        ("action", "REJECT", "Incorrect value action (should be ACCEPT|DROP)"),
        ("protocol", "SCTP", "Incorrect value protocol (should be TCP|UDP|ICMP|ANY)"),
        ("s_port", "65536", "Incorrect value s_port (should be 0 to 65535)"),
        ("d_port", "-1", "Incorrect value d_port (should be 0 to 65535)"),
    ] {
        // of two with the same name the last counts
        let refused = world.post(TOP, &format!("{}&{field}={value}", rule("web"))).await;
        assert_eq!(refused.refusal(), text, "{field}={value}");
    }
    let with_port = world.post(TOP, &format!("{}&protocol=ICMP", rule("ping"))).await;
    assert_eq!(with_port.refusal(), "Incorrect value d_port (should be 0 with ICMP)");
    let mixed = world.post(TOP, &format!("{}&d_ip=2001:db8::/32", rule("mixed"))).await;
    assert_eq!(mixed.refusal(), "Incorrect value d_ip (should be of the same IP version as s_ip)");
    let nowhere = world.post("/api/v1/firewall/rules/filter/middle", &rule("web")).await;
    assert_eq!((nowhere.code.as_u16(), nowhere.refusal().as_str()), (404, "Not found"));

    assert_eq!(world.get(RULES).await.success(), before);
}

#[tokio::test]
async fn removes_a_rule_by_its_name_and_leaves_the_others_in_their_order() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        world.post(END, &rule(name)).await.success();
    }

    assert_eq!(world.delete("/api/v1/firewall/rules/filter/b").await.success(), "success");

    assert_eq!(names(&world).await, ["system_PUQVPNCP", "a", "c"]);
    let again = world.delete("/api/v1/firewall/rules/filter/b").await;
    assert_eq!(again.refusal(), "No rule found with given name");
    world.post(TOP, &rule("b")).await.success();
    assert_eq!(names(&world).await, ["b", "system_PUQVPNCP", "a", "c"]);
}

#[tokio::test]
async fn never_lets_go_of_the_rule_that_keeps_the_api_reachable() {
    let world = World::new().await;

    let refused = world.delete(SYSTEM).await;
    assert_eq!(refused.refusal(), "You cannot delete this rule. ONLY name=system_PUQVPNCP");
    let by_operator = world.operate(Method::DELETE, SYSTEM, "").await;
    assert_eq!(by_operator.refusal(), "You cannot delete this rule. ONLY name=system_PUQVPNCP");

    assert_eq!(names(&world).await, ["system_PUQVPNCP"]);
}

/// What the listener asks before it speaks to anybody; that it does is told in `listener.rs`.
#[tokio::test]
async fn keeps_the_api_reachable_whatever_the_policies_are() {
    let world = World::new().await;
    let [client, api] = ["203.0.113.5:40000", "192.0.2.1:8098"].map(|end| end.parse().unwrap());
    world.put(CONF, "policy_input=DROP&policy_forward=DROP&policy_output=DROP&ip_forward=0").await.success();
    assert!(!world.services.firewall.current().locks_out(client, api));

    // behind the rule that keeps it reachable it changes nothing, before it it does
    let everything = "action=DROP&chain=INPUT&protocol=ANY&s_ip=0.0.0.0/0&s_port=0&d_ip=0.0.0.0/0&d_port=0";
    world.post(END, &format!("name=end&{everything}")).await.success();
    assert!(!world.services.firewall.current().locks_out(client, api));
    world.post(TOP, &format!("name=top&{everything}&s_ip=203.0.113.0/24")).await.success();
    assert!(world.services.firewall.current().locks_out(client, api));
}

#[tokio::test]
async fn refuses_to_close_the_api_to_whoever_asks_for_it() {
    let (world, way) = (World::new().await, ("127.0.0.1:40000", "127.0.0.1:8098"));
    let closing = |source: &str| {
        format!("name=shut&action=DROP&chain=INPUT&protocol=ANY&s_ip={source}&s_port=0&d_ip=0.0.0.0/0&d_port=0")
    };
    let text = "This would close the API to your own address";

    for source in ["0.0.0.0/0", "127.0.0.0/8", "127.0.0.1/32"] {
        assert_eq!(call_by(&world, way, Method::POST, TOP, &closing(source)).await.refusal(), text, "{source}");
    }
    assert_eq!(names(&world).await, ["system_PUQVPNCP"]);

    // and not by taking away what stands before such a rule
    let open = "name=me&action=ACCEPT&chain=INPUT&protocol=TCP&s_ip=127.0.0.1/32&s_port=0&d_ip=0.0.0.0/0&d_port=8098";
    world.post(TOP, &closing("0.0.0.0/0")).await.success();
    call_by(&world, way, Method::POST, TOP, open).await.success();
    let removed = call_by(&world, way, Method::DELETE, "/api/v1/firewall/rules/filter/me", "").await;
    assert_eq!(removed.refusal(), text);
    assert_eq!(names(&world).await, ["me", "shut", "system_PUQVPNCP"]);
}

#[tokio::test]
async fn shows_and_changes_settings_one_by_one() {
    let world = World::new().await;
    let mut settings = json!({
        "internal_traffic": true, "ip_forward": true,
        "policy_forward": "ACCEPT", "policy_input": "ACCEPT", "policy_output": "ACCEPT",
    });
    assert_eq!(world.get(CONF).await.success(), settings);

    for (form, key, value) in [
        ("internal_traffic=0", "internal_traffic", json!(false)),
        ("ip_forward=FALSE", "ip_forward", json!(false)),
        ("policy_forward=DROP", "policy_forward", json!("DROP")),
        ("policy_input=drop", "policy_input", json!("DROP")),
        ("policy_output= DROP ", "policy_output", json!("DROP")),
        ("internal_traffic=true&policy_input=", "internal_traffic", json!(true)),
        ("", "ip_forward", json!(false)),
    ] {
        assert_eq!(world.put(CONF, form).await.success(), "success", "{form}");
        settings[key] = value;
        assert_eq!(world.get(CONF).await.success(), settings, "{form}");
    }
}

#[tokio::test]
async fn leaves_all_settings_as_they_were_when_it_refuses_one() {
    let world = World::new().await;
    let before = world.get(CONF).await.success();
    for (form, text) in [
        ("ip_forward=0&policy_input=REJECT", "Wrong parameter: INPUT policy, should be: ACCEPT or DROP"),
        ("policy_input=DROP&policy_forward=yes", "Wrong parameter: FORWARD policy, should be: ACCEPT or DROP"),
        ("policy_forward=DROP&policy_output=1", "Wrong parameter: OUTPUT policy, should be: ACCEPT or DROP"),
        ("policy_output=DROP&ip_forward=2", "Incorrect value ip_forward (should be 1|0)"),
        ("policy_output=DROP&internal_traffic=on", "Incorrect value internal_traffic (should be 1|0)"),
    ] {
        assert_eq!(world.put(CONF, form).await.refusal(), text, "{form}");
        assert_eq!(world.get(CONF).await.success(), before, "{form}");
    }
}

#[tokio::test]
async fn tells_what_filters_and_whether_anything_is_forwarded() {
    let world = World::new().await;
    let info = async || world.get("/api/v1/firewall/info").await.success();

    let before = info().await;
    world.put(CONF, "ip_forward=0").await.success();

    assert_eq!((&before["ip_forward"], &info().await["ip_forward"]), (&json!("yes"), &json!("no")));
    for key in ["iproute2", "iptables"] {
        assert!(before[key].as_str().unwrap().contains("Culvert"), "{key}");
    }
}

#[tokio::test]
async fn lists_the_translation_of_every_server_that_has_one() {
    let world = World::furnished().await;
    let listed = async || world.get("/api/v1/firewall/rules/nat").await.success();
    let row = |name: &str, network: &str, address: &str| {
        json!({
            "action": "SNAT", "chain": "POSTROUTING", "d_ip": "0.0.0.0/0", "name": name, "s_ip": network,
            "to-source": address,
        })
    };
    let spare = row("spare_wg2", "10.0.1.0/24", "192.0.2.1");
    assert_eq!(listed().await, json!([row("Default_1_wg1", "10.0.0.0/24", "192.0.2.1"), spare]));

    world.put("/api/v1/wireguard/Default_1", "external_ip=198.51.100.9").await.success();
    assert_eq!(listed().await, json!([row("Default_1_wg1", "10.0.0.0/24", "198.51.100.9"), spare]));

    world.put("/api/v1/wireguard/Default_1", "disable_nat=1").await.success();
    assert_eq!(listed().await, json!([spare]));
}

#[tokio::test]
async fn lists_both_directions_of_every_account_with_its_mark() {
    let world = World::furnished().await;
    let listed = async || world.get("/api/v1/firewall/rules/mangle").await.success();
    let row = |name: &str, source: &str, destination: &str, mark: &str| {
        json!({
            "action": "MARK", "chain": "FORWARD", "d_ip": destination, "name": name, "s_ip": source, "set-mark": mark,
        })
    };
    let every = "0.0.0.0/0";
    let first =
        [row("src_peer_1_user_1", "10.0.0.2", every, "100"), row("dst_peer_1_user_1", every, "10.0.0.2", "100")];
    let second =
        [row("src_peer_2_user_2", "10.0.0.3", every, "101"), row("dst_peer_2_user_2", every, "10.0.0.3", "101")];
    assert_eq!(listed().await, Value::from([&first[..], &second[..]].concat()));

    world.delete("/api/v1/account/peer_1").await.success();

    assert_eq!(listed().await, Value::from(second.to_vec()));
}

#[tokio::test]
async fn outlives_the_process() {
    let world = World::new().await;
    for (end, name) in [(END, "b"), (TOP, "a"), (END, "c")] {
        world.post(end, &rule(name)).await.success();
    }
    world.put(CONF, "policy_forward=DROP&internal_traffic=0").await.success();
    let before = (world.get(RULES).await.success(), world.get(CONF).await.success());

    let world = world.reopened().await;

    assert_eq!((world.get(RULES).await.success(), world.get(CONF).await.success()), before);
    assert_eq!(names(&world).await, ["a", "system_PUQVPNCP", "b", "c"]);
}
