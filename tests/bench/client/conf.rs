//! The few lines of a wg-quick file that the bench's client needs.

use std::error::Error;
use std::net::SocketAddr;

use boringtun::x25519::{PublicKey, StaticSecret};
use culvert::domain::key;

/// What a client must know of its server.
pub(crate) struct Conf {
    /// Its own key.
    pub(crate) private: StaticSecret,
    /// The server's key.
    pub(crate) public: PublicKey,
    /// Where the server listens.
    pub(crate) endpoint: SocketAddr,
}

impl Conf {
    /// Reads the file.
    ///
    /// # Errors
    /// Where it cannot be read, or lacks a key or the endpoint.
    pub(crate) fn read(path: &str) -> Result<Self, Box<dyn Error>> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
        let private = key::PrivateKey::parse(&field(&text, "PrivateKey")?)?.secret();
        let public = PublicKey::from(*key::PublicKey::parse(&field(&text, "PublicKey")?)?.as_bytes());
        let endpoint = field(&text, "Endpoint")?.parse()?;
        Ok(Self { private, public, endpoint })
    }
}

fn field(text: &str, name: &str) -> Result<String, String> {
    let of_line = |line: &str| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    };
    text.lines().find_map(of_line).ok_or_else(|| format!("no {name} in the client file"))
}
