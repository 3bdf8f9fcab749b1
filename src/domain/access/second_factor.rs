//! The second factor: codes by the time (TOTP, RFC 6238), and recovery codes for when the device is lost.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::domain::limits;
use crate::domain::name::UserName;

/// How long a code is shown, in seconds (RFC 6238, section 4.1).
const STEP: i64 = 30;
/// Digits of a code: what every authenticator shows.
const DIGITS: usize = 6;
/// 10 to the power of [`DIGITS`].
const MODULUS: u32 = 1_000_000;
/// How many steps a device's clock may be off, either way (RFC 6238, section 5.2).
const DRIFT: i64 = 1;
/// Bytes of a secret: what HMAC-SHA-1 yields (RFC 4226, section 4, R6).
pub const SECRET_BYTES: usize = 20;
/// The digits of base32 (RFC 4648, section 6).
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// The same, in lower case and without those that look alike: what recovery codes are written with.
const CODE_LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Characters of a recovery code, besides the dash in its middle: 50 bits.
const CODE_LENGTH: usize = 10;

/// What the appliance and the user's device share.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct TotpSecret([u8; SECRET_BYTES]);

/// A recovery code, shown once: `abcde-fghjk`.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct RecoveryCode(String);

/// What a user shows besides a password.
#[derive(Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// What codes are made from.
    pub secret: TotpSecret,
    /// The step of the last code that was taken. Neither it nor an earlier one is taken again.
    pub used: i64,
    /// The digests of the recovery codes that are left.
    pub recovery: Vec<[u8; 32]>,
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(hidden)")
    }
}

impl fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecondFactor").field("recovery", &self.recovery.len()).finish_non_exhaustive()
    }
}

impl TotpSecret {
    /// A secret of random bytes.
    pub const fn from_entropy(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes. The caller is about to store a secret.
    pub const fn as_bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// The secret as people type it (RFC 4648, section 6). The caller is about to show a secret.
    pub fn to_base32(&self) -> String {
        let mut text = String::with_capacity(SECRET_BYTES * 8 / 5);
        // 5 bytes are 8 digits, and 20 are divisible by 5
        for five in self.0.as_chunks::<5>().0 {
            let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            text.extend((0..8).rev().map(|digit| char::from(BASE32[(bits >> (5 * digit) & 31) as usize])));
        }
        text
    }

    /// The secret as an authenticator reads it off a picture, under the name of this appliance and of the user.
    pub fn to_uri(&self, host: &str, user: &UserName) -> String {
        let plain = |sign: &char| sign.is_ascii_alphanumeric() || "-._".contains(*sign);
        let host: String = host.chars().filter(plain).collect();
        let secret = self.to_base32();
        let user = user.as_str().replace('@', "%40");
        format!("otpauth://totp/Culvert%20{host}:{user}?secret={secret}&issuer=Culvert%20{host}")
    }

    /// The code of a step (RFC 4226, section 5.3).
    fn code(&self, step: i64) -> u32 {
        // a key of any length is one of HMAC's
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&self.0) else { return MODULUS };
        mac.update(&step.to_be_bytes());
        let sum = mac.finalize().into_bytes();
        let offset = usize::from(sum[19] & 0xf);
        let word = sum[offset..].first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        (word & 0x7fff_ffff) % MODULUS
    }

    /// The step whose code this is at that time, if it is one that may be taken after `used`.
    pub fn step_of(&self, code: &str, at: Timestamp, used: i64) -> Option<i64> {
        let code: String = code.chars().filter(|sign| !sign.is_ascii_whitespace()).collect();
        if code.len() != DIGITS || !code.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let now = at.as_second().div_euclid(STEP);
        let mut found = None;
        for step in now - DRIFT..=now + DRIFT {
            let right = format!("{:0DIGITS$}", self.code(step)).as_bytes().ct_eq(code.as_bytes());
            if bool::from(right & Choice::from(u8::from(step > used))) {
                found = Some(step);
            }
        }
        found
    }

    /// The code that a device shows at that time.
    #[cfg(test)]
    pub(crate) fn shown(&self, at: Timestamp) -> String {
        format!("{:0DIGITS$}", self.code(at.as_second().div_euclid(STEP)))
    }
}

