//! Finds SMTP replies in a paragraph: code, enhanced code, the words behind them.

use serde::Serialize;

/// Letters of a reply that are kept.
const LONGEST: usize = 512;

/// Where a reply ends at the latest, as mail servers and mail programs go on.
const ENDS: [&str; 8] =
    [" (in reply to", " <<< ", " (state ", " Final-Recipient:", " #SMTP#", " ]]", "', ", "\", "];

/// A reply that stands in a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// 400 to 599.
    pub code: u16,
    /// The enhanced code (RFC 3463), where there is one of the same class.
    pub enhanced: Option<String>,
    /// The words.
    pub text: String,
}

/// A reply that begins in a paragraph.
struct Begin {
    /// Where its code begins.
    at: usize,
    /// Where its words begin.
    words: usize,
    code: u16,
    enhanced: Option<String>,
}

/// The replies in `paragraph`, in order, at most `most` of them.
pub(super) fn replies(paragraph: &str, most: usize) -> Vec<Said> {
    let begins: Vec<_> = begins(paragraph).take(most).collect();
    let ends = begins.iter().skip(1).map(|next| next.at).chain([paragraph.len()]);
    let said = begins.iter().zip(ends).map(|(begin, end)| Said {
        code: begin.code,
        enhanced: begin.enhanced.clone(),
        text: words(paragraph.get(begin.words..end).unwrap_or_default()),
    });
    said.collect()
}

/// A number is a code where an enhanced code follows, or where it is said that somebody says it.
fn begins(paragraph: &str) -> impl Iterator<Item = Begin> {
    let mut before = "";
    let mut at = 0_usize;
    let words = paragraph.split_inclusive(' ').map(move |word| {
        let begin = at;
        at = at.saturating_add(word.len());
        (begin, word)
    });
    words.filter_map(move |(begin, word)| {
        let word = word.trim_end();
        let is_announced = before.is_empty() || before.ends_with([':', ';', '<', '(', '\'', '"']);
        before = word;
        let start = word.rfind([';', '\'', '"', '(', '<']).map_or(0, |at| at.saturating_add(1));
        let is_announced = is_announced || start > 0;
        let number = word.get(start..)?;
        let (digits, joined) = number.split_at_checked(3)?;
        let code: u16 = digits.parse().ok().filter(|code| (400..600).contains(code))?;
        let at = begin.saturating_add(start);
        let after = paragraph.get(at.saturating_add(3)..)?;
        if !joined.is_empty() && !joined.starts_with('-') {
            return None;
        }
        let after = after.strip_prefix(['-', ' ']).unwrap_or(after);
        let enhanced = enhanced(after, code);
        let length = enhanced.as_ref().map_or(0, String::len);
        let words = paragraph.len().saturating_sub(after.len()).saturating_add(length);
        (enhanced.is_some() || is_announced).then_some(Begin { at, words, code, enhanced })
    })
}

/// The enhanced code at the start of `text`, if its class is that of `code`.
fn enhanced(text: &str, code: u16) -> Option<String> {
    let word: String = text
        .chars()
        .take(12)
        .take_while(|letter| letter.is_ascii_digit() || *letter == '.')
        .collect();
    let is_part = |part: &str| (1..=3).contains(&part.len());
    let parts: Vec<_> = word.split('.').collect();
    let class = parts.first()?.parse::<u16>().ok()?;
    (parts.len() == 3 && parts.iter().all(|part| is_part(part)) && class == code / 100)
        .then_some(word)
}

/// The words up to where they end by all appearance.
fn words(text: &str) -> String {
    let ends = ENDS.iter().filter_map(|end| text.find(end));
    let end = ends.chain(after_reference(text)).min().unwrap_or(text.len());
    let text = text.get(..end).unwrap_or(text).trim();
    let text = text.trim_end_matches(['\'', '"', '>', '<', '(', ' ']);
    let is_open = text.contains('(');
    let text = if is_open { text } else { text.trim_end_matches(')') };
    text.chars().take(LONGEST).collect()
}

/// Where our replies end.
fn after_reference(text: &str) -> Option<usize> {
    /// The letters of a reference.
    const LETTERS: usize = gateway_ebpf::reference::LETTERS;
    let (start, word) =
        [" reference ", "] ref "].iter().find_map(|word| Some((text.find(word)?, word)))?;
    let end = start.saturating_add(word.len());
    let letters = text.get(end..)?.bytes().take(LETTERS);
    let is_whole = letters.filter(u8::is_ascii_alphanumeric).count() == LETTERS;
    is_whole.then_some(end.saturating_add(LETTERS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_as_mail_servers_quote_them() {
        for (text, expected) in [
            (
                "554 5.7.1 you are not allowed to connect",
                "554|5.7.1|you are not allowed to connect",
            ),
            ("554 you are not allowed", "554|-|you are not allowed"),
            ("554-5.7.1 you", "554|5.7.1|you"),
            (
                "host a[192.0.2.1] said: 550 5.7.1 no thanks (in reply to RCPT TO command)",
                "550|5.7.1|no thanks",
            ),
            ("(host a[192.0.2.1] refused to talk to me: 421 4.7.1 later)", "421|4.7.1|later"),
            (
                "<<< 554 5.7.1 no 554 5.0.0 Service unavailable",
                "554|5.7.1|no;554|5.0.0|Service unavailable",
            ),
            (
                "Remote Server returned '554 5.7.1 <a.example #5.7.1 SMTP; 554 5.7.1 no way>'",
                "554|5.7.1|<a.example #5.7.1 SMTP;;554|5.7.1|no way",
            ),
            ("smtp;550 no", "550|-|no"),
            ("reference ABCDEFGH01234 x", ""),
            (
                "554 5.7.1 no; client [192.0.2.7]; x; reference ABCDEFGH01234 and so on",
                "554|5.7.1|no; client [192.0.2.7]; x; reference ABCDEFGH01234",
            ),
            (
                "stat=Deferred: 421 4.4.0 Unable to connect to DNS",
                "421|4.4.0|Unable to connect to DNS",
            ),
            ("a mail of 554 octets, 5540 or 450x", ""),
            ("554 4.7.1 classes that disagree", "554|-|4.7.1 classes that disagree"),
            ("we got 554 4.7.1", ""),
            ("250 2.0.0 ok 600 6.0.0 what", ""),
            ("554", "554|-|"),
            ("'554", "554|-|"),
            ("", ""),
        ] {
            let found: Vec<_> = replies(text, 9)
                .into_iter()
                .map(|said| {
                    let enhanced = said.enhanced.unwrap_or_else(|| "-".to_owned());
                    format!("{}|{enhanced}|{}", said.code, said.text)
                })
                .collect();
            assert_eq!(found.join(";"), expected, "{text}");
        }
    }
}
