//! The next hop: is it there, and does it let this host say who the client is?

use super::AS_ROOT;
use super::check::Check;
use crate::config::Config;
use crate::front::PassClient;
use crate::front::smtp::{Front, NextHopAnswer};

const AREA: &str = "next-hop";

/// Each next hop.
pub(super) async fn checks(config: &Config, is_daemon: bool) -> Vec<Check> {
    let Some(settings) = config.front_settings() else {
        return no_next_hop(config);
    };
    match Front::ask_next_hops(&settings).await {
        Ok(answers) => answers.iter().map(|it| judged(it, settings.next_hop.client)).collect(),
        // The daemon read the files with other rights, when it began.
        Err(error) if is_daemon => vec![Check::unseen(AREA, "TLS", &error, AS_ROOT)],
        Err(error) => vec![Check::bad(AREA, "TLS", &error, error.hint())],
    }
}

fn no_next_hop(config: &Config) -> Vec<Check> {
    if config.listeners.is_empty() {
        return Vec::new();
    }
    let remedy = "[next_hop] address = \"127.0.0.1:10025\": where accepted mail goes";
    vec![Check::bad(AREA, "next hop", "there are listeners and no next hop", remedy)]
}

fn judged(answer: &NextHopAnswer, client: PassClient) -> Check {
    let name = answer.address;
    if let Some((fault, remedy)) = &answer.fault {
        return Check::bad(AREA, name, fault, remedy);
    }
    let offers = if answer.offers.is_empty() {
        "nothing of what matters here".to_owned()
    } else {
        answer.offers.join(", ")
    };
    let found = format!("greets, and offers {offers}");
    match client {
        PassClient::None if answer.offers.contains(&"XCLIENT") => Check::doubtful(
            AREA,
            name,
            format_args!("{found}, yet takes this host for the client"),
            "client = \"xclient\" in [next_hop]",
        ),
        _ => Check::ok(AREA, name, found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn a_next_hop_is_judged_by_what_it_offers() {
        let fault = || Some(("cannot connect: refused".to_owned(), "start it".to_owned()));
        for (offers, fault, client, expected) in [
            (vec!["XCLIENT"], None, PassClient::Xclient, State::Ok),
            (vec![], None, PassClient::Proxy, State::Ok),
            (vec![], None, PassClient::None, State::Ok),
            (vec!["STARTTLS", "XCLIENT"], None, PassClient::None, State::Doubtful),
            (vec![], fault(), PassClient::Xclient, State::Bad),
        ] {
            let address = "127.0.0.1:25".parse().unwrap();
            let answer = NextHopAnswer { address, offers, fault };
            let check = judged(&answer, client);
            assert_eq!(check.state, expected, "{check:?}");
            assert_eq!(check.remedy.is_some(), check.state != State::Ok);
        }
    }
}
