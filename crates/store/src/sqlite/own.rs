//! What belongs to a person: read for [`own::carry_out`], and written as it decides.

use fireside_protocol::{
    ConversationId, RecordKey, UserId, WallMs,
    frames::{UserRecord, UserRecordKind},
};
use fireside_server_core::{
    own::{self, OwnReader, OwnSet, SetOwn, Standing},
    storage::{NewEntry, Outcome},
};
use rusqlite::{Row, params};

use super::{
    rows::{blob, conversation_id, decode_body, int, uint},
    trouble::Trouble,
    writer::{Writer, log_end},
};

impl Writer<'_> {
    /// Carries out a change of what belongs to a user.
    pub(super) fn set_own(&mut self, set: &SetOwn) -> Result<OwnSet, Trouble> {
        let command = &set.command;
        if let Some(outcome) = self.known(&command.user, command.nonce)? {
            return Ok(OwnSet::only(outcome));
        }
        let (user, now) = (command.user.clone(), command.now);
        let decided = own::carry_out(self, &user, command.nonce, &set.change, now)?;
        let writes = match decided {
            Ok(writes) => writes,
            Err(code) => {
                let outcome = Outcome::Refused(code);
                self.remember(&user, command.nonce, &outcome, now)?;
                return Ok(OwnSet::only(outcome));
            }
        };
        let outcome = Outcome::Done {
            conversation: own::place_of(&set.change),
            sequence: 0,
            ordinal: 0,
            at: now,
            expires: 0,
        };
        self.remember(&user, command.nonce, &outcome, now)?;
        for mark in &writes.marks {
            self.conn
                .prepare_cached(
                    "UPDATE members SET read = max(read, ?3) WHERE conversation = ?1 AND user = ?2",
                )?
                .execute(params![
                    mark.conversation.0,
                    mark.user.as_str(),
                    int(mark.read)
                ])?;
        }
        let mut records = Vec::with_capacity(writes.records.len());
        for (owner, record) in writes.records {
            let record = self.put_record(&owner, record)?;
            if record.kind == UserRecordKind::Receipts {
                self.conn
                    .prepare_cached("UPDATE users SET receipts_off = ?2 WHERE id = ?1")?
                    .execute(params![owner.as_str(), !record.gone])?;
            }
            records.push((owner, record));
        }
        Ok(OwnSet {
            outcome,
            records,
            marks: writes.marks,
        })
    }

    /// What a moved read marker changes in the user's own settings.
    pub(super) fn read_own(
        &mut self,
        user: &UserId,
        conversation: ConversationId,
        now: WallMs,
    ) -> Result<Option<UserRecord>, Trouble> {
        let key = RecordKey::of_conversation(UserRecordKind::Personal, conversation);
        let held = self.record(user, &key)?;
        let after = own::after_read(held.as_ref(), now);
        after
            .map(|record| self.put_record(user, record))
            .transpose()
    }

    /// What a message changes in its sender's drafts.
    pub(super) fn message_own(
        &mut self,
        conversation: ConversationId,
        entry: &NewEntry,
        now: WallMs,
    ) -> Result<Option<UserRecord>, Trouble> {
        // Asked for each message, and mostly in vain: an index has drafts alone.
        let body = self
            .conn
            .prepare_cached(
                "SELECT body FROM user_log WHERE user = ?1 AND conversation = ?2 AND kind = 18 AND gone = 0",
            )?
            .query(params![entry.sender.as_str(), conversation.0])?
            .next()?
            .map(record)
            .transpose()?;
        if body.is_some() {
            self.wipe.due();
        }
        let after = own::after_message(body.as_ref(), entry, now);
        after
            .map(|record| self.put_record(&entry.sender, record))
            .transpose()
    }
}

/// As the index of drafts says it.
const _: () = assert!(UserRecordKind::Draft.number() == 18);

fn record(row: &Row<'_>) -> Result<UserRecord, Trouble> {
    decode_body(blob(row, 0)?)
}

impl OwnReader for Writer<'_> {
    type Error = Trouble;

    fn record(&mut self, user: &UserId, key: &RecordKey) -> Result<Option<UserRecord>, Trouble> {
        let mut statement = self.conn.prepare_cached(
            "SELECT body FROM user_log WHERE user = ?1 AND kind = ?2 AND conversation = ?3 AND key_user = ?4 AND gone = 0",
        )?;
        let mut rows = statement.query(params![
            user.as_str(),
            key.kind.number(),
            place_of(key),
            key.user.as_ref().map_or("", UserId::as_str)
        ])?;
        rows.next()?.map(record).transpose()
    }

    fn records(&mut self, user: &UserId, kind: UserRecordKind) -> Result<Vec<UserRecord>, Trouble> {
        let mut statement = self.conn.prepare_cached(
            "SELECT body FROM user_log WHERE user = ?1 AND kind = ?2 AND gone = 0",
        )?;
        let mut rows = statement.query(params![user.as_str(), kind.number()])?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            records.push(record(row)?);
        }
        Ok(records)
    }

    fn blocks(&mut self, by: &UserId, of: &UserId) -> Result<bool, Trouble> {
        self.is_blocked(by, of)
    }

    fn standing(
        &mut self,
        user: &UserId,
        conversation: ConversationId,
    ) -> Result<Option<Standing>, Trouble> {
        let read = {
            let mut statement = self.conn.prepare_cached(
                "SELECT read FROM members WHERE conversation = ?1 AND user = ?2 AND role IS NOT NULL",
            )?;
            let mut rows = statement.query(params![conversation.0, user.as_str()])?;
            rows.next()?.map(|row| uint(row, 0)).transpose()?
        };
        let (Some(read), Some(head)) = (read, self.head(conversation)?) else {
            return Ok(None);
        };
        Ok(Some(Standing {
            conversation,
            last: head.last,
            read,
        }))
    }

    fn standings(&mut self, user: &UserId) -> Result<Vec<Standing>, Trouble> {
        let mut statement = self.conn.prepare_cached(
            "SELECT m.conversation, m.read, c.number FROM members m JOIN conversations c ON c.id = m.conversation \
             WHERE m.user = ?1 AND m.role IS NOT NULL ORDER BY m.conversation",
        )?;
        let mut rows = statement.query(params![user.as_str()])?;
        let mut standings = Vec::new();
        while let Some(row) = rows.next()? {
            let (last, ..) = log_end(self.conn, row.get(2)?)?;
            standings.push(Standing {
                conversation: conversation_id(row, 0)?,
                last,
                read: uint(row, 1)?,
            });
        }
        Ok(standings)
    }
}

/// The key's place as the log keeps it.
pub(super) fn place_of(key: &RecordKey) -> &[u8] {
    key.place.as_ref().map_or(&[], |place| place)
}
