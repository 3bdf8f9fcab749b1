//! The audit log: every change is in it, with who made it, and nothing else is.

use serde_json::{Value, json};

use crate::support::World;

async fn entries(world: &World, query: &str) -> Vec<Value> {
    world.get(&format!("/api/v1/audit?{query}")).await.success().as_array().unwrap().clone()
}

async fn texts(world: &World, query: &str) -> Vec<String> {
    entries(world, query).await.iter().map(|entry| entry["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn tells_who_changed_what_and_from_where_and_no_secret() {
    let world = World::furnished().await;
    world.put("/api/v1/account/peer_1", "b_download=7&password=a-new-password&status=disable").await.success();

    let latest = entries(&world, "limit=1").await.remove(0);

    assert_eq!((&latest["about"], &latest["name"]), (&json!("account"), &json!("peer_1")));
    assert_eq!((&latest["caller"], &latest["address"]), (&json!("home"), &json!("127.0.0.1")));
    let text = latest["text"].as_str().unwrap();
    assert!(text.starts_with("Edited account `peer_1`: "), "{text}");
    assert!(text.contains("b_download 0 → 7") && text.contains("enabled true → false"), "{text}");
    assert!(text.contains("password changed") && !text.contains("a-new-password"), "{text}");
}

#[tokio::test]
async fn has_no_entry_of_what_was_refused_or_was_so_already() {
    let world = World::furnished().await;
    let before = entries(&world, "").await;

    world.put("/api/v1/account/peer_1", "b_download=-1").await.refusal();
    world.put("/api/v1/account/nobody", "b_download=1").await.refusal();
    world.put("/api/v1/account/peer_1", "b_download=0").await.success();
    world.get("/api/v1/account").await.success();

    assert_eq!(entries(&world, "").await, before);
}

#[tokio::test]
async fn lasts_over_a_restart_and_counts_on() {
    let world = World::furnished().await;
    let before = entries(&world, "").await;

    let world = world.reopened().await;
    world.delete("/api/v1/account/peer_1").await.success();

    let after = entries(&world, "").await;
    assert_eq!(after[1..], before);
    assert_eq!(after[0]["text"], "Deleted account `peer_1`");
    assert_eq!(after[0]["number"].as_u64(), before[0]["number"].as_u64().map(|number| number + 1));
}

#[tokio::test]
async fn is_not_turned_back_by_a_restore() {
    let world = World::furnished().await;
    let backup = world.post("/api/v1/backups", "").await.success()["backup_name"].as_str().unwrap().to_owned();
    world.delete("/api/v1/account/peer_1").await.success();

    world.put("/api/v1/backups/restore", &format!("backup_name={backup}")).await.success();

    let told = texts(&world, "limit=3").await;
    assert_eq!(told[0], format!("Restored backup `{backup}`"));
    assert_eq!(told[1], "Deleted account `peer_1`");
    assert_eq!(told[2], format!("Made backup `{backup}`"));
}

#[tokio::test]
async fn is_read_by_kind_name_caller_and_page() {
    let world = World::furnished().await;
    world.put("/api/v1/dns", "enabled=0").await.success();
    world.put("/api/v1/account/peer_1", "b_upload=3").await.success();
    world.delete("/api/v1/account/peer_1").await.success();

    assert_eq!(texts(&world, "about=dns").await.len(), 1);
    assert_eq!(texts(&world, "about=account&name=peer_1&limit=2").await.len(), 2);
    assert!(texts(&world, "caller=somebody").await.is_empty());
    assert!(texts(&world, "until=2020-01-01").await.is_empty());
    let all = entries(&world, "").await;
    let rest = entries(&world, &format!("before={}", all[0]["number"])).await;
    assert_eq!(rest, all[1..]);
}

#[tokio::test]
async fn refuses_a_question_that_it_does_not_understand() {
    let world = World::new().await;
    for (query, text) in [
        ("limit=0", "Incorrect value limit (should be 1 to 1000)"),
        ("before=x", "Incorrect value before (should be the number of an entry)"),
        ("since=x", "Incorrect value since (should be a day as in 2026-12-31, or a time as in 2026-12-31T18:00:00)"),
    ] {
        assert_eq!(world.get(&format!("/api/v1/audit?{query}")).await.refusal(), text, "{query}");
    }
    assert!(world.get("/api/v1/audit?abuot=dns").await.refusal().contains("abuot"));
}
