//! Whether all that was missed is here: said once for every log-in, for the game's "catching up…".

use crate::{
    Event, Session, cache::Mode, conversation::Conversation, event::SyncState, id_set::IdSet,
};

/// What was said, and what is so.
#[derive(Debug, Default)]
pub(super) struct Judge {
    state: SyncState,
    said: SyncState,
    /// Something came since the conversations were looked through: another look may say more.
    moved: bool,
}

impl Conversation {
    /// Nothing of its newest page is missing or out of date.
    fn has_newest(&self) -> bool {
        !self.is_behind() && self.repair.is_empty()
    }

    /// Nothing at all is missing.
    fn has_all(&self) -> bool {
        let (floor, end) = (self.floor(), self.last_known);
        self.has_newest() && (end < floor || self.covered.contains_all(floor, end))
    }

    /// The server will not give more of it: what is held is all there is.
    const fn is_refused(&self) -> bool {
        self.pull_not_before == u64::MAX
    }
}

impl Session {
    /// A log-in begins, or the link is gone.
    pub(super) fn sync_behind(&mut self) {
        self.sync.judge.state = SyncState::Behind;
        self.sync.judge.moved = true;
    }

    /// Something came that may have been the last that was missed.
    pub(crate) fn sync_moved(&mut self) {
        self.sync.judge.moved = true;
    }

    /// Looks whether more can be said than was.
    pub(crate) fn judge_sync(&mut self) {
        let filling = self.background_fill && self.cache.mode == Mode::Disk;
        let judge = &mut self.sync.judge;
        if judge.state == SyncState::Complete && !filling {
            judge.state = SyncState::Newest;
        }
        let most = if filling {
            SyncState::Complete
        } else {
            SyncState::Newest
        };
        if judge.state >= most || !judge.moved {
            return;
        }
        let sync = &self.sync;
        let waits = sync.user_log_running
            || sync.heads_running
            || !sync.pages.is_empty()
            || !(sync.wants.iter().all(IdSet::is_empty)
                && sync.ask.is_empty()
                && sync.asked.is_empty());
        if waits || !self.can_read() {
            return;
        }
        // Until something comes, looking again would see the same.
        self.sync.judge.moved = false;
        let of_all = |has: fn(&Conversation) -> bool| {
            (self.conversations.values()).all(|held| held.is_refused() || has(held))
        };
        if filling && of_all(Conversation::has_all) {
            // What was written is on the disk only when it was answered.
            if self.cache.is_idle() {
                self.sync.judge.state = SyncState::Complete;
                return;
            }
        }
        let newest = (self.conversations.values())
            .all(|held| held.is_refused() || !self.is_loaded_ahead(held) || held.has_newest());
        if newest {
            self.sync.judge.state = self.sync.judge.state.max(SyncState::Newest);
        }
    }

    /// What is to be said, if it was not.
    pub(crate) fn poll_sync(&mut self) -> Option<Event> {
        let judge = &mut self.sync.judge;
        if judge.said == judge.state {
            return None;
        }
        judge.said = judge.state;
        Some(Event::Sync(judge.state))
    }
}
