//! Pages and heads against the plainest reading of the rules, on random logs.

use std::collections::HashSet;

use fireside_protocol::{
    ConversationId, ConversationKind, Entry, EntryKind, Header, Nonce, Role, Sequence, UserId,
    decode,
    frames::{HeadsRequest, PageRequest, Range},
};
use fireside_server_core::{
    log,
    rights::{EntryMeta, Reader, visible},
    storage::{
        Append, Appended, Command, Effect, LogReader, MemberOp, NewConversation, NewEntry, Op,
        Reply, SetBlock,
    },
};

use crate::{database::Database, world::user};

/// A small generator of numbers, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// A group with a random life, and what its store holds of it.
struct Life {
    chance: Chance,
    database: Database,
    id: ConversationId,
    version: Option<u64>,
    commands: u64,
}

const USERS: [&str; 4] = ["ann", "bob", "cid", "dee"];

impl Life {
    fn new(seed: u64) -> Self {
        let mut this = Self {
            chance: Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            database: Database::default(),
            id: ConversationId([7; 16]),
            version: None,
            commands: 0,
        };
        let joined = MemberOp::Join {
            user: user("ann"),
            role: Role::Owner,
            history: 0,
        };
        let create = NewConversation {
            kind: ConversationKind::Group,
            parent: None,
            name: "Raid".into(),
            creator: user("ann"),
            history_for_joiners: 0,
            members: Vec::new(),
        };
        this.append("ann", EntryKind::Created, Some(joined), None, Some(create));
        for _ in 0..this.chance.below(120) {
            this.step();
        }
        this
    }

    fn command(&mut self, name: &str) -> Command {
        self.commands += 1;
        let mut nonce = [0; 16];
        nonce[8..].copy_from_slice(&self.commands.to_be_bytes());
        Command {
            user: user(name),
            nonce: Nonce(nonce),
            after: None,
            now: 1_000 + self.commands * 10,
        }
    }

    fn append(
        &mut self,
        name: &str,
        kind: EntryKind,
        member: Option<MemberOp>,
        target: Option<(Sequence, u64)>,
        create: Option<NewConversation>,
    ) {
        let command = self.command(name);
        let is_message = kind == EntryKind::Message;
        let entry = NewEntry {
            kind,
            sender: user(name),
            at: command.now,
            nonce: Some(command.nonce),
            header: is_message.then(|| Header {
                silent: self.chance.below(5) == 0,
                mentions: if self.chance.below(4) == 0 {
                    vec![user("bob")]
                } else {
                    Vec::new()
                },
                ..Header::text()
            }),
            content: vec![b'x'; self.chance.below(40) as usize].into(),
            private: false,
            audience: None,
            target,
            facet: None,
            keeps_revision: false,
            tombstone: None,
            member,
            sources: Vec::new(),
            withdraws: Vec::new(),
        };
        let append = Append {
            conversation: self.id,
            expected_version: self.version,
            shape: None,
            child: None,
            create,
            command,
            effect: Effect::Entries {
                bumps_version: entry.member.is_some(),
                entries: vec![entry],
                members: Vec::new(),
                records: Vec::new(),
            },
            links: Vec::new(),
        };
        match self.database.carry_out(Op::Append(Box::new(append))) {
            Ok(Reply::Appended(Appended::Done(done))) => self.version = Some(done.version),
            other => panic!("{other:?}"),
        }
    }

    fn step(&mut self) {
        let name = USERS[self.chance.below(4) as usize];
        let member = self.database.member(self.id, &user(name)).unwrap();
        let is_in = member.is_some_and(|it| it.role.is_some());
        match self.chance.below(12) {
            0 if is_in && name != "ann" => {
                let op = MemberOp::Leave { user: user(name) };
                self.append(name, EntryKind::Left, Some(op), None, None);
            }
            0 | 1 if !is_in => {
                let op = MemberOp::Join {
                    user: user(name),
                    role: Role::Member,
                    history: [0, 3, u64::MAX][self.chance.below(3) as usize],
                };
                self.append(name, EntryKind::Joined, Some(op), None, None);
            }
            2 => {
                let other = USERS[self.chance.below(4) as usize];
                let block = SetBlock {
                    command: self.command(name),
                    other: user(other),
                    on: self.chance.below(2) == 0,
                    direct: ConversationId::default(),
                };
                let Ok(Reply::BlockSet(set)) = self.database.carry_out(Op::SetBlock(block)) else {
                    panic!("no block");
                };
                for (id, version) in set.bumped {
                    if id == self.id {
                        self.version = Some(version);
                    }
                }
            }
            3..=5 if is_in => {
                let entries = self.database.entries(self.id);
                let at = self.chance.below(entries.len() as u64) as usize;
                let (item, meta) = &entries[at];
                if item.kind == EntryKind::Message {
                    let target = Some((meta.sequence, item.body_rev()));
                    self.append(name, EntryKind::Edit, None, target, None);
                }
            }
            6 if is_in => {
                // An item that comes along with it: the append takes one.
                let last = self.database.entries(self.id).len() as u64;
                let op = MemberOp::Delete {
                    user: user(name),
                    upto: self.chance.below(2) * self.chance.below(last / 2 + 1),
                    numbers: vec![1 + self.chance.below(last), 1 + self.chance.below(last)],
                };
                self.append(name, EntryKind::Role, Some(op), None, None);
            }
            _ if is_in => self.append(name, EntryKind::Message, None, None, None),
            _ => {}
        }
    }

