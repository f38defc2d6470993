//! Is anybody there? Pings, the server's clock, and the race of a second link.

use fireside_protocol::{
    ClientFrame, Now,
    frames::{Ping, Pong},
    limits::{PING_CALL_PENDING_MS, PING_TIMEOUT_MS, PING_VISIBLE_MS},
};

use super::{Stage, difference};
use crate::{ConnectionState, Session, session::LinkId};

impl Session {
    /// Is anybody there? Asked at once after a suspend, a new route or a jump of the clock.
    pub(crate) fn probe(&mut self, now: Now) {
        match &self.links.main {
            Some(link) if link.stage == Stage::Ready && link.pinged_at.is_none() => self.ping(now),
            Some(_) => {}
            None if self.links.wanted && !self.links.refused && self.links.rival.is_none() => {
                self.open_link(now);
            }
            None => {}
        }
    }

    /// Something came in on a link.
    pub(crate) fn heard(&mut self, id: LinkId, now: Now) {
        let Some(link) = self.link_mut(id) else {
            return;
        };
        link.heard_at = now.monotonic_ms;
        link.pinged_at = None;
        let draining = link.draining;
        if self.is_main(id) && !draining && self.can_read() {
            // It lives after all.
            if let Some(rival) = self.links.rival.take() {
                self.end_link(&rival);
                self.say(ConnectionState::Connected);
            }
        }
    }

    fn ping(&mut self, now: Now) {
        self.links.ping_counter += 1;
        let counter = self.links.ping_counter;
        self.links.ping_sent = Some((counter, now));
        if let Some(link) = &mut self.links.main {
            link.pinged_at = Some(now.monotonic_ms);
        }
        self.send(&ClientFrame::Ping(Ping { counter }), 0);
    }

    pub(crate) fn on_pong(&mut self, pong: &Pong, now: Now) {
        if let Some((counter, sent)) = self.links.ping_sent
            && counter == pong.counter
        {
            self.links.ping_sent = None;
            let half = now.monotonic_ms.saturating_sub(sent.monotonic_ms) / 2;
            self.links.offset_ms = difference(pong.now.saturating_add(half), now.wall_ms);
        }
    }

    /// When the main link is to be pinged or given up next.
    pub(crate) fn heartbeat_at(&self) -> Option<u64> {
        let link = self.links.main.as_ref()?;
        if link.stage != Stage::Ready {
            return None;
        }
        if let Some(at) = link.pinged_at {
            return (self.links.rival.is_none()).then(|| at.saturating_add(PING_TIMEOUT_MS));
        }
        let silence = if self.suspended {
            return None;
        } else if self.calls.any_sent() || self.outbox.any_in_flight() {
            PING_CALL_PENDING_MS
        } else if self.visible {
            PING_VISIBLE_MS
        } else {
            return None;
        };
        Some(link.heard_at.saturating_add(silence))
    }

    pub(crate) fn heartbeat(&mut self, now: Now) {
        if self.heartbeat_at().is_none_or(|at| at > now.monotonic_ms) {
            return;
        }
        if self
            .links
            .main
            .as_ref()
            .is_some_and(|link| link.pinged_at.is_some())
        {
            self.open_link(now);
            self.say(ConnectionState::Reconnecting {
                attempt: self.links.attempt.max(1),
                next_in_ms: 0,
            });
        } else {
            self.ping(now);
        }
    }
}
