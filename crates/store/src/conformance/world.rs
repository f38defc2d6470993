//! Short ways to say what the checks say often.

use bytes::Bytes;
use fireside_protocol::{
    Code, ConversationId, ConversationKind, DeviceId, Entry, EntryKind, Header, Nonce, Role,
    Sequence, UserId, WallMs,
    codec::decode,
    frames::{
        Anchor, HeadsPage, HeadsRequest, Page, PageRequest, Range, UserLogPage, UserRecord,
        UserRecordKind,
    },
};
use fireside_server_core::storage::{
    Append, Appended, BlockSet, Command, DEVICE_SEEN_STEP_MS, Done, Effect, Item,
    LoadedConversation, LoadedUser, Mark, MemberOp, MemberRow, NewConversation, NewEntry,
    NewUserRecord, Op, Outcome, PutDevice, Reply, SetBlock, StoreError, Target,
};

use super::Harness;

/// A store, a clock and a source of nonces.
pub(super) struct World {
    harness: Box<dyn Harness>,
    /// Grows by 1 s with every command.
    pub(super) now: WallMs,
    made: u64,
}

/// A user by name.
pub(super) fn user(name: &str) -> UserId {
    UserId::new(name).expect("a short name")
}

/// A message without a number.
pub(super) fn message(sender: &UserId, text: &str) -> NewEntry {
    NewEntry {
        header: Some(Header::text()),
        content: Bytes::copy_from_slice(text.as_bytes()),
        ..item(EntryKind::Message, sender)
    }
}

/// An entry of any kind without a number.
pub(super) fn item(kind: EntryKind, sender: &UserId) -> NewEntry {
    NewEntry {
        kind,
        sender: sender.clone(),
        at: 0,
        nonce: None,
        header: None,
        content: Bytes::new(),
        private: false,
        audience: None,
        target: None,
        facet: None,
        keeps_revision: true,
        tombstone: None,
        member: None,
        sources: Vec::new(),
        withdraws: Vec::new(),
    }
}

/// A record of the user log without a number.
pub(super) fn record(kind: UserRecordKind, conversation: Option<ConversationId>) -> UserRecord {
    UserRecord {
        conversation,
        ..UserRecord::new(kind, 0)
    }
}

/// A conversation's id by number.
pub(super) fn conversation(n: u8) -> ConversationId {
    ConversationId([n; 16])
}

/// A request for a page.
pub(super) fn page_request(id: ConversationId, anchor: Anchor, number: Sequence) -> PageRequest {
    PageRequest {
        conversation: id,
        anchor: anchor.number(),
        number,
        to: 0,
        limit: 0,
        since: 0,
        held: Vec::new(),
    }
}

/// A request for all heads.
pub(super) const fn heads_request() -> HeadsRequest {
    HeadsRequest {
        since: 0,
        before_at: 0,
        before: None,
        limit: 0,
        only: Vec::new(),
    }
}

impl World {
    pub(super) fn new(harness: Box<dyn Harness>) -> Self {
        Self {
            harness,
            now: 1_700_000_000_000,
            made: 0,
        }
    }

    pub(super) fn reopen(&mut self) {
        self.harness.reopen();
    }

    pub(super) fn try_run(&mut self, ops: Vec<Op>) -> Vec<Result<Reply, StoreError>> {
        let count = ops.len();
        let results = self.harness.run(ops);
        assert_eq!(results.len(), count, "one result for each operation");
        results
    }

    pub(super) fn run(&mut self, ops: Vec<Op>) -> Vec<Reply> {
        let results = self.try_run(ops).into_iter();
        results
            .map(|result| result.expect("the store works"))
            .collect()
    }

    pub(super) fn one(&mut self, op: Op) -> Reply {
        self.run(vec![op]).remove(0)
    }

    pub(super) fn nonce(&mut self) -> Nonce {
        self.made += 1;
        let mut random = [0; 10];
        random[2..].copy_from_slice(&self.made.to_be_bytes());
        Nonce::new(self.now, random)
    }

    /// A new command, a second later.
    pub(super) fn command(&mut self, user: &UserId) -> Command {
        self.now += 1_000;
        Command {
            user: user.clone(),
            nonce: self.nonce(),
            after: None,
            now: self.now,
        }
    }

