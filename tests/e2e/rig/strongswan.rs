//! A real IKEv2 client: Debian's `charon` with `kernel-libipsec`, told what to do by `swanctl`.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::appliance::Appliance;
use super::program::Program;
use super::world::{HOST, Place, SERVER, SERVER_V6, World};
use super::{PATIENCE, until};

/// The daemon.
const CHARON: &str = "/usr/lib/ipsec/charon";
/// The name in the server's certificate.
pub const NAME: &str = "vpn.example.test";
/// What clients send through their tunnel: everything but the way to the server itself.
const NETWORK: &str = "192.0.2.0/24,10.0.0.0/8,2001:db8:1::/64,fd00::/8";
/// The plugins of the daemon, those first that are to be asked first.
const PLUGINS: &str = "random nonce aes sha1 sha2 md5 hmac kdf gcm chapoly curve25519 x509 revocation constraints pubkey \
    pkcs1 pkcs8 pem openssl gmp kernel-libipsec kernel-netlink socket-default eap-identity eap-mschapv2 vici";

/// How a client is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The name that it says.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Further lines of the connection.
    pub connection: String,
    /// Further lines of the child.
    pub child: String,
    /// Further lines of the daemon.
    pub daemon: String,
    /// The server's address.
    pub server: &'static str,
}

/// Turns IKEv2 on: an authority, a certificate with this kind of key, and the first server speaks it. Returns the
/// authority's certificate.
pub fn prepare(appliance: &Appliance<'_>, key: &str) -> String {
    let subject = |whose: &str| {
        ["common_name", "organization", "organizational_unit", "locality", "state_or_province_name"]
            .map(|field| format!("{whose}_{field}=Test&"))
            .concat()
    };
    let of_ca = format!("{}ca_country_name=PL&key_type={key}", subject("ca"));
    let made = appliance.api("PUT", "ikev2/generate_ca_rsa", &of_ca);
    let place = format!("server_domain={NAME}&server_ip={SERVER}&server_ipv6={SERVER_V6}");
    let of_server = format!("{place}&{}server_country_name=PL&key_type={key}", subject("server"));
    appliance.api("PUT", "ikev2/generate_server_rsa", &of_server);
    appliance.api("PUT", "wireguard/Default_1", "ikev2=1");
    appliance.api("PUT", "ikev2", "enabled=1");
    made["ca_cert"].as_str().unwrap().to_owned()
}

/// Lets the server's processes open the ports of IKEv2 without a privilege.
pub fn allow_ports(world: &World) {
    world.server.sysctl("net/ipv4/ip_unprivileged_port_start", "500");
}

impl Setup {
    /// A client that logs in as an account of this name.
    pub fn of(appliance: &Appliance<'_>, account: &str) -> Self {
        let detail = appliance.api("GET", &format!("account/{account}"), "");
        let text = |field: &str| detail[field].as_str().unwrap_or_else(|| panic!("{field}: {detail}")).to_owned();
        Self {
            user: text("username"),
            password: text("password"),
            connection: String::new(),
            child: String::new(),
            daemon: String::new(),
            server: SERVER,
        }
    }

    /// The same with further lines of the connection.
    #[must_use]
    pub fn connection(mut self, lines: &str) -> Self {
        self.connection.push_str(lines);
        self
    }

    /// The same with further lines of the child.
    #[must_use]
    pub fn child(mut self, lines: &str) -> Self {
        self.child.push_str(lines);
        self
    }

    /// Its connection, with this name.
    fn connection_named(&self, name: &str) -> String {
        let Self { user, connection, child, server, .. } = self;
        let child = if child.contains("remote_ts") { child.clone() } else { format!("remote_ts = {NETWORK}\n{child}") };
        format!(
            "{name} {{\n version = 2\n remote_addrs = {server}\n vips = 0.0.0.0,::\n keyingtries = 1\n\
             {connection}\n local {{\n auth = eap-mschapv2\n id = {user}\n eap_id = {user}\n }}\n\
             remote {{\n auth = pubkey\n id = {NAME}\n }}\n children {{\n k {{\n {child}\n }}\n }}\n }}\n"
        )
    }
}

/// The file for `swanctl`: a connection `c` for one, `c0`, `c1` ... for many.
fn swanctl(setups: &[Setup]) -> String {
    let name = |at: usize| if setups.len() == 1 { "c".to_owned() } else { format!("c{at}") };
    let connections = setups.iter().enumerate().map(|(at, setup)| setup.connection_named(&name(at)));
    let secrets = setups.iter().enumerate().map(|(at, Setup { user, password, .. })| {
        format!("eap-{at} {{\n id = {user}\n secret = \"{password}\"\n }}\n")
    });
    let (connections, secrets) = (connections.collect::<String>(), secrets.collect::<String>());
    format!("connections {{\n{connections}}}\nsecrets {{\n{secrets}}}\n")
}

/// A client in its place.
pub struct Client {
    /// Where it lives.
    pub place: Place,
    program: Program,
    folder: tempfile::TempDir,
}

impl Client {
    /// Starts the daemon, which connects nowhere yet.
    pub fn start(place: Place, authority: &str, setup: &Setup) -> Self {
        Self::start_many(place, authority, std::slice::from_ref(setup))
    }

