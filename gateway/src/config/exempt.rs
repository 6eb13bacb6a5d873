//! Sender domains that the score does not stop: those in the configuration, those in a file beside it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use super::fault::Place;
use super::reader::Reader;
use super::resolve::values;
use super::tree::Value;
use super::values::{Wrong, recipient_domain, text};

/// The most octets of the file.
const MOST_OCTETS: u64 = 16 << 20;

/// Of so many wrong lines each is told, of the others their number.
const MOST_TOLD: usize = 20;

/// Reads `exempt_domains` and `exempt_file`, each domain once.
pub(super) fn exempt_domains(reader: &mut Reader<'_>, folder: &Path) -> Vec<String> {
    let mut domains = values(reader.each("exempt_domains", recipient_domain));
    if let Some(at) = reader.optional("exempt_file", text) {
        let path: Arc<Path> = folder.join(&at.value).into();
        reader.reads(&path);
        match read_regular(&path, MOST_OCTETS) {
            Ok(text) => domains.extend(lines(reader, &path, &text)),
            Err(error) => {
                let found = format!("{:?}: {error}", at.value);
                let expected = "a readable file with one domain in a line";
                reader.wrong_at(&at, Wrong::expected(&found, expected));
            }
        }
    }
    domains.sort_unstable();
    domains.dedup();
    domains
}

/// The text of a file that is one: nobody waits for the other end of a pipe here.
pub(super) fn read_regular(path: &Path, most: u64) -> io::Result<String> {
    let metadata = path.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("no regular file"));
    }
    if metadata.len() > most {
        return Err(io::Error::other(format!("more than {most} octets")));
    }
    let mut text = String::new();
    File::open(path)?.take(most).read_to_string(&mut text)?;
    Ok(text)
}

fn lines(reader: &Reader<'_>, file: &Arc<Path>, text: &str) -> Vec<String> {
    let (mut domains, mut wrong_lines) = (Vec::new(), 0_usize);
    for (line, text) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let entry = text.split('#').next().unwrap_or_default().trim();
        if entry.is_empty() {
            continue;
        }
        match recipient_domain(&Value::Text(entry.to_owned())) {
            Ok(domain) => domains.push(domain),
            Err(wrong) => {
                wrong_lines = wrong_lines.saturating_add(1);
                if wrong_lines <= MOST_TOLD {
                    reader.wrong("exempt_file", Place { file: Arc::clone(file), line }, wrong);
                }
            }
        }
    }
    if let Some(more) = wrong_lines.checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        let place = Place { file: Arc::clone(file), line: 0 };
        let wrong = Wrong::expected(&format!("{more} more wrong lines"), "domains");
        reader.wrong("exempt_file", place, wrong);
    }
    domains
}
