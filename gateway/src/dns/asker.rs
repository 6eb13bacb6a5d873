//! Asks each question once, however many wait for it, and keeps the answer as long as it is good.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::resolve::{Answer, Fault, Question, Records, Resolve};

/// The most answers that are kept.
const MOST_KEPT: u64 = 200_000;

/// How long an answer counts at least, whatever it says.
const SHORTEST_TTL: Duration = Duration::from_mins(1);

/// How long it counts at most.
const LONGEST_TTL: Duration = Duration::from_hours(1);

/// How long it counts that there was no answer: so that a dead resolver is not asked for each connection.
const FAULT_TTL: Duration = Duration::from_secs(5);

/// How long an answer is waited for when nobody else waits any more.
const LONGEST_QUESTION: Duration = Duration::from_secs(30);

/// The most questions that are open at once.
const MOST_OPEN: usize = 2000;

/// Asks DNS for everybody; clones share what is known.
#[derive(Clone)]
pub struct Asker(Arc<Shared>);

struct Shared {
    resolver: Arc<dyn Resolve>,
    kept: Cache<Question, Reply>,
    open: Mutex<HashMap<Question, watch::Receiver<Option<Reply>>>>,
    patience: Duration,
}

/// What came of a question.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    /// When it came.
    pub(super) at: Instant,
    /// How long it counts.
    pub(super) ttl: Duration,
    /// The records, or why there are none.
    pub(super) records: Result<Arc<Records>, Fault>,
}

/// What whoever started a question is told of it.
#[derive(Debug)]
pub(super) enum Progress<'reply> {
    /// Whoever waited for it gave up; it is asked on.
    Late,
    /// It is answered.
    Done {
        /// What came of it.
        reply: &'reply Reply,
        /// How long it took.
        took: Duration,
        /// Whether [`Progress::Late`] was told before.
        was_late: bool,
    },
}

/// Who is told.
pub(super) type Listener = Box<dyn Fn(Progress<'_>) + Send + Sync>;

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").field("open", &self.0.open().len()).finish_non_exhaustive()
    }
}

impl Asker {
    /// Asks `resolver`; an answer that takes longer than `patience` is late.
    pub fn new(resolver: Arc<dyn Resolve>, patience: Duration) -> Self {
        // Answers know themselves how long they count; this only frees their memory.
        let kept = Cache::builder().max_capacity(MOST_KEPT).time_to_live(LONGEST_TTL).build();
        Self(Arc::new(Shared { resolver, kept, open: Mutex::default(), patience }))
    }

    /// What is known about `question`, if that came after `fresh_from`.
    pub(super) fn kept(&self, question: &Question, fresh_from: Option<Instant>) -> Option<Reply> {
        let reply = self.0.kept.get(question)?;
        let is_good =
            reply.at.elapsed() < reply.ttl && fresh_from.is_none_or(|from| reply.at >= from);
        is_good.then_some(reply)
    }

    /// What comes of `question` until `deadline`; it is asked on after that. `listener` is told where nobody asks it already.
    pub(super) async fn ask(
        &self,
        question: &Question,
        fresh_from: Option<Instant>,
        deadline: Instant,
        listener: Option<Listener>,
    ) -> Result<Arc<Records>, Fault> {
        if let Some(reply) = self.kept(question, fresh_from) {
            return reply.records;
        }
        let mut answer = match self.start(question, fresh_from, listener) {
            Started::Known(reply) => return reply.records,
            Started::Open(answer) => answer,
            Started::TooMany => return Err(Fault::Overload),
        };
        match timeout_at(deadline, answer.wait_for(Option::is_some)).await {
            Ok(Ok(reply)) => {
                reply.as_ref().map_or(Err(Fault::ServerFailure), |reply| reply.records.clone())
            }
            // Whoever asked it is gone, which happens when the process ends.
            Ok(Err(_gone)) => Err(Fault::ServerFailure),
            Err(_elapsed) => Err(Fault::Timeout),
        }
    }

    /// Asks without what is known, and keeps nothing.
    pub(super) async fn ask_anew(
        &self,
        question: Question,
        wait: Duration,
    ) -> Result<Records, Fault> {
        let answer = timeout(wait, self.0.resolver.resolve(question)).await;
        answer.unwrap_or(Err(Fault::Timeout)).map(|answer| answer.records)
    }

    /// The same, with how long it is good.
    pub(super) async fn answer_anew(
        &self,
        question: Question,
        wait: Duration,
    ) -> Result<Answer, Fault> {
        timeout(wait, self.0.resolver.resolve(question)).await.unwrap_or(Err(Fault::Timeout))
    }

    fn start(
        &self,
        question: &Question,
        fresh_from: Option<Instant>,
        listener: Option<Listener>,
    ) -> Started {
        let mut open = self.0.open();
        // It may have been answered a moment ago: answers are kept before their question is closed.
        if let Some(reply) = self.kept(question, fresh_from) {
            return Started::Known(reply);
        }
        let is_full = open.len() >= MOST_OPEN;
        match open.entry(question.clone()) {
            Entry::Occupied(asked) => Started::Open(asked.get().clone()),
            Entry::Vacant(_) if is_full => Started::TooMany,
            Entry::Vacant(place) => {
                let (sender, receiver) = watch::channel(None);
                place.insert(receiver.clone());
                drop(open);
                let closed = Closed { shared: Arc::clone(&self.0), question: question.clone() };
                tokio::spawn(run(closed, sender, listener));
                Started::Open(receiver)
            }
        }
    }
}

