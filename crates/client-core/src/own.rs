//! What belongs to the user, as the user log says it, with what this device has not got an answer to yet on top: own settings of
//! conversations, drafts, folders, friends, receipts.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, ConversationId, FolderId, FriendState, Nonce, Now, Personal, RecordKey,
    Sequence, TextContent, WallMs,
    content::Ballots,
    decode, encode,
    frames::{Read, Send, UserRecord, UserRecordKind},
    limits::{DRAFT_INTERVAL_MS, DRAFTS_MAX, FOLDERS_MAX, FRIENDS_MAX, PROFILES_MAX},
    personal::{
        Draft, Friend, ReadAll, ReadersRequest, SetDraft, SetFolder, SetPersonal, SetReceipts,
    },
    profile::{ProfilesRequest, SetProfile},
    report::Report,
    text::{Count, TextError, check_text},
};

use crate::{
    Command, CommandError, Event, RequestId, Session,
    conversation::Conversation,
    heads::CONVERSATIONS_MAX,
    id_set::Numbers,
    outbox::Outbox,
    sorted::Map,
    timers::Timer,
    view::{DraftRow, FolderRow, FriendRow, PersonalRow},
};

/// Records kept: a server can not make a device hold more.
const RECORDS_MAX: usize = CONVERSATIONS_MAX + DRAFTS_MAX + FOLDERS_MAX + FRIENDS_MAX + 4_096;
/// Drafts that this device holds apart from their records: mostly one.
const BOXES_MAX: usize = 256;
/// How far a draft's name may be ahead of this device's clock for a message to be named after it, in ms.
const DRAFT_AHEAD_MS: u64 = 3_600_000;

/// An input box of this device.
#[derive(Debug, Default)]
struct InputBox {
    /// What stands in it.
    draft: Option<DraftRow>,
    /// The user writes in it: what other devices say waits.
    in_use: bool,
    /// It was not said yet.
    due: bool,
    /// When it was said last, in monotonic ms.
    said_at: Option<u64>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// The newest record of each key, also of what is gone, so that an older one that comes later changes nothing.
    records: BTreeMap<RecordKey, UserRecord>,
    boxes: Map<ConversationId, InputBox>,
    folders_changed: bool,
    friends_changed: bool,
    receipts_changed: bool,
    /// What each conversation counts for the badge, if anything.
    counts: Numbers,
    badge: u64,
    /// As the game has it.
    badge_told: u64,
}

impl Own {
    fn live(&self, key: &RecordKey) -> Option<&UserRecord> {
        self.records.get(key).filter(|record| !record.gone)
    }

    fn of_kind(&self, kind: UserRecordKind) -> impl Iterator<Item = &UserRecord> {
        let from = RecordKey {
            kind,
            place: None,
            user: None,
        };
        let records = self.records.range(from..);
        let records = records.take_while(move |(key, _)| key.kind == kind);
        records.map(|(_, record)| record).filter(|it| !it.gone)
    }

    /// What the cache held.
    pub(crate) fn loaded(&mut self, records: Vec<UserRecord>) {
        if !records.is_empty() {
            self.all_changed();
        }
        for record in records.into_iter().take(RECORDS_MAX) {
            self.records.insert(record.key(), record);
        }
    }

    fn all_changed(&mut self) {
        self.folders_changed = true;
        self.friends_changed = true;
        self.receipts_changed = true;
    }

    /// Takes a record. `false`: a newer one is held, or there is no room.
    fn take(&mut self, record: &UserRecord) -> bool {
        let key = record.key();
        let held = self.records.get(&key);
        if held.is_some_and(|held| held.sequence >= record.sequence)
            || held.is_none() && self.records.len() >= RECORDS_MAX
        {
            return false;
        }
        self.records.insert(key, record.clone());
        match record.kind {
            UserRecordKind::Folder => self.folders_changed = true,
            UserRecordKind::Friend => self.friends_changed = true,
            UserRecordKind::Receipts => self.receipts_changed = true,
            _ => {}
        }
        true
    }

