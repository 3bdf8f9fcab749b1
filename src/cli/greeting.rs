//! What `serve` tells the person who started it.

use std::path::PathBuf;

/// Everything there is to tell.
#[derive(Clone, PartialEq, Eq)]
pub struct Greeting {
    /// This program's version.
    pub version: &'static str,
    /// Where the API answers, most useful first.
    pub urls: Vec<String>,
    /// Which uplink it took.
    pub uplink: String,
    /// Why that one.
    pub uplink_why: String,
    /// Servers that cannot run, each with the reason.
    pub faults: Vec<(String, String)>,
    /// The folder for everything that lasts.
    pub data: PathBuf,
    /// What was made on an empty store; shown this once.
    pub made: Option<Made>,
}

/// What an empty store was given.
#[derive(Clone, PartialEq, Eq)]
pub struct Made {
    /// The panel's user.
    pub admin: String,
    /// Its password.
    pub password: String,
    /// An access hash for 127.0.0.1.
    pub access_hash: String,
    /// The first account.
    pub account: String,
    /// Where its client file lies, if it could be written.
    pub client_file: Option<PathBuf>,
    /// That file as a QR code.
    pub qr: String,
}

impl Greeting {
    /// Writes it as text. A second start is one short line, and one for each server that cannot run.
    pub fn render(&self) -> String {
        let faults = self.faults.iter().map(|(server, why)| format!("Server `{server}` does not run: {why}\n"));
        let head = self.made.as_ref().map_or_else(|| self.short(), |made| self.long(made));
        std::iter::once(head).chain(faults).collect()
    }

    fn short(&self) -> String {
        let Self { version, urls, uplink, uplink_why, data, .. } = self;
        let url = urls.first().map_or("", String::as_str);
        format!("Culvert {version} serves {url} from `{}`, uplink {uplink}: {uplink_why}\n", data.display())
    }

    fn long(&self, made: &Made) -> String {
        let mut lines = vec![format!("Culvert {} is ready.\n", self.version)];
        let mut line = |name: &str, value: &str| lines.push(format!("  {name:<14}{value}"));
        for (index, url) in self.urls.iter().enumerate() {
            line(if index == 0 { "API and panel" } else { "" }, url);
        }
        line("Uplink", &format!("{}: {}", self.uplink, self.uplink_why));
        line("Folder", &self.data.display().to_string());
        line("Login", &format!("{} / {}", made.admin, made.password));
        line("Access hash", &made.access_hash);
        line("", "Login and hash are shown this once. The hash works from 127.0.0.1; `culvert access add` makes more.");
        lines.push(match &made.client_file {
            Some(file) => format!(
                "\nThe first client is `{}`: import {}\non a computer, or scan this with the WireGuard app on a phone.\n",
                made.account,
                file.display()
            ),
            None => format!("\nThe first client is `{}`: scan this with the WireGuard app on a phone.\n", made.account),
        });
        lines.push(format!("{}\n", made.qr.trim_end_matches('\n')));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(made: Option<Made>) -> Greeting {
        Greeting {
            version: "1.2.3",
            urls: vec!["https://192.0.2.7:8098/".into(), "https://127.0.0.1:8098/".into()],
            uplink: "sockets".into(),
            uplink_why: "it needs no privilege".into(),
            faults: Vec::new(),
            data: "./culvert-data".into(),
            made,
        }
    }

    #[test]
    fn says_one_line_when_nothing_was_made() {
        let text = greeting(None).render();

        assert_eq!(
            text,
            "Culvert 1.2.3 serves https://192.0.2.7:8098/ from `./culvert-data`, uplink sockets: it needs no privilege\n"
        );
    }

    #[test]
    fn names_a_server_that_does_not_run() {
        let faults = vec![("Default_1".into(), "port 51821 is taken".into())];

        let text = Greeting { faults, ..greeting(None) }.render();

        assert_eq!(text.lines().nth(1), Some("Server `Default_1` does not run: port 51821 is taken"));
    }

    #[test]
    fn shows_everything_that_was_made() {
        let made = Made {
            admin: "admin".into(),
            password: "PASSWORD".into(),
            access_hash: "HASH".into(),
            account: "peer_1".into(),
            client_file: Some("./culvert-data/peer_1.conf".into()),
            qr: "█▀▄\n".into(),
        };

        let text = greeting(Some(made)).render();

        for part in [
            "https://192.0.2.7:8098/",
            "https://127.0.0.1:8098/",
            "sockets: it needs no privilege",
            "admin / PASSWORD",
            "HASH",
            "./culvert-data/peer_1.conf",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(text.ends_with("\n█▀▄\n"), "{text}");
    }
}
