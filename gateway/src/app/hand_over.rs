//! The earlier daemon's side of a hand-over; `take_over` says what is said.

use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader, IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::geteuid;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use super::take_over::{Greeting, MOST_LINE, MOST_SOCKETS, PATIENCE, socket_of};

/// What the daemon that takes over asks of this one.
#[derive(Debug)]
pub(super) enum Step {
    /// To give up the state, and to say when that is done.
    Release(oneshot::Sender<()>),
    /// To take no more connections.
    Serving,
    /// Nothing any more: it is gone, and had the state already.
    Lost,
}

/// The place where this daemon hands over.
#[derive(Debug)]
pub(super) struct HandOver {
    steps: mpsc::Receiver<Step>,
    offered: Offered,
    name: Name,
}

/// The sockets that are handed over; none any more once the daemon ends, since each keeps its port open.
type Offered = Arc<Mutex<Vec<OwnedFd>>>;

impl HandOver {
    /// Offers `sockets` to whoever takes over from the daemon of `state_dir`; whose lock this process has.
    pub(super) fn offer(state_dir: &Path, sockets: Vec<OwnedFd>) -> io::Result<Self> {
        if sockets.len() > MOST_SOCKETS {
            return Err(io::Error::other(format!(
                "{} listeners, expected at most {MOST_SOCKETS}",
                sockets.len()
            )));
        }
        let path = socket_of(state_dir);
        let (name, listener) = Name::bind(&path)?;
        let (sender, steps) = mpsc::channel(1);
        let offered = Arc::new(Mutex::new(sockets));
        let (sockets, path) = (Arc::clone(&offered), name.clone());
        thread::Builder::new()
            .name("hand-over".to_owned())
            .spawn(move || serve(&path, listener, &sockets, &sender))?;
        Ok(Self { steps, offered, name })
    }

    /// The next thing that is asked for; waits for ever where nobody can ask any more.
    pub(super) async fn next(&mut self) -> Step {
        match self.steps.recv().await {
            Some(step) => step,
            None => std::future::pending().await,
        }
    }

    /// Offers nothing any more: this daemon ends. The name goes with it, unless another that takes over has it by now.
    pub(super) fn withdraw(self) {
        held(&self.offered).clear();
        if self.name.is_ours() {
            // Where it is gone in the meantime, that is what is wanted.
            drop(fs::remove_file(self.name.path));
        }
    }
}

fn held(offered: &Offered) -> MutexGuard<'_, Vec<OwnedFd>> {
    offered.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name of the socket; clones are of the same one.
#[derive(Clone, Debug)]
struct Name {
    path: PathBuf,
    inode: Arc<AtomicU64>,
}

impl Name {
    /// Binds in the place of whatever socket is there: who has the lock is alone.
    fn bind(path: &Path) -> io::Result<(Self, UnixListener)> {
        let (path, inode) = (path.to_owned(), Arc::default());
        let name = Self { path, inode };
        let listener = name.bind_again()?;
        Ok((name, listener))
    }

    fn bind_again(&self) -> io::Result<UnixListener> {
        let path = &self.path;
        if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        self.inode.store(fs::symlink_metadata(path)?.ino(), Ordering::Relaxed);
        Ok(listener)
    }

    fn is_ours(&self) -> bool {
        let inode = self.inode.load(Ordering::Relaxed);
        fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == inode)
    }
}

/// Ends with the process, or when it has handed over.
fn serve(name: &Name, mut listener: UnixListener, sockets: &Offered, steps: &mpsc::Sender<Step>) {
    /// After a fault of the system, so that it is not asked without a pause.
    const REST: Duration = Duration::from_secs(1);
    loop {
        let Ok((stream, _address)) = listener.accept() else {
            thread::sleep(REST);
            continue;
        };
        match hand_over(&stream, sockets, steps) {
            Ok(()) => return,
            Err(error) => warn!(target: "hand-over", "nothing is handed over: {error}"),
        }
        // The other one may have put its own socket there before it went.
        if !name.is_ours() {
            match name.bind_again() {
                Ok(again) => listener = again,
                Err(error) => warn!(target: "hand-over", "{}: {error}", name.path.display()),
            }
        }
    }
}

/// One hand-over, from the greeting to the end.
fn hand_over(stream: &UnixStream, sockets: &Offered, steps: &mpsc::Sender<Step>) -> io::Result<()> {
    let peer = socket_peercred(stream)?;
    if !peer.uid.is_root() && peer.uid != geteuid() {
        return Err(io::Error::other(format!("user number {} asks for it", peer.uid.as_raw())));
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    greet(stream, sockets)?;
    info!(target: "hand-over", "process {} has the listening sockets, too", peer.pid.as_raw_pid());
    expect(stream, "release")?;
    let (done, released) = oneshot::channel();
    steps.blocking_send(Step::Release(done)).map_err(stops)?;
    // Lost only where the daemon stops; then there is no state to give up any more.
    released.blocking_recv().map_err(stops)?;
    let over = (&*stream).write_all(b"released\n").and_then(|()| {
        // It reads its lists and fills the kernel now, for as long as that takes: a death is told by the end of the connection.
        stream.set_read_timeout(None)?;
        expect(stream, "serving")
    });
    let step = if over.is_ok() { Step::Serving } else { Step::Lost };
    steps.blocking_send(step).map_err(stops)?;
    over
}

fn stops<T>(_closed: T) -> io::Error {
    io::Error::other("this daemon stops")
}

fn greet(stream: &UnixStream, sockets: &Offered) -> io::Result<()> {
    let sockets = held(sockets);
    if sockets.is_empty() {
        return Err(stops(()));
    }
    let greeting =
        Greeting { version: env!("CARGO_PKG_VERSION").to_owned(), pid: std::process::id() };
    let line = serde_json::to_string(&greeting)? + "\n";
    let fds: Vec<BorrowedFd<'_>> = sockets.iter().map(OwnedFd::as_fd).collect();
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("too many listeners"));
    }
    sendmsg(stream, &[IoSlice::new(line.as_bytes())], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn expect(stream: &UnixStream, word: &str) -> io::Result<()> {
    let mut line = String::new();
    let most = u64::try_from(MOST_LINE).unwrap_or(u64::MAX);
    // What is said next waits for our answer, so a buffer that is thrown away loses nothing.
    BufReader::new(stream.take(most)).read_line(&mut line)?;
    match line.trim_end() {
        found if found == word => Ok(()),
        "" => Err(io::Error::other("the other daemon is gone")),
        found => Err(io::Error::other(format!("{found:?}, expected {word:?}"))),
    }
}
