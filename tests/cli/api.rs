//! The API as a program on the same host speaks it: HTTP over the data folder's socket, one kept-alive connection.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

/// The connection.
pub(crate) struct Api(BufReader<UnixStream>);

impl Api {
    /// Connects.
    pub(crate) fn connect(data: &Path) -> io::Result<Self> {
        UnixStream::connect(data.join("culvert.sock")).map(|stream| Self(BufReader::new(stream)))
    }

    /// Sends a form; the answer's `msg`, or where the connection ended before it had come whole, why.
    ///
    /// # Panics
    /// Where the answer is no success.
    pub(crate) fn send(&mut self, method: &str, path: &str, form: &str) -> io::Result<Value> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len(),
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        let body = self.answer()?;
        let mut envelope: Value = serde_json::from_slice(&body)?;
        assert_eq!(envelope["status"], "success", "{method} {path} {form}: {envelope}");
        Ok(envelope["msg"].take())
    }

    /// Asks for what is there.
    pub(crate) fn get(&mut self, path: &str) -> Value {
        self.send("GET", path, "").unwrap()
    }

    fn answer(&mut self) -> io::Result<Vec<u8>> {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line.trim_end().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(body)
    }
}
