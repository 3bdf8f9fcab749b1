//! The composition root: the one file that knows every room. What starts before what, and what ends before what, is read
//! straight down `serve`.

use std::cell::OnceCell;
use std::fs::OpenOptions;
use std::future::Future;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::cli::args::{AccessCommand, Arguments, Command};
use crate::cli::greeting::{Greeting, Made};
use crate::cli::{self, Failure, Offline, output};
use crate::config::{Config, LogFormat, UplinkChoice};
use crate::domain::limits;
use crate::http;
use crate::http::server::{Claim, Server};
use crate::http::tls::CertificateFiles;
use crate::jobs;
use crate::observe::{self, fields};
use crate::runtime::os::clock;
use crate::runtime::{self, Runtime, UplinkWish};
use crate::services::{self, Caller, FirstStart, Services};
use crate::store::{self, Store};

/// This program's version.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How long to wait for another process that has the store.
const HELD_BOUND: Duration = Duration::from_secs(1);
/// How often to look whether it has let go.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long the store gets to close its file, after everything else has ended.
const CLOSE_BOUND: Duration = Duration::from_millis(300);
/// How long threads of the pool get that are in the middle of something; then they are left behind.
const POOL_BOUND: Duration = Duration::from_millis(50);

/// Carries out a command line.
///
/// # Errors
/// [`Failure`]: the sentence for standard error and the exit code.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Command::Completions { shell } = arguments.command {
        return cli::completions(shell);
    }
    let config = Config::gather(arguments.config.clone(), environment(), arguments.flags()).map_err(unusable)?;
    if let Command::Serve(_) = arguments.command {
        return finish(tokio::runtime::Builder::new_multi_thread(), serve(config));
    }
    finish(tokio::runtime::Builder::new_current_thread(), ask(arguments, &config))
}

/// Runs the appliance until it is asked to stop.
async fn serve(config: Config) -> Result<(), Failure> {
    observe::start(&config.log, log_format(&config)).map_err(unusable)?;
    warn_of_strangers(&config);
    let mut asked_to_stop = StopSignals::listen().map_err(unusable)?;

    // what can be wrong without the store is found out before the store is touched
    let certificate = own_certificate(&config)?;
    let claim = Claim::take(config.listen).map_err(unusable)?;
    let listen = claim.address();

    let store = open_store(&config.data, listen.port()).await.map_err(unusable)?;
    let runtime = Runtime::start(&runtime_settings(&config), store.follow()).map_err(unusable)?;
    let reached_by = addresses(&config, &runtime);
    let http_settings = http::server::Settings {
        data: config.data.clone(),
        certificate,
        names: reached_by.clone(),
        proxies: config.trusted_proxies.clone(),
        challenge_port: config.challenge_port,
    };
    let server = Server::bind(claim, http_settings, clock::timestamp()).map_err(unusable)?;
    let services = Services::new(store.clone(), runtime.clone(), service_settings(&config, listen.port()));
    let made = services.first_start().await.map_err(|error| Failure::unusable(error.reason()))?;

    let (end, ended) = watch::channel(false);
    let serving = server.run(services.clone(), until_true(ended.clone()));
    let by_the_clock = jobs::run(&services, ended);
    let life = async {
        let welcome = async {
            bring_up(&store, &runtime).await;
            let urls = urls(listen.ip(), listen.port(), &reached_by);
            greet(&greeting(&config, &runtime, &services, urls, made));
            info!({ fields::LISTEN } = %listen, { fields::UPLINK } = runtime.uplink().name, "Serving on `{listen}`");
            observe::ready();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = welcome => {}
            () = asked_to_stop.next() => {}
        }
        observe::stopping();
        info!("Stopping");
        end.send_replace(true);
        runtime.stop().await
    };
    let ((), last, ()) = tokio::join!(serving, life, by_the_clock);
    tokio::join!(services.traffic.close(last), services.webhooks.close());

    match tokio::time::timeout(CLOSE_BOUND, store.close()).await {
        Ok(Err(cause)) => warn!({ fields::CAUSE } = %cause, "The store did not close in order: {cause}"),
        Err(_) => warn!("The store is still writing; it is repaired when it is next opened"),
        Ok(Ok(())) => {}
    }
    Ok(())
}