    /// An append to a conversation that exists; entries get the command's time and nonce.
    pub(super) fn add(
        &mut self,
        id: ConversationId,
        version: u64,
        by: &UserId,
        mut entries: Vec<NewEntry>,
    ) -> Append {
        let command = self.command(by);
        for entry in &mut entries {
            entry.at = command.now;
            entry.nonce = Some(command.nonce);
        }
        Append {
            conversation: id,
            expected_version: Some(version),
            create: None,
            shape: None,
            links: Vec::new(),
            child: None,
            command,
            effect: Effect::Entries {
                entries,
                bumps_version: false,
                members: Vec::new(),
                records: Vec::new(),
            },
        }
    }

    pub(super) fn append(&mut self, append: Append) -> Appended {
        match self.one(Op::Append(Box::new(append))) {
            Reply::Appended(appended) => appended,
            other => panic!("an append was answered with {other:?}"),
        }
    }

    pub(super) fn done(&mut self, append: Append) -> Done {
        match self.append(append) {
            Appended::Done(done) => done,
            other => panic!("expected the append to be done, it was {other:?}"),
        }
    }

    /// A message in the version that the conversation has now.
    pub(super) fn send(&mut self, id: ConversationId, by: &UserId, text: &str) -> Done {
        let version = self.version(id);
        let append = self.add(id, version, by, vec![message(by, text)]);
        self.done(append)
    }

    /// A change of an item as it is now.
    pub(super) fn change(
        &mut self,
        id: ConversationId,
        by: &UserId,
        kind: EntryKind,
        target: Sequence,
        text: &str,
    ) -> Done {
        let version = self.version(id);
        let item_now = self.item(id, Target::Number(target));
        let rev = item_now.expect("the target").entry.body_rev();
        let entry = NewEntry {
            target: Some((target, rev)),
            content: Bytes::copy_from_slice(text.as_bytes()),
            ..item(kind, by)
        };
        let append = self.add(id, version, by, vec![entry]);
        self.done(append)
    }

    /// The first message between two users: makes their conversation.
    pub(super) fn first_message(&mut self, from: &UserId, to: &UserId, text: &str) -> Append {
        let id = ConversationId::direct(from, to);
        let append = self.add(id, 0, from, vec![message(from, text)]);
        Append {
            expected_version: None,
            create: Some(NewConversation {
                kind: ConversationKind::Direct,
                parent: None,
                name: String::new(),
                creator: from.clone(),
                history_for_joiners: 0,
                members: vec![(from.clone(), Role::Member), (to.clone(), Role::Member)],
            }),
            ..append
        }
    }

    /// A direct conversation with one message.
    pub(super) fn direct(&mut self, from: &UserId, to: &UserId) -> ConversationId {
        let append = self.first_message(from, to, "hello");
        let id = append.conversation;
        self.done(append);
        id
    }

    /// A direct conversation whose first message is private to its sender.
    pub(super) fn direct_after_block(&mut self, from: &UserId, to: &UserId) -> ConversationId {
        let mut append = self.first_message(from, to, "hello?");
        if let Effect::Entries { entries, .. } = &mut append.effect {
            entries[0].private = true;
        }
        let id = append.conversation;
        self.done(append);
        id
    }

    /// A new group with its owner: entry 1 is `created`.
    pub(super) fn new_group(&mut self, id: ConversationId, owner: &UserId, history: u64) -> Append {
        let created = NewEntry {
            member: Some(MemberOp::Join {
                user: owner.clone(),
                role: Role::Owner,
                history: 0,
            }),
            ..item(EntryKind::Created, owner)
        };
        let append = self.add(id, 0, owner, vec![created]);
        Append {
            expected_version: None,
            create: Some(NewConversation {
                kind: ConversationKind::Group,
                parent: None,
                name: "the group".to_owned(),
                creator: owner.clone(),
                history_for_joiners: history,
                members: Vec::new(),
            }),
            ..append
        }
    }

