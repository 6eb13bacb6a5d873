//! Asks for the reverse name of an address, and whether forward DNS confirms it.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::asker::Asker;
use super::host_name::host_name;
use super::resolve::{Fault, Kind, Question, Records};
use crate::net::{Ptr, fold};
use crate::zone::reverse_question;

/// The most names of one address that are confirmed.
const MOST_NAMES: usize = 5;

/// What reverse DNS says about `address` until `deadline`.
pub async fn reverse(asker: &Asker, address: IpAddr, deadline: Instant) -> Ptr {
    let address = fold(address);
    let question = Question::new(Kind::Ptr, reverse_question(address));
    let names: Vec<Arc<str>> = match asker.ask(&question, None, deadline, None).await {
        Err(fault) => return Ptr::Fault(fault.into()),
        Ok(records) => match &*records {
            Records::Ptr(names) => {
                names.iter().filter_map(|name| host_name(name)).take(MOST_NAMES).collect()
            }
            _ => Vec::new(),
        },
    };
    if names.is_empty() {
        return Ptr::None;
    }
    let answers = names.iter().map(|name| has(asker, name, address, deadline));
    let answers = join_all(answers).await;
    let confirmed = names.iter().zip(&answers).find(|(_, has)| **has == Ok(true));
    if let Some((name, _)) = confirmed {
        return Ptr::Confirmed(Arc::clone(name));
    }
    match answers.into_iter().find_map(Result::err) {
        Some(fault) => Ptr::Fault(fault.into()),
        None => Ptr::Unconfirmed(names),
    }
}

/// Whether `name` has `address`.
async fn has(asker: &Asker, name: &str, address: IpAddr, deadline: Instant) -> Result<bool, Fault> {
    let kind = if address.is_ipv4() { Kind::A } else { Kind::Aaaa };
    let question = Question::new(kind, format!("{name}."));
    let records = asker.ask(&question, None, deadline, None).await?;
    Ok(match (&*records, address) {
        (Records::A(addresses), IpAddr::V4(v4)) => addresses.contains(&v4),
        (Records::Aaaa(addresses), IpAddr::V6(v6)) => addresses.contains(&v6),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fake::Fake;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_name_counts_when_it_has_the_address() {
        let v4 = |octets: [u8; 4]| Ok(Records::A(vec![octets.into()]));
        let names = |names: &[&str]| {
            Ok(Records::Ptr(names.iter().map(ToString::to_string).collect::<Vec<_>>()))
        };
        for (ptr, forward, expected) in [
            (Ok(Records::None), Ok(Records::None), "none"),
            (names(&["Mail.Example.ORG."]), v4([192, 0, 2, 99]), "mail.example.org(confirmed)"),
            (names(&["mail.example.org."]), v4([192, 0, 2, 1]), "mail.example.org(unconfirmed)"),
            (
                names(&["x.example.", "mail.example.org."]),
                v4([192, 0, 2, 99]),
                "mail.example.org(confirmed)",
            ),
            (names(&["mail.example.org."]), Err(Fault::ServerFailure), "servfail"),
            (names(&["<b>.example."]), Ok(Records::None), "none"),
            (Err(Fault::ServerFailure), Ok(Records::None), "servfail"),
            (Err(Fault::Timeout), Ok(Records::None), "timeout"),
        ] {
            let fake = Fake::default();
            fake.tell(Kind::Ptr, "99.2.0.192.in-addr.arpa.", 300, ptr);
            fake.tell(Kind::A, "mail.example.org.", 300, forward);
            let asker = Asker::new(Arc::new(fake), Duration::from_secs(2));
            let deadline = Instant::now() + Duration::from_secs(2);
            let found = reverse(&asker, "192.0.2.99".parse().unwrap(), deadline).await;
            assert_eq!(found.to_string(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_there_is_time() {
        let fake = Fake::default();
        fake.tell(
            Kind::Ptr,
            "99.2.0.192.in-addr.arpa.",
            300,
            Ok(Records::Ptr(vec!["a.example.".into()])),
        );
        fake.delay(20);
        let asker = Asker::new(Arc::new(fake), Duration::from_secs(2));
        let begun = Instant::now();
        let deadline = begun + Duration::from_secs(2);
        let found = reverse(&asker, "192.0.2.99".parse().unwrap(), deadline).await;
        assert_eq!((found.to_string().as_str(), begun.elapsed().as_secs()), ("timeout", 2));
    }
}
