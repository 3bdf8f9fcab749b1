//! `port_forward_*`.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;

use super::{DONE, Named};
use crate::domain::access::Caller;
use crate::domain::port_forward::{PortForward, PortForwardDraft};
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::services::Services;

/// Lists a server's port forwards, by port and protocol.
pub(crate) async fn list(
    State(services): State<Services>,
    Named(server): Named,
) -> Answer<BTreeMap<String, ForwardView>> {
    let forwards = services.forwards.list(&server)?;
    Ok(Success(forwards.iter().map(|forward| (forward.outer.to_string(), ForwardView::from(forward))).collect()))
}

/// Adds a port forward to a server.
pub(crate) async fn add(
    State(services): State<Services>,
    caller: Caller,
    Named(server): Named,
    fields: Fields,
) -> Answer<ForwardView> {
    let draft = PortForwardDraft {
        dst_port: fields.text("dst_port"),
        protocol: fields.text("protocol"),
        to_peer: fields.text("to_peer"),
        to_port: fields.text("to_port"),
    };
    let forward = services.forwards.add(&caller, &server, draft).await?;
    Ok(Success(ForwardView::from(&forward)))
}

/// Deletes a port forward of a server.
pub(crate) async fn delete(
    State(services): State<Services>,
    caller: Caller,
    Named((server, port, protocol)): Named<(String, String, String)>,
) -> Answer<&'static str> {
    services.forwards.remove(&caller, &server, &port, &protocol).await?;
    Ok(Success(DONE))
}

/// A port forward as clients read it; its ports are numbers.
#[derive(Serialize)]
pub(crate) struct ForwardView {
    dst_port: u16,
    protocol: &'static str,
    to_peer: String,
    to_port: u16,
}

impl From<&PortForward> for ForwardView {
    fn from(forward: &PortForward) -> Self {
        Self {
            dst_port: forward.outer.port,
            protocol: forward.outer.protocol.word(),
            to_peer: forward.to_peer.to_string(),
            to_port: forward.to_port,
        }
    }
}