    fn reader(&mut self, who: &UserId) -> Option<Reader> {
        let member = self.database.member(self.id, who).unwrap()?;
        member.role?;
        Some(Reader {
            user: who.clone(),
            intervals: member.intervals,
            blocked: self.database.blocked(who).unwrap(),
            deleted: member.deleted,
        })
    }

    /// A random request, and what it says the device holds.
    fn request(&mut self, last: Sequence) -> PageRequest {
        let held = (0..self.chance.below(3))
            .map(|_| {
                let first = 1 + self.chance.below(last + 2);
                let last = first + self.chance.below(20);
                Range { first, last }
            })
            .collect();
        PageRequest {
            conversation: self.id,
            anchor: self.chance.below(6) as u16,
            number: self.chance.below(last + 3),
            to: self.chance.below(last + 3),
            limit: [0, 1, 2, 7, 500][self.chance.below(5) as usize],
            since: self.chance.below(last + 1),
            held,
        }
    }
}

fn numbers(ranges: &[Range]) -> HashSet<Sequence> {
    ranges.iter().flat_map(|it| it.first..=it.last).collect()
}

fn decoded(raws: &[fireside_protocol::Raw]) -> Vec<Entry> {
    raws.iter().map(|raw| decode(&raw.0).unwrap()).collect()
}

/// What `first..=last` should hold: items and withheld numbers.
fn plain(
    log: &[(Entry, EntryMeta)],
    reader: &Reader,
    range: std::ops::RangeInclusive<Sequence>,
) -> (Vec<Entry>, HashSet<Sequence>) {
    let here = log
        .iter()
        .filter(|(entry, _)| range.contains(&entry.sequence));
    let (seen, hidden): (Vec<_>, Vec<_>) = here.partition(|(_, meta)| visible(meta, reader));
    let items = seen
        .into_iter()
        .filter(|(entry, _)| !entry.kind.is_change());
    (
        items.map(|(entry, _)| entry.clone()).collect(),
        hidden
            .into_iter()
            .map(|(entry, _)| entry.sequence)
            .collect(),
    )
}

#[test]
fn pages_are_what_the_rules_say() {
    let (mut pages, mut skips, mut changes) = (0, 0, 0);
    for seed in 1..150 {
        let mut life = Life::new(seed);
        let log_entries = life.database.entries(life.id);
        let last = log_entries.len() as u64;
        for name in USERS {
            let who = user(name);
            let reader = life.reader(&who);
            for _ in 0..12 {
                let request = life.request(last);
                let page = log::page(&mut life.database, &who, &request).unwrap();
                let (Some(reader), Some(page)) = (&reader, &page) else {
                    assert_eq!(reader.is_some(), page.is_some(), "members only");
                    continue;
                };
                pages += 1;
                let said = format!("seed {seed} {name} {request:?}\n{page:?}");
                let (items, hidden) = plain(&log_entries, reader, page.first..=page.last);
                assert_eq!(decoded(&page.items), items, "{said}");
                assert_eq!(numbers(&page.skips), hidden, "{said}");
                assert_eq!(page.as_of, last);
                let limit = if request.limit == 0 {
                    50
                } else {
                    request.limit
                };
                assert!(page.items.len() <= limit as usize, "{said}");
                let empty = page.first > page.last;
                match request.anchor {
                    1 => assert!(
                        empty || page.last == (request.number - 1).min(last),
                        "{said}"
                    ),
                    2 if request.number < last => {
                        assert_eq!(page.first, request.number + 1, "{said}");
                    }
                    3 if !empty => {
                        assert_eq!(page.first, request.number.max(1), "{said}");
                        assert!(page.last <= request.to.min(last), "{said}");
                    }
                    0 | 5 => assert_eq!(page.last, last, "{said}"),
                    _ => {}
                }
                // Whole unless the limit was reached.
                if page.items.len() < limit as usize && request.anchor == 0 {
                    assert_eq!(page.first, 1, "{said}");
                }
                let held = numbers(&request.held);
                let mut wanted: Vec<(u64, Entry)> = log_entries
                    .iter()
                    .filter(|(entry, meta)| {
                        let number = entry.sequence;
                        meta.rev > request.since
                            && meta.rev > number
                            && held.contains(&number)
                            && !(page.first..=page.last).contains(&number)
                            && visible(meta, reader)
                    })
                    .map(|(entry, meta)| (meta.rev, entry.clone()))
                    .collect();
                wanted.sort_by_key(|(rev, _)| *rev);
                let wanted: Vec<Entry> = wanted.into_iter().map(|(_, entry)| entry).collect();
                assert_eq!(decoded(&page.changes), wanted, "{said}");
                assert!(!page.reset);
                skips += hidden.len();
                changes += wanted.len();
            }
        }
    }
    assert!(
        pages > 2_000 && skips > 1_000 && changes > 200,
        "{pages} {skips} {changes}"
    );
}

