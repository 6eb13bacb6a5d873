//! DNS: does each resolver answer, and do the zones answer through it?

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::check::Check;
use crate::alarm::Alarms;
use crate::clock::Clock;
use crate::config::{Config, SaidOfZones};
use crate::dns::{self, Asker, ConfiguredZone, Fault, Kind, Question, ZoneTest, Zones};
use crate::zone::Zone;

const AREA: &str = "dns";

/// What every resolver knows, or learns from those that it asks first. Of some names the library that asks has the answer
/// itself (RFC 6303), so it is none of those.
const KNOWN: &str = "a.root-servers.net.";

/// How long a resolver may take to say it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Resolvers of the world, which lists such as those of Spamhaus do not answer (127.255.255.254).
const PUBLIC: [&str; 14] = [
    "1.0.0.1",
    "1.1.1.1",
    "8.8.4.4",
    "8.8.8.8",
    "9.9.9.9",
    "149.112.112.112",
    "208.67.220.220",
    "208.67.222.222",
    "2001:4860:4860::8844",
    "2001:4860:4860::8888",
    "2606:4700:4700::1001",
    "2606:4700:4700::1111",
    "2620:fe::9",
    "2620:fe::fe",
];

/// Each resolver, then each zone, in that time.
pub(super) async fn checks(config: Arc<Config>, within: Duration) -> Vec<Check> {
    let read = Arc::clone(&config);
    // Reads the store, so it stays off the threads that carry mail.
    let said = spawn_blocking(move || read.said_of_zones()).await.unwrap_or_default();
    let SaidOfZones { added, off, .. } = said;
    let all = config.zones.iter().cloned().chain(added);
    let zones: Vec<_> = all.filter(|zone| !off.contains(&zone.name)).collect();
    // The last quarter is for telling what did not answer.
    let until = within / 4 * 3;
    let (mut checks, of_zones) = join(
        resolvers(&config, !zones.is_empty(), PATIENCE.min(until)),
        timeout(until, test(&config, zones)),
    )
    .await;
    checks.extend(of_zones.unwrap_or_else(|_slow| vec![super::slow(AREA, "zones", until)]));
    checks
}

async fn resolvers(config: &Config, is_needed: bool, patience: Duration) -> Vec<Check> {
    let addresses = dns::resolvers(&config.dns);
    let asked = join_all(addresses.iter().map(|address| ask(config, *address, patience))).await;
    let is_any_well = asked.iter().any(Result::is_ok);
    let judged = addresses.iter().zip(asked);
    judged.map(|(address, answer)| resolver(*address, answer, is_needed, is_any_well)).collect()
}

/// Why a resolver is of no use, or of less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Silent,
    Fails,
    Unreadable,
}

impl Trouble {
    const fn words(self) -> &'static str {
        match self {
            Self::Silent => "it does not answer",
            Self::Fails => "it answers with SERVFAIL or REFUSED",
            Self::Unreadable => "its answer cannot be read",
        }
    }
}

/// How long one resolver took to answer; why it did not.
async fn ask(
    config: &Config,
    address: SocketAddr,
    patience: Duration,
) -> Result<Duration, Trouble> {
    let settings = dns::Settings { resolvers: vec![address], ..config.dns.clone() };
    let resolver = dns::resolver(&settings).map_err(|_no_resolver| Trouble::Unreadable)?;
    let begun = Instant::now();
    let question = Question::new(Kind::A, KNOWN.to_owned());
    match timeout(patience, resolver.resolve(question)).await {
        Ok(Ok(_answer)) => Ok(begun.elapsed()),
        Ok(Err(Fault::Timeout)) | Err(_) => Err(Trouble::Silent),
        Ok(Err(Fault::ServerFailure)) => Err(Trouble::Fails),
        Ok(Err(_)) => Err(Trouble::Unreadable),
    }
}

fn resolver(
    address: SocketAddr,
    answer: Result<Duration, Trouble>,
    is_needed: bool,
    is_any_well: bool,
) -> Check {
    let name = format!("resolver {address}");
    let ip = address.ip().to_string();
    match answer {
        Err(trouble) => {
            let remedy = format!(
                "`dig @{ip} -p {} {KNOWN}` tries it; start it, or correct `[dns] resolvers` or /etc/resolv.conf",
                address.port()
            );
            let words = trouble.words();
            // One that answers with an error may still know the zones, whose test entries tell.
            if trouble == Trouble::Silent && is_needed && !is_any_well {
                let found = format!("{words}, nor does another one: nothing is known of zones");
                Check::bad(AREA, name, found, remedy)
            } else {
                Check::doubtful(AREA, name, words, remedy)
            }
        }
        Ok(_) if is_needed && PUBLIC.contains(&&*ip) => Check::doubtful(
            AREA,
            name,
            "a public one: zones such as those of Spamhaus answer it with errors (127.255.255.254)",
            "install a resolver on this host (unbound) and set `[dns] resolvers = [\"127.0.0.1\"]`",
        ),
        Ok(took) => Check::ok(AREA, name, format_args!("answers in {} ms", took.as_millis())),
    }
}

/// The test entries of all zones.
async fn test(config: &Config, wanted: Vec<Arc<Zone>>) -> Vec<Check> {
    let Ok(resolver) = dns::resolver(&config.dns) else { return Vec::new() };
    let asker = Asker::new(resolver, config.dns.budget);
    let zones = Zones::new(asker, Alarms::default(), Clock::System, |_event| {});
    let names: Vec<_> = wanted.iter().map(|zone| Arc::clone(&zone.name)).collect();
    zones.set(wanted.into_iter().map(|zone| ConfiguredZone { enabled: true, zone }).collect());
    let tested = join_all(names.iter().map(|name| zones.test(name))).await;
    tested.into_iter().flatten().map(|test| zone(&test)).collect()
}

fn zone(test: &ZoneTest) -> Check {
    let name = format!("zone {}", test.zone);
    if test.well {
        return Check::ok(AREA, name, &test.verdict);
    }
    let remedy = test.remedy.unwrap_or("look at the resolver");
    Check::bad(
        AREA,
        name,
        &test.verdict,
        format_args!("{remedy}; `portcullis zones test {}` shows each answer", test.zone),
    )
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn a_resolver_is_judged_by_its_answer_and_by_whether_it_matters() {
        let took = || Ok(Duration::from_millis(3));
        let fault = || Err(Trouble::Silent);
        for (address, answer, is_needed, is_any_well, expected) in [
            ("127.0.0.1:53", took(), true, true, State::Ok),
            ("127.0.0.1:53", fault(), true, false, State::Bad),
            ("127.0.0.1:53", fault(), true, true, State::Doubtful),
            ("127.0.0.1:53", fault(), false, false, State::Doubtful),
            ("127.0.0.1:53", Err(Trouble::Fails), true, false, State::Doubtful),
            ("8.8.8.8:53", took(), true, true, State::Doubtful),
            ("8.8.8.8:53", took(), false, true, State::Ok),
            ("[2606:4700:4700::1111]:53", took(), true, true, State::Doubtful),
        ] {
            let check = resolver(address.parse().unwrap(), answer, is_needed, is_any_well);
            assert_eq!(check.state, expected, "{address} {check:?}");
        }
        assert!(PUBLIC.iter().all(|it| it.parse::<std::net::IpAddr>().unwrap().to_string() == *it));
    }
}
