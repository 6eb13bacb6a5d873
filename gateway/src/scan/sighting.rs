//! Turns the addresses in Received fields, and in other fields that are configured, into hops.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::header::HeaderBlock;
use super::literal::literals;
use super::received::Received;
use crate::net::Hop;

/// An address in the header of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The address, IPv4-mapped ones folded.
    pub address: IpAddr,
    /// The field in which it stands.
    pub hop: Hop,
    /// Whether the writer of the field saw it at its socket; otherwise it is what the sender claimed.
    pub peer: bool,
    /// Whether that field says that its sender had authenticated.
    pub authenticated: bool,
}

/// Every address in the `from` clause of every Received field, from the top, then every address in the fields that
/// `extra_headers` names; one address is there once for each hop.
pub fn sightings(header: &[u8], extra_headers: &[Arc<str>]) -> Vec<Sighting> {
    let mut seen = HashSet::new();
    let mut sightings = received_sightings(header);
    for field in HeaderBlock::new(header).fields() {
        let configured = extra_headers.iter().find(|name| field.is(name));
        sightings.extend(configured.into_iter().flat_map(|name| {
            literals(field.value).map(|address| Sighting {
                address,
                hop: Hop::Header(Arc::clone(name)),
                peer: false,
                authenticated: false,
            })
        }));
    }
    sightings.retain(|sighting| seen.insert((sighting.address, sighting.hop.clone())));
    sightings
}

/// How many Received fields there are; many mean a loop.
pub fn count_received(header: &[u8]) -> usize {
    HeaderBlock::new(header).received().count()
}

