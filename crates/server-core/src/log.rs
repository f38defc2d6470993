//! Pages and heads from any [`LogReader`]: what a reader sees of a log, in one place for every store.

use std::collections::HashSet;

use fireside_protocol::{
    Code, ConversationId, ConversationKind, EntryKind, Permission, Raw, Role, Sequence, UserId,
    WallMs, encode,
    frames::{
        Anchor, Banned, BansPage, BansRequest, LinksPage, LinksRequest, Member, MembersPage,
        MembersRequest, Page, PageRequest, PinsPage, PinsRequest, Range, RevisionsPage,
        RevisionsRequest,
    },
    limits::{
        HELD_RANGES_MAX, MEMBERS_PAGE_MAX, PAGE_CHANGES_MAX, PAGE_CONTENT_BYTES_MAX as PAGE_BYTES,
        PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX, PINS_MAX, RECEIPT_MEMBERS_MAX, REVISIONS_MAX,
    },
    personal::{ReadersPage, ReadersRequest},
    text::folded,
};

pub use crate::heads::heads;
use crate::{
    rights::{Reader, visible},
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
    let own = reader.member(id, user)?;
    let role = own.as_ref().and_then(|own| own.role);
    if role.is_none() {
        return Ok(None);
    }
    let tells = own.is_some_and(|own| !own.receipts_off);
    let may = crate::permissions::capabilities(row.kind, role, &row.settings);
    if request.asked && may & Permission::Invite.bit() == 0 {
        return Ok(None);
    }
    let limit = match request.limit {
        0 => MEMBERS_PAGE_MAX,
        asked => asked.min(MEMBERS_PAGE_MAX),
    };
    let after = request.after.as_ref();
    let prefix = folded(&request.prefix);
    let mut rows = if request.asked {
        reader.asking(id, after, limit + 1)?
    } else if !prefix.is_empty() {
        reader.members_like(id, &prefix, after, limit + 1)?
    } else {
        reader.members(id, after, limit + 1)?
    };
    let mut more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    // Members with all the attributes there may be would not fit.
    let mut bytes = 0;
    let direct = row.kind == ConversationKind::Direct;
    let members = rows.into_iter().filter_map(|row| {
        Some(Member {
            // Who asks has none yet.
            role: if request.asked {
                Role::Member
            } else {
                row.role?
            },
            name: row.name,
            // In a direct conversation it would tell of a block that has ended.
            joined: if direct {
                1
            } else {
                row.intervals.last().map_or(0, |interval| interval.from)
            },
            read: if row.user == *user || tells && !row.receipts_off {
                row.read
            } else {
                0
            },
            muted_until: if row.role == Some(Role::Owner) {
                0
            } else {
                row.muted_until
            },
            name_here: row.name_here,
            attributes: row.attributes,
            user: row.user,
        })
    });
    let mut page: Vec<Member> = Vec::new();
    for member in members {
        bytes += encode(&member).len();
        if bytes > PAGE_BYTES && !page.is_empty() {
            more = true;
            break;
        }
        page.push(member);
    }
    Ok(Some(MembersPage {
        conversation: id,
        version: row.version,
        members: page,
        more,
    }))
}

/// Builds a page of those who are banned; `None` for who may not ban.
///
/// # Errors
/// What the reader answers.
pub fn bans(
    reader: &mut impl LogReader,
    user: &UserId,
    request: &BansRequest,
    now: WallMs,
) -> Result<Option<BansPage>, StoreError> {
    let id = request.conversation;
    if !may(reader, id, user, Permission::Ban)? {
        return Ok(None);
    }
    let limit = match request.limit {
        0 => MEMBERS_PAGE_MAX,
        asked => asked.min(MEMBERS_PAGE_MAX),
    };
    let mut rows = reader.banned(id, now, request.after.as_ref(), limit + 1)?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let bans = rows.into_iter().filter_map(|row| {
        let ban = row.ban?;
        Some(Banned {
            user: row.user,
            until: ban.until,
            by: ban.by,
            name: row.name,
        })
    });
    Ok(Some(BansPage {
        conversation: id,
        bans: bans.collect(),
        more,
    }))
}

/// Builds the page of invite links; `None` for who may not invite.
///
/// # Errors
/// What the reader answers.
pub fn links(
    reader: &mut impl LogReader,
    user: &UserId,
    request: &LinksRequest,
) -> Result<Option<LinksPage>, StoreError> {
    let id = request.conversation;
    if !may(reader, id, user, Permission::Invite)? {
        return Ok(None);
    }
    Ok(Some(LinksPage {
        conversation: id,
        links: reader.links(id)?,
    }))
}

/// Whether a user, as a member, may do something.
fn may(
    reader: &mut impl LogReader,
    id: ConversationId,
    user: &UserId,
    permission: Permission,
) -> Result<bool, StoreError> {
    let Some(row) = reader.conversation(id)? else {
        return Ok(false);
    };
    let role = reader.member(id, user)?.and_then(|own| own.role);
    let may = crate::permissions::capabilities(row.kind, role, &row.settings);
    Ok(may & permission.bit() != 0)
}

