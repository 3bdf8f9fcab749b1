//! Recorded sessions with every secret: what a widely used client and server said to one another, per suite.

use serde_json::Value;

/// Bytes of hexadecimal digits; anything else in between is left out.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .as_chunks()
        .0
        .iter()
        .map(|pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// One recorded session.
pub(crate) struct Session {
    value: Value,
}

/// One recorded datagram.
#[derive(Debug, Clone)]
pub(crate) struct Datagram {
    /// Whether it went to port 4500.
    pub(crate) marked: bool,
    pub(crate) bytes: Vec<u8>,
}

/// Every recorded session.
pub(crate) fn sessions() -> Vec<Session> {
    let texts = [
        include_str!("aes128-sha256-modp2048.json"),
        include_str!("aes256-sha1-modp1024.json"),
        include_str!("aes256gcm16.json"),
        include_str!("chacha20poly1305.json"),
    ];
    texts.map(|text| Session { value: serde_json::from_str(text).unwrap() }).into()
}

impl Session {
    /// A text by its name.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.value[name].as_str().unwrap()
    }

    /// The DER inside a PEM by its name.
    pub(crate) fn der(&self, name: &str) -> Vec<u8> {
        use base64::Engine as _;
        let body: String = self.text(name).lines().filter(|line| !line.starts_with('-')).collect();
        base64::engine::general_purpose::STANDARD.decode(body).unwrap()
    }

    /// What was said, in order.
    pub(crate) fn datagrams(&self) -> Vec<Datagram> {
        let datagrams = self.value["datagrams"].as_array().unwrap().iter().map(|datagram| Datagram {
            marked: datagram["to_port"] == 4500 && datagram["from_port"] == 4500,
            bytes: hex(datagram["hex"].as_str().unwrap()),
        });
        datagrams.collect()
    }

    /// The values of a secret, in the order in which the client wrote them down.
    pub(crate) fn secrets(&self, name: &str) -> Vec<Vec<u8>> {
        let all = self.value["initiator_secrets"].as_array().unwrap();
        all.iter().filter(|secret| secret["name"] == name).map(|secret| hex(secret["hex"].as_str().unwrap())).collect()
    }
}
