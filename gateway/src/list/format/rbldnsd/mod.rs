//! Reads the zone files of rbldnsd as it reads them itself: defaults, answers, exclusions, several datasets in one file.

mod answer;
mod dataset;
mod exclusions;
mod item;
mod variables;

use memchr::memchr_iter;

pub(super) use self::dataset::Dataset;
use self::dataset::Rows;
use self::exclusions::Room;
use self::variables::Variables;
use super::{Format, LineFault, Sink, Told, says_empty};

/// What a comment begins with.
const COMMENT: [char; 2] = ['#', ';'];

/// What parts an item from its answer, and words from each other.
const BLANK: [char; 2] = [' ', '\t'];

/// Octets of a line that are read; rbldnsd has less room.
const LINE_LIMIT: usize = 1 << 16;

/// Reads all lines of a file that begins with a dataset of the type `first`.
pub(super) fn read(first: Dataset, octets: &[u8], sink: &mut Sink<'_>) -> Told {
    let text = String::from_utf8_lossy(octets);
    let mut told = Told::NOTHING;
    let mut file = File::new(first, memchr_iter(b'\n', octets).count());
    for (number, line) in (1..).zip(text.split('\n')) {
        let line = line.get(..line.floor_char_boundary(LINE_LIMIT)).unwrap_or(line).trim_ascii();
        told.says_empty |= says_empty(line);
        if let Err(fault) = file.read_line(number, line, sink) {
            sink.reject(number, line, fault);
        }
    }
    file.end_dataset(sink);
    told
}

/// A file that is being read.
#[derive(Debug)]
struct File<'a> {
    /// The dataset that the next line belongs to; `None` where it has a type without addresses.
    current: Option<Rows<'a>>,
    /// What was set before the first of several datasets is set in each of them.
    common: Option<Variables<'a>>,
    /// The most addresses that an item of IPv4 may have, less one.
    most: u32,
    /// What exclusions may still cost.
    room: Room,
}

impl<'a> File<'a> {
    fn new(first: Dataset, lines: usize) -> Self {
        let current = Some(Rows::new(first, Variables::default()));
        Self { current, common: None, most: u32::MAX, room: Room::of(lines) }
    }

    fn read_line(
        &mut self,
        number: u32,
        line: &'a str,
        sink: &mut Sink<'_>,
    ) -> Result<(), LineFault> {
        // A line for rbldnsd may look like a comment, so that other programs can read the file, too.
        let behind_mark = line.strip_prefix([COMMENT[0], COMMENT[1], ':']);
        let special = line.strip_prefix('$').or_else(|| behind_mark?.strip_prefix('$'));
        match (special, &mut self.current) {
            (Some(special), _) => self.read_special(special, sink),
            (None, Some(rows)) if !line.is_empty() && !line.starts_with(COMMENT) => {
                rows.read_line(number, line, self.most)
            }
            _ => Ok(()),
        }
    }

    fn read_special(&mut self, special: &'a str, sink: &mut Sink<'_>) -> Result<(), LineFault> {
        let (keyword, rest) = special.split_once(BLANK).unwrap_or((special, ""));
        let rest = rest.trim_start_matches(BLANK);
        match keyword.to_ascii_lowercase().as_str() {
            // How the zone is served says nothing about what it lists.
            "soa" | "ns" | "nameserver" | "ttl" | "ent" => Ok(()),
            "maxrange4" => self.set_most(rest),
            "dataset" => self.begin_dataset(rest, sink),
            _ => match &mut self.current {
                Some(rows) => rows.variables.set(keyword, rest),
                None => Ok(()),
            },
        }
    }

    /// Takes `/24` or `256`; what was set cannot be raised.
    fn set_most(&mut self, text: &str) -> Result<(), LineFault> {
        let most = match text.strip_prefix('/') {
            Some(length) => length
                .parse()
                .ok()
                .filter(|length| *length <= 32)
                .map(|length: u32| u32::MAX.checked_shr(length).unwrap_or(0)),
            None => text.parse().ok().and_then(|most: u32| most.checked_sub(1)),
        };
        let most = most.ok_or_else(|| LineFault::found(text, "a length like /24 or a number"))?;
        self.most = self.most.min(most);
        Ok(())
    }

    /// Takes `TYPE:NAME SUBZONE…`: what the subzones are called does not matter.
    fn begin_dataset(&mut self, text: &'a str, sink: &mut Sink<'_>) -> Result<(), LineFault> {
        let ended = self.end_dataset(sink);
        let common = self.common.get_or_insert(ended);
        let dataset = text.split(BLANK).next().and_then(Dataset::named);
        self.current = dataset.map(|dataset| Rows::new(dataset, common.clone()));
        match self.current {
            Some(_) => Ok(()),
            None => Err(LineFault::found(
                text,
                "ip4set, ip4trie or ip6trie: its lines up to the next `$DATASET` are left out",
            )),
        }
    }

