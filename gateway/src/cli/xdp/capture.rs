//! `portcullis xdp capture`: writes the packets that the kernel filter drops or answers to a file.

use std::fs::File;
use std::io::{self, BufWriter, Write, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Span};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::{Exit, Failure, output, unavailable};
use crate::clock::Clock;
use crate::config::Config;
use crate::net::Prefix;
use crate::xdp::{Capture, PcapngWriter};

/// How long an empty ring is left alone.
const LOOK: Duration = Duration::from_millis(1);

/// How often the end of the capture is moved on.
const RENEWAL: Duration = Duration::from_millis(500);

/// After so many packets in a row the time and the signals are looked at.
const AT_ONCE: usize = 4096;

/// Arguments of `xdp capture`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// The file to write, in the pcapng format; one that is there is overwritten, `-` is standard output
    file: PathBuf,
    /// End after so long, such as `10s` or `5m`
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    /// End after so many packets
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Packets of these clients alone, at most 8 prefixes
    #[arg(long, value_name = "PREFIX")]
    address: Vec<Prefix>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Serialize)]
struct Answer<'a> {
    file: &'a Path,
    written: u64,
    lost: u64,
    ended: &'static str,
}

pub(super) fn run(options: &Options, config: &Config) -> Result<Exit, Failure> {
    let to_stdout = options.file.as_os_str() == "-";
    if to_stdout && options.json {
        return Err(Failure::Usage(
            "--json needs a file, since the packets go to standard output".to_owned(),
        ));
    }
    let mut capture =
        Capture::start(&config.xdp, &options.address).map_err(|error| unavailable(&error))?;
    let file: Box<dyn Write> =
        if to_stdout { Box::new(stdout()) } else { Box::new(create(&options.file)?) };
    let mut writer = PcapngWriter::new(BufWriter::new(file))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if !options.json {
        output::note(format_args!("capturing to {}, Ctrl-C ends it", options.file.display()));
    }
    let (mut written, ended) = runtime.block_on(copy(options, &mut capture, &mut writer))?;
    capture.stop().map_err(|error| unavailable(&error))?;
    // Those that came before the end are still there.
    while written < options.count.unwrap_or(u64::MAX)
        && let Some(packet) = capture.next(Clock::System.now())
    {
        writer.write(&packet)?;
        written += 1;
    }
    writer.flush()?;
    let lost = capture.lost().map_err(|error| unavailable(&error))?;
    if options.json {
        output::json(&Answer { file: &options.file, written, lost, ended })?;
    } else {
        output::note(format_args!("{written} packets written, {lost} lost ({ended})"));
    }
    Ok(Exit::Done)
}

/// Copies packets until something ends it; how many, and what ended it.
async fn copy(
    options: &Options,
    capture: &mut Capture,
    writer: &mut PcapngWriter<impl Write>,
) -> Result<(u64, &'static str), Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let end = options.time.map(|time| Instant::now() + time);
    let most = options.count.unwrap_or(u64::MAX);
    let mut renewed = Instant::now();
    let mut written = 0;
    loop {
        let mut moved = 0;
        while written < most && moved < AT_ONCE {
            let Some(packet) = capture.next(Clock::System.now()) else { break };
            writer.write(&packet)?;
            (written, moved) = (written + 1, moved + 1);
        }
        if written >= most {
            return Ok((written, "count"));
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ok((written, "time"));
        }
        if renewed.elapsed() >= RENEWAL {
            renewed = Instant::now();
            capture.go_on().map_err(|error| unavailable(&error))?;
            // Whoever looks into the file meanwhile sees what there is.
            writer.flush()?;
        }
        let pause = if moved < AT_ONCE { LOOK } else { Duration::ZERO };
        tokio::select! {
            _ = interrupt.recv() => return Ok((written, "signal")),
            _ = terminate.recv() => return Ok((written, "signal")),
            () = sleep(pause) => {}
        }
    }
}

fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error: io::Error| Failure::Unavailable {
        text: format!("cannot write {}: {error}", path.display()),
        hint: "name a file in a folder that this user can write".to_owned(),
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    let span: Span =
        text.parse().map_err(|_no_span| format!("{text:?}, expected a time like 10s or 5m"))?;
    let length = SignedDuration::try_from(span).map_err(|error| error.to_string())?;
    Duration::try_from(length)
        .map_err(|_negative| format!("{text:?}, expected a time like 10s or 5m"))
}
