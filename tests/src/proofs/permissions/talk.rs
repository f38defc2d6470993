//! What is done with messages beyond writing texts: transient ones, forwarding, polls, cards, live objects, and what of them is a user's own.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fireside_protocol::{
    ClientFrame, Code, Content, ConversationId, EntryKind, Header, MessageKind, Nonce, Personal,
    Reactions, ReportReason, ServerFrame, TextContent, UserId,
    content::{
        AnswerValue, CardContent, CardElement, CardPage, CustomContent, ElementKind, PollContent,
    },
    decode, encode,
    entry::{Entry, FacetKind},
    frames::{
        Anchor, Answer, ClosePoll, Delete, Edit, Forward, PageRequest, React, RevisionsRequest,
        SetLive, Vote,
    },
    personal::{ReadersRequest, SetDraft, SetPersonal},
    report::Report,
    transient::SendTransient,
};

use super::scene::{Scene, Stage, Whose};
use crate::wire::{text_in, text_to};

/// What is tried, by the page's words for it.
pub(super) const ACTIONS: &[(&str, Talk)] = &[
    ("send a transient message", Talk::Transient),
    ("send a card", Talk::Card),
    ("forward a message to here", Talk::ForwardHere),
    ("forward a message from here", Talk::ForwardAway),
    ("vote in a poll", Talk::Vote),
    ("vote in a closed poll", Talk::VoteClosed),
    ("close their own poll", Talk::Close(Whose::Own)),
    ("close another member's poll", Talk::Close(Whose::Member)),
    ("answer a card", Talk::Answer),
    ("change their own live object", Talk::Live(Whose::Own)),
    ("change another's live object", Talk::Live(Whose::Member)),
    ("see who reacted", Talk::Reactions),
    ("see who has read a message", Talk::Readers),
    ("see what a message said before", Talk::Revisions),
    ("delete a message for themselves", Talk::Delete),
    ("clear the history for themselves", Talk::Clear),
    ("keep a draft", Talk::Draft),
    ("change their own settings of it", Talk::Personal),
    ("report a message", Talk::Report),
];

/// Something to try.
#[derive(Clone, Copy, Debug)]
pub(super) enum Talk {
    Transient,
    Card,
    ForwardHere,
    ForwardAway,
    Vote,
    VoteClosed,
    Close(Whose),
    Answer,
    Live(Whose),
    Reactions,
    Readers,
    Revisions,
    Delete,
    Clear,
    Draft,
    Personal,
    Report,
}

/// What everybody in a scene has written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Said {
    #[default]
    Text,
    /// A text that its author changed.
    Edited,
    /// A text that its author reacted to.
    Reacted,
    Poll,
    ClosedPoll,
    /// A card, where they may write one; else a text.
    Card,
    Live,
}

impl Talk {
    /// What must stand there for it.
    pub(super) const fn said(self) -> Said {
        match self {
            Self::Vote | Self::Close(_) => Said::Poll,
            Self::VoteClosed => Said::ClosedPoll,
            Self::Answer => Said::Card,
            Self::Live(_) => Said::Live,
            Self::Reactions => Said::Reacted,
            Self::Revisions => Said::Edited,
            _ => Said::Text,
        }
    }
}

fn content(said: Said) -> Content {
    match said {
        Said::Text | Said::Edited | Said::Reacted => Content::Text(TextContent::plain(HELLO)),
        Said::Poll | Said::ClosedPoll => Content::Poll(PollContent {
            question: "Where to?".into(),
            options: vec!["the keep".into(), "the mill".into()],
            choices_max: 1,
            ends: 0,
            anonymous: false,
        }),
        Said::Card => Content::Card(CardContent {
            pages: vec![CardPage {
                title: "Raid".into(),
                text: String::new(),
                picture: String::new(),
                elements: vec![CardElement {
                    kind: ElementKind::Text,
                    id: "line".into(),
                    label: String::new(),
                    options: Vec::new(),
                    required: false,
                    value: String::new(),
                }],
            }],
        }),
        Said::Live => Content::Live(score("0:0")),
    }
}

