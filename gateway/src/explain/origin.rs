//! Compares the address that mail came from with what its sender's domain says of itself: mail exchangers and SPF.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::auth::{Authenticator, Spf};
use crate::config::Config;
use crate::dns::{self, Asker, Exchangers, Fault};

/// How long all of DNS may take. People wait for it.
const WITHIN: Duration = Duration::from_secs(6);

/// What DNS says of an address and of the domain that it sends for.
#[derive(Clone, Debug, Serialize)]
pub struct Origin {
    /// The address.
    pub address: IpAddr,
    /// The domain.
    pub domain: String,
    /// Where the mail of the domain goes, the best first.
    pub exchangers: Vec<Exchanger>,
    /// Whether the address is one of them; `null` where DNS did not tell.
    pub is_exchanger: Option<bool>,
    /// The word of RFC 7208 section 2.6; `null` where DNS did not tell.
    pub spf: Option<&'static str>,
    /// What DNS did not tell, and why.
    pub faults: Vec<String>,
    /// What that comes to.
    pub belongs: Belongs,
    /// The same in a sentence.
    pub meaning: String,
}

/// A mail exchanger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exchanger {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// Whether an address belongs to a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Belongs {
    /// The domain says so.
    Yes,
    /// The domain says that it does not.
    No,
    /// The domain does not say.
    Unsaid,
    /// DNS does not tell.
    Untold,
}

/// Whoever asks DNS for one text.
pub(super) struct Resolvers {
    asker: Asker,
    authenticator: Option<Authenticator>,
    /// Why there is none.
    fault: Option<String>,
    deadline: Instant,
}

impl Resolvers {
    /// Those of the configuration, or of the system. Must be called within a runtime.
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        let resolver = dns::resolver(&config.dns).map_err(|error| error.to_string())?;
        let made = Authenticator::new(&dns::resolvers(&config.dns), WITHIN);
        let fault = made.as_ref().err().map(ToString::to_string);
        Ok(Self {
            asker: Asker::new(resolver, WITHIN),
            authenticator: made.ok(),
            fault,
            deadline: Instant::now() + WITHIN,
        })
    }

    /// The first address of the host `name`.
    pub(super) async fn address(&self, name: &str) -> Option<IpAddr> {
        let found = dns::addresses(&self.asker, name, self.deadline).await.ok()?;
        found.first().copied()
    }

    /// What DNS says of `address`, from which somebody sent as `sender`, with the words of `helo`.
    pub(super) async fn origin(
        &self,
        config: &Config,
        address: IpAddr,
        helo: &str,
        sender: &str,
    ) -> Origin {
        let domain = sender.rsplit('@').next().unwrap_or_default().to_lowercase();
        let mut faults: Vec<String> = self.fault.iter().cloned().collect();
        let exchangers = dns::exchangers(&self.asker, &domain, self.deadline);
        let spf = async {
            let asked = self.authenticator.as_ref()?;
            Some(asked.spf(address, helo, sender, &config.hostname, WITHIN).await)
        };
        let (exchangers, spf) = tokio::join!(exchangers, spf);
        let (exchangers, is_exchanger) = compared(address, &domain, exchangers, &mut faults);
        let spf = match spf {
            Some(Spf::Pass(_)) => Some("pass"),
            Some(Spf::NotPass(word)) => Some(word),
            Some(Spf::Fault) => {
                faults.push(format!(
                    "SPF of {domain}: DNS gave no answer in time, or none that can be used"
                ));
                None
            }
            None => None,
        };
        let (belongs, meaning) = meaning(address, &domain, is_exchanger, spf);
        Origin { address, domain, exchangers, is_exchanger, spf, faults, belongs, meaning }
    }
}

/// The exchangers as they are shown, and whether `address` is one of them.
fn compared(
    address: IpAddr,
    domain: &str,
    found: Result<Exchangers, Fault>,
    faults: &mut Vec<String>,
) -> (Vec<Exchanger>, Option<bool>) {
    let hosts = match found {
        Ok(Exchangers::Hosts(hosts)) => hosts,
        Ok(Exchangers::NoMail) => return (Vec::new(), Some(false)),
        Ok(Exchangers::NoName) => {
            faults.push(format!("{domain:?} is no name that DNS can be asked for"));
            return (Vec::new(), None);
        }
        Err(fault) => {
            faults.push(format!("mail exchangers of {domain}: {}", told(fault)));
            return (Vec::new(), None);
        }
    };
    let mut shown = Vec::new();
    let mut is_whole = true;
    for host in hosts {
        let addresses = host.addresses.unwrap_or_else(|fault| {
            is_whole = false;
            faults.push(format!("addresses of {}: {}", host.name, told(fault)));
            Vec::new()
        });
        shown.push(Exchanger { name: host.name.to_string(), addresses });
    }
    let is_one = shown.iter().any(|host| host.addresses.contains(&address));
    (shown, (is_one || is_whole).then_some(is_one))
}

