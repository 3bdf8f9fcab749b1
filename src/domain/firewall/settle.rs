//! From what is asked of the firewall to rules and settings: refuses what cannot be.

use super::{Action, Chain, FilterRule, Firewall, FirewallSettings, RuleProtocol};
use crate::domain::field::{self, given};
use crate::domain::limits;
use crate::domain::name::RuleName;
use crate::domain::refusal::Refusal;

/// Where among the rules a new one goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Before all others, the one that keeps the API reachable too.
    Top,
    /// After all others.
    Bottom,
}

impl End {
    /// Reads `top` or `end`, as a path has it.
    ///
    /// # Errors
    /// [`Refusal::PathUnknown`]: such a path names nothing.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "top" => Ok(Self::Top),
            "end" => Ok(Self::Bottom),
            _ => Err(Refusal::PathUnknown),
        }
    }
}

/// Reads before how many others a rule is to be moved: 0 is the top.
///
/// # Errors
/// [`Refusal::FieldMalformed`].
pub fn place(text: Option<&String>) -> Result<usize, Refusal> {
    let place = given(text).and_then(field::number).and_then(|place| u16::try_from(place).ok());
    let place = place.filter(|place| *place <= limits::RULE_PLACE_MAX).map(usize::from);
    place.ok_or(Refusal::FieldMalformed { field: "place", rule: "0 to 16384" })
}

/// What somebody asks of a new rule: the contract's form as it came, nothing judged yet. It needs every field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilterRuleDraft {
    /// Letters, digits and `_`.
    pub name: Option<String>,
    /// `ACCEPT` or `DROP`.
    pub action: Option<String>,
    /// `INPUT`, `FORWARD` or `OUTPUT`.
    pub chain: Option<String>,
    /// `TCP`, `UDP`, `ICMP` or `ANY`.
    pub protocol: Option<String>,
    /// A network or an address; `0.0.0.0/0` and `::/0` are everything.
    pub s_ip: Option<String>,
    /// 0 to 65535.
    pub s_port: Option<String>,
    /// A network or an address; `0.0.0.0/0` and `::/0` are everything.
    pub d_ip: Option<String>,
    /// 0 to 65535.
    pub d_port: Option<String>,
}

/// What somebody asks of the firewall's settings. What is absent or blank stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirewallDraft {
    /// A flag.
    pub internal_traffic: Option<String>,
    /// A flag.
    pub ip_forward: Option<String>,
    /// `ACCEPT` or `DROP`.
    pub policy_input: Option<String>,
    /// `ACCEPT` or `DROP`.
    pub policy_forward: Option<String>,
    /// `ACCEPT` or `DROP`.
    pub policy_output: Option<String>,
}

impl FilterRuleDraft {
    /// A new rule among those that exist.
    ///
    /// # Errors
    /// The contract's refusal of the first field that cannot be; [`Refusal::FieldMalformed`] for a port with ICMP, which
    /// has none, and for two networks of different versions, which no packet fits; [`Refusal::RulesExceeded`].
    pub fn settle(&self, among: &Firewall) -> Result<FilterRule, Refusal> {
        let name = RuleName::parse(given(self.name.as_ref()).unwrap_or_default())?;
        if among.rules.iter().any(|rule| rule.name == name) {
            return Err(Refusal::RuleNameTaken);
        }
        let chain = given(self.chain.as_ref()).and_then(Chain::parse).ok_or(Refusal::ChainMalformed)?;
        let action = given(self.action.as_ref()).and_then(Action::parse);
        let action = action.ok_or(Refusal::FieldMalformed { field: "action", rule: "ACCEPT|DROP" })?;
        let protocol = given(self.protocol.as_ref()).and_then(RuleProtocol::parse);
        let protocol = protocol.ok_or(Refusal::FieldMalformed { field: "protocol", rule: "TCP|UDP|ICMP|ANY" })?;
        let destination = given(self.d_ip.as_ref()).and_then(field::network).ok_or(Refusal::DestinationMalformed)?;
        let source = given(self.s_ip.as_ref()).and_then(field::network).ok_or(Refusal::SourceMalformed)?;
        let same_version = source.addr().is_ipv4() == destination.addr().is_ipv4();
        if !same_version && source.prefix_len() != 0 && destination.prefix_len() != 0 {
            return Err(Refusal::FieldMalformed { field: "d_ip", rule: "of the same IP version as s_ip" });
        }
        let source_port = port("s_port", self.s_port.as_ref(), protocol)?;
        let destination_port = port("d_port", self.d_port.as_ref(), protocol)?;
        let present = among.rules.iter().filter(|rule| !rule.is_system()).count();
        if present >= limits::FILTER_RULES_MAX {
            return Err(Refusal::RulesExceeded);
        }
        Ok(FilterRule { name, action, chain, protocol, source, source_port, destination, destination_port })
    }
}

