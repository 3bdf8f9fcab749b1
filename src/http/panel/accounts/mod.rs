//! The accounts: the list, what is done to many of them at once, and, in rooms of their own, one account's page and forms.

mod detail;
mod edit;

use std::collections::HashSet;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::live::{Flow, Told};
use super::page::{self, Answer};
use super::visit::Visit;
use super::work;
use crate::domain::access::Right;
use crate::domain::account::{Account, AccountDraft};
use crate::domain::restriction::Restriction;
use crate::http::form::Fields;
use crate::services::Services;
use crate::services::accounts::ManyDraft;
use crate::services::traffic::Standing;
use crate::services::works::{Outcome, Task};

pub(super) use detail::{config, file, link, mobileconfig, powershell, show, sswan, withdraw};
pub(super) use edit::{add, ask_edit, ask_new, delete, edit, toggle};

/// Accounts on a page.
const PAGE: usize = 50;

/// What the list is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Asked {
    /// Part of a name, a user name or an address.
    #[serde(default)]
    q: String,
    #[serde(default)]
    server: String,
    /// `online`, `active`, `disabled`, `expired`, `over_quota`, `throttled`, or `held` for the last three.
    #[serde(default)]
    state: String,
    /// `name`, `server`, `used` or `expires`; a minus before it turns the order round.
    #[serde(default)]
    sort: String,
    #[serde(default)]
    page: usize,
}

/// An account of the list.
struct Row {
    account: Arc<Account>,
    standing: Standing,
    is_online: bool,
}

#[derive(Template)]
#[template(path = "accounts.html", config = "src/http/panel/askama.toml")]
struct List<'a> {
    visit: &'a Visit,
    asked: &'a Asked,
    rows: Vec<Row>,
    servers: Vec<String>,
    found: usize,
    pages: usize,
    may_write: bool,
}

impl Row {
    fn state(&self) -> &'static str {
        state(&self.account, self.standing)
    }

    fn mood(&self) -> &'static str {
        mood(self.state())
    }
}

/// How an account really is, whatever is set of it: a word of the table, at `state.…`.
fn state(account: &Account, standing: Standing) -> &'static str {
    match standing.restriction {
        _ if !account.enabled => "state.disabled",
        None => "state.active",
        Some(Restriction::Expired) => "state.expired",
        Some(Restriction::OverQuota) => "state.over_quota",
        Some(Restriction::Throttled(_)) => "state.throttled",
    }
}

fn mood(state: &str) -> &'static str {
    match state {
        "state.active" => "good",
        "state.throttled" => "warn",
        "state.expired" | "state.over_quota" => "bad",
        _ => "",
    }
}

/// The states that the list can be narrowed to.
const STATES: [&str; 7] = ["online", "active", "disabled", "held", "expired", "over_quota", "throttled"];

impl Asked {
    /// The list's address with another page, or another order.
    fn address(&self, page: usize, sort: &str) -> String {
        let pairs = [("q", self.q.as_str()), ("server", &self.server), ("state", &self.state), ("sort", sort)];
        let page = page.to_string();
        let page = [("page", page.as_str())].into_iter().filter(|(_, page)| *page != "0");
        let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).chain(page).collect();
        format!("/panel/accounts?{}", serde_urlencoded::to_string(pairs).unwrap_or_default())
    }

    /// The query that asks for the same accounts.
    fn query(&self) -> String {
        self.address(0, &self.sort).trim_start_matches("/panel/accounts?").to_owned()
    }

    /// The address of the list in the order of this column, or turned round where it is in that order already.
    fn sorted(&self, column: &str) -> String {
        let turned = format!("-{column}");
        self.address(0, if self.sort == column { &turned } else { column })
    }

    /// What a screen reader is told of a column's order (ARIA 1.2, `aria-sort`).
    fn order(&self, column: &str) -> &'static str {
        match self.sort.strip_prefix('-') {
            Some(sort) if sort == column => "descending",
            None if self.sort == column => "ascending",
            _ => "none",
        }
    }

    fn wants(&self, row: &Row) -> bool {
        let account = &row.account;
        let sought = self.q.trim().to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&sought);
        let is_found = sought.is_empty()
            || has(account.name.as_str())
            || has(account.username.as_str())
            || has(&account.address.to_string())
            || account.address_ipv6.is_some_and(|address| has(&address.to_string()));
        let state = row.state().trim_start_matches("state.");
        let is_wanted = match self.state.as_str() {
            "" => true,
            "online" => row.is_online,
            "held" => row.standing.restriction.is_some(),
            wanted => wanted == state,
        };
        is_found && is_wanted && (self.server.is_empty() || self.server == account.server.as_str())
    }

    fn sort(&self, rows: &mut [Row]) {
        let turned = self.sort.starts_with('-');
        match self.sort.trim_start_matches('-') {
            "server" => {
                rows.sort_by(|a, b| (&a.account.server, &a.account.name).cmp(&(&b.account.server, &b.account.name)));
            }
            "used" => rows.sort_by_key(|row| row.standing.used),
            "expires" => {
                rows.sort_by_key(|row| (row.account.allowance.expires.is_none(), row.account.allowance.expires));
            }
            _ => rows.sort_by(|a, b| a.account.name.cmp(&b.account.name)),
        }
        if turned {
            rows.reverse();
        }
    }
}

