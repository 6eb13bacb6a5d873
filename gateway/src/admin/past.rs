//! What is remembered of an address: reviews, decisions in the audit trail, what came to lists and went from them.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

use super::shapes;
use crate::audit::{Recent, SeenDecision};
use crate::refresh;
use crate::review::Review;
use crate::store::History;

/// The most reviews of one address that are told.
const REVIEWS: usize = 20;
/// The most decisions.
const DECISIONS: usize = 20;

/// Where it is remembered.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The folder of the store.
    pub state_dir: PathBuf,
    /// The audit trail; `None` where none is written.
    pub audit: Option<PathBuf>,
}

/// What is remembered of an address.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Past {
    /// The newest reviews of it and of networks that it lies in, the open ones first; `null` where they cannot be read.
    #[schema(value_type = Option<Vec<shapes::Review>>)]
    reviews: Option<Vec<Review>>,
    /// The newest decisions for which it was looked at; `null` where they cannot be read.
    #[schema(value_type = Option<Vec<Object>>)]
    decisions: Option<Vec<SeenDecision>>,
    /// What came to lists and went from them; `null` where nothing is kept of it.
    #[schema(value_type = Option<Object>)]
    history: Option<History>,
    /// Why a part of it cannot be read.
    #[serde(rename = "past_faults")]
    faults: Vec<String>,
}

impl Memory {
    /// All that is remembered of `address`; what cannot be read is told, and missing.
    pub async fn of(&self, address: IpAddr) -> Past {
        let memory = self.clone();
        // Reads files, so it stays off the threads that carry mail.
        spawn_blocking(move || memory.read(address)).await.unwrap_or_default()
    }

    fn read(&self, address: IpAddr) -> Past {
        let mut faults = Vec::new();
        let mut fault = |what: &str, error: &dyn ToString| {
            faults.push(format!("{what} cannot be read: {}", error.to_string()));
        };
        let reviews = refresh::reviews_of(&self.state_dir, address, REVIEWS)
            .inspect_err(|error| fault("the reviews", error))
            .ok();
        let decisions = self
            .decisions(address, DECISIONS)
            .inspect_err(|error| fault("the audit trail", error))
            .ok();
        let history = refresh::history(&self.state_dir, address)
            .inspect_err(|error| fault("the journal", error))
            .unwrap_or_default();
        Past { reviews, decisions, history, faults }
    }

    /// The newest decisions about an address. This and [`Self::decision`] are all that asks the trail here.
    pub(super) fn decisions(&self, address: IpAddr, most: usize) -> io::Result<Vec<SeenDecision>> {
        Ok(self.recent()?.map(|recent| recent.about(address, most)).unwrap_or_default())
    }

    /// The decision with that reference, as far back as the newest part of the trail goes.
    pub(super) fn decision(&self, reference: &str) -> io::Result<Option<SeenDecision>> {
        Ok(self.recent()?.and_then(|recent| recent.with_reference(reference)))
    }

    fn recent(&self) -> io::Result<Option<Recent>> {
        let read = |path: &PathBuf| match Recent::read(path) {
            // Nothing was decided yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        };
        self.audit.as_ref().map_or(Ok(None), read)
    }

    /// The folder of the store.
    pub(super) fn state_dir(&self) -> &Path {
        &self.state_dir
    }
}
