//! The writers and collectors in the same process.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

use flate2::read::GzDecoder;
use tokio::net::UdpSocket;

use super::*;
use crate::domain::password::Password;
use crate::domain::traffic_log::{InfluxDbServer, SyslogServer, testing};

/// How long a collector waits before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The writers, and what they go by.
struct Writers {
    sink: Sink,
    settings: watch::Sender<Option<Arc<TrafficLogSettings>>>,
    ended: watch::Receiver<()>,
}

impl Writers {
    fn start(wanted: TrafficLogSettings, transport: Transport, folder: &Path) -> Self {
        let (settings, followed) = watch::channel(None);
        let hostname = "vpn.example".into();
        let surroundings = Surroundings { hostname, uplink: "culvert0", transport, folder: folder.to_owned() };
        let (sink, ended) = start(Arc::new(surroundings), followed);
        let writers = Self { sink, settings, ended };
        writers.set(wanted);
        writers
    }

    fn set(&self, wanted: TrafficLogSettings) {
        self.settings.send_replace(Some(Arc::new(wanted)));
    }

    /// Hands in records, one a second.
    fn put(&self, seconds: std::ops::Range<i64>) {
        for second in seconds {
            self.sink.put(Timestamp::from_second(1_700_000_000 + second).unwrap(), testing::record());
        }
    }

    /// Ends, with everything written that can be.
    async fn end(self) {
        let Self { sink, settings, mut ended } = self;
        drop(sink);
        while tokio::time::timeout(PATIENCE, ended.changed()).await.unwrap().is_ok() {}
        drop(settings);
    }
}

fn to_syslog(at: SocketAddr) -> TrafficLogSettings {
    let syslog = SyslogServer { enabled: true, server: Some(at.ip()), port: at.port() };
    TrafficLogSettings { enabled: true, syslog, ..TrafficLogSettings::default() }
}

fn to_influxdb(at: SocketAddr) -> TrafficLogSettings {
    let influxdb = InfluxDbServer {
        enabled: true,
        url: format!("http://{at}/"),
        token: Password::new("t0ken==".into()),
        bucket: "logs".into(),
        organization: "PUQ sp. z o.o.".into(),
    };
    TrafficLogSettings { enabled: true, influxdb, ..TrafficLogSettings::default() }
}

/// A port at which nobody listens.
fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn loses_and_counts_what_there_is_no_room_for_and_never_waits() {
    let (entries, _handed_in) = mpsc::channel(2);
    let sink = Sink { entries, losses: Arc::default() };

    for _ in 0..5 {
        sink.put(Timestamp::UNIX_EPOCH, testing::record());
    }

    assert_eq!(sink.losses.before.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn sends_a_datagram_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let collector = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let writers = Writers::start(to_syslog(collector.local_addr().unwrap()), Transport::Udp, folder.path());

    writers.put(0..2);

    let mut memory = [0; 2_048];
    for second in ["2023-11-14T22:13:20.000000Z", "2023-11-14T22:13:21.000000Z"] {
        let length = tokio::time::timeout(PATIENCE, collector.recv(&mut memory)).await.unwrap().unwrap();
        let message = String::from_utf8_lossy(&memory[..length]).into_owned();
        assert!(message.starts_with(&format!("<134>1 {second} vpn.example culvert ")), "{message}");
        assert!(message.ends_with(" DPT=443 NAT=192.0.2.1:20000"), "{message}");
    }
    writers.end().await;
}

#[tokio::test]
async fn says_of_one_record_whether_a_collector_takes_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let surroundings = Surroundings {
        hostname: "vpn.example".into(),
        uplink: "culvert0",
        transport: Transport::Tcp,
        folder: "unused".into(),
    };
    let entry = Entry { at: Timestamp::UNIX_EPOCH, record: testing::record() };
    let both = |syslog, influxdb| TrafficLogSettings { influxdb: to_influxdb(influxdb).influxdb, ..to_syslog(syslog) };

    let said = try_out(entry.clone(), &both(listener.local_addr().unwrap(), nowhere()), &surroundings).await;
    let neither = try_out(entry, &TrafficLogSettings::default(), &surroundings).await;

    assert_eq!(said[0], ("syslog", Ok(())));
    assert!(matches!(&said[1], ("InfluxDB", Err(why)) if !why.is_empty()), "{said:?}");
    assert!(neither.is_empty());
    let message = frame(&mut accept(&listener)).unwrap();
    assert!(message.starts_with("<134>1 1970-01-01T00:00:00"), "{message}");
}

/// The next message of a stream, counted (RFC 6587, section 3.4.1).
fn frame(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut length = Vec::new();
    stream.read_until(b' ', &mut length).unwrap();
    let length: usize = String::from_utf8(length).unwrap().trim_end().parse().ok()?;
    let mut message = vec![0; length];
    stream.read_exact(&mut message).unwrap();
    Some(String::from_utf8(message).unwrap())
}

