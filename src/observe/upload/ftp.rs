//! To a server that speaks FTP (RFC 959), in the clear or encrypted (RFC 4217).

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use suppaftp::types::FileType;
use suppaftp::{FtpError, FtpStream, ImplFtpStream, Mode, RustlsConnector, RustlsFtpStream, TlsStream};

use crate::domain::backup::Ftp;
use crate::observe::trust::tls;

/// How long the server may take to accept a connection, for each answer, and to take any more of a file.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it may take to say why it takes no more of a file.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Sends a file to this server under a name of its own, by which nobody finds it before it is whole.
///
/// # Errors
/// One sentence for the operator.
pub fn send(to: &Ftp, name: &str, file: &mut dyn Read) -> Result<(), String> {
    if to.tls {
        let plain: RustlsFtpStream = connect(to)?;
        let secure = plain.into_secure(RustlsConnector::from(tls()?), &to.server).map_err(said)?;
        put(secure, to, name, file)
    } else {
        let plain: FtpStream = connect(to)?;
        put(plain, to, name, file)
    }
}

fn connect<T: TlsStream>(to: &Ftp) -> Result<ImplFtpStream<T>, String> {
    let addresses = (to.server.as_str(), to.port).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut last = format!("{} has no address", to.server);
    for address in addresses {
        match reach(address).and_then(ImplFtpStream::<T>::connect_with_stream) {
            Ok(stream) => {
                let mut stream = stream.passive_stream_builder(reach);
                // works over IPv6, and behind the address translation of either side (RFC 2428)
                stream.set_mode(Mode::ExtendedPassive);
                return Ok(stream);
            }
            Err(error) => last = said(error),
        }
    }
    Err(last)
}

/// Connects, for commands and for a file alike: a server that falls silent holds up nobody for longer than it may.
fn reach(address: SocketAddr) -> Result<TcpStream, FtpError> {
    let bounded = || -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    };
    bounded().map_err(FtpError::ConnectionError)
}

fn put<T: TlsStream>(mut stream: ImplFtpStream<T>, to: &Ftp, name: &str, file: &mut dyn Read) -> Result<(), String> {
    stream.login(to.user.as_str(), to.password.reveal()).map_err(said)?;
    stream.transfer_type(FileType::Binary).map_err(said)?;
    if to.path.starts_with('/') {
        stream.cwd("/").map_err(said)?;
    }
    for folder in to.path.split('/').filter(|folder| !folder.is_empty()) {
        if stream.cwd(folder).is_err() {
            stream.mkdir(folder).map_err(said)?;
            stream.cwd(folder).map_err(said)?;
        }
    }
    let unfinished = format!("{name}.part");
    let arrived = store(&mut stream, &unfinished, file).and_then(|()| stream.rename(unfinished.as_str(), name));
    if let Err(error) = arrived {
        if matches!(error, FtpError::UnexpectedResponse(_)) {
            // half a file is of no use there; a server that does not answer is not asked to see to it
            let _ = stream.rm(unfinished.as_str());
        }
        return Err(said(error));
    }
    // it has arrived: how the server says goodbye changes nothing
    let _ = stream.quit();
    Ok(())
}

/// Sends a file. Where it breaks off, what the server has to say of that counts for more than that it hung up.
fn store<T: TlsStream>(stream: &mut ImplFtpStream<T>, name: &str, file: &mut dyn Read) -> Result<(), FtpError> {
    let mut transfer = stream.put_with_stream(name)?;
    let copied = io::copy(file, &mut transfer);
    if copied.is_err() {
        // where this has no effect, it only takes longer
        let _ = stream.get_ref().set_read_timeout(Some(LAST_WORD));
    }
    let finished = transfer.finish();
    match (copied, finished) {
        (Ok(_), finished) => finished,
        (Err(_), Err(refused @ FtpError::UnexpectedResponse(_))) => Err(refused),
        (Err(error), _) => Err(FtpError::ConnectionError(error)),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
fn said(error: FtpError) -> String {
    let text = match &error {
        FtpError::ConnectionError(cause) => lost(cause),
        FtpError::UnexpectedResponse(response) => {
            format!("the server says: {}", String::from_utf8_lossy(&response.body))
        }
        FtpError::SecureError(_)
        | FtpError::BadResponse
        | FtpError::InvalidAddress(_)
        | FtpError::DataConnectionAlreadyOpen => error.to_string(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What became of a connection.
fn lost(cause: &io::Error) -> String {
    let kind = cause.kind();
    if [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut].contains(&kind) {
        "the server does not answer".to_owned()
    } else if [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof].contains(&kind)
    {
        "the server hung up".to_owned()
    } else {
        cause.to_string()
    }
}
