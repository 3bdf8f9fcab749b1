//! How many file descriptors the process may have.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What every Unix grants.
const FEWEST: u64 = 256;

/// Raises the limit as far as an ordinary user may; returns what it is now.
pub fn raise_limit() -> usize {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((FEWEST, FEWEST));
    // where raising fails, the old limit stands
    let now = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    usize::try_from(now).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raises_the_soft_limit_to_the_hard_one() {
        let raised = raise_limit() as u64;
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!((soft, hard), (raised, raised));
    }
}
