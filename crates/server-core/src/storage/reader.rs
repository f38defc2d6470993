//! The reading side of a log, as a store gives it: pages, heads and the rest are built on it by [`crate::log`].

use std::collections::HashSet;

use fireside_protocol::{
    ConversationId, Ordinal, Rev, Sequence, UserId, WallMs,
    frames::{Link, Revision},
};

use super::{ConversationRow, MemberRow, StoreError, StoredEntry};
use crate::rights::EntryMeta;

/// What a count above a number of a log needs, without reading what is counted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Countable messages up to and including the number.
    pub ordinal: Ordinal,
    /// What does not count alike for everybody above it: entries that are private, or name somebody; and what has expired, which does not
    /// count any more. Ascending.
    pub apart: Vec<EntryMeta>,
}

/// The reading side of a store within one snapshot. Pages, heads and the rest are built on it by [`crate::log`].
pub trait LogReader {
    /// A conversation's row.
    ///
    /// # Errors
    /// [`StoreError`], here and below.
    fn conversation(&mut self, id: ConversationId) -> Result<Option<ConversationRow>, StoreError>;
    /// One member's record.
    fn member(
        &mut self,
        id: ConversationId,
        user: &UserId,
    ) -> Result<Option<MemberRow>, StoreError>;
    /// The other user of a direct conversation.
    fn peer(&mut self, id: ConversationId, user: &UserId) -> Result<Option<MemberRow>, StoreError>;
    /// How many members it has now.
    fn member_count(&mut self, id: ConversationId) -> Result<u32, StoreError>;
    /// Members (role present) by user id above `after`.
    fn members(
        &mut self,
        id: ConversationId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<MemberRow>, StoreError>;
    /// Who asks to come in, by user id above `after`.
    fn asking(
        &mut self,
        id: ConversationId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<MemberRow>, StoreError>;
    /// Members as in [`LogReader::members`] whose folded user id, name or name here begins with `prefix` (as [`folded`] makes it).
    ///
    /// [`folded`]: fireside_protocol::text::folded
    fn members_like(
        &mut self,
        id: ConversationId,
        prefix: &str,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<MemberRow>, StoreError>;
    /// Who is banned at `now`, by user id above `after`.
    fn banned(
        &mut self,
        id: ConversationId,
        now: WallMs,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<MemberRow>, StoreError>;
    /// The invite links, oldest first.
    fn links(&mut self, id: ConversationId) -> Result<Vec<Link>, StoreError>;
    /// The conversations a user is or was a member of, with their rows.
    fn memberships(
        &mut self,
        user: &UserId,
    ) -> Result<Vec<(ConversationRow, MemberRow)>, StoreError>;
    /// The conversations that belong to one and are not over: by the number of the message they are under, the largest first, then by id.
    /// At most `limit` behind `after`.
    fn children(
        &mut self,
        id: ConversationId,
        after: Option<(Sequence, ConversationId)>,
        limit: u32,
    ) -> Result<Vec<ConversationRow>, StoreError>;
    /// Whom a user blocks.
    fn blocked(&mut self, user: &UserId) -> Result<HashSet<UserId>, StoreError>;
    /// Entries with a number under `below`, descending.
    fn entries_below(
        &mut self,
        id: ConversationId,
        below: Sequence,
        limit: u32,
    ) -> Result<Vec<StoredEntry>, StoreError>;
    /// Entries with a number over `above`, ascending.
    fn entries_above(
        &mut self,
        id: ConversationId,
        above: Sequence,
        limit: u32,
    ) -> Result<Vec<StoredEntry>, StoreError>;
    /// Only what the rules need, of numbers over `above`, ascending.
    fn metas_above(
        &mut self,
        id: ConversationId,
        above: Sequence,
        limit: u32,
    ) -> Result<Vec<EntryMeta>, StoreError>;
    /// Only what the rules need, of numbers under `below`, descending. A store that can leave the bodies alone says so.
    fn metas_below(
        &mut self,
        id: ConversationId,
        below: Sequence,
        limit: u32,
    ) -> Result<Vec<EntryMeta>, StoreError> {
        let entries = self.entries_below(id, below, limit)?;
        Ok(entries.into_iter().map(|entry| entry.meta).collect())
    }
    /// The number of a user's last message here; 0: none.
    fn newest_of(&mut self, id: ConversationId, user: &UserId) -> Result<Sequence, StoreError>;
    /// What a count above a number needs: reading each message that is counted is most of the work of a log-in after a long time.
    /// At most `limit` entries that are apart.
    fn tally(
        &mut self,
        id: ConversationId,
        above: Sequence,
        limit: u32,
    ) -> Result<Tally, StoreError>;
    /// The pinned items with a number under `below`, descending, at most `limit`.
    fn pinned(
        &mut self,
        id: ConversationId,
        below: Sequence,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError>;
    /// What an item's body said before, oldest first, over a rev: of an edit or recall what was there before it. At most `limit`.
    fn revisions(
        &mut self,
        id: ConversationId,
        item: Sequence,
        above: Rev,
        limit: usize,
    ) -> Result<Vec<Revision>, StoreError>;
    /// What a message was copied from, at most `limit`.
    fn sources(
        &mut self,
        id: ConversationId,
        message: Sequence,
        limit: usize,
    ) -> Result<Vec<(ConversationId, Sequence)>, StoreError>;
    /// One entry.
    fn entry(
        &mut self,
        id: ConversationId,
        number: Sequence,
    ) -> Result<Option<StoredEntry>, StoreError> {
        let found = self.entries_above(id, number.saturating_sub(1), 1)?;
        Ok(found.into_iter().find(|it| it.meta.sequence == number))
    }
    /// Items changed after `since` (rev over it and over their own number), by rev ascending.
    fn changed(
        &mut self,
        id: ConversationId,
        since: Rev,
        limit: u32,
    ) -> Result<Vec<StoredEntry>, StoreError>;
}
