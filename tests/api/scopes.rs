//! How far an access hash reaches that is no admin's. What is asked of every endpoint is taken from the table.

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use culvert::domain::access::{AccessDraft, Authority, Caller, Right, UserDraft};
use culvert::domain::account::Account;
use culvert::http::routes::{self, Admission, Route};
use culvert::services::Services;
use proptest::prelude::{ProptestConfig, prop_oneof};
use proptest::strategy::{Just, Strategy};

use crate::support::{HOME, Reply, World};

const NOT_ALLOWED: &str = r#"{"error":"Not allowed","msg":"","status":"error"}"#;

/// The contract's and our own endpoints that want an access hash.
fn keyed() -> impl Iterator<Item = Route> {
    routes::table().into_iter().filter(|route| route.admission == Admission::Key)
}

/// Endpoints of the account that their path names.
fn of_an_account() -> impl Iterator<Item = Route> {
    keyed().filter(|route| route.paths[0].starts_with("/api/v1/account/{name}") || route.id == "ikev2_drop")
}

/// A path of the table with this name, and with values that are possible in every other place.
fn filled(path: &str, name: &str) -> String {
    let places =
        [("{name}", name), ("{year}", "2026"), ("{month}", "11"), ("{day}", "26"), ("{filename}", "whole.zip")];
    let places = places.into_iter().chain([("{dst_port}", "123"), ("{protocol}", "tcp")]);
    places.fold(path.to_owned(), |path, (place, value)| path.replace(place, value))
}

