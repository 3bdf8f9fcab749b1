//! Stories of users, logins and sessions, on a real store and a runtime that runs nothing.

use std::net::{IpAddr, Ipv4Addr};

use jiff::{Timestamp, ToSpan as _};
use tempfile::TempDir;

use super::fixture::hash_from;
use super::tests::{over_with_cap, refusal};
use super::users::{LoginDraft, SessionRow};
use super::{Caller, Error, Services};
use crate::domain::access::{AccessDraft, Authority, Role, TotpSecret, UserDraft};
use crate::domain::audit::AuditDraft;
use crate::domain::limits;
use crate::domain::password::Password;
use crate::domain::refusal::Refusal;
use crate::runtime::os::clock;
use crate::store::Store;

const FIRST: &str = "correct horse";
const SECOND: &str = "battery staple";

/// Services with one admin, whose password is [`FIRST`].
async fn services() -> (TempDir, Services) {
    let dir = TempDir::new().unwrap();
    let services = over_with_cap(Store::open(dir.path()).unwrap(), 3);
    add(&services, "admin", "admin").await;
    (dir, services)
}

async fn add(services: &Services, name: &str, role: &str) {
    let draft = UserDraft {
        name: Some(name.into()),
        password: Some(Password::new(FIRST.into())),
        role: Some(role.into()),
        ..UserDraft::default()
    };
    services.users.add(&Caller::local(), draft).await.unwrap();
}

/// An address like no other of the same test, so that no limit of addresses is reached.
fn from(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, number))
}

fn draft(name: &str, password: &str, code: Option<&str>) -> LoginDraft {
    LoginDraft { name: name.into(), password: Password::new(password.into()), code: code.map(Into::into) }
}

async fn log_in(services: &Services, name: &str, password: &str) -> Result<String, Error> {
    services.users.log_in(draft(name, password, None), from(1), "a browser").await
}

fn ids(rows: &[SessionRow]) -> Vec<String> {
    rows.iter().map(|row| row.id.clone()).collect()
}

#[tokio::test]
async fn lets_a_user_in_and_keeps_no_token() {
    let (dir, services) = services().await;

    let token = log_in(&services, " admin ", FIRST).await.unwrap();

    let session = services.users.session(&token).unwrap();
    assert_eq!((session.user.as_str(), session.caller.authority), ("admin", Authority::Admin));
    assert_eq!((session.csrf.len(), session.has_second_factor, session.password_is_first), (64, false, false));
    assert_eq!(services.users.session(&session.csrf), None);
    services.users.ground.store.close().await.unwrap();
    let file = std::fs::read(dir.path().join("culvert.redb")).unwrap();
    let secret: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&token[at..at + 2], 16).unwrap()).collect();
    for needle in [token.as_bytes(), &secret, FIRST.as_bytes()] {
        assert!(!file.windows(needle.len()).any(|window| window == needle));
    }
}

#[tokio::test]
async fn tells_nobody_whether_the_name_or_the_password_was_wrong() {
    let (_dir, services) = services().await;

    for (name, password) in [("admin", SECOND), ("nobody", FIRST), ("", "")] {
        assert_eq!(refusal(log_in(&services, name, password).await), Refusal::LoginWrong, "{name}");
    }
}

#[tokio::test]
async fn keeps_sessions_over_a_restart_and_none_that_was_logged_out() {
    let (dir, services) = services().await;
    let (kept, gone) =
        (log_in(&services, "admin", FIRST).await.unwrap(), log_in(&services, "admin", FIRST).await.unwrap());
    services.users.log_out(&gone).await.unwrap();
    services.users.ground.store.close().await.unwrap();

    let again = over_with_cap(Store::open(dir.path()).unwrap(), 3);

    assert!(again.users.session(&kept).is_some() && again.users.session(&gone).is_none());
    assert_eq!(refusal(again.users.log_out(&gone).await), Refusal::NotAuthorized);
}

