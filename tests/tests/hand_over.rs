//! One daemon after the other on the same sockets: nobody is refused, nobody is reset, mail in hand is finished.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use harness::needs;
use harness::site::Site;
use harness::smtp_client::{Attempt, End, SmtpClient};
use harness::stage::{EDGE_V4, Stage};

const LONG: Duration = Duration::from_secs(20);

/// The process that answers `status`.
fn serving(stage: &Stage) -> u64 {
    stage.status_number("/pid").unwrap()
}

fn begin_mail(stage: &Stage, client: &str) -> SmtpClient {
    let mut client = stage.greeted(client).unwrap();
    for (command, code) in
        [("MAIL FROM:<a@example.com>", 250), ("RCPT TO:<b@example.org>", 250), ("DATA", 354)]
    {
        client.send_line(command).unwrap();
        client.expect(code).unwrap();
    }
    client.send_raw(b"Subject: in hand\r\n\r\nfirst half\r\n").unwrap();
    client
}

fn end_mail(mut client: SmtpClient) {
    client.send_raw(b"second half\r\n.\r\n").unwrap();
    client.expect(250).unwrap();
    client.expect(421).unwrap();
    assert_eq!(client.ended().unwrap(), End::Closed);
}

/// Begins a conversation as a mail server does that asks a milter, and waits for the answer.
fn negotiate(mut stream: impl Read + Write) {
    // Version 6 of the protocol, each change of messages, and no step left out.
    let offer = *b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\0\0\0";
    stream.write_all(&offer).unwrap();
    let mut start = [0; 9];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start[4..], b"O\0\0\0\x06", "{}", start.escape_ascii());
}

