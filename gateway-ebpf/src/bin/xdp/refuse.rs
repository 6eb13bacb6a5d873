//! Carries out a refusal: finds the key that proves a segment to be part of one, and sends what the library says.

use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use aya_ebpf::programs::XdpContext;
use gateway_ebpf::abi::{Control, KernelAction, Outcome, Refusal, RuleValue};
use gateway_ebpf::action::Decision;
use gateway_ebpf::checksum::Checksum;
use gateway_ebpf::cookie::cookie;
use gateway_ebpf::dialogue::{
    GOODBYE, GOODBYE_LENGTH, Heard, ONLY_QUIT, ONLY_QUIT_LENGTH, Step, WINDOW, is_quit, step,
};
use gateway_ebpf::frame::{Frame as _, FrameMut as _};
use gateway_ebpf::line;
use gateway_ebpf::parse::Segment;
use gateway_ebpf::reference::{Content, fingerprint};
use gateway_ebpf::reply::flags::{ACK, FIN, PSH, SYN};
use gateway_ebpf::reply::{Link, Reply, data_at, write_headers};

use crate::maps;
use crate::packet::{self, Packet};

/// Answers a SYN; the sequence number is all that there is of the connection.
#[inline(always)]
pub(crate) fn begin(context: &XdpContext, segment: &Segment, decision: Decision) -> Decision {
    let Some(refusal) = maps::control().and_then(|control| maps::refusal(control.current)) else {
        return decision.without_reply();
    };
    if !may_answer(refusal) {
        return decision.over_cap();
    }
    let reply = Reply {
        sequence: cookie(refusal.cookie_key, segment),
        acknowledged: segment.sequence.wrapping_add(1),
        flags: SYN | ACK,
        window: WINDOW,
    };
    answer(context, segment, reply).map_or(decision.without_reply(), |()| decision)
}

/// Goes on with a refusal, if a segment that opens no connection is part of one.
///
/// A function of its own in the kernel, too: with all of this in one, the stack of 512 bytes does not suffice.
#[inline(never)]
pub(crate) fn go_on(
    context: &XdpContext,
    segment: &Segment,
    acknowledged: u32,
    ends: bool,
) -> Outcome {
    let packet = Packet::new(context);
    let quit = || packet.words(segment.data_at).is_some_and(|[word]| is_quit(word));
    let Some((control, rule)) = refused(segment) else {
        return Outcome::NotSyn;
    };
    let heard = Heard { data: segment.data > 0, quit: segment.data >= 4 && quit(), ends };
    // A cookie proves more than the rules do: whoever has got a SYN-ACK from us gets the rest, too.
    let Some((refusal, step)) = prove(control.current, segment, acknowledged, heard)
        .or_else(|| prove(control.current ^ 1, segment, acknowledged, heard))
    else {
        return Outcome::NotSyn;
    };
    let outcome = match step {
        Step::Refuse => Outcome::Refused554,
        Step::OnlyQuit => Outcome::Refused503,
        Step::Goodbye => Outcome::Refused221,
        Step::Finish | Step::Acknowledge => Outcome::RefusedClose,
        Step::Silence => return Outcome::RefusedAck,
    };
    if !may_answer(refusal) {
        return Outcome::OverCap;
    }
    let end = if ends || matches!(step, Step::Goodbye | Step::Finish) { FIN } else { 0 };
    let reply = Reply {
        sequence: acknowledged,
        acknowledged: segment.sequence.wrapping_add(segment.data).wrapping_add(u32::from(ends)),
        flags: ACK,
        window: WINDOW,
    };
    let speaking = Reply { flags: ACK | PSH | end, ..reply };
    let said = match step {
        Step::Refuse => {
            let length = refusal.head.line_length(&segment.addresses);
            let reference = refusal.reference_key.seal(Content {
                epoch: refusal.epoch as u8,
                list: rule.list() as u8,
                minute: minute(refusal),
                client: fingerprint(&segment.addresses),
            });
            say::<{ line::WORDS }>(context, segment, speaking, length, |packet, at| {
                refusal.head.write(packet, at, &segment.addresses, reference)
            })
        }
        Step::OnlyQuit => say::<{ ONLY_QUIT.len() }>(
            context,
            segment,
            speaking,
            ONLY_QUIT_LENGTH,
            |packet, at| packet.put_words(at, &ONLY_QUIT),
        ),
        Step::Goodbye => {
            say::<{ GOODBYE.len() }>(context, segment, speaking, GOODBYE_LENGTH, |packet, at| {
                packet.put_words(at, &GOODBYE)
            })
        }
        Step::Finish => answer(context, segment, Reply { flags: ACK | FIN, ..reply }),
        Step::Acknowledge | Step::Silence => answer(context, segment, reply),
    };
    if said.is_some() { outcome } else { Outcome::ReplyFailed }
}

