//! A search on its way to the cache, and its answer on the way back.

use std::sync::Weak;

use fireside_protocol::ConversationId;

use crate::{
    cache::{Found, StoreError},
    channel::{Receiver, Sender, channel},
    queue::Queues,
};

/// What comes of a search.
pub(crate) type Answer = Result<Vec<Found>, StoreError>;

/// A search on its way to the cache.
pub(crate) struct SearchQuery {
    pub(crate) text: String,
    pub(crate) conversation: Option<ConversationId>,
    pub(crate) limit: u32,
    pub(crate) reply: Reply,
}

impl SearchQuery {
    /// Answers, and wakes the game.
    pub(crate) fn answer(self, answer: Answer) {
        if let Some(sender) = &self.reply.sender {
            // Whoever asked may be gone.
            let _ = sender.send(answer);
        }
    }

    /// Ends it without an answer and without waking: for a caller that is told so.
    pub(crate) fn refuse(mut self) {
        self.reply.sender = None;
    }
}

/// Where the answer goes. Its end wakes the game, with an answer or (the client or its disk is gone) without one: the receiver knows.
pub(crate) struct Reply {
    sender: Option<Sender<Answer>>,
    // A query may wait in the queues themselves.
    queues: Weak<Queues>,
}

impl Reply {
    pub(crate) fn new(queues: Weak<Queues>) -> (Self, Receiver<Answer>) {
        let (sender, answer) = channel();
        let reply = Self {
            sender: Some(sender),
            queues,
        };
        (reply, answer)
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        // Before the game is woken: it must find the end of the channel.
        if self.sender.take().is_some()
            && let Some(queues) = self.queues.upgrade()
        {
            queues.answered();
        }
    }
}
