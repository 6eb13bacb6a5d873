//! The commands of a client, parsed into types, and what is answered to those that cannot be.

use std::fmt::Write as _;
use std::str::FromStr;

use super::{Capabilities, Extension, Mailbox, PathError, Xclient};
use crate::policy::Reply;

/// A command that this front knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A login, for the next hop to judge: all behind the verb, as it was written (RFC 4954).
    Auth(String),
    /// A piece of a message (RFC 3030).
    Bdat(Bdat),
    /// End of the envelope.
    Data,
    /// Greeting with extensions.
    Ehlo(HelloName),
    /// Greeting without.
    Helo(HelloName),
    /// A call for help.
    Help,
    /// Start of a transaction.
    Mail(Mail),
    /// Nothing.
    Noop,
    /// End of the session.
    Quit,
    /// One more recipient.
    Rcpt(Rcpt),
    /// Back to the state behind the greeting.
    Rset,
    /// TLS from here on (RFC 3207).
    Starttls,
    /// A question about a mailbox.
    Vrfy,
    /// Who the client of the client is.
    Xclient(Xclient),
}

impl Command {
    /// Reads a line without its CRLF.
    pub fn parse(line: &[u8]) -> Result<Self, CommandError> {
        let line = str::from_utf8(line).map_err(|_not_text| CommandError::NotText)?;
        if line.chars().any(char::is_control) {
            return Err(CommandError::NotText);
        }
        let line = line.trim_end_matches(' ');
        let (verb, arguments) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "AUTH" if arguments.is_ascii() && !arguments.is_empty() => {
                Ok(Self::Auth(arguments.to_owned()))
            }
            "AUTH" => Err(CommandError::Arguments),
            "BDAT" => Ok(Self::Bdat(arguments.parse()?)),
            "DATA" => without_arguments(Self::Data, arguments),
            "EHLO" => Ok(Self::Ehlo(arguments.parse()?)),
            "HELO" => Ok(Self::Helo(arguments.parse()?)),
            "HELP" => Ok(Self::Help),
            "MAIL" => Ok(Self::Mail(Mail::parse(arguments)?)),
            "NOOP" => Ok(Self::Noop),
            "QUIT" => without_arguments(Self::Quit, arguments),
            "RCPT" => Ok(Self::Rcpt(Rcpt::parse(arguments)?)),
            "RSET" => without_arguments(Self::Rset, arguments),
            "STARTTLS" => without_arguments(Self::Starttls, arguments),
            "VRFY" => Ok(Self::Vrfy),
            "XCLIENT" => Ok(Self::Xclient(Xclient::parse(arguments)?)),
            "BURL" | "ETRN" | "EXPN" | "TURN" | "XFORWARD" => Err(CommandError::NotOffered),
            "CONNECT" | "GET" | "HEAD" | "OPTIONS" | "POST" | "PUT" => {
                Err(CommandError::OtherProtocol)
            }
            _ => Err(CommandError::Unknown),
        }
    }
}

fn without_arguments(command: Command, arguments: &str) -> Result<Command, CommandError> {
    if arguments.is_empty() { Ok(command) } else { Err(CommandError::Arguments) }
}

/// How long a piece of a message is, and whether it is the last one (RFC 3030 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bdat {
    /// Octets.
    pub size: u64,
    /// Whether it ends the message.
    pub last: bool,
}

impl FromStr for Bdat {
    type Err = CommandError;

    fn from_str(text: &str) -> Result<Self, CommandError> {
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        let size = words.next().filter(|size| size.bytes().all(|octet| octet.is_ascii_digit()));
        let size = size.and_then(|size| size.parse().ok()).ok_or(CommandError::Arguments)?;
        let last = match words.next() {
            None => false,
            Some(word) if word.eq_ignore_ascii_case("LAST") => true,
            Some(_) => return Err(CommandError::Arguments),
        };
        if words.next().is_some() { Err(CommandError::Arguments) } else { Ok(Self { size, last }) }
    }
}

/// The name that a client gives itself, as it wrote it; nothing is concluded from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloName(String);

impl HelloName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HelloName {
    type Err = CommandError;

    /// One word of at most 255 octets; its grammar is for the next hop to judge.
    fn from_str(text: &str) -> Result<Self, CommandError> {
        let name = text.trim_start_matches(' ');
        if name.is_empty() || name.len() > 255 || name.contains(char::is_whitespace) {
            return Err(CommandError::Arguments);
        }
        Ok(Self(name.to_owned()))
    }
}

/// `MAIL FROM`, understood in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Who gets the bounces; `None` is the null sender.
    pub sender: Option<Mailbox>,
    /// The size that the client announces (RFC 1870).
    pub size: Option<u64>,
    parameters: Vec<Parameter>,
}

