//! What a game asks of its client. One declared list; C, C#, C++ and Blueprint mirror it.

use fireside_protocol::{
    Attribute, Code, Content, ConversationId, FolderId, FriendAction, JoinPolicy, LinkCode,
    MemberProfile, Nonce, Personal, ReportReason, Role, Sequence, Settings, UserId, WallMs,
    content::{AnswerValue, CustomContent},
    presence::SetPresence,
};

/// Names a call; its completion carries it.
pub type RequestId = u64;

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Logs in and stays connected, with retries, until [`Command::Disconnect`].
    Connect,
    /// Goes offline; the outbox is kept.
    Disconnect,
    /// A (new) token. Also ends `refused(token_expired)`.
    SetToken(String),
    /// A text message. Outboxable: completes when the server accepted or refused it for good.
    SendText {
        /// Where.
        to: Recipient,
        /// 1 to 4,000 characters.
        text: String,
    },
    /// A message of any kind. Outboxable: completes as [`Command::SendText`].
    Send {
        /// Where.
        to: Recipient,
        /// What.
        message: Box<NewMessage>,
    },
    /// New content for an own message, of the same kind. Whom it names it can not change. Outboxable.
    Edit {
        /// Where.
        conversation: ConversationId,
        /// Which.
        message: MessageRef,
        /// What it says from now on.
        content: Box<Content>,
    },
    /// Votes in a poll, in the place of the vote before. Outboxable.
    Vote {
        /// Where.
        conversation: ConversationId,
        /// Which poll.
        message: MessageRef,
        /// Which options, from 0; none: takes the vote back.
        choices: Vec<u32>,
    },
    /// Closes an own poll, or as an admin any. Outboxable.
    ClosePoll {
        /// Where.
        conversation: ConversationId,
        /// Which poll.
        message: MessageRef,
    },
    /// Changes the state of an own live object; at most every 5 s, else it waits that long. Outboxable.
    SetLive {
        /// Where.
        conversation: ConversationId,
        /// Which.
        message: MessageRef,
        /// What it is now.
        state: Box<CustomContent>,
    },
    /// Answers a card: its author sees the answer, nobody else. Outboxable.
    AnswerCard {
        /// Where.
        conversation: ConversationId,
        /// Which card.
        message: MessageRef,
        /// What was put in.
        values: Vec<AnswerValue>,
    },
    /// Deletes for this user alone, on all devices: some messages, or all up to a number.
    Delete {
        /// Where.
        conversation: ConversationId,
        /// Everything up to this number (`u64::MAX`: the whole history so far); 0 nothing.
        upto: Sequence,
        /// These, at most 100.
        numbers: Vec<Sequence>,
    },
    /// A message for the members who are online now: it is kept nowhere, and has no number, unread or receipts. Completes when the server took it;
    /// with [`Code::Offline`] when the connection went before that, for it is never sent twice.
    SendTransient {
        /// Where to.
        conversation: ConversationId,
        /// What: no poll, card or live object, and no answer to another.
        message: Box<NewMessage>,
    },
    /// Sends copies of messages to another conversation. The server makes them, so they need not be on this device.
    Forward {
        /// Where to.
        to: Recipient,
        /// Where the messages are.
        from: ConversationId,
        /// Their numbers, ascending, 1 to 100.
        messages: Vec<Sequence>,
        /// All of them in one message with this heading (may be empty); `None`: the one as a message of its own kind.
        merged: Option<String>,
    },
    /// What a message said before it was edited or recalled, for who may recall others' messages.
    Revisions {
        /// Where.
        conversation: ConversationId,
        /// Which.
        message: Sequence,
        /// Only revisions after this one; 0 all.
        after: Sequence,
    },
    /// New text for an own message. Outboxable.
    EditText {
        /// Where.
        conversation: ConversationId,
        /// Which.
        message: MessageRef,
        /// The new text.
        text: String,
    },
    /// Takes an own message (or, as an admin, any) back for all. Outboxable; a message that was never tried just goes.
    Recall {
        /// Where.
        conversation: ConversationId,
        /// Which.
        message: MessageRef,
    },
    /// Reacts to a message with an emoji or an id of the game's own, or takes it back. Outboxable.
    React {
        /// Where.
        conversation: ConversationId,
        /// Which.
        message: MessageRef,
        /// 1 to 64 bytes without spaces.
        key: String,
        /// React, or take it back.
        on: bool,
    },
    /// Pins a message for everybody, or unpins it. Outboxable.
    Pin {
        /// Where.
        conversation: ConversationId,
        /// Which.
        message: MessageRef,
        /// Pin or unpin.
        on: bool,
    },
    /// The pinned messages of a conversation, newest first, page by page.
    Pins {
        /// Which.
        conversation: ConversationId,
        /// Before this number; 0: from the newest on.
        before: Sequence,
    },
    /// Tries a failed message again, as a new command at the end of the outbox.
    Retry {
        /// The failed one.
        nonce: Nonce,
    },
    /// Drops a failed message.
    Discard {
        /// The failed one.
        nonce: Nonce,
    },
    /// Read up to a number; 0: to the end of what is known. Outboxable.
    MarkRead {
        /// Where.
        conversation: ConversationId,
        /// The last number read.
        upto: Sequence,
    },
    /// The user is typing (call it at each key; it is debounced) or stopped.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Is typing.
        on: bool,
    },
    /// Puts a conversation on screen: its timeline view comes as a reset, then as diffs. At most 16.
    Open {
        /// Which.
        conversation: ConversationId,
    },
    /// Takes it off the screen.
    Close {
        /// Which.
        conversation: ConversationId,
    },
    /// Loads older messages into an open timeline. Completes when they are in, or with how many there were.
    LoadOlder {
        /// Which.
        conversation: ConversationId,
        /// How many; at most 200.
        count: u32,
    },
    /// Makes a group.
    CreateGroup {
        /// Its name.
        name: String,
        /// Invited at once.
        invite: Vec<UserId>,
        /// What joiners see: 0 nothing, N numbers, `u64::MAX` all.
        history_for_joiners: u64,
    },
    /// Makes a public conversation: joiners see all of it.
    CreatePublic {
        /// Its name.
        name: String,
        /// Invited at once.
        invite: Vec<UserId>,
        /// How others come in.
        join: JoinPolicy,
    },
    /// Makes a meeting: a conversation for a while.
    CreateMeeting {
        /// Its name.
        name: String,
        /// Invited at once.
        invite: Vec<UserId>,
        /// How others come in.
        join: JoinPolicy,
        /// When it ends by itself, by the server's clock; 0: when nobody is there any more.
        ends: WallMs,
    },
    /// Makes a community: a space of channels.
    CreateCommunity {
        /// Its name.
        name: String,
        /// Invited at once.
        invite: Vec<UserId>,
        /// How others come in.
        join: JoinPolicy,
    },
    /// Makes a channel in a community.
    CreateChannel {
        /// The community.
        community: ConversationId,
        /// Its name.
        name: String,
        /// How the community's members come in.
        join: JoinPolicy,
        /// Whoever comes into the community comes into it too.
        by_default: bool,
    },
    /// Opens the thread under a message and comes into it; comes into it if it is open. Completes as a conversation that was made.
    OpenThread {
        /// Where the message is.
        conversation: ConversationId,
        /// Its number.
        message: Sequence,
        /// The thread's name, if this opens it; empty: none.
        name: String,
    },
    /// The channels of a community or the threads of a conversation that the user is in or may come into, page by page.
    Children {
        /// Of which.
        conversation: ConversationId,
        /// After this one: its `root` and its id.
        after: Option<(Sequence, ConversationId)>,
    },
    /// Ends a conversation for all. The owner's.
    Dissolve {
        /// Which.
        conversation: ConversationId,
    },
    /// Keeps a member from writing until a time, or lets them write again.
    Mute {
        /// Where.
        conversation: ConversationId,
        /// Whom.
        user: UserId,
        /// Until when, by the server's clock; 0: not any more.
        until: WallMs,
    },
    /// Removes a user and keeps them out, or lets them come back.
    Ban {
        /// Where.
        conversation: ConversationId,
        /// Whom.
        user: UserId,
        /// Ban, or end the ban.
        on: bool,
        /// Until when, by the server's clock; 0: for ever.
        until: WallMs,
    },
    /// Who is banned, page by page, for those who may ban.
    Bans {
        /// Where.
        conversation: ConversationId,
        /// After this one.
        after: Option<UserId>,
    },
    /// Sets a member's name and attributes in one conversation.
    SetMember {
        /// Where.
        conversation: ConversationId,
        /// Whose; `None`: one's own.
        user: Option<UserId>,
        /// What changes.
        profile: Box<MemberProfile>,
    },
    /// Members whose user id, name or name here begins so, without regard to case and accents, page by page.
    FindMembers {
        /// Where.
        conversation: ConversationId,
        /// 1 to 64 bytes.
        prefix: String,
        /// After this one.
        after: Option<UserId>,
    },
    /// Makes an invite link. Completes with its code.
    CreateLink {
        /// Into which conversation.
        conversation: ConversationId,
        /// When it ends, by the server's clock; 0 never.
        expires: WallMs,
        /// How many may come in by it; 0: any number.
        uses: u32,
    },
    /// Ends an invite link.
    RevokeLink {
        /// Into which conversation.
        conversation: ConversationId,
        /// Its code.
        code: LinkCode,
    },
    /// The invite links, for those who may invite.
    Links {
        /// Into which conversation.
        conversation: ConversationId,
    },
    /// Comes in by an invite link.
    JoinByLink {
        /// Where.
        conversation: ConversationId,
        /// Its code.
        code: LinkCode,
    },
    /// Lets a user in who asked for it, or does not.
    AnswerRequest {
        /// Where.
        conversation: ConversationId,
        /// Whom.
        user: UserId,
        /// In or not.
        accept: bool,
    },
    /// Who asks to come in, page by page, for those who may invite.
    Asking {
        /// Where.
        conversation: ConversationId,
        /// After this one.
        after: Option<UserId>,
    },
    /// Invites.
    Invite {
        /// Where.
        conversation: ConversationId,
        /// Whom.
        users: Vec<UserId>,
    },
    /// Accepts an invitation, comes into a public conversation, or asks to be let in.
    Join {
        /// Where.
        conversation: ConversationId,
    },
    /// Leaves, declines an invitation, or takes back that one asked to come in.
    Leave {
        /// Where.
        conversation: ConversationId,
    },
    /// Removes a member.
    RemoveMember {
        /// Where.
        conversation: ConversationId,
        /// Whom.
        user: UserId,
    },
    /// Gives a role.
    SetRole {
        /// Where.
        conversation: ConversationId,
        /// Whom.
        user: UserId,
        /// Which.
        role: Role,
    },
    /// Changes name, profile or rules of a conversation.
    SetConversation {
        /// Where.
        conversation: ConversationId,
        /// What changes; the rest stays.
        change: Box<Settings>,
    },
    /// All that a conversation is set to. Its line in the list has the part that a list shows.
    Settings {
        /// Which.
        conversation: ConversationId,
    },
    /// Blocks or unblocks.
    Block {
        /// Whom.
        user: UserId,
        /// Block or unblock.
        on: bool,
    },
    /// Changes what the user set for themselves in a conversation: pinned, archived, muted, level, marked unread, folder. Outboxable.
    SetPersonal {
        /// Where.
        conversation: ConversationId,
        /// What changes; the rest stays.
        change: Personal,
    },
    /// Everything is read, as far as the server knows.
    ReadAll,
    /// Makes, changes or removes a folder.
    SetFolder {
        /// Which; `None`: a new one.
        folder: Option<FolderId>,
        /// Its name; empty: it goes.
        name: String,
        /// Folders are shown by this, ascending.
        order: u32,
    },
    /// What stands in the input box of a conversation (call it at each key; it is sent at most every 2 s). Outboxable.
    SetDraft {
        /// Where.
        conversation: ConversationId,
        /// What; empty: nothing. At most as long as a message.
        text: String,
        /// The message it answers; 0 none.
        reply_to: Sequence,
    },
    /// The user writes in the box of a conversation, or does not any more. While they do, drafts of other devices do not change it.
    SetComposing {
        /// Where.
        conversation: ConversationId,
        /// Writes.
        on: bool,
    },
    /// Asks for a friendship, answers who asks, or ends it.
    Friend {
        /// With whom.
        user: UserId,
        /// What.
        action: FriendAction,
    },
    /// Whether others are told how far the user has read; who tells nothing is told nothing.
    SetReceipts {
        /// Told.
        on: bool,
    },
    /// Changes what the user says of themselves to everybody: what is there changes, the rest stays.
    SetProfile {
        /// About them; empty: nothing.
        description: Option<String>,
        /// Where their picture is, in the game's own words; empty: none.
        picture: Option<String>,
        /// Values of the game's own; an empty one goes.
        attributes: Vec<Attribute>,
    },
    /// What users say of themselves, at most 100; of those who ever logged in.
    Profiles {
        /// Of whom.
        users: Vec<UserId>,
    },
    /// Whether the user is there, and what they do. Holds until it is said anew, over reconnects too; not over a restart.
    SetPresence(Box<SetPresence>),
    /// The presence of users, at most 100; of who is not there when they logged in last.
    Presence {
        /// Of whom.
        users: Vec<UserId>,
    },
    /// Reports a message or a user to the moderators; what the user sees around it is kept as evidence.
    Report {
        /// Where; must be there for a message.
        conversation: Option<ConversationId>,
        /// The message's number; 0: a user is reported.
        sequence: Sequence,
        /// Whom, if no message.
        user: Option<UserId>,
        /// Why.
        reason: ReportReason,
        /// In the user's own words; at most 1,000 characters.
        text: String,
    },
    /// Who has read a message, and of how many.
    Readers {
        /// Where.
        conversation: ConversationId,
        /// Its number.
        sequence: Sequence,
    },
    /// Members, page by page.
    Members {
        /// Where.
        conversation: ConversationId,
        /// After this one.
        after: Option<UserId>,
    },
    /// The user's devices.
    Devices,
    /// Signs a device out.
    RevokeDevice {
        /// Which.
        device: fireside_protocol::DeviceId,
    },
    /// Whether chat is on screen: decides how soon a dead server is noticed (5 s rather than 45 s).
    SetVisible(bool),
    /// Loads everything missed into the cache in the background, not just what is looked at.
    SetBackgroundFill(bool),
    /// Flushes and stops keep-alives (console or phone suspends).
    Suspend,
    /// Probes at once.
    Resume,
}

