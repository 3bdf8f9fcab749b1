//! The panel's users: who they are and what they may. Their sessions are in `sessions.rs`, their second factors in
//! `second_factor.rs`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::passwords::Passwords;
use super::second_factor::Offer;
pub use super::second_factor::SecondFactorOffer;
pub use super::sessions::{LoginDraft, Session, SessionRow};
use super::{Caller, Error, Ground, WrongTries};
use crate::domain::access::{AccessBook, AccessEntry, Caps, PanelUser, PasswordRule, Right, Role, Tries, UserDraft};
use crate::domain::account::Account;
use crate::domain::audit::{Deed, Kind};
use crate::domain::limits;
use crate::domain::name::UserName;
use crate::domain::password::Password;
use crate::domain::refusal::Refusal;
use crate::runtime::os::{clock, entropy};
use crate::store::Change;

/// The use cases of the panel's users.
#[derive(Debug, Clone)]
pub struct Users {
    pub(super) ground: Ground,
    pub(super) desk: Arc<Desk>,
}

/// What is remembered of those who come and go, as long as the process runs.
pub(super) struct Desk {
    pub(super) passwords: Passwords,
    /// Logins by address.
    pub(super) addresses: WrongTries,
    tries: Mutex<Tries>,
    offers: Mutex<BTreeMap<UserName, Offer>>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    fn new() -> Self {
        Self {
            passwords: Passwords::default(),
            addresses: WrongTries::new(),
            tries: Mutex::new(Tries::new(entropy::bytes())),
            offers: Mutex::default(),
        }
    }

    pub(super) fn tries(&self) -> MutexGuard<'_, Tries> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn offers(&self) -> MutexGuard<'_, BTreeMap<UserName, Offer>> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a try of this name, before it is looked at.
    ///
    /// # Errors
    /// `LoginLocked`.
    pub(super) fn begin(&self, name: &str) -> Result<(), Refusal> {
        self.tries().begin(name, clock::now()).map_err(locked)
    }
}

/// What somebody is told who has to wait so long.
pub(super) fn locked(left: Duration) -> Refusal {
    Refusal::LoginLocked { seconds: left.as_secs().max(1) }
}

/// A user as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// The name to log in with.
    pub name: UserName,
    /// What it may.
    pub role: Role,
    /// How far it reaches as a reseller.
    pub caps: Caps,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it shows a code besides its password.
    pub has_second_factor: bool,
    /// How many recovery codes it has left.
    pub recovery_codes: usize,
    /// How many accounts are its own.
    pub accounts: usize,
    /// How many open sessions it has.
    pub sessions: usize,
    /// When one of them was last used, to the minute.
    pub last_seen: Option<Timestamp>,
    /// For how long it is locked after wrong tries, in seconds; absent where it is not.
    pub locked: Option<u64>,
}

/// A user that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserMade {
    /// The user.
    pub user: UserRow,
    /// Its password, to be shown once, where it was chosen here.
    pub password: Option<Password>,
}

impl Users {
    pub(super) fn new(ground: Ground) -> Self {
        Self { ground, desk: Arc::new(Desk::new()) }
    }

    /// Every user, by name.
    ///
    /// # Errors
    /// `NotAllowed` to all but admins.
    pub fn list(&self, by: &Caller) -> Result<Vec<UserRow>, Error> {
        by.must(Right::Administer)?;
        let book = self.ground.store.access();
        Ok(book.users.values().map(|user| self.row(&book, user)).collect())
    }

    /// One user.
    ///
    /// # Errors
    /// `NotAllowed` to all but admins, `UserNotFound`.
    pub fn detail(&self, by: &Caller, name: &str) -> Result<UserRow, Error> {
        by.must(Right::Administer)?;
        let book = self.ground.store.access();
        let user = book.users.get(name).ok_or(Refusal::UserNotFound)?;
        Ok(self.row(&book, user))
    }

