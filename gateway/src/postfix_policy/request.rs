//! Cuts what Postfix sends into requests: lines `name=value`, ended by an empty one.

use std::net::IpAddr;

use crate::net::fold;
use crate::policy::Envelope;

/// Octets of one request; Postfix's own limit for an attribute is 2,048, and there are some forty of them.
const LONGEST: usize = 128 * 1024;

/// Where the SMTP session of the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The client connected.
    Connect,
    /// It said its name, or a command that is no part of sending mail.
    Other,
    /// It named a recipient.
    Recipient,
    /// It is about to send the message.
    Data,
    /// The message is whole.
    EndOfMessage,
}

/// What Postfix wants to know, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where the session is.
    pub stage: Stage,
    /// The client; `None` where Postfix does not know its address.
    pub client: Option<IpAddr>,
    /// Its port, 0 where nobody knows.
    pub client_port: u16,
    /// Postfix's end, where it told.
    pub server: Option<IpAddr>,
    /// Its port, 0 where nobody knows.
    pub server_port: u16,
    /// The name of HELO or EHLO.
    pub helo: String,
    /// The sender, empty for a bounce, and before it is named.
    pub sender: String,
    /// The recipient, empty before one is named.
    pub recipient: String,
    /// The name in the queue; `None` before there is one.
    pub queue_id: Option<String>,
    /// What all requests about one message have in common.
    pub instance: String,
    /// Whether the client's user has logged in.
    pub is_authenticated: bool,
}

/// Why what came is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestFault {
    /// It does not end.
    #[error("a request of more than {LONGEST} octets, expected an empty line before")]
    TooLong,
    /// A line is none of an attribute.
    #[error("a line without `=`, expected `name=value`")]
    NoAttribute,
    /// It asks for something else.
    #[error("no `request=smtpd_access_policy`, expected it in each request")]
    OtherRequest,
    /// The state of the session is none that Postfix has.
    #[error("no `protocol_state` that is known")]
    Stage,
}

/// What Postfix sent and nobody has read yet, cut into requests.
#[derive(Debug, Default)]
pub struct RequestBuffer {
    octets: Vec<u8>,
    /// Octets at the front in which no end was found.
    searched: usize,
}

impl RequestBuffer {
    /// Room for at least `size` more octets, to be appended by whoever reads from the socket.
    pub fn space(&mut self, size: usize) -> &mut Vec<u8> {
        self.octets.reserve(size);
        &mut self.octets
    }

    /// The next request, or why it is none, after which nothing more can be understood; `None` when its end is not here yet.
    pub fn next_request(&mut self) -> Option<Result<Request, RequestFault>> {
        let from = self.searched.saturating_sub(1);
        let new = self.octets.get(from..).unwrap_or_default();
        let end = new.windows(2).position(|two| two == b"\n\n").map(|at| from + at + 2);
        let Some(end) = end.filter(|end| *end <= LONGEST) else {
            self.searched = self.octets.len();
            return (self.searched > LONGEST).then_some(Err(RequestFault::TooLong));
        };
        self.searched = 0;
        let request = self.octets.drain(..end).collect::<Vec<_>>();
        Some(Request::parse(&request))
    }
}

impl Request {
    /// Reads the lines of a request; attributes that do not matter are passed over, of a name that comes twice the last counts.
    fn parse(lines: &[u8]) -> Result<Self, RequestFault> {
        let mut request = Self {
            stage: Stage::Other,
            client: None,
            client_port: 0,
            server: None,
            server_port: 0,
            helo: String::new(),
            sender: String::new(),
            recipient: String::new(),
            queue_id: None,
            instance: String::new(),
            is_authenticated: false,
        };
        let (mut is_known, mut stage) = (false, None);
        for line in lines.split(|&octet| octet == b'\n').filter(|line| !line.is_empty()) {
            let equals = line.iter().position(|&octet| octet == b'=');
            let equals = equals.ok_or(RequestFault::NoAttribute)?;
            let (name, value) = line.split_at(equals);
            let value = value.get(1..).unwrap_or_default();
            let port = || str::from_utf8(value).ok().and_then(|port| port.parse().ok());
            match name {
                b"request" => is_known = value == b"smtpd_access_policy",
                b"protocol_state" => stage = Stage::of(value),
                b"client_address" => request.client = address(value),
                b"client_port" => request.client_port = port().unwrap_or(0),
                b"server_address" => request.server = address(value),
                b"server_port" => request.server_port = port().unwrap_or(0),
                b"helo_name" => request.helo = Envelope::capped(value),
                b"sender" => request.sender = Envelope::capped(value),
                b"recipient" => request.recipient = Envelope::capped(value),
                b"queue_id" => {
                    request.queue_id = Some(Envelope::capped(value)).filter(|id| !id.is_empty());
                }
                b"instance" => request.instance = Envelope::capped(value),
                b"sasl_username" => request.is_authenticated = !value.is_empty(),
                _ => {}
            }
        }
        if !is_known {
            return Err(RequestFault::OtherRequest);
        }
        Ok(Self { stage: stage.ok_or(RequestFault::Stage)?, ..request })
    }
}