enum Started {
    Known(Reply),
    Open(watch::Receiver<Option<Reply>>),
    TooMany,
}

/// An open question; it is closed when this goes, however that happens.
struct Closed {
    shared: Arc<Shared>,
    question: Question,
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.shared.open().remove(&self.question);
    }
}

async fn run(question: Closed, sender: watch::Sender<Option<Reply>>, listener: Option<Listener>) {
    let shared = &question.shared;
    let tell = |progress: Progress<'_>| {
        if let Some(listener) = &listener {
            listener(progress);
        }
    };
    let asked = Instant::now();
    let answer = timeout(LONGEST_QUESTION, shared.resolver.resolve(question.question.clone()));
    tokio::pin!(answer);
    let mut was_late = false;
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        () = sleep(shared.patience) => {
            was_late = true;
            tell(Progress::Late);
            answer.await
        }
    };
    let answer = answer.unwrap_or(Err(Fault::Timeout));
    let (records, ttl) = match answer {
        Ok(Answer { records, ttl }) => {
            (Ok(Arc::new(records)), ttl.clamp(SHORTEST_TTL, LONGEST_TTL))
        }
        Err(fault) => (Err(fault), FAULT_TTL),
    };
    let at = Instant::now();
    let reply = Reply { at, ttl, records };
    shared.kept.insert(question.question.clone(), reply.clone());
    tell(Progress::Done { reply: &reply, took: at - asked, was_late });
    // Nobody may wait any more.
    sender.send_replace(Some(reply));
    drop(question);
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, HashMap<Question, watch::Receiver<Option<Reply>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::super::resolve::Kind;
    use super::*;

    const NAME: &str = "99.2.0.192.zen.example.org.";

    fn asker(fake: &Fake) -> Asker {
        Asker::new(Arc::new(fake.clone()), Duration::from_secs(2))
    }

    async fn ask(asker: &Asker, seconds: u64) -> Result<Arc<Records>, Fault> {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        asker.ask(&Question::new(Kind::A, NAME), None, deadline, None).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_who_ask_the_same_ask_it_once() {
        let fake = Fake::default();
        let asker = asker(&fake);
        let asking: Vec<_> = (0..1000)
            .map(|_| {
                let asker = asker.clone();
                tokio::spawn(async move { ask(&asker, 2).await })
            })
            .collect();
        for asking in asking {
            assert_eq!(asking.await.unwrap().as_deref(), Ok(&Records::None));
        }
        assert_eq!(fake.asked(Kind::A, NAME), 1);
        assert!(asker.0.open().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_for_a_minute_to_an_hour() {
        for (ttl, answer, good, over) in [
            (0, Ok(Records::A(vec![[127, 0, 0, 2].into()])), 59, 61),
            (0, Ok(Records::None), 59, 61),
            (600, Ok(Records::None), 599, 601),
            (86_400, Ok(Records::None), 3599, 3601),
            (0, Err(Fault::ServerFailure), 4, 6),
        ] {
            let fake = Fake::default();
            fake.tell(Kind::A, NAME, ttl, answer.clone());
            let asker = asker(&fake);
            for (wait, asked) in [(0, 1), (good, 1), (over - good, 2)] {
                tokio::time::advance(Duration::from_secs(wait)).await;
                assert_eq!(ask(&asker, 2).await.map(|it| (*it).clone()), answer, "{ttl}");
                assert_eq!(fake.asked(Kind::A, NAME), asked, "{ttl} {wait}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_is_kept_for_the_next_one() {
        let fake = Fake::default();
        fake.list(NAME, [127, 0, 0, 2]);
        fake.delay(20);
        let (asker, begun) = (asker(&fake), Instant::now());
        assert_eq!(ask(&asker, 2).await, Err(Fault::Timeout));
        assert_eq!(begun.elapsed().as_secs(), 2);
        sleep(Duration::from_secs(19)).await;
        let found = ask(&asker, 0).await;
        assert_eq!(found.as_deref(), Ok(&Records::A(vec![[127, 0, 0, 2].into()])));
        assert_eq!(fake.asked(Kind::A, NAME), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_questions_are_open() {
        let fake = Fake::default();
        fake.delay(3600);
        let asker = asker(&fake);
        let deadline = Instant::now() + Duration::from_secs(2);
        let asking: Vec<_> = (0..MOST_OPEN + 10)
            .map(|number| {
                let asker = asker.clone();
                let question = Question::new(Kind::A, format!("{number}.example.org."));
                tokio::spawn(async move { asker.ask(&question, None, deadline, None).await })
            })
            .collect();
        let mut faults = [0, 0];
        for asking in asking {
            match asking.await.unwrap() {
                Err(Fault::Overload) => faults[0] += 1,
                Err(Fault::Timeout) => faults[1] += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(faults, [10, MOST_OPEN]);
        sleep(LONGEST_QUESTION).await;
        assert!(asker.0.open().is_empty(), "what is never answered is given up");
    }

    #[test]
    fn a_question_does_not_tell_its_name() {
        let question = Question::new(Kind::A, "2.0.0.127.s3cret.zen.example.org.");
        assert!(!format!("{question:?}").contains("s3cret"));
    }
}
