//! Who may look, who may change: every request of a browser or program passes here first.

mod sessions;
mod throttle;
mod token;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::{HeaderMap, header};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use self::sessions::Sessions;
use self::throttle::Throttle;
pub(super) use self::throttle::network;
use self::token::Token;
pub use self::token::make_token;
use crate::admin::SESSION_COOKIE;
use crate::config::{Role, WebConfig};
use crate::password::PasswordHash;

/// Passwords that are hashed at the same time: each costs 20 MiB and a processor.
const AT_ONCE: usize = 2;
/// How long somebody waits for his turn.
const TURN: Duration = Duration::from_secs(5);
/// The name of whoever has the token.
pub(super) const BY_TOKEN: &str = "token";

/// Somebody who is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: Arc<str>,
    pub(super) role: Role,
    /// What each change must bring along; `None` for a program, which has no cookie that others could use.
    pub(super) csrf: Option<Arc<str>>,
}

/// Why nobody is logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Name and password are not of anybody.
    Wrong,
    /// It was tried too often; again in so many seconds.
    TooOften(u64),
    /// Too many try at once.
    Busy,
}

/// Who may look, who may change.
#[derive(Debug)]
pub(super) struct Access {
    config: ArcSwap<WebConfig>,
    token: Token,
    sessions: Sessions,
    throttle: Throttle,
    hashing: Semaphore,
    /// What a wrong name is compared with, so that it takes as long as a wrong password.
    nobody: Option<PasswordHash>,
}

impl Access {
    /// With the token of `state_dir`, which is there.
    pub(super) fn new(config: WebConfig, state_dir: &Path) -> std::io::Result<Self> {
        Ok(Self {
            config: ArcSwap::from_pointee(config),
            token: Token::read(state_dir)?,
            sessions: Sessions::default(),
            throttle: Throttle::default(),
            hashing: Semaphore::new(AT_ONCE),
            nobody: PasswordHash::of("nobody").ok(),
        })
    }

    /// Takes up other users; who is among them no more is logged out.
    pub(super) fn set(&self, config: WebConfig) {
        self.config.store(Arc::new(config));
    }

    /// Whether TLS is spoken.
    pub(super) fn is_tls(&self) -> bool {
        self.config.load().tls
    }

    /// Whether `address` may read metrics without logging in.
    pub(super) fn may_scrape(&self, address: IpAddr) -> bool {
        self.config.load().metrics_from.iter().any(|known| known.contains(address))
    }

    /// Who a request is from, by its token or its cookie.
    pub(super) fn who(&self, headers: &HeaderMap, peer: IpAddr) -> Option<User> {
        if let Some(said) = headers.get(header::AUTHORIZATION) {
            let token = said.to_str().ok()?.strip_prefix("Bearer ")?;
            if self.throttle.wait(peer).is_some() {
                return None;
            }
            if self.token.is(token.trim()) {
                return Some(User { name: BY_TOKEN.into(), role: Role::Operator, csrf: None });
            }
            self.throttle.failed(peer);
            return None;
        }
        let config = self.config.load();
        let (name, csrf) = self.sessions.find(cookie(headers)?, config.session)?;
        let role = if &*name == BY_TOKEN { Role::Operator } else { role(&config, &name)? };
        Some(User { name, role, csrf: Some(csrf) })
    }

    /// Logs somebody in; the cookie that he is known by from now on.
    pub(super) async fn log_in(
        &self,
        name: &str,
        password: String,
        peer: IpAddr,
    ) -> Result<String, Refused> {
        if let Some(seconds) = self.throttle.wait(peer) {
            return Err(Refused::TooOften(seconds));
        }
        let name = if name.is_empty() { BY_TOKEN } else { name };
        let is_right = if name == BY_TOKEN {
            self.token.is(password.trim())
        } else {
            let _turn = timeout(TURN, self.hashing.acquire()).await.ok().ok_or(Refused::Busy)?;
            let config = self.config.load_full();
            let known = config.users.iter().find(|user| user.name == name);
            let hash = known.map(|user| user.password.clone()).or_else(|| self.nobody.clone());
            let matches = spawn_blocking(move || hash.is_some_and(|hash| hash.is_of(&password)));
            matches.await.unwrap_or(false) && known.is_some()
        };
        if !is_right {
            self.throttle.failed(peer);
            return Err(Refused::Wrong);
        }
        self.throttle.forget(peer);
        let config = self.config.load();
        let id = self.sessions.begin(name, config.session).ok_or(Refused::Busy)?;
        Ok(set_cookie(&id, config.session, config.tls))
    }

    /// Logs somebody out; the cookie that takes away the one he had.
    pub(super) fn log_out(&self, headers: &HeaderMap) -> String {
        if let Some(id) = cookie(headers) {
            self.sessions.end(id);
        }
        set_cookie("", Duration::ZERO, self.is_tls())
    }
}

fn role(config: &WebConfig, name: &str) -> Option<Role> {
    config.users.iter().find(|user| user.name == name).map(|user| user.role)
}

/// The session that the browser says it has.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|said| said.to_str().ok());
    all.flat_map(|said| said.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == SESSION_COOKIE).then_some(value))
}

/// No script sees it, no other site sends it with a change, and under TLS it is never sent in the clear.
fn set_cookie(value: &str, lasts: Duration, is_tls: bool) -> String {
    let secure = if is_tls { "; Secure" } else { "" };
    let age = lasts.as_secs();
    format!("{SESSION_COOKIE}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}")
}
