//! `IKE_AUTH`: the server proves who it is by its certificate, the client by EAP, then both by the key that came of it.
//! RFC 7296, sections 1.2, 2.15 and 2.16.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use subtle::ConstantTimeEq as _;

use super::super::crypto::prf::Prf;
use super::super::eap::{self, Step};
use super::super::event::{Event, Why};
use super::super::keys::{self, Secret};
use super::super::message::contents::{Contents, attribute};
use super::super::message::header::Exchange;
use super::super::message::kind;
use super::super::message::notify::number;
use super::super::message::proposal::{Proposal, Protocol};
use super::super::message::selector::{self, Selector};
use super::super::message::writer::Writer;
use super::super::proposal::choice;
use super::super::settings::{Member, Uniqueness};
use super::child::{Child, Material};
use super::{Eviction, Session, Stage, World, selectors};

/// A connection that is not proved yet.
#[derive(Debug)]
pub(in super::super) struct Opening {
    /// The client's first message, as it was last sent.
    pub(in super::super) request: Vec<u8>,
    /// Our answer to it.
    pub(in super::super) answer: Vec<u8>,
    /// The client's nonce and ours.
    pub(in super::super) nonces: [Vec<u8>; 2],
    /// The numbers of the client's hashes for signatures.
    pub(in super::super) hashes: Option<Vec<u16>>,
    /// When it must be proved.
    pub(in super::super) until: Instant,
    /// How far the proof is.
    pub(in super::super) proof: Proof,
}

/// How far a proof is.
#[derive(Debug)]
pub(in super::super) enum Proof {
    /// The client has not said who it is.
    None,
    /// EAP is under way, or over and the client has yet to prove that it has the key.
    Eap {
        asked: Box<Asked>,
        server: eap::Server,
        msk: Option<Secret>,
        /// An answer that waits.
        late: Option<Late>,
    },
}

/// What the client asked for at the beginning and gets at the end.
#[derive(Debug)]
pub(in super::super) struct Asked {
    /// What AUTH covers of it.
    octets: [Vec<u8>; 2],
    proposals: Vec<Proposal>,
    client: Vec<Selector>,
    network: Vec<Selector>,
    /// The configuration attributes, absent where it asked for none.
    attributes: Option<Vec<u16>>,
    initial_contact: bool,
    mobike: bool,
}

/// An answer that waits.
#[derive(Debug)]
pub(in super::super) struct Late {
    pub(super) at: Instant,
    message: Vec<u8>,
    over: bool,
}

impl Session {
    /// Takes a request of `IKE_AUTH`.
    pub(super) fn handle_auth(&mut self, at: usize, contents: &Contents<'_>, world: &mut World<'_>) {
        let Stage::Opening(opening) = &mut self.stage else { return };
        let answer = match &mut opening.proof {
            Proof::None => self.begin_proof(at, contents, world),
            Proof::Eap { server, msk: None, late: None, .. } => {
                let Some(message) = contents.eap else { return self.fail(at, world) };
                let step = server.handle(message, world.members, world.dice, world.now);
                return self.take_step(at, step, world);
            }
            Proof::Eap { msk: Some(_), .. } => self.finish_proof(at, contents, world),
            Proof::Eap { .. } => return self.fail(at, world),
        };
        match answer {
            Some(content) => self.reply(at, Exchange::IkeAuth, &content, world),
            None => self.fail(at, world),
        }
    }

    /// `AUTHENTICATION_FAILED`, and the end.
    fn fail(&mut self, at: usize, world: &mut World<'_>) {
        let notify = number::AUTHENTICATION_FAILED;
        self.reply_error(at, Exchange::IkeAuth, notify, &[], world);
        world.events.push_back(Event::Refused { remote: self.path.remote, notify });
        self.close(Why::NotProved);
    }

    /// The first request: without AUTH, which asks for EAP. The answer proves who we are.
    fn begin_proof(&mut self, at: usize, contents: &Contents<'_>, world: &mut World<'_>) -> Option<Writer> {
        let Stage::Opening(opening) = &mut self.stage else { return None };
        let (identity, association) = (world.identity?, &self.associations[at]);
        let (prf, keys) = (association.suite.prf, &association.keys);
        let idi = contents.idi.filter(|_| contents.auth.is_none())?;
        let idr = identity.body(contents.idr.as_ref());
        let octets = [
            keys::auth_octets(prf, &opening.request, &opening.nonces[1], &keys.pi, idi.body),
            keys::auth_octets(prf, &opening.answer, &opening.nonces[0], &keys.pr, &idr),
        ];
        let (method, proof) = identity.signer().sign(&octets[1], opening.hashes.as_deref())?;
        let (server, request) = eap::Server::new(world.dice);
        let mut content = Writer::default();
        content.push(kind::IDR, idr);
        for certificate in identity.chain() {
            content.certificate(certificate);
        }
        content.auth(method.number(), &proof).push(kind::EAP, request);
        let configuration = contents.configuration.as_ref().filter(|configuration| configuration.kind == 1);
        let asked = Asked {
            octets,
            proposals: contents.sa.clone()?,
            client: contents.tsi.clone()?,
            network: contents.tsr.clone()?,
            attributes: configuration.map(|asked| asked.attributes.iter().map(|attribute| attribute.0).collect()),
            initial_contact: contents.says(number::INITIAL_CONTACT),
            mobike: contents.says(number::MOBIKE_SUPPORTED) && world.settings.mobike,
        };
        opening.proof = Proof::Eap { asked: Box::new(asked), server, msk: None, late: None };
        Some(content)
    }

