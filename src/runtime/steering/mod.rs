//! Steering: what ought to be in the kernel for the `tun` uplink, and making it so.
//!
//! Level-triggered: [`Steering::conform`] looks at what is there, compares and carries out the difference, so a first start,
//! an edit, a crash before and a second look are the same. Ours is what bears our protocol number (rules, routes), lies on
//! a device of ours (addresses) or is in the file (settings); nothing else is touched, save the kernel's `local` rule, which
//! is moved behind ours and put back at the end.

mod compare;
mod memory;
mod probe;
mod settings;
mod wish;

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use self::compare::{ANY_SOURCE, QUEUE, Step};
use self::memory::Notebook;
use self::settings::{Memory, Setting, Settings};
use super::os::netlink::Netlink;
use super::os::sysctl;

pub use self::compare::{CLIENTS, UPLINK};
pub use self::probe::can_open;
pub use self::wish::{Device, Forwarded, Found, Reached, Wish};

/// Something that could not be made so; its text is for people.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A container's `/proc/sys`, most often.
    #[error(
        "/proc/sys is read-only: {key} is {value:?} and ought to be {wanted:?}; set it outside, for example with `--sysctl`"
    )]
    ReadOnly {
        /// The setting, as sysctl(8) names it.
        key: String,
        /// What it is.
        value: String,
        /// What it ought to be.
        wanted: String,
    },
    /// A setting could not be changed for another reason.
    #[error("cannot set {key} to {wanted:?}: {why}")]
    Setting {
        /// The setting, as sysctl(8) names it.
        key: String,
        /// What it ought to be.
        wanted: String,
        /// What the kernel says.
        why: io::Error,
    },
    /// The file that remembers settings cannot be written; without it none is changed.
    #[error("cannot remember the kernel's settings: {0}")]
    Memory(io::Error),
    /// The kernel does not tell what is there.
    #[error("cannot read the network configuration: {0}")]
    Look(io::Error),
    /// A step of the network configuration failed.
    #[error("cannot {what}: {why}")]
    Step {
        /// What was to be done.
        what: String,
        /// What the kernel says.
        why: io::Error,
    },
}

/// What a look at the kernel came to.
#[derive(Debug, Default)]
#[must_use]
pub struct Outcome {
    /// How many things were changed.
    pub changes: usize,
    /// What could not be made so.
    pub faults: Vec<Fault>,
}

/// Keeps the kernel as it ought to be. It works in the network namespace in which it was opened, and must be used by
/// threads of that one.
#[derive(Debug)]
pub struct Steering {
    netlink: Netlink,
    notebook: Notebook,
    memory: Memory,
    /// Whether it has given the network back, which is for good.
    released: bool,
}

impl Steering {
    /// Opens it. `file` remembers changed settings; it lies in the data folder.
    ///
    /// # Errors
    /// Where there is no netlink, or the file cannot be read.
    pub fn open(file: &Path) -> io::Result<Self> {
        let (notebook, memory) = Notebook::open(file)?;
        Ok(Self { netlink: Netlink::open()?, notebook, memory, released: false })
    }

    /// Makes what ought to be so, as far as it can be. Devices of the wish must be open; one that is not there is waited
    /// for until the next look. Nothing is done after [`Steering::release`]: whoever was about to conform when the process
    /// began to stop would take everything again, for nobody to put back.
    pub fn conform(&mut self, wish: &Wish) -> Outcome {
        if self.released {
            return Outcome::default();
        }
        self.carry_through(wish)
    }

    /// Takes everything of ours away and puts back what was, once and for all. The devices go when they are closed.
    pub fn release(&mut self) -> Outcome {
        self.released = true;
        self.carry_through(&Wish::default())
    }

    fn carry_through(&mut self, wish: &Wish) -> Outcome {
        let mut outcome = Outcome::default();
        let wanted = settings::wanted(wish, &self.memory, &Kernel);
        for setting in &wanted {
            self.make(setting, &mut outcome);
        }
        self.carry_out(wish, &mut outcome);
        // what goes, goes last: forwarding ends when nothing is steered any more
        self.put_back(&wanted, &mut outcome);
        outcome
    }

    fn make(&mut self, setting: &Setting, outcome: &mut Outcome) {
        let Some(change) = settings::change(setting, &self.memory, &Kernel) else { return };
        let value = Kernel.read(&setting.key).unwrap_or_default();
        let wanted = setting.aim.over(&value);
        let before = self.memory.clone();
        match self.memory.0.iter_mut().find(|changed| changed.key == setting.key) {
            Some(known) => *known = change,
            None => self.memory.0.push(change),
        }
        let written =
            self.notebook.write(&self.memory).map_err(Fault::Memory).and_then(|()| {
                Kernel.write(&setting.key, &wanted).map_err(|why| fault(&setting.key, value, wanted, why))
            });
        match written {
            Ok(()) => outcome.changes += 1,
            Err(fault) => {
                // what was not changed needs no putting back
                self.memory = before;
                let _ = self.notebook.write(&self.memory);
                outcome.faults.push(fault);
            }
        }
    }

