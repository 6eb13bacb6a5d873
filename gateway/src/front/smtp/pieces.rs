//! A message that comes in pieces (BDAT, RFC 3030): the next hop gets it as one.

use super::message::{Cut, Message, More};
use super::session::{Flow, Next, Session};
use crate::front::BareNewline;
use crate::policy::Reply;
use crate::smtp::{Bdat, Command, DataDecoder};

/// Octets that are thrown away for a client whose piece nobody wants; then it is left.
const MOST_SKIPPED: u64 = 256 * 1024 * 1024;

/// What comes after a piece.
enum Following {
    Piece(Bdat),
    Ended(Flow),
}

impl Session {
    /// Takes the first piece of a message, and those that follow.
    pub(super) async fn bdat(&mut self, first: Bdat) -> Flow {
        let flow = match self.begin_data().await {
            Ok(transaction) => {
                let limits = &self.settings.limits;
                let normalise = self.listener.bare_newline == BareNewline::Normalise;
                let decoder = DataDecoder::in_pieces(normalise, limits.data_line);
                let message = Message::new(transaction, decoder);
                return self.receive_pieces(message, first).await;
            }
            Err(flow) => flow,
        };
        // The octets of the piece come whatever it was answered.
        if flow == Flow::Continue { self.skip(first.size).await } else { flow }
    }

    async fn receive_pieces(&mut self, mut message: Message, first: Bdat) -> Flow {
        let mut piece = first;
        loop {
            if let Err(cut) = self.take_piece(&mut message, piece.size).await {
                return self.cut_off(message, cut);
            }
            if piece.last {
                message.end_pieces();
                self.look_at(&mut message, true).await;
                return self.finish(message).await;
            }
            if message.is_refused() {
                // The transaction is over: whatever pieces are on their way are thrown away, one by one.
                self.conclude(message);
                return Flow::Continue;
            }
            self.stream.say(Reply::new(250, 0, 0, &format!("{} octets taken", piece.size)));
            piece = match self.following(&mut message).await {
                Following::Piece(piece) => piece,
                Following::Ended(flow) => return flow,
            };
        }
    }

    /// Takes `size` octets.
    async fn take_piece(&mut self, message: &mut Message, size: u64) -> Result<(), Cut> {
        let mut left = size;
        loop {
            let unread = self.stream.input.unread();
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(unread.len());
            message.feed(unread.get(..length).unwrap_or_default());
            self.stream.input.consume(length);
            left -= u64::try_from(length).unwrap_or(left);
            self.look_at(message, false).await;
            if left == 0 {
                return Ok(());
            }
            self.go_on(message).await?;
        }
    }

    /// Waits for the next piece, while the message is in hand.
    async fn following(&mut self, message: &mut Message) -> Following {
        loop {
            let line = match self.next_line(false).await {
                Next::Line(Ok(line)) => line,
                Next::Line(Err(fault)) => {
                    self.give_up(message, None);
                    return Following::Ended(self.faulty_line(fault));
                }
                ended => {
                    self.give_up(message, None);
                    return Following::Ended(self.no_line(&ended));
                }
            };
            match Command::parse(&line) {
                Ok(Command::Bdat(piece)) => return Following::Piece(piece),
                Ok(Command::Noop) => self.stream.say(Reply::new(250, 0, 0, "ok")),
                Ok(Command::Rset) => {
                    self.give_up(message, Some(Reply::new(250, 0, 0, "ok")));
                    return Following::Ended(Flow::Continue);
                }
                Ok(Command::Quit) => {
                    self.give_up(message, Some(Reply::new(221, 0, 0, "bye")));
                    return Following::Ended(Flow::Close);
                }
                Ok(_) | Err(_) => {
                    let reply = Reply::new(503, 5, 1, "send BDAT or RSET");
                    if self.refuse(reply) == Flow::Close {
                        self.give_up(message, None);
                        return Following::Ended(Flow::Close);
                    }
                }
            }
        }
    }

    /// Reads and forgets the octets of a piece.
    async fn skip(&mut self, size: u64) -> Flow {
        let mut left = size;
        if left > MOST_SKIPPED {
            return Flow::Close;
        }
        loop {
            let unread = self.stream.input.unread().len();
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(unread);
            self.stream.input.consume(length);
            left -= u64::try_from(length).unwrap_or(left);
            if left == 0 {
                return Flow::Continue;
            }
            if !matches!(self.more_from_client().await, More::Came) {
                return Flow::Close;
            }
        }
    }
}
