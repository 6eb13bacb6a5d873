//! Any octets of a Postfix that asks the policy service, in any pieces: the same requests, bounded, and answers of one action.

use gateway::policy::Reply;
use gateway::postfix_policy::{Answer, Request, RequestBuffer};

use crate::input::Input;

/// The most letters of a value that are kept.
const KEPT: usize = 320;

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input::new(octets);
    let size = usize::from(input.octet() % 32) + 1;
    let sent = input.rest();
    let whole = requests(sent, sent.len().max(1));
    assert_eq!(whole, requests(sent, size), "pieces of {size}");
    for request in whole.into_iter().flatten() {
        let texts = [&request.helo, &request.sender, &request.recipient, &request.instance];
        for text in texts.into_iter().chain(request.queue_id.as_ref()) {
            assert!(text.chars().count() <= KEPT, "{text}");
            for answer in [
                Answer::Reply(Reply::new(451, 7, 1, text)),
                Answer::Prepend(text.clone()),
                Answer::Discard(text.clone()),
            ] {
                let wire = answer.wire();
                let action = wire.strip_suffix("\n\n").expect("an end");
                super::single_line(action);
                assert!(action.starts_with("action="), "{action}");
            }
        }
    }
}

/// The requests in `sent`; what comes after a fault is not read.
fn requests(sent: &[u8], size: usize) -> Vec<Result<Request, String>> {
    let mut buffer = RequestBuffer::default();
    let mut found = Vec::new();
    for piece in sent.chunks(size) {
        buffer.space(piece.len()).extend_from_slice(piece);
        while let Some(request) = buffer.next_request() {
            let request = request.map_err(|fault| fault.to_string());
            if let Err(fault) = &request {
                super::single_line(fault);
                found.push(request);
                return found;
            }
            found.push(request);
        }
    }
    found
}
