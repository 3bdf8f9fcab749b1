//! Logging in and out, and what a session may change of its own user.

use std::net::IpAddr;

use jiff::Timestamp;
use tracing::debug;

use super::users::{Users, locked};
use super::{Caller, Error};
use crate::domain::access::{Authority, PanelUser, PasswordRule, SessionEntry, Token, TokenDigest};
use crate::domain::audit::{Deed, Kind};
use crate::domain::limits;
use crate::domain::password::Password;
use crate::domain::refusal::Refusal;
use crate::observe::fields;
use crate::runtime::os::{clock, entropy};
use crate::store::{Change, WriteError};

/// What somebody shows to log in.
#[derive(Debug, Clone, Default)]
pub struct LoginDraft {
    /// The user's name.
    pub name: String,
    /// Its password.
    pub password: Password,
    /// A code of its second factor, or a recovery code.
    pub code: Option<String>,
}

/// An open session, with what a page wants to know of its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// How it is called where sessions are listed.
    pub id: String,
    /// The user's name.
    pub user: String,
    /// Who asks, from where the user logged in.
    pub caller: Caller,
    /// What forms show besides the token.
    pub csrf: String,
    /// The language in which the user wants to read.
    pub language: Option<String>,
    /// The colours that the user wants to see.
    pub theme: Option<String>,
    /// Whether the user shows a code besides the password.
    pub has_second_factor: bool,
    /// Whether the password is still the one that the first start chose.
    pub password_is_first: bool,
}

/// A session as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// How it is called.
    pub id: String,
    /// When the user logged in.
    pub created: Timestamp,
    /// When it was last used, to the minute.
    pub last_seen: Timestamp,
    /// Where the user logged in from.
    pub address: IpAddr,
    /// What the browser calls itself.
    pub agent: String,
}

/// A token whose session is open.
pub(super) struct Known {
    pub(super) token: Token,
    pub(super) user: PanelUser,
    pub(super) caller: Caller,
}

impl Users {
    /// Logs in, and returns the token that the session is known by: 64 hex digits, of which only the SHA-256 is kept.
    ///
    /// # Errors
    /// `LoginWrong` for an unknown name, a wrong password and a wrong code, which all take the same time;
    /// `LoginCodeWanted` where all that lacks is a code; `LoginLocked` after too many tries, for how long.
    pub async fn log_in(&self, draft: LoginDraft, from: IpAddr, agent: &str) -> Result<String, Error> {
        self.log_in_at(draft, from, agent, clock::timestamp()).await
    }

    /// [`Self::log_in`], at a moment of the caller's.
    pub(super) async fn log_in_at(
        &self,
        draft: LoginDraft,
        from: IpAddr,
        agent: &str,
        at: Timestamp,
    ) -> Result<String, Error> {
        let LoginDraft { name, password, code } = draft;
        let name = name.trim();
        self.desk.addresses.spend(from).map_err(locked)?;
        self.desk.begin(name)?;
        let outcome = self.enter(name, password, code, from.to_canonical(), agent, at).await;
        match &outcome {
            Ok(_) => self.desk.tries().forgive(name),
            Err(Error::Refused(Refusal::LoginCodeWanted) | Error::Fault(_)) => self.desk.tries().take_back(name),
            Err(Error::Refused(_)) => debug!({ fields::CAUSE } = "wrong", "A login from {from} was refused"),
        }
        outcome
    }

