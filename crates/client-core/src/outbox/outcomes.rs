//! What becomes of commands: done, refused for now or for good, too old, tried again, withdrawn.

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, ConversationId, Entry, EntryKind, Header, Nonce, Now, decode,
    frames::{Ack, Refused},
    limits::OUTBOX_AGE_MS_MAX,
};

use super::{EXPIRY_EVERY_MS, Outgoing, RETRY_MS, Stage};
use crate::{
    RequestId, Session,
    conversation::Keep,
    event::{CallError, Completion},
    pending::{call_error, refusal},
    timers::Timer,
};

impl Session {
    /// Takes an entry out of the outbox on disk too.
    pub(super) fn outbox_forget(&mut self, nonce: Nonce) {
        let pending = &mut self.cache.transaction;
        pending.outbox.retain(|record| record.nonce != nonce);
        pending.outbox_remove.push(nonce);
    }

    fn outbox_done(&mut self, outgoing: Box<Outgoing>, result: &Result<Completion, CallError>) {
        self.outbox_forget(outgoing.record.nonce);
        self.own_settled(&outgoing.frame);
        for call in outgoing.calls {
            self.finish(call, result.clone());
        }
    }

    pub(crate) fn outbox_acked(&mut self, ack: &Ack) {
        let Some(outgoing) = self.outbox.entries.get(&ack.nonce) else {
            return;
        };
        let id = outgoing.record.conversation;
        let entry = match &outgoing.frame {
            ClientFrame::Send(send) => {
                let stored = (ack.entry.as_ref())
                    .and_then(|raw| decode::<Entry>(&raw.0).ok())
                    .filter(|entry| {
                        entry.conversation == id
                            && entry.sequence == ack.sequence
                            && !entry.kind.is_change()
                    });
                let header = Header {
                    expires: ack.expires,
                    ..send.header.clone()
                };
                let content = send.content.clone();
                stored.or_else(|| self.own_entry(ack, id, header, content))
            }
            ClientFrame::Edit(edit) if edit.target != 0 => {
                let content = edit.content.clone();
                let entry = self.own_entry(ack, id, Header::text(), content);
                entry.map(|entry| Entry {
                    kind: EntryKind::Edit,
                    target: edit.target,
                    header: None,
                    ..entry
                })
            }
            _ => None,
        };
        let again = outgoing.resumed || outgoing.attempts > 1;
        if let Some(entry) = entry.filter(|_| ack.sequence > 0) {
            let held = self.conversations.get_mut(&id);
            match held.filter(|held| again && held.rights > 0) {
                // An answer of long ago: the user may have deleted it since on another device, and only a page can tell.
                Some(held) => {
                    held.know(ack.sequence);
                    if !held.covered.contains(ack.sequence) {
                        held.repair.insert(ack.sequence, ack.sequence);
                    }
                    self.want_page(id);
                }
                None => self.apply_live(&entry, None),
            }
        }
        let Some(outgoing) = self.outbox.take(ack.nonce) else {
            return;
        };
        let completion = match &outgoing.frame {
            ClientFrame::Send(_) => Completion::Sent {
                conversation: id,
                nonce: ack.nonce,
                sequence: ack.sequence,
                at: ack.at,
            },
            _ => Completion::Done,
        };
        self.outbox_done(outgoing, &Ok(completion));
        if (self.conversations.get(&id)).is_none_or(|conversation| conversation.provisional) {
            self.ask_head(id, 0);
        }
        self.outbox_pump(self.now);
    }

    fn own_entry(
        &self,
        ack: &Ack,
        id: ConversationId,
        header: Header,
        content: Bytes,
    ) -> Option<Entry> {
        Some(Entry {
            conversation: id,
            sequence: ack.sequence,
            kind: EntryKind::Message,
            sender: self.me.clone()?,
            at: ack.at,
            ordinal: ack.ordinal,
            rev: 0,
            nonce: Some(ack.nonce),
            target: 0,
            header: Some(header),
            content,
            edited: false,
            tombstone: None,
            member: None,
            body_rev: 0,
            facets: Vec::new(),
        })
    }

    /// An entry of this user: if it waits here, this is its outcome, whether the ack came or not.
    pub(crate) fn settle_by_entry(&mut self, entry: &Entry) {
        let Some(nonce) = entry
            .nonce
            .filter(|_| self.me.as_ref() == Some(&entry.sender))
        else {
            return;
        };
        let here = (self.outbox.entries.get(&nonce))
            .is_some_and(|outgoing| outgoing.record.conversation == entry.conversation);
        if !here {
            return;
        }
        let Some(outgoing) = self.outbox.take(nonce) else {
            return;
        };
        let completion = match &outgoing.frame {
            ClientFrame::Send(_) => Completion::Sent {
                conversation: entry.conversation,
                nonce,
                sequence: entry.sequence,
                at: entry.at,
            },
            _ => Completion::Done,
        };
        self.outbox_done(outgoing, &Ok(completion));
        self.outbox_pump(self.now);
    }

    pub(crate) fn settle_by_page(&mut self, kept: &[Keep]) {
        for Keep { entry, .. } in kept {
            self.settle_by_entry(entry);
        }
    }

