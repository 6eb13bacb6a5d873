//! Takes up requests for reviews, and ends reviews: lists change by the same way as by any other command.

use tracing::info;

use super::Refresher;
use super::change::{ChangeError, Changed, ListChange, What};
use super::list_state::ListState;
use crate::clock::{Expiry, Timestamp};
use crate::list::{Class, on_one_line};
use crate::net::Prefix;
use crate::review::{Ask, Event, EventKind, Outcome, Resolution, Review, State};
use crate::store::{Kind, Requested, Store, StoreError};

/// What is wanted of reviews.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReviewChange {
    /// Look at a prefix again.
    Request {
        /// The prefix.
        prefix: Prefix,
        /// Who asks, and why; when is for the refresher to say.
        ask: Ask,
    },
    /// End a review.
    Resolve {
        /// Its number.
        id: u64,
        /// Who decides.
        author: String,
        /// Why.
        note: String,
        /// What is decided.
        what: Resolve,
    },
}

/// What is decided about a review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolve {
    /// Take back what was entered by hand or by promotion.
    Removed {
        /// Whether the prefix is hit by something now: then there must be something to take back.
        is_hit: bool,
    },
    /// List it as good.
    GoodListed {
        /// The list; the first good list of this site without a name.
        list: Option<String>,
        /// Until when.
        expires: Option<Expiry>,
    },
    /// Change nothing.
    Refused,
}

/// What came of it, once it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewChanged {
    /// The review as it is now.
    pub review: Review,
    /// Whether a request belongs to a review that was open already.
    pub joined: bool,
    /// What whoever asked should know.
    pub warnings: Vec<String>,
}

/// Why nothing, or not all of it, is done.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// There is no such review.
    #[error("there is no review {0}")]
    Unknown(u64),
    /// Somebody was faster.
    #[error("review {id} was resolved as {} by {author} at {at}", result.name())]
    Resolved {
        /// Its number.
        id: u64,
        /// What was decided.
        result: Outcome,
        /// Who decided.
        author: Box<str>,
        /// When.
        at: Timestamp,
    },
    /// As many are open as can be.
    #[error("{most} reviews are open already, expected fewer before another begins")]
    TooMany {
        /// How many there can be.
        most: i64,
    },
    /// What is against it was not entered here.
    #[error("nothing about {prefix} was entered by hand, so nothing can be taken back")]
    NothingToRemove {
        /// What the review is about.
        prefix: Prefix,
    },
    /// There is nowhere to list it as good.
    #[error("there is no list of class local-good")]
    NoGoodList,
    /// The list says nothing good.
    #[error("`{0}` is a list of bad senders, expected one of good senders")]
    NotGood(String),
    /// A list is not changed.
    #[error("{}{error}", told(done))]
    Change {
        /// What was done before that, and stays.
        done: Vec<String>,
        /// Why.
        error: Box<ChangeError>,
    },
}

/// What stays done although the rest failed.
fn told(done: &[String]) -> String {
    if done.is_empty() {
        return String::new();
    }
    format!("the review stays open; {}; but then: ", done.join("; "))
}

impl From<ChangeError> for ReviewError {
    fn from(error: ChangeError) -> Self {
        Self::Change { done: Vec::new(), error: Box::new(error) }
    }
}

impl From<StoreError> for ReviewError {
    fn from(error: StoreError) -> Self {
        ChangeError::from(error).into()
    }
}

impl ReviewError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown(_) => "`portcullis review list` shows those that there are".to_owned(),
            Self::Resolved { .. } => "a new request begins another review".to_owned(),
            Self::TooMany { .. } => {
                "resolve some: `portcullis review list --state open` shows them".to_owned()
            }
            Self::NothingToRemove { .. } => return None,
            Self::NoGoodList => {
                "add a [[list]] with `class = \"local-good\"`, or name one with --list".to_owned()
            }
            Self::NotGood(_) => "`portcullis list show` names the lists".to_owned(),
            Self::Change { error, .. } => return error.hint(),
        })
    }
}

impl Refresher {
    /// Does what is wanted, and answers once it is in force.
    pub(super) fn change_review(
        &mut self,
        change: ReviewChange,
    ) -> Result<ReviewChanged, ReviewError> {
        match change {
            ReviewChange::Request { prefix, ask } => self.request_review(prefix, &ask),
            ReviewChange::Resolve { id, author, note, what } => {
                self.resolve_review(id, &author, &note, what)
            }
        }
    }

