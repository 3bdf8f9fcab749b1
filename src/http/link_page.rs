//! The page of a one-time link. A GET asks for one click and changes nothing, so that a program that looks at links in a
//! message uses none up; the configuration comes by POST, once.
//!
//! The page has no script at all. The operator's HTML and CSS are a part of it as they are: the page's policy lets none
//! of it run, load or send anything.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::address::{Proxies, Remote};
use super::error::Problem;
use super::openapi::field::text as place;
use super::openapi::operation::{Group, Operation, Shape};
use super::{body, error};
use crate::domain::limits;
use crate::domain::one_time_link::{Button, LinkSettings};
use crate::services::links::{Ikev2Files, Opened, WireguardFiles};
use crate::services::{self, Services, WrongTries};

/// The frame of every page.
const FRAME: &str = include_str!("link_page.html");

/// No script, nothing from elsewhere: pictures are in the page itself, forms go to this host alone, nobody frames it.
/// Styles may stand anywhere, as the operator's HTML has them in its elements; they can load nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// What holds for a preview too.
const PREVIEW: &str = "sandbox allow-popups allow-downloads";

/// The longest name of a tunnel that every WireGuard client takes: a Linux interface's (IFNAMSIZ).
const TUNNEL_NAME: usize = 15;

/// Counts wrong keys.
#[derive(Clone)]
pub(super) struct Guard {
    services: Services,
    proxies: Arc<Proxies>,
    wrong_tries: Arc<WrongTries>,
}

impl Guard {
    /// A guard that believes these proxies.
    pub(super) fn new(services: Services, proxies: Proxies) -> Self {
        Self { services, proxies: proxies.into(), wrong_tries: WrongTries::new().into() }
    }
}

/// Stands before the page. Whoever shows many wrong keys is told so; a right key works even then.
pub(super) async fn limit(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let Some(remote) = request.extensions().get::<Remote>().copied() else {
        return not_relevant(&guard.services.links.settings());
    };
    let address = guard.proxies.client(remote, request.headers());
    let response = next.run(request).await;
    if response.status() == StatusCode::NOT_FOUND && guard.wrong_tries.count(address).is_err() {
        return too_many(&guard.services.links.settings());
    }
    response
}

/// The key in the path; what is no text is no key.
type Key = Result<Path<String>, axum::extract::rejection::PathRejection>;

fn text(key: Key) -> String {
    key.map(|Path(key)| key).unwrap_or_default()
}

/// Asks for the click, where there is something to be shown for it.
pub(super) async fn ask(State(services): State<Services>, key: Key) -> Response {
    let settings = services.links.settings();
    if services.links.is_open(&text(key)) { invitation(&settings) } else { not_relevant(&settings) }
}

/// Shows the configuration, this once.
pub(super) async fn open(State(services): State<Services>, key: Key, request: Request) -> Response {
    let (head, content) = request.into_parts();
    body::discard(content).await;
    if is_from_another_site(&head.headers) {
        // whoever made a browser send this did not see the page: its owner clicks himself
        return ask(State(services), key).await;
    }
    match services.links.open(&text(key)).await {
        Ok(Some(opened)) => configuration(&opened),
        Ok(None) => not_relevant(&services.links.settings()),
        Err(cause) => broken(&services.links.settings(), cause),
    }
}

/// Whether a browser says that a page of another site sent this (Fetch Metadata, `Sec-Fetch-Site`). `Origin` cannot tell:
/// of a page that sends no referrer it is `null`.
fn is_from_another_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none")
}

/// What the document says of the page.
pub(super) fn described() -> Group {
    let page = || Shape::file("text/html", "The page.");
    let key = || [place("key", 2 * limits::LINK_KEY_BYTES, "The link's key, in hex digits.")];
    Group {
        name: "The page of a one-time link",
        about: "What the owner of an account opens.",
        named: ("", ""),
        operations: vec![
            Operation::new("link_page", "Asks for a click", page()).about("Uses nothing up.").at(key()),
            Operation::new("link_page_open", "Shows the configuration, this once", page()).at(key()),
        ],
    }
}