async fn ask(world: &World, hash: &str, method: &Method, path: &str, form: &str) -> Reply {
    let request = World::request_from(HOME, method.clone(), path)
        .header(header::COOKIE, format!("access_hash={hash}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    world.send(request.body(Body::from(form.to_owned())).unwrap()).await
}

/// A hash of this role, of the reseller `shop` where it is a reseller's.
async fn hash(services: &Services, role: &str) -> String {
    let reseller = (role == "reseller").then(|| "shop".to_owned());
    let draft = AccessDraft {
        label: Some(role.into()),
        ip: Some(HOME.to_string()),
        role: Some(role.into()),
        reseller,
        ..AccessDraft::default()
    };
    services.access.add(&Caller::local(), draft).await.unwrap()
}

/// A furnished world with a reseller, its caps, and its hash. `peer_1` and `peer_2` are the operator's, `mine` is its own.
async fn shop() -> (World, String) {
    let world = World::furnished().await;
    let draft = UserDraft {
        name: Some("shop".into()),
        role: Some("reseller".into()),
        accounts: Some("3".into()),
        b_upload: Some("10".into()),
        b_download: Some("20".into()),
        ..UserDraft::default()
    };
    world.services.users.add(&Caller::local(), draft).await.unwrap();
    let hash = hash(&world.services, "reseller").await;
    ask(&world, &hash, &Method::POST, "/api/v1/account", "wg_name=Default_1&name=mine").await.success();
    (world, hash)
}

/// Every account but those of the reseller, as they are stored.
fn foreign(world: &World) -> Vec<Account> {
    let intended = world.store.intended();
    intended.accounts().filter(|account| account.owner.is_none()).map(|account| account.as_ref().clone()).collect()
}

#[tokio::test]
async fn answers_a_reseller_for_a_foreign_account_as_for_one_that_does_not_exist() {
    let (world, hash) = shop().await;
    let (revision, links) = (world.store.intended().revision, world.store.links().links.len());
    let mut asked = 0;
    for route in of_an_account() {
        for (method, path) in route.methods.iter().flat_map(|method| route.paths.iter().map(move |path| (method, path)))
        {
            let reply = async |name: &str| {
                let form = "status=disable&wg_name=Default_1&password=x&name=peer_2";
                ask(&world, &hash, method, &filled(path, name), form).await
            };
            let (foreign, unknown) = (reply("peer_1").await, reply("nobody").await);

            assert_eq!((foreign.code, &foreign.body), (unknown.code, &unknown.body), "{method} {path}");
            assert_eq!(foreign.headers, unknown.headers, "{method} {path}");
            assert_eq!(foreign.refusal(), "Account not found", "{method} {path}");
            asked += 1;
        }
    }

    assert!(asked >= 17, "only {asked} were asked");
    assert_eq!(world.store.intended().revision, revision, "and nothing was changed");
    assert_eq!(world.store.links().links.len(), links);
}

#[tokio::test]
async fn shows_a_reseller_its_own_account_as_the_operator_sees_it() {
    let (world, hash) = shop().await;
    let rows: Vec<Route> = of_an_account().filter(|route| route.methods == [Method::GET]).collect();
    // a link is another one each time, and there is no certificate
    let same = rows.iter().filter(|route| route.id != "account_otl" && !route.id.contains("ikev2"));
    for route in same {
        let path = filled(route.paths[0], "mine");

        let reply = ask(&world, &hash, &Method::GET, &path, "").await;

        assert_eq!(reply.body, world.get(&path).await.body, "{path}");
        reply.success();
    }
}

#[tokio::test]
async fn lists_to_a_reseller_its_own_alone() {
    let (world, hash) = shop().await;
    ask(&world, &hash, &Method::GET, "/api/v1/account/mine/otl", "").await.success();

    let accounts = ask(&world, &hash, &Method::GET, "/api/v1/account", "").await.success();
    let links = ask(&world, &hash, &Method::GET, "/api/v1/otl/list", "").await;
    let servers = ask(&world, &hash, &Method::GET, "/api/v1/wireguard", "").await.success();

    assert_eq!(accounts.as_array().unwrap().iter().map(|row| &row["name"]).collect::<Vec<_>>(), ["mine"]);
    assert!(links.body.contains(r#""account":"mine""#) && !links.body.contains("peer_1"), "{}", links.body);
    let expected = serde_json::json!({"Default_1": {"name": "Default_1"}, "spare": {"name": "spare"}});
    assert_eq!(servers, expected, "no more of a server than its name");
}

#[tokio::test]
async fn refuses_each_role_what_is_not_for_it() {
    let (world, reseller) = shop().await;
    let shop = world.services.access.check(&reseller, HOME).unwrap().authority;
    let hashes = [
        (Authority::Operator, hash(&world.services, "operator").await),
        (Authority::ReadOnly, hash(&world.services, "read_only").await),
        (shop, reseller),
    ];
    let revision = world.store.intended().revision;
    for (authority, hash) in hashes {
        let mut refused = 0;
        for route in keyed().filter(|route| !authority.has(route.right)) {
            for (method, path) in
                route.methods.iter().flat_map(|method| route.paths.iter().map(move |path| (method, path)))
            {
                let reply = ask(&world, &hash, method, &filled(path, "Default_1"), "enabled=1&title=x").await;

                assert_eq!((reply.code, reply.body.as_str()), (StatusCode::FORBIDDEN, NOT_ALLOWED), "{method} {path}");
                refused += 1;
            }
        }
        assert!(refused > 9, "only {refused} were refused to {authority:?}");
    }
    assert_eq!(world.store.intended().revision, revision, "and nothing was changed");
}

#[tokio::test]
async fn lets_who_only_looks_change_nothing_by_any_endpoint() {
    let world = World::furnished().await;
    let hash = hash(&world.services, "read_only").await;
    let before = (world.store.intended().revision, world.store.links().links.len(), world.store.webhooks().len());
    for route in keyed() {
        for (method, path) in route.methods.iter().flat_map(|method| route.paths.iter().map(move |path| (method, path)))
        {
            for name in ["Default_1", "peer_1"] {
                let reply = ask(&world, &hash, method, &filled(path, name), "status=disable&enabled=1&mtu=1300").await;
                if *method != Method::GET {
                    assert_eq!(
                        (reply.code, reply.body.as_str()),
                        (StatusCode::FORBIDDEN, NOT_ALLOWED),
                        "{method} {path}"
                    );
                }
            }
        }
    }

    let after = (world.store.intended().revision, world.store.links().links.len(), world.store.webhooks().len());
    assert_eq!(after, before);
}

#[tokio::test]
async fn shows_no_secret_to_who_only_looks() {
    let world = World::furnished().await;
    let hash = hash(&world.services, "read_only").await;
    let intended = world.store.intended();
    let keys = intended.servers.values().map(|server| server.server.private_key.to_base64());
    let mut secrets: Vec<String> = keys.collect();
    for account in intended.accounts() {
        secrets.extend([account.password.reveal().to_owned(), account.private_key.as_ref().unwrap().to_base64()]);
    }
    secrets.extend(world.store.links().links.values().map(|link| link.key.to_hex()));
    let mut seen = 0;
    for route in keyed().filter(|route| route.methods[0] == Method::GET) {
        for name in ["Default_1", "peer_1"] {
            let path = filled(route.paths[0], name);
            let reply = ask(&world, &hash, &Method::GET, &path, "").await;
            for secret in &secrets {
                assert!(!reply.body.contains(secret.as_str()), "{path}");
            }
            seen += u32::from(reply.code == StatusCode::OK && reply.body.contains(r#""status":"success""#));
        }
    }
    assert!(seen > 30, "only {seen} were shown, so this proves little");
    // an admin is shown them, so that there was something to be hidden
    let shown = world.get("/api/v1/account").await.body + &world.get("/api/v1/wireguard").await.body;
    assert!(secrets[..secrets.len() - 1].iter().all(|secret| shown.contains(secret.as_str())));
}

#[tokio::test]
async fn holds_a_reseller_within_its_caps() {
    let (world, hash) = shop().await;
    let post = async |form: &str| ask(&world, &hash, &Method::POST, "/api/v1/account", form).await;
    let put = async |form: &str| ask(&world, &hash, &Method::PUT, "/api/v1/account/mine", form).await;

    let chosen = post("wg_name=Default_1&name=second").await.success();
    assert_eq!(
        (&chosen["b_upload"], &chosen["b_download"], &chosen["owner"]),
        (&"10".into(), &"20".into(), &"shop".into())
    );
    assert_eq!(post("wg_name=Default_1&b_upload=11").await.refusal(), "Incorrect value b_upload (should be 1 to 10)");
    assert_eq!(put("b_download=0").await.refusal(), "Incorrect value b_download (should be 1 to 20)");
    put("b_download=5").await.success();
    assert_eq!(put("owner=").await.refusal(), "Not allowed");

    post("wg_name=Default_1&name=third").await.success();
    assert_eq!(post("wg_name=Default_1").await.refusal(), "VPN account limit exceeded");
    ask(&world, &hash, &Method::DELETE, "/api/v1/account/third", "").await.success();
    post("wg_name=Default_1&name=fourth").await.success();
}

#[tokio::test]
async fn gives_an_account_to_a_reseller_and_takes_it_back() {
    let (world, hash) = shop().await;
    let mine = async || ask(&world, &hash, &Method::GET, "/api/v1/account/peer_1", "").await;
    assert_eq!(world.put("/api/v1/account/peer_1", "owner=nobody").await.refusal(), "User not found");

    world.put("/api/v1/account/peer_1", "owner=shop").await.success();
    mine().await.success();

    world.put("/api/v1/account/peer_1", "b_upload=1").await.success();
    mine().await.success();

    let given = world.put("/api/v1/account/peer_1", "owner=").await.success();
    assert_eq!(given.get("owner"), None);
    assert_eq!(mine().await.refusal(), "Account not found");
}

#[tokio::test]
async fn leaves_nothing_to_who_comes_after_a_reseller_under_its_name() {
    let (world, hash) = shop().await;
    let (users, by) = (&world.services.users, Caller::local());

    users.remove(&by, "shop").await.unwrap();
    let draft = UserDraft { name: Some("shop".into()), role: Some("reseller".into()), ..UserDraft::default() };
    users.add(&by, draft).await.unwrap();

    assert_eq!(ask(&world, &hash, &Method::GET, "/api/v1/account", "").await.refusal(), "Not authorized");
    assert_eq!(world.get("/api/v1/account/mine").await.success().get("owner"), None);
}

#[tokio::test]
async fn ends_a_hash_with_its_day_and_keeps_it_within_its_network() {
    let world = World::furnished().await;
    let issue = async |ip: &str, expires: &str| {
        let form = format!("label=of_{expires}&ip={ip}&role=read_only&expires={expires}");
        let made = world.operate(Method::POST, "/local/v1/access", &form).await.success();
        made["access_hash"].as_str().unwrap().to_owned()
    };
    let (over, near) = (issue("127.0.0.1", "2001-01-01").await, issue("127.0.0.0/8", "2999-01-01").await);
    let status = "/api/v1/system/status";

    assert_eq!(ask(&world, &over, &Method::GET, status, "").await.refusal(), "Not authorized");
    ask(&world, &near, &Method::GET, status, "").await.success();
    let far = World::request_from("198.51.100.1".parse().unwrap(), Method::GET, status);
    let far = far.header(header::COOKIE, format!("access_hash={near}")).body(Body::empty()).unwrap();
    assert_eq!(world.send(far).await.refusal(), "Not authorized");

    let listed = world.operate(Method::GET, "/local/v1/access", "").await.success();
    let row = listed.as_array().unwrap().iter().find(|row| row["label"] == "of_2999-01-01").unwrap();
    assert_eq!((&row["ip"], &row["role"]), (&"127.0.0.0/8".into(), &"read_only".into()));
}

/// Something that a reseller may try with an account.
#[derive(Debug, Clone)]
struct Try {
    method: Method,
    path: &'static str,
    form: String,
}

fn tries() -> impl Strategy<Value = Try> {
    let name = prop_oneof![Just("mine"), Just("peer_1"), Just("peer_2"), Just("new")];
    let rate = prop_oneof![Just(""), Just("0"), Just("5"), Just("10"), Just("11"), Just("10000")];
    let owner = prop_oneof![Just(""), Just("&owner="), Just("&owner=shop"), Just("&owner=other")];
    let kind = prop_oneof![Just("add"), Just("edit"), Just("delete")];
    (kind, name, rate, owner).prop_map(|(kind, name, rate, owner)| {
        let path = match name {
            "mine" => "/api/v1/account/mine",
            "peer_1" => "/api/v1/account/peer_1",
            "peer_2" => "/api/v1/account/peer_2",
            _ => "/api/v1/account/new",
        };
        let form = format!("wg_name=Default_1&status=disable&b_upload={rate}&b_download={rate}{owner}");
        match kind {
            "add" => Try { method: Method::POST, path: "/api/v1/account", form: format!("{form}&name={name}") },
            "edit" => Try { method: Method::PUT, path, form },
            _ => Try { method: Method::DELETE, path, form },
        }
    })
}

proptest::proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever a reseller does, and in whichever order: others' accounts stay as they are, and its own within its caps.
    #[test]
    fn never_reaches_further_than_at_first(steps in proptest::collection::vec(tries(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (world, hash) = shop().await;
            let before = foreign(&world);
            for Try { method, path, form } in steps {
                ask(&world, &hash, &method, path, &form).await;

                assert_eq!(foreign(&world), before, "{method} {path} {form}");
                let intended = world.store.intended();
                let own: Vec<_> = intended.accounts().filter(|account| account.owner.is_some()).collect();
                assert!(own.len() <= 3);
                for account in own {
                    assert_eq!(account.owner.as_ref().unwrap().as_str(), "shop");
                    assert!((1..=10).contains(&account.b_upload.get()) && (1..=20).contains(&account.b_download.get()));
                }
            }
            assert!(!world.services.access.check(&hash, HOME).unwrap().authority.has(Right::See));
        });
    }
}
