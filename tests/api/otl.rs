//! One-time links, from the call that makes one to the page that shows nothing any more.

use std::io::Cursor;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use culvert::domain::limits;
use culvert::domain::name::AccountName;
use culvert::domain::one_time_link::{LinkKey, OneTimeLink};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

use crate::support::{Reply, World};

const VISITOR: &str = "198.51.100.7";
const LIST: &str = "/api/v1/otl/list";
const PAGE: &str = "/api/v1/otl/config";
const WIREGUARD: &str = "/api/v1/otl/config_wireguard";

/// Makes a link to `peer_2` and returns its path.
async fn link(world: &World) -> String {
    let url = world.get("/api/v1/account/peer_2/otl").await.success();
    url.as_str().unwrap().strip_prefix("https://192.0.2.1:8098").unwrap().to_owned()
}

async fn visit(world: &World, from: &str, method: Method, path: &str) -> Reply {
    let address: IpAddr = from.parse().unwrap();
    world.send(World::request_from(address, method, path).body(Body::empty()).unwrap()).await
}

async fn look(world: &World, path: &str) -> Reply {
    visit(world, VISITOR, Method::GET, path).await
}

async fn click(world: &World, path: &str) -> Reply {
    visit(world, VISITOR, Method::POST, path).await
}

#[track_caller]
fn is_not_relevant(reply: &Reply) {
    assert_eq!(reply.code, StatusCode::NOT_FOUND);
    assert!(reply.body.contains("<h1>This link is not relevant</h1>"), "{}", reply.body);
}

/// What stands between the two, as text.
fn between<'a>(page: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = page.split_once(begin).unwrap_or_else(|| panic!("no {begin} in {page}"));
    rest.split_once(end).unwrap().0
}

