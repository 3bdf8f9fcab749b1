//! The panel's pages of users and access hashes: what is secret is shown once, and only administrators come here.

use axum::http::StatusCode;
use culvert::domain::name::UserName;
use culvert::domain::password::Password;
use culvert::services::users::LoginDraft;

use crate::reader::Reader;
use crate::support::World;

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
    let caps = world.services.users.detail(&culvert::services::Caller::local(), "shop").unwrap().caps;
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
    let calls = |hash: &str| world.services.access.check(hash, crate::support::HOME).is_some();

    let made = admin.post(&world, "/panel/access", "label=my/billing&ip=127.0.0.1&role=operator").await;
    let hash = shown_once(&made.body).unwrap().to_owned();
    let worked = calls(&hash);
    let list = admin.look(&world, "/panel/access").await;
    let removed = admin.post(&world, "/panel/access/delete", "label=my/billing").await;

    assert!(worked && list.body.contains("my/billing") && !list.body.contains(&hash));
    assert_eq!(removed.code, StatusCode::SEE_OTHER, "{}", removed.body);
    assert!(!calls(&hash));
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
    assert!(world.services.users.detail(&culvert::services::Caller::local(), "mine").is_err());
}

#[tokio::test]
async fn ends_one_session_of_another() {
    let world = World::new().await;
    let [admin, other] = [Reader::enter(&world, "admin").await, Reader::enter(&world, "operator").await];
    let sessions = world.services.users.sessions(&culvert::services::Caller::local(), "operator").unwrap();

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
    assert!(world.services.users.log_in(draft, crate::support::HOME, "test").await.is_ok());
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
    let caller = world.services.access.check(shown_once(&made.body).unwrap(), crate::support::HOME).unwrap();
    assert_eq!(caller.authority.reseller().map(UserName::as_str), Some("shop"));
}
