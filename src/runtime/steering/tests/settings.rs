//! The kernel's settings: which are changed, and what is put back.

use std::io;

use super::super::settings::{Memory, Settings, change, put_back, wanted};
use super::*;

const RESERVED: &str = "net/ipv4/ip_local_reserved_ports";
const EARLY_DEMUX: &str = "net/ipv4/ip_early_demux";
const FORWARDING: &str = "net/ipv4/ip_forward";

/// Settings of a host; a write to forwarding changes every interface's, as the kernel does.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fake(BTreeMap<String, String>);

impl Fake {
    fn new() -> Self {
        let mut all: BTreeMap<String, String> = [
            (FORWARDING, "0"),
            (RESERVED, "8080,20000-20010"),
            (EARLY_DEMUX, "1"),
            ("net/ipv6/conf/all/forwarding", "0"),
            ("net/ipv4/conf/all/accept_redirects", "1"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        for name in ["all", "default", "lo", "eth0"] {
            all.insert(format!("net/ipv4/conf/{name}/rp_filter"), if name == "all" { "2" } else { "0" }.into());
            all.insert(format!("net/ipv6/conf/{name}/accept_ra"), "1".into());
            for family in ["ipv4", "ipv6"] {
                all.insert(format!("net/{family}/conf/{name}/forwarding"), "0".into());
            }
        }
        Self(all)
    }
}

impl Settings for Fake {
    fn read(&self, key: &str) -> io::Result<String> {
        self.0.get(key).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write(&mut self, key: &str, value: &str) -> io::Result<()> {
        let family = match key {
            FORWARDING => Some("ipv4"),
            "net/ipv6/conf/all/forwarding" => Some("ipv6"),
            _ => None,
        };
        if let Some(family) = family {
            let folder = format!("net/{family}/conf/");
            let each = self.0.iter_mut().filter(|(it, _)| it.starts_with(&folder) && it.ends_with("/forwarding"));
            each.for_each(|(_, it)| value.clone_into(it));
        }
        self.0.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let below = self.0.keys().filter_map(|key| key.strip_prefix(folder)?.strip_prefix('/')?.split('/').next());
        let mut names: Vec<String> = below.map(str::to_owned).collect();
        names.dedup();
        names
    }
}

/// Makes what ought to be so, as `Steering::conform` does; how many settings were written.
fn make(wish: &Wish, memory: &mut Memory, settings: &mut Fake) -> usize {
    let wanted = wanted(wish, memory, settings);
    let mut written = 0;
    for setting in &wanted {
        if let Some(changed) = change(setting, memory, settings) {
            let value = setting.aim.over(&settings.read(&setting.key).unwrap());
            memory.0.retain(|known| known.key != changed.key);
            memory.0.push(changed);
            settings.write(&setting.key, &value).unwrap();
            written += 1;
        }
    }
    let gone: Vec<_> =
        memory.0.iter().rev().filter(|it| !wanted.iter().any(|setting| setting.key == it.key)).cloned().collect();
    for changed in gone {
        put_back(&changed, settings).unwrap();
        memory.0.retain(|known| known.key != changed.key);
        written += 1;
    }
    written
}

#[test]
fn a_stop_puts_every_setting_back() {
    let before = Fake::new();
    let (mut settings, mut memory) = (before.clone(), Memory::default());

    assert!(make(&wish(), &mut memory, &mut settings) > 5);

    for (key, value) in [
        (FORWARDING, "1"),
        (EARLY_DEMUX, "0"),
        (RESERVED, "8080,16384-51819"),
        ("net/ipv4/conf/all/rp_filter", "0"),
        ("net/ipv4/conf/eth0/rp_filter", "2"),
        ("net/ipv6/conf/eth0/accept_ra", "2"),
    ] {
        assert_eq!(settings.0[key], value, "{key}");
    }
    assert_eq!(make(&wish(), &mut memory, &mut settings), 0, "a second look finds nothing to do");
    make(&Wish::default(), &mut memory, &mut settings);
    assert_eq!((settings, memory), (before, Memory::default()));
}

/// What was changed is remembered across a crash: the next start knows what was before the first.
#[test]
fn a_start_after_a_crash_remembers_what_was_before_the_first() {
    let before = Fake::new();
    let (mut settings, mut memory) = (before.clone(), Memory::default());
    make(&wish(), &mut memory, &mut settings);

    let mut remembered = memory.clone();
    assert_eq!(make(&wish(), &mut remembered, &mut settings), 0);
    make(&Wish::default(), &mut remembered, &mut settings);

    assert_eq!(settings, before);
}

#[test]
fn a_setting_that_somebody_else_has_changed_since_is_left_as_it_is() {
    let (mut settings, mut memory) = (Fake::new(), Memory::default());
    make(&wish(), &mut memory, &mut settings);
    settings.write(EARLY_DEMUX, "7").unwrap();
    settings.write(RESERVED, "8080,9090,16384-51819").unwrap();

    make(&Wish::default(), &mut memory, &mut settings);

    assert_eq!((&*settings.0[EARLY_DEMUX], &*settings.0[RESERVED]), ("7", "8080,9090,20000-20010"));
}

#[test]
fn a_setting_that_is_as_it_ought_to_be_is_not_ours() {
    let mut settings = Fake::new();
    settings.write(FORWARDING, "1").unwrap();
    settings.write(EARLY_DEMUX, "0").unwrap();
    let mut memory = Memory::default();
    make(&wish(), &mut memory, &mut settings);
    assert!(!memory.0.iter().any(|changed| [FORWARDING, EARLY_DEMUX].contains(&&*changed.key)));

    make(&Wish::default(), &mut memory, &mut settings);

    assert_eq!((&*settings.0[FORWARDING], &*settings.0[EARLY_DEMUX]), ("1", "0"));
}

/// A kernel without IPv6, or an old one, lacks some; what is not there cannot be wanted.
#[test]
fn a_kernel_without_a_setting_is_not_asked_for_it() {
    let mut settings = Fake::new();
    settings.0.retain(|key, _| !key.starts_with("net/ipv6") && key != EARLY_DEMUX);
    let mut memory = Memory::default();
    make(&wish(), &mut memory, &mut settings);
    assert!(memory.0.iter().all(|changed| changed.key.starts_with("net/ipv4")));
    assert_eq!(make(&wish(), &mut memory, &mut settings), 0);
}