impl Mail {
    fn parse(arguments: &str) -> Result<Self, CommandError> {
        let path = after_keyword(arguments, "FROM:")?;
        let (sender, rest) = Mailbox::read(path).map_err(CommandError::Sender)?;
        let parameters = parameters(rest, &["AUTH", "BODY", "ENVID", "RET", "SIZE", "SMTPUTF8"])?;
        let size = match parameters.iter().find(|parameter| parameter.keyword == "SIZE") {
            Some(parameter) => Some(parameter.number()?),
            None => None,
        };
        let mail = Self { sender, size, parameters };
        if !mail.is_utf8() && mail.sender.as_ref().is_some_and(|sender| !sender.is_ascii()) {
            return Err(CommandError::Utf8);
        }
        Ok(mail)
    }

    /// Whether the transaction may have addresses beyond ASCII (RFC 6531).
    pub fn is_utf8(&self) -> bool {
        self.parameters.iter().any(|parameter| parameter.keyword == "SMTPUTF8")
    }

    /// The first parameter for which `capabilities` lack the extension.
    pub fn unsupported(&self, capabilities: &Capabilities) -> Option<&str> {
        unsupported(&self.parameters, capabilities)
    }

    /// The whole command without CRLF, from which it can be said later to whatever next hop there is then.
    pub fn whole(&self) -> String {
        let sender = self.sender.as_ref().map(ToString::to_string).unwrap_or_default();
        line("MAIL FROM", &sender, &self.parameters.iter().collect::<Vec<_>>())
    }

    /// The line for a next hop, without CRLF; SIZE is left out where it was not offered there.
    pub fn line(&self, capabilities: &Capabilities) -> String {
        let sender = self.sender.as_ref().map(ToString::to_string).unwrap_or_default();
        let wanted = |parameter: &&Parameter| {
            parameter.keyword != "SIZE" || capabilities.has(Extension::Size)
        };
        let parameters: Vec<_> = self.parameters.iter().filter(wanted).collect();
        line("MAIL FROM", &sender, &parameters)
    }
}

/// `RCPT TO`, understood in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rcpt {
    /// Who gets the message.
    pub recipient: Mailbox,
    parameters: Vec<Parameter>,
}

impl Rcpt {
    fn parse(arguments: &str) -> Result<Self, CommandError> {
        let path = after_keyword(arguments, "TO:")?;
        let (recipient, rest) = Mailbox::read(path).map_err(CommandError::Recipient)?;
        let recipient = recipient.ok_or(CommandError::Recipient(PathError::LocalPart))?;
        let is_postmaster = recipient.local().eq_ignore_ascii_case("postmaster");
        if recipient.domain().is_none() && !is_postmaster {
            return Err(CommandError::Recipient(PathError::Domain));
        }
        let parameters = parameters(rest, &["NOTIFY", "ORCPT"])?;
        Ok(Self { recipient, parameters })
    }

    /// The first parameter for which `capabilities` lack the extension.
    pub fn unsupported(&self, capabilities: &Capabilities) -> Option<&str> {
        unsupported(&self.parameters, capabilities)
    }

    /// The line for a next hop, without CRLF.
    pub fn line(&self) -> String {
        let parameters: Vec<_> = self.parameters.iter().collect();
        line("RCPT TO", &self.recipient.to_string(), &parameters)
    }
}

/// What stands behind `FROM:` or `TO:`; one blank too many is so common that everybody takes it.
fn after_keyword<'a>(arguments: &'a str, keyword: &str) -> Result<&'a str, CommandError> {
    let arguments = arguments.trim_start_matches(' ');
    let (found, rest) = arguments.split_at_checked(keyword.len()).ok_or(CommandError::Arguments)?;
    if !found.eq_ignore_ascii_case(keyword) {
        return Err(CommandError::Arguments);
    }
    Ok(rest.trim_start_matches(' '))
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parameter {
    keyword: String,
    value: Option<String>,
}

impl Parameter {
    fn parse(text: &str) -> Self {
        let (keyword, value) = match text.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value.to_owned())),
            None => (text, None),
        };
        Self { keyword: keyword.to_ascii_uppercase(), value }
    }

    /// RFC 1870 gives a size at most 20 digits.
    fn number(&self) -> Result<u64, CommandError> {
        let digits = self.value.as_deref().unwrap_or_default();
        if !digits.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(CommandError::Arguments);
        }
        digits.parse().map_err(|_out_of_range| CommandError::Arguments)
    }

    fn extension(&self) -> Extension {
        match self.keyword.as_str() {
            "BODY" => Extension::EightBitMime,
            "SMTPUTF8" => Extension::SmtpUtf8,
            "SIZE" => Extension::Size,
            _ => Extension::Dsn,
        }
    }
}

