//! A server of a few lines: logs, pages, heads, acks. It says what `docs/model.md` says, and keeps nothing back unless told to.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, Content, ConversationId, ConversationKind, Entry, EntryKind, Facet,
    FacetKind, Header, Nonce, Personal, Pinned, Raw, Reaction, Reactions, Role, Sequence,
    ServerFrame, TextContent, Tombstone, UserId,
    content::{Ballot, Ballots, LinkPreview, LiveState, Votes},
    decode, encode,
    frames::{
        Ack, Done, Head, HeadsPage, HeadsRequest, Page, PageRequest, Pong, Range, Refused, Skip,
        UserLogPage, UserRecord, UserRecordKind, Welcome,
    },
    personal::Draft,
};

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

/// One conversation's log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) id: ConversationId,
    pub(crate) kind: ConversationKind,
    pub(crate) peer: Option<UserId>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) hidden: BTreeSet<u64>,
    pub(crate) read: u64,
    pub(crate) rights: u64,
    /// The oldest number kept.
    pub(crate) first: u64,
}

impl Log {
    pub(crate) fn last(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(crate) fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries
            .get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    pub(crate) fn is_hidden(&self, number: u64) -> bool {
        self.hidden.contains(&number)
            || self
                .entry(number)
                .is_some_and(|e| self.hidden.contains(&e.target))
    }

    pub(crate) fn append(&mut self, mut entry: Entry) -> Entry {
        entry.sequence = self.last() + 1;
        entry.at = 1_000_000 + entry.sequence;
        let before = self.entries.last().map_or(0, |e| e.ordinal);
        entry.ordinal = before + u64::from(entry.is_countable());
        self.entries.push(entry.clone());
        entry
    }

    pub(crate) fn text(&mut self, sender: &UserId, text: &str) -> Entry {
        let entry = message(self.id, sender, text, None);
        self.append(entry)
    }

    pub(crate) fn edit(&mut self, sender: &UserId, target: u64, text: &str) -> Entry {
        let mut entry = message(self.id, sender, text, None);
        entry.kind = EntryKind::Edit;
        entry.header = None;
        entry.target = target;
        self.append(entry)
    }

    pub(crate) fn recall(&mut self, sender: &UserId, target: u64) -> Entry {
        let mut entry = message(self.id, sender, "", None);
        entry.kind = EntryKind::Recall;
        entry.header = None;
        entry.content = Bytes::new();
        entry.tombstone = Some(Tombstone::Recalled);
        entry.target = target;
        self.append(entry)
    }

    /// A message's time is over.
    pub(crate) fn expire(&mut self, target: u64) -> Entry {
        let sender = self.entry(target).unwrap().sender.clone();
        let mut entry = message(self.id, &sender, "", None);
        entry.kind = EntryKind::Expire;
        entry.header = None;
        entry.content = Bytes::new();
        entry.target = target;
        self.append(entry)
    }

    /// A reaction, or that it is taken back.
    pub(crate) fn react(&mut self, sender: &UserId, target: u64, key: &str, on: bool) -> Entry {
        let item = self.state(target, self.last()).unwrap();
        let state = item.facet::<Reactions>(FacetKind::Reactions);
        let mut state = state.unwrap_or(Reactions { keys: Vec::new() });
        if !state.keys.iter().any(|one| one.key == key) {
            let key = key.to_owned();
            let users = Vec::new();
            state.keys.push(Reaction { key, users });
        }
        for one in state.keys.iter_mut().filter(|one| one.key == key) {
            one.users.retain(|user| user != sender);
            one.users.extend(on.then(|| sender.clone()));
        }
        state.keys.retain(|one| !one.users.is_empty());
        let content = encode(&state).into();
        self.facet(
            sender,
            target,
            EntryKind::React,
            FacetKind::Reactions,
            content,
        )
    }

    pub(crate) fn vote(&mut self, sender: &UserId, target: u64, choices: &[u32]) -> Entry {
        let item = self.state(target, self.last()).unwrap();
        let mut votes = (item.facet::<Votes>(FacetKind::Votes)).unwrap_or_else(Votes::none);
        votes.vote(choices, sender);
        let content = encode(&votes).into();
        self.facet(sender, target, EntryKind::Vote, FacetKind::Votes, content)
    }

    /// A vote in an anonymous poll.
    pub(crate) fn ballot(&mut self, target: u64, before: &[u32], choices: &[u32]) -> Entry {
        let item = self.state(target, self.last()).unwrap();
        let mut votes = (item.facet::<Votes>(FacetKind::Votes)).unwrap_or_else(Votes::none);
        votes.vote_unnamed(before, choices);
        let content = encode(&votes).into();
        let author = &item.sender;
        self.facet(author, target, EntryKind::Vote, FacetKind::Votes, content)
    }

    pub(crate) fn pin(&mut self, sender: &UserId, target: u64, on: bool) -> Entry {
        let by = sender.clone();
        let content = if on {
            encode(&Pinned { by, at: 0 }).into()
        } else {
            Bytes::new()
        };
        self.facet(sender, target, EntryKind::Pin, FacetKind::Pin, content)
    }

    /// What the page behind a message's link says.
    pub(crate) fn preview(&mut self, target: u64, preview: &LinkPreview) -> Entry {
        let sender = self.entry(target).unwrap().sender.clone();
        let (kind, facet) = (EntryKind::Preview, FacetKind::Preview);
        self.facet(&sender, target, kind, facet, encode(preview).into())
    }

    fn facet(
        &mut self,
        sender: &UserId,
        target: u64,
        entry_kind: EntryKind,
        kind: FacetKind,
        content: Bytes,
    ) -> Entry {
        let mut entry = message(self.id, sender, "", None);
        entry.kind = entry_kind;
        entry.header = None;
        entry.content = Bytes::new();
        entry.target = target;
        let rev = 0;
        entry.facets.push(Facet { kind, rev, content });
        self.append(entry)
    }

    /// An item as it is at `as_of`.
    pub(crate) fn state(&self, number: u64, as_of: u64) -> Option<Entry> {
        let mut item = self.entry(number)?.clone();
        if item.kind.is_change() || self.is_hidden(number) {
            return None;
        }
        for change in self.entries.iter().take(usize::try_from(as_of).unwrap()) {
            if change.kind.is_change() && change.target == number {
                item.apply(change);
            }
        }
        Some(item)
    }

    pub(crate) fn live(&self, number: u64) -> ServerFrame {
        if self.is_hidden(number) {
            return ServerFrame::Skip(Skip {
                conversation: self.id,
                first: number,
                last: number,
            });
        }
        ServerFrame::Entry(self.entry(number).unwrap().clone())
    }

    pub(crate) fn page(&self, request: &PageRequest) -> Page {
        self.page_at(request, self.last())
    }

    pub(crate) fn page_at(&self, request: &PageRequest, as_of: u64) -> Page {
        let limit = if request.limit == 0 {
            50
        } else {
            request.limit
        } as usize;
        let (low, high) = match request.anchor {
            0 => (self.first, as_of),
            1 => (self.first, request.number.saturating_sub(1).min(as_of)),
            3 => (request.number.max(self.first), request.to.min(as_of)),
            other => panic!("anchor {other} is not used"),
        };
        let mut items = Vec::new();
        let mut first = high + 1;
        while first > low && items.len() < limit {
            first -= 1;
            items.extend(self.state(first, as_of));
        }
        items.reverse();
        let skips: Vec<Range> = (first..=high)
            .filter(|number| self.is_hidden(*number))
            .map(|number| Range {
                first: number,
                last: number,
            })
            .collect();
        let held = |number: u64| {
            request
                .held
                .iter()
                .any(|r| r.first <= number && number <= r.last)
        };
        let mut changes: Vec<Entry> = (1..=as_of)
            .filter(|number| held(*number) && !(first..=high).contains(number))
            .filter_map(|number| self.state(number, as_of))
            .filter(|item| item.rev() > request.since && item.rev() > item.sequence)
            .collect();
        changes.sort_by_key(Entry::rev);
        let reset = changes.len() > 500;
        if reset {
            changes.clear();
        }
        let raw = |entry: &Entry| Raw(encode(entry).into());
        Page {
            conversation: self.id,
            first,
            last: high,
            as_of,
            items: items.iter().map(raw).collect(),
            skips,
            changes: changes.iter().map(raw).collect(),
            reset,
            oldest: self.first,
        }
    }

    pub(crate) fn unread(&self, me: &UserId) -> u32 {
        let own = (self.entries.iter())
            .filter(|e| e.kind == EntryKind::Message && e.sender == *me)
            .map(|e| e.sequence)
            .max();
        let marker = self.read.max(own.unwrap_or(0));
        let counts =
            |e: &&Entry| e.sequence > marker && e.is_countable() && !self.is_hidden(e.sequence);
        let ended = |e: &&Entry| {
            let mut ends = (self.entries.iter()).filter(|it| it.kind == EntryKind::Expire);
            ends.any(|it| it.target == e.sequence)
        };
        let counted = self.entries.iter().filter(counts);
        u32::try_from(counted.filter(|e| !ended(e)).count()).unwrap()
    }

    pub(crate) fn head(&self, me: &UserId) -> Head {
        let seen = |e: &&Entry| !self.is_hidden(e.sequence) && e.kind != EntryKind::Expire;
        let last_message = (self.entries.iter().rev())
            .find(|e| e.kind == EntryKind::Message && !self.is_hidden(e.sequence));
        Head {
            conversation: self.id,
            kind: self.kind,
            last: self.last(),
            first: self.first,
            visible_from: 1,
            ordinal: self.entries.last().map_or(0, |e| e.ordinal),
            unread: self.unread(me).min(1_000),
            mentions: 0,
            at: self.entries.iter().rev().find(seen).map_or(0, |e| e.at),
            preview: last_message.and_then(|e| self.state(e.sequence, self.last())),
            read: self.read,
            peer_delivered: 0,
            peer_read: 0,
            version: 1,
            rights: self.rights,
            name: if self.peer.is_some() {
                String::new()
            } else {
                "guild".to_owned()
            },
            peer: self.peer.clone(),
            members: 2,
            role: Some(Role::Member),
            capabilities: 0,
            frozen: false,
            slow_mode_ms: 0,
            picture: String::new(),
            forget_on_leave: false,
            parent: None,
            root: 0,
            muted_until: 0,
            settings: None,
        }
    }
}

pub(crate) fn message(
    conversation: ConversationId,
    sender: &UserId,
    text: &str,
    nonce: Option<Nonce>,
) -> Entry {
    let text = text.to_owned();
    Entry {
        conversation,
        sequence: 0,
        kind: EntryKind::Message,
        sender: sender.clone(),
        at: 0,
        ordinal: 0,
        rev: 0,
        nonce,
        target: 0,
        header: Some(Header::text()),
        content: encode(&TextContent::plain(text)).into(),
        edited: false,
        tombstone: None,
        member: None,
        body_rev: 0,
        facets: Vec::new(),
    }
}

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) me: UserId,
    pub(crate) logs: BTreeMap<ConversationId, Log>,
    pub(crate) outcomes: BTreeMap<Nonce, Ack>,
    pub(crate) records: Vec<UserRecord>,
    /// The next commands are refused with these.
    pub(crate) refuse: Vec<Refused>,
    /// The next delivered marks are refused with these.
    pub(crate) refuse_marks: Vec<Refused>,
    /// The next requests that it does not know are answered with these.
    pub(crate) answers: Vec<ServerFrame>,
    /// The next log-ins are refused with these.
    pub(crate) refuse_login: Vec<Refused>,
    pub(crate) token_expires: u64,
    /// All that was asked.
    pub(crate) seen: Vec<ClientFrame>,
    /// Live entries are also sent to the sender, before the ack.
    pub(crate) live_first: bool,
}

