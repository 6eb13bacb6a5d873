//! The flood: SYNs from listed sources, made in the kernel and handed straight to a cable.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Array, MapData};
use aya::programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use gateway::xdp::bench::FLOOD;
use gateway_ebpf::bench_flood as keys;
use harness::netns::NetNs;
use harness::packet::Packet;

use crate::cores::{Core, Thread};

/// Frames that one call of the kernel makes. Each call begins and ends with tens of milliseconds of the kernel's own.
const FRAMES_PER_CALL: u32 = 1 << 18;
/// Frames that are handed over at once, and pages that the kernel keeps for new ones. The cable holds 256.
const BATCH: u32 = 256;

/// What a flood is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flood {
    /// The index of the device that it leaves by.
    pub(crate) device: u32,
    /// Where it is made.
    pub(crate) core: Core,
    /// Packets per second; `None` for as many as can be.
    pub(crate) limit: Option<u32>,
    /// Whether it waits for whoever else wants its processor.
    pub(crate) gives_way: bool,
}

/// Makes floods. It sends from wherever its cables begin.
pub(crate) struct Generator {
    ebpf: Ebpf,
    state: Array<MapData, [u64; 8]>,
    sums: [u64; 2],
    entries: u64,
}

impl Generator {
    /// One that takes `sources` in their order, again and again, and sends to `target`.
    pub(crate) fn new(sources: &[Ipv4Addr], target: SocketAddr) -> Result<Self> {
        let entries = u32::try_from(sources.len())?;
        ensure!(entries > 0, "a flood needs sources");
        let mut loader = EbpfLoader::new();
        loader.map_max_entries("SOURCES", entries);
        let mut ebpf = loader.load(FLOOD)?;
        let program: &mut Xdp = ebpf.program_mut("generate").context("generate")?.try_into()?;
        program.load()?;
        let (frame, sums) = template(target);
        let mut frames: Array<_, [u32; keys::FRAME_WORDS]> =
            ebpf.map_mut("FRAME").context("FRAME")?.try_into()?;
        frames.set(0, frame, 0)?;
        let mut map: Array<_, u32> = ebpf.map_mut("SOURCES").context("SOURCES")?.try_into()?;
        for (number, source) in (0..).zip(sources) {
            map.set(number, u32::from_ne_bytes(source.octets()), 0)?;
        }
        let state = ebpf.take_map("STATE").context("STATE")?.try_into()?;
        Ok(Self { ebpf, state, sums, entries: entries.into() })
    }

    /// Does `work` while a flood leaves `host`.
    pub(crate) fn during<T>(
        &mut self,
        host: &NetNs,
        flood: Flood,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let mut state = [0; 8];
        state[keys::DEVICE] = flood.device.into();
        state[keys::ENTRIES] = self.entries;
        [state[keys::IP_SUM], state[keys::TCP_SUM]] = self.sums;
        state[keys::GAP] = flood.limit.map_or(0, |limit| 1_000_000_000 / u64::from(limit));
        self.state.set(0, state, 0)?;
        let program: &Xdp = self.ebpf.program("generate").context("generate")?.try_into()?;
        let stop = AtomicBool::new(false);
        let send = || -> Result<()> {
            let thread = Thread::this(flood.core)?;
            if flood.gives_way {
                thread.come_last()?;
            }
            while !stop.load(Ordering::Relaxed) {
                send(program)?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let sender = scope.spawn(|| host.run(send));
            let done = work();
            stop.store(true, Ordering::Relaxed);
            // Without sources the rest of the last call is over at once.
            let stopped = self.state.set(0, [0; 8], 0);
            let sent = sender.join().unwrap_or_else(|panicked| resume_unwind(panicked));
            sent??;
            stopped?;
            done
        })
    }
}

/// One call: the kernel runs the program on frames of its own, and does with them what it says.
fn send(program: &Xdp) -> Result<()> {
    let options = TestRunOptions {
        data_in: Some(&[0; keys::FRAME]),
        repeat: FRAMES_PER_CALL,
        attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
        ..TestRunOptions::default()
    };
    match program.test_run(options) {
        Err(error) if !is_interrupted(&error) => Err(error).context("the kernel makes no frames"),
        _ => Ok(()),
    }
}

fn is_interrupted(error: &(dyn std::error::Error + 'static)) -> bool {
    let io_error = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    io_error.is_some_and(|error| error.kind() == io::ErrorKind::Interrupted)
}

/// A frame without what is different in each, and the sums over the rest of its two headers.
fn template(target: SocketAddr) -> ([u32; keys::FRAME_WORDS], [u64; 2]) {
    let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let mut frame = Packet::syn(nobody, target).sequence(0).bytes();
    for at in [keys::IP_SUM_AT, keys::TCP_SUM_AT] {
        for byte in frame.iter_mut().skip(at).take(2) {
            *byte = 0;
        }
    }
    let part = |from: usize, to: usize| frame.get(from..to).unwrap_or_default().to_vec();
    let (ip, target, tcp) = (part(14, 34), part(30, 34), part(34, frame.len()));
    let length = u8::try_from(tcp.len()).unwrap_or(0);
    let tcp_sum = sum(&[target, vec![0, 6, 0, length], tcp].concat());
    let sums = [sum(&ip), tcp_sum];
    frame.resize(keys::FRAME, 0);
    let mut words = [0; keys::FRAME_WORDS];
    for (word, bytes) in words.iter_mut().zip(frame.as_chunks::<4>().0) {
        *word = u32::from_ne_bytes(*bytes);
    }
    (words, sums)
}

/// The sum of RFC 1071 in the order of this machine, folded into 16 bits and not yet inverted.
fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.as_chunks::<2>().0.iter().map(|word| u64::from(u16::from_ne_bytes(*word)));
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}