    /// Starts one daemon for as many clients, with the first one's settings of the daemon.
    pub fn start_many(place: Place, authority: &str, setups: &[Setup]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("x509ca")).unwrap();
        fs::write(path("x509ca/ca.pem"), authority).unwrap();
        fs::write(path("swanctl.conf"), swanctl(setups)).unwrap();
        let settings = format!(
            "charon {{\n load = {PLUGINS}\n {}\n plugins {{\n kernel-libipsec {{\n load = yes\n allow_peer_ts = yes\n }}\n\
             openssl {{\n load_legacy = yes\n }}\n vici {{\n socket = unix://{}\n }}\n }}\n\
             filelog {{\n said {{\n path = stderr\n default = 1\n ike = 2\n flush_line = yes\n }}\n }}\n}}\n",
            setups[0].daemon,
            path("vici").display()
        );
        fs::write(path("strongswan.conf"), settings).unwrap();
        // its pid file lies in a place that all daemons share
        let mut command = place.host.command("sh");
        command.args(["-c", &format!("mount -t tmpfs none /run && exec {CHARON}")]);
        command.env("STRONGSWAN_CONF", path("strongswan.conf"));
        let program = Program::start("charon", &mut command, &path("log"));
        let client = Self { place, program, folder };
        until(PATIENCE, "charon's control socket", || UnixStream::connect(client.socket()).ok());
        let (loaded, said) = client.swanctl(&["--load-all", "--noprompt"]);
        assert!(loaded, "{said}");
        client
    }

    /// Starts the daemon in a place of its own and logs in.
    pub fn connected(world: &World, authority: &str, setup: &Setup) -> Self {
        let client = Self::start(world.place(), authority, setup);
        client.connect().unwrap_or_else(|said| panic!("{said}"));
        client
    }

    /// Sets it up otherwise; what stands goes on as it is.
    pub fn set_up(&self, setup: &Setup) {
        fs::write(self.folder.path().join("swanctl.conf"), swanctl(std::slice::from_ref(setup))).unwrap();
        let (loaded, said) = self.swanctl(&["--load-all", "--noprompt"]);
        assert!(loaded, "{said}");
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("vici")
    }

    /// Runs `swanctl`; whether it succeeded, and what it said.
    pub fn swanctl(&self, words: &[&str]) -> (bool, String) {
        let mut command = Command::new("swanctl");
        command.args(words).arg("--uri").arg(format!("unix://{}", self.socket().display()));
        let settings = self.folder.path().join("strongswan.conf");
        command.env("SWANCTL_DIR", self.folder.path()).env("STRONGSWAN_CONF", settings);
        let output = command.output().unwrap();
        let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
        (output.status.success(), said)
    }

    /// Logs in.
    ///
    /// # Errors
    /// What the daemon said, where it could not.
    pub fn connect(&self) -> Result<(), String> {
        let (done, said) = self.swanctl(&["--initiate", "--child", "k", "--timeout", "20"]);
        if done { Ok(()) } else { Err(said) }
    }

    /// Logs out.
    pub fn disconnect(&self) {
        let (done, said) = self.swanctl(&["--terminate", "--ike", "c", "--timeout", "20"]);
        assert!(done, "{said}");
    }

    /// Renews an association of the daemon's: `--ike c`, `--child k`.
    pub fn rekey(&self, which: &[&str]) {
        let (done, said) = self.swanctl(&[&["--rekey"], which].concat());
        assert!(done, "{said}");
    }

    /// The daemon's associations, as `swanctl` lists them.
    pub fn associations(&self) -> String {
        self.swanctl(&["--list-sas"]).1
    }

    /// What the daemon has said so far.
    pub fn said(&self) -> String {
        self.program.said()
    }

    /// Ends the daemon without a word to anybody.
    pub fn vanish(&mut self) {
        self.program.kill();
    }

    /// Opens a TCP connection through the tunnel.
    pub fn connect_to(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let address = SocketAddr::new(host.parse().unwrap(), port);
        let stream = self.place.host.enter(|| TcpStream::connect_timeout(&address, PATIENCE))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Opens a UDP socket that speaks to one place through the tunnel.
    pub fn socket_to(&self, host: &str, port: u16, bound: Duration) -> io::Result<UdpSocket> {
        let address: SocketAddr = SocketAddr::new(host.parse().unwrap(), port);
        self.socket_from(if address.is_ipv6() { "::" } else { "0.0.0.0" }, host, port, bound)
    }

    /// The same with this inner address of its own.
    pub fn socket_from(&self, own: &str, host: &str, port: u16, bound: Duration) -> io::Result<UdpSocket> {
        let address = SocketAddr::new(host.parse().unwrap(), port);
        let socket = self.place.host.enter(|| UdpSocket::bind((own, 0)))?;
        socket.set_read_timeout(Some(bound))?;
        socket.connect(address)?;
        Ok(socket)
    }

    /// Sends a datagram through the tunnel and waits for the answer.
    pub fn ask(&self, host: &str, port: u16, question: &[u8], bound: Duration) -> io::Result<Vec<u8>> {
        let socket = self.socket_to(host, port, bound)?;
        socket.send(question)?;
        let mut answer = vec![0; 65_536];
        let length = socket.recv(&mut answer)?;
        answer.truncate(length);
        Ok(answer)
    }

    /// Sends so many pings through the tunnel; returns how many were answered.
    pub fn ping(&self, host: &str, count: u32) -> u32 {
        let mut command = self.place.host.command("ping");
        command.args(["-i", "0.05", "-n", "-W", "2", "-c", &count.to_string(), host]);
        let text = String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned();
        let line = text.lines().find(|line| line.contains(" received")).unwrap_or_else(|| panic!("{text}"));
        line.split(", ").nth(1).and_then(|part| part.split(' ').next()).and_then(|n| n.parse().ok()).unwrap()
    }

    /// Whether a datagram goes to the internet and back.
    pub fn passes(&self) -> bool {
        self.ask(HOST, 7, b"here", Duration::from_secs(1)).is_ok()
    }

    /// Waits until a datagram goes to the internet and back.
    pub fn until_online(&self, bound: Duration) {
        until(bound, "an echo through the tunnel", || self.passes().then_some(()));
    }
}
