//! RSA signatures over SHA-1, which old clients of `IKEv2` ask for: `aws-lc-rs` makes none, the library below it does.
#![expect(unsafe_code, reason = "the library's own functions are C's")]

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use aws_lc_sys::{
    CBS, CBS_init, EVP_PKEY_free, EVP_PKEY_get1_RSA, EVP_parse_private_key, NID_sha1, RSA, RSA_free, RSA_sign, RSA_size,
};
use sha1::{Digest as _, Sha1};

use crate::engine::ike::crypto::signer::SignSha1;

/// A private key of the library's.
struct Key(NonNull<RSA>);

// SAFETY: a key is freed once, by its only owner, and the library's keys belong to no thread.
unsafe impl Send for Key {}
// SAFETY: all that is done with it is to ask for its length and to sign, and openssl/rsa.h says of both that they may be
// used concurrently.
unsafe impl Sync for Key {}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the key is live, for nobody else frees it.
        unsafe { RSA_free(self.0.as_ptr()) }
    }
}

impl Key {
    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let mut text = MaybeUninit::<CBS>::uninit();
        // SAFETY: `CBS_init` writes every field; the text borrows `der`, which outlives it, and parsing only reads it.
        let parsed = unsafe {
            CBS_init(text.as_mut_ptr(), der.as_ptr(), der.len());
            EVP_parse_private_key(text.as_mut_ptr())
        };
        let parsed = NonNull::new(parsed)?;
        // SAFETY: `parsed` is live until it is freed here; the RSA key in it, if there is one, is counted for us.
        let key = unsafe {
            let key = EVP_PKEY_get1_RSA(parsed.as_ptr());
            EVP_PKEY_free(parsed.as_ptr());
            key
        };
        NonNull::new(key).map(Self)
    }

    fn sign(&self, octets: &[u8]) -> Option<Vec<u8>> {
        let digest = Sha1::digest(octets);
        // SAFETY: the key is live.
        let most = unsafe { RSA_size(self.0.as_ptr()) };
        let (mut signature, mut length) = (vec![0; usize::try_from(most).ok()?], 0);
        // SAFETY: the key is live, the digest is read for its length, and at most `RSA_size` bytes are written.
        let signed = unsafe {
            RSA_sign(NID_sha1, digest.as_ptr(), digest.len(), signature.as_mut_ptr(), &raw mut length, self.0.as_ptr())
        };
        // PKCS#1 signatures are as long as the modulus
        (signed == 1 && length == most).then_some(signature)
    }
}

/// What signs by an RSA key in PKCS#8 DER with PKCS#1 padding and SHA-1; `None` for another key.
pub fn sha1_signer(pkcs8: &[u8]) -> Option<SignSha1> {
    let key = Key::from_pkcs8(pkcs8)?;
    Some(Box::new(move |octets| key.sign(octets)))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        KeyPair as _, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RsaKeyPair, UnparsedPublicKey,
    };
    use rcgen::KeyPair;

    use super::*;

    #[test]
    fn signs_what_the_public_key_verifies() {
        let der = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap().serialize_der();
        let public = RsaKeyPair::from_pkcs8(&der).unwrap().public_key().as_ref().to_vec();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, public);
        let sign = sha1_signer(&der).unwrap();

        let signatures: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let sign = &sign;
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(move || sign(b"octets").unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });

        for signature in signatures {
            assert!(public.verify(b"octets", &signature).is_ok());
            assert!(public.verify(b"others", &signature).is_err());
        }
    }

    #[test]
    fn takes_no_other_key() {
        let ecdsa = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_der();

        assert!(sha1_signer(&ecdsa).is_none());
        assert!(sha1_signer(b"no key").is_none());
        assert!(sha1_signer(&[]).is_none());
    }
}