    /// Adds a user; a password that the draft lacks is chosen, and returned this once.
    ///
    /// # Errors
    /// `NotAllowed` to all but admins, `NameTaken` (also by the label of an access hash, so that the audit log names one
    /// of the two), `UsersExceeded`, and the refusals of [`UserDraft`].
    pub async fn add(&self, by: &Caller, draft: UserDraft) -> Result<UserMade, Error> {
        by.must(Right::Administer)?;
        let chosen = draft.password.is_none().then(chosen_password);
        let password = draft.password.clone().or_else(|| chosen.clone()).unwrap_or_default();
        let user = self.settled(&draft, password).await?;
        let rule = move |change: &mut Change| {
            let book = change.access();
            if book.users.contains_key(&user.name) || book.entries.contains_key(user.name.as_str()) {
                return Err(Refusal::NameTaken);
            }
            if book.users.len() >= limits::USERS {
                return Err(Refusal::UsersExceeded);
            }
            let text = format!("Added user `{}` as {}", user.name, user.role);
            let deed = Deed::to(Kind::User, &user.name, text);
            let name = user.name.clone();
            change.put_panel_user(user);
            Ok((name, deed))
        };
        let name = self.ground.write(by, rule).await?;
        Ok(UserMade { user: self.detail(by, name.as_str())?, password: chosen })
    }

    async fn settled(&self, draft: &UserDraft, password: Password) -> Result<PanelUser, Error> {
        PasswordRule::check(&password)?;
        // what is refused is refused before the work
        let user = draft.settle(String::new(), clock::timestamp())?;
        let password_hash = self.desk.passwords.hash(password).await?;
        Ok(PanelUser { password_hash, ..user })
    }

    /// Edits what the draft names of a user; its name stays. Another password ends all of its sessions, another role the
    /// access hashes that it has made for itself.
    ///
    /// # Errors
    /// `NotAllowed` to all but admins, `UserNotFound`, `LastAdmin`, and the refusals of [`UserDraft`].
    pub async fn edit(&self, by: &Caller, name: &str, draft: UserDraft) -> Result<UserRow, Error> {
        by.must(Right::Administer)?;
        let password_hash = match draft.password.clone() {
            Some(password) => {
                PasswordRule::check(&password)?;
                Some(self.desk.passwords.hash(password).await?)
            }
            None => None,
        };
        let edited = name.to_owned();
        let rule = move |change: &mut Change| {
            let current = change.access().users.get(edited.as_str()).ok_or(Refusal::UserNotFound)?.clone();
            let mut user = draft.amend(&current)?;
            if current.role == Role::Admin && user.role != Role::Admin && change.access().other_admins(&edited) == 0 {
                return Err(Refusal::LastAdmin);
            }
            let mut text = format!("Edited user `{edited}`{}", told(&current, &user, password_hash.is_some()));
            if user.role != current.role {
                // they were made for what he was, and may not come back with it
                let removed = remove_hashes(change, |entry| entry.owner.as_ref() == Some(&current.name))?;
                if removed > 0 {
                    text = format!("{text}, access hashes of its own removed: {removed}");
                }
            }
            if let Some(password_hash) = password_hash {
                (user.password_hash, user.password_is_first) = (password_hash, false);
                let ended = change.access().sessions_of(&edited).iter().map(|session| session.digest).collect();
                change.remove_sessions(ended);
            }
            if user != current {
                change.put_panel_user(user);
            }
            Ok(((), Deed::to(Kind::User, &edited, text)))
        };
        self.ground.write(by, rule).await?;
        self.detail(by, name)
    }

    /// Sets a user's password, or chooses one, and returns it. All of its sessions end, and it is not locked any more.
    ///
    /// # Errors
    /// As [`Self::edit`].
    pub async fn set_password(&self, by: &Caller, name: &str, password: Option<Password>) -> Result<Password, Error> {
        let password = password.unwrap_or_else(chosen_password);
        let draft = UserDraft { password: Some(password.clone()), ..UserDraft::default() };
        self.edit(by, name, draft).await?;
        self.desk.tries().forgive(name);
        Ok(password)
    }

    /// Removes a user; its sessions end at once. Its access hashes go with it, and a reseller's accounts stay, nobody's: who
    /// comes after it under the same name has none of them.
    ///
    /// # Errors
    /// `NotAllowed` to all but admins, `UserNotFound`, `LastAdmin`.
    pub async fn remove(&self, by: &Caller, name: &str) -> Result<(), Error> {
        by.must(Right::Administer)?;
        let removed = name.to_owned();
        let rule = move |change: &mut Change| {
            let user = change.access().users.get(removed.as_str()).ok_or(Refusal::UserNotFound)?;
            if user.role == Role::Admin && change.access().other_admins(&removed) == 0 {
                return Err(Refusal::LastAdmin);
            }
            change.remove_panel_user(&removed)?;
            disown(change, &removed)?;
            Ok(((), Deed::to(Kind::User, &removed, format!("Removed user `{removed}`"))))
        };
        self.ground.write(by, rule).await?;
        self.desk.tries().forgive(name);
        self.desk.offers().remove(name);
        Ok(())
    }

