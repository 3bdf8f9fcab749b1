//! Port forwards: what the API and the command line may do with them.

use super::{Caller, Error, Ground};
use crate::domain::audit::{Deed, Kind};
use crate::domain::port_forward::{OuterPort, PortForward, PortForwardDraft};
use crate::domain::refusal::Refusal;
use crate::store::Change;

/// The use cases of port forwards.
#[derive(Debug, Clone)]
pub struct PortForwards {
    ground: Ground,
}

impl PortForwards {
    pub(super) fn new(ground: Ground) -> Self {
        Self { ground }
    }

    /// A server's port forwards, by port.
    ///
    /// # Errors
    /// `ServerNotFound`.
    pub fn list(&self, server: &str) -> Result<Vec<PortForward>, Error> {
        let intended = self.ground.store.intended();
        let server = intended.server(server).ok_or(Refusal::ServerNotFound)?;
        Ok(server.forwards.values().cloned().collect())
    }

    /// Adds a port forward to a server.
    ///
    /// # Errors
    /// `ServerNotFound` and the refusals of [`PortForwardDraft`].
    pub async fn add(&self, by: &Caller, server: &str, draft: PortForwardDraft) -> Result<PortForward, Error> {
        let name = server.to_owned();
        let rule = move |change: &mut Change| {
            let server = change.intended().server(&name).ok_or(Refusal::ServerNotFound)?;
            let forward = draft.settle(server, change.intended())?;
            change.put_forward(&name, forward.clone())?;
            let PortForward { outer, to_port, to_peer } = &forward;
            let text = format!("Server `{name}` forwards {outer} to port {to_port} of `{to_peer}`");
            Ok((forward, Deed::to(Kind::Forward, &name, text)))
        };
        self.ground.write(by, rule).await
    }

    /// Removes a port forward from a server; `port` and `protocol` are as the path has them.
    ///
    /// # Errors
    /// `ServerNotFound`, `ForwardPathProtocol`, `ForwardPathPort`, `ForwardNotFound`.
    pub async fn remove(&self, by: &Caller, server: &str, port: &str, protocol: &str) -> Result<(), Error> {
        let (name, outer) = (server.to_owned(), OuterPort::parse(port, protocol));
        let rule = move |change: &mut Change| {
            change.intended().server(&name).ok_or(Refusal::ServerNotFound)?;
            let outer = outer?;
            change.remove_forward(&name, outer)?;
            let text = format!("Server `{name}` forwards {outer} no more");
            Ok(((), Deed::to(Kind::Forward, &name, text)))
        };
        self.ground.write(by, rule).await
    }
}
