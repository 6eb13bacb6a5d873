//! The system: versions, rights, the kernel filter, log levels and pauses; checks, configuration and senders have pages of their own.

mod config;
mod doctor;
mod kernel;
mod log;
mod pause;
mod senders;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde_json::Value;

use crate::admin::Fault;
use crate::web::frame::Frame;
use crate::web::parts::{at, badge, duration, rows, text};
use crate::web::said::Said;
use crate::web::site::Site;

const PATH: &str = "/system";
const TITLE: &str = "System";

/// The pages of this part, by path.
const PAGES: [(&str, &str); 5] = [
    ("/system", "Overview"),
    ("/system/doctor", "Doctor"),
    ("/system/config", "Configuration"),
    ("/system/log", "Log"),
    ("/system/senders", "Senders"),
];

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/system", get(show))
        .merge(config::routes())
        .merge(doctor::routes())
        .merge(log::routes())
        .merge(pause::routes())
        .merge(senders::routes())
}

async fn show(State(site): State<Arc<Site>>, frame: Frame, Query(said): Query<Said>) -> Response {
    let unknown = said.unknown(&["reason"]);
    frame.shown(PATH, TITLE, unknown, whole(&site, &frame, &said).await)
}

async fn whole(site: &Site, frame: &Frame, said: &Said) -> Result<Markup, Fault> {
    let status = &site.api.get("/api/v1/status").await?;
    Ok(html! {
        (pages(PATH))
        div.columns {
            (versions(status))
            (rights(&status["rights"]))
        }
        (pause::section(&status["paused"], said, frame))
        (kernel::section(&status["xdp"]))
    })
}

/// The pages of this part, as links.
fn pages(here: &str) -> Markup {
    html! {
        ul.chips.parts aria-label="Parts of the system" { @for (path, name) in PAGES { li {
            a href=(path) aria-current=[(path == here).then_some("page")] { (name) }
        } } }
    }
}

fn versions(status: &Value) -> Markup {
    let jumped = status["clock_jumped_ms"].as_i64().unwrap_or(0);
    html! {
        section.card aria-labelledby="versions" {
            h2 id="versions" { "Daemon and host" }
            dl {
                dt { "Version" } dd { (text(&status["version"])) }
                dt { "Host" } dd { (text(&status["hostname"])) }
                dt { "Process" } dd { (status["pid"].to_string()) }
                dt { "Running for" } dd { (duration(status["uptime_s"].as_u64().unwrap_or(0))) }
                dt { "Clock" } dd { @if jumped == 0 { "not set since the start" }
                    @else { (badge("set", "doubtful")) " by " (jumped) " ms since the start" } }
                dt { "Enforcing" } dd { @if status["enforce"] == true { (badge("yes", "good")) }
                    @else { (badge("dry run", "doubtful")) } }
                dt { "Rules" } dd { "version " (at(status, "/rules/version").to_string()) }
                dt { "Protected hosts" }
                dd { @for host in rows(at(status, "/rules/protected")).iter().take(100) { (text(host)) " " } }
            }
        }
    }
}

fn rights(rights: &Value) -> Markup {
    let capabilities: Vec<_> = rows(&rights["capabilities"]).iter().map(text).collect();
    let landlock = text(&rights["landlock"]);
    html! {
        section.card aria-labelledby="rights" {
            h2 id="rights" { "Rights" }
            dl {
                dt { "User" } dd { (text(&rights["user"])) ", uid " (rights["uid"].to_string())
                    ", gid " (rights["gid"].to_string())
                    @if rights["uid"] == 0 { " " (badge("root", "doubtful")) } }
                dt { "Capabilities" }
                dd { @if capabilities.is_empty() { (badge("none", "good")) } @else { (capabilities.join(", ")) } }
                dt { "Files out of reach" }
                dd { (badge(landlock, match landlock { "full" => "good", "partial" => "doubtful", _ => "plain" }))
                    @if let Some(reason) = rights["landlock_reason"].as_str() { " " (reason) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What strangers may write.
    pub(super) const HOSTILE: &str = "<script>\"'\u{1b}&";

    #[test]
    fn what_the_daemon_may_do_is_told_in_words() {
        for (rights_of, parts) in [
            (
                json!({"user": "portcullis", "uid": 77, "gid": 77, "capabilities": [], "landlock": "full"}),
                ["none", "full"],
            ),
            (
                json!({"user": null, "uid": 0, "gid": 0, "capabilities": ["CAP_BPF"], "landlock": "partial", "landlock_reason": HOSTILE}),
                ["root", "CAP_BPF"],
            ),
            (json!({}), ["–", "uid null"]),
        ] {
            let shown = rights(&rights_of).into_string();
            assert!(parts.iter().all(|part| shown.contains(part)), "{shown}");
            assert!(!shown.contains("<script"), "{shown}");
        }
        let status =
            json!({"hostname": HOSTILE, "clock_jumped_ms": -90, "rules": {"protected": [HOSTILE]}});
        let shown = versions(&status).into_string();
        assert!(shown.contains("-90 ms") && !shown.contains("<script"), "{shown}");
    }
}
