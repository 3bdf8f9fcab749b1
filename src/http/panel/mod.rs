//! The panel: the appliance in a browser, as pages that are written on this side.
//!
//! A page's road: a row of [`rows`], the gate of [`visit`] (who looks, and whether he himself has sent this), a handler that
//! asks the services, a template, [`page`]. No rule lives here: what a form says goes to the same drafts as the API's, and
//! what it is refused with comes back in the reader's language. Scripts make figures move; every page works without them.

mod accounts;
mod assets;
mod chart;
mod dashboard;
mod guest;
mod live;
mod me;
mod nav;
mod online;
mod page;
mod servers;
mod sheet;
mod show;
pub(super) mod visit;
mod welcome;
mod words;

use super::routes::Admission::{Anyone, Guest, Session};
use super::routes::{Route, get, post};

/// Every page, and everything that a page sends.
#[rustfmt::skip]
pub(super) fn rows() -> Vec<Route> {
    vec![
        get("panel_asset", Anyone, "/panel/assets/{digest}/{name}", assets::file),
        get("panel_login", Guest, "/panel/login", guest::ask),
        post("panel_enter", Guest, "/panel/login", guest::enter),
        post("panel_leave", Session, "/panel/logout", guest::leave),

        get("panel_dashboard", Session, "/panel", dashboard::show),
        get("panel_live", Session, "/panel/live", live::stream),

        get("panel_me", Session, "/panel/me", me::show),
        post("panel_me_look", Session, "/panel/me/look", me::look),
        post("panel_me_password", Session, "/panel/me/password", me::password),
        post("panel_me_factor", Session, "/panel/me/factor", me::begin_factor),
        post("panel_me_factor_confirm", Session, "/panel/me/factor/confirm", me::confirm_factor),
        post("panel_me_factor_remove", Session, "/panel/me/factor/remove", me::remove_factor),
        post("panel_me_end", Session, "/panel/me/sessions/{id}/end", me::end),
        post("panel_me_end_others", Session, "/panel/me/sessions/end", me::end_others),
        get("panel_welcome", Session, "/panel/welcome", welcome::show),
        post("panel_welcome_password", Session, "/panel/welcome/password", welcome::password),
        post("panel_welcome_address", Session, "/panel/welcome/address", welcome::address),

        get("panel_servers", Session, "/panel/servers", servers::list),
        get("panel_server_new", Session, "/panel/new-server", servers::ask_new),
        post("panel_server_add", Session, "/panel/new-server", servers::add),
        get("panel_server", Session, "/panel/servers/{name}", servers::show),
        get("panel_server_change", Session, "/panel/servers/{name}/edit", servers::ask_edit),
        post("panel_server_edit", Session, "/panel/servers/{name}/edit", servers::edit),
        post("panel_server_delete", Session, "/panel/servers/{name}/delete", servers::delete),
        post("panel_server_bandwidth", Session, "/panel/servers/{name}/bandwidth", servers::set_bandwidth),
        post("panel_forward_add", Session, "/panel/servers/{name}/forwards", servers::add_forward),
        post("panel_forward_delete", Session, "/panel/servers/{name}/forwards/{port}/{protocol}/delete", servers::delete_forward),

        get("panel_accounts", Session, "/panel/accounts", accounts::list),
        get("panel_accounts_export", Session, "/panel/accounts.csv", accounts::export),
        post("panel_accounts_many", Session, "/panel/accounts", accounts::many),
        get("panel_account_new", Session, "/panel/new-account", accounts::ask_new),
        post("panel_account_add", Session, "/panel/new-account", accounts::add),
        get("panel_account", Session, "/panel/accounts/{name}", accounts::show),
        get("panel_account_change", Session, "/panel/accounts/{name}/edit", accounts::ask_edit),
        post("panel_account_edit", Session, "/panel/accounts/{name}/edit", accounts::edit),
        post("panel_account_status", Session, "/panel/accounts/{name}/status", accounts::toggle),
        post("panel_account_delete", Session, "/panel/accounts/{name}/delete", accounts::delete),
        get("panel_account_config", Session, "/panel/accounts/{name}/config", accounts::config),
        get("panel_account_file", Session, "/panel/accounts/{name}/file", accounts::file),
        get("panel_account_sswan", Session, "/panel/accounts/{name}/sswan", accounts::sswan),
        get("panel_account_mobileconfig", Session, "/panel/accounts/{name}/mobileconfig", accounts::mobileconfig),
        get("panel_account_powershell", Session, "/panel/accounts/{name}/powershell", accounts::powershell),
        post("panel_account_link", Session, "/panel/accounts/{name}/link", accounts::link),
        post("panel_account_withdraw", Session, "/panel/accounts/{name}/withdraw", accounts::withdraw),

        get("panel_online", Session, "/panel/online", online::list),
        post("panel_online_drop", Session, "/panel/online/{name}/drop", online::drop_ikev2),
    ]
}
