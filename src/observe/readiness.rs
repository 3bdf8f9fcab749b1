//! Tells the service manager, where there is one, how far we are (`sd_notify(3)`): a datagram to the socket that it named
//! in the environment. Without one, nothing happens.

use sd_notify::NotifyState;
use tracing::warn;

use super::fields;

/// Everything listens.
pub fn ready() {
    tell(NotifyState::Ready);
}

/// The end has begun.
pub fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(cause) = sd_notify::notify(&[state]) {
        warn!({ fields::CAUSE } = %cause, "The service manager does not hear us: {cause}");
    }
}
