//! The commands of IKEv2.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::request::Call;
use super::{Failure, read};

/// The switch.
const IKEV2: &str = "/api/v1/ikev2";
/// Certificates, keys and the switch.
const CONFIG: &str = "/api/v1/ikev2/config";
/// The advanced settings.
const SETTINGS: &str = "/api/v1/ikev2/advanced_settings";

/// What to do with IKEv2.
#[derive(Debug, Subcommand)]
pub enum Ikev2Command {
    /// Show certificates and whether it is on
    Show,
    /// Make a certificate authority
    GenerateCa(Subject),
    /// Take a certificate authority, certificate and key in PEM
    ImportCa {
        /// The certificate
        #[arg(long, value_name = "FILE")]
        cert: PathBuf,
        /// Its key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Remove the certificate authority and what it has signed
    DeleteCa,
    /// Make the server's certificate
    GenerateServer {
        /// What clients connect to
        #[arg(long, value_name = "HOST")]
        domain: String,
        /// An address of the server
        #[arg(long, value_name = "IP")]
        ip: String,
        /// Its address over IPv6
        #[arg(long, value_name = "IP")]
        ipv6: Option<String>,
        /// Whose it is.
        #[command(flatten)]
        subject: Subject,
    },
    /// Remove the server's certificate
    DeleteServer,
    /// Let clients connect
    Enable,
    /// Let no clients connect
    Disable,
    /// Show the advanced settings, or change those that you name, as in `rekey=yes lifetime=7200`
    Settings {
        /// Names and values, as the settings show them
        #[arg(value_name = "NAME=VALUE", value_parser = pair)]
        changes: Vec<(String, String)>,
        /// Set all of them back to their defaults
        #[arg(long, conflicts_with = "changes")]
        reset: bool,
    },
    /// List who is connected
    Online,
    /// End an account's sessions
    Drop {
        /// The account's name.
        account: String,
    },
}

/// Whose a certificate is.
#[derive(Debug, Args)]
pub struct Subject {
    /// The name that it is for
    #[arg(long, value_name = "TEXT")]
    pub common_name: String,
    /// The organization that it is for
    #[arg(long, value_name = "TEXT")]
    pub organization: String,
    /// Its part
    #[arg(long, value_name = "TEXT")]
    pub unit: Option<String>,
    /// Its town
    #[arg(long, value_name = "TEXT")]
    pub locality: Option<String>,
    /// Its state or province
    #[arg(long, value_name = "TEXT")]
    pub state: Option<String>,
    /// Its country, two letters
    #[arg(long, value_name = "TEXT")]
    pub country: Option<String>,
    /// rsa2048, rsa3072, rsa4096, ecdsa256 or ecdsa384
    #[arg(long, value_name = "KIND")]
    pub key_type: Option<String>,
}

/// For which kind of client a profile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProfileFormat {
    /// strongSwan's app.
    Sswan,
    /// iOS and macOS.
    Mobileconfig,
    /// Windows.
    Powershell,
}