    fn take_step(&mut self, at: usize, step: Step, world: &mut World<'_>) {
        let Stage::Opening(opening) = &mut self.stage else { return };
        let Proof::Eap { msk, late, server, .. } = &mut opening.proof else { return };
        match step {
            Step::SendLater(message, when) => {
                *late = Some(Late { at: when, message, over: server.is_over() });
                self.associations[at].hold_answer();
            }
            Step::Succeed(message, key) => {
                *msk = Some(key);
                self.reply(at, Exchange::IkeAuth, Writer::default().push(kind::EAP, message), world);
            }
            Step::Send(message) => self.reply(at, Exchange::IkeAuth, Writer::default().push(kind::EAP, message), world),
            Step::Fail(message) => {
                self.reply(at, Exchange::IkeAuth, Writer::default().push(kind::EAP, message), world);
                world
                    .events
                    .push_back(Event::Refused { remote: self.path.remote, notify: number::AUTHENTICATION_FAILED });
                self.close(Why::NotProved);
            }
        }
    }

    /// When an answer that waits is to go.
    pub(super) fn late_at(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Opening(opening) => match &opening.proof {
                Proof::Eap { late: Some(late), .. } => Some(late.at),
                Proof::Eap { late: None, .. } | Proof::None => None,
            },
            Stage::Up | Stage::Leaving | Stage::Fading(_) | Stage::Over(_) => None,
        }
    }

    /// Sends the answer that waited.
    pub(super) fn send_late(&mut self, world: &mut World<'_>) {
        let most = self.most(world.settings);
        let Stage::Opening(opening) = &mut self.stage else { return };
        let Proof::Eap { late, .. } = &mut opening.proof else { return };
        let Some(late) = late.take_if(|late| late.at <= world.now) else { return };
        let mut content = Writer::default();
        content.push(kind::EAP, late.message);
        let association = &mut self.associations[0];
        let messages = association.late_answer(Exchange::IkeAuth, &content, most, world.dice).to_vec();
        world.send_all(self.path, &messages);
        if late.over {
            world.events.push_back(Event::Refused { remote: self.path.remote, notify: number::AUTHENTICATION_FAILED });
            self.close(Why::NotProved);
        }
    }

    /// The last request: AUTH by the key that came of EAP. The answer has ours, and the first child.
    fn finish_proof(&mut self, at: usize, contents: &Contents<'_>, world: &mut World<'_>) -> Option<Writer> {
        let opening = match std::mem::replace(&mut self.stage, Stage::Over(Why::NotProved)) {
            Stage::Opening(opening) => opening,
            Stage::Up | Stage::Leaving | Stage::Fading(_) | Stage::Over(_) => return None,
        };
        let Proof::Eap { asked, server, msk: Some(msk), .. } = opening.proof else { return None };
        let prf = self.associations[at].suite.prf;
        let expected = keys::auth_of_shared_key(prf, &msk, &asked.octets[0]);
        let (_, proof) = contents.auth.filter(|(method, _)| *method == 2)?;
        if !bool::from(expected.ct_eq(proof)) {
            return None;
        }
        // the account may have gone, or got another password, since
        let member = world.members.get(server.identity()).cloned()?;
        if !self.is_unique(&member, asked.initial_contact, world) {
            return None;
        }
        let mut content = Writer::default();
        content.auth(2, &keys::auth_of_shared_key(prf, &msk, &asked.octets[1]));
        self.stage = Stage::Up;
        self.mobike = asked.mobike;
        self.member = Some(Arc::clone(&member));
        world.present.entry(member.account.clone()).or_default().insert(self.id, self.path.remote);
        self.set_lives(at, world);
        world.events.push_back(Event::Connected {
            session: self.id,
            account: member.account.clone(),
            addresses: member.addresses().collect(),
            path: self.path,
        });
        if let Err(notify) =
            self.first_child(at, &member, &asked, [&opening.nonces[0], &opening.nonces[1]], &mut content, world)
        {
            content.notify(notify, &[]);
            world.events.push_back(Event::Refused { remote: self.path.remote, notify });
        }
        if self.mobike {
            content.notify(number::MOBIKE_SUPPORTED, &[]);
        }
        if let Some(lives) = world.settings.lifetimes.filter(|lives| lives.reauthenticate) {
            let seconds = u32::try_from(lives.ike.saturating_sub(lives.margin).as_secs()).unwrap_or(u32::MAX);
            content.notify(number::AUTH_LIFETIME, &seconds.to_be_bytes());
        }
        Some(content)
    }

    /// What `uniqueids` and the client say about other connections of the account; false where this one must not be.
    fn is_unique(&self, member: &Member, initial_contact: bool, world: &mut World<'_>) -> bool {
        let Some(others) = world.present.get(&member.account) else { return true };
        let uniqueness = world.settings.uniqueness;
        if uniqueness == Uniqueness::Keep && others.values().any(|other| other.ip() != self.path.remote.ip()) {
            return initial_contact && self.evict(others, false, world.evictions);
        }
        if initial_contact && uniqueness != Uniqueness::Never {
            return self.evict(others, false, world.evictions);
        }
        if uniqueness == Uniqueness::Replace {
            return self.evict(others, true, world.evictions);
        }
        true
    }

    /// Others go; one from the very same place is being followed by this one, and may go by itself.
    fn evict(
        &self,
        others: &std::collections::BTreeMap<super::SessionId, std::net::SocketAddr>,
        may_linger: bool,
        evictions: &mut Vec<Eviction>,
    ) -> bool {
        let remote = self.path.remote;
        evictions.extend(
            others
                .iter()
                .map(|(session, other)| Eviction { session: *session, linger: may_linger && *other == remote }),
        );
        true
    }

    /// The child that is asked for together with the proof. It has no exchange of its own.
    fn first_child(
        &mut self,
        at: usize,
        member: &Member,
        asked: &Asked,
        nonces: [&[u8]; 2],
        content: &mut Writer,
        world: &mut World<'_>,
    ) -> Result<(), u16> {
        let attributes = asked.attributes.as_ref().ok_or(number::FAILED_CP_REQUIRED)?;
        let (configuration, allowed) = configuration(member, attributes);
        if allowed.is_empty() {
            return Err(number::INTERNAL_ADDRESS_FAILURE);
        }
        let chosen = choice::esp(&world.settings.esp, &asked.proposals, choice::Exchange::None);
        let Some(chosen) = chosen else {
            world.refuse_offer(self.path, Protocol::Esp, &asked.proposals);
            return Err(number::NO_PROPOSAL_CHOSEN);
        };
        let client = selector::narrow(&allowed, &asked.client);
        let network = selector::narrow(&networks(&client), &asked.network);
        if client.is_empty() || network.is_empty() {
            return Err(number::TS_UNACCEPTABLE);
        }
        let theirs = chosen.spi.try_into().map(u32::from_be_bytes).map_err(|_| number::NO_PROPOSAL_CHOSEN)?;
        let ours = world.esp_spi(self);
        let child = Child {
            ours,
            theirs,
            suite: chosen.suite,
            client,
            network,
            rekey_at: None,
            ends_at: None,
            used: world.now,
            forget_at: None,
        };
        content.configuration(2, &configuration);
        content.sa(&[choice::esp_proposal(chosen.suite, chosen.number, ours)]);
        selectors(content, false, &child);
        let association = &self.associations[at];
        let (prf, d): (Prf, Secret) = (association.suite.prf, association.keys.d.clone());
        let material = Material { prf, d: &d, shared: &[], nonces, we_began: false, replaces: None };
        self.install(child, &material, world);
        Ok(())
    }
}

