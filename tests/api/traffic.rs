//! What accounts move, told by a client over a real port, and what follows from it.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use axum::http::Method;
use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519;
use culvert::domain::key::{PrivateKey, PublicKey};
use culvert::domain::limits;
use culvert::engine::wire::icmp::{self, Echo};
use culvert::jobs;
use culvert::runtime::Runtime;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::World;

/// The length of a ping, and of its answer.
const PING: u64 = 84;
/// How long a real host may take to answer before a test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// An appliance with a server that listens, the accounts `peer_1` and `peer_2` of it, and a client of each.
struct House {
    world: World,
    runtime: Runtime,
    client: Client,
    other: Client,
}

/// A port on which a server may listen and that nobody has at the moment.
fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| UdpSocket::bind("[::]:0").unwrap().local_addr().unwrap().port());
    ports.find(|port| *port >= limits::LISTEN_PORT_FIRST).unwrap()
}

struct Client {
    tunn: Tunn,
    socket: UdpSocket,
    address: Ipv4Addr,
}

impl House {
    /// `form` is what is said of `peer_1`.
    async fn new(form: &str) -> Self {
        let (world, runtime) = World::new().await.running();
        let port = free_port();
        let server = world.post("/api/v1/wireguard", &format!("listen_port={port}")).await.success();
        let account = world.post("/api/v1/account", &format!("wg_name=Default_1&{form}")).await.success();
        let other = world.post("/api/v1/account", "wg_name=Default_1").await.success();
        let [client, other] = [account, other].map(|account| Client::new(&account, &server, port));
        Self { world, runtime, client, other }
    }

    /// Whether nothing comes to the client for a ping that the appliance has seen.
    fn is_deaf(&mut self) -> bool {
        self.client.send();
        // there is one worker, so what it answers later it has seen later
        self.other.ping();
        self.client.socket.set_nonblocking(true).unwrap();
        let is_silent = self.client.socket.recv(&mut [0; 2_048]).is_err();
        self.client.socket.set_nonblocking(false).unwrap();
        is_silent
    }

    async fn account(&self) -> Value {
        self.world.get("/api/v1/account/peer_1").await.success()
    }

    /// Lets the clock's jobs run until `state` is how the account really is.
    async fn until_state(&self, state: &str) {
        let (end, ended) = watch::channel(false);
        let look = async {
            while self.account().await["state"] != state {
                tokio::task::yield_now().await;
            }
            end.send_replace(true);
        };
        let within =
            tokio::time::timeout(PATIENCE, async { tokio::join!(jobs::run(&self.world.services, ended), look) });
        within.await.unwrap();
    }

    /// What the account moved this month, or in this hour's day: down and up.
    async fn moved(&self, kind: &str, path: &str) -> (u64, u64) {
        let rows = self.world.get(&format!("/api/v1/account/peer_1/{kind}/{path}")).await.success();
        let sum = |key: &str| rows.as_array().unwrap().iter().map(|row| row[key].as_u64().unwrap()).sum();
        (sum("traffic_download"), sum("traffic_upload"))
    }
}

impl Client {
    /// A client of an account, both as the API shows them.
    fn new(account: &Value, server: &Value, port: u16) -> Self {
        let private = PrivateKey::parse(account["private_key"].as_str().unwrap()).unwrap();
        let public = PublicKey::parse(server["public_key"].as_str().unwrap()).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let public = x25519::PublicKey::from(*public.as_bytes());
        let tunn = Tunn::new(private.secret(), public, None, None, 1, None);
        Self { tunn, socket, address: account["allowed_IPs"].as_str().unwrap().parse().unwrap() }
    }

    /// Pings the server.
    fn send(&mut self) {
        let (mut packet, mut memory) = ([0; 128], [0; 2_048]);
        let ends = (self.address.into(), Ipv4Addr::new(10, 0, 0, 1).into());
        let length = icmp::seal_echo(&mut packet, Echo::Request, ends, (9, 9), 56).unwrap();
        let TunnResult::WriteToNetwork(datagram) = self.tunn.encapsulate(&packet[..length], &mut memory) else {
            panic!("not sealed")
        };
        self.socket.send(datagram).unwrap();
    }

    /// Waits for the answer, with whatever handshake it takes.
    fn receive(&mut self) {
        let (mut datagram, mut memory) = ([0; 2_048], [0; 2_048]);
        loop {
            let length = self.socket.recv(&mut datagram).unwrap();
            let mut outcome = self.tunn.decapsulate(None, &datagram[..length], &mut memory);
            while let TunnResult::WriteToNetwork(answer) = outcome {
                self.socket.send(answer).unwrap();
                outcome = self.tunn.decapsulate(None, &[], &mut memory);
            }
            if let TunnResult::WriteToTunnelV4(..) = outcome {
                return;
            }
        }
    }

    fn ping(&mut self) {
        self.send();
        self.receive();
    }

