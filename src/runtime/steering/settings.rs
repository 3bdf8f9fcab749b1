//! Settings of the kernel: which ought to be, and what to put back.
//!
//! What a setting was is remembered in a file before it is changed, so that a stop, or the next start after a crash, can put
//! it back. A setting that somebody else has changed since is left as it is.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::wish::Wish;
use crate::runtime::os::ports::PortSet;

/// Ports that the kernel gives to no program of its own accord.
const RESERVED: &str = "net/ipv4/ip_local_reserved_ports";
/// Forwarding of each family.
pub(super) const FORWARDING: [&str; 2] = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"];

/// The kernel's settings, or a stand-in for them.
pub(super) trait Settings {
    fn read(&self, key: &str) -> io::Result<String>;
    fn write(&mut self, key: &str, value: &str) -> io::Result<()>;
    /// What stands below a folder, in order.
    fn names(&self, folder: &str) -> Vec<String>;
}

/// What a setting ought to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Aim {
    Value(String),
    /// A list of ports that has these, whatever else it has.
    Ports(RangeInclusive<u16>),
}

/// A setting that ought to be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) aim: Aim,
    /// Settings that the kernel changes with it.
    drags: Vec<String>,
}

/// A setting that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Changed {
    pub(super) key: String,
    was: String,
    aim: Aim,
    /// What the settings were that the kernel changed with it.
    dragged: BTreeMap<String, String>,
}

/// Everything that was changed, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory(pub(super) Vec<Changed>);

impl Aim {
    /// Whether a setting with this value is as it ought to be.
    fn is_met(&self, value: &str) -> bool {
        match self {
            Self::Value(wanted) => value == wanted,
            Self::Ports(range) => {
                let set = PortSet::parse(value);
                range.clone().all(|port| set.contains(port))
            }
        }
    }

    /// What to write in place of `value`.
    pub(super) fn over(&self, value: &str) -> String {
        match self {
            Self::Value(wanted) => wanted.clone(),
            Self::Ports(range) => {
                let mut set = PortSet::parse(value);
                set.insert_all(range.clone());
                set.to_string()
            }
        }
    }

    /// What to put back where the setting was `was` and is `now`; `None` where somebody else has changed it.
    fn undo(&self, was: &str, now: &str) -> Option<String> {
        match self {
            Self::Value(wanted) => (now == wanted).then(|| was.to_owned()),
            Self::Ports(range) => {
                let (before, mut set) = (PortSet::parse(was), PortSet::parse(now));
                set.remove_all(range.clone());
                range.clone().filter(|port| before.contains(*port)).for_each(|port| set.insert(port));
                Some(set.to_string())
            }
        }
    }
}

impl Memory {
    /// What a setting would be without us.
    fn original(&self, key: &str, settings: &impl Settings) -> Option<String> {
        let now = settings.read(key).ok()?;
        let changed = self.0.iter().find(|changed| changed.key == key);
        Some(changed.and_then(|changed| changed.aim.undo(&changed.was, &now)).unwrap_or(now))
    }
}

/// The settings that ought to be, in the order in which they are to be made.
pub(super) fn wanted(wish: &Wish, memory: &Memory, settings: &impl Settings) -> Vec<Setting> {
    let mut wanted = Vec::new();
    let value = |key: String, value: &str| Setting { key, aim: Aim::Value(value.into()), drags: Vec::new() };
    let of_others = |folder: &str| -> Vec<String> {
        let ours = wish.devices();
        let is_others = |name: &String| name != "all" && name != "lo" && !ours.contains(name.as_str());
        settings.names(folder).into_iter().filter(is_others).collect()
    };
    let original = |key: &str| memory.original(key, settings).unwrap_or_default();
    if wish.forwards(false) {
        // what is handed back by us fails the check of its source. The check of an interface is the stricter of its own
        // and that of all: the others get what all had, and all gets none
        let all = original("net/ipv4/conf/all/rp_filter");
        if all != "0" {
            for name in of_others("net/ipv4/conf") {
                let key = format!("net/ipv4/conf/{name}/rp_filter");
                if original(&key) < all {
                    wanted.push(value(key, &all));
                }
            }
            wanted.push(value("net/ipv4/conf/all/rp_filter".into(), "0"));
        }
        let mut forwarding = value(FORWARDING[0].into(), "1");
        forwarding.drags = each(settings, "net/ipv4/conf", "forwarding");
        forwarding.drags.push("net/ipv4/conf/all/accept_redirects".into());
        wanted.push(forwarding);
    }
    if wish.forwards(true) {
        // a host that forwards takes no router's word unless told so; and it forgets its routers at that moment
        if original(FORWARDING[1]) == "0" {
            for name in of_others("net/ipv6/conf") {
                let key = format!("net/ipv6/conf/{name}/accept_ra");
                if original(&key) == "1" {
                    wanted.push(value(key, "2"));
                }
            }
        }
        let mut forwarding = value(FORWARDING[1].into(), "1");
        forwarding.drags = each(settings, "net/ipv6/conf", "forwarding");
        wanted.push(forwarding);
    }
    if [false, true].into_iter().any(|v6| wish.forwards(v6) && wish.shared(v6).next().is_some()) {
        wanted.push(Setting { key: RESERVED.into(), aim: Aim::Ports(wish.ports.clone()), drags: Vec::new() });
        // a packet whose socket was found before it was routed cannot be forwarded, and so could not be handed back
        wanted.push(value("net/ipv4/ip_early_demux".into(), "0"));
    }
    // what no kernel of this kind has cannot be wanted
    wanted.retain(|setting| settings.read(&setting.key).is_ok());
    wanted
}

/// Each interface's own setting of a name, save that of `all`.
fn each(settings: &impl Settings, folder: &str, name: &str) -> Vec<String> {
    let names = settings.names(folder).into_iter().filter(|interface| interface != "all");
    names.map(|interface| format!("{folder}/{interface}/{name}")).collect()
}

/// What is to be remembered before `setting` is made; `None` where it is as it ought to be.
pub(super) fn change(setting: &Setting, memory: &Memory, settings: &impl Settings) -> Option<Changed> {
    let now = settings.read(&setting.key).ok()?;
    let known = memory.0.iter().find(|changed| changed.key == setting.key);
    if setting.aim.is_met(&now) && known.is_none_or(|known| known.aim == setting.aim) {
        return None;
    }
    let dragged = || {
        let read = |key: &String| settings.read(key).ok().map(|value| (key.clone(), value));
        setting.drags.iter().filter_map(read).collect()
    };
    Some(match known {
        Some(known) => Changed {
            was: known.aim.undo(&known.was, &now).unwrap_or_else(|| known.was.clone()),
            aim: setting.aim.clone(),
            ..known.clone()
        },
        None => Changed { key: setting.key.clone(), was: now, aim: setting.aim.clone(), dragged: dragged() },
    })
}

/// Puts a setting back, and what the kernel changed with it.
///
/// # Errors
/// The kernel's, about the setting itself.
pub(super) fn put_back(changed: &Changed, settings: &mut impl Settings) -> io::Result<()> {
    let now = match settings.read(&changed.key) {
        // the interface is gone
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        now => now?,
    };
    let Some(value) = changed.aim.undo(&changed.was, &now).filter(|value| *value != now) else { return Ok(()) };
    settings.write(&changed.key, &value)?;
    for (key, was) in &changed.dragged {
        if settings.read(key).is_ok_and(|now| now != *was) {
            // an interface that is gone by now needs it no more
            let _ = settings.write(key, was);
        }
    }
    Ok(())
}
