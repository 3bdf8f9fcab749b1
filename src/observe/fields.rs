//! The name of each field of a log line, once.
//!
//! Used as `info!({ fields::ACCOUNT } = %name, "Added account `{name}`")`: the fact is in the sentence for people and in
//! a field for programs.

/// Who asked for a change: an access hash's label, and from where.
pub const CALLER: &str = "caller";
/// An access hash's label.
pub const ACCESS: &str = "access";
/// The name of a panel's user.
pub const USER: &str = "user";
/// An account's name.
pub const ACCOUNT: &str = "account";
/// A server's name.
pub const SERVER: &str = "server";
/// A firewall rule's name.
pub const RULE: &str = "rule";
/// A commit of the store.
pub const REVISION: &str = "revision";
/// The uplink that packets take.
pub const UPLINK: &str = "uplink";
/// Where the API listens.
pub const LISTEN: &str = "listen";
/// A variable of the environment.
pub const VARIABLE: &str = "variable";
/// How many records were lost.
pub const LOST: &str = "lost";
/// Why, in the words of the system or of a library.
pub const CAUSE: &str = "cause";
