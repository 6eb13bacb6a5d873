//! Serves the connections of one socket until the daemon stops, then until they are finished.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, sleep_until};

use super::socket::Stream;
use super::{ServiceSocket, Stop, stopped};
use crate::alarm::Alarms;

/// How long connections may take beyond the deadline of a stop.
const GRACE: Duration = Duration::from_secs(2);

/// A socket at which connections come.
pub(super) trait Listening {
    /// One of them.
    type Connection;

    /// Waits for the next one. Nothing is lost when this is cancelled.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Connection>> + Send;
}

impl Listening for TcpListener {
    type Connection = (TcpStream, SocketAddr);

    async fn accept(&self) -> io::Result<Self::Connection> {
        Self::accept(self).await
    }
}

impl Listening for ServiceSocket {
    type Connection = Stream;

    async fn accept(&self) -> io::Result<Stream> {
        Self::accept(self).await
    }
}

/// Has `admit` make a session of each connection at `socket`, until `stop`; then waits for those that are left, up to its
/// deadline. `name` is that of the socket in alarms.
pub(super) async fn serve<L, Session>(
    socket: L,
    name: &str,
    alarms: &Alarms,
    mut stop: Stop,
    admit: impl Fn(L::Connection) -> Option<Session>,
) where
    L: Listening,
    Session: Future<Output = ()> + Send + 'static,
{
    let mut sessions = JoinSet::new();
    let deadline = loop {
        tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok(connection) => {
                    alarms.clear(name);
                    if let Some(session) = admit(connection) {
                        sessions.spawn(session);
                    }
                }
                Err(error) => {
                    alarms.raise(name, &format!("cannot accept connections: {error}"));
                    // Out of descriptors, most likely: some will be closed in the meantime.
                    sleep(Duration::from_millis(100)).await;
                }
            },
            Some(finished) = sessions.join_next() => report_panic(name, finished),
            deadline = stopped(&mut stop) => break deadline,
        }
    };
    drop(socket);
    let drained = async {
        while let Some(finished) = sessions.join_next().await {
            report_panic(name, finished);
        }
    };
    tokio::select! {
        () = drained => {}
        () = sleep_until(deadline + GRACE) => {}
    }
}

fn report_panic(name: &str, finished: Result<(), JoinError>) {
    if let Err(error) = finished {
        tracing::error!(target: "alarm", "session of {name} died: {error}");
    }
}

/// How many connections a service has now.
#[derive(Debug, Default)]
pub(super) struct Places(AtomicUsize);

/// The place of one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Places>);

impl Places {
    /// A place, unless there are `most` connections.
    pub(super) fn take(self: &Arc<Self>, most: usize) -> Option<Place> {
        let taken = self.0.fetch_add(1, Ordering::Relaxed);
        // Dropped where it is one too many, it gives back what was added.
        let place = Place(Arc::clone(self));
        (taken < most).then_some(place)
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let places = Arc::<Places>::default();
        let first = places.take(2).unwrap();
        let second = places.take(2).unwrap();
        assert!(places.take(2).is_none());
        assert_eq!(places.taken(), 2);
        drop((first, second));
        assert_eq!(places.taken(), 0);
    }
}
