//! From where the device stands to now: the user log, the heads, then pages by priority.

mod pages;
mod state;

use fireside_protocol::{
    ClientFrame, ConversationId, Role, Sequence, UserId, WallMs,
    frames::{HeadsPage, HeadsRequest, UserLogPage, UserLogRequest, UserRecord, UserRecordKind},
    limits::{HEADS_MAX, HEADS_ONLY_MAX, HEADS_OVERLAP_MS},
};

use self::state::Judge;
use crate::{
    Event, Session,
    id_set::{IdSet, Numbers},
    link::Request,
    sorted::Map,
    timers::Timer,
};

/// How much a conversation's next page is wanted: open, direct, unread, others.
const PRIORITIES: usize = 4;
/// Pages asked for at once: while one is read on the server, others are on their way or are applied here.
const PAGES_IN_FLIGHT_MAX: usize = 8;
/// Items asked for at once, if not for a single page: as answers they must fit the 256 KiB that a server queues for a session, else it
/// refuses what does not.
const PAGE_ITEMS_IN_FLIGHT_MAX: u32 = 400;
/// A page that does not come is asked for again after this, in ms.
const PAGE_TIMEOUT_MS: u64 = 15_000;
/// The first sync is asked for if it did not come by itself in this time, in ms.
const FIRST_SYNC_MS: u64 = 10_000;
/// Largest pause after pages that brought nothing, in ms.
const PULL_PAUSE_MS_MAX: u64 = 60_000;
/// A hole of this many numbers or fewer in an open timeline is filled by itself.
pub(crate) const SMALL_HOLE: u64 = 200;
/// Invitations kept.
const INVITATIONS_MAX: usize = 1_000;
/// Blocks kept.
const BLOCKS_KEPT_MAX: usize = 2_000;

/// Where the sync is.
#[derive(Debug, Default)]
pub(crate) struct Sync {
    /// The first pages after the log-in are still to come: user log, heads.
    user_log_running: bool,
    heads_running: bool,
    /// The stamp of this log-in.
    stamp: WallMs,
    /// The `since` this log-in's heads were asked with.
    since: WallMs,
    /// Where the heads go on after trouble.
    heads_next: Option<(WallMs, ConversationId)>,
    /// When the first sync is asked for (again) if it is still not in, in monotonic ms.
    retry_at: Option<u64>,
    /// Heads to ask for: when (monotonic ms).
    ask: Numbers,
    /// Heads on their way.
    asked: IdSet,
    /// Conversations that may need a page; by priority.
    wants: [IdSet; PRIORITIES],
    /// Pages on their way: by request, how many items at most.
    pages: Map<u32, u32>,
    /// Whether all that was missed is here.
    judge: Judge,
    /// Pages of older messages that calls wait for: below which number, how many items.
    pub(crate) older: Map<ConversationId, (Sequence, u32)>,
}

impl Session {
    // After a log-in.

    pub(crate) fn start_sync(&mut self, stamp: WallMs) {
        self.sync.user_log_running = true;
        self.sync.heads_running = true;
        self.sync.stamp = stamp;
        self.sync.since = (self.cache.profile.heads_since).saturating_sub(HEADS_OVERLAP_MS);
        self.sync.heads_next = None;
        self.sync.pages.clear();
        self.sync_behind();
        // It comes by itself, on a stream that may break.
        self.sync.retry_at = None;
        self.retry_sync(FIRST_SYNC_MS);
        for conversation in self.conversations.values_mut() {
            conversation.pull_not_before = 0;
            conversation.pull_failures = 0;
        }
        if !self.sync.ask.is_empty() {
            self.timers.set_sooner(Timer::Heads, self.now.monotonic_ms);
        }
        self.want_all_pages();
    }

    /// An answer did not come; asked again after `again_ms`, if at all.
    pub(crate) fn heads_not_told(
        &mut self,
        conversations: &[ConversationId],
        again_ms: Option<u64>,
    ) {
        self.sync_moved();
        for id in conversations {
            self.sync.asked.remove(*id);
            if let Some(delay_ms) = again_ms {
                self.ask_head(*id, delay_ms);
            }
        }
    }

    /// The link is gone, and with it every answer.
    pub(crate) fn sync_lost(&mut self) {
        self.sync.pages.clear();
        self.sync_behind();
        for conversation in self.conversations.values_mut() {
            if let Some((request, _)) = conversation.asked.take() {
                self.timers.clear(&Timer::Page(request));
            }
        }
        let now = self.now.monotonic_ms;
        while let Some(conversation) = self.sync.asked.pop_first() {
            self.sync.ask.insert(conversation, now);
        }
    }

