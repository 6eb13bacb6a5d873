//! What the figures should be, beside what they are.

use serde_json::{Value, json};

use crate::figures::{rounded, text};

/// The most that a kind of answer may take, in ms, in ninety-nine of a hundred cases.
const TIMES: [(&str, f64); 3] = [("page", 50.0), ("page that searches", 250.0), ("scrape", 10.0)];
/// The most that a page may weigh with all that belongs to it, in KiB.
const WEIGHT: f64 = 150.0;
/// The most of a core that viewers may take, in percent.
const VIEWERS: f64 = 5.0;

/// Each aim; of pages there are two.
pub(crate) fn all(pages: &[Value], files: &Value, viewers: &Value) -> Vec<Value> {
    let number = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_f64);
    let files = files.as_object().into_iter().flatten().filter_map(|(_name, size)| size.as_f64());
    let files: f64 = files.sum();
    let mut aims = Vec::new();
    for page in pages {
        let (what, kind) = (text(page, "/what"), text(page, "/kind"));
        if let Some((_, most)) = TIMES.iter().find(|(name, _most)| *name == kind) {
            aims.push(aim(&format!("{what}, p99, ms"), number(page, "/p99_ms"), *most));
        }
        if kind.starts_with("page") {
            let whole = number(page, "/octets/max").map(|octets| (octets + files) / 1024.0);
            aims.push(aim(&format!("{what}, with its files, KiB"), whole, WEIGHT));
        }
    }
    let spent = number(viewers, "/percent_of_a_core");
    aims.push(aim("viewers of live events, % of a core", spent, VIEWERS));
    aims
}

fn aim(what: &str, found: Option<f64>, most: f64) -> Value {
    let met = found.is_some_and(|found| found <= most);
    json!({"what": what, "found": found.map(rounded), "is": "<=", "aim": most, "met": met})
}

/// A row for whoever watches.
pub(crate) fn line(aim: &Value) -> String {
    format!(
        "aim: {:<52} {:>10} (aim {} {}){}",
        text(aim, "/what"),
        text(aim, "/found"),
        text(aim, "/is"),
        text(aim, "/aim"),
        if aim["met"] == true { "" } else { " missed" },
    )
}
