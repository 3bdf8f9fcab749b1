//! Algorithms that protect a message, and their lengths.

/// What encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encryption {
    /// 3DES-CBC: RFC 2451. Only because the API's default proposals name it.
    TripleDes,
    /// AES-CBC with a key of 128 bits: RFC 3602.
    Aes128Cbc,
    /// AES-CBC with a key of 192 bits: RFC 3602.
    Aes192Cbc,
    /// AES-CBC with a key of 256 bits: RFC 3602.
    Aes256Cbc,
    /// AES-GCM with a key of 128 bits and an ICV of 16 bytes: RFC 4106 and 5282.
    Aes128Gcm,
    /// AES-GCM with a key of 192 bits and an ICV of 16 bytes: RFC 4106 and 5282.
    Aes192Gcm,
    /// AES-GCM with a key of 256 bits and an ICV of 16 bytes: RFC 4106 and 5282.
    Aes256Gcm,
    /// ChaCha20-Poly1305: RFC 7634.
    ChaCha20Poly1305,
}

impl Encryption {
    /// Whether it authenticates too.
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305)
    }

    /// Bytes of key material: the key, and an AEAD's salt of four bytes.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Cbc => 16,
            Self::Aes128Gcm => 20,
            Self::TripleDes | Self::Aes192Cbc => 24,
            Self::Aes192Gcm => 28,
            Self::Aes256Cbc => 32,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 36,
        }
    }

    /// Bytes of initialization vector in each message.
    pub const fn iv_len(self) -> usize {
        match self {
            Self::Aes128Cbc | Self::Aes192Cbc | Self::Aes256Cbc => 16,
            Self::TripleDes | Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 => 8,
        }
    }

    /// What the encrypted text is a multiple of, in bytes.
    pub const fn block_len(self) -> usize {
        match self {
            Self::Aes128Cbc | Self::Aes192Cbc | Self::Aes256Cbc => 16,
            Self::TripleDes => 8,
            Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 => 1,
        }
    }
}

/// What authenticates where the encryption does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Integrity {
    /// HMAC-SHA1-96: RFC 2404.
    Sha1,
    /// HMAC-SHA256-128: RFC 4868.
    Sha256,
    /// HMAC-SHA384-192: RFC 4868.
    Sha384,
    /// HMAC-SHA512-256: RFC 4868.
    Sha512,
}

impl Integrity {
    /// Bytes of key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Bytes of integrity check value, the hash's beginning.
    pub const fn icv_len(self) -> usize {
        match self {
            Self::Sha1 => 12,
            Self::Sha256 => 16,
            Self::Sha384 => 24,
            Self::Sha512 => 32,
        }
    }
}

/// What protects the messages of one security association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Suite {
    /// What encrypts.
    pub encryption: Encryption,
    /// What authenticates; absent exactly where the encryption does.
    pub integrity: Option<Integrity>,
}

impl Suite {
    /// An encryption that authenticates.
    pub const fn aead(encryption: Encryption) -> Self {
        Self { encryption, integrity: None }
    }

    /// An encryption with an authentication beside it.
    pub const fn pair(encryption: Encryption, integrity: Integrity) -> Self {
        Self { encryption, integrity: Some(integrity) }
    }

    /// Bytes of integrity key.
    pub const fn integrity_key_len(self) -> usize {
        match self.integrity {
            Some(integrity) => integrity.key_len(),
            None => 0,
        }
    }

    /// Bytes of key material for one direction.
    pub const fn keymat_len(self) -> usize {
        self.encryption.key_len() + self.integrity_key_len()
    }

    /// Bytes of integrity check value.
    pub const fn icv_len(self) -> usize {
        match self.integrity {
            Some(integrity) => integrity.icv_len(),
            None => 16,
        }
    }
}
