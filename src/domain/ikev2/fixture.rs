//! Certificates and keys for tests, made with OpenSSL: valid from 2020 to 2120. The tests of the API read the same files.

/// An RSA key of 2,048 bits in PKCS #1.
pub(crate) const RSA_KEY: &str = include_str!("../../../tests/support/ikev2/rsa.key");
/// [`RSA_KEY`] in PKCS #8.
pub(crate) const RSA_KEY_PKCS8: &str = include_str!("../../../tests/support/ikev2/rsa-pkcs8.key");
/// An ECDSA key over P-256 in PKCS #8.
pub(crate) const EC_KEY: &str = include_str!("../../../tests/support/ikev2/ec.key");
/// [`EC_KEY`] in SEC 1.
pub(crate) const EC_KEY_SEC1: &str = include_str!("../../../tests/support/ikev2/ec-sec1.key");
/// An RSA key of 1,024 bits.
pub(crate) const SMALL_KEY: &str = include_str!("../../../tests/support/ikev2/small.key");
/// An RSA key of 5,120 bits.
pub(crate) const LARGE_KEY: &str = include_str!("../../../tests/support/ikev2/large.key");
/// A key of another kind.
pub(crate) const ED25519_KEY: &str = include_str!("../../../tests/support/ikev2/ed25519.key");
/// The root of [`RSA_KEY`].
pub(crate) const CA: &str = include_str!("../../../tests/support/ikev2/rsa.crt");
/// The root of [`EC_KEY`].
pub(crate) const EC_CA: &str = include_str!("../../../tests/support/ikev2/ec.crt");
/// Of [`RSA_KEY`], signed by itself, but no authority.
pub(crate) const LEAF: &str = include_str!("../../../tests/support/ikev2/leaf.crt");
/// An authority of [`RSA_KEY`], signed by [`EC_CA`].
pub(crate) const BETWEEN: &str = include_str!("../../../tests/support/ikev2/between.crt");
/// A root of [`EC_KEY`] whose name has two domain components.
pub(crate) const COMPONENTS: &str = include_str!("../../../tests/support/ikev2/components.crt");
