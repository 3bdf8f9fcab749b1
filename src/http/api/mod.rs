//! Handlers, a noun a file: they know the contract's field names and types, and nothing else.

pub(super) mod access;
pub(super) mod accounts;
pub(super) mod servers;
pub(super) mod system;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::error::Problem;
use crate::domain::refusal::Refusal;

/// What a write answers that has nothing to show.
const DONE: &str = "success";

/// The name in a request's path, unescaped. Whether something has this name is the service's business.
pub(crate) struct Named(String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // only a path that is no text fails, and such a path names nothing
        let name = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Refusal::PathUnknown)?;
        Ok(Self(name.0))
    }
}
