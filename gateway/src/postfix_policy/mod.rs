//! The policy protocol of Postfix without sockets: requests, answers (Postfix 2.1 and later, `SMTPD_POLICY_README`).

mod answer;
mod request;

pub use answer::Answer;
pub use request::{Request, RequestBuffer, RequestFault, Stage};