/// What a client is told of what it asked: its own addresses, whatever it wished, and DNS servers. The second is what it
/// may use as a source.
fn configuration(member: &Member, asked: &[u16]) -> (Vec<(u16, Vec<u8>)>, Vec<Selector>) {
    let wants = |attribute: u16| asked.contains(&attribute);
    let (mut reply, mut allowed) = (Vec::new(), Vec::new());
    if let Some(address) = member.ipv4.filter(|_| wants(attribute::INTERNAL_IP4_ADDRESS)) {
        reply.push((attribute::INTERNAL_IP4_ADDRESS, address.octets().to_vec()));
        allowed.push(Selector::address(IpAddr::V4(address)));
        if wants(attribute::INTERNAL_IP4_NETMASK) {
            reply.push((attribute::INTERNAL_IP4_NETMASK, vec![255; 4]));
        }
    }
    if let Some(address) = member.ipv6.filter(|_| wants(attribute::INTERNAL_IP6_ADDRESS)) {
        reply.push((attribute::INTERNAL_IP6_ADDRESS, [&address.octets()[..], &[128]].concat()));
        allowed.push(Selector::address(IpAddr::V6(address)));
    }
    for server in &member.dns {
        match server {
            IpAddr::V4(server) if wants(attribute::INTERNAL_IP4_DNS) => {
                reply.push((attribute::INTERNAL_IP4_DNS, server.octets().to_vec()));
            }
            IpAddr::V6(server) if wants(attribute::INTERNAL_IP6_DNS) => {
                reply.push((attribute::INTERNAL_IP6_DNS, server.octets().to_vec()));
            }
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
    }
    (reply, allowed)
}

/// The whole world, of the families that the client has.
pub(super) fn networks(client: &[Selector]) -> Vec<Selector> {
    let has = |ipv4: bool| client.iter().any(|selector| selector.first.is_ipv4() == ipv4);
    let all = [(has(true), Selector::all_ipv4()), (has(false), Selector::all_ipv6())];
    all.into_iter().filter_map(|(has, all)| has.then_some(all)).collect()
}
