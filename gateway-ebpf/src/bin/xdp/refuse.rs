//! Carries out a refusal: finds the key that proves a segment to be part of one, and sends what the library says.

use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use aya_ebpf::programs::XdpContext;
use gateway_ebpf::abi::{KernelAction, Outcome, Refusal};
use gateway_ebpf::action::Decision;
use gateway_ebpf::checksum::Checksum;
use gateway_ebpf::cookie::cookie;
use gateway_ebpf::dialogue::{
    GOODBYE, GOODBYE_LENGTH, Heard, ONLY_QUIT, ONLY_QUIT_LENGTH, Step, WINDOW, is_quit, step,
};
use gateway_ebpf::frame::{Frame as _, FrameMut as _};
use gateway_ebpf::line;
use gateway_ebpf::parse::{Intent, Segment};
use gateway_ebpf::reference::{Content, fingerprint};
use gateway_ebpf::reply::{Link, Reply, data_at, write_headers};
use gateway_ebpf::tcp::{ACK, FIN, PSH, SYN};

use crate::limit;
use crate::packet::{self, Packet};
use crate::{capture, maps};

/// Answers a SYN, with a RST or with the first half of a refusal; its sequence number is all that there is of the connection.
#[inline(always)]
pub(crate) fn begin(context: &XdpContext, segment: &Segment, decision: Decision) -> Decision {
    let Some((control, refusal)) =
        maps::control().and_then(|control| Some((control, maps::refusal(control.current)?)))
    else {
        return decision.without_reply();
    };
    if control.mutes != 0 && maps::is_mute(packet::interface(context)) {
        return decision.mute();
    }
    // The network first: what one network gets too much of is not taken from the others.
    if !limit::may_answer(segment, now()) {
        return decision.over_network_cap();
    }
    if !may_answer(refusal) {
        return decision.over_cap();
    }
    let reply = if decision.outcome == Outcome::Reset {
        Reply::reset(segment)
    } else {
        Reply {
            sequence: cookie_by(control.current, segment),
            acknowledged: segment.sequence.wrapping_add(1),
            flags: SYN | ACK,
            window: WINDOW,
            length: 0,
            data: Checksum::new(),
        }
    };
    if answer(context, segment, &reply) { decision } else { decision.without_reply() }
}

/// Goes on with a refusal, if a segment that opens no connection is part of one.
#[inline(always)]
pub(crate) fn go_on(
    context: &XdpContext,
    packet: &Packet,
    segment: &Segment,
    acknowledged: u32,
    ends: bool,
) -> Outcome {
    // On a host that refuses nobody, no rule is looked for.
    let Some(control) = maps::control().filter(|control| control.refuses != 0) else {
        return Outcome::NotSyn;
    };
    let quit = || packet.words(segment.data_at).is_some_and(|[word]| is_quit(word));
    let quit = segment.data >= 4 && quit();
    let Some(segment) = maps::keep(segment) else {
        return Outcome::NotSyn;
    };
    let rule = maps::bad_or_off(&segment.addresses);
    if rule.action() != Some(KernelAction::Refuse) {
        return Outcome::NotSyn;
    }
    // A cookie proves more than the rules do: whoever has got a SYN-ACK from us gets the rest, too.
    let mut index = control.current & 1;
    let mut step = Step::from_number(prove(index, segment, quit));
    if step.is_none() {
        index ^= 1;
        step = Step::from_number(prove(index, segment, quit));
    }
    let (Some(step), Some(refusal)) = (step, maps::refusal(index)) else {
        return Outcome::NotSyn;
    };
    capture::tap(context, rule);
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
    let end = if step.ends(ends) { FIN } else { 0 };
    let reply = Reply {
        sequence: acknowledged,
        acknowledged: segment.sequence.wrapping_add(segment.data).wrapping_add(u32::from(ends)),
        flags: ACK | end | if step.speaks() { PSH } else { 0 },
        window: WINDOW,
        length: 0,
        data: Checksum::new(),
    };
    let said = match step {
        Step::Refuse => {
            let reference = reference(index, segment, rule.list());
            refuse(context, segment, &reply, index, reference)
        }
        Step::OnlyQuit => only_quit(context, segment, &reply),
        Step::Goodbye => goodbye(context, segment, &reply),
        Step::Finish | Step::Acknowledge | Step::Silence => answer(context, segment, &reply),
    };
    if said { outcome } else { Outcome::ReplyFailed }
}

// Each of these is a function of its own in the kernel, too: all in one, they need more than the 512 bytes of the stack.