    async fn enter(
        &self,
        name: &str,
        password: Password,
        code: Option<String>,
        from: IpAddr,
        agent: &str,
        at: Timestamp,
    ) -> Result<String, Error> {
        let user = self.ground.store.access().users.get(name).cloned();
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        let right = self.desk.passwords.is_right(password, hash).await?;
        let user = user.filter(|_| right).ok_or(Refusal::LoginWrong)?;
        let code = code.filter(|code| !code.trim().is_empty());
        if user.second_factor.is_some() && code.is_none() {
            return Err(Refusal::LoginCodeWanted.into());
        }
        let token = Token::from_entropy(entropy::bytes());
        let session = SessionEntry {
            digest: token.digest(),
            user: user.name.clone(),
            created: at,
            last_seen: at,
            address: from,
            agent: shortened(agent),
        };
        let by = caller(&user, from);
        let rule = move |change: &mut Change| {
            // it may have another password by now, or be gone
            let present = change.access().users.get(&user.name).filter(|now| now.password_hash == user.password_hash);
            let mut present = present.ok_or(Refusal::LoginWrong)?.clone();
            let mut text = "Logged in".to_owned();
            if let Some(factor) = present.second_factor.take() {
                let left = factor.take(code.as_deref().unwrap_or_default(), at).ok_or(Refusal::LoginWrong)?;
                if left.recovery.len() < factor.recovery.len() {
                    text = format!("Logged in with a recovery code, {} are left", left.recovery.len());
                }
                change.put_panel_user(PanelUser { second_factor: Some(left), ..present });
            }
            make_room(change, user.name.as_str(), at);
            change.put_session(session);
            Ok(((), Deed::to(Kind::User, &user.name, text)))
        };
        self.ground.write_own(&by, rule).await?;
        Ok(token.to_hex())
    }

    /// The open session of this token. That it was used is kept, once a minute at most.
    pub fn session(&self, token: &str) -> Option<Session> {
        self.session_at(token, clock::timestamp())
    }

