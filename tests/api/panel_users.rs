//! The panel's pages of users and access hashes: what is secret is shown once, and only administrators come here.

use axum::http::StatusCode;

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
