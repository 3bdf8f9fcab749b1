//! Where copies of backups go: pyftpdlib as a server of FTP and FTPS, rclone as a store that speaks Amazon S3 and checks
//! what is signed.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::program::Program;
use super::world::{HOST, World};
use super::{PATIENCE, until};

/// Who may bring files by FTP, as a form has it.
pub const FTP_LOGIN: &str = "ftp_user=keeper&ftp_password=right+horse";
/// Who may bring files by S3, as a form has it.
pub const S3_LOGIN: &str = "s3_access_key=keeper&s3_secret_key=right+horse+battery";
const S3_KEYS: &str = "keeper,right horse battery";
/// The bucket that there is.
pub const BUCKET: &str = "copies";
/// Where the store listens.
const S3_PORT: u16 = 9000;

/// A certificate for [`HOST`] that nobody else vouches for.
pub struct Certificate {
    folder: TempDir,
}

impl Certificate {
    /// Makes one.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("culvert-e2e-").tempdir().unwrap();
        open_to_all(folder.path());
        let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        for (name, text) in [("crt", certificate.clone()), ("key", key.clone()), ("both", key + &certificate)] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder }
    }

    /// Whom to believe, for `SSL_CERT_FILE`.
    pub fn believed(&self) -> String {
        self.path("crt")
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

/// A server in the internet that keeps files.
pub struct Keeper {
    // before the folder: it is shown and ended first
    program: Program,
    folder: TempDir,
}

impl Keeper {
    /// Serves FTP, and nothing but FTPS where there is a certificate. `words` are those of `ftp.py`.
    pub fn ftp(world: &World, certificate: Option<&Certificate>, words: &[&str]) -> Self {
        let tls = certificate.map(|certificate| format!("tls={}", certificate.path("both")));
        Self::start(world, 21, |folder| {
            // the modules are Debian's, so the interpreter is, too
            let mut command = world.internet.command("/usr/bin/python3");
            command.arg("-c").arg(include_str!("ftp.py")).arg(HOST).arg(folder).args(words).args(&tls);
            command
        })
    }

    /// Serves FTP from a disk of one page, which is full at once.
    pub fn ftp_on_a_full_disk(world: &World) -> Self {
        Self::start(world, 21, |folder| {
            // a mount namespace comes with `ip netns exec`
            let mut command = world.internet.command("sh");
            command
                .args(["-c", "mount -t tmpfs -o size=4k none \"$0\" && exec /usr/bin/python3 -c \"$1\" \"$2\" \"$0\""]);
            command.arg(folder).arg(include_str!("ftp.py")).arg(HOST);
            command
        })
    }

    /// Serves a store that speaks S3, over TLS where there is a certificate.
    pub fn s3(world: &World, certificate: Option<&Certificate>) -> Self {
        let rclone = std::env::var("CULVERT_E2E_RCLONE").unwrap_or_else(|_| "rclone".to_owned());
        Self::start(world, S3_PORT, |folder| {
            fs::create_dir(folder.join(BUCKET)).unwrap();
            let mut command = world.internet.command(&rclone);
            command.args(["serve", "s3", "--config", "/dev/null", "--vfs-cache-mode", "off", "--auth-key", S3_KEYS]);
            command.arg("--addr").arg(format!("{HOST}:{S3_PORT}"));
            if let Some(certificate) = certificate {
                command.arg("--cert").arg(certificate.path("crt")).arg("--key").arg(certificate.path("key"));
            }
            command.arg(folder);
            command
        })
    }

    fn start(world: &World, port: u16, command: impl FnOnce(&Path) -> std::process::Command) -> Self {
        let folder = tempfile::Builder::new().prefix("culvert-e2e-").tempdir().unwrap();
        let files = folder.path().join("files");
        fs::create_dir(&files).unwrap();
        let mut program = Program::start("a keeper of files", &mut command(&files), &folder.path().join("log"));
        until(PATIENCE, "somebody who keeps files", || {
            assert!(program.ended().is_none(), "it ended: {}", program.said());
            world.internet.enter(|| TcpStream::connect((HOST, port))).ok()
        });
        Self { program, folder }
    }

    /// A path among its files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("files").join(name)
    }

    /// What it has in a folder, by name.
    pub fn list(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Holds it up: it answers nothing from now on, and its kernel still takes what is sent.
    pub fn hold_up(&self) {
        self.program.signal(Signal::SIGSTOP);
    }

    /// Ends it, as a power cut would.
    pub fn kill(&mut self) {
        self.program.kill();
    }
}

/// The form that has copies go there by FTP, or by FTPS.
pub fn by_ftp(tls: bool) -> String {
    let tls = u8::from(tls);
    format!("backup_to_ftp=1&ftp_tls={tls}&ftp_server={HOST}&ftp_path=deep/deeper&{FTP_LOGIN}")
}

/// The form that has copies go there by S3, over `http` or `https`.
pub fn by_s3(scheme: &str) -> String {
    format!(
        "backup_to_s3=1&s3_endpoint={scheme}://{HOST}:{S3_PORT}&s3_region=us-east-1&s3_bucket={BUCKET}&s3_path=deep/deeper&{S3_LOGIN}"
    )
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}
