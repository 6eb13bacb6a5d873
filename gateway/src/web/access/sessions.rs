//! Who is logged in, until he does nothing for too long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::token::{digest, random};

/// Sessions at the same time; the one that did nothing for the longest time gives way.
const MOST: usize = 1000;
/// How long one lasts at most, whatever is done in it.
pub(super) const LONGEST: Duration = Duration::from_hours(30 * 24);

/// Who is logged in. What a browser has is not kept, only its digest.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

#[derive(Debug)]
struct Session {
    name: Arc<str>,
    csrf: Arc<str>,
    began: Instant,
    used: Instant,
}

impl Session {
    fn lasts(&self, idle: Duration) -> bool {
        self.used.elapsed() < idle && self.began.elapsed() < LONGEST
    }
}

impl Sessions {
    /// Begins one; the name that the browser has of it. `None` where the system gives no random octets.
    pub(super) fn begin(&self, name: &str, idle: Duration) -> Option<String> {
        let (id, csrf) = (random()?, random()?);
        let now = Instant::now();
        let mut all = self.all();
        all.retain(|_id, session| session.lasts(idle));
        if all.len() >= MOST {
            let oldest = all.iter().min_by_key(|(_id, session)| session.used).map(|(id, _)| *id);
            oldest.and_then(|id| all.remove(&id));
        }
        let session = Session { name: name.into(), csrf: csrf.into(), began: now, used: now };
        all.insert(digest(&id), session);
        Some(id)
    }

    /// Whose it is, with what his changes must bring along.
    pub(super) fn find(&self, id: &str, idle: Duration) -> Option<(Arc<str>, Arc<str>)> {
        let mut all = self.all();
        let session = all.get_mut(&digest(id)).filter(|session| session.lasts(idle))?;
        session.used = Instant::now();
        Some((Arc::clone(&session.name), Arc::clone(&session.csrf)))
    }

    /// Ends all but those whose name `stays`.
    pub(super) fn keep(&self, stays: impl Fn(&str) -> bool) {
        self.all().retain(|_id, session| stays(&session.name));
    }

    pub(super) fn end(&self, id: &str) {
        self.all().remove(&digest(id));
    }

    fn all(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[tokio::test(start_paused = true)]
    async fn a_session_lasts_as_long_as_it_is_used() {
        let sessions = Sessions::default();
        let id = sessions.begin("ann", HOUR).unwrap();
        for _ in 0..3 {
            advance(Duration::from_mins(59)).await;
            assert_eq!(&*sessions.find(&id, HOUR).unwrap().0, "ann");
        }
        advance(HOUR).await;
        assert_eq!(sessions.find(&id, HOUR), None);
        assert_eq!(sessions.find("", HOUR), None);
        let other = sessions.begin("bob", HOUR).unwrap();
        sessions.end(&other);
        assert_eq!(sessions.find(&other, HOUR), None);
        let [ann, bob] = ["ann", "bob"].map(|name| sessions.begin(name, HOUR).unwrap());
        sessions.keep(|name| name == "bob");
        assert!(sessions.find(&ann, HOUR).is_none() && sessions.find(&bob, HOUR).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_idlest_gives_way() {
        let sessions = Sessions::default();
        let first = sessions.begin("first", HOUR).unwrap();
        advance(Duration::from_secs(1)).await;
        let all: Vec<_> = (0..MOST).map(|_| sessions.begin("x", HOUR).unwrap()).collect();
        assert_eq!(sessions.find(&first, HOUR), None);
        assert!(all.iter().all(|id| sessions.find(id, HOUR).is_some()));
    }
}
