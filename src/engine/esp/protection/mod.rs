//! A message sealed and opened in place: `header | IV | text | ICV`, the form of ESP and of IKE's SK payload alike.
//!
//! Every call into a cipher's library is in this file. Nothing is allocated after the key is made.

use std::fmt;
use std::ops::Range;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{self, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use des::TdesEde3;
use des::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit as _};
use hmac::Hmac;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

use super::suite::{Encryption, Integrity, Suite};

/// A message that was not made with our key, or has no shape that could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not authentic")]
pub struct Unauthentic;

/// One direction's keys.
pub struct Protection {
    suite: Suite,
    cipher: Cipher,
}

#[expect(clippy::large_enum_variant, reason = "a key lives as long as its association, behind no pointer on purpose")]
enum Cipher {
    Aead { key: LessSafeKey, salt: [u8; 4] },
    Aes { encrypt: EncryptingKey, decrypt: DecryptingKey, mac: Mac },
    TripleDes { cipher: TdesEde3, mac: Mac },
}

#[derive(Clone)]
enum Mac {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protection").field("suite", &self.suite).finish_non_exhaustive()
    }
}

impl Protection {
    /// Takes an encryption key (with its salt, where there is one) and an integrity key of the suite's lengths.
    ///
    /// # Errors
    /// [`Unauthentic`] for keys of other lengths and for a suite that lacks an integrity or has one too many.
    pub fn new(suite: Suite, encryption_key: &[u8], integrity_key: &[u8]) -> Result<Self, Unauthentic> {
        let lengths = (encryption_key.len(), integrity_key.len());
        if lengths != (suite.encryption.key_len(), suite.integrity_key_len()) {
            return Err(Unauthentic);
        }
        let cipher = match suite.encryption {
            Encryption::Aes128Gcm => aead_key(&aead::AES_128_GCM, encryption_key)?,
            Encryption::Aes192Gcm => aead_key(&aead::AES_192_GCM, encryption_key)?,
            Encryption::Aes256Gcm => aead_key(&aead::AES_256_GCM, encryption_key)?,
            Encryption::ChaCha20Poly1305 => aead_key(&aead::CHACHA20_POLY1305, encryption_key)?,
            Encryption::Aes128Cbc => aes_key(&cipher::AES_128, encryption_key, Mac::new(suite, integrity_key)?)?,
            Encryption::Aes192Cbc => aes_key(&cipher::AES_192, encryption_key, Mac::new(suite, integrity_key)?)?,
            Encryption::Aes256Cbc => aes_key(&cipher::AES_256, encryption_key, Mac::new(suite, integrity_key)?)?,
            Encryption::TripleDes => Cipher::TripleDes {
                cipher: TdesEde3::new_from_slice(encryption_key).map_err(|_| Unauthentic)?,
                mac: Mac::new(suite, integrity_key)?,
            },
        };
        if suite.encryption.is_aead() == suite.integrity.is_some() {
            return Err(Unauthentic);
        }
        Ok(Self { suite, cipher })
    }

    /// What it is made of.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Where the text lies in a message of so many bytes.
    ///
    /// # Errors
    /// [`Unauthentic`] where the message is too short, or its text no multiple of the block.
    pub fn text(&self, message: usize, header: usize) -> Result<Range<usize>, Unauthentic> {
        let start = header + self.suite.encryption.iv_len();
        let end = message.checked_sub(self.suite.icv_len()).filter(|end| *end >= start).ok_or(Unauthentic)?;
        let whole = (end - start).is_multiple_of(self.suite.encryption.block_len());
        if whole { Ok(start..end) } else { Err(Unauthentic) }
    }