/// Opens the store. A process that was killed, or a command on the folder, lets go of it within moments.
async fn open_store(data: &Path, api_port: u16) -> Result<Store, store::Error> {
    let mut waited = Duration::ZERO;
    loop {
        match Store::open_at(data, api_port) {
            Err(store::Error::Held { .. }) if waited < HELD_BOUND => tokio::time::sleep(LOOK_AGAIN).await,
            opened => return opened,
        }
        waited += LOOK_AGAIN;
    }
}

/// Carries out a command that asks the appliance, running or not.
async fn ask(arguments: &Arguments, config: &Config) -> Result<(), Failure> {
    let opened = OnceCell::new();
    let outcome = cli::run(arguments, &config.data, || offline(&arguments.command, config, &opened)).await;
    if let Some(store) = opened.into_inner() {
        store.close().await.map_err(unusable)?;
    }
    outcome
}

/// Opens the data folder ourselves, for a command that finds no process running there.
fn offline(command: &Command, config: &Config, opened: &OnceCell<Store>) -> Result<axum::Router, Offline> {
    let may_be_first = matches!(command, Command::Access(AccessCommand::Add { .. }));
    if !may_be_first && !Store::is_in(&config.data) {
        let folder = config.data.display();
        return Err(Offline::Unusable(format!("there is no Culvert in `{folder}`: name its folder with --data")));
    }
    let port = config.listen.map_or(limits::API_PORT, |listen| listen.port());
    let store = Store::open_at(&config.data, port).map_err(|error| match error {
        store::Error::Held { .. } => Offline::Busy(error.to_string()),
        store::Error::Newer { .. }
        | store::Error::Unusable { .. }
        | store::Error::Damaged { .. }
        | store::Error::Write { .. }
        | store::Error::Closed => Offline::Unusable(error.to_string()),
    })?;
    let store = opened.get_or_init(|| store).clone();
    Ok(http::local_router(Services::new(store, Runtime::detached(), service_settings(config, port))))
}

/// Waits until everything that ought to run runs; what cannot run is a state to be shown, not a reason to stop.
async fn bring_up(store: &Store, runtime: &Runtime) {
    let revision = store.intended().revision;
    if let Err(cause) = runtime.settled(revision).await {
        warn!({ fields::CAUSE } = %cause, "Not everything runs yet: {cause}");
    }
}

/// Gathers what `serve` tells the person who started it, and leaves the first client's file in the data folder.
fn greeting(
    config: &Config,
    runtime: &Runtime,
    services: &Services,
    urls: Vec<String>,
    made: Option<FirstStart>,
) -> Greeting {
    let uplink = runtime.uplink();
    Greeting {
        version: VERSION,
        urls,
        uplink: uplink.name.to_owned(),
        uplink_why: uplink.why.clone(),
        faults: runtime.faults().into_iter().map(|(server, why)| (server.to_string(), why)).collect(),
        data: config.data.clone(),
        made: made.map(|made| first_made(services, &config.data, made)),
    }
}

fn first_made(services: &Services, data: &Path, made: FirstStart) -> Made {
    let client_file = data.join(format!("{}.conf", made.account));
    let text = services.accounts.config_text(&Caller::first_start(), made.account.as_str());
    let written = text
        .map_err(|error| error.reason())
        .and_then(|text| write_secret(&client_file, &text).map_err(|error| error.to_string()));
    if let Err(cause) = &written {
        warn!({ fields::CAUSE } = %cause, "Cannot write `{}`: {cause}", client_file.display());
    }
    Made {
        admin: made.admin,
        password: made.admin_password,
        access_hash: made.access_hash,
        client_file: written.ok().map(|()| client_file),
        qr: services.accounts.config_qr_text(&Caller::first_start(), made.account.as_str()).unwrap_or_default(),
        account: made.account.to_string(),
    }
}

/// Tells it. A standard output that nobody reads is no reason to stop serving.
fn greet(greeting: &Greeting) {
    if let Err(failure) = output::print(&greeting.render()) {
        warn!({ fields::CAUSE } = %failure, "Nobody was greeted: {failure}");
    }
}

/// Writes a file that holds a private key: nobody else may read it, and whatever lay there is gone.
fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Host names and addresses by which clients call, most useful first.
fn addresses(config: &Config, runtime: &Runtime) -> Vec<String> {
    let outward = config.external_ip.or_else(|| runtime.outward_address());
    config.endpoint.clone().into_iter().chain(outward.map(|address| address.to_string())).collect()
}

