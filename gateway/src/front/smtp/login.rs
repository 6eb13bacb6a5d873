//! AUTH goes through to the next hop, which alone knows the passwords (RFC 4954).

use std::sync::Arc;

use super::next_hop::NextHopError;
use super::session::{Flow, Next, Session};
use crate::direction::{Direction, Route, RouteReason};
use crate::policy::Reply;
use crate::smtp::{CommandError, NextHopReply};

/// Lines of one exchange; no mechanism needs that many.
const MOST_ROUNDS: usize = 16;

impl Session {
    /// Has the next hop judge a login. Nothing of it is written anywhere.
    pub(super) async fn auth(&mut self, arguments: &str) -> Flow {
        if !self.listener.auth || !self.stream.is_tls() || self.offered.auth.is_empty() {
            return self.refuse(CommandError::NotOffered.reply());
        }
        let Some(hello) = self.hello.clone() else {
            return self.refuse(Reply::new(503, 5, 1, "send EHLO first"));
        };
        if self.is_authenticated() || self.transaction.is_some() {
            return self.refuse(Reply::new(503, 5, 1, "not now"));
        }
        if self.next_hop.is_none() {
            match self.connect(&hello).await {
                Ok(next_hop) => self.next_hop = Some(next_hop),
                Err(error) => return self.login_failed(&error),
            }
        }
        match self.exchange(arguments).await {
            Ok(Ok(reply)) => self.logged_in(&reply),
            Ok(Err(ended)) => {
                // What the next hop waits for now is half a login.
                self.next_hop = None;
                self.no_line(&ended)
            }
            Err(error) => self.login_failed(&error),
        }
    }

    /// The exchange up to the next hop's last word.
    async fn exchange(
        &mut self,
        arguments: &str,
    ) -> Result<Result<NextHopReply, Next>, NextHopError> {
        let mut line = format!("AUTH {arguments}");
        for _round in 0..MOST_ROUNDS {
            let wait = self.settings.limits.next_hop_timeout;
            let next_hop = self.next_hop.as_mut().ok_or(NextHopError::Closed)?;
            let answer = self.patience.within(wait, next_hop.command(&line, wait)).await;
            let reply = answer.ok_or(NextHopError::Timeout)??;
            if reply.code != 334 {
                return Ok(Ok(reply));
            }
            self.stream.say_lines(&reply.wire());
            line = match self.next_line(true).await {
                Next::Line(Ok(answer)) => match String::from_utf8(answer) {
                    Ok(answer) if answer.bytes().all(|octet| octet.is_ascii_graphic()) => answer,
                    // Not base64: the next hop hears that it is over.
                    Ok(_) | Err(_) => "*".to_owned(),
                },
                ended => return Ok(Err(ended)),
            };
        }
        Err(NextHopError::Timeout)
    }

    /// Who has logged in is one of our own, as far as the next hop can tell, and no score stops him.
    fn logged_in(&mut self, reply: &NextHopReply) -> Flow {
        if reply.code != 235 {
            if reply.code == 421 || !(400..600).contains(&reply.code) {
                return self.login_failed(&NextHopError::Unexpected(reply.clone()));
            }
            self.stream.say_lines(&reply.wire());
            return self.count_error();
        }
        self.before_login = self.connection.clone().map(Box::new);
        if let Some(connection) = &mut self.connection {
            let ptr = connection.route.take().map(|route| route.ptr).unwrap_or_default();
            let (direction, reason) = (Direction::Outbound, RouteReason::Authenticated);
            connection.route = Some(Route { direction, reason, ptr });
            connection.score = None;
        }
        self.stream.say_lines(&reply.wire());
        Flow::Continue
    }

    fn login_failed(&mut self, error: &NextHopError) -> Flow {
        self.next_hop = None;
        let front = Arc::clone(&self.front);
        front.counters.next_hop_failures.add();
        front.next_hops.doubt();
        tracing::debug!(target: "next-hop", "login not possible: {error}");
        self.stream.say(Reply::new(454, 7, 0, "temporary authentication failure, try again later"));
        Flow::Continue
    }
}
