//! The first page: is this host protected, what is it doing, what is wrong.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use maud::{Markup, html};
use serde_json::Value;

use crate::web::frame::{Frame, Trouble};
use crate::web::graph::{Line, Per, graph, in_last_minute, quantile, ratio, spark};
use crate::web::parts::{
    action, at, badge, bar, count, duration, filter_mode, lookup, meaning, number, rows, segment,
    text, time, zone_state,
};
use crate::web::site::Site;

/// Lists with a graph: each has some three KiB of points.
const GRAPHS: usize = 10;
/// Lists that are shown.
const LISTS: usize = 50;
/// Sources that are shown.
const SOURCES: usize = 10;

/// All paths.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/", get(show))
}

async fn show(State(site): State<Arc<Site>>, frame: Frame) -> Result<Markup, Trouble> {
    let (status, live, top, lists) = tokio::join!(
        site.api.get("/api/v1/status"),
        site.api.get("/api/v1/live/recent"),
        site.api.get("/api/v1/xdp/top"),
        site.api.get("/api/v1/feeds"),
    );
    let status = status.map_err(|fault| frame.trouble(fault))?;
    let [live, top, feeds] = [live, top, lists].map(Result::unwrap_or_default);
    Ok(frame.page("/", "Overview", content(&status, &live, &top, &feeds)))
}

fn content(status: &Value, live: &Value, top: &Value, feeds: &Value) -> Markup {
    html! {
        (alarms(status))
        div.cards { (protection(status)) (mail(status, live)) (evidence(status)) }
        section.card aria-labelledby="syns" {
            h2 id="syns" { "Connection attempts at the filter, per second" }
            (graph(live, "kernel", Per::Second, &[
                Line { name: "passed", of: "/kernel/passed", meaning: "good" },
                Line { name: "refused", of: "/kernel/refused", meaning: "bad" },
                Line { name: "reset", of: "/kernel/reset", meaning: "doubtful" },
                Line { name: "dropped", of: "/kernel/dropped", meaning: "plain" },
            ]))
        }
        section.card aria-labelledby="verdicts" {
            h2 id="verdicts" { "Decisions of the daemon, per minute" }
            (graph(live, "decisions", Per::Minute, &[
                Line { name: "let in", of: "/decisions/accept /decisions/observe", meaning: "good" },
                Line { name: "tagged or held back", of: "/decisions/tag /decisions/quarantine", meaning: "plain" },
                Line { name: "deferred", of: "/decisions/defer", meaning: "doubtful" },
                Line { name: "refused", of: "/decisions/reject /decisions/reject-message /decisions/discard", meaning: "bad" },
            ]))
            (decisions(status, live))
        }
        div.columns { (lists(status, feeds, live)) (sources(top)) }
        (zones(status))
    }
}

fn alarms(status: &Value) -> Markup {
    let alarms = status["alarms"].as_array().map(Vec::as_slice).unwrap_or_default();
    let paused = &status["paused"];
    html! {
        @if !paused.is_null() {
            div.notice.doubtful role="status" {
                p { strong { "Everything passes" } " until " (text(&paused["until"])) ", said "
                    (text(&paused["author"])) ": " (text(&paused["reason"])) }
            }
        }
        @if alarms.is_empty() {
            p.calm { (badge("no alarm", "good")) " Nothing is known to be wrong." }
        } @else {
            div.notice.bad role="alert" {
                h2 { (alarms.len()) " alarm" @if alarms.len() != 1 { "s" } }
                ul { @for alarm in alarms {
                    li { strong { (text(&alarm["about"])) } ": " (text(&alarm["text"])) " ("
                        (time(&alarm["since"])) ")" }
                } }
            }
        }
    }
}

fn protection(status: &Value) -> Markup {
    let xdp = &status["xdp"];
    let enforces = status["enforce"] == true;
    html! {
        section.card aria-labelledby="protection" {
            h2 id="protection" { "Protection" }
            dl {
                dt { "Kernel filter" } dd { (filter_mode(text(&xdp["mode"]))) }
                @for interface in xdp["interfaces"].as_array().into_iter().flatten() {
                    dt { (text(&interface["interface"])) }
                    dd { (text(&interface["mode"]))
                        @if let Some(reason) = interface["reason"].as_str() { ": " (reason) } }
                }
                @if let Some(reason) = xdp["reason"].as_str() { dt { "Why" } dd { (reason) } }
                dt { "Enforcing" }
                dd { @if enforces { (badge("yes", "good")) } @else { (badge("dry run", "doubtful")) } }
                dt { "Rules" }
                dd { (count(at(status, "/rules/bad"))) " bad, " (count(at(status, "/rules/good")))
                    " good prefixes" }
                dt { "Running for" } dd { (duration(status["uptime_s"].as_u64().unwrap_or(0))) }
                dt { "Version" } dd { (text(&status["version"])) }
            }
        }
    }
}

