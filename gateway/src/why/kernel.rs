//! What a reference of the kernel says by itself: which list, in which minute, to whom.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::config::Config;
use crate::xdp::{self, References, XdpError};

/// What a reference of the kernel says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WhyKernel)]
pub struct KernelAnswer {
    /// The reference.
    pub reference: String,
    /// That is `kernel`.
    pub decided_by: &'static str,
    /// That is `refuse`: what is reset or dropped hears no reference.
    pub action: &'static str,
    /// The host whose filter gave it.
    pub host: Arc<str>,
    /// The minute in which it was given.
    pub time: Timestamp,
    /// `null` when the filter is gone, and with it the names of its lists.
    pub list: Option<Arc<str>>,
    /// The number of the list in the filter.
    pub slot: u16,
    /// Whether it was given to the address in question.
    pub client: Option<bool>,
}

impl KernelAnswer {
    /// What `reference` says; `None` where the kernel filter of this host did not give it.
    pub(super) fn read(
        config: &Config,
        reference: &str,
        client: Option<IpAddr>,
    ) -> Result<Option<Self>, XdpError> {
        let reference = reference.to_ascii_uppercase();
        let references = References::load(config.xdp.references.as_deref())?;
        let Some(found) = references.read(&reference) else { return Ok(None) };
        Ok(Some(Self {
            reference,
            decided_by: "kernel",
            action: "refuse",
            host: config.hostname.as_str().into(),
            time: found.at,
            list: xdp::pinned_list(&config.xdp, found.slot).ok().flatten(),
            slot: found.slot,
            client: client.map(|client| found.is_of(client)),
        }))
    }
}
