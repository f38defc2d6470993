//! Rows to values and back.

use bytes::Bytes;
use fireside_protocol::{
    Code, ConversationId, ConversationKind, DeviceId, Entry, EntryKind, Role, Tombstone, UserId,
    Wire,
    codec::{decode, encode},
};
use fireside_server_core::{
    deleted::Deleted,
    facets::is_pinned,
    rights::{EntryMeta, Interval, role_set},
    storage::{Ban, ConversationRow, MemberRow, Outcome, Parent, StoredEntry},
};
use rusqlite::{Row, types::ValueRef};

use super::trouble::Trouble;

/// Columns of [`entry_meta`], then of [`stored_entry`].
pub(super) const META: &str = "seq, kind, sender, at, ordinal, rev, flags, target, target_sender, mentions, audience, \
     expires";
/// Where `body` stands behind [`META`].
pub(super) const BODY: usize = 12;
/// Columns of [`member`], from `members m LEFT JOIN users u`.
pub(super) const MEMBER: &str = "m.user, m.role, m.intervals, m.invited_by, m.read, m.delivered, m.rights, \
     coalesce(u.name, ''), m.asked, m.muted_until, m.banned_by, m.banned_until, m.name_here, m.attributes, m.deleted, \
     coalesce(u.receipts_off, 0)";
/// How many they are.
pub(super) const MEMBER_COLUMNS: usize = 16;
/// Where they come from.
pub(super) const MEMBER_FROM: &str = "members m LEFT JOIN users u ON u.id = m.user";
/// Columns of [`conversation`].
pub(super) const CONVERSATION: &str = "c.id, c.kind, c.version, c.name, c.history, c.first, c.number, c.settings, c.dissolved, c.parent, c.root";

/// Bits of `entries.flags`.
pub(super) const COUNTABLE: u64 = 1;
pub(super) const PRIVATE: u64 = 2;
pub(super) const TARGET_PRIVATE: u64 = 4;
pub(super) const MENTION_ALL: u64 = 8;
pub(super) const PINNED: u64 = 16;
pub(super) const EXPIRED: u64 = 32;
/// From this bit on: the roles that are named. Roles have numbers up to 46.
pub(super) const ROLES_AT: u32 = 16;

/// SQLite has no unsigned numbers: the same 64 bits.
pub(super) const fn int(value: u64) -> i64 {
    value.cast_signed()
}

pub(super) fn uint(row: &Row<'_>, column: usize) -> Result<u64, Trouble> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}

fn small(row: &Row<'_>, column: usize) -> Result<u16, Trouble> {
    u16::try_from(row.get::<_, i64>(column)?).map_err(|_| Trouble::damaged("number"))
}

pub(super) fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, Trouble> {
    row.get_ref(column)?
        .as_str()
        .map_err(|_| Trouble::damaged("text"))
}

pub(super) fn blob<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r [u8], Trouble> {
    row.get_ref(column)?
        .as_blob()
        .map_err(|_| Trouble::damaged("field"))
}

pub(super) fn user(row: &Row<'_>, column: usize) -> Result<UserId, Trouble> {
    UserId::new(text(row, column)?).map_err(|_| Trouble::damaged("user id"))
}

fn user_or_none(row: &Row<'_>, column: usize) -> Result<Option<UserId>, Trouble> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => user(row, column).map(Some),
    }
}

pub(super) fn conversation_id(row: &Row<'_>, column: usize) -> Result<ConversationId, Trouble> {
    let bytes = blob(row, column)?.try_into();
    bytes
        .map(ConversationId)
        .map_err(|_| Trouble::damaged("conversation id"))
}

pub(super) fn conversation_or_none(
    row: &Row<'_>,
    column: usize,
) -> Result<Option<ConversationId>, Trouble> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => conversation_id(row, column).map(Some),
    }
}

pub(super) fn device_id(row: &Row<'_>, column: usize) -> Result<DeviceId, Trouble> {
    let bytes = blob(row, column)?.try_into();
    bytes
        .map(DeviceId)
        .map_err(|_| Trouble::damaged("device id"))
}

/// Reads [`META`].
pub(super) fn entry_meta(row: &Row<'_>) -> Result<EntryMeta, Trouble> {
    let flags = uint(row, 6)?;
    let mentions = match row.get_ref(9)? {
        ValueRef::Null => Vec::new(),
        _ => decode(&Bytes::copy_from_slice(blob(row, 9)?))?,
    };
    Ok(EntryMeta {
        sequence: uint(row, 0)?,
        kind: EntryKind::from_number(small(row, 1)?),
        sender: user(row, 2)?,
        at: uint(row, 3)?,
        ordinal: uint(row, 4)?,
        countable: flags & COUNTABLE != 0,
        rev: uint(row, 5)?,
        private: flags & PRIVATE != 0,
        audience: user_or_none(row, 10)?,
        target: uint(row, 7)?,
        target_sender: user_or_none(row, 8)?,
        target_private: flags & TARGET_PRIVATE != 0,
        mentions,
        mention_all: flags & MENTION_ALL != 0,
        mention_roles: flags >> ROLES_AT,
        pinned: flags & PINNED != 0,
        expires: match row.get_ref(11)? {
            ValueRef::Null => 0,
            _ => uint(row, 11)?,
        },
        expired: flags & EXPIRED != 0,
    })
}

/// Reads [`META`] and `body`.
pub(super) fn stored_entry(row: &Row<'_>) -> Result<StoredEntry, Trouble> {
    Ok(StoredEntry {
        meta: entry_meta(row)?,
        body: Bytes::copy_from_slice(blob(row, BODY)?),
    })
}

