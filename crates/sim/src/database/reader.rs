//! What pages, heads and changes are read from.

use fireside_protocol::text::folded;

use super::*;

impl LogReader for Database {
    fn conversation(&mut self, id: ConversationId) -> Result<Option<ConversationRow>, StoreError> {
        Ok(self
            .conversations
            .get(&id)
            .map(|conversation| conversation.row(id)))
    }

    fn member(
        &mut self,
        id: ConversationId,
        user: &UserId,
    ) -> Result<Option<MemberRow>, StoreError> {
        Ok(self
            .conversations
            .get(&id)
            .and_then(|conversation| conversation.members.get(user))
            .cloned())
    }

    fn peer(&mut self, id: ConversationId, user: &UserId) -> Result<Option<MemberRow>, StoreError> {
        let Some(conversation) = self.conversations.get(&id) else {
            return Ok(None);
        };
        if conversation.kind != ConversationKind::Direct {
            return Ok(None);
        }
        Ok(conversation
            .members
            .values()
            .find(|member| member.user != *user)
            .cloned())
    }

    fn member_count(&mut self, id: ConversationId) -> Result<u32, StoreError> {
        let found = self.conversations.get(&id);
        Ok(found.map_or(0, |c| {
            c.members
                .values()
                .filter(|member| member.role.is_some())
                .count() as u32
        }))
    }