    fn request_review(&self, prefix: Prefix, ask: &Ask) -> Result<ReviewChanged, ReviewError> {
        let line = |text: &Option<Box<str>>| {
            let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty())?;
            Some(on_one_line(text).into())
        };
        let at = micro(self.clock.now());
        let author = on_one_line(&ask.author).into();
        let (note, contact) = (line(&ask.note), line(&ask.contact));
        let ask = Ask { at, author, note, contact, reference: ask.reference.clone() };
        let (review, joined) = match self.kept.store()?.request_review(prefix, &ask)? {
            Requested::New(review) => (review, false),
            Requested::Joined(review) => (review, true),
            Requested::Full { most } => return Err(ReviewError::TooMany { most }),
        };
        let event = if joined { EventKind::Joined } else { EventKind::Requested };
        info!(target: "review", "{} review={} prefix={prefix} author={:?}", event.name(), review.id, ask.author);
        self.engine.audit().write(&Event::asked(event, at, &review, &ask.author));
        Ok(ReviewChanged { review, joined, warnings: Vec::new() })
    }

    /// Lists change first: what fails leaves the review open, and can be tried again.
    fn resolve_review(
        &mut self,
        id: u64,
        author: &str,
        note: &str,
        what: Resolve,
    ) -> Result<ReviewChanged, ReviewError> {
        let open = self.kept.store()?.review(id)?.ok_or(ReviewError::Unknown(id))?;
        if let (State::Resolved, Some(resolution)) = (open.state, open.resolution) {
            let Resolution { result, author, at, .. } = resolution;
            return Err(ReviewError::Resolved { id, result, author, at });
        }
        let mut resolution = Resolution {
            result: Outcome::Refused,
            note: on_one_line(note.trim()).into(),
            author: on_one_line(author).into(),
            at: micro(self.clock.now()),
            until: None,
            done: Vec::new(),
        };
        // Before anything is changed.
        Store::check_resolution(&resolution)?;
        let mut warnings = Vec::new();
        match what {
            Resolve::Removed { is_hit } => {
                resolution.result = Outcome::Removed;
                self.take_back(open.prefix, id, author, &mut resolution.done, &mut warnings)?;
                if is_hit && resolution.done.is_empty() {
                    return Err(ReviewError::NothingToRemove { prefix: open.prefix });
                }
            }
            Resolve::GoodListed { list, expires } => {
                resolution.result = Outcome::GoodListed;
                resolution.until = expires;
                let list = self.good_list(list)?;
                let reason = Some(format!("review {id}"));
                let what = What::Add { prefix: open.prefix, reason, expires };
                let changed = self.change(ListChange { list, author: author.to_owned(), what })?;
                note_change(changed, &mut resolution.done, &mut warnings);
            }
            Resolve::Refused => {}
        }
        let resolved = self.kept.store()?.resolve_review(id, &resolution);
        let resolved = resolved.map_err(|error| after(&mut resolution.done, error.into()))?;
        let review = resolved.ok_or(ReviewError::Unknown(id))?;
        let (result, prefix) = (resolution.result.name(), review.prefix);
        info!(target: "review", "resolved review={id} prefix={prefix} result={result} author={author:?}");
        if let Some(event) = Event::resolved(&review) {
            self.engine.audit().write(&event);
        }
        Ok(ReviewChanged { review, joined: false, warnings })
    }

    /// Takes out of every bad list what was entered there by hand or by promotion.
    fn take_back(
        &mut self,
        prefix: Prefix,
        id: u64,
        author: &str,
        done: &mut Vec<String>,
        warnings: &mut Vec<String>,
    ) -> Result<(), ReviewError> {
        let names: Vec<_> = self
            .lists
            .iter()
            .map(ListState::list)
            .filter(|list| !list.class.is_good() && self.is_entered(&list.name, prefix))
            .map(|list| list.name.to_string())
            .collect();
        for list in names {
            let what = What::Withdraw { prefix, reason: Some(format!("review {id}")) };
            match self.change(ListChange { list, author: author.to_owned(), what }) {
                Ok(changed) => note_change(changed, done, warnings),
                // It is cut out already, or the source has it, too.
                Err(ChangeError::NotListed { .. }) => {}
                Err(error) => return Err(after(done, error)),
            }
        }
        Ok(())
    }

    /// Whether somebody entered something in the list that covers `prefix` or lies in it.
    fn is_entered(&self, list: &str, prefix: Prefix) -> bool {
        self.kept.manual(list).any(|entry| {
            let other = entry.prefix;
            entry.kind == Kind::Listed && (other.covers(prefix) || prefix.covers(other))
        })
    }

    /// The list that is named, or the first good list of this site, rather one that is in force.
    fn good_list(&self, named: Option<String>) -> Result<String, ReviewError> {
        if let Some(name) = named {
            let found = self.lists.iter().find(|state| *state.list().name == *name);
            let is_bad = found.is_some_and(|state| !state.list().class.is_good());
            // Of a list that there is not, the change says which there are.
            return if is_bad { Err(ReviewError::NotGood(name)) } else { Ok(name) };
        }
        let of_site = || {
            let lists = self.lists.iter();
            lists.filter(|state| state.list().class == Class::LocalGood)
        };
        let found = of_site().find(|state| state.is_good_now()).or_else(|| of_site().next());
        found.map(|state| state.list().name.to_string()).ok_or(ReviewError::NoGoodList)
    }
}

fn note_change(changed: Changed, done: &mut Vec<String>, warnings: &mut Vec<String>) {
    done.push(format!("{}: {}", changed.list, changed.done));
    warnings.extend(changed.warnings);
}

/// The same fault after what was done, which stays.
fn after(done: &mut Vec<String>, error: ChangeError) -> ReviewError {
    ReviewError::Change { done: std::mem::take(done), error: Box::new(error) }
}

/// A time as the store keeps it.
pub(super) fn micro(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}