impl Server {
    pub(crate) fn new(me: &UserId) -> Self {
        Self {
            me: me.clone(),
            logs: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            records: Vec::new(),
            refuse: Vec::new(),
            refuse_marks: Vec::new(),
            answers: Vec::new(),
            refuse_login: Vec::new(),
            token_expires: 0,
            seen: Vec::new(),
            live_first: false,
        }
    }

    pub(crate) fn direct(&mut self, peer: &str) -> ConversationId {
        let peer = user(peer);
        let id = ConversationId::direct(&self.me, &peer);
        self.add(id, ConversationKind::Direct, Some(peer))
    }

    pub(crate) fn group(&mut self, number: u8) -> ConversationId {
        self.add(ConversationId([number; 16]), ConversationKind::Group, None)
    }

    fn add(
        &mut self,
        id: ConversationId,
        kind: ConversationKind,
        peer: Option<UserId>,
    ) -> ConversationId {
        let log = Log {
            id,
            kind,
            peer,
            entries: Vec::new(),
            hidden: BTreeSet::new(),
            read: 0,
            rights: 0,
            first: 1,
        };
        self.logs.insert(id, log);
        id
    }

    pub(crate) fn log(&mut self, id: ConversationId) -> &mut Log {
        self.logs.get_mut(&id).unwrap()
    }

