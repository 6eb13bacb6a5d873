//! The daemon between real mail programs: swaks and Postfix send, another Postfix is the next hop.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use harness::daemon::Home;
use harness::needs;
use harness::netns::{NetNs, run};
use harness::postfix::{self, Postfix};

/// How long mail may take on a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// The client's own address arrives at the next hop, and its mail, its UTF-8 and its parameters as they were.
#[test]
fn postfix_sees_the_client_behind_the_proxy() {
    let (true, true, Some(packages)) = (needs::root(), needs::program("swaks"), needs::postfix())
    else {
        return;
    };
    let host = NetNs::new("real-mail").unwrap();
    host.addresses("lo", &["192.0.2.7/32", "2001:db8::7/128"]).unwrap();
    let start = |options| Postfix::start(&packages, Some(&host), &options).unwrap();
    let address = |text: &str| Some(text.parse::<SocketAddr>().unwrap());
    for (way, port) in [("xclient", 2525), ("proxy", 2526)] {
        let next_hop = start(postfix::Options {
            listen: address("127.0.0.1:2525"),
            listen_proxy: address("127.0.0.1:2526"),
            ..postfix::Options::default()
        });
        let home = Home::new(&config(way, port), Some(&host)).unwrap();
        let daemon = home.start().unwrap();

        let mut swaks = host.command("swaks");
        swaks.args(["--server", "127.0.0.1", "--port", "2500", "--local-interface", "192.0.2.7"]);
        swaks.args(["--helo", "swaks.example.org", "--pipeline"]);
        run(swaks.args(["--from", "a@example.org", "--to", "b@example.com,c@example.com"]))
            .unwrap();

        let answers = host.run(talk_over_ipv6).unwrap().unwrap();
        let lines = answers.lines().filter(|line| line.get(3..4) == Some(" "));
        let codes: Vec<_> = lines.filter_map(|line| line.get(..3)).collect();
        assert_eq!(
            codes,
            ["220", "250", "250", "250", "354", "250", "250", "250", "250", "221"],
            "{answers}"
        );

        let sender = start(postfix::Options {
            listen: address("127.0.0.1:2527"),
            relay_to: address("127.0.0.1:2500"),
            ..postfix::Options::default()
        });
        let mut swaks = host.command("swaks");
        swaks.args(["--server", "127.0.0.1", "--port", "2527"]);
        run(swaks.args(["--from", "d@example.org", "--to", "e@example.com"])).unwrap();
        sender.wait_for_log(&["to=<e@example.com>", "status=sent"], LONG).unwrap();
        sender.stop().unwrap();

        let delivered = next_hop.wait_for_delivered(4, LONG).unwrap().concat();
        for part in [
            "from swaks.example.org (unknown [192.0.2.7])",
            "from six.example.org (unknown [IPv6:2001:db8::7])",
            "Return-Path: <\u{fc}@example.org>",
            "with UTF8SMTP",
            "\n.dot\n",
            "from postfix.example.net (unknown [127.0.0.1])",
        ] {
            assert!(delivered.contains(part), "{way}: no `{part}` in {delivered}");
        }
        assert!(daemon.terminate().unwrap().success());
        let audit = home.audit().unwrap();
        let messages: Vec<_> = audit.iter().filter(|record| record["phase"] == "message").collect();
        assert_eq!(messages.len(), 3, "{way}: {audit:?}");
        for message in messages {
            assert_eq!(message["reply"], message["next_hop"], "acknowledged by the next hop");
        }
        next_hop.stop().unwrap();
    }
}

fn config(way: &str, port: u16) -> String {
    format!(
        r#"
            hostname = "mx.example.org"
            state_dir = "{{dir}}"
            [audit]
            file = "{{dir}}/audit.jsonl"
            [admin]
            socket = "{{dir}}/admin.sock"
            [xdp]
            mode = "off"
            [[listener]]
            address = "[::]:2500"
            [next_hop]
            address = "127.0.0.1:{port}"
            client = "{way}"
        "#
    )
}

/// Everything in one packet behind the greeting: a message with all parameters, a transaction taken back, one left open.
fn talk_over_ipv6() -> io::Result<String> {
    let mut stream = TcpStream::connect("[2001:db8::7]:2500")?;
    let mut answers = String::new();
    BufReader::new(stream.try_clone()?).read_line(&mut answers)?;
    let lines = [
        "EHLO six.example.org",
        "MAIL FROM:<\u{fc}@example.org> SMTPUTF8 BODY=8BITMIME SIZE=100 RET=HDRS ENVID=x",
        "RCPT TO:<b@example.com> NOTIFY=NEVER ORCPT=rfc822;x@example.com",
        "DATA",
        "Subject: six",
        "",
        "..dot",
        ".",
        "MAIL FROM:<second@example.org>",
        "RSET",
        "MAIL FROM:<third@example.org>",
        "QUIT",
        "",
    ];
    stream.write_all(lines.join("\r\n").as_bytes())?;
    stream.read_to_string(&mut answers)?;
    Ok(answers)
}
