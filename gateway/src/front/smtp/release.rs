//! Releases a message from quarantine: hands it to the next hop as its client said it, and tells what became of each recipient.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::next_hop::{Hello, Interrupted, NextHopConnection, NextHopError, NextHops};
use super::{Front, Settings};
use crate::clock::Clock;
use crate::engine::Client;
use crate::quarantine::{
    Event, EventKind, HeldMessage, HeldRecipient, Id, Quarantine, QuarantineError, ReleaseBegun,
    Taken,
};
use crate::smtp::{Command, DataEncoder, Mail, NextHopReply, Rcpt};

/// Recipients that are named to whoever named another one.
const NAMED: usize = 20;
/// Octets that are read and sent at once.
const PIECE: usize = 64 * 1024;

/// What became of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Released {
    /// The message.
    #[schema(value_type = String)]
    pub id: Id,
    /// What the next hop said of each recipient.
    pub recipients: Vec<RecipientOutcome>,
    /// What it said of the message; `null` where it took no recipient.
    pub reply: Option<String>,
    /// How many recipients do not have it, for which it is still in quarantine.
    pub left: usize,
    /// Why what was released stays in its record all the same, so that releasing it again would deliver it twice; `null` where it does not.
    pub fault: Option<String>,
}

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecipientOutcome {
    /// The address.
    pub recipient: String,
    /// Whether the next hop took the message for it.
    pub released: bool,
    /// What the next hop said.
    pub reply: String,
}

/// Why nothing was released; the message is in quarantine as before.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// It is not to be had.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    /// It is not for somebody to whom it was to go.
    #[error("{id} does not wait for <{recipient}>, expected one of {count}: {}", known.join(", "))]
    NoRecipient {
        /// The message.
        id: Id,
        /// Who was named.
        recipient: String,
        /// For how many it waits.
        count: usize,
        /// The first [`NAMED`] of them.
        known: Vec<String>,
    },
    /// The next hop cannot be spoken to.
    #[error("the next hop does not take it: {0}")]
    NextHop(String),
    /// It was told all of the message, and did not answer.
    #[error("the next hop did not answer to the end of the message, and may have it: {0}")]
    Unanswered(String),
}

/// What the next hop says to a whole transaction.
struct Answers {
    /// Of each recipient, whether it takes it.
    recipients: Vec<(bool, String)>,
    /// Of the message.
    message: Option<NextHopReply>,
}

impl Front {
    /// Hands the message `id` to the next hop for `author`, for the recipients `to`, or for all where none is named. What the next
    /// hop took is removed only after it said so, and what it did not take stays. Goes on to its end, whether somebody waits for it
    /// or not.
    pub async fn release(
        self: &Arc<Self>,
        id: &Id,
        to: Vec<String>,
        author: &str,
    ) -> Result<Released, ReleaseError> {
        let (front, id, author) = (Arc::clone(self), id.clone(), author.to_owned());
        let release = tokio::spawn(async move { front.release_taken(&id, to, author).await });
        release.await.unwrap_or_else(|_panicked| Err(QuarantineError::Died.into()))
    }

    async fn release_taken(
        &self,
        id: &Id,
        to: Vec<String>,
        author: String,
    ) -> Result<Released, ReleaseError> {
        let begun = ReleaseBegun { author, time: Clock::System.now(), to };
        let author = begun.author.clone();
        let Begun { taken, mut record, former, others, file } =
            begin(&self.quarantine, id, begun).await?;
        let sent = self.send(&self.settings.load_full(), file, &record).await;
        let answers = match sent {
            Ok(answers) => answers,
            Err(error) => {
                if let ReleaseError::NextHop(said) | ReleaseError::Unanswered(said) = &error {
                    self.tell(EventKind::NotReleased, &record, &author, Some(said));
                }
                if !matches!(error, ReleaseError::Unanswered(_)) {
                    // With that it is as it was before. If it cannot be written, the record says more than was done.
                    record.recipients.extend(others);
                    let record = HeldMessage { release_begun: former, ..record };
                    drop(blocking(move || taken.update(&record)).await);
                }
                return Err(error);
            }
        };
        // Of those that were not to have it, one that was begun earlier may still be in doubt.
        record.release_begun =
            former.filter(|former| others.iter().any(|other| former.is_for(&other.address)));
        self.settle_release(taken, record, others, &author, answers).await
    }

