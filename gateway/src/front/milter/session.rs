//! One session with a mail server: its commands are taken in order, each is done, answers go out.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::warn;

use super::super::service::Place;
use super::super::socket::Stream;
use super::super::{Patience, Stop};
use super::client::Peer;
use super::message::Fate;
use super::{Milter, Settings};
use crate::milter::{Answer, Command, CommandFault, Dialogue, DialogueFault, Event, FrameBuffer};

/// Octets that are read at once.
const PIECE: usize = 16 * 1024;
/// The least that a frame may have: a piece of a body as libmilter defines it (`MILTER_CHUNK_SIZE`), with its code.
const LEAST_FRAME: usize = 64 * 1024;
/// How long a connection to a mail server may be used.
const LONGEST: Duration = Duration::from_hours(24 * 7);

/// One session with a mail server.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) front: Arc<Milter>,
    pub(super) settings: Arc<Settings>,
    stream: Stream,
    input: FrameBuffer,
    output: Vec<u8>,
    pub(super) dialogue: Dialogue,
    patience: Patience,
    /// The client that the mail server has; `None` between clients.
    pub(super) peer: Option<Peer>,
    /// What becomes of the message at hand; `None` before its header was judged.
    pub(super) fate: Option<Fate>,
    _place: Place,
}

/// Whether a session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    Close,
}

/// Why the mail server is left.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Command(#[from] CommandFault),
    #[error(transparent)]
    Order(#[from] DialogueFault),
}

impl Session {
    pub(super) fn new(front: &Arc<Milter>, stream: Stream, stop: Stop, place: Place) -> Self {
        let settings = front.settings.load_full();
        let limits = &settings.limits;
        Self {
            front: Arc::clone(front),
            stream,
            // One field may be the whole header.
            input: FrameBuffer::new(limits.header.max(LEAST_FRAME)),
            output: Vec::new(),
            dialogue: Dialogue::new(limits.header, limits.recipients, settings.needs_body),
            patience: Patience::new(stop, LONGEST),
            peer: None,
            fate: None,
            settings,
            _place: place,
        }
    }

    /// Serves the mail server until it leaves.
    pub(super) async fn run(mut self) {
        while self.step().await == Flow::Continue {}
        self.leave();
    }

    async fn step(&mut self) -> Flow {
        let event = match self.next_event().await {
            Some(Ok(event)) => event,
            Some(Err(fault)) => {
                self.front.counters.protocol_errors.add();
                warn!(target: "milter", "the mail server is left: {fault}");
                return Flow::Close;
            }
            None => return Flow::Close,
        };
        let flow = self.act(event).await;
        if self.flush().await.is_none() { Flow::Close } else { flow }
    }

    /// What the next command asks for; `None` where there is none any more.
    async fn next_event(&mut self) -> Option<Result<Event, Fault>> {
        // Where a message is in hand, a stop waits for its end, up to the deadline.
        let is_idle = self.dialogue.message().is_none();
        if is_idle && self.patience.is_stopping() {
            return None;
        }
        let (stream, input) = (&mut self.stream, &mut self.input);
        let read = async {
            loop {
                if let Some(frame) = input.next_frame() {
                    return Some(frame);
                }
                match stream.read_buf(input.space(PIECE)).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return None,
                }
            }
        };
        let wait = self.settings.limits.session_timeout;
        let frame = tokio::select! {
            biased;
            frame = self.patience.within(wait, read) => frame.flatten()?,
            () = self.patience.stopping(), if is_idle => return None,
        };
        Some(match Command::parse(frame) {
            Ok(command) => self.dialogue.take(command).map_err(Fault::from),
            Err(fault) => Err(fault.into()),
        })
    }

    async fn act(&mut self, event: Event) -> Flow {
        match event {
            Event::Negotiated(terms) => self.say(&Answer::Terms(terms)),
            Event::Connected(said) => self.connected(said).await,
            Event::Began { is_authenticated } => self.began(is_authenticated),
            Event::Recipient(recipient) => self.recipient(recipient).await,
            Event::HeaderEnded => self.header_ended().await,
            Event::Body(piece) => self.body(&piece),
            Event::Ended(piece) => self.ended(&piece).await,
            Event::Plain => self.say(&Answer::Continue),
            Event::Silent => {}
            Event::Aborted => self.abort(),
            Event::NextClient => self.leave(),
            Event::Quit => return Flow::Close,
        }
        Flow::Continue
    }

    /// Queues an answer.
    pub(super) fn say(&mut self, answer: &Answer) {
        answer.write(self.dialogue.terms(), &mut self.output);
    }

    /// Sends what is queued; `None` where the mail server does not take it.
    async fn flush(&mut self) -> Option<()> {
        if self.output.is_empty() {
            return Some(());
        }
        let wait = self.settings.limits.command_timeout;
        let sent = self.patience.within(wait, self.stream.write_all(&self.output)).await;
        self.output.clear();
        sent?.ok()
    }

    /// The client's connection is over, or that of the mail server.
    fn leave(&mut self) {
        if self.dialogue.message().is_some() {
            self.abort();
        }
        self.record_unsaid();
        self.peer = None;
    }
}
