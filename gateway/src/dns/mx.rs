//! Asks where the mail of a domain goes: its mail exchangers and their addresses.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::{join, join_all};
use tokio::time::Instant;

use super::asker::Asker;
use super::host_name::host_name;
use super::resolve::{Fault, Kind, Question, Records};

/// The most exchangers of one domain that are asked for.
const MOST_EXCHANGERS: usize = 10;

/// Where the mail of a domain goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchangers {
    /// It is no name that DNS can be asked for.
    NoName,
    /// The domain says that it takes no mail (RFC 7505).
    NoMail,
    /// These hosts, the best first. Where the domain names none, it is the domain itself (RFC 5321 section 5.1).
    Hosts(Vec<Exchanger>),
}

/// A host that takes the mail of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanger {
    /// Its name.
    pub name: Arc<str>,
    /// Its addresses, as far as DNS told them; or why it did not.
    pub addresses: Result<Vec<IpAddr>, Fault>,
}

/// Where the mail of `domain` goes, as far as DNS tells until `deadline`.
pub async fn exchangers(
    asker: &Asker,
    domain: &str,
    deadline: Instant,
) -> Result<Exchangers, Fault> {
    let Some(domain) = host_name(domain) else { return Ok(Exchangers::NoName) };
    let question = Question::new(Kind::Mx, format!("{domain}."));
    let records = asker.ask(&question, None, deadline, None).await?;
    let mut named = match &*records {
        Records::Mx(named) => named.clone(),
        _ => Vec::new(),
    };
    if named.iter().any(|(_, name)| name == ".") {
        return Ok(Exchangers::NoMail);
    }
    named.sort();
    let names: Vec<_> = named.iter().filter_map(|(_, name)| host_name(name)).collect();
    let names = if names.is_empty() { vec![domain] } else { names };
    let hosts = names.into_iter().take(MOST_EXCHANGERS).map(|name| async move {
        let addresses = addresses(asker, &name, deadline).await;
        Exchanger { name, addresses }
    });
    Ok(Exchangers::Hosts(join_all(hosts).await))
}

/// The addresses of the host `name`; a fault only where neither family was told.
pub async fn addresses(asker: &Asker, name: &str, deadline: Instant) -> Result<Vec<IpAddr>, Fault> {
    let Some(name) = host_name(name) else { return Ok(Vec::new()) };
    let [v4, v6] = [Kind::A, Kind::Aaaa].map(|kind| Question::new(kind, format!("{name}.")));
    let ask = |question| asker.ask(question, None, deadline, None);
    let (v4, v6) = join(ask(&v4), ask(&v6)).await;
    let mut found = Vec::new();
    for records in [&v4, &v6].into_iter().flatten() {
        match &**records {
            Records::A(records) => found.extend(records.iter().copied().map(IpAddr::V4)),
            Records::Aaaa(records) => found.extend(records.iter().copied().map(IpAddr::V6)),
            _ => {}
        }
    }
    match (v4, v6) {
        (Err(fault), _) | (_, Err(fault)) if found.is_empty() => Err(fault),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fake::Fake;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn where_the_mail_of_a_domain_goes() {
        let mx = |named: &[(u16, &str)]| {
            let named = named.iter().map(|(preference, name)| (*preference, (*name).to_owned()));
            Ok(Records::Mx(named.collect()))
        };
        let many: Vec<_> = (0..40).map(|_| (10, "b.example.")).collect();
        for (name, records, expected) in [
            (
                "two",
                mx(&[(20, "b.example."), (10, "A.Example.")]),
                "a.example: 192.0.2.1; b.example: 2001:db8::1",
            ),
            ("none, so itself", Ok(Records::None), "d.example: 192.0.2.4"),
            ("takes no mail", mx(&[(0, ".")]), "NoMail"),
            ("no name", mx(&[(0, "a b."), (5, "gone.example.")]), "gone.example:"),
            ("ill", mx(&[(0, "ill.example.")]), "ill.example: ServerFailure"),
            ("fault", Err(Fault::Timeout), "Timeout"),
            ("many", mx(&many), &["b.example: 2001:db8::1"; 10].join("; ")),
        ] {
            let fake = Fake::default();
            fake.tell(Kind::Mx, "d.example.", 60, records);
            fake.list("a.example.", [192, 0, 2, 1]);
            fake.list("d.example.", [192, 0, 2, 4]);
            let v6 = "2001:db8::1".parse().unwrap();
            fake.tell(Kind::Aaaa, "b.example.", 60, Ok(Records::Aaaa(vec![v6])));
            fake.tell(Kind::A, "b.example.", 60, Err(Fault::ServerFailure));
            fake.tell(Kind::A, "ill.example.", 60, Err(Fault::ServerFailure));
            let asker = Asker::new(Arc::new(fake), Duration::from_secs(2));
            let deadline = Instant::now() + Duration::from_secs(5);
            let shown = |host: Exchanger| match host.addresses {
                Ok(addresses) => {
                    let addresses = addresses.iter().map(|ip| format!(" {ip}"));
                    format!("{}:{}", host.name, addresses.collect::<String>())
                }
                Err(fault) => format!("{}: {fault:?}", host.name),
            };
            let found = match exchangers(&asker, "D.example", deadline).await {
                Ok(Exchangers::Hosts(hosts)) => {
                    hosts.into_iter().map(shown).collect::<Vec<_>>().join("; ")
                }
                Ok(other) => format!("{other:?}"),
                Err(fault) => format!("{fault:?}"),
            };
            assert_eq!(found, expected, "{name}");
        }
        let asker = Asker::new(Arc::new(Fake::default()), Duration::from_secs(2));
        let found = exchangers(&asker, "no name", Instant::now()).await;
        assert_eq!(found, Ok(Exchangers::NoName));
    }
}