    /// Forgets a user's wrong tries, so that it can log in again.
    ///
    /// # Errors
    /// `NotAllowed` to all but admins, `UserNotFound`.
    pub async fn unlock(&self, by: &Caller, name: &str) -> Result<(), Error> {
        self.detail(by, name)?;
        self.desk.tries().forgive(name);
        self.ground.note(by, Deed::to(Kind::User, name, format!("Unlocked user `{name}`"))).await;
        Ok(())
    }

    /// How far `by` reaches, if he is a reseller.
    pub fn caps(&self, by: &Caller) -> Option<Caps> {
        let book = self.ground.store.access();
        by.authority.reseller().and_then(|reseller| book.users.get(reseller)).map(|user| user.caps)
    }

    fn row(&self, book: &AccessBook, user: &PanelUser) -> UserRow {
        let (at, intended) = (clock::timestamp(), self.ground.store.intended());
        let open = book.sessions.values().filter(|session| session.user == user.name && session.is_open(at));
        let seen: Vec<Timestamp> = open.map(|session| session.last_seen).collect();
        let locked = self.desk.tries().locked_for(user.name.as_str(), clock::now());
        UserRow {
            name: user.name.clone(),
            role: user.role,
            caps: user.caps,
            created: user.created,
            has_second_factor: user.second_factor.is_some(),
            recovery_codes: user.second_factor.as_ref().map_or(0, |factor| factor.recovery.len()),
            accounts: intended.accounts().filter(|account| account.owner.as_ref() == Some(&user.name)).count(),
            sessions: seen.len(),
            last_seen: seen.into_iter().max(),
            locked: locked.map(|left| left.as_secs().max(1)),
        }
    }
}

/// Takes away the access hashes that are such, and says how many those were.
fn remove_hashes(change: &mut Change, is_such: impl Fn(&AccessEntry) -> bool) -> Result<usize, Refusal> {
    let hashes = change.access().entries.values().filter(|entry| is_such(entry));
    let hashes: Vec<String> = hashes.map(|entry| entry.label.clone()).collect();
    for label in &hashes {
        change.remove_access(label)?;
    }
    Ok(hashes.len())
}

/// Takes away what leads to a user who is gone.
fn disown(change: &mut Change, name: &str) -> Result<(), Refusal> {
    let is_its = |owner: Option<&UserName>| owner.is_some_and(|owner| owner.as_str() == name);
    remove_hashes(change, |entry| is_its(entry.holder()))?;
    let accounts = change.intended().accounts().filter(|account| is_its(account.owner.as_ref()));
    let accounts: Vec<Arc<Account>> = accounts.cloned().collect();
    for account in accounts {
        change.put_account(Account { owner: None, ..account.as_ref().clone() })?;
    }
    Ok(())
}

/// A password that is chosen here.
pub(super) fn chosen_password() -> Password {
    Password::from_entropy(&entropy::bytes::<{ 4 * limits::PANEL_PASSWORD_LENGTH }>())
}

/// What an edit changes, for people.
fn told(before: &PanelUser, after: &PanelUser, password: bool) -> String {
    let mut parts = Vec::new();
    if before.role != after.role {
        parts.push(format!("role {} → {}", before.role, after.role));
    }
    let (old, new) = (before.caps, after.caps);
    for (cap, old, new) in [
        ("accounts", u64::from(old.accounts), u64::from(new.accounts)),
        ("b_upload", old.b_upload.get().into(), new.b_upload.get().into()),
        ("b_download", old.b_download.get().into(), new.b_download.get().into()),
        ("traffic", old.traffic, new.traffic),
    ] {
        if old != new {
            parts.push(format!("{cap} {old} → {new}"));
        }
    }
    if password {
        parts.push("password changed".into());
    }
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
}
