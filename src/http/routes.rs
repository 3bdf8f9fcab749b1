//! THE table: every endpoint once, with its id in the contract, who may call it (of those who show an access hash, who has
//! this right), its paths and its handler.
//!
//! The router is built from it and the contract's test reads it. A new endpoint is a new row.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::api::{
    access, accounts, audit, backups, dns, firewall, ikev2, links, port_forwards, servers, system, traffic,
    traffic_log, users, webhooks,
};
use super::{landing, link_page, metrics, openapi, panel};
use crate::domain::access::Right;
use crate::services::Services;

use Admission::{Anyone, Key, Link, Operator};
use Right::{Administer, Handle, HandleAccounts, See, SeeAccounts};

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Whoever reaches the port.
    Anyone,
    /// Whoever reaches the port; wrong keys of one-time links are limited.
    Link,
    /// Who shows a valid access hash; and the operator.
    Key,
    /// The operator alone, over the local socket.
    Operator,
    /// Whoever has a browser: the panel's pages before the login.
    Guest,
    /// Who is logged in to the panel.
    Session,
}

/// Who may call, in a row.
pub(super) struct Who(Admission, Right);

/// Who is logged in to the panel and has this right, in a row.
pub(super) struct Page(pub(super) Right);

impl From<Page> for Who {
    fn from(Page(right): Page) -> Self {
        Self(Admission::Session, right)
    }
}

impl From<Right> for Who {
    /// Whoever shows an access hash, and has this right.
    fn from(right: Right) -> Self {
        Self(Key, right)
    }
}

impl From<Admission> for Who {
    /// Where a row says nothing of a right, it is an admin's.
    fn from(admission: Admission) -> Self {
        Self(admission, Administer)
    }
}

/// A row.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its id in the contract, or, beyond the contract, one of our own.
    pub id: &'static str,
    /// Who may call.
    pub admission: Admission,
    /// What of those who show an access hash, or a session, he must have.
    pub right: Right,
    /// The methods that it takes, the contract's first.
    pub methods: Vec<Method>,
    /// Its paths, the contract's first, then what is also accepted.
    pub paths: Vec<&'static str>,
    handler: MethodRouter<Services>,
}

/// Every endpoint for programs.
pub fn table() -> Vec<Route> {
    [tunnels(), beside(), operators()].concat()
}

/// Every endpoint: those for programs, and the panel's pages.
pub fn every() -> Vec<Route> {
    [table(), panel::rows()].concat()
}

