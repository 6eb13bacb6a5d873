//! Reads back from the trail, since a moment, what the score said of each decision; line by line, however long the file is.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Take};
use std::net::IpAddr;
use std::path::Path;

use jiff::SignedDuration;
use serde::Deserialize;

use super::file::open;
use crate::clock::Timestamp;
use crate::policy::{Band, Judged, Thresholds};

/// No record is longer; a longer line is broken.
const LONGEST_LINE: u64 = 4 << 20;
/// The first line to be read is looked for no closer than this, in octets.
const NEAR: u64 = 1 << 20;
/// Lines are in the order of their times, but for what a clock that is set right may have done.
const SLACK: SignedDuration = SignedDuration::from_mins(5);

/// The records of the trail since a moment; those of the kernel are passed over.
#[derive(Debug)]
pub struct JudgedTrail {
    lines: Take<BufReader<File>>,
    since: Timestamp,
    begins: Option<Timestamp>,
    is_complete: bool,
    broken: u64,
    line: Vec<u8>,
}

/// What a record says of the score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedRecord {
    /// When the decision was taken: the word of the record.
    pub phase: String,
    /// The address that was scored.
    pub address: Option<IpAddr>,
    /// What was said of it.
    pub judged: Judged,
}

impl JudgedTrail {
    /// Opens the trail at `path` and finds where `since` begins, but reads at most the last `most` octets; what was rotated away is
    /// not looked for.
    pub fn open(path: &Path, since: Timestamp, most: u64) -> io::Result<Self> {
        let (file, length) = open(path)?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let begins = first_after(&mut reader, 0, length.min(NEAR))?.map(|(_start, time)| time);
        let early = since.checked_sub(SLACK).unwrap_or(since);
        let (start, cut) = (find(&mut reader, length, early)?, length.saturating_sub(most));
        reader.seek(SeekFrom::Start(start.max(cut)))?;
        let is_cut = cut > start;
        if is_cut {
            reader.skip_until(b'\n')?;
        }
        let start = reader.stream_position()?;
        let is_renamed = || path.with_added_extension("1").exists();
        let is_complete = !is_cut && (begins.is_none_or(|begins| begins <= since) || !is_renamed());
        // What is written meanwhile is left for the next time.
        let lines = reader.take(length.saturating_sub(start));
        Ok(Self { lines, since, begins, is_complete, broken: 0, line: Vec::new() })
    }

    /// The time of the first record of the file.
    pub fn begins(&self) -> Option<Timestamp> {
        self.begins
    }

    /// Whether all that was written since that moment is read, as far as files say.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// How many of the lines read so far were no records.
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// The record in the line at hand, when it is one that counts.
    fn record(&mut self) -> Option<JudgedRecord> {
        if self.line.trim_ascii().is_empty() {
            return None;
        }
        let Ok(fields) = serde_json::from_slice::<Fields<'_>>(&self.line) else {
            self.broken += 1;
            return None;
        };
        if fields.time < self.since || fields.phase == "kernel" {
            return None;
        }
        let Some(judged) = fields.judged() else {
            self.broken += 1;
            return None;
        };
        let address = fields.logical_client.or(fields.client);
        Some(JudgedRecord { phase: fields.phase.into_owned(), address, judged })
    }
}

impl Iterator for JudgedTrail {
    type Item = io::Result<JudgedRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match read_line(&mut self.lines, &mut self.line) {
                Err(error) => return Some(Err(error)),
                Ok(Line::End) => return None,
                Ok(Line::TooLong) => self.broken += 1,
                Ok(Line::Whole) => {
                    if let Some(record) = self.record() {
                        return Some(Ok(record));
                    }
                }
            }
        }
    }
}

/// The fields of a record that matter here.
#[derive(Deserialize)]
struct Fields<'a> {
    time: Timestamp,
    #[serde(borrow)]
    phase: Cow<'a, str>,
    #[serde(borrow, default)]
    code: Cow<'a, str>,
    #[serde(default)]
    enforced: bool,
    client: Option<IpAddr>,
    logical_client: Option<IpAddr>,
    score: Option<u16>,
    band: Option<Band>,
    delay_from: Option<u16>,
    reject_above: Option<u16>,
}

