//! The panel's pages of users and access hashes: what is secret is shown once, and only administrators come here.

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use culvert::domain::audit::AuditDraft;
use culvert::domain::name::UserName;
use culvert::domain::password::Password;
use culvert::services::Caller;
use culvert::services::users::LoginDraft;

use crate::reader::Reader;
use crate::support::{HOME, Reply, World};

/// What stands in the element that is copied from.
fn shown_once(html: &str) -> Option<&str> {
    html.split_once("<pre id=\"once\" tabindex=\"0\">")?.1.split_once("</pre>").map(|(secret, _)| secret)
}

#[tokio::test]
async fn makes_a_user_and_shows_the_chosen_password_once() {
    let world = World::new().await;
    let admin = Reader::enter(&world, "admin").await;

    let made = admin.post(&world, "/panel/users", "name=shop&role=reseller&accounts=5&password=").await;
    let later = admin.look(&world, "/panel/users/shop").await;
    let again = admin.post(&world, "/panel/users/shop/password", "").await;

    let (first, second) = (shown_once(&made.body).unwrap(), shown_once(&again.body).unwrap());
    assert!(first.len() >= 12 && second.len() >= 12 && first != second);
    assert!(shown_once(&later.body).is_none() && !later.body.contains(first));
}

#[tokio::test]
async fn changes_how_far_a_user_reaches_and_removes_him() {
    let world = World::new().await;
    let admin = Reader::enter(&world, "admin").await;
    admin.post(&world, "/panel/users", "name=shop&role=reseller&accounts=5&password=").await;

    let edited = admin.post(&world, "/panel/users/shop", "role=reseller&accounts=7&b_download=10").await;
    let refused = admin.post(&world, "/panel/users/shop", "role=king").await;
    let caps = world.services.users.detail(&Caller::local(), "shop").unwrap().caps;
    let removed = admin.post(&world, "/panel/users/shop/delete", "").await;
    let gone = admin.look(&world, "/panel/users/shop").await;

    assert_eq!((edited.code, caps.accounts, caps.b_download.get()), (StatusCode::SEE_OTHER, 7, 10));
    assert!(refused.body.contains("aria-invalid=\"true\""), "{}", refused.body);
    assert_eq!((removed.code, gone.code), (StatusCode::SEE_OTHER, StatusCode::NOT_FOUND));
}

#[tokio::test]
async fn makes_an_access_hash_that_works_until_it_is_deleted() {
    let world = World::new().await;
    let admin = Reader::enter(&world, "admin").await;
    let calls = |hash: &str| world.services.access.check(hash, HOME).is_some();

    let made = admin.post(&world, "/panel/access", "label=my/billing&ip=127.0.0.1&role=operator").await;
    let hash = shown_once(&made.body).unwrap().to_owned();
    let worked = calls(&hash);
    let list = admin.look(&world, "/panel/access").await;
    let removed = admin.post(&world, "/panel/access/delete", "label=my/billing").await;

    assert!(worked && list.body.contains("my/billing") && !list.body.contains(&hash));
    assert_eq!(removed.code, StatusCode::SEE_OTHER, "{}", removed.body);
    assert!(!calls(&hash));
}