fn invitation(settings: &LinkSettings) -> Response {
    let main = format!(
        "<h1>{}</h1>\n<p>This link shows your configuration once. Have the device ready on which you want to use it.</p>\n\
         <form method=\"post\"><button class=\"action\" type=\"submit\">Show the configuration</button></form>",
        escaped(&settings.page.title)
    );
    page(StatusCode::OK, settings, &main, true)
}

fn configuration(opened: &Opened) -> Response {
    let settings = &*opened.settings;
    let mut main = format!(
        "<h1>{}</h1>\n<p>This page is shown once. Save what you need before you leave it.</p>\n",
        escaped(&settings.page.title)
    );
    if let Some(files) = &opened.wireguard {
        wireguard(&mut main, opened, files);
    }
    if let Some(files) = &opened.ikev2 {
        ikev2(&mut main, opened, files);
    }
    page(StatusCode::OK, settings, &main, true)
}

/// The page as its settings make it, to be looked at by who sets them. It has no origin (HTML, section 7.1.5), so that what
/// stands in it has nothing of the panel's.
pub(super) fn preview(opened: &Opened) -> Response {
    let mut response = configuration(opened);
    let policy = HeaderValue::from_static(PREVIEW);
    response.headers_mut().append(header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn not_relevant(settings: &LinkSettings) -> Response {
    if !settings.page.not_relevant.is_empty() {
        return page(StatusCode::NOT_FOUND, settings, &settings.page.not_relevant, false);
    }
    let main = "<h1>This link is not relevant</h1>\n<p>It has been used, or its time is over. Ask whoever sent it to you \
                for a new one.</p>";
    page(StatusCode::NOT_FOUND, settings, main, false)
}

fn too_many(settings: &LinkSettings) -> Response {
    let main = "<h1>Too many tries</h1>\n<p>Links from your address were wrong too often. Try again in a minute.</p>";
    page(StatusCode::TOO_MANY_REQUESTS, settings, main, false)
}

/// Says that the fault is ours; its number is that of the log's line.
fn broken(settings: &LinkSettings, cause: services::Error) -> Response {
    let told = Problem::from(cause).into_response();
    let main = "<h1>Something went wrong here</h1>\n<p>The configuration was not shown. Try again later.</p>";
    let mut response = page(StatusCode::INTERNAL_SERVER_ERROR, settings, main, false);
    if let Some(number) = told.headers().get(error::NUMBER) {
        response.headers_mut().insert(error::NUMBER, number.clone());
    }
    response
}

fn wireguard(main: &mut String, opened: &Opened, files: &WireguardFiles) {
    let (part, account) = (&opened.settings.wireguard, opened.account.as_str());
    main.push_str("<section aria-labelledby=\"wireguard\">\n<h2 id=\"wireguard\">WireGuard</h2>\n");
    if let Some(png) = &files.qr {
        let _ = writeln!(
            main,
            "<p>On a phone: scan this with the WireGuard app.</p>\n<img class=\"qr\" width=\"500\" height=\"500\" \
             src=\"data:image/png;base64,{}\" alt=\"QR code of the WireGuard configuration of {}, to be scanned with the \
             WireGuard app\">",
            STANDARD.encode(png),
            escaped(account)
        );
    }
    let name = format!("{}.conf", &account[..account.len().min(TUNNEL_NAME)]);
    save(main, &part.download_config_button_label, &name, &files.config);
    if part.enable_config_text {
        let _ = writeln!(main, "<pre aria-label=\"Configuration file\">{}</pre>", escaped(&files.config));
    }
    links(main, "WireGuard clients", &part.buttons);
    main.push_str("</section>\n");
}

fn ikev2(main: &mut String, opened: &Opened, files: &Ikev2Files) {
    let (part, account) = (&opened.settings.ikev2, opened.account.as_str());
    main.push_str("<section aria-labelledby=\"ikev2\">\n<h2 id=\"ikev2\">IKEv2</h2>\n");
    let (username, password) = (escaped(&files.username), escaped(&files.password));
    let _ = writeln!(main, "<dl><dt>Username</dt><dd>{username}</dd><dt>Password</dt><dd>{password}</dd></dl>");
    save(main, &part.download_profile_button_label, &format!("{account}.sswan"), &files.profile);
    save(main, &part.download_certificate_button_label, "ca.crt", &files.certificate);
    links(main, "IKEv2 clients", &part.buttons);
    main.push_str("</section>\n");
}

/// A button that saves a file, which is in the page itself: what is shown once cannot be fetched a second time. No type is
/// named that would make a browser put its own ending behind the name.
fn save(main: &mut String, label: &str, name: &str, content: &str) {
    if !label.is_empty() {
        let _ = writeln!(
            main,
            "<a class=\"action\" download=\"{}\" href=\"data:application/octet-stream;base64,{}\">{}</a>",
            escaped(name),
            STANDARD.encode(content),
            escaped(label)
        );
    }
}

/// Links to elsewhere. Each opens beside the page, which could not be had again.
fn links(main: &mut String, label: &str, buttons: &[Button]) {
    let mut shown = buttons.iter().filter(|button| button.is_shown()).peekable();
    if shown.peek().is_none() {
        return;
    }
    let _ = writeln!(main, "<ul class=\"links\" aria-label=\"{label}\">");
    for Button { label, link } in shown {
        let (label, link) = (escaped(label), escaped(link));
        let _ = writeln!(main, "<li><a href=\"{link}\" target=\"_blank\" rel=\"noopener noreferrer\">{label}</a></li>");
    }
    main.push_str("</ul>\n");
}

/// A page around `main`; the operator's HTML stands around it where `framed`.
fn page(code: StatusCode, settings: &LinkSettings, main: &str, framed: bool) -> Response {
    let page = &settings.page;
    let around = |html| if framed { Cow::Borrowed(html) } else { Cow::Borrowed("") };
    // a style element ends at `</style`, whatever it stands in; to CSS an escaped slash in a string is that slash
    let css = page.css.replace("</", "<\\/");
    let text = fill(|name| match name {
        "title" => escaped(&page.title),
        "css" => Cow::Borrowed(css.as_str()),
        "before" => around(page.before_body.as_str()),
        "main" => Cow::Borrowed(main),
        "after" => around(page.after_body.as_str()),
        _ => Cow::Borrowed(""),
    });
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("x-robots-tag"), "none"),
    ];
    (code, headers, Html(text)).into_response()
}