/// The accounts that are asked for, in their order.
async fn find(visit: &Visit, services: &Services, asked: &Asked) -> Vec<Row> {
    let online: HashSet<_> =
        super::online::everybody(visit, services).await.into_iter().map(|peer| peer.account).collect();
    let standings = services.traffic.standings().await;
    let row = |account: Arc<Account>| Row {
        standing: standings.of(&account),
        is_online: online.contains(account.name.as_str()),
        account,
    };
    let mut rows: Vec<_> =
        services.accounts.list(visit.caller()).into_iter().map(row).filter(|row| asked.wants(row)).collect();
    asked.sort(&mut rows);
    rows
}

/// Lists the accounts.
pub(super) async fn list(visit: Visit, State(services): State<Services>, Query(asked): Query<Asked>) -> Answer {
    let mut rows = find(&visit, &services, &asked).await;
    let found = rows.len();
    let pages = found.div_ceil(PAGE).max(1);
    let first = asked.page.min(pages - 1) * PAGE;
    let rows = rows.drain(..).skip(first).take(PAGE).collect();
    page::page(&List {
        visit: &visit,
        asked: &asked,
        rows,
        servers: services.servers.list().iter().map(|server| server.name.to_string()).collect(),
        found,
        pages,
        may_write: visit.has(Right::HandleAccounts),
    })
}

/// Sends the accounts that are asked for as a file of comma-separated values (RFC 4180).
pub(super) async fn export(visit: Visit, State(services): State<Services>, Query(asked): Query<Asked>) -> Response {
    let mut text = String::from(
        "name,server,state,online,username,address,address_ipv6,b_download,b_upload,expires,quota,quota_used\r\n",
    );
    for row in find(&visit, &services, &asked).await {
        let account = &row.account;
        let cells = [
            account.name.to_string(),
            account.server.to_string(),
            row.state().trim_start_matches("state.").to_owned(),
            u8::from(row.is_online).to_string(),
            account.username.to_string(),
            account.address.to_string(),
            account.address_ipv6.map(|address| address.to_string()).unwrap_or_default(),
            account.b_download.to_string(),
            account.b_upload.to_string(),
            account.allowance.expires.map(|end| services.system.local_time(end)).unwrap_or_default(),
            account.allowance.quota.to_string(),
            row.standing.used.to_string(),
        ];
        text.push_str(&cells.map(|cell| quoted(&cell)).join(","));
        text.push_str("\r\n");
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"accounts.csv\""),
    ];
    (headers, text).into_response()
}

/// A cell, in quotation marks where it needs them. What a spreadsheet would take for a formula is made text.
fn quoted(cell: &str) -> String {
    let cell = if cell.starts_with(['=', '+', '-', '@']) { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

/// Does something to all accounts that are chosen, or to all that were found.
pub(super) async fn many(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let text = |name| fields.text(name).unwrap_or_default();
    let names: Vec<String> = if text("every") == "1" {
        let asked = Asked { q: text("q"), server: text("server"), state: text("state"), ..Asked::default() };
        find(&visit, &services, &asked).await.into_iter().map(|row| row.account.name.to_string()).collect()
    } else {
        fields.names().filter_map(|name| name.strip_prefix("account:")).map(str::to_owned).collect()
    };
    let action = text("action");
    let status = |status: &str| AccountDraft { status: Some(status.to_owned()), ..AccountDraft::default() };
    let what = match action.as_str() {
        "delete" => ManyDraft::Delete,
        "enable" | "disable" => ManyDraft::Edit(status(&action).into()),
        _ => {
            let (b_download, b_upload) = (fields.text("b_download"), fields.text("b_upload"));
            ManyDraft::Edit(AccountDraft { b_download, b_upload, ..AccountDraft::default() }.into())
        }
    };
    let (accounts, by) = (services.accounts.clone(), visit.caller().clone());
    let work = services.works.begin(visit.caller(), Task::Accounts, |progress| async move {
        accounts.change_many(&by, names, what, &progress).await
    });
    match work::soon(&work).await {
        Some(Outcome::Done { refused, .. }) if refused.is_empty() => {
            Ok(page::done("/panel/accounts", if action == "delete" { "said.deleted" } else { "said.saved" }))
        }
        Some(_) | None => Ok(work::follow(&work)),
    }
}

/// What moves on one account's page.
pub(super) async fn tell(visit: &Visit, services: &Services, name: &str, flow: &mut Flow) -> Told {
    detail::tell(visit, services, name, flow).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::house;

    fn row(name: &str) -> Row {
        let account = house().account("peer_1").unwrap().as_ref().clone();
        let account = Account { name: crate::domain::name::AccountName::parse(name).unwrap(), ..account };
        Row { account: account.into(), standing: Standing::default(), is_online: name == "b" }
    }

    #[test]
    fn finds_by_a_part_of_name_or_address() {
        for (q, found) in [("", true), ("ee", true), ("EE", true), ("0.0.2", true), ("x", false)] {
            let asked = Asked { q: q.into(), ..Asked::default() };
            assert_eq!(asked.wants(&row("peer")), found, "{q}");
        }
        assert!(Asked { state: "online".into(), ..Asked::default() }.wants(&row("b")));
        assert!(!Asked { state: "held".into(), ..Asked::default() }.wants(&row("b")));
    }

    #[test]
    fn turns_an_order_round_at_the_second_click() {
        let asked = Asked { sort: "used".into(), q: "a b".into(), ..Asked::default() };

        assert_eq!(asked.sorted("used"), "/panel/accounts?q=a+b&sort=-used");
        assert_eq!(asked.sorted("name"), "/panel/accounts?q=a+b&sort=name");
        assert_eq!(asked.order("used"), "ascending");
    }

    #[test]
    fn keeps_a_spreadsheet_from_running_what_it_reads() {
        assert_eq!(quoted("=1+1"), "'=1+1");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