/// The appliance, its servers and their accounts.
#[rustfmt::skip]
fn tunnels() -> Vec<Route> {
    vec![
        get("landing", Anyone, "/", landing::page),
        get("openapi", Anyone, "/api/openapi.json", openapi::json),
        get("docs", Anyone, "/api/docs", openapi::docs),
        get("docs_script", Anyone, "/api/docs/search.js", openapi::script),
        get("link_page", Link, "/otl/{key}", link_page::ask),
        post("link_page_open", Link, "/otl/{key}", link_page::open),

        get("system_status", See, "/api/v1/system/status", system::status),
        get("system_info", See, "/api/v1/system/info", system::info),
        put("system_reload", Handle, "/api/v1/system/reload", system::reload),
        get("system_config", See, "/api/v1/system/config", system::config),
        put("system_config_edit", Administer, "/api/v1/system/config", system::edit_config),
        put("system_config_default", Administer, "/api/v1/system/config/default", system::reset_config),

        get("wireguard_info", See, "/api/v1/wireguard/info", system::wireguard_versions),
        get("wireguard_list", SeeAccounts, "/api/v1/wireguard", servers::list),
        post("wireguard_add", Handle, "/api/v1/wireguard", servers::add),
        get("wireguard_online", SeeAccounts, "/api/v1/wireguard/online", servers::online),
        get("wireguard_detail", See, "/api/v1/wireguard/{name}", servers::detail),
        put("wireguard_edit", Handle, "/api/v1/wireguard/{name}", servers::edit),
        delete("wireguard_delete", Handle, "/api/v1/wireguard/{name}", servers::delete),
        get("wireguard_peers", See, "/api/v1/wireguard/{name}/peers", servers::peers),
        get("port_forward_list", See, "/api/v1/wireguard/{name}/port_forward", port_forwards::list).also("/api/v1/wireguard/{name}/port_forwarding"),
        post("port_forward_add", Handle, "/api/v1/wireguard/{name}/port_forwarding", port_forwards::add).also("/api/v1/wireguard/{name}/port_forward"),
        delete("port_forward_delete", Handle, "/api/v1/wireguard/{name}/port_forwarding/{dst_port}/{protocol}", port_forwards::delete).also("/api/v1/wireguard/{name}/port_forward/{dst_port}/{protocol}"),
        get("server_nat_rules", See, "/api/v1/wireguard/{name}/firewall_nat_rules", servers::nat_rules),
        get("server_filter_rules", See, "/api/v1/wireguard/{name}/firewall_filter_rules", servers::filter_rules),
        get("server_traffic_control", See, "/api/v1/wireguard/{name}/traffic_control", servers::traffic_control),
        get("server_dump", See, "/api/v1/wireguard/{name}/dump", servers::dump),
        get("server_available_ips", See, "/api/v1/wireguard/{name}/available_ips", servers::available_ips),
        put_or_get("server_set_bandwidth", Handle, "/api/v1/wireguard/{name}/set_bandwidth", servers::set_bandwidth),

        get("account_list", SeeAccounts, "/api/v1/account", accounts::list),
        post("account_add", HandleAccounts, "/api/v1/account", accounts::add),
        get("account_detail", SeeAccounts, "/api/v1/account/{name}", accounts::detail),
        put("account_edit", HandleAccounts, "/api/v1/account/{name}", accounts::edit),
        delete("account_delete", HandleAccounts, "/api/v1/account/{name}", accounts::delete),
        get("account_config_text", HandleAccounts, "/api/v1/account/{name}/config_text", accounts::config_text),
        get("account_config_qr", HandleAccounts, "/api/v1/account/{name}/config_qr", accounts::config_qr),
        get("account_mangle_rules", SeeAccounts, "/api/v1/account/{name}/firewall_mangle_rules", accounts::mangle_rules),
        get("account_traffic_control", SeeAccounts, "/api/v1/account/{name}/traffic_control", accounts::traffic_control),
        get("account_dump", SeeAccounts, "/api/v1/account/{name}/dump", accounts::dump),
        get("account_connections", SeeAccounts, "/api/v1/account/{name}/connections", accounts::connections),
        get("account_otl", HandleAccounts, "/api/v1/account/{name}/otl", links::add),
        delete("account_otl_withdraw", HandleAccounts, "/api/v1/account/{name}/otl", links::withdraw),

        get("account_traffic_statistics", SeeAccounts, "/api/v1/account/{name}/traffic_statistics/{year}/{month}", traffic::month),
        get("account_traffic_hourly", SeeAccounts, "/api/v1/account/{name}/traffic_hourly/{year}/{month}/{day}", traffic::day),

        get("license", See, "/api/v1/license", system::license),
    ]
}

