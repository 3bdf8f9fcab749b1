//! To a server that speaks FTP (RFC 959), in the clear or encrypted (RFC 4217).

use std::io::Read;
use std::net::ToSocketAddrs as _;
use std::time::Duration;

use suppaftp::types::FileType;
use suppaftp::{FtpStream, ImplFtpStream, Mode, RustlsConnector, RustlsFtpStream, TlsStream};

use super::tls;
use crate::domain::backup::Ftp;

/// How long the server may take to accept a connection, and for each answer.
const PATIENCE: Duration = Duration::from_secs(20);

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
        match ImplFtpStream::<T>::connect_timeout(address, PATIENCE) {
            Ok(mut stream) => {
                let socket = stream.get_ref();
                let bounded =
                    socket.set_read_timeout(Some(PATIENCE)).and_then(|()| socket.set_write_timeout(Some(PATIENCE)));
                bounded.map_err(|error| error.to_string())?;
                drop(socket);
                // works over IPv6, and behind the address translation of either side (RFC 2428)
                stream.set_mode(Mode::ExtendedPassive);
                return Ok(stream);
            }
            Err(error) => last = said(error),
        }
    }
    Err(last)
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
    stream.put_file(unfinished.as_str(), &mut { file }).map_err(said)?;
    stream.rename(unfinished.as_str(), name).map_err(said)?;
    // it has arrived: how the server says goodbye changes nothing
    let _ = stream.quit();
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
fn said(error: suppaftp::FtpError) -> String {
    error.to_string().trim().replace(['\r', '\n'], " ")
}
