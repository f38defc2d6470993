//! Reads for decisions and log-ins: what the core keeps in memory, single items, people.

use fireside_protocol::{
    ConversationId, Entry, Nonce, Sequence, UserId, UserProfile, WallMs,
    frames::{Device, DevicesPage, UserRecord, UserRecordKind},
    profile::ProfilesPage,
};
use fireside_server_core::{
    own::{friend_of, profile_of},
    storage::{ConversationRow, Item, LoadedConversation, LoadedUser, MEETINGS_READ_MAX, Target},
};

use super::{
    links::{LINKS, link},
    reader::{IN_CONVERSATION, IS_PINNED, Snapshot},
    rows::{
        BODY, CONVERSATION, MEMBER, MEMBER_FROM, META, blob, conversation, conversation_id,
        decode_body, device_id, entry_meta, int, member, text, uint, user,
    },
    trouble::Trouble,
    user_log::ends,
    writer::log_end,
};

/// Conversations of a user told at a log-in.
const CONVERSATIONS_MAX: i64 = 10_000;

impl Snapshot<'_> {
    pub(super) fn load_conversation(
        &self,
        id: ConversationId,
        peers: Option<&(UserId, UserId)>,
    ) -> Result<LoadedConversation, Trouble> {
        let row = self.conversation_row(id)?;
        let members = self.rows(
            &format!(
                "SELECT {MEMBER} FROM {MEMBER_FROM} WHERE m.conversation = ?1 ORDER BY m.user"
            ),
            &[&id.0],
            member,
        )?;
        let mut blocks = self.rows(
            "SELECT b.blocker, b.blocked FROM members m JOIN blocks b ON b.blocker = m.user \
             JOIN members n ON n.conversation = m.conversation AND n.user = b.blocked WHERE m.conversation = ?1 \
             ORDER BY b.blocker, b.blocked",
            &[&id.0],
            |row| Ok((user(row, 0)?, user(row, 1)?)),
        )?;
        if let Some((one, other)) = peers {
            for pair in [(one.clone(), other.clone()), (other.clone(), one.clone())] {
                if !blocks.contains(&pair) && self.is_blocked(&pair.0, &pair.1)? {
                    blocks.push(pair);
                }
            }
        }
        let slow = row.as_ref().and_then(|row| row.settings.slow_mode_ms);
        let sent = if slow.is_some_and(|ms| ms > 0) {
            self.rows(
                "SELECT s.user, e.at FROM senders s JOIN entries e ON e.conversation = s.conversation AND e.seq = s.seq \
                 WHERE s.conversation = (SELECT number FROM conversations WHERE id = ?1) ORDER BY s.user",
                &[&id.0],
                |row| Ok((user(row, 0)?, uint(row, 1)?)),
            )?
        } else {
            Vec::new()
        };
        Ok(LoadedConversation {
            row,
            members,
            blocks,
            sent,
            links: self.rows(LINKS, &[&id.0], link)?,
        })
    }

    /// Meetings that are not over, with when they end.
    pub(super) fn meetings(
        &self,
        after: Option<ConversationId>,
    ) -> Result<Vec<(ConversationId, WallMs)>, Trouble> {
        let sql = format!(
            "SELECT {CONVERSATION} FROM conversations c WHERE c.kind = 4 AND c.dissolved = 0 AND c.id > ?1 \
             ORDER BY c.id LIMIT {MEETINGS_READ_MAX}"
        );
        // Before the first id there is the empty one.
        let after = after.map_or_else(Vec::new, |id| id.0.to_vec());
        self.rows(&sql, &[&after], |row| {
            let (found, _) = conversation(row, 0)?;
            Ok((found.id, found.settings.ends.unwrap_or(0)))
        })
    }

    fn is_blocked(&self, blocker: &UserId, blocked: &UserId) -> Result<bool, Trouble> {
        let found = self.row(
            "SELECT 1 FROM blocks WHERE blocker = ?1 AND blocked = ?2",
            &[&blocker.as_str(), &blocked.as_str()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    pub(super) fn conversation_row(
        &self,
        id: ConversationId,
    ) -> Result<Option<ConversationRow>, Trouble> {
        let sql = format!("SELECT {CONVERSATION} FROM conversations c WHERE c.id = ?1");
        self.row(&sql, &[&id.0], |row| self.with_end(conversation(row, 0)?))
    }

    pub(super) fn with_end(
        &self,
        (mut row, number): (ConversationRow, i64),
    ) -> Result<ConversationRow, Trouble> {
        (row.last, row.ordinal, row.last_at) = log_end(self.conn, number)?;
        Ok(row)
    }

    pub(super) fn profiles(&self, users: &[UserId]) -> Result<ProfilesPage, Trouble> {
        let mut profiles = Vec::with_capacity(users.len());
        for user in users {
            let name = self.row(
                "SELECT name FROM users WHERE id = ?1",
                &[&user.as_str()],
                |row| Ok(text(row, 0)?.to_owned()),
            )?;
            let Some(name) = name else { continue };
            let record = self.row(
                "SELECT body FROM user_log WHERE user = ?1 AND kind = ?2 AND gone = 0",
                &[&user.as_str(), &UserRecordKind::Profile.number()],
                |row| decode_body::<UserRecord>(blob(row, 0)?),
            )?;
            profiles.push(UserProfile {
                name,
                ..profile_of(user, record.as_ref())
            });
        }
        Ok(ProfilesPage { profiles })
    }

    pub(super) fn last_seen(&self, users: &[UserId]) -> Result<Vec<(UserId, WallMs)>, Trouble> {
        let mut seen = Vec::with_capacity(users.len());
        for user in users {
            let last = self.row(
                "SELECT max(seen) FROM devices WHERE user = ?1 HAVING count(*) > 0",
                &[&user.as_str()],
                |row| uint(row, 0),
            )?;
            seen.extend(last.map(|at| (user.clone(), at)));
        }
        Ok(seen)
    }

    pub(super) fn load_user(&self, id: &UserId) -> Result<LoadedUser, Trouble> {
        let (user_sequence, _) = ends(self.conn, id)?;
        let bounds = self.row(
            "SELECT valid_after, banned_until FROM users WHERE id = ?1",
            &[&id.as_str()],
            |row| Ok((uint(row, 0)?, uint(row, 1)?)),
        )?;
        let (valid_after, banned_until) = bounds.unwrap_or_default();
        let conversations = self.rows(
            "SELECT conversation FROM members WHERE user = ?1 AND role IS NOT NULL ORDER BY conversation LIMIT ?2",
            &[&id.as_str(), &CONVERSATIONS_MAX],
            |row| conversation_id(row, 0),
        )?;
        let records = self.rows(
            "SELECT body FROM user_log WHERE user = ?1 AND kind = ?2 AND gone = 0 ORDER BY key_user",
            &[&id.as_str(), &UserRecordKind::Friend.number()],
            |row| decode_body::<UserRecord>(blob(row, 0)?),
        )?;
        let users = |sql| self.rows(sql, &[&id.as_str()], |row| user(row, 0));
        let blocks = users("SELECT blocked FROM blocks WHERE blocker = ?1 ORDER BY blocked")?;
        let blocked_by = users("SELECT blocker FROM blocks WHERE blocked = ?1 ORDER BY blocker")?;
        Ok(LoadedUser {
            user_sequence,
            valid_after,
            banned_until,
            conversations,
            friends: records.iter().filter_map(friend_of).cloned().collect(),
            blocks,
            blocked_by,
        })
    }

    pub(super) fn load_item(
        &self,
        id: ConversationId,
        target: &Target,
    ) -> Result<Option<Item>, Trouble> {
        let number = match target {
            Target::Number(number) => *number,
            Target::Nonce(user, nonce) => match self.number_of(id, user, *nonce)? {
                Some(number) => number,
                None => return Ok(None),
            },
        };
        let sql = format!("SELECT {META}, body FROM entries WHERE {IN_CONVERSATION} AND seq = ?2");
        let item = self.row(&sql, &[&id.0, &int(number)], |row| {
            let meta = entry_meta(row)?;
            let entry: Entry = decode_body(blob(row, BODY)?)?;
            Ok(Item {
                meta,
                entry,
                pins: 0,
            })
        })?;
        let Some(mut item) = item.filter(|item| !item.meta.kind.is_change()) else {
            return Ok(None);
        };
        let count = format!("SELECT count(*) FROM entries WHERE {IN_CONVERSATION} AND {IS_PINNED}");
        let pins = self.row(&count, &[&id.0], |row| uint(row, 0))?;
        item.pins = usize::try_from(pins.unwrap_or(0)).unwrap_or(usize::MAX);
        Ok(Some(item))
    }

    /// The entry that a user's command made here.
    fn number_of(
        &self,
        id: ConversationId,
        user: &UserId,
        nonce: Nonce,
    ) -> Result<Option<Sequence>, Trouble> {
        self.row(
            "SELECT seq FROM nonces WHERE nonce = ?1 AND user = ?2 AND conversation = ?3 AND code = 0",
            &[&nonce.0, &user.as_str(), &id.0],
            |row| uint(row, 0),
        )
    }

    pub(super) fn devices(&self, user: &UserId) -> Result<DevicesPage, Trouble> {
        let devices = self.rows(
            "SELECT device, platform, agent, seen FROM devices WHERE user = ?1 ORDER BY seen DESC, device",
            &[&user.as_str()],
            |row| {
                Ok(Device {
                    device: device_id(row, 0)?,
                    platform: text(row, 1)?.to_owned(),
                    agent: text(row, 2)?.to_owned(),
                    seen: uint(row, 3)?,
                    online: false,
                })
            },
        )?;
        Ok(DevicesPage { devices })
    }
}
