//! Names that are not answered, from lists in the form of `/etc/hosts` or of a domain a line.
//!
//! In a hosts list each name is blocked alone. In a list of domains everything below a name is blocked with it; `*.` and
//! `.` before it and `||…^` around it mean the same. All names lie side by side in one piece of memory.

use std::hash::BuildHasher as _;
use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::engine::wire::dns::NAME_MAX;

/// The most names of one list.
const NAMES_MAX: usize = 2_000_000;
/// Names of a hosts file that are the host's own.
const LOCAL: [&str; 8] = [
    "localhost",
    "localhost.localdomain",
    "local",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-allnodes",
];

/// A list. Each name stands in the form of a message, in lower case, behind a byte that is 1 where all below it is meant.
#[derive(Debug)]
pub struct Blocklist {
    memory: Vec<u8>,
    places: HashTable<u32>,
    hasher: FixedState,
}

impl Default for Blocklist {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Blocklist {
    /// An empty one; the seed keeps who writes lists from choosing names that collide.
    pub fn new(seed: u64) -> Self {
        Self { memory: Vec::new(), places: HashTable::new(), hasher: FixedState::with_seed(seed) }
    }

    /// How many names it has.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Adds the names of a list. Lines that are neither form are passed over; the number of those is returned.
    pub fn add(&mut self, text: &str) -> usize {
        let mut odd = 0;
        for line in text.lines() {
            let line = line.split(['#', '!']).next().unwrap_or_default().trim();
            if !line.is_empty() && self.add_line(line).is_none() {
                odd += 1;
            }
        }
        odd
    }

    fn add_line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split_whitespace();
        let first = words.next()?;
        if first.parse::<IpAddr>().is_ok() {
            for name in words.filter(|name| !LOCAL.contains(name)) {
                self.insert(name, false)?;
            }
            return Some(());
        }
        if words.next().is_some() {
            return None;
        }
        let name = first.strip_prefix("||").and_then(|name| name.strip_suffix('^')).unwrap_or(first);
        let name = name.strip_prefix("*.").or_else(|| name.strip_prefix('.')).unwrap_or(name);
        self.insert(name, true)
    }

    fn insert(&mut self, name: &str, below: bool) -> Option<()> {
        let wire = to_wire(name)?;
        if let Some(at) = self.find(&wire) {
            self.memory[at] |= u8::from(below);
            return Some(());
        }
        if self.len() >= NAMES_MAX {
            return None;
        }
        let at = u32::try_from(self.memory.len()).ok()?;
        self.memory.push(u8::from(below));
        self.memory.extend_from_slice(&wire);
        let Self { memory, places, hasher } = self;
        let of = |at: &u32| hasher.hash_one(name_at(memory, *at as usize));
        places.insert_unique(hasher.hash_one(&wire[..]), at, of);
        Some(())
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        let is_it = |at: &u32| name_at(&self.memory, *at as usize) == name;
        self.places.find(self.hasher.hash_one(name), is_it).map(|at| *at as usize)
    }

    /// Whether a name in the form of a message is blocked, itself or with what it is below.
    pub fn contains(&self, name: &[u8]) -> bool {
        if self.is_empty() || name.len() > NAME_MAX {
            return false;
        }
        let mut lower = [0; NAME_MAX];
        let lower = &mut lower[..name.len()];
        for (to, from) in lower.iter_mut().zip(name) {
            *to = from.to_ascii_lowercase();
        }
        let mut at = 0;
        while lower.get(at).is_some_and(|length| *length > 0) {
            if self.find(&lower[at..]).is_some_and(|place| at == 0 || self.memory[place] == 1) {
                return true;
            }
            at += 1 + usize::from(lower[at]);
        }
        false
    }
}

/// The name at a place, without the byte before it.
fn name_at(memory: &[u8], at: usize) -> &[u8] {
    let begin = at + 1;
    let mut end = begin;
    while memory.get(end).is_some_and(|length| *length > 0) {
        end += 1 + usize::from(memory[end]);
    }
    memory.get(begin..=end).unwrap_or_default()
}

/// A host name in the form of a message.
fn to_wire(name: &str) -> Option<Vec<u8>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut wire = Vec::with_capacity(name.len() + 2);
    for label in name.split('.') {
        let is_fit = (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !is_fit {
            return None;
        }
        wire.push(u8::try_from(label.len()).ok()?);
        wire.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    wire.push(0);
    (wire.len() <= NAME_MAX).then_some(wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(list: &Blocklist, name: &str) -> bool {
        list.contains(&to_wire(name).unwrap())
    }

    #[test]
    fn blocks_the_names_of_a_hosts_list_alone() {
        let mut list = Blocklist::new(1);
        let odd =
            list.add("# a list\n127.0.0.1 localhost\n0.0.0.0 Ads.Example tracker.example # both\n::1\tv6.example\n");

        assert_eq!((odd, list.len()), (0, 3));
        for name in ["ads.example", "ADS.example", "tracker.example", "v6.example"] {
            assert!(blocks(&list, name), "{name}");
        }
        for name in ["localhost", "a.ads.example", "example", "xads.example"] {
            assert!(!blocks(&list, name), "{name}");
        }
    }

    #[test]
    fn blocks_everything_below_the_names_of_a_list_of_domains() {
        let mut list = Blocklist::new(1);
        let odd =
            list.add("ads.example\n*.two.example\n.three.example\n||four.example^\n! remark\nnot a domain\n-.-/x\n");

        assert_eq!((odd, list.len()), (2, 4));
        for name in ["ads.example", "a.b.ads.example", "x.two.example", "three.example", "x.four.example"] {
            assert!(blocks(&list, name), "{name}");
        }
        for name in ["bads.example", "example", "ads.example.org"] {
            assert!(!blocks(&list, name), "{name}");
        }
    }

    #[test]
    fn takes_a_name_of_both_kinds_for_the_wider_one() {
        let mut list = Blocklist::new(1);
        list.add("0.0.0.0 ads.example\nads.example\n");

        assert!(blocks(&list, "a.ads.example"));
        assert_eq!(list.len(), 1);
    }
}
