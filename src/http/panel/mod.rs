//! The panel: the appliance in a browser, as pages that are written on this side.
//!
//! A page's road: a row of [`rows`], the gate of [`visit`] (who looks, and whether he himself has sent this), a handler that
//! asks the services, a template, [`page`]. No rule lives here: what a form says goes to the same drafts as the API's, and
//! what it is refused with comes back in the reader's language. Scripts make figures move; every page works without them.

mod about;
mod access;
mod accounts;
mod assets;
mod audit;
mod backups;
mod certificate;
mod chart;
mod dashboard;
mod dns;
mod firewall;
mod guest;
mod ikev2;
mod links;
mod live;
mod me;
mod nav;
mod online;
pub(super) mod page;
mod servers;
mod settings;
mod sheet;
mod show;
mod traffic_log;
mod users;
pub(super) mod visit;
mod webhooks;
mod welcome;
mod words;
mod work;

use super::routes::Admission::{Anyone, Guest};
use super::routes::{Page, Route, get, post};
use crate::domain::access::Right::{Administer, Handle, HandleAccounts, See, SeeAccounts};
use crate::http::api::backups as backup_files;

/// Every page, and everything that a page sends.
pub(super) fn rows() -> Vec<Route> {
    people().into_iter().chain(network()).chain(keeping()).chain(appliance()).collect()
}

/// Who looks, and whom he looks after: servers and accounts.
#[rustfmt::skip]
fn people() -> Vec<Route> {
    vec![
        get("panel_asset", Anyone, "/panel/assets/{digest}/{name}", assets::file),
        get("panel_login", Guest, "/panel/login", guest::ask),
        post("panel_enter", Guest, "/panel/login", guest::enter),
        post("panel_leave", Page(SeeAccounts), "/panel/logout", guest::leave),

        get("panel_dashboard", Page(SeeAccounts), "/panel", dashboard::show),
        get("panel_live", Page(SeeAccounts), "/panel/live", live::stream),
        get("panel_work", Page(SeeAccounts), "/panel/work/{id}", work::show),

        get("panel_me", Page(SeeAccounts), "/panel/me", me::show),
        post("panel_me_look", Page(SeeAccounts), "/panel/me/look", me::look),
        post("panel_me_password", Page(SeeAccounts), "/panel/me/password", me::password),
        post("panel_me_factor", Page(SeeAccounts), "/panel/me/factor", me::begin_factor),
        post("panel_me_factor_confirm", Page(SeeAccounts), "/panel/me/factor/confirm", me::confirm_factor),
        post("panel_me_factor_remove", Page(SeeAccounts), "/panel/me/factor/remove", me::remove_factor),
        post("panel_me_end", Page(SeeAccounts), "/panel/me/sessions/{id}/end", me::end),
        post("panel_me_end_others", Page(SeeAccounts), "/panel/me/sessions/end", me::end_others),
        post("panel_me_access_add", Page(SeeAccounts), "/panel/me/access", me::add_hash),
        post("panel_me_access_delete", Page(SeeAccounts), "/panel/me/access/delete", me::remove_hash),
        get("panel_welcome", Page(Administer), "/panel/welcome", welcome::show),
        post("panel_welcome_password", Page(Administer), "/panel/welcome/password", welcome::password),
        post("panel_welcome_address", Page(Administer), "/panel/welcome/address", welcome::address),

        get("panel_servers", Page(See), "/panel/servers", servers::list),
        get("panel_server_new", Page(Handle), "/panel/new-server", servers::ask_new),
        post("panel_server_add", Page(Handle), "/panel/new-server", servers::add),
        get("panel_server", Page(See), "/panel/servers/{name}", servers::show),
        get("panel_server_change", Page(Handle), "/panel/servers/{name}/edit", servers::ask_edit),
        post("panel_server_edit", Page(Handle), "/panel/servers/{name}/edit", servers::edit),
        post("panel_server_delete", Page(Handle), "/panel/servers/{name}/delete", servers::delete),
        post("panel_server_bandwidth", Page(Handle), "/panel/servers/{name}/bandwidth", servers::set_bandwidth),
        post("panel_forward_add", Page(Handle), "/panel/servers/{name}/forwards", servers::add_forward),
        post("panel_forward_delete", Page(Handle), "/panel/servers/{name}/forwards/{port}/{protocol}/delete", servers::delete_forward),

        get("panel_accounts", Page(SeeAccounts), "/panel/accounts", accounts::list),
        get("panel_accounts_export", Page(SeeAccounts), "/panel/accounts.csv", accounts::export),
        post("panel_accounts_many", Page(HandleAccounts), "/panel/accounts", accounts::many),
        get("panel_account_new", Page(HandleAccounts), "/panel/new-account", accounts::ask_new),
        post("panel_account_add", Page(HandleAccounts), "/panel/new-account", accounts::add),
        get("panel_account", Page(SeeAccounts), "/panel/accounts/{name}", accounts::show),
        get("panel_account_change", Page(HandleAccounts), "/panel/accounts/{name}/edit", accounts::ask_edit),
        post("panel_account_edit", Page(HandleAccounts), "/panel/accounts/{name}/edit", accounts::edit),
        post("panel_account_status", Page(HandleAccounts), "/panel/accounts/{name}/status", accounts::toggle),
        post("panel_account_delete", Page(HandleAccounts), "/panel/accounts/{name}/delete", accounts::delete),
        get("panel_account_config", Page(HandleAccounts), "/panel/accounts/{name}/config", accounts::config),
        get("panel_account_file", Page(HandleAccounts), "/panel/accounts/{name}/file", accounts::file),
        get("panel_account_sswan", Page(HandleAccounts), "/panel/accounts/{name}/sswan", accounts::sswan),
        get("panel_account_mobileconfig", Page(HandleAccounts), "/panel/accounts/{name}/mobileconfig", accounts::mobileconfig),
        get("panel_account_powershell", Page(HandleAccounts), "/panel/accounts/{name}/powershell", accounts::powershell),
        post("panel_account_link", Page(HandleAccounts), "/panel/accounts/{name}/link", accounts::link),
        post("panel_account_withdraw", Page(HandleAccounts), "/panel/accounts/{name}/withdraw", accounts::withdraw),

        get("panel_online", Page(SeeAccounts), "/panel/online", online::list),
        post("panel_online_drop", Page(HandleAccounts), "/panel/online/{name}/drop", online::drop_ikev2),
    ]
}

