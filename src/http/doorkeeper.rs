//! Whom the API's listener takes: the firewall's INPUT chain, asked before anything is read or written.

use std::sync::Arc;

use crate::domain::access::Way;
use crate::domain::firewall::Firewall;

/// Keeps of the firewall what can concern the API, so that a long list of other rules costs a connection nothing.
#[derive(Debug, Default)]
pub(super) struct Doorkeeper {
    seen: Arc<Firewall>,
    narrowed: Firewall,
    /// The port for which it was narrowed.
    port: u16,
}

impl Doorkeeper {
    /// Whether a connection may come in, by the firewall as it is now.
    pub(super) fn admits(&mut self, firewall: &Arc<Firewall>, way: &Way) -> bool {
        if !Arc::ptr_eq(&self.seen, firewall) || self.port != way.to.port() {
            self.narrowed = firewall.narrowed(way.to.port());
            (self.seen, self.port) = (firewall.clone(), way.to.port());
        }
        !self.narrowed.locks_out(way.from, way.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::firewall::{Action, FilterRule};

    #[test]
    fn goes_by_the_rules_of_the_moment() {
        let way = Way::new("[::ffff:192.0.2.9]:1000".parse().unwrap(), "[::ffff:198.51.100.1]:8098".parse().unwrap());
        let shut =
            FilterRule { action: Action::Drop, source: "192.0.2.0/24".parse().unwrap(), ..FilterRule::system(8098) };
        let open = Arc::new(Firewall { rules: vec![FilterRule::system(8098), shut.clone()], ..Firewall::default() });
        let closed = Arc::new(Firewall { rules: vec![shut, FilterRule::system(8098)], ..Firewall::default() });
        let mut doorkeeper = Doorkeeper::default();

        assert!(doorkeeper.admits(&open, &way));
        assert!(!doorkeeper.admits(&closed, &way));
        assert!(!doorkeeper.admits(&closed, &way));
        let other = Way { from: "203.0.113.1:1".parse().unwrap(), ..way };
        assert!(doorkeeper.admits(&closed, &other));
    }
}