/// The frame with a value in each of its places. What is put in is not looked at: a place in it is none.
fn fill<'a>(value: impl Fn(&str) -> Cow<'a, str>) -> String {
    let mut text = String::with_capacity(FRAME.len() * 2);
    let mut rest = FRAME;
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let Some((name, behind)) = after.split_once("}}") else { break };
        text.push_str(&value(name));
        rest = behind;
    }
    text + rest
}

/// Text as HTML, in an element or in a quoted attribute.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut html = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            letter => html.push(letter),
        }
    }
    Cow::Owned(html)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::domain::name::AccountName;
    use crate::domain::one_time_link::{LinkIkev2, LinkPage, LinkWireguard};

    async fn html(response: Response) -> String {
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    fn opened(settings: LinkSettings) -> Opened {
        Opened {
            account: AccountName::parse("a_name_longer_than_an_interface").unwrap(),
            wireguard: Some(WireguardFiles { config: "[Interface]\n<&>".into(), qr: Some(vec![1, 2, 3]) }),
            ikev2: None,
            settings: settings.into(),
        }
    }

    #[tokio::test]
    async fn shows_file_code_and_clients() {
        let page = html(configuration(&opened(LinkSettings::default()))).await;

        for part in [
            "<pre aria-label=\"Configuration file\">[Interface]\n&lt;&amp;&gt;</pre>",
            "download=\"a_name_longer_t.conf\" href=\"data:application/octet-stream;base64,W0ludGVyZmFjZV0KPCY+\"",
            "src=\"data:image/png;base64,AQID\" alt=\"QR code of the WireGuard configuration of ",
            "<a href=\"https://www.wireguard.com/install/\" target=\"_blank\" rel=\"noopener noreferrer\">Official clients",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        assert!(!page.contains("IKEv2") && !page.contains("{{"), "{page}");
        assert_eq!(page.matches("<li>").count(), 5, "no button without a label");
    }

    #[tokio::test]
    async fn shows_what_the_settings_want() {
        let part = LinkWireguard {
            enable_config_text: false,
            download_config_button_label: String::new(),
            buttons: Default::default(),
            ..LinkWireguard::default()
        };
        let mut opened = opened(LinkSettings { wireguard: part.into(), ..LinkSettings::default() });
        opened.wireguard.as_mut().unwrap().qr = None;

        let page = html(configuration(&opened)).await;

        for part in ["<pre", "<img", "download=", "<ul"] {
            assert!(!page.contains(part), "{part}\n{page}");
        }
    }

    #[tokio::test]
    async fn shows_the_ikev2_part_where_there_is_one_and_no_button_that_has_no_label() {
        let mut opened = opened(LinkSettings::default());
        opened.ikev2 = Some(Ikev2Files {
            username: "user_1".into(),
            password: "<secret>".into(),
            profile: "{}".into(),
            certificate: "-----BEGIN".into(),
        });
        let ikev2 = LinkIkev2 { download_certificate_button_label: String::new(), ..LinkIkev2::default() };
        opened.settings = LinkSettings { ikev2: ikev2.into(), ..LinkSettings::default() }.into();

        let page = html(configuration(&opened)).await;

        assert!(page.contains("<dd>&lt;secret&gt;</dd>") && page.contains(".sswan\" href="), "{page}");
        assert!(!page.contains("ca.crt"), "{page}");
    }

    #[tokio::test]
    async fn takes_the_operators_html_as_it_is_and_fills_no_place_in_it() {
        let page = LinkPage {
            title: "</title><b>".into(),
            before_body: "<p>{{main}}</p>".into(),
            after_body: "<footer>us</footer>".into(),
            css: "a::after { content: \"</style><script>\" }".into(),
            ..LinkPage::default()
        };
        let settings = LinkSettings { page: page.into(), ..LinkSettings::default() };

        let response = invitation(&settings);

        assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], POLICY);
        let text = html(response).await;
        assert!(text.contains("<title>&lt;/title&gt;&lt;b&gt;</title>"), "{text}");
        assert!(text.contains("<p>{{main}}</p>\n<main>") && text.contains("<footer>us</footer>\n</body>"), "{text}");
        assert!(text.contains("<\\/style><script>") && text.matches("</style>").count() == 2, "{text}");
    }

    #[tokio::test]
    async fn says_that_a_link_is_not_relevant_in_the_operators_words_or_ours() {
        assert!(html(not_relevant(&LinkSettings::default())).await.contains("<h1>This link is not relevant</h1>"));

        let page = LinkPage { not_relevant: "<h1>Weg</h1>".into(), ..LinkPage::default() };
        let text = html(not_relevant(&LinkSettings { page: page.into(), ..LinkSettings::default() })).await;
        assert!(text.contains("<h1>Weg</h1>") && !text.contains("not relevant"), "{text}");
    }

    #[test]
    fn loads_nothing_of_its_own() {
        for word in ["<script", "src=", "href=", "url(", "@import", " style=", " onload"] {
            assert!(!FRAME.contains(word), "{word}");
        }
        assert!(!POLICY.contains("script-src") && POLICY.starts_with("default-src 'none'; "));
    }

    #[test]
    fn believes_a_browser_that_says_where_a_click_was() {
        let said = |site: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("sec-fetch-site", site.parse().unwrap());
            is_from_another_site(&headers)
        };
        assert!(said("cross-site") && said("same-site") && said(""));
        assert!(!said("same-origin") && !said("none") && !is_from_another_site(&HeaderMap::new()));
    }
}