fn received_sightings(header: &[u8]) -> Vec<Sighting> {
    // The limit on a header block's length keeps the number of fields far below the end of the scale.
    let hops = (0..=u16::MAX).chain(std::iter::repeat(u16::MAX));
    hops.zip(HeaderBlock::new(header).received())
        .flat_map(|(index, field)| {
            let received = Received::new(field.value);
            received.addresses.into_iter().map(move |address| Sighting {
                address,
                hop: Hop::Received(index),
                peer: received.peer == Some(address),
                authenticated: received.authenticated,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each sighting as `HOP ADDRESS`, with a `+` for an authenticated sender.
    fn told(header: &[u8], extra_headers: &[&str]) -> Vec<String> {
        let extra_headers: Vec<Arc<str>> = extra_headers.iter().map(|&name| name.into()).collect();
        sightings(header, &extra_headers)
            .iter()
            .map(|sighting| {
                let plus = if sighting.authenticated { "+" } else { "" };
                format!("{} {}{plus}", sighting.hop, sighting.address)
            })
            .collect()
    }

    /// Received fields as the programs of the world write them; the addresses and names are those of documents.
    const REAL: [(&str, &str, &str); 26] = [
        (
            "Postfix",
            "from mail.example.org (mail.example.org [192.0.2.1])\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n\t key-exchange X25519 server-signature RSA-PSS (2048 bits))\r\n\t(No client certificate requested)\r\n\tby mx.example.net (Postfix) with ESMTPS id 4TqXyz0Jz2z1\r\n\tfor <user@example.net>; Mon,  1 Jan 2024 12:34:56 +0000 (UTC)",
            "192.0.2.1",
        ),
        (
            "Postfix, IPv6",
            "from mail.example.org (unknown [IPv6:2001:db8::25])\r\n\tby mx.example.net (Postfix) with ESMTP id 4TqXyz0Jz2z1; Mon, 1 Jan 2024 12:34:56 +0000",
            "2001:db8::25",
        ),
        (
            "Postfix, submission",
            "from [192.168.1.5] (dynamic-198-51-100-7.example.org [198.51.100.7])\r\n\t(Authenticated sender: user)\r\n\tby smtp.example.org (Postfix) with ESMTPSA id ABCDEF; Mon, 1 Jan 2024 12:34:56 +0000",
            "192.168.1.5+ 198.51.100.7+",
        ),
        (
            "Postfix, local",
            "by mail.example.org (Postfix, from userid 1000)\r\n\tid 12345ABCDE; Mon, 1 Jan 2024 12:34:56 +0000 (UTC)",
            "",
        ),
        (
            "Exim",
            "from mail.example.org ([192.0.2.1]:41234 helo=[10.0.0.7])\r\n\tby mx.example.net with esmtps  (TLS1.3) tls TLS_AES_256_GCM_SHA384\r\n\t(Exim 4.92.3)\r\n\t(envelope-from <user@example.org>)\r\n\tid 1rKabc-000abc-2d\r\n\tfor user@example.net; Mon, 01 Jan 2024 12:34:56 +0000",
            "10.0.0.7 192.0.2.1",
        ),
        (
            "Exim without a name",
            "from [192.0.2.1] (helo=foo)\r\n\tby mx.example.net with esmtpa (Exim 4.96)\r\n\tid 1rKabc-000abc-2d; Mon, 01 Jan 2024 12:34:56 +0000",
            "192.0.2.1+",
        ),
        (
            "Exim with a port",
            "from [192.0.2.1] (port=4711 helo=mail.example.org)\r\n\tby mx.example.net with esmtp (Exim 4.80) id 1abc; Mon, 1 Jan 2024 12:34:56 +0000",
            "192.0.2.1",
        ),
        (
            "sendmail",
            "from mail.example.org (mail.example.org [192.0.2.1] (may be forged))\r\n\tby mx.example.net (8.14.4/8.14.4) with ESMTP id 401CYuab012345\r\n\t(version=TLSv1/SSLv3 cipher=DHE-RSA-AES256-SHA bits=256 verify=NO);\r\n\tMon, 1 Jan 2024 12:34:56 GMT",
            "192.0.2.1",
        ),
        (
            "sendmail without a name",
            "from mail.example.org ([192.0.2.1])\r\n\tby mx.example.net (8.15.2/8.15.2) with ESMTP id 401C; Mon, 1 Jan 2024 12:34:56 GMT",
            "192.0.2.1",
        ),
        (
            "sendmail, local",
            "(from www@localhost)\r\n\tby mail.example.org (8.14.4/8.14.4/Submit) id 401CYuab012345; Mon, 1 Jan 2024 12:34:56 GMT",
            "",
        ),
        (
            "qmail",
            "from unknown (HELO mail.example.org) (user@192.0.2.1)\n  by mx.example.net with SMTP; 1 Jan 2024 12:34:56 -0000",
            "192.0.2.1",
        ),
        ("qmail, local", "(qmail 12345 invoked from network); 1 Jan 2024 12:34:56 -0000", ""),
        (
            "netqmail",
            "from mail.example.org (HELO 10.0.0.9) (192.0.2.1)\n  by mx.example.net (qpsmtpd/0.96) with ESMTPA; Mon, 01 Jan 2024 12:34:56 +0000",
            "10.0.0.9+ 192.0.2.1+",
        ),
        (
            "Exchange",
            "from A.example.org (10.0.0.1) by B.example.org (10.0.0.2) with Microsoft SMTP\r\n Server (TLS) id 15.0.1497.2; Mon, 1 Jan 2024 12:34:56 +0100",
            "10.0.0.1",
        ),
        (
            "Exchange Online",
            "from DU0PR04MB9999.eurprd04.prod.outlook.com (2603:10a6:10:34c::16)\r\n by AM0PR04MB1111.eurprd04.prod.outlook.com (2603:10a6:208:c1::30) with\r\n Microsoft SMTP Server (version=TLS1_2,\r\n cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.20.7159.9; Mon, 1 Jan\r\n 2024 12:34:56 +0000",
            "2603:10a6:10:34c::16",
        ),
        (
            "Exchange Online, itself",
            "from DU0PR04MB9999.eurprd04.prod.outlook.com\r\n ([fe80::1234:5678:9abc:def0]) by DU0PR04MB9999.eurprd04.prod.outlook.com\r\n ([fe80::1234:5678:9abc:def0%7]) with mapi id 15.20.7159.013; Mon, 1 Jan 2024\r\n 12:34:56 +0000",
            "fe80::1234:5678:9abc:def0",
        ),
        (
            "IIS",
            "from mail pickup service by web.example.org with Microsoft SMTPSVC;\r\n\t Mon, 1 Jan 2024 12:34:56 +0000",
            "",
        ),
        (
            "IIS, relayed",
            "from client ([192.0.2.1]) by web.example.org with Microsoft SMTPSVC(6.0.3790.4675);\r\n\t Mon, 1 Jan 2024 12:34:56 +0000",
            "192.0.2.1",
        ),
        (
            "Gmail",
            "from mail-sor-f41.google.com (mail-sor-f41.google.com. [209.85.220.41])\r\n        by mx.google.com with SMTPS id a1-2002a05600c1d000b00abc.1.2024.01.01.12.34.56\r\n        for <user@example.net>\r\n        (Google Transport Security);\r\n        Mon, 01 Jan 2024 12:34:56 -0800 (PST)",
            "209.85.220.41",
        ),
        (
            "Gmail, internal",
            "by 2002:a05:7300:1234:b0:abc:def0:1234 with SMTP id x1csp123456dyk;\r\n        Mon, 1 Jan 2024 12:34:56 -0800 (PST)",
            "",
        ),
        (
            "Gmail, submission",
            "from smtpclient.apple ([2001:db8:1:2::3])\r\n        by smtp.gmail.com with ESMTPSA id d2e1a72fcca58-1234567.8.2024.01.01.12.34.56\r\n        (version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256 bits=128/128); Mon, 01 Jan 2024 12:34:56 -0800 (PST)",
            "2001:db8:1:2::3+",
        ),
        (
            "Yahoo",
            "from sonic.gate.mail.ne1.yahoo.com by sonic301.consmr.mail.ne1.yahoo.com with HTTP; Mon, 1 Jan 2024 12:34:56 +0000",
            "",
        ),
        (
            "webmail",
            "from [192.0.2.1] by web1234.mail.example.com via HTTP; Mon, 01 Jan 2024 12:34:56 PST",
            "192.0.2.1",
        ),
        (
            "MDaemon",
            "from mail.example.org (192.0.2.1) by example.net (MDaemon PRO v21.5.2)\r\n\twith ESMTP id md50001234567.msg for <user@example.net>;\r\n\tMon, 01 Jan 2024 12:34:56 +0000",
            "192.0.2.1",
        ),
        (
            "Haraka",
            "from mail.example.org (1-2-0-192.pool.example.org [192.0.2.1])\r\n\tby mx.example.net (Haraka/2.8.28) with ESMTPS id 1A2B3C4D.1\r\n\tenvelope-from <user@example.org>\r\n\ttls TLS_AES_256_GCM_SHA384 (authenticated bits=0);\r\n\tMon, 01 Jan 2024 12:34:56 +0000",
            "192.0.2.1",
        ),
        (
            "Stalwart",
            "from mail.example.org (mail.example.org [2001:db8::7])\r\n\t(using TLSv1.3 with cipher TLS13_AES_256_GCM_SHA384)\r\n\tby mx.example.net (Stalwart SMTP) with ESMTPS id 2C0A;\r\n\tMon, 1 Jan 2024 12:34:56 +0000",
            "2001:db8::7",
        ),
    ];

    #[test]
    fn received_fields_of_the_real_world() {
        for (writer, value, expected) in REAL {
            let mut found: Vec<_> = told(format!("Received: {value}\r\n").as_bytes(), &[])
                .iter()
                .map(|line| line.replace("received[0] ", ""))
                .collect();
            found.sort();
            assert_eq!(found.join(" "), expected, "{writer}");
        }
    }

    #[test]
    fn what_a_relay_saw_is_told_from_what_the_sender_claimed() {
        let peer = |value: &str| {
            let header = format!("Received: {value}\r\n");
            let mut peers = sightings(header.as_bytes(), &[]).into_iter().filter(|seen| seen.peer);
            let peer = peers.next().map(|seen| seen.address.to_string());
            assert_eq!(peers.next(), None, "{value}");
            peer
        };
        for (writer, value, all) in REAL {
            let expected = match writer {
                // The only field here in which the claim stands last.
                "Exim" => Some("192.0.2.1"),
                _ => all.split(' ').next_back().filter(|last| !last.is_empty()),
            };
            let expected = expected.map(|last| last.trim_end_matches('+'));
            assert_eq!(peer(value).as_deref(), expected, "{writer}");
        }
        for (value, expected) in [
            // Everything but 192.0.2.1 is what the sender said of itself.
            ("from [192.0.2.1] (helo=198.51.100.9) by r with esmtp (Exim 4.98)", "192.0.2.1"),
            ("from [192.0.2.1] (helo=[198.51.100.9]) by r with esmtp (Exim 4.98)", "192.0.2.1"),
            ("from [192.0.2.1] (port=4711 helo=[198.51.100.9]) by r with esmtp", "192.0.2.1"),
            ("from host.example ([192.0.2.1] helo=198.51.100.9) by r with esmtp", "192.0.2.1"),
            (
                "from host.example ([192.0.2.1]:4711 helo=[198.51.100.9]) by r with esmtp",
                "192.0.2.1",
            ),
            ("from [198.51.100.9] (unknown [192.0.2.1]) by r (Postfix) with ESMTP", "192.0.2.1"),
            (
                "from [IPv6:2001:db8::9] (host.example [192.0.2.1]) by r (Postfix) with ESMTP",
                "192.0.2.1",
            ),
            ("from h (h [192.0.2.1]) (using TLS [198.51.100.9]) by r with ESMTPS", "192.0.2.1"),
            (
                "from h (h [192.0.2.1]) (Authenticated sender: [198.51.100.9]) by r with ESMTPA",
                "192.0.2.1",
            ),
            ("from unknown (HELO 198.51.100.9) (192.0.2.1) by r with SMTP", "192.0.2.1"),
            ("from unknown (HELO [198.51.100.9]) (u@192.0.2.1) by r with SMTP", "192.0.2.1"),
            ("from 198.51.100.9 (192.0.2.1) by r with Microsoft SMTP Server", "192.0.2.1"),
            (
                "from 198.51.100.9 (h [192.0.2.1] (may be forged)) by r (8.17) with ESMTP",
                "192.0.2.1",
            ),
            ("from [192.0.2.1] by r via HTTP", "192.0.2.1"),
        ] {
            assert_eq!(peer(value).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn hops_count_from_the_top_and_hold_each_address_once() {
        let header = b"X-Originating-IP: [192.0.2.9]\r\n\
            Received: from 192.0.2.1 (192.0.2.1 [192.0.2.1]) by a with ESMTPA; Mon\r\n\
            Subject: [192.0.2.66]\r\n\
            Received: by b; Mon\r\n\
            received : from c ([::ffff:192.0.2.2]); Mon\r\n\
            x-originating-ip: 192.0.2.9, 192.0.2.1; 192.0.2.8\r\n\
            \r\n\
            Received: from body ([192.0.2.99])\r\n";
        assert_eq!(
            told(header, &["X-Originating-IP"]),
            [
                "received[0] 192.0.2.1+",
                "received[2] 192.0.2.2",
                "header[X-Originating-IP] 192.0.2.9",
                "header[X-Originating-IP] 192.0.2.1",
                "header[X-Originating-IP] 192.0.2.8",
            ]
        );
        assert_eq!(count_received(header), 3);
    }

    #[test]
    fn more_fields_than_the_scale_has() {
        let header = "Received: from [192.0.2.1]\n".repeat(70_000);
        let sightings = sightings(header.as_bytes(), &[]);
        assert_eq!(sightings.len(), 65_536);
        assert_eq!(sightings.last().unwrap().hop, Hop::Received(u16::MAX));
    }

    #[test]
    fn a_hostile_field_costs_time_in_proportion_to_its_length() {
        for piece in
            ["(", ")", "()", "[", ";", ":", "1:", "a:", "from ", "192.0.2.1 ", "\n ", "\n(", "\""]
        {
            let header = format!("Received: from {}", piece.repeat(1 << 16));
            let started = tokio::time::Instant::now();
            assert!(sightings(header.as_bytes(), &[]).len() <= 1);
            assert!(started.elapsed().as_secs() < 5, "{piece:?}");
        }
    }

    proptest! {
        #[test]
        fn octets_never_panic(octets: Vec<u8>) {
            let block = [b"Received: from ".as_slice(), &octets].concat();
            drop(sightings(&block, &["Received".into()]));
            drop(sightings(&octets, &["Received".into()]));
        }

        #[test]
        fn words_of_received_fields_never_panic(text in "(Received: |from |by |with |ESMTPA|\\(|\\)|\\[|\\]|;|\"|\\\\|=|\r\n ?|[0-9]{1,20}|-|\\.|:|::|192\\.0\\.2\\.1|Jan |[a-f]| ){0,60}") {
            drop(sightings(text.as_bytes(), &["Received".into()]));
        }

        #[test]
        fn cutting_a_field_loses_no_address_before_the_cut((_, value, _) in prop::sample::select(&REAL[..]), cut: prop::sample::Index) {
            let whole = format!("Received: {value}\r\n");
            let cut = cut.index(whole.len());
            let kept = told(&whole.as_bytes()[..cut], &[]);
            for line in told(whole.as_bytes(), &[]) {
                let line = line.trim_end_matches('+');
                let address = line.rsplit(' ').next().unwrap();
                let ends = whole.find(address).unwrap() + address.len();
                // An address at the cut may itself have been cut into another one.
                if ends < cut {
                    prop_assert!(kept.iter().any(|kept| kept.trim_end_matches('+') == line), "{line} in {kept:?}");
                }
            }
        }
    }
}
