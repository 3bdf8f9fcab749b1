//! What somebody wants of a user, checked.

use jiff::Timestamp;

use super::user::{Caps, PanelUser, Role};
use crate::domain::account::allowance::amount;
use crate::domain::field::{self, given, number};
use crate::domain::limits;
use crate::domain::name::UserName;
use crate::domain::password::Password;
use crate::domain::refusal::Refusal;

/// A user as somebody wants it, field by field as text. An absent field is chosen, or left as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserDraft {
    /// The name to log in with. It never changes.
    pub name: Option<String>,
    /// The password; where a new user's is absent, one is chosen.
    pub password: Option<Password>,
    /// A role's word; a new user is read-only where nobody says more.
    pub role: Option<String>,
    /// See [`Caps::accounts`].
    pub accounts: Option<String>,
    /// See [`Caps::b_upload`].
    pub b_upload: Option<String>,
    /// See [`Caps::b_download`].
    pub b_download: Option<String>,
    /// See [`Caps::traffic`].
    pub traffic: Option<String>,
}

/// What a password must be like.
#[derive(Debug, Clone, Copy)]
pub struct PasswordRule;

impl PasswordRule {
    /// Takes what is long enough, and not so long that it costs more than it guards.
    ///
    /// # Errors
    /// `FieldMalformed`.
    pub fn check(password: &Password) -> Result<(), Refusal> {
        let text = password.reveal();
        let fits = text.chars().count() >= limits::PANEL_PASSWORD_MIN && text.len() <= limits::PASSWORD_MAX;
        let rule = "10 characters or more, and at most 256 bytes";
        if fits { Ok(()) } else { Err(Refusal::FieldMalformed { field: "password", rule }) }
    }
}

impl UserDraft {
    /// A new user with this password's hash.
    ///
    /// # Errors
    /// `UserNameMalformed`, `FieldMalformed`.
    pub fn settle(&self, password_hash: String, at: Timestamp) -> Result<PanelUser, Refusal> {
        let name = UserName::parse(given(self.name.as_ref()).unwrap_or_default())?;
        let blank = PanelUser {
            name,
            password_hash,
            password_is_first: false,
            created: at,
            role: Role::ReadOnly,
            caps: Caps::default(),
            spent: None,
            second_factor: None,
            language: None,
            theme: None,
        };
        self.amend(&blank)
    }

    /// `user`, with what the draft names of its role and caps. Its password is the caller's business.
    ///
    /// # Errors
    /// `FieldMalformed`.
    pub fn amend(&self, user: &PanelUser) -> Result<PanelUser, Refusal> {
        let mut settled = user.clone();
        if let Some(word) = given(self.role.as_ref()) {
            let rule = "admin, operator, read_only or reseller";
            settled.role = Role::parse(word).ok_or(Refusal::FieldMalformed { field: "role", rule })?;
        }
        let caps = &mut settled.caps;
        if let Some(text) = given(self.accounts.as_ref()) {
            let rule = "a number of accounts, 0 for no bound";
            caps.accounts = number(text).ok_or(Refusal::FieldMalformed { field: "accounts", rule })?;
        }
        for (name, text, rate) in
            [("b_upload", &self.b_upload, &mut caps.b_upload), ("b_download", &self.b_download, &mut caps.b_download)]
        {
            if let Some(text) = given(text.as_ref()) {
                *rate = field::rate(name, text)?;
            }
        }
        if let Some(text) = given(self.traffic.as_ref()) {
            let rule = "bytes, as 5000000000, 5G or 5GiB; 0 for no bound";
            caps.traffic = amount(text).ok_or(Refusal::FieldMalformed { field: "traffic", rule })?;
        }
        Ok(settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rate::Mbps;

    fn settle(draft: &UserDraft) -> Result<PanelUser, Refusal> {
        draft.settle("hash".into(), Timestamp::UNIX_EPOCH)
    }

    fn named(name: &str) -> UserDraft {
        UserDraft { name: Some(name.into()), ..UserDraft::default() }
    }

    #[test]
    fn makes_a_user_who_may_only_look_where_nobody_says_more() {
        let user = settle(&named("a.b@c-d_e")).unwrap();

        assert_eq!((user.name.as_str(), user.role, user.caps), ("a.b@c-d_e", Role::ReadOnly, Caps::default()));
    }

    #[test]
    fn takes_the_caps_of_a_reseller() {
        let draft = UserDraft {
            role: Some("Reseller".into()),
            accounts: Some("5".into()),
            b_upload: Some("10".into()),
            b_download: Some("20".into()),
            traffic: Some("1 TiB".into()),
            ..named("r")
        };

        let user = settle(&draft).unwrap();

        let [b_upload, b_download] = [10, 20].map(|rate| Mbps::new(rate).unwrap());
        assert_eq!(user.role, Role::Reseller);
        assert_eq!(user.caps, Caps { accounts: 5, b_upload, b_download, traffic: 1 << 40 });
        assert_eq!(UserDraft::default().amend(&user), Ok(user));
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for name in ["", "a b", "local", "schedule", "é", &"x".repeat(65)] {
            assert_eq!(settle(&named(name)), Err(Refusal::UserNameMalformed), "{name}");
        }
        let fields: [fn(&mut UserDraft); 5] = [
            |draft| draft.role = Some("root".into()),
            |draft| draft.accounts = Some("-1".into()),
            |draft| draft.b_upload = Some("10001".into()),
            |draft| draft.b_download = Some("fast".into()),
            |draft| draft.traffic = Some("+1".into()),
        ];
        for spoil in fields {
            let mut draft = named("a");
            spoil(&mut draft);
            assert!(matches!(settle(&draft), Err(Refusal::FieldMalformed { .. })), "{draft:?}");
        }
    }

    #[test]
    fn wants_ten_characters_of_a_password() {
        let check = |text: &str| PasswordRule::check(&Password::new(text.into()));

        assert!(check("ninechars").is_err() && check(&"x".repeat(257)).is_err());
        assert!(check("ten chars!").is_ok() && check(&"é".repeat(10)).is_ok());
    }
}
