//! What belongs to a person, decided: settings of their own, folders, drafts, friends. A store calls [`carry_out`] inside the transaction
//! that keeps what comes of it, so that two devices at once can not both be right. `docs/model.md`, "What belongs to a person".

use bytes::Bytes;
use fireside_protocol::{
    Code, ConversationId, EntryKind, FolderId, FriendAction, FriendState, Nonce, Personal,
    RecordKey, Sequence, Settings, UserId, UserProfile, WallMs, decode, encode,
    frames::{UserRecord, UserRecordKind},
    limits::{DRAFTS_MAX, FOLDERS_MAX, FRIENDS_MAX},
    personal::Draft,
};

use crate::storage::{Command, Mark, NewEntry, Outcome};

/// A change of what belongs to a user.
#[derive(Clone, Debug, PartialEq)]
pub struct SetOwn {
    /// Who, and the command's name.
    pub command: Command,
    /// What.
    pub change: OwnChange,
}

/// What changes. All of it was checked against its limits before.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnChange {
    /// The user's own settings of a conversation.
    Personal {
        /// Which.
        conversation: ConversationId,
        /// What changes.
        change: Personal,
    },
    /// Every conversation is read.
    ReadAll,
    /// A folder.
    Folder {
        /// Which.
        folder: FolderId,
        /// Its name; empty: it goes.
        name: String,
        /// Its place.
        order: u32,
    },
    /// A draft.
    Draft {
        /// Where.
        conversation: ConversationId,
        /// What; empty: nothing.
        content: Bytes,
        /// The message it answers; 0 none.
        reply_to: Sequence,
    },
    /// A friendship.
    Friend {
        /// With whom.
        other: UserId,
        /// What about it.
        action: FriendAction,
    },
    /// What the user says of themselves.
    Profile {
        /// What changes.
        change: Box<Settings>,
    },
    /// Whether others are told how far the user has read.
    Receipts {
        /// Told.
        on: bool,
    },
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnSet {
    /// For the ack.
    pub outcome: Outcome,
    /// The user-log records made.
    pub records: Vec<(UserId, UserRecord)>,
    /// Read markers that moved.
    pub marks: Vec<Mark>,
}

impl OwnSet {
    /// Nothing but an outcome.
    #[must_use]
    pub const fn only(outcome: Outcome) -> Self {
        Self {
            outcome,
            records: Vec::new(),
            marks: Vec::new(),
        }
    }
}

/// A user in a conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Its last number.
    pub last: Sequence,
    /// The user's read marker.
    pub read: Sequence,
}

/// What a decision needs of a store, within the transaction of the writer.
pub trait OwnReader {
    /// Why it can not be read.
    type Error;

    /// The newest record of a key that is not gone.
    ///
    /// # Errors
    /// As the store has it, here and below.
    fn record(&mut self, user: &UserId, key: &RecordKey)
    -> Result<Option<UserRecord>, Self::Error>;
    /// The records of a kind that are not gone, in any order.
    fn records(
        &mut self,
        user: &UserId,
        kind: UserRecordKind,
    ) -> Result<Vec<UserRecord>, Self::Error>;
    /// Whether `by` blocks `of`.
    fn blocks(&mut self, by: &UserId, of: &UserId) -> Result<bool, Self::Error>;
    /// A member; `None`: the user is none now.
    fn standing(
        &mut self,
        user: &UserId,
        conversation: ConversationId,
    ) -> Result<Option<Standing>, Self::Error>;
    /// All conversations that the user is a member of now.
    fn standings(&mut self, user: &UserId) -> Result<Vec<Standing>, Self::Error>;
}

/// What a store is to write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Writes {
    /// Records, by user. Their numbers are given by the store.
    pub records: Vec<(UserId, UserRecord)>,
    /// Read markers to move. Their records are among `records`.
    pub marks: Vec<Mark>,
}

