//! Pages and heads from any [`LogReader`]: what a reader sees of a log, in one place for every store.

use std::collections::HashSet;

use fireside_protocol::{
    ConversationId, ConversationKind, Entry, EntryKind, Raw, Sequence, UserId, WallMs, decode,
    encode,
    frames::{
        Anchor, Head, HeadsPage, HeadsRequest, Member, MembersPage, MembersRequest, Page,
        PageRequest, Range,
    },
    limits::{
        HEADS_MAX, HELD_RANGES_MAX, MEMBERS_PAGE_MAX, PAGE_CHANGES_MAX, PAGE_ITEMS_DEFAULT,
        PAGE_ITEMS_MAX, SESSION_QUEUE_BYTES_MAX, UNREAD_COUNT_MAX,
    },
};

use crate::{
    rights::{EntryMeta, Reader, visible},
    storage::{ConversationRow, LogReader, MemberRow, StoreError, StoredEntry},
};

/// Builds a page; `None` if the user may not see the conversation. It covers less than was asked for when a limit is reached;
/// the device asks on.
///
/// # Errors
/// What the reader answers.
pub fn page(
    reader: &mut impl LogReader,
    user: &UserId,
    request: &PageRequest,
) -> Result<Option<Page>, StoreError> {
    let id = request.conversation;
    let Some((row, viewer)) = open(reader, id, user)? else {
        return Ok(None);
    };
    let limit = match request.limit {
        0 => PAGE_ITEMS_DEFAULT,
        asked => asked.min(PAGE_ITEMS_MAX),
    } as usize;
    let holds = !request.held.is_empty();
    let mut draft = Draft {
        limit,
        bytes_left: if holds { HELD_PAGE_BYTES } else { PAGE_BYTES },
        scans_left: SCANNED_PER_PAGE_MAX,
        ..Draft::default()
    };
    let floor = row.first.max(1);
    let (number, horizon) = (request.number, viewer.horizon);
    let (first, last) = match Anchor::from_number(request.anchor) {
        Anchor::Before => draft.descend(reader, &viewer, floor, number.saturating_sub(1))?,
        Anchor::After => draft.ascend(
            reader,
            &viewer,
            number.saturating_add(1).max(floor),
            horizon,
        )?,
        Anchor::Range => {
            draft.ascend(reader, &viewer, number.max(floor), request.to.min(horizon))?
        }
        Anchor::Around => {
            let middle = number.min(horizon).max(floor - 1);
            draft.limit = limit.div_ceil(2);
            let below = draft.descend(reader, &viewer, floor, middle)?;
            draft.limit = limit;
            let above = draft.ascend(reader, &viewer, middle + 1, horizon)?;
            match (below.0 <= below.1, above.0 <= above.1) {
                (true, true) => (below.0, above.1),
                (true, false) => below,
                _ => above,
            }
        }
        // Newest, and whatever a later client may know.
        _ => draft.descend(reader, &viewer, floor, horizon)?,
    };
    draft.items.sort_unstable_by_key(|(sequence, _)| *sequence);
    let mut page = Page {
        conversation: id,
        first,
        last,
        as_of: horizon,
        items: draft.items.into_iter().map(|(_, raw)| raw).collect(),
        skips: joined(draft.skips),
        changes: Vec::new(),
        reset: false,
        oldest: row.first,
    };
    if holds {
        let bytes_left = draft.bytes_left + (PAGE_BYTES - HELD_PAGE_BYTES);
        match changes(reader, &viewer, request, first..=last, bytes_left)? {
            Some(changes) => page.changes = changes,
            None => page.reset = true,
        }
    }
    Ok(Some(page))
}

