//! The pages, one file each: what it shows comes from the API, what it changes goes there.

mod lists;
mod lookup;
mod messages;
mod overview;
mod quarantine;
mod reputation;
mod reviews;
mod system;
mod zones;

use std::sync::Arc;

use axum::Router;

use super::site::Site;

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .merge(overview::routes())
        .merge(lookup::routes())
        .merge(messages::routes())
        .merge(reputation::routes())
        .merge(zones::routes())
        .merge(reviews::routes())
        .merge(quarantine::routes())
        .merge(lists::routes())
        .merge(system::routes())
}