/// What comes next, if the number that is acknowledged was made with the key of one of the refusals; as a number.
#[inline(never)]
fn prove(index: u32, segment: &Segment, quit: bool) -> u32 {
    const UNPROVEN: u32 = u32::MAX;
    let (Intent::Continue { acknowledged, ends }, Some(refusal)) =
        (segment.intent, maps::refusal(index))
    else {
        return UNPROVEN;
    };
    let heard = Heard { data: segment.data > 0, quit, ends };
    let offset = acknowledged.wrapping_sub(cookie_by(index, segment));
    let line = refusal.head.line_length(&segment.addresses);
    step(offset, line, heard).map_or(UNPROVEN, |step| step as u32)
}

/// The cookie of a connection by the key of one of the refusals.
#[inline(never)]
fn cookie_by(index: u32, segment: &Segment) -> u32 {
    maps::refusal(index).map_or(0, |refusal| cookie(refusal.cookie_key, segment))
}

/// The reference for a client, by the key of one of the refusals.
#[inline(never)]
fn reference(index: u32, segment: &Segment, list: u16) -> u64 {
    if cfg!(feature = "repeat-plain") {
        return u64::from(list);
    }
    maps::refusal(index).map_or(0, |refusal| {
        refusal.reference_key.seal(Content {
            epoch: refusal.epoch as u8,
            list: list as u8,
            minute: minute(refusal),
            client: fingerprint(&segment.addresses),
        })
    })
}

/// Says the 554.
#[inline(never)]
fn refuse(
    context: &XdpContext,
    segment: &Segment,
    reply: &Reply,
    index: u32,
    reference: u64,
) -> bool {
    let write = || {
        turn(context, 4 * line::WORDS as u32).then_some(())?;
        let data = Checksum::of(write_line(context, segment, index, reference))?;
        let length = maps::refusal(index)?.head.line_length(&segment.addresses);
        finish(context, segment, &Reply { length, data, ..*reply })
    };
    write().is_some()
}

/// Writes the line of the 554; what it adds up to, as a number.
#[inline(never)]
fn write_line(context: &XdpContext, segment: &Segment, index: u32, reference: u64) -> u64 {
    let write = || {
        let head = &maps::refusal(index)?.head;
        head.write(&mut Packet::new(context), data_at(segment), &segment.addresses, reference)
    };
    write().map_or(Checksum::NONE, Checksum::number)
}

/// Says that nothing but QUIT is to be said.
#[inline(never)]
fn only_quit(context: &XdpContext, segment: &Segment, reply: &Reply) -> bool {
    say(context, segment, reply, ONLY_QUIT, ONLY_QUIT_LENGTH).is_some()
}

/// Says goodbye.
#[inline(never)]
fn goodbye(context: &XdpContext, segment: &Segment, reply: &Reply) -> bool {
    say(context, segment, reply, GOODBYE, GOODBYE_LENGTH).is_some()
}

/// Says the first `length` octets of `words`, behind which there are zeros.
#[inline(always)]
fn say<const WORDS: usize>(
    context: &XdpContext,
    segment: &Segment,
    reply: &Reply,
    words: [u32; WORDS],
    length: u32,
) -> Option<()> {
    turn(context, 4 * WORDS as u32).then_some(())?;
    Packet::new(context).put_words(data_at(segment), &words)?;
    finish(context, segment, &Reply { length, data: Checksum::new().words(words), ..*reply })
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
pub(crate) fn now() -> u64 {
    // SAFETY: the helper takes nothing and only reads the kernel's clock.
    unsafe { bpf_ktime_get_coarse_ns() }
}

/// Turns the frame into an answer without data. It is cut first: when that fails, it is still whole and can pass.
#[inline(never)]
fn answer(context: &XdpContext, segment: &Segment, reply: &Reply) -> bool {
    packet::cut(context, data_at(segment)).is_some()
        && turn(context, 0)
        && headers(context, segment, reply)
}

/// Makes room for `bytes` before the frame, and turns its link's header round.
#[inline(never)]
fn turn(context: &XdpContext, bytes: u32) -> bool {
    let turn = || {
        let link = Link::turned(&Packet::new(context))?;
        if bytes != 0 {
            packet::grow(context, bytes)?;
        }
        link.write(&mut Packet::new(context))
    };
    turn().is_some()
}

#[inline(never)]
fn headers(context: &XdpContext, segment: &Segment, reply: &Reply) -> bool {
    write_headers(&mut Packet::new(context), segment, reply).is_some()
}

/// Puts the headers before data that is there, and cuts off what is behind it: without that, generic mode loses the frame.
///
/// Should that fail, half an answer passes: the host throws it away, for it comes from an address of its own.
#[inline(always)]
fn finish(context: &XdpContext, segment: &Segment, reply: &Reply) -> Option<()> {
    headers(context, segment, reply).then_some(())?;
    packet::cut(context, data_at(segment) + reply.length as usize)
}
