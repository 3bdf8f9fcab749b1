//! The rig: hosts that are network namespaces, programs that run in them, and waiting without sleeping.

pub mod appliance;
pub mod home;
pub mod hosts;
pub mod http;
pub mod keepers;
pub mod namespace;
pub mod peer;
pub mod program;
pub mod strongswan;
pub mod world;

use std::thread;
use std::time::{Duration, Instant};

/// Looks until `look` finds something, and returns it.
///
/// # Panics
/// When nothing was found within `bound`.
pub fn until<T>(bound: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < bound, "not within {bound:?}: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// Makes a test of each function for each uplink: `sockets::NAME` and `tun::NAME`.
macro_rules! on_both_uplinks {
    ($($test:ident)*) => {
        mod sockets {
            $(
                #[test]
                #[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
                fn $test() {
                    super::$test(crate::rig::appliance::Uplink::Sockets);
                }
            )*
        }
        mod tun {
            $(
                #[test]
                #[ignore = "needs root, /dev/net/tun and Debian's wireguard-go: run tests/run"]
                fn $test() {
                    super::$test(crate::rig::appliance::Uplink::Tun);
                }
            )*
        }
    };
}
pub(crate) use on_both_uplinks;

/// How long a step may take that has no bound of its own: generous, for a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(20);