    /// Hands over what the dataset lists, now that its exclusions are known; what was set in it.
    fn end_dataset(&mut self, sink: &mut Sink<'_>) -> Variables<'a> {
        let Some(rows) = self.current.take() else { return Variables::default() };
        let variables = rows.variables.clone();
        rows.list(&mut self.room, sink);
        variables
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{entries, rejected};

    const SET: Format = Format::RbldnsdIp4Set;
    const TRIE: Format = Format::RbldnsdIp4Trie;
    const TRIE6: Format = Format::RbldnsdIp6Trie;

    /// What is listed, without lines and answers.
    fn prefixes(format: Format, text: &str) -> Vec<String> {
        let bare = |entry: &String| entry.split([':', ' ']).nth(1).unwrap_or_default().to_owned();
        let v6 = |entry: &String| entry.split_once(':').map_or("", |(_, rest)| rest).to_owned();
        let all = entries(format, text);
        let all = all.iter().map(|entry| if format == TRIE6 { v6(entry) } else { bare(entry) });
        all.map(|entry| entry.split(' ').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn addresses_are_written_in_many_ways() {
        for (format, text, expected) in [
            (SET, "192.0.2.0/24", &["192.0.2.0/24"][..]),
            (SET, "192.0.2", &["192.0.2.0/24"]),
            (SET, "192.0.2.0-192.0.2.255", &["192.0.2.0/24"]),
            (SET, "192.0.2.1-2", &["192.0.2.1", "192.0.2.2"]),
            (SET, "127/8", &["127.0.0.0/8"]),
            (SET, "127.16.0.0-127.31.255.255", &["127.16.0.0/12"]),
            (SET, "127.16.0-127.31.255", &["127.16.0.0/12"]),
            (SET, "127.16-127.31", &["127.16.0.0/12"]),
            (SET, "127.16-31", &["127.16.0.0/12"]),
            (SET, "127.16/12", &["127.16.0.0/12"]),
            (SET, "127-127", &["127.0.0.0/8"]),
            (SET, "010.000.0.1", &["10.0.0.1"]),
            (TRIE, "127.16/12 ; comment", &["127.16.0.0/12"]),
            (TRIE, "192.0.2#comment", &["192.0.2.0/24"]),
            (TRIE6, "2001:21ab:c000/36", &["2001:21ab:c000::/36"]),
            (TRIE6, "2001:21ab:def7:4242", &["2001:21ab:def7:4242::/64"]),
            (TRIE6, "2605:6001:42::/52", &["2605:6001:42::/52"]),
            (TRIE6, "::1\t# localhost", &["::1"]),
            (TRIE6, "1::4:0:0:0:8", &["1:0:0:4::8"]),
            (TRIE6, "1:2:3:4:5:6:7:8", &["1:2:3:4:5:6:7:8"]),
            (TRIE6, "::ffff:c000:207", &["192.0.2.7"]),
        ] {
            assert_eq!(prefixes(format, text), expected, "{text}");
        }
    }

    #[test]
    fn answers_are_those_of_the_line_or_of_the_default() {
        let text = "192.0.2.1\n:127.0.0.9:Listed, see $\n192.0.2.2\n192.0.2.3 :5\n192.0.2.4 :6:\n\
                    192.0.2.5 its own # text\n192.0.2.6:7:near\n192.0.2.7 ; comment\n:3\n192.0.2.8";
        assert_eq!(
            entries(SET, text),
            [
                "1:192.0.2.1 =127.0.0.2",
                "3:192.0.2.2 =127.0.0.9 Listed, see $",
                "4:192.0.2.3 =127.0.0.5 Listed, see $",
                "5:192.0.2.4 =127.0.0.6",
                "6:192.0.2.5 =127.0.0.9 its own # text",
                "7:192.0.2.6 =127.0.0.7 near",
                "8:192.0.2.7 =127.0.0.9 Listed, see $",
                "10:192.0.2.8 =127.0.0.3",
            ]
        );
    }

    #[test]
    fn exclusions_reach_what_is_as_narrow_or_wider() {
        for (format, text, expected) in [
            (SET, "192.0.2.0/30\n!192.0.2.1", &["192.0.2.0", "192.0.2.2/31"][..]),
            (SET, "!192.0.2.1\n192.0.2.1\n192.0.2.2", &["192.0.2.2"]),
            // A /25 is 128 hosts, which all are narrower than the exclusion.
            (SET, "192.0.2.0/25\n!192.0.2.0/24", &["192.0.2.0/25"]),
            (SET, "10.0.0.0/14\n!10.0.0.0/15", &["10.2.0.0/15"]),
            (SET, "10.0.0.0/15\n!10.0.0.0/14\n10.1.2.0/24", &["10.1.2.0/24"]),
            (
                TRIE,
                "192.0.2.0/24\n!192.0.2.0/25\n192.0.2.4/31",
                &["192.0.2.4/31", "192.0.2.128/25"],
            ),
            (TRIE, "!192.0.2.0/25\n192.0.2.0/26", &["192.0.2.0/26"]),
            (TRIE6, "2001:db8::/126\n!2001:db8::3", &["2001:db8::/127", "2001:db8::2"]),
            (TRIE6, "! ::/0\n2001:db8::1", &["2001:db8::1"]),
        ] {
            assert_eq!(prefixes(format, text), expected, "{text}");
        }
    }

    #[test]
    fn in_a_trie_the_first_line_with_a_prefix_counts() {
        for (text, expected) in
            [("192.0.2.7\n!192.0.2.7\n192.0.2.7 :4", "2,3"), ("!192.0.2.7\n192.0.2.7", "2")]
        {
            let rejected = rejected(TRIE, text);
            let lines = rejected.iter().map(|error| error.split([' ', ':']).nth(1).unwrap());
            assert_eq!(lines.collect::<Vec<_>>().join(","), expected, "{rejected:?}");
            assert!(rejected[0].ends_with("192.0.2.7 is in line 1 already, and the first counts"));
        }
    }

    #[test]
    fn of_two_entries_that_are_left_with_the_same_part_the_narrower_keeps_it() {
        let text = "192.0.2.0/24 :4:wide\n192.0.2.0/25 :5:narrow\n!192.0.2.128/25";
        assert_eq!(entries(TRIE, text), ["2:192.0.2.0/25 =127.0.0.5 narrow"]);
    }

    #[test]
    fn one_file_may_have_several_datasets() {
        let text = "$SOA 1w ns.example. root.example. 0 2h 2h 1w 1h\n$1 common\n$DATASET ip4set:x @\n\
                    :4:$1 $2\n$2 first\n192.0.2.0/24\n!192.0.2.0/25\n#$DATASET ip6trie @ v6\n2001:db8::1 $1 $2\n\
                    $DATASET ip4trie @\n192.0.2.7\n";
        assert_eq!(
            entries(SET, text),
            [
                "11:192.0.2.7 =127.0.0.2",
                "6:192.0.2.128/25 =127.0.0.4 common first",
                "9:2001:db8::1 =127.0.0.2 common $$2",
            ]
        );
    }

    #[test]
    fn says_what_is_wrong() {
        for (format, text, expected) in [
            (SET, "192", "`192` is no IP address"),
            (SET, "192.0.2.256", "`192.0.2.256` is no IP address"),
            (SET, "192.0.2.", "`192.0.2.` is no IP address"),
            (
                SET,
                "192.0.2.1/24",
                "`192.0.2.1/24` has bits beyond its length, expected 192.0.2.0/24",
            ),
            (SET, "192.0.2.9-7", "runs backwards"),
            (SET, "192.0-192.0.2.1", "expected as many numbers on both sides of the dash"),
            (SET, "192.0.2.7 :0:x", "`:0:x` cannot be read, expected an answer"),
            (SET, "192.0.2.7 :4 x", "`:4 x` cannot be read, expected an answer"),
            (SET, ":text", "`:text` cannot be read, expected an answer"),
            (SET, "192.0.2.7x", "expected an address, then a blank"),
            (SET, "0/0", "0.0.0.0/0 covers too much"),
            (SET, "$FOO bar", "`FOO` cannot be read, expected SOA, NS"),
            (
                SET,
                "$DATASET generic @\nwww A 127.0.0.1",
                "`generic @` cannot be read, expected ip4set",
            ),
            (
                SET,
                "$MAXRANGE4 256\n10.0.0.0/8",
                "expected at most as many addresses as `$MAXRANGE4` says",
            ),
            (
                SET,
                "$MAXRANGE4 /24\n10.0.0.0-10.0.1.0",
                "expected at most as many addresses as `$MAXRANGE4` says",
            ),
            (TRIE, "192.0.2.1-192.0.2.7", "expected an address, then a blank"),
            (TRIE6, "2001", "`2001` is no IP address"),
            (TRIE6, "2001:db8::/129", "is no IP address"),
            (TRIE6, "1::2.3", "expected an address, then a blank"),
            (TRIE6, "2001:db8::1/64", "has bits beyond its length, expected 2001:db8::/64"),
        ] {
            let rejected = rejected(format, text);
            assert!(rejected.len() == 1 && rejected[0].contains(expected), "{text}: {rejected:?}");
        }
        assert!(rejected(SET, "$MAXRANGE4 /24\n10.0.0.0/24\n10.0.0-10.0.0").is_empty());
    }
}
