//! The records of IKEv2 as they lie in the file: the switch, the settings, the certificates with their keys.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::record::{Nothing, Record};
use super::records::first_version;
use crate::domain::ikev2::settings::{DebugLevels, Ikev2Settings, SUBSYSTEMS};
use crate::domain::ikev2::{Certificate, Credential, Ikev2Draft, ServerCredential, SigningKey};

first_version!(Ikev2SwitchV1, Ikev2SettingsV1, CredentialV1, ServerCredentialV1);

/// Whether clients may connect.
#[derive(Serialize, Deserialize)]
pub(super) struct Ikev2SwitchV1 {
    enabled: bool,
}

impl From<bool> for Ikev2SwitchV1 {
    fn from(enabled: bool) -> Self {
        Self { enabled }
    }
}

impl From<Ikev2SwitchV1> for bool {
    fn from(record: Ikev2SwitchV1) -> Self {
        record.enabled
    }
}

/// A certificate in DER with its key in PKCS #8.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct CredentialV1 {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl From<&Credential> for CredentialV1 {
    fn from(credential: &Credential) -> Self {
        Self { certificate: credential.certificate.der().to_vec(), key: credential.key.pkcs8().to_vec() }
    }
}

impl From<CredentialV1> for Credential {
    fn from(mut record: CredentialV1) -> Self {
        Self {
            certificate: Certificate::trusted(std::mem::take(&mut record.certificate)),
            key: SigningKey::trusted(std::mem::take(&mut record.key)),
        }
    }
}

/// The server's certificate, and where clients find the server.
#[derive(Serialize, Deserialize)]
pub(super) struct ServerCredentialV1 {
    credential: CredentialV1,
    domain: String,
    ip: IpAddr,
    ipv6: Option<IpAddr>,
}

impl From<&ServerCredential> for ServerCredentialV1 {
    fn from(server: &ServerCredential) -> Self {
        let credential = CredentialV1::from(&server.credential);
        Self { credential, domain: server.domain.clone(), ip: server.ip, ipv6: server.ipv6 }
    }
}

impl From<ServerCredentialV1> for ServerCredential {
    fn from(record: ServerCredentialV1) -> Self {
        Self { credential: record.credential.into(), domain: record.domain, ip: record.ip, ipv6: record.ipv6 }
    }
}

/// The advanced settings, words as words: they come back through the same rules as those of a request.
#[derive(Serialize, Deserialize)]
pub(super) struct Ikev2SettingsV1 {
    debug: DebugLevels,
    /// `uniqueids`, `strictcrlpolicy`, `authby`, `closeaction`, `dpdaction`, `fragmentation`, `modeconfig`, `type`.
    words: [String; 8],
    /// `compress`, `forceencaps`, `installpolicy`, `mobike`, `reauth`, `rekey`.
    flags: [bool; 6],
    /// `dpddelay`, `dpdtimeout`, `inactivity`, `ikelifetime`, `keyingtries`, `lifetime`, `margintime`, `rekeyfuzz`.
    numbers: [u32; 8],
    esp: String,
    ike: String,
}

impl From<&Ikev2Settings> for Ikev2SettingsV1 {
    fn from(settings: &Ikev2Settings) -> Self {
        let words = [
            settings.uniqueids.word(),
            settings.strictcrlpolicy.word(),
            settings.authby.word(),
            settings.closeaction.word(),
            settings.dpdaction.word(),
            settings.fragmentation.word(),
            settings.modeconfig.word(),
            settings.connection.word(),
        ];
        Self {
            debug: settings.debug,
            words: words.map(str::to_owned),
            flags: [
                settings.compress,
                settings.forceencaps,
                settings.installpolicy,
                settings.mobike,
                settings.reauth,
                settings.rekey,
            ],
            numbers: [
                settings.dpddelay,
                settings.dpdtimeout,
                settings.inactivity,
                settings.ikelifetime,
                settings.keyingtries,
                settings.lifetime,
                settings.margintime,
                settings.rekeyfuzz,
            ],
            esp: settings.esp.as_str().to_owned(),
            ike: settings.ike.as_str().to_owned(),
        }
    }
}

