//! A real WireGuard client: Debian's `wireguard-go`, set up with `wg` from the file that the appliance prints.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::namespace::{Namespace, finish, run};
use super::program::Program;
use super::{PATIENCE, until};

/// A fresh key pair of `wg`: private, public.
pub fn keys() -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let private = run("wg", &["genkey"]);
    fs::write(&file, &private).unwrap();
    let public = finish(Command::new("wg").arg("pubkey").stdin(File::open(&file).unwrap()));
    (private.trim().to_owned(), public.trim().to_owned())
}

/// A WireGuard interface in a namespace.
pub struct Interface {
    name: String,
    program: Program,
    folder: tempfile::TempDir,
}

impl Interface {
    /// Starts `wireguard-go` in `host` and gives it a configuration in the form of `wg setconf`.
    pub fn start(host: &Namespace, configuration: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // its control socket lies in one folder for all namespaces, so its name must be unique
        let name = format!("e{}n{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::tempdir().unwrap();
        let mut command = host.command("wireguard-go");
        command.args(["-f", &name]).env("WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD", "1").env("LOG_LEVEL", "error");
        let program = Program::start("wireguard-go", &mut command, &folder.path().join("log"));
        let interface = Self { name, program, folder };
        let socket = format!("/var/run/wireguard/{}.sock", interface.name);
        // it is there a moment before anyone listens, and `wg` takes away a socket that refuses it
        until(PATIENCE, "wireguard-go's control socket", || UnixStream::connect(&socket).ok());
        interface.configure(host, configuration);
        interface
    }

    /// Gives it another configuration.
    pub fn configure(&self, host: &Namespace, configuration: &str) {
        let file = self.folder.path().join("wg.conf");
        fs::write(&file, configuration).unwrap();
        finish(host.command("wg").args(["setconf", &self.name]).arg(&file));
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `wg set` or `wg show` on it and returns what it printed.
    pub fn wg(&self, host: &Namespace, verb: &str, arguments: &str) -> String {
        finish(host.command("wg").args([verb, &self.name]).args(arguments.split_whitespace()))
    }

    /// When it last shook hands, in seconds since 1970; 0 for never.
    pub fn handshake(&self, host: &Namespace) -> u64 {
        let shown = self.wg(host, "show", "latest-handshakes");
        shown.split_whitespace().nth(1).and_then(|time| time.parse().ok()).unwrap_or(0)
    }

    /// Ends it.
    pub fn stop(mut self) {
        self.program.kill();
    }
}

/// A client file, read.
pub struct ClientFile {
    /// What `wg setconf` takes.
    pub stripped: String,
    /// The client's addresses, with prefix lengths.
    pub addresses: Vec<String>,
    /// The tunnel's MTU, where the file names one.
    pub mtu: Option<String>,
    /// Its DNS servers.
    pub dns: Vec<String>,
}

impl ClientFile {
    /// Reads a file in wg-quick's form.
    pub fn parse(text: &str) -> Self {
        let mut file = Self { stripped: String::new(), addresses: Vec::new(), mtu: None, dns: Vec::new() };
        for line in text.lines().map(str::trim) {
            let (key, value) = line.split_once('=').map_or((line, ""), |(key, value)| (key.trim(), value.trim()));
            let list = || value.split(',').map(|item| item.trim().to_owned());
            match key {
                "Address" => file.addresses.extend(list()),
                "DNS" => file.dns.extend(list()),
                "MTU" => file.mtu = Some(value.to_owned()),
                _ => file.stripped.extend([line, "\n"]),
            }
        }
        file
    }
}

/// A client in its place, connected.
pub struct Peer {
    /// Where it lives.
    pub place: super::world::Place,
    /// Its tunnel.
    pub tunnel: Interface,
    /// The file that it was set up with.
    pub file: ClientFile,
}

impl Peer {
    /// Sets a client up as a person does who imports the file: everything goes through the tunnel.
    pub fn connect(place: super::world::Place, file: &str) -> Self {
        let file = ClientFile::parse(file);
        let tunnel = Interface::start(&place.host, &file.stripped);
        let peer = Self { place, tunnel, file };
        peer.route();
        peer
    }

    fn route(&self) {
        let (host, name) = (&self.place.host, self.tunnel.name());
        for address in &self.file.addresses {
            host.address(name, address);
        }
        let mtu = self.file.mtu.as_deref().unwrap_or("1420");
        host.ip(&format!("link set {name} mtu {mtu} up"));
        host.ip(&format!("route add default dev {name}"));
        if self.file.addresses.iter().any(|address| address.contains(':')) {
            host.ip(&format!("-6 route add default dev {name}"));
        }
    }

    /// Ends the tunnel and begins a new one from the same file, as a client does that is switched off and on.
    pub fn reconnect(self) -> Self {
        let Self { place, tunnel, file } = self;
        tunnel.stop();
        let tunnel = Interface::start(&place.host, &file.stripped);
        let peer = Self { place, tunnel, file };
        peer.route();
        peer
    }

    /// Its own inner IPv4 address.
    pub fn address(&self) -> &str {
        self.file.addresses[0].split('/').next().unwrap()
    }

    /// Its inner addresses.
    pub fn addresses(&self) -> Vec<String> {
        self.file.addresses.iter().map(|address| address.split('/').next().unwrap().to_owned()).collect()
    }

    /// The server's own inner addresses: the first of each network that the client is in.
    pub fn servers(&self) -> Vec<String> {
        let first = |address: &String| match address.parse::<ipnet::IpNet>().unwrap() {
            ipnet::IpNet::V4(net) => net.hosts().next().unwrap().to_string(),
            ipnet::IpNet::V6(net) => std::net::Ipv6Addr::from(u128::from(net.network()) + 1).to_string(),
        };
        self.file.addresses.iter().map(first).collect()
    }

    /// Opens a TCP connection through the tunnel.
    pub fn connect_to(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        self.connect_within(host, port, PATIENCE)
    }

    /// Opens a TCP connection through the tunnel, or gives up.
    pub fn connect_within(&self, host: &str, port: u16, bound: Duration) -> io::Result<TcpStream> {
        let address = SocketAddr::new(host.parse().unwrap(), port);
        let stream = self.place.host.enter(|| TcpStream::connect_timeout(&address, bound))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Opens a UDP socket that speaks to one place through the tunnel.
    pub fn socket(&self, host: &str, port: u16) -> io::Result<UdpSocket> {
        let address = SocketAddr::new(host.parse().unwrap(), port);
        let any = if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let socket = self.place.host.enter(|| UdpSocket::bind(any))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(address)?;
        Ok(socket)
    }

    /// Sends a datagram through the tunnel and waits for the answer.
    pub fn ask(&self, host: &str, port: u16, question: &[u8], bound: Duration) -> io::Result<Vec<u8>> {
        let socket = self.socket(host, port)?;
        socket.set_read_timeout(Some(bound))?;
        socket.send(question)?;
        let mut answer = vec![0; 65_536];
        let length = socket.recv(&mut answer)?;
        answer.truncate(length);
        Ok(answer)
    }

    /// Where the internet sees this client by TCP.
    pub fn seen_by_tcp(&self, host: &str) -> SocketAddr {
        let mut text = String::new();
        self.connect_to(host, 8).unwrap().read_to_string(&mut text).unwrap();
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Where the internet sees this client by UDP.
    pub fn seen_by_udp(&self, host: &str) -> SocketAddr {
        let text = self.ask(host, 8, b"who am I?", PATIENCE).unwrap();
        String::from_utf8_lossy(&text).parse().unwrap()
    }

    /// Sends so many pings through the tunnel; returns how many were answered.
    pub fn ping(&self, host: &str, count: u32) -> u32 {
        self.pings(&["-i", "0.05"], host, count)
    }

    /// Sends so many pings, each as soon as the one before is answered; returns how many were answered.
    pub fn flood(&self, host: &str, count: u32) -> u32 {
        self.pings(&["-f"], host, count)
    }

    /// Sends so many pings with this source address; returns how many were answered.
    pub fn ping_from(&self, source: &str, host: &str, count: u32) -> u32 {
        self.pings(&["-I", source, "-i", "0.05"], host, count)
    }

    fn pings(&self, pace: &[&str], host: &str, count: u32) -> u32 {
        let mut command = self.place.host.command("ping");
        command.args(pace).args(["-n", "-W", "2", "-c", &count.to_string(), host]);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find(|line| line.contains(" received")).unwrap_or_else(|| panic!("{text}"));
        line.split(", ").nth(1).and_then(|part| part.split(' ').next()).and_then(|n| n.parse().ok()).unwrap()
    }

    /// Waits until a connection through the tunnel is carried end to end.
    pub fn until_online(&self, bound: Duration) {
        let second = Duration::from_secs(1);
        until(bound, "an echo through the tunnel", || self.ask(super::world::HOST, 7, b"here", second).ok());
    }
}