/// Builds heads, newest first; with `only`, of these conversations and no others.
///
/// `stamp` stays 0: the core fills it in.
///
/// # Errors
/// What the reader answers.
pub fn heads(
    reader: &mut impl LogReader,
    user: &UserId,
    request: &HeadsRequest,
    only: &[ConversationId],
) -> Result<HeadsPage, StoreError> {
    let only = if only.is_empty() { &request.only } else { only };
    let mut candidates = if only.is_empty() {
        reader.memberships(user)?
    } else {
        let mut found = Vec::with_capacity(only.len());
        for id in only {
            if let Some(row) = reader.conversation(*id)?
                && let Some(member) = reader.member(*id, user)?
            {
                found.push((row, member));
            }
        }
        found
    };
    candidates.retain(|(row, member)| {
        row.last > 0 && row.last_at >= request.since && member.role.is_some()
    });
    candidates.sort_unstable_by_key(|(row, _)| std::cmp::Reverse((row.last_at, row.id)));

    let limit = match request.limit {
        0 => HEADS_MAX,
        asked => asked.min(HEADS_MAX),
    } as usize;
    let before = request
        .before
        .map_or((WallMs::MAX, None), |id| (request.before_at, Some(id)));
    // The last entry of a log may be hidden from this reader, so its time only bounds theirs: look on until nothing that
    // is left can come before what was found.
    let mut found: Vec<((WallMs, ConversationId), Candidate)> = Vec::new();
    for (row, member) in candidates {
        if let Some((key, _)) = found.get(limit)
            && *key >= (row.last_at, row.id)
        {
            break;
        }
        let blocked = blocked_by(reader, &row, user)?;
        let viewer = Viewer::new(&row, &member, user, blocked);
        let newest = newest(reader, &viewer)?;
        let key = (newest.at, row.id);
        if key.0 < request.since || (key.0, Some(key.1)) >= before {
            continue;
        }
        let place = found.partition_point(|(other, _)| *other > key);
        found.insert(
            place,
            (
                key,
                Candidate {
                    row,
                    member,
                    viewer,
                    newest,
                },
            ),
        );
    }
    let mut page = HeadsPage {
        heads: Vec::with_capacity(found.len().min(limit)),
        more: found.len() > limit,
        stamp: 0,
    };
    let mut bytes = 0;
    for (_, candidate) in found.into_iter().take(limit) {
        let head = head(reader, user, candidate)?;
        bytes += encode(&head).len();
        if bytes > PAGE_BYTES && !page.heads.is_empty() {
            page.more = true;
            break;
        }
        page.heads.push(head);
    }
    Ok(page)
}

/// Builds a page of members; `None` for who is not one.
///
/// # Errors
/// What the reader answers.
pub fn members(
    reader: &mut impl LogReader,
    user: &UserId,
    request: &MembersRequest,
) -> Result<Option<MembersPage>, StoreError> {
    let id = request.conversation;
    let Some(row) = reader.conversation(id)? else {
        return Ok(None);
    };
    if reader
        .member(id, user)?
        .is_none_or(|own| own.role.is_none())
    {
        return Ok(None);
    }
    let limit = match request.limit {
        0 => MEMBERS_PAGE_MAX,
        asked => asked.min(MEMBERS_PAGE_MAX),
    };
    let mut rows = reader.members(id, request.after.as_ref(), limit + 1)?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let members = rows.into_iter().filter_map(|row| {
        Some(Member {
            role: row.role?,
            name: row.name,
            joined: row.intervals.last().map_or(0, |interval| interval.from),
            read: row.read,
            user: row.user,
        })
    });
    Ok(Some(MembersPage {
        conversation: id,
        version: row.version,
        members: members.collect(),
        more,
    }))
}

/// A reader and how far they may look.
struct Viewer {
    id: ConversationId,
    rights: Reader,
    horizon: Sequence,
}

impl Viewer {
    fn new(
        row: &ConversationRow,
        member: &MemberRow,
        user: &UserId,
        blocked: HashSet<UserId>,
    ) -> Self {
        Self {
            id: row.id,
            rights: Reader {
                user: user.clone(),
                intervals: member.intervals.clone(),
                blocked,
            },
            horizon: row.last,
        }
    }

    fn sees(&self, entry: &StoredEntry) -> bool {
        visible(&entry.meta, &self.rights)
    }

    /// The first number the reader may see anything of.
    fn from(&self) -> Sequence {
        self.rights.visible_from().unwrap_or(Sequence::MAX)
    }
}

/// What a page gathers on its way.
#[derive(Default)]
struct Draft {
    limit: usize,
    bytes_left: usize,
    scans_left: usize,
    items: Vec<(Sequence, Raw)>,
    skips: Vec<Range>,
}