    pub(crate) fn on_user_log_page(&mut self, request: u32, page: UserLogPage) {
        let asked = matches!(self.requests.remove(&request), Some(Request::UserLog));
        if !(asked || (request == 0 && self.sync.user_log_running)) {
            return;
        }
        if page.reload {
            self.cache.profile.blocked.clear();
            self.cache.profile.invitations.clear();
            self.own_reload();
            self.cache.profile_dirty = true;
        }
        for record in &page.records {
            self.on_user_record(record, false);
        }
        if page.reload || page.cursor > self.cache.profile.user_cursor {
            self.cache.profile.user_cursor = page.cursor;
            self.cache.profile_dirty = true;
        }
        let progress = page.records.iter().any(|record| record.sequence > 0);
        if page.more && progress {
            let cursor = page.cursor;
            let frame = ClientFrame::UserLogRequest(UserLogRequest { cursor });
            self.request(&frame, Request::UserLog);
        } else {
            self.sync.user_log_running = false;
        }
    }

    /// A record of the user log; `live`: not part of a page.
    pub(crate) fn on_user_record(&mut self, record: &UserRecord, live: bool) {
        if live && record.sequence > self.cache.profile.user_cursor {
            // Records are made one by one; a gap means that some were lost, or that the first page is still to come.
            let cursor = self.cache.profile.user_cursor;
            if record.sequence == cursor + 1 {
                self.cache.profile.user_cursor = record.sequence;
                self.cache.profile_dirty = true;
            } else if !std::mem::replace(&mut self.sync.user_log_running, true) {
                let frame = ClientFrame::UserLogRequest(UserLogRequest { cursor });
                self.request(&frame, Request::UserLog);
            }
        }
        if self.on_own_record(record) {
            return;
        }
        match (record.kind, record.conversation, &record.user) {
            (UserRecordKind::Membership, Some(id), _) => self.on_membership(id, record),
            (UserRecordKind::Invitation, Some(id), user) => {
                self.on_invitation(id, user.as_ref(), record, live);
            }
            (UserRecordKind::ReadMarker, Some(id), _) => {
                if self.conversations.contains_key(&id) {
                    self.read_to(id, record.value);
                } else {
                    self.ask_head(id, 0);
                }
            }
            (UserRecordKind::Block, _, Some(user)) => {
                let blocked = &mut self.cache.profile.blocked;
                blocked.retain(|other| other != user);
                if !record.gone && blocked.len() < BLOCKS_KEPT_MAX {
                    blocked.push(user.clone());
                }
                self.cache.profile_dirty = true;
                // Whose reactions show depends on it, everywhere.
                for id in self.open.clone() {
                    self.timeline_dirty(id);
                }
            }
            (UserRecordKind::Rights, Some(id), _) => self.on_rights(id, record.value, live),
            (UserRecordKind::JoinRequests, Some(id), _) => self.push_notice(Event::JoinRequests {
                conversation: id,
                waiting: if record.gone { 0 } else { record.value },
            }),
            // A later server's kind.
            _ => {}
        }
    }

    fn on_membership(&mut self, id: ConversationId, record: &UserRecord) {
        let invitations = &mut self.cache.profile.invitations;
        let before = invitations.len();
        invitations.retain(|(conversation, ..)| *conversation != id);
        self.cache.profile_dirty |= invitations.len() != before;
        let Some(conversation) = self.conversations.get_mut(&id) else {
            if !record.gone {
                self.ask_head(id, 0);
            }
            return;
        };
        let role = u16::try_from(record.value).map(Role::from_number);
        let role = role.ok().filter(|_| !record.gone);
        if record.gone {
            conversation.left_at = conversation.left_at.max(record.at);
        }
        let forgets = record.gone && conversation.head.forget_on_leave;
        if conversation.head.role != role {
            conversation.head.role = role;
            self.cache.touch(id);
            self.list.touch(id);
            if role.is_some() {
                self.ask_head(id, 0);
            }
        }
        if forgets {
            self.drop_held(id);
        }
        // It was on screen before it was: only now the server knows what that means.
        if role.is_some() && self.open.contains(&id) {
            self.send_attention();
        }
    }

    fn on_invitation(
        &mut self,
        id: ConversationId,
        by: Option<&UserId>,
        record: &UserRecord,
        live: bool,
    ) {
        let invitations = &mut self.cache.profile.invitations;
        let known = invitations
            .iter()
            .position(|(conversation, ..)| *conversation == id);
        if let Some(index) = known {
            invitations.remove(index);
            self.cache.profile_dirty = true;
        }
        let Some(by) = by.filter(|_| !record.gone) else {
            return;
        };
        if invitations.len() < INVITATIONS_MAX {
            invitations.push((id, by.clone(), record.name.clone()));
            self.cache.profile_dirty = true;
        }
        let member = (self.conversations.get(&id))
            .is_some_and(|conversation| conversation.head.role.is_some());
        if !member && (live || known.is_none()) {
            self.push_notice(Event::Invited {
                conversation: id,
                by: by.clone(),
                name: record.name.clone(),
            });
        }
    }

