//! One-time links: those that are open, how the page looks that they lead to, and a look at it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::page::{self, Answer, Refused, Trouble};
use super::sheet::{self, Sheet};
use super::visit::Visit;
use crate::domain::access::Right;
use crate::domain::limits;
use crate::domain::one_time_link::Buttons;
use crate::http::api::links::{ikev2_draft, page_draft, wireguard_draft};
use crate::http::form::Fields;
use crate::http::link_page;
use crate::services::Services;

/// Where the page is.
const HOME: &str = "/panel/links";
/// The fields of a part's buttons.
const BUTTONS: [(&str, &str); 6] = [
    ("button1_label", "button1_link"),
    ("button2_label", "button2_link"),
    ("button3_label", "button3_link"),
    ("button4_label", "button4_link"),
    ("button5_label", "button5_link"),
    ("button6_label", "button6_link"),
];

#[derive(Template)]
#[template(path = "links.html", config = "src/http/panel/askama.toml")]
struct Page<'a> {
    visit: &'a Visit,
    rows: Option<Vec<Row>>,
    sees_settings: bool,
}

/// An open link. Its key is a secret, and is not shown.
struct Row {
    account: String,
    created: String,
    expires: String,
}

/// Lists the open links, as far as the reader may see them.
pub(super) async fn list(visit: Visit, State(services): State<Services>) -> Answer {
    let rows = if visit.may_see_secrets() {
        let links = services.links.list(visit.caller())?;
        let row = |link: &std::sync::Arc<crate::domain::one_time_link::OneTimeLink>| Row {
            account: link.account.to_string(),
            created: services.system.local_time(link.created),
            expires: services.system.local_time(link.expires),
        };
        Some(links.iter().map(row).collect())
    } else {
        None
    };
    page::page(&Page { visit: &visit, rows, sees_settings: visit.has(Right::See) })
}

/// Withdraws every link to an account.
pub(super) async fn withdraw(visit: Visit, State(services): State<Services>, Path(name): Path<String>) -> Answer {
    services.links.withdraw(visit.caller(), &name).await?;
    Ok(page::done(HOME, "said.done"))
}

/// The page that a link leads to, of an account that nobody has.
pub(super) async fn preview(State(services): State<Services>) -> Result<Response, Trouble> {
    Ok(link_page::preview(&services.links.sample()?))
}

fn form(visit: &Visit, title: &str, sheet: Sheet<'_>) -> Answer {
    sheet::form(visit, visit.say(title).to_owned(), (HOME, visit.say("nav.links")), sheet)
}

fn sheet<'a>(visit: &'a Visit, to: &str, refused: Option<&'a Refused>) -> Sheet<'a> {
    Sheet::new(visit, "link", to, "servers.save").locked(!visit.has(Right::Handle)).again(refused)
}

fn with_buttons<'a>(sheet: Sheet<'a>, buttons: &Buttons) -> Sheet<'a> {
    let named = BUTTONS.into_iter().zip(buttons);
    named.fold(sheet.part("links.buttons"), |sheet, ((label, link), button)| {
        sheet.text(label, &button.label).text(link, &button.link)
    })
}

/// Asks how the page looks as a whole.
pub(super) async fn ask_page(visit: Visit, State(services): State<Services>) -> Answer {
    page_form(&visit, &services, None)
}

fn page_form(visit: &Visit, services: &Services, refused: Option<&Refused>) -> Answer {
    let settings = services.links.settings();
    let page = &settings.page;
    let sheet = sheet(visit, "/panel/links/page", refused)
        .text("title", &page.title)
        .number("lifetime", page.lifetime, 1, limits::LINK_LIFETIME_MAX.into())
        .long("before_body", &page.before_body)
        .long("after_body", &page.after_body)
        .long("not_relevant", &page.not_relevant)
        .long("css", &page.css);
    form(visit, "links.page", sheet)
}

/// Changes how the page looks as a whole.
pub(super) async fn edit_page(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    match page::refused(services.links.edit_page(visit.caller(), page_draft(&fields)).await, fields)? {
        Ok(_) => Ok(page::done(HOME, "said.saved")),
        Err(refused) => page_form(&visit, &services, Some(&refused)),
    }
}

/// Asks what the WireGuard part shows.
pub(super) async fn ask_wireguard(visit: Visit, State(services): State<Services>) -> Answer {
    wireguard_form(&visit, &services, None)
}

fn wireguard_form(visit: &Visit, services: &Services, refused: Option<&Refused>) -> Answer {
    let settings = services.links.settings();
    let part = &settings.wireguard;
    let sheet = sheet(visit, "/panel/links/wireguard", refused)
        .flag("enable", part.enable)
        .flag("enable_config_text", part.enable_config_text)
        .flag("enable_config_qr", part.enable_config_qr)
        .text("download_config_button_label", &part.download_config_button_label);
    form(visit, "links.wireguard", with_buttons(sheet, &part.buttons))
}

/// Changes what the WireGuard part shows.
pub(super) async fn edit_wireguard(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    match page::refused(services.links.edit_wireguard(visit.caller(), wireguard_draft(&fields)).await, fields)? {
        Ok(_) => Ok(page::done(HOME, "said.saved")),
        Err(refused) => wireguard_form(&visit, &services, Some(&refused)),
    }
}

/// Asks what the IKEv2 part shows.
pub(super) async fn ask_ikev2(visit: Visit, State(services): State<Services>) -> Answer {
    ikev2_form(&visit, &services, None)
}

fn ikev2_form(visit: &Visit, services: &Services, refused: Option<&Refused>) -> Answer {
    let settings = services.links.settings();
    let part = &settings.ikev2;
    let sheet = sheet(visit, "/panel/links/ikev2", refused)
        .flag("enable", part.enable)
        .text("download_certificate_button_label", &part.download_certificate_button_label)
        .text("download_profile_button_label", &part.download_profile_button_label);
    form(visit, "links.ikev2", with_buttons(sheet, &part.buttons))
}

/// Changes what the IKEv2 part shows.
pub(super) async fn edit_ikev2(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    match page::refused(services.links.edit_ikev2(visit.caller(), ikev2_draft(&fields)).await, fields)? {
        Ok(_) => Ok(page::done(HOME, "said.saved")),
        Err(refused) => ikev2_form(&visit, &services, Some(&refused)),
    }
}
