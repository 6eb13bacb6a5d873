//! The order of commands: what each means where it comes, and whether it is answered.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Command, Macros, Message, Terms, TermsFault};

/// A dialogue with a mail server, as far as it has come.
#[derive(Debug)]
pub struct Dialogue {
    header_limit: usize,
    recipients: usize,
    needs_body: bool,
    terms: Option<Terms>,
    is_connected: bool,
    helo: String,
    message: Option<Message>,
    /// Macros that came for a command that is still to come.
    waiting: Option<Macros>,
}

/// The two ends of the client's connection, as far as the mail server told them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSaid {
    /// The client; a program of the mail server's own host has loopback.
    pub address: SocketAddr,
    /// The mail server's end, 0.0.0.0:0 where nobody told.
    pub local: SocketAddr,
}

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// To be told the terms.
    Negotiated(Terms),
    /// A judgement of the client.
    Connected(ClientSaid),
    /// A judgement of the client again, now that it is known whether its user has logged in.
    Began {
        /// Whether it has.
        is_authenticated: bool,
    },
    /// A judgement of this recipient.
    Recipient(String),
    /// A judgement of the message by its header.
    HeaderEnded,
    /// To know whether more of the body is needed than this piece.
    Body(Vec<u8>),
    /// The last judgement, after this last piece of the body.
    Ended(Vec<u8>),
    /// To go on.
    Plain,
    /// Nothing.
    Silent,
    /// Nothing; the message comes to nothing.
    Aborted,
    /// Nothing; another client follows.
    NextClient,
    /// Nothing; the connection is over.
    Quit,
}

