//! Just enough HTTP/1.1 for large bodies in both directions, with their SHA-256.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use sha2::{Digest as _, Sha256};

/// A body that can be made and checked without being kept: blocks that differ from one another.
pub struct Body {
    block: Vec<u8>,
    left: usize,
    at: u64,
}

/// The length of a block, in bytes.
const BLOCK: usize = 65_536;

impl Body {
    /// A body of so many bytes.
    pub fn new(length: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let next = || {
            // xorshift64: cheap, and nothing on the way can compress or guess it
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        Self { block: std::iter::repeat_with(next).take(BLOCK).collect(), left: length, at: 0 }
    }

    /// The next block, if there is more.
    pub fn next_block(&mut self) -> Option<&[u8]> {
        let length = self.left.min(BLOCK);
        self.left -= length;
        self.at += 1;
        self.block[..8].copy_from_slice(&self.at.to_le_bytes());
        (length > 0).then(|| &self.block[..length])
    }

    /// The SHA-256 of the whole, as hex.
    pub fn digest(length: usize) -> String {
        let (mut body, mut digest) = (Self::new(length), Sha256::new());
        while let Some(block) = body.next_block() {
            digest.update(block);
        }
        hex(&digest.finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Serves one connection: `GET /LENGTH` answers so many bytes, `PUT /` answers the SHA-256 of what came.
pub fn answer(stream: TcpStream) -> io::Result<()> {
    let mut input = BufReader::with_capacity(BLOCK, stream.try_clone()?);
    let (first, length) = head(&mut input)?;
    let mut words = first.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method == "GET" {
        return send(stream, path.trim_start_matches('/').parse().unwrap_or(0));
    }
    let digest = hash(&mut input.take(length), |_| {})?;
    write!(&stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{digest}", digest.len())
}

fn send(mut stream: TcpStream, length: usize) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    let mut body = Body::new(length);
    while let Some(block) = body.next_block() {
        stream.write_all(block)?;
    }
    Ok(())
}

/// Fetches so many bytes and returns their SHA-256; `progress` hears how many came so far.
pub fn get(stream: TcpStream, length: usize, progress: impl FnMut(usize)) -> io::Result<String> {
    write!(&stream, "GET /{length} HTTP/1.1\r\nHost: host\r\n\r\n")?;
    let mut input = BufReader::with_capacity(BLOCK, stream);
    let (_, length) = head(&mut input)?;
    hash(&mut input.take(length), progress)
}

/// Sends so many bytes and returns the SHA-256 that the other side counted.
pub fn put(mut stream: TcpStream, length: usize) -> io::Result<String> {
    write!(stream, "PUT / HTTP/1.1\r\nHost: host\r\nContent-Length: {length}\r\n\r\n")?;
    let mut body = Body::new(length);
    while let Some(block) = body.next_block() {
        stream.write_all(block)?;
    }
    let mut input = BufReader::new(stream);
    let (_, length) = head(&mut input)?;
    let mut digest = String::new();
    input.take(length).read_to_string(&mut digest)?;
    Ok(digest)
}

/// Reads a message's head: its first line and the length of its body.
fn head(input: &mut BufReader<TcpStream>) -> io::Result<(String, u64)> {
    let (mut first, mut length) = (String::new(), 0);
    input.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse().map_err(io::Error::other)?,
            Some(_) => {}
            None => return Ok((first, length)),
        }
    }
}

fn hash(input: &mut impl io::Read, mut progress: impl FnMut(usize)) -> io::Result<String> {
    let (mut digest, mut block, mut total) = (Sha256::new(), vec![0; BLOCK], 0);
    loop {
        match input.read(&mut block)? {
            0 => return Ok(hex(&digest.finalize())),
            length => {
                digest.update(&block[..length]);
                total += length;
                progress(total);
            }
        }
    }
}