#[tokio::test]
async fn locks_a_user_after_five_wrong_passwords_even_with_the_right_one() {
    let (_dir, services) = services().await;
    for _ in 0..limits::LOGIN_TRIES {
        assert_eq!(refusal(log_in(&services, "admin", SECOND).await), Refusal::LoginWrong);
    }

    let locked = refusal(log_in(&services, "admin", FIRST).await);

    assert!(matches!(locked, Refusal::LoginLocked { seconds: 1..=60 }), "{locked}");
    assert!(services.users.list(&Caller::local()).unwrap()[0].locked.is_some());
    services.users.unlock(&Caller::local(), "admin").await.unwrap();
    log_in(&services, "admin", FIRST).await.unwrap();
}

#[tokio::test]
async fn locks_a_name_that_nobody_has_like_one_that_somebody_has() {
    let (_dir, services) = services().await;
    for _ in 0..limits::LOGIN_TRIES {
        let _ = log_in(&services, "nobody", FIRST).await;
    }

    assert!(matches!(refusal(log_in(&services, "nobody", FIRST).await), Refusal::LoginLocked { .. }));
}

#[tokio::test]
async fn hears_no_more_than_so_many_logins_a_minute_from_one_address() {
    let (_dir, services) = services().await;
    for number in 0..limits::WRONG_TRIES.get() {
        let _ = log_in(&services, &format!("user_{number}"), SECOND).await;
    }

    assert!(matches!(refusal(log_in(&services, "admin", FIRST).await), Refusal::LoginLocked { .. }));
    services.users.log_in(draft("admin", FIRST, None), from(2), "").await.unwrap();
}

#[tokio::test]
async fn ends_the_other_sessions_when_the_password_changes() {
    let (_dir, services) = services().await;
    let (here, there) =
        (log_in(&services, "admin", FIRST).await.unwrap(), log_in(&services, "admin", FIRST).await.unwrap());
    let change = |old, new| services.users.change_password(&here, old, new);
    assert_eq!(refusal(change(SECOND, FIRST).await), Refusal::PasswordWrong);
    assert!(matches!(refusal(change(FIRST, "short").await), Refusal::FieldMalformed { field: "password", .. }));
    assert!(services.users.session(&there).is_some());

    change(FIRST, SECOND).await.unwrap();

    assert!(services.users.session(&here).is_some() && services.users.session(&there).is_none());
    assert_eq!(refusal(log_in(&services, "admin", FIRST).await), Refusal::LoginWrong);
    log_in(&services, "admin", SECOND).await.unwrap();
}

#[tokio::test]
async fn knows_the_password_of_the_first_start_until_it_is_changed() {
    let dir = TempDir::new().unwrap();
    let services = over_with_cap(Store::open(dir.path()).unwrap(), 3);
    let first = services.first_start().await.unwrap().unwrap();
    let token = log_in(&services, "admin", &first.admin_password).await.unwrap();
    assert!(services.users.session(&token).unwrap().password_is_first);

    services.users.change_password(&token, &first.admin_password, SECOND).await.unwrap();

    assert!(!services.users.session(&token).unwrap().password_is_first);
}

#[tokio::test]
async fn has_as_many_sessions_as_it_may_and_the_oldest_goes() {
    let (_dir, services) = services().await;
    let at = clock::timestamp();
    let mut tokens = Vec::new();
    for number in 0..=limits::SESSIONS_OF_USER {
        let number = u8::try_from(number).unwrap();
        let at = at + i64::from(number).milliseconds();
        tokens.push(services.users.log_in_at(draft("admin", FIRST, None), from(number), "", at).await.unwrap());
    }

    let open: Vec<bool> = tokens.iter().map(|token| services.users.session(token).is_some()).collect();

    assert!(!open[0] && open[1..].iter().all(|open| *open));
    assert_eq!(services.users.sessions(&Caller::local(), "admin").unwrap().len(), limits::SESSIONS_OF_USER);
}

#[tokio::test]
async fn ends_a_session_that_was_idle_and_takes_it_away() {
    let (_dir, services) = services().await;
    let token = log_in(&services, "admin", FIRST).await.unwrap();
    let at = clock::timestamp();

    assert!(services.users.session_at(&token, at + 11.hours()).is_some());
    // the writer answers in order, so that it was used has been kept by now
    services.users.ground.store.write(|_| Ok(())).await.unwrap();

    assert!(services.users.session_at(&token, at + 22.hours()).is_some());
    assert!(services.users.session_at(&token, at + 36.hours()).is_none());
    services.users.prune_at(at + 36.hours()).await.unwrap();
    assert!(services.users.ground.store.access().sessions.is_empty());
}

