//! Use cases, a noun a file. The API, the CLI and later the panel and the jobs all come through here.

/// Why a use case ended without its effect.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client's business: the text is for it.
    #[error(transparent)]
    Refused(#[from] crate::domain::refusal::Refusal),
    /// Ours: logged once where it is handled, never shown.
    #[error("fault")]
    Fault(#[from] anyhow::Error),
}
