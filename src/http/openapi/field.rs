//! A field of a form, or a place in a path, as the document describes it.

use std::ops::RangeInclusive;

use serde_json::Value;
use utoipa::openapi::schema::{AnyOfBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};

use crate::domain::limits;

/// What a field may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Yes or no.
    Flag,
    /// A decimal number within these bounds.
    Number(RangeInclusive<i64>),
    /// One of these words, in any letter case.
    Words(Vec<&'static str>),
    /// Text of at most so many bytes.
    Text(usize),
    /// Text of at most so many characters.
    Characters(usize),
    /// The name of a server, an account or a user.
    Name,
    /// The name of a firewall rule.
    RuleName,
    /// The name of a server's network interface.
    Interface,
    /// A WireGuard key.
    Key,
    /// A certificate or a key.
    Pem,
    /// An address of either version.
    Ip,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An address and the length of its network's prefix.
    Cidr,
    /// A network or an address of either version.
    Network,
    /// Networks, separated by commas.
    Networks,
    /// A domain or an address.
    Host,
    /// An address of the web.
    Url,
    /// A moment or a day, or never.
    Moment,
    /// A number of bytes, with a unit or without.
    Amount,
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its name.
    pub(crate) name: String,
    /// What it may say.
    pub(crate) kind: Kind,
    /// What it is for.
    pub(crate) about: &'static str,
    /// Whether a request without it is refused.
    pub(crate) is_required: bool,
    /// A value that an example has.
    pub(crate) example: Option<&'static str>,
}

impl Field {
    /// A field that may be absent.
    pub(crate) fn new(name: impl Into<String>, kind: Kind, about: &'static str) -> Self {
        Self { name: name.into(), kind, about, is_required: false, example: None }
    }

    /// Must be there.
    #[must_use]
    pub(crate) fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// Stands with this value in the example of its endpoint.
    #[must_use]
    pub(crate) fn such_as(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }

    /// What it may say, in a few words.
    pub(crate) fn rule(&self) -> String {
        self.kind.rule()
    }

    /// What it may say, as JSON Schema.
    pub(crate) fn schema(&self) -> Schema {
        let mut schema = self.kind.schema(self.about);
        if let (Schema::Object(object), Some(example)) = (&mut schema, self.example) {
            object.examples = vec![self.kind.value(example)];
        }
        schema
    }
}

/// A [`Kind::Flag`].
pub(crate) fn flag(name: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::Flag, about)
}

/// A [`Kind::Number`].
pub(crate) fn number<N: Into<i64>>(name: &'static str, bounds: RangeInclusive<N>, about: &'static str) -> Field {
    let (first, last) = bounds.into_inner();
    Field::new(name, Kind::Number(first.into()..=last.into()), about)
}

/// A [`Kind::Words`].
pub(crate) fn words<const N: usize>(name: &'static str, words: [&'static str; N], about: &'static str) -> Field {
    Field::new(name, Kind::Words(words.into()), about)
}

/// A [`Kind::Text`].
pub(crate) fn text(name: &'static str, bytes: usize, about: &'static str) -> Field {
    Field::new(name, Kind::Text(bytes), about)
}

/// A bandwidth in Mbit/s.
pub(crate) fn rate(name: &'static str, about: &'static str) -> Field {
    number(name, 0..=limits::RATE_MAX, about)
}

impl Kind {
    /// The words of a rule as the contract writes it: `yes|no`.
    pub(crate) fn of_rule(rule: &'static str) -> Self {
        Self::Words(rule.split('|').collect())
    }

    /// A text of a form as JSON has it.
    fn value(&self, text: &str) -> Value {
        let number = text.parse::<i64>().ok().filter(|_| matches!(self, Self::Number(_)));
        if *self == Self::Flag { (text == "1").into() } else { number.map_or_else(|| text.into(), Value::from) }
    }

    fn rule(&self) -> String {
        match self {
            Self::Flag => "1 or 0, true or false".into(),
            Self::Number(bounds) => format!("{} to {}", bounds.start(), bounds.end()),
            Self::Words(words) => words.join(" | "),
            Self::Text(bytes) => format!("text of at most {bytes} bytes"),
            Self::Characters(count) => format!("text of at most {count} characters"),
            Self::Name => format!("1 to {} letters, digits, _ and -", limits::NAME_LENGTH),
            Self::RuleName => format!("1 to {} letters, digits and _", limits::NAME_LENGTH),
            Self::Interface => "wg and a number".into(),
            Self::Key => "base64 of 32 bytes".into(),
            Self::Pem => "PEM".into(),
            Self::Ip => "an IP address".into(),
            Self::Ipv4 => "an IPv4 address".into(),
            Self::Ipv6 => "an IPv6 address".into(),
            Self::Cidr => "address/prefix length".into(),
            Self::Network => "a network or an IP address".into(),
            Self::Networks => "networks, separated by commas".into(),
            Self::Host => "a domain or an IP address".into(),
            Self::Url => "an http or https URL".into(),
            Self::Moment => "never, a day as 2026-12-31, or a time as 2026-12-31T18:00:00Z".into(),
            Self::Amount => "bytes, as 5000000000, 5G or 5GiB".into(),
        }
    }

    fn schema(&self, about: &str) -> Schema {
        let string = || ObjectBuilder::new().schema_type(Type::String).description(Some(about));
        let known = |format| string().format(Some(SchemaFormat::KnownFormat(format)));
        let name = |signs| string().pattern(Some(format!("^[A-Za-z0-9{signs}]{{1,{}}}$", limits::NAME_LENGTH)));
        let object = match self {
            Self::Ip => {
                let of = |format| ObjectBuilder::new().schema_type(Type::String).format(Some(format));
                let [v4, v6] = [KnownFormat::Ipv4, KnownFormat::Ipv6].map(SchemaFormat::KnownFormat);
                return AnyOfBuilder::new().item(of(v4)).item(of(v6)).description(Some(about)).into();
            }
            Self::Flag => ObjectBuilder::new().schema_type(Type::Boolean).description(Some(about)),
            Self::Number(bounds) => {
                let number = ObjectBuilder::new().schema_type(Type::Integer).description(Some(about));
                number.minimum(Some(bound(*bounds.start()))).maximum(Some(bound(*bounds.end())))
            }
            Self::Words(words) => string().enum_values(Some(words.iter().copied())),
            // a character is a byte or more
            Self::Text(most) | Self::Characters(most) => string().max_length(Some(*most)),
            Self::Name => name("_-"),
            Self::RuleName => name("_"),
            Self::Interface => string().pattern(Some("^wg[0-9]{1,5}$")),
            Self::Key => string().pattern(Some("^[A-Za-z0-9+/]{43}=$")),
            Self::Ipv4 => known(KnownFormat::Ipv4),
            Self::Ipv6 => known(KnownFormat::Ipv6),
            Self::Cidr => string().pattern(Some("^[0-9A-Fa-f.:]+/[0-9]{1,3}$")),
            Self::Url => string().pattern(Some("^([Hh][Tt][Tt][Pp][Ss]?://.+)?$")),
            Self::Amount => {
                let types = SchemaType::Array(vec![Type::Integer, Type::String]);
                let amount = string().schema_type(types).pattern(Some("^[0-9]+ *([KMGTkmgt]i?)?[Bb]?$"));
                amount.minimum(Some(0))
            }
            Self::Pem | Self::Network | Self::Networks | Self::Host | Self::Moment => string(),
        };
        object.into()
    }
}

/// A bound as the library counts it.
fn bound(number: i64) -> isize {
    isize::try_from(number).unwrap_or(isize::MAX)
}