#[tokio::test]
async fn ends_one_session_by_its_name_and_all_but_one() {
    let (_dir, services) = services().await;
    let users = &services.users;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(log_in(&services, "admin", FIRST).await.unwrap());
    }
    let session = users.session(&tokens[0]).unwrap();

    let other = users.session(&tokens[1]).unwrap().id;
    users.end_session(&session.caller, "admin", &other).await.unwrap();
    assert_eq!(refusal(users.end_session(&session.caller, "admin", &other).await), Refusal::SessionNotFound);
    assert!(users.session(&tokens[1]).is_none() && users.session(&tokens[2]).is_some());

    users.end_other_sessions(&tokens[0]).await.unwrap();
    assert_eq!(ids(&users.sessions(&session.caller, "admin").unwrap()), [session.id]);
}

#[tokio::test]
async fn shows_a_user_its_own_sessions_alone() {
    let (_dir, services) = services().await;
    add(&services, "watch", "read_only").await;
    let token = log_in(&services, "watch", FIRST).await.unwrap();
    let (by, users) = (services.users.session(&token).unwrap().caller, &services.users);

    assert_eq!(users.sessions(&by, "watch").unwrap().len(), 1);
    assert_eq!(refusal(users.sessions(&by, "admin")), Refusal::NotAllowed);
    assert_eq!(refusal(users.end_session(&by, "admin", "0").await), Refusal::NotAllowed);
}

/// A second factor of the admin, with its recovery codes.
async fn second_factor(services: &Services, token: &str) -> (TotpSecret, Vec<String>) {
    let offer = services.users.begin_second_factor(token).await.unwrap();
    assert!(offer.qr.starts_with(b"\x89PNG") && offer.uri.contains(&format!("secret={}&", offer.secret)));
    let secret = secret_of(&offer.secret);
    assert_eq!(refusal(services.users.confirm_second_factor(token, "000000x").await), Refusal::CodeWrong);
    // a code of the step before, so that the present one can still be used
    let code = secret.shown(clock::timestamp() - 30.seconds());
    let codes = services.users.confirm_second_factor(token, &code).await.unwrap();
    (secret, codes)
}

fn secret_of(base32: &str) -> TotpSecret {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: Vec<u8> = base32
        .chars()
        .flat_map(|digit| {
            let value = DIGITS.find(digit).unwrap();
            (0..5).rev().map(move |bit| u8::from(value >> bit & 1 == 1))
        })
        .collect();
    let bytes: Vec<u8> = bits.chunks(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | bit)).collect();
    TotpSecret::from_entropy(bytes.try_into().unwrap())
}

async fn log_in_with(services: &Services, code: Option<&str>, at: Timestamp) -> Result<String, Error> {
    services.users.log_in_at(draft("admin", FIRST, code), from(9), "", at).await
}

#[tokio::test]
async fn wants_a_code_once_a_second_factor_is_confirmed() {
    let (_dir, services) = services().await;
    let token = log_in(&services, "admin", FIRST).await.unwrap();
    let at = clock::timestamp();
    let (secret, codes) = second_factor(&services, &token).await;
    assert_eq!(codes.len(), limits::RECOVERY_CODES);
    assert!(services.users.session(&token).unwrap().has_second_factor);

    assert_eq!(refusal(log_in_with(&services, None, at).await), Refusal::LoginCodeWanted);
    assert_eq!(refusal(log_in_with(&services, Some("000 00"), at).await), Refusal::LoginWrong);
    let later = at + 2.minutes();
    let code = secret.shown(later);
    log_in_with(&services, Some(&code), later).await.unwrap();

    assert_eq!(refusal(log_in_with(&services, Some(&code), later).await), Refusal::LoginWrong, "a code is used once");
}