/// What stands beside them.
#[rustfmt::skip]
fn beside() -> Vec<Route> {
    vec![
        get("otl_config", See, "/api/v1/otl/config", links::page),
        put("otl_config_edit", Handle, "/api/v1/otl/config", links::edit_page),
        get("otl_list", HandleAccounts, "/api/v1/otl/list", links::list),
        get("otl_config_wireguard", See, "/api/v1/otl/config_wireguard", links::wireguard),
        put("otl_config_wireguard_edit", Handle, "/api/v1/otl/config_wireguard", links::edit_wireguard),
        get("otl_config_ikev2", See, "/api/v1/otl/config_ikev2", links::ikev2),
        put("otl_config_ikev2_edit", Handle, "/api/v1/otl/config_ikev2", links::edit_ikev2),

        get("firewall_info", See, "/api/v1/firewall/info", firewall::info),
        get("firewall_conf", See, "/api/v1/firewall/conf", firewall::conf),
        put("firewall_conf_edit", Handle, "/api/v1/firewall/conf", firewall::edit_conf),
        get("firewall_filter_list", See, "/api/v1/firewall/rules/filter", firewall::rules),
        // one place in the tree, so one name in the path: of an end of the list, and of a rule
        post("firewall_filter_add", Handle, "/api/v1/firewall/rules/filter/{name}", firewall::add_rule),
        put("firewall_filter_move", Handle, "/api/v1/firewall/rules/filter/{name}", firewall::move_rule),
        delete("firewall_filter_delete", Handle, "/api/v1/firewall/rules/filter/{name}", firewall::delete_rule),
        get("firewall_nat_list", See, "/api/v1/firewall/rules/nat", firewall::nat_rows),
        get("firewall_mangle_list", See, "/api/v1/firewall/rules/mangle", firewall::mark_rows),

        get("dns", See, "/api/v1/dns", dns::show),
        put("dns_edit", Handle, "/api/v1/dns", dns::edit),

        get("traffic_logging", Handle, "/api/v1/traffic_logging", traffic_log::show).also("/api/v1/system/traffic_logging"),
        put("traffic_logging_edit", Handle, "/api/v1/traffic_logging", traffic_log::edit),
        post("traffic_logging_test", Handle, "/api/v1/traffic_logging/test", traffic_log::test),

        get("ikev2_info", See, "/api/v1/ikev2/info", ikev2::info),
        get("ikev2_config", Handle, "/api/v1/ikev2/config", ikev2::config),
        put("ikev2_import_ca", Handle, "/api/v1/ikev2/import_ca_rsa", ikev2::import_ca),
        put("ikev2_generate_ca", Handle, "/api/v1/ikev2/generate_ca_rsa", ikev2::generate_ca),
        delete("ikev2_delete_ca", Handle, "/api/v1/ikev2/delete_ca_rsa", ikev2::delete_ca),
        put("ikev2_generate_server", Handle, "/api/v1/ikev2/generate_server_rsa", ikev2::generate_server),
        delete("ikev2_delete_server", Handle, "/api/v1/ikev2/delete_server_rsa", ikev2::delete_server),
        put("ikev2_enable", Handle, "/api/v1/ikev2", ikev2::enable),
        get("ikev2_advanced", See, "/api/v1/ikev2/advanced_settings", ikev2::advanced),
        put("ikev2_advanced_edit", Handle, "/api/v1/ikev2/advanced_settings", ikev2::edit_advanced),
        put("ikev2_advanced_default", Handle, "/api/v1/ikev2/advanced_settings/default", ikev2::default_advanced),
        get("ikev2_online", SeeAccounts, "/api/v1/ikev2/online", ikev2::online),
        delete("ikev2_drop", HandleAccounts, "/api/v1/ikev2/online/{name}", ikev2::disconnect),
        get("account_ikev2_profile", HandleAccounts, "/api/v1/account/{name}/ikev2_profile", ikev2::sswan),
        get("account_ikev2_mobileconfig", HandleAccounts, "/api/v1/account/{name}/ikev2_mobileconfig", ikev2::mobileconfig),
        get("account_ikev2_powershell", HandleAccounts, "/api/v1/account/{name}/ikev2_powershell", ikev2::powershell),

        get("backups", See, "/api/v1/backups", backups::list).also("/api/v1/system/backups"),
        post("backup_create", Handle, "/api/v1/backups", backups::create),
        put("backup_restore", Administer, "/api/v1/backups/restore", backups::restore),
        get("backups_config", Administer, "/api/v1/backups/config", backups::settings),
        put("backups_config_edit", Administer, "/api/v1/backups/config", backups::edit),
        post("backups_config_test", Administer, "/api/v1/backups/config/test", backups::test),
        get("backup_download", Administer, "/api/v1/backups/{filename}", backups::download),
        post("backup_upload", Handle, "/api/v1/backups/{filename}", backups::upload),
        delete("backup_delete", Handle, "/api/v1/backups/{filename}", backups::delete),

        get("webhook_list", Administer, "/api/v1/webhooks", webhooks::list),
        post("webhook_add", Administer, "/api/v1/webhooks", webhooks::add),
        put("webhook_edit", Administer, "/api/v1/webhooks/{name}", webhooks::edit),
        delete("webhook_delete", Administer, "/api/v1/webhooks/{name}", webhooks::remove),
        post("webhook_test", Administer, "/api/v1/webhooks/{name}/test", webhooks::test),

        get("metrics", See, "/metrics", metrics::page),
        get("audit", See, "/api/v1/audit", audit::list),
    ]
}

