//! What the clients of the systems import: strongSwan's `.sswan`, Apple's `.mobileconfig`, a script for Windows.
//!
//! None of them holds a password: the client asks for it. Apple's and Windows' name the algorithms too, the best of the
//! settings that they know: by themselves both offer little that a careful server takes.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::ser::PrettyFormatter;
use serde_json::{Serializer, json};
use sha2::{Digest as _, Sha256};

use super::client::{APPLE, Suite, WINDOWS_ESP, WINDOWS_IKE};
use super::{Certificate, Ikev2, Ikev2Settings};
use crate::domain::account::Account;
use crate::domain::name::Username;
use crate::domain::refusal::Refusal;

/// What every client must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile<'a> {
    /// What it connects to, and what the server's certificate says.
    pub domain: &'a str,
    /// As whom it logs in.
    pub username: &'a Username,
    /// The root that it must trust.
    pub authority: &'a Certificate,
    /// What the server takes.
    pub settings: &'a Ikev2Settings,
    /// What tells this account from all others of this server.
    identity: [u8; 32],
}

impl<'a> Profile<'a> {
    /// The profile of an account.
    ///
    /// # Errors
    /// [`Refusal::RootMissing`], [`Refusal::ServerCertificateMissing`]: without them there is nothing to connect to.
    pub fn new(ikev2: &'a Ikev2, account: &'a Account) -> Result<Self, Refusal> {
        let (authority, server) = ikev2.server()?;
        let identity = Sha256::digest(format!("{}/{}", server.domain, account.name)).into();
        Ok(Self {
            domain: &server.domain,
            username: &account.username,
            authority: &authority.certificate,
            settings: &ikev2.settings,
            identity,
        })
    }

