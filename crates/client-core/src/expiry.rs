//! Messages that end: hidden when their time is over, whether the server has said so or not.
//!
//! What a device holds is taken away by the server's entry alone; without a network it stays in the cache until there is one.

use fireside_protocol::{ConversationId, Entry};

use crate::{
    Session,
    timers::Timer,
    view::{Body, TimelineRow},
};

impl Session {
    /// Hides a message whose time is over; whether it did.
    pub(crate) fn hides(&self, entry: &Entry, row: &mut TimelineRow) -> bool {
        let ends = entry.ends();
        let over = ends != 0 && ends <= self.links.server_ms(self.now);
        if over {
            row.body = Body::Expired;
            (row.edited, row.pinned, row.reactions) = (false, false, None);
        }
        over
    }

    /// Looks at an open timeline again when the first of its messages ends.
    pub(crate) fn watch_ends(&mut self, id: ConversationId, rows: &[TimelineRow]) {
        let server_ms = self.links.server_ms(self.now);
        let ends = rows.iter().filter_map(|row| row.details.as_ref());
        // An echo whose time is over before it was sent waits for what the server says of it.
        let ends = ends.map(|details| details.expires);
        match ends.filter(|ends| *ends > server_ms).min() {
            Some(ends) => {
                let left = ends - server_ms;
                let at = self.now.monotonic_ms.saturating_add(left);
                self.timers.set(Timer::Ends(id), at);
            }
            None => self.timers.clear(&Timer::Ends(id)),
        }
    }
}
