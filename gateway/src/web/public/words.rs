//! Why mail was turned away and what its sender can do, in sentences for people who run no mail server.
//!
//! A sentence tells no more than the name of its verdict: no list, no zone, no score, nobody else.

use crate::policy::Verdict;
use crate::story::Told;

/// What is said of a connection that the kernel refused.
pub(super) const BY_KERNEL: &str = "The address of your mail server is on a list of this host that refuses connections. Ask whoever runs it to find out why, such as a computer that sends spam; once that is over, ask here to look again.";

/// What is said of a message that this host let through, and the one behind it refused.
const BY_NEXT_HOP: &str = "This host let it through. Your bounce has the words of the other: they say what to do about it.";

/// What is said of a decision; `None` where the mail was taken, or where this version does not know its verdict.
pub(super) fn of(record: &Told) -> Option<&'static str> {
    if record.is_refused_by_next_hop() {
        return Some(BY_NEXT_HOP);
    }
    let is_held_back = record.enforced && record.action == "quarantine";
    if !record.is_refused_here() && !is_held_back {
        return None;
    }
    let is_for_now = record.action == "defer";
    let verdict = Verdict::ALL.into_iter().find(|verdict| verdict.code() == record.code)?;
    Some(sentence(verdict, is_for_now))
}

/// Verdicts with the same name have the same sentence: which of them it was nobody is told.
const fn sentence(verdict: Verdict, is_for_now: bool) -> &'static str {
    match verdict {
        // What has nothing against it is put off all the same, such as when the rules changed in between.
        Verdict::Accept
        | Verdict::Exempt
        | Verdict::GlobalGood
        | Verdict::LocalGood
        | Verdict::Outbound
        | Verdict::ThirdPartyGood => {
            "There was nothing against your mail, but it could not be taken at that moment. Your mail server tries again by itself."
        }
        Verdict::Auto | Verdict::GlobalBad | Verdict::LocalBad | Verdict::ThirdPartyBad => {
            "The address of your mail server, or of another one that your mail came through, is on a list of addresses whose mail is not let in. Ask whoever runs that server to find out why, such as a computer that sends spam; once that is over, ask here to look again."
        }
        Verdict::Capacity => {
            "This host had no room for more at that moment. Your mail server tries again by itself."
        }
        Verdict::DnsTempfail => {
            "This host could not look up what it has to know about your mail. That is no fault of yours, and your mail server tries again by itself."
        }
        Verdict::EarlyTalker => {
            "Your mail server talked before it was greeted, as programs that send spam do. Whoever runs it has to make it wait for the greeting; from a computer at home, send through the mail server of your provider."
        }
        Verdict::Flood => {
            "Too many connections came from the network of your mail server. It has to open fewer at a time, and to try again later."
        }
        Verdict::Greylist => {
            "Mail from senders that are not known here yet has to wait for a while. Your mail server tries again by itself; if your mail is not there after a day, ask whoever runs it whether it does."
        }
        Verdict::NextHop => {
            "The mail server behind this host took no mail at that moment. That is no fault of yours, and your mail server tries again by itself."
        }
        Verdict::OpenProxy => {
            "The address of your mail server, or of another one that your mail came through, is known as an open proxy: strangers can send through that computer, mostly without its owner knowing. Ask whoever runs it to close it; once that is done, ask here to look again."
        }
        // That can be a host of our own that does not say who its client is.
        Verdict::Protocol if is_for_now => {
            "Something went wrong while your mail was handed over, which may be the fault of this host. Your mail server tries again by itself."
        }
        Verdict::Protocol => {
            "Your mail, or the way in which it was handed over, was not as mail has to be, or it was too large. Show what your mail server was told to whoever runs it."
        }
        Verdict::ReputationDelay => {
            "The address of your mail server does not look like one that sends wanted mail, so it has to wait. Your mail server tries again by itself; if your mail is not there after a day, ask here to look again."
        }
        Verdict::ReputationReject => {
            "The address of your mail server looks like one that sends unwanted mail, such as one at home or one without a proper name. Send through the mail server of your provider, or ask whoever runs yours to look after its name; then ask here to look again."
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::policy::Action;

    #[test]
    fn each_verdict_has_a_sentence_that_tells_no_more_than_its_name() {
        for is_for_now in [true, false] {
            let mut by_name = BTreeMap::new();
            for verdict in Verdict::ALL {
                let said = sentence(verdict, is_for_now);
                assert!(said.ends_with('.') && said.contains(". "), "{verdict}: {said}");
                let same = by_name.entry(verdict.name()).or_insert(said);
                assert_eq!(*same, said, "{verdict}");
                for hidden in ["score", "zone", "DNS", "recipient", "@", "third", "global", "our"] {
                    let is_word = |word: &str| word.trim_matches([',', '.', ';', ':']) == hidden;
                    assert!(!said.split(' ').any(is_word), "{hidden}: {said}");
                }
                assert!(!said.contains(|letter: char| letter.is_ascii_digit()), "{said}");
            }
        }
    }

    #[test]
    fn only_what_was_turned_away_or_held_back_has_one() {
        for action in Action::ALL {
            for enforced in [true, false] {
                let told = Told::read(&json!({
                    "code": "sys-deny-ip", "action": action, "enforced": enforced,
                }));
                let is_expected = enforced && (action.refuses() || action == Action::Quarantine);
                assert_eq!(of(&told).is_some(), is_expected, "{action} {enforced}");
            }
        }
        let refused = |code: &str| Told::read(&json!({"code": code, "action": "reject"}));
        assert_eq!(of(&refused("of-a-later-version")), None);
        for verdict in Verdict::ALL {
            assert_eq!(of(&refused(verdict.code())), Some(sentence(verdict, false)));
        }
        let behind =
            json!({"code": "accept", "action": "accept", "reply": "550 no", "next_hop": "550 no"});
        assert_eq!(of(&Told::read(&behind)), Some(BY_NEXT_HOP));
    }
}
