//! How long the filter takes for a packet that it answers, measured in a loop inside the kernel that restores the packet.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use aya::Ebpf;
use aya::maps::Array;
use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use gateway::xdp::Config;
use gateway::xdp::bench::{self, HeldRun};
use gateway_ebpf::line;
use gateway_ebpf::repeat::{FRAME_WORDS, Run};
use harness::packet::{Answer, Packet, flags};
use serde_json::Value;

use crate::Spread;

const TIMES: u32 = 200_000;
const RUNS: usize = 21;

/// Measures the answers to two clients, of which one is refused and the other reset, over what the loop itself takes.
pub(crate) fn measure(
    config: &Config,
    filter: &Xdp,
    server: SocketAddr,
    [refused, reset]: [SocketAddr; 2],
) -> Result<Vec<Value>> {
    let (mut whole, mut plain) = (repeat(config, false)?, repeat(config, true)?);
    let padded = |packet: Packet| -> Vec<u8> {
        let length = packet.bytes().len();
        packet.padding((4 * FRAME_WORDS).saturating_sub(length)).bytes()
    };
    let syn = Packet::syn(refused, server).sequence(7);
    let begun = answer(filter, &padded(syn.clone()))?;
    let ack = syn
        .clone()
        .sequence(begun.acknowledged)
        .acknowledged(begun.sequence.wrapping_add(1))
        .flags(flags::ACK);
    let line = answer(filter, &padded(ack.clone()))?;
    let heard = line.sequence.wrapping_add(u32::try_from(line.data.len())?);
    let quit = ack.clone().acknowledged(heard).data(b"QUIT\r\n");
    let said = answer(filter, &padded(quit.clone()))?;
    ensure!(line.data.starts_with(b"554 ") && said.data.starts_with(b"221 "), "no dialogue");
    let family = if server.is_ipv4() { "" } else { ", IPv6" };
    let empty = time(&mut whole, &padded(syn.clone()), None)?;
    let mut rows = Vec::new();
    for (case, in_plain, packet, grown) in [
        ("SYN to RST", false, Packet::syn(reset, server), 0),
        ("SYN to SYN-ACK", false, syn, 0),
        ("ACK to 554", false, ack.clone(), 4 * line::WORDS),
        ("... its reference plain", true, ack, 4 * line::WORDS),
        ("QUIT to 221", false, quit, 16),
    ] {
        let case = format!("{case}{family}");
        let ebpf = if in_plain { &mut plain } else { &mut whole };
        rows.push(time(ebpf, &padded(packet), Some(grown))?.without(empty).row(&case));
    }
    Ok(rows)
}

fn repeat(config: &Config, plain: bool) -> Result<Ebpf> {
    let mut ebpf = bench::repeat(config, plain)?;
    let program: &mut Xdp = ebpf.program_mut("repeat").context("repeat")?.try_into()?;
    program.load()?;
    Ok(ebpf)
}

/// What the filter makes of a frame.
fn answer(filter: &Xdp, frame: &[u8]) -> Result<Answer> {
    let mut out = vec![0; frame.len() + 256];
    let options = TestRunOptions {
        data_in: Some(frame),
        data_out: Some(&mut out),
        ..TestRunOptions::default()
    };
    let length = filter.test_run(options)?.data_size_out;
    out.truncate(usize::try_from(length)?);
    Answer::read(&out).context("no answer")
}

/// The time of one step of the loop; without a filter (`None`) that of restoring the packet.
fn time(ebpf: &mut Ebpf, frame: &[u8], grown: Option<usize>) -> Result<Spread> {
    let mut words = [0; FRAME_WORDS];
    for (word, bytes) in words.iter_mut().zip(frame.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    let run = Run {
        frame: words,
        times: TIMES,
        filters: grown.is_some().into(),
        grown: u32::try_from(grown.unwrap_or(0))?,
        ..Run::default()
    };
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let mut map: Array<_, HeldRun> = ebpf.map_mut("RUN").context("RUN")?.try_into()?;
        map.set(0, HeldRun(run), 0)?;
        let program: &Xdp = ebpf.program("repeat").context("repeat")?.try_into()?;
        program.test_run(TestRunOptions { data_in: Some(frame), ..TestRunOptions::default() })?;
        let map: Array<_, HeldRun> = ebpf.map("RUN").context("RUN")?.try_into()?;
        let done = map.get(&0, 0)?.0;
        let expected = if grown.is_some() { u64::from(TIMES) } else { 0 };
        ensure!(done.answered == expected, "{} of {expected} answers", done.answered);
        #[expect(clippy::cast_precision_loss, reason = "a run takes milliseconds")]
        let nanoseconds = done.nanoseconds as f64;
        times.push(nanoseconds / f64::from(TIMES));
    }
    Ok(Spread::new(times))
}