/// What the operator alone may ask, on this host.
#[rustfmt::skip]
fn operators() -> Vec<Route> {
    vec![
        get("local_status", Operator, "/local/v1/status", system::appliance),
        get("local_access_list", Operator, "/local/v1/access", access::list),
        post("local_access_add", Operator, "/local/v1/access", access::add),
        delete("local_access_remove", Operator, "/local/v1/access/{label}", access::remove),
        get("local_user_list", Operator, "/local/v1/users", users::list),
        post("local_user_add", Operator, "/local/v1/users", users::add),
        put("local_user_edit", Operator, "/local/v1/users/{name}", users::edit),
        delete("local_user_remove", Operator, "/local/v1/users/{name}", users::remove),
        put("local_user_password", Operator, "/local/v1/users/{name}/password", users::password),
        put("local_user_unlock", Operator, "/local/v1/users/{name}/unlock", users::unlock),
        delete("local_user_second_factor_remove", Operator, "/local/v1/users/{name}/second_factor", users::remove_second_factor),
        get("local_account_config_qr_text", Operator, "/local/v1/account/{name}/config_qr_text", accounts::config_qr_text).also("/local/v1/account/{name}/qr_text"),
    ]
}

impl Route {
    /// Also answers at `path`.
    #[must_use]
    pub fn also(mut self, path: &'static str) -> Self {
        self.paths.push(path);
        self
    }

    /// Whether it is a page of the panel, or sent by one.
    pub(super) fn is_page(&self) -> bool {
        matches!(self.admission, Admission::Guest | Admission::Session)
    }

    /// What is to be called at each of its paths.
    pub(super) fn endpoint(&self) -> MethodRouter<Services> {
        self.handler.clone()
    }
}

pub(super) fn get<T>(
    id: &'static str,
    who: impl Into<Who>,
    path: &'static str,
    handler: impl Handler<T, Services>,
) -> Route
where
    T: 'static,
{
    row(id, who.into(), vec![Method::GET], path, on(MethodFilter::GET, handler))
}

pub(super) fn post<T>(
    id: &'static str,
    who: impl Into<Who>,
    path: &'static str,
    handler: impl Handler<T, Services>,
) -> Route
where
    T: 'static,
{
    row(id, who.into(), vec![Method::POST], path, on(MethodFilter::POST, handler))
}

fn put<T>(id: &'static str, who: impl Into<Who>, path: &'static str, handler: impl Handler<T, Services>) -> Route
where
    T: 'static,
{
    row(id, who.into(), vec![Method::PUT], path, on(MethodFilter::PUT, handler))
}

fn put_or_get<T>(id: &'static str, who: impl Into<Who>, path: &'static str, handler: impl Handler<T, Services>) -> Route
where
    T: 'static,
{
    let either = MethodFilter::PUT.or(MethodFilter::GET);
    row(id, who.into(), vec![Method::PUT, Method::GET], path, on(either, handler))
}

fn delete<T>(id: &'static str, who: impl Into<Who>, path: &'static str, handler: impl Handler<T, Services>) -> Route
where
    T: 'static,
{
    row(id, who.into(), vec![Method::DELETE], path, on(MethodFilter::DELETE, handler))
}

fn row(
    id: &'static str,
    Who(admission, right): Who,
    methods: Vec<Method>,
    path: &'static str,
    handler: MethodRouter<Services>,
) -> Route {
    Route { id, admission, right, methods, paths: vec![path], handler }
}