#[tokio::test]
async fn makes_a_new_link_of_80_hex_digits_with_each_call() {
    let world = World::furnished().await;

    let (first, second) = (link(&world).await, link(&world).await);

    assert_ne!(first, second);
    let key = first.strip_prefix("/otl/").unwrap();
    assert!(key.len() == 80 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
    let listed = world.get(LIST).await.success();
    assert_eq!(listed["olts"].as_object().unwrap().len(), 3);
    assert_eq!(
        (listed["olts"][key]["account"].as_str(), listed["olts"][key]["key"].as_str()),
        (Some("peer_2"), Some(key))
    );
    let day = |field: &str| listed["olts"][key][field].as_str().unwrap().parse::<jiff::civil::Date>().unwrap();
    assert_eq!((day("lifetime") - day("created_data")).get_days(), 10);
}

#[tokio::test]
async fn shows_nothing_and_uses_nothing_up_before_the_click() {
    let world = World::furnished().await;
    let (path, config) = (link(&world).await, world.get("/api/v1/account/peer_2/config_text").await.success());

    for method in [Method::GET, Method::HEAD, Method::GET] {
        let reply = visit(&world, VISITOR, method, &path).await;
        assert_eq!(reply.code, StatusCode::OK);
        assert!(!reply.body.contains("[Interface]") && !reply.body.contains("base64"), "{}", reply.body);
    }

    let page = look(&world, &path).await.body;
    assert!(page.contains("<form method=\"post\"><button"), "{page}");
    let page = click(&world, &path).await.body;
    assert!(page.contains(config.as_str().unwrap()), "{page}");
}

#[tokio::test]
async fn shows_the_file_its_code_and_its_download_to_one_click_and_never_again() {
    let world = World::furnished().await;
    let (path, config) = (link(&world).await, world.get("/api/v1/account/peer_2/config_text").await.success());

    let page = click(&world, &path).await;

    assert_eq!(page.code, StatusCode::OK);
    let file = between(&page.body, "download=\"peer_2.conf\" href=\"data:application/octet-stream;base64,", "\"");
    assert_eq!(String::from_utf8(STANDARD.decode(file).unwrap()).unwrap(), config.as_str().unwrap());
    let picture = STANDARD.decode(between(&page.body, "src=\"data:image/png;base64,", "\"")).unwrap();
    let code = world.get("/api/v1/account/peer_2/config_qr").await.success();
    assert_eq!(STANDARD.encode(&picture), code.as_str().unwrap());
    assert_eq!(png::Decoder::new(Cursor::new(picture)).read_info().unwrap().info().width, 500);
    assert!(!page.body.contains("IKEv2"), "nothing is there of it: {}", page.body);

    is_not_relevant(&click(&world, &path).await);
    is_not_relevant(&look(&world, &path).await);
    assert_eq!(world.get(LIST).await.success()["olts"].as_object().unwrap().len(), 1, "the other one stays");
}

/// The answers' own entries say what is in the files; here it counts that they arrive.
#[tokio::test]
async fn shows_what_an_ikev2_client_imports_where_its_server_speaks_ikev2() {
    let world = super::ikev2::certified().await;
    world.put("/api/v1/ikev2", "enabled=1").await.success();
    world.put("/api/v1/wireguard/Default_1", "ikev2=1").await.success();
    let path = link(&world).await;

    let page = click(&world, &path).await.body;

    let file = |name: &str| {
        let begin = format!("download=\"{name}\" href=\"data:application/octet-stream;base64,");
        String::from_utf8(STANDARD.decode(between(&page, &begin, "\"")).unwrap()).unwrap()
    };
    let account = world.get("/api/v1/account/peer_2").await.success();
    let (username, password) = (account["username"].as_str().unwrap(), account["password"].as_str().unwrap());
    assert!(page.contains(&format!("<dd>{username}</dd>")) && page.contains(&format!("<dd>{password}</dd>")), "{page}");
    assert_eq!(file("ca.crt"), world.get("/api/v1/ikev2/config").await.success()["ca_cert"].as_str().unwrap());
    assert_eq!(
        file("peer_2.sswan"),
        world.get("/api/v1/account/peer_2/ikev2_profile").await.success().as_str().unwrap()
    );
}

#[tokio::test]
async fn lets_one_of_many_who_click_at_once_win() {
    let world = Arc::new(World::furnished().await);
    let path = link(&world).await;
    let mut clicks = JoinSet::new();
    for visitor in 0..16 {
        let (world, path) = (world.clone(), path.clone());
        clicks.spawn(async move { visit(&world, &format!("198.51.100.{visitor}"), Method::POST, &path).await });
    }

    let pages = clicks.join_all().await;

    let (shown, refused): (Vec<_>, Vec<_>) = pages.iter().partition(|page| page.code == StatusCode::OK);
    assert_eq!((shown.len(), refused.len()), (1, 15));
    assert!(shown[0].body.contains("[Interface]"));
    refused.into_iter().for_each(is_not_relevant);
}

#[tokio::test]
async fn forgets_nothing_at_a_restart() {
    let world = World::furnished().await;
    let (open, used) = (link(&world).await, link(&world).await);
    click(&world, &used).await;
    world.put(PAGE, "title=Willkommen&lifetime=3").await.success();
    let before = (world.get(LIST).await.success(), world.get(PAGE).await.success());

    let world = world.reopened().await;

    assert_eq!((world.get(LIST).await.success(), world.get(PAGE).await.success()), before);
    is_not_relevant(&click(&world, &used).await);
    assert!(click(&world, &open).await.body.contains("<title>Willkommen</title>"));
    is_not_relevant(&click(&world.reopened().await, &open).await);
}

#[tokio::test]
async fn shows_nothing_once_the_time_is_over() {
    let world = World::furnished().await;
    let now = Timestamp::from_millisecond(
        world.services.links.list(&culvert::services::Caller::local()).unwrap()[0].created.as_millisecond(),
    )
    .unwrap();
    for (number, expires) in [(1, now - SignedDuration::from_secs(1)), (2, now + SignedDuration::from_hours(1))] {
        let key = LinkKey::from_entropy([number; limits::LINK_KEY_BYTES]);
        let account = AccountName::parse("peer_1").unwrap();
        let link = OneTimeLink { key, account, created: now, expires };
        let put = move |change: &mut culvert::store::Change| {
            change.put_link(link);
            Ok(())
        };
        world.store.write(put).await.unwrap();
    }
    let [ended, open] = ["01", "02"].map(|byte| format!("/otl/{}", byte.repeat(limits::LINK_KEY_BYTES)));

    is_not_relevant(&look(&world, &ended).await);
    is_not_relevant(&click(&world, &ended).await);

    assert_eq!(world.get(LIST).await.success()["olts"].as_object().unwrap().len(), 2);
    assert_eq!(click(&world, &open).await.code, StatusCode::OK);
}

#[tokio::test]
async fn takes_links_away_with_their_account_and_when_they_are_withdrawn() {
    let world = World::furnished().await;
    let withdrawn = link(&world).await;
    assert_eq!(world.delete("/api/v1/account/peer_2/otl").await.success(), "success");
    is_not_relevant(&click(&world, &withdrawn).await);
    assert_eq!(world.delete("/api/v1/account/nobody/otl").await.refusal(), "Account not found");
    let deleted = link(&world).await;

    world.delete("/api/v1/account/peer_2").await.success();

    is_not_relevant(&click(&world, &deleted).await);
    world.post("/api/v1/account", "wg_name=Default_1&name=peer_2").await.success();
    is_not_relevant(&click(&world, &deleted).await);
    let listed = world.get(LIST).await.success();
    assert!(listed["olts"].as_object().unwrap().values().all(|link| link["account"] == "peer_1"), "{listed}");
}

#[tokio::test]
async fn gives_an_account_so_many_links_and_no_more_until_one_is_used() {
    let world = World::furnished().await;
    let first = link(&world).await;
    for _ in 1..limits::LINKS_OF_ACCOUNT {
        link(&world).await;
    }

    assert_eq!(world.get("/api/v1/account/peer_2/otl").await.refusal(), "One-time link limit exceeded");

    click(&world, &first).await;
    link(&world).await;
}

#[tokio::test]
async fn limits_wrong_keys_by_address_and_lets_a_right_one_work() {
    let world = World::furnished().await;
    let path = link(&world).await;
    let nowhere = format!("/otl/{}", "0".repeat(80));
    for _ in 0..limits::WRONG_TRIES.get() / 2 {
        is_not_relevant(&look(&world, &nowhere).await);
        is_not_relevant(&click(&world, "/otl/nonsense").await);
    }

    let refused = look(&world, &nowhere).await;

    assert_eq!(refused.code, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.body.contains("<h1>Too many tries</h1>"), "{}", refused.body);
    is_not_relevant(&visit(&world, "198.51.100.8", Method::GET, &nowhere).await);
    assert_eq!(click(&world, &path).await.code, StatusCode::OK);
}

#[tokio::test]
async fn answers_alike_to_every_key_that_opens_nothing() {
    let world = World::furnished().await;
    let used = link(&world).await;
    click(&world, &used).await;

    let replies = [
        look(&world, &used).await,
        look(&world, &format!("/otl/{}", "0".repeat(80))).await,
        look(&world, "/otl/short").await,
        look(&world, "/otl/%ff").await,
        click(&world, &used).await,
    ];

    for reply in &replies {
        assert_eq!(
            (reply.code, &reply.headers, &reply.body),
            (StatusCode::NOT_FOUND, &replies[0].headers, &replies[0].body)
        );
    }
}

#[tokio::test]
async fn guards_every_page_by_its_headers() {
    let world = World::furnished().await;
    let path = link(&world).await;
    for reply in [look(&world, &path).await, click(&world, &path).await, click(&world, &path).await] {
        for (name, value) in [
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'self'; \
                 frame-ancestors 'none'",
            ),
        ] {
            assert_eq!(reply.headers[name], value);
        }
        assert_eq!(reply.headers["x-robots-tag"], "none");
    }
}