/// Decides a change: what is to be written, or why it is refused for good.
///
/// # Errors
/// Those of the store.
pub fn carry_out<R: OwnReader>(
    reader: &mut R,
    me: &UserId,
    nonce: Nonce,
    change: &OwnChange,
    now: WallMs,
) -> Result<Result<Writes, Code>, R::Error> {
    let mut writes = Writes::default();
    let refusal = match change {
        OwnChange::Personal {
            conversation,
            change,
        } => set_personal(reader, me, *conversation, change, now, &mut writes)?,
        OwnChange::ReadAll => {
            read_all(reader, me, now, &mut writes)?;
            None
        }
        OwnChange::Folder {
            folder,
            name,
            order,
        } => {
            let mut record = UserRecord::new(UserRecordKind::Folder, now);
            record.folder = Some(*folder);
            record.name.clone_from(name);
            record.value = u64::from(*order);
            record.gone = name.is_empty();
            put_bounded(reader, me, record, FOLDERS_MAX, &mut writes)?
        }
        OwnChange::Draft {
            conversation,
            content,
            reply_to,
        } => {
            if reader.standing(me, *conversation)?.is_none() {
                return Ok(Err(Code::NotFound));
            }
            let draft = Draft {
                nonce,
                content: content.clone(),
                reply_to: *reply_to,
            };
            let mut record = UserRecord::new(UserRecordKind::Draft, now);
            record.conversation = Some(*conversation);
            record.gone = content.is_empty();
            if !record.gone {
                record.body = encode(&draft).into();
            }
            put_bounded(reader, me, record, DRAFTS_MAX, &mut writes)?
        }
        OwnChange::Friend { other, action } => {
            befriend(reader, me, other, *action, now, &mut writes)?
        }
        OwnChange::Profile { change } => {
            let mut record = UserRecord::new(UserRecordKind::Profile, now);
            let held = reader.record(me, &record.key())?;
            let mut profile = profile_of(me, held.as_ref());
            if let Err(code) = profile.apply(change) {
                return Ok(Err(code));
            }
            record.gone = profile.is_bare();
            if !record.gone {
                record.body = encode(&profile).into();
            }
            put_bounded(reader, me, record, 1, &mut writes)?
        }
        OwnChange::Receipts { on } => {
            let mut record = UserRecord::new(UserRecordKind::Receipts, now);
            record.value = u64::from(!on);
            record.gone = *on;
            put_bounded(reader, me, record, 1, &mut writes)?
        }
    };
    Ok(refusal.map_or(Ok(writes), Err))
}

/// The conversation that the outcome of a change names.
#[must_use]
pub const fn place_of(change: &OwnChange) -> Option<ConversationId> {
    match change {
        OwnChange::Personal { conversation, .. } | OwnChange::Draft { conversation, .. } => {
            Some(*conversation)
        }
        _ => None,
    }
}

/// The friend that a record names; `None`: it says that they are none (yet).
#[must_use]
pub fn friend_of(record: &UserRecord) -> Option<&UserId> {
    let friend = u64::from(FriendState::Friend.number());
    let is_one = record.kind == UserRecordKind::Friend && !record.gone && record.value == friend;
    record.user.as_ref().filter(|_| is_one)
}

/// What a user says of themselves, by their record; the name is not kept in it.
#[must_use]
pub fn profile_of(user: &UserId, record: Option<&UserRecord>) -> UserProfile {
    let live = record.filter(|record| !record.gone);
    live.and_then(|record| decode(&record.body).ok())
        .unwrap_or_else(|| UserProfile::new(user.clone(), String::new()))
}

/// What a record of the user's own settings says; nothing, if there is none.
#[must_use]
pub fn personal_of(record: Option<&UserRecord>) -> Personal {
    let live = record.filter(|record| !record.gone);
    live.and_then(|record| decode(&record.body).ok())
        .unwrap_or(Personal::NOTHING)
}

/// A moved read marker takes the mark "unread" away: the record that says so, if there was one.
#[must_use]
pub fn after_read(held: Option<&UserRecord>, now: WallMs) -> Option<UserRecord> {
    let mut personal = personal_of(held);
    personal.marked_unread.take()?;
    let conversation = held?.conversation?;
    Some(personal_record(conversation, &personal, now))
}

/// A message of the user takes their draft away, unless that was begun after it: the record that says so.
#[must_use]
pub fn after_message(
    held: Option<&UserRecord>,
    entry: &NewEntry,
    now: WallMs,
) -> Option<UserRecord> {
    // What is forwarded was not written in the box.
    let written = entry.kind == EntryKind::Message && entry.sources.is_empty();
    let held = held.filter(|held| !held.gone && written)?;
    let draft = decode::<Draft>(&held.body).ok()?;
    let sent = entry.nonce.is_some_and(|nonce| draft.nonce < nonce);
    let mut record = UserRecord::new(UserRecordKind::Draft, now);
    record.conversation = held.conversation;
    record.gone = true;
    sent.then_some(record)
}

fn personal_record(conversation: ConversationId, personal: &Personal, now: WallMs) -> UserRecord {
    let mut record = UserRecord::new(UserRecordKind::Personal, now);
    record.conversation = Some(conversation);
    record.gone = *personal == Personal::NOTHING;
    if !record.gone {
        record.body = encode(personal).into();
    }
    record
}