/// Where the API answers: where it listens on every address, at those by which clients call and at this host's own.
fn urls(listen: IpAddr, port: u16, reached_by: &[String]) -> Vec<String> {
    let bracketed = |host: &str| if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let hosts = if listen.is_unspecified() {
        reached_by.iter().cloned().chain(std::iter::once("127.0.0.1".to_owned())).collect()
    } else {
        vec![listen.to_string()]
    };
    hosts.iter().map(|host| format!("https://{}:{port}/", bracketed(host))).collect()
}

fn own_certificate(config: &Config) -> Result<Option<CertificateFiles>, Failure> {
    let Some(files) = &config.certificate else { return Ok(None) };
    let files = CertificateFiles { certificate: files.chain.clone(), key: files.key.clone() };
    files.load().map_err(unusable)?;
    Ok(Some(files))
}

fn runtime_settings(config: &Config) -> runtime::Settings {
    let uplink = match config.uplink {
        UplinkChoice::Auto => UplinkWish::Auto,
        UplinkChoice::Sockets => UplinkWish::Sockets,
        UplinkChoice::Tun => UplinkWish::Tun,
    };
    runtime::Settings {
        uplink,
        forwarders: config.forwarders.clone(),
        blocklists: config.blocklists.clone(),
        reach_allow: config.reach_allow.clone(),
        nat: config.nat.clone(),
        syslog: config.syslog.clone(),
        workers: None,
        ikev2: runtime::ikev2::Ports { ike: config.ikev2_ports.0, esp: config.ikev2_ports.1 },
        folder: config.data.clone(),
    }
}

fn service_settings(config: &Config, api_port: u16) -> services::Settings {
    services::Settings {
        accounts_cap: config.accounts_cap,
        time_zone: config.time_zone.clone(),
        external_ip: config.external_ip,
        endpoint: config.endpoint.clone(),
        data: config.data.clone(),
        api_port,
        public_url: config.public_url.clone(),
        listen_url: only_url(config, api_port),
        version: VERSION.to_owned(),
        has_certificate: config.certificate.is_some(),
    }
}

/// Where the API answers, if it listens on one address and nobody names another by which people come.
fn only_url(config: &Config, api_port: u16) -> Option<String> {
    let listen = config.listen?.ip();
    let elsewhere = listen.is_unspecified() || config.endpoint.is_some() || config.external_ip.is_some();
    if elsewhere { None } else { urls(listen, api_port, &[]).first().map(|url| url.trim_end_matches('/').to_owned()) }
}

fn log_format(config: &Config) -> observe::Format {
    match config.log_format {
        LogFormat::Text => observe::Format::Text,
        LogFormat::Json => observe::Format::Json,
    }
}

fn warn_of_strangers(config: &Config) {
    for variable in &config.strangers {
        warn!(
            { fields::VARIABLE } = variable,
            "The environment's {variable} is no setting of Culvert and changes nothing"
        );
    }
}

/// The environment as text; what is no text is no setting of ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// SIGTERM and SIGINT.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Takes both signals from now on; one that comes before [`Self::next`] is not lost.
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn until_true(mut flag: watch::Receiver<bool>) {
    // a sender that is gone asks for the same
    let _ = flag.wait_for(|set| *set).await;
}

fn finish(mut pool: tokio::runtime::Builder, work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let pool = pool.enable_all().build().map_err(unusable)?;
    let outcome = pool.block_on(work);
    pool.shutdown_timeout(POOL_BOUND);
    outcome
}

fn unusable(error: impl std::fmt::Display) -> Failure {
    Failure::unusable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn names_the_urls_that_clients_can_use() {
        let every = "::".parse().unwrap();
        let reached_by = ["vpn.example.org".to_owned(), "2001:db8::1".to_owned()];

        let urls_of_every = urls(every, 8098, &reached_by);
        let urls_of_one = urls("::1".parse().unwrap(), 9000, &reached_by);

        let expected = ["https://vpn.example.org:8098/", "https://[2001:db8::1]:8098/", "https://127.0.0.1:8098/"];
        assert_eq!(urls_of_every, expected);
        assert_eq!(urls_of_one, ["https://[::1]:9000/"]);
    }

    #[test]
    fn writes_a_client_file_that_nobody_else_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer_1.conf");
        std::fs::write(&path, "what lay there before, open to all").unwrap();

        write_secret(&path, "[Interface]\n").unwrap();

        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[Interface]\n");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
