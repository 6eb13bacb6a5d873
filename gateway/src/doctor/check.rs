//! One thing that `doctor` looked at: how it is, what was found, and what to type where it is not well.

use serde::Serialize;
use utoipa::ToSchema;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Health)]
pub enum State {
    /// Well.
    Ok,
    /// It works, and may be better.
    Doubtful,
    /// Something does not work.
    Bad,
    /// It could not be looked at.
    Unseen,
}

impl State {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Doubtful => "doubtful",
            Self::Bad => "bad",
            Self::Unseen => "unseen",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    /// What it is part of.
    pub area: &'static str,
    /// What it is.
    pub name: String,
    /// How it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do; `null` where nothing is to be done.
    pub remedy: Option<String>,
}

impl Check {
    /// It is well.
    pub fn ok(area: &'static str, name: impl ToString, found: impl ToString) -> Self {
        let (name, found) = (name.to_string(), found.to_string());
        Self { area, name, state: State::Ok, found, remedy: None }
    }

    /// It works, and may be better.
    pub fn doubtful(
        area: &'static str,
        name: impl ToString,
        found: impl ToString,
        remedy: impl ToString,
    ) -> Self {
        let remedy = Some(remedy.to_string());
        Self { state: State::Doubtful, remedy, ..Self::ok(area, name, found) }
    }

    /// It does not work.
    pub fn bad(
        area: &'static str,
        name: impl ToString,
        found: impl ToString,
        remedy: impl ToString,
    ) -> Self {
        Self { state: State::Bad, ..Self::doubtful(area, name, found, remedy) }
    }

    /// It could not be looked at, because of `why`; `remedy` says who could.
    pub fn unseen(
        area: &'static str,
        name: impl ToString,
        why: impl ToString,
        remedy: impl ToString,
    ) -> Self {
        Self { state: State::Unseen, ..Self::doubtful(area, name, why, remedy) }
    }
}
