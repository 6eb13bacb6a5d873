//! What is changed in the header of a message that passes: forged fields go, ours come.

use super::Answer;
use crate::policy::Decision;
use crate::smtp::{fields, is_named, is_results_of, with_prefix};

const RESULTS: &str = "Authentication-Results";
const SUBJECT: &str = "Subject";

/// Fields in our name that somebody else wrote: the name, and which of those with the name, from 1.
pub type Forged = Vec<(&'static str, u32)>;

/// What we write into a header; each `None` where we write none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnFields<'a> {
    /// The value of the field that says why a message was tagged.
    pub verdict: Option<&'a str>,
    /// The value of the Authentication-Results field.
    pub results: Option<&'a str>,
    /// What goes before the subject.
    pub subject_prefix: Option<&'a str>,
}

/// The fields that only we may write: those that say why a message was tagged and, for a host that writes them, results in the
/// name of `hostname`.
pub fn forged(header: &[u8], hostname: Option<&str>) -> Forged {
    let mut forged = Forged::new();
    let (mut verdicts, mut results) = (0_u32, 0_u32);
    for field in fields(header) {
        if is_named(field, Decision::HEADER) {
            verdicts += 1;
            forged.push((Decision::HEADER, verdicts));
        }
        if is_named(field, RESULTS) {
            results += 1;
            if hostname.is_some_and(|hostname| is_results_of(field, hostname)) {
                forged.push((RESULTS, results));
            }
        }
    }
    forged
}

/// What the mail server is told to change, in this order.
pub fn edits(header: &[u8], forged: Forged, own: OwnFields<'_>) -> Vec<Answer> {
    // From the last to the first: whether one that is gone still counts, mail servers do not agree on.
    let gone = forged.into_iter().rev().map(|(name, number)| Answer::DeleteField { name, number });
    let mut edits: Vec<_> = gone.collect();
    if let Some(prefix) = own.subject_prefix {
        edits.push(subject(header, prefix));
    }
    let mut add = |name, value: Option<&str>| {
        edits.extend(value.map(|value| Answer::AddField { name, value: value.into() }));
    };
    // Each goes to the top, so the last one stands above the others.
    add(Decision::HEADER, own.verdict);
    add(RESULTS, own.results);
    edits
}

/// The subject with `prefix` before its text; a message without one gets one.
fn subject(header: &[u8], prefix: &str) -> Answer {
    let field = fields(header).find(|field| is_named(field, SUBJECT));
    let value = field.and_then(|field| with_prefix(field, prefix)).and_then(|field| {
        let colon = field.iter().position(|&octet| octet == b':')?;
        let value = field.get(colon + 1..)?;
        Some(value.trim_ascii_end().strip_prefix(b" ").unwrap_or(value).to_vec())
    });
    match value {
        Some(value) => Answer::ChangeField { name: SUBJECT, number: 1, value },
        None => Answer::AddField { name: SUBJECT, value: prefix.trim_end().into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"Authentication-Results: other.example; a=pass\r\n\
        X-Portcullis-Verdict: one\r\n\
        authentication-results : (x) MX.example; b=pass\r\n\
        Subject: hello\r\n\tworld\r\n\
        x-portcullis-verdict: two\r\n";

    #[test]
    fn what_others_wrote_in_our_name_is_found() {
        let verdicts = [(Decision::HEADER, 1), (Decision::HEADER, 2)];
        assert_eq!(forged(HEADER, None), verdicts);
        let [first, second] = verdicts;
        assert_eq!(forged(HEADER, Some("mx.example")), [first, (RESULTS, 2), second]);
        assert_eq!(forged(b"Subject: X-Portcullis-Verdict: x\r\n", Some("a.example")), []);
    }

    #[test]
    fn edits_are_in_an_order_that_every_mail_server_understands() {
        let own = OwnFields {
            verdict: Some("bad"),
            results: Some("mx.example; c=fail"),
            subject_prefix: Some("[SUSPECT] "),
        };
        let delete = |name, number| Answer::DeleteField { name, number };
        let add = |name, value: &str| Answer::AddField { name, value: value.into() };
        assert_eq!(
            edits(HEADER, forged(HEADER, Some("mx.example")), own),
            [
                delete(Decision::HEADER, 2),
                delete(RESULTS, 2),
                delete(Decision::HEADER, 1),
                Answer::ChangeField {
                    name: SUBJECT,
                    number: 1,
                    value: b"[SUSPECT] hello\r\n\tworld".to_vec()
                },
                add(Decision::HEADER, "bad"),
                add(RESULTS, "mx.example; c=fail"),
            ]
        );
        assert_eq!(edits(HEADER, Forged::new(), OwnFields::default()), []);
        let own = OwnFields { subject_prefix: Some("[SUSPECT] "), ..OwnFields::default() };
        assert_eq!(edits(b"To: b\r\n", Forged::new(), own), [add(SUBJECT, "[SUSPECT]")]);
        let empty = Answer::ChangeField { name: SUBJECT, number: 1, value: b"[SUSPECT]".to_vec() };
        assert_eq!(edits(b"Subject:\r\n", Forged::new(), own), [empty]);
    }
}
