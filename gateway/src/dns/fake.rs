//! Answers questions in tests, as told.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::sleep;

use super::resolve::{Answer, Fault, Kind, Question, Records, Resolve};

/// A resolver that knows what it was told; clones share that.
#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Mutex<Told>>);

struct Told {
    answers: HashMap<Question, Result<Answer, Fault>>,
    /// What all the rest gets.
    rest: Result<Records, Fault>,
    delay: Duration,
    asked: Vec<Question>,
}

impl Default for Told {
    fn default() -> Self {
        let (answers, asked) = (HashMap::new(), Vec::new());
        Self { answers, rest: Ok(Records::None), delay: Duration::from_millis(10), asked }
    }
}

impl Fake {
    /// A resolver that has the test entries of `domain`, for IPv4.
    pub(super) fn with_zone(domain: &str) -> Self {
        let fake = Self::default();
        fake.list(&format!("2.0.0.127.{domain}."), [127, 0, 0, 2]);
        fake
    }

    pub(super) fn list(&self, name: &str, code: [u8; 4]) {
        self.tell(Kind::A, name, 300, Ok(Records::A(vec![Ipv4Addr::from(code)])));
    }

    pub(super) fn tell(&self, kind: Kind, name: &str, ttl: u64, records: Result<Records, Fault>) {
        let ttl = Duration::from_secs(ttl);
        let answer = records.map(|records| Answer { records, ttl });
        self.0.lock().unwrap().answers.insert(Question::new(kind, name), answer);
    }

    pub(super) fn forget(&self, kind: Kind, name: &str) {
        self.0.lock().unwrap().answers.remove(&Question::new(kind, name));
    }

    pub(super) fn rest(&self, rest: Result<Records, Fault>) {
        self.0.lock().unwrap().rest = rest;
    }

    pub(super) fn delay(&self, seconds: u64) {
        self.0.lock().unwrap().delay = Duration::from_secs(seconds);
    }

    /// How often `name` was asked for.
    pub(super) fn asked(&self, kind: Kind, name: &str) -> usize {
        let question = Question::new(kind, name);
        self.0.lock().unwrap().asked.iter().filter(|asked| **asked == question).count()
    }
}

impl Resolve for Fake {
    fn resolve(&self, question: Question) -> BoxFuture<'static, Result<Answer, Fault>> {
        let mut told = self.0.lock().unwrap();
        let rest = || {
            let ttl = Duration::from_mins(5);
            told.rest.clone().map(|records| Answer { records, ttl })
        };
        let answer = told.answers.get(&question).cloned().unwrap_or_else(rest);
        told.asked.push(question);
        let delay = told.delay;
        async move {
            sleep(delay).await;
            answer
        }
        .boxed()
    }
}