impl Fields<'_> {
    /// What it says of the score; `None` where that cannot be.
    fn judged(&self) -> Option<Judged> {
        let Some(score) = self.score else { return Some(Judged::NotScored) };
        let thresholds = Thresholds::from_scores(self.delay_from?, self.reject_above?).ok()?;
        let judged = Judged::Scored { score, band: self.band?, thresholds };
        if score > Thresholds::TOP {
            None
        } else if self.enforced && !Judged::is_by_score(&self.code) {
            Some(Judged::Otherwise)
        } else {
            Some(judged)
        }
    }
}

/// A line of which the time alone matters.
#[derive(Deserialize)]
struct Timed {
    time: Timestamp,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Whole,
    TooLong,
    /// There is no more, or what there is has no end yet.
    End,
}

fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    line.clear();
    let length = reader.by_ref().take(LONGEST_LINE).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        Ok(Line::Whole)
    } else if u64::try_from(length).is_ok_and(|length| length < LONGEST_LINE) {
        Ok(Line::End)
    } else {
        reader.skip_until(b'\n')?;
        Ok(Line::TooLong)
    }
}

/// Where to begin to read so that no line of `since` or later is missed: the file is halved until what is left is short.
fn find(reader: &mut BufReader<File>, length: u64, since: Timestamp) -> io::Result<u64> {
    let (mut from, mut to) = (0, length);
    while to - from > NEAR {
        let middle = from.midpoint(to);
        match first_after(reader, middle, to)? {
            Some((start, time)) if time < since => from = start,
            _ => to = middle,
        }
    }
    Ok(from)
}

