//! The traffic log's way from the machines to its writers.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use super::kernel::UPLINK;
use super::os::{clock, host};
use crate::domain::traffic_log::{Record, TrafficLogSettings, Transport};
use crate::engine::dataplane::Dataplane;
use crate::observe::traffic_log::{self, Sink, Surroundings};

/// The log of the whole process: who writes it, and by which settings.
pub(super) struct TrafficLog {
    /// Where records are handed in.
    pub(super) sink: Sink,
    /// What the writers go by.
    pub(super) settings: watch::Sender<Option<Arc<TrafficLogSettings>>>,
    /// What the writers know beside them.
    pub(super) surroundings: Arc<Surroundings>,
    /// Closes when everything is written, after the last [`Sink`] is gone.
    pub(super) ended: watch::Receiver<()>,
}

impl TrafficLog {
    /// Starts the writers. Must be called within a tokio runtime.
    pub(super) fn start(transport: &Transport, is_tun: bool, folder: &Path) -> Self {
        let (settings, followed) = watch::channel(None);
        let surroundings = Arc::new(Surroundings {
            hostname: host::look().hostname,
            uplink: if is_tun { UPLINK } else { "sockets" },
            transport: transport.clone(),
            folder: folder.to_owned(),
        });
        let (sink, ended) = traffic_log::start(Arc::clone(&surroundings), followed);
        Self { sink, settings, surroundings, ended }
    }
}

/// Hands in what a machine has to say. Nothing here waits.
pub(super) fn hand_in(plane: &mut Dataplane, sink: &Sink) {
    let mut now = None;
    let put = |record: Record| sink.put(*now.get_or_insert_with(clock::timestamp), record);
    let lost = plane.take_log(put);
    sink.lose(lost);
}
