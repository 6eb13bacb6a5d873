//! One connection of Postfix: requests are answered in turn until it leaves.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::warn;

use super::super::service::Place;
use super::super::socket::Stream;
use super::super::{Patience, Stop};
use super::PolicyService;
use crate::postfix_policy::{Request, RequestBuffer};

/// Octets that are read at once.
const PIECE: usize = 4 * 1024;

/// Serves one connection.
///
/// Where a request cannot be understood, the connection is closed without an answer: Postfix asks once more, then tells its client
/// to come again (451 4.3.5).
pub(super) async fn run(front: Arc<PolicyService>, stream: Stream, stop: Stop, place: Place) {
    let limits = front.settings.load().limits.clone();
    // Postfix keeps a connection for as long as it likes; only that it stands idle too long ends it from here.
    let patience = Patience::new(stop, std::time::Duration::from_hours(24 * 7));
    let mut connection = Connection { stream, input: RequestBuffer::default(), patience };
    while let Some(request) = connection.next(&front, limits.session_timeout).await {
        let answer = front.judge(request).await.wire();
        front.counters.requests.add();
        let sent = connection.stream.write_all(answer.as_bytes());
        let sent = connection.patience.within(limits.command_timeout, sent).await;
        if !matches!(sent, Some(Ok(()))) {
            break;
        }
    }
    drop(place);
}

/// The connection, with what came over it and nobody has read yet.
struct Connection {
    stream: Stream,
    input: RequestBuffer,
    patience: Patience,
}

impl Connection {
    /// The next request; `None` where there is none any more.
    async fn next(&mut self, front: &PolicyService, wait: std::time::Duration) -> Option<Request> {
        let Self { stream, input, patience } = self;
        let read = async {
            loop {
                if let Some(request) = input.next_request() {
                    return Some(request);
                }
                match stream.read_buf(input.space(PIECE)).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return None,
                }
            }
        };
        let request = tokio::select! {
            biased;
            request = patience.within(wait, read) => request.flatten()?,
            () = patience.stopping() => return None,
        };
        request
            .inspect_err(|fault| {
                front.counters.protocol_errors.add();
                warn!(target: "postfix_policy", "Postfix is left: {fault}");
            })
            .ok()
    }
}