fn parameters(text: &str, known: &[&str]) -> Result<Vec<Parameter>, CommandError> {
    if !text.is_empty() && !text.starts_with(' ') {
        return Err(CommandError::Arguments);
    }
    let mut parameters: Vec<Parameter> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut parameter = Parameter::parse(word);
        if !known.contains(&parameter.keyword.as_str()) {
            return Err(CommandError::Parameter(parameter.keyword));
        }
        if parameters.iter().any(|earlier| earlier.keyword == parameter.keyword) {
            return Err(CommandError::Arguments);
        }
        let has_value = parameter.value.as_deref().is_some_and(|value| !value.is_empty());
        if has_value == (parameter.keyword == "SMTPUTF8") {
            return Err(CommandError::Arguments);
        }
        match (parameter.keyword.as_str(), parameter.value.as_mut()) {
            ("BODY", Some(value)) => {
                value.make_ascii_uppercase();
                if !matches!(value.as_str(), "7BIT" | "8BITMIME") {
                    return Err(CommandError::Parameter(word.to_owned()));
                }
            }
            // A mailer that offers no AUTH may drop it (RFC 4954 section 5): nobody here has proved anything.
            ("AUTH", _) => continue,
            _ => {}
        }
        parameters.push(parameter);
    }
    Ok(parameters)
}

fn unsupported<'a>(parameters: &'a [Parameter], capabilities: &Capabilities) -> Option<&'a str> {
    parameters
        .iter()
        .find(|parameter| {
            // SIZE is ours to offer.
            let extension = parameter.extension();
            extension != Extension::Size && !capabilities.has(extension)
        })
        .map(|parameter| parameter.keyword.as_str())
}

fn line(verb: &str, path: &str, parameters: &[&Parameter]) -> String {
    let mut line = format!("{verb}:<{path}>");
    for Parameter { keyword, value } in parameters {
        let written = match value {
            Some(value) => write!(line, " {keyword}={value}"),
            None => write!(line, " {keyword}"),
        };
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    }
    line
}

/// Why a command was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Wrong number or form of arguments.
    #[error("syntax error in arguments")]
    Arguments,
    /// A command of an extension that is not offered.
    #[error("command not implemented")]
    NotOffered,
    /// Octets that are no text.
    #[error("line is not text")]
    NotText,
    /// A request of another protocol, HTTP most likely: somebody makes a browser talk to us.
    #[error("this is SMTP")]
    OtherProtocol,
    /// A parameter of an extension that is not offered.
    #[error("parameter {0} not recognised or not implemented")]
    Parameter(String),
    /// The path of `RCPT TO`.
    #[error("{0}")]
    Recipient(PathError),
    /// The path of `MAIL FROM`.
    #[error("{0}")]
    Sender(PathError),
    /// No such command.
    #[error("command not recognised")]
    Unknown,
    /// An address beyond ASCII without SMTPUTF8.
    #[error("address beyond ASCII, expected SMTPUTF8 with it")]
    Utf8,
}