/// What `entries.flags` says of an entry.
pub(super) fn flags(meta: &EntryMeta) -> u64 {
    [
        (meta.countable, COUNTABLE),
        (meta.private, PRIVATE),
        (meta.target_private, TARGET_PRIVATE),
        (meta.mention_all, MENTION_ALL),
        (meta.pinned, PINNED),
        (meta.expired, EXPIRED),
    ]
    .into_iter()
    .filter_map(|(on, bit)| on.then_some(bit))
    .fold(meta.mention_roles << ROLES_AT, |all, bit| all | bit)
}

/// What `entries.mentions` says of an entry.
pub(super) fn mentions(meta: &EntryMeta) -> Option<Vec<u8>> {
    let names = !meta.mentions.is_empty() || meta.mention_roles != 0;
    names.then(|| encode(&meta.mentions))
}

/// What `entries.expires` says of an entry.
pub(super) fn expires(meta: &EntryMeta) -> Option<i64> {
    (meta.expires != 0).then(|| int(meta.expires))
}

/// What the rules need of an entry that is going to be stored.
pub(super) fn meta_of(
    entry: &Entry,
    private: bool,
    audience: Option<UserId>,
    target: Option<&EntryMeta>,
) -> EntryMeta {
    let header = entry.header.as_ref();
    EntryMeta {
        sequence: entry.sequence,
        kind: entry.kind,
        sender: entry.sender.clone(),
        at: entry.at,
        ordinal: entry.ordinal,
        countable: entry.is_countable(),
        rev: entry.rev(),
        private,
        audience,
        target: entry.target,
        target_sender: target.map(|target| target.sender.clone()),
        target_private: target.is_some_and(|target| target.private),
        mentions: header.map_or_else(Vec::new, |header| header.mentions.clone()),
        mention_all: header.is_some_and(|header| header.mention_all),
        mention_roles: header.map_or(0, |header| role_set(&header.mention_roles)),
        pinned: is_pinned(&entry.facets),
        expires: entry.due(),
        expired: entry.tombstone == Some(Tombstone::Expired) && !entry.kind.is_change(),
    }
}

/// Reads [`MEMBER`].
pub(super) fn member(row: &Row<'_>) -> Result<MemberRow, Trouble> {
    let role = match row.get_ref(1)? {
        ValueRef::Null => None,
        _ => Some(Role::from_number(small(row, 1)?)),
    };
    Ok(MemberRow {
        user: user(row, 0)?,
        role,
        intervals: intervals(blob(row, 2)?)?,
        invited_by: user_or_none(row, 3)?,
        read: uint(row, 4)?,
        delivered: uint(row, 5)?,
        rights: uint(row, 6)?,
        name: text(row, 7)?.to_owned(),
        asked: row.get(8)?,
        muted_until: uint(row, 9)?,
        ban: match user_or_none(row, 10)? {
            Some(by) => Some(Ban {
                by,
                until: uint(row, 11)?,
            }),
            None => None,
        },
        name_here: text(row, 12)?.to_owned(),
        attributes: decode_body(blob(row, 13)?)?,
        deleted: Deleted::from_bytes(blob(row, 14)?)
            .ok_or_else(|| Trouble::damaged("deletions"))?,
        receipts_off: row.get(15)?,
    })
}

fn intervals(bytes: &[u8]) -> Result<Vec<Interval>, Trouble> {
    let (pairs, rest) = bytes.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(Trouble::damaged("membership"));
    }
    let number = |half: &[u8]| {
        half.iter()
            .rev()
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    Ok(pairs
        .iter()
        .map(|pair| {
            let (from, until) = pair.split_at(8);
            let until = number(until);
            Interval {
                from: number(from),
                until: (until != 0).then_some(until),
            }
        })
        .collect())
}

/// `members.intervals`.
pub(super) fn intervals_blob(intervals: &[Interval]) -> Vec<u8> {
    intervals
        .iter()
        .flat_map(|interval| [interval.from, interval.until.unwrap_or(0)])
        .flat_map(u64::to_le_bytes)
        .collect()
}

/// Reads [`CONVERSATION`] from column `at` on: the row and the conversation's number. `last` and what belongs to it come from its last
/// entry.
pub(super) fn conversation(row: &Row<'_>, at: usize) -> Result<(ConversationRow, i64), Trouble> {
    let parent = match conversation_or_none(row, at + 9)? {
        Some(conversation) => Some(Parent {
            conversation,
            root: uint(row, at + 10)?,
        }),
        None => None,
    };
    let found = ConversationRow {
        parent,
        id: conversation_id(row, at)?,
        kind: ConversationKind::from_number(small(row, at + 1)?),
        version: uint(row, at + 2)?,
        name: text(row, at + 3)?.to_owned(),
        history_for_joiners: uint(row, at + 4)?,
        settings: decode_body(blob(row, at + 7)?)?,
        dissolved: row.get(at + 8)?,
        first: uint(row, at + 5)?,
        last: 0,
        ordinal: 0,
        last_at: 0,
    };
    Ok((found, row.get(at + 6)?))
}

/// Reads `code, conversation, seq, ordinal, at, expires` of a nonce.
pub(super) fn outcome(row: &Row<'_>) -> Result<Outcome, Trouble> {
    match small(row, 0)? {
        0 => Ok(Outcome::Done {
            conversation: match row.get_ref(1)? {
                ValueRef::Null => None,
                _ => Some(conversation_id(row, 1)?),
            },
            sequence: uint(row, 2)?,
            ordinal: uint(row, 3)?,
            at: uint(row, 4)?,
            expires: uint(row, 5)?,
        }),
        code => Ok(Outcome::Refused(Code::from_number(code))),
    }
}

/// Decodes a body.
pub(super) fn decode_body<T: Wire>(bytes: &[u8]) -> Result<T, Trouble> {
    Ok(decode(&Bytes::copy_from_slice(bytes))?)
}
