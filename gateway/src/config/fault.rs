//! What is wrong with a configuration, with the place where it is written.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A line of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match self.line {
            0 => write!(f, "{file}"),
            line => write!(f, "{file}:{line}"),
        }
    }
}

/// One thing that is wrong, as `file:line:key: value, expected …` with a line of advice where there is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub struct Fault {
    /// Where it is.
    pub place: Place,
    /// The key with its table, `list.action` for one; empty where the text is no TOML at all.
    pub key: String,
    /// The value first, then what was expected.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}:", self.key)?;
        }
        write!(f, " {}", self.text)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// All that is wrong with a configuration, in the order of files and lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

/// Something that an operator should know about a configuration that is otherwise in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// Where it is.
    pub place: Place,
    /// The key with its table.
    pub key: String,
    /// What happens instead of what was written.
    pub text: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.place, self.key, self.text)
    }
}

/// What was found so far. Many readers add to it in turn, hence the cells.
#[derive(Debug, Default)]
pub(super) struct Findings {
    faults: RefCell<Vec<Fault>>,
    notices: RefCell<Vec<Notice>>,
    files: RefCell<Vec<PathBuf>>,
}

impl Findings {
    pub(super) fn fault(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    pub(super) fn notice(&self, notice: Notice) {
        self.notices.borrow_mut().push(notice);
    }

    /// Notes a file or folder that the configuration names, to be read now or later.
    pub(super) fn file(&self, file: &Path) {
        self.files.borrow_mut().push(file.to_owned());
    }

    /// The files and folders that were named so far, each once.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = self.files.borrow().clone();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// The notices where there is no fault, else the faults.
    pub(super) fn finish(self) -> Result<Vec<Notice>, Faults> {
        let (mut faults, mut notices) = (self.faults.into_inner(), self.notices.into_inner());
        if faults.is_empty() {
            notices.sort();
            Ok(notices)
        } else {
            // A stable order by place alone: of two faults in one line the one found first is the cause. So is a line
            // that is no TOML, whatever was made of it afterwards.
            faults.sort_by(|one, other| one.place.cmp(&other.place));
            let broken: HashSet<_> = faults
                .iter()
                .filter(|fault| fault.key.is_empty())
                .map(|fault| fault.place.clone())
                .collect();
            faults.retain(|fault| fault.key.is_empty() || !broken.contains(&fault.place));
            Err(Faults(faults))
        }
    }
}
