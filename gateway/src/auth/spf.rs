//! What SPF says about the host that a message comes from (RFC 7208).

use mail_auth::SpfResult;

/// What SPF says about the host that a message comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spf {
    /// This domain says that the host may send its mail.
    Pass(String),
    /// Nothing is proved; the word is that of RFC 7208 section 2.6.
    NotPass(&'static str),
    /// DNS gave no answer in time, or one that nobody understands; nothing is proved.
    Fault,
}

impl Spf {
    pub(super) fn new(result: SpfResult, domain: &str) -> Self {
        match result {
            SpfResult::Pass => Self::Pass(domain.to_lowercase()),
            SpfResult::Fail => Self::NotPass("fail"),
            SpfResult::SoftFail => Self::NotPass("softfail"),
            SpfResult::Neutral => Self::NotPass("neutral"),
            SpfResult::PermError => Self::NotPass("permerror"),
            SpfResult::None => Self::NotPass("none"),
            SpfResult::TempError => Self::Fault,
        }
    }
}
