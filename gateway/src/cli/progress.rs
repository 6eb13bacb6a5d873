//! Shows on a terminal that long work goes on: what it is, and for how long it has been going on.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work that ends within this time shows nothing.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often what is shown changes.
const TICK: Duration = Duration::from_millis(100);

/// Work that goes on as long as this is not dropped. Nothing else is to be printed meanwhile.
#[derive(Debug)]
pub(super) struct Progress {
    running: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Shows that `path` is being read.
    pub(super) fn reading(path: &Path) -> Self {
        let size = path.metadata().map(|metadata| format!(", {}", size(metadata.len())));
        Self::of(format!("reading {}{}", path.display(), size.unwrap_or_default()))
    }

    /// Shows `what`, where standard error is a terminal.
    pub(super) fn of(what: String) -> Self {
        if io::stderr().is_terminal() {
            Self::on(ProgressDrawTarget::stderr(), what)
        } else {
            Self { running: None }
        }
    }

    fn on(target: ProgressDrawTarget, what: String) -> Self {
        let (sender, ended) = channel();
        let thread = std::thread::Builder::new().name("progress".to_owned());
        let thread = thread.spawn(move || show(target, what, &ended));
        // The work is done without it, too.
        Self { running: thread.ok().map(|thread| (sender, thread)) }
    }
}

impl Drop for Progress {
    /// What was shown is gone afterwards.
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.running.take() {
            drop(sender);
            drop(thread.join());
        }
    }
}

/// A size as it is shown.
pub(super) fn size(octets: u64) -> String {
    format!("{} MiB", octets.div_ceil(1 << 20))
}

fn show(target: ProgressDrawTarget, what: String, ended: &Receiver<()>) {
    let goes_on = |time| ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
    // A parser of lists knows nothing of how far it is: elapsed time is all that can be said.
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    if let (true, Ok(style)) = (goes_on(PATIENCE), style) {
        let bar = ProgressBar::with_draw_target(None, target);
        let bar = bar.with_style(style).with_message(what).with_elapsed(PATIENCE);
        while goes_on(TICK) {
            bar.tick();
        }
        bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;

    /// A terminal that keeps what is written to it.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl Screen {
        fn keep(&self, text: &str) {
            self.0.lock().unwrap().push_str(text);
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _lines: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _lines: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _columns: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _columns: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.keep(text);
            Ok(())
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.keep(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.keep("<cleared>");
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is on the screen after work of that length.
    fn screen_after(work: Duration) -> String {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let progress = Progress::on(target, "reading a list, 7 MiB".to_owned());
        std::thread::sleep(work);
        drop(progress);
        let shown = screen.0.lock().unwrap();
        shown.clone()
    }

    #[test]
    fn long_work_is_shown_and_gone_afterwards_and_short_work_is_not_shown() {
        assert_eq!(screen_after(Duration::ZERO), "");
        let shown = screen_after(PATIENCE + 10 * TICK);
        assert!(shown.contains(" reading a list, 7 MiB (1s)"), "{shown:?}");
        let (_before, after) = shown.rsplit_once("MiB").unwrap();
        assert!(after.contains("<cleared>"), "{shown:?}");
    }

    #[test]
    fn a_size_is_told_in_mebibytes() {
        for (octets, expected) in [(0, "0 MiB"), (1, "1 MiB"), (7 << 20, "7 MiB")] {
            assert_eq!(size(octets), expected);
        }
    }
}
