//! THE table: every endpoint once, with its id in the contract, who may call it, its paths and its handler.
//!
//! The router is built from it and the contract's test reads it. A new endpoint is a new row.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::api::{
    access, accounts, audit, backups, dns, firewall, ikev2, links, port_forwards, servers, system, traffic,
    traffic_log, webhooks,
};
use super::{landing, link_page, metrics, openapi, panel};
use crate::services::Services;

use Admission::{Anyone, Key, Link, Operator};

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

/// A row.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its id in the contract, or, beyond the contract, one of our own.
    pub id: &'static str,
    /// Who may call.
    pub admission: Admission,
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

        get("system_status", Key, "/api/v1/system/status", system::status),
        get("system_info", Key, "/api/v1/system/info", system::info),
        put("system_reload", Key, "/api/v1/system/reload", system::reload),
        get("system_config", Key, "/api/v1/system/config", system::config),
        put("system_config_edit", Key, "/api/v1/system/config", system::edit_config),
        put("system_config_default", Key, "/api/v1/system/config/default", system::reset_config),

        get("wireguard_info", Key, "/api/v1/wireguard/info", system::wireguard_versions),
        get("wireguard_list", Key, "/api/v1/wireguard", servers::list),
        post("wireguard_add", Key, "/api/v1/wireguard", servers::add),
        get("wireguard_online", Key, "/api/v1/wireguard/online", servers::online),
        get("wireguard_detail", Key, "/api/v1/wireguard/{name}", servers::detail),
        put("wireguard_edit", Key, "/api/v1/wireguard/{name}", servers::edit),
        delete("wireguard_delete", Key, "/api/v1/wireguard/{name}", servers::delete),
        get("wireguard_peers", Key, "/api/v1/wireguard/{name}/peers", servers::peers),
        get("port_forward_list", Key, "/api/v1/wireguard/{name}/port_forward", port_forwards::list).also("/api/v1/wireguard/{name}/port_forwarding"),
        post("port_forward_add", Key, "/api/v1/wireguard/{name}/port_forwarding", port_forwards::add).also("/api/v1/wireguard/{name}/port_forward"),
        delete("port_forward_delete", Key, "/api/v1/wireguard/{name}/port_forwarding/{dst_port}/{protocol}", port_forwards::delete).also("/api/v1/wireguard/{name}/port_forward/{dst_port}/{protocol}"),
        get("server_nat_rules", Key, "/api/v1/wireguard/{name}/firewall_nat_rules", servers::nat_rules),
        get("server_filter_rules", Key, "/api/v1/wireguard/{name}/firewall_filter_rules", servers::filter_rules),
        get("server_traffic_control", Key, "/api/v1/wireguard/{name}/traffic_control", servers::traffic_control),
        get("server_dump", Key, "/api/v1/wireguard/{name}/dump", servers::dump),
        get("server_available_ips", Key, "/api/v1/wireguard/{name}/available_ips", servers::available_ips),
        put_or_get("server_set_bandwidth", Key, "/api/v1/wireguard/{name}/set_bandwidth", servers::set_bandwidth),

        get("account_list", Key, "/api/v1/account", accounts::list),
        post("account_add", Key, "/api/v1/account", accounts::add),
        get("account_detail", Key, "/api/v1/account/{name}", accounts::detail),
        put("account_edit", Key, "/api/v1/account/{name}", accounts::edit),
        delete("account_delete", Key, "/api/v1/account/{name}", accounts::delete),
        get("account_config_text", Key, "/api/v1/account/{name}/config_text", accounts::config_text),
        get("account_config_qr", Key, "/api/v1/account/{name}/config_qr", accounts::config_qr),
        get("account_mangle_rules", Key, "/api/v1/account/{name}/firewall_mangle_rules", accounts::mangle_rules),
        get("account_traffic_control", Key, "/api/v1/account/{name}/traffic_control", accounts::traffic_control),
        get("account_dump", Key, "/api/v1/account/{name}/dump", accounts::dump),
        get("account_connections", Key, "/api/v1/account/{name}/connections", accounts::connections),
        get("account_otl", Key, "/api/v1/account/{name}/otl", links::add),
        delete("account_otl_withdraw", Key, "/api/v1/account/{name}/otl", links::withdraw),

        get("account_traffic_statistics", Key, "/api/v1/account/{name}/traffic_statistics/{year}/{month}", traffic::month),
        get("account_traffic_hourly", Key, "/api/v1/account/{name}/traffic_hourly/{year}/{month}/{day}", traffic::day),

        get("license", Key, "/api/v1/license", system::license),
    ]
}