impl Draft {
    /// Whether more may be taken.
    fn has_room(&self) -> bool {
        self.items.len() < self.limit
            && self.scans_left > 0
            && self.skips.len() < SKIPS_PER_PAGE_MAX
    }

    fn batch(&self) -> u32 {
        (self.limit - self.items.len()).clamp(16, 256) as u32
    }

    /// Withholds numbers.
    fn skip(&mut self, first: Sequence, last: Sequence) {
        match self.skips.last_mut() {
            Some(range) if range.last + 1 == first => range.last = last,
            Some(range) if last + 1 == range.first => range.first = first,
            _ => self.skips.push(Range { first, last }),
        }
    }

    /// Takes an entry in; `false` if it found no room.
    fn take(&mut self, viewer: &Viewer, entry: StoredEntry) -> bool {
        if !self.has_room() {
            return false;
        }
        let number = entry.meta.sequence;
        if !viewer.sees(&entry) {
            self.skip(number, number);
        } else if !entry.meta.kind.is_change() {
            let Some(left) = self.bytes_left.checked_sub(entry.body.len()) else {
                return false;
            };
            self.bytes_left = left;
            self.items.push((number, Raw(entry.body)));
        }
        self.scans_left -= 1;
        true
    }

    /// From `top` down to `floor` or a limit. Answers what is covered.
    fn descend(
        &mut self,
        reader: &mut impl LogReader,
        viewer: &Viewer,
        floor: Sequence,
        top: Sequence,
    ) -> Result<(Sequence, Sequence), StoreError> {
        let top = top.min(viewer.horizon);
        let mut next = top;
        'walk: while next >= floor && self.has_room() {
            if next < viewer.from() {
                // Nothing that low can be seen, however much it is.
                self.skip(floor, next);
                next = floor - 1;
                break;
            }
            let entries = reader.entries_below(viewer.id, next + 1, self.batch())?;
            let before = next;
            for entry in entries {
                let number = entry.meta.sequence;
                if number != next || number < floor.max(viewer.from()) {
                    break;
                }
                if !self.take(viewer, entry) {
                    break 'walk;
                }
                next -= 1;
            }
            if next == before {
                break;
            }
        }
        Ok(if next >= top { (1, 0) } else { (next + 1, top) })
    }

    /// From `bottom` up to `top` or a limit. Answers what is covered.
    fn ascend(
        &mut self,
        reader: &mut impl LogReader,
        viewer: &Viewer,
        bottom: Sequence,
        top: Sequence,
    ) -> Result<(Sequence, Sequence), StoreError> {
        let mut next = bottom;
        'walk: while next <= top && self.has_room() {
            if next < viewer.from() {
                let high = top.min(viewer.from() - 1);
                self.skip(next, high);
                next = high + 1;
                continue;
            }
            let entries = reader.entries_above(viewer.id, next - 1, self.batch())?;
            let before = next;
            for entry in entries {
                let number = entry.meta.sequence;
                if number != next || number > top {
                    break;
                }
                if !self.take(viewer, entry) {
                    break 'walk;
                }
                next += 1;
            }
            if next == before {
                break;
            }
        }
        Ok(if next == bottom {
            (1, 0)
        } else {
            (bottom, next - 1)
        })
    }
}

/// Held items changed since `request.since`, without those in `covered`; `None` if they are too many.
fn changes(
    reader: &mut impl LogReader,
    viewer: &Viewer,
    request: &PageRequest,
    covered: std::ops::RangeInclusive<Sequence>,
    mut bytes_left: usize,
) -> Result<Option<Vec<Raw>>, StoreError> {
    let held = |number: Sequence| {
        let ranges = request.held.iter().take(HELD_RANGES_MAX);
        !covered.contains(&number)
            && ranges
                .into_iter()
                .any(|range| range.first <= number && number <= range.last)
    };
    let mut changes = Vec::new();
    let mut since = request.since;
    for _ in 0..CHANGE_READS_MAX {
        let found = reader.changed(viewer.id, since, PAGE_CHANGES_MAX)?;
        let exhausted = found.len() < PAGE_CHANGES_MAX as usize;
        for entry in found {
            since = entry.meta.rev;
            if !held(entry.meta.sequence) || !viewer.sees(&entry) {
                continue;
            }
            let Some(left) = bytes_left.checked_sub(entry.body.len()) else {
                return Ok(None);
            };
            if changes.len() == PAGE_CHANGES_MAX as usize {
                return Ok(None);
            }
            bytes_left = left;
            changes.push(Raw(entry.body));
        }
        if exhausted {
            return Ok(Some(changes));
        }
    }
    Ok(None)
}

