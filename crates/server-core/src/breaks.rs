//! Faults built in on purpose, so that the simulator can prove that it would notice them. All off in production.

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, Content, Lane, MessageKind, ServerFrame, TextContent, WallMs,
    frames::{Ack, Done, Refused},
};

/// What a node loses of requests: `docs/features.md` names one for each feature, and its test must notice.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Loss {
    /// Nothing.
    #[default]
    Nothing,
    /// Requests of this kind are answered as if they were done.
    Request(u16),
    /// A part of a message, an edit or a new conversation, by its name: one of [`Loss::FIELDS`].
    Field(&'static str),
}

impl Loss {
    /// The parts that can be lost.
    pub const FIELDS: &'static [&'static str] = &[
        "content",
        "spans",
        "reply_to",
        "mentions",
        "mention_all",
        "silent",
        "priority",
        "expires",
        "history_for_joiners",
        "join",
        "kind",
        "by_default",
        "mention_roles",
        "ends",
        "seen_rev",
        "anonymous",
        // What was read of a link's page.
        "preview",
    ];

    /// The request as it comes in, or what it is answered with instead.
    pub(crate) fn spoil(
        self,
        mut frame: ClientFrame,
        at: WallMs,
    ) -> Result<ClientFrame, Box<ServerFrame>> {
        match (self, &mut frame) {
            (Self::Request(kind), frame) if frame.kind() == kind => {
                return Err(Box::new(match frame.nonce() {
                    Some(nonce) => ServerFrame::Ack(Ack {
                        nonce,
                        conversation: None,
                        sequence: 0,
                        ordinal: 0,
                        at,
                        entry: None,
                        link: None,
                        expires: 0,
                    }),
                    None if frame.lane() == Lane::Page => Refused::new(Code::NotFound).into(),
                    None => ServerFrame::Done(Done { reserved: 0 }),
                }));
            }
            (Self::Field(name), ClientFrame::Send(send)) => {
                let header = &mut send.header;
                match name {
                    "anonymous" => send.content = named(header.kind, &send.content),
                    "content" if header.kind != MessageKind::Text => {
                        header.kind = MessageKind::Text;
                        send.content = Content::Text(TextContent::plain("?")).encode();
                    }
                    "content" => send.content = Content::Text(TextContent::plain("?")).encode(),
                    "spans" => send.content = without_spans(header.kind, &send.content),
                    "reply_to" => header.reply_to = 0,
                    "mentions" => {
                        header.mentions.clear();
                        send.content = without_spans(header.kind, &send.content);
                    }
                    "mention_all" => header.mention_all = false,
                    "mention_roles" => header.mention_roles.clear(),
                    "silent" => header.silent = false,
                    "priority" => header.priority = 0,
                    "expires" => header.expires = 0,
                    _ => {}
                }
            }
            (Self::Field(name), ClientFrame::CreateGroup(create)) => match name {
                "history_for_joiners" => create.history_for_joiners = 0,
                "join" => create.join = None,
                "by_default" => create.by_default = false,
                "kind" => (create.kind, create.join) = (None, None),
                "ends" => create.ends = 0,
                _ => {}
            },
            (Self::Field("seen_rev"), ClientFrame::Edit(edit)) => edit.seen_rev = 0,
            _ => {}
        }
        Ok(frame)
    }
}

fn named(kind: MessageKind, content: &Bytes) -> Bytes {
    match Content::decode(kind, content) {
        Ok(Content::Poll(mut poll)) => {
            poll.anonymous = false;
            Content::Poll(poll).encode()
        }
        _ => content.clone(),
    }
}

fn without_spans(kind: MessageKind, content: &Bytes) -> Bytes {
    match Content::decode(kind, content) {
        Ok(Content::Text(text)) => Content::Text(TextContent::plain(text.text)).encode(),
        _ => content.clone(),
    }
}

/// Which faults are on (server side).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of switches")]
pub struct Breaks {
    /// A repeated nonce makes a second entry.
    pub dedupe: bool,
    /// Known nonces are forgotten by a restart.
    pub dedupe_after_restart: bool,
    /// The ack is sent when the append is submitted, not when it is durable.
    pub ack_before_sync: bool,
    /// Withheld entries are left out instead of skipped.
    pub skip_omitted: bool,
    /// `append` does not compare versions: a removed member's message slips in behind the removal.
    pub removal_race: bool,
    /// A failed commit keeps its overlay.
    pub overlay_kept: bool,
    /// Unread counts drift.
    pub unread_drift: bool,
    /// A reaction behind the block of a direct conversation reaches the peer.
    pub reaction_under_block: bool,
    /// What is lost of requests on their way in.
    pub loss: Loss,
    /// A recalled message keeps its reactions.
    pub recall_keeps_facets: bool,
    /// A muted member writes as before.
    pub mute_ignored: bool,
    /// A banned user comes back in.
    pub ban_ignored: bool,
    /// A dissolved conversation keeps its members but for who dissolved it.
    pub dissolve_keeps_members: bool,
    /// Who is out of a conversation stays in what belongs to it.
    pub orphans: bool,
    /// A link is not counted: it lets in more than it may.
    pub link_uncounted: bool,
    /// A restart forgets when meetings end.
    pub timer_lost: bool,
    /// A message leaves the draft that it was.
    pub draft_stays: bool,
    /// A request for a friendship passes a block.
    pub friend_through_block: bool,
    /// Others are told how far who tells nothing has read.
    pub receipts_off_ignored: bool,
    /// A second vote stands beside the first.
    pub vote_twice: bool,
    /// What somebody chose in an anonymous poll is not kept: they vote again and again.
    pub ballot_forgotten: bool,
    /// An anonymous vote goes out in the name of who gave it.
    pub ballot_named: bool,
    /// Everybody sees the answers to a card.
    pub answers_for_all: bool,
    /// What a user deleted for themselves comes back.
    pub deleted_comes_back: bool,
    /// What is over stays after a restart: a node ends only the messages it saw come.
    pub expiry_forgotten: bool,
    /// A poll whose time is over is closed by nobody.
    pub poll_stays_open: bool,
    /// What an admin took back stays where it was forwarded to.
    pub copies_stay: bool,
    /// Whoever is a member forwards what they do not see.
    pub forward_unseen: bool,
    /// What was read for a message's earlier text is added all the same.
    pub preview_of_old: bool,
    /// What has expired counts as unread.
    pub expired_unread: bool,
}
