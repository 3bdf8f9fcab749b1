//! The process is killed in the midst of whatever it writes, again and again: what it has acknowledged is there each time.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::api::Api;
use crate::dice::Dice;
use crate::process::Running;

const KILLS: usize = 200;
/// The most answers that a round waits for before its kill.
const ANSWERS: usize = 40;
/// How many things of a kind there may be.
const THINGS: usize = 8;

/// What there is: each thing by its place, with the one field of it that is changed.
type Things = BTreeMap<String, String>;

/// What changes one thing.
#[derive(Debug, Clone)]
struct Order {
    method: &'static str,
    path: String,
    form: String,
    /// Which thing, and what of it is there then; a backup has no name before it is made.
    place: String,
    then: Option<String>,
}

/// What writes things of one kind, a connection each. No two write the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Account,
    Server,
    Forward,
    Dns,
    Backup,
}

const KINDS: [Kind; 6] = [Kind::Account, Kind::Account, Kind::Server, Kind::Forward, Kind::Dns, Kind::Backup];

impl Kind {
    /// The next order of the writer `number`, in view of what is there.
    fn order(self, number: usize, things: &Things, dice: &mut Dice) -> Order {
        let thing = dice.below(THINGS);
        let value = 1_280 + dice.below(100);
        let (place, listed, form, one) = match self {
            Self::Account => {
                let name = format!("w{number}_{thing}");
                let form = format!("wg_name=Default_1&name={name}&b_download={value}");
                (format!("account/{name}"), "/api/v1/account".to_owned(), form, format!("/api/v1/account/{name}"))
            }
            Self::Server => {
                let (name, port) = (format!("s{thing}"), 53_100 + thing);
                let form = format!("name={name}&address=10.99.{thing}.1/24&listen_port={port}&mtu={value}");
                (format!("server/{name}"), "/api/v1/wireguard".to_owned(), form, format!("/api/v1/wireguard/{name}"))
            }
            Self::Forward => {
                let port = 6_000 + thing;
                let all = "/api/v1/wireguard/Default_1/port_forwarding".to_owned();
                let form = format!("protocol=tcp&dst_port={port}&to_peer=peer_1&to_port={value}");
                (format!("forward/{port}"), all.clone(), form, format!("{all}/{port}/tcp"))
            }
            Self::Dns => return Self::set("/api/v1/dns", "max_cache_ttl", "dns", value),
            Self::Backup if dice.once_in(3) => {
                return Self::set("/api/v1/backups/config", "number_backups", "keep", value);
            }
            Self::Backup => {
                let (path, form) = ("/api/v1/backups".to_owned(), "statistics=1".to_owned());
                return Order { method: "POST", path, form, place: String::new(), then: Some(String::new()) };
            }
        };
        let value = value.to_string();
        if !things.contains_key(&place) {
            return Order { method: "POST", path: listed, form, place, then: Some(value) };
        }
        if self == Self::Forward || dice.once_in(3) {
            return Order { method: "DELETE", path: one, form: String::new(), place, then: None };
        }
        let field = if self == Self::Account { "b_download" } else { "mtu" };
        Order { method: "PUT", path: one, form: format!("{field}={value}"), place, then: Some(value) }
    }

    fn set(path: &str, field: &str, place: &str, value: usize) -> Order {
        let form = format!("{field}={value}");
        Order { method: "PUT", path: path.to_owned(), form, place: place.to_owned(), then: Some(value.to_string()) }
    }
}

/// What the process says there is, of what is written here.
fn look(data: &Path) -> Things {
    let mut api = Api::connect(data).unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut things = Things::new();
    let mut list = |kind: &str, all: &Value, name: &str, field: &str| {
        let all: Vec<&Value> =
            all.as_array().map_or_else(|| all.as_object().unwrap().values().collect(), |all| all.iter().collect());
        for one in all {
            let value = if field.is_empty() { String::new() } else { text(&one[field]) };
            things.insert(format!("{kind}/{}", text(&one[name])), value);
        }
    };
    list("account", &api.get("/api/v1/account"), "name", "b_download");
    list("server", &api.get("/api/v1/wireguard"), "name", "mtu");
    list("forward", &api.get("/api/v1/wireguard/Default_1/port_forwarding"), "dst_port", "to_port");
    list("backup", &api.get("/api/v1/backups")["backups"], "backup_name", "");
    things.insert("dns".into(), text(&api.get("/api/v1/dns")["max_cache_ttl"]));
    things.insert("keep".into(), text(&api.get("/api/v1/backups/config")["number_backups"]));
    things
}