impl ProfileFormat {
    /// The end of its path below an account.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Sswan => "/ikev2_profile",
            Self::Mobileconfig => "/ikev2_mobileconfig",
            Self::Powershell => "/ikev2_powershell",
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has no `=`")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The request that a command stands for, but for what lies in files and what is asked first.
pub(super) fn call(command: &Ikev2Command) -> Call {
    match command {
        Ikev2Command::Show => Call::get(CONFIG),
        Ikev2Command::GenerateCa(subject) => Call::put(below("generate_ca_rsa"), subject_form(CA, subject)),
        Ikev2Command::ImportCa { .. } => Call::put(below("import_ca_rsa"), Vec::new()),
        Ikev2Command::DeleteCa => Call::delete(below("delete_ca_rsa")),
        Ikev2Command::GenerateServer { domain, ip, ipv6, subject } => {
            let mut form = subject_form(SERVER, subject);
            form.extend([
                ("server_domain", Some(domain.clone())),
                ("server_ip", Some(ip.clone())),
                ("server_ipv6", ipv6.clone()),
            ]);
            Call::put(below("generate_server_rsa"), form)
        }
        Ikev2Command::DeleteServer => Call::delete(below("delete_server_rsa")),
        Ikev2Command::Enable => Call::put(IKEV2, vec![("enabled", Some("1".into()))]),
        Ikev2Command::Disable => Call::put(IKEV2, vec![("enabled", Some("0".into()))]),
        Ikev2Command::Settings { reset: true, .. } => Call::put(format!("{SETTINGS}/default"), Vec::new()),
        Ikev2Command::Settings { changes, .. } if changes.is_empty() => Call::get(SETTINGS),
        Ikev2Command::Settings { .. } => Call::put(SETTINGS, Vec::new()),
        Ikev2Command::Online => Call::get(below("online")),
        Ikev2Command::Drop { account } => Call::delete(super::request::below(&below("online"), account)),
    }
}

/// The field names of a subject, in the order in which [`subject_form`] fills them.
type SubjectFields = [&'static str; 6];
const CA: SubjectFields = [
    "ca_common_name",
    "ca_organization",
    "ca_organizational_unit",
    "ca_locality",
    "ca_state_or_province_name",
    "ca_country_name",
];
const SERVER: SubjectFields = [
    "server_common_name",
    "server_organization",
    "server_organizational_unit",
    "server_locality",
    "server_state_or_province_name",
    "server_country_name",
];

fn subject_form(fields: SubjectFields, subject: &Subject) -> Vec<(&'static str, Option<String>)> {
    let values = [
        Some(subject.common_name.clone()),
        Some(subject.organization.clone()),
        subject.unit.clone(),
        subject.locality.clone(),
        subject.state.clone(),
        subject.country.clone(),
    ];
    let mut form: Vec<_> = fields.into_iter().zip(values).collect();
    form.push(("key_type", subject.key_type.clone()));
    form
}

fn below(name: &str) -> String {
    format!("{IKEV2}/{name}")
}

/// What an edit of the settings must be told first: the API wants all proposals each time, and a person does not.
pub(super) fn asks_first(command: &Ikev2Command) -> Option<Call> {
    matches!(command, Ikev2Command::Settings { changes, .. } if !changes.is_empty()).then(|| Call::get(SETTINGS))
}

/// Puts what is in files, and what was asked first, into a call.
///
/// # Errors
/// A file that cannot be read, a setting that there is not.
pub(super) fn complete(command: &Ikev2Command, call: &mut Call, first: &Value) -> Result<(), Failure> {
    match command {
        Ikev2Command::ImportCa { cert, key } => {
            call.form.extend([("ca_cert", read(cert)?), ("ca_key", read(key)?)]);
            Ok(())
        }
        Ikev2Command::Settings { changes, .. } => {
            for name in ["ike", "esp"] {
                let present = first.get(name).and_then(Value::as_str).unwrap_or_default();
                call.form.push((name, present.to_owned()));
            }
            for (name, value) in changes {
                let known = NAMES.into_iter().find(|known| known == name);
                let known = known.ok_or_else(|| Failure::unusable(format!("there is no setting `{name}`")))?;
                // of two with the same name the last counts
                call.form.push((known, value.clone()));
            }
            Ok(())
        }
        Ikev2Command::Show
        | Ikev2Command::GenerateCa(_)
        | Ikev2Command::DeleteCa
        | Ikev2Command::GenerateServer { .. }
        | Ikev2Command::DeleteServer
        | Ikev2Command::Enable
        | Ikev2Command::Disable
        | Ikev2Command::Online
        | Ikev2Command::Drop { .. } => Ok(()),
    }
}

/// Every advanced setting.
const NAMES: [&str; 41] = [
    "authby",
    "charondebug_asn",
    "charondebug_cfg",
    "charondebug_chd",
    "charondebug_dmn",
    "charondebug_enc",
    "charondebug_esp",
    "charondebug_ike",
    "charondebug_imc",
    "charondebug_imv",
    "charondebug_job",
    "charondebug_knl",
    "charondebug_lib",
    "charondebug_mgr",
    "charondebug_net",
    "charondebug_pts",
    "charondebug_tls",
    "charondebug_tnc",
    "closeaction",
    "compress",
    "dpdaction",
    "dpddelay",
    "dpdtimeout",
    "esp",
    "forceencaps",
    "fragmentation",
    "ike",
    "ikelifetime",
    "inactivity",
    "installpolicy",
    "keyingtries",
    "lifetime",
    "margintime",
    "mobike",
    "modeconfig",
    "reauth",
    "rekey",
    "rekeyfuzz",
    "strictcrlpolicy",
    "type",
    "uniqueids",
];

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;
    use crate::cli::args::{Arguments, Command};

    fn command(line: &str) -> Ikev2Command {
        let parsed = Arguments::try_parse_from(line.split_whitespace()).unwrap().command;
        let Command::Ikev2(command) = parsed else { panic!("{parsed:?}") };
        command
    }

    #[test]
    fn knows_the_path_of_every_command() {
        for (line, expected) in [
            ("culvert ikev2 show", "GET /api/v1/ikev2/config"),
            ("culvert ikev2 generate-ca --common-name a --organization b", "PUT /api/v1/ikev2/generate_ca_rsa"),
            ("culvert ikev2 import-ca --cert c --key k", "PUT /api/v1/ikev2/import_ca_rsa"),
            ("culvert ikev2 delete-ca", "DELETE /api/v1/ikev2/delete_ca_rsa"),
            (
                "culvert ikev2 generate-server --domain d --ip i --common-name a --organization b",
                "PUT /api/v1/ikev2/generate_server_rsa",
            ),
            ("culvert ikev2 delete-server", "DELETE /api/v1/ikev2/delete_server_rsa"),
            ("culvert ikev2 enable", "PUT /api/v1/ikev2"),
            ("culvert ikev2 disable", "PUT /api/v1/ikev2"),
            ("culvert ikev2 settings", "GET /api/v1/ikev2/advanced_settings"),
            ("culvert ikev2 settings rekey=yes", "PUT /api/v1/ikev2/advanced_settings"),
            ("culvert ikev2 settings --reset", "PUT /api/v1/ikev2/advanced_settings/default"),
            ("culvert ikev2 online", "GET /api/v1/ikev2/online"),
            ("culvert ikev2 drop a/b", "DELETE /api/v1/ikev2/online/a%2Fb"),
        ] {
            let call = call(&command(line));
            assert_eq!(format!("{} {}", call.method, call.path), expected, "{line}");
        }
    }

    #[test]
    fn sends_a_subject_under_its_names_in_the_contract() {
        let line = "culvert ikev2 generate-server --domain d --ip i --common-name a --organization b --unit c --locality e \
                    --state f --country g --key-type rsa2048";
        let form = call(&command(line)).form;
        for (name, value) in [
            ("server_common_name", "a"),
            ("server_organizational_unit", "c"),
            ("server_locality", "e"),
            ("server_state_or_province_name", "f"),
            ("server_country_name", "g"),
            ("server_domain", "d"),
            ("key_type", "rsa2048"),
        ] {
            assert!(form.contains(&(name, value.into())), "{name}: {form:?}");
        }
    }

    #[test]
    fn sends_present_proposals_along_with_a_change() {
        let command = command("culvert ikev2 settings rekey=yes esp=a=b!");
        assert_eq!(asks_first(&command), Some(Call::get(SETTINGS)));
        let mut call = call(&command);

        complete(&command, &mut call, &json!({"ike": "x!", "esp": "y!"})).unwrap();

        let form: Vec<_> = call.form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(form, [("ike", "x!"), ("esp", "y!"), ("rekey", "yes"), ("esp", "a=b!")]);
    }

    #[test]
    fn refuses_a_setting_that_there_is_not() {
        let command = command("culvert ikev2 settings speed=high");
        let refused = complete(&command, &mut call(&command), &Value::Null).unwrap_err();
        assert_eq!((refused.code, refused.sentence.as_str()), (2, "there is no setting `speed`"));
        assert!(Arguments::try_parse_from(["culvert", "ikev2", "settings", "rekey"]).is_err());
    }
}
