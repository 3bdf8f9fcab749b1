//! The address without a path, for people who type it into a browser: it leads to the panel.

use axum::response::Redirect;

/// Leads there.
pub(super) async fn page() -> Redirect {
    Redirect::to("/panel")
}
