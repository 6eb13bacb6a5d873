//! Shows what a task is doing: one line per step, live on a terminal, with the time that it took.
//!
//! Progress goes to standard error, so that what a task answers can be piped.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use owo_colors::{OwoColorize, Stream, Style};
use serde::Serialize;

/// What became of one step.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Done {
    /// What it was called.
    pub(crate) name: String,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Whether it worked.
    pub(crate) ok: bool,
}

/// The steps of a task, in the order in which they were taken.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<Done>,
}

impl Steps {
    /// Does `work` behind one line, which ends with what it found out and the time.
    pub(crate) fn quiet<T>(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<(T, String)>,
    ) -> Result<T> {
        let started = now();
        let live = Live::start(name, started);
        let result = work();
        live.stop();
        let (mark, detail) = match &result {
            Ok((_, detail)) => (paint(&"ok", Style::new().green()), detail.clone()),
            Err(_) => (paint(&"failed", Style::new().red().bold()), String::new()),
        };
        say(&format!("{mark} {name} {detail} {}", took(started)));
        self.add(name, started, result.is_ok());
        result.map(|(found, _)| found).with_context(|| name.to_owned())
    }

    /// Runs `command` under a headline, with all that it prints.
    pub(crate) fn loud(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let started = now();
        let shown = command_line(command);
        say(&format!(
            "\n{} {}",
            paint(&format!("== {name}"), Style::new().bold()),
            paint(&shown, Style::new().dimmed())
        ));
        let status = command.status().with_context(|| shown.clone())?;
        self.finish(name, started, status.success());
        if !status.success() {
            bail!("{name}: `{shown}` ended with {status}");
        }
        Ok(())
    }

    /// Does `work`, which prints for itself, under a headline.
    pub(crate) fn open(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let started = now();
        say(&format!("\n{}", paint(&format!("== {name}"), Style::new().bold())));
        let result = work();
        self.finish(name, started, result.is_ok());
        result.with_context(|| name.to_owned())
    }

    /// All steps so far.
    pub(crate) fn done(&self) -> &[Done] {
        &self.done
    }

    fn finish(&mut self, name: &str, started: Instant, ok: bool) {
        say(&format!("{} {name} {}", verdict(ok), took(started)));
        self.add(name, started, ok);
    }

    fn add(&mut self, name: &str, started: Instant, ok: bool) {
        self.done.push(Done {
            name: name.to_owned(),
            seconds: started.elapsed().as_secs_f64(),
            ok,
        });
    }
}

/// One line of progress.
pub(crate) fn say(line: &str) {
    // Whoever closed standard error does not want to know.
    writeln!(stderr().lock(), "{line}").unwrap_or_default();
}

/// `PASS` or `FAIL`, in colour where there is colour.
pub(crate) fn verdict(ok: bool) -> String {
    if ok {
        paint(&"PASS", Style::new().green().bold())
    } else {
        paint(&"FAIL", Style::new().red().bold())
    }
}

/// `text` in `style`, where standard error shows colours.
pub(crate) fn paint(text: &impl Display, style: Style) -> String {
    text.if_supports_color(Stream::Stderr, |text| text.style(style)).to_string()
}

/// Runs `command` to its end without showing what it prints; a failure carries the end of that.
pub(crate) fn captured(command: &mut Command) -> Result<String> {
    let shown = command_line(command);
    let output = command.env("RUST_BACKTRACE", "0").output().with_context(|| shown.clone())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let said = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
        let lines = said.trim_end().lines().collect::<Vec<_>>();
        let from = lines.len().saturating_sub(30);
        let tail = lines.get(from..).unwrap_or_default().iter();
        // Compilers quote command lines as long as a page.
        let tail = tail
            .map(|line| line.chars().take(200).collect::<String>())
            .collect::<Vec<_>>()
            .join("\n");
        bail!("`{shown}` ended with {}:\n{tail}", output.status);
    }
    Ok(text)
}

/// The command as one would type it.
pub(crate) fn command_line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn took(started: Instant) -> String {
    let seconds = started.elapsed().as_secs_f64();
    paint(&format!("({seconds:.1} s)"), Style::new().dimmed())
}

/// A line that counts the seconds while something goes on; on anything but a terminal, a line that says so once.
struct Live {
    ticking: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Live {
    fn start(name: &str, started: Instant) -> Self {
        if !stderr().is_terminal() {
            say(&format!(".. {name}"));
            return Self { ticking: None };
        }
        let name = name.to_owned();
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            loop {
                let seconds = started.elapsed().as_secs();
                let mut terminal = stderr().lock();
                write!(terminal, "\r\x1b[K.. {name} {seconds} s").unwrap_or_default();
                drop(terminal);
                let next = stopped.recv_timeout(Duration::from_secs(1));
                if next != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Self { ticking: Some((stop, thread)) }
    }

    fn stop(self) {
        if let Some((stop, thread)) = self.ticking {
            drop(stop);
            thread.join().unwrap_or_default();
            write!(stderr().lock(), "\r\x1b[K").unwrap_or_default();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tasks measure how long real programs take")]
fn now() -> Instant {
    Instant::now()
}
