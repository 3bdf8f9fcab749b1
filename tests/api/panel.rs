//! The panel's gate, at every page of the table: who may look, who may change something, and what no page may hold.

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use culvert::domain::access::{Authority, Right};
use culvert::domain::name::UserName;
use culvert::http::routes::{self, Admission, Route};

use crate::reader::Reader;
use crate::support::{HOME, Reply, World};

/// Pages of the panel, and what they send, of those who are logged in.
fn rows(method: &Method) -> Vec<Route> {
    let of_a_session = routes::every().into_iter().filter(|route| route.admission == Admission::Session);
    // a stream of events does not end; the tests with a browser read it
    of_a_session.filter(|route| route.methods == [method.clone()] && route.id != "panel_live").collect()
}

/// A path of the table with something that exists in each of its places, and with `account` where an account is named.
fn filled(path: &str, account: &str) -> String {
    let name = match path.split('/').nth(2).unwrap_or_default() {
        "servers" => "Default_1",
        "firewall" => "TEST",
        "users" => "admin",
        "webhooks" => "hook",
        _ => account,
    };
    let places = [("{name}", name), ("{id}", "0123456789abcdef"), ("{port}", "123"), ("{protocol}", "tcp")];
    let places = places.into_iter().chain([("{filename}", "whole.zip"), ("{label}", "home"), ("{account}", account)]);
    let filled = places.fold(path.to_owned(), |path, (place, value)| path.replace(place, value));
    assert!(!filled.contains('{'), "what stands in a place of {path}?");
    filled
}

/// The page of a piece of work that this reader has begun, and that was refused.
async fn work(world: &World, reader: &Reader) -> String {
    let reply = reader.post(world, "/panel/accounts", "account:nobody=1&action=enable").await;
    reply.headers[header::LOCATION].to_str().unwrap().to_owned()
}

/// A furnished world in which IKEv2 has what it needs, with an admin who is logged in.
async fn house() -> (World, Reader) {
    let world = World::furnished().await;
    world.post("/api/v1/webhooks", "name=hook&url=https://hook.example/").await;
    let admin = Reader::enter(&world, "admin").await;
    let holder = |whose: &str| format!("{whose}_common_name=vpn.example&{whose}_organization=o&key_type=ecdsa256");
    admin.post(&world, "/panel/ikev2/ca/generate", &holder("ca")).await;
    let order = format!("server_domain=vpn.example&server_ip=192.0.2.1&{}", holder("server"));
    admin.post(&world, "/panel/ikev2/server/generate", &order).await;
    (world, admin)
}

/// What would show that something was changed by a page.
async fn trace(world: &World) -> (String, String) {
    let counts = (world.store.intended().revision, world.store.links().links.len(), world.store.webhooks().len());
    (format!("{counts:?}"), world.get("/api/v1/audit?limit=3").await.body)
}

/// The tags of a page, without what stands in quotation marks. No value of a page holds a `>`: it is written `&#62;`.
fn tags(html: &str) -> Vec<String> {
    let bare = |tag: &str| tag.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    html.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(tag, _)| bare(tag)).collect()
}

#[tokio::test]
async fn holds_in_no_page_what_a_browser_would_run() {
    let (world, admin) = house().await;
    let mut pages = 0;
    for route in rows(&Method::GET) {
        let path = match route.id {
            "panel_work" => work(&world, &admin).await,
            _ => filled(route.paths[0], "peer_1"),
        };

        let reply = admin.look(&world, &path).await;

        assert_eq!(reply.code, StatusCode::OK, "{path}: {}", reply.body);
        // what a visitor of a link sees is the operator's own HTML, in a place of its own (a sandbox without this origin)
        if path == "/panel/links/preview" {
            let policies = reply.headers.get_all(header::CONTENT_SECURITY_POLICY).iter();
            assert!(policies.into_iter().any(|policy| policy.to_str().unwrap().contains("sandbox")));
            continue;
        }
        if !reply.headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html") {
            continue;
        }
        let policy = reply.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        for tag in tags(&reply.body) {
            let mut words = tag.split_ascii_whitespace();
            let name = words.next().unwrap_or_default();
            assert!(name != "style" && (name != "script" || tag.contains(" src=")), "{path}: <{tag}>");
            assert!(!words.any(|word| word.starts_with("style=") || word.starts_with("on")), "{path}: <{tag}>");
        }
        pages += 1;
    }
    assert!(pages >= 17, "only {pages} pages were looked at");
}

