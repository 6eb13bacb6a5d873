//! The server's side of one SMTP dialogue, strict about CR LF and about the order of commands.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use crate::handed_over::HandedOver;
use crate::smtp_server::{Answer, Ended, Shared, Stage, Transaction};

/// No command is longer; RFC 5321 asks for 512 and its extensions for more.
const LONGEST_LINE: usize = 8192;
/// No message is longer: memory is bounded even where the peer's is not.
const LONGEST_MESSAGE: usize = 64 << 20;

/// One connection from the greeting to its end.
pub(crate) struct Session {
    number: usize,
    stream: TcpStream,
    buffer: Vec<u8>,
    shared: Arc<Shared>,
    handed_over: Option<HandedOver>,
    helo: Option<String>,
    transaction: Option<Transaction>,
}

/// The dialogue is over; there is nobody to tell why.
struct Over;

type Next = Result<(), Over>;

impl Session {
    pub(crate) fn new(number: usize, stream: TcpStream, shared: Arc<Shared>) -> Self {
        Self {
            number,
            stream,
            buffer: Vec::new(),
            shared,
            handed_over: None,
            helo: None,
            transaction: None,
        }
    }

    /// Talks until one of the two has enough of it.
    pub(crate) fn run(mut self) {
        let over = self.dialogue();
        debug_assert!(over.is_err(), "a dialogue ends with an end");
        self.end_transaction(Ended::Disconnected, None);
    }

    fn dialogue(&mut self) -> Next {
        if self.shared.options.proxy {
            self.proxy_header()?;
        }
        let greeting = format!("220 {} ESMTP", self.shared.options.hostname);
        self.answer(Stage::Greeting, "", &greeting)?;
        loop {
            let line = self.line()?;
            self.command(&line)?;
        }
    }

