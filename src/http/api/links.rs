//! `otl_*` and `account_otl`.

use axum::extract::State;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use super::{DONE, Named};
use crate::domain::access::Caller;
use crate::domain::limits;
use crate::domain::one_time_link::{
    BUTTON_LABELS, BUTTON_LINKS, BUTTONS, ButtonDraft, Buttons, LinkIkev2, LinkIkev2Draft, LinkPage, LinkPageDraft,
    LinkWireguard, LinkWireguardDraft, OneTimeLink,
};
use crate::domain::refusal::Refusal;
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::http::openapi::field::{Field, Kind, flag, number, text};
use crate::http::openapi::operation::{Group, Operation, Shape};
use crate::services::Services;

/// Makes a link to an account's configuration.
pub(crate) async fn add(State(services): State<Services>, caller: Caller, Named(account): Named) -> Answer<String> {
    Ok(Success(services.links.add(&caller, &account).await?))
}

/// Withdraws every link to an account.
pub(crate) async fn withdraw(
    State(services): State<Services>,
    caller: Caller,
    Named(account): Named,
) -> Answer<&'static str> {
    services.links.withdraw(&caller, &account).await?;
    Ok(Success(DONE))
}

/// Lists the open links, the oldest first.
pub(crate) async fn list(State(services): State<Services>, caller: Caller) -> Answer<ListView> {
    let links = services.links.list(&caller)?;
    let olts = links.iter().map(|link| LinkView::of(link, &services.links.time_zone())).collect();
    Ok(Success(ListView { olts }))
}

/// Shows what is set of the page as a whole.
pub(crate) async fn page(State(services): State<Services>) -> Answer<PageView> {
    Ok(Success(PageView::from(&*services.links.settings().page)))
}

