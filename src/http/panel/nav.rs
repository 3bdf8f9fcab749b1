//! Where one can go: the panel's pages in the order of the menu.

use super::visit::Visit;
use crate::domain::access::Right::{self, Administer, See, SeeAccounts};

/// A part of the menu.
pub(super) struct Part {
    /// The key of its heading.
    pub(super) key: &'static str,
    /// Its pages.
    pub(super) places: Vec<Place>,
}

/// A page in the menu.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The key of its name.
    pub(super) key: &'static str,
    /// Its address.
    pub(super) to: &'static str,
    /// Its picture: the data of an SVG path in a box of 24 by 24.
    pub(super) icon: &'static str,
    /// Who finds it there: whoever has this right.
    right: Right,
}

const fn place(key: &'static str, to: &'static str, right: Right, icon: &'static str) -> Place {
    Place { key, to, icon, right }
}

const FIRST: [Place; 1] = [place("nav.dashboard", "/panel", SeeAccounts, "M4 13h6V4H4zM14 20h6V4h-6zM4 20h6v-3H4z")];

const TUNNELS: [Place; 3] = [
    place("nav.servers", "/panel/servers", See, "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01"),
    place(
        "nav.accounts",
        "/panel/accounts",
        SeeAccounts,
        "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM3 20c0-4 3-6 6-6s6 2 6 6M16 5a3.5 3.5 0 0 1 0 6M18 14c2 1 3 3 3 6",
    ),
    place(
        "nav.online",
        "/panel/online",
        SeeAccounts,
        "M5 12a10 10 0 0 1 14 0M8 15a6 6 0 0 1 8 0M12 19h.01M2 9a14 14 0 0 1 20 0",
    ),
];

const NETWORK: [Place; 4] = [
    place("nav.firewall", "/panel/firewall", See, "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6z"),
    place(
        "nav.dns",
        "/panel/dns",
        See,
        "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM3 12h18M12 3c5 5 5 13 0 18M12 3c-5 5-5 13 0 18",
    ),
    place("nav.ikev2", "/panel/ikev2", See, "M7 11V8a5 5 0 0 1 10 0v3M5 11h14v10H5zM12 15v2"),
    place("nav.traffic_log", "/panel/traffic-log", See, "M5 4h14v16H5zM8 8h8M8 12h8M8 16h5"),
];

const SHARING: [Place; 2] = [
    place(
        "nav.links",
        "/panel/links",
        SeeAccounts,
        "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
    ),
    place(
        "nav.backups",
        "/panel/backups",
        See,
        "M4 7c0-2 16-2 16 0v10c0 2-16 2-16 0zM4 7c0 2 16 2 16 0M4 12c0 2 16 2 16 0",
    ),
];

const SYSTEM: [Place; 7] = [
    place("nav.settings", "/panel/settings", See, "M4 7h10M18 7h2M4 17h2M10 17h10M14 4v6M8 14v6"),
    place("nav.certificate", "/panel/certificate", See, "M5 3h14v12H5zM9 7h6M9 11h3M15 14l-2 7 3-2 3 2-1-7"),
    place("nav.users", "/panel/users", Administer, "M12 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c0-5 4-7 8-7s8 2 8 7"),
    place("nav.access", "/panel/access", Administer, "M15 9a4 4 0 1 0-4 4l1 1 2-2 2 2 2-2 2 2M7 9h.01"),
    place(
        "nav.webhooks",
        "/panel/webhooks",
        Administer,
        "M12 3v4M12 17v4M3 12h4M17 12h4M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
    ),
    place("nav.audit", "/panel/audit", See, "M6 3h9l4 4v14H6zM9 12h7M9 16h7M9 8h3"),
    place("nav.about", "/panel/about", SeeAccounts, "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5M12 8h.01"),
];

/// The menu as this reader has it.
pub(super) fn menu(visit: &Visit) -> Vec<Part> {
    let finds = |place: &Place| visit.has(place.right);
    let part =
        |key, places: &[Place]| Part { key, places: places.iter().filter(|place| finds(place)).copied().collect() };
    let parts = [
        part("nav.overview", &FIRST),
        part("nav.tunnels", &TUNNELS),
        part("nav.network", &NETWORK),
        part("nav.sharing", &SHARING),
        part("nav.system", &SYSTEM),
    ];
    parts.into_iter().filter(|part| !part.places.is_empty()).collect()
}

impl Place {
    /// Whether the reader is there, or below it.
    pub(super) fn is_here(&self, path: &str) -> bool {
        path == self.to || (self.to != "/panel" && path.strip_prefix(self.to).is_some_and(|rest| rest.starts_with('/')))
    }
}
