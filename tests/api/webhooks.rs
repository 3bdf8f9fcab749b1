//! Webhooks: who is told of what happens, and that it arrives, signed, once it can.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use culvert::jobs;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::support::World;

/// A receiver: what it is to answer, and what it was told.
struct Receiver {
    address: SocketAddr,
    answer: Arc<Mutex<StatusCode>>,
    told: mpsc::UnboundedReceiver<(HeaderMap, Bytes)>,
}

type Answering = (Arc<Mutex<StatusCode>>, mpsc::UnboundedSender<(HeaderMap, Bytes)>);

impl Receiver {
    async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(StatusCode::NO_CONTENT));
        let (tell, told) = mpsc::unbounded_channel();
        let hook = async |State((answer, tell)): State<Answering>, headers: HeaderMap, body: Bytes| {
            tell.send((headers, body)).unwrap();
            *answer.lock().unwrap()
        };
        let router = Router::new().route("/hook", post(hook)).with_state((answer.clone(), tell));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, answer, told }
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The next message, its signature checked.
    async fn next(&mut self, secret: &str) -> Value {
        let (headers, body) = self.told.recv().await.unwrap();
        let header = |name: &str| headers[name].to_str().unwrap();
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes());
        mac.update(&body);
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(header("webhook-signature"), expected);
        assert_eq!(header("content-type"), "application/json");
        serde_json::from_slice(&body).unwrap()
    }
}

/// Runs what is done by the clock until the story ends.
async fn while_jobs_run(world: &World, story: impl Future<Output = ()>) {
    let (_end, ended) = watch::channel(false);
    tokio::select! {
        () = jobs::run(&world.services, ended) => {}
        () = story => {}
    }
}

