//! The records of who may call, as they lie in the file. A record is never changed: it gets a successor.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::record::{Nothing, Record};
use super::records::first_version;
use crate::domain::access::{
    AccessEntry, Authority, Caps, PanelUser, Role, SECRET_BYTES, SecondFactor, SessionEntry, Spent, TokenDigest,
    TotpSecret,
};
use crate::domain::name::UserName;
use crate::domain::rate::Mbps;

first_version!(AccessV1, PanelUserV1, SessionV1);

/// An access hash; times in milliseconds since 1970.
#[derive(Serialize, Deserialize)]
pub(super) struct AccessV1 {
    label: String,
    ip: IpAddr,
    digest: [u8; 32],
    created: i64,
    last_login: Option<i64>,
}

/// An access hash of a network, with what it may and when it ends; times in milliseconds since 1970.
#[derive(Serialize, Deserialize)]
pub(super) struct AccessV2 {
    label: String,
    net: IpNet,
    digest: [u8; 32],
    created: i64,
    last_login: Option<i64>,
    role: Role,
    /// Whose accounts alone it sees, where its role is a reseller's.
    reseller: Option<UserName>,
    expires: Option<i64>,
}

impl Record for AccessV2 {
    const VERSION: u8 = 2;
    type Previous = AccessV1;
}

impl From<AccessV1> for AccessV2 {
    fn from(first: AccessV1) -> Self {
        Self {
            label: first.label,
            net: IpNet::from(first.ip),
            digest: first.digest,
            created: first.created,
            last_login: first.last_login,
            role: Role::Admin,
            reseller: None,
            expires: None,
        }
    }
}

/// An access hash with the user who has made it for himself, if one has.
#[derive(Serialize, Deserialize)]
pub(super) struct AccessV3 {
    second: AccessV2,
    owner: Option<UserName>,
}

impl Record for AccessV3 {
    const VERSION: u8 = 3;
    type Previous = AccessV2;
}

impl From<AccessV2> for AccessV3 {
    fn from(second: AccessV2) -> Self {
        Self { second, owner: None }
    }
}

impl From<&AccessEntry> for AccessV3 {
    fn from(entry: &AccessEntry) -> Self {
        let second = AccessV2 {
            label: entry.label.clone(),
            net: entry.net,
            digest: entry.digest,
            created: entry.created.as_millisecond(),
            last_login: entry.last_login.map(Timestamp::as_millisecond),
            role: entry.scope.role(),
            reseller: entry.scope.reseller().cloned(),
            expires: entry.expires.map(Timestamp::as_millisecond),
        };
        Self { second, owner: entry.owner.clone() }
    }
}

impl TryFrom<AccessV3> for AccessEntry {
    type Error = &'static str;

    fn try_from(AccessV3 { second: record, owner }: AccessV3) -> Result<Self, &'static str> {
        let scope = match (record.role, record.reseller) {
            (Role::Admin, None) => Authority::Admin,
            (Role::Operator, None) => Authority::Operator,
            (Role::ReadOnly, None) => Authority::ReadOnly,
            (Role::Reseller, Some(name)) => Authority::Reseller(name),
            _ => return Err("its role is none"),
        };
        if owner.is_some() && scope.reseller().is_some_and(|reseller| Some(reseller) != owner.as_ref()) {
            return Err("its owner is not its reseller");
        }
        let time = |time: i64| Timestamp::from_millisecond(time).map_err(|_| "its time is none");
        Ok(Self {
            label: record.label,
            net: record.net,
            digest: record.digest,
            created: time(record.created)?,
            last_login: record.last_login.map(time).transpose()?,
            scope,
            expires: record.expires.map(time).transpose()?,
            owner,
        })
    }
}

/// A login of the panel; the time in milliseconds since 1970.
#[derive(Serialize, Deserialize)]
pub(super) struct PanelUserV1 {
    name: String,
    password_hash: String,
    created: i64,
}

/// A login of the panel, with what it may and what it shows besides its password.
#[derive(Serialize, Deserialize)]
pub(super) struct PanelUserV2 {
    first: PanelUserV1,
    password_is_first: bool,
    role: Role,
    accounts: u32,
    b_upload: Mbps,
    b_download: Mbps,
    traffic: u64,
    /// Year, month and bytes.
    spent: Option<(i16, i8, u64)>,
    second_factor: Option<SecondFactorV1>,
    language: Option<String>,
    theme: Option<String>,
}

/// A second factor, in a user's record.
#[derive(Serialize, Deserialize)]
struct SecondFactorV1 {
    secret: [u8; SECRET_BYTES],
    used: i64,
    recovery: Vec<[u8; 32]>,
}

