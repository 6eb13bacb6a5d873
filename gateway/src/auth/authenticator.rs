//! Asks SPF and DKIM about messages of strangers, within bounds of time, of memory and of questions.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{AuthenticatedMessage, MessageAuthenticator};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Spf;
use super::signature::{is_uncertain, keep_worthy, proved};
use crate::net::fold;

/// Answers that are kept for as long as they say.
const KEPT_ANSWERS: u64 = 4096;
/// Questions under way on one connection to a resolver.
const QUESTIONS: usize = 256;
/// SPF checks at once; the others wait, within their time.
const SPF_AT_ONCE: usize = 64;
/// DKIM checks at once: each holds a message, and a thread while the processor works on it.
const DKIM_AT_ONCE: usize = 8;
/// Octets of an address or a name in SMTP (RFC 5321 section 4.5.3.1), with room; longer ones prove nothing.
const LONGEST_NAME: usize = 512;

/// No resolver could be made of what is configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no resolver for SPF and DKIM: {0}")]
pub struct AuthenticatorError(String);

/// What the signatures of a message prove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dkim {
    /// The domains whose signatures hold, each once and in lower case.
    pub domains: Vec<String>,
    /// Whether there may be more: DNS did not tell of all signatures.
    pub is_uncertain: bool,
}

impl Dkim {
    const fn uncertain() -> Self {
        Self { domains: Vec::new(), is_uncertain: true }
    }
}

/// Asks SPF and DKIM; clones share their answers.
#[derive(Clone)]
pub struct Authenticator {
    library: MessageAuthenticator,
    spf: Arc<Semaphore>,
    dkim: Arc<Semaphore>,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Will ask `resolvers`, each question waiting for its answer for `each_within`; TCP is used where an answer is cut off.
    ///
    /// Must be called within a runtime.
    pub fn new(
        resolvers: &[SocketAddr],
        each_within: Duration,
    ) -> Result<Self, AuthenticatorError> {
        let servers = resolvers.iter().map(|&resolver| name_server(resolver)).collect();
        let mut options = ResolverOpts::default();
        options.timeout = each_within;
        options.cache_size = KEPT_ANSWERS;
        options.max_active_requests = QUESTIONS;
        options.use_hosts_file = ResolveHosts::Never;
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let library = MessageAuthenticator::new(config, options)
            .map_err(|error| AuthenticatorError(error.to_string()))?;
        Ok(Self {
            library,
            spf: Arc::new(Semaphore::new(SPF_AT_ONCE)),
            dkim: Arc::new(Semaphore::new(DKIM_AT_ONCE)),
        })
    }

    /// What SPF says about `client` that sends mail from `sender`; of a bounce (an empty one) the name in HELO counts.
    ///
    /// Needs at most `within`. The bounds of RFC 7208 section 4.6.4 are the library's.
    pub async fn spf(
        &self,
        client: IpAddr,
        helo: &str,
        sender: &str,
        our_hostname: &str,
        within: Duration,
    ) -> Spf {
        let [helo, sender, our_hostname] = [helo, sender, our_hostname].map(str::to_owned);
        if helo.len() > LONGEST_NAME || sender.len() > LONGEST_NAME {
            return Spf::NotPass("none");
        }
        let (library, permits) = (self.library.clone(), Arc::clone(&self.spf));
        let check = async move {
            let Ok(_permit) = permits.acquire_owned().await else { return Spf::Fault };
            let client = fold(client);
            let parameters = if sender.is_empty() {
                SpfParameters::verify_ehlo(client, &helo, &our_hostname)
            } else {
                SpfParameters::verify_mail_from(client, &helo, &our_hostname, &sender)
            };
            let output = library.verify_spf(parameters).await;
            Spf::new(output.result(), output.domain())
        };
        // A task of its own: should a record make the library panic, that is no answer, and not the end of the session.
        let task = tokio::spawn(async move { timeout(within, check).await });
        match task.await {
            Ok(Ok(spf)) => spf,
            Ok(Err(_)) | Err(_) => Spf::Fault,
        }
    }

    /// The domains whose signatures hold for all of `message`, header and body.
    ///
    /// Needs at most `within`, but for what the processor has begun. Where DNS does not answer, a signature proves nothing.
    pub async fn dkim(&self, message: impl AsRef<[u8]> + Send + 'static, within: Duration) -> Dkim {
        let (library, permits) = (self.library.clone(), Arc::clone(&self.dkim));
        let runtime = Handle::current();
        let check = async move {
            let Ok(permit) = permits.acquire_owned().await else { return Dkim::uncertain() };
            // Hashing a long message keeps a processor busy; a panic ends there, too.
            let task = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let Some(mut message) = AuthenticatedMessage::parse(message.as_ref()) else {
                    return Dkim::default();
                };
                keep_worthy(&mut message);
                let asked = runtime
                    .block_on(async { timeout(within, library.verify_dkim(&message)).await });
                let Ok(outputs) = asked else { return Dkim::uncertain() };
                let mut domains: Vec<_> = outputs.iter().filter_map(proved).collect();
                domains.sort_unstable();
                domains.dedup();
                Dkim { domains, is_uncertain: outputs.iter().any(is_uncertain) }
            });
            task.await.unwrap_or_default()
        };
        timeout(within, check).await.unwrap_or_else(|_late| Dkim::uncertain())
    }
}

/// A resolver that is asked over UDP, and over TCP where the answer is too long for that.
fn name_server(resolver: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = resolver.port();
        connection
    });
    // Not trusted with "there is none" alone, the next resolver would be asked the same after every such answer.
    NameServerConfig::new(resolver.ip(), true, connections.into())
}
