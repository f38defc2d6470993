//! What the game asks of messages beyond plain text: every kind of content, and what can happen to it later.

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, Content, ConversationId, ConversationKind, Header, Now, Sequence, UserId,
    content::{AnswerValue, CustomContent},
    frames::{
        Answer, ClosePoll, Delete, Edit, Forward, RevisionsPage, RevisionsRequest, Send, SetLive,
        Vote,
    },
    limits::{CONTENT_BYTES_MAX, DELETES_PER_REQUEST_MAX, FORWARD_COPIES_MAX},
    text::Count,
};

use crate::{
    NewMessage, RequestId, Session,
    command::{MessageRef, Recipient},
    event::Completion,
};

impl NewMessage {
    /// A message with nothing but its content.
    #[must_use]
    pub const fn new(content: Content) -> Self {
        Self {
            content,
            silent: false,
            priority: 0,
            reply_to: 0,
            mentions: Vec::new(),
            mention_all: false,
            mention_roles: Vec::new(),
            expires: 0,
        }
    }

    /// As it goes out.
    ///
    /// # Errors
    /// The code of what is wrong with it.
    pub(crate) fn into_parts(self) -> Result<(Header, Bytes), Code> {
        let header = Header {
            kind: self.content.kind(),
            silent: self.silent,
            priority: self.priority,
            reply_to: self.reply_to,
            mentions: self.mentions,
            mention_all: self.mention_all,
            mention_roles: self.mention_roles,
            expires: self.expires,
            forwarded: None,
        };
        Ok((header.clone(), checked(&self.content, &header)?))
    }
}

/// A content that the server will take.
fn checked(content: &Content, header: &Header) -> Result<Bytes, Code> {
    content.check(header, Count::NOTHING)?;
    let bytes = content.encode();
    if bytes.len() > CONTENT_BYTES_MAX {
        return Err(Code::ContentTooLarge);
    }
    Ok(bytes)
}

impl Session {
    pub(crate) fn send_message(
        &mut self,
        request: RequestId,
        to: Recipient,
        message: NewMessage,
        now: Now,
    ) -> Result<(), Code> {
        let (header, content) = message.into_parts()?;
        if self.outbox.is_full() {
            return Err(Code::OutboxFull);
        }
        let (conversation, peer) = self.address(to)?;
        let frame = ClientFrame::Send(Send {
            nonce: self.nonce_after_draft(conversation),
            after: None,
            conversation,
            peer,
            header,
            content,
        });
        self.outbox_add(request, conversation, frame, now)?;
        self.receipts_sent(conversation);
        self.draft_sent(conversation);
        self.scroll_to_end(conversation);
        Ok(())
    }

    pub(crate) fn edit(
        &mut self,
        request: RequestId,
        conversation: ConversationId,
        message: MessageRef,
        content: &Content,
        now: Now,
    ) -> Result<(), Code> {
        if !content.is_editable() {
            return Err(Code::KindUnsupported);
        }
        let ((target, target_nonce), rev) = self.target(conversation, message)?;
        let held = self.header_of(conversation, message);
        // Of a message that is not here the server has the header; it can not be checked against that here.
        let header = held.unwrap_or_else(|| Header {
            kind: content.kind(),
            mention_all: true,
            mentions: content
                .spans()
                .iter()
                .filter_map(|span| span.user.clone())
                .collect(),
            ..Header::text()
        });
        let content = checked(content, &header)?;
        // An edit that waits would change the rev first: only the first one can say what it saw.
        let waits = (self.outbox)
            .pending_change(conversation, target, target_nonce)
            .is_some();
        let frame = ClientFrame::Edit(Edit {
            nonce: self.nonce(),
            after: None,
            conversation,
            target,
            target_nonce,
            seen_rev: if waits { 0 } else { rev },
            content,
        });
        self.outbox_add(request, conversation, frame, now)
    }

    /// The header of a message that is held or waits here.
    fn header_of(&self, id: ConversationId, message: MessageRef) -> Option<Header> {
        let held = self.conversations.get(&id)?;
        let found = match message {
            MessageRef::Sequence(number) => held.items.get(&number),
            MessageRef::Nonce(nonce) => {
                if let Some(header) = self.outbox.header(nonce) {
                    return Some(header.clone());
                }
                let mut items = held.items.values().rev();
                items.find(|item| item.entry.nonce == Some(nonce))
            }
        };
        found?.entry.header.clone()
    }

