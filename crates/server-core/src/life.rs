//! Decides what can happen to a message beyond an edit: votes in a poll, changes of a live object, answers to a card, and what a user
//! deletes for themselves. Pure.

use bytes::Bytes;
use fireside_protocol::{
    Code, Content, EntryKind, FacetKind, MessageKind, Permission,
    content::{AnswerContent, LiveState, PollContent},
    encode,
    frames::{Answer, ClosePoll, Delete, SetLive, UserRecordKind, Vote},
    limits::{CONTENT_BYTES_MAX, DELETES_PER_REQUEST_MAX, LIVE_INTERVAL_MS},
    text::Count,
};

use crate::{
    decide::{Case, Decision, Plan},
    facets::{self, FacetOp},
    storage::{Item, MemberOp, NewEntry},
};

impl Case<'_> {
    pub(crate) fn vote(&self, vote: &Vote) -> Result<Decision, Code> {
        self.state.role(self.me).ok_or(Code::NotFound)?;
        self.check_mute()?;
        let Some(item) = self.item else {
            return self.target(vote.target, vote.target_nonce);
        };
        let item = self.facet_target(item.as_ref())?;
        let poll = poll(item)?;
        let most = poll.choices_max.max(1) as usize;
        let wrong = |(at, option): (usize, &u32)| {
            *option as usize >= poll.options.len()
                || vote.choices.iter().take(at).any(|other| other == option)
        };
        if vote.choices.len() > most || vote.choices.iter().enumerate().any(wrong) {
            return Err(Code::ArgumentInvalid);
        }
        let state = facets::votes(&item.entry.facets);
        if state.closed || (poll.ends != 0 && self.now.wall_ms >= poll.ends) {
            return Err(Code::PollClosed);
        }
        if poll.anonymous {
            return Ok(self.ballot(item, vote));
        }
        let mut wished = state.clone();
        wished.vote(&vote.choices, self.me);
        let done = wished == state;
        if !done && !facets::allows_vote(&state, &vote.choices, self.me) {
            return Err(Code::LimitReached);
        }
        let choices = vote.choices.clone();
        let op = FacetOp::Vote { choices };
        Ok(self.change_facet(item, EntryKind::Vote, vote.nonce, op, done))
    }

    /// An anonymous vote goes into the log in the name of the poll's author, and without the voter's name for it.
    fn ballot(&self, item: &Item, vote: &Vote) -> Decision {
        let mut choices = vote.choices.clone();
        choices.sort_unstable();
        let op = FacetOp::Ballot {
            voter: self.me.clone(),
            choices,
            before: Vec::new(),
        };
        let mut decision = self.change_facet(item, EntryKind::Vote, vote.nonce, op, false);
        if let Decision::Append(plan) = &mut decision
            && !self.config.breaks.ballot_named
        {
            for entry in &mut plan.entries {
                entry.sender = item.meta.sender.clone();
                entry.nonce = None;
            }
        }
        decision
    }

    pub(crate) fn close_poll(&self, close: &ClosePoll) -> Result<Decision, Code> {
        self.state.role(self.me).ok_or(Code::NotFound)?;
        self.check_mute()?;
        let Some(item) = self.item else {
            return self.target(close.target, close.target_nonce);
        };
        let item = self.facet_target(item.as_ref())?;
        poll(item)?;
        if item.meta.sender != *self.me {
            self.may(Permission::RecallOthers)?;
        }
        let done = facets::votes(&item.entry.facets).closed;
        let op = FacetOp::ClosePoll;
        Ok(self.change_facet(item, EntryKind::Vote, close.nonce, op, done))
    }

    pub(crate) fn set_live(&self, set: &SetLive) -> Result<Decision, Code> {
        self.may_write(&[], false)?;
        set.state.check_live_state(Count::GRAPHEMES)?;
        let Some(item) = self.item else {
            return self.target(set.target, set.target_nonce);
        };
        let item = self.facet_target(item.as_ref())?;
        if item.meta.sender != *self.me {
            return Err(Code::Forbidden);
        }
        if kind(item) != Some(MessageKind::Live) {
            return Err(Code::KindUnsupported);
        }
        let before = item.entry.facet::<LiveState>(FacetKind::Live);
        let before = before.map_or(item.meta.at, |state| state.at);
        // A repeat of what was taken comes too soon as well, and gets its answer when it comes again.
        let wait_ms = (before.saturating_add(LIVE_INTERVAL_MS)).saturating_sub(self.now.wall_ms);
        if wait_ms > 0 {
            return Ok(Decision::Later(
                Code::RateLimited,
                wait_ms.min(LIVE_INTERVAL_MS),
            ));
        }
        let state = set.state.clone();
        let op = FacetOp::Live { state };
        Ok(self.change_facet(item, EntryKind::Live, set.nonce, op, false))
    }

    /// An answer is an item of its own, which the card's author sees and nobody else.
    pub(crate) fn answer(&self, answer: &Answer) -> Result<Decision, Code> {
        self.state.role(self.me).ok_or(Code::NotFound)?;
        self.check_mute()?;
        let Some(item) = self.item else {
            return self.target(answer.target, answer.target_nonce);
        };
        let item = self.facet_target(item.as_ref())?;
        let Some(Content::Card(card)) = content(item) else {
            return Err(Code::KindUnsupported);
        };
        card.check_answer(&answer.values, Count::GRAPHEMES)?;
        let content = encode(&AnswerContent {
            card: item.meta.sequence,
            values: answer.values.clone(),
        });
        if content.len() > CONTENT_BYTES_MAX {
            return Err(Code::ContentTooLarge);
        }
        // Behind a block of a direct conversation nobody but the sender is to see anything.
        let blocked = !self.state.is_group() && self.state.is_blocked();
        let entry = NewEntry {
            content: Bytes::from(content),
            nonce: Some(answer.nonce),
            private: !self.config.breaks.answers_for_all,
            audience: (!blocked).then(|| item.meta.sender.clone()),
            ..self.entry(EntryKind::Answer)
        };
        Ok(Decision::Append(Plan {
            entries: vec![entry],
            ..Plan::default()
        }))
    }

    pub(crate) fn delete(&self, delete: &Delete) -> Result<Decision, Code> {
        let member = self.state.member(self.me).ok_or(Code::NotFound)?;
        member.role.ok_or(Code::NotFound)?;
        let last = self.state.last();
        let upto = delete.upto.min(last);
        let numbers = &delete.numbers;
        if numbers.len() > DELETES_PER_REQUEST_MAX
            || numbers.iter().any(|number| *number == 0 || *number > last)
            || (delete.upto == 0 && numbers.is_empty())
        {
            return Err(Code::ArgumentInvalid);
        }
        let deleted = &member.reader.deleted;
        let mut wished = deleted.clone();
        if !wished.add(upto, numbers) {
            return Err(Code::LimitReached);
        }
        let mut plan = Plan::default();
        if wished != *deleted {
            plan.members.push(MemberOp::Delete {
                user: self.me.clone(),
                upto,
                numbers: numbers.clone(),
            });
            plan.records
                .push(self.record(self.me, UserRecordKind::Rights));
        }
        Ok(Decision::Append(plan))
    }
}

fn kind(item: &Item) -> Option<MessageKind> {
    item.entry.header.as_ref().map(|header| header.kind)
}

fn content(item: &Item) -> Option<Content> {
    Content::decode(kind(item)?, &item.entry.content).ok()
}

fn poll(item: &Item) -> Result<PollContent, Code> {
    match content(item) {
        Some(Content::Poll(poll)) => Ok(poll),
        _ => Err(Code::KindUnsupported),
    }
}
