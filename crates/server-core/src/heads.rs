//! Heads: a conversation in one line, as its reader sees it.

use fireside_protocol::{
    ConversationId, ConversationKind, Entry, EntryKind, FacetKind, Role, Sequence, Settings,
    UserId, WallMs, decode, encode,
    frames::{Head, HeadsPage, HeadsRequest},
    limits::{HEADS_MAX, PAGE_CONTENT_BYTES_MAX, UNREAD_COUNT_MAX},
};

use crate::{
    log::{Viewer, blocked_by},
    permissions,
    rights::{EntryMeta, Reader, visible},
    storage::{ConversationRow, LogReader, MemberRow, StoreError, StoredEntry},
};

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
    let asked = !only.is_empty();
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
        // What moved since is decided by the log's own time: numbers that are withheld are news too.
        if (key.0, Some(key.1)) >= before {
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
        let head = head(reader, user, candidate, asked)?;
        bytes += encode(&head).len();
        if bytes > PAGE_CONTENT_BYTES_MAX && !page.heads.is_empty() {
            page.more = true;
            break;
        }
        page.heads.push(head);
    }
    Ok(page)
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
    // A reaction or a pin moves no conversation up, nor does a message whose time is over.
    let moves = |meta: &EntryMeta| !meta.kind.is_quiet_change() && visible(meta, &viewer.rights);
    let seen = entries.iter().find(|entry| moves(&entry.meta));
    let mut at = seen.map(|entry| entry.meta.at);
    let mut below = entries.last().map_or(0, |entry| entry.meta.sequence);
    let mut scans_left = HEAD_SCANS_MAX;
    while at.is_none() && below > 1 && scans_left > 0 {
        let metas = reader.metas_below(viewer.id, below, SCAN_BATCH)?;
        let Some(lowest) = metas.last() else { break };
        below = lowest.sequence;
        scans_left = scans_left.saturating_sub(metas.len());
        let seen = metas.iter().find(|meta| moves(meta));
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
    asked: bool,
) -> Result<Head, StoreError> {
    let Candidate {
        row,
        member,
        viewer,
        newest,
    } = candidate;
    let preview = preview(reader, &viewer, &newest)?;
    let (unread, mentions) = unread(reader, &viewer, &newest, &member)?;
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
        // Who tells nothing is told nothing.
        peer_read: (peer.as_ref())
            .filter(|peer| !peer.receipts_off && !member.receipts_off)
            .map_or(0, |peer| peer.read),
        version: if is_member { row.version } else { 0 },
        rights: member.rights,
        name: row.name,
        parent: row.parent.map(|parent| parent.conversation),
        root: row.parent.map_or(0, |parent| parent.root),
        peer: peer.map(|peer| peer.user),
        members: if is_member {
            reader.member_count(row.id)?
        } else {
            0
        },
        role: member.role,
        capabilities: permissions::capabilities(row.kind, member.role, &row.settings),
        frozen: row.settings.frozen.unwrap_or(false),
        slow_mode_ms: row.settings.slow_mode_ms.unwrap_or(0),
        picture: row.settings.picture.clone().unwrap_or_default(),
        forget_on_leave: row.settings.forget_on_leave.unwrap_or(false),
        muted_until: match member.role {
            Some(Role::Owner) => 0,
            _ => member.muted_until,
        },
        settings: asked
            .then_some(row.settings)
            .filter(|it| *it != Settings::default())
            .map(Box::new),
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
    let body = |entry: &StoredEntry| {
        let entry = decode::<Entry>(&entry.body).ok()?;
        Some(Entry {
            // A list shows none of them, but what a live object is now.
            facets: (entry.facets.into_iter())
                .filter(|facet| facet.kind == FacetKind::Live)
                .collect(),
            ..entry
        })
    };
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
    member: &MemberRow,
) -> Result<(u32, u32), StoreError> {
    let role = member.role;
    let floor = member
        .read
        .max(viewer.rights.visible_from().unwrap_or(0).saturating_sub(1));
    let user = &viewer.rights.user;
    let (mut unread, mut mentions) = (0, 0);
    let mut count = |meta: &EntryMeta| {
        let ends = meta.sequence <= floor
            || (meta.kind == EntryKind::Message && meta.sender == *user)
            || unread > UNREAD_COUNT_MAX;
        if !ends && is_counted(meta, &viewer.rights) {
            unread += 1;
            mentions += u32::from(meta.names(user, role));
        }
        !ends
    };
    let mut on = newest.entries.iter().all(|entry| count(&entry.meta));
    let mut below = newest.entries.last().map_or(0, |entry| entry.meta.sequence);
    let mut scans_left = HEAD_SCANS_MAX;
    if on
        && below > floor + 1
        && let Some(counts) = tallied_unread(reader, viewer, newest, (floor, role))?
    {
        return Ok(counts);
    }
    while on && below > floor + 1 && scans_left > 0 {
        let metas = reader.metas_below(viewer.id, below, SCAN_BATCH)?;
        let Some(lowest) = metas.last() else { break };
        below = lowest.sequence;
        scans_left = scans_left.saturating_sub(metas.len());
        on = metas.iter().all(&mut count);
    }
    Ok((unread, mentions))
}