    /// A conversation's own settings as the server last said them.
    fn said(&self, id: ConversationId) -> Personal {
        let key = RecordKey::of_conversation(UserRecordKind::Personal, id);
        let record = self.live(&key);
        record
            .and_then(|record| decode(&record.body).ok())
            .unwrap_or(Personal::NOTHING)
    }

    /// The draft as the server last said it.
    fn draft_said(&self, id: ConversationId) -> Option<Draft> {
        let key = RecordKey::of_conversation(UserRecordKind::Draft, id);
        decode(&self.live(&key)?.body).ok()
    }

    /// With what waits in the outbox on top.
    fn personal(&self, conversation: &Conversation, outbox: &Outbox) -> Personal {
        let mut personal = self.said(conversation.id());
        for frame in outbox.frames(conversation.id()) {
            match frame {
                ClientFrame::SetPersonal(set) => {
                    personal.apply(&set.change, conversation.head.last);
                }
                ClientFrame::Read(_) => personal.marked_unread = None,
                _ => {}
            }
        }
        personal
    }

    /// What a line of the list shows of it, and when it will be different by itself.
    pub(crate) fn row(
        &self,
        conversation: &Conversation,
        outbox: &Outbox,
        now: WallMs,
    ) -> (PersonalRow, Option<WallMs>) {
        let personal = self.personal(conversation, outbox);
        let shown = conversation.head.preview.as_ref();
        let last_message = shown.map_or(0, |preview| preview.sequence);
        let ends = personal
            .muted_until
            .filter(|until| *until > now && *until < WallMs::MAX);
        let row = PersonalRow {
            pinned: personal.pinned == Some(true),
            archived: personal.is_archived(last_message, now),
            muted: personal.is_muted(now),
            muted_until: personal.muted_until.unwrap_or(0),
            level: personal
                .level
                .unwrap_or(fireside_protocol::NotificationLevel::All),
            marked_unread: personal.marked_unread == Some(true),
            folder: personal.folder,
        };
        (row, ends)
    }

    /// What stands in the box of a conversation.
    pub(crate) fn draft(&self, id: ConversationId, outbox: &Outbox) -> Option<DraftRow> {
        if let Some(held) = self.boxes.get(&id).filter(|held| held.in_use || held.due) {
            return held.draft.clone();
        }
        let waiting = outbox.frames(id).rev().find_map(|frame| match frame {
            ClientFrame::SetDraft(set) => Some(draft_row(&set.content, set.reply_to)),
            _ => None,
        });
        if let Some(waiting) = waiting {
            return waiting;
        }
        let said = self.draft_said(id)?;
        // A message on its way takes it along.
        let sent = outbox.frames(id).any(|frame| match frame {
            ClientFrame::Send(send) => said.nonce < send.nonce,
            _ => false,
        });
        if sent {
            return None;
        }
        draft_row(&said.content, said.reply_to)
    }

    /// What the user chose in an anonymous poll, as the server last said it.
    pub(crate) fn ballot(&self, id: ConversationId, poll: Sequence) -> Vec<u32> {
        let key = RecordKey::of_conversation(UserRecordKind::Ballots, id);
        let record = self.live(&key);
        let ballots = record.and_then(|record| decode::<Ballots>(&record.body).ok());
        ballots.map_or_else(Vec::new, |ballots| ballots.choices(poll).to_vec())
    }

    /// The name of the newest draft here, which a message must be named after.
    fn newest_draft(&self, id: ConversationId, outbox: &Outbox) -> Option<Nonce> {
        let waiting = outbox.frames(id).filter_map(|frame| match frame {
            ClientFrame::SetDraft(set) => Some(set.nonce),
            _ => None,
        });
        waiting
            .chain(self.draft_said(id).map(|said| said.nonce))
            .max()
    }

    /// Notes what a conversation counts for the badge.
    pub(crate) fn count(&mut self, id: ConversationId, unread: u64) {
        let before = if unread > 0 {
            self.counts.insert(id, unread)
        } else {
            self.counts.remove(&id)
        };
        self.badge = (self.badge + unread).saturating_sub(before.unwrap_or(0));
    }
}

fn draft_row(content: &Bytes, reply_to: Sequence) -> Option<DraftRow> {
    let content = decode::<TextContent>(content).ok()?;
    Some(DraftRow {
        text: content.text.into(),
        reply_to,
    })
}

