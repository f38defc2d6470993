//! What belongs to a person.

use std::convert::Infallible;

use fireside_protocol::RecordKey;
use fireside_server_core::{
    own::{self, OwnReader, OwnSet, SetOwn, Standing},
    reports::{NewReport, evidence},
};

use super::*;

impl Database {
    pub(super) fn set_own(&mut self, set: &SetOwn) -> OwnSet {
        let command = &set.command;
        if let Some(outcome) = self.known(&command.user, command.nonce) {
            return OwnSet::only(outcome);
        }
        let me = &command.user;
        let Ok(decided) = own::carry_out(self, me, command.nonce, &set.change, command.now);
        let writes = match decided {
            Ok(writes) => writes,
            Err(code) => {
                let outcome = Outcome::Refused(code);
                self.remember(command, outcome);
                return OwnSet::only(outcome);
            }
        };
        let outcome = Outcome::Done {
            conversation: own::place_of(&set.change),
            sequence: 0,
            ordinal: 0,
            at: command.now,
            expires: 0,
        };
        self.remember(command, outcome);
        for mark in &writes.marks {
            let conversation = self.conversations.get_mut(&mark.conversation);
            if let Some(member) = conversation.and_then(|it| it.members.get_mut(&mark.user)) {
                member.read = member.read.max(mark.read);
            }
        }
        for record in writes.records.iter().map(|(_, record)| record) {
            if record.kind == UserRecordKind::Receipts && !self.breaks.receipts_off_ignored {
                for conversation in self.conversations.values_mut() {
                    if let Some(member) = conversation.members.get_mut(&command.user) {
                        member.receipts_off = !record.gone;
                    }
                }
            }
        }
        let records = writes.records.into_iter();
        OwnSet {
            outcome,
            records: records
                .map(|(user, record)| self.record(user, NewUserRecord { record }))
                .collect(),
            marks: writes.marks,
        }
    }

    /// Keeps a report with its evidence.
    pub(super) fn report(&mut self, report: &NewReport) -> Result<Outcome, StoreError> {
        let command = &report.command;
        if let Some(outcome) = self.known(&command.user, command.nonce) {
            return Ok(outcome);
        }
        let of_today = |held: &&StoredReport| {
            held.reporter == command.user && held.at + 24 * 3_600_000 > command.now
        };
        let full = self.reports.iter().filter(of_today).count() >= limits::REPORTS_PER_DAY_MAX;
        let found = evidence(self, report)?;
        let outcome = match &found {
            None => Outcome::Refused(Code::NotFound),
            Some(_) if full => Outcome::Refused(Code::TooManyReports),
            Some(_) => Outcome::Done {
                conversation: None,
                sequence: 0,
                ordinal: 0,
                at: command.now,
                expires: 0,
            },
        };
        self.remember(command, outcome);
        if let (Some(found), Outcome::Done { .. }) = (found, outcome) {
            self.reports.push(StoredReport {
                number: self.reports.len() as u64 + 1,
                reporter: command.user.clone(),
                at: command.now,
                conversation: report.conversation,
                sequence: report.sequence,
                accused: found.accused,
                reason: report.reason,
                text: report.text.clone(),
                evidence: found.entries,
                revisions: found.revisions,
            });
        }
        Ok(outcome)
    }

    /// Whether nobody is told how far a user has read.
    pub(super) fn receipts_off(&self, user: &UserId) -> bool {
        let records = self.users.get(user).into_iter();
        let mut records = records.flat_map(|known| known.log.values());
        let off = records.any(|it| it.kind == UserRecordKind::Receipts && !it.gone);
        off && !self.breaks.receipts_off_ignored
    }

    /// What a moved read marker changes in the user's own settings.
    pub(super) fn read_own(
        &mut self,
        user: &UserId,
        conversation: ConversationId,
        now: WallMs,
    ) -> Option<(UserId, UserRecord)> {
        let key = RecordKey::of_conversation(UserRecordKind::Personal, conversation);
        let held = self.users.get(user).and_then(|known| known.log.get(&key));
        let record = own::after_read(held, now)?;
        Some(self.record(user.clone(), NewUserRecord { record }))
    }

    /// What a message changes in its sender's drafts.
    pub(super) fn message_own(
        &self,
        conversation: ConversationId,
        entry: &NewEntry,
        now: WallMs,
    ) -> Option<(UserId, NewUserRecord)> {
        if self.breaks.draft_stays {
            return None;
        }
        let key = RecordKey::of_conversation(UserRecordKind::Draft, conversation);
        let held = self.users.get(&entry.sender)?.log.get(&key);
        let record = own::after_message(held, entry, now)?;
        Some((entry.sender.clone(), NewUserRecord { record }))
    }

    /// The records of a user's log that are not gone: for the oracle.
    #[must_use]
    pub fn live_records(&self, user: &UserId) -> Vec<UserRecord> {
        let known = self.users.get(user).into_iter();
        let records = known.flat_map(|known| known.log.values());
        records.filter(|record| !record.gone).cloned().collect()
    }
}

impl OwnReader for Database {
    type Error = Infallible;

    fn record(&mut self, user: &UserId, key: &RecordKey) -> Result<Option<UserRecord>, Infallible> {
        let found = self.users.get(user).and_then(|known| known.log.get(key));
        Ok(found.filter(|record| !record.gone).cloned())
    }

    fn records(
        &mut self,
        user: &UserId,
        kind: UserRecordKind,
    ) -> Result<Vec<UserRecord>, Infallible> {
        let mut records = self.live_records(user);
        records.retain(|record| record.kind == kind);
        Ok(records)
    }

    fn blocks(&mut self, by: &UserId, of: &UserId) -> Result<bool, Infallible> {
        let blocks = self.blocks.contains(&(by.clone(), of.clone()));
        Ok(blocks && !self.breaks.friend_through_block)
    }

    fn standing(
        &mut self,
        user: &UserId,
        conversation: ConversationId,
    ) -> Result<Option<Standing>, Infallible> {
        let all = self.standings(user)?;
        Ok(all.into_iter().find(|it| it.conversation == conversation))
    }

    fn standings(&mut self, user: &UserId) -> Result<Vec<Standing>, Infallible> {
        let standings = self.conversations.iter().filter_map(|(id, it)| {
            let member = it.members.get(user).filter(|row| row.role.is_some())?;
            Some(Standing {
                conversation: *id,
                last: it.last(),
                read: member.read,
            })
        });
        Ok(standings.collect())
    }
}
