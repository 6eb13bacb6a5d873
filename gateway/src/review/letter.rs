//! A letter to whoever runs the network of an open proxy: what was seen, what to do, where to answer.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::clock::Timestamp;
use crate::net::Hop;

/// The longest line, in letters (RFC 5322 section 2.1.1 says 78; quoting takes some).
const WIDTH: usize = 72;
/// The most sightings of one letter, the newest first.
const MOST: usize = 10;
/// The longest word of a stranger that is quoted.
const LONGEST_WORD: usize = 60;

/// What a letter is about.
#[derive(Clone, Debug)]
pub struct Letter<'a> {
    /// The name of this host.
    pub hostname: &'a str,
    /// The open proxy.
    pub address: IpAddr,
    /// The labels of the lists that call it one now, each with when it came there.
    pub lists: Vec<(&'a str, Option<Timestamp>)>,
    /// Where it was seen, the newest first.
    pub sightings: Vec<Sighting<'a>>,
    /// The review that the answer belongs to.
    pub review: Option<u64>,
}

/// One time that the address was seen.
#[derive(Clone, Debug)]
pub struct Sighting<'a> {
    /// When.
    pub time: Timestamp,
    /// Where: it connected, or it stands in a field of a message.
    pub hop: &'a Hop,
    /// Who connected, where that was another.
    pub client: Option<IpAddr>,
    /// The name that the client gave with HELO.
    pub helo: Option<&'a str>,
    /// What was done about it, in a word of records.
    pub action: &'a str,
    /// The name of the decision.
    pub reference: &'a str,
}

impl Letter<'_> {
    /// The letter as plain ASCII, in lines of at most 72 letters. There is nothing of recipients in it, and nothing that
    /// a stranger wrote but words of letters, digits and a few signs.
    pub fn text(&self) -> String {
        let Self { address, hostname, .. } = self;
        let mut page = Page::default();
        page.line(&format!("Subject: Open proxy at {address}"));
        page.blank();
        page.paragraph("", &format!("To the administrator of the network of {address}:"));
        page.blank();
        page.paragraph(
            "",
            &format!(
                "the host {address} in your network seems to be an open proxy, or a computer that \
                 others control (a \"zombie\"): strangers send mail through it."
            ),
        );
        page.blank();
        self.tell_what_was_seen(&mut page);
        page.blank();
        page.line("What we ask you to do:");
        page.blank();
        for (mark, text) in [
            ("1. ", "Find the host that had this address at these times."),
            (
                "2. ",
                "Look for proxies (SOCKS, HTTP CONNECT), mail servers that relay for everybody, \
                 and malware; close or remove what you find.",
            ),
            (
                "3. ",
                "Let none but your mail servers connect to port 25 of others, if the host is no \
                 mail server.",
            ),
            ("4. ", "Tell us when that is done. We look at the address again then."),
        ] {
            page.paragraph(mark, text);
        }
        page.blank();
        let about = match self.review {
            Some(review) => format!(", and name review {review}"),
            None => ", and name the address".to_owned(),
        };
        page.paragraph("", &format!("Please answer to postmaster@{hostname}{about}."));
        page.blank();
        page.line(&format!("The postmaster of {hostname}"));
        page.text
    }

    fn tell_what_was_seen(&self, page: &mut Page) {
        let hostname = self.hostname;
        page.line(&format!("What {hostname} has seen (times are UTC):"));
        page.blank();
        for (label, since) in &self.lists {
            let since = since.map(|since| format!(" since {}", moment(since))).unwrap_or_default();
            let list = format!("it is on the list \"{}\" of open proxies{since}", shown(label));
            page.paragraph("- ", &list);
        }
        for seen in self.sightings.iter().take(MOST) {
            page.paragraph("- ", &self.sighting(seen));
        }
        let more = self.sightings.len().saturating_sub(MOST);
        if more > 0 {
            page.paragraph("- ", &format!("and {more} times before that"));
        }
    }

    fn sighting(&self, seen: &Sighting<'_>) -> String {
        let when = moment(seen.time);
        let helo = seen.helo.filter(|helo| !helo.is_empty());
        let named = |before: &str| {
            helo.map(|helo| format!("{before}\"{}\"", shown(helo))).unwrap_or_default()
        };
        let how = match (seen.hop, seen.client.filter(|client| *client != self.address)) {
            (Hop::Received(number), Some(client)) => format!(
                "named by Received field {} (from the top) of a message that {client} brought{}",
                number.saturating_add(1),
                named(", which called itself ")
            ),
            (Hop::Header(name), Some(client)) => {
                format!("named by the field {} of a message that {client} brought", shown(name))
            }
            _ => format!("it connected to our port for mail{}", named(", and called itself ")),
        };
        let done = match seen.action {
            "reject" | "reject-message" => "refused",
            "defer" => "put off",
            _ => "recorded",
        };
        format!("{when}: {how}; {done}, our reference {}", shown(seen.reference))
    }
}

/// Where to find out whom to write to; nobody is asked.
pub fn whom_to_ask(address: IpAddr) -> Vec<String> {
    vec![
        format!("whois {address}"),
        "in its answer: abuse-mailbox, abuse-c, OrgAbuseEmail, \"Abuse contact for\"".to_owned(),
        format!("an RDAP client, for ip/{address}: the entity with the role \"abuse\""),
        "abuse@ and postmaster@ the domain of its reverse name (RFC 2142)".to_owned(),
    ]
}