impl Record for PanelUserV2 {
    const VERSION: u8 = 2;
    type Previous = PanelUserV1;
}

impl From<PanelUserV1> for PanelUserV2 {
    /// There was one user then: the admin of the first start, with a password that could not be changed.
    fn from(first: PanelUserV1) -> Self {
        Self {
            first,
            password_is_first: true,
            role: Role::Admin,
            accounts: 0,
            b_upload: Mbps::UNLIMITED,
            b_download: Mbps::UNLIMITED,
            traffic: 0,
            spent: None,
            second_factor: None,
            language: None,
            theme: None,
        }
    }
}

impl From<&PanelUser> for PanelUserV2 {
    fn from(user: &PanelUser) -> Self {
        let Caps { accounts, b_upload, b_download, traffic } = user.caps;
        let second_factor = user.second_factor.as_ref().map(|factor| SecondFactorV1 {
            secret: *factor.secret.as_bytes(),
            used: factor.used,
            recovery: factor.recovery.clone(),
        });
        Self {
            first: PanelUserV1 {
                name: user.name.to_string(),
                password_hash: user.password_hash.clone(),
                created: user.created.as_millisecond(),
            },
            password_is_first: user.password_is_first,
            role: user.role,
            accounts,
            b_upload,
            b_download,
            traffic,
            spent: user.spent.map(|spent| (spent.month.year(), spent.month.month(), spent.bytes)),
            second_factor,
            language: user.language.clone(),
            theme: user.theme.clone(),
        }
    }
}

impl TryFrom<PanelUserV2> for PanelUser {
    type Error = &'static str;

    fn try_from(record: PanelUserV2) -> Result<Self, &'static str> {
        let PanelUserV2 { first, role, accounts, b_upload, b_download, traffic, .. } = record;
        let second_factor = record.second_factor.map(|factor| SecondFactor {
            secret: TotpSecret::from_entropy(factor.secret),
            used: factor.used,
            recovery: factor.recovery,
        });
        let spent = |(year, month, bytes)| {
            let month = Date::new(year, month, 1).map_err(|_| "its month is none")?;
            Ok::<_, &'static str>(Spent { month, bytes })
        };
        let spent = record.spent.map(spent).transpose()?;
        Ok(Self {
            name: UserName::parse(&first.name).map_err(|_| "its name is none")?,
            password_hash: first.password_hash,
            password_is_first: record.password_is_first,
            created: Timestamp::from_millisecond(first.created).map_err(|_| "its time is none")?,
            role,
            caps: Caps { accounts, b_upload, b_download, traffic },
            spent,
            second_factor,
            language: record.language,
            theme: record.theme,
        })
    }
}

/// A session of the panel; times in milliseconds since 1970.
#[derive(Serialize, Deserialize)]
pub(super) struct SessionV1 {
    digest: [u8; 32],
    user: UserName,
    created: i64,
    last_seen: i64,
    address: IpAddr,
    agent: String,
}

impl From<&SessionEntry> for SessionV1 {
    fn from(session: &SessionEntry) -> Self {
        Self {
            digest: session.digest.0,
            user: session.user.clone(),
            created: session.created.as_millisecond(),
            last_seen: session.last_seen.as_millisecond(),
            address: session.address,
            agent: session.agent.clone(),
        }
    }
}

impl TryFrom<SessionV1> for SessionEntry {
    type Error = jiff::Error;

