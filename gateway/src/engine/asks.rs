//! Those whom the engine asks beside the lists.

use std::sync::Arc;

use crate::auth::Authenticator;
use crate::dns::{Asker, Zones};
use crate::store::SenderStore;

/// Those whom the engine asks beside the lists; where one is not there, nothing is known of what it would say.
#[derive(Clone, Debug, Default)]
pub struct Asks {
    /// Which zones list an address.
    pub zones: Option<Zones>,
    /// What the reverse names of clients are.
    pub names: Option<Asker>,
    /// Which senders wait, and which passed.
    pub senders: Option<Arc<dyn SenderStore>>,
    /// Whether a sender is who it says.
    pub authenticator: Option<Authenticator>,
}