/// What a stranger wrote, with no more than names and addresses need; neither a link nor a line can be made of it.
fn shown(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._[]: ".contains(letter);
    let safe = text.chars().map(|letter| if is_plain(letter) { letter } else { '?' });
    safe.take(LONGEST_WORD).collect()
}

fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The letter as far as it is written.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn line(&mut self, text: &str) {
        self.paragraph("", text);
    }

    /// Writes `text` behind `mark`, in as many lines as it takes, the later ones as far in as the first.
    fn paragraph(&mut self, mark: &str, text: &str) {
        let room = WIDTH.saturating_sub(mark.len());
        let mut line = String::new();
        let mut lead = mark.to_owned();
        let mut put = |line: &str, lead: &mut String| {
            let written = writeln!(self.text, "{lead}{line}");
            debug_assert!(written.is_ok(), "writing to a string cannot fail");
            *lead = " ".repeat(mark.len());
        };
        for word in text.split_ascii_whitespace() {
            let wanted = line.len() + usize::from(!line.is_empty()) + word.len();
            if wanted > room && !line.is_empty() {
                put(&line, &mut lead);
                line.clear();
            }
            let mut rest = word;
            // A name of a host can be longer than a line.
            while let Some((head, tail)) = rest.split_at_checked(room).filter(|it| !it.1.is_empty())
            {
                put(head, &mut lead);
                rest = tail;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(rest);
        }
        put(&line, &mut lead);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn letter(helo: &str, hop: &Hop, client: &str, count: usize) -> String {
        let sighting = |second| Sighting {
            time: at(second),
            hop,
            client: Some(client.parse().unwrap()),
            helo: Some(helo),
            action: "reject",
            reference: "0Z7K5N3QW8RTA",
        };
        let letter = Letter {
            hostname: "mx1.example.org",
            address: "198.51.100.66".parse().unwrap(),
            lists: vec![("proxies", Some(at(0)))],
            sightings: (0..i64::try_from(count).unwrap()).map(sighting).collect(),
            review: Some(3),
        };
        letter.text()
    }

    #[test]
    fn a_letter_says_what_was_seen_what_to_do_and_where_to_answer() {
        let text = letter("mail.example.com", &Hop::Connect, "198.51.100.66", 1);
        let expected = "\
Subject: Open proxy at 198.51.100.66

To the administrator of the network of 198.51.100.66:

the host 198.51.100.66 in your network seems to be an open proxy, or a
computer that others control (a \"zombie\"): strangers send mail through
it.

What mx1.example.org has seen (times are UTC):

- it is on the list \"proxies\" of open proxies since 2026-09-21 14:13:20
- 2026-09-21 14:13:20: it connected to our port for mail, and called
  itself \"mail.example.com\"; refused, our reference 0Z7K5N3QW8RTA

What we ask you to do:

1. Find the host that had this address at these times.
2. Look for proxies (SOCKS, HTTP CONNECT), mail servers that relay for
   everybody, and malware; close or remove what you find.
3. Let none but your mail servers connect to port 25 of others, if the
   host is no mail server.
4. Tell us when that is done. We look at the address again then.

Please answer to postmaster@mx1.example.org, and name review 3.

The postmaster of mx1.example.org
";
        assert_eq!(text, expected);
    }

    #[test]
    fn whatever_strangers_wrote_it_stays_a_letter() {
        for (helo, hop, client, expected) in [
            ("\u{1b}[2J\r\nBcc: all@example.com", Hop::Connect, "198.51.100.66", "?[2J??Bcc:"),
            ("http://evil.example/x?a=b", Hop::Connect, "198.51.100.66", "\"http:??evil.example"),
            ("\u{202e}caf\u{e9}", Hop::Connect, "198.51.100.66", "\"?caf?\""),
            (&"x".repeat(320), Hop::Connect, "198.51.100.66", &"x".repeat(LONGEST_WORD)),
            ("relay.example", Hop::Received(1), "192.0.2.9", "Received field 2 (from the top)"),
            ("a", Hop::Header("X-O".into()), "192.0.2.9", "the field X-O of a message that"),
            ("", Hop::Connect, "198.51.100.66", "connected to our port for mail; refused"),
        ] {
            let text = letter(helo, &hop, client, 12);
            let joined = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
            assert!(joined.contains(expected), "{expected}: {text}");
            assert!(text.contains("and 2 times before that"), "{text}");
            for line in text.lines() {
                assert!(line.len() <= WIDTH, "{line}");
                assert!(line.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic()));
            }
            assert!(text.lines().filter(|line| line.starts_with("Bcc")).count() == 0, "{text}");
        }
    }

    #[test]
    fn long_names_are_cut_into_lines() {
        let hostname = format!("{}.example.org", "a".repeat(180));
        let letter = Letter {
            hostname: &hostname,
            address: "2001:db8::1".parse().unwrap(),
            lists: Vec::new(),
            sightings: Vec::new(),
            review: None,
        };
        let text = letter.text();
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert!(text.replace('\n', "").contains(&format!("postmaster@{hostname}")), "{text}");
    }
}