    /// Removes what was taken, and keeps what was not, with the `others` that were not to have it.
    async fn settle_release(
        &self,
        taken: Taken,
        record: HeldMessage,
        others: Vec<HeldRecipient>,
        author: &str,
        answers: Answers,
    ) -> Result<Released, ReleaseError> {
        let is_taken = answers.message.as_ref().is_some_and(NextHopReply::is_positive);
        let reply = answers.message.as_ref().map(NextHopReply::summary);
        let outcomes: Vec<_> = record
            .recipients
            .iter()
            .zip(answers.recipients)
            .map(|(recipient, (accepted, said))| {
                let of_message = reply.clone().filter(|_reply| accepted);
                RecipientOutcome {
                    recipient: recipient.address.clone(),
                    released: accepted && is_taken,
                    reply: of_message.unwrap_or(said),
                }
            })
            .collect();
        let split = |released| {
            let which = record.recipients.iter().zip(&outcomes);
            which.filter(move |(_recipient, outcome)| outcome.released == released)
        };
        let mut left: Vec<_> = split(false)
            .map(|(recipient, outcome)| HeldRecipient {
                refused: Some(outcome.reply.clone()),
                ..recipient.clone()
            })
            .collect();
        let told: Vec<_> = split(true).map(|(recipient, _outcome)| recipient.clone()).collect();
        let stays = !left.is_empty() || !others.is_empty();
        let (event, told) = match (told.is_empty(), stays) {
            (true, _) => (EventKind::NotReleased, left.clone()),
            (false, false) => (EventKind::Released, told),
            (false, true) => (EventKind::PartlyReleased, told),
        };
        left.extend(others);
        let about = HeldMessage { recipients: told, ..record.clone() };
        self.tell(event, &about, author, reply.as_deref());
        let (id, count) = (record.id.clone(), left.len());
        let settled = blocking(move || {
            if left.is_empty() {
                return taken.remove();
            }
            taken.update(&HeldMessage { recipients: left, ..record })
        });
        let fault = settled.await.err().map(|error| error.to_string());
        Ok(Released { id, recipients: outcomes, reply, left: count, fault })
    }

    /// Says the message to the next hop, as its client would.
    async fn send(
        &self,
        settings: &Settings,
        file: File,
        record: &HeldMessage,
    ) -> Result<Answers, ReleaseError> {
        let mail = parsed_mail(record)?;
        let client = Client::new(record.client, record.local);
        let hello = Hello { name: record.helo.clone(), extended: record.extended };
        let connector = self.tls.connector();
        let mut next_hop = self.next_hops.connect(settings, connector, &client, &hello).await?;
        if let Some(keyword) = mail.unsupported(&next_hop.capabilities) {
            let text = format!("it no longer offers what the message needs: {keyword}");
            return Err(ReleaseError::NextHop(text));
        }
        let wait = settings.limits.next_hop_timeout;
        let reply = next_hop.command(&mail.line(&next_hop.capabilities), wait).await?;
        if !reply.is_positive() {
            return Err(ReleaseError::NextHop(reply.summary()));
        }
        let mut recipients = Vec::new();
        for recipient in &record.recipients {
            let answer = match Command::parse(recipient.rcpt.as_bytes()) {
                Ok(Command::Rcpt(rcpt)) => named(&mut next_hop, &rcpt, wait).await?,
                _ => (false, "not asked: its record cannot be read".to_owned()),
            };
            recipients.push(answer);
        }
        if !recipients.iter().any(|(accepted, _said)| *accepted) {
            // The transaction is open; leaving it takes it back.
            tokio::spawn(next_hop.quit());
            return Ok(Answers { recipients, message: None });
        }
        let reply = next_hop.command("DATA", wait).await?;
        if reply.is_positive() && reply.code != 354 {
            return Err(ReleaseError::NextHop(format!("{} for DATA", reply.summary())));
        }
        if reply.code != 354 {
            return Ok(Answers { recipients, message: Some(reply) });
        }
        send_data(settings, &mut next_hop, file).await?;
        let reply = timeout(settings.limits.next_hop_final_timeout, next_hop.reply()).await;
        let unanswered = |error: NextHopError| ReleaseError::Unanswered(error.to_string());
        let reply = reply.map_err(|late| unanswered(late.into()))?.map_err(unanswered)?;
        NextHops::give_back(settings, next_hop);
        Ok(Answers { recipients, message: Some(reply) })
    }

    fn tell(&self, event: EventKind, message: &HeldMessage, author: &str, next_hop: Option<&str>) {
        let event = Event {
            author: Some(author),
            next_hop,
            ..Event::new(Clock::System.now(), event, &message.id, Some(message))
        };
        self.engine.audit().write(&event);
    }
}

