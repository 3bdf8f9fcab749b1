//! From what is asked of the advanced settings to settings: refuses what cannot be, in the contract's words and order.

use std::ops::RangeInclusive;

use super::proposal::{Proposals, Protocol};
use super::settings::{
    Action, AuthBy, ConnectionType, ESP_DEFAULT, Fragmentation, IKE_DEFAULT, Ikev2Settings, ModeConfig, SUBSYSTEMS,
    StrictCrlPolicy, UniqueIds, YesNo,
};
use crate::domain::field::{self, given};
use crate::domain::limits;
use crate::domain::refusal::Refusal;

/// What somebody asks of the advanced settings: the contract's form as it came, nothing judged yet.
///
/// `ike` and `esp` must be there; what else is absent or blank stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ikev2Draft {
    /// -1 to 4 each, in the order of [`SUBSYSTEMS`].
    pub charondebug: [Option<String>; SUBSYSTEMS.len()],
    /// A word of [`UniqueIds`].
    pub uniqueids: Option<String>,
    /// A word of [`StrictCrlPolicy`].
    pub strictcrlpolicy: Option<String>,
    /// A word of [`AuthBy`].
    pub authby: Option<String>,
    /// A word of [`Action`].
    pub closeaction: Option<String>,
    /// `yes` or `no`.
    pub compress: Option<String>,
    /// A word of [`Action`].
    pub dpdaction: Option<String>,
    /// Seconds.
    pub dpddelay: Option<String>,
    /// Seconds.
    pub dpdtimeout: Option<String>,
    /// Seconds.
    pub inactivity: Option<String>,
    /// Proposals.
    pub esp: Option<String>,
    /// `yes` or `no`.
    pub forceencaps: Option<String>,
    /// A word of [`Fragmentation`].
    pub fragmentation: Option<String>,
    /// Proposals.
    pub ike: Option<String>,
    /// Seconds.
    pub ikelifetime: Option<String>,
    /// `yes` or `no`.
    pub installpolicy: Option<String>,
    /// A number.
    pub keyingtries: Option<String>,
    /// Seconds.
    pub lifetime: Option<String>,
    /// Seconds.
    pub margintime: Option<String>,
    /// `yes` or `no`.
    pub mobike: Option<String>,
    /// A word of [`ModeConfig`].
    pub modeconfig: Option<String>,
    /// `yes` or `no`.
    pub reauth: Option<String>,
    /// `yes` or `no`.
    pub rekey: Option<String>,
    /// Percent.
    pub rekeyfuzz: Option<String>,
    /// A word of [`ConnectionType`] (`type`).
    pub connection: Option<String>,
}

/// 0 to 2147483647.
const ANY: Bounds = (0..=limits::IKE_NUMBER_MAX, "0 to 2147483647");
/// 1 to 2147483647.
const POSITIVE: Bounds = (1..=limits::IKE_NUMBER_MAX, "1 to 2147483647");
/// 1 to 86400.
const DAY: Bounds = (1..=limits::CHILD_LIFETIME_MAX, "1 to 86400");