#[tokio::test]
async fn carries_the_operators_html_with_a_policy_that_runs_none_of_it() {
    let world = World::furnished().await;
    let script = "%3Cscript%3Ealert(1)%3C/script%3E%3Cimg+src=x+onerror=alert(1)%3E";
    let form =
        format!("before_body={script}&after_body=%3Cfooter%3E&css=b{{}}&not_relevant=%3Ch1%3EWeg%3C/h1%3E{script}");
    world.put(PAGE, &form).await.success();
    let path = link(&world).await;

    let pages = [look(&world, &path).await, click(&world, &path).await, click(&world, &path).await];

    for page in &pages {
        assert!(page.body.contains("<script>alert(1)</script>") && page.body.contains("<style>b{}</style>"));
        let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        let scripts = policy.split("; ").find(|rule| rule.starts_with("script-src"));
        assert!(scripts.is_none() && policy.starts_with("default-src 'none';"), "{policy}");
        assert_eq!(page.headers.get_all(header::CONTENT_SECURITY_POLICY).iter().count(), 1);
    }
    assert!(pages[1].body.contains("[Interface]") && pages[2].body.contains("<h1>Weg</h1>"));
}

#[tokio::test]
async fn lets_no_page_of_another_site_use_a_link_up() {
    let world = World::furnished().await;
    let path = link(&world).await;
    let send = async |site: &str| {
        let request = World::request_from(VISITOR.parse().unwrap(), Method::POST, &path).header("sec-fetch-site", site);
        world.send(request.header(header::ORIGIN, "null").body(Body::empty()).unwrap()).await.body
    };

    for site in ["cross-site", "same-site"] {
        let page = send(site).await;
        assert!(page.contains("<form method=\"post\">") && !page.contains("[Interface]"), "{site}: {page}");
    }

    assert!(send("same-origin").await.contains("[Interface]"));
}

