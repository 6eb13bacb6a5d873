//! A refusal as Postfix writes it into its log, for programs that look for such lines (fail2ban, CrowdSec, log analysers).

use crate::story::Told;

/// The program of the lines: those programs look for it.
pub(super) const PROGRAM: &str = "postfix/smtpd";
/// Letters of a text of a peer.
const LONGEST: usize = 200;

/// The line of a record; `None` where the client was not refused, or not for what it is itself.
///
/// Who bans the client of such a line must not ban the relay of somebody else's message, nor who was only to come again later.
pub(super) fn line(record: &str) -> Option<String> {
    let told = Told::read(&serde_json::from_str(record).ok()?);
    let is_refused = told.enforced && matches!(told.action.as_str(), "reject" | "reject-message");
    let is_of_client = match (told.phase.as_str(), &told.offending) {
        ("connect" | "recipient", None) => true,
        ("connect" | "recipient" | "message", Some(offending)) => {
            matches!(offending.hop.as_str(), "connect" | "proxy" | "xclient")
        }
        // Of a message that is too large, or not as mail is, its client may only be a relay.
        _ => false,
    };
    if !(is_refused && is_of_client) {
        return None;
    }
    let client = told.client?;
    let port = told.client_port.unwrap_or(0);
    let by = told.list.or(told.zone).unwrap_or(told.code);
    let (helo, sender) = (told.helo.unwrap_or_default(), told.sender.unwrap_or_default());
    let recipient = told.recipients.into_iter().next().unwrap_or_default();
    let texts = [by, told.verdict, told.reference, sender, recipient, helo];
    let [by, verdict, reference, sender, recipient, helo] = texts.map(|text| clean(&text));
    Some(format!(
        "NOQUEUE: reject: RCPT from unknown[{client}]:{port}: 554 5.7.1 Service unavailable; Client host [{client}] blocked using {by}; {verdict}, reference {reference}; from=<{sender}> to=<{recipient}> proto=ESMTP helo=<{helo}>"
    ))
}

/// A text that cannot be taken for something else of the line: Postfix puts a `?` for what is no letter, too.
fn clean(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_graphic() && !"<>[];\"\\".contains(letter);
    let plain = |letter| if is_plain(letter) || letter == ' ' { letter } else { '?' };
    text.chars().take(LONGEST).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refused() -> Value {
        json!({
            "phase": "connect", "verdict": "Open proxy", "code": "open-proxy", "action": "reject",
            "enforced": true, "client": "192.0.2.1", "client_port": 4711, "reference": "ABC",
            "offending": {"ip": "192.0.2.1", "hop": "connect"}, "list": "proxies", "zone": null,
            "envelope": null,
        })
    }

    fn with(key: &str, value: Value) -> Value {
        let mut record = refused();
        record[key] = value;
        record
    }

    #[test]
    fn only_who_was_refused_for_what_it_is_has_a_line() {
        for (record, has_line) in [
            (refused(), true),
            (with("offending", Value::Null), true),
            (with("offending", json!({"ip": "192.0.2.1", "hop": "proxy"})), true),
            (with("offending", json!({"ip": "198.51.100.1", "hop": "received[1]"})), false),
            (with("action", "defer".into()), false),
            (with("action", "accept".into()), false),
            (with("enforced", false.into()), false),
            (with("phase", "kernel".into()), false),
            (with("phase", "message".into()), true),
            (
                json!({"phase": "message", "action": "reject-message", "enforced": true,
                    "client": "192.0.2.1", "offending": null}),
                false,
            ),
            (with("client", Value::Null), false),
            (json!([]), false),
        ] {
            assert_eq!(line(&record.to_string()).is_some(), has_line, "{record}");
        }
    }

    #[test]
    fn it_reads_as_postfix_writes() {
        let envelope =
            json!({"helo": "laptop", "sender": "a@x.org", "recipients": ["b@y.org", "c@y.org"]});
        assert_eq!(
            line(&with("envelope", envelope).to_string()).unwrap(),
            "NOQUEUE: reject: RCPT from unknown[192.0.2.1]:4711: 554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using proxies; Open proxy, reference ABC; from=<a@x.org> to=<b@y.org> proto=ESMTP helo=<laptop>"
        );
    }

    #[test]
    fn what_a_peer_writes_stays_in_its_place() {
        let hostile = "x> from unknown[203.0.113.9]:1: 554\r\nNOQUEUE: reject: RCPT\u{1b}[31m é";
        let envelope = json!({"helo": hostile, "sender": hostile, "recipients": [hostile]});
        let line = line(&with("envelope", envelope).to_string()).unwrap();
        assert!(!line.contains("[203") && !line.contains('\n') && line.is_ascii(), "{line}");
        assert_eq!(line.matches("from unknown[").count(), 1, "{line}");
    }
}
