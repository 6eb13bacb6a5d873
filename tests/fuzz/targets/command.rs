//! Any command line of a client: what goes on to the next hop is one safe line that means the same when read again.

use gateway::smtp::{Capabilities, Command, RecipientDomains};

use super::single_line;

pub(crate) fn run(line: &[u8]) {
    let all = Capabilities::parse(["8BITMIME", "SMTPUTF8", "SIZE 1000", "DSN"]);
    match Command::parse(line) {
        Ok(Command::Mail(mail)) => {
            let written = mail.line(&all);
            single_line(&written);
            assert_eq!(mail.unsupported(&all), None, "{written}");
            let again = Command::parse(written.as_bytes());
            assert_eq!(again, Ok(Command::Mail(mail.clone())), "{written}");
            // A next hop that offers nothing hears of no size.
            let without = Capabilities::default();
            assert!(!mail.line(&without).contains(" SIZE="), "{}", mail.line(&without));
        }
        Ok(Command::Rcpt(rcpt)) => {
            let written = rcpt.line();
            single_line(&written);
            assert_eq!(rcpt.unsupported(&all), None, "{written}");
            let again = Command::parse(written.as_bytes());
            assert_eq!(again, Ok(Command::Rcpt(rcpt.clone())), "{written}");
            if RecipientDomains::new(["ours.example"]).accept(&rcpt.recipient) {
                assert_ours(&rcpt.recipient.to_string());
            }
        }
        Ok(Command::Ehlo(name) | Command::Helo(name)) => {
            single_line(name.as_str());
            assert!((1..=255).contains(&name.as_str().len()), "{name:?}");
        }
        Ok(_) => {}
        Err(error) => {
            let reply = error.reply();
            single_line(&reply.to_string());
            assert!((500..600).contains(&reply.code), "{reply}");
        }
    }
}

/// However a mailer behind us reads this mailbox, it does not lead elsewhere.
fn assert_ours(mailbox: &str) {
    let (local, domain) = mailbox.rsplit_once('@').unwrap_or((mailbox, "ours.example"));
    assert!(domain.eq_ignore_ascii_case("ours.example"), "{mailbox}");
    assert!(!local.contains(['@', '%', '!', ':']), "{mailbox}");
}
