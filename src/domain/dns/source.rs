//! Where a list of names comes from that are not answered, and for which server.

use crate::domain::name::ServerName;

/// A list of names that are not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlocklistSource {
    /// For whose clients; for those of every server where absent.
    pub server: Option<ServerName>,
    /// Where it is: a file, or a URL with `http://` or `https://`.
    pub place: String,
}

impl BlocklistSource {
    /// Reads `SERVER=PLACE`, or a place alone for every server.
    pub fn parse(text: &str) -> Option<Self> {
        let named = text.split_once('=').and_then(|(server, place)| Some((ServerName::parse(server).ok()?, place)));
        let (server, place) = named.map_or((None, text), |(server, place)| (Some(server), place));
        let is_place = match Self::url(place) {
            Some(rest) => rest.split(['/', '?', '#']).next().is_some_and(|host| !host.is_empty()),
            None => !place.is_empty() && !place.contains("://"),
        };
        let is_plain = !place.bytes().any(|byte| byte.is_ascii_control() || byte == b' ');
        (is_place && is_plain).then(|| Self { server, place: place.to_owned() })
    }

    /// What stands behind the scheme, where the place is a URL.
    pub fn url(place: &str) -> Option<&str> {
        place.strip_prefix("https://").or_else(|| place.strip_prefix("http://"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_files_and_urls_for_one_server_or_all() {
        for (text, server, place) in [
            ("/etc/culvert/ads.hosts", None, "/etc/culvert/ads.hosts"),
            ("Default_1=ads.hosts", Some("Default_1"), "ads.hosts"),
            ("https://lists.example/a?b=c", None, "https://lists.example/a?b=c"),
            ("Default_1=http://lists.example:8080", Some("Default_1"), "http://lists.example:8080"),
        ] {
            let source = BlocklistSource::parse(text).unwrap();
            assert_eq!((source.server.as_ref().map(ServerName::as_str), source.place.as_str()), (server, place));
        }
    }

    #[test]
    fn refuses_what_is_no_place() {
        for text in ["", "Default_1=", "ftp://lists.example/a", "https://", "https:///a", "a\nb", "a b"] {
            assert_eq!(BlocklistSource::parse(text), None, "{text:?}");
        }
    }
}