fn score(text: &str) -> CustomContent {
    CustomContent {
        name: "score".into(),
        data: bytes::Bytes::new(),
        text: text.into(),
    }
}

/// What all texts of a scene say.
const HELLO: &str = "hello";

impl Stage {
    /// Somebody writes what the cell needs; its number. `leads`: they may write cards there.
    pub(super) async fn say(
        &mut self,
        user: &str,
        conversation: ConversationId,
        peer: Option<UserId>,
        leads: bool,
    ) -> Result<u64> {
        let said = match self.said {
            Said::Card if !leads => Said::Text,
            said => said,
        };
        let nonce = self.nonce();
        let content = content(said);
        let mut send = text_in(conversation, HELLO, nonce);
        send.header.kind = content.kind();
        (send.content, send.peer) = (content.encode(), peer);
        let number = self.must(user, send).await?;
        let nonce = self.nonce();
        let more: Option<ClientFrame> = match said {
            Said::Edited => Some(
                Edit {
                    nonce,
                    after: None,
                    conversation,
                    target: number,
                    target_nonce: None,
                    seen_rev: 0,
                    content: encode(&TextContent::plain("good day")).into(),
                }
                .into(),
            ),
            Said::Reacted => Some(
                React {
                    nonce,
                    after: None,
                    conversation,
                    target: number,
                    target_nonce: None,
                    key: KEY.into(),
                    on: true,
                }
                .into(),
            ),
            Said::ClosedPoll => Some(close(nonce, conversation, number)),
            Said::Text | Said::Poll | Said::Card | Said::Live => None,
        };
        if let Some(more) = more {
            self.must(user, more).await?;
        }
        Ok(number)
    }

    /// Tries it.
    pub(super) async fn talk(
        &mut self,
        scene: &Scene,
        role: &str,
        me: &str,
        talk: Talk,
    ) -> Result<String> {
        let (nonce, conversation) = (self.nonce(), scene.conversation);
        // Where nobody wrote there is no such message.
        let other = scene.wrote(role, Whose::Member).unwrap_or(1);
        let frame: ClientFrame = match talk {
            Talk::Transient => SendTransient {
                conversation,
                header: Header::text(),
                content: content(Said::Text).encode(),
            }
            .into(),
            Talk::Card => {
                let mut send = text_in(conversation, HELLO, nonce);
                send.header.kind = MessageKind::Card;
                send.content = content(Said::Card).encode();
                send.into()
            }
            Talk::ForwardHere => {
                let note = text_to(&UserId::new(me)?, &UserId::new(NOTES)?, HELLO, nonce);
                let from = note.conversation;
                let number = self.must(me, note).await?;
                forward(self.nonce(), from, number, conversation, None)
            }
            Talk::ForwardAway => {
                let (me, notes) = (UserId::new(me)?, UserId::new(NOTES)?);
                let to = ConversationId::direct(&me, &notes);
                forward(nonce, conversation, other, to, Some(notes))
            }
            Talk::Vote | Talk::VoteClosed => Vote {
                nonce,
                after: None,
                conversation,
                target: other,
                target_nonce: None,
                choices: vec![1],
            }
            .into(),
            Talk::Close(whose) => close(nonce, conversation, scene.wrote(role, whose)?),
            Talk::Answer => Answer {
                nonce,
                after: None,
                conversation,
                // In a direct conversation there is no admin.
                target: scene.wrote(role, Whose::Admin).unwrap_or(other),
                target_nonce: None,
                values: vec![AnswerValue {
                    id: "line".into(),
                    value: "yes".into(),
                }],
            }
            .into(),
            Talk::Live(whose) => SetLive {
                nonce,
                after: None,
                conversation,
                target: scene.wrote(role, whose)?,
                target_nonce: None,
                state: Box::new(score("1:0")),
            }
            .into(),
            Talk::Reactions => return self.reactions(me, conversation, other).await,
            Talk::Revisions => return self.revisions(me, conversation, other).await,
            Talk::Readers => ReadersRequest {
                conversation,
                sequence: other,
            }
            .into(),
            Talk::Delete => delete(nonce, conversation, 0, vec![other]),
            Talk::Clear => delete(nonce, conversation, u64::MAX, Vec::new()),
            Talk::Draft => SetDraft {
                nonce,
                conversation,
                content: encode(&TextContent::plain("what I was go")).into(),
                reply_to: 0,
            }
            .into(),
            Talk::Personal => SetPersonal {
                nonce,
                conversation,
                change: Personal {
                    pinned: Some(true),
                    archived: None,
                    muted_until: None,
                    level: None,
                    marked_unread: None,
                    folder: None,
                    archived_to: 0,
                },
            }
            .into(),
            Talk::Report => Report {
                nonce,
                conversation: Some(conversation),
                sequence: other,
                user: None,
                reason: ReportReason::Spam,
                text: String::new(),
            }
            .into(),
        };
        self.when_it_may(me, frame).await
    }

