//! The forms of an account: making one, changing one, and what a button does.

use axum::extract::{Path, State};

use crate::domain::account::allowance::{QuotaAction, QuotaPeriod};
use crate::domain::account::{Account, AccountDraft};
use crate::http::api::accounts::{draft, new_draft};
use crate::http::form::Fields;
use crate::http::panel::page::{self, Answer, Refused};
use crate::http::panel::sheet::{Sheet, form};
use crate::http::panel::visit::Visit;
use crate::services::Services;

/// The form of a new account. A name is all that it needs, and even that is made up where it is absent.
fn blank<'a>(visit: &'a Visit, services: &Services, refused: Option<&'a Refused>) -> Sheet<'a> {
    let servers: Vec<_> = services.servers.list().iter().map(|server| pair(server.name.as_str())).collect();
    let first = servers.first().map(|(name, _)| name.clone()).unwrap_or_default();
    let sheet = Sheet::new(visit, "account", "/panel/new-account", "accounts.add").again(refused);
    let sheet = sheet
        .part("account.part.who")
        .hinted("name", "", visit.say("account.name.hint"))
        .choice("wg_name", first, servers)
        .hinted("username", "", visit.say("account.made"))
        .hinted("password", "", visit.say("account.made"));
    let sheet = sheet.part("account.part.where").hinted("allowed_IPs", "", visit.say("account.next"));
    let sheet = sheet.hinted("allowed_IPs_ipv6", "", visit.say("account.next"));
    let sheet = sheet.hinted("public_key", "", visit.say("account.made"));
    limits(sheet, visit, None, services)
}

fn filled<'a>(visit: &'a Visit, services: &Services, account: &Account, refused: Option<&'a Refused>) -> Sheet<'a> {
    let action = format!("/panel/accounts/{}/edit", account.name);
    let sheet = Sheet::new(visit, "account", action, "accounts.save").again(refused);
    let mut sheet = sheet.part("account.part.who").choice(
        "status",
        status(account),
        vec![
            ("enable".into(), visit.say("accounts.enabled").into()),
            ("disable".into(), visit.say("state.disabled").into()),
        ],
    );
    if visit.may_see_secrets() {
        sheet = sheet.masked("password", account.password.reveal());
    }
    let sheet = sheet.part("account.part.where").text("allowed_IPs", account.address);
    let sheet =
        sheet.text("allowed_IPs_ipv6", account.address_ipv6.map(|address| address.to_string()).unwrap_or_default());
    limits(sheet, visit, Some(account), services)
}

fn status(account: &Account) -> &'static str {
    if account.enabled { "enable" } else { "disable" }
}

/// What an account may do: its rates, its end, its quota.
fn limits<'a>(sheet: Sheet<'a>, visit: &Visit, account: Option<&Account>, services: &Services) -> Sheet<'a> {
    let rate = |rate: Option<u16>| rate.map(|rate| rate.to_string()).unwrap_or_default();
    let allowance = account.map(|account| account.allowance).unwrap_or_default();
    let periods = QuotaPeriod::ALL.map(|period| (period.word().to_owned(), visit.say(period_key(period)).to_owned()));
    let actions = QuotaAction::ALL.map(|action| (action.word().to_owned(), visit.say(action_key(action)).to_owned()));
    sheet
        .part("account.part.limits")
        .number("b_download", rate(account.map(|account| account.b_download.get())), 0, 1_000)
        .number("b_upload", rate(account.map(|account| account.b_upload.get())), 0, 1_000)
        .hinted(
            "expires",
            allowance.expires.map(|end| services.system.local_time(end)).unwrap_or_default(),
            "2027-12-31",
        )
        .number("quota", allowance.quota, 0, u64::MAX >> 1)
        .choice("quota_period", allowance.period, periods.into())
        .choice("quota_action", allowance.action, actions.into())
        .number("quota_rate", allowance.rate.get(), 0, 1_000)
}