    fn try_from(record: SessionV1) -> Result<Self, jiff::Error> {
        Ok(Self {
            digest: TokenDigest(record.digest),
            user: record.user,
            created: Timestamp::from_millisecond(record.created)?,
            last_seen: Timestamp::from_millisecond(record.last_seen)?,
            address: record.address,
            agent: record.agent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{decode, encode};
    use super::*;

    fn user() -> PanelUser {
        PanelUser {
            name: UserName::parse("r").unwrap(),
            password_hash: "h".into(),
            password_is_first: false,
            created: Timestamp::from_millisecond(1).unwrap(),
            role: Role::Reseller,
            caps: Caps { accounts: 2, traffic: 3, ..Caps::default() },
            spent: Some(Spent { month: Date::constant(2026, 3, 1), bytes: 4 }),
            second_factor: Some(SecondFactor {
                secret: TotpSecret::from_entropy([5; SECRET_BYTES]),
                used: 6,
                recovery: vec![[7; 32]],
            }),
            language: Some("de".into()),
            theme: None,
        }
    }

    #[test]
    fn brings_back_an_access_hash_as_it_was() {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let entry = AccessEntry {
            label: "billing".into(),
            net: "2001:db8::/32".parse().unwrap(),
            digest: [3; 32],
            created: at,
            last_login: Some(at),
            scope: Authority::Reseller(UserName::parse("r").unwrap()),
            expires: Some(at),
            owner: Some(UserName::parse("r").unwrap()),
        };
        let bytes = encode(&AccessV3::from(&entry)).unwrap();
        assert_eq!(AccessEntry::try_from(decode::<AccessV3>(&bytes).unwrap()).unwrap(), entry);
    }

    /// A release has written version 1, so these bytes never change.
    #[test]
    fn reads_a_hash_of_version_1_as_an_admins_that_never_ends() {
        let bytes = [&b"\x01\x01a\x00\xc0\x00\x02\x01"[..], &[3; 32], b"\x02\x00"].concat();

        let entry = AccessEntry::try_from(decode::<AccessV3>(&bytes).unwrap()).unwrap();

        assert_eq!((entry.label.as_str(), entry.from_where().as_str()), ("a", "192.0.2.1"));
        assert_eq!((entry.scope, entry.expires, entry.digest), (Authority::Admin, None, [3; 32]));
    }

    /// What version 2 looks like on disk: these bytes never change.
    #[test]
    fn reads_a_hash_of_version_2_as_nobodys_own() {
        let bytes = [&b"\x02\x01a"[..], b"\x00\xc0\x00\x02\x00\x18", &[3; 32], b"\x02\x00\x03\x01\x01r\x00"].concat();

        let entry = AccessEntry::try_from(decode::<AccessV3>(&bytes).unwrap()).unwrap();

        assert_eq!((entry.label.as_str(), entry.from_where().as_str()), ("a", "192.0.2.0/24"));
        assert_eq!((entry.scope, entry.owner), (Authority::Reseller(UserName::parse("r").unwrap()), None));
    }

    #[test]
    fn takes_no_record_whose_role_and_reseller_contradict_each_other() {
        let name = |name: Option<&str>| name.map(|name| UserName::parse(name).unwrap());
        let record = |role, reseller: Option<&str>, owner: Option<&str>| AccessV3 {
            owner: name(owner),
            second: AccessV2 {
                label: "a".into(),
                net: "::1/128".parse().unwrap(),
                digest: [0; 32],
                created: 0,
                last_login: None,
                role,
                reseller: name(reseller),
                expires: None,
            },
        };
        assert!(AccessEntry::try_from(record(Role::Reseller, None, None)).is_err());
        assert!(AccessEntry::try_from(record(Role::Admin, Some("r"), None)).is_err());
        assert!(AccessEntry::try_from(record(Role::Reseller, Some("r"), Some("s"))).is_err());
        assert!(AccessEntry::try_from(record(Role::Reseller, Some("r"), Some("r"))).is_ok());
    }

    #[test]
    fn reads_the_user_of_a_first_version_as_its_one_admin() {
        let bytes = b"\x01\x05admin\x01h\x02";

        let user = PanelUser::try_from(decode::<PanelUserV2>(bytes).unwrap()).unwrap();

        assert_eq!((user.name.as_str(), user.role, user.password_is_first), ("admin", Role::Admin, true));
        assert_eq!((user.caps, user.second_factor), (Caps::default(), None));
    }

    /// What version 2 looks like on disk: a release has written it, so this text never changes.
    #[test]
    fn reads_back_a_user() {
        let bytes = encode(&PanelUserV2::from(&user())).unwrap();

        let expected = [
            &b"\x02\x01r\x01h\x02\x00\x03\x02\x00\x00\x03\x01\xd4\x1f\x03\x04\x01"[..],
            &[5; 20],
            b"\x0c\x01",
            &[7; 32],
        ];
        assert_eq!(bytes, [&expected.concat()[..], b"\x01\x02de\x00"].concat());
        assert_eq!(PanelUser::try_from(decode::<PanelUserV2>(&bytes).unwrap()), Ok(user()));
    }

    #[test]
    fn reads_back_a_session() {
        let session = SessionEntry {
            digest: TokenDigest([1; 32]),
            user: UserName::parse("r").unwrap(),
            created: Timestamp::from_millisecond(1).unwrap(),
            last_seen: Timestamp::from_millisecond(2).unwrap(),
            address: [192, 0, 2, 1].into(),
            agent: "b".into(),
        };

        let bytes = encode(&SessionV1::from(&session)).unwrap();

        assert_eq!(bytes, [&b"\x01"[..], &[1; 32], b"\x01r\x02\x04\x00\xc0\x00\x02\x01\x01b"].concat());
        assert_eq!(SessionEntry::try_from(decode::<SessionV1>(&bytes).unwrap()).unwrap(), session);
    }
}