fn accept(listener: &TcpListener) -> BufReader<TcpStream> {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    BufReader::new(stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_messages_on_a_stream_and_takes_another_one_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let writers = Writers::start(to_syslog(listener.local_addr().unwrap()), Transport::Tcp, folder.path());
    writers.put(0..3);
    let mut first = accept(&listener);
    let said: Vec<String> = (0..3).map(|_| frame(&mut first).unwrap()).collect();
    drop(first);

    writers.put(3..4);

    let mut second = accept(&listener);
    let later = frame(&mut second).unwrap();
    assert!(said.iter().all(|message| message.starts_with("<134>1 ") && message.ends_with(":20000")), "{said:?}");
    assert!(later.contains("22:13:23"), "{later}");
    writers.end().await;
    assert_eq!(frame(&mut second), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_what_has_waited_to_where_it_goes_now() {
    let folder = tempfile::tempdir().unwrap();
    let writers = Writers::start(to_syslog(nowhere()), Transport::Tcp, folder.path());
    writers.put(0..2);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();

    writers.set(to_syslog(listener.local_addr().unwrap()));

    let mut stream = accept(&listener);
    assert!((0..2).all(|_| frame(&mut stream).is_some()));
    writers.end().await;
}

#[tokio::test]
async fn ends_though_nobody_takes_anything_and_counts_what_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let writers = Writers::start(to_syslog(nowhere()), Transport::Tcp, folder.path());
    writers.put(0..5);
    let losses = Arc::clone(&writers.sink.losses);

    writers.end().await;

    assert_eq!(losses.syslog.load(Ordering::Relaxed), 5);
}

/// What came to the write API: the request's head and the lines.
type Request = (String, String);

/// A server that answers like this, one request after the other, and then with 204.
fn influxdb(answers: &'static [u16]) -> (SocketAddr, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (heard, requests) = sync_channel(64);
    let mut answers = answers.iter();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            while let Some(request) = request(&mut stream) {
                heard.send(request).unwrap();
                let status = answers.next().copied().unwrap_or(204);
                let answer = format!("HTTP/1.1 {status} it\r\nContent-Length: 0\r\n\r\n");
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    (address, requests)
}

fn request(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; length.trim().parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    let mut lines = String::new();
    GzDecoder::new(&body[..]).read_to_string(&mut lines).unwrap();
    Some((head, lines))
}

fn files(folder: &Path) -> usize {
    folder.join("traffic-log").read_dir().map_or(0, Iterator::count)
}

/// Waits until as many batches lie on disk.
async fn until_files(folder: &Path, count: usize) {
    let looks = async {
        while files(folder) != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looks).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_what_comes_together_in_one_packed_request() {
    let folder = tempfile::tempdir().unwrap();
    let (address, requests) = influxdb(&[]);
    let writers = Writers::start(to_influxdb(address), Transport::Udp, folder.path());

    writers.put(0..3);

    let (head, lines) = requests.recv_timeout(PATIENCE).unwrap();
    let line = "POST /api/v2/write?org=PUQ+sp.+z+o.o.&bucket=logs&precision=ns HTTP/1.1\r\n";
    assert!(head.starts_with(line), "{head}");
    let lower = head.to_ascii_lowercase();
    assert!(
        lower.contains("authorization: token t0ken==\r\n") && lower.contains("content-encoding: gzip\r\n"),
        "{head}"
    );
    let times: Vec<&str> = lines.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(times, ["1700000000000000000", "1700000001000000000", "1700000002000000000"]);
    until_files(folder.path(), 0).await;
    writers.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_again_until_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (address, requests) = influxdb(&[503, 401]);
    let writers = Writers::start(to_influxdb(address), Transport::Udp, folder.path());

    writers.put(0..1);

    let bodies = [(); 3].map(|()| requests.recv_timeout(PATIENCE).unwrap().1);
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    until_files(folder.path(), 0).await;
    writers.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lets_go_of_what_is_refused_for_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (address, requests) = influxdb(&[400]);
    let writers = Writers::start(to_influxdb(address), Transport::Udp, folder.path());
    writers.put(0..2);
    requests.recv_timeout(PATIENCE).unwrap();
    until_files(folder.path(), 0).await;

    assert_eq!(writers.sink.losses.influxdb.load(Ordering::Relaxed), 2);
    writers.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_on_disk_what_nobody_takes_until_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let writers = Writers::start(to_influxdb(nowhere()), Transport::Udp, folder.path());
    writers.put(0..2);
    writers.end().await;
    assert_eq!(files(folder.path()), 1);
    let (address, requests) = influxdb(&[]);

    let writers = Writers::start(to_influxdb(address), Transport::Udp, folder.path());

    let (_, lines) = requests.recv_timeout(PATIENCE).unwrap();
    assert_eq!(lines.lines().count(), 2);
    until_files(folder.path(), 0).await;
    writers.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_nothing_on_disk_once_it_is_turned_off() {
    let folder = tempfile::tempdir().unwrap();
    let writers = Writers::start(to_influxdb(nowhere()), Transport::Udp, folder.path());
    writers.put(0..2);
    until_files(folder.path(), 1).await;

    writers.set(TrafficLogSettings::default());

    until_files(folder.path(), 0).await;
    writers.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_to_one_while_the_other_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (address, requests) = influxdb(&[]);
    // one that accepts and never reads
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let both = TrafficLogSettings { syslog: to_syslog(deaf.local_addr().unwrap()).syslog, ..to_influxdb(address) };
    let writers = Writers::start(both, Transport::Tcp, folder.path());

    for portion in 0..4 {
        writers.put(portion * 2_000..(portion + 1) * 2_000);
        let mut lines = 0;
        while lines < 2_000 {
            lines += requests.recv_timeout(PATIENCE).unwrap().1.lines().count();
        }
    }

    assert_eq!(writers.sink.losses.before.load(Ordering::Relaxed), 0);
}