const fn told(fault: Fault) -> &'static str {
    match fault {
        Fault::ServerFailure => "the resolver fails (SERVFAIL), or does not answer this host",
        Fault::Timeout => "no answer in time",
        Fault::Malformed => "the answer cannot be read",
        Fault::Overload => "too many questions are open",
    }
}

fn meaning(
    address: IpAddr,
    domain: &str,
    is_exchanger: Option<bool>,
    spf: Option<&str>,
) -> (Belongs, String) {
    let (belongs, words) = match (spf, is_exchanger) {
        (Some("pass"), Some(true)) => (
            Belongs::Yes,
            format!(
                "{address} is a mail server of {domain}, and {domain} says that it may send its mail"
            ),
        ),
        (Some("pass"), _) => {
            (Belongs::Yes, format!("{domain} says by SPF that {address} may send its mail"))
        }
        (Some("fail" | "softfail"), Some(true)) => (
            Belongs::Yes,
            format!(
                "{address} takes the mail of {domain}, which leaves it out of its SPF record: {domain} should correct that"
            ),
        ),
        (_, Some(true)) => {
            (Belongs::Yes, format!("{address} is one of the mail servers of {domain}"))
        }
        (Some("fail"), _) => (
            Belongs::No,
            format!(
                "the mail left from a host that does not belong to {domain}, as {domain} itself says by SPF: \
                 perhaps a computer at home or on the way that did not use its mail server, or a forger"
            ),
        ),
        (Some("softfail"), _) => (
            Belongs::No,
            format!(
                "{domain} says by SPF that {address} probably does not send its mail: a computer \
                 that did not use its mail server, or a forger"
            ),
        ),
        (Some("permerror"), _) => (
            Belongs::Unsaid,
            format!(
                "the SPF record of {domain} is broken, and {address} takes none of its mail: ask there which host sends its mail"
            ),
        ),
        (None, _) | (_, None) => (
            Belongs::Untold,
            format!("DNS did not tell enough to say whether {address} belongs to {domain}"),
        ),
        (Some(_), Some(false)) => (
            Belongs::Unsaid,
            format!(
                "{address} takes none of the mail of {domain}, which does not say who may send it: ask there \
                 which host sends its mail, and whether that is its address"
            ),
        ),
    };
    (belongs, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mail_exchangers_and_spf_mean_together() {
        for (spf, is_exchanger, belongs, words) in [
            (Some("pass"), Some(true), Belongs::Yes, "is a mail server of"),
            (Some("pass"), Some(false), Belongs::Yes, "may send"),
            (Some("pass"), None, Belongs::Yes, "may send"),
            (Some("fail"), Some(true), Belongs::Yes, "should correct"),
            (Some("none"), Some(true), Belongs::Yes, "one of the mail servers"),
            (None, Some(true), Belongs::Yes, "one of the mail servers"),
            (Some("fail"), Some(false), Belongs::No, "does not belong to example.com"),
            (Some("fail"), None, Belongs::No, "does not belong to example.com"),
            (Some("softfail"), Some(false), Belongs::No, "probably"),
            (Some("permerror"), Some(false), Belongs::Unsaid, "broken"),
            (Some("none"), Some(false), Belongs::Unsaid, "ask there"),
            (Some("neutral"), None, Belongs::Untold, "did not tell"),
            (None, Some(false), Belongs::Untold, "did not tell"),
            (None, None, Belongs::Untold, "did not tell"),
        ] {
            let address = "198.51.100.66".parse().unwrap();
            let (found, meaning) = meaning(address, "example.com", is_exchanger, spf);
            assert_eq!(found, belongs, "{spf:?} {is_exchanger:?}");
            assert!(meaning.contains(words), "{spf:?} {is_exchanger:?}: {meaning}");
        }
    }

    #[test]
    fn a_fault_is_told_and_no_reason() {
        let host = |addresses| dns::Exchanger { name: "mx.example.com".into(), addresses };
        let address: IpAddr = "198.51.100.66".parse().unwrap();
        for (found, is_exchanger, fault) in [
            (Ok(Exchangers::Hosts(vec![host(Ok(vec![address]))])), Some(true), ""),
            (Ok(Exchangers::Hosts(vec![host(Ok(vec![]))])), Some(false), ""),
            (
                Ok(Exchangers::Hosts(vec![host(Err(Fault::Timeout)), host(Ok(vec![address]))])),
                Some(true),
                "addresses of mx.example.com: no answer in time",
            ),
            (
                Ok(Exchangers::Hosts(vec![host(Err(Fault::Timeout))])),
                None,
                "addresses of mx.example.com: no answer in time",
            ),
            (Ok(Exchangers::NoMail), Some(false), ""),
            (Ok(Exchangers::NoName), None, "\"example.com\" is no name that DNS can be asked for"),
            (
                Err(Fault::ServerFailure),
                None,
                "mail exchangers of example.com: the resolver fails (SERVFAIL), or does not answer this host",
            ),
        ] {
            let mut faults = Vec::new();
            let (_, found) = compared(address, "example.com", found, &mut faults);
            assert_eq!((found, faults.join("; ").as_str()), (is_exchanger, fault));
        }
    }
}