/// A record that changes something; over `max` of its kind it is refused.
fn put_bounded<R: OwnReader>(
    reader: &mut R,
    me: &UserId,
    record: UserRecord,
    max: usize,
    writes: &mut Writes,
) -> Result<Option<Code>, R::Error> {
    let held = reader.record(me, &record.key())?;
    match &held {
        None if record.gone => return Ok(None),
        Some(held) if !record.gone && is_same(held, &record) => return Ok(None),
        None if reader.records(me, record.kind)?.len() >= max => {
            return Ok(Some(Code::LimitReached));
        }
        _ => {}
    }
    writes.records.push((me.clone(), record));
    Ok(None)
}

/// Whether two records of one key say the same.
fn is_same(one: &UserRecord, other: &UserRecord) -> bool {
    (one.value, &one.name, one.gone, &one.body)
        == (other.value, &other.name, other.gone, &other.body)
}

fn set_personal<R: OwnReader>(
    reader: &mut R,
    me: &UserId,
    conversation: ConversationId,
    change: &Personal,
    now: WallMs,
    writes: &mut Writes,
) -> Result<Option<Code>, R::Error> {
    let Some(standing) = reader.standing(me, conversation)? else {
        return Ok(Some(Code::NotFound));
    };
    if let Some(folder) = change
        .folder
        .filter(|folder| *folder != FolderId::default())
    {
        let mut key = UserRecord::new(UserRecordKind::Folder, 0);
        key.folder = Some(folder);
        if reader.record(me, &key.key())?.is_none() {
            return Ok(Some(Code::NotFound));
        }
    }
    let key = RecordKey::of_conversation(UserRecordKind::Personal, conversation);
    let held = reader.record(me, &key)?;
    let before = personal_of(held.as_ref());
    let mut after = before.clone();
    after.apply(change, standing.last);
    if after != before {
        let record = personal_record(conversation, &after, now);
        writes.records.push((me.clone(), record));
    }
    Ok(None)
}

fn read_all<R: OwnReader>(
    reader: &mut R,
    me: &UserId,
    now: WallMs,
    writes: &mut Writes,
) -> Result<(), R::Error> {
    for standing in reader.standings(me)? {
        if standing.last > standing.read {
            let mut record = UserRecord::new(UserRecordKind::ReadMarker, now);
            record.conversation = Some(standing.conversation);
            record.value = standing.last;
            writes.records.push((me.clone(), record));
            writes.marks.push(Mark {
                conversation: standing.conversation,
                user: me.clone(),
                read: standing.last,
                delivered: 0,
                at: now,
            });
        }
    }
    let mut marked = reader.records(me, UserRecordKind::Personal)?;
    marked.sort_by_key(|record| record.sequence);
    let cleared = marked
        .iter()
        .filter_map(|held| after_read(Some(held), now))
        .map(|record| (me.clone(), record));
    writes.records.extend(cleared);
    Ok(())
}