/// The rule that refuses the client. On a host that refuses nobody, no rule is looked for.
#[inline(always)]
fn refused(segment: &Segment) -> Option<(Control, RuleValue)> {
    let control = maps::control().filter(|control| control.refuses != 0)?;
    let rule = maps::bad(&segment.addresses)?;
    (rule.action() == Some(KernelAction::Refuse)).then_some((control, rule))
}

/// The refusal whose key made the number that is acknowledged, and what comes next in it.
#[inline(always)]
fn prove(
    index: u32,
    segment: &Segment,
    acknowledged: u32,
    heard: Heard,
) -> Option<(&'static Refusal, Step)> {
    let refusal = maps::refusal(index)?;
    let offset = acknowledged.wrapping_sub(cookie(refusal.cookie_key, segment));
    let line = refusal.head.line_length(&segment.addresses);
    Some((refusal, step(offset, line, heard)?))
}

/// Whether this processor may give another answer in this second.
#[inline(always)]
fn may_answer(refusal: &Refusal) -> bool {
    if refusal.answers_per_second == 0 {
        return true;
    }
    let Some(answers) = maps::answers() else {
        return true;
    };
    // SAFETY: the pointer is into a map value of this processor, on which XDP programs do not interrupt each other.
    unsafe { &mut *answers }.allow(now(), refusal.answers_per_second)
}

/// The minute, as references count it.
#[inline(always)]
fn minute(refusal: &Refusal) -> u32 {
    const MINUTE: u64 = 60_000_000_000;
    (now().wrapping_add(refusal.clock) / MINUTE) as u32
}

/// Nanoseconds since some time; exact to a tick of the kernel, and cheap.
#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper takes nothing and only reads the kernel's clock.
    unsafe { bpf_ktime_get_coarse_ns() }
}

/// Turns the frame into an answer without data. It is cut first: when that fails, it is still whole and can pass.
#[inline(always)]
pub(crate) fn answer(context: &XdpContext, segment: &Segment, reply: Reply) -> Option<()> {
    packet::cut(context, data_at(segment))?;
    let packet = &mut Packet::new(context);
    let link = Link::turned(packet)?;
    write_headers(packet, link, segment, reply, 0, Checksum::new())
}

/// Turns the frame into an answer of `length` octets, which `write` puts into `WORDS` words filled up with zeros.
///
/// It is cut to its length at the end: without that, generic mode loses it.
#[inline(always)]
fn say<const WORDS: usize>(
    context: &XdpContext,
    segment: &Segment,
    reply: Reply,
    length: u32,
    write: impl FnOnce(&mut Packet, usize) -> Option<()>,
) -> Option<()> {
    let link = Link::turned(&Packet::new(context))?;
    packet::grow(context, 4 * WORDS)?;
    let packet = &mut Packet::new(context);
    let at = data_at(segment);
    write(packet, at)?;
    let data = packet.sum::<WORDS>(at)?;
    write_headers(packet, link, segment, reply, length, data)?;
    packet::cut(context, at + length as usize)
}