    /// Seals the text in place and writes the IV before it and the ICV behind it. `iv` must never repeat under one key,
    /// and must be unpredictable where the suite has an integrity of its own. `high` are an extended sequence number's
    /// upper bits (RFC 4303, section 2.2.1), which are authenticated but not sent; the header is then an ESP header.
    ///
    /// # Errors
    /// [`Unauthentic`] where the text is no multiple of the block or the IV has another length.
    pub fn seal(&self, message: &mut [u8], header: usize, high: Option<u32>, iv: &[u8]) -> Result<(), Unauthentic> {
        let text = self.text(message.len(), header)?;
        message
            .get_mut(header..text.start)
            .filter(|room| room.len() == iv.len())
            .ok_or(Unauthentic)?
            .copy_from_slice(iv);
        match &self.cipher {
            Cipher::Aead { key, salt } => {
                let (front, rest) = message.split_at_mut(text.start);
                let (body, icv) = rest.split_at_mut(text.len());
                let (aad, length) = associated(&front[..header], high);
                let aad = Aad::from(if length == 0 { &front[..header] } else { &aad[..length] });
                let tag = key.seal_in_place_separate_tag(nonce(*salt, iv)?, aad, body).map_err(|_| Unauthentic)?;
                icv.copy_from_slice(tag.as_ref());
            }
            Cipher::Aes { encrypt, mac, .. } => {
                let context = EncryptionContext::Iv128(FixedLength::from(block(iv)?));
                encrypt.less_safe_encrypt(&mut message[text.clone()], context).map_err(|_| Unauthentic)?;
                mac.write(message, text.end, high);
            }
            Cipher::TripleDes { cipher, mac } => {
                chain_seal(cipher, block(iv)?, &mut message[text.clone()]);
                mac.write(message, text.end, high);
            }
        }
        Ok(())
    }

    /// Opens the text in place and says where it lies. Nothing is decrypted before it is known to be authentic.
    ///
    /// # Errors
    /// [`Unauthentic`]; the message may then be overwritten.
    pub fn open(&self, message: &mut [u8], header: usize, high: Option<u32>) -> Result<Range<usize>, Unauthentic> {
        let text = self.text(message.len(), header)?;
        match &self.cipher {
            Cipher::Aead { key, salt } => {
                let (front, body) = message.split_at_mut(text.start);
                let (aad, length) = associated(&front[..header], high);
                let aad = Aad::from(if length == 0 { &front[..header] } else { &aad[..length] });
                key.open_in_place(nonce(*salt, &front[header..])?, aad, body).map_err(|_| Unauthentic)?;
            }
            Cipher::Aes { decrypt, mac, .. } => {
                mac.check(message, text.end, high)?;
                let context = DecryptionContext::Iv128(FixedLength::from(block(&message[header..text.start])?));
                decrypt.decrypt(&mut message[text.clone()], context).map_err(|_| Unauthentic)?;
            }
            Cipher::TripleDes { cipher, mac } => {
                mac.check(message, text.end, high)?;
                let iv = block(&message[header..text.start])?;
                chain_open(cipher, iv, &mut message[text.clone()]);
            }
        }
        Ok(text)
    }
}

fn aead_key(algorithm: &'static aead::Algorithm, keymat: &[u8]) -> Result<Cipher, Unauthentic> {
    let (key, salt) = keymat.split_last_chunk::<4>().ok_or(Unauthentic)?;
    let key = LessSafeKey::new(UnboundKey::new(algorithm, key).map_err(|_| Unauthentic)?);
    Ok(Cipher::Aead { key, salt: *salt })
}

fn aes_key(algorithm: &'static cipher::Algorithm, key: &[u8], mac: Mac) -> Result<Cipher, Unauthentic> {
    let unbound = || UnboundCipherKey::new(algorithm, key).map_err(|_| Unauthentic);
    let encrypt = EncryptingKey::cbc(unbound()?).map_err(|_| Unauthentic)?;
    let decrypt = DecryptingKey::cbc(unbound()?).map_err(|_| Unauthentic)?;
    Ok(Cipher::Aes { encrypt, decrypt, mac })
}

fn nonce(salt: [u8; 4], iv: &[u8]) -> Result<Nonce, Unauthentic> {
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(&salt);
    nonce.get_mut(4..).filter(|rest| rest.len() == iv.len()).ok_or(Unauthentic)?.copy_from_slice(iv);
    Ok(Nonce::assume_unique_for_key(nonce))
}