/// What stands beside them.
#[rustfmt::skip]
fn beside() -> Vec<Route> {
    vec![
        get("otl_config", Key, "/api/v1/otl/config", links::page),
        put("otl_config_edit", Key, "/api/v1/otl/config", links::edit_page),
        get("otl_list", Key, "/api/v1/otl/list", links::list),
        get("otl_config_wireguard", Key, "/api/v1/otl/config_wireguard", links::wireguard),
        put("otl_config_wireguard_edit", Key, "/api/v1/otl/config_wireguard", links::edit_wireguard),
        get("otl_config_ikev2", Key, "/api/v1/otl/config_ikev2", links::ikev2),
        put("otl_config_ikev2_edit", Key, "/api/v1/otl/config_ikev2", links::edit_ikev2),

        get("firewall_info", Key, "/api/v1/firewall/info", firewall::info),
        get("firewall_conf", Key, "/api/v1/firewall/conf", firewall::conf),
        put("firewall_conf_edit", Key, "/api/v1/firewall/conf", firewall::edit_conf),
        get("firewall_filter_list", Key, "/api/v1/firewall/rules/filter", firewall::rules),
        // one place in the tree, so one name in the path: of an end of the list, and of a rule
        post("firewall_filter_add", Key, "/api/v1/firewall/rules/filter/{name}", firewall::add_rule),
        delete("firewall_filter_delete", Key, "/api/v1/firewall/rules/filter/{name}", firewall::delete_rule),
        get("firewall_nat_list", Key, "/api/v1/firewall/rules/nat", firewall::nat_rows),
        get("firewall_mangle_list", Key, "/api/v1/firewall/rules/mangle", firewall::mark_rows),

        get("dns", Key, "/api/v1/dns", dns::show),
        put("dns_edit", Key, "/api/v1/dns", dns::edit),

        get("traffic_logging", Key, "/api/v1/traffic_logging", traffic_log::show).also("/api/v1/system/traffic_logging"),
        put("traffic_logging_edit", Key, "/api/v1/traffic_logging", traffic_log::edit),

        get("ikev2_info", Key, "/api/v1/ikev2/info", ikev2::info),
        get("ikev2_config", Key, "/api/v1/ikev2/config", ikev2::config),
        put("ikev2_import_ca", Key, "/api/v1/ikev2/import_ca_rsa", ikev2::import_ca),
        put("ikev2_generate_ca", Key, "/api/v1/ikev2/generate_ca_rsa", ikev2::generate_ca),
        delete("ikev2_delete_ca", Key, "/api/v1/ikev2/delete_ca_rsa", ikev2::delete_ca),
        put("ikev2_generate_server", Key, "/api/v1/ikev2/generate_server_rsa", ikev2::generate_server),
        delete("ikev2_delete_server", Key, "/api/v1/ikev2/delete_server_rsa", ikev2::delete_server),
        put("ikev2_enable", Key, "/api/v1/ikev2", ikev2::enable),
        get("ikev2_advanced", Key, "/api/v1/ikev2/advanced_settings", ikev2::advanced),
        put("ikev2_advanced_edit", Key, "/api/v1/ikev2/advanced_settings", ikev2::edit_advanced),
        put("ikev2_advanced_default", Key, "/api/v1/ikev2/advanced_settings/default", ikev2::default_advanced),
        get("ikev2_online", Key, "/api/v1/ikev2/online", ikev2::online),
        delete("ikev2_drop", Key, "/api/v1/ikev2/online/{name}", ikev2::disconnect),
        get("account_ikev2_profile", Key, "/api/v1/account/{name}/ikev2_profile", ikev2::sswan),
        get("account_ikev2_mobileconfig", Key, "/api/v1/account/{name}/ikev2_mobileconfig", ikev2::mobileconfig),
        get("account_ikev2_powershell", Key, "/api/v1/account/{name}/ikev2_powershell", ikev2::powershell),

        get("backups", Key, "/api/v1/backups", backups::list).also("/api/v1/system/backups"),
        post("backup_create", Key, "/api/v1/backups", backups::create),
        put("backup_restore", Key, "/api/v1/backups/restore", backups::restore),
        get("backups_config", Key, "/api/v1/backups/config", backups::settings),
        put("backups_config_edit", Key, "/api/v1/backups/config", backups::edit),
        get("backup_download", Key, "/api/v1/backups/{filename}", backups::download),
        post("backup_upload", Key, "/api/v1/backups/{filename}", backups::upload),
        delete("backup_delete", Key, "/api/v1/backups/{filename}", backups::delete),

        get("webhook_list", Key, "/api/v1/webhooks", webhooks::list),
        post("webhook_add", Key, "/api/v1/webhooks", webhooks::add),
        put("webhook_edit", Key, "/api/v1/webhooks/{name}", webhooks::edit),
        delete("webhook_delete", Key, "/api/v1/webhooks/{name}", webhooks::remove),
        post("webhook_test", Key, "/api/v1/webhooks/{name}/test", webhooks::test),

        get("metrics", Key, "/metrics", metrics::page),
        get("audit", Key, "/api/v1/audit", audit::list),
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

pub(super) fn get<T>(id: &'static str, admission: Admission, path: &'static str, handler: impl Handler<T, Services>) -> Route
where
    T: 'static,
{
    row(id, admission, vec![Method::GET], path, on(MethodFilter::GET, handler))
}

pub(super) fn post<T>(id: &'static str, admission: Admission, path: &'static str, handler: impl Handler<T, Services>) -> Route
where
    T: 'static,
{
    row(id, admission, vec![Method::POST], path, on(MethodFilter::POST, handler))
}

fn put<T>(id: &'static str, admission: Admission, path: &'static str, handler: impl Handler<T, Services>) -> Route
where
    T: 'static,
{
    row(id, admission, vec![Method::PUT], path, on(MethodFilter::PUT, handler))
}

fn put_or_get<T>(
    id: &'static str,
    admission: Admission,
    path: &'static str,
    handler: impl Handler<T, Services>,
) -> Route
where
    T: 'static,
{
    let either = MethodFilter::PUT.or(MethodFilter::GET);
    row(id, admission, vec![Method::PUT, Method::GET], path, on(either, handler))
}

fn delete<T>(id: &'static str, admission: Admission, path: &'static str, handler: impl Handler<T, Services>) -> Route
where
    T: 'static,
{
    row(id, admission, vec![Method::DELETE], path, on(MethodFilter::DELETE, handler))
}

fn row(
    id: &'static str,
    admission: Admission,
    methods: Vec<Method>,
    path: &'static str,
    handler: MethodRouter<Services>,
) -> Route {
    Route { id, admission, methods, paths: vec![path], handler }
}
