//! Ways in by the clock. Each calls a use case when it is time.

pub mod backups;
