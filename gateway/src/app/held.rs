//! What one daemon alone may have: the state, the rules in the kernel, the name of the admin socket.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use tokio::task;
use tracing::error;

use crate::admin::{self, AdminSocket};
use crate::alarm::Alarms;
use crate::refresh::{Refresher, Request};
use crate::sight::Sight;

/// What one daemon alone may have, for as long as it has it.
#[derive(Debug)]
pub(super) struct Held {
    lock: File,
    /// `None` where it has ended, for another daemon that then came to nothing.
    writing: Option<Writing>,
    admin: task::JoinHandle<io::Result<()>>,
}

/// The threads that write rules and read the kernel's events.
#[derive(Debug)]
pub(super) struct Writing {
    requests: Sender<Request>,
    stop_sight: Sender<()>,
    threads: [JoinHandle<()>; 2],
}

impl Held {
    /// Serves the admin socket to the very end: `status` is how an operator sees what a stop still waits for.
    pub(super) fn new(
        lock: File,
        writing: Option<Writing>,
        admin: AdminSocket,
        sources: Arc<admin::Sources>,
    ) -> Self {
        Self { lock, writing, admin: tokio::spawn(admin::serve(admin, sources)) }
    }

    /// Ends all of it; what is in the kernel stays.
    pub(super) async fn give_up(self) {
        let Self { lock, writing, admin } = self;
        if let Some(writing) = writing {
            // Blocks until a list that is being read has been.
            drop(task::spawn_blocking(|| writing.end()).await);
        }
        admin.abort();
        // With the task goes the name of the socket.
        drop(admin.await);
        drop(lock);
    }
}

impl Writing {
    /// Starts the threads.
    pub(super) fn start(
        refresher: Refresher,
        (requests, inbox): (Sender<Request>, Receiver<Request>),
        sight: Sight,
        alarms: Alarms,
    ) -> io::Result<Self> {
        let refresh = thread::Builder::new()
            .name("refresh".to_owned())
            .spawn(move || refresh(refresher, &inbox, &alarms))?;
        let (stop_sight, sight_stopping) = channel();
        let sight = thread::Builder::new()
            .name("sight".to_owned())
            .spawn(move || sight.run(&sight_stopping))?;
        Ok(Self { requests, stop_sight, threads: [refresh, sight] })
    }

    /// Ends them. They have nothing to lose, and are gone already where they had died.
    fn end(self) {
        drop(self.requests.send(Request::Stop));
        drop(self.stop_sight);
        for thread in self.threads {
            drop(thread.join());
        }
    }
}

/// Lists that are silently no longer refreshed would be worse than a restart.
fn refresh(refresher: Refresher, inbox: &Receiver<Request>, alarms: &Alarms) {
    if catch_unwind(AssertUnwindSafe(|| refresher.run(inbox))).is_err() {
        error!(target: "refresh", "died");
        alarms
            .raise("refresh", "lists are no longer read, the last rules stay: restart the daemon");
    }
}