    pub(crate) fn vote(
        &mut self,
        request: RequestId,
        conversation: ConversationId,
        message: MessageRef,
        choices: Vec<u32>,
        now: Now,
    ) -> Result<(), Code> {
        let ((target, target_nonce), _) = self.target(conversation, message)?;
        let frame = ClientFrame::Vote(Vote {
            nonce: self.nonce(),
            after: None,
            conversation,
            target,
            target_nonce,
            choices,
        });
        self.outbox_add(request, conversation, frame, now)
    }

    pub(crate) fn close_poll(
        &mut self,
        request: RequestId,
        conversation: ConversationId,
        message: MessageRef,
        now: Now,
    ) -> Result<(), Code> {
        let ((target, target_nonce), _) = self.target(conversation, message)?;
        let frame = ClientFrame::ClosePoll(ClosePoll {
            nonce: self.nonce(),
            after: None,
            conversation,
            target,
            target_nonce,
        });
        self.outbox_add(request, conversation, frame, now)
    }

    pub(crate) fn set_live(
        &mut self,
        request: RequestId,
        conversation: ConversationId,
        message: MessageRef,
        state: CustomContent,
        now: Now,
    ) -> Result<(), Code> {
        state.check_live_state(Count::NOTHING)?;
        let ((target, target_nonce), _) = self.target(conversation, message)?;
        let frame = ClientFrame::SetLive(SetLive {
            nonce: self.nonce(),
            after: None,
            conversation,
            target,
            target_nonce,
            state: Box::new(state),
        });
        self.outbox_add(request, conversation, frame, now)
    }

    pub(crate) fn answer_card(
        &mut self,
        request: RequestId,
        conversation: ConversationId,
        message: MessageRef,
        values: Vec<AnswerValue>,
        now: Now,
    ) -> Result<(), Code> {
        let ((target, target_nonce), _) = self.target(conversation, message)?;
        let frame = ClientFrame::Answer(Answer {
            nonce: self.nonce(),
            after: None,
            conversation,
            target,
            target_nonce,
            values,
        });
        self.outbox_add(request, conversation, frame, now)
    }

    pub(crate) fn delete(
        &mut self,
        request: RequestId,
        conversation: ConversationId,
        upto: Sequence,
        numbers: Vec<Sequence>,
        now: Now,
    ) -> Result<(), Code> {
        if numbers.len() > DELETES_PER_REQUEST_MAX {
            return Err(Code::ArgumentInvalid);
        }
        let upto = match self.conversations.get(&conversation) {
            Some(held) => upto.min(held.last_known),
            None => return Err(Code::NotFound),
        };
        let frame = ClientFrame::Delete(Delete {
            nonce: self.nonce(),
            conversation,
            upto,
            numbers,
        });
        self.ask(request, frame, now)
    }

    pub(crate) fn forward(
        &mut self,
        request: RequestId,
        to: Recipient,
        from: ConversationId,
        messages: Vec<Sequence>,
        merged: Option<String>,
        now: Now,
    ) -> Result<(), Code> {
        if messages.is_empty() || messages.len() > FORWARD_COPIES_MAX {
            return Err(Code::ArgumentInvalid);
        }
        let (conversation, peer) = self.address(to)?;
        let frame = ClientFrame::Forward(Forward {
            nonce: self.nonce(),
            conversation,
            peer,
            from,
            numbers: messages,
            merged: merged.is_some(),
            title: merged.unwrap_or_default(),
        });
        self.ask(request, frame, now)
    }

    pub(crate) fn revisions(
        &mut self,
        request: RequestId,
        conversation: ConversationId,
        message: Sequence,
        after: Sequence,
        now: Now,
    ) -> Result<(), Code> {
        let frame = ClientFrame::RevisionsRequest(RevisionsRequest {
            conversation,
            target: message,
            after,
        });
        self.ask(request, frame, now)
    }

    pub(crate) fn on_revisions(&mut self, request: RequestId, page: RevisionsPage) {
        let completion = Completion::Revisions {
            revisions: page.revisions,
            more: page.more,
        };
        self.finish(request, Ok(completion));
    }

    /// Where a message goes, and the peer of a direct conversation.
    pub(crate) fn address(
        &mut self,
        to: Recipient,
    ) -> Result<(ConversationId, Option<UserId>), Code> {
        match to {
            Recipient::User(peer) => {
                // Whose direct conversation it is is not known before the first log-in.
                let me = self.me.as_ref().ok_or(Code::Offline)?;
                let id = ConversationId::direct(me, &peer);
                self.ensure(id, ConversationKind::Direct, Some(&peer));
                Ok((id, Some(peer)))
            }
            Recipient::Conversation(id) => {
                let held = self.conversations.get(&id);
                Ok((id, held.and_then(|held| held.head.peer.clone())))
            }
        }
    }
}