/// Sends a form as the reader's browser would for a page of another site.
async fn forge(world: &World, reader: &Reader, path: &str, headers: &[(&str, &str)], form: &str) -> Reply {
    let mut request = World::request_from(HOME, Method::POST, path)
        .header(header::COOKIE, format!("__Host-culvert={}", reader.token))
        .header(header::HOST, "vpn.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(Body::from(form.to_owned())).unwrap()).await
}

#[tokio::test]
async fn takes_nothing_that_a_page_of_another_site_sends() {
    let (world, admin) = house().await;
    let form = "application/x-www-form-urlencoded";
    let own = ("origin", "https://vpn.example");
    let right = format!("csrf={}", admin.csrf);
    let ways: [(&[(&str, &str)], &str); 9] = [
        (&[own, ("content-type", form)], ""),
        (&[own, ("content-type", form)], "csrf="),
        (&[own, ("content-type", form)], "csrf=0123456789abcdef0123456789abcdef"),
        (&[own, ("content-type", "text/plain")], &right),
        (&[own, ("x-csrf", "0123456789abcdef0123456789abcdef")], &right),
        (&[("content-type", form)], &right),
        (&[("origin", "https://evil.example"), ("content-type", form)], &right),
        (&[("origin", "null"), ("content-type", form)], &right),
        (&[own, ("sec-fetch-site", "cross-site"), ("content-type", form)], &right),
    ];
    let before = trace(&world).await;
    let rows = rows(&Method::POST);
    assert!(rows.len() >= 35, "only {} rows", rows.len());
    for route in &rows {
        let path = filled(route.paths[0], "peer_1");
        for (headers, csrf) in ways {
            let reply = forge(&world, &admin, &path, headers, &format!("{csrf}&status=disable&enabled=1")).await;

            assert_eq!(reply.code, StatusCode::FORBIDDEN, "{path} {headers:?} {csrf}");
        }
    }

    assert_eq!(trace(&world).await, before);
    assert!(world.services.users.session(&admin.token).is_some());
}

#[tokio::test]
async fn leads_whoever_is_not_logged_in_to_the_login() {
    let (world, mut nobody) = house().await;
    nobody.token = "0".repeat(64);
    let before = trace(&world).await;
    for route in [rows(&Method::GET), rows(&Method::POST)].concat() {
        let (method, path) = (route.methods[0].clone(), filled(route.paths[0], "peer_1"));

        let reply = nobody.send(&world, method, &path, format!("csrf={}&status=disable", nobody.csrf)).await;

        assert_eq!(reply.code, StatusCode::SEE_OTHER, "{path}");
        let to = reply.headers[header::LOCATION].to_str().unwrap();
        assert!(to.starts_with("/panel/login"), "{path} leads to {to}");
    }
    assert_eq!(trace(&world).await, before);
}

#[tokio::test]
async fn answers_each_role_as_the_right_of_the_row_says() {
    let reseller = Authority::Reseller(UserName::parse("reseller").unwrap());
    for (role, authority) in
        [("operator", Authority::Operator), ("read_only", Authority::ReadOnly), ("reseller", reseller)]
    {
        let (world, _) = house().await;
        let reader = Reader::enter(&world, role).await;
        // what he may is tried after what he may not, and the way out last of all
        let mut rows = [rows(&Method::GET), rows(&Method::POST)].concat();
        rows.retain(|route| route.id != "panel_leave");
        let (may, may_not): (Vec<Route>, Vec<Route>) = rows.into_iter().partition(|row| authority.has(row.right));
        let before = trace(&world).await;
        for route in &may_not {
            let (method, path) = (route.methods[0].clone(), filled(route.paths[0], "peer_1"));

            let reply = reader.send(&world, method, &path, format!("csrf={}&status=disable", reader.csrf)).await;

            assert_eq!(reply.code, StatusCode::FORBIDDEN, "{path} for {role}");
        }
        assert_eq!(trace(&world).await, before, "{role} has changed something");
        assert_eq!(may_not.is_empty(), rows_of_admin() == 0 && role == "operator", "{role}");
        for route in &may {
            let (method, path) = (route.methods[0].clone(), filled(route.paths[0], "peer_1"));

            let reply = reader.send(&world, method, &path, format!("csrf={}", reader.csrf)).await;

            assert_ne!(reply.code, StatusCode::FORBIDDEN, "{path} for {role}");
            assert!(!reply.code.is_server_error(), "{path} for {role}: {}", reply.body);
        }
    }
}

/// How many rows are an admin's alone.
fn rows_of_admin() -> usize {
    let rows = [rows(&Method::GET), rows(&Method::POST)].concat();
    rows.iter().filter(|row| row.right == Right::Administer).count()
}

#[tokio::test]
async fn answers_a_reseller_for_a_foreign_account_as_for_one_that_does_not_exist() {
    let (world, _) = house().await;
    let reseller = Reader::enter(&world, "reseller").await;
    let before = trace(&world).await;
    let of_an_account = |route: &Route| {
        ["/panel/accounts/{name}", "/panel/online/{name}"].iter().any(|begin| route.paths[0].starts_with(begin))
    };
    let rows: Vec<Route> =
        [rows(&Method::GET), rows(&Method::POST)].concat().into_iter().filter(of_an_account).collect();
    assert!(rows.len() >= 13, "only {} rows", rows.len());
    for route in rows {
        let ask = async |name: &str| {
            let (method, path) = (route.methods[0].clone(), filled(route.paths[0], name));
            reseller.send(&world, method, &path, format!("csrf={}&status=disable&name=x", reseller.csrf)).await
        };
        let (foreign, unknown) = (ask("peer_1").await, ask("nobody").await);

        assert_eq!(foreign.code, StatusCode::NOT_FOUND, "{}", route.paths[0]);
        assert_eq!((foreign.code, foreign.body), (unknown.code, unknown.body), "{}", route.paths[0]);
    }
    assert_eq!(trace(&world).await, before);
}

#[tokio::test]
async fn shows_a_reseller_nothing_of_others_on_any_page() {
    let (world, _) = house().await;
    let reseller = Reader::enter(&world, "reseller").await;
    world.post("/api/v1/account", "wg_name=Default_1&name=own").await.success();
    world.put("/api/v1/account/own", "owner=reseller").await.success();
    let authority = Authority::Reseller(UserName::parse("reseller").unwrap());
    for route in rows(&Method::GET).iter().filter(|row| authority.has(row.right)) {
        let path = match route.id {
            "panel_work" => work(&world, &reseller).await,
            _ => filled(route.paths[0], "own"),
        };

        let reply = reseller.look(&world, &path).await;

        assert_eq!(reply.code, StatusCode::OK, "{path}: {}", reply.body);
        for foreign in ["peer_1", "peer_2", "spare", "10.0.0.2<"] {
            // the servers that an account may be made on are named to whoever may make one
            let is_named = foreign == "spare" && ["panel_accounts", "panel_account_new"].contains(&route.id);
            assert!(is_named || !reply.body.contains(foreign), "{path} shows {foreign}");
        }
    }
}

#[tokio::test]
async fn does_nothing_to_many_accounts_of_which_one_is_foreign() {
    let (world, _) = house().await;
    let reseller = Reader::enter(&world, "reseller").await;
    let before = trace(&world).await;
    for action in ["delete", "disable", "enable", "bandwidth"] {
        let form = format!("account:peer_1=1&account:peer_2=1&action={action}&b_download=1&b_upload=1");

        let reply = reseller.post(&world, "/panel/accounts", &form).await;

        let told = reseller.look(&world, reply.headers[header::LOCATION].to_str().unwrap()).await.body;
        assert_eq!(told.matches("<td>Account not found</td>").count(), 2, "{action}: {told}");
    }
    assert_eq!(trace(&world).await, before);
}

#[tokio::test]
async fn writes_whatever_is_typed_as_text() {
    let (world, admin) = house().await;
    let typed = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E%3Cimg%20src=x%20onerror=alert(1)%3E";
    let guest = Reader { token: String::new(), csrf: String::new() };
    let replies = [
        admin.look(&world, &format!("/panel/accounts?q={typed}&sort={typed}&server={typed}&state={typed}")).await,
        admin.look(&world, &format!("/panel/accounts/{typed}")).await,
        admin.look(&world, &format!("/panel/me?said={typed}")).await,
        admin.post(&world, "/panel/new-account", &format!("wg_name=Default_1&name={typed}&password={typed}")).await,
        admin.post(&world, "/panel/servers/Default_1/edit", &format!("endpoint={typed}&dns_1={typed}")).await,
        admin.post(&world, "/panel/firewall/rules", &format!("end=top&name={typed}&s_ip={typed}")).await,
        admin.post(&world, "/panel/dns", &format!("forwarders_1={typed}")).await,
        guest.look(&world, &format!("/panel/login?next={typed}")).await,
        guest.post(&world, "/panel/login", &format!("name={typed}&password=x&next={typed}")).await,
    ];
    for (at, reply) in replies.iter().enumerate() {
        assert!(!reply.body.contains("<script>") && !reply.body.contains("<img src=x"), "{at}: {}", reply.body);
    }
    let shown = replies.iter().filter(|reply| reply.body.contains("&#60;script&#62;")).count();
    assert!(shown >= 6, "only {shown} pages show what was typed");
}
