//! A world for a test: the real router, a real store in a temporary folder, a runtime that runs nothing.

use std::net::IpAddr;

use axum::Router;
use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use culvert::domain::access::AccessDraft;
use culvert::domain::limits;
use culvert::http::{self, Remote};
use culvert::runtime::{self, Runtime};
use culvert::services::{Caller, Services, Settings};
use culvert::store::Store;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;

/// Where the world's own client calls from.
pub(crate) const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// An appliance with an access hash for [`HOME`] and nothing else.
pub(crate) struct World {
    /// The use cases behind the router.
    pub(crate) services: Services,
    /// The valid access hash.
    pub(crate) hash: String,
    /// What the store of this world lies in; goes with the world.
    pub(crate) folder: TempDir,
    /// What lasts of it.
    pub(crate) store: Store,
    router: Router,
    operator: Router,
}

/// What is asked of an access hash that only has a label and an address to come from.
pub(crate) fn hash_from(label: &str, ip: &str) -> AccessDraft {
    AccessDraft { label: Some(label.into()), ip: Some(ip.into()), ..AccessDraft::default() }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Its code.
    pub(crate) code: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body, as text.
    pub(crate) body: String,
    /// Its body, as it came.
    pub(crate) bytes: Vec<u8>,
}

impl World {
    /// An empty appliance.
    pub(crate) async fn new() -> Self {
        Self::with_settings(|settings| settings).await
    }

    /// An empty appliance on which so many accounts may exist.
    pub(crate) async fn with_cap(accounts: u32) -> Self {
        Self::with_settings(|settings| Settings { accounts_cap: Some(accounts), ..settings }).await
    }

    /// An empty appliance with these settings, which are made of those that all have.
    pub(crate) async fn with_settings(settings: impl FnOnce(Settings) -> Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut world = Self::over(folder, store, Runtime::detached(), settings);
        world.hash = world.services.access.add(&Caller::local(), hash_from("home", &HOME.to_string())).await.unwrap();
        world
    }

    fn over(folder: TempDir, store: Store, runtime: Runtime, settings: impl FnOnce(Settings) -> Settings) -> Self {
        let settings = settings(Settings {
            accounts_cap: None,
            time_zone: Some(jiff::tz::TimeZone::UTC),
            external_ip: Some("192.0.2.1".parse().unwrap()),
            endpoint: None,
            data: folder.path().into(),
            api_port: limits::API_PORT,
            public_url: None,
            listen_url: None,
            version: "0.0.0".into(),
            has_certificate: false,
        });
        let services = Services::new(store.clone(), runtime, settings);
        let router = http::router(services.clone(), vec!["10.0.0.0/8".parse().unwrap()]);
        let operator = http::local_router(services.clone());
        Self { services, hash: String::new(), folder, store, router, operator }
    }

    /// The same appliance over another runtime.
    pub(crate) fn above(self, runtime: Runtime) -> Self {
        Self { hash: self.hash, ..Self::over(self.folder, self.store, runtime, |settings| settings) }
    }

    /// The same appliance, on which so many accounts may exist.
    pub(crate) fn with_another_cap(self, accounts: u32) -> Self {
        let settings = |settings| Settings { accounts_cap: Some(accounts), ..settings };
        Self { hash: self.hash, ..Self::over(self.folder, self.store, Runtime::detached(), settings) }
    }

    /// The same appliance over a runtime of its own, which runs what is stored.
    pub(crate) fn running(self) -> (Self, Runtime) {
        let settings = runtime::Settings { workers: Some(1), ..runtime::Settings::default() };
        let runtime = Runtime::start(&settings, self.store.follow()).unwrap();
        (self.above(runtime.clone()), runtime)
    }

    /// The same appliance after an end and a new start.
    pub(crate) async fn reopened(self) -> Self {
        self.store.close().await.unwrap();
        let store = Store::open(self.folder.path()).unwrap();
        Self { hash: self.hash, ..Self::over(self.folder, store, Runtime::detached(), |settings| settings) }
    }