impl Command {
    /// A person did something and waits for what comes of it. Marks and settings of the game's own are none of it; `Connect` tries
    /// at once by itself.
    pub(crate) const fn is_somebody_at_it(&self) -> bool {
        !matches!(
            self,
            Self::Connect
                | Self::Disconnect
                | Self::SetToken(_)
                | Self::MarkRead { .. }
                | Self::SetDraft { .. }
                | Self::SetPresence(_)
                | Self::SetComposing { .. }
                | Self::Close { .. }
                | Self::SetVisible(false)
                | Self::SetBackgroundFill(_)
                | Self::Suspend
        )
    }
}

/// A message to send.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewMessage {
    /// What it says.
    pub content: Content,
    /// Neither push nor unread.
    pub silent: bool,
    /// 0 normal, 1 high, 2 low; under overload low goes first.
    pub priority: u8,
    /// The number of the message it answers; 0 none.
    pub reply_to: Sequence,
    /// Users it names, at most 50. Spans that name somebody name one of these.
    pub mentions: Vec<UserId>,
    /// It names everybody; not everybody may.
    pub mention_all: bool,
    /// Roles it names, at most 10; not everybody may.
    pub mention_roles: Vec<Role>,
    /// When it ends, by the server's clock in ms; 0 never.
    pub expires: WallMs,
}

/// Where a message goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Recipient {
    /// The direct conversation with a user, made by the first message.
    User(UserId),
    /// Any other.
    Conversation(ConversationId),
}

/// A message by number, or by name while it has none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MessageRef {
    /// Its number.
    Sequence(Sequence),
    /// Its name.
    Nonce(Nonce),
}

/// Why a command was not even taken. Nothing happened.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{code}")]
pub struct CommandError {
    /// Which.
    pub code: Code,
}

impl From<Code> for CommandError {
    fn from(code: Code) -> Self {
        Self { code }
    }
}
