//! What the game asks for.

use fireside_protocol::{
    ClientFrame, Code, Content, ConversationId, ConversationKind, Nonce, Now, Permission, Role,
    Sequence, TextContent, UserId,
    frames::{
        AnswerRequest, Block, CreateGroup, DevicesRequest, Head, HeadsRequest, Invite, Join, Leave,
        MembersRequest, Pin, PinsRequest, React, Read, Recall, RemoveMember, RevokeDevice,
        SetConversation, SetRole,
    },
    limits::{INVITES_PER_REQUEST_MAX, OPEN_CONVERSATIONS_MAX, TOKEN_BYTES_MAX},
    text::{check_name, is_reaction_key},
};

use crate::{
    Command, CommandError, RequestId, Session,
    command::{MessageRef, NewMessage},
    conversation::Conversation,
    event::Completion,
    lead,
};

/// How a message is named to the server: by number, or by name while it has none.
type Target = (Sequence, Option<Nonce>);

impl Session {
    /// Carries a command out. Its completion comes now or later; after an error, never.
    pub(crate) fn carry_out(
        &mut self,
        request: RequestId,
        command: Command,
        now: Now,
    ) -> Result<(), CommandError> {
        match command {
            Command::SendText { to, text } => {
                let text = Content::Text(TextContent::plain(text));
                self.send_message(request, to, NewMessage::new(text), now)?;
            }
            Command::EditText {
                conversation,
                message,
                text,
            } => {
                let text = Content::Text(TextContent::plain(text));
                self.edit(request, conversation, message, &text, now)?;
            }
            Command::Recall {
                conversation,
                message,
            } => self.recall(request, conversation, message, now)?,
            Command::React {
                conversation,
                message,
                key,
                on,
            } => self.react(request, conversation, message, key, on, now)?,
            Command::Pin {
                conversation,
                message,
                on,
            } => self.pin(request, conversation, message, on, now)?,
            Command::Pins {
                conversation,
                before,
            } => {
                let frame = ClientFrame::PinsRequest(PinsRequest {
                    conversation,
                    before,
                });
                self.ask(request, frame, now)?;
            }
            Command::Send { to, message } => self.send_message(request, to, *message, now)?,
            Command::Edit {
                conversation,
                message,
                content,
            } => self.edit(request, conversation, message, &content, now)?,
            Command::Vote {
                conversation,
                message,
                choices,
            } => self.vote(request, conversation, message, choices, now)?,
            Command::ClosePoll {
                conversation,
                message,
            } => self.close_poll(request, conversation, message, now)?,
            Command::SetLive {
                conversation,
                message,
                state,
            } => self.set_live(request, conversation, message, *state, now)?,
            Command::AnswerCard {
                conversation,
                message,
                values,
            } => self.answer_card(request, conversation, message, values, now)?,
            Command::Forward {
                to,
                from,
                messages,
                merged,
            } => self.forward(request, to, from, messages, merged, now)?,
            Command::SendTransient {
                conversation,
                message,
            } => self.send_transient(request, conversation, *message, now)?,
            Command::Delete {
                conversation,
                upto,
                numbers,
            } => self.delete(request, conversation, upto, numbers, now)?,
            Command::Revisions {
                conversation,
                message,
                after,
            } => self.revisions(request, conversation, message, after, now)?,
            Command::Retry { nonce } => self.outbox_retry(request, nonce, now)?,
            Command::Discard { nonce } => {
                if !self.outbox_discard(nonce) {
                    return Err(Code::NotFound.into());
                }
                self.done(request);
            }
            Command::MarkRead { conversation, upto } => {
                self.mark_read(request, conversation, upto, now)?;
            }
            Command::Open { conversation } => {
                let again = self.open.contains(&conversation);
                if !again && self.open.len() >= OPEN_CONVERSATIONS_MAX {
                    return Err(Code::LimitReached.into());
                }
                self.ensure(conversation, ConversationKind::Unknown(0), None);
                self.open(conversation);
                if !again {
                    self.send_attention();
                }
                self.done(request);
            }
            Command::Close { conversation } => {
                if self.open.contains(&conversation) {
                    self.close(conversation);
                    self.send_attention();
                }
                self.done(request);
            }
            Command::LoadOlder {
                conversation,
                count,
            } => self.load_older(request, conversation, count)?,
            Command::Block { user, on } => {
                let nonce = self.nonce();
                let frame = ClientFrame::Block(Block { nonce, user, on });
                self.ask(request, frame, now)?;
            }
            Command::Devices => {
                let frame = ClientFrame::DevicesRequest(DevicesRequest { reserved: 0 });
                self.ask(request, frame, now)?;
            }
            Command::RevokeDevice { device } => {
                let nonce = self.nonce();
                let frame = ClientFrame::RevokeDevice(RevokeDevice { nonce, device });
                self.ask(request, frame, now)?;
            }
            Command::SetToken(token) => {
                if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
                    return Err(Code::TokenInvalid.into());
                }
                self.set_token(request, token, now);
            }
            Command::SetPersonal { .. }
            | Command::ReadAll
            | Command::SetFolder { .. }
            | Command::SetDraft { .. }
            | Command::SetComposing { .. }
            | Command::Friend { .. }
            | Command::SetPresence(_)
            | Command::Presence { .. }
            | Command::Readers { .. }
            | Command::Report { .. }
            | Command::SetProfile { .. }
            | Command::Profiles { .. }
            | Command::SetReceipts { .. } => self.own_command(request, command, now)?,
            Command::CreateGroup { .. }
            | Command::Invite { .. }
            | Command::Join { .. }
            | Command::Leave { .. }
            | Command::RemoveMember { .. }
            | Command::SetRole { .. }
            | Command::SetConversation { .. }
            | Command::CreatePublic { .. }
            | Command::AnswerRequest { .. }
            | Command::Asking { .. }
            | Command::Settings { .. }
            | Command::Members { .. } => self.membership(request, command, now)?,
            Command::CreateMeeting { .. }
            | Command::CreateCommunity { .. }
            | Command::CreateChannel { .. }
            | Command::OpenThread { .. }
            | Command::Children { .. }
            | Command::Dissolve { .. }
            | Command::Mute { .. }
            | Command::Ban { .. }
            | Command::Bans { .. }
            | Command::SetMember { .. }
            | Command::FindMembers { .. }
            | Command::CreateLink { .. }
            | Command::RevokeLink { .. }
            | Command::Links { .. }
            | Command::JoinByLink { .. } => {
                let nonce = self.nonce();
                self.ask(request, lead::frame(command, nonce)?, now)?;
            }
            command => {
                self.at_once(&command, now);
                self.done(request);
            }
        }
        Ok(())
    }

    /// What is done when it returns.
    fn at_once(&mut self, command: &Command, now: Now) {
        match *command {
            Command::Connect => self.connect(now),
            Command::Disconnect => self.disconnect(now),
            Command::Typing { conversation, on } => self.typing(conversation, on),
            Command::SetVisible(on) => self.visible = on,
            Command::SetBackgroundFill(on) => {
                self.background_fill = on;
                if on {
                    self.want_all_pages();
                }
            }
            Command::Suspend => self.suspended = true,
            Command::Resume => {
                self.suspended = false;
                self.probe(now);
            }
            _ => {}
        }
    }

    fn membership(
        &mut self,
        request: RequestId,
        command: Command,
        now: Now,
    ) -> Result<(), CommandError> {
        let nonce = self.nonce();
        let frame = match command {
            Command::CreateGroup {
                name,
                invite,
                history_for_joiners,
            } => {
                if invite.len() > INVITES_PER_REQUEST_MAX {
                    return Err(Code::TooManyNamed.into());
                }
                ClientFrame::CreateGroup(CreateGroup {
                    nonce,
                    name: name_of(&name)?,
                    invite,
                    history_for_joiners,
                    kind: None,
                    join: None,
                    ends: 0,
                    parent: None,
                    by_default: false,
                })
            }
            Command::CreatePublic { name, invite, join } => {
                if invite.len() > INVITES_PER_REQUEST_MAX {
                    return Err(Code::TooManyNamed.into());
                }
                ClientFrame::CreateGroup(CreateGroup {
                    nonce,
                    name: name_of(&name)?,
                    invite,
                    history_for_joiners: 0,
                    kind: Some(ConversationKind::Public),
                    join: Some(join),
                    ends: 0,
                    parent: None,
                    by_default: false,
                })
            }
            Command::AnswerRequest {
                conversation,
                user,
                accept,
            } => ClientFrame::AnswerRequest(AnswerRequest {
                nonce,
                conversation,
                user,
                accept,
            }),
            Command::Asking {
                conversation,
                after,
            } => ClientFrame::MembersRequest(MembersRequest {
                conversation,
                after,
                limit: 0,
                asked: true,
                prefix: String::new(),
            }),
            Command::Invite {
                conversation,
                users,
            } => {
                if users.len() > INVITES_PER_REQUEST_MAX {
                    return Err(Code::TooManyNamed.into());
                }
                ClientFrame::Invite(Invite {
                    nonce,
                    conversation,
                    users,
                })
            }
            Command::Join { conversation } => ClientFrame::Join(Join {
                nonce,
                conversation,
                link: None,
            }),
            Command::Leave { conversation } => ClientFrame::Leave(Leave {
                nonce,
                conversation,
            }),
            Command::RemoveMember { conversation, user } => {
                ClientFrame::RemoveMember(RemoveMember {
                    nonce,
                    conversation,
                    user,
                })
            }
            Command::SetRole {
                conversation,
                user,
                role,
            } => ClientFrame::SetRole(SetRole {
                nonce,
                conversation,
                user,
                role,
            }),
            Command::SetConversation {
                conversation,
                change,
            } => ClientFrame::SetConversation(SetConversation {
                nonce,
                conversation,
                change: change.checked()?.into(),
            }),
            Command::Settings { conversation } => ClientFrame::HeadsRequest(HeadsRequest {
                since: 0,
                before_at: 0,
                before: None,
                limit: 1,
                only: vec![conversation],
            }),
            Command::Members {
                conversation,
                after,
            } => ClientFrame::MembersRequest(MembersRequest {
                conversation,
                after,
                limit: 0,
                asked: false,
                prefix: String::new(),
            }),
            _ => return Err(Code::ArgumentInvalid.into()),
        };
        Ok(self.ask(request, frame, now)?)
    }

    pub(crate) fn nonce(&mut self) -> Nonce {
        let wall = self.links.server_ms(self.now);
        self.random.nonce(wall)
    }

    pub(crate) fn done(&mut self, request: RequestId) {
        self.begin(request);
        self.finish(request, Ok(Completion::Done));
    }

    /// A conversation to write to or look at, also before the server described it.
    pub(crate) fn ensure(
        &mut self,
        id: ConversationId,
        kind: ConversationKind,
        peer: Option<&UserId>,
    ) {
        if self.conversations.contains_key(&id) {
            return;
        }
        let head = Head {
            conversation: id,
            kind,
            last: 0,
            first: 0,
            visible_from: 0,
            ordinal: 0,
            unread: 0,
            mentions: 0,
            at: self.links.server_ms(self.now),
            preview: None,
            read: 0,
            peer_delivered: 0,
            peer_read: 0,
            version: 0,
            rights: 0,
            name: String::new(),
            peer: peer.cloned(),
            members: 0,
            role: peer.map(|_| Role::Member),
            capabilities: peer.map_or(0, |_| Permission::Send.bit() | Permission::MentionAll.bit()),
            frozen: false,
            slow_mode_ms: 0,
            picture: String::new(),
            forget_on_leave: false,
            settings: None,
            muted_until: 0,
            parent: None,
            root: 0,
        };
        let mut conversation = Conversation::new(head);
        conversation.provisional = true;
        if self.cache.mode == crate::cache::Mode::Memory {
            conversation.memory = Some((0, u64::MAX));
        }
        self.conversations.insert(id, conversation);
        if peer.is_some() {
            self.cache.touch(id);
            self.list.touch(id);
        } else {
            self.ask_head(id, 0);
        }
    }

    /// The message as the server can know it, and its `rev` if it is at hand.
    pub(crate) fn target(
        &self,
        id: ConversationId,
        message: MessageRef,
    ) -> Result<(Target, u64), Code> {
        let items = self.conversations.get(&id).map(|held| &held.items);
        match message {
            MessageRef::Sequence(0) => Err(Code::NotFound),
            MessageRef::Sequence(number) => {
                let rev = items
                    .and_then(|items| items.get(&number))
                    .map(|item| item.entry.body_rev());
                Ok(((number, None), rev.unwrap_or(0)))
            }
            MessageRef::Nonce(nonce) => {
                let item = items.and_then(|items| {
                    items
                        .values()
                        .rev()
                        .find(|item| item.entry.nonce == Some(nonce))
                });
                match item {
                    Some(item) => Ok(((item.entry.sequence, None), item.entry.body_rev())),
                    None => Ok(((0, Some(nonce)), 0)),
                }
            }
        }
    }

    fn recall(
        &mut self,
        request: RequestId,
        conversation: ConversationId,
        message: MessageRef,
        now: Now,
    ) -> Result<(), Code> {
        if let MessageRef::Nonce(nonce) = message
            && self.outbox_withdraw(nonce)
        {
            self.done(request);
            return Ok(());
        }
        let ((target, target_nonce), _) = self.target(conversation, message)?;
        let frame = ClientFrame::Recall(Recall {
            nonce: self.nonce(),
            after: None,
            conversation,
            target,
            target_nonce,
        });
        self.outbox_add(request, conversation, frame, now)
    }

    fn react(
        &mut self,
        request: RequestId,
        conversation: ConversationId,
        message: MessageRef,
        key: String,
        on: bool,
        now: Now,
    ) -> Result<(), Code> {
        if !is_reaction_key(&key) {
            return Err(Code::ArgumentInvalid);
        }
        let ((target, target_nonce), _) = self.target(conversation, message)?;
        let frame = ClientFrame::React(React {
            nonce: self.nonce(),
            after: None,
            conversation,
            target,
            target_nonce,
            key,
            on,
        });
        self.outbox_add(request, conversation, frame, now)
    }

    fn pin(
        &mut self,
        request: RequestId,
        conversation: ConversationId,
        message: MessageRef,
        on: bool,
        now: Now,
    ) -> Result<(), Code> {
        let ((target, target_nonce), _) = self.target(conversation, message)?;
        let frame = ClientFrame::Pin(Pin {
            nonce: self.nonce(),
            after: None,
            conversation,
            target,
            target_nonce,
            on,
        });
        self.outbox_add(request, conversation, frame, now)
    }

    fn mark_read(
        &mut self,
        request: RequestId,
        id: ConversationId,
        upto: Sequence,
        now: Now,
    ) -> Result<(), Code> {
        let held = self.conversations.get(&id).ok_or(Code::NotFound)?;
        let upto = match upto {
            0 => held.last_known,
            number => number.min(held.last_known),
        };
        if upto <= held.head.read {
            if upto < held.head.read || !self.unmark(request, id, now)? {
                self.done(request);
            }
            return Ok(());
        }
        let frame = ClientFrame::Read(Read {
            conversation: id,
            upto,
            nonce: self.nonce(),
        });
        self.outbox_add(request, id, frame, now)?;
        self.read_to(id, upto);
        Ok(())
    }
}

/// The server brings it into its stored form.
fn name_of(name: &str) -> Result<String, Code> {
    let name = check_name(name).map_err(|error| error.code())?;
    Ok(name.to_owned())
}
