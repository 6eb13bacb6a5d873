//! Why a command or the daemon could not do what it was asked, with the exit code that tells it.

use std::io;

use crate::admin::ClientError;
use crate::config::Faults;
use crate::front::UnixSocketError;
use crate::tls::TlsError;

/// Why a command or the daemon could not do what it was asked; the codes are those of sysexits(3).
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// 2: the arguments do not fit together.
    #[error("{0}")]
    Usage(String),
    /// 2: the daemon does not take what it is asked for.
    #[error("{text}")]
    Asked {
        /// What and why.
        text: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// 69: a daemon, an address or a file is not to be had.
    #[error("{text}")]
    Unavailable {
        /// What and why.
        text: String,
        /// What to do about it.
        hint: String,
    },
    /// 70: a fault of our own.
    #[error("{0}")]
    Internal(String),
    /// 78: the configuration is wrong.
    #[error("{}", told(.0))]
    Config(#[from] Faults),
    /// 78: the configuration asks for something that this host does not give.
    #[error("{text}")]
    Setup {
        /// What and why.
        text: String,
        /// What to do about it.
        hint: String,
    },
    /// Nobody reads our output any more; no fault of ours.
    #[error("broken pipe")]
    BrokenPipe,
}

/// All faults, and how many there are.
fn told(faults: &Faults) -> String {
    let count = faults.0.len();
    format!("the configuration cannot be used, faults: {count}\n{faults}")
}

impl From<TlsError> for Failure {
    /// Who was promised TLS must not get mail in the clear.
    fn from(error: TlsError) -> Self {
        Self::Setup { text: format!("TLS: {error}"), hint: error.hint().to_owned() }
    }
}

impl Failure {
    /// The exit code, 0 where nothing is wrong.
    pub const fn code(&self) -> u8 {
        match self {
            Self::BrokenPipe => 0,
            Self::Usage(_) | Self::Asked { .. } => 2,
            Self::Unavailable { .. } => 69,
            Self::Internal(_) => 70,
            Self::Config(_) | Self::Setup { .. } => 78,
        }
    }

    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Unavailable { hint, .. } | Self::Setup { hint, .. } => Some(hint),
            Self::Asked { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::BrokenPipe
        } else {
            Self::Internal(error.to_string())
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let text = error.to_string();
        match error {
            ClientError::Refused(fault) if fault.is_of_request() => {
                Self::Asked { text, hint: fault.what_to_do().map(ToOwned::to_owned) }
            }
            error => Self::Unavailable { text, hint: error.hint().to_owned() },
        }
    }
}

impl Failure {
    /// A Unix socket, which the configuration has at `key`, is not to be had.
    pub(super) fn of_socket(error: &UnixSocketError, key: &str) -> Self {
        let hint = match error {
            UnixSocketError::Taken { .. } => {
                format!("stop it first, or give this one another `{key}` and `state_dir`")
            }
            UnixSocketError::NotASocket { .. } => {
                format!("remove it, or set `{key}` to another path")
            }
            UnixSocketError::Io { .. } => {
                format!("run as root, or set `{key}` to a path that this user can write")
            }
        };
        Self::Unavailable { text: error.to_string(), hint }
    }
}
