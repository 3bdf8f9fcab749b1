//! `/metrics`: what Prometheus reads.

use std::collections::BTreeMap;

use axum::http::Method;

use crate::support::World;

/// The samples of a page by their names and labels, each metric declared before its samples.
fn samples(page: &str) -> BTreeMap<String, String> {
    let mut declared = Vec::new();
    let mut samples = BTreeMap::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            declared.push(rest.split(' ').next().unwrap().to_owned());
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        value.parse::<f64>().unwrap();
        let name = series.split('{').next().unwrap();
        let metric = declared.last().unwrap();
        let parts = ["", "_bucket", "_sum", "_count"].map(|end| format!("{metric}{end}"));
        assert!(parts.iter().any(|part| part == name), "{series} stands under {metric}");
        assert_eq!(samples.insert(series.to_owned(), value.to_owned()), None, "{series} stands there twice");
    }
    declared.sort();
    let count = declared.len();
    declared.dedup();
    assert_eq!(declared.len(), count, "a metric is declared twice");
    samples
}

#[tokio::test]
async fn shows_what_there_is_in_the_format_of_prometheus() {
    let world = World::furnished().await;

    let reply = world.get("/metrics").await;

    assert_eq!(reply.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let samples = samples(&reply.body);
    assert_eq!(samples["culvert_accounts{server=\"Default_1\"}"], "2");
    assert_eq!(samples["culvert_accounts_online{server=\"spare\"}"], "0");
    assert_eq!(samples["culvert_build_info{version=\"0.0.0\",uplink=\"none\"}"], "1");
    assert_eq!(samples["culvert_ready"], "1");
    assert_eq!(samples["culvert_traffic_log_lost_total{place=\"syslog\"}"], "0");
}

#[tokio::test]
async fn counts_requests_by_endpoint_and_code() {
    let world = World::furnished().await;
    world.get("/api/v1/account/nobody").await.refusal();
    world.get("/api/v1/account/peer_1").await.success();

    let samples = samples(&world.get("/metrics").await.body);

    let series = |part: &str| format!("culvert_api_request_duration_seconds_{part}");
    let labels = "endpoint=\"account_detail\",code=\"200\"";
    assert_eq!(samples[&series(&format!("count{{{labels}}}"))], "2");
    assert_eq!(samples[&series(&format!("bucket{{{labels},le=\"+Inf\"}}"))], "2");
    assert_ne!(samples[&series(&format!("sum{{{labels}}}"))], "0");
    let buckets = samples.iter().filter(|(name, _)| name.starts_with(&series(&format!("bucket{{{labels}"))));
    assert_eq!(buckets.count(), 11);
}

#[tokio::test]
async fn shows_nothing_to_who_may_not_call() {
    let world = World::furnished().await;

    let request = World::request_from("192.0.2.7".parse().unwrap(), Method::GET, "/metrics");
    let reply = world.send(request.body(axum::body::Body::empty()).unwrap()).await;

    assert_eq!(reply.refusal(), "Not authorized");
}