/// Builds the page of pinned messages; `None` for who is not a member.
///
/// # Errors
/// What the reader answers.
pub fn pins(
    reader: &mut impl LogReader,
    user: &UserId,
    request: &PinsRequest,
) -> Result<Option<PinsPage>, StoreError> {
    let id = request.conversation;
    let Some((_, viewer)) = open(reader, id, user)? else {
        return Ok(None);
    };
    let below = match request.before {
        0 => Sequence::MAX,
        before => before,
    };
    let pinned = reader.pinned(id, below, PINS_READ_MAX)?;
    let mut page = PinsPage {
        conversation: id,
        items: Vec::new(),
        more: false,
    };
    let mut bytes_left = PAGE_BYTES;
    for entry in pinned.into_iter().filter(|entry| viewer.sees(entry)) {
        let Some(left) = bytes_left.checked_sub(entry.body.len()) else {
            page.more = true;
            break;
        };
        bytes_left = left;
        page.items.push(Raw(entry.body));
    }
    Ok(Some(page))
}

/// Who has read a message; `None`: the user does not see it.
///
/// # Errors
/// What the reader answers.
pub fn readers(
    reader: &mut impl LogReader,
    user: &UserId,
    request: &ReadersRequest,
) -> Result<Option<ReadersPage>, StoreError> {
    let (id, number) = (request.conversation, request.sequence);
    let Some((_, viewer)) = open(reader, id, user)? else {
        return Ok(None);
    };
    let entry = reader.entries_above(id, number.saturating_sub(1), 1)?;
    let entry = entry.into_iter().find(|entry| {
        let meta = &entry.meta;
        meta.sequence == number && meta.kind == EntryKind::Message && viewer.sees(entry)
    });
    let Some(sender) = entry.map(|entry| entry.meta.sender) else {
        return Ok(None);
    };
    let mut page = ReadersPage {
        conversation: id,
        sequence: number,
        users: Vec::new(),
        of: 0,
    };
    let own = reader.member(id, user)?;
    let tells = own.is_some_and(|own| !own.receipts_off);
    let most = RECEIPT_MEMBERS_MAX as u32;
    if !tells || reader.member_count(id)? > most {
        return Ok(Some(page));
    }
    for member in reader.members(id, None, most)? {
        let here = member.intervals.iter().any(|it| it.covers(number));
        if here && !member.receipts_off && member.user != sender {
            page.of += 1;
            page.users
                .extend((member.read >= number).then_some(member.user));
        }
    }
    Ok(Some(page))
}

/// What a message said before, for who may recall others' messages here.
///
/// # Errors
/// What the reader answers.
pub fn revisions(
    reader: &mut impl LogReader,
    user: &UserId,
    request: &RevisionsRequest,
) -> Result<Result<RevisionsPage, Code>, StoreError> {
    let id = request.conversation;
    let Some((row, viewer)) = open(reader, id, user)? else {
        return Ok(Err(Code::NotFound));
    };
    let role = reader.member(id, user)?.and_then(|own| own.role);
    let may = crate::permissions::capabilities(row.kind, role, &row.settings);
    let item = reader.entry(id, request.target)?;
    if !item.is_some_and(|item| item.meta.target == 0 && viewer.sees(&item)) {
        return Ok(Err(Code::NotFound));
    }
    if may & Permission::RecallOthers.bit() == 0 {
        return Ok(Err(Code::Forbidden));
    }
    let mut found = reader.revisions(id, request.target, request.after, REVISIONS_MAX + 1)?;
    let mut bytes_left = PAGE_BYTES;
    let fits = found.iter().take_while(|one| {
        let left = bytes_left.checked_sub(one.content.len() + 32);
        bytes_left = left.unwrap_or(0);
        left.is_some()
    });
    let fits = fits.count();
    let more = fits < found.len();
    found.truncate(fits);
    Ok(Ok(RevisionsPage {
        conversation: id,
        target: request.target,
        revisions: found,
        more,
    }))
}

/// Pinned messages read for a page: two who pin at once may go a little over the limit.
const PINS_READ_MAX: usize = PINS_MAX + 14;

/// A reader and how far they may look.
pub(crate) struct Viewer {
    pub(crate) id: ConversationId,
    pub(crate) rights: Reader,
    pub(crate) horizon: Sequence,
}

impl Viewer {
    pub(crate) fn new(
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
                deleted: member.deleted.clone(),
            },
            horizon: row.last,
        }
    }

    pub(crate) fn sees(&self, entry: &StoredEntry) -> bool {
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

/// A conversation and its reader; `None` for who was never a member.
pub(crate) fn open(
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
pub(crate) fn blocked_by(
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

/// Bytes of items in a page that brings changes too, so that a few large items do not force a reset.
const HELD_PAGE_BYTES: usize = PAGE_BYTES / 2;
/// Entries looked at for one page: bounds the work where much is withheld.
const SCANNED_PER_PAGE_MAX: usize = 4_096;
/// Skips in a page, at most 23 bytes each.
const SKIPS_PER_PAGE_MAX: usize = 1_024;
/// Reads of up to 500 changes for one page; more answers `reset`.
const CHANGE_READS_MAX: usize = 8;