/// Reads a rule's port; 0 is any.
fn port(name: &'static str, text: Option<&String>, protocol: RuleProtocol) -> Result<u16, Refusal> {
    let port = given(text).and_then(field::number).and_then(|port| u16::try_from(port).ok());
    match port.ok_or(Refusal::FieldMalformed { field: name, rule: "0 to 65535" })? {
        port if port != 0 && protocol == RuleProtocol::Icmp => {
            Err(Refusal::FieldMalformed { field: name, rule: "0 with ICMP" })
        }
        port => Ok(port),
    }
}

impl FirewallDraft {
    /// `current` with what the draft names.
    ///
    /// # Errors
    /// The contract's refusal of the first field that cannot be.
    pub fn amend(&self, current: &FirewallSettings) -> Result<FirewallSettings, Refusal> {
        let mut settings = *current;
        for (name, draft, settled) in [
            ("internal_traffic", &self.internal_traffic, &mut settings.internal_traffic),
            ("ip_forward", &self.ip_forward, &mut settings.ip_forward),
        ] {
            field::amend_flag(name, draft.as_ref(), settled)?;
        }
        for (draft, settled, refusal) in [
            (&self.policy_input, &mut settings.policy_input, Refusal::PolicyInputMalformed),
            (&self.policy_forward, &mut settings.policy_forward, Refusal::PolicyForwardMalformed),
            (&self.policy_output, &mut settings.policy_output, Refusal::PolicyOutputMalformed),
        ] {
            if let Some(text) = given(draft.as_ref()) {
                *settled = Action::parse(text).ok_or(refusal)?;
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(fields: &[(&str, &str)]) -> FilterRuleDraft {
        let mut draft = FilterRuleDraft {
            name: Some("TEST".into()),
            action: Some("DROP".into()),
            chain: Some("INPUT".into()),
            protocol: Some("TCP".into()),
            s_ip: Some("0.0.0.0/0".into()),
            s_port: Some("0".into()),
            d_ip: Some("0.0.0.0/0".into()),
            d_port: Some("23".into()),
        };
        for (field, text) in fields {
            let slot = match *field {
                "name" => &mut draft.name,
                "action" => &mut draft.action,
                "chain" => &mut draft.chain,
                "protocol" => &mut draft.protocol,
                "s_ip" => &mut draft.s_ip,
                "s_port" => &mut draft.s_port,
                "d_ip" => &mut draft.d_ip,
                "d_port" => &mut draft.d_port,
                _ => panic!("no such field: {field}"),
            };
            *slot = Some((*text).into());
        }
        draft
    }

    fn settled(fields: &[(&str, &str)]) -> Result<FilterRule, Refusal> {
        let among = Firewall { rules: vec![FilterRule::system(8098)], ..Firewall::default() };
        draft(fields).settle(&among)
    }

    #[test]
    fn refuses_each_field_that_cannot_be() {
        let malformed = |field, rule| Refusal::FieldMalformed { field, rule };
        for (field, text, refusal) in [
            ("name", "", Refusal::RuleNameMalformed),
            ("name", "a-b", Refusal::RuleNameMalformed),
            ("name", "system_PUQVPNCP", Refusal::RuleNameTaken),
            ("chain", "PREROUTING", Refusal::ChainMalformed),
            ("chain", "", Refusal::ChainMalformed),
            ("action", "REJECT", malformed("action", "ACCEPT|DROP")),
            ("protocol", "GRE", malformed("protocol", "TCP|UDP|ICMP|ANY")),
            ("d_ip", "everywhere", Refusal::DestinationMalformed),
            ("d_ip", "10.0.0.0/33", Refusal::DestinationMalformed),
            ("s_ip", "", Refusal::SourceMalformed),
            ("s_port", "65536", malformed("s_port", "0 to 65535")),
            ("d_port", "", malformed("d_port", "0 to 65535")),
            ("protocol", "ICMP", malformed("d_port", "0 with ICMP")),
        ] {
            assert_eq!(settled(&[(field, text)]).as_ref(), Err(&refusal), "{field}={text}");
        }
        let mixed = settled(&[("s_ip", "10.0.0.0/8"), ("d_ip", "fd00::/8")]);
        assert_eq!(mixed, Err(malformed("d_ip", "of the same IP version as s_ip")));
    }

    #[test]
    fn takes_a_place_where_a_rule_can_be() {
        for (text, taken) in [("0", Some(0)), ("16384", Some(16_384)), ("16385", None), ("-1", None), ("top", None)] {
            assert_eq!(place(Some(&text.to_owned())).ok(), taken, "{text}");
        }
        assert!(place(None).is_err());
    }

    #[test]
    fn takes_words_in_any_letter_case_and_bare_addresses() {
        let fields = [("action", "accept"), ("chain", "Forward"), ("protocol", "any"), ("s_ip", "192.0.2.1")];
        let rule = settled(&fields).unwrap();
        assert_eq!((rule.action, rule.chain, rule.protocol), (Action::Accept, Chain::Forward, RuleProtocol::Any));
        assert_eq!((rule.source.to_string(), rule.destination_port), ("192.0.2.1/32".to_owned(), 23));
        let rule = settled(&[("s_ip", "2001:db8::9"), ("d_ip", "0.0.0.0/0")]).unwrap();
        assert_eq!(rule.source.to_string(), "2001:db8::9/128");
        assert_eq!(settled(&[("d_ip", "10.1.2.3/8")]).unwrap().destination.to_string(), "10.0.0.0/8");
    }

    #[test]
    fn refuses_more_rules_than_there_may_be() {
        let rule = settled(&[]).unwrap();
        let numbered = |n: usize| FilterRule { name: RuleName::parse(&format!("r{n}")).unwrap(), ..rule.clone() };
        let mut among =
            Firewall { rules: (1..limits::FILTER_RULES_MAX).map(numbered).collect(), ..Firewall::default() };
        among.rules.push(FilterRule::system(8098));
        assert!(draft(&[]).settle(&among).is_ok());
        among.rules.push(numbered(0));
        assert_eq!(draft(&[]).settle(&among), Err(Refusal::RulesExceeded));
    }

    #[test]
    fn keeps_what_an_edit_of_the_settings_does_not_name() {
        let current = FirewallSettings { ip_forward: false, ..FirewallSettings::default() };
        let draft = FirewallDraft { policy_input: Some("drop".into()), ..FirewallDraft::default() };
        assert_eq!(draft.amend(&current), Ok(FirewallSettings { policy_input: Action::Drop, ..current }));

        let wrong = Some("REJECT".to_owned());
        for (draft, refusal) in [
            (FirewallDraft { policy_input: wrong.clone(), ..Default::default() }, Refusal::PolicyInputMalformed),
            (FirewallDraft { policy_forward: wrong.clone(), ..Default::default() }, Refusal::PolicyForwardMalformed),
            (FirewallDraft { policy_output: wrong, ..Default::default() }, Refusal::PolicyOutputMalformed),
        ] {
            assert_eq!(draft.amend(&current), Err(refusal));
        }
    }
}
