//! Blocks between users, and devices that are signed out: commands without a conversation of their own.

use fireside_protocol::{ClientFrame, Code, ConversationId, Now, ServerFrame};

use crate::{
    answers::BUSY_RETRY_MS,
    appended::{STORE_RETRY_MS, answer_of},
    conversation::ConversationKey,
    job::{Job, Pending, Task, command_of},
    node::{Node, refused},
    storage::{BlockSet, Op, Outcome, Reply, SetBlock, StoreError},
};

impl Node {
    pub(crate) fn set_block(&mut self, direct: ConversationId, job: Box<Job>, now: Now) {
        let Task::Frame(ClientFrame::Block(frame)) = &job.task else {
            return;
        };
        if frame.user == job.user {
            self.give_up(job, Code::ArgumentInvalid, 0);
            return;
        }
        let Some(command) = command_of(&job, now) else {
            return;
        };
        let block = SetBlock {
            command,
            other: frame.user.clone(),
            on: frame.on,
            direct,
        };
        // A direct conversation that does not exist has no version to go stale: what wants to make it waits.
        let conversation = self.conversations.open(direct);
        if let Some(slot) = self.conversations.get_mut(conversation) {
            slot.work().holds += 1;
        }
        self.submit(Op::SetBlock(block), Pending::Block(conversation, job), now);
    }

    pub(crate) fn revoke_device(&mut self, job: Box<Job>, now: Now) {
        let Task::Frame(ClientFrame::RevokeDevice(frame)) = &job.task else {
            return;
        };
        let device = frame.device;
        if let Some(command) = command_of(&job, now) {
            let op = Op::RemoveDevice { command, device };
            self.submit(op, Pending::Revoke(job), now);
        }
    }

    /// A block was set or taken away.
    pub(crate) fn block_set(
        &mut self,
        direct: ConversationKey,
        job: Box<Job>,
        result: Result<Reply, StoreError>,
        now: Now,
    ) {
        if let Some(slot) = self.conversations.get_mut(direct) {
            let work = slot.work();
            work.holds = work.holds.saturating_sub(1);
        }
        match result {
            Ok(Reply::BlockSet(set)) => {
                self.apply_block(direct, &job, &set);
                if let Task::Frame(ClientFrame::Block(block)) = &job.task
                    && !set.records.is_empty()
                {
                    self.presence_blocked(&job.user, &block.user, block.on, now);
                }
                self.send_records(&set.records);
                if let Some(nonce) = job.nonce() {
                    self.finish(&job, answer_of(nonce, set.outcome));
                }
            }
            Ok(_) => self.give_up(job, Code::StorageUnavailable, BUSY_RETRY_MS),
            Err(error) => {
                self.counters.store_errors += 1;
                self.give_up(job, error.code(), STORE_RETRY_MS);
            }
        }
        if let Some(slot) = self.conversations.get(direct)
            && slot.loaded.as_ref().is_none_or(|loaded| loaded.dirty)
            && slot
                .work
                .as_ref()
                .is_some_and(|work| !work.waiting.is_empty())
        {
            self.load(direct, now);
        }
        self.run_waiting(direct, now);
        self.conversations.release(direct);
    }

    fn apply_block(&mut self, direct: ConversationKey, job: &Job, set: &BlockSet) {
        let Task::Frame(ClientFrame::Block(block)) = &job.task else {
            return;
        };
        // A repeat changed nothing, and what it once did may have been undone.
        let changed = !set.records.is_empty();
        let bumped = set.bumped.iter();
        let bumped = bumped.filter_map(|(id, version)| {
            let key = self.conversations.key(*id)?;
            Some((key, Some(*version)))
        });
        let touched: Vec<_> = bumped.chain([(direct, None)]).collect();
        for (key, version) in touched {
            let Some(slot) = self.conversations.get_mut(key) else {
                continue;
            };
            if let Some(work) = &mut slot.work {
                work.epoch += 1;
            }
            let Some(loaded) = &mut slot.loaded else {
                continue;
            };
            if changed {
                loaded.set_block(&job.user, &block.user, block.on);
            }
            if let (Some(row), Some(version)) = (&mut loaded.row, version) {
                row.version = row.version.max(version);
            }
        }
    }

    /// A device was signed out.
    pub(crate) fn revoked(&mut self, job: &Job, result: Result<Reply, StoreError>) {
        let Task::Frame(ClientFrame::RevokeDevice(frame)) = &job.task else {
            return;
        };
        match result {
            Ok(_) => {
                let outcome = Outcome::Done {
                    conversation: None,
                    sequence: 0,
                    ordinal: 0,
                    at: 0,
                    expires: 0,
                };
                self.finish(job, answer_of(frame.nonce, outcome));
                self.revoke(&job.user, frame.device);
            }
            Err(error) => {
                self.counters.store_errors += 1;
                let refusal = refused(error.code(), STORE_RETRY_MS);
                self.finish(job, ServerFrame::Refused(refusal));
            }
        }
    }
}
