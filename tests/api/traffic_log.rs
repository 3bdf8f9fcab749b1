//! What is logged of the traffic and where to, as the API shows and changes it.

use serde_json::json;

use crate::support::World;

const PATH: &str = "/api/v1/traffic_logging";
const TO_SYSLOG: &str = "enabled=1&enabled_remote_syslog=1&remote_syslog_server=192.0.2.7&established=1";

#[tokio::test]
async fn logs_nothing_from_the_start() {
    let world = World::new().await;

    let shown = world.get(PATH).await.success();

    assert_eq!((&shown["enabled"], &shown["established"]), (&json!(false), &json!(false)));
    assert_eq!((&shown["remote_syslog_server"], &shown["remote_syslog_server_port"]), (&json!(""), &json!(514)));
}

#[tokio::test]
async fn changes_what_is_named_and_keeps_the_rest_over_a_restart() {
    let world = World::new().await;

    let edited = world.put(PATH, TO_SYSLOG).await.success();
    world.put(PATH, "remote_syslog_server_port=1514&tos=1").await.success();
    let world = world.reopened().await;
    let shown = world.get(PATH).await.success();

    assert_eq!((&edited["enabled"], &edited["remote_syslog_server_port"]), (&json!(true), &json!(514)));
    assert_eq!((&shown["enabled"], &shown["remote_syslog_server"]), (&json!(true), &json!("192.0.2.7")));
    assert_eq!((&shown["remote_syslog_server_port"], &shown["tos"]), (&json!(1514), &json!(true)));
}

#[tokio::test]
async fn refuses_to_take_away_where_records_go() {
    let world = World::new().await;
    world.put(PATH, TO_SYSLOG).await.success();

    let server = world.put(PATH, "remote_syslog_server=").await;
    let method = world.put(PATH, "enabled_remote_syslog=0").await;

    assert_eq!(server.refusal(), "Remote Syslog Server must be filled");
    assert_eq!(method.refusal(), "At least one logging method must be enabled (Remote Syslog or/and InfluxDB)");
    assert_eq!(world.get(PATH).await.success()["remote_syslog_server"], "192.0.2.7");
}

#[tokio::test]
async fn tells_who_reads_the_audit_log_what_was_set_but_no_token() {
    let world = World::new().await;
    let to_influxdb = "enabled_influxdb=1&influxdb_url=http://192.0.2.8:8086&influxdb_token=t0ken&influxdb_bucket=b\
                       &influxdb_organization=o&incoming=1";
    world.put(PATH, &format!("{TO_SYSLOG}&{to_influxdb}")).await.success();

    let latest = world.get("/api/v1/audit?about=traffic_log&limit=1").await.success();

    let text = "Set the traffic log: ESTABLISHED, in and out, to syslog at 192.0.2.7:514 and InfluxDB at http://192.0.2.8:8086";
    assert_eq!(latest[0]["text"], text);
}

#[tokio::test]
async fn forgets_what_is_there_and_empty() {
    let world = World::new().await;
    world.put(PATH, TO_SYSLOG).await.success();

    world.put(PATH, "enabled=0&enabled_remote_syslog=0&remote_syslog_server=&influxdb_token=a").await.success();
    let edited = world.put(PATH, "influxdb_token=").await.success();

    assert_eq!((&edited["remote_syslog_server"], &edited["influxdb_token"]), (&json!(""), &json!("")));
}

#[tokio::test]
async fn tries_a_record_only_where_one_has_somewhere_to_go() {
    let world = World::furnished().await;

    let nowhere = world.post(&format!("{PATH}/test"), "").await;
    world.put(PATH, TO_SYSLOG).await.success();
    let not_running = world.post(&format!("{PATH}/test"), "").await;

    assert_eq!(nowhere.refusal(), "At least one logging method must be enabled (Remote Syslog or/and InfluxDB)");
    assert_eq!(not_running.refusal(), "Traffic log error: nothing runs");
}
