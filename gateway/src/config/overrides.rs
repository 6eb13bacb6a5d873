//! What people said by commands that counts in the place of what the files say, or beside it.

use serde::Serialize;

use super::Config;
use crate::clock::Timestamp;
use crate::policy::SetThresholds;
use crate::store::{KeptZone, Store, StoreError, Switch};

/// One thing of which files and commands say something different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Override {
    /// `slider`, `list NAME` or `zone NAME`.
    pub about: String,
    /// What the files say.
    pub file: String,
    /// What was set.
    pub set: String,
    /// By whom.
    pub author: Box<str>,
    /// When.
    pub at: Timestamp,
    /// Which of the two counts.
    pub wins: Wins,
}

/// Which of the two counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Wins {
    /// What the files say.
    File,
    /// What was set.
    Set,
}

impl Wins {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Set => "set",
        }
    }
}

impl Config {
    /// All such things, as the store in `state_dir` has them: the slider, then lists, then zones.
    pub fn overrides(&self) -> Result<Vec<Override>, StoreError> {
        let Some(store) = Store::open_read_only(&self.state_dir)? else { return Ok(Vec::new()) };
        let slider = store.slider()?.map(|set| self.slider_override(set));
        let (lists, zones) = (store.switches()?, store.zones()?);
        let lists = lists.into_iter().filter_map(|switch| self.list_override(switch));
        let zones = zones.into_iter().filter_map(|kept| self.zone_override(kept));
        Ok(slider.into_iter().chain(lists).chain(zones).collect())
    }

    fn slider_override(&self, set: SetThresholds) -> Override {
        let SetThresholds { thresholds, author, at } = set;
        let (file, wins) = if self.score.enabled {
            (self.score.thresholds.to_string(), Wins::Set)
        } else {
            ("no score".to_owned(), Wins::File)
        };
        Override { about: "slider".to_owned(), file, set: thresholds.to_string(), author, at, wins }
    }

    /// A list that the files do not have is another matter: an alarm tells of it.
    fn list_override(&self, switch: Switch) -> Option<Override> {
        let Switch { list, enabled, author, at } = switch;
        let is_there = self.lists.iter().any(|known| known.name == list);
        (is_there && !enabled).then(|| Override {
            about: format!("list {list}"),
            file: "on".to_owned(),
            set: "off".to_owned(),
            author,
            at,
            wins: Wins::Set,
        })
    }

    fn zone_override(&self, kept: KeptZone) -> Option<Override> {
        let KeptZone { name, enabled, spec, author, at } = kept;
        let is_there = self.zones.iter().any(|known| known.name == name);
        let of_spec = spec.map(|spec| self.zone_of(&spec).map(drop));
        let (set, wins) = match (is_there, enabled, of_spec) {
            (_, false, Some(_)) => ("added, and off", Wins::Set),
            (true, false, None) => ("off", Wins::Set),
            (true, true, Some(_)) => ("added", Wins::File),
            (false, true, Some(Ok(()))) => ("added", Wins::Set),
            (false, true, Some(Err(_))) => ("added, and not readable now", Wins::File),
            (false, _, None) | (true, true, None) => return None,
        };
        Some(Override {
            about: format!("zone {name}"),
            file: if is_there { "on" } else { "not there" }.to_owned(),
            set: set.to_owned(),
            author,
            at,
            wins,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::policy::Thresholds;

    #[test]
    fn what_was_set_is_told_beside_what_the_files_say() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portcullis.toml");
        let text = "state_dir = \".\"\n[score]\ndelay_from = 510\nreject_above = 520\n\
            [[list]]\nname = \"bad\"\nclass = \"local-bad\"\nfile = \"bad.txt\"\n\
            [[zone]]\nname = \"a.example\"\nclass = \"third-party-bad\"\n\
            [[zone]]\nname = \"b.example\"\nclass = \"third-party-bad\"\n";
        fs::write(&path, text).unwrap();
        let (config, _notices) = Config::load(&path).unwrap();
        assert_eq!(config.overrides().unwrap(), []);
        let at = Timestamp::UNIX_EPOCH;
        let store = Store::open(folder.path(), at).unwrap().store;
        for (list, enabled) in [("bad", true), ("gone", false)] {
            store.set_enabled(list, enabled, "ada", at).unwrap();
        }
        assert_eq!(config.overrides().unwrap(), []);
        store.set_enabled("bad", false, "ada", at).unwrap();
        let thresholds = Thresholds::from_scores(700, 800).unwrap();
        store.keep_slider(&SetThresholds { thresholds, author: "bob".into(), at }).unwrap();
        let spec = |name| Some(format!("[[zone]]\nname = \"{name}\"\nclass = \"third-party-bad\""));
        for (name, enabled, spec) in [
            ("a.example", false, None),
            ("b.example", true, spec("b.example")),
            ("c.example", true, spec("c.example")),
            ("d.example", false, spec("d.example")),
            ("e.example", true, Some("nonsense".to_owned())),
            ("f.example", false, None),
        ] {
            let spec = spec.map(Into::into);
            let zone = KeptZone { name: name.into(), enabled, spec, author: "ada".into(), at };
            store.keep_zone(&zone).unwrap();
        }
        let found = config.overrides().unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|it| format!("{}: {} / {}: {}", it.about, it.file, it.set, it.wins.word()))
            .collect();
        let expected = [
            "slider: 510/520 / 700/800: set",
            "list bad: on / off: set",
            "zone a.example: on / off: set",
            "zone b.example: on / added: file",
            "zone c.example: not there / added: set",
            "zone d.example: not there / added, and off: set",
            "zone e.example: not there / added, and not readable now: file",
        ];
        assert_eq!(found, expected);
        fs::write(&path, text.replace("[score]", "[score]\nenabled = false")).unwrap();
        let (config, _notices) = Config::load(&path).unwrap();
        assert_eq!(config.overrides().unwrap()[0].wins, Wins::File);
    }
}