/// Adds a webhook, and returns its secret.
async fn add(world: &World, receiver: &Receiver, events: &str) -> String {
    let made = world.post("/api/v1/webhooks", &format!("name=billing&url={}&events={events}", receiver.url())).await;
    made.success()["secret"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_message_arrives_signed() {
    let (world, mut receiver) = (World::new().await, Receiver::listen().await);
    let secret = add(&world, &receiver, "all").await;

    world.post("/api/v1/webhooks/billing/test", "").await.success();

    let message = receiver.next(&secret).await;
    assert_eq!((&message["type"], &message["data"]), (&json!("test"), &json!({})));
    assert_eq!(world.post("/api/v1/webhooks/nobody/test", "").await.refusal(), "Webhook not found");
}

#[tokio::test]
async fn says_what_a_receiver_has_against_a_test() {
    let (world, receiver) = (World::new().await, Receiver::listen().await);
    add(&world, &receiver, "all").await;

    *receiver.answer.lock().unwrap() = StatusCode::FORBIDDEN;

    let refusal = world.post("/api/v1/webhooks/billing/test", "").await.refusal();
    assert_eq!(refusal, "Webhook error: the receiver answered 403 Forbidden");
    world.put("/api/v1/webhooks/billing", "url=http://127.0.0.1:1/token").await.success();
    let refusal = world.post("/api/v1/webhooks/billing/test", "").await.refusal();
    assert!(refusal.starts_with("Webhook error: ") && !refusal.contains("token"), "{refusal}");
}

#[tokio::test]
async fn a_backup_that_fails_is_told_again_until_it_arrives() {
    let (world, mut receiver) = (World::new().await, Receiver::listen().await);
    let secret = add(&world, &receiver, "backup.failed").await;
    std::fs::write(world.folder.path().join("backups"), "no folder").unwrap();
    *receiver.answer.lock().unwrap() = StatusCode::SERVICE_UNAVAILABLE;

    while_jobs_run(&world, async {
        world.post("/api/v1/backups", "").await.refusal();
        let first = receiver.next(&secret).await;
        assert_eq!(first["type"], "backup.failed");
        assert!(first["data"]["why"].as_str().unwrap().len() > 10, "{first}");

        *receiver.answer.lock().unwrap() = StatusCode::OK;
        // an edit has it tried again at once
        world.put("/api/v1/webhooks/billing", "enabled=1").await.success();
        assert_eq!(receiver.next(&secret).await, first);
    })
    .await;
}

/// Runs what is done by the clock until the story ends, and then stops in order, as the process does.
async fn until_stopped(world: &World, story: impl Future<Output = ()>) {
    let (end, ended) = watch::channel(false);
    let story = async {
        story.await;
        end.send_replace(true);
    };
    tokio::join!(jobs::run(&world.services, ended), story);
    world.services.webhooks.close().await;
}

#[tokio::test]
async fn a_message_that_could_not_be_brought_arrives_after_a_restart_once() {
    let (world, mut receiver) = (World::new().await, Receiver::listen().await);
    let secret = add(&world, &receiver, "backup.failed").await;
    std::fs::write(world.folder.path().join("backups"), "no folder").unwrap();
    *receiver.answer.lock().unwrap() = StatusCode::SERVICE_UNAVAILABLE;
    let mut first = None;
    until_stopped(&world, async {
        world.post("/api/v1/backups", "").await.refusal();
        first = receiver.told.recv().await;
        // one that never got as far as to be tried
        world.post("/api/v1/backups", "").await.refusal();
    })
    .await;

    let world = world.reopened().await;
    *receiver.answer.lock().unwrap() = StatusCode::OK;
    until_stopped(&world, async {
        let (headers, body) = receiver.told.recv().await.unwrap();
        let (before, told) = first.unwrap();
        assert_eq!((&headers["webhook-id"], body), (&before["webhook-id"], told));
        assert_eq!(receiver.next(&secret).await["type"], "backup.failed");
    })
    .await;
    assert_eq!(world.get("/api/v1/webhooks").await.success()[0]["delivered"], 2);

    let world = world.reopened().await;
    until_stopped(&world, async {
        world.services.webhooks.keep().await;
        assert_eq!(world.get("/api/v1/webhooks").await.success()[0]["waiting"], 0);
    })
    .await;
    assert!(receiver.told.try_recv().is_err());
}

#[tokio::test]
async fn an_end_that_comes_is_told_once_and_what_was_so_before_is_not() {
    let (world, mut receiver) = (World::furnished().await, Receiver::listen().await);
    world.put("/api/v1/account/peer_1", "expires=2020-01-01").await.success();
    let secret = add(&world, &receiver, "all").await;

    while_jobs_run(&world, async {
        world.put("/api/v1/account/peer_2", "expires=2020-01-01").await.success();
        let message = receiver.next(&secret).await;
        assert_eq!(message["type"], "account.expired");
        assert_eq!(message["data"], json!({ "account": "peer_2", "server": "Default_1" }));
    })
    .await;
    assert!(receiver.told.try_recv().is_err());
}

#[tokio::test]
async fn is_listed_changed_and_removed_and_lasts() {
    let (world, receiver) = (World::new().await, Receiver::listen().await);
    let secret = add(&world, &receiver, "account.expired").await;

    let edited = world.put("/api/v1/webhooks/billing", "events=account.quota,backup.failed&enabled=0").await.success();
    let world = world.reopened().await;

    assert_eq!(edited["events"], json!(["account.quota", "backup.failed"]));
    let listed = world.get("/api/v1/webhooks").await;
    assert_eq!(listed.success(), json!([edited]));
    assert!(!listed.body.contains(&secret));
    world.delete("/api/v1/webhooks/billing").await.success();
    assert_eq!(world.get("/api/v1/webhooks").await.success(), json!([]));
    assert_eq!(world.delete("/api/v1/webhooks/billing").await.refusal(), "Webhook not found");
}

#[tokio::test]
async fn refuses_one_too_many_and_a_name_that_is_taken() {
    let world = World::new().await;
    for number in 0..16 {
        world.post("/api/v1/webhooks", &format!("name=hook{number}&url=http://h")).await.success();
    }

    let refusal = world.post("/api/v1/webhooks", "name=hook0&url=http://h").await.refusal();
    assert!(refusal.contains("name"), "{refusal}");
    assert_eq!(world.post("/api/v1/webhooks", "name=other&url=http://h").await.refusal(), "Webhook limit exceeded");
}
