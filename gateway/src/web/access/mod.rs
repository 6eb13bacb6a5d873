//! Who may look, who may change: every request of a browser or program passes here first.

mod sessions;
mod throttle;
mod token;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::{HeaderMap, header};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

pub(super) use self::sessions::Session;
use self::sessions::Sessions;
use self::throttle::Throttle;
pub(super) use self::throttle::network;
pub use self::token::Token;
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
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) name: Arc<str>,
    pub(super) role: Role,
    /// That of his browser; `None` for a program, which has no cookie that others could use.
    pub(super) session: Option<Arc<Session>>,
    /// Whether he sees the answer as a page; false where a script reads it.
    pub(super) is_looking: bool,
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
    /// `None` where it cannot be read: nobody has it then.
    token: Option<Token>,
    sessions: Sessions,
    throttle: Throttle,
    hashing: Arc<Semaphore>,
    /// What a wrong name is compared with, so that it takes as long as a wrong password.
    nobody: Option<PasswordHash>,
}

impl Access {
    pub(super) fn new(config: WebConfig, token: Option<Token>) -> Self {
        Self {
            config: ArcSwap::from_pointee(config),
            token,
            sessions: Sessions::default(),
            throttle: Throttle::default(),
            hashing: Arc::new(Semaphore::new(AT_ONCE)),
            nobody: PasswordHash::of("nobody").ok(),
        }
    }

    fn is_token(&self, said: &str) -> bool {
        self.token.as_ref().is_some_and(|token| token.is(said.trim()))
    }

    /// Takes up other users; who is among them no more, or has another password or role, is logged out. TLS is that of the
    /// listener.
    pub(super) fn set(&self, config: WebConfig) {
        let former = self.config.load_full();
        let config = Arc::new(WebConfig { tls: former.tls, ..config });
        // First, so that whoever logs in meanwhile either is seen below or sees it.
        self.config.store(Arc::clone(&config));
        let is_same = |name: &str| {
            let of = |config: &WebConfig| {
                let user = config.users.iter().find(|user| user.name == name);
                user.map(|user| (user.password.clone(), user.role))
            };
            name == BY_TOKEN || (of(&former).is_some() && of(&former) == of(&config))
        };
        self.sessions.keep(config.session, is_same);
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
    pub(super) fn who(&self, headers: &HeaderMap) -> Option<User> {
        if let Some(said) = headers.get(header::AUTHORIZATION) {
            // Nobody guesses it, so whoever tries is not counted: others may come from the same address.
            let token = said.to_str().ok()?.strip_prefix("Bearer ")?;
            let (name, role) = (BY_TOKEN.into(), Role::Operator);
            let user = User { name, role, session: None, is_looking: false };
            return self.is_token(token).then_some(user);
        }
        let session = self.sessions.find(cookie(headers)?)?;
        let name = Arc::clone(&session.name);
        let role =
            if &*name == BY_TOKEN { Role::Operator } else { role(&self.config.load(), &name)? };
        let is_looking =
            headers.get("sec-fetch-dest").is_none_or(|for_what| for_what == "document");
        Some(User { name, role, session: Some(session), is_looking })
    }

    /// Logs somebody in; the cookie that he is known by from now on.
    pub(super) async fn log_in(
        &self,
        name: &str,
        password: String,
        peer: IpAddr,
    ) -> Result<String, Refused> {
        let name = if name.is_empty() { BY_TOKEN } else { name };
        let has_token = name == BY_TOKEN && self.is_token(&password);
        let hash = if has_token { None } else { Some(self.check(name, password, peer).await?) };
        let id = self.sessions.begin(name, self.config.load().session).ok_or(Refused::Busy)?;
        let config = self.config.load();
        let is_his =
            |hash| config.users.iter().any(|user| user.name == name && user.password == hash);
        // Checking takes a while, in which the password may have been changed.
        if !hash.is_none_or(is_his) {
            self.sessions.end(&id);
            return Err(Refused::Wrong);
        }
        // How long somebody may do nothing is for the session to know.
        Ok(set_cookie(&id, sessions::LONGEST, config.tls))
    }

    /// What the password of `name` hashes to, if it is his. A try counts before it is known to be wrong, so that many at once are no way around.
    async fn check(
        &self,
        name: &str,
        password: String,
        peer: IpAddr,
    ) -> Result<PasswordHash, Refused> {
        let may_try =
            || self.throttle.wait(peer).map_or(Ok(()), |left| Err(Refused::TooOften(left)));
        may_try()?;
        let turn = Arc::clone(&self.hashing).acquire_owned();
        let turn = timeout(TURN, turn).await.ok().and_then(Result::ok).ok_or(Refused::Busy)?;
        may_try()?;
        self.throttle.failed(peer);
        let config = self.config.load_full();
        let known = config.users.iter().find(|user| user.name == name);
        let hash = known.map(|user| user.password.clone()).or_else(|| self.nobody.clone());
        let matches = spawn_blocking(move || {
            let matches = hash.is_some_and(|hash| hash.is_of(&password));
            drop(turn);
            matches
        });
        match known {
            Some(user) if matches.await.unwrap_or(false) => {
                self.throttle.take_back(peer);
                Ok(user.password.clone())
            }
            _ => Err(Refused::Wrong),
        }
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