/// A conversation that will have a head.
struct Candidate {
    row: ConversationRow,
    member: MemberRow,
    viewer: Viewer,
    newest: Newest,
}

/// What the end of a log shows to a reader.
struct Newest {
    /// Time of the last entry they see.
    at: WallMs,
    /// Ordinal at the horizon.
    ordinal: u64,
    /// The newest entries, descending from the horizon.
    entries: Vec<StoredEntry>,
}

fn newest(reader: &mut impl LogReader, viewer: &Viewer) -> Result<Newest, StoreError> {
    let entries = reader.entries_below(viewer.id, viewer.horizon + 1, NEWEST_ENTRIES)?;
    let ordinal = entries.first().map_or(0, |entry| entry.meta.ordinal);
    let seen = |entry: &&StoredEntry| visible(&entry.meta, &viewer.rights);
    let mut at = entries.iter().find(seen).map(|entry| entry.meta.at);
    let mut below = entries.last().map_or(0, |entry| entry.meta.sequence);
    let mut scans_left = HEAD_SCANS_MAX;
    while at.is_none() && below > 1 && scans_left > 0 {
        let metas = reader.metas_below(viewer.id, below, SCAN_BATCH)?;
        let Some(lowest) = metas.last() else { break };
        below = lowest.sequence;
        scans_left = scans_left.saturating_sub(metas.len());
        let seen = metas.iter().find(|meta| visible(meta, &viewer.rights));
        at = seen.map(|meta| meta.at);
    }
    Ok(Newest {
        at: at.unwrap_or(0),
        ordinal,
        entries,
    })
}

fn head(
    reader: &mut impl LogReader,
    user: &UserId,
    candidate: Candidate,
) -> Result<Head, StoreError> {
    let Candidate {
        row,
        member,
        viewer,
        newest,
    } = candidate;
    let preview = preview(reader, &viewer, &newest)?;
    let (unread, mentions) = unread(reader, &viewer, &newest, member.read)?;
    let peer = match row.kind {
        ConversationKind::Direct => reader.peer(row.id, user)?,
        _ => None,
    };
    // Who is out learns nothing that came later.
    let is_member = member.role.is_some();
    Ok(Head {
        conversation: row.id,
        kind: row.kind,
        last: viewer.horizon,
        first: row.first,
        visible_from: viewer.rights.visible_from().unwrap_or(0),
        ordinal: newest.ordinal,
        unread,
        mentions,
        at: newest.at,
        preview,
        read: member.read,
        peer_delivered: peer.as_ref().map_or(0, |peer| peer.delivered),
        peer_read: peer.as_ref().map_or(0, |peer| peer.read),
        version: if is_member { row.version } else { 0 },
        rights: member.rights,
        name: row.name,
        peer: peer.map(|peer| peer.user),
        members: if is_member {
            reader.member_count(row.id)?
        } else {
            0
        },
        role: member.role,
    })
}

/// The last message the reader sees, as it is now.
fn preview(
    reader: &mut impl LogReader,
    viewer: &Viewer,
    newest: &Newest,
) -> Result<Option<Entry>, StoreError> {
    let is_shown =
        |entry: &&StoredEntry| entry.meta.kind == EntryKind::Message && viewer.sees(entry);
    let body = |entry: &StoredEntry| decode::<Entry>(&entry.body).ok();
    if let Some(entry) = newest.entries.iter().find(is_shown) {
        return Ok(body(entry));
    }
    let mut below = newest.entries.last().map_or(0, |entry| entry.meta.sequence);
    let floor = viewer.rights.visible_from().unwrap_or(0);
    let mut scans_left = HEAD_SCANS_MAX;
    while below > floor && scans_left > 0 {
        let metas = reader.metas_below(viewer.id, below, SCAN_BATCH)?;
        let Some(lowest) = metas.last() else { break };
        below = lowest.sequence;
        scans_left = scans_left.saturating_sub(metas.len());
        for meta in metas {
            if meta.kind == EntryKind::Message && visible(&meta, &viewer.rights) {
                let entries = reader.entries_below(viewer.id, meta.sequence + 1, 1)?;
                if let Some(entry) = entries.iter().find(is_shown) {
                    return Ok(body(entry));
                }
            }
        }
    }
    Ok(None)
}