    pub(crate) fn outbox_refused(&mut self, nonce: Nonce, refused: &Refused) {
        let now = self.now;
        let code = refused.code();
        if !code.retryable() {
            self.outbox_fail(nonce, code, &refusal(refused));
            self.outbox_pump(now);
            return;
        }
        let Some(outgoing) = self.outbox.entries.get_mut(&nonce) else {
            return;
        };
        let in_order = code == Code::RetryInOrder;
        self.counters.retry_in_order += u64::from(in_order);
        let (first, max) = RETRY_MS;
        let doubled = (first << outgoing.attempts.min(10)).min(max);
        let wait = match refused.retry_after_ms {
            // Its turn comes with the one before it, which paces itself.
            0 if in_order && outgoing.attempts <= 1 => 0,
            0 => doubled / 2 + self.random.up_to(doubled / 2),
            ms => ms.min(max),
        };
        outgoing.held = code == Code::Held;
        outgoing.not_before = now.monotonic_ms.saturating_add(wait);
        self.outbox.set_stage(nonce, Stage::Waiting);
        self.outbox_pump(now);
    }

    fn outbox_fail(&mut self, nonce: Nonce, code: Code, error: &CallError) {
        let Some(outgoing) = self.outbox.entries.get_mut(&nonce) else {
            return;
        };
        let id = outgoing.record.conversation;
        if outgoing.record.row == 0 {
            // Nothing of it is shown: it just goes.
            let read = matches!(outgoing.frame, ClientFrame::Read(_));
            if let Some(outgoing) = self.outbox.take(nonce) {
                self.outbox_done(outgoing, &Err(error.clone()));
            }
            if read {
                if let Some(conversation) = self.conversations.get_mut(&id) {
                    conversation.head.read = 0;
                }
                self.ask_head(id, 0);
            }
            return;
        }
        outgoing.record.failed = code.number();
        // A draft that it was to take away shows again.
        self.list.touch(id);
        let record = outgoing.record.clone();
        let calls = std::mem::take(&mut outgoing.calls);
        self.outbox.set_stage(nonce, Stage::Failed(code));
        self.cache.transaction.outbox.push(record);
        for call in calls {
            self.finish(call, Err(error.clone()));
        }
    }

    /// What is too old fails.
    pub(crate) fn outbox_expire(&mut self, now: Now) {
        let old: Vec<Nonce> = (self.outbox.entries.values())
            .filter(|outgoing| outgoing.stage == Stage::Waiting)
            .filter(|outgoing| {
                outgoing.record.created_at.saturating_add(OUTBOX_AGE_MS_MAX) < now.wall_ms
            })
            .map(|outgoing| outgoing.record.nonce)
            .collect();
        for nonce in old {
            self.outbox_fail(nonce, Code::Expired, &call_error(Code::Expired));
        }
        if !self.outbox.entries.is_empty() {
            let at = now.monotonic_ms.saturating_add(EXPIRY_EVERY_MS);
            self.timers.set(Timer::Expiry, at);
        }
        self.outbox_pump(now);
    }

    /// Tries a failed message again, under a new name at the end.
    pub(crate) fn outbox_retry(
        &mut self,
        call: RequestId,
        nonce: Nonce,
        now: Now,
    ) -> Result<(), Code> {
        let failed = (self.outbox.entries.get(&nonce))
            .filter(|outgoing| matches!(outgoing.stage, Stage::Failed(_)));
        let Some(failed) = failed else {
            return Err(Code::NotFound);
        };
        let ClientFrame::Send(send) = &failed.frame else {
            return Err(Code::NotFound);
        };
        let mut send = send.clone();
        self.outbox_discard(nonce);
        send.after = None;
        send.nonce = self.random.nonce(now.wall_ms);
        let id = send.conversation;
        self.outbox_add(call, id, ClientFrame::Send(send), now)
    }

    /// Drops a failed message. `false`: there is none.
    pub(crate) fn outbox_discard(&mut self, nonce: Nonce) -> bool {
        let failed = (self.outbox.entries.get(&nonce))
            .is_some_and(|outgoing| matches!(outgoing.stage, Stage::Failed(_)));
        if failed && self.outbox.take(nonce).is_some() {
            self.outbox_forget(nonce);
            self.outbox_pump(self.now);
        }
        failed
    }

    /// Takes a message back that nobody can have: it was never tried. `false`: it was, or is not here.
    pub(crate) fn outbox_withdraw(&mut self, nonce: Nonce) -> bool {
        let untried = (self.outbox.entries.get(&nonce)).is_some_and(|outgoing| {
            matches!(outgoing.frame, ClientFrame::Send(_))
                && match outgoing.stage {
                    Stage::Waiting => !outgoing.record.tried,
                    Stage::InFlight(_) => false,
                    Stage::Failed(_) => true,
                }
        });
        if !untried {
            return false;
        }
        let Some(outgoing) = self.outbox.take(nonce) else {
            return false;
        };
        let id = outgoing.record.conversation;
        let edits: Vec<Nonce> = (self.outbox.queue(id))
            .filter(|other| matches!(&other.frame, ClientFrame::Edit(edit) if edit.target_nonce == Some(nonce)))
            .map(|other| other.record.nonce)
            .collect();
        let cancelled = Err(call_error(Code::Cancelled));
        self.outbox_done(outgoing, &cancelled);
        for edit in edits {
            if let Some(edit) = self.outbox.take(edit) {
                self.outbox_done(edit, &cancelled);
            }
        }
        self.outbox_pump(self.now);
        true
    }
}