    fn heads(&self, request: Option<&HeadsRequest>) -> ServerFrame {
        let wanted =
            |log: &&Log| request.is_none_or(|r| r.only.is_empty() || r.only.contains(&log.id));
        let mut heads: Vec<Head> = self
            .logs
            .values()
            .filter(wanted)
            .map(|log| log.head(&self.me))
            .collect();
        heads.sort_by_key(|head| std::cmp::Reverse(head.at));
        ServerFrame::HeadsPage(HeadsPage {
            heads,
            more: false,
            stamp: 5_000,
        })
    }

    /// Answers a frame: frames with the request id each.
    pub(crate) fn handle(&mut self, request: u32, frame: &ClientFrame) -> Vec<(u32, ServerFrame)> {
        self.seen.push(frame.clone());
        let one = |frame: ServerFrame| vec![(request, frame)];
        match frame {
            ClientFrame::Hello(_) | ClientFrame::Resume(_) => {
                if let Some(refused) = self.refuse_login.pop() {
                    return one(refused.into());
                }
                let welcome = Welcome {
                    version: 1,
                    user: self.me.clone(),
                    now: 2_000_000,
                    resume_secret: Bytes::from_static(b"secret"),
                    token_expires: self.token_expires,
                    user_cursor: self.records.len() as u64,
                    heads_stamp: 5_000,
                    name: String::new(),
                };
                let log = UserLogPage {
                    records: self.records.clone(),
                    cursor: self.records.len() as u64,
                    reload: false,
                    more: false,
                };
                vec![
                    (request, welcome.into()),
                    (0, log.into()),
                    (0, self.heads(None)),
                ]
            }
            ClientFrame::Ping(ping) => one(Pong {
                counter: ping.counter,
                now: 2_000_000,
            }
            .into()),
            ClientFrame::Delivered(_) if request != 0 => one(match self.refuse_marks.pop() {
                Some(refused) => refused.into(),
                None => Done { reserved: 0 }.into(),
            }),
            ClientFrame::SetToken(_) => one(Done { reserved: 0 }.into()),
            ClientFrame::HeadsRequest(heads) => one(self.heads(Some(heads))),
            ClientFrame::PageRequest(page) => match self.logs.get(&page.conversation) {
                Some(log) => one(log.page(page).into()),
                None => one(Refused::new(Code::NotFound).into()),
            },
            ClientFrame::Send(_)
            | ClientFrame::Edit(_)
            | ClientFrame::Recall(_)
            | ClientFrame::React(_)
            | ClientFrame::Pin(_)
            | ClientFrame::Vote(_)
            | ClientFrame::SetLive(_)
            | ClientFrame::Read(_) => self.command(request, frame),
            ClientFrame::SetPersonal(_) | ClientFrame::SetDraft(_) => self.own(request, frame),
            _ => self.answers.pop().map_or_else(Vec::new, one),
        }
    }

