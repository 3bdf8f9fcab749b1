//! Rules that say which routing table a packet is looked up in.

use std::io;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage, RulePortRange};

use super::{Netlink, family};

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Looks the packet up in this table, and goes on where the table has no answer.
    Table(u32),
    /// Goes on with the rule of this preference.
    Goto(u32),
}

/// A rule, as far as we make or move any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whether of IPv6.
    pub v6: bool,
    /// Its place: lower ones come first.
    pub preference: u32,
    /// Who made it: [`super::PROTOCOL`], or 2 for the kernel.
    pub protocol: u8,
    /// What it does.
    pub action: Action,
    /// Whether it is for all packets but those that are as follows.
    pub not: bool,
    /// The interface by which the packet came in; `lo` stands for packets of the host's own.
    pub input: Option<String>,
    /// Where to.
    pub to: Option<IpNet>,
    /// The protocol above IP.
    pub carries: Option<u8>,
    /// The destination's ports.
    pub ports: Option<RangeInclusive<u16>>,
}

impl Netlink {
    /// Every rule of both families that is like ours; others that ask for more are left out.
    ///
    /// # Errors
    /// The kernel's.
    pub fn rules(&mut self) -> io::Result<Vec<Rule>> {
        let mut rules = Vec::new();
        for v6 in [false, true] {
            let mut question = RuleMessage::default();
            question.header.family = family(v6);
            // a kernel without the family has no rules of it
            let answers = self.dump(RouteNetlinkMessage::GetRule(question)).or_else(|error| {
                if v6 && error.raw_os_error() != Some(libc::EPERM) { Ok(Vec::new()) } else { Err(error) }
            })?;
            rules.extend(answers.iter().filter_map(|answer| {
                if let RouteNetlinkMessage::NewRule(message) = answer { rule(message, v6) } else { None }
            }));
        }
        Ok(rules)
    }

    /// Adds a rule.
    ///
    /// # Errors
    /// The kernel's: `AlreadyExists` where the same is there.
    pub fn add_rule(&mut self, rule: &Rule) -> io::Result<()> {
        self.create(RouteNetlinkMessage::NewRule(message(rule)))
    }

    /// Removes one rule that is exactly so.
    ///
    /// # Errors
    /// The kernel's: `NotFound` where there is none.
    pub fn remove_rule(&mut self, rule: &Rule) -> io::Result<()> {
        self.change(RouteNetlinkMessage::DelRule(message(rule)))
    }
}

fn message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = family(rule.v6);
    if rule.not {
        message.header.flags = RuleFlags::Invert;
    }
    message.attributes =
        vec![RuleAttribute::Priority(rule.preference), RuleAttribute::Protocol(RouteProtocol::from(rule.protocol))];
    match rule.action {
        Action::Table(table) => {
            message.header.action = RuleAction::ToTable;
            message.attributes.push(RuleAttribute::Table(table));
        }
        Action::Goto(preference) => {
            message.header.action = RuleAction::Goto;
            message.attributes.push(RuleAttribute::Goto(preference));
        }
    }
    if let Some(input) = &rule.input {
        message.attributes.push(RuleAttribute::Iifname(input.clone()));
    }
    if let Some(to) = rule.to {
        message.header.dst_len = to.prefix_len();
        message.attributes.push(RuleAttribute::Destination(to.addr()));
    }
    if let Some(carries) = rule.carries {
        message.attributes.push(RuleAttribute::IpProtocol(i32::from(carries).into()));
    }
    if let Some(ports) = &rule.ports {
        let ports = RulePortRange { start: *ports.start(), end: *ports.end() };
        message.attributes.push(RuleAttribute::DestinationPortRange(ports));
    }
    message
}

fn rule(message: &RuleMessage, v6: bool) -> Option<Rule> {
    let header = &message.header;
    let (mut table, mut target) = (u32::from(header.table), None);
    let mut rule = Rule {
        v6,
        preference: 0,
        protocol: 0,
        action: Action::Table(0),
        not: header.flags.contains(RuleFlags::Invert),
        input: None,
        to: None,
        carries: None,
        ports: None,
    };
    if header.src_len != 0 || header.tos != 0 {
        return None;
    }
    for attribute in &message.attributes {
        if let RuleAttribute::Priority(preference) = attribute {
            rule.preference = *preference;
        } else if let RuleAttribute::Protocol(protocol) = attribute {
            rule.protocol = (*protocol).into();
        } else if let RuleAttribute::Table(number) = attribute {
            table = *number;
        } else if let RuleAttribute::Goto(preference) = attribute {
            target = Some(*preference);
        } else if let RuleAttribute::Iifname(name) = attribute {
            rule.input = Some(name.clone());
        } else if let RuleAttribute::Destination(address) = attribute {
            rule.to = IpNet::new(*address, header.dst_len).ok();
        } else if let RuleAttribute::IpProtocol(carries) = attribute {
            rule.carries = u8::try_from(i32::from(*carries)).ok();
        } else if let RuleAttribute::DestinationPortRange(ports) = attribute {
            rule.ports = Some(ports.start..=ports.end);
        } else if !says_nothing(attribute) {
            return None;
        }
    }
    rule.action = match (header.action, target) {
        (RuleAction::ToTable, _) => Action::Table(table),
        (RuleAction::Goto, Some(preference)) => Action::Goto(preference),
        _ => return None,
    };
    Some(rule)
}

/// Whether it is what the kernel tells of every rule.
fn says_nothing(attribute: &RuleAttribute) -> bool {
    matches!(attribute, RuleAttribute::SuppressPrefixLen(u32::MAX) | RuleAttribute::SuppressIfGroup(u32::MAX))
}