#[tokio::test]
async fn takes_a_recovery_code_once() {
    let (_dir, services) = services().await;
    let token = log_in(&services, "admin", FIRST).await.unwrap();
    let (_, codes) = second_factor(&services, &token).await;
    let at = clock::timestamp();

    log_in_with(&services, Some(&codes[3]), at).await.unwrap();

    assert_eq!(refusal(log_in_with(&services, Some(&codes[3]), at).await), Refusal::LoginWrong);
    assert_eq!(services.users.list(&Caller::local()).unwrap()[0].recovery_codes, 9);
    let told = services.audit.read(&AuditDraft::default()).await.unwrap();
    assert!(told.iter().any(|entry| entry.deed.text == "Logged in with a recovery code, 9 are left"));
}

#[tokio::test]
async fn guesses_no_code_by_asking_which_password_is_right_in_between() {
    let (_dir, services) = services().await;
    let token = log_in(&services, "admin", FIRST).await.unwrap();
    second_factor(&services, &token).await;
    let at = clock::timestamp();
    let ask =
        async |number: u8, code| services.users.log_in_at(draft("admin", FIRST, code), from(number), "", at).await;
    for number in 10..10 + u8::try_from(limits::LOGIN_TRIES).unwrap() {
        assert_eq!(refusal(ask(number, None).await), Refusal::LoginCodeWanted);
        assert_eq!(refusal(ask(number, Some("1")).await), Refusal::LoginWrong);
    }

    assert!(matches!(refusal(ask(99, None).await), Refusal::LoginLocked { .. }));
}

#[tokio::test]
async fn removes_a_second_factor_with_the_password_or_by_an_admin() {
    let (_dir, services) = services().await;
    let (users, by) = (&services.users, Caller::local());
    let token = log_in(&services, "admin", FIRST).await.unwrap();
    assert_eq!(refusal(users.remove_second_factor(&token, FIRST).await), Refusal::SecondFactorMissing);
    assert_eq!(refusal(users.confirm_second_factor(&token, "1").await), Refusal::SecondFactorMissing);

    second_factor(&services, &token).await;
    assert_eq!(refusal(users.begin_second_factor(&token).await.map(|_| ())), Refusal::SecondFactorPresent);
    assert_eq!(refusal(users.remove_second_factor(&token, SECOND).await), Refusal::PasswordWrong);
    users.remove_second_factor(&token, FIRST).await.unwrap();
    log_in(&services, "admin", FIRST).await.unwrap();

    second_factor(&services, &token).await;
    users.remove_second_factor_of(&by, "admin").await.unwrap();
    log_in(&services, "admin", FIRST).await.unwrap();
}

#[tokio::test]
async fn keeps_the_last_admin() {
    let (_dir, services) = services().await;
    let (users, by) = (&services.users, Caller::local());
    add(&services, "watch", "read_only").await;
    let demoted = UserDraft { role: Some("operator".into()), ..UserDraft::default() };

    assert_eq!(refusal(users.remove(&by, "admin").await), Refusal::LastAdmin);
    assert_eq!(refusal(users.edit(&by, "admin", demoted.clone()).await), Refusal::LastAdmin);

    add(&services, "other", "admin").await;
    users.edit(&by, "admin", demoted).await.unwrap();
    users.remove(&by, "admin").await.unwrap();
    assert_eq!(refusal(users.remove(&by, "other").await), Refusal::LastAdmin);
}

#[tokio::test]
async fn ends_what_a_user_was_allowed_at_once() {
    let (_dir, services) = services().await;
    let (users, by) = (&services.users, Caller::local());
    add(&services, "other", "admin").await;
    let token = log_in(&services, "other", FIRST).await.unwrap();

    let demoted = UserDraft { role: Some("reseller".into()), ..UserDraft::default() };
    users.edit(&by, "other", demoted).await.unwrap();
    assert_eq!(users.session(&token).unwrap().caller.authority.role(), Role::Reseller);

    users.remove(&by, "other").await.unwrap();
    assert_eq!(users.session(&token), None);
}

