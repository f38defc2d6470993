//! A command on its way, and what each reply of the store is for.

use fireside_protocol::{
    ClientFrame, Code, ConversationId, Nonce, Now, UserId, UserSequence, WallMs,
};

use crate::{
    conversation::ConversationKey,
    expiry::MessageEnd,
    forward::Original,
    meetings::MeetingEnd,
    node::{Origin, SessionKey},
    previews::PageRead,
    storage::{Command, Item, LinkOp, MemberRow, NewConversation, Shape},
};

/// A command on its way to a decision and an outcome.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) session: SessionKey,
    pub(crate) origin: Origin,
    pub(crate) user: UserId,
    pub(crate) task: Task,
    /// Decisions so far that were overtaken.
    pub(crate) tries: u8,
    /// The rate limits were charged.
    pub(crate) paid: bool,
    /// Slow mode counts it: when the user wrote before it, and with it.
    pub(crate) slowed: Option<(WallMs, WallMs)>,
    /// The answer is out (a built-in fault).
    pub(crate) acked: bool,
    /// What was read for the decision.
    pub(crate) item: Option<Option<Item>>,
    /// A member's record in another conversation, read for the decision.
    pub(crate) elsewhere: Option<Option<MemberRow>>,
    /// What is to be forwarded.
    pub(crate) originals: Option<Result<Vec<Original>, Code>>,
    /// Who of those named blocks or is blocked by the user.
    pub(crate) hidden: Option<Vec<UserId>>,
    /// Reads of blocks still to come.
    pub(crate) asked: usize,
    /// Tells these reads from those of an earlier try.
    pub(crate) ask: u64,
}

/// What a job is for.
#[derive(Debug)]
pub(crate) enum Task {
    /// A request.
    Frame(ClientFrame),
    /// Present receipts for a session that opened the conversation.
    Receipts,
    /// A meeting is over: by its time, or because nobody was there for so long.
    End(MeetingEnd),
    /// A message is over.
    Expire(MessageEnd),
    /// A page was read for a message.
    Preview(PageRead),
}

impl Job {
    pub(crate) fn new(session: SessionKey, origin: Origin, user: UserId, task: Task) -> Box<Self> {
        Box::new(Self {
            session,
            origin,
            user,
            task,
            tries: 0,
            paid: false,
            slowed: None,
            acked: false,
            item: None,
            elsewhere: None,
            originals: None,
            hidden: None,
            asked: 0,
            ask: 0,
        })
    }

    /// Nobody waits for an answer.
    pub(crate) const fn is_silent(&self) -> bool {
        match self.task {
            Task::Receipts | Task::End(_) | Task::Expire(_) | Task::Preview(_) => true,
            Task::Frame(ClientFrame::Delivered(_)) => self.origin.request == 0,
            Task::Frame(_) => false,
        }
    }

    pub(crate) fn nonce(&self) -> Option<Nonce> {
        match &self.task {
            Task::Frame(frame) => frame.nonce(),
            Task::Receipts => None,
            Task::End(end) => Some(end.nonce()),
            Task::Expire(end) => Some(end.nonce()),
            Task::Preview(read) => Some(read.nonce()),
        }
    }

    /// The command before it in the outbox, and the one it changes.
    pub(crate) fn leans_on(&self) -> [Option<Nonce>; 2] {
        match &self.task {
            Task::Frame(ClientFrame::Send(frame)) => [frame.after, None],
            Task::Frame(ClientFrame::Edit(frame)) => [frame.after, frame.target_nonce],
            Task::Frame(ClientFrame::Recall(frame)) => [frame.after, frame.target_nonce],
            Task::Frame(ClientFrame::React(frame)) => [frame.after, frame.target_nonce],
            Task::Frame(ClientFrame::Pin(frame)) => [frame.after, frame.target_nonce],
            Task::Frame(ClientFrame::Vote(frame)) => [frame.after, frame.target_nonce],
            Task::Frame(ClientFrame::ClosePoll(frame)) => [frame.after, frame.target_nonce],
            Task::Frame(ClientFrame::SetLive(frame)) => [frame.after, frame.target_nonce],
            Task::Frame(ClientFrame::Answer(frame)) => [frame.after, frame.target_nonce],
            _ => [None, None],
        }
    }

    pub(crate) fn is_send(&self) -> bool {
        matches!(
            self.task,
            Task::Frame(
                ClientFrame::Send(_)
                    | ClientFrame::Edit(_)
                    | ClientFrame::Recall(_)
                    | ClientFrame::Answer(_)
                    | ClientFrame::Forward(_)
                    | ClientFrame::SendTransient(_)
            )
        )
    }
}

/// An append under way.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) job: Box<Job>,
    pub(crate) conversation: ConversationKey,
    pub(crate) create: Option<NewConversation>,
    pub(crate) shape: Option<Box<Shape>>,
    pub(crate) links: Vec<LinkOp>,
    /// Entries it adds.
    pub(crate) entries: u64,
    /// The version it was decided on.
    pub(crate) version: Option<u64>,
}

/// What a reply is for.
#[derive(Debug)]
pub(crate) enum Pending {
    Login(SessionKey),
    Device,
    Load {
        conversation: ConversationKey,
        epoch: u32,
        peers: bool,
    },
    Append(Box<Flight>),
    Item(ConversationKey, Box<Job>),
    /// Blocks between the asker and those they name, all read into one job.
    Blocks(ConversationKey, u64),
    Block(ConversationKey, Box<Job>),
    Marks,
    Read(SessionKey, Origin),
    /// With the cursor of the user log.
    Sync(SessionKey, UserSequence),
    JoinHead(ConversationKey, UserId),
    BehindHeads(SessionKey),
    Revoke(Box<Job>),
    Meetings,
    Expiring,
    Own(Box<Job>),
    Report(Box<Job>),
    /// Of whom.
    Presence(SessionKey, Origin, Vec<UserId>),
}

impl Pending {
    pub(crate) const fn is_write(&self) -> bool {
        matches!(
            self,
            Self::Device
                | Self::Append(_)
                | Self::Block(..)
                | Self::Marks
                | Self::Revoke(_)
                | Self::Own(_)
                | Self::Report(_)
        )
    }
}

/// What the store is told of a command.
pub(crate) fn command_of(job: &Job, now: Now) -> Option<Command> {
    Some(Command {
        user: job.user.clone(),
        nonce: job.nonce()?,
        after: job.leans_on()[0],
        now: now.wall_ms,
    })
}

/// The two users of the direct conversation that a job may make.
pub(crate) fn peers(job: &Job) -> Option<(UserId, UserId)> {
    let (peer, conversation) = match &job.task {
        Task::Frame(ClientFrame::Send(frame)) => (frame.peer.as_ref()?, frame.conversation),
        Task::Frame(ClientFrame::Forward(frame)) => (frame.peer.as_ref()?, frame.conversation),
        _ => return None,
    };
    (ConversationId::direct(&job.user, peer) == conversation)
        .then(|| (job.user.clone(), peer.clone()))
}