/// The first record that begins after `from` (at it, where that is the start of the file) and before `to`: where, and its time.
fn first_after(
    reader: &mut BufReader<File>,
    from: u64,
    to: u64,
) -> io::Result<Option<(u64, Timestamp)>> {
    reader.seek(SeekFrom::Start(from))?;
    if from > 0 {
        reader.skip_until(b'\n')?;
    }
    let mut line = Vec::new();
    loop {
        let start = reader.stream_position()?;
        if start >= to || read_line(reader, &mut line)? == Line::End {
            return Ok(None);
        }
        if let Ok(Timed { time }) = serde_json::from_slice(&line) {
            return Ok(Some((start, time)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// The line of a decision at that second.
    fn line(second: i64, phase: &str, code: &str, score: &str) -> String {
        let time = Timestamp::from_second(second).unwrap();
        format!(
            "{{\"time\":\"{time}\",\"phase\":\"{phase}\",\"code\":\"{code}\",\"enforced\":true,\
             \"client\":\"192.0.2.1\",\"logical_client\":null,{score}}}\n"
        )
    }

    const SCORED: &str = "\"score\":550,\"band\":\"delay\",\"delay_from\":500,\"reject_above\":600";

    /// What is read since that second of a file that holds `text`, and how much of it is broken.
    fn read(text: &str, since: i64) -> (Vec<JudgedRecord>, u64, Option<Timestamp>) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("audit.jsonl");
        fs::write(&path, text).unwrap();
        let mut trail =
            JudgedTrail::open(&path, Timestamp::from_second(since).unwrap(), u64::MAX).unwrap();
        let records = trail.by_ref().map(Result::unwrap).collect();
        (records, trail.broken(), trail.begins())
    }

    #[test]
    fn a_record_says_what_the_score_said() {
        let scored =
            Judged::Scored { score: 550, band: Band::Delay, thresholds: Thresholds::default() };
        for (code, score, expected) in [
            ("iprep-delay", SCORED.to_owned(), Some(scored)),
            ("greylist", SCORED.to_owned(), Some(scored)),
            ("accept", SCORED.to_owned(), Some(scored)),
            ("sys-deny-ip", SCORED.to_owned(), Some(Judged::Otherwise)),
            ("sys-allow-ip", "\"score\":null".to_owned(), Some(Judged::NotScored)),
            ("accept", "\"x\":1".to_owned(), Some(Judged::NotScored)),
            ("accept", SCORED.replace("550", "1001"), None),
            ("accept", SCORED.replace("550", "-1"), None),
            ("accept", SCORED.replace("delay\"", "moon\""), None),
            ("accept", SCORED.replace("500", "700"), None),
            ("accept", "\"score\":550".to_owned(), None),
        ] {
            let (records, broken, _) = read(&line(100, "connect", code, &score), 100);
            let judged = records.first().map(|record| record.judged);
            assert_eq!(judged, expected, "{code} {score}");
            assert_eq!(broken, u64::from(expected.is_none()), "{code} {score}");
        }
        let dry = line(100, "connect", "sys-deny-ip", SCORED).replace("true", "false");
        assert_eq!(read(&dry, 100).0[0].judged, scored, "nothing but the score may be in force");
    }

    #[test]
    fn what_is_no_record_is_counted_or_passed_over() {
        let whole = line(100, "connect", "accept", SCORED);
        let long = "x".repeat(usize::try_from(LONGEST_LINE).unwrap() + 10);
        for (text, records, broken) in [
            (String::new(), 0, 0),
            (whole.clone(), 1, 0),
            (format!("\n\n{whole}"), 1, 0),
            (format!("{{}}\n[]\n\0\u{1b}[2J\n{whole}"), 1, 3),
            (format!("{long}\n{whole}"), 1, 1),
            (format!("{whole}{}", whole.get(..40).unwrap()), 1, 0),
            (format!("{}\n{whole}", whole.get(..40).unwrap()), 1, 1),
            (line(100, "kernel", "sys-deny-ip", "\"score\":null"), 0, 0),
            (line(99, "connect", "accept", SCORED), 0, 0),
        ] {
            let found = read(&text, 100);
            assert_eq!((found.0.len(), found.1), (records, broken), "{text:.99}");
        }
        let folder = TempDir::new().unwrap();
        for path in [folder.path(), &folder.path().join("gone"), Path::new("/dev/zero")] {
            assert!(JudgedTrail::open(path, Timestamp::UNIX_EPOCH, u64::MAX).is_err());
        }
    }

    #[test]
    fn of_a_long_trail_no_line_is_missed_and_the_start_is_not_read() {
        let last = 20_000;
        let lines = (1..=last).map(|second| {
            let broken = if second % 100 == 0 { "torn {\n" } else { "" };
            broken.to_owned() + &line(second, "connect", "accept", SCORED)
        });
        let text: String = lines.collect();
        assert!(u64::try_from(text.len()).unwrap() > 3 * NEAR);
        for (since, expected) in
            [(0, last), (1, last), (2, last - 1), (9_999, 10_002), (last, 1), (last + 1, 0)]
        {
            let (records, broken, begins) = read(&text, since);
            assert_eq!(records.len(), usize::try_from(expected).unwrap(), "{since}");
            assert_eq!(begins, Timestamp::from_second(1).ok());
            assert_eq!(broken < 200, since > 9_000, "{since}: {broken}");
        }
    }

    #[test]
    fn what_is_not_read_makes_it_incomplete() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("audit.jsonl");
        let lines = (1..=9).map(|second| line(second, "connect", "accept", SCORED));
        let text: String = lines.collect();
        fs::write(&path, &text).unwrap();
        let one = u64::try_from(text.len() / 9).unwrap();
        let read = |since, most| {
            let since = Timestamp::from_second(since).unwrap();
            let mut trail = JudgedTrail::open(&path, since, most).unwrap();
            (trail.by_ref().map(Result::unwrap).count(), trail.is_complete())
        };
        for (since, most, expected) in [
            (0, u64::MAX, (9, true)),
            (0, 9 * one, (9, true)),
            (0, 4 * one, (3, false)),
            (0, 4 * one + 1, (4, false)),
            (9, 4 * one, (1, false)),
            (0, 0, (0, false)),
        ] {
            assert_eq!(read(since, most), expected, "{since} {most}");
        }
        fs::write(path.with_added_extension("1"), "").unwrap();
        assert_eq!((read(0, u64::MAX), read(1, u64::MAX)), ((9, false), (9, true)));
    }
}
