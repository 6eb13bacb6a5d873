//! What is told of levels: by `log` and `status`, and by the audit trail.

use serde::Serialize;
use utoipa::ToSchema;

use super::raise::Level;
use crate::clock::Timestamp;

/// What happened to the level of a component, as the audit trail keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LevelEvent {
    /// When.
    pub time: Timestamp,
    /// Always `log`.
    pub phase: &'static str,
    /// `raised`, `fell-back` by itself, or `reset` by somebody.
    pub event: &'static str,
    /// The component.
    pub component: &'static str,
    /// What it says from now on.
    pub level: Level,
    /// What it said before.
    pub before: Level,
    /// Until when; `null` where that is over.
    pub until: Option<Timestamp>,
    /// Who did it; `null` for the time that is over.
    pub author: Option<Box<str>>,
}

/// What the log says, as `log` and `status` show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Levels)]
pub struct LevelsReport {
    /// What all components say that are not raised.
    #[schema(value_type = String)]
    pub level: Level,
    /// Each component.
    pub components: Vec<ComponentReport>,
}

/// What one component says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ComponentLevel)]
pub struct ComponentReport {
    /// Its name.
    pub name: &'static str,
    /// What it tells of.
    pub about: &'static str,
    /// What it says now.
    #[schema(value_type = String)]
    pub level: Level,
    /// `null` where it is not raised.
    pub raised: Option<RaiseReport>,
}

/// Why, and until when, a component says more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Raised)]
pub struct RaiseReport {
    /// When it falls back, by what the clock on the wall says now.
    pub until: Timestamp,
    /// The time left.
    pub seconds_left: u64,
    /// Who raised it.
    pub author: Box<str>,
}