impl Session {
    /// Carries out the commands on what belongs to the user.
    pub(crate) fn own_command(
        &mut self,
        request: RequestId,
        command: Command,
        now: Now,
    ) -> Result<(), CommandError> {
        let nonce = self.nonce();
        let frame = match command {
            Command::SetPersonal {
                conversation,
                change,
            } => return Ok(self.set_personal(request, conversation, change, now)?),
            Command::SetDraft {
                conversation,
                text,
                reply_to,
            } => {
                self.set_draft(conversation, &text, reply_to, now)?;
                self.done(request);
                return Ok(());
            }
            Command::SetComposing { conversation, on } => {
                self.set_composing(conversation, on)?;
                self.done(request);
                return Ok(());
            }
            Command::SetPresence(presence) => {
                self.set_presence(&presence)?;
                self.done(request);
                return Ok(());
            }
            Command::Presence { users } => return Ok(self.ask_presence(request, users, now)?),
            Command::Report {
                conversation,
                sequence,
                user,
                reason,
                text,
            } => {
                let report = Report {
                    nonce,
                    conversation,
                    sequence,
                    user,
                    reason,
                    text,
                };
                report.check(Count::NOTHING)?;
                ClientFrame::Report(report)
            }
            Command::ReadAll => ClientFrame::ReadAll(ReadAll { nonce }),
            Command::SetFolder {
                folder,
                name,
                order,
            } => ClientFrame::SetFolder(SetFolder {
                nonce,
                folder: folder.unwrap_or(FolderId(nonce.0)),
                name,
                order,
            }),
            Command::Friend { user, action } => ClientFrame::Friend(Friend {
                nonce,
                user,
                action,
            }),
            Command::Readers {
                conversation,
                sequence,
            } => ClientFrame::ReadersRequest(ReadersRequest {
                conversation,
                sequence,
            }),
            Command::SetProfile {
                description,
                picture,
                attributes,
            } => {
                let set = SetProfile {
                    nonce,
                    description,
                    picture,
                    attributes,
                };
                set.check()?;
                ClientFrame::SetProfile(set)
            }
            Command::Profiles { users } => {
                if users.len() > PROFILES_MAX {
                    return Err(Code::TooManyNamed.into());
                }
                ClientFrame::ProfilesRequest(ProfilesRequest { users })
            }
            Command::SetReceipts { on } => ClientFrame::SetReceipts(SetReceipts { nonce, on }),
            _ => return Err(Code::ArgumentInvalid.into()),
        };
        Ok(self.ask(request, frame, now)?)
    }

    fn set_personal(
        &mut self,
        request: RequestId,
        id: ConversationId,
        mut change: Personal,
        now: Now,
    ) -> Result<(), Code> {
        change.archived_to = 0;
        change.check()?;
        if !self.conversations.contains_key(&id) {
            return Err(Code::NotFound);
        }
        let frame = ClientFrame::SetPersonal(SetPersonal {
            nonce: self.nonce(),
            conversation: id,
            change,
        });
        self.outbox_add(request, id, frame, now)?;
        self.list.touch(id);
        Ok(())
    }

    /// The user read what was read already: only the flag has to go. `false`: there is none.
    pub(crate) fn unmark(
        &mut self,
        request: RequestId,
        id: ConversationId,
        now: Now,
    ) -> Result<bool, Code> {
        let conversation = self.conversations.get(&id).ok_or(Code::NotFound)?;
        let personal = self.own.personal(conversation, &self.outbox);
        if personal.marked_unread != Some(true) {
            return Ok(false);
        }
        let change = Personal {
            marked_unread: Some(false),
            ..Personal::NOTHING
        };
        self.set_personal(request, id, change, now)?;
        Ok(true)
    }

