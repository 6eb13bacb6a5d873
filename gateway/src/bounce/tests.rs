//! Bounces, log lines and pasted errors as they are in the world, and what is read from them.

use proptest::prelude::*;

use super::fields::MOST;
use super::*;

/// The samples with their names.
macro_rules! samples {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../tests/data/bounces/", $name)))),*]
    };
}

const SAMPLES: [(&str, &str); 16] = samples![
    "postfix.eml",
    "exim.eml",
    "exim-plain.eml",
    "exchange.eml",
    "sendmail.eml",
    "qmail.eml",
    "gmail.eml",
    "other.eml",
    "tagged.eml",
    "postfix.log",
    "exim.log",
    "sendmail.log",
    "pasted-quoted.txt",
    "pasted-html.txt",
    "old-gateway.txt",
    "old-proxy.txt",
];

/// What is read, in short: form, references, client, codes, words, servers, sender, recipients, message.
fn told(text: &str) -> String {
    let found = Bounce::read(text.as_bytes());
    let references = found.references.iter().map(|found| {
        let mark = if found.named { "" } else { "?" };
        format!("{}{mark}", found.reference)
    });
    let replies = found
        .replies
        .iter()
        .map(|said| format!("{} {}", said.code, said.enhanced.as_deref().unwrap_or("-")));
    [
        format!("{:?}", found.form),
        references.collect::<Vec<_>>().join(" "),
        found.client.map(|ip| ip.to_string()).unwrap_or_default(),
        replies.collect::<Vec<_>>().join(", "),
        found.words.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        found.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        found.sender.unwrap_or_default(),
        found.recipients.join(" "),
        found.message_id.unwrap_or_default(),
    ]
    .join("|")
}

#[test]
fn bounces_of_the_world() {
    const OURS: &str = "3Y15F2JPVHMW4";
    const KERNEL: &str = "1R6WQ2H8D5J0N";
    const PROXY: &str = "5C0PE1N8ZQ7RD";
    const TAG: &str = "6G1VB9S3Y7F5E";
    const NO_DNS: &str = "7K3MZ0T4X9V2B";
    const NOT_ALLOWED: &str = "you are not allowed to connect";
    const BOTH: &str = "you are not allowed to connect, System denied IP";
    const MX: &str = "mx1.example.org [192.0.2.1]";
    const ANN: &str = "ann@example.com";
    const BOB: &str = "bob@example.org";
    const ID: &str = "<20261129101214.77@laptop.lan>";
    for ((name, text), expected) in SAMPLES.into_iter().zip([
        ["Report", OURS, "198.51.100.66", "554 5.7.1", BOTH, MX, ANN, BOB, ID],
        ["Report", KERNEL, "198.51.100.66", "554 5.7.1", NOT_ALLOWED, MX, ANN, BOB, ID],
        [
            "Bounce",
            OURS,
            "198.51.100.66",
            "554 5.7.1",
            "you are not allowed to connect, Open proxy",
            MX,
            ANN,
            BOB,
            ID,
        ],
        [
            "Report",
            OURS,
            "2001:db8:bad::66",
            "554 5.7.1",
            BOTH,
            "mx1.example.org",
            ANN,
            BOB,
            "<DU0PR04MB9999A1B2C3D4E5F60718293A4B5C6D@DU0PR04MB9999.eurprd04.prod.outlook.com>",
        ],
        [
            "Report",
            PROXY,
            "198.51.100.9",
            "550 5.7.1, 554 5.0.0",
            "Open proxy, message refused because of",
            "mx1.example.org",
            ANN,
            BOB,
            ID,
        ],
        ["Bounce", OURS, "198.51.100.66", "554 5.7.1", BOTH, "[192.0.2.1]", ANN, BOB, ID],
        [
            "Report",
            OURS,
            "198.51.100.66",
            "421 4.7.1",
            "IP reputation tempfail",
            MX,
            ANN,
            BOB,
            "<CAF1b2c3d4e5f6g7h8i9j0@mail.gmail.com>",
        ],
        [
            "Report",
            "",
            "198.51.100.66",
            "554 5.7.1",
            "",
            "mx.example.net [203.0.113.25]",
            ANN,
            "carol@example.net",
            "<4TqXyz0Jz2z1@mail.example.com>",
        ],
        ["Message", TAG, "198.51.100.9", "", "Open proxy", "", ANN, "", ID],
        ["Log", KERNEL, "198.51.100.66", "554 5.7.1", NOT_ALLOWED, MX, "", BOB, ""],
        ["Log", OURS, "198.51.100.66", "554 5.7.1", BOTH, MX, ANN, BOB, ""],
        ["Log", NO_DNS, "198.51.100.66", "421 4.4.3", "Unable to connect to DNS", MX, ANN, BOB, ""],
        ["Error", OURS, "198.51.100.66", "554 5.7.1", BOTH, MX, "", BOB, ""],
        [
            "Error",
            OURS,
            "198.51.100.66",
            "554 5.7.1",
            "you are not allowed to connect, Open proxy",
            MX,
            "",
            BOB,
            "",
        ],
        ["Error", "", "", "554 5.7.1", NOT_ALLOWED, "", "", "", ""],
        ["Error", "", "", "", "Open Proxy sender violation", "", "", "", ""],
    ]) {
        assert_eq!(told(text), expected.join("|"), "{name}");
        // With the line ends of the wire, and as somebody quotes it.
        assert_eq!(told(&text.replace('\n', "\r\n")), expected.join("|"), "{name}");
        let quoted = format!("> {}\n", text.trim_end().replace('\n', "\n> "));
        let found = Bounce::read(quoted.as_bytes());
        assert_eq!(
            found.client.map(|ip| ip.to_string()).unwrap_or_default(),
            expected[2],
            "{name}"
        );
        assert!(expected[1].is_empty() || found.references[0].reference == expected[1], "{name}");
    }
}

