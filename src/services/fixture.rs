//! What other rooms' tests stand on: services over a new store, and a runtime that runs nothing.

use jiff::tz::TimeZone;
use tempfile::TempDir;

use super::{Services, Settings};
use crate::domain::access::AccessDraft;
use crate::domain::limits;
use crate::runtime::Runtime;
use crate::store::Store;

/// Services over a new store. The folder, which holds everything that they write, lives as long as the test.
pub(crate) fn services() -> (TempDir, Services) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        accounts_cap: None,
        time_zone: Some(TimeZone::UTC),
        external_ip: Some([192, 0, 2, 1].into()),
        endpoint: None,
        data: folder.path().into(),
        api_port: limits::API_PORT,
        public_url: None,
        listen_url: None,
        version: "0.0.0".into(),
        has_certificate: false,
    };
    let store = Store::open(folder.path()).unwrap();
    let services = Services::new(store, Runtime::detached(), settings);
    (folder, services)
}

/// What is asked of an access hash that only has a label and an address to come from.
pub(crate) fn hash_from(label: &str, ip: &str) -> AccessDraft {
    AccessDraft { label: Some(label.into()), ip: Some(ip.into()), ..AccessDraft::default() }
}