    fn members(
        &mut self,
        id: ConversationId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<MemberRow>, StoreError> {
        let Some(conversation) = self.conversations.get(&id) else {
            return Ok(Vec::new());
        };
        let rows = conversation
            .members
            .values()
            .filter(|member| member.role.is_some());
        Ok(rows
            .filter(|member| after.is_none_or(|after| member.user > *after))
            .take(limit as usize)
            .cloned()
            .collect())
    }

    fn asking(
        &mut self,
        id: ConversationId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<MemberRow>, StoreError> {
        let found = self.conversations.get(&id);
        let rows = found.into_iter().flat_map(|it| it.members.values());
        let rows = rows.filter(|row| row.asked && after.is_none_or(|after| row.user > *after));
        Ok(rows.take(limit as usize).cloned().collect())
    }

    fn members_like(
        &mut self,
        id: ConversationId,
        prefix: &str,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<MemberRow>, StoreError> {
        let mut rows = self.members(id, after, u32::MAX)?;
        rows.retain(|row| {
            let mut names = [row.user.as_str(), &row.name, &row.name_here].into_iter();
            names.any(|name| folded(name).starts_with(prefix))
        });
        rows.truncate(limit as usize);
        Ok(rows)
    }

    fn banned(
        &mut self,
        id: ConversationId,
        now: WallMs,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<MemberRow>, StoreError> {
        let found = self.conversations.get(&id);
        let rows = found.into_iter().flat_map(|it| it.members.values());
        let holds = |row: &&MemberRow| row.ban.as_ref().is_some_and(|ban| ban.holds(now));
        let rows = rows.filter(|row| after.is_none_or(|after| row.user > *after));
        Ok(rows.filter(holds).take(limit as usize).cloned().collect())
    }

    fn links(&mut self, id: ConversationId) -> Result<Vec<Link>, StoreError> {
        let found = self.conversations.get(&id);
        Ok(found.map_or_else(Vec::new, |it| it.links.clone()))
    }

    fn memberships(
        &mut self,
        user: &UserId,
    ) -> Result<Vec<(ConversationRow, MemberRow)>, StoreError> {
        let rows = self.conversations.iter().filter_map(|(id, c)| {
            c.members
                .get(user)
                .map(|member| (c.row(*id), member.clone()))
        });
        Ok(rows
            .filter(|(_, member)| !member.intervals.is_empty())
            .collect())
    }

    fn children(
        &mut self,
        id: ConversationId,
        after: Option<(Sequence, ConversationId)>,
        limit: u32,
    ) -> Result<Vec<ConversationRow>, StoreError> {
        let key = |row: &ConversationRow| {
            let root = row.parent.map_or(0, |parent| parent.root);
            (std::cmp::Reverse(root), row.id)
        };
        let all = self.conversations.iter();
        let all = all.filter(|(_, it)| {
            !it.dissolved && it.parent.is_some_and(|parent| parent.conversation == id)
        });
        let mut rows: Vec<ConversationRow> = all.map(|(id, it)| it.row(*id)).collect();
        if let Some((root, after)) = after {
            rows.retain(|row| key(row) > (std::cmp::Reverse(root), after));
        }
        rows.sort_unstable_by_key(key);
        rows.truncate(limit as usize);
        Ok(rows)
    }

    fn blocked(&mut self, user: &UserId) -> Result<HashSet<UserId>, StoreError> {
        Ok(self
            .blocks
            .iter()
            .filter(|(by, _)| by == user)
            .map(|(_, of)| of.clone())
            .collect())
    }

    fn entries_below(
        &mut self,
        id: ConversationId,
        below: Sequence,
        limit: u32,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let Some(conversation) = self.conversations.get(&id) else {
            return Ok(Vec::new());
        };
        let end = usize::try_from(below.saturating_sub(1))
            .unwrap_or(usize::MAX)
            .min(conversation.entries.len());
        Ok(conversation.entries[..end]
            .iter()
            .rev()
            .take(limit as usize)
            .map(stored)
            .collect())
    }

    fn entries_above(
        &mut self,
        id: ConversationId,
        above: Sequence,
        limit: u32,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let Some(conversation) = self.conversations.get(&id) else {
            return Ok(Vec::new());
        };
        let start = usize::try_from(above)
            .unwrap_or(usize::MAX)
            .min(conversation.entries.len());
        Ok(conversation.entries[start..]
            .iter()
            .take(limit as usize)
            .map(stored)
            .collect())
    }

    fn metas_above(
        &mut self,
        id: ConversationId,
        above: Sequence,
        limit: u32,
    ) -> Result<Vec<EntryMeta>, StoreError> {
        let Some(conversation) = self.conversations.get(&id) else {
            return Ok(Vec::new());
        };
        let start = usize::try_from(above)
            .unwrap_or(usize::MAX)
            .min(conversation.entries.len());
        Ok(conversation.entries[start..]
            .iter()
            .take(limit as usize)
            .map(|stored| stored.meta.clone())
            .collect())
    }

    fn newest_of(&mut self, id: ConversationId, user: &UserId) -> Result<Sequence, StoreError> {
        let entries = self.conversations.get(&id).map(|c| c.entries.iter());
        let own = |meta: &&EntryMeta| meta.kind == EntryKind::Message && meta.sender == *user;
        Ok(entries
            .into_iter()
            .flatten()
            .map(|stored| &stored.meta)
            .rfind(own)
            .map_or(0, |meta| meta.sequence))
    }

    fn tally(
        &mut self,
        id: ConversationId,
        above: Sequence,
        limit: u32,
    ) -> Result<Tally, StoreError> {
        let metas: Vec<EntryMeta> = self.metas_above(id, 0, u32::MAX)?;
        let (below, after): (Vec<_>, Vec<_>) =
            (metas.into_iter()).partition(|meta| meta.sequence <= above);
        let apart = |meta: &EntryMeta| {
            let named = meta.mention_all || meta.mention_roles != 0 || !meta.mentions.is_empty();
            meta.private || meta.expired || named
        };
        Ok(Tally {
            ordinal: below.last().map_or(0, |meta| meta.ordinal),
            apart: (after.into_iter().filter(apart))
                .take(limit as usize)
                .collect(),
        })
    }

    fn pinned(
        &mut self,
        id: ConversationId,
        below: Sequence,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let found = self.conversations.get(&id);
        let entries = found.into_iter().flat_map(|it| it.entries.iter().rev());
        let pinned = entries.filter(|it| it.meta.pinned && it.meta.sequence < below);
        Ok(pinned.take(limit).map(stored).collect())
    }

    fn revisions(
        &mut self,
        id: ConversationId,
        item: Sequence,
        above: Rev,
        limit: usize,
    ) -> Result<Vec<Revision>, StoreError> {
        let found = self.conversations.get(&id).and_then(|it| it.get(item));
        let kept = found.into_iter().flat_map(|item| &item.revisions);
        let kept = kept.filter(|revision| revision.rev > above);
        Ok(kept.take(limit).cloned().collect())
    }

    fn sources(
        &mut self,
        id: ConversationId,
        message: Sequence,
        limit: usize,
    ) -> Result<Vec<(ConversationId, Sequence)>, StoreError> {
        let copies = self
            .copies
            .iter()
            .filter(|copy| copy.message == (id, message));
        let sources: BTreeSet<_> = copies.map(|copy| copy.source).collect();
        Ok(sources.into_iter().take(limit).collect())
    }

    fn changed(
        &mut self,
        id: ConversationId,
        since: Rev,
        limit: u32,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let Some(conversation) = self.conversations.get(&id) else {
            return Ok(Vec::new());
        };
        let mut changed: Vec<&Stored> = conversation
            .entries
            .iter()
            .filter(|s| s.meta.rev > since && s.meta.rev != s.meta.sequence)
            .collect();
        changed.sort_by_key(|stored| stored.meta.rev);
        Ok(changed
            .into_iter()
            .take(limit as usize)
            .map(stored)
            .collect())
    }
}