    /// An appliance with the server `Default_1`, on it the accounts `peer_1` and `peer_2`, and the empty server `spare`.
    pub(crate) async fn furnished() -> Self {
        let world = Self::new().await;
        world.furnish().await;
        world
    }

    /// Adds what [`World::furnished`] has.
    pub(crate) async fn furnish(&self) {
        self.post("/api/v1/wireguard", "").await.success();
        self.post("/api/v1/wireguard", "name=spare").await.success();
        self.post("/api/v1/account", "wg_name=Default_1").await.success();
        self.post("/api/v1/account", "wg_name=Default_1").await.success();
        let forward = "dst_port=123&protocol=tcp&to_peer=peer_1&to_port=444";
        self.post("/api/v1/wireguard/Default_1/port_forwarding", forward).await.success();
        let rule = "name=TEST&action=DROP&chain=INPUT&protocol=TCP&s_ip=0.0.0.0/0&s_port=0&d_ip=0.0.0.0/0&d_port=23";
        self.post("/api/v1/firewall/rules/filter/end", rule).await.success();
        let made = self.post("/api/v1/backups", "").await.success();
        let folder = self.folder.path().join("backups");
        std::fs::rename(folder.join(made["backup_name"].as_str().unwrap()), folder.join("whole.zip")).unwrap();
        self.get("/api/v1/account/peer_1/otl").await.success();
    }

    /// A request with the valid hash, from [`HOME`].
    pub(crate) fn request(&self, method: Method, path: &str) -> Builder {
        Self::request_from(HOME, method, path).header(header::COOKIE, format!("access_hash={}", self.hash))
    }

    /// A request from anywhere, with no hash.
    pub(crate) fn request_from(address: IpAddr, method: Method, path: &str) -> Builder {
        Request::builder().method(method).uri(path).extension(Remote::new(address))
    }

    /// Sends a request to what the world reaches.
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        Reply::of(self.router.clone(), request).await
    }

    /// Sends a request with a form and the valid hash.
    pub(crate) async fn call(&self, method: Method, path: &str, form: &str) -> Reply {
        let request = self.request(method, path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(form.to_owned().into()).unwrap()).await
    }

    /// GET.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    /// POST of a form.
    pub(crate) async fn post(&self, path: &str, form: &str) -> Reply {
        self.call(Method::POST, path, form).await
    }

    /// PUT of a form.
    pub(crate) async fn put(&self, path: &str, form: &str) -> Reply {
        self.call(Method::PUT, path, form).await
    }

    /// DELETE.
    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.call(Method::DELETE, path, "").await
    }

    /// Sends a form as the operator, over what the local socket reaches.
    pub(crate) async fn operate(&self, method: Method, path: &str, form: &str) -> Reply {
        let request = Request::builder().method(method).uri(path);
        Reply::of(self.operator.clone(), request.body(form.to_owned().into()).unwrap()).await
    }
}

impl Reply {
    async fn of(router: Router, request: Request<Body>) -> Self {
        let (head, body) = router.oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Self { code: head.status, headers: head.headers, body, bytes }
    }

    /// The envelope.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The value of a request that must have succeeded.
    #[track_caller]
    pub(crate) fn success(&self) -> Value {
        let mut envelope = self.json();
        assert_eq!(envelope["status"], "success", "{self:?}");
        assert_eq!(envelope["error"], "");
        assert_eq!(self.code, StatusCode::OK);
        envelope["msg"].take()
    }

    /// The text of a request that must have been refused.
    #[track_caller]
    pub(crate) fn refusal(&self) -> String {
        let envelope = self.json();
        assert_eq!(envelope["status"], "error", "{self:?}");
        assert_eq!(envelope["msg"], "");
        envelope["error"].as_str().unwrap().to_owned()
    }
}