    /// The newest record of a conversation's own settings or draft.
    pub(crate) fn held(&self, kind: UserRecordKind, id: ConversationId) -> Option<&UserRecord> {
        let mut held = self.records.iter().rev();
        held.find(|it| it.kind == kind && it.conversation == Some(id))
    }

    /// A record that another device caused.
    pub(crate) fn put(&mut self, mut record: UserRecord) -> ServerFrame {
        record.sequence = self.records.len() as u64 + 1;
        self.records.push(record.clone());
        record.into()
    }

    /// Own settings and drafts: a record, then the answer.
    fn own(&mut self, request: u32, frame: &ClientFrame) -> Vec<(u32, ServerFrame)> {
        let nonce = frame.nonce().unwrap();
        if let Some(mut refused) = self.refuse.pop() {
            refused.nonce = Some(nonce);
            return vec![(request, refused.into())];
        }
        let record = match frame {
            ClientFrame::SetPersonal(set) => {
                let held = self.held(UserRecordKind::Personal, set.conversation);
                let held = held.and_then(|it| decode::<Personal>(&it.body).ok());
                let mut personal = held.unwrap_or(Personal::NOTHING);
                personal.apply(&set.change, self.logs[&set.conversation].last());
                UserRecord {
                    conversation: Some(set.conversation),
                    body: encode(&personal).into(),
                    ..UserRecord::new(UserRecordKind::Personal, 0)
                }
            }
            ClientFrame::SetDraft(set) => UserRecord {
                conversation: Some(set.conversation),
                gone: set.content.is_empty(),
                body: encode(&Draft {
                    nonce,
                    content: set.content.clone(),
                    reply_to: set.reply_to,
                })
                .into(),
                ..UserRecord::new(UserRecordKind::Draft, 0)
            },
            _ => panic!("no own command"),
        };
        let conversation = record.conversation;
        let ack = Ack {
            nonce,
            conversation,
            sequence: 0,
            ordinal: 0,
            at: 0,
            entry: None,
            link: None,
            expires: 0,
        };
        vec![(0, self.put(record)), (request, ack.into())]
    }

