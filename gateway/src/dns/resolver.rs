//! Asks the resolvers of the configuration, or those of the system.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tracing::warn;

use super::Settings;
use super::resolve::{Answer, Fault, Kind, Question, Records, Resolve};

/// The port of DNS (RFC 1035 section 4.2).
const PORT: u16 = 53;

/// How long one try waits. Lost datagrams are sent again within it; an answer that is late still counts for the next one.
const TRY_TIME: Duration = Duration::from_secs(4);

/// The tries after the first.
const MORE_TRIES: usize = 1;

/// The most records of one answer that are taken.
const MOST_RECORDS: usize = 64;

/// The most names, or texts, of one answer that are taken.
const MOST_NAMES: usize = 5;

/// The most octets of one text that are taken.
const MOST_TEXT: usize = 2000;

/// How long "there is none" is good where the answer does not say it.
const NEGATIVE_TTL: u32 = 300;

/// The resolvers that `settings` name. Those of the system are the ones of `/etc/resolv.conf` at this moment.
pub fn resolver(settings: &Settings) -> Result<Arc<dyn Resolve>, ResolverError> {
    let config = ResolverConfig::from_name_servers(servers(settings));
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = TRY_TIME;
    options.attempts = MORE_TRIES;
    // What is kept is kept by whoever asks, who knows for how long it counts.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.max_active_requests = 4096;
    options.preserve_intermediates = false;
    let resolver = builder.build().map_err(|error| ResolverError(error.to_string()))?;
    Ok(Arc::new(Hickory(resolver)))
}

/// The addresses of the same resolvers, for others who ask by themselves.
pub fn resolvers(settings: &Settings) -> Vec<SocketAddr> {
    let address = |server: NameServerConfig| {
        let port = server.connections.first().map_or(PORT, |connection| connection.port);
        SocketAddr::new(server.ip, port)
    };
    servers(settings).into_iter().map(address).collect()
}

fn servers(settings: &Settings) -> Vec<NameServerConfig> {
    if settings.resolvers.is_empty() {
        return of_system();
    }
    settings.resolvers.iter().map(|address| server(*address)).collect()
}

/// Why there is no resolver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no resolver can be set up: {0}")]
pub struct ResolverError(String);

fn of_system() -> Vec<NameServerConfig> {
    match hickory_resolver::system_conf::read_system_conf() {
        Ok((config, _options)) => config.name_servers().to_vec(),
        Err(error) => {
            // As every other program does.
            warn!(target: "dns", "/etc/resolv.conf: {error}; 127.0.0.1 is asked");
            vec![server(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT))]
        }
    }
}

fn server(address: SocketAddr) -> NameServerConfig {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    udp.port = address.port();
    tcp.port = address.port();
    NameServerConfig::new(address.ip(), true, vec![udp, tcp])
}

struct Hickory(TokioResolver);

impl Resolve for Hickory {
    fn resolve(&self, question: Question) -> BoxFuture<'static, Result<Answer, Fault>> {
        let resolver = self.0.clone();
        async move {
            let kind = match question.kind {
                Kind::A => RecordType::A,
                Kind::Aaaa => RecordType::AAAA,
                Kind::Txt => RecordType::TXT,
                Kind::Ptr => RecordType::PTR,
                Kind::Mx => RecordType::MX,
            };
            let name = Name::from_ascii(&question.name).map_err(|_no_name| Fault::Malformed)?;
            match resolver.lookup(name, kind).await {
                Ok(lookup) => Ok(answer(question.kind, &lookup)),
                Err(error) => none(&error),
            }
        }
        .boxed()
    }
}

fn answer(kind: Kind, lookup: &Lookup) -> Answer {
    let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or(NEGATIVE_TTL);
    // Strangers write reverse names, and all of an answer is kept.
    let most = if matches!(kind, Kind::Ptr | Kind::Txt) { MOST_NAMES } else { MOST_RECORDS };
    let data = || lookup.answers().iter().map(|record| &record.data).take(most);
    let records = match kind {
        Kind::A => Records::A(data().filter_map(as_a).collect()),
        Kind::Aaaa => Records::Aaaa(
            data()
                .filter_map(|data| if let RData::AAAA(v6) = data { Some(v6.0) } else { None })
                .collect(),
        ),
        Kind::Txt => Records::Txt(
            data()
                .filter_map(|data| if let RData::TXT(txt) = data { Some(txt) } else { None })
                .map(|txt| text(&txt.txt_data))
                .collect(),
        ),
        Kind::Ptr => Records::Ptr(
            data()
                .filter_map(|data| if let RData::PTR(name) = data { Some(name) } else { None })
                .map(|name| name.0.to_ascii())
                .filter(|name| name.len() <= 255)
                .collect(),
        ),
        Kind::Mx => Records::Mx(
            data()
                .filter_map(|data| if let RData::MX(mx) = data { Some(mx) } else { None })
                .map(|mx| (mx.preference, mx.exchange.to_ascii()))
                .filter(|(_, name)| name.len() <= 255)
                .collect(),
        ),
    };
    Answer { records: records.or_none(), ttl: Duration::from_secs(ttl.into()) }
}