/// Unread messages and mentions among them, behind the larger of the read marker and the reader's own last message.
fn unread(
    reader: &mut impl LogReader,
    viewer: &Viewer,
    newest: &Newest,
    read: Sequence,
) -> Result<(u32, u32), StoreError> {
    let floor = read.max(viewer.rights.visible_from().unwrap_or(0).saturating_sub(1));
    let user = &viewer.rights.user;
    let (mut unread, mut mentions) = (0, 0);
    let mut count = |meta: &EntryMeta| {
        let ends = meta.sequence <= floor
            || (meta.kind == EntryKind::Message && meta.sender == *user)
            || unread > UNREAD_COUNT_MAX;
        if !ends && meta.countable && visible(meta, &viewer.rights) {
            unread += 1;
            mentions += u32::from(meta.mention_all || meta.mentions.contains(user));
        }
        !ends
    };
    let mut on = newest.entries.iter().all(|entry| count(&entry.meta));
    let mut below = newest.entries.last().map_or(0, |entry| entry.meta.sequence);
    let mut scans_left = HEAD_SCANS_MAX;
    while on && below > floor + 1 && scans_left > 0 {
        let metas = reader.metas_below(viewer.id, below, SCAN_BATCH)?;
        let Some(lowest) = metas.last() else { break };
        below = lowest.sequence;
        scans_left = scans_left.saturating_sub(metas.len());
        on = metas.iter().all(&mut count);
    }
    Ok((unread, mentions))
}

/// A conversation and its reader; `None` for who was never a member.
fn open(
    reader: &mut impl LogReader,
    id: ConversationId,
    user: &UserId,
) -> Result<Option<(ConversationRow, Viewer)>, StoreError> {
    let Some(row) = reader.conversation(id)? else {
        return Ok(None);
    };
    let Some(member) = reader.member(id, user)? else {
        return Ok(None);
    };
    if member.role.is_none() {
        // Who is not a member now is served nothing; what they hold stays theirs.
        return Ok(None);
    }
    let blocked = blocked_by(reader, &row, user)?;
    let viewer = Viewer::new(&row, &member, user, blocked);
    Ok(Some((row, viewer)))
}

/// Whom the user blocks, where it decides: in direct conversations the entry itself says it is private.
fn blocked_by(
    reader: &mut impl LogReader,
    row: &ConversationRow,
    user: &UserId,
) -> Result<HashSet<UserId>, StoreError> {
    if row.kind == ConversationKind::Direct {
        Ok(HashSet::new())
    } else {
        reader.blocked(user)
    }
}

/// Ascending ranges with neighbours made one.
fn joined(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable_by_key(|range| range.first);
    let mut out: Vec<Range> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(last) if last.last + 1 >= range.first => last.last = last.last.max(range.last),
            _ => out.push(range),
        }
    }
    out
}

/// Bytes of items and changes in a page: with its skips it fits the queue of a session that does not read.
const PAGE_BYTES: usize = SESSION_QUEUE_BYTES_MAX - 64 * 1024;
/// Bytes of items in a page that brings changes too, so that a few large items do not force a reset.
const HELD_PAGE_BYTES: usize = PAGE_BYTES / 2;
/// Entries looked at for one page: bounds the work where much is withheld.
const SCANNED_PER_PAGE_MAX: usize = 4_096;
/// Skips in a page, at most 23 bytes each.
const SKIPS_PER_PAGE_MAX: usize = 1_024;
/// Reads of up to 500 changes for one page; more answers `reset`.
const CHANGE_READS_MAX: usize = 8;
/// Newest entries read with their bodies for a head: most heads need no more.
const NEWEST_ENTRIES: u32 = 4;
/// Entries read at once when a head needs more.
const SCAN_BATCH: u32 = 256;
/// Entries looked at for one number of a head: 1,000 unread and as many withheld.
const HEAD_SCANS_MAX: usize = 2_048;