/// Whether a reader has a message to read there.
fn is_counted(meta: &EntryMeta, reader: &Reader) -> bool {
    meta.countable && !meta.expired && visible(meta, reader)
}

/// The same by ordinals, whatever the number of messages between. `None` where it takes a look at each: several memberships, messages
/// of somebody blocked, too many that are apart, or more than are counted with mentions among them.
fn tallied_unread(
    reader: &mut impl LogReader,
    viewer: &Viewer,
    newest: &Newest,
    (floor, role): (Sequence, Option<Role>),
) -> Result<Option<(u32, u32)>, StoreError> {
    let rights = &viewer.rights;
    let above = floor.max(reader.newest_of(viewer.id, &rights.user)?);
    let one_membership = rights.intervals.iter().any(|interval| {
        interval.from <= above + 1 && interval.until.is_none_or(|until| viewer.horizon <= until)
    });
    let deleted = rights.deleted.reaches_over(above);
    if !one_membership || deleted || rights.blocked.len() > TALLY_BLOCKED_MAX {
        return Ok(None);
    }
    for blocked in &rights.blocked {
        if reader.newest_of(viewer.id, blocked)? > above {
            return Ok(None);
        }
    }
    let tally = reader.tally(viewer.id, above, TALLY_APART_MAX)?;
    if tally.apart.len() >= TALLY_APART_MAX as usize {
        return Ok(None);
    }
    let counts = tally.apart.iter().filter(|meta| meta.countable);
    let (seen, withheld): (Vec<_>, Vec<_>) = counts.partition(|meta| is_counted(meta, rights));
    let mentions = seen
        .iter()
        .filter(|meta| meta.names(&rights.user, role))
        .count();
    let unread = newest
        .ordinal
        .saturating_sub(tally.ordinal)
        .saturating_sub(withheld.len() as u64);
    let most = u64::from(UNREAD_COUNT_MAX) + 1;
    if unread > most && mentions > 0 {
        return Ok(None);
    }
    Ok(Some((unread.min(most) as u32, mentions as u32)))
}

/// Newest entries read with their bodies for a head: most heads need no more.
const NEWEST_ENTRIES: u32 = 4;
/// Entries read at once when a head needs more.
const SCAN_BATCH: u32 = 256;
/// Entries apart that a count by ordinals takes in.
const TALLY_APART_MAX: u32 = 256;
/// Blocked users whose last message is looked up for it.
const TALLY_BLOCKED_MAX: usize = 64;
/// Entries looked at for one number of a head: 1,000 unread and as many withheld.
const HEAD_SCANS_MAX: usize = 2_048;