/// What the API answers to who shows this hash.
async fn call(world: &World, hash: &str, method: Method, path: &str, form: &str) -> Reply {
    let request = World::request_from(HOME, method, path)
        .header(header::COOKIE, format!("access_hash={hash}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    world.send(request.body(Body::from(form.to_owned())).unwrap()).await
}

#[tokio::test]
async fn lets_a_reseller_make_see_and_remove_hashes_of_its_own_alone() {
    let world = World::new().await;
    let [ops, shop] = [Reader::enter(&world, "operator").await, Reader::enter(&world, "reseller").await];
    let labels = || {
        let list = world.services.access.list(&Caller::local()).unwrap();
        list.into_iter().map(|entry| entry.label).collect::<Vec<_>>()
    };
    let first = labels();
    let of_ops = ops.post(&world, "/panel/me/access", "label=cron&ip=127.0.0.1").await;
    let of_ops = shown_once(&of_ops.body).unwrap().to_owned();

    let forged = "label=billing&ip=127.0.0.0/8&expires=2999-01-01&role=admin&reseller=operator&owner=operator";
    let made = shop.post(&world, "/panel/me/access", forged).await;
    let hash = shown_once(&made.body).unwrap().to_owned();
    let page = shop.look(&world, "/panel/me").await.body;
    let wrong = shop.post(&world, "/panel/me/access", "label=kept&ip=here").await;

    assert!(page.contains("reseller/billing") && page.contains("127.0.0.0/8") && !page.contains(&hash), "{page}");
    assert!(!page.contains("cron") && first.iter().all(|label| !page.contains(label.as_str())), "{page}");
    assert!(wrong.body.contains("value=\"kept\"") && wrong.body.contains("aria-invalid=\"true\""), "{}", wrong.body);
    let before = labels();
    for label in ["operator/cron", "operator%2Fcron", "home", "billing", "reseller/", "", "reseller/../operator/cron"] {
        let refused = shop.post(&world, "/panel/me/access/delete", &format!("label={label}")).await;
        assert_eq!(refused.code, StatusCode::NOT_FOUND, "{label}");
    }
    assert_eq!(labels(), before);
    assert!(world.services.access.check(&of_ops, HOME).is_some());
    let removed = shop.post(&world, "/panel/me/access/delete", "label=reseller/billing").await;
    assert_eq!(removed.code, StatusCode::SEE_OTHER, "{}", removed.body);
    assert!(world.services.access.check(&hash, HOME).is_none());
    let told = world.services.audit.read(&AuditDraft { about: Some("access".into()), ..AuditDraft::default() }).await;
    let told = told.unwrap();
    let told: Vec<_> = told.iter().map(|entry| (entry.by.label.as_str(), entry.deed.text.as_str())).collect();
    assert_eq!(told[0], ("reseller", "Removed the access hash for `reseller/billing`"));
    let text = "Added an access hash for `reseller/billing` from 127.0.0.0/8, reseller, user `reseller`'s own, until \
                2999-01-02T00:00:00Z";
    assert_eq!(told[1], ("reseller", text));
}

#[tokio::test]
async fn reaches_by_a_resellers_own_hash_its_accounts_alone_while_it_is_one() {
    let world = World::furnished().await;
    let admin = Reader::enter(&world, "admin").await;
    let shop = Reader::enter(&world, "reseller").await;
    let made = shop.post(&world, "/panel/me/access", "label=billing&ip=127.0.0.1&role=admin").await;
    let hash = shown_once(&made.body).unwrap().to_owned();
    let of = async |method, path: &str, form: &str| call(&world, &hash, method, path, form).await;

    of(Method::POST, "/api/v1/account", "wg_name=Default_1&name=mine").await.success();

    let list = of(Method::GET, "/api/v1/account", "").await;
    list.success();
    assert!(list.body.contains("mine") && !list.body.contains("peer_1"), "{}", list.body);
    assert_eq!(of(Method::GET, "/api/v1/account/peer_1", "").await.refusal(), "Account not found");
    assert_eq!(of(Method::DELETE, "/api/v1/account/peer_1", "").await.refusal(), "Account not found");
    assert_eq!(of(Method::GET, "/api/v1/system/config", "").await.refusal(), "Not allowed");
    // another password leaves a program alone, another role does not
    admin.post(&world, "/panel/users/reseller/password", "password=another+password").await;
    of(Method::GET, "/api/v1/account/mine", "").await.success();
    admin.post(&world, "/panel/users/reseller", "role=operator").await;
    assert_eq!(of(Method::GET, "/api/v1/account/mine", "").await.refusal(), "Not authorized");
    admin.post(&world, "/panel/users/reseller", "role=reseller").await;
    assert_eq!(of(Method::GET, "/api/v1/account/mine", "").await.refusal(), "Not authorized");
}

#[tokio::test]
async fn offers_hashes_of_their_own_to_all_but_administrators() {
    let world = World::new().await;
    for (role, may) in [("operator", true), ("read_only", true), ("reseller", true), ("admin", false)] {
        let reader = Reader::enter(&world, role).await;

        let page = reader.look(&world, "/panel/me").await.body;
        let made = reader.post(&world, "/panel/me/access", "label=x&ip=127.0.0.1").await;

        assert_eq!(page.contains("action=\"/panel/me/access\""), may, "{role}");
        assert_eq!(made.code, if may { StatusCode::OK } else { StatusCode::FORBIDDEN }, "{}", made.body);
        let authority = shown_once(&made.body).and_then(|hash| world.services.access.check(hash, HOME));
        assert_eq!(authority.map(|caller| caller.authority.role().word()), may.then_some(role));
    }
}

#[tokio::test]
async fn lets_nobody_but_administrators_in() {
    let world = World::new().await;
    for role in ["operator", "read_only", "reseller"] {
        let reader = Reader::enter(&world, role).await;
        for path in ["/panel/users", "/panel/access"] {
            assert_eq!(reader.look(&world, path).await.code, StatusCode::FORBIDDEN, "{role}: {path}");
        }
        reader.post(&world, "/panel/users", "name=mine&role=admin&password=").await;
    }
    assert!(world.services.users.detail(&Caller::local(), "mine").is_err());
}

#[tokio::test]
async fn ends_one_session_of_another() {
    let world = World::new().await;
    let [admin, other] = [Reader::enter(&world, "admin").await, Reader::enter(&world, "operator").await];
    let sessions = world.services.users.sessions(&Caller::local(), "operator").unwrap();

    let page = admin.look(&world, "/panel/users/operator").await.body;
    let path = format!("/panel/users/operator/sessions/{}/end", sessions[0].id);
    let by_himself = other.post(&world, &path, "").await;
    let ended = admin.post(&world, &path, "").await;

    assert!(page.contains(&path), "{page}");
    assert_eq!(by_himself.code, StatusCode::FORBIDDEN, "the page is not his");
    assert_eq!(ended.headers["location"], "/panel/users/operator?said=ended");
    assert!(
        world.services.users.session(&other.token).is_none() && world.services.users.session(&admin.token).is_some()
    );
}

#[tokio::test]
async fn takes_a_password_that_is_typed_and_shows_it_nowhere() {
    let world = World::new().await;
    let admin = Reader::enter(&world, "admin").await;
    admin.post(&world, "/panel/users", "name=shop&role=operator&password=").await;

    let short = admin.post(&world, "/panel/users/shop/password", "password=abc").await;
    let typed = admin.post(&world, "/panel/users/shop/password", "password=correct+horse+battery").await;
    let page = admin.look(&world, "/panel/users/shop").await.body;

    assert!(short.body.contains("aria-invalid=\"true\"") && !short.body.contains("abc\""), "{}", short.body);
    assert_eq!(typed.headers["location"], "/panel/users/shop?said=saved");
    assert!(!page.contains("correct horse"));
    let draft = LoginDraft { name: "shop".into(), password: Password::new("correct horse battery".into()), code: None };
    assert!(world.services.users.log_in(draft, HOME, "test").await.is_ok());
}

#[tokio::test]
async fn offers_the_resellers_for_an_access_hash() {
    let world = World::new().await;
    let admin = Reader::enter(&world, "admin").await;
    admin.post(&world, "/panel/users", "name=shop&role=reseller&accounts=5&password=").await;
    admin.post(&world, "/panel/users", "name=clerk&role=operator&password=").await;

    let page = admin.look(&world, "/panel/access").await.body;
    let made = admin.post(&world, "/panel/access", "label=billing&ip=127.0.0.1&role=reseller&reseller=shop").await;

    assert!(page.contains("<option value=\"shop\"") && !page.contains("<option value=\"clerk\""), "{page}");
    let caller = world.services.access.check(shown_once(&made.body).unwrap(), HOME).unwrap();
    assert_eq!(caller.authority.reseller().map(UserName::as_str), Some("shop"));
}