/// Changes what the form names of the page as a whole.
pub(crate) async fn edit_page(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<PageView> {
    fields.refuse_others(&["title", "before_body", "after_body", "not_relevant", "css", "lifetime"])?;
    Ok(Success(PageView::from(&*services.links.edit_page(&caller, page_draft(&fields)).await?)))
}

/// Shows what is set of the WireGuard part.
pub(crate) async fn wireguard(State(services): State<Services>) -> Answer<WireguardView> {
    Ok(Success(WireguardView::from(&*services.links.settings().wireguard)))
}

/// Changes what the form names of the WireGuard part.
pub(crate) async fn edit_wireguard(
    State(services): State<Services>,
    caller: Caller,
    fields: Fields,
) -> Answer<WireguardView> {
    let own = ["enable", "enable_config_text", "enable_config_qr", "download_config_button_label"];
    fields.refuse_others(&[&own[..], &BUTTON_LABELS, &BUTTON_LINKS].concat())?;
    Ok(Success(WireguardView::from(&*services.links.edit_wireguard(&caller, wireguard_draft(&fields)).await?)))
}

/// Shows what is set of the IKEv2 part.
pub(crate) async fn ikev2(State(services): State<Services>) -> Answer<Ikev2View> {
    Ok(Success(Ikev2View::from(&*services.links.settings().ikev2)))
}

/// Changes what the form names of the IKEv2 part.
pub(crate) async fn edit_ikev2(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<Ikev2View> {
    let own = ["enable", "download_certificate_button_label", "download_profile_button_label"];
    fields.refuse_others(&[&own[..], &BUTTON_LABELS, &BUTTON_LINKS].concat())?;
    Ok(Success(Ikev2View::from(&*services.links.edit_ikev2(&caller, ikev2_draft(&fields)).await?)))
}

/// What a form says of this part of the page.
pub(in crate::http) fn page_draft(fields: &Fields) -> LinkPageDraft {
    LinkPageDraft {
        title: fields.text("title"),
        before_body: fields.text("before_body"),
        after_body: fields.text("after_body"),
        not_relevant: fields.text("not_relevant"),
        css: fields.text("css"),
        lifetime: fields.text("lifetime"),
    }
}

/// What a form says of this part of the page.
pub(in crate::http) fn wireguard_draft(fields: &Fields) -> LinkWireguardDraft {
    LinkWireguardDraft {
        enable: fields.text("enable"),
        enable_config_text: fields.text("enable_config_text"),
        enable_config_qr: fields.text("enable_config_qr"),
        download_config_button_label: fields.text("download_config_button_label"),
        buttons: buttons(fields),
    }
}

/// What a form says of this part of the page.
pub(in crate::http) fn ikev2_draft(fields: &Fields) -> LinkIkev2Draft {
    LinkIkev2Draft {
        enable: fields.text("enable"),
        download_certificate_button_label: fields.text("download_certificate_button_label"),
        download_profile_button_label: fields.text("download_profile_button_label"),
        buttons: buttons(fields),
    }
}

fn buttons(fields: &Fields) -> [ButtonDraft; BUTTONS] {
    std::array::from_fn(|at| ButtonDraft { label: fields.text(BUTTON_LABELS[at]), link: fields.text(BUTTON_LINKS[at]) })
}

/// The open links; the contract spells it `olts`, and keys each link by its key.
#[derive(Serialize, ToSchema)]
#[schema(as = Links)]
pub(crate) struct ListView {
    #[serde(serialize_with = "by_key")]
    #[schema(value_type = BTreeMap<String, LinkView>)]
    olts: Vec<LinkView>,
}

fn by_key<S: Serializer>(links: &[LinkView], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(links.iter().map(|link| (&link.key, link)))
}

/// An open link; the contract spells it `created_data`.
#[derive(Serialize, ToSchema)]
#[schema(as = Link)]
pub(crate) struct LinkView {
    account: String,
    created_data: Date,
    key: String,
    /// The day on which it ends, at the time of day at which it was made.
    lifetime: Date,
}

impl LinkView {
    fn of(link: &OneTimeLink, zone: &TimeZone) -> Self {
        let day = |at: Timestamp| zone.to_datetime(at).date();
        Self {
            account: link.account.to_string(),
            created_data: day(link.created),
            key: link.key.to_hex(),
            lifetime: day(link.expires),
        }
    }
}

/// The contract's `otl_config`: the days are text.
#[derive(Serialize, ToSchema)]
#[schema(as = LinkPage)]
pub(crate) struct PageView {
    after_body: String,
    before_body: String,
    css: String,
    lifetime: String,
    not_relevant: String,
    title: String,
}

impl From<&LinkPage> for PageView {
    fn from(page: &LinkPage) -> Self {
        Self {
            after_body: page.after_body.clone(),
            before_body: page.before_body.clone(),
            css: page.css.clone(),
            lifetime: page.lifetime.to_string(),
            not_relevant: page.not_relevant.clone(),
            title: page.title.clone(),
        }
    }
}

/// The contract's `otl_config_wireguard`.
#[derive(Serialize, ToSchema)]
#[schema(as = LinkWireguard)]
pub(crate) struct WireguardView {
    #[serde(flatten)]
    #[schema(schema_with = buttons_shape)]
    buttons: ButtonsView,
    download_config_button_label: String,
    enable: bool,
    enable_config_qr: bool,
    enable_config_text: bool,
}

impl From<&LinkWireguard> for WireguardView {
    fn from(part: &LinkWireguard) -> Self {
        Self {
            buttons: ButtonsView(part.buttons.clone()),
            download_config_button_label: part.download_config_button_label.clone(),
            enable: part.enable,
            enable_config_qr: part.enable_config_qr,
            enable_config_text: part.enable_config_text,
        }
    }
}

/// The contract's `otl_config_ikev2`.
#[derive(Serialize, ToSchema)]
#[schema(as = LinkIkev2)]
pub(crate) struct Ikev2View {
    #[serde(flatten)]
    #[schema(schema_with = buttons_shape)]
    buttons: ButtonsView,
    download_certificate_button_label: String,
    download_profile_button_label: String,
    enable: bool,
}

impl From<&LinkIkev2> for Ikev2View {
    fn from(part: &LinkIkev2) -> Self {
        Self {
            buttons: ButtonsView(part.buttons.clone()),
            download_certificate_button_label: part.download_certificate_button_label.clone(),
            download_profile_button_label: part.download_profile_button_label.clone(),
            enable: part.enable,
        }
    }
}

/// `button1_label`, `button1_link`, and so on.
struct ButtonsView(Buttons);

impl Serialize for ButtonsView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = BUTTON_LABELS.into_iter().zip(BUTTON_LINKS);
        let pairs =
            names.zip(&self.0).flat_map(|((label, link), button)| [(label, &button.label), (link, &button.link)]);
        serializer.collect_map(pairs)
    }
}

/// What the document says of these.
pub(crate) fn described() -> Group {
    let markup = |name, about| text(name, limits::LINK_HTML_LENGTH, about);
    let label = |name, about| text(name, limits::LINK_LABEL_LENGTH, about);
    let page = [
        label("title", "The page's title.").such_as("Your VPN"),
        markup("before_body", "HTML before what is shown."),
        markup("after_body", "HTML after what is shown."),
        markup("not_relevant", "HTML for a link that is used up or has ended."),
        markup("css", "CSS after the page's own."),
        number("lifetime", 1..=limits::LINK_LIFETIME_MAX, "How many days a new link is open.").such_as("3"),
    ];
    let wireguard = [
        flag("enable", "Whether the WireGuard part is shown.").such_as("1"),
        flag("enable_config_text", "Whether the client's file is shown as text."),
        flag("enable_config_qr", "Whether it is shown as a QR code."),
        label("download_config_button_label", "What its button says; empty for no button."),
    ];
    let ikev2 = [
        flag("enable", "Whether the IKEv2 part is shown.").such_as("1"),
        label("download_certificate_button_label", "What the certificate's button says; empty for no button."),
        label("download_profile_button_label", "What the profile's button says; empty for no button."),
    ];
    Group {
        name: "One-time links",
        about: "Links that show an account's configuration once, and the page that they open.",
        named: ("The account's name.", "peer_1"),
        operations: vec![
            Operation::new("account_otl", "Makes a link", Shape::text("Its address."))
                .refuses([Refusal::AccountNotFound, Refusal::LinksExceeded]),
            Operation::new("account_otl_withdraw", "Withdraws every link to an account", Shape::done())
                .refuses([Refusal::AccountNotFound]),
            Operation::new("otl_list", "Lists the open links", Shape::of::<ListView>()).about("The oldest first."),
            Operation::new("otl_config", "Shows the page's settings", Shape::of::<PageView>()),
            Operation::new("otl_config_edit", "Changes what the form names", Shape::of::<PageView>()).form(page),
            Operation::new("otl_config_wireguard", "Shows its WireGuard part", Shape::of::<WireguardView>()),
            Operation::new("otl_config_wireguard_edit", "Changes what the form names", Shape::of::<WireguardView>())
                .form(wireguard)
                .form(buttons_form()),
            Operation::new("otl_config_ikev2", "Shows its IKEv2 part", Shape::of::<Ikev2View>()),
            Operation::new("otl_config_ikev2_edit", "Changes what the form names", Shape::of::<Ikev2View>())
                .form(ikev2)
                .form(buttons_form()),
        ],
    }
}