#[tokio::test]
async fn shows_what_the_settings_want_of_a_link_that_was_made_before() {
    let world = World::furnished().await;
    let (first, second) = (link(&world).await, link(&world).await);
    let form =
        "enable_config_text=0&enable_config_qr=0&button1_label=Hilfe&button1_link=https://example.com/?a=1%26b=2";
    let part = world.put(WIREGUARD, form).await.success();
    assert_eq!((part["enable_config_qr"].as_bool(), part["button1_label"].as_str()), (Some(false), Some("Hilfe")));
    assert_eq!(world.get(WIREGUARD).await.success(), part);

    let page = click(&world, &first).await.body;
    assert!(!page.contains("<pre") && !page.contains("<img") && page.contains("peer_2.conf"), "{page}");
    assert!(page.contains("<a href=\"https://example.com/?a=1&amp;b=2\" target=\"_blank\""), "{page}");

    world.put(WIREGUARD, "enable=0").await.success();
    assert!(!click(&world, &second).await.body.contains("WireGuard"));
}

#[tokio::test]
async fn refuses_settings_that_cannot_be_and_keeps_those_that_are() {
    let world = World::furnished().await;
    let long = "a".repeat(limits::LINK_HTML_LENGTH + 1);
    let before = world.get(PAGE).await.success();
    for (path, form, text) in [
        (PAGE, "lifetime=0", "Incorrect value lifetime (should be 1 to 365)"),
        (PAGE, &format!("title=x&css={long}"), "Incorrect value css (should be at most 16384 bytes of text)"),
        (PAGE, "title=x&colour=red", "Unknown field colour"),
        (WIREGUARD, "enable=perhaps", "Incorrect value enable (should be 1|0)"),
        (WIREGUARD, "download_profile_button_label=x", "Unknown field download_profile_button_label"),
        (
            "/api/v1/otl/config_ikev2",
            "button6_link=javascript:alert(1)",
            "Incorrect value button6_link (should be an http or https URL of at most 1024 bytes)",
        ),
    ] {
        assert_eq!(world.put(path, form).await.refusal(), text, "{form}");
    }
    assert_eq!(world.get(PAGE).await.success(), before);
}

#[tokio::test]
async fn takes_back_as_json_what_it_has_shown() {
    let world = World::furnished().await;
    for path in [PAGE, WIREGUARD, "/api/v1/otl/config_ikev2"] {
        let shown = world.get(path).await.success();
        let request = world.request(Method::PUT, path).header(header::CONTENT_TYPE, "application/json");

        let kept = world.send(request.body(Body::from(shown.to_string())).unwrap()).await.success();

        assert_eq!(kept, shown, "{path}");
    }
}