#[tokio::test]
async fn sets_a_password_for_who_has_lost_it() {
    let (_dir, services) = services().await;
    let (users, by) = (&services.users, Caller::local());
    let token = log_in(&services, "admin", FIRST).await.unwrap();
    for _ in 0..limits::LOGIN_TRIES {
        let _ = log_in(&services, "admin", SECOND).await;
    }

    let chosen = users.set_password(&by, "admin", None).await.unwrap();

    assert_eq!(chosen.reveal().len(), limits::PANEL_PASSWORD_LENGTH);
    assert!(users.session(&token).is_none());
    log_in(&services, "admin", chosen.reveal()).await.unwrap();
}

#[tokio::test]
async fn chooses_a_password_and_takes_each_name_once() {
    let (_dir, services) = services().await;
    let (users, by) = (&services.users, Caller::local());
    let named = |name: &str| UserDraft { name: Some(name.into()), ..UserDraft::default() };
    services.access.add(&by, hash_from("billing", "192.0.2.1")).await.unwrap();

    let made = users.add(&by, named("watch")).await.unwrap();

    log_in(&services, "watch", made.password.unwrap().reveal()).await.unwrap();
    assert_eq!(refusal(users.add(&by, named("watch")).await), Refusal::NameTaken);
    assert_eq!(refusal(users.add(&by, named("billing")).await), Refusal::NameTaken);
    assert_eq!(refusal(services.access.add(&by, hash_from("watch", "192.0.2.1")).await), Refusal::NameTaken);
}

#[tokio::test]
async fn lets_nobody_but_admins_near_the_users() {
    let (_dir, services) = services().await;
    let users = &services.users;
    for role in ["operator", "read_only", "reseller"] {
        add(&services, role, role).await;
        let token = log_in(&services, role, FIRST).await.unwrap();
        let by = users.session(&token).unwrap().caller;

        assert_eq!(refusal(users.list(&by)), Refusal::NotAllowed);
        assert_eq!(refusal(users.detail(&by, role)), Refusal::NotAllowed);
        assert_eq!(refusal(users.add(&by, UserDraft::default()).await), Refusal::NotAllowed);
        assert_eq!(refusal(users.edit(&by, role, UserDraft::default()).await), Refusal::NotAllowed);
        assert_eq!(refusal(users.set_password(&by, role, None).await), Refusal::NotAllowed);
        assert_eq!(refusal(users.remove(&by, role).await), Refusal::NotAllowed);
        assert_eq!(refusal(users.unlock(&by, role).await), Refusal::NotAllowed);
        assert_eq!(refusal(users.remove_second_factor_of(&by, role).await), Refusal::NotAllowed);
    }
}

/// A user of this role, who is logged in, as he asks.
async fn asking(services: &Services, name: &str, role: &str) -> Caller {
    add(services, name, role).await;
    let token = log_in(services, name, FIRST).await.unwrap();
    services.users.session(&token).unwrap().caller
}

#[tokio::test]
async fn gives_a_user_hashes_of_what_it_may_itself() {
    let (_dir, services) = services().await;
    let access = &services.access;
    for (name, role) in [("ops", "operator"), ("watch", "read_only"), ("shop", "reseller")] {
        let by = asking(&services, name, role).await;
        let forged = AccessDraft {
            role: Some("admin".into()),
            reseller: Some("admin".into()),
            ..hash_from("billing", "198.51.100.0/24")
        };

        let hash = access.add_own(&by, forged).await.unwrap();

        let caller = access.check(&hash, from(9)).unwrap();
        assert_eq!((caller.label, caller.authority), (format!("{name}/billing"), by.authority.clone()));
        assert!(access.check(&hash, IpAddr::V4(Ipv4Addr::LOCALHOST)).is_none());
        assert_eq!(access.list_own(&by).unwrap().len(), 1);
        assert_eq!(refusal(access.add_own(&by, hash_from("billing", "::1")).await), Refusal::NameTaken);
    }
}