fn buttons_form() -> impl Iterator<Item = Field> {
    let label = |name| text(name, limits::LINK_LABEL_LENGTH, "What the button says; empty for no button.");
    let link = |name| Field::new(name, Kind::Url, "Where the button leads.");
    BUTTON_LABELS.into_iter().zip(BUTTON_LINKS).flat_map(move |(of_label, of_link)| [label(of_label), link(of_link)])
}

/// What [`ButtonsView`] becomes.
fn buttons_shape() -> Schema {
    let text = || Schema::from(ObjectBuilder::new().schema_type(Type::String));
    let names = BUTTON_LABELS.into_iter().zip(BUTTON_LINKS).flat_map(|(label, link)| [label, link]);
    names.fold(ObjectBuilder::new(), |object, name| object.property(name, text()).required(name)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::name::AccountName;
    use crate::domain::one_time_link::LinkKey;

    #[test]
    fn shows_a_link_as_the_contract_does() {
        let link = OneTimeLink {
            key: LinkKey::from_entropy([0xab; limits::LINK_KEY_BYTES]),
            account: AccountName::parse("ruslan_windows").unwrap(),
            created: "2022-12-09T23:59:59Z".parse().unwrap(),
            expires: "2022-12-19T23:59:59Z".parse().unwrap(),
        };
        let key = "ab".repeat(limits::LINK_KEY_BYTES);

        let shown = serde_json::to_string(&ListView { olts: vec![LinkView::of(&link, &TimeZone::UTC)] }).unwrap();

        assert_eq!(
            shown,
            format!(
                r#"{{"olts":{{"{key}":{{"account":"ruslan_windows","created_data":"2022-12-09","key":"{key}","lifetime":"2022-12-19"}}}}}}"#
            )
        );
    }

    /// Word for word, misspellings too: clients show these.
    #[test]
    fn shows_the_defaults_of_the_contract() {
        let shown = serde_json::to_string(&WireguardView::from(&LinkWireguard::default())).unwrap();
        assert_eq!(
            shown,
            r#"{"button1_label":"Download client Android","button1_link":"https://play.google.com/store/apps/details?id=com.wireguard.android","button2_label":"Download client iOS","button2_link":"https://apps.apple.com/us/app/wireguard/id1441195209","button3_label":"Download client Windows","button3_link":"https://download.wireguard.com/windows-client/wireguard-installer.exe","button4_label":"Download client macOS","button4_link":"https://itunes.apple.com/us/app/wireguard/id1451685025","button5_label":"Official clients WireGuard","button5_link":"https://www.wireguard.com/install/","button6_label":"","button6_link":"","download_config_button_label":"Dowload config file","enable":true,"enable_config_qr":true,"enable_config_text":true}"#
        );
        let shown = serde_json::to_string(&Ikev2View::from(&LinkIkev2::default())).unwrap();
        assert_eq!(
            shown,
            r#"{"button1_label":"Download client Android","button1_link":"https://play.google.com/store/apps/details?id=org.strongswan.android","button2_label":"Download client Debian/Ubuntu","button2_link":"https://download.strongswan.org/NetworkManager/","button3_label":"Official clients strongSwan","button3_link":"https://download.strongswan.org/","button4_label":"","button4_link":"","button5_label":"","button5_link":"","button6_label":"","button6_link":"","download_certificate_button_label":"Dowload Certificate CA","download_profile_button_label":"Dowload Profile","enable":true}"#
        );
        let shown = serde_json::to_string(&PageView::from(&LinkPage::default())).unwrap();
        assert_eq!(
            shown,
            r#"{"after_body":"","before_body":"","css":"","lifetime":"10","not_relevant":"","title":"One-time link"}"#
        );
    }
}