/// A number's bounds, and how a refusal writes them.
type Bounds = (RangeInclusive<u32>, &'static str);

impl Default for Ikev2Settings {
    /// The contract's defaults.
    fn default() -> Self {
        let both = [(Protocol::Ike, IKE_DEFAULT), (Protocol::Esp, ESP_DEFAULT)];
        let [ike, esp] = both.map(|(protocol, text)| Proposals::known(protocol, text));
        Self::with(ike, esp)
    }
}

impl Ikev2Draft {
    /// `current` with what the draft names.
    ///
    /// # Errors
    /// The contract's refusal of the first field that cannot be, then [`Refusal::EspMissing`] and
    /// [`Refusal::IkeMissing`] where one is absent; [`Refusal::FieldMalformed`] for proposals that are none.
    pub fn amend(&self, current: &Ikev2Settings) -> Result<Ikev2Settings, Refusal> {
        let mut settings = current.clone();
        self.amend_debug(&mut settings)?;
        word("Uniqueids", self.uniqueids.as_ref(), &mut settings.uniqueids, UniqueIds::RULE, UniqueIds::parse)?;
        let policy = &mut settings.strictcrlpolicy;
        word("Strictcrlpolicy", self.strictcrlpolicy.as_ref(), policy, StrictCrlPolicy::RULE, StrictCrlPolicy::parse)?;
        word("Authby", self.authby.as_ref(), &mut settings.authby, AuthBy::RULE, AuthBy::parse)?;
        word("Closeaction", self.closeaction.as_ref(), &mut settings.closeaction, Action::RULE, Action::parse)?;
        yes_no("Compress", self.compress.as_ref(), &mut settings.compress)?;
        word("Dpdaction", self.dpdaction.as_ref(), &mut settings.dpdaction, Action::RULE, Action::parse)?;
        number("Dpddelay", self.dpddelay.as_ref(), &mut settings.dpddelay, ANY)?;
        number("Dpdtimeout", self.dpdtimeout.as_ref(), &mut settings.dpdtimeout, ANY)?;
        number("Inactivity", self.inactivity.as_ref(), &mut settings.inactivity, ANY)?;
        let (esp, esp_rule) = (Protocol::Esp, "proposals as in aes256gcm16,aes256-sha256!");
        proposals("Esp", self.esp.as_ref(), &mut settings.esp, esp, (Refusal::EspMissing, esp_rule))?;
        yes_no("Forceencaps", self.forceencaps.as_ref(), &mut settings.forceencaps)?;
        let fragmentation = &mut settings.fragmentation;
        word("Fragmentation", self.fragmentation.as_ref(), fragmentation, Fragmentation::RULE, Fragmentation::parse)?;
        let (ike, ike_rule) = (Protocol::Ike, "proposals as in aes256gcm16-prfsha384-ecp384,aes256-sha256-modp2048!");
        proposals("Ike", self.ike.as_ref(), &mut settings.ike, ike, (Refusal::IkeMissing, ike_rule))?;
        number("Ikelifetime", self.ikelifetime.as_ref(), &mut settings.ikelifetime, ANY)?;
        yes_no("Installpolicy", self.installpolicy.as_ref(), &mut settings.installpolicy)?;
        number("Keyingtries", self.keyingtries.as_ref(), &mut settings.keyingtries, POSITIVE)?;
        number("Lifetime", self.lifetime.as_ref(), &mut settings.lifetime, DAY)?;
        number("Margintime", self.margintime.as_ref(), &mut settings.margintime, POSITIVE)?;
        yes_no("Mobike", self.mobike.as_ref(), &mut settings.mobike)?;
        word("Modeconfig", self.modeconfig.as_ref(), &mut settings.modeconfig, ModeConfig::RULE, ModeConfig::parse)?;
        yes_no("Reauth", self.reauth.as_ref(), &mut settings.reauth)?;
        yes_no("Rekey", self.rekey.as_ref(), &mut settings.rekey)?;
        number("Rekeyfuzz", self.rekeyfuzz.as_ref(), &mut settings.rekeyfuzz, ANY)?;
        word("Type", self.connection.as_ref(), &mut settings.connection, ConnectionType::RULE, ConnectionType::parse)?;
        // last, so that a form of one wrong field is told what is wrong with that
        match (&self.esp, &self.ike) {
            (None, _) => Err(Refusal::EspMissing),
            (_, None) => Err(Refusal::IkeMissing),
            (Some(_), Some(_)) => Ok(settings),
        }
    }

    fn amend_debug(&self, settings: &mut Ikev2Settings) -> Result<(), Refusal> {
        for ((text, level), refused) in self.charondebug.iter().zip(&mut settings.debug).zip(DEBUG_NAMES) {
            let Some(text) = given(text.as_ref()) else { continue };
            let (digits, sign) = text.strip_prefix('-').map_or((text, 1), |digits| (digits, -1));
            let number = field::number(digits).and_then(|number| i8::try_from(number).ok()).map(|number| number * sign);
            let known = number.filter(|number| limits::DEBUG_LEVELS.contains(number));
            *level = known.ok_or(Refusal::FieldMalformed { field: refused, rule: "-1 to 4" })?;
        }
        Ok(())
    }
}

/// How the contract's refusal names each of [`SUBSYSTEMS`].
const DEBUG_NAMES: [&str; SUBSYSTEMS.len()] = [
    "Charondebug dmn",
    "Charondebug mgr",
    "Charondebug ike",
    "Charondebug chd",
    "Charondebug job",
    "Charondebug cfg",
    "Charondebug knl",
    "Charondebug net",
    "Charondebug asn",
    "Charondebug enc",
    "Charondebug lib",
    "Charondebug esp",
    "Charondebug tls",
    "Charondebug tnc",
    "Charondebug imc",
    "Charondebug imv",
    "Charondebug pts",
];

fn word<T>(
    name: &'static str,
    text: Option<&String>,
    settled: &mut T,
    rule: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<(), Refusal> {
    if let Some(text) = given(text) {
        *settled = parse(text).ok_or(Refusal::FieldMalformed { field: name, rule })?;
    }
    Ok(())
}

/// Reads strongSwan's words, and the contract's for flags.
fn yes_no(name: &'static str, text: Option<&String>, settled: &mut bool) -> Result<(), Refusal> {
    let parse = |text: &str| {
        let word = YesNo::parse(text).map(|word| word == YesNo::Yes);
        word.or_else(|| field::flag(name, text).ok())
    };
    word(name, text, settled, YesNo::RULE, parse)
}

fn number(name: &'static str, text: Option<&String>, settled: &mut u32, bounds: Bounds) -> Result<(), Refusal> {
    let (range, rule) = bounds;
    word(name, text, settled, rule, |text| field::number(text).filter(|number| range.contains(number)))
}

/// Reads proposals; blank ones are missing, absent ones are looked for later.
fn proposals(
    name: &'static str,
    text: Option<&String>,
    settled: &mut Proposals,
    protocol: Protocol,
    (missing, rule): (Refusal, &'static str),
) -> Result<(), Refusal> {
    if field::cleared(text) {
        return Err(missing);
    }
    word(name, text, settled, rule, |text| Proposals::parse(protocol, text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Ikev2Draft {
        Ikev2Draft { ike: Some(IKE_DEFAULT.into()), esp: Some(ESP_DEFAULT.into()), ..Ikev2Draft::default() }
    }

    /// A draft of the defaults with one field of this name in the contract.
    fn with(name: &str, text: &str) -> Ikev2Draft {
        let mut draft = draft();
        let slot = match name {
            "uniqueids" => &mut draft.uniqueids,
            "strictcrlpolicy" => &mut draft.strictcrlpolicy,
            "authby" => &mut draft.authby,
            "closeaction" => &mut draft.closeaction,
            "compress" => &mut draft.compress,
            "dpdaction" => &mut draft.dpdaction,
            "dpddelay" => &mut draft.dpddelay,
            "dpdtimeout" => &mut draft.dpdtimeout,
            "inactivity" => &mut draft.inactivity,
            "esp" => &mut draft.esp,
            "forceencaps" => &mut draft.forceencaps,
            "fragmentation" => &mut draft.fragmentation,
            "ike" => &mut draft.ike,
            "ikelifetime" => &mut draft.ikelifetime,
            "installpolicy" => &mut draft.installpolicy,
            "keyingtries" => &mut draft.keyingtries,
            "lifetime" => &mut draft.lifetime,
            "margintime" => &mut draft.margintime,
            "mobike" => &mut draft.mobike,
            "modeconfig" => &mut draft.modeconfig,
            "reauth" => &mut draft.reauth,
            "rekey" => &mut draft.rekey,
            "rekeyfuzz" => &mut draft.rekeyfuzz,
            "type" => &mut draft.connection,
            name => {
                let subsystem = name.trim_start_matches("charondebug_");
                let at = SUBSYSTEMS.iter().position(|name| *name == subsystem);
                &mut draft.charondebug[at.unwrap_or_else(|| panic!("no such field: {subsystem}"))]
            }
        };
        *slot = Some(text.into());
        draft
    }

    fn settled(name: &str, text: &str) -> Result<Ikev2Settings, String> {
        with(name, text).amend(&Ikev2Settings::default()).map_err(|refusal| refusal.to_string())
    }

    /// Each number: its name, its lowest and its highest value, and where it is settled.
    type Number = (&'static str, u32, u32, fn(&Ikev2Settings) -> u32);

    /// Each setting that is one of a few words: its name, the words, and where it is settled.
    type Word = (&'static str, &'static str, fn(&Ikev2Settings) -> &'static str);
    /// Each flag: its name, and where it is settled.
    type Flag = (&'static str, fn(&Ikev2Settings) -> bool);

    const MAX: u32 = 2_147_483_647;
    const NUMBERS: [Number; 8] = [
        ("dpddelay", 0, MAX, |settings| settings.dpddelay),
        ("dpdtimeout", 0, MAX, |settings| settings.dpdtimeout),
        ("inactivity", 0, MAX, |settings| settings.inactivity),
        ("ikelifetime", 0, MAX, |settings| settings.ikelifetime),
        ("keyingtries", 1, MAX, |settings| settings.keyingtries),
        ("lifetime", 1, 86_400, |settings| settings.lifetime),
        ("margintime", 1, MAX, |settings| settings.margintime),
        ("rekeyfuzz", 0, MAX, |settings| settings.rekeyfuzz),
    ];

    /// A name as the contract's refusals begin with it.
    fn titled(name: &str) -> String {
        let (first, rest) = name.split_at(1);
        first.to_uppercase() + rest
    }

    #[test]
    fn takes_numbers_within_their_bounds_and_no_others() {
        for (name, lowest, highest, get) in NUMBERS {
            for number in [lowest, highest] {
                assert_eq!(settled(name, &number.to_string()).map(|settings| get(&settings)), Ok(number), "{name}");
            }
            let refusal = Err(format!("Incorrect value {} (should be {lowest} to {highest})", titled(name)));
            let below = if lowest == 0 { "-1".into() } else { (lowest - 1).to_string() };
            for text in [below.as_str(), &(u64::from(highest) + 1).to_string(), "x", "1.5", "+1", "99999999999"] {
                assert_eq!(settled(name, text), refusal, "{name}={text}");
            }
        }
    }

    #[test]
    fn takes_every_word_of_the_contract_and_no_other() {
        let words: [Word; 8] = [
            ("uniqueids", UniqueIds::RULE, |settings| settings.uniqueids.word()),
            ("strictcrlpolicy", StrictCrlPolicy::RULE, |settings| settings.strictcrlpolicy.word()),
            ("authby", AuthBy::RULE, |settings| settings.authby.word()),
            ("closeaction", Action::RULE, |settings| settings.closeaction.word()),
            ("dpdaction", Action::RULE, |settings| settings.dpdaction.word()),
            ("fragmentation", Fragmentation::RULE, |settings| settings.fragmentation.word()),
            ("modeconfig", ModeConfig::RULE, |settings| settings.modeconfig.word()),
            ("type", ConnectionType::RULE, |settings| settings.connection.word()),
        ];
        for (name, rule, get) in words {
            for word in rule.split('|') {
                assert_eq!(settled(name, word).map(|settings| get(&settings)), Ok(word), "{name}");
                assert_eq!(settled(name, &word.to_uppercase()).map(|settings| get(&settings)), Ok(word), "{name}");
            }
            let refusal = format!("Incorrect value {} (should be {rule})", titled(name));
            assert_eq!(settled(name, "perhaps"), Err(refusal), "{name}");
        }
    }

    #[test]
    fn takes_yes_and_no_and_the_flags_of_other_forms() {
        let flags: [Flag; 6] = [
            ("compress", |settings| settings.compress),
            ("forceencaps", |settings| settings.forceencaps),
            ("installpolicy", |settings| settings.installpolicy),
            ("mobike", |settings| settings.mobike),
            ("reauth", |settings| settings.reauth),
            ("rekey", |settings| settings.rekey),
        ];
        for (name, get) in flags {
            for (text, on) in [("yes", true), ("no", false), ("YES", true), ("0", false), ("true", true)] {
                assert_eq!(settled(name, text).map(|settings| get(&settings)), Ok(on), "{name}={text}");
            }
            let refusal = format!("Incorrect value {} (should be yes|no)", titled(name));
            assert_eq!(settled(name, "2"), Err(refusal));
        }
    }

    #[test]
    fn takes_a_level_for_each_subsystem() {
        for subsystem in SUBSYSTEMS {
            for level in -1..=4 {
                let settled = settled(&format!("charondebug_{subsystem}"), &level.to_string()).unwrap();
                assert_eq!(settled.level(subsystem), level);
            }
            for text in ["-2", "5", "--1", "x", "260"] {
                let refusal = format!("Incorrect value Charondebug {subsystem} (should be -1 to 4)");
                assert_eq!(settled(&format!("charondebug_{subsystem}"), text), Err(refusal), "{text}");
            }
        }
    }

    #[test]
    fn needs_both_strings_of_proposals() {
        for (name, text) in [("esp", "Esp must be filled"), ("ike", "Ike must be filled")] {
            assert_eq!(settled(name, " "), Err(text.into()));
            let absent = match name {
                "esp" => Ikev2Draft { esp: None, ..draft() },
                _ => Ikev2Draft { ike: None, ..draft() },
            };
            let refused = absent.amend(&Ikev2Settings::default()).unwrap_err();
            assert_eq!(refused.to_string(), text);
            assert!(settled(name, "rot13!").unwrap_err().starts_with(&format!("Incorrect value {} (", titled(name))));
        }
    }

    #[test]
    fn says_of_a_lone_wrong_field_what_is_wrong_with_it() {
        let draft = Ikev2Draft { connection: Some("x".into()), ..Ikev2Draft::default() };
        let refused = draft.amend(&Ikev2Settings::default()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Incorrect value Type (should be tunnel|transport|transport_proxy|passthrough|drop)"
        );
    }

    #[test]
    fn keeps_what_it_does_not_name() {
        let current = Ikev2Settings { rekey: true, dpddelay: 7, ..Ikev2Settings::default() };
        let amended = with("dpddelay", "8").amend(&current).unwrap();
        assert_eq!(amended, Ikev2Settings { dpddelay: 8, ..current.clone() });
        assert_eq!(with("dpddelay", " ").amend(&current), Ok(current));
    }
}