/// A message whose release was begun.
struct Begun {
    taken: Taken,
    /// With the recipients that are to have it.
    record: HeldMessage,
    /// An earlier release of which the end is not known.
    former: Option<ReleaseBegun>,
    /// The other recipients.
    others: Vec<HeldRecipient>,
    file: File,
}

/// Takes the message and writes down that it is being released: what cannot be written could not be removed afterwards, and
/// would be released again.
async fn begin(
    quarantine: &Arc<Quarantine>,
    id: &Id,
    begun: ReleaseBegun,
) -> Result<Begun, ReleaseError> {
    let (quarantine, id) = (Arc::clone(quarantine), id.clone());
    blocking(move || {
        let taken = quarantine.take(&id)?;
        let file = taken.open()?;
        let mut record = taken.record()?;
        let is_known = |to: &String| record.recipients.iter().any(|held| held.address == *to);
        if let Some(stranger) = begun.to.iter().find(|to| !is_known(to)) {
            let known = record.recipients.iter().take(NAMED);
            return Err(ReleaseError::NoRecipient {
                id,
                recipient: stranger.clone(),
                count: record.recipients.len(),
                known: known.map(|held| held.address.clone()).collect(),
            });
        }
        let former = record.release_begun.take();
        record.release_begun = Some(begun.clone().and(former.as_ref()));
        taken.update(&record)?;
        let all = std::mem::take(&mut record.recipients);
        let (meant, others) = all.into_iter().partition(|held| begun.is_for(&held.address));
        record.recipients = meant;
        Ok(Begun { taken, record, former, others, file })
    })
    .await
}

async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<QuarantineError> + Send + 'static,
{
    spawn_blocking(work).await.unwrap_or_else(|_panicked| Err(QuarantineError::Died.into()))
}

/// Names a recipient; whether the next hop takes it, and what it says.
async fn named(
    next_hop: &mut NextHopConnection,
    rcpt: &Rcpt,
    wait: Duration,
) -> Result<(bool, String), NextHopError> {
    if let Some(keyword) = rcpt.unsupported(&next_hop.capabilities) {
        return Ok((false, format!("not asked: the next hop offers no {keyword}")));
    }
    let reply = next_hop.command(&rcpt.line(), wait).await?;
    Ok((reply.is_positive(), reply.summary()))
}

/// Sends the octets of a message with the dot that ends them.
async fn send_data(
    settings: &Settings,
    next_hop: &mut NextHopConnection,
    file: File,
) -> Result<(), ReleaseError> {
    let mut encoder = DataEncoder::default();
    let (mut file, mut piece) = (file, vec![0; PIECE]);
    loop {
        let read = spawn_blocking(move || {
            let read = file.read(&mut piece);
            (file, piece, read)
        });
        let read = read.await.map_err(|_panicked| QuarantineError::Died)?;
        let length;
        (file, piece, length) = read;
        let length = length.map_err(|error| ReleaseError::NextHop(format!("not sent: {error}")))?;
        let mut wire = Vec::with_capacity(PIECE);
        encoder.encode(piece.get(..length).unwrap_or_default(), &mut wire);
        let is_end = length == 0;
        if is_end {
            std::mem::take(&mut encoder).finish(&mut wire);
            // What it said already is no answer to the end.
            if let Some(unasked) = next_hop.unasked().await {
                return Err(refused(unasked.into()));
            }
        }
        let sent = timeout(settings.limits.next_hop_timeout, next_hop.data(&wire)).await;
        sent.map_err(NextHopError::from)?.map_err(refused)?;
        if is_end {
            return Ok(());
        }
    }
}

fn refused(interrupted: Interrupted) -> ReleaseError {
    match interrupted {
        Interrupted::Lost(error) => error.into(),
        Interrupted::Reply(reply) => ReleaseError::NextHop(reply.summary()),
    }
}

fn parsed_mail(record: &HeldMessage) -> Result<Mail, QuarantineError> {
    match Command::parse(record.mail.as_bytes()) {
        Ok(Command::Mail(mail)) => Ok(mail),
        _ => Err(QuarantineError::Damaged {
            id: record.id.clone(),
            reason: "there is no MAIL command in it".to_owned(),
        }),
    }
}

impl From<NextHopError> for ReleaseError {
    fn from(error: NextHopError) -> Self {
        Self::NextHop(error.to_string())
    }
}