fn befriend<R: OwnReader>(
    reader: &mut R,
    me: &UserId,
    other: &UserId,
    action: FriendAction,
    now: WallMs,
    writes: &mut Writes,
) -> Result<Option<Code>, R::Error> {
    let key = |user: &UserId| RecordKey::of_user(UserRecordKind::Friend, user.clone());
    let state = |record: Option<UserRecord>| {
        record
            .map(|record| FriendState::from_number(u16::try_from(record.value).unwrap_or(u16::MAX)))
    };
    let mine = state(reader.record(me, &key(other))?);
    let theirs = state(reader.record(other, &key(me))?);
    let mut closed = reader.blocks(me, other)? || reader.blocks(other, me)?;
    let asks = mine == Some(FriendState::Asks);
    let (my_next, their_next) = match action {
        FriendAction::Request if mine == Some(FriendState::Friend) => (mine, theirs),
        // Both want it.
        FriendAction::Request if asks || theirs == Some(FriendState::Asked) && !closed => {
            (Some(FriendState::Friend), Some(FriendState::Friend))
        }
        FriendAction::Request => (Some(FriendState::Asked), Some(FriendState::Asks)),
        FriendAction::Accept | FriendAction::Decline if !asks => {
            return Ok(Some(Code::NoFriendRequest));
        }
        FriendAction::Accept => (Some(FriendState::Friend), Some(FriendState::Friend)),
        FriendAction::Decline | FriendAction::Remove => (None, None),
        FriendAction::Unknown(_) => return Ok(Some(Code::ArgumentInvalid)),
    };
    if mine.is_none()
        && my_next.is_some()
        && reader.records(me, UserRecordKind::Friend)?.len() >= FRIENDS_MAX
    {
        return Ok(Some(Code::LimitReached));
    }
    // Who has no room is not asked, and who asks does not learn it.
    closed |= theirs.is_none()
        && their_next.is_some()
        && reader.records(other, UserRecordKind::Friend)?.len() >= FRIENDS_MAX;
    let mut put = |of: &UserId, with: &UserId, before: Option<FriendState>, next| {
        if before != next {
            let mut record = UserRecord::new(UserRecordKind::Friend, now);
            record.user = Some(with.clone());
            record.value = next.map_or(0, |next: FriendState| u64::from(next.number()));
            record.gone = next.is_none();
            writes.records.push((of.clone(), record));
        }
    };
    put(me, other, mine, my_next);
    if !closed {
        put(other, me, theirs, their_next);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// Two users' friend records and a block.
    #[derive(Default)]
    struct Pair {
        records: Vec<(UserId, UserRecord)>,
        blocked: bool,
    }

    impl OwnReader for Pair {
        type Error = ();

        fn record(&mut self, user: &UserId, key: &RecordKey) -> Result<Option<UserRecord>, ()> {
            let found = self.records.iter().rev();
            let mut found = found.filter(|(who, it)| who == user && it.key() == *key);
            Ok(found.next().map(|(_, it)| it.clone()).filter(|it| !it.gone))
        }

        fn records(&mut self, _: &UserId, _: UserRecordKind) -> Result<Vec<UserRecord>, ()> {
            Ok(Vec::new())
        }

        fn blocks(&mut self, _: &UserId, _: &UserId) -> Result<bool, ()> {
            Ok(self.blocked)
        }

        fn standing(&mut self, _: &UserId, _: ConversationId) -> Result<Option<Standing>, ()> {
            Ok(None)
        }

        fn standings(&mut self, _: &UserId) -> Result<Vec<Standing>, ()> {
            Ok(Vec::new())
        }
    }

    impl Pair {
        fn act(&mut self, who: &str, action: FriendAction) -> Result<(), Code> {
            let other = if who == "ann" { "bob" } else { "ann" };
            let other = UserId::new(other).unwrap();
            let change = OwnChange::Friend { other, action };
            let who = UserId::new(who).unwrap();
            let writes = carry_out(self, &who, Nonce::default(), &change, 1).unwrap()?;
            self.records.extend(writes.records);
            Ok(())
        }

        /// How ann stands to bob, and bob to ann.
        fn states(&mut self) -> [u64; 2] {
            [("ann", "bob"), ("bob", "ann")].map(|(who, with)| {
                let [who, with] = [who, with].map(|it| UserId::new(it).unwrap());
                let key = RecordKey::of_user(UserRecordKind::Friend, with);
                self.record(&who, &key).unwrap().map_or(0, |it| it.value)
            })
        }
    }

    #[test]
    fn friends_are_made_by_both() {
        use FriendAction::{Accept, Decline, Remove, Request};
        let mut pair = Pair::default();
        assert_eq!(pair.act("bob", Accept), Err(Code::NoFriendRequest));
        pair.act("ann", Request).unwrap();
        assert_eq!(pair.states(), [1, 2]);
        pair.act("ann", Request).unwrap();
        assert_eq!(pair.states(), [1, 2], "asked once");
        assert_eq!(pair.act("ann", Accept), Err(Code::NoFriendRequest));
        pair.act("bob", Decline).unwrap();
        assert_eq!(pair.states(), [0, 0]);
        pair.act("ann", Request).unwrap();
        pair.act("bob", Request).unwrap();
        assert_eq!(pair.states(), [3, 3], "both asked");
        pair.act("bob", Remove).unwrap();
        assert_eq!(pair.states(), [0, 0]);
    }

    #[test]
    fn a_block_closes_both_ways_in_silence() {
        let mut pair = Pair {
            blocked: true,
            ..Pair::default()
        };
        pair.act("ann", FriendAction::Request).unwrap();
        assert_eq!(pair.states(), [1, 0], "who asks has asked; nothing passes");
        pair.act("bob", FriendAction::Request).unwrap();
        assert_eq!(pair.states(), [1, 1], "and no friends are made");
        pair.act("ann", FriendAction::Remove).unwrap();
        assert_eq!(pair.states(), [0, 1]);
        pair.blocked = false;
        assert_eq!(pair.states(), [0, 1], "an unblock delivers nothing");
    }
}
