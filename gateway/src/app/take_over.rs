//! The new daemon's side of a hand-over: it gets the listening sockets, then the state, then the earlier daemon may go.
//!
//! | who | says | then |
//! |---|---|---|
//! | earlier | who it is, in one line, with its listening sockets beside (`SCM_RIGHTS`) | both hold the same sockets |
//! | new | `release` | the earlier one gives up its `Held` (lists, their store, the kernel), and goes on to take mail |
//! | earlier | `released` | the new one has all that, reads its lists, fills the kernel, takes mail, too |
//! | new | `serving` | the earlier one takes no more connections, and finishes those that it has |
//!
//! A connection waits in the one queue of the socket until one of them takes it: none is refused, none is reset.
//!
//! What mail leaves behind both write from `released` on until the earlier one ends: senders, quarantine, the audit file.

use std::io::{self, BufRead as _, BufReader, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::sockopt::socket_domain;
use rustix::net::{AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::Failure;

/// More listeners than this are not handed over (`SCM_MAX_FD` of Linux).
pub(super) const MOST_SOCKETS: usize = 253;

/// The most octets of a line.
pub(super) const MOST_LINE: usize = 4096;

/// How long one step may take. To give up the state an earlier daemon may have to finish reading a list.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// Where a daemon hands over.
pub(super) fn socket_of(state_dir: &Path) -> PathBuf {
    state_dir.join("hand-over")
}

/// Who hands over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Greeting {
    /// Its version.
    pub(super) version: String,
    /// Its process.
    pub(super) pid: u32,
}

/// A daemon that is about to hand over.
#[derive(Debug)]
pub(super) struct TakeOver {
    stream: BufReader<UnixStream>,
    greeting: Greeting,
}

impl TakeOver {
    /// Asks the daemon of `state_dir` for its sockets; `None` where there is none.
    pub(super) fn ask(state_dir: &Path) -> Result<Option<(Self, Vec<TcpListener>)>, Failure> {
        let path = socket_of(state_dir);
        let stream = match UnixStream::connect(&path) {
            Ok(stream) => stream,
            Err(error) if is_nobody(&error) => {
                info!(target: "start", "there is no daemon to take over from");
                return Ok(None);
            }
            Err(error) => return Err(failed(&path)(error)),
        };
        let (greeting, sockets) = greeted(&stream).map_err(failed(&path))?;
        let Greeting { version, pid } = &greeting;
        info!(target: "start", "taking over from version={version} pid={pid} sockets={}", sockets.len());
        Ok(Some((Self { stream: BufReader::new(stream), greeting }, sockets)))
    }

    /// Asks for what one daemon alone may have; of the state the earlier one then writes only senders, quarantine and audit, until
    /// it ends.
    pub(super) fn release(&mut self) -> Result<(), Failure> {
        let answer = self.say("release").and_then(|()| self.hear());
        match answer {
            Ok(answer) if answer == "released" => Ok(()),
            Ok(answer) => {
                Err(self.lost(&io::Error::other(format!("{answer:?}, expected \"released\""))))
            }
            Err(error) => Err(self.lost(&error)),
        }
    }

    /// Tells that this daemon takes connections, so that the other need not any more.
    pub(super) fn serving(mut self) -> io::Result<()> {
        self.say("serving")
    }

    fn say(&mut self, word: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(format!("{word}\n").as_bytes())
    }

    fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let most = u64::try_from(MOST_LINE).unwrap_or(u64::MAX);
        io::Read::take(&mut self.stream, most).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn lost(&self, error: &io::Error) -> Failure {
        let Greeting { version, pid } = &self.greeting;
        Failure::Unavailable {
            text: format!(
                "the daemon that hands over (version {version}, process {pid}) gave up: {error}"
            ),
            hint: "its log says why; while it runs it takes mail, by its last rules where it had given up the state (alarm `hand-over`): try it again".to_owned(),
        }
    }
}

/// Nobody is there, or one that is gone left the name.
fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// The greeting, and the sockets that come with it.
fn greeted(stream: &UnixStream) -> io::Result<(Greeting, Vec<TcpListener>)> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = vec![0; MOST_LINE];
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let parts = &mut [IoSliceMut::new(&mut line)];
    let received = recvmsg(stream, parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut sockets = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            sockets.extend(fds.map(|fd: OwnedFd| TcpListener::from(fd)));
        }
    }
    // Nothing else is to become a listener of ours.
    let families = [AddressFamily::INET, AddressFamily::INET6, AddressFamily::UNIX];
    sockets.retain(|socket| {
        rustix::net::sockopt::socket_acceptconn(socket).unwrap_or(false)
            && socket_domain(socket).is_ok_and(|family| families.contains(&family))
    });
    let greeting = line.get(..received.bytes).unwrap_or_default();
    let greeting = serde_json::from_slice(greeting.trim_ascii()).map_err(io::Error::other)?;
    Ok((greeting, sockets))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::Unavailable {
        text: format!("cannot take over at {}: {error}", path.display()),
        hint: "run as the user of the daemon that runs, or as root; or stop that daemon first"
            .to_owned(),
    }
}