/// What all of them share: the firewall, the resolver, the traffic log, IKEv2.
#[rustfmt::skip]
fn network() -> Vec<Route> {
    vec![
        get("panel_firewall", Page(See), "/panel/firewall", firewall::show),
        post("panel_firewall_edit", Page(Handle), "/panel/firewall", firewall::edit),
        post("panel_rule_add", Page(Handle), "/panel/firewall/rules", firewall::add_rule),
        post("panel_rule_move", Page(Handle), "/panel/firewall/move", firewall::move_rule),
        post("panel_rule_delete", Page(Handle), "/panel/firewall/rules/{name}/delete", firewall::delete_rule),
        get("panel_dns", Page(See), "/panel/dns", dns::show),
        post("panel_dns_edit", Page(Handle), "/panel/dns", dns::edit),
        get("panel_traffic_log", Page(See), "/panel/traffic-log", traffic_log::show),
        post("panel_traffic_log_edit", Page(Handle), "/panel/traffic-log", traffic_log::edit),
        post("panel_traffic_log_test", Page(Handle), "/panel/traffic-log/test", traffic_log::test),

        get("panel_ikev2", Page(See), "/panel/ikev2", ikev2::show),
        post("panel_ikev2_enable", Page(Handle), "/panel/ikev2", ikev2::enable),
        get("panel_ca_file", Page(See), "/panel/ikev2/ca.pem", ikev2::ca_file),
        post("panel_ca_generate", Page(Handle), "/panel/ikev2/ca/generate", ikev2::generate_ca),
        post("panel_ca_import", Page(Handle), "/panel/ikev2/ca/import", ikev2::import_ca),
        post("panel_ca_delete", Page(Handle), "/panel/ikev2/ca/delete", ikev2::delete_ca),
        post("panel_certificate_generate", Page(Handle), "/panel/ikev2/server/generate", ikev2::generate_server),
        post("panel_certificate_delete", Page(Handle), "/panel/ikev2/server/delete", ikev2::delete_server),
        get("panel_ikev2_advanced", Page(See), "/panel/ikev2/advanced", ikev2::advanced),
        post("panel_ikev2_advanced_edit", Page(Handle), "/panel/ikev2/advanced", ikev2::edit_advanced),
        post("panel_ikev2_default", Page(Handle), "/panel/ikev2/advanced/default", ikev2::default_advanced),
    ]
}