const fn as_a(data: &RData) -> Option<Ipv4Addr> {
    if let RData::A(v4) = data { Some(v4.0) } else { None }
}

fn text(parts: &[Box<[u8]>]) -> String {
    let octets = parts.iter().flat_map(|part| part.iter().copied());
    let octets: Vec<u8> = octets.take(MOST_TEXT).collect();
    String::from_utf8_lossy(&octets).into_owned()
}

/// What an error means. Its text is not used: it may hold the name that was asked, and with that an access key.
fn none(error: &NetError) -> Result<Answer, Fault> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let ttl = none.negative_ttl.unwrap_or(NEGATIVE_TTL);
            Ok(Answer { records: Records::None, ttl: Duration::from_secs(ttl.into()) })
        }
        NetError::Timeout | NetError::Io(_) | NetError::NoConnections => Err(Fault::Timeout),
        NetError::Busy => Err(Fault::Overload),
        NetError::Dns(DnsError::ResponseCode(_)) => Err(Fault::ServerFailure),
        _ => Err(Fault::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UdpSocket;

    use super::*;

    /// Answers over UDP: a list of addresses, a text and none by the first letter of the name, SERVFAIL for the rest.
    async fn serve(socket: UdpSocket) {
        let mut question = [0; 512];
        loop {
            let (length, asker) = socket.recv_from(&mut question).await.unwrap();
            let name_length = question[12..].iter().position(|octet| *octet == 0).unwrap() + 1;
            let end = 12 + name_length + 4;
            assert!(end <= length);
            let record = |kind: u8, data: &[u8]| {
                let head = [0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 120, 0];
                [&head[..], &[u8::try_from(data.len()).unwrap()], data].concat()
            };
            let (code, answers, records) = match question[13] {
                b'a' => (0, 2, [record(1, &[127, 0, 0, 2]), record(1, &[127, 0, 0, 4])].concat()),
                b't' => (0, 1, record(16, b"\x02hi\x03\xffyo")),
                b'p' => (0, 1, record(12, b"\x04Mail\x07example\x00")),
                b'm' => (0, 1, record(15, b"\0\x0a\x04Mail\x07example\x00")),
                b'n' => (3, 0, Vec::new()),
                _ => (2, 0, Vec::new()),
            };
            let mut reply = question[..2].to_vec();
            reply.extend([0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
            reply.extend(&question[12..end]);
            reply.extend(records);
            socket.send_to(&reply, asker).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_real_server_is_asked_and_understood() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let resolvers = vec![socket.local_addr().unwrap()];
        let server = tokio::spawn(serve(socket));
        let resolver = resolver(&Settings { resolvers, ..Settings::default() }).unwrap();
        let addresses = vec![[127, 0, 0, 2].into(), [127, 0, 0, 4].into()];
        for (kind, name, expected) in [
            (Kind::A, "a.example.org.", Ok((Records::A(addresses), 120))),
            (Kind::Txt, "t.example.org.", Ok((Records::Txt(vec!["hi\u{fffd}yo".into()]), 120))),
            (Kind::Ptr, "p.example.org.", Ok((Records::Ptr(vec!["Mail.example.".into()]), 120))),
            (
                Kind::Mx,
                "m.example.org.",
                Ok((Records::Mx(vec![(10, "Mail.example.".into())]), 120)),
            ),
            (Kind::A, "n.example.org.", Ok((Records::None, 300))),
            (Kind::A, "s.example.org.", Err(Fault::ServerFailure)),
            (Kind::A, "a..example.org.", Err(Fault::Malformed)),
        ] {
            let found = resolver.resolve(Question::new(kind, name)).await;
            let found = found.map(|answer| (answer.records, answer.ttl.as_secs()));
            assert_eq!(found, expected, "{name}");
        }
        server.abort();
    }
}