    fn put_back(&mut self, wanted: &[Setting], outcome: &mut Outcome) {
        let before = self.memory.clone();
        let is_wanted = |key: &str| wanted.iter().any(|setting| setting.key == key);
        for changed in before.0.iter().rev().filter(|changed| !is_wanted(&changed.key)) {
            match settings::put_back(changed, &mut Kernel) {
                Ok(()) => {
                    self.memory.0.retain(|kept| kept.key != changed.key);
                    outcome.changes += 1;
                }
                Err(why) => outcome.faults.push(fault(&changed.key, String::new(), String::new(), why)),
            }
        }
        if self.memory != before {
            outcome.faults.extend(self.notebook.write(&self.memory).err().map(Fault::Memory));
        }
    }

    fn carry_out(&mut self, wish: &Wish, outcome: &mut Outcome) {
        let found = match self.look() {
            Ok(found) => found,
            Err(error) => return outcome.faults.push(Fault::Look(error)),
        };
        let mut failed = false;
        for step in compare::steps(wish, &found) {
            if failed && step.begins_steering() {
                continue;
            }
            match self.take(&step) {
                Ok(()) => outcome.changes += 1,
                Err(why) => {
                    failed = true;
                    outcome.faults.push(Fault::Step { what: describe(&step), why });
                }
            }
        }
    }

    /// What is there.
    ///
    /// # Errors
    /// The kernel's.
    pub fn look(&mut self) -> io::Result<Found> {
        let links = self.netlink.links()?;
        Ok(Found {
            links: links.into_iter().map(|link| (link.name.clone(), link)).collect(),
            addresses: self.netlink.addresses()?,
            rules: self.netlink.rules()?,
            routes: self.netlink.routes()?,
            forwards: settings::FORWARDING.map(|key| Kernel.read(key).is_ok_and(|value| value != "0")),
        })
    }

    /// The name and MTU of the interface by which this host reaches the internet.
    ///
    /// # Errors
    /// The kernel's.
    pub fn way_out(&mut self, v6: bool) -> io::Result<Option<(String, u32)>> {
        let index = self.netlink.way_out(v6);
        let links = self.netlink.links()?;
        Ok(links.into_iter().find(|link| Some(link.index) == index).map(|link| (link.name, link.mtu)))
    }

    fn take(&mut self, step: &Step) -> io::Result<()> {
        let done = match step {
            Step::SetUp { link, mtu } => self.netlink.set_up(*link, *mtu, QUEUE, ANY_SOURCE),
            Step::AddAddress(address) => self.netlink.add_address(*address),
            Step::RemoveAddress(address) => self.netlink.remove_address(*address),
            Step::AddRoute(route) => self.netlink.add_route(route),
            Step::RemoveRoute(route) => self.netlink.remove_route(route),
            Step::AddRule(rule) => self.netlink.add_rule(rule),
            Step::RemoveRule(rule) => self.netlink.remove_rule(rule),
        };
        match done {
            // somebody was faster
            Err(error) if is_gone(&error) && matches!(step, Step::RemoveRoute(_) | Step::RemoveAddress(_)) => Ok(()),
            done => done,
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EADDRNOTAVAIL | libc::ENODEV | libc::ENOENT))
}

/// A step, for people.
fn describe(step: &Step) -> String {
    match step {
        Step::SetUp { link, .. } => format!("set up interface {link}"),
        Step::AddAddress(address) => format!("give {} to interface {}", address.net, address.link),
        Step::RemoveAddress(address) => format!("take {} from interface {}", address.net, address.link),
        Step::AddRoute(route) => format!("route {} to interface {} in table {}", route.to, route.link, route.table),
        Step::RemoveRoute(route) => format!("remove the route to {} from table {}", route.to, route.table),
        Step::AddRule(rule) => format!("add the rule {rule:?}"),
        Step::RemoveRule(rule) => format!("remove the rule {rule:?}"),
    }
}

fn fault(key: &str, value: String, wanted: String, why: io::Error) -> Fault {
    let key = key.replace('/', ".");
    if matches!(why.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied) {
        return Fault::ReadOnly { key, value, wanted };
    }
    Fault::Setting { key, wanted, why }
}

/// The kernel's settings themselves.
struct Kernel;

impl Settings for Kernel {
    fn read(&self, key: &str) -> io::Result<String> {
        sysctl::read(key)
    }

    fn write(&mut self, key: &str, value: &str) -> io::Result<()> {
        sysctl::write(key, value)
    }

    fn names(&self, folder: &str) -> Vec<String> {
        sysctl::names(folder)
    }
}
