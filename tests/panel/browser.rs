//! A browser: Chromium without a window, told what to do by the protocol of the W3C for that (`WebDriver` 2).

use std::cell::Cell;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use axum::http::Method;
use fantoccini::elements::Element;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::rig::appliance::Appliance;
use crate::rig::until;
use crate::rig::world::World;

/// How long the browser may take to show something.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Where the panel is.
pub const ORIGIN: &str = "https://127.0.0.1:8098";

/// What Chromium is started with: nothing of it may look for another host.
const ARGUMENTS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--ignore-certificate-errors",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--window-size=1280,800",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
];

/// A browser with one window. It ends when dropped.
pub struct Browser {
    client: Client,
    runtime: Runtime,
    driver: Child,
    folder: tempfile::TempDir,
    clicks: Cell<u32>,
}

/// A command of Chromium's own driver, beyond the standard.
#[derive(Debug)]
struct Own {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    /// Opens one in the server's host that asks for pages in English.
    pub fn open(world: &World) -> Self {
        Self::open_in(world, "en")
    }

    /// Opens one that asks for pages in this language.
    pub fn open_in(world: &World, language: &str) -> Self {
        // an address that becomes usable is a change of the network to Chromium, which ends what it is loading
        let is_settled = || world.server.ip("-6 addr show tentative").trim().is_empty().then_some(());
        until(PATIENCE, "addresses that can be used", is_settled);
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("downloads")).unwrap();
        let (driver, port) = start_driver(world, &folder);
        // its threads are made in that host, and so are the sockets that they make
        let runtime =
            world.server.enter(|| Builder::new_multi_thread().worker_threads(1).enable_all().build()).unwrap();
        let capabilities = capabilities(&folder, language);
        let client = runtime.block_on(async {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities).connect(&format!("http://127.0.0.1:{port}")).await.unwrap()
        });
        let browser = Self { client, runtime, driver, folder, clicks: Cell::new(0) };
        browser.resize(1280, 800);
        browser
    }

    /// Opens one and logs the first user in, by the password that `serve` has shown.
    pub fn enter(world: &World, appliance: &mut Appliance<'_>) -> Self {
        let browser = Self::open(world);
        browser.log_in("admin", &first_password(appliance));
        browser
    }

    /// Logs in by the form.
    pub fn log_in(&self, name: &str, password: &str) {
        self.go("/panel/login");
        self.fill("#name", name);
        self.fill("#password", password);
        self.click("main button[type=submit]");
        self.see("nav");
    }

    /// Goes to a page of the panel.
    pub fn go(&self, path: &str) {
        self.visit(&format!("{ORIGIN}{path}"));
    }

    /// Goes to any page.
    pub fn visit(&self, address: &str) {
        self.runtime.block_on(self.client.goto(address)).unwrap();
    }

    /// The path of the page that is shown, with its query.
    pub fn place(&self) -> String {
        let url = self.runtime.block_on(self.client.current_url()).unwrap();
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// Waits until the page has an element.
    pub fn see(&self, css: &str) -> Element {
        self.runtime
            .block_on(self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)))
            .unwrap_or_else(|error| panic!("no `{css}` on {}: {error}\n{}", self.place(), self.text("body")))
    }

    /// Waits until this script is true. The page may change meanwhile.
    pub fn until(&self, what: &str, script: &str) {
        let look = || {
            let told = self.runtime.block_on(self.client.execute(&format!("return Boolean({script})"), Vec::new()));
            (told.ok()? == json!(true)).then_some(())
        };
        until(PATIENCE, what, look);
    }

    /// Waits until an element shows this text among others.
    pub fn until_text(&self, css: &str, text: &str) {
        let (css, text) = (json!(css), json!(text));
        let script = format!("[...document.querySelectorAll({css})].some((e) => e.textContent.includes({text}))");
        self.until(&format!("{text} at {css}"), &script);
    }

    /// The text of the first such element, as it is in the document.
    pub fn text(&self, css: &str) -> String {
        let text = self.eval("return document.querySelector(arguments[0])?.textContent ?? ''", vec![json!(css)]);
        text.as_str().unwrap_or_default().trim().to_owned()
    }

    /// Clicks.
    pub fn click(&self, css: &str) {
        self.clicks.set(self.clicks.get() + 1);
        let element = self.see(css);
        self.runtime
            .block_on(element.click())
            .unwrap_or_else(|error| panic!("`{css}` on {} cannot be clicked: {error}", self.place()));
    }

    /// How often something was clicked.
    pub fn clicks(&self) -> u32 {
        self.clicks.get()
    }

    /// Clicks what changes something, and waits until the next page says that it is done.
    pub fn save(&self, css: &str) {
        self.mark();
        self.click(css);
        self.until("a word that it is done", "!window.__marked && document.querySelector('main > .alert.good')");
    }

    /// The same with what asks before it does something: says yes.
    pub fn confirm(&self, css: &str) {
        self.mark();
        self.click(css);
        self.click("dialog[open] button[value=yes]");
        self.until("a word that it is done", "!window.__marked && document.querySelector('main > .alert.good')");
    }

    /// Clicks what is refused, waits until the next page says why, and returns that.
    pub fn refused(&self, css: &str) -> String {
        self.mark();
        self.click(css);
        self.until("why it is refused", "!window.__marked && document.querySelector('[role=alert]')");
        self.text("[role=alert]")
    }

    /// Marks the page, so that another one is known from it.
    pub fn mark(&self) {
        self.eval("window.__marked = true", Vec::new());
    }

    /// Whether this is still the page that was marked.
    pub fn is_marked(&self) -> bool {
        self.eval("return window.__marked === true", Vec::new()) == json!(true)
    }

    /// Types into a field what shall stand there.
    pub fn fill(&self, css: &str, value: &str) {
        let element = self.see(css);
        self.runtime.block_on(element.clear()).unwrap();
        if !value.is_empty() {
            self.runtime.block_on(element.send_keys(value)).unwrap();
        }
    }

    /// Chooses one of a list.
    pub fn choose(&self, css: &str, value: &str) {
        self.runtime.block_on(self.see(css).select_by_value(value)).unwrap();
    }

    /// Presses keys where the focus is.
    pub fn press(&self, keys: &str) {
        let active = self.runtime.block_on(self.client.active_element()).unwrap();
        self.runtime.block_on(active.send_keys(keys)).unwrap();
    }

    /// Runs a script in the page, and returns what it returns.
    pub fn eval(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.runtime.block_on(self.client.execute(script, arguments)).unwrap()
    }

    /// Runs a script whose last argument takes its result.
    pub fn eval_later(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.runtime.block_on(self.client.execute_async(script, arguments)).unwrap()
    }

    /// A command of the `DevTools` protocol.
    pub fn devtools(&self, command: &str, params: &Value) -> Value {
        let body = json!({"cmd": command, "params": params});
        self.runtime.block_on(self.client.issue_cmd(Own { path: "goog/cdp/execute", body })).unwrap()
    }

    /// Makes the window this large, also smaller than windows can be.
    pub fn resize(&self, width: u32, height: u32) {
        let params = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &params);
    }

    /// Has the system prefer a theme: `light` or `dark`.
    pub fn prefer(&self, theme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": theme}]});
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Runs a script in every page before anything else of it.
    pub fn before_each_page(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({"source": script}));
    }

    /// What the browser has fetched since the last time, of the pages and of what they are made of.
    pub fn requests(&self) -> Vec<String> {
        let body = json!({"type": "performance"});
        let log = self.runtime.block_on(self.client.issue_cmd(Own { path: "se/log", body })).unwrap();
        let message = |entry: &Value| -> Value { serde_json::from_str(entry["message"].as_str().unwrap()).unwrap() };
        let told = log.as_array().unwrap().iter().map(message);
        let sent = told.filter(|told| told["message"]["method"] == "Network.requestWillBeSent");
        sent.map(|told| told["message"]["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    /// Whether a dialog of a script is open.
    pub fn has_dialog(&self) -> bool {
        self.runtime.block_on(self.client.get_alert_text()).is_ok()
    }

    /// The picture of the whole page, as PNG, in a window of this size or as high as the page is.
    pub fn picture(&self, width: u32, height: u32) -> Vec<u8> {
        use base64::Engine as _;
        let page = self.eval("return document.scrollingElement.scrollHeight", Vec::new()).as_u64().unwrap();
        self.resize(width, height.max(page.try_into().unwrap()));
        let taken = self.devtools("Page.captureScreenshot", &json!({"format": "png", "captureBeyondViewport": false}));
        self.resize(width, height);
        base64::engine::general_purpose::STANDARD.decode(taken["data"].as_str().unwrap()).unwrap()
    }

    /// Goes to a file, and returns where it lies.
    pub fn fetch(&self, path: &str, name: &str) -> PathBuf {
        let file = self.folder.path().join("downloads").join(name);
        // a download is no page, and so no navigation that ends
        self.eval("location.href = arguments[0]", vec![json!(path)]);
        until(PATIENCE, "a file that was downloaded", || file.exists().then_some(()));
        file
    }

    /// Chooses a file in a field of a form.
    pub fn attach(&self, css: &str, file: &Path) {
        self.runtime.block_on(self.see(css).send_keys(file.to_str().unwrap())).unwrap();
    }

    /// Clicks a link to a file, and returns the file.
    pub fn download(&self, css: &str, name: &str) -> String {
        let file: PathBuf = self.folder.path().join("downloads").join(name);
        self.click(css);
        until(PATIENCE, "a file that was downloaded", || fs::read_to_string(&file).ok().filter(|text| !text.is_empty()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(self.client.clone().close());
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The password of the first user, as `serve` has shown it.
pub fn first_password(appliance: &mut Appliance<'_>) -> String {
    let program = appliance.program();
    // it listens a moment before it says so
    until(PATIENCE, "the login that `serve` shows", || {
        let said = program.said();
        let line = said.lines().find(|line| line.trim_start().starts_with("Login"))?;
        Some(line.rsplit_once(" / ")?.1.trim().to_owned())
    })
}

/// Starts the driver on a free port of the server's host.
fn start_driver(world: &World, folder: &tempfile::TempDir) -> (Child, u16) {
    let mut command = world.server.command("chromedriver");
    command.arg("--port=0").env("HOME", folder.path()).env("TMPDIR", folder.path());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (say, said) = sync_channel(1);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some(port) = line.split("successfully on port ").nth(1) {
                let _ = say.send(port.trim_end_matches('.').parse::<u16>().unwrap());
            }
        }
    });
    (child, said.recv_timeout(PATIENCE).unwrap())
}

fn capabilities(folder: &tempfile::TempDir, language: &str) -> Capabilities {
    let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
    arguments.push(format!("--user-data-dir={}", folder.path().join("profile").display()));
    arguments.push(format!("--accept-lang={language}"));
    let preferences = json!({
        "download.default_directory": folder.path().join("downloads"),
        "download.prompt_for_download": false,
        "intl.accept_languages": language,
    });
    let wanted = json!({
        "acceptInsecureCerts": true,
        "unhandledPromptBehavior": "ignore",
        "goog:chromeOptions": {"args": arguments, "prefs": preferences},
        "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"},
        "timeouts": {"script": 60_000, "pageLoad": 60_000},
    });
    wanted.as_object().unwrap().clone().into_iter().collect()
}
