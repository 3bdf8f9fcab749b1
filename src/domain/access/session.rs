//! A session: who logged in, and for how long that counts.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::domain::hex::{hex, unhex};
use crate::domain::limits;
use crate::domain::name::UserName;

/// What is digested before a token, so that the digest is no session's.
const CSRF: &[u8] = b"culvert csrf\0";
/// Bytes of a session's digest that make its id.
const ID_BYTES: usize = 8;

/// What a browser shows: 32 random bytes, read and written as 64 hex digits.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Token([u8; 32]);

/// The SHA-256 of a [`Token`], by which a session is looked up: whoever guesses cannot steer how long that takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenDigest(pub [u8; 32]);

impl Token {
    /// A token of random bytes.
    pub const fn from_entropy(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 64 lower-case hex digits, and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        unhex(text).filter(|_| is_lower).map(Self)
    }

    /// The token as the browser shows it. The caller is about to show a secret.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// What its session is looked up by.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.0).into())
    }

    /// What the panel's own forms show besides the token, in hex: a page of another host cannot know it, and nothing is
    /// kept for it.
    pub fn csrf(&self) -> String {
        hex(&Sha256::new().chain_update(CSRF).chain_update(self.0).finalize())
    }
}

impl TokenDigest {
    /// The digest as 64 hex digits.
    pub fn to_hex(self) -> String {
        hex(&self.0)
    }

    /// How a session is called where it is listed. It leads to no token.
    pub fn id(self) -> String {
        hex(&self.0[..ID_BYTES])
    }
}

/// A session as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEntry {
    /// Of its token.
    pub digest: TokenDigest,
    /// Whose it is.
    pub user: UserName,
    /// When the user logged in.
    pub created: Timestamp,
    /// When it was last used, to the minute.
    pub last_seen: Timestamp,
    /// Where the user logged in from.
    pub address: IpAddr,
    /// What the browser calls itself, or the beginning of it.
    pub agent: String,
}

impl SessionEntry {
    /// Whether it still counts.
    pub fn is_open(&self, at: Timestamp) -> bool {
        let lasts = |since: Timestamp, span: i64| at.duration_since(since) < SignedDuration::from_secs(span);
        lasts(self.last_seen, limits::SESSION_IDLE) && lasts(self.created, limits::SESSION_LIFE)
    }

    /// Whether it is time to keep again when it was last used.
    pub fn is_stale(&self, at: Timestamp) -> bool {
        at.duration_since(self.last_seen) >= SignedDuration::from_secs(limits::LAST_LOGIN_GRAIN)
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;

    fn session() -> SessionEntry {
        SessionEntry {
            digest: Token::from_entropy([1; 32]).digest(),
            user: UserName::parse("admin").unwrap(),
            created: Timestamp::UNIX_EPOCH,
            last_seen: Timestamp::UNIX_EPOCH,
            address: [192, 0, 2, 1].into(),
            agent: String::new(),
        }
    }

    #[test]
    fn knows_a_token_again_and_nothing_like_it() {
        let token = Token::from_entropy([0xab; 32]);
        let shown = token.to_hex();

        assert_eq!(Token::parse(&shown).unwrap().digest(), token.digest());
        for text in [&shown[1..], &shown.to_uppercase(), &format!("{shown}00"), &"g".repeat(64), &"é".repeat(32), ""] {
            assert!(Token::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn shows_nothing_of_a_token_in_what_is_made_of_it() {
        let token = Token::from_entropy([7; 32]);

        let made = [token.to_hex(), token.digest().to_hex(), token.csrf()];

        assert!(made[0] != made[1] && made[1] != made[2] && made[0] != made[2]);
        assert_eq!(made[2].len(), 64);
        assert!(made[1].starts_with(&token.digest().id()));
    }

    #[test]
    fn ends_after_twelve_idle_hours_and_thirty_days_in_any_case() {
        let (idle, mut used) = (session(), session());
        let (before, after) = (719.minutes(), 12.hours());

        assert!(idle.is_open(Timestamp::UNIX_EPOCH + before) && !idle.is_open(Timestamp::UNIX_EPOCH + after));

        used.last_seen = Timestamp::UNIX_EPOCH + (24 * 60 * 30 - 1).minutes();
        assert!(used.is_open(used.last_seen));
        assert!(!used.is_open(used.last_seen + 1.minutes()));
    }
}
