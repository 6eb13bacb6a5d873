//! Who a message comes from, as far as SPF and DKIM prove it.

mod aligned;
mod authenticator;
mod signature;
mod spf;

pub use aligned::aligned;
pub use authenticator::{Authenticator, AuthenticatorError, Dkim};
pub use spf::Spf;