    /// Answers the appliance that calls it back, until the new session is confirmed.
    fn answer_call(&mut self) {
        let (mut datagram, mut memory) = ([0; 2_048], [0; 2_048]);
        for kind in [1, 4] {
            let length = self.socket.recv(&mut datagram).unwrap();
            assert_eq!(datagram[0], kind);
            let outcome = self.tunn.decapsulate(None, &datagram[..length], &mut memory);
            if let TunnResult::WriteToNetwork(answer) = outcome {
                self.socket.send(answer).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn lists_every_day_of_a_month_with_what_was_moved() {
    let world = World::furnished().await;

    let days = world.get("/api/v1/account/peer_1/traffic_statistics/2024/2").await.success();
    let same = world.get("/api/v1/account/peer_1/traffic_statistics/2024/02").await.success();

    assert_eq!(days, same);
    assert_eq!(days.as_array().unwrap().len(), 29);
    let first = json!({"account": "peer_1", "date": "2024-02-01", "traffic_download": 0, "traffic_upload": 0});
    assert_eq!((&days[0], &days[28]["date"]), (&first, &json!("2024-02-29")));
}

#[tokio::test]
async fn lists_every_hour_of_a_day() {
    let world = World::furnished().await;
    let day = |text: &str| format!("/api/v1/account/peer_1/traffic_hourly/{text}");

    let hours = world.get(&day("2024/2/29")).await.success();

    assert_eq!(hours.as_array().unwrap().len(), 24);
    assert_eq!(hours[23]["hour"], "2024-02-29T23:00:00+00:00");
    assert_eq!(world.get(&day("2024/2/30")).await.refusal(), "Wrong day setting");
    assert_eq!(world.get(&day("2024/0/1")).await.refusal(), "Wrong month setting");
    assert_eq!(world.get(&day("now/now/now")).await.success()[0]["account"], "peer_1");
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_what_a_client_moves_until_the_tunnels_end() {
    let mut house = House::new("").await;
    house.client.ping();
    house.world.services.traffic.sample().await;
    house.client.ping();

    let sampled = house.moved("traffic_statistics", "now/now").await;
    let last = house.runtime.stop().await;
    house.world.services.traffic.close(last).await;
    let world = house.world.reopened().await;

    let house = House { world, ..house };
    assert_eq!(sampled, (PING, PING));
    assert_eq!(house.moved("traffic_statistics", "now/now").await, (2 * PING, 2 * PING));
    assert_eq!(house.moved("traffic_hourly", "now/now/now").await, (2 * PING, 2 * PING));
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_a_client_off_when_its_quota_is_used_up_and_lets_it_back_with_a_larger_one() {
    let mut house = House::new("quota=300&quota_period=month").await;
    house.client.ping();
    house.until_state("active").await;
    house.client.ping();

    house.until_state("over_quota").await;
    let account = house.account().await;
    assert!(house.is_deaf());
    assert_eq!((&account["status"], &account["quota_used"]), (&json!("enable"), &json!("336")));

    house.world.put("/api/v1/account/peer_1", "quota=1M").await.success();
    assert_eq!(house.account().await["state"], "active");
    house.client.answer_call();
    house.client.ping();
    house.runtime.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slows_a_client_down_when_its_quota_is_used_up_and_goes_on_with_its_session() {
    let mut house = House::new("quota=100&quota_action=throttle&quota_rate=2&b_download=50").await;
    house.client.ping();

    house.until_state("throttled").await;
    house.client.ping();

    let shaper = house.world.get("/api/v1/account/peer_1/traffic_control").await.success();
    let account = house.account().await;
    assert_eq!((&account["b_download"], &account["quota_rate"]), (&json!("50"), &json!("2")));
    assert!(shaper.as_str().unwrap().contains("rate 50Mbit"), "what the operator has set is shown: {shaper}");
    house.runtime.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_a_client_off_at_its_end_and_lets_it_back_when_that_is_moved() {
    let mut house = House::new("").await;
    house.client.ping();

    let edited = house.world.put("/api/v1/account/peer_1", "expires=2020-01-01T00:00:00Z").await.success();
    assert!(house.is_deaf());
    assert_eq!((&edited["status"], &edited["state"]), (&json!("enable"), &json!("expired")));
    assert_eq!(edited["expires"], "2020-01-01T00:00:00+00:00");

    let edited = house.world.put("/api/v1/account/peer_1", "expires=never").await.success();
    assert_eq!((&edited["state"], edited.get("expires")), (&json!("active"), None));
    house.client.answer_call();
    house.client.ping();
    house.runtime.stop().await;
}

#[tokio::test]
async fn refuses_what_an_account_cannot_be_allowed() {
    let world = World::furnished().await;
    for (form, text) in [
        ("quota=x", "Incorrect value quota (should be bytes, as 5000000000, 5G or 5GiB; 0 for none)"),
        ("quota_period=year", "Incorrect value quota_period (should be none|day|week|month)"),
        ("quota_action=stop", "Incorrect value quota_action (should be cut|throttle)"),
        ("quota_rate=0", "Incorrect value quota_rate (should be 1 to 10000)"),
        (
            "expires=soon",
            "Incorrect value expires (should be never, a day as 2026-12-31, or a time as 2026-12-31T18:00:00Z)",
        ),
    ] {
        assert_eq!(world.put("/api/v1/account/peer_1", form).await.refusal(), text);
        assert_eq!(world.post("/api/v1/account", &format!("wg_name=Default_1&{form}")).await.refusal(), text);
    }
}

#[tokio::test]
async fn keeps_what_an_account_is_allowed_over_a_restart() {
    let world = World::furnished().await;
    let form = "expires=2999-12-31&quota=5GiB&quota_period=week&quota_action=throttle&quota_rate=7";
    let edited = world.put("/api/v1/account/peer_1", form).await.success();

    let world = world.reopened().await;

    assert_eq!(world.get("/api/v1/account/peer_1").await.success(), edited);
    for (key, value) in [
        ("expires", "3000-01-01T00:00:00+00:00"),
        ("quota", "5368709120"),
        ("quota_period", "week"),
        ("quota_action", "throttle"),
        ("quota_rate", "7"),
        ("quota_used", "0"),
        ("state", "active"),
    ] {
        assert_eq!(edited[key], value, "{key}");
    }
    let other = world.operate(Method::GET, "/api/v1/account/peer_2", "").await.success();
    assert_eq!(["expires", "quota", "quota_used"].map(|key| other.get(key)), [None; 3]);
}
