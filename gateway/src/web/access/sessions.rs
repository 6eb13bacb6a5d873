//! Who is logged in, until he does nothing for too long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::token::{digest, random};
use crate::web::notice::Notice;

/// Sessions at the same time; the one that did nothing for the longest time gives way.
const MOST: usize = 1000;
/// How long one lasts at most, whatever is done in it.
pub(super) const LONGEST: Duration = Duration::from_hours(30 * 24);

/// Who is logged in. What a browser has is not kept, only its digest.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Kept>>);

/// A session as long as it is there.
#[derive(Debug)]
struct Kept {
    session: Arc<Session>,
    /// Whoever waits for the end looks again when something is sent, and sees it dropped.
    open: watch::Sender<()>,
}

/// One browser of somebody who is logged in.
#[derive(Debug)]
pub(in crate::web) struct Session {
    pub(super) name: Arc<str>,
    /// What each change must bring along.
    pub(in crate::web) csrf: String,
    began: Instant,
    used: Mutex<Used>,
    notice: Mutex<Option<Notice>>,
    open: watch::Receiver<()>,
}

/// When something was done in it last, and how long nothing may be done in it.
#[derive(Clone, Copy, Debug)]
struct Used {
    last: Instant,
    idle: Duration,
}

impl Session {
    fn new(name: &str, csrf: String, idle: Duration, open: watch::Receiver<()>) -> Self {
        let now = Instant::now();
        let used = Mutex::new(Used { last: now, idle });
        Self { name: name.into(), csrf, began: now, used, notice: Mutex::default(), open }
    }

    /// Keeps what the next page of this browser tells.
    pub(in crate::web) fn tell(&self, notice: Notice) {
        *locked(&self.notice) = Some(notice);
    }

    /// What is to be told, once.
    pub(in crate::web) fn take_notice(&self) -> Option<Notice> {
        locked(&self.notice).take()
    }

    /// Returns when it has ended: by word, with the user's password, or since nothing was done in it.
    pub(in crate::web) async fn over(&self) {
        let mut open = self.open.clone();
        loop {
            let ends = self.ends();
            if ends <= Instant::now() {
                return;
            }
            tokio::select! {
                changed = open.changed() => if changed.is_err() { return },
                // It may have been used meanwhile.
                () = sleep_until(ends) => {}
            }
        }
    }

    fn ends(&self) -> Instant {
        let Used { last, idle } = *locked(&self.used);
        (last + idle).min(self.began + LONGEST)
    }

    fn lasts(&self) -> bool {
        Instant::now() < self.ends()
    }

    /// One of somebody, for a page that is drawn alone.
    #[cfg(test)]
    pub(in crate::web) fn of(name: &str) -> Self {
        Self::new(name, "t0ken".to_owned(), LONGEST, watch::channel(()).1)
    }
}

impl Sessions {
    /// Begins one, which lasts `idle` from its last use; the name that the browser has of it. `None` where the system gives no
    /// random octets.
    pub(super) fn begin(&self, name: &str, idle: Duration) -> Option<String> {
        let (id, csrf) = (random()?, random()?);
        let mut all = self.all();
        all.retain(|_id, kept| kept.session.lasts());
        if all.len() >= MOST {
            let oldest = all.iter().min_by_key(|(_id, kept)| locked(&kept.session.used).last);
            let oldest = oldest.map(|(id, _)| *id);
            oldest.and_then(|id| all.remove(&id));
        }
        let (sender, open) = watch::channel(());
        let session = Arc::new(Session::new(name, csrf, idle, open));
        all.insert(digest(&id), Kept { session, open: sender });
        Some(id)
    }

    /// The session of that name, which is used by that.
    pub(super) fn find(&self, id: &str) -> Option<Arc<Session>> {
        let all = self.all();
        let session = &all.get(&digest(id))?.session;
        if !session.lasts() {
            return None;
        }
        locked(&session.used).last = Instant::now();
        Some(Arc::clone(session))
    }

    /// Ends all but those whose name `stays`; these last `idle` from now on.
    pub(super) fn keep(&self, idle: Duration, stays: impl Fn(&str) -> bool) {
        let mut all = self.all();
        all.retain(|_id, kept| stays(&kept.session.name));
        for kept in all.values() {
            locked(&kept.session.used).idle = idle;
            kept.open.send_replace(());
        }
    }

    pub(super) fn end(&self, id: &str) {
        self.all().remove(&digest(id));
    }

    fn all(&self) -> MutexGuard<'_, HashMap<[u8; 32], Kept>> {
        locked(&self.0)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[tokio::test(start_paused = true)]
    async fn a_session_lasts_as_long_as_it_is_used() {
        let sessions = Sessions::default();
        let id = sessions.begin("ann", HOUR).unwrap();
        for _ in 0..3 {
            advance(Duration::from_mins(59)).await;
            assert_eq!(&*sessions.find(&id).unwrap().name, "ann");
        }
        advance(HOUR).await;
        assert!(sessions.find(&id).is_none() && sessions.find("").is_none());
        let other = sessions.begin("bob", HOUR).unwrap();
        sessions.end(&other);
        assert!(sessions.find(&other).is_none());
        let [ann, bob] = ["ann", "bob"].map(|name| sessions.begin(name, HOUR).unwrap());
        sessions.keep(HOUR, |name| name == "bob");
        assert!(sessions.find(&ann).is_none() && sessions.find(&bob).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_the_end_sees_it() {
        let sessions = Sessions::default();
        let begin = || {
            let id = sessions.begin("ann", HOUR).unwrap();
            (sessions.find(&id).unwrap(), id)
        };
        let (idle, id) = begin();
        advance(Duration::from_mins(59)).await;
        sessions.find(&id).unwrap();
        assert!(timeout(Duration::from_mins(59), idle.over()).await.is_err());
        assert!(timeout(Duration::from_mins(2), idle.over()).await.is_ok());
        for by in ["word", "password", "time"] {
            let (session, id) = begin();
            assert!(timeout(Duration::from_mins(1), session.over()).await.is_err());
            let (over, ()) = tokio::join!(timeout(Duration::from_mins(1), session.over()), async {
                match by {
                    "word" => sessions.end(&id),
                    "password" => sessions.keep(HOUR, |_name| false),
                    _ => sessions.keep(Duration::from_secs(30), |_name| true),
                }
            });
            assert!(over.is_ok(), "{by}");
        }
    }

    #[test]
    fn a_notice_is_told_once() {
        let session = Session::of("ann");
        session.tell(Notice::new("one", &[]));
        session.tell(Notice::new("two", &[]));
        assert_eq!(session.take_notice(), Some(Notice::new("two", &[])));
        assert_eq!(session.take_notice(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_idlest_gives_way() {
        let sessions = Sessions::default();
        let first = sessions.begin("first", HOUR).unwrap();
        advance(Duration::from_secs(1)).await;
        let all: Vec<_> = (0..MOST).map(|_| sessions.begin("x", HOUR).unwrap()).collect();
        assert!(sessions.find(&first).is_none());
        assert!(all.iter().all(|id| sessions.find(id).is_some()));
    }
}