    fn set_draft(
        &mut self,
        id: ConversationId,
        text: &str,
        reply_to: Sequence,
        now: Now,
    ) -> Result<(), Code> {
        let empty = match check_text(text, Count::NOTHING) {
            Ok(()) => false,
            Err(TextError::Empty) => true,
            Err(error) => return Err(error.code()),
        };
        let shown = (!empty).then(|| DraftRow {
            text: text.into(),
            reply_to,
        });
        if !self.conversations.contains_key(&id) {
            return Err(Code::NotFound);
        }
        if !self.own.boxes.contains_key(&id) && self.own.boxes.len() >= BOXES_MAX {
            return Err(Code::LimitReached);
        }
        let before = self.own.draft(id, &self.outbox);
        let held = self.own.boxes.or_default(id);
        held.draft.clone_from(&shown);
        if before == shown {
            return Ok(());
        }
        held.due = true;
        let at = held.said_at.map_or(0, |at| at + DRAFT_INTERVAL_MS);
        self.list.touch(id);
        if at <= now.monotonic_ms {
            self.say_draft(id, now);
        } else {
            self.timers.set_sooner(Timer::Draft(id), at);
        }
        Ok(())
    }

    /// Says what stands in a box, if it was not said yet.
    pub(crate) fn say_draft(&mut self, id: ConversationId, now: Now) {
        let nonce = self.nonce_after_draft(id);
        let Some(held) = self.own.boxes.get_mut(&id).filter(|held| held.due) else {
            return;
        };
        let (content, reply_to) = match &held.draft {
            Some(draft) => (content_of(&draft.text), draft.reply_to),
            None => (Bytes::new(), 0),
        };
        held.due = false;
        held.said_at = Some(now.monotonic_ms);
        let frame = ClientFrame::SetDraft(SetDraft {
            nonce,
            conversation: id,
            content,
            reply_to,
        });
        // Without room in the outbox it stays on this device.
        if self.outbox_put(Vec::new(), id, frame, now).is_err()
            && let Some(held) = self.own.boxes.get_mut(&id)
        {
            held.due = true;
            let at = now.monotonic_ms.saturating_add(DRAFT_INTERVAL_MS);
            self.timers.set_sooner(Timer::Draft(id), at);
        }
    }

    fn set_composing(&mut self, id: ConversationId, on: bool) -> Result<(), Code> {
        if !self.own.boxes.contains_key(&id) {
            if !on {
                return Ok(());
            }
            if self.own.boxes.len() >= BOXES_MAX {
                self.own.boxes.retain(|_, held| held.in_use || held.due);
            }
            if self.own.boxes.len() >= BOXES_MAX || !self.conversations.contains_key(&id) {
                return Err(Code::LimitReached);
            }
        }
        let shown = self.own.draft(id, &self.outbox);
        let held = self.own.boxes.or_default(id);
        held.in_use = on;
        held.draft = shown;
        self.list.touch(id);
        Ok(())
    }

    /// A message goes out: what stood in the box, and what waits to be said of it, is in it.
    pub(crate) fn draft_sent(&mut self, id: ConversationId) {
        if let Some(held) = self.own.boxes.get_mut(&id) {
            held.draft = None;
            held.due = false;
        }
        self.timers.clear(&Timer::Draft(id));
        self.outbox_drop_drafts(id);
        self.list.touch(id);
    }

    /// A name that comes after that of the newest draft of a conversation, which a message takes away.
    pub(crate) fn nonce_after_draft(&mut self, id: ConversationId) -> Nonce {
        let wall = self.links.server_ms(self.now);
        let after = self.own.newest_draft(id, &self.outbox);
        let after = after.map_or(0, |nonce| nonce.wall_ms().saturating_add(1));
        // Nothing from a server is believed: a draft from far in the future is not followed there.
        let wall = match after {
            after if after <= wall.saturating_add(DRAFT_AHEAD_MS) => wall.max(after),
            _ => wall,
        };
        self.random.nonce(wall)
    }

