//! What the host is: processor, memory, load, name and system, as the kernel and os-release tell it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::statvfs::statvfs;

use crate::domain::health::Room;

/// What the host is; text as it was found, memory in KiB. What is not told is empty or 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// The processor's own name.
    pub cpu_model: String,
    /// How many threads it runs.
    pub cpu_threads: usize,
    /// Load of the last 1, 5 and 15 minutes.
    pub load: [String; 3],
    /// The host's name.
    pub hostname: String,
    /// All memory.
    pub memory_total: u64,
    /// What programs could still have: caches that would give way count.
    pub memory_available: u64,
    /// The system's name for people.
    pub os_name: String,
    /// Debian's name of the processor's architecture.
    pub os_architecture: String,
    /// The time zone's IANA name.
    pub timezone: String,
}

/// Looks at the host.
pub fn look() -> Host {
    let memory = read("/proc/meminfo");
    Host {
        cpu_model: cpu_model(&read("/proc/cpuinfo")),
        cpu_threads: std::thread::available_parallelism().map_or(1, usize::from),
        load: load(&read("/proc/loadavg")),
        hostname: read("/proc/sys/kernel/hostname").trim().into(),
        memory_total: kibibytes(&memory, "MemTotal:"),
        memory_available: kibibytes(&memory, "MemAvailable:"),
        os_name: os_name(&fs::read_to_string("/etc/os-release").unwrap_or_else(|_| read("/usr/lib/os-release"))),
        os_architecture: architecture(std::env::consts::ARCH).into(),
        timezone: iana_time_zone::get_timezone().unwrap_or_else(|_| "Etc/UTC".into()),
    }
}

/// How much room there is in the file system of `folder`; absent where the system does not tell.
pub fn room(folder: &Path) -> Option<Room> {
    let told = statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(told.fragment_size());
    Some(Room { free: bytes(told.blocks_available()), total: bytes(told.blocks()) })
}

/// For how long the host has run; absent where the system does not tell.
pub fn uptime() -> Option<Duration> {
    seconds(&read("/proc/uptime")).map(Duration::from_secs)
}

/// The whole seconds before the first point.
fn seconds(uptime: &str) -> Option<u64> {
    uptime.split('.').next()?.trim().parse().ok()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// x86 tells a `model name`, some ARM boards a `Model`.
fn cpu_model(cpuinfo: &str) -> String {
    let value = |key: &str| {
        let mut pairs = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
    };
    ["model name", "Model", "Hardware"].into_iter().find_map(value).unwrap_or_else(|| std::env::consts::ARCH.into())
}

fn load(loadavg: &str) -> [String; 3] {
    let mut words = loadavg.split_whitespace();
    std::array::from_fn(|_| words.next().unwrap_or("0.00").to_owned())
}

fn kibibytes(meminfo: &str, key: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// os-release(5): a value may stand in quotes.
fn os_name(release: &str) -> String {
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".into(), |name| name.trim().trim_matches(['"', '\'']).to_owned())
}

fn architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "i386",
        "arm" => "armhf",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_tells() {
        assert_eq!(cpu_model("processor\t: 0\nmodel name\t: Common KVM processor\n"), "Common KVM processor");
        assert_eq!(cpu_model("processor\t: 0\nModel\t\t: Raspberry Pi 4\n"), "Raspberry Pi 4");
        assert_eq!(load("0.69 0.28 0.20 1/123 4567\n"), ["0.69", "0.28", "0.20"]);
        assert_eq!(kibibytes("MemTotal:        8147456 kB\nMemFree: 1 kB\n", "MemTotal:"), 8_147_456);
        assert_eq!(kibibytes("", "MemTotal:"), 0);
        assert_eq!((seconds("350735.47 234388.90\n"), seconds("")), (Some(350_735), None));
    }

    #[test]
    fn reads_the_systems_name_with_and_without_quotes() {
        assert_eq!(
            os_name("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            "Debian GNU/Linux 12 (bookworm)"
        );
        assert_eq!(os_name("PRETTY_NAME=Alpine\n"), "Alpine");
        assert_eq!(os_name(""), "Linux");
    }

    #[test]
    fn finds_this_host_to_have_a_processor_and_memory() {
        let host = look();
        assert!(!host.cpu_model.is_empty() && !host.hostname.is_empty() && host.cpu_threads > 0);
        assert!(host.memory_available > 0 && host.memory_available <= host.memory_total);
    }

    #[test]
    fn finds_room_where_there_is_a_folder() {
        let room = room(&std::env::temp_dir()).unwrap();
        assert!(room.free <= room.total && room.total > 0, "{room:?}");
        assert_eq!(super::room(Path::new("/nonexistent/folder")), None);
        assert!(uptime().is_some());
    }
}