fn block<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Unauthentic> {
    bytes.try_into().map_err(|_| Unauthentic)
}

/// With extended sequence numbers: SPI, upper bits, lower bits (RFC 4106, section 5). Otherwise nothing, the header
/// stands for itself.
fn associated(header: &[u8], high: Option<u32>) -> ([u8; 12], usize) {
    let mut bytes = [0; 12];
    match (high, header.split_first_chunk::<4>()) {
        (Some(high), Some((spi, low))) if low.len() == 4 => {
            bytes[..4].copy_from_slice(spi);
            bytes[4..8].copy_from_slice(&high.to_be_bytes());
            bytes[8..].copy_from_slice(low);
            (bytes, 12)
        }
        _ => (bytes, 0),
    }
}

fn chain_seal(cipher: &TdesEde3, mut iv: [u8; 8], text: &mut [u8]) {
    for block in text.as_chunks_mut::<8>().0 {
        for (byte, mask) in block.iter_mut().zip(iv) {
            *byte ^= mask;
        }
        let mut sealed = Array::from(*block);
        cipher.encrypt_block(&mut sealed);
        *block = sealed.into();
        iv = *block;
    }
}

fn chain_open(cipher: &TdesEde3, mut iv: [u8; 8], text: &mut [u8]) {
    for block in text.as_chunks_mut::<8>().0 {
        let sealed = *block;
        let mut opened = Array::from(sealed);
        cipher.decrypt_block(&mut opened);
        for ((byte, plain), mask) in block.iter_mut().zip(opened).zip(iv) {
            *byte = plain ^ mask;
        }
        iv = sealed;
    }
}

impl Mac {
    fn new(suite: Suite, key: &[u8]) -> Result<Self, Unauthentic> {
        let short = |_| Unauthentic;
        Ok(match suite.integrity.ok_or(Unauthentic)? {
            Integrity::Sha1 => Self::Sha1(Hmac::new_from_slice(key).map_err(short)?),
            Integrity::Sha256 => Self::Sha256(Hmac::new_from_slice(key).map_err(short)?),
            Integrity::Sha384 => Self::Sha384(Hmac::new_from_slice(key).map_err(short)?),
            Integrity::Sha512 => Self::Sha512(Hmac::new_from_slice(key).map_err(short)?),
        })
    }

    /// The ICV of these bytes at the beginning of the array, behind them the rest of the hash.
    fn hash(&self, bytes: &[u8], high: Option<u32>) -> [u8; 64] {
        fn of<M: hmac::Mac + Clone>(mac: &M, bytes: &[u8], high: Option<u32>) -> [u8; 64] {
            let mut mac = mac.clone();
            mac.update(bytes);
            if let Some(high) = high {
                mac.update(&high.to_be_bytes());
            }
            let mut hash = [0; 64];
            for (byte, from) in hash.iter_mut().zip(mac.finalize().into_bytes()) {
                *byte = from;
            }
            hash
        }
        match self {
            Self::Sha1(mac) => of(mac, bytes, high),
            Self::Sha256(mac) => of(mac, bytes, high),
            Self::Sha384(mac) => of(mac, bytes, high),
            Self::Sha512(mac) => of(mac, bytes, high),
        }
    }

    /// Writes the ICV of all that stands before `end` behind it.
    fn write(&self, message: &mut [u8], end: usize, high: Option<u32>) {
        let hash = self.hash(&message[..end], high);
        for (byte, from) in message[end..].iter_mut().zip(hash) {
            *byte = from;
        }
    }

    fn check(&self, message: &[u8], end: usize, high: Option<u32>) -> Result<(), Unauthentic> {
        let hash = self.hash(&message[..end], high);
        let icv = &message[end..];
        if bool::from(icv.ct_eq(&hash[..icv.len()])) { Ok(()) } else { Err(Unauthentic) }
    }
}

#[cfg(test)]
mod tests;