impl Stage {
    fn of(state: &[u8]) -> Option<Self> {
        Some(match state {
            b"CONNECT" => Self::Connect,
            b"RCPT" => Self::Recipient,
            b"DATA" | b"BDAT" => Self::Data,
            b"END-OF-MESSAGE" => Self::EndOfMessage,
            b"HELO" | b"EHLO" | b"MAIL" | b"VRFY" | b"ETRN" => Self::Other,
            _ => return None,
        })
    }
}

fn address(text: &[u8]) -> Option<IpAddr> {
    str::from_utf8(text).ok()?.parse().ok().map(fold)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A request as Postfix 3.7 sends it, with some of what does not matter.
    const WHOLE: &str = "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n\
        client_address=198.51.100.7\nclient_name=unknown\nclient_port=4711\n\
        server_address=192.0.2.1\nserver_port=25\nhelo_name=mail.example\n\
        queue_id=\nsender=a@example.com\nrecipient=b@example.org\nrecipient_count=0\n\
        instance=7b.6923.1.0\nsize=0\nsasl_username=\nccert_subject=a=b\n\n";

    fn requests(
        pieces: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Vec<Result<Request, RequestFault>> {
        let mut buffer = RequestBuffer::default();
        let mut found = Vec::new();
        for piece in pieces {
            buffer.space(1).extend_from_slice(piece.as_ref());
            while let Some(request) = buffer.next_request() {
                let is_fault = request.is_err();
                found.push(request);
                if is_fault {
                    return found;
                }
            }
        }
        found
    }

    fn whole() -> Request {
        Request {
            stage: Stage::Recipient,
            client: Some("198.51.100.7".parse().unwrap()),
            client_port: 4711,
            server: Some("192.0.2.1".parse().unwrap()),
            server_port: 25,
            helo: "mail.example".to_owned(),
            sender: "a@example.com".to_owned(),
            recipient: "b@example.org".to_owned(),
            queue_id: None,
            instance: "7b.6923.1.0".to_owned(),
            is_authenticated: false,
        }
    }

    #[test]
    fn requests_and_faults() {
        let changed = |from: &str, to: &str| WHOLE.replace(from, to);
        for (sent, expected) in [
            (String::new(), vec![]),
            ("request=smtpd_access_policy\n".to_owned(), vec![]),
            (WHOLE.to_owned(), vec![Ok(whole())]),
            (WHOLE.repeat(2), vec![Ok(whole()), Ok(whole())]),
            (changed("198.51.100.7", "::ffff:198.51.100.7"), vec![Ok(whole())]),
            (changed("198.51.100.7", "unknown"), vec![Ok(Request { client: None, ..whole() })]),
            (
                changed("client_port=4711\n", "client_port=x\nnew=\u{1}\n"),
                vec![Ok(Request { client_port: 0, ..whole() })],
            ),
            (
                changed("sasl_username=", "sasl_username=user"),
                vec![Ok(Request { is_authenticated: true, ..whole() })],
            ),
            (
                changed("RCPT", "END-OF-MESSAGE").replace("queue_id=", "queue_id=4F2"),
                vec![Ok(Request {
                    stage: Stage::EndOfMessage,
                    queue_id: Some("4F2".to_owned()),
                    ..whole()
                })],
            ),
            (changed("RCPT", "LUNCH"), vec![Err(RequestFault::Stage)]),
            (changed("size=0", "size"), vec![Err(RequestFault::NoAttribute)]),
            (changed("request=smtpd", "request=junk"), vec![Err(RequestFault::OtherRequest)]),
            ("\n\n".to_owned(), vec![Err(RequestFault::OtherRequest)]),
            (format!("a={}", "x".repeat(LONGEST)), vec![Err(RequestFault::TooLong)]),
            (format!("a={}\n\n", "x".repeat(LONGEST)), vec![Err(RequestFault::TooLong)]),
        ] {
            assert_eq!(requests([&sent]), expected, "{sent:.300}");
        }
        let long = changed("a@example.com", &"é".repeat(2000));
        assert_eq!(requests([&long])[0].as_ref().unwrap().sender, "é".repeat(Envelope::KEPT));
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(
            sent in prop_oneof![".*", Just(WHOLE.repeat(3)), "(request=smtpd_access_policy\n|protocol_state=DATA\n|\n|a=b\n|=|x\n){0,20}"],
            size in 1_usize..40,
        ) {
            prop_assert_eq!(requests(sent.as_bytes().chunks(size)), requests([&sent]));
        }
    }
}
