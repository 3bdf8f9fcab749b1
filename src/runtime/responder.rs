//! The conductor's part of IKEv2: the two ports are open while anybody may come in, and the thread follows.

use tokio::sync::oneshot;
use tracing::{info, warn};

use super::ikev2::{Command, Ike, Ports};
use super::os::door::Door;
use super::worker::{self, Worker};
use crate::domain::intended::Intended;
use crate::domain::name::ServerName;
use crate::observe::fields;

/// What was told to the thread of IKEv2.
pub(super) struct Responder {
    ike: Ike,
    ports: Ports,
    /// Whether the ports are open.
    open: bool,
    /// Why they are not, though they ought to be.
    fault: Option<String>,
}

impl Responder {
    /// Knows the way to the thread, and that no port is open.
    pub(super) fn new(ike: Ike, ports: Ports) -> Self {
        Self { ike, ports, open: false, fault: None }
    }

    /// Opens or closes the ports as they ought to be, and has the thread follow. Returns the servers that speak no IKEv2
    /// though they ought to, with the reason, for people.
    pub(super) async fn conform(&mut self, wanted: &Intended, workers: &[Worker]) -> Vec<(ServerName, String)> {
        let speaks = |wanted: &Intended| -> Vec<ServerName> {
            let servers = wanted.servers.iter().filter(|(_, server)| server.server.ikev2);
            servers.map(|(name, _)| name.clone()).collect()
        };
        let ikev2 = &wanted.ikev2;
        let on = ikev2.enabled && ikev2.server.is_some();
        let servers = if on { speaks(wanted) } else { Vec::new() };
        let on = !servers.is_empty();
        if on && !self.open {
            let opened = self.open(workers);
            self.note(opened.err());
        }
        if !on {
            self.note(None);
        }
        let (answer, answered) = oneshot::channel();
        self.ike.tell(Command::Follow { intended: Box::new(wanted.clone()), on: on && self.open, answer });
        // a thread that has ended follows nothing
        let _ = answered.await;
        if !on && self.open {
            self.close(workers);
        }
        let Some(why) = &self.fault else { return Vec::new() };
        servers.into_iter().map(|server| (server, format!("IKEv2: {why}"))).collect()
    }

    fn open(&mut self, workers: &[Worker]) -> Result<(), String> {
        let named = |port: u16| move |error: std::io::Error| format!("UDP port {port}: {error}");
        let Ports { ike, esp } = self.ports;
        let first = Door::open(ike).map_err(named(ike))?;
        let (doors, second) = Door::open_esp(esp, workers.len()).map_err(named(esp))?;
        for (worker, door) in workers.iter().zip(doors) {
            worker.tell(worker::Command::EspDoor(Some(door)));
        }
        self.ike.tell(Command::Doors(Some(Box::new((first, second)))));
        self.open = true;
        info!("IKEv2 listens on UDP ports {ike} and {esp}");
        Ok(())
    }

    fn close(&mut self, workers: &[Worker]) {
        self.ike.tell(Command::Doors(None));
        for worker in workers {
            worker.tell(worker::Command::EspDoor(None));
        }
        self.open = false;
    }

    fn note(&mut self, fault: Option<String>) {
        if let Some(why) = fault.as_ref().filter(|_| self.fault.is_none()) {
            warn!({ fields::CAUSE } = %why, "Cannot listen for IKEv2: {why}");
        }
        self.fault = fault;
    }
}