    /// A UUID of version 8 (RFC 9562, section 5.8) that is the same each time, and another for each part.
    fn uuid(&self, part: u8) -> String {
        let mut bytes: [u8; 16] = [0; 16];
        bytes.copy_from_slice(&Sha256::digest([&self.identity[..], &[part]].concat())[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = String::with_capacity(36);
        for (at, byte) in bytes.iter().enumerate() {
            text.push_str(if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" });
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// The root in base64 of its DER, without line ends: what strongSwan's app reads.
    fn authority_base64(&self) -> String {
        STANDARD.encode(self.authority.der())
    }
}

/// The profile of strongSwan's app, in the contract's layout.
pub fn sswan(profile: &Profile<'_>) -> String {
    let value = json!({
        "uuid": profile.uuid(0),
        "name": profile.domain,
        "type": "ikev2-eap",
        "remote": { "addr": profile.domain, "id": profile.domain, "cert": profile.authority_base64() },
        "local": { "eap_id": profile.username.as_str() },
    });
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"\t"));
    // plain text into memory cannot fail
    let _ = serde::Serialize::serialize(&value, &mut serializer);
    String::from_utf8(bytes).unwrap_or_default()
}

/// A configuration profile of Apple's: the root, and the connection with all traffic through it.
pub fn mobileconfig(profile: &Profile<'_>) -> String {
    let (domain, user) = (xml(profile.domain), xml(profile.username.as_str()));
    let [whole, root, vpn] = [1, 2, 3].map(|part| profile.uuid(part));
    let identifier = format!("culvert.ikev2.{}", profile.uuid(0));
    let certificate = profile.authority_base64();
    let issuer = xml(&profile.authority.subject().common_name);
    let mobike = u8::from(!profile.settings.mobike);
    let ike = APPLE.choose(profile.settings.ike.list());
    let esp = APPLE.choose(profile.settings.esp.list());
    let pfs = u8::from(esp.is_some_and(|suite| suite.group.is_some()));
    let ike = ike.map_or_else(String::new, |suite| apple("IKESecurityAssociationParameters", suite));
    let esp = esp.map_or_else(String::new, |suite| apple("ChildSecurityAssociationParameters", suite));
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PayloadContent</key>
	<array>
		<dict>
			<key>PayloadType</key><string>com.apple.security.root</string>
			<key>PayloadVersion</key><integer>1</integer>
			<key>PayloadIdentifier</key><string>{identifier}.root</string>
			<key>PayloadUUID</key><string>{root}</string>
			<key>PayloadDisplayName</key><string>{issuer}</string>
			<key>PayloadContent</key><data>{certificate}</data>
		</dict>
		<dict>
			<key>PayloadType</key><string>com.apple.vpn.managed</string>
			<key>PayloadVersion</key><integer>1</integer>
			<key>PayloadIdentifier</key><string>{identifier}.vpn</string>
			<key>PayloadUUID</key><string>{vpn}</string>
			<key>PayloadDisplayName</key><string>{domain}</string>
			<key>UserDefinedName</key><string>{domain}</string>
			<key>VPNType</key><string>IKEv2</string>
			<key>IKEv2</key>
			<dict>
				<key>RemoteAddress</key><string>{domain}</string>
				<key>RemoteIdentifier</key><string>{domain}</string>
				<key>LocalIdentifier</key><string>{user}</string>
				<key>AuthenticationMethod</key><string>None</string>
				<key>ExtendedAuthEnabled</key><integer>1</integer>
				<key>AuthName</key><string>{user}</string>
				<key>DeadPeerDetectionRate</key><string>Medium</string>
				<key>DisableMOBIKE</key><integer>{mobike}</integer>
				<key>EnablePFS</key><integer>{pfs}</integer>
{ike}{esp}			</dict>
			<key>IPv4</key>
			<dict>
				<key>OverridePrimary</key><integer>1</integer>
			</dict>
		</dict>
	</array>
	<key>PayloadType</key><string>Configuration</string>
	<key>PayloadVersion</key><integer>1</integer>
	<key>PayloadIdentifier</key><string>{identifier}</string>
	<key>PayloadUUID</key><string>{whole}</string>
	<key>PayloadDisplayName</key><string>{domain} ({user})</string>
</dict>
</plist>
"#
    )
}

/// Parameters of an SA in Apple's words.
fn apple(key: &str, suite: Suite) -> String {
    let Suite { cipher, hash, group } = suite;
    let mut text = format!("\t\t\t\t<key>{key}</key>\n\t\t\t\t<dict>\n");
    let hash = hash.and_then(APPLE.hash);
    let word = |text: &mut String, key: &str, kind: &str, word: Option<&str>| {
        if let Some(word) = word {
            let _ = writeln!(text, "\t\t\t\t\t<key>{key}</key><{kind}>{word}</{kind}>");
        }
    };
    word(&mut text, "EncryptionAlgorithm", "string", (APPLE.cipher)(cipher));
    word(&mut text, "IntegrityAlgorithm", "string", hash);
    word(&mut text, "DiffieHellmanGroup", "integer", group.and_then(APPLE.group));
    text.push_str("\t\t\t\t</dict>\n");
    text
}

/// A script for Windows' PowerShell: trusts the root, and makes the connection with all traffic through it.
pub fn powershell(profile: &Profile<'_>) -> String {
    let (domain, user) = (quoted(profile.domain), quoted(profile.username.as_str()));
    let certificate = quoted(&profile.authority_base64());
    let mut text = format!(
        "#Requires -RunAsAdministrator\n\
         $ErrorActionPreference = 'Stop'\n\
         $name = {domain}\n\
         $root = [Security.Cryptography.X509Certificates.X509Certificate2]::new([Convert]::FromBase64String({certificate}))\n\
         $store = [Security.Cryptography.X509Certificates.X509Store]::new('Root', 'LocalMachine')\n\
         $store.Open('ReadWrite')\n\
         $store.Add($root)\n\
         $store.Close()\n\
         if (Get-VpnConnection -Name $name -ErrorAction SilentlyContinue) {{ Remove-VpnConnection -Name $name -Force }}\n\
         $eap = (New-EapConfiguration).EapConfigXmlStream\n\
         Add-VpnConnection -Name $name -ServerAddress $name -TunnelType Ikev2 -AuthenticationMethod Eap \
         -EapConfigXmlStream $eap -EncryptionLevel Required -RememberCredential -Force\n"
    );
    let suites = (WINDOWS_IKE.choose(profile.settings.ike.list()), WINDOWS_ESP.choose(profile.settings.esp.list()));
    if let (Some(ike), Some(esp)) = suites {
        let _ = writeln!(text, "Set-VpnConnectionIPsecConfiguration -ConnectionName $name{} -Force", windows(ike, esp));
    }
    let _ = writeln!(text, "Write-Host (\"Connect to $name as \" + {user})");
    // Windows' own line ends
    text.replace('\n', "\r\n")
}

/// Both suites as options.
fn windows(ike: Suite, esp: Suite) -> String {
    let cipher = (WINDOWS_ESP.cipher)(esp.cipher).unwrap_or_default();
    // a cipher that authenticates is named for both
    let authentication = esp.hash.and_then(WINDOWS_ESP.hash).unwrap_or(cipher);
    let options = [
        ("EncryptionMethod", (WINDOWS_IKE.cipher)(ike.cipher).unwrap_or_default()),
        ("IntegrityCheckMethod", ike.hash.and_then(WINDOWS_IKE.hash).unwrap_or_default()),
        ("DHGroup", ike.group.and_then(WINDOWS_IKE.group).unwrap_or("None")),
        ("CipherTransformConstants", cipher),
        ("AuthenticationTransformConstants", authentication),
        ("PfsGroup", esp.group.and_then(WINDOWS_ESP.group).unwrap_or("None")),
    ];
    options.iter().fold(String::new(), |text, (option, word)| text + &format!(" -{option} {word}"))
}

/// Text between two tags of XML (XML 1.0, section 2.4); what XML cannot hold at all is left out.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => {}
            sign if sign.is_control() => {}
            sign => escaped.push(sign),
        }
    }
    escaped
}

