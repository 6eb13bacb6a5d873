//! A message that goes into quarantine instead of to the next hop: written as it comes, acknowledged when it is on the disk.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::message::{Fate, Message, Refusal};
use super::session::Session;
use crate::clock::Clock;
use crate::policy::{Decision, Outcome, Reply};
use crate::quarantine::{HeldMessage, HeldRecipient, Id, Incoming, Quarantine, QuarantineError};
use crate::quarantine::{SCHEMA, Why};
use crate::scan::{message_id, subject};

/// Octets that are written at once; each time costs a hop to another thread.
const PIECE: usize = 128 * 1024;

/// A message on its way into quarantine. Dropping it removes what was written.
pub(super) struct Keeping {
    /// Why it goes there.
    pub(super) decision: Decision,
    /// `None` while another thread has it.
    incoming: Option<Incoming>,
}

impl Session {
    /// The header is judged: the next hop is left, and what came so far waits to be written.
    pub(super) async fn keep(&mut self, message: &mut Message, decision: Decision) {
        // The connection's end takes the transaction back; nothing of the message went there yet.
        self.next_hop = None;
        let begun = Keeping::begin(Arc::clone(&self.front.quarantine), decision.clone());
        match self.in_time(self.final_wait(), begun).await {
            Some(keeping) => {
                message.held = self.header(message, &keeping.decision);
                message.fate = Fate::Keep(Box::new(keeping));
            }
            None => message.refuse(&mut self.next_hop, Refusal::not_kept(decision)),
        }
    }

    /// What the disk did in `wait`; `None` where it failed or was too slow, of which the quarantine raises an alarm.
    async fn in_time<T>(
        &self,
        wait: Duration,
        work: impl Future<Output = Result<T, QuarantineError>>,
    ) -> Option<T> {
        let done = self.patience.within(wait, work).await;
        if done.is_none() {
            self.front.quarantine.is_slow();
        }
        done?.ok()
    }

    /// Writes what came, once it is worth it.
    pub(super) async fn keep_on(&mut self, message: &mut Message) {
        let Fate::Keep(keeping) = &mut message.fate else { return };
        message.held.append(&mut message.content);
        if message.held.len() < PIECE {
            return;
        }
        let written = keeping.write(mem::take(&mut message.held));
        let wait = self.settings.limits.next_hop_final_timeout;
        if self.in_time(wait, written).await.is_none() {
            let decision = keeping.decision.clone();
            message.refuse(&mut self.next_hop, Refusal::not_kept(decision));
        }
    }

    /// The data is over: the message is acknowledged if it is on the disk, and may come again otherwise.
    pub(super) async fn hold(&mut self, message: &mut Message, rules: u64) {
        let Fate::Keep(keeping) = mem::replace(&mut message.fate, Fate::Unknown) else { return };
        let (decision, last) = (keeping.decision.clone(), mem::take(&mut message.held));
        let record = self.record_of(message, &decision, rules);
        let held = keeping.hold(last, record);
        let wait = self.final_wait();
        if self.in_time(wait, held).await.is_none() {
            message.refuse(&mut self.next_hop, Refusal::not_kept(decision));
            return;
        }
        self.front.counters.messages_quarantined.add();
        // No word of the quarantine: whoever tries what gets through learns nothing. The reference leads to it.
        let text = format!("accepted, reference {}", decision.reference);
        let reply = Reply::new(250, 0, 0, &text);
        self.stream.say(&reply);
        let outcome = Outcome {
            reply: Some(reply.to_string()),
            rules_at_end: Some(rules),
            quarantined: true,
            ..message.outcome()
        };
        self.front.engine.record(&self.client, Some(&message.envelope), &decision, outcome);
    }

    fn record_of(&self, message: &Message, decision: &Decision, rules: u64) -> HeldMessage {
        let hello = self.hello.as_ref();
        let addresses = message.recipients.iter().map(|rcpt| HeldRecipient {
            address: rcpt.recipient.to_string(),
            rcpt: rcpt.line(),
            refused: None,
        });
        HeldMessage {
            schema: SCHEMA,
            id: Id::from(&decision.reference),
            time: Clock::System.now(),
            client: self.client.address,
            local: self.client.local,
            helo: hello.map(|hello| hello.name.clone()).unwrap_or_default(),
            extended: hello.is_some_and(|hello| hello.extended),
            sender: message.mail.sender.as_ref().map(ToString::to_string).unwrap_or_default(),
            mail: message.mail.whole(),
            recipients: addresses.collect(),
            subject: subject(&message.header),
            message_id: message_id(&message.header),
            octets: message.octets,
            why: Why::new(decision, rules),
            release_begun: None,
        }
    }
}

impl Keeping {
    async fn begin(
        quarantine: Arc<Quarantine>,
        decision: Decision,
    ) -> Result<Self, QuarantineError> {
        let id = Id::from(&decision.reference);
        let begun = spawn_blocking(move || quarantine.begin(&id)).await;
        let incoming = begun.unwrap_or(Err(QuarantineError::Died))?;
        Ok(Self { decision, incoming: Some(incoming) })
    }

    async fn write(&mut self, octets: Vec<u8>) -> Result<(), QuarantineError> {
        let mut incoming = self.incoming.take().ok_or(QuarantineError::Died)?;
        let written = spawn_blocking(move || {
            let written = incoming.write(&octets);
            (incoming, written)
        });
        let (incoming, written) = written.await.map_err(|_panicked| QuarantineError::Died)?;
        self.incoming = Some(incoming);
        written
    }

    async fn hold(mut self, last: Vec<u8>, record: HeldMessage) -> Result<(), QuarantineError> {
        let mut incoming = self.incoming.take().ok_or(QuarantineError::Died)?;
        let held = spawn_blocking(move || {
            incoming.write(&last)?;
            let record = HeldMessage { octets: incoming.octets(), ..record };
            incoming.hold(&record)
        });
        held.await.unwrap_or(Err(QuarantineError::Died))
    }
}

impl Drop for Keeping {
    /// Removing a long file takes a while, which is not for a thread that carries mail.
    fn drop(&mut self) {
        let Some(incoming) = self.incoming.take() else { return };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(incoming))),
            Err(_none) => drop(incoming),
        }
    }
}