    fn on_rights(&mut self, id: ConversationId, version: u64, live: bool) {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        // A head on a stream of its own may have told the version before; entries that came live in between were still sent under
        // the old rights.
        if live || conversation.rights != version {
            conversation.rights = version;
            self.drop_held(id);
            self.ask_head(id, 0);
        }
    }

    pub(crate) fn on_heads_page(&mut self, request: u32, page: HeadsPage) {
        let asked = self.requests.remove(&request);
        match asked {
            Some(Request::HeadsOf(conversations)) => {
                for id in &conversations {
                    self.sync.asked.remove(*id);
                }
                for head in page.heads {
                    if conversations.contains(&head.conversation) {
                        self.on_head(head, false);
                    }
                }
                return;
            }
            Some(Request::HeadsMore) => {}
            Some(Request::Call(call)) => return self.on_settings_page(call, page),
            _ if request == 0 && self.sync.heads_running => {}
            _ => return,
        }
        let end = page.heads.last().map(|head| (head.at, head.conversation));
        for head in page.heads {
            self.on_head(head, false);
        }
        match end {
            Some(end) if page.more && self.sync.heads_next != Some(end) => {
                self.sync.heads_next = Some(end);
                self.ask_more_heads();
            }
            _ => {
                self.sync.heads_running = false;
                let stamp = match self.sync.stamp {
                    0 => page.stamp,
                    stamp => stamp,
                };
                if stamp > 0 {
                    self.cache.profile.heads_since = stamp;
                    self.cache.profile_dirty = true;
                }
            }
        }
    }

    fn ask_more_heads(&mut self) {
        let (before_at, before) = self.sync.heads_next.unzip();
        let frame = ClientFrame::HeadsRequest(HeadsRequest {
            since: self.sync.since,
            before_at: before_at.unwrap_or(0),
            before,
            limit: HEADS_MAX,
            only: Vec::new(),
        });
        self.request(&frame, Request::HeadsMore);
    }

    /// The first sync was refused for now.
    pub(crate) fn retry_sync(&mut self, delay_ms: u64) {
        let at = self.now.monotonic_ms.saturating_add(delay_ms);
        self.sync.retry_at = Some(self.sync.retry_at.unwrap_or(at).min(at));
        self.timers.set_sooner(Timer::Heads, at);
    }

    /// A head that can not be told from what came is asked for.
    pub(crate) fn ask_head(&mut self, id: ConversationId, delay_ms: u64) {
        if let Some(conversation) = self.conversations.get_mut(&id)
            && !conversation.unsure
        {
            conversation.unsure = true;
            self.cache.touch(id);
        }
        let at = self.now.monotonic_ms.saturating_add(delay_ms);
        let due = self.sync.ask.entry(id).or_insert(at);
        *due = at.min(*due);
        self.timers.set_sooner(Timer::Heads, at);
    }

    pub(crate) fn on_heads_due(&mut self) {
        if !self.can_read() {
            // The next log-in asks.
            return;
        }
        let now = self.now.monotonic_ms;
        if self.sync.retry_at.is_some_and(|at| at <= now) {
            self.sync.retry_at = None;
            if self.sync.user_log_running {
                let cursor = self.cache.profile.user_cursor;
                let frame = ClientFrame::UserLogRequest(UserLogRequest { cursor });
                self.request(&frame, Request::UserLog);
            }
            if self.sync.heads_running {
                self.ask_more_heads();
            }
            if self.sync.user_log_running || self.sync.heads_running {
                self.retry_sync(FIRST_SYNC_MS);
            }
        }
        let due: Vec<ConversationId> = (self.sync.ask.iter())
            .filter(|(id, at)| **at <= now && !self.sync.asked.contains(**id))
            .map(|(id, _)| *id)
            .take(HEADS_ONLY_MAX)
            .collect();
        if !due.is_empty() {
            for id in &due {
                self.sync.ask.remove(id);
                self.sync.asked.insert(*id);
            }
            let frame = ClientFrame::HeadsRequest(HeadsRequest {
                since: 0,
                before_at: 0,
                before: None,
                limit: 0,
                only: due.clone(),
            });
            self.request(&frame, Request::HeadsOf(due));
        }
        let asks = self.sync.ask.values().min().map(|at| (*at).max(now + 50));
        if let Some(next) = asks.into_iter().chain(self.sync.retry_at).min() {
            self.timers.set(Timer::Heads, next);
        }
    }
}