    fn command(&mut self, line: &str) -> Next {
        let (verb, arguments) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => self.hello(arguments, true),
            "HELO" => self.hello(arguments, false),
            "XCLIENT" if self.announces("XCLIENT") => self.xclient(arguments),
            "MAIL" => self.mail(arguments),
            "RCPT" => self.rcpt(arguments),
            "DATA" => self.data(),
            "RSET" => {
                self.end_transaction(Ended::Aborted, None);
                self.answer(Stage::Reset, "", "250 2.0.0 OK").map(drop)
            }
            "NOOP" => self.reply("250 2.0.0 OK"),
            "QUIT" => {
                self.end_transaction(Ended::Aborted, None);
                self.answer(Stage::Quit, "", "221 2.0.0 Bye")?;
                Err(Over)
            }
            _ => self.reply("500 5.5.2 unknown command"),
        }
    }

    fn hello(&mut self, name: &str, extended: bool) -> Next {
        self.end_transaction(Ended::Aborted, None);
        let mut lines = vec![self.shared.options.hostname.clone()];
        if extended {
            lines.extend(self.shared.options.capabilities.iter().cloned());
        }
        let last = lines.len() - 1;
        let usually = lines
            .iter()
            .enumerate()
            .map(|(index, line)| format!("250{}{line}", if index == last { ' ' } else { '-' }))
            .collect::<Vec<_>>()
            .join("\r\n");
        if self.answer(Stage::Hello, name, &usually)? {
            self.helo = Some(name.to_owned());
        }
        Ok(())
    }

    /// As Postfix does it: a new session for the client named, which says EHLO once more.
    fn xclient(&mut self, arguments: &str) -> Next {
        if self.transaction.is_some() {
            return self.out_of_order("XCLIENT in a mail transaction");
        }
        let mut client = self.handed_over.clone().unwrap_or_default();
        if let Err(error) = client.xclient(arguments) {
            self.shared.fault(self.number, &error.to_string());
            return self.reply(&format!("501 5.5.4 {error}"));
        }
        let greeting = format!("220 {} ESMTP", self.shared.options.hostname);
        if self.answer(Stage::Xclient, arguments, &greeting)? {
            self.handed_over = Some(client);
            self.helo = None;
        }
        Ok(())
    }

    fn mail(&mut self, arguments: &str) -> Next {
        let Some(helo) = self.helo.clone() else {
            return self.out_of_order("MAIL before EHLO");
        };
        if self.transaction.is_some() {
            return self.out_of_order("MAIL in a mail transaction");
        }
        let Some(mail) = after(arguments, "FROM:") else {
            return self.reply("501 5.5.4 expected MAIL FROM:<address>");
        };
        if self.is_over_size(&mail) {
            return self.reply("552 5.3.4 message size exceeds the limit");
        }
        if self.answer(Stage::Mail, &mail, "250 2.1.0 OK")? {
            self.transaction = Some(Transaction {
                connection: self.number,
                handed_over: self.handed_over.clone(),
                helo,
                mail,
                recipients: Vec::new(),
                wire: Vec::new(),
                ended: Ended::Disconnected,
                reply: None,
            });
        }
        Ok(())
    }

    fn rcpt(&mut self, arguments: &str) -> Next {
        if self.transaction.is_none() {
            return self.out_of_order("RCPT before MAIL");
        }
        let Some(recipient) = after(arguments, "TO:") else {
            return self.reply("501 5.5.4 expected RCPT TO:<address>");
        };
        let accepted = self.answer(Stage::Rcpt, &recipient, "250 2.1.5 OK")?;
        if let Some(transaction) = self.transaction.as_mut().filter(|_| accepted) {
            transaction.recipients.push(recipient);
        }
        Ok(())
    }

    fn data(&mut self) -> Next {
        let recipients = self.transaction.as_ref().map(|it| it.recipients.len());
        match recipients {
            None => return self.out_of_order("DATA before MAIL"),
            Some(0) => return self.reply("554 5.5.1 no valid recipients"),
            Some(_) => {}
        }
        if !self.answer(Stage::Data, "", "354 end with a dot")? {
            return Ok(());
        }
        let message = self.message()?;
        for (fault, there) in [
            ("bare LF in a message", has_bare(&message, b'\n')),
            ("bare CR in a message", has_bare(&message, b'\r')),
            ("NUL in a message", message.contains(&0)),
        ] {
            if there {
                self.shared.fault(self.number, fault);
            }
        }
        let said = format!("C: (a message of {} bytes)", message.len());
        self.shared.said(self.number, said);
        let text = String::from_utf8_lossy(&message).into_owned();
        if let Some(transaction) = self.transaction.as_mut() {
            transaction.wire = message;
        }
        let usually = format!("250 2.0.0 queued as {:04}", self.shared.next_message());
        let answer = self.shared.answer(Stage::Message, &text, &usually);
        let reply = match &answer {
            Answer::Reply(reply) | Answer::ReplyAndClose(reply) => Some(reply.clone()),
            Answer::Hang | Answer::Close => None,
        };
        // Recorded before it is said, so that whoever hears the reply finds the record.
        self.end_transaction(Ended::Dot, reply);
        self.perform(answer).map(drop)
    }

    fn announces(&self, keyword: &str) -> bool {
        let capabilities = &self.shared.options.capabilities;
        capabilities.iter().any(|capability| capability.split(' ').next() == Some(keyword))
    }

    fn is_over_size(&self, mail: &str) -> bool {
        let limit = self
            .shared
            .options
            .capabilities
            .iter()
            .find_map(|capability| capability.strip_prefix("SIZE ")?.parse::<u64>().ok());
        let announced = mail
            .split(' ')
            .find_map(|parameter| parameter.strip_prefix("SIZE=")?.parse::<u64>().ok());
        matches!((limit, announced), (Some(limit), Some(announced)) if announced > limit)
    }

    fn end_transaction(&mut self, ended: Ended, reply: Option<String>) {
        if let Some(mut transaction) = self.transaction.take() {
            transaction.ended = ended;
            transaction.reply = reply;
            self.shared.ended(transaction);
        }
    }

    fn out_of_order(&mut self, what: &str) -> Next {
        self.shared.fault(self.number, what);
        self.reply("503 5.5.1 bad sequence of commands")
    }

    /// Answers as the script has it; whether the answer was positive.
    fn answer(&mut self, stage: Stage, text: &str, usually: &str) -> Result<bool, Over> {
        let answer = self.shared.answer(stage, text, usually);
        self.perform(answer)
    }

    fn perform(&mut self, answer: Answer) -> Result<bool, Over> {
        match answer {
            Answer::Reply(text) => {
                self.reply(&text)?;
                Ok(text.starts_with(['2', '3']))
            }
            Answer::ReplyAndClose(text) => {
                self.reply(&text)?;
                Err(Over)
            }
            Answer::Close => Err(Over),
            Answer::Hang => loop {
                self.buffer.clear();
                self.fill()?;
            },
        }
    }

    fn reply(&mut self, text: &str) -> Next {
        for line in text.split("\r\n") {
            self.shared.said(self.number, format!("S: {line}"));
        }
        self.stream.write_all(format!("{text}\r\n").as_bytes()).map_err(|_gone| Over)
    }

    /// The next command; one that is not a clean line is answered here and never looked at.
    fn line(&mut self) -> Result<String, Over> {
        loop {
            let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') else {
                if self.buffer.len() > LONGEST_LINE {
                    self.shared.fault(self.number, "a line without end");
                    return Err(Over);
                }
                self.fill()?;
                continue;
            };
            let bytes = self.buffer.drain(..=end).collect::<Vec<_>>();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let shown = text.strip_suffix("\r\n").unwrap_or(&text);
            let said = format!("C: {}", shown.escape_debug());
            self.shared.said(self.number, said);
            match text.strip_suffix("\r\n") {
                Some(line) if !line.contains(['\r', '\0']) => return Ok(line.to_owned()),
                _ => {
                    self.shared.fault(self.number, "bare CR, bare LF or NUL in a command");
                    self.reply("500 5.5.2 expected a line that ends with CR LF")?;
                }
            }
        }
    }

    /// What comes before CR LF dot CR LF, with its last CR LF.
    fn message(&mut self) -> Result<Vec<u8>, Over> {
        const END: &[u8] = b"\r\n.\r\n";
        let mut looked_at = 0_usize;
        loop {
            if self.buffer.starts_with(b".\r\n") {
                self.buffer.drain(..3);
                return Ok(Vec::new());
            }
            let fresh = self.buffer.get(looked_at..).unwrap_or_default();
            if let Some(at) = fresh.windows(END.len()).position(|part| part == END) {
                let end = looked_at + at;
                let message = self.buffer.drain(..end + END.len()).take(end + 2).collect();
                return Ok(message);
            }
            looked_at = self.buffer.len().saturating_sub(END.len() - 1);
            if self.buffer.len() > LONGEST_MESSAGE {
                self.shared.fault(self.number, "a message without end");
                return Err(Over);
            }
            if let Err(over) = self.fill() {
                // What came before the connection broke is worth a look, too.
                if let Some(transaction) = self.transaction.as_mut() {
                    transaction.wire = std::mem::take(&mut self.buffer);
                }
                return Err(over);
            }
        }
    }

    fn proxy_header(&mut self) -> Next {
        loop {
            match HandedOver::proxy(&self.buffer) {
                Ok(Some((client, length))) => {
                    self.shared.said(self.number, format!("C: (PROXY {client:?})"));
                    self.buffer.drain(..length);
                    self.handed_over = Some(client);
                    return Ok(());
                }
                Ok(None) => self.fill()?,
                Err(error) => {
                    self.shared.fault(self.number, &error.to_string());
                    return Err(Over);
                }
            }
        }
    }

    fn fill(&mut self) -> Next {
        let mut chunk = [0; 16 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) | Err(_) => Err(Over),
            Ok(read) => {
                self.buffer.extend(chunk.iter().take(read));
                Ok(())
            }
        }
    }
}

/// What follows `prefix` in whatever case.
fn after(arguments: &str, prefix: &str) -> Option<String> {
    let (found, rest) = arguments.split_at_checked(prefix.len())?;
    found.eq_ignore_ascii_case(prefix).then(|| rest.to_owned())
}

/// Whether `byte`, CR or LF, stands without the other.
fn has_bare(message: &[u8], byte: u8) -> bool {
    let before = [&[0], message].concat();
    let after = [message, &[0]].concat();
    let pairs = before.iter().zip(message).zip(after.iter().skip(1));
    pairs
        .into_iter()
        .any(|((before, found), after)| *found == byte && *before != b'\r' && *after != b'\n')
}