    /// A group whose members joined one after the other: entries 2, 3, ...
    pub(super) fn group(&mut self, n: u8, owner: &UserId, members: &[&UserId]) -> ConversationId {
        let id = conversation(n);
        let append = self.new_group(id, owner, 0);
        self.done(append);
        for member in members {
            self.join(id, member, 0);
        }
        id
    }

    /// An append with one entry about a member, which grows the version.
    pub(super) fn member_append(
        &mut self,
        id: ConversationId,
        by: &UserId,
        kind: EntryKind,
        op: MemberOp,
    ) -> Append {
        let version = self.version(id);
        let entry = NewEntry {
            member: Some(op),
            ..item(kind, by)
        };
        let mut append = self.add(id, version, by, vec![entry]);
        if let Effect::Entries { bumps_version, .. } = &mut append.effect {
            *bumps_version = true;
        }
        append
    }

    pub(super) fn join(&mut self, id: ConversationId, user: &UserId, history: u64) -> Done {
        let op = MemberOp::Join {
            user: user.clone(),
            role: Role::Member,
            history,
        };
        let append = self.member_append(id, user, EntryKind::Joined, op);
        self.done(append)
    }

    pub(super) fn leave(&mut self, id: ConversationId, user: &UserId) -> Done {
        let op = MemberOp::Leave { user: user.clone() };
        let append = self.member_append(id, user, EntryKind::Left, op);
        self.done(append)
    }

    /// Only records for user logs, through an append to an existing conversation.
    pub(super) fn records(
        &mut self,
        id: ConversationId,
        records: Vec<(UserId, UserRecord)>,
    ) -> Done {
        let version = self.version(id);
        let mut append = self.add(id, version, &user("recorder"), Vec::new());
        if let Effect::Entries { records: new, .. } = &mut append.effect {
            *new = records
                .into_iter()
                .map(|(user, record)| (user, NewUserRecord { record }))
                .collect();
        }
        self.done(append)
    }

    pub(super) fn block(&mut self, blocker: &UserId, other: &UserId, on: bool) -> BlockSet {
        let op = SetBlock {
            command: self.command(blocker),
            other: other.clone(),
            on,
            direct: ConversationId::direct(blocker, other),
        };
        self.set_block(op)
    }

    pub(super) fn set_block(&mut self, set: SetBlock) -> BlockSet {
        match self.one(Op::SetBlock(set)) {
            Reply::BlockSet(set) => set,
            other => panic!("a block was answered with {other:?}"),
        }
    }

    pub(super) fn mark(&mut self, marks: Vec<Mark>) -> Vec<(UserId, UserRecord)> {
        match self.one(Op::Mark(marks)) {
            Reply::Marked(records) => records,
            other => panic!("marks were answered with {other:?}"),
        }
    }

    pub(super) fn read_to(&mut self, id: ConversationId, user: &UserId, read: Sequence) {
        self.now += 1_000;
        self.mark(vec![Mark {
            conversation: id,
            user: user.clone(),
            read,
            delivered: 0,
            at: self.now,
        }]);
    }

    /// A log-in that is kept with its time.
    pub(super) fn put_device(&mut self, user: &UserId, n: u8, name: &str) {
        self.now += DEVICE_SEEN_STEP_MS;
        self.put_device_again(user, n, name);
    }

    /// A log-in at once.
    pub(super) fn put_device_again(&mut self, user: &UserId, n: u8, name: &str) {
        let reply = self.one(Op::PutDevice(PutDevice {
            user: user.clone(),
            device: DeviceId([n; 16]),
            platform: "linux".to_owned(),
            agent: format!("agent {n}"),
            name: name.to_owned(),
            at: self.now,
        }));
        assert_eq!(reply, Reply::Done);
    }

    pub(super) fn load(&mut self, conversation: ConversationId) -> LoadedConversation {
        self.load_between(conversation, None)
    }

    pub(super) fn load_between(
        &mut self,
        conversation: ConversationId,
        peers: Option<(UserId, UserId)>,
    ) -> LoadedConversation {
        match self.one(Op::LoadConversation {
            conversation,
            peers,
        }) {
            Reply::Conversation(loaded) => *loaded,
            other => panic!("a load was answered with {other:?}"),
        }
    }

