//! `cargo xtask docs`: writes the pages that follow from the source anew, or says which are out of date.
//!
//! Each page has a unit test that compares it with its source, so that `cargo xtask test` checks all of them by itself; this task
//! runs these tests alone. Under `UPDATE_DOCS` they write. The dashboard and the alerts are written by hand: of these the tests only
//! say what is out of date.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::step::{Steps, captured, say};
use crate::{root, setup};

/// Write what is out of date, or only look. The dashboard and the alerts are compared with the metrics in both cases, and written by
/// hand.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Change nothing, and fail where something would be changed
    #[arg(long)]
    check: bool,
}

/// A page, and the test that keeps it.
struct Document {
    /// From the root of the repository.
    page: &'static str,
    /// As the runner of `gateway`'s unit tests names it.
    test: &'static str,
}

/// All of them. The stories in `tests/data` are none: somebody reads each before it is good.
const DOCUMENTS: [Document; 4] = [
    Document {
        page: "gateway/docs/configuration.md",
        test: "config::tests::documents::the_reference_is_up_to_date",
    },
    Document {
        page: "gateway/docs/kernels.md",
        test: "xdp::features::tests::the_page_is_up_to_date",
    },
    Document {
        page: "gateway/docs/metrics.md",
        test: "admin::metrics::page::the_page_is_up_to_date",
    },
    Document {
        page: "gateway/docs/openapi.json",
        test: "admin::openapi::tests::the_page_is_up_to_date",
    },
];

/// What nobody but a person writes, and the tests that compare it with its source.
const BY_HAND: [Document; 4] = [
    Document {
        page: "gateway/dist/grafana-dashboard.json",
        test: "admin::metrics::tests::every_metric_is_on_the_dashboard_or_in_an_alert_or_has_a_reason_not_to_be",
    },
    Document {
        page: "gateway/dist/grafana-dashboard.json",
        test: "admin::metrics::tests::every_panel_has_a_place_of_its_own_and_asks_the_data_source_of_the_variable",
    },
    Document {
        page: "gateway/dist/prometheus-alerts.yml",
        test: "admin::metrics::tests::dashboard_and_alerts_name_metrics_that_there_are",
    },
    Document {
        page: "gateway/dist/prometheus-alerts.yml",
        test: "admin::metrics::tests::every_alert_says_what_is_wrong_and_what_to_type",
    },
];

/// All tests of both.
fn tests() -> impl Iterator<Item = &'static str> {
    DOCUMENTS.iter().chain(&BY_HAND).map(|document| document.test)
}

/// Runs the task; fails where a page is out of date that may not be changed.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let mut steps = Steps::default();
    setup::ensure(&mut steps)?;
    let read = || DOCUMENTS.map(|it| fs::read_to_string(root().join(it.page)).unwrap_or_default());
    let before = read();
    let name = if options.check { "checking pages" } else { "writing pages" };
    steps.quiet(name, || {
        let said = captured(&mut command(options.check))?;
        for test in tests() {
            // A test that was renamed is not run, and no runner minds.
            let has_passed = said.lines().any(|line| line == format!("test {test} ... ok"));
            ensure!(has_passed, "there is no test {test}; say its name in xtask/src/docs.rs");
        }
        Ok(((), String::new()))
    })?;
    for ((document, before), after) in DOCUMENTS.iter().zip(before).zip(read()) {
        if before != after {
            say(&format!("written: {}", document.page));
        }
    }
    Ok(true)
}

fn command(check: bool) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root()).args(["test", "--package", "gateway", "--lib", "--", "--exact"]);
    command.args(tests());
    if check {
        command.env_remove("UPDATE_DOCS")
    } else {
        command.env("UPDATE_DOCS", "1")
    };
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How the unit tests name what they keep.
    const KEPT: &str = "crate::assert_page(\"";

    #[test]
    fn what_is_written_by_hand_is_there() {
        for Document { page, .. } in &BY_HAND {
            assert!(root().join(page).is_file(), "{page}");
        }
    }

    #[test]
    fn every_page_that_a_test_keeps_is_in_the_list() {
        let mut found = Vec::new();
        let mut folders = vec![root().join("gateway/src")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = fs::read_to_string(path).unwrap_or_default();
                let names = text.split(KEPT).skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(names.map(|name| format!("gateway/docs/{name}")));
            }
        }
        found.sort();
        assert_eq!(found, DOCUMENTS.map(|document| document.page));
    }
}