#[tokio::test]
async fn ends_a_users_own_hashes_with_the_user_and_with_the_role() {
    let (_dir, services) = services().await;
    let (access, users, local) = (&services.access, &services.users, Caller::local());
    let as_role = |role: &str| UserDraft { role: Some(role.into()), ..UserDraft::default() };
    for (name, role) in [("ops", "operator"), ("watch", "read_only"), ("shop", "reseller")] {
        let by = asking(&services, name, role).await;
        let hash = access.add_own(&by, hash_from("a", "198.51.100.9")).await.unwrap();
        users.edit(&local, name, as_role("admin")).await.unwrap();
        assert!(access.check(&hash, from(9)).is_none(), "{role}");
        assert_eq!(refusal(access.add_own(&by, hash_from("b", "::1")).await), Refusal::NotAllowed);
        users.edit(&local, name, as_role(role)).await.unwrap();
        assert!(access.check(&hash, from(9)).is_none(), "what was is not back, {role}");

        let hash = access.add_own(&by, hash_from("a", "198.51.100.9")).await.unwrap();
        users.remove(&local, name).await.unwrap();
        add(&services, name, role).await;
        assert!(access.check(&hash, from(9)).is_none(), "nor does it pass to the next, {role}");
        assert_eq!(access.list_own(&by).unwrap(), []);
    }
}

#[tokio::test]
async fn gives_no_own_hashes_to_who_is_no_user_or_makes_all_of_them() {
    let (_dir, services) = services().await;
    let access = &services.access;
    let ops = asking(&services, "ops", "operator").await;
    let hash = access.add_own(&ops, hash_from("a", "198.51.100.9")).await.unwrap();
    let by_hash = access.check(&hash, from(9)).unwrap();
    let token = log_in(&services, "admin", FIRST).await.unwrap();
    let admin = services.users.session(&token).unwrap().caller;
    for by in [&by_hash, &admin, &Caller::local(), &Caller { authority: Authority::ReadOnly, ..ops.clone() }] {
        assert_eq!(refusal(access.add_own(by, hash_from("b", "::1")).await), Refusal::NotAllowed, "{by}");
        assert_eq!(refusal(access.list_own(by)), Refusal::NotAllowed, "{by}");
        assert_eq!(refusal(access.remove_own(by, "ops/a").await), Refusal::NotAllowed, "{by}");
    }
    for number in 1..limits::ACCESS_OF_USER {
        access.add_own(&ops, hash_from(&number.to_string(), "::1")).await.unwrap();
    }
    assert_eq!(refusal(access.add_own(&ops, hash_from("more", "::1")).await), Refusal::AccessExceeded);
}

#[tokio::test]
async fn remembers_how_a_user_wants_to_see_the_panel() {
    let (_dir, services) = services().await;
    let token = log_in(&services, "admin", FIRST).await.unwrap();
    let set = |language: Option<&str>, theme: Option<&str>| {
        services.users.set_preferences(&token, language.map(Into::into), theme.map(Into::into))
    };
    let seen = || services.users.session(&token).map(|session| (session.language, session.theme)).unwrap();

    set(Some("de"), Some("dark")).await.unwrap();
    set(None, Some("")).await.unwrap();

    assert_eq!(seen(), (Some("de".into()), None));
    assert!(matches!(refusal(set(Some("<b>"), None).await), Refusal::FieldMalformed { field: "language", .. }));
}

#[tokio::test]
async fn tells_every_change_in_the_audit_log() {
    let (_dir, services) = services().await;
    let (users, by) = (&services.users, Caller::local());
    add(&services, "r", "reseller").await;
    let token = log_in(&services, "r", FIRST).await.unwrap();
    users.change_password(&token, FIRST, SECOND).await.unwrap();
    users.log_out(&token).await.unwrap();
    let caps = UserDraft { accounts: Some("5".into()), ..UserDraft::default() };
    users.edit(&by, "r", caps).await.unwrap();
    users.remove(&by, "r").await.unwrap();

    let query = AuditDraft { about: Some("user".into()), name: Some("r".into()), ..AuditDraft::default() };
    let told: Vec<String> =
        services.audit.read(&query).await.unwrap().iter().map(|entry| entry.deed.text.clone()).collect();

    let expected = [
        "Removed user `r`",
        "Edited user `r`: accounts 0 → 5",
        "Logged out",
        "Changed the own password",
        "Logged in",
        "Added user `r` as reseller",
    ];
    assert_eq!(told, expected);
}