#[test]
fn heads_are_what_the_rules_say() {
    let mut checked = 0;
    for seed in 1..300 {
        let mut life = Life::new(seed);
        let entries = life.database.entries(life.id);
        for name in USERS {
            let who = user(name);
            let request = HeadsRequest {
                since: 0,
                before_at: 0,
                before: None,
                limit: 0,
                only: Vec::new(),
            };
            let page = log::heads(&mut life.database, &who, &request, &[]).unwrap();
            let Some(reader) = life.reader(&who) else {
                assert!(page.heads.is_empty(), "members only");
                continue;
            };
            let head = &page.heads[0];
            let seen: Vec<_> = entries
                .iter()
                .filter(|(_, meta)| visible(meta, &reader))
                .collect();
            let messages: Vec<_> = seen
                .iter()
                .filter(|(_, meta)| meta.kind == EntryKind::Message)
                .collect();
            assert_eq!(head.last, entries.len() as u64);
            assert_eq!(head.ordinal, entries.last().unwrap().1.ordinal);
            assert_eq!(
                head.at,
                seen.last().map_or(0, |(entry, _)| entry.at),
                "seed {seed} {name}"
            );
            assert_eq!(
                head.preview,
                messages.last().map(|(entry, _)| entry.clone())
            );
            // Whoever wrote has read what is above, also if they deleted their own words.
            let is_own = |meta: &EntryMeta| meta.kind == EntryKind::Message && meta.sender == who;
            let own = entries.iter().rfind(|(_, meta)| is_own(meta));
            let marker = own.map_or(0, |(entry, _)| entry.sequence);
            let unread: Vec<_> = messages
                .iter()
                .filter(|(entry, meta)| entry.sequence > marker && meta.countable)
                .collect();
            assert_eq!(head.unread as usize, unread.len(), "seed {seed} {name}");
            let mentions = unread
                .iter()
                .filter(|(_, meta)| meta.mentions.contains(&who));
            assert_eq!(head.mentions as usize, mentions.count());
            checked += 1;
        }
    }
    assert!(checked > 500, "{checked}");
}

#[test]
fn pages_of_heads_join_without_a_seam() {
    let mut database = Database::default();
    for place in 0..40u8 {
        let command = Command {
            user: user("ann"),
            nonce: Nonce([place; 16]),
            after: None,
            // Some at the same time.
            now: 1_000 + u64::from(place / 3),
        };
        let members = vec![(user("ann"), Role::Member), (user("bob"), Role::Member)];
        let append = Append {
            conversation: ConversationId([place.wrapping_mul(37); 16]),
            expected_version: None,
            shape: None,
            child: None,
            create: Some(NewConversation {
                kind: ConversationKind::Direct,
                parent: None,
                name: String::new(),
                creator: user("ann"),
                history_for_joiners: 0,
                members,
            }),
            effect: Effect::Entries {
                entries: vec![NewEntry {
                    kind: EntryKind::Message,
                    sender: user("ann"),
                    at: command.now,
                    nonce: Some(command.nonce),
                    header: Some(Header::text()),
                    content: b"x".as_slice().into(),
                    private: false,
                    audience: None,
                    target: None,
                    facet: None,
                    keeps_revision: false,
                    tombstone: None,
                    member: None,
                    sources: Vec::new(),
                    withdraws: Vec::new(),
                }],
                bumps_version: false,
                members: Vec::new(),
                records: Vec::new(),
            },
            command,
            links: Vec::new(),
        };
        database.carry_out(Op::Append(Box::new(append))).unwrap();
    }
    let mut request = HeadsRequest {
        since: 1_003,
        before_at: 0,
        before: None,
        limit: 7,
        only: Vec::new(),
    };
    let mut all = Vec::new();
    loop {
        let page = log::heads(&mut database, &user("bob"), &request, &[]).unwrap();
        all.extend(page.heads.iter().map(|head| (head.at, head.conversation)));
        let Some(last) = page.heads.last().filter(|_| page.more) else {
            break;
        };
        request.before_at = last.at;
        request.before = Some(last.conversation);
    }
    assert_eq!(all.len(), 40 - 9, "without those before the stamp");
    assert!(
        all.windows(2).all(|pair| pair[0] > pair[1]),
        "newest first, none twice"
    );
}
