//! The records of an edge host that are written: refused and accepted connections, and messages.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use gateway::clock::Timestamp;
use gateway::net::Hop;
use gateway::policy::{
    Action, AddressFacts, Decision, Envelope, Front, Offending, Outcome, Phase, Record, Reference,
    Reply, Verdict,
};

/// The second of the first record.
const START: i64 = 1_795_161_600;
/// Records in a second of the time that they tell.
const RATE: i64 = 200;
/// Different clients, senders and recipients.
const CLIENTS: u32 = 50_000;
const SENDERS: u32 = 20_000;
const RECIPIENTS: u32 = 5_000;

/// When record `number` was written.
pub(crate) fn time(number: u32) -> Timestamp {
    let milliseconds = START * 1000 + i64::from(number) * 1000 / RATE;
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

/// The client of record `number`.
pub(crate) fn client(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0xc633_0000_u32.wrapping_add(mixed(number) % CLIENTS * 7))
}

pub(crate) fn sender(number: u32) -> String {
    let sender = mixed(number.wrapping_add(1)) % SENDERS;
    format!("sender{sender}@example{}.com", sender % 1000)
}

pub(crate) fn recipient(number: u32) -> String {
    format!("recipient{}@example.org", mixed(number.wrapping_add(2)) % RECIPIENTS)
}

pub(crate) fn message_id(number: u32) -> String {
    format!("{:08x}.{number}@mail.example{}.com", mixed(number.wrapping_add(3)), number % 1000)
}

pub(crate) fn reference(number: u32) -> Reference {
    Reference::new(u64::from(number) + 1_000_000_007)
}

/// Of three records one is about a message.
pub(crate) const fn is_message(number: u32) -> bool {
    number.is_multiple_of(3)
}

/// The verdict of a record: of those about connections a quarter are refused.
pub(crate) const fn verdict(number: u32) -> Verdict {
    if is_message(number) {
        return Verdict::Accept;
    }
    match number % 16 {
        1 | 5 => Verdict::LocalBad,
        9 => Verdict::OpenProxy,
        13 => Verdict::ThirdPartyBad,
        _ => Verdict::Accept,
    }
}

/// Has record `number` written by `write`.
pub(crate) fn with_record(number: u32, write: impl FnOnce(Record<'_>)) {
    let (address, verdict) = (IpAddr::V4(client(number)), verdict(number));
    let is_refused = verdict != Verdict::Accept;
    let refused = || Reply::new(554, 7, 1, "refused by the list of bad hosts");
    let decision = Decision {
        phase: if is_message(number) { Phase::Message } else { Phase::Connect },
        verdict,
        action: if is_refused { Action::Reject } else { Action::Accept },
        enforced: true,
        offending: is_refused.then_some(Offending { ip: address, hop: Hop::Connect }),
        cause: None,
        score: None,
        logical_client: Some(address),
        route: None,
        greylisted: None,
        exempt: None,
        addresses: vec![AddressFacts::new(address, Hop::Connect)],
        rules: 3,
        reply: is_refused.then(refused),
        reference: reference(number),
    };
    let envelope = is_message(number).then(|| Envelope {
        helo: format!("mail.example{}.com", number % 1000),
        sender: sender(number),
        recipients: vec![recipient(number)],
    });
    let said = || format!("250 2.0.0 Ok: queued as {:010X}", mixed(number));
    let outcome = match &envelope {
        Some(_) => Outcome {
            reply: Some(said()),
            next_hop: Some(said()),
            rules_at_end: Some(3),
            octets: Some(u64::from(mixed(number) % 100_000)),
            message_id: Some(message_id(number)),
            subject: Some(format!("A message about number {number}")),
            ..Outcome::default()
        },
        None => Outcome::default(),
    };
    let port = (number % 60_000) as u16 + 1024;
    let local = SocketAddr::from(([192, 0, 2, 1], 25));
    let of_client = SocketAddr::new(address, port);
    let record = Record::new(time(number), of_client, local, envelope.as_ref(), &decision, outcome);
    let list = is_refused.then_some("blocked");
    write(Record { front: Some(Front::Smtp), list, ..record });
}

/// A number that looks like chance (the finaliser of `MurmurHash3`).
pub(crate) const fn mixed(number: u32) -> u32 {
    let number = (number ^ (number >> 16)).wrapping_mul(0x85eb_ca6b);
    let number = (number ^ (number >> 13)).wrapping_mul(0xc2b2_ae35);
    number ^ (number >> 16)
}
