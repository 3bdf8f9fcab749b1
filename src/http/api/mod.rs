//! Handlers, a noun a file: they know the contract's field names and types, and nothing else.

pub(super) mod access;
pub(in crate::http) mod accounts;
pub(super) mod audit;
pub(super) mod backups;
pub(super) mod dns;
pub(super) mod firewall;
pub(super) mod ikev2;
pub(super) mod links;
pub(super) mod port_forwards;
pub(super) mod servers;
pub(super) mod system;
mod text;
pub(super) mod traffic;
pub(super) mod traffic_log;
pub(super) mod users;
pub(super) mod webhooks;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::Problem;
use super::openapi::operation::Group;
use crate::domain::refusal::Refusal;

/// What a write answers that has nothing to show.
const DONE: &str = "success";

/// What the endpoints below `/api/v1` are, in the order in which people read it.
pub(super) fn described() -> Vec<Group> {
    vec![
        system::described(),
        servers::described(),
        port_forwards::described(),
        accounts::described(),
        traffic::described(),
        links::described(),
        firewall::described(),
        dns::described(),
        traffic_log::described(),
        ikev2::described(),
        backups::described(),
        webhooks::described(),
        audit::described(),
        access::described(),
        users::described(),
    ]
}

/// The name in a request's path, unescaped, or all the names where there are several. Whether something has this name is
/// the service's business.
pub(crate) struct Named<T = String>(T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // only a path that is no text fails, and such a path names nothing
        let name = Path::<T>::from_request_parts(parts, state).await.map_err(|_| Refusal::PathUnknown)?;
        Ok(Self(name.0))
    }
}