/// Writes until the process is gone. Returns what was acknowledged, in order, and the one order that was not.
fn write(
    data: &Path,
    kind: Kind,
    number: usize,
    mut things: Things,
    mut dice: Dice,
    said: &Sender<()>,
) -> (Vec<(String, Option<String>)>, Option<Order>) {
    let mut acknowledged = Vec::new();
    let Ok(mut api) = Api::connect(data) else { return (acknowledged, None) };
    loop {
        let order = kind.order(number, &things, &mut dice);
        let answer: io::Result<Value> = api.send(order.method, &order.path, &order.form);
        let Ok(answer) = answer else { return (acknowledged, Some(order)) };
        let place = match answer["backup_name"].as_str() {
            Some(name) => format!("backup/{name}"),
            None => order.place,
        };
        put(&mut things, &place, order.then.as_ref());
        acknowledged.push((place, order.then));
        let _ = said.send(());
    }
}

fn put(things: &mut Things, place: &str, value: Option<&String>) {
    match value {
        Some(value) => things.insert(place.to_owned(), value.clone()),
        None => things.remove(place),
    };
}

/// Where what is there is neither what was acknowledged, nor that with one of the orders on top that nobody heard of.
fn lost(model: &Things, there: &Things, unheard: &[Order]) -> Vec<String> {
    let places: BTreeSet<&String> = model.keys().chain(there.keys()).collect();
    let wrong = places.into_iter().filter(|place| {
        let (ought, is) = (model.get(*place), there.get(*place));
        let excused = unheard.iter().any(|order| {
            let same = order.place == **place || order.place.is_empty() && place.starts_with("backup/");
            same && order.then.as_ref() == is
        });
        ought != is && !excused
    });
    wrong.map(|place| format!("{place}: {:?} instead of {:?}", there.get(place), model.get(place))).collect()
}

#[test]
fn loses_nothing_acknowledged_when_it_is_killed_two_hundred_times() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let mut dice = Dice::new(1);
    let mut running = Running::start(data);
    let (mut model, mut acknowledged, mut unheard_of) = (look(data), 0, 0);

    for round in 0..KILLS {
        let (say, said) = channel();
        let answers = dice.below(ANSWERS);
        let unheard = thread::scope(|scope| {
            let writers: Vec<_> = KINDS
                .into_iter()
                .enumerate()
                .map(|(number, kind)| {
                    let (things, dice, say) = (model.clone(), Dice::new(dice.bits()), say.clone());
                    scope.spawn(move || write(data, kind, number, things, dice, &say))
                })
                .collect();
            drop(say);
            acknowledged += said.iter().take(answers).count();
            running.stop(Signal::SIGKILL);
            let mut unheard = Vec::new();
            for writer in writers {
                let (told, last) = writer.join().unwrap();
                for (place, value) in told {
                    put(&mut model, &place, value.as_ref());
                }
                unheard.extend(last);
            }
            unheard
        });
        unheard_of += unheard.len();

        // it starts, whatever it was in the midst of
        running = Running::start(data);
        let there = look(data);
        let lost = lost(&model, &there, &unheard);
        assert!(lost.is_empty(), "round {round}: {lost:#?}\nunheard: {unheard:#?}");
        model = there;
    }

    // those of which nobody had heard were under way, and each backup can be restored
    assert!(acknowledged > KILLS && unheard_of > KILLS, "{acknowledged} acknowledged, {unheard_of} under way");
    let mut api = Api::connect(data).unwrap();
    let backups: Vec<_> = model.keys().filter_map(|place| place.strip_prefix("backup/")).collect();
    assert!(backups.len() > 20, "only {} backups", backups.len());
    for name in backups.iter().step_by(backups.len() / 10) {
        api.send("PUT", "/api/v1/backups/restore", &format!("backup_name={name}")).unwrap();
    }
    assert_eq!(running.stop(Signal::SIGTERM).1, Some(0));
}
