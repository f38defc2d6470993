//! What is said to who is online now: sent once, and told to the game as it comes.

use fireside_protocol::{
    ClientFrame, Code, Content, ConversationId, Now,
    transient::{SendTransient, Transient},
};

use crate::{
    NewMessage, RequestId, Session,
    event::{Event, TransientMessage},
};

impl Session {
    pub(crate) fn send_transient(
        &mut self,
        request: RequestId,
        conversation: ConversationId,
        message: NewMessage,
        now: Now,
    ) -> Result<(), Code> {
        if matches!(
            message.content,
            Content::Poll(_) | Content::Card(_) | Content::Live(_)
        ) {
            return Err(Code::KindUnsupported);
        }
        if message.reply_to != 0 || message.expires != 0 {
            return Err(Code::ArgumentInvalid);
        }
        let (header, content) = message.into_parts()?;
        let frame = ClientFrame::SendTransient(SendTransient {
            conversation,
            header,
            content,
        });
        self.ask(request, frame, now)?;
        // Whoever spoke types no more.
        self.receipts_sent(conversation);
        Ok(())
    }

    pub(crate) fn on_transient(&mut self, told: Transient) {
        let Some(conversation) = self.conversations.get(&told.conversation) else {
            return;
        };
        // A later kind means nothing to this build, and there is no fallback to keep.
        let Ok(content) = Content::decode(told.header.kind, &told.content) else {
            return;
        };
        let role = conversation.head.role;
        let named = |user| told.header.mentions.contains(user);
        let names_me = told.header.mention_all
            || self.me.as_ref().is_some_and(named)
            || role.is_some_and(|role| told.header.mention_roles.contains(&role));
        self.typing_ended(told.conversation, &told.sender);
        self.push_notice(Event::Transient(Box::new(TransientMessage {
            conversation: told.conversation,
            sender: told.sender,
            at: told.at,
            names_me,
            content,
        })));
    }
}