fn mail(status: &Value, live: &Value) -> Markup {
    let smtp = &status["smtp"];
    html! {
        section.card aria-labelledby="mail" {
            h2 id="mail" { "Mail" }
            dl {
                @if !smtp.is_null() {
                    dt { "Connections now" }
                    dd data-live="/connections" { (count(&smtp["connections_active"])) }
                    dt { "Messages relayed" }
                    dd data-live="/messages" { (count(&smtp["messages_relayed"])) }
                    dt { "Refused, deferred" }
                    dd { (count(&smtp["refused"])) ", " (count(&smtp["deferred"])) }
                }
                @if let Some(mean) = ratio(live, "/decided/seconds", "/decided/count") {
                    dt { "Time to decide" } dd { (format!("{:.1} ms", mean * 1000.0))
                        @if let Some(most) = quantile(live, 0.99) { ", 99 % in "
                            @if most.is_finite() { (most * 1000.0) " ms" } @else { "more than 10 s" } } }
                }
                @for hop in status["next_hops"].as_array().into_iter().flatten() {
                    dt { "Next hop " (text(&hop["address"])) }
                    dd { @match hop["up"].as_bool() {
                        Some(true) => { (badge("up", "good")) }
                        Some(false) => { (badge("down", "bad")) " " (text(&hop["fault"])) }
                        None => { (badge("not asked yet", "plain")) }
                    } }
                }
                @for (name, title) in [("milter", "Milter"), ("postfix_policy", "Policy service")] {
                    @if !status[name].is_null() {
                        dt { (title) ", connections" } dd { (count(at(&status[name], "/connections_active"))) }
                    }
                }
                dt { "Greylist" }
                dd { (count(at(status, "/senders/waiting"))) " rows wait, " (count(at(status, "/senders/passed")))
                    " pass" }
                dt { "Quarantine" }
                dd { a href="/quarantine" { (count(at(status, "/quarantine/messages"))) " messages" } }
            }
        }
    }
}

fn evidence(status: &Value) -> Markup {
    let audit = &status["audit"];
    let lost = audit["lost"].as_u64().unwrap_or(0);
    html! {
        section.card aria-labelledby="evidence" {
            h2 id="evidence" { "Evidence" }
            dl {
                dt { "Records written" } dd { (count(&audit["written"])) }
                dt { "Waiting" } dd { (count(&audit["waiting"])) }
                dt { "Lost" }
                dd { (badge(&number(lost), if lost == 0 { "good" } else { "bad" })) }
                dt { "Alarms now" } dd data-live="/alarms" { (status["alarms"].as_array().map_or(0, Vec::len)) }
            }
            p { a href="/messages" { "Search the records" } }
        }
    }
}

fn decisions(status: &Value, live: &Value) -> Markup {
    let all = status["decisions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let total: u64 = all.iter().filter_map(|row| row["count"].as_u64()).sum();
    if total == 0 {
        return html! { p.hint { "No decision yet." } };
    }
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { "Verdict" } th scope="col" { "Action" }
                th.number scope="col" { "Last minute" } th.number scope="col" { "Since the start" } th scope="col" aria-label="Share" {} } }
            tbody { @for row in all {
                @let share = row["count"].as_u64().unwrap_or(0);
                tr {
                    td { a href={ "/messages?code=" (text(&row["code"])) } { (text(&row["verdict"])) } }
                    td { (action(text(&row["action"]))) }
                    td.number { (number(in_last_minute(live,
                        &format!("/verdicts/{}/{}", text(&row["code"]), text(&row["action"]))))) }
                    td.number { (number(share)) }
                    td { (bar(share, total, meaning(text(&row["action"])))) }
                }
            } }
        } }
    }
}

fn lists(status: &Value, feeds: &Value, live: &Value) -> Markup {
    let counted = at(status, "/xdp/counters/lists");
    let fetched =
        |name: &Value| feeds.as_array().into_iter().flatten().find(|feed| feed["list"] == *name);
    let all = rows(at(status, "/rules/lists"));
    html! {
        section.card aria-labelledby="lists" {
            h2 id="lists" { a href="/lists" { "Lists" } }
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { "List" } th scope="col" { "Action" }
                    th.number scope="col" { "Entries" } th.number scope="col" { "Packets" } th scope="col" { "Per second" }
                    th scope="col" { "Age" } } }
                tbody { @for (index, list) in all.iter().take(LISTS).enumerate() {
                    @let name = text(&list["name"]);
                    @let packets: u64 = counted[name].as_object().into_iter().flatten()
                        .filter_map(|(_action, count)| count["packets"].as_u64()).sum();
                    tr {
                        th scope="row" { a href={ "/lists/" (segment(name)) } { (name) }
                            @if list["enabled"] == false { " " (badge("off", "plain")) }
                            @if !list["fault"].is_null() { " " (badge("fault", "bad")) } }
                        td { (action(text(&list["action"]))) }
                        td.number { (count(&list["entries"])) }
                        td.number data-live={ "/kernel/lists/" (name) } { (number(packets)) }
                        td { @if index < GRAPHS {
                            (spark(live, &format!("/kernel/lists/{name}"), meaning(text(&list["action"]))))
                        } }
                        td { (time(fetched(&list["name"]).map_or(&list["loaded"], |feed| &feed["last_success"]))) }
                    }
                } }
            } }
            @if all.len() > LISTS { p { a href="/lists" { "and " (all.len() - LISTS) " more" } } }
        }
    }
}

fn sources(top: &Value) -> Markup {
    html! {
        section.card aria-labelledby="sources" {
            h2 id="sources" { "Most refused in the last minute" }
            @for (title, of) in [("Addresses", "sources"), ("Networks", "networks")] {
                @let recent = at(top, "/recent");
                @let rows = rows(&recent[of]);
                @if rows.is_empty() {
                    p.hint { (title) ": none." }
                } @else {
                    table {
                        thead { tr { th scope="col" { (title) } th.number scope="col" { "Packets" } } }
                        tbody { @for row in rows.iter().take(SOURCES) { tr {
                            th scope="row" { (lookup(text(&row["prefix"]))) }
                            td.number { (count(&row["packets"])) }
                        } } }
                    }
                }
            }
        }
    }
}

fn zones(status: &Value) -> Markup {
    let zones = status["zones"].as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        @if !zones.is_empty() {
            section.card aria-labelledby="zones" {
                h2 id="zones" { a href="/zones" { "Zones" } }
                ul.chips { @for zone in zones { li {
                    (text(&zone["name"])) " " (zone_state(text(&zone["state"])))
                } } }
            }
        }
    }
}