#[test]
fn addresses_and_where_they_stand() {
    let shown = |text: &str| {
        let found = Bounce::read(text.as_bytes()).addresses;
        let shown =
            |seen: Seen| format!("{} {}{}", seen.place, seen.ip, if seen.peer { "!" } else { "" });
        found.into_iter().map(shown).collect::<Vec<_>>().join(", ")
    };
    for (name, expected) in [
        ("postfix.eml", "client 198.51.100.66, server 192.0.2.1, received[0] 10.0.0.7!"),
        ("sendmail.eml", "client 198.51.100.9, received[0] 10.0.0.7!"),
        ("tagged.eml", "client 198.51.100.9, received[0] 203.0.113.5!, received[1] 10.0.0.7!"),
        ("old-proxy.txt", "text 198.51.100.9"),
        ("old-gateway.txt", ""),
    ] {
        let (_, text) = SAMPLES.into_iter().find(|(known, _)| *known == name).unwrap();
        assert_eq!(shown(text), expected, "{name}");
    }
}

#[test]
fn hostile_texts_cost_time_in_proportion_to_their_length() {
    for piece in [
        "554 5.7.1 ",
        "client [",
        "] ref ",
        "host a.b",
        "<a@b>",
        "a=\n",
        "Received: from [192.0.2.1]\n",
        "\n\n",
        "H=a.b ",
        "> ",
        "192.0.2.1 ",
        "ref 3Y15F2JPVHMW4 ",
        "open proxy ",
        "stat=to=<",
    ] {
        let text = piece.repeat((1 << 17) / piece.len());
        let started = tokio::time::Instant::now();
        let found = Bounce::read(text.as_bytes());
        assert!(found.replies.len() <= MOST && found.addresses.len() <= MOST, "{piece}");
        assert!(started.elapsed().as_secs() < 10, "{piece:?}: {:?}", started.elapsed());
    }
}

proptest! {
    #[test]
    fn octets_never_panic(octets: Vec<u8>) {
        drop(Bounce::read(&octets));
    }

    #[test]
    fn cut_and_mixed_samples_never_panic(
        one in prop::sample::select(&SAMPLES[..]),
        other in prop::sample::select(&SAMPLES[..]),
        cut: prop::sample::Index,
        begin: prop::sample::Index,
    ) {
        let (one, other) = (one.1.as_bytes(), other.1.as_bytes());
        let mixed = [&one[..cut.index(one.len())], &other[begin.index(other.len())..]].concat();
        drop(Bounce::read(&mixed));
    }
}
