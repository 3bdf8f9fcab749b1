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
    assert_eq!(some.code, StatusCode::SEE_OTHER);
    let place = some.headers["location"].to_str().unwrap().to_owned();
    let told = reader.look(&world, &place).await;
    assert!(told.body.contains("<td>nobody</td>") && !told.body.contains(first), "{}", told.body);
    let other = Reader::enter(&world, "admin").await;
    assert_eq!(other.look(&world, &place).await.code, StatusCode::NOT_FOUND, "another's work");
    let left = world.services.accounts.list(&culvert::services::Caller::local());
    assert!(left.iter().all(|account| account.name.as_str() != first));
    assert!(left.iter().any(|account| account.name.as_str() == second && !account.enabled));
}

#[tokio::test]
async fn changes_all_that_were_found_on_every_page() {
    let world = World::furnished().await;
    let reader = Reader::enter(&world, "operator").await;

    let reply = reader.post(&world, "/panel/accounts", "action=disable&every=1&q=peer_1").await;

    assert_eq!(reply.headers["location"], "/panel/accounts?said=saved");
    let all = world.services.accounts.list(&culvert::services::Caller::local());
    assert!(all.len() > 1);
    for account in all {
        assert_eq!(account.enabled, account.name.as_str() != "peer_1", "{}", account.name);
    }
}

#[tokio::test]
async fn masks_a_password_in_the_form_and_keeps_it() {
    let world = World::furnished().await;
    let [writer, reader] = [Reader::enter(&world, "operator").await, Reader::enter(&world, "read_only").await];
    let password = || {
        let account = world.services.accounts.detail(&culvert::services::Caller::local(), "peer_1").unwrap();
        account.password.reveal().to_owned()
    };
    let first = password();

    let form = writer.look(&world, "/panel/accounts/peer_1/edit").await.body;
    let hidden = reader.look(&world, "/panel/accounts/peer_1/edit").await.body;
    let saved = writer.post(&world, "/panel/accounts/peer_1/edit", &format!("password={first}&b_upload=7")).await;

    assert!(form.contains(&format!("type=\"password\" value=\"{first}\"")), "{form}");
    assert_eq!(form.matches(first.as_str()).count(), 1, "{form}");
    assert!(
        form.contains("data-reveal=\"account-password\"") && form.contains("aria-pressed=\"false\" hidden>"),
        "{form}"
    );
    assert!(!hidden.contains(&first), "{hidden}");
    assert_eq!((saved.code, password()), (StatusCode::SEE_OTHER, first));
}