/// The appliance itself.
#[rustfmt::skip]
fn appliance() -> Vec<Route> {
    vec![
        get("panel_settings", Page(See), "/panel/settings", settings::show),
        post("panel_settings_edit", Page(Administer), "/panel/settings", settings::edit),
        post("panel_host_edit", Page(Administer), "/panel/settings/host", settings::edit_host),
        post("panel_settings_reset", Page(Administer), "/panel/settings/reset", settings::reset),
        post("panel_settings_reload", Page(Administer), "/panel/settings/reload", settings::reload),
        get("panel_certificate", Page(See), "/panel/certificate", certificate::show),
        post("panel_certificate_ask", Page(Administer), "/panel/certificate/ask", certificate::ask),
        post("panel_certificate_bring", Page(Administer), "/panel/certificate/own", certificate::bring),
        post("panel_certificate_make", Page(Administer), "/panel/certificate/make", certificate::make),
        post("panel_certificate_withdraw", Page(Administer), "/panel/certificate/withdraw", certificate::withdraw),
        get("panel_users", Page(Administer), "/panel/users", users::list),
        post("panel_user_add", Page(Administer), "/panel/users", users::add),
        get("panel_user", Page(Administer), "/panel/users/{name}", users::show),
        post("panel_user_edit", Page(Administer), "/panel/users/{name}", users::edit),
        post("panel_user_password", Page(Administer), "/panel/users/{name}/password", users::password),
        post("panel_user_session_end", Page(Administer), "/panel/users/{name}/sessions/{id}/end", users::end),
        post("panel_user_unlock", Page(Administer), "/panel/users/{name}/unlock", users::unlock),
        post("panel_user_factor_remove", Page(Administer), "/panel/users/{name}/factor/remove", users::remove_factor),
        post("panel_user_delete", Page(Administer), "/panel/users/{name}/delete", users::remove),
        get("panel_access", Page(Administer), "/panel/access", access::list),
        post("panel_access_add", Page(Administer), "/panel/access", access::add),
        post("panel_access_delete", Page(Administer), "/panel/access/delete", access::remove),
        get("panel_webhooks", Page(Administer), "/panel/webhooks", webhooks::list),
        post("panel_webhook_add", Page(Administer), "/panel/webhooks", webhooks::add),
        get("panel_webhook", Page(Administer), "/panel/webhooks/{name}", webhooks::show),
        post("panel_webhook_edit", Page(Administer), "/panel/webhooks/{name}", webhooks::edit),
        post("panel_webhook_status", Page(Administer), "/panel/webhooks/{name}/status", webhooks::toggle),
        post("panel_webhook_delete", Page(Administer), "/panel/webhooks/{name}/delete", webhooks::remove),
        post("panel_webhook_test", Page(Administer), "/panel/webhooks/{name}/test", webhooks::test),
    ]
}

/// What is kept and handed on: one-time links, backups, the audit log, and what this is.
#[rustfmt::skip]
fn keeping() -> Vec<Route> {
    vec![
        get("panel_links", Page(SeeAccounts), "/panel/links", links::list),
        post("panel_link_withdraw", Page(HandleAccounts), "/panel/links/{name}/withdraw", links::withdraw),
        get("panel_link_preview", Page(See), "/panel/links/preview", links::preview),
        get("panel_link_page", Page(See), "/panel/links/page", links::ask_page),
        post("panel_link_page_edit", Page(Handle), "/panel/links/page", links::edit_page),
        get("panel_link_wireguard", Page(See), "/panel/links/wireguard", links::ask_wireguard),
        post("panel_link_wireguard_edit", Page(Handle), "/panel/links/wireguard", links::edit_wireguard),
        get("panel_link_ikev2", Page(See), "/panel/links/ikev2", links::ask_ikev2),
        post("panel_link_ikev2_edit", Page(Handle), "/panel/links/ikev2", links::edit_ikev2),

        get("panel_backups", Page(See), "/panel/backups", backups::list),
        post("panel_backup_create", Page(Handle), "/panel/backups", backups::create),
        post("panel_backup_upload", Page(Handle), "/panel/backups/{filename}/upload", backup_files::upload),
        get("panel_backup_file", Page(Administer), "/panel/backups/{filename}/file", backup_files::download),
        get("panel_backup_look", Page(Administer), "/panel/backups/{filename}/restore", backups::ask_restore),
        post("panel_backup_restore", Page(Administer), "/panel/backups/{filename}/restore", backups::restore),
        post("panel_backup_delete", Page(Handle), "/panel/backups/{filename}/delete", backups::delete),
        get("panel_backup_settings", Page(Administer), "/panel/backup-settings", backups::ask_settings),
        post("panel_backup_edit", Page(Administer), "/panel/backup-settings", backups::edit),
        post("panel_backup_test", Page(Administer), "/panel/backup-settings/test", backups::test),

        get("panel_audit", Page(See), "/panel/audit", audit::list),
        get("panel_about", Page(SeeAccounts), "/panel/about", about::show),
    ]
}