/// Why a command cannot come here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialogueFault {
    /// Something else has to come first, or cannot come again.
    #[error("`{0}` out of its order in the milter protocol")]
    Order(&'static str),
    /// Nothing can be agreed on.
    #[error(transparent)]
    Terms(#[from] TermsFault),
}

impl Dialogue {
    /// A dialogue that has not begun: with the most octets of a header block, the most recipients that are kept for the record,
    /// and whether some messages may have to be seen whole.
    pub const fn new(header_limit: usize, recipients: usize, needs_body: bool) -> Self {
        Self {
            header_limit,
            recipients,
            needs_body,
            terms: None,
            is_connected: false,
            helo: String::new(),
            message: None,
            waiting: None,
        }
    }

    /// What was agreed on; `None` before that.
    pub const fn terms(&self) -> Option<Terms> {
        self.terms
    }

    /// The message that is being told; `None` between messages.
    pub const fn message(&self) -> Option<&Message> {
        self.message.as_ref()
    }

    /// Ends the message that is being told: its fate is settled.
    pub fn end_message(&mut self) -> Option<Message> {
        self.message.take()
    }

    /// Notes that a recipient may be named.
    pub fn accept_recipient(&mut self, recipient: String) {
        if let Some(message) = &mut self.message
            && message.envelope.recipients.len() < self.recipients
        {
            message.envelope.recipients.push(recipient);
        }
    }

    /// What a command asks for.
    pub fn take(&mut self, command: Command) -> Result<Event, DialogueFault> {
        let terms = match command {
            Command::Negotiate(offer) => {
                if self.terms.is_some() {
                    return Err(DialogueFault::Order("SMFIC_OPTNEG"));
                }
                let terms = Terms::agree(offer, self.needs_body)?;
                self.terms = Some(terms);
                return Ok(Event::Negotiated(terms));
            }
            Command::Quit => return Ok(Event::Quit),
            _ => self.terms.ok_or(DialogueFault::Order("a command before SMFIC_OPTNEG"))?,
        };
        match command {
            Command::Macros(macros) => {
                self.note(macros);
                Ok(Event::Silent)
            }
            Command::Connect { address, port } => self.connect(address, port),
            Command::QuitNewConnection => {
                self.is_connected = false;
                self.helo.clear();
                self.waiting = None;
                Ok(Event::NextClient)
            }
            Command::Abort => {
                self.waiting = None;
                Ok(if self.message.is_some() { Event::Aborted } else { Event::Silent })
            }
            _ if !self.is_connected => Err(DialogueFault::Order("a command before SMFIC_CONNECT")),
            Command::Helo(name) => {
                self.helo = name;
                Ok(if terms.answers_helo() { Event::Plain } else { Event::Silent })
            }
            Command::Mail(sender) => Ok(self.mail(sender)),
            Command::Data | Command::Unknown => Ok(Event::Plain),
            command => self.of_message(command, terms),
        }
    }

    /// What a command asks for that is about the message at hand.
    fn of_message(&mut self, command: Command, terms: Terms) -> Result<Event, DialogueFault> {
        let message = self.message.as_mut();
        let message =
            message.ok_or(DialogueFault::Order("a command of a message before SMFIC_MAIL"))?;
        let plain = if terms.answers_header() { Event::Plain } else { Event::Silent };
        Ok(match command {
            Command::Rcpt(recipient) => Event::Recipient(recipient),
            Command::Header { name, value } => {
                let has_space = terms.keeps_leading_space();
                message.add_field(&name, &value, has_space, self.header_limit);
                plain
            }
            Command::OverlongHeader => {
                message.overflow();
                plain
            }
            Command::EndOfHeader => Event::HeaderEnded,
            Command::Body(piece) => Event::Body(piece),
            Command::EndOfMessage(piece) => Event::Ended(piece),
            // Whatever is not of a message was looked at before.
            _ => Event::Silent,
        })
    }

    fn connect(&mut self, address: Option<IpAddr>, port: u16) -> Result<Event, DialogueFault> {
        if self.is_connected {
            return Err(DialogueFault::Order("SMFIC_CONNECT"));
        }
        self.is_connected = true;
        let macros = self.macros_of(b'C');
        let local_address = macros.local_address.unwrap_or_else(|| Ipv4Addr::UNSPECIFIED.into());
        let local = SocketAddr::new(local_address, macros.local_port.unwrap_or(0));
        let address = SocketAddr::new(address.unwrap_or_else(|| Ipv4Addr::LOCALHOST.into()), port);
        Ok(Event::Connected(ClientSaid { address, local }))
    }

    /// A message that was not ended comes to nothing.
    fn mail(&mut self, sender: String) -> Event {
        let macros = self.macros_of(b'M');
        self.message = Some(Message::new(self.helo.clone(), sender, macros.queue_id));
        Event::Began { is_authenticated: macros.user.is_some() }
    }

    /// Keeps macros until their command comes. The name in the queue may come with any of a message's commands.
    fn note(&mut self, macros: Macros) {
        if let (Some(message), Some(id)) = (&mut self.message, &macros.queue_id) {
            message.queue_id = Some(id.clone());
        }
        self.waiting = Some(macros);
    }

    /// The macros that came for `command`, last of all.
    fn macros_of(&mut self, command: u8) -> Macros {
        self.waiting.take().filter(|macros| macros.of == command).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Offer;
    use super::*;

    fn negotiate() -> Command {
        Command::Negotiate(Offer { version: 6, actions: 0x1ff, steps: 0x1f_ffff })
    }

    fn connect() -> Command {
        Command::Connect { address: Some("198.51.100.7".parse().unwrap()), port: 4711 }
    }

    fn mail() -> Command {
        Command::Mail("a@example.com".to_owned())
    }

    fn dialogue() -> Dialogue {
        Dialogue::new(1000, 2, false)
    }

    /// A dialogue in which `commands` were taken.
    fn after(commands: impl IntoIterator<Item = Command>) -> Dialogue {
        let mut dialogue = dialogue();
        for command in commands {
            dialogue.take(command).unwrap();
        }
        dialogue
    }

    #[test]
    fn commands_have_an_order() {
        let of_message = "a command of a message before SMFIC_MAIL";
        for (before, command, expected) in [
            (vec![], connect(), "a command before SMFIC_OPTNEG"),
            (vec![], Command::Abort, "a command before SMFIC_OPTNEG"),
            (vec![negotiate()], negotiate(), "SMFIC_OPTNEG"),
            (vec![negotiate()], mail(), "a command before SMFIC_CONNECT"),
            (vec![negotiate()], Command::Helo(String::new()), "a command before SMFIC_CONNECT"),
            (vec![negotiate(), connect()], connect(), "SMFIC_CONNECT"),
            (vec![negotiate(), connect()], Command::Rcpt(String::new()), of_message),
            (vec![negotiate(), connect()], Command::EndOfHeader, of_message),
            (vec![negotiate(), connect()], Command::EndOfMessage(Vec::new()), of_message),
            (
                vec![negotiate(), connect(), mail(), Command::QuitNewConnection],
                mail(),
                "a command before SMFIC_CONNECT",
            ),
        ] {
            let fault = after(before).take(command.clone()).unwrap_err();
            assert_eq!(fault, DialogueFault::Order(expected), "{command:?}");
        }
        let old = Command::Negotiate(Offer { version: 1, actions: 0x1ff, steps: 0 });
        assert!(matches!(dialogue().take(old), Err(DialogueFault::Terms(_))));
    }

    #[test]
    fn a_session_with_two_messages_and_another_client() {
        let mut dialogue = after([negotiate()]);
        let macros = |of, queue_id: Option<&str>, user: Option<&str>| {
            Command::Macros(Macros {
                of,
                queue_id: queue_id.map(ToOwned::to_owned),
                user: user.map(ToOwned::to_owned),
                local_address: Some("192.0.2.1".parse().unwrap()),
                local_port: Some(25),
            })
        };
        let local = "192.0.2.1:25".parse().unwrap();
        let client = ClientSaid { address: "198.51.100.7:4711".parse().unwrap(), local };
        for (command, expected) in [
            (macros(b'C', None, None), Event::Silent),
            (connect(), Event::Connected(client)),
            (Command::Helo("mail.example".to_owned()), Event::Silent),
            (macros(b'M', None, Some("user")), Event::Silent),
            (mail(), Event::Began { is_authenticated: true }),
            (Command::Rcpt("b@example.org".to_owned()), Event::Recipient("b@example.org".into())),
            (Command::Data, Event::Plain),
            (Command::Header { name: b"A".to_vec(), value: b" b".to_vec() }, Event::Silent),
            (Command::EndOfHeader, Event::HeaderEnded),
            (Command::Body(b"x".to_vec()), Event::Body(b"x".to_vec())),
            (macros(b'E', Some("4F2"), None), Event::Silent),
            (Command::EndOfMessage(Vec::new()), Event::Ended(Vec::new())),
        ] {
            assert_eq!(dialogue.take(command.clone()).unwrap(), expected, "{command:?}");
        }
        let message = dialogue.end_message().unwrap();
        assert_eq!(message.queue_id.as_deref(), Some("4F2"));
        assert_eq!(message.header(), b"A: b\r\n");
        assert_eq!(
            (&*message.envelope.helo, &*message.envelope.sender),
            ("mail.example", "a@example.com")
        );
        // Whoever logged in once does not stay so: each message says it anew.
        assert_eq!(dialogue.take(Command::Abort).unwrap(), Event::Silent);
        assert_eq!(dialogue.take(mail()).unwrap(), Event::Began { is_authenticated: false });
        assert_eq!(dialogue.message().unwrap().header(), b"");
        assert_eq!(dialogue.take(Command::Abort).unwrap(), Event::Aborted);
        assert_eq!(dialogue.take(Command::QuitNewConnection).unwrap(), Event::NextClient);
        let unknown = Command::Connect { address: None, port: 0 };
        let client = ClientSaid {
            address: "127.0.0.1:0".parse().unwrap(),
            local: "0.0.0.0:0".parse().unwrap(),
        };
        assert_eq!(dialogue.take(unknown).unwrap(), Event::Connected(client));
        assert_eq!(dialogue.take(Command::Quit).unwrap(), Event::Quit);
    }

    #[test]
    fn macros_of_another_command_mean_nothing() {
        let user = Macros { of: b'R', user: Some("user".to_owned()), ..Macros::default() };
        let mut dialogue = after([negotiate(), connect(), Command::Macros(user)]);
        assert_eq!(dialogue.take(mail()).unwrap(), Event::Began { is_authenticated: false });
    }

    #[test]
    fn no_more_recipients_are_kept_than_the_record_shows() {
        let mut dialogue = after([negotiate(), connect(), mail()]);
        for _more in 0..5 {
            dialogue.accept_recipient("b@example.org".to_owned());
        }
        assert_eq!(dialogue.message().unwrap().envelope.recipients.len(), 2);
    }
}
