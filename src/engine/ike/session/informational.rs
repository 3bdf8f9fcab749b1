//! `INFORMATIONAL` by the client: is anybody there, ends, and new addresses. RFC 7296, section 1.4, and RFC 4555.

use super::super::event::{Path, Why};
use super::super::message::contents::Contents;
use super::super::message::header::Exchange;
use super::super::message::notify::{Delete, number};
use super::super::message::writer::Writer;
use super::super::nat;
use super::{Session, World};

impl Session {
    /// Takes a request. An empty one gets an empty answer.
    pub(super) fn handle_informational(
        &mut self,
        at: usize,
        contents: &Contents<'_>,
        path: Path,
        world: &mut World<'_>,
    ) {
        let mut content = Writer::default();
        if self.mobike {
            self.handle_addresses(at, contents, path, &mut content, world);
        }
        let ended: Vec<u32> = contents
            .deletes
            .iter()
            .flat_map(|delete| if let Delete::Esp(spis) = delete { &spis[..] } else { &[] })
            .copied()
            .collect();
        let ours: Vec<u32> = ended.into_iter().filter_map(|theirs| self.end_child(theirs, world)).collect();
        if !ours.is_empty() {
            content.delete_esp(&ours);
        }
        self.reply(at, Exchange::Informational, &content, world);
        if contents.deletes.contains(&Delete::Ike) {
            self.end_association(at, Why::Peer, world);
        } else if contents.says(number::AUTHENTICATION_FAILED) {
            self.close(Why::NotProved);
        }
    }

    /// The client ended a child: our SPI of it, which the answer names. RFC 7296, section 1.4.1: a child that we are
    /// ending ourselves is not named.
    fn end_child(&mut self, theirs: u32, world: &mut World<'_>) -> Option<u32> {
        let at = self.child_of(theirs)?;
        let ours = self.children[at].ours;
        let ending = self
            .associations
            .iter()
            .any(|association| matches!(association.pending(), Some(super::Task::DeleteChild(spi)) if *spi == ours));
        self.retire_child(at, world);
        (!ending).then_some(ours)
    }

    /// RFC 4555, sections 3.5 to 3.9.
    fn handle_addresses(
        &mut self,
        at: usize,
        contents: &Contents<'_>,
        path: Path,
        content: &mut Writer,
        world: &mut World<'_>,
    ) {
        let spis = self.associations[at].spis;
        if contents.says(number::UPDATE_SA_ADDRESSES) {
            if contents.says(number::NO_NATS_ALLOWED) && !says_addresses(contents, path) {
                content.notify(number::UNEXPECTED_NAT_DETECTED, &[]);
            } else {
                self.move_to(path, world);
            }
        }
        if let Some(cookie) = contents.notify(number::COOKIE2) {
            content.notify(number::COOKIE2, cookie.content);
        }
        if contents.says(number::NAT_DETECTION_SOURCE_IP) {
            // what we see, so that the client notices when its mapping is another
            content.notify(number::NAT_DETECTION_SOURCE_IP, &world.dice.array::<20>());
            content.notify(number::NAT_DETECTION_DESTINATION_IP, &nat::hash(spis, path.remote));
        }
    }
}

/// Whether `NO_NATS_ALLOWED` names the addresses and ports that the packet has: source, destination, then the ports.
fn says_addresses(contents: &Contents<'_>, path: Path) -> bool {
    let Some(notify) = contents.notify(number::NO_NATS_ALLOWED) else { return true };
    let octets = |address: std::net::IpAddr| match address {
        std::net::IpAddr::V4(address) => address.octets().to_vec(),
        std::net::IpAddr::V6(address) => address.octets().to_vec(),
    };
    let (source, destination) = (path.remote, path.local);
    let seen = [
        octets(source.ip()),
        octets(destination.ip()),
        source.port().to_be_bytes().to_vec(),
        destination.port().to_be_bytes().to_vec(),
    ];
    notify.content == seen.concat()
}
