//! The panel's pages of accounts: what is done to many of them at once.

use axum::http::StatusCode;

use crate::reader::Reader;
use crate::support::World;

#[tokio::test]
async fn changes_many_and_says_which_it_could_not() {
    let world = World::furnished().await;
    let reader = Reader::enter(&world, "operator").await;
    let (first, second) = ("peer_1", "peer_2");

    let all =
        reader.post(&world, "/panel/accounts", &format!("action=disable&account:{first}=1&account:{second}=1")).await;
    let some =
        reader.post(&world, "/panel/accounts", &format!("action=delete&account:{first}=1&account:nobody=1")).await;

    assert_eq!(all.code, StatusCode::SEE_OTHER);
    assert_eq!(some.code, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(some.body.contains("nobody") && !some.body.contains(first), "{}", some.body);
    let left = world.services.accounts.list(&culvert::services::Caller::local());
    assert!(left.iter().all(|account| account.name.as_str() != first));
    assert!(left.iter().any(|account| account.name.as_str() == second && !account.enabled));
}
