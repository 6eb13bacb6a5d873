//! The style and the script of the pages, and the picture of the tab; each has its digest in its address, so that it is kept for good.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// One file.
struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const ASSETS: [Asset; 3] = [
    Asset {
        name: "style.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("assets/style.css"),
    },
    Asset {
        name: "script.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("assets/script.js"),
    },
    Asset { name: "icon.svg", kind: "image/svg+xml", text: include_str!("assets/icon.svg") },
];

/// The digest of all of them.
static DIGEST: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for asset in &ASSETS {
        digest.update(asset.text);
    }
    HEXLOWER.encode(digest.finalize().get(..8).unwrap_or_default())
});

/// The address of a file.
pub(super) fn address(name: &str) -> String {
    format!("/static/{}/{name}", *DIGEST)
}

/// All paths.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/static/{digest}/{name}", get(show))
}

async fn show(Path((digest, name)): Path<(String, String)>) -> Response {
    // Those of another version are not kept under the address of this one.
    let asset = ASSETS.iter().find(|asset| asset.name == name).filter(|_asset| digest == *DIGEST);
    let Some(asset) = asset else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let head = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (head, asset.text).into_response()
}