    pub(super) fn version(&mut self, id: ConversationId) -> u64 {
        self.load(id).row.expect("the conversation exists").version
    }

    pub(super) fn last(&mut self, id: ConversationId) -> Sequence {
        self.load(id).row.expect("the conversation exists").last
    }

    pub(super) fn member(&mut self, id: ConversationId, user: &UserId) -> MemberRow {
        let members = self.load(id).members;
        let found = members.into_iter().find(|row| row.user == *user);
        found.expect("the member's row")
    }

    pub(super) fn load_user(&mut self, user: &UserId) -> LoadedUser {
        match self.one(Op::LoadUser(user.clone())) {
            Reply::User(loaded) => *loaded,
            other => panic!("a load was answered with {other:?}"),
        }
    }

    pub(super) fn item(&mut self, conversation: ConversationId, target: Target) -> Option<Item> {
        match self.one(Op::LoadItem {
            conversation,
            target,
        }) {
            Reply::Item(item) => *item,
            other => panic!("a load was answered with {other:?}"),
        }
    }

    pub(super) fn user_log(&mut self, user: &UserId, cursor: u64) -> UserLogPage {
        let now = self.now;
        match self.one(Op::UserLog {
            user: user.clone(),
            cursor,
            now,
        }) {
            Reply::UserLog(page) => page,
            other => panic!("a user log was answered with {other:?}"),
        }
    }

    /// A page that the user may see.
    pub(super) fn page(&mut self, user: &UserId, request: PageRequest) -> Seen {
        match self.one(Op::Page {
            user: user.clone(),
            request,
        }) {
            Reply::Page(page) => Seen::new(*page),
            other => panic!("a page was answered with {other:?}"),
        }
    }

    pub(super) fn heads(&mut self, user: &UserId, request: HeadsRequest) -> HeadsPage {
        let op = Op::Heads {
            user: user.clone(),
            request,
            only: Vec::new(),
        };
        match self.one(op) {
            Reply::Heads(page) => page,
            other => panic!("heads were answered with {other:?}"),
        }
    }

    /// The head of one conversation.
    pub(super) fn head(
        &mut self,
        user: &UserId,
        id: ConversationId,
    ) -> fireside_protocol::frames::Head {
        let heads = self.heads(user, heads_request()).heads;
        let found = heads.into_iter().find(|head| head.conversation == id);
        found.expect("the user has a head of it")
    }
}

/// A page with its entries decoded.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) page: Page,
    pub(super) items: Vec<Entry>,
    pub(super) changes: Vec<Entry>,
}

impl Seen {
    fn new(page: Page) -> Self {
        let decoded = |raw: &[fireside_protocol::Raw]| {
            let entries = raw.iter().map(|raw| decode(&raw.0).expect("an entry"));
            entries.collect::<Vec<Entry>>()
        };
        Self {
            items: decoded(&page.items),
            changes: decoded(&page.changes),
            page,
        }
    }

    pub(super) fn covered(&self) -> (Sequence, Sequence) {
        (self.page.first, self.page.last)
    }

    pub(super) fn numbers(&self) -> Vec<Sequence> {
        self.items.iter().map(|entry| entry.sequence).collect()
    }

    pub(super) fn changed(&self) -> Vec<Sequence> {
        self.changes.iter().map(|entry| entry.sequence).collect()
    }

    pub(super) fn skipped(&self) -> Vec<(Sequence, Sequence)> {
        let pairs = self
            .page
            .skips
            .iter()
            .map(|Range { first, last }| (*first, *last));
        pairs.collect()
    }
}

/// The entry's number, ordinal and time that an outcome names.
pub(super) fn numbers_of(outcome: &Outcome) -> (Sequence, u64, WallMs) {
    match outcome {
        Outcome::Done {
            sequence,
            ordinal,
            at,
            ..
        } => (*sequence, *ordinal, *at),
        Outcome::Refused(code) => panic!("refused: {code:?}"),
    }
}

/// The same append, decided to be refused.
pub(super) fn refused(append: &Append, code: Code) -> Append {
    Append {
        effect: Effect::Refuse(code),
        ..append.clone()
    }
}