    /// Asks until it is not too soon any more: a live object keeps a state for a while.
    async fn when_it_may(&mut self, me: &str, frame: ClientFrame) -> Result<String> {
        loop {
            let answer = self.answer(me, frame.clone()).await?;
            let ServerFrame::Refused(refused) = &answer else {
                return Ok(Self::outcome(&answer)?.0);
            };
            if refused.code() != Code::RateLimited {
                return Ok(refused.code().key().to_owned());
            }
            tokio::time::sleep(Duration::from_millis(refused.retry_after_ms.max(1))).await;
        }
    }

    /// Looks at a message, and at whose reactions stand there.
    async fn reactions(
        &mut self,
        me: &str,
        conversation: ConversationId,
        number: u64,
    ) -> Result<String> {
        let request = PageRequest {
            conversation,
            anchor: Anchor::Range.number(),
            number,
            to: number,
            limit: 0,
            since: 0,
            held: Vec::new(),
        };
        let page = match self.answer(me, request.into()).await? {
            ServerFrame::Page(page) => page,
            other => return Ok(Self::outcome(&other)?.0),
        };
        let item = page.items.first().context("the message is in the page")?;
        let item: Entry = decode(&item.0)?;
        let told = item.facet::<Reactions>(FacetKind::Reactions);
        let told = told.context("there are reactions")?;
        let whose = told.keys.iter().find(|one| one.key == KEY);
        let whose = whose.map_or(&[][..], |one| &one.users);
        ensure!(
            item.kind == EntryKind::Message && *whose == [item.sender.clone()],
            "{told:?} of {}",
            item.sender
        );
        Ok("ok".to_owned())
    }

    /// Asks what a message said before.
    async fn revisions(
        &mut self,
        me: &str,
        conversation: ConversationId,
        target: u64,
    ) -> Result<String> {
        let request = RevisionsRequest {
            conversation,
            target,
            after: 0,
        };
        let page = match self.answer(me, request.into()).await? {
            ServerFrame::RevisionsPage(page) => page,
            other => return Ok(Self::outcome(&other)?.0),
        };
        let [before] = page.revisions.as_slice() else {
            bail!("{} revisions, not 1", page.revisions.len());
        };
        let before: TextContent = decode(&before.content)?;
        ensure!(before.text == HELLO, "it said `{}` before", before.text);
        Ok("ok".to_owned())
    }
}

fn close(nonce: Nonce, conversation: ConversationId, target: u64) -> ClientFrame {
    ClosePoll {
        nonce,
        after: None,
        conversation,
        target,
        target_nonce: None,
    }
    .into()
}

fn delete(nonce: Nonce, conversation: ConversationId, upto: u64, numbers: Vec<u64>) -> ClientFrame {
    Delete {
        nonce,
        conversation,
        upto,
        numbers,
    }
    .into()
}

fn forward(
    nonce: Nonce,
    from: ConversationId,
    number: u64,
    conversation: ConversationId,
    peer: Option<UserId>,
) -> ClientFrame {
    Forward {
        nonce,
        conversation,
        peer,
        from,
        numbers: vec![number],
        merged: false,
        title: String::new(),
    }
    .into()
}

/// With what authors react.
const KEY: &str = "👍";
/// To whom everybody writes their notes, and sends copies.
const NOTES: &str = "notes";