    fn number(&self, number: u64, name: Option<Nonce>) -> u64 {
        name.map_or(number, |name| self.outcomes[&name].sequence)
    }

    fn command(&mut self, request: u32, frame: &ClientFrame) -> Vec<(u32, ServerFrame)> {
        let nonce = frame.nonce().unwrap();
        if let Some(mut refused) = self.refuse.pop() {
            refused.nonce = Some(nonce);
            return vec![(request, refused.into())];
        }
        if let Some(ack) = self.outcomes.get(&nonce) {
            return vec![(request, ack.clone().into())];
        }
        let after = match frame {
            ClientFrame::Send(send) => send.after,
            ClientFrame::Edit(edit) => edit.after,
            ClientFrame::Recall(recall) => recall.after,
            ClientFrame::React(react) => react.after,
            ClientFrame::Pin(pin) => pin.after,
            ClientFrame::Vote(vote) => vote.after,
            ClientFrame::SetLive(set) => set.after,
            _ => None,
        };
        if after.is_some_and(|after| !self.outcomes.contains_key(&after)) {
            let mut refused = Refused::new(Code::RetryInOrder);
            refused.nonce = Some(nonce);
            return vec![(request, refused.into())];
        }
        let me = self.me.clone();
        let target = match frame {
            ClientFrame::Edit(edit) => Some((edit.conversation, edit.target, edit.target_nonce)),
            ClientFrame::Recall(recall) => {
                Some((recall.conversation, recall.target, recall.target_nonce))
            }
            ClientFrame::React(react) => {
                Some((react.conversation, react.target, react.target_nonce))
            }
            ClientFrame::Pin(pin) => Some((pin.conversation, pin.target, pin.target_nonce)),
            _ => None,
        };
        if let Some((id, number, name)) = target {
            let number = name.map_or(number, |name| self.outcomes[&name].sequence);
            let log = &self.logs[&id];
            if log
                .state(number, log.last())
                .is_none_or(|item| item.tombstone.is_some())
            {
                let mut refused = Refused::new(Code::NotFound);
                refused.nonce = Some(nonce);
                return vec![(request, refused.into())];
            }
        }
        let (mut live, mut own) = (None, None);
        let (id, entry) = match frame {
            ClientFrame::Send(send) => {
                let id = send.conversation;
                if !self.logs.contains_key(&id) {
                    self.add(id, ConversationKind::Direct, send.peer.clone());
                }
                let mut entry = message(id, &me, "", Some(nonce));
                entry.header = Some(send.header.clone());
                entry.content = send.content.clone();
                let entry = self.log(id).append(entry);
                live = Some(entry.clone());
                (id, Some(entry))
            }
            ClientFrame::Edit(edit) => {
                let id = edit.conversation;
                let target = match edit.target_nonce {
                    Some(target) => self.outcomes[&target].sequence,
                    None => edit.target,
                };
                let mut entry = message(id, &me, "", Some(nonce));
                entry.kind = EntryKind::Edit;
                entry.header = None;
                entry.target = target;
                entry.content = edit.content.clone();
                let entry = self.log(id).append(entry);
                live = Some(entry.clone());
                (id, Some(entry))
            }
            ClientFrame::Recall(recall) => {
                let id = recall.conversation;
                let target = match recall.target_nonce {
                    Some(target) => self.outcomes[&target].sequence,
                    None => recall.target,
                };
                let entry = self.log(id).recall(&me, target);
                live = Some(entry.clone());
                (id, Some(entry))
            }
            ClientFrame::React(react) => {
                let id = react.conversation;
                let target = match react.target_nonce {
                    Some(target) => self.outcomes[&target].sequence,
                    None => react.target,
                };
                let mut entry = self.log(id).react(&me, target, &react.key, react.on);
                entry.nonce = Some(nonce);
                live = Some(entry.clone());
                (id, Some(entry))
            }
            ClientFrame::Pin(pin) => {
                let id = pin.conversation;
                let entry = self.log(id).pin(&me, pin.target, pin.on);
                live = Some(entry.clone());
                (id, Some(entry))
            }
            ClientFrame::Vote(vote) => {
                let (id, choices) = (vote.conversation, &vote.choices);
                let target = self.number(vote.target, vote.target_nonce);
                let item = self.log(id).state(target, Sequence::MAX).unwrap();
                let entry = if is_unnamed(&item) {
                    let held = self.held(UserRecordKind::Ballots, id);
                    let held = held.map(|it| decode::<Ballots>(&it.body).unwrap());
                    let before = held.map_or_else(Vec::new, |it| it.choices(target).to_vec());
                    own = Some(self.put(ballots(id, target, choices)));
                    self.log(id).ballot(target, &before, choices)
                } else {
                    let mut entry = self.log(id).vote(&me, target, choices);
                    entry.nonce = Some(nonce);
                    entry
                };
                live = Some(entry.clone());
                (id, Some(entry))
            }
            ClientFrame::SetLive(set) => {
                let id = set.conversation;
                let state = LiveState {
                    at: 0,
                    state: set.state.clone(),
                };
                let (kind, facet) = (EntryKind::Live, FacetKind::Live);
                let content = encode(&state).into();
                let entry = self.log(id).facet(&me, set.target, kind, facet, content);
                live = Some(entry.clone());
                (id, Some(entry))
            }
            ClientFrame::Read(read) => {
                let log = self.log(read.conversation);
                log.read = log.read.max(read.upto);
                (read.conversation, None)
            }
            _ => panic!("no command"),
        };
        let ack = Ack {
            nonce,
            conversation: Some(id),
            sequence: entry.as_ref().map_or(0, |e| e.sequence),
            ordinal: entry.as_ref().map_or(0, |e| e.ordinal),
            at: entry.as_ref().map_or(0, |e| e.at),
            entry: None,
            link: None,
            expires: entry.as_ref().map_or(0, Entry::ends),
        };
        self.outcomes.insert(nonce, ack.clone());
        let mut frames = vec![(request, ServerFrame::Ack(ack))];
        if let Some(live) = live {
            frames.push((0, ServerFrame::Entry(live)));
        }
        if self.live_first {
            frames.reverse();
        }
        if let Some(own) = own {
            frames.insert(0, (0, own));
        }
        frames
    }
}

fn is_unnamed(item: &Entry) -> bool {
    let kind = item.header.as_ref().unwrap().kind;
    matches!(Content::decode(kind, &item.content), Ok(Content::Poll(poll)) if poll.anonymous)
}

/// The record that says what the user chose in an anonymous poll.
pub(crate) fn ballots(id: ConversationId, poll: u64, choices: &[u32]) -> UserRecord {
    let choices = choices.to_vec();
    let ballots = Ballots {
        ballots: vec![Ballot { poll, choices }],
    };
    UserRecord {
        conversation: Some(id),
        body: encode(&ballots).into(),
        ..UserRecord::new(UserRecordKind::Ballots, 0)
    }
}