impl CommandError {
    /// What the client is told.
    pub fn reply(&self) -> Reply {
        let (code, subject, detail) = match self {
            Self::Arguments => (501, 5, 4),
            Self::NotOffered => (502, 5, 1),
            Self::NotText | Self::Unknown => (500, 5, 2),
            Self::OtherProtocol => (554, 5, 1),
            Self::Parameter(_) => (555, 5, 4),
            Self::Recipient(PathError::SourceRoute) => (550, 7, 1),
            Self::Recipient(_) => (501, 1, 3),
            Self::Sender(_) => (501, 1, 7),
            Self::Utf8 => (553, 6, 7),
        };
        Reply::new(code, subject, detail, &self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn every_extension() -> Capabilities {
        Capabilities::parse(["8BITMIME", "SMTPUTF8", "SIZE 1000", "DSN"])
    }

    #[test]
    fn what_goes_on_is_what_was_understood() {
        for (sent, expected) in [
            ("MAIL FROM:<a@b.example>", "MAIL FROM:<a@b.example>"),
            ("mail from: <a@b.example>  ", "MAIL FROM:<a@b.example>"),
            ("MAIL FROM:<> SIZE=12 BODY=8bitmime", "MAIL FROM:<> SIZE=12 BODY=8BITMIME"),
            ("MAIL FROM:<a@b.example> auth=<> RET=HDRS", "MAIL FROM:<a@b.example> RET=HDRS"),
            (
                "MAIL FROM:<\u{fc}@b.example> SMTPUTF8 ENVID=x+2By",
                "MAIL FROM:<\u{fc}@b.example> SMTPUTF8 ENVID=x+2By",
            ),
            ("MAIL FROM:<x>", "MAIL FROM:<x>"),
            (
                "RCPT TO:<\"a b\"@c.example> NOTIFY=NEVER",
                "RCPT TO:<\"a b\"@c.example> NOTIFY=NEVER",
            ),
            ("rcpt TO:<postmaster>", "RCPT TO:<postmaster>"),
        ] {
            let line = match Command::parse(sent.as_bytes()) {
                Ok(Command::Mail(mail)) => mail.line(&every_extension()),
                Ok(Command::Rcpt(rcpt)) => rcpt.line(),
                other => panic!("{sent}: {other:?}"),
            };
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn each_mistake_has_its_reply() {
        for (sent, expected) in [
            (&b""[..], "500 5.5.2"),
            (b"HELLO there", "500 5.5.2"),
            (b"NOOP \xff", "500 5.5.2"),
            (b"NOOP \x08", "500 5.5.2"),
            (b"STARTTLS now", "501 5.5.4"),
            (b"AUTH", "501 5.5.4"),
            (b"BDAT", "501 5.5.4"),
            (b"BDAT LAST", "501 5.5.4"),
            (b"BDAT -1", "501 5.5.4"),
            (b"BDAT +1", "501 5.5.4"),
            (b"BDAT 99999999999999999999", "501 5.5.4"),
            (b"BDAT 1 LAS", "501 5.5.4"),
            (b"BDAT 1 LAST 2", "501 5.5.4"),
            (b"XCLIENT ADDR=x", "501 5.5.4"),
            (b"EXPN all", "502 5.5.1"),
            (b"GET / HTTP/1.1", "554 5.5.1"),
            (b"EHLO", "501 5.5.4"),
            (b"EHLO a b", "501 5.5.4"),
            (b"DATA now", "501 5.5.4"),
            (b"QUIT now", "501 5.5.4"),
            (b"MAIL", "501 5.5.4"),
            (b"MAIL FROM <a@b.example>", "501 5.5.4"),
            (b"MAIL FROM:a@b.example", "501 5.1.7"),
            (b"MAIL FROM:<@r.example:a@b.example>", "501 5.1.7"),
            (b"MAIL FROM:<a@b.example>SIZE=1", "501 5.5.4"),
            (b"MAIL FROM:<a@b.example> SIZE=-1", "501 5.5.4"),
            (b"MAIL FROM:<a@b.example> SIZE=", "501 5.5.4"),
            (b"MAIL FROM:<a@b.example> SIZE=99999999999999999999", "501 5.5.4"),
            (b"MAIL FROM:<a@b.example> SIZE=1 size=2", "501 5.5.4"),
            (b"MAIL FROM:<a@b.example> SMTPUTF8=1", "501 5.5.4"),
            (b"MAIL FROM:<a@b.example> BODY=BINARYMIME", "555 5.5.4"),
            (b"MAIL FROM:<a@b.example> X=1", "555 5.5.4"),
            ("MAIL FROM:<\u{fc}@b.example>".as_bytes(), "553 5.6.7"),
            (b"RCPT TO:<>", "501 5.1.3"),
            (b"RCPT TO:<root>", "501 5.1.3"),
            (b"RCPT TO:<@r.example:a@b.example>", "550 5.7.1"),
            (b"RCPT TO:<a@b.example> SIZE=1", "555 5.5.4"),
        ] {
            let error = Command::parse(sent).unwrap_err();
            let reply = error.reply().to_string();
            assert!(reply.starts_with(expected), "{}: {reply}", sent.escape_ascii());
        }
    }

    #[test]
    fn pieces_are_read() {
        for (sent, size, last) in
            [("BDAT 10", 10, false), ("bdat 0 last", 0, true), ("BDAT  7  LAST ", 7, true)]
        {
            let expected = Ok(Command::Bdat(Bdat { size, last }));
            assert_eq!(Command::parse(sent.as_bytes()), expected, "{sent}");
        }
    }

    #[test]
    fn a_next_hop_gets_only_what_it_offered() {
        let Ok(Command::Mail(mail)) = Command::parse(b"MAIL FROM:<a@b.example> SIZE=9 RET=FULL")
        else {
            panic!("no MAIL");
        };
        let none = Capabilities::default();
        assert_eq!(mail.line(&none), "MAIL FROM:<a@b.example> RET=FULL");
        assert_eq!(mail.unsupported(&none), Some("RET"));
        assert_eq!(mail.unsupported(&every_extension()), None);
        assert_eq!(mail.size, Some(9));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_or_write_two_lines(line in prop::collection::vec(any::<u8>(), 0..80)) {
            for prefix in [&b""[..], b"MAIL FROM:<", b"RCPT TO:<", b"MAIL FROM:<> "] {
                let line = [prefix, line.as_slice()].concat();
                let written = match Command::parse(&line) {
                    Ok(Command::Mail(mail)) => mail.line(&every_extension()),
                    Ok(Command::Rcpt(rcpt)) => rcpt.line(),
                    Ok(_) => continue,
                    Err(error) => error.reply().to_string(),
                };
                prop_assert!(!written.contains(['\r', '\n', '\0']));
            }
        }
    }
}
