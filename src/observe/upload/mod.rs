//! Copies of backups that leave the host. They hold private keys: none leaves unencrypted (age, <https://age-encryption.org/v1>).
//!
//! Everything here waits for disks and networks, so it runs where waiting is allowed.

mod ftp;
mod s3;
mod seal;

pub use self::ftp::send as to_ftp;
pub use self::s3::send as to_s3;
pub use self::seal::{KeyFile, open, seal};
