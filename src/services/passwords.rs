//! Passwords of the panel's users: hashed and compared, a few at a time.

use anyhow::anyhow;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;

use super::Error;
use crate::domain::limits;
use crate::domain::password::Password;
use crate::runtime::os::entropy;

/// What a password is compared with where there is no user: no password has this hash, and it costs as much as a user's
/// (the parameters of [`Argon2::default`]).
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes passwords, as few at a time as memory allows. Whoever waits, waits in line.
#[derive(Debug)]
pub(super) struct Passwords {
    permits: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { permits: Semaphore::new(limits::PASSWORDS_AT_ONCE) }
    }
}

impl Passwords {
    /// A password's argon2id hash in PHC form (RFC 9106). It takes tens of milliseconds, by design.
    pub(super) async fn hash(&self, password: Password) -> Result<String, Error> {
        let salt: [u8; 16] = entropy::bytes();
        let work = move || {
            let hash = Argon2::default().hash_password_with_salt(password.reveal().as_bytes(), &salt);
            hash.map(|hash| hash.to_string()).map_err(|error| anyhow!("cannot hash a password: {error}"))
        };
        Ok(self.apart(work).await??)
    }

    /// Whether `password` has this hash. Where there is none the answer is no, and takes as long.
    pub(super) async fn is_right(&self, password: Password, hash: Option<String>) -> Result<bool, Error> {
        let work = move || {
            let against = hash.as_deref().unwrap_or(NOBODY);
            let right = Argon2::default().verify_password(password.reveal().as_bytes(), against).is_ok();
            right && hash.is_some()
        };
        self.apart(work).await
    }

    /// Does `work` away from those who wait for other things.
    async fn apart<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let _permit = self.permits.acquire().await.map_err(|error| Error::Fault(error.into()))?;
        tokio::task::spawn_blocking(work).await.map_err(|error| Error::Fault(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::phc::PasswordHash;

    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.into())
    }

    #[tokio::test]
    async fn knows_a_password_again() {
        let passwords = Passwords::default();

        let hash = passwords.hash(password("correct horse")).await.unwrap();

        assert!(passwords.is_right(password("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.is_right(password("correct horsf"), Some(hash)).await.unwrap());
        assert!(!passwords.is_right(password(""), None).await.unwrap());
    }

    /// Whoever measures learns nothing about who exists only if both cost the same.
    #[tokio::test]
    async fn compares_with_nobodys_hash_at_the_price_of_a_users() {
        let hash = Passwords::default().hash(password("correct horse")).await.unwrap();

        let (nobody, user) = (PasswordHash::new(NOBODY).unwrap(), PasswordHash::new(&hash).unwrap());

        assert_eq!((nobody.algorithm, nobody.version), (user.algorithm, user.version));
        assert_eq!(nobody.params, user.params);
        assert_eq!(nobody.hash.unwrap().len(), user.hash.unwrap().len());
        assert_eq!(nobody.salt.unwrap().len(), user.salt.unwrap().len());
    }
}