const fn period_key(period: QuotaPeriod) -> &'static str {
    match period {
        QuotaPeriod::None => "account.period.none",
        QuotaPeriod::Day => "account.period.day",
        QuotaPeriod::Week => "account.period.week",
        QuotaPeriod::Month => "account.period.month",
    }
}

const fn action_key(action: QuotaAction) -> &'static str {
    match action {
        QuotaAction::Cut => "account.action.cut",
        QuotaAction::Throttle => "account.action.throttle",
    }
}

fn pair(name: &str) -> (String, String) {
    (name.to_owned(), name.to_owned())
}

/// Asks what the new account is to be.
pub(in crate::http::panel) async fn ask_new(visit: Visit, State(services): State<Services>) -> Answer {
    let sheet = blank(&visit, &services, None);
    form(&visit, visit.say("accounts.new").into(), ("/panel/accounts", visit.say("nav.accounts")), sheet)
}

/// Makes an account, and shows it with its QR code.
pub(in crate::http::panel) async fn add(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let wanted = stated(new_draft(&fields));
    match page::refused(services.accounts.add(visit.caller(), wanted).await, fields)? {
        Ok(account) => Ok(page::done(&format!("/panel/accounts/{}", account.name), "said.added")),
        Err(refused) => {
            let sheet = blank(&visit, &services, Some(&refused));
            form(&visit, visit.say("accounts.new").into(), ("/panel/accounts", visit.say("nav.accounts")), sheet)
        }
    }
}

/// Asks what is to change.
pub(in crate::http::panel) async fn ask_edit(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
) -> Answer {
    let account = services.accounts.detail(visit.caller(), &name)?;
    let sheet = filled(&visit, &services, &account, None);
    let title = visit.fill("accounts.edit", &[("name", &name)]);
    form(&visit, title, (&format!("/panel/accounts/{}", account.name), account.name.as_str()), sheet)
}

/// Changes it.
pub(in crate::http::panel) async fn edit(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
    fields: Fields,
) -> Answer {
    let account = services.accounts.detail(visit.caller(), &name)?;
    let to = format!("/panel/accounts/{}", account.name);
    match page::refused(services.accounts.edit(visit.caller(), &name, draft(&fields)).await, fields)? {
        Ok(_) => Ok(page::done(&to, "said.saved")),
        Err(refused) => {
            let sheet = filled(&visit, &services, &account, Some(&refused));
            let title = visit.fill("accounts.edit", &[("name", &name)]);
            form(&visit, title, (&to, account.name.as_str()), sheet)
        }
    }
}

/// Lets an account connect, or not.
pub(in crate::http::panel) async fn toggle(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
    fields: Fields,
) -> Answer {
    let wanted = AccountDraft { status: fields.text("status"), ..AccountDraft::default() };
    let account = services.accounts.edit(visit.caller(), &name, wanted).await?;
    Ok(page::done(&format!("/panel/accounts/{}", account.name), "said.saved"))
}

/// Deletes an account.
pub(in crate::http::panel) async fn delete(
    visit: Visit,
    State(services): State<Services>,
    Path(name): Path<String>,
) -> Answer {
    services.accounts.delete(visit.caller(), &name).await?;
    Ok(page::done("/panel/accounts", "said.deleted"))
}

/// What a form leaves blank is as good as absent, so that a default stands there.
fn stated(draft: AccountDraft) -> AccountDraft {
    let given = |field: Option<String>| field.filter(|text| !text.is_empty());
    AccountDraft {
        name: given(draft.name),
        username: given(draft.username),
        password: given(draft.password),
        allowed_ips: given(draft.allowed_ips),
        allowed_ips_ipv6: given(draft.allowed_ips_ipv6),
        public_key: given(draft.public_key),
        private_key: given(draft.private_key),
        b_download: given(draft.b_download),
        b_upload: given(draft.b_upload),
        expires: given(draft.expires),
        quota: given(draft.quota),
        ..draft
    }
}
