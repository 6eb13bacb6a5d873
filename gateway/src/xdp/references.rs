//! The keys of the references in the kernel's refusals, kept as long as the records, and what a reference says.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use gateway_ebpf::parse::Addresses;
use gateway_ebpf::reference::{Content, FIRST_SECOND, Key, fingerprint, from_letters};
use jiff::SignedDuration;

use super::XdpError;
use crate::clock::Timestamp;
use crate::file;
use crate::net::fold;

/// How long a key is used.
const EPOCH: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long a key is kept after that.
const KEPT: SignedDuration = SignedDuration::from_hours(400 * 24);

/// How far the kernel's idea of the time may be from ours, and how long a former key may still be used.
const SLACK: SignedDuration = SignedDuration::from_mins(30);

/// What a reference in a refusal of the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelReference {
    /// The minute in which it was given.
    pub at: Timestamp,
    /// The slot of the list that decided.
    pub slot: u16,
    client: u32,
}

impl KernelReference {
    /// Whether it can have been given to `address`; of the others, one in 16 million can have got it, too.
    pub fn is_of(&self, address: IpAddr) -> bool {
        fingerprint(&addresses(address)) == self.client
    }
}

/// The keys, the oldest first.
#[derive(Debug)]
pub struct References {
    /// Where they are kept; `None` where nobody will ask.
    file: Option<PathBuf>,
    epochs: Vec<Epoch>,
    /// Whether all of them are in the file.
    saved: bool,
}

/// A key and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch {
    pub(super) number: u32,
    began: Timestamp,
    key: [u32; 4],
}

impl Epoch {
    pub(super) fn key(&self) -> Key {
        Key::new(self.key)
    }

    fn ended(&self, now: Timestamp) -> bool {
        now.duration_since(self.began) >= EPOCH
    }

    /// What `reference` says, if this epoch's key made it.
    fn read(&self, reference: u64) -> Option<KernelReference> {
        let Content { epoch, list, minute, client } = self.key().open(reference);
        let second = FIRST_SECOND + 60 * u64::from(minute);
        let at = Timestamp::from_second(i64::try_from(second).ok()?).ok()?;
        let age = at.duration_since(self.began);
        let fits = u32::from(epoch) == self.number & 0xff && age > -SLACK && age < EPOCH + SLACK;
        fits.then_some(KernelReference { at, slot: list.into(), client })
    }

    fn parse(line: &str) -> Option<Self> {
        let [number, began, key] = *line.split(' ').collect::<Vec<_>>().as_slice() else {
            return None;
        };
        let key = u128::from_str_radix(key, 16).ok().filter(|_| key.len() == 32)?;
        Some(Self { number: number.parse().ok()?, began: began.parse().ok()?, key: words(key) })
    }

    fn line(&self) -> String {
        let [a, b, c, d] = self.key;
        format!("{} {} {a:08x}{b:08x}{c:08x}{d:08x}\n", self.number, self.began)
    }
}

impl References {
    /// Reads the keys from `file`, if it is there.
    pub fn load(file: Option<&Path>) -> Result<Self, XdpError> {
        let text = file.map_or_else(|| Ok(String::new()), read)?;
        let mut epochs: Vec<_> = text.lines().filter_map(Epoch::parse).collect();
        epochs.sort_by_key(|epoch| epoch.number);
        Ok(Self { file: file.map(Path::to_owned), epochs, saved: true })
    }

    /// What a reference says; `None` unless one of the keys made it.
    pub fn read(&self, letters: &str) -> Option<KernelReference> {
        let reference = from_letters(letters)?;
        self.epochs.iter().rev().find_map(|epoch| epoch.read(reference))
    }

    /// The epoch at `now`: the last one, or a new one when that has ended.
    ///
    /// A full disk is no reason not to refuse: a key that cannot be saved is used all the same, and saved later.
    pub(super) fn current(&mut self, now: Timestamp) -> Result<Epoch, XdpError> {
        let epoch = match self.epochs.last() {
            Some(last) if !last.ended(now) => *last,
            _ => self.begin(now)?,
        };
        if let Some(file) = self.file.as_ref().filter(|_| !self.saved) {
            match self.save(file) {
                Ok(()) => self.saved = true,
                Err(error) => tracing::warn!(
                    "{}: {error}; without it a restart forgets what references say",
                    file.display()
                ),
            }
        }
        Ok(epoch)
    }

    fn begin(&mut self, now: Timestamp) -> Result<Epoch, XdpError> {
        let number = self.epochs.last().map_or(1, |last| last.number.wrapping_add(1));
        let random = || getrandom::u64().map_err(XdpError::random);
        let key = words(u128::from(random()?) << 64 | u128::from(random()?));
        let epoch = Epoch { number, began: now, key };
        self.epochs.retain(|epoch| now.duration_since(epoch.began) < EPOCH + KEPT);
        self.epochs.push(epoch);
        self.saved = false;
        Ok(epoch)
    }

