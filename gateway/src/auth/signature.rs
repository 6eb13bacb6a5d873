//! Which DKIM signatures are looked at, beyond what the library checks.

use mail_auth::common::crypto::Algorithm;
use mail_auth::common::headers::Header;
use mail_auth::dkim::Signature;
use mail_auth::{AuthenticatedMessage, DkimOutput, DkimResult};

/// Signatures that are looked at, from the top: each costs a question and the arithmetic of a key.
const MOST: usize = 10;
/// Octets of a signature that is looked at. Real ones have a third of that; each name in one is searched among all fields.
const LONGEST: usize = 8 * 1024;

/// Leaves only signatures in `message` that could prove something.
pub(super) fn keep_worthy(message: &mut AuthenticatedMessage<'_>) {
    message.dkim_headers.retain(is_worthy);
    message.dkim_headers.truncate(MOST);
}

/// The domain that `output` proves, in lower case.
pub(super) fn proved(output: &DkimOutput<'_>) -> Option<String> {
    let signature = output.signature()?;
    (*output.result() == DkimResult::Pass).then(|| signature.d.to_lowercase())
}

/// Whether `output` may change once DNS answers.
pub(super) fn is_uncertain(output: &DkimOutput<'_>) -> bool {
    matches!(output.result(), DkimResult::TempError(_))
}

/// Whether a signature could prove something; the library has refused one for a part of the body (`l=`) already.
fn is_worthy(header: &Header<'_, mail_auth::Result<Signature>>) -> bool {
    let Ok(signature) = &header.header else { return false };
    header.value.len() <= LONGEST
        && signature.v == 1
        // RFC 8301 section 3.1.
        && signature.a != Algorithm::RsaSha1
        // RFC 6376 section 5.4; without it the author is anybody.
        && signature.h.iter().any(|name| name.eq_ignore_ascii_case("From"))
        && is_plain(&signature.d)
        && is_plain(&signature.s)
        && is_own(&signature.i, &signature.d)
        // Reports to whoever signs (RFC 6651), and signatures in the name of others (RFC 6541), would be more questions.
        && !signature.r
        && signature.atps.is_none()
}

/// Whether a name consists of letters, digits, hyphens, underscores, and single dots between them.
fn is_plain(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.split('.').all(is_label)
}

/// Whether an identity (`i=`) belongs to the domain that signs (RFC 6376 section 3.5).
fn is_own(identity: &str, domain: &str) -> bool {
    let Some((_, of)) = identity.rsplit_once('@') else { return identity.is_empty() };
    let (of, domain) = (of.to_lowercase(), domain.to_lowercase());
    of == domain || of.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_that_prove_nothing_are_not_looked_at() {
        const GOOD: &str = "v=1; a=rsa-sha256; d=example.org; s=key; h=To:from; bh=YQ==; b=YQ==";
        for (change, with, expected) in [
            ("", "", 1),
            ("v=1; ", "", 0),
            ("v=1", "v=2", 0),
            ("rsa-sha256", "ed25519-sha256", 1),
            ("rsa-sha256", "rsa-sha1", 0),
            ("To:from", "To:Subject", 0),
            ("h=", "l=5; h=", 0),
            ("h=", "i=@example.org; h=", 1),
            ("h=", "i=a@mail.Example.org; h=", 1),
            ("h=", "i=a@evilexample.org; h=", 0),
            ("h=", "i=a@org; h=", 0),
            ("h=", "i=a; h=", 0),
            ("h=", "r=y; h=", 0),
            ("h=", "atps=other.example; h=", 0),
            ("s=key", "s=k\\", 0),
            ("s=key", "s=a.b-c_d", 1),
            ("example.org", "example.org.", 0),
            ("example.org", "ex ample.org", 1),
        ] {
            let signature = GOOD.replacen(change, with, 1);
            let text =
                format!("DKIM-Signature: {signature}\r\nFrom: a@example.org\r\n\r\nbody\r\n");
            let mut message = AuthenticatedMessage::parse(text.as_bytes()).unwrap();
            keep_worthy(&mut message);
            assert_eq!(message.dkim_headers.len(), expected, "{signature}");
        }
        let many = format!("DKIM-Signature: {GOOD}\r\n").repeat(20) + "From: a@example.org\r\n\r\n";
        let mut message = AuthenticatedMessage::parse(many.as_bytes()).unwrap();
        keep_worthy(&mut message);
        assert_eq!(message.dkim_headers.len(), MOST);
        let long = format!("DKIM-Signature: {GOOD}; z={}\r\n\r\n", "x".repeat(LONGEST));
        let mut message = AuthenticatedMessage::parse(long.as_bytes()).unwrap();
        keep_worthy(&mut message);
        assert_eq!(message.dkim_headers.len(), 0);
    }
}
