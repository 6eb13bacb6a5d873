//! What `[quarantine]` says.

use std::path::Path;
use std::time::Duration;

use super::{check_faults, config, list};
use crate::quarantine::Settings;

#[test]
fn the_quarantine_resolves() {
    let default = config("state_dir = \"state\"").quarantine;
    assert_eq!(default.folder, Path::new("/etc/portcullis/state/quarantine"));
    assert_eq!(default.settings, Settings::default());
    let said = "[quarantine]\nfolder = \"/var/spool/q\"\nmax_size = \"2G\"\nmax_messages = 5\nkeep_for = \"14d\"";
    let quarantine = config(said).quarantine;
    assert_eq!(quarantine.folder, Path::new("/var/spool/q"));
    let settings =
        Settings { max_size: 2 << 30, max_messages: 5, keep_for: Duration::from_hours(14 * 24) };
    assert_eq!(quarantine.settings, settings);
    let running = config("");
    let needed = |text: &str| config(text).needs_restart(&running);
    assert_eq!(needed(said).as_deref(), Some("[quarantine] folder"));
    assert_eq!(needed("[quarantine]\nkeep_for = \"1d\""), None);
    check_faults(
        "[quarantine]\nmax_size = 5\nmax_messages = 0\nkeep_for = \"400d\"",
        &[
            "3:quarantine.max_size: 5, expected a size like 65536, \"64K\" or \"1M\", from 1024 to 1125899906842624 octets",
            "4:quarantine.max_messages: 0, expected a number from 1 to 100000",
            "5:quarantine.keep_for: \"400d\", expected a time like \"30m\", \"12h\" or \"7d\", from 1s to 365d",
        ],
    );
    check_faults(
        "[quarantine]\nmax_size = \"10M\"",
        &[
            "3:quarantine.max_size: 10485760 with [limits] message = 104857600, expected at least as much, else a long message waits for ever",
        ],
    );
}

#[test]
fn it_is_used_where_something_goes_there() {
    for (text, expected) in [
        (String::new(), false),
        (list("class = \"local-bad\"\naction = \"tag\""), false),
        (list("class = \"local-bad\"\naction = \"quarantine\""), true),
        (
            "[[zone]]\nname = \"z.example\"\nclass = \"third-party-bad\"\naction = \"quarantine\""
                .to_owned(),
            true,
        ),
    ] {
        assert_eq!(config(&text).uses_quarantine(), expected, "{text}");
    }
}
