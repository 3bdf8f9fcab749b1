//! Settings of the kernel, by files below `/proc/sys`. They are those of the calling thread's network namespace.

use std::fs;
use std::io;

/// Reads one, for example `net/ipv4/ip_forward`; without the end of line.
///
/// # Errors
/// The kernel's: `NotFound` where it has no such setting.
pub fn read(key: &str) -> io::Result<String> {
    Ok(fs::read_to_string(path(key))?.trim_end().to_owned())
}

/// Writes one.
///
/// # Errors
/// The kernel's: `ReadOnlyFilesystem` in most containers, `PermissionDenied` without the privilege.
pub fn write(key: &str, value: &str) -> io::Result<()> {
    // an empty list is an empty line, not nothing
    fs::write(path(key), format!("{value}\n"))
}

/// Whether it could be written, without writing.
///
/// # Errors
/// As of [`write()`].
pub fn try_write(key: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(path(key)).map(|_| ())
}

/// What stands below a folder of settings, in order: the interfaces below `net/ipv4/conf`.
pub fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(path(folder)).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn path(key: &str) -> String {
    format!("/proc/sys/{key}")
}