    /// Writes all keys, for their owner alone.
    fn save(&self, file: &Path) -> io::Result<()> {
        let lines: String = self.epochs.iter().map(Epoch::line).collect();
        file::replace(file, 0o600, lines.as_bytes())
    }
}

fn read(file: &Path) -> Result<String, XdpError> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        text => text.map_err(|error| XdpError::path(file, error)),
    }
}

fn words(key: u128) -> [u32; 4] {
    [96, 64, 32, 0].map(|shift| u32::try_from(key >> shift & 0xffff_ffff).unwrap_or(0))
}

/// A client as the program sees it; the destination does not matter.
pub(super) fn addresses(address: IpAddr) -> Addresses {
    match fold(address) {
        IpAddr::V4(v4) => Addresses::V4 { source: v4.into(), destination: 0 },
        IpAddr::V6(v6) => Addresses::V6 { source: words(v6.into()), destination: [0; 4] },
    }
}

#[cfg(test)]
mod tests {
    use gateway_ebpf::reference::{LETTERS, letter};

    use super::*;

    fn given(epoch: &Epoch, at: Timestamp, address: IpAddr) -> String {
        let second = u64::try_from(at.as_second()).unwrap();
        let reference = epoch.key().seal(Content {
            epoch: epoch.number.to_le_bytes()[0],
            list: 7,
            minute: ((second - FIRST_SECOND) / 60).try_into().unwrap(),
            client: fingerprint(&addresses(address)),
        });
        (0..LETTERS).map(|place| char::from(letter(reference, place))).collect()
    }

    #[test]
    fn a_reference_can_be_read_weeks_later() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("references");
        let start: Timestamp = "2026-11-21T12:34:56Z".parse().unwrap();
        let [ours, other]: [IpAddr; 2] =
            ["2001:db8::7", "192.0.2.7"].map(|address| address.parse().unwrap());
        let mut references = References::load(Some(&file)).unwrap();
        let first = references.current(start).unwrap();
        let letters = given(&first, start, ours);
        for week in 1..20 {
            let now = start + week * EPOCH;
            let mut references = References::load(Some(&file)).unwrap();
            let epoch = references.current(now).unwrap();
            assert_eq!(u32::try_from(week).unwrap() + 1, epoch.number);
            let found = references.read(&letters.to_ascii_lowercase()).unwrap();
            assert_eq!(found.at, "2026-11-21T12:34:00Z".parse().unwrap());
            assert_eq!((found.slot, found.is_of(ours), found.is_of(other)), (7, true, false));
        }
        let much_later = start + EPOCH + KEPT;
        references.current(much_later).unwrap();
        assert_eq!(References::load(Some(&file)).unwrap().read(&letters), None);
    }

    #[test]
    fn what_was_never_given_says_nothing() {
        let start: Timestamp = "2026-11-21T12:34:56Z".parse().unwrap();
        let mut references = References::load(None).unwrap();
        let epoch = references.current(start).unwrap();
        let letters = given(&epoch, start, "192.0.2.7".parse().unwrap());
        assert!(references.read(&letters).is_some());
        // One letter changed: practically always nonsense, of which one in 100,000 passes for a reference.
        let guessed = (0..LETTERS).filter(|place| {
            let mut changed = letters.clone().into_bytes();
            changed[*place] = if changed[*place] == b'0' { b'1' } else { b'0' };
            references.read(str::from_utf8(&changed).unwrap()).is_some()
        });
        assert!(guessed.count() <= 1);
        assert_eq!(references.read("no reference"), None);
        let mut others = References::load(None).unwrap();
        others.current(start).unwrap();
        assert_eq!(others.read(&letters), None);
    }

    #[test]
    fn a_key_that_cannot_be_saved_is_used_and_saved_later() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("not-there/references");
        let start: Timestamp = "2026-11-21T12:34:56Z".parse().unwrap();
        let mut references = References::load(Some(&file)).unwrap();
        let epoch = references.current(start).unwrap();
        fs::create_dir(file.parent().unwrap()).unwrap();
        assert_eq!(references.current(start).unwrap(), epoch);
        assert_eq!(References::load(Some(&file)).unwrap().epochs, [epoch]);
    }

    #[test]
    fn lines_that_are_no_keys_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("references");
        let good = "3 2026-11-21T12:34:56Z 000102030405060708090a0b0c0d0e0f";
        let text = format!("1 2 3\nnonsense\n{good}\n4 2026-11-21T12:34:56Z 00\n");
        fs::write(&file, text).unwrap();
        let references = References::load(Some(&file)).unwrap();
        let lines: String = references.epochs.iter().map(Epoch::line).collect();
        assert_eq!(lines, format!("{good}\n"));
    }
}
