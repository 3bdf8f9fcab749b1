//! `port_forward_*`.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{DONE, Named};
use crate::domain::access::Caller;
use crate::domain::port_forward::{PortForward, PortForwardDraft, Transport};
use crate::domain::refusal::Refusal;
use crate::http::envelope::{Answer, Success};
use crate::http::form::Fields;
use crate::http::openapi::field::{Field, Kind, number, words};
use crate::http::openapi::operation::{Group, Operation, Shape};
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
    let forward = services.forwards.add(&caller, &server, draft(&fields)).await?;
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

/// What a form says.
pub(in crate::http) fn draft(fields: &Fields) -> PortForwardDraft {
    PortForwardDraft {
        dst_port: fields.text("dst_port"),
        protocol: fields.text("protocol"),
        to_peer: fields.text("to_peer"),
        to_port: fields.text("to_port"),
    }
}

/// A port forward as clients read it; its ports are numbers.
#[derive(Serialize, ToSchema)]
#[schema(as = PortForward)]
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

/// What the document says of these.
pub(crate) fn described() -> Group {
    let protocols = Transport::ALL.map(Transport::word);
    let port = || number("dst_port", 1..=u16::MAX, "The port of the external address.").such_as("8080");
    let protocol = || words("protocol", protocols, "The protocol.").such_as("tcp");
    let form = [
        port().required(),
        protocol().required(),
        Field::new("to_peer", Kind::Name, "An account of this server.").required().such_as("peer_1"),
        number("to_port", 1..=u16::MAX, "The account's port.").required().such_as("80"),
    ];
    Group {
        name: "Port forwards",
        about: "Ports of the external address that lead to a client.",
        named: ("The server's name.", "Default_1"),
        operations: vec![
            Operation::new("port_forward_list", "Lists a server's port forwards", Shape::by_name::<ForwardView>())
                .about("By port and protocol: `8080_tcp`.")
                .refuses([Refusal::ServerNotFound]),
            Operation::new("port_forward_add", "Forwards a port", Shape::of::<ForwardView>()).form(form).refuses([
                Refusal::ServerNotFound,
                Refusal::ForwardProtocolMalformed,
                Refusal::ForwardPortMalformed,
                Refusal::ForwardTaken,
                Refusal::ForwardIsListenPort,
                Refusal::ForwardToPortMalformed,
                Refusal::ForwardPeerUnknown,
                Refusal::ForwardsExceeded,
            ]),
            Operation::new("port_forward_delete", "Forwards a port no more", Shape::done())
                .at([port(), protocol()])
                .refuses([
                    Refusal::ServerNotFound,
                    Refusal::ForwardNotFound,
                    Refusal::ForwardPathProtocol,
                    Refusal::ForwardPathPort,
                ]),
        ],
    }
}