    /// [`Self::session`], at a moment of the caller's.
    pub(super) fn session_at(&self, token: &str, at: Timestamp) -> Option<Session> {
        let known = self.known_at(token, at)?;
        Some(Session {
            id: known.token.digest().id(),
            user: known.user.name.to_string(),
            csrf: known.token.csrf(),
            language: known.user.language.clone(),
            theme: known.user.theme.clone(),
            has_second_factor: known.user.second_factor.is_some(),
            password_is_first: known.user.password_is_first,
            caller: known.caller,
        })
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// `NotAuthorized` where it is no open session's.
    pub(super) fn known(&self, token: &str) -> Result<Known, Error> {
        Ok(self.known_at(token, clock::timestamp()).ok_or(Refusal::NotAuthorized)?)
    }

    fn known_at(&self, token: &str, at: Timestamp) -> Option<Known> {
        let token = Token::parse(token)?;
        let book = self.ground.store.access();
        let session = book.sessions.get(&token.digest()).filter(|session| session.is_open(at))?;
        let user = book.users.get(&session.user)?.clone();
        if session.is_stale(at) {
            self.touch(session.digest, at);
        }
        let caller = caller(&user, session.address);
        Some(Known { token, user, caller })
    }

    /// Keeps when a session was used.
    fn touch(&self, digest: TokenDigest, at: Timestamp) {
        self.ground.store.write_soon(move |change| {
            let present = change.access().sessions.get(&digest).filter(|session| session.is_stale(at));
            if let Some(session) = present.cloned() {
                change.put_session(SessionEntry { last_seen: at, ..session });
            }
            Ok(())
        });
    }

    /// Ends the session of this token.
    ///
    /// # Errors
    /// `NotAuthorized` where there is none.
    pub async fn log_out(&self, token: &str) -> Result<(), Error> {
        let Known { token, user, caller } = self.known(token)?;
        let digest = token.digest();
        let rule = move |change: &mut Change| {
            change.remove_sessions(vec![digest]);
            Ok(((), Deed::to(Kind::User, &user.name, "Logged out")))
        };
        self.ground.write_own(&caller, rule).await
    }

    /// The open sessions of a user, the oldest first.
    ///
    /// # Errors
    /// `NotAllowed` to all but admins and the user, `UserNotFound`.
    pub fn sessions(&self, by: &Caller, user: &str) -> Result<Vec<SessionRow>, Error> {
        may_see(by, user)?;
        let (book, at) = (self.ground.store.access(), clock::timestamp());
        if !book.users.contains_key(user) {
            return Err(Refusal::UserNotFound.into());
        }
        let open = book.sessions_of(user).into_iter().filter(|session| session.is_open(at));
        Ok(open.map(row).collect())
    }

    /// Ends a session of a user.
    ///
    /// # Errors
    /// `NotAllowed` to all but admins and the user, `SessionNotFound`.
    pub async fn end_session(&self, by: &Caller, user: &str, id: &str) -> Result<(), Error> {
        may_see(by, user)?;
        let (user, id) = (user.to_owned(), id.to_owned());
        let rule = move |change: &mut Change| {
            let of_user = change.access().sessions_of(&user);
            let session = of_user.into_iter().find(|session| session.digest.id() == id);
            let digest = session.ok_or(Refusal::SessionNotFound)?.digest;
            change.remove_sessions(vec![digest]);
            Ok(((), Deed::to(Kind::User, &user, format!("Ended a session of user `{user}`"))))
        };
        self.ground.write_own(by, rule).await
    }

    /// Ends every session of this token's user but its own.
    ///
    /// # Errors
    /// `NotAuthorized` where the token is no open session's.
    pub async fn end_other_sessions(&self, token: &str) -> Result<(), Error> {
        let Known { token, user, caller } = self.known(token)?;
        let kept = token.digest();
        let rule = move |change: &mut Change| {
            end_others(change, user.name.as_str(), kept);
            let text = format!("Ended the other sessions of user `{}`", user.name);
            Ok(((), Deed::to(Kind::User, &user.name, text)))
        };
        self.ground.write_own(&caller, rule).await
    }

    /// Changes the password of this token's user; its other sessions end.
    ///
    /// # Errors
    /// `NotAuthorized` where the token is no open session's, `PasswordWrong`, `LoginLocked`, `FieldMalformed` for a new
    /// password that is too short or too long.
    pub async fn change_password(&self, token: &str, old: &str, new: &str) -> Result<(), Error> {
        let new = Password::new(new.to_owned());
        PasswordRule::check(&new)?;
        let Known { token, user, caller } = self.known(token)?;
        self.prove(&user, old).await?;
        let (kept, password_hash) = (token.digest(), self.desk.passwords.hash(new).await?);
        let rule = move |change: &mut Change| {
            let present = same(change, &user)?;
            change.put_panel_user(PanelUser { password_hash, password_is_first: false, ..present });
            end_others(change, user.name.as_str(), kept);
            Ok(((), Deed::to(Kind::User, &user.name, "Changed the own password")))
        };
        self.ground.write_own(&caller, rule).await
    }

    /// Proves that whoever has the session also knows the password.
    ///
    /// # Errors
    /// `PasswordWrong`, `LoginLocked`.
    pub(super) async fn prove(&self, user: &PanelUser, password: &str) -> Result<(), Error> {
        let name = user.name.as_str();
        self.desk.begin(name)?;
        let password = Password::new(password.to_owned());
        if !self.desk.passwords.is_right(password, Some(user.password_hash.clone())).await? {
            return Err(Refusal::PasswordWrong.into());
        }
        self.desk.tries().forgive(name);
        Ok(())
    }

    /// Sets how this token's user wants to see the panel. What is absent stays, what is empty is the browser's again.
    ///
    /// # Errors
    /// `NotAuthorized` where the token is no open session's, `FieldMalformed`.
    pub async fn set_preferences(
        &self,
        token: &str,
        language: Option<String>,
        theme: Option<String>,
    ) -> Result<(), Error> {
        let Known { user, caller, .. } = self.known(token)?;
        let rule = move |change: &mut Change| {
            let present = change.access().users.get(&user.name).ok_or(Refusal::UserNotFound)?.clone();
            let mut wanted = present.clone();
            wanted.language = preference("language", language, wanted.language)?;
            wanted.theme = preference("theme", theme, wanted.theme)?;
            if wanted != present {
                change.put_panel_user(wanted);
            }
            Ok(((), Deed::to(Kind::User, &user.name, "Set the own language and colours")))
        };
        self.ground.write_own(&caller, rule).await
    }

    /// Takes sessions away that have ended, where the store can be written; the next time otherwise, and they stay ended
    /// all the same.
    pub async fn prune(&self) {
        if let Err(cause) = self.prune_at(clock::timestamp()).await {
            debug!({ fields::CAUSE } = %cause, "Sessions that have ended stay for now: {cause}");
        }
    }

    /// [`Self::prune`], at a moment of the caller's.
    pub(super) async fn prune_at(&self, at: Timestamp) -> Result<(), WriteError> {
        let ended = move |session: &&SessionEntry| !session.is_open(at);
        if !self.ground.store.access().sessions.values().any(|session| ended(&session)) {
            return Ok(());
        }
        let rule = move |change: &mut Change| {
            let over = change.access().sessions.values().filter(ended).map(|session| session.digest).collect();
            change.remove_sessions(over);
            Ok(())
        };
        self.ground.store.write(rule).await.map(|_| ())
    }
}

/// This user as a caller.
fn caller(user: &PanelUser, address: IpAddr) -> Caller {
    let authority = Authority::new(user.role, &user.name);
    Caller { label: user.name.to_string(), address: Some(address), authority }
}

/// A user of the panel sees its own sessions, an admin everybody's. No access hash has a user's name for a label.
fn may_see(by: &Caller, user: &str) -> Result<(), Refusal> {
    if by.authority.is_admin() || by.label == user { Ok(()) } else { Err(Refusal::NotAllowed) }
}

/// The user as it is now, if its password is still the same.
pub(super) fn same(change: &Change, user: &PanelUser) -> Result<PanelUser, Refusal> {
    let present = change.access().users.get(&user.name).filter(|now| now.password_hash == user.password_hash);
    present.cloned().ok_or(Refusal::PasswordWrong)
}

/// Takes away the sessions of a user that have ended, and the oldest where there is no room for one more.
fn make_room(change: &mut Change, user: &str, at: Timestamp) {
    let sessions = change.access().sessions_of(user);
    let (open, ended): (Vec<_>, Vec<_>) = sessions.into_iter().partition(|session| session.is_open(at));
    let surplus = (open.len() + 1).saturating_sub(limits::SESSIONS_OF_USER);
    let gone = ended.into_iter().chain(open.into_iter().take(surplus)).map(|session| session.digest).collect();
    change.remove_sessions(gone);
}

fn end_others(change: &mut Change, user: &str, kept: TokenDigest) {
    let all = change.access().sessions_of(user).into_iter().map(|session| session.digest);
    let others = all.filter(|digest| *digest != kept).collect();
    change.remove_sessions(others);
}

fn row(session: &SessionEntry) -> SessionRow {
    SessionRow {
        id: session.digest.id(),
        created: session.created,
        last_seen: session.last_seen,
        address: session.address,
        agent: session.agent.clone(),
    }
}

/// What is kept of what a browser calls itself: a beginning of it, on one line.
fn shortened(agent: &str) -> String {
    let mut kept = String::new();
    for sign in agent.chars().filter(|sign| !sign.is_control()) {
        if kept.len() + sign.len_utf8() > limits::AGENT_LENGTH {
            break;
        }
        kept.push(sign);
    }
    kept
}

/// A word that a page knows: the current one where the field is absent, none where it is empty.
fn preference(field: &'static str, text: Option<String>, current: Option<String>) -> Result<Option<String>, Refusal> {
    let Some(text) = text else { return Ok(current) };
    if text.is_empty() {
        return Ok(None);
    }
    let plain = text.bytes().all(|sign| sign.is_ascii_alphanumeric() || sign == b'-' || sign == b'_');
    if !plain || text.len() > limits::PREFERENCE_LENGTH {
        return Err(Refusal::FieldMalformed { field, rule: "letters, digits, '-' and '_'" });
    }
    Ok(Some(text))
}