impl RecoveryCode {
    /// A code of random bytes, five bits each.
    pub fn from_entropy(random: [u8; CODE_LENGTH]) -> Self {
        let letters: String = random.iter().map(|byte| char::from(CODE_LETTERS[usize::from(byte % 32)])).collect();
        let (first, second) = letters.split_at(CODE_LENGTH / 2);
        Self(format!("{first}-{second}"))
    }

    /// The code. The caller is about to show a secret.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn digest(&self) -> [u8; 32] {
        digest(&self.0)
    }
}

/// What is kept of a recovery code that somebody types, with or without its dash.
fn digest(code: &str) -> [u8; 32] {
    let letters = code.bytes().filter(u8::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase());
    Sha256::digest(letters.collect::<Vec<u8>>()).into()
}

impl SecondFactor {
    /// What is left after this code was taken, if it is one; of the time, or for recovery.
    pub fn take(&self, code: &str, at: Timestamp) -> Option<Self> {
        if let Some(step) = self.secret.step_of(code, at, self.used) {
            return Some(Self { used: step, ..self.clone() });
        }
        let digest = digest(code);
        let mut left = self.recovery.clone();
        left.retain(|known| !bool::from(known.ct_eq(&digest)));
        (left.len() < self.recovery.len()).then(|| Self { recovery: left, ..self.clone() })
    }
}

/// Recovery codes of random bytes, as many as a user gets.
pub fn recovery_codes(random: &[u8; limits::RECOVERY_CODES * CODE_LENGTH]) -> Vec<RecoveryCode> {
    random.as_chunks().0.iter().map(|random| RecoveryCode::from_entropy(*random)).collect()
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;

    /// The secret of RFC 6238, appendix B.
    fn secret() -> TotpSecret {
        TotpSecret::from_entropy(*b"12345678901234567890")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn factor() -> SecondFactor {
        let codes = recovery_codes(&std::array::from_fn(|at| u8::try_from(at).unwrap()));
        let recovery = codes.iter().map(RecoveryCode::digest).collect();
        SecondFactor { secret: secret(), used: 0, recovery }
    }

    /// RFC 6238, appendix B; of its eight digits the last six.
    #[test]
    fn shows_the_codes_of_the_rfc() {
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret().shown(at(second)), code);
        }
    }

    /// RFC 4226, appendix D.
    #[test]
    fn counts_like_the_rfc() {
        let codes = [755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871, 520_489];
        for (step, code) in (0..).zip(codes) {
            assert_eq!(secret().code(step), code, "{step}");
        }
    }

    #[test]
    fn spells_a_secret_for_people_and_for_devices() {
        let name = UserName::parse("a@b.example").unwrap();

        assert_eq!(secret().to_base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            secret().to_uri("vpn.example", &name),
            "otpauth://totp/Culvert%20vpn.example:a%40b.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&\
             issuer=Culvert%20vpn.example"
        );
    }

    #[test]
    fn takes_a_code_of_the_step_before_and_after_and_no_other() {
        let (code, now) = (secret().shown(at(1_111_111_111)), at(1_111_111_111));

        for (offset, taken) in [(-60, false), (-30, true), (0, true), (30, true), (60, false)] {
            assert_eq!(factor().take(&code, now + offset.seconds()).is_some(), taken, "{offset}");
        }
    }

    #[test]
    fn takes_a_code_once() {
        let now = at(1_111_111_111);
        let code = secret().shown(now);
        let before = secret().shown(now - 30.seconds());

        let after = factor().take(&code, now).unwrap();

        assert_eq!(after.take(&code, now), None);
        assert_eq!(after.take(&before, now), None, "nor one that is older");
        assert!(after.take(&secret().shown(now + 30.seconds()), now).is_some());
    }

    #[test]
    fn takes_each_recovery_code_once_however_it_is_typed() {
        let (now, factor) = (at(0), factor());
        assert_eq!(factor.recovery.len(), 10);

        let after = factor.take(" ABCDEfghij", now).unwrap();

        assert_eq!(after.recovery.len(), 9);
        assert_eq!(after.take("abcde-fghij", now), None);
        assert_eq!(after.take("", now), None);
    }

    #[test]
    fn takes_nothing_that_is_no_code() {
        for code in ["", "28708", "2870820", "28708x", "+87082", "２８７０８２"] {
            assert_eq!(factor().take(code, at(59)), None, "{code}");
        }
        assert!(factor().take("287 082", at(59)).is_some());
    }
}