    /// A record of what belongs to the user. `false`: it is of another kind.
    pub(crate) fn on_own_record(&mut self, record: &UserRecord) -> bool {
        let whole = match record.kind {
            UserRecordKind::Personal | UserRecordKind::Draft | UserRecordKind::Ballots => {
                record.conversation.is_some()
            }
            UserRecordKind::Folder => record.folder.is_some(),
            UserRecordKind::Friend => record.user.is_some(),
            UserRecordKind::Receipts => true,
            _ => return false,
        };
        if self.config.breaks.personal_not_synced && record.kind == UserRecordKind::Personal {
            return true;
        }
        if !whole {
            self.counters.frames_bad += 1;
        } else if self.own.take(record) {
            self.cache.transaction.records.push(record.clone());
            if let Some(id) = record.conversation {
                self.list.touch(id);
                if record.kind == UserRecordKind::Ballots {
                    self.timeline_dirty(id);
                }
            }
            if record.kind == UserRecordKind::Folder {
                self.list.reset();
            }
            if record.kind == UserRecordKind::Receipts {
                for id in self.open.clone() {
                    self.timeline_dirty(id);
                }
            }
        }
        true
    }

    /// The user log starts over.
    pub(crate) fn own_reload(&mut self) {
        if !self.own.records.is_empty() {
            self.own.all_changed();
        }
        self.own.records.clear();
        self.cache.transaction.records.clear();
        self.cache.transaction.forget_records = true;
        self.list.reset();
    }

    /// What became of a command on what belongs to the user, or of a message that takes a draft away, shows in the list.
    pub(crate) fn own_settled(&mut self, frame: &ClientFrame) {
        if let ClientFrame::SetPersonal(SetPersonal { conversation, .. })
        | ClientFrame::SetDraft(SetDraft { conversation, .. })
        | ClientFrame::Read(Read { conversation, .. })
        | ClientFrame::Send(Send { conversation, .. }) = frame
        {
            self.list.touch(*conversation);
        }
    }

    /// The next mute ends.
    pub(crate) fn on_mute_due(&mut self) {
        let muted = self.own.of_kind(UserRecordKind::Personal);
        let ids: Vec<ConversationId> = muted.filter_map(|record| record.conversation).collect();
        for id in ids {
            self.list.touch(id);
        }
    }

    /// A mute ends by itself: then its line is looked at again.
    pub(crate) fn mute_ends(&mut self, until: WallMs) {
        let left = until.saturating_sub(self.links.server_ms(self.now));
        let at = self.now.monotonic_ms.saturating_add(left.max(1));
        self.timers.set_sooner(Timer::Mute, at);
    }

    /// The next event about it; behind the list, whose lines they speak of.
    pub(crate) fn poll_own(&mut self) -> Option<Event> {
        if self.own.badge_told != self.own.badge {
            self.own.badge_told = self.own.badge;
            let unread = self.own.badge;
            return Some(Event::Badge { unread });
        }
        if std::mem::take(&mut self.own.folders_changed) {
            let records = self.own.of_kind(UserRecordKind::Folder);
            let mut folders: Vec<FolderRow> = Vec::new();
            for record in records.take(FOLDERS_MAX) {
                let Some(folder) = record.folder else {
                    continue;
                };
                let order = record.value;
                let place =
                    folders.partition_point(|other| (other.order, other.folder) < (order, folder));
                let name = record.name.as_str().into();
                folders.insert(
                    place,
                    FolderRow {
                        folder,
                        name,
                        order,
                    },
                );
            }
            return Some(Event::Folders(folders.into()));
        }
        if std::mem::take(&mut self.own.friends_changed) {
            let records = self.own.of_kind(UserRecordKind::Friend);
            let friends: Arc<[FriendRow]> = records
                .filter_map(|record| {
                    Some(FriendRow {
                        user: record.user.clone()?,
                        state: state_of(record),
                        at: record.at,
                    })
                })
                .take(FRIENDS_MAX)
                .collect();
            return Some(Event::Friends(friends));
        }
        if std::mem::take(&mut self.own.receipts_changed) {
            return Some(Event::Receipts {
                on: self.tells_receipts(),
            });
        }
        None
    }

    /// Whether others are told how far this user has read.
    pub(crate) fn tells_receipts(&self) -> bool {
        self.own.of_kind(UserRecordKind::Receipts).next().is_none()
    }
}

fn state_of(record: &UserRecord) -> FriendState {
    FriendState::from_number(u16::try_from(record.value).unwrap_or(u16::MAX))
}

fn content_of(text: &str) -> Bytes {
    let text = text.to_owned();
    encode(&TextContent {
        text,
        spans: Vec::new(),
    })
    .into()
}
