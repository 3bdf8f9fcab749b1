//! MS-CHAPv2: RFC 2759, and the keys that come of it: RFC 3079, section 3.

use des::Des;
use des::cipher::{Array, BlockCipherEncrypt, KeyInit as _};
use md4::{Digest as _, Md4};
use zeroize::Zeroizing;

use super::super::crypto::prf::sha1;
use super::super::keys::Secret;

/// The MD4 of a password: as good as the password itself, and wiped when dropped.
pub type NtHash = Zeroizing<[u8; 16]>;

/// `NtPasswordHash`: RFC 2759, section 8.3.
pub fn nt_hash(password: &str) -> NtHash {
    let wide: Zeroizing<Vec<u8>> = Zeroizing::new(password.encode_utf16().flat_map(u16::to_le_bytes).collect());
    Zeroizing::new(Md4::digest(&*wide).into())
}

/// `ChallengeHash`: RFC 2759, section 8.2. The name is without a domain.
pub fn challenge_hash(peer: &[u8; 16], ours: &[u8; 16], name: &str) -> [u8; 8] {
    let mut hash = [0; 8];
    hash.copy_from_slice(&sha1(&[peer, ours, name.as_bytes()])[..8]);
    hash
}

/// `ChallengeResponse`: RFC 2759, section 8.5.
pub fn nt_response(challenge: [u8; 8], hash: &NtHash) -> [u8; 24] {
    let mut padded = Zeroizing::new([0; 21]);
    padded[..16].copy_from_slice(&hash[..]);
    let mut response = [0; 24];
    for (key, block) in padded.as_chunks::<7>().0.iter().zip(response.as_chunks_mut::<8>().0) {
        let mut sealed = Array::from(challenge);
        Des::new(&Array::from(spread(*key))).encrypt_block(&mut sealed);
        *block = sealed.into();
    }
    response
}

/// 56 bits over eight bytes, whose lowest bits DES does not look at.
fn spread(key: [u8; 7]) -> [u8; 8] {
    let mut wide = [0; 8];
    wide[1..].copy_from_slice(&key);
    let bits = u64::from_be_bytes(wide);
    std::array::from_fn(|index| u8::try_from((bits >> (49 - 7 * index)) & 0x7f).unwrap_or_default() << 1)
}

/// `GenerateAuthenticatorResponse`: RFC 2759, section 8.7, as `S=` and forty digits.
pub fn authenticator_response(hash: &NtHash, response: &[u8; 24], challenge: [u8; 8]) -> String {
    let hash_of_hash: [u8; 16] = Md4::digest(&hash[..]).into();
    let digest = sha1(&[&hash_of_hash, response, b"Magic server to client signing constant"]);
    let digest = sha1(&[&digest, &challenge, b"Pad to make it do more than one iteration"]);
    format!("S={}", digits(&digest))
}

/// Bytes as digits in upper case.
pub fn digits(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).map(|digit| digit.to_ascii_uppercase()).collect()
}

/// The MSK: what the server receives with, what it sends with, and 32 zeros. RFC 3079, section 3.
pub fn msk(hash: &NtHash, response: &[u8; 24]) -> Secret {
    let hash_of_hash: [u8; 16] = Md4::digest(&hash[..]).into();
    let key = Zeroizing::new(sha1(&[&hash_of_hash, response, b"This is the MPPE Master Key"]));
    let received = "On the client side, this is the send key; on the server side, it is the receive key.";
    let sent = "On the client side, this is the receive key; on the server side, it is the send key.";
    let mut msk = Zeroizing::new(vec![0; 64]);
    for (half, magic) in msk.as_chunks_mut::<16>().0.iter_mut().zip([received, sent]) {
        half.copy_from_slice(&sha1(&[&key[..16], &[0; 40], magic.as_bytes(), &[0xf2; 40]])[..16]);
    }
    msk
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ike::vectors::hex;

    /// RFC 2759, section 9.2, and RFC 3079, section 3.5.3.
    #[test]
    fn agrees_with_the_rfcs() {
        let ours = hex("5b5d7c7d7b3f2f3e3c2c602132262628").try_into().unwrap();
        let peer = hex("21402324255e262a28295f2b3a337c7e").try_into().unwrap();

        let hash = nt_hash("clientPass");
        let challenge = challenge_hash(&peer, &ours, "User");
        let response = nt_response(challenge, &hash);
        let msk = msk(&hash, &response);

        assert_eq!(hash[..], hex("44ebba8d5312b8d611474411f56989ae"));
        assert_eq!(challenge[..], hex("d02e4386bce91226"));
        assert_eq!(response[..], hex("82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df"));
        let said = authenticator_response(&hash, &response, challenge);
        assert_eq!(said, "S=407A5589115FD0D6209F510FE9C04566932CDA56");
        // the RFC's example is the send key of a server
        assert_eq!(msk[16..32], hex("8b7cdc149b993a1ba118cb153f56dccb"));
        assert_eq!((msk.len(), &msk[32..]), (64, &[0; 32][..]));
    }

    /// RFC 1320, appendix A.5.
    #[test]
    fn hashes_as_md4_does() {
        assert_eq!(Md4::digest(b"message digest")[..], hex("d9130a8164549fe818874806e1c7014b"));
    }
}