impl TryFrom<Ikev2SettingsV1> for Ikev2Settings {
    type Error = &'static str;

    fn try_from(record: Ikev2SettingsV1) -> Result<Self, &'static str> {
        let mut charondebug = [const { None }; SUBSYSTEMS.len()];
        for (text, level) in charondebug.iter_mut().zip(record.debug) {
            *text = Some(level.to_string());
        }
        let [uniqueids, strictcrlpolicy, authby, closeaction, dpdaction, fragmentation, modeconfig, connection] =
            record.words.map(Some);
        let [compress, forceencaps, installpolicy, mobike, reauth, rekey] =
            record.flags.map(|flag| Some(flag.to_string()));
        let [dpddelay, dpdtimeout, inactivity, ikelifetime, keyingtries, lifetime, margintime, rekeyfuzz] =
            record.numbers.map(|number| Some(number.to_string()));
        let draft = Ikev2Draft {
            charondebug,
            uniqueids,
            strictcrlpolicy,
            authby,
            closeaction,
            compress,
            dpdaction,
            dpddelay,
            dpdtimeout,
            inactivity,
            esp: Some(record.esp),
            forceencaps,
            fragmentation,
            ike: Some(record.ike),
            ikelifetime,
            installpolicy,
            keyingtries,
            lifetime,
            margintime,
            mobike,
            modeconfig,
            reauth,
            rekey,
            rekeyfuzz,
            connection,
        };
        draft.amend(&Self::default()).map_err(|_| "a setting cannot be")
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{decode, encode};
    use super::*;
    use crate::domain::ikev2::fixture;
    use crate::domain::ikev2::settings::{Action, UniqueIds};

    #[test]
    fn brings_back_settings_as_they_were() {
        let changed = Ikev2Settings {
            debug: [-1, 0, 1, 2, 3, 4, -1, 0, 1, 2, 3, 4, -1, 0, 1, 2, 3],
            uniqueids: UniqueIds::Keep,
            closeaction: Action::Restart,
            dpdaction: Action::None,
            rekey: true,
            mobike: false,
            lifetime: 86_400,
            margintime: 1,
            rekeyfuzz: 2_147_483_647,
            ..Ikev2Settings::default()
        };
        for settings in [Ikev2Settings::default(), changed] {
            let bytes = encode(&Ikev2SettingsV1::from(&settings)).unwrap();
            assert_eq!(Ikev2Settings::try_from(decode::<Ikev2SettingsV1>(&bytes).unwrap()), Ok(settings));
        }
    }

    #[test]
    fn brings_back_certificates_with_their_keys() {
        let at = "2026-11-24T12:00:00Z".parse().unwrap();
        let credential = Credential::import(fixture::EC_CA, fixture::EC_KEY, at).unwrap();
        let server = ServerCredential {
            credential,
            domain: "vpn.example".into(),
            ip: [192, 0, 2, 1].into(),
            ipv6: "2001:db8::1".parse().ok(),
        };

        let bytes = encode(&ServerCredentialV1::from(&server)).unwrap();

        assert_eq!(ServerCredential::from(decode::<ServerCredentialV1>(&bytes).unwrap()), server);
    }

    /// As with an account: a release writes these bytes, so this text never changes.
    #[test]
    fn writes_version_1_of_the_switch_and_the_settings_as_ever() {
        assert_eq!(encode(&Ikev2SwitchV1::from(true)).unwrap(), b"\x01\x01");

        let bytes = encode(&Ikev2SettingsV1::from(&Ikev2Settings::default())).unwrap();

        let head = b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02no\x02no\x06pubkey\x04none\x05clear\x03yes\x04pull\x06tunnel\
                     \0\x01\x01\x01\x01\0\xac\x02\x96\x01\x80\xa3\x05\x80\xa3\x05\x05\x90\x1c\xd8\x04\x64\x4faes256-sha256,";
        assert!(bytes.starts_with(head), "{bytes:02x?}");
    }
}
