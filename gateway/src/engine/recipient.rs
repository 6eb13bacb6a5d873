//! A recipient is named: by then the client's name is known, and the greylist knows whose mail it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{Client, Engine, Settings, reference};
use crate::auth::Spf;
use crate::policy::{
    AtRecipient, Decision, Greylisted, Phase, decide_greylisted, decide_recipient,
};
use crate::sender::{Attempt, GreylistAnswer, Pool};
use crate::store::StoreError;

/// What a client says of its mail before the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailSaid<'a> {
    /// The name it greets with.
    pub helo: &'a str,
    /// The sender, empty for a bounce.
    pub sender: &'a str,
    /// One recipient.
    pub recipient: &'a str,
}

impl Engine {
    /// Judges a recipient of a client that `connection` let in; `None` where nothing is against it.
    pub async fn judge_recipient(
        &self,
        client: &Client,
        connection: &Decision,
        mail: MailSaid<'_>,
    ) -> Option<Decision> {
        let judging = self.judge_said(client, connection, mail);
        self.times.measure(Phase::Recipient, judging).await
    }

    async fn judge_said(
        &self,
        client: &Client,
        connection: &Decision,
        mail: MailSaid<'_>,
    ) -> Option<Decision> {
        let settings = self.settings.load_full();
        let policy = self.policy(&settings);
        let address = client.address.ip();
        let of_helo = policy.weights.of_helo(address, mail.helo, &settings.hostname);
        match decide_recipient(&policy, connection, of_helo.as_slice(), reference()) {
            AtRecipient::Pass => None,
            AtRecipient::Stop(decision) => Some(*decision),
            AtRecipient::Greylist(decision) => {
                let waits = self.greylist(&settings, address, mail).await?;
                Some(decide_greylisted(&policy, *decision, waits))
            }
        }
    }

    /// How long a sender has to wait; `None` where it has waited, is known, or nobody can say.
    pub(super) async fn greylist(
        &self,
        settings: &Settings,
        address: IpAddr,
        mail: MailSaid<'_>,
    ) -> Option<Greylisted> {
        let senders = Arc::clone(self.asks.senders.as_ref()?);
        let network = Pool::network(address, &settings.greylist);
        let provider = self.provider(settings, address, mail).await;
        let (sender, recipient) = (mail.sender.to_owned(), mail.recipient.to_owned());
        let (greylist, now) = (settings.greylist, self.clock.now());
        let shown = provider.as_ref().unwrap_or(&network).to_string();
        // It reads from a disk and writes to it, which mail of others must not wait for.
        let asked = spawn_blocking(move || {
            // A network that has passed stays known when its domain begins to have SPF.
            let is_known = senders.passed(&network, &greylist, now)?.is_some();
            let pool = provider.filter(|_provider| !is_known).unwrap_or(network);
            senders.greylist(&Attempt::new(pool, &sender, &recipient), &greylist, now)
        });
        let answer = asked.await.ok()?;
        debug!(target: "senders", "client=[{address}] pool={shown} greylist={answer:?}");
        match answer {
            Ok(GreylistAnswer::Wait { seconds_left, tries, first }) => {
                Some(Greylisted { pool: shown, seconds_left, tries, first })
            }
            Ok(GreylistAnswer::Passed { .. }) => None,
            Err(error) => {
                told(&error);
                None
            }
        }
    }

    /// All addresses of a provider are one pool where SPF passes for the domain of the sender, and not for half the world.
    async fn provider(
        &self,
        settings: &Settings,
        address: IpAddr,
        mail: MailSaid<'_>,
    ) -> Option<Pool> {
        let authenticator = self.asks.authenticator.as_ref()?;
        let deadline = Instant::now() + settings.dns_budget;
        let key = (address, format!("{} {}", mail.helo, mail.sender).into_boxed_str());
        if let Some(known) = self.providers.get(&key) {
            return known;
        }
        let asked = [Some(address), elsewhere(address, 0), elsewhere(address, 1)];
        let mut pool = None;
        for (index, address) in asked.into_iter().flatten().enumerate() {
            let within = deadline.saturating_duration_since(Instant::now());
            let spf = authenticator
                .spf(address, mail.helo, mail.sender, &settings.hostname, within)
                .await;
            match spf {
                Spf::Pass(domain) if index == 0 => pool = Pool::domain(&domain),
                // A domain for which everybody may send is nobody's.
                Spf::Pass(_) | Spf::Fault => pool = None,
                Spf::NotPass(_) => {}
            }
            if pool.is_none() {
                break;
            }
        }
        self.providers.insert(key, pool.clone());
        pool
    }

    /// Whether mail of the network of `address` passed before.
    pub(super) fn is_passed(&self, address: IpAddr) -> bool {
        self.is_known(&Pool::network(address, &self.settings.load().greylist))
    }

    fn is_known(&self, pool: &Pool) -> bool {
        let Some(senders) = &self.asks.senders else { return false };
        let greylist = self.settings.load().greylist;
        let known = senders.passed(pool, &greylist, self.clock.now());
        known.is_ok_and(|passed| passed.is_some())
    }
}

/// An address that has nothing to do with this one: its bit `bit` is the other one.
fn elsewhere(address: IpAddr, bit: u32) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(v4) => {
            Ipv4Addr::from_bits(v4.to_bits() ^ (1 << 31_u32.checked_sub(bit)?)).into()
        }
        // All of what is in use begins with the same three bits.
        IpAddr::V6(v6) => {
            Ipv6Addr::from_bits(v6.to_bits() ^ (1 << 124_u32.checked_sub(bit)?)).into()
        }
    })
}

/// A store that cannot be asked lets mail through: nobody would ever be remembered.
fn told(error: &StoreError) {
    warn!(target: "senders", "nobody waits, since the store of senders fails: {error}");
}