/// A string of PowerShell in which nothing is expanded. It takes every typographic single quote for one of its own.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("'");
    for sign in text.chars().filter(|sign| !sign.is_control()) {
        quoted.push(sign);
        if matches!(sign, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') {
            quoted.push(sign);
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::fixture::house;
    use crate::domain::ikev2::{Credential, ServerCredential, fixture};
    use crate::domain::name::AccountName;

    fn ikev2() -> Ikev2 {
        let at = "2026-11-24T12:00:00Z".parse().unwrap();
        let credential = Credential::import(fixture::CA, fixture::RSA_KEY, at).unwrap();
        let server = ServerCredential {
            credential: credential.clone(),
            domain: "vpn.example".into(),
            ip: [192, 0, 2, 1].into(),
            ipv6: None,
        };
        let (authority, server) = (Some(Arc::new(credential)), Some(Arc::new(server)));
        Ikev2 { authority, server, ..Ikev2::default() }
    }

    fn shown(write: impl Fn(&Profile<'_>) -> String) -> String {
        let (ikev2, house) = (ikev2(), house());
        write(&Profile::new(&ikev2, house.account("peer_1").unwrap()).unwrap())
    }

    #[test]
    fn needs_both_certificates() {
        let (house, mut ikev2) = (house(), ikev2());
        let account = house.account("peer_1").unwrap();
        ikev2.server = None;
        assert_eq!(Profile::new(&ikev2, account), Err(Refusal::ServerCertificateMissing));
        ikev2.authority = None;
        assert_eq!(Profile::new(&ikev2, account), Err(Refusal::RootMissing));
    }

    #[test]
    fn writes_a_profile_of_strongswan_as_the_contract_does() {
        let text = shown(sswan);

        let certificate = fixture::CA.lines().filter(|line| !line.starts_with('-')).collect::<String>();
        let uuid = &text.split('"').nth(3).unwrap();
        let expected = format!(
            "{{\n\t\"uuid\": \"{uuid}\",\n\t\"name\": \"vpn.example\",\n\t\"type\": \"ikev2-eap\",\n\t\"remote\": {{\n\t\t\
             \"addr\": \"vpn.example\",\n\t\t\"id\": \"vpn.example\",\n\t\t\"cert\": \"{certificate}\"\n\t}},\n\t\
             \"local\": {{\n\t\t\"eap_id\": \"user_1\"\n\t}}\n}}"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn gives_each_account_a_uuid_that_stays() {
        let (ikev2, house) = (ikev2(), house());
        let account = house.account("peer_1").unwrap().as_ref();
        let other = Account { name: AccountName::parse("other").unwrap(), ..account.clone() };
        let uuid = |account: &Account, part| Profile::new(&ikev2, account).unwrap().uuid(part);

        let one = uuid(account, 0);

        assert_eq!((one.len(), &one[14..15], one.matches('-').count()), (36, "8", 4), "{one}");
        assert!(matches!(&one[19..20], "8" | "9" | "a" | "b"));
        assert_eq!(uuid(&Account { mark: 7, ..account.clone() }, 0), one);
        assert_ne!(uuid(account, 1), one);
        assert_ne!(uuid(&other, 0), one);
    }

    #[test]
    fn tells_apple_what_the_server_takes() {
        let text = shown(mobileconfig);

        for part in [
            "<key>RemoteAddress</key><string>vpn.example</string>",
            "<key>AuthName</key><string>user_1</string>",
            "<key>EncryptionAlgorithm</key><string>AES-256-GCM</string>\n\t\t\t\t\t<key>IntegrityAlgorithm</key><string>SHA2-384</string>",
            "<key>DiffieHellmanGroup</key><integer>20</integer>",
            "<key>EnablePFS</key><integer>1</integer>",
            "<key>DisableMOBIKE</key><integer>0</integer>",
            "<key>PayloadDisplayName</key><string>Example Root</string>",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(text.matches("<dict>").count(), text.matches("</dict>").count());
    }

    #[test]
    fn tells_windows_what_the_server_takes() {
        let text = shown(powershell);

        assert!(text.contains("$name = 'vpn.example'\r\n"), "{text}");
        assert!(text.contains(
            " -EncryptionMethod GCMAES256 -IntegrityCheckMethod SHA384 -DHGroup ECP384 \
             -CipherTransformConstants GCMAES256 -AuthenticationTransformConstants GCMAES256 -PfsGroup ECP384 -Force"
        ));
        assert!(text.ends_with("'user_1')\r\n"));
    }

    #[test]
    fn lets_no_text_out_of_its_place() {
        assert_eq!(xml("a<b>&\"c\"'d'\u{0}\u{fffe}ö"), "a&lt;b&gt;&amp;&quot;c&quot;&apos;d&apos;ö");
        assert_eq!(quoted("a'; rm \u{2019}$x`\n"), "'a''; rm \u{2019}\u{2019}$x`'");
    }
}