/// Clients connect without a pause from four addresses while daemons change places. Each must be greeted, and be able to end its
/// session; the one in the middle of a message is served by the daemon that it began with.
#[test]
fn a_crowd_of_clients_does_not_notice_that_daemons_change_places() {
    const CROWD: [&str; 4] = ["198.18.1.2", "198.18.1.3", "198.18.1.4", "198.18.1.5"];
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel().top("user = \"nobody\"").list(
        "bad",
        "local-bad",
        "",
        "198.51.100.66\n",
    );
    let mut senders = CROWD.to_vec();
    senders.extend(["198.18.2.1", "198.51.100.66"]);
    let stage = site.stage(&senders).unwrap();
    stage.home.give_to(65_534).unwrap();
    let mut daemon = stage.start().unwrap();
    let (over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (server, patience) = (SocketAddr::new(EDGE_V4, 25), Duration::from_secs(15));
    let visit = |from: IpAddr| {
        let mut client = match SmtpClient::attempt(Some(from), server, patience).unwrap() {
            Attempt::Connected(client) => client,
            other => panic!("{from}: {other:?}"),
        };
        client.set_patience(patience);
        client.expect(220).unwrap();
        client.send_line("QUIT").unwrap();
        // Whoever stops says 421 to a client in between.
        let code = client.reply().unwrap().code;
        assert!([221, 421].contains(&code), "{code}");
        assert_eq!(client.ended().unwrap(), End::Closed);
    };
    thread::scope(|scope| {
        let crowd = CROWD.map(|from| {
            let (over, served, visit, sender) = (&over, &served, &visit, &stage.sender);
            scope.spawn(move || {
                sender
                    .run(|| {
                        while !over.load(Ordering::Relaxed) {
                            visit(from.parse().unwrap());
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                    .unwrap();
            })
        });
        for _ in 0..3 {
            let in_hand = begin_mail(&stage, "198.18.2.1");
            let before = served.load(Ordering::Relaxed);
            let next = stage.take_over().unwrap();
            daemon.wait_for_notification("STOPPING=1", LONG).unwrap();
            assert_eq!(serving(&stage), u64::from(next.id()));
            let rejected = stage.attempt("198.51.100.66".parse().unwrap(), LONG).unwrap();
            assert!(matches!(rejected, Attempt::Refused), "the kernel goes on: {rejected:?}");
            end_mail(in_hand);
            assert!(daemon.wait(LONG).unwrap().success(), "{}", daemon.log());
            thread::sleep(Duration::from_millis(200));
            assert!(served.load(Ordering::Relaxed) > before + 10, "nobody came");
            daemon = next;
        }
        over.store(true, Ordering::Relaxed);
        for client in crowd {
            client.join().unwrap();
        }
    });
    assert_eq!(stage.next_hop.delivered().len(), 3);
    assert!(served.load(Ordering::Relaxed) > 100, "{served:?}");
    assert!(daemon.terminate().unwrap().success());
    assert!(!stage.home.path().join("state/hand-over").exists());
}

#[test]
fn where_no_daemon_runs_it_is_a_start_like_any_other() {
    if !needs::root() {
        return;
    }
    let stage = Site::without_kernel().stage(&["198.18.1.2"]).unwrap();
    let daemon = stage.take_over().unwrap();
    stage.greeted("198.18.1.2").unwrap();
    daemon.kill().unwrap();
    // The name that a killed one leaves behind is nobody's.
    assert!(stage.home.path().join("state/hand-over").exists());
    let daemon = stage.take_over().unwrap();
    stage.greeted("198.18.1.2").unwrap();
    assert!(daemon.terminate().unwrap().success());
}

#[test]
fn without_being_asked_nobody_takes_over() {
    if !needs::root() {
        return;
    }
    let stage = Site::without_kernel().stage(&["198.18.1.2"]).unwrap();
    let daemon = stage.start().unwrap();
    let output = stage.home.run_in_vain(LONG).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains("portcullis run --take-over"), "{said}");
    assert_eq!(serving(&stage), u64::from(daemon.id()));
}

#[test]
fn the_listeners_may_be_others_afterwards() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel();
    let stage = site.stage(&["198.18.1.2"]).unwrap();
    let mut daemon = stage.start().unwrap();
    let config = site.config().unwrap();
    let listener = "[[listener]]\naddress = \"[::]:25\"\n";
    let other = "[[listener]]\naddress = \"0.0.0.0:26\"\n";
    let connects = |port| {
        let server = SocketAddr::new(EDGE_V4, port);
        let from = Some("198.18.1.2".parse().unwrap());
        let attempt =
            stage.sender.run(|| SmtpClient::attempt(from, server, LONG).unwrap()).unwrap();
        matches!(attempt, Attempt::Connected(_))
    };
    for (listeners, expected) in [
        (format!("{listener}{other}"), [true, true]),
        (other.to_owned(), [false, true]),
        (listener.to_owned(), [true, false]),
    ] {
        stage.configure(&config.replace(listener, &listeners)).unwrap();
        let next = stage.take_over().unwrap();
        assert!(daemon.wait(LONG).unwrap().success());
        assert_eq!([connects(25), connects(26)], expected, "{listeners}");
        daemon = next;
    }
}

/// The daemon that takes over has the state already when it finds that it cannot go on: the other one serves as before.
#[test]
fn a_daemon_that_dies_half_way_costs_no_mail() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel()
        .tables("[milter]\naddress = \"unix:{dir}/milter.sock\"")
        .list("bad", "local-bad", "", "198.51.100.66\n");
    let stage = site.stage(&["198.18.1.2", "198.51.100.66"]).unwrap();
    let ask_milter =
        || negotiate(UnixStream::connect(stage.home.path().join("milter.sock")).unwrap());
    let mut daemon = stage.start().unwrap();
    ask_milter();
    let config = site.config().unwrap();
    // A folder has the name, which is found when the file is opened.
    fs::create_dir(stage.home.path().join("folder")).unwrap();
    stage.configure(&config.replace("{dir}/audit.jsonl", "{dir}/folder")).unwrap();
    let mut doomed = stage.home.spawn_with(stage.home.command(), &["--take-over"]).unwrap();
    assert_eq!(doomed.wait(LONG).unwrap().code(), Some(78));
    stage.wait_for_alarm("hand-over", "died before it served").unwrap();
    assert_eq!(serving(&stage), u64::from(daemon.id()));
    let code =
        |address: &str| stage.connect(address.parse().unwrap()).unwrap().reply().unwrap().code;
    assert_eq!((code("198.18.1.2"), code("198.51.100.66")), (220, 554));
    // The name of the socket did not go with the one that died.
    ask_milter();
    // And the next one can.
    stage.configure(&config).unwrap();
    let next = stage.take_over().unwrap();
    assert!(daemon.wait(LONG).unwrap().success(), "{}", daemon.log());
    assert_eq!(serving(&stage), u64::from(next.id()));
    assert_eq!((code("198.18.1.2"), code("198.51.100.66")), (220, 554));
    ask_milter();
}

/// A shell hands the socket over as a service manager does: as descriptor 3, with two variables (`sd_listen_fds(3)`).
const MANAGER: [&str; 4] = [
    "sh",
    "-c",
    "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$; export LISTEN_FDS LISTEN_PID; exec \"$@\"",
    "sh",
];

fn listening_at(stage: &Stage, address: &str) -> TcpListener {
    stage.edge.run(|| TcpListener::bind(address).unwrap()).unwrap()
}

/// The daemon with `socket` from a service manager, which has it as well.
fn managed(stage: &Stage, socket: &TcpListener) -> Command {
    let mut command = stage.home.command_by(&MANAGER);
    command.stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
    command
}

#[test]
fn a_socket_of_the_service_manager_is_used_and_waits_for_the_next_daemon() {
    if !needs::root() {
        return;
    }
    let stage = Site::without_kernel().stage(&["198.18.1.2"]).unwrap();
    let socket = listening_at(&stage, "[::]:25");
    for _ in 0..2 {
        // Nobody serves yet, and nobody is refused.
        let mut waiting = stage.connect("198.18.1.2".parse().unwrap()).unwrap();
        let daemon = stage.home.start_with(managed(&stage, &socket), &[]).unwrap();
        waiting.expect(220).unwrap();
        assert!(daemon.terminate().unwrap().success());
    }
}

/// A service manager hands over sockets that block, and a thread of the daemon that waits in one would do nothing else.
#[test]
fn a_blocking_socket_of_the_service_manager_serves_a_milter() {
    if !needs::root() {
        return;
    }
    let milter = "[milter]\naddress = \"127.0.0.1:8891\"";
    let site = Site::without_kernel().without_listener().tables(milter);
    let stage = site.stage(&["198.18.1.2"]).unwrap();
    let socket = listening_at(&stage, "127.0.0.1:8891");
    socket.set_nonblocking(false).unwrap();
    let daemon = stage.home.start_with(managed(&stage, &socket), &[]).unwrap();
    let connect = || TcpStream::connect("127.0.0.1:8891").unwrap();
    for _ in 0..2 {
        negotiate(stage.edge.run(connect).unwrap());
    }
    assert_eq!(serving(&stage), u64::from(daemon.id()));
    assert!(daemon.terminate().unwrap().success());
}

#[test]
fn a_socket_that_is_for_no_listener_is_a_fault() {
    if !needs::root() {
        return;
    }
    let stage = Site::without_kernel().stage(&["198.18.1.2"]).unwrap();
    let socket = listening_at(&stage, "[::]:26");
    let mut daemon = stage.home.spawn_with(managed(&stage, &socket), &[]).unwrap();
    assert_eq!(daemon.wait(LONG).unwrap().code(), Some(78));
    let words =
        "hands over a socket that listens on [::]:26, expected the address of a listener: [::]:25";
    assert!(daemon.log().contains(words), "{}", daemon.log());
}
