//! Whether the `tun` uplink can be had here at all.

use std::io;

use super::compare::{ANY_SOURCE, QUEUE, UPLINK};
use super::settings::FORWARDING;
use crate::runtime::os::netlink::{Action, Netlink, PROTOCOL, Rule};
use crate::runtime::os::sysctl;
use crate::runtime::os::tun::Tun;

/// The MTU of the device that is tried, in bytes.
const MTU: u32 = 1_420;
/// A place behind every rule that means something.
const LAST: u32 = 40_000;

/// Tries to make a device, to set it up, to add a rule like those that steer, and to have the host forward. Leaves nothing
/// behind.
///
/// # Errors
/// Why not, for people.
pub fn can_open() -> Result<(), String> {
    let tun = Tun::open("culvert%d", 1).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            "there is no /dev/net/tun here".to_owned()
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            "/dev/net/tun may not be used (it needs CAP_NET_ADMIN)".to_owned()
        } else {
            format!("/dev/net/tun cannot be used: {error}")
        }
    })?;
    let mut netlink = Netlink::open().map_err(|error| format!("there is no netlink here: {error}"))?;
    let links = netlink.links().map_err(|error| format!("the network's interfaces cannot be read: {error}"))?;
    let link = links.into_iter().find(|link| link.name == tun.name);
    let link = link.ok_or("a new device does not show up in this network namespace")?;
    netlink
        .set_up(link.index, MTU, QUEUE, ANY_SOURCE)
        .map_err(|error| format!("a device cannot be set up: {error}"))?;
    // it matches nothing: no packet will come in by this device
    let rule = Rule {
        v6: false,
        preference: LAST,
        protocol: PROTOCOL,
        action: Action::Table(UPLINK),
        not: false,
        input: Some(tun.name),
        to: None,
        carries: u8::try_from(libc::IPPROTO_TCP).ok(),
        ports: Some(1..=1),
    };
    netlink.add_rule(&rule).map_err(|error| format!("routing rules cannot be added: {error}"))?;
    netlink.remove_rule(&rule).map_err(|error| format!("routing rules cannot be removed: {error}"))?;
    let forwards = sysctl::read(FORWARDING[0]).is_ok_and(|value| value != "0");
    if !forwards && sysctl::try_write(FORWARDING[0]).is_err() {
        return Err(
            "the host does not forward packets (net.ipv4.ip_forward is 0) and /proc/sys is read-only".to_owned()
        );
    }
    Ok(())
}
