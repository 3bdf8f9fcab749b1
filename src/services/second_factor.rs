//! Second factors: offered, confirmed with a first code, removed.

use std::time::Instant;

use super::sessions::{Known, same};
use super::users::Users;
use super::{Caller, Error, qr};
use crate::domain::access::{PanelUser, RecoveryCode, Right, SecondFactor, TotpSecret, recovery_codes};
use crate::domain::audit::{Deed, Kind};
use crate::domain::limits;
use crate::domain::refusal::Refusal;
use crate::runtime::os::{clock, entropy};
use crate::store::Change;

/// A secret that a user was shown and has not confirmed.
pub(super) struct Offer {
    secret: TotpSecret,
    made: Instant,
}

/// What a user's device is shown to make codes. It is a secret.
pub struct SecondFactorOffer {
    /// `otpauth://`, as in the picture.
    pub uri: String,
    /// The picture: a PNG of 500 by 500 pixels, one bit each.
    pub qr: Vec<u8>,
    /// The secret in base32, for who types it.
    pub secret: String,
}

impl std::fmt::Debug for SecondFactorOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondFactorOffer").finish_non_exhaustive()
    }
}

impl Users {
    /// Offers this token's user a second factor. It has one when a first code has confirmed that the device knows the
    /// secret; an offer that is made later takes this one's place.
    ///
    /// # Errors
    /// `NotAuthorized` where the token is no open session's, `SecondFactorPresent`.
    #[expect(clippy::unused_async, reason = "as its neighbours: whether it waits is not the caller's business")]
    pub async fn begin_second_factor(&self, token: &str) -> Result<SecondFactorOffer, Error> {
        let Known { user, .. } = self.known(token)?;
        if user.second_factor.is_some() {
            return Err(Refusal::SecondFactorPresent.into());
        }
        let secret = TotpSecret::from_entropy(entropy::bytes());
        let uri = secret.to_uri(&self.host(), &user.name);
        let offer = SecondFactorOffer { qr: qr::png(&uri)?, secret: secret.to_base32(), uri };
        self.desk.offers().insert(user.name, Offer { secret, made: clock::now() });
        Ok(offer)
    }

    /// Confirms the offer with a first code, and returns the recovery codes: shown this once.
    ///
    /// # Errors
    /// `NotAuthorized` where the token is no open session's, `SecondFactorMissing` where none was offered lately,
    /// `SecondFactorPresent`, `CodeWrong`.
    pub async fn confirm_second_factor(&self, token: &str, code: &str) -> Result<Vec<String>, Error> {
        let Known { user, caller, .. } = self.known(token)?;
        let offered = self.desk.offers().get(&user.name).map(|offer| (offer.secret.clone(), offer.made));
        let in_time = offered.filter(|(_, made)| clock::now().saturating_duration_since(*made) < limits::OFFER_TIME);
        let (secret, _) = in_time.ok_or(Refusal::SecondFactorMissing)?;
        let used = secret.step_of(code, clock::timestamp(), 0).ok_or(Refusal::CodeWrong)?;
        let codes = recovery_codes(&entropy::bytes());
        let recovery = codes.iter().map(RecoveryCode::digest).collect();
        let name = user.name.clone();
        let rule = move |change: &mut Change| {
            let present = same(change, &user)?;
            if present.second_factor.is_some() {
                return Err(Refusal::SecondFactorPresent);
            }
            let factor = SecondFactor { secret, used, recovery };
            change.put_panel_user(PanelUser { second_factor: Some(factor), ..present });
            Ok(((), Deed::to(Kind::User, &user.name, "Added the own second factor")))
        };
        self.ground.write_own(&caller, rule).await?;
        self.desk.offers().remove(&name);
        Ok(codes.iter().map(|code| code.reveal().to_owned()).collect())
    }

    /// Removes the second factor of this token's user, who proves to know the password.
    ///
    /// # Errors
    /// `NotAuthorized` where the token is no open session's, `SecondFactorMissing`, `PasswordWrong`, `LoginLocked`.
    pub async fn remove_second_factor(&self, token: &str, password: &str) -> Result<(), Error> {
        let Known { user, caller, .. } = self.known(token)?;
        if user.second_factor.is_none() {
            return Err(Refusal::SecondFactorMissing.into());
        }
        self.prove(&user, password).await?;
        self.strip(&caller, user.name.as_str()).await
    }

    /// Removes the second factor of a user who has lost it.
    ///
    /// # Errors
    /// `NotAllowed` to all but admins, `UserNotFound`, `SecondFactorMissing`.
    pub async fn remove_second_factor_of(&self, by: &Caller, name: &str) -> Result<(), Error> {
        by.must(Right::Administer)?;
        self.strip(by, name).await
    }

    async fn strip(&self, by: &Caller, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        let rule = move |change: &mut Change| {
            let user = change.access().users.get(name.as_str()).ok_or(Refusal::UserNotFound)?.clone();
            if user.second_factor.is_none() {
                return Err(Refusal::SecondFactorMissing);
            }
            change.put_panel_user(PanelUser { second_factor: None, ..user });
            Ok(((), Deed::to(Kind::User, &name, format!("Removed the second factor of user `{name}`"))))
        };
        self.ground.write_own(by, rule).await
    }

    /// This appliance's name among others on a user's device.
    fn host(&self) -> String {
        let url = self.ground.public_url();
        let authority = url.split("//").nth(1).unwrap_or_default().split('/').next().unwrap_or_default();
        authority.split(':').next().unwrap_or_default().to_owned()
    }
}
