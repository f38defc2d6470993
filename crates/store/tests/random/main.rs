//! Random operations in random batches, with restarts: every answer and the state at the end are those of a small model.
#![expect(clippy::unwrap_used, reason = "tests")]

mod model;

use bytes::Bytes;
use fireside_protocol::{
    Attribute, Code, ConversationId, ConversationKind, EntryKind, Header, LinkCode, Nonce, Role,
    Settings, UserId,
    frames::{Link, UserRecordKind},
};
use fireside_server_core::{
    facets::FacetOp,
    storage::{
        Append, Ban, Command, Effect, LinkOp, Mark, MemberOp, NewConversation, NewEntry,
        NewUserRecord, Op, Reply, SetBlock, Shape, Target,
    },
};
use fireside_store::{
    SqliteConfig, SqliteStore,
    conformance::{Harness, StoreHarness},
};
use model::{Model, blank};
use proptest::prelude::*;

/// One in so many steps is decided on a wrong version, rev or predecessor.
const WRONG: u8 = 6;

#[derive(Clone, Debug)]
enum Step {
    /// Messages; the first makes the conversation.
    Send {
        who: u8,
        to: u8,
        count: u8,
        private: bool,
        silent: bool,
        back: bool,
        wrong: u8,
        after: u8,
    },
    Change {
        who: u8,
        to: u8,
        target: u8,
        /// 0 recall, 1 edit, 2 and 3 react and take it back, 4 and 5 pin and unpin.
        what: u8,
        wrong: u8,
    },
    Member {
        who: u8,
        to: u8,
        what: u8,
        history: u8,
        alone: bool,
        wrong: u8,
    },
    Refuse {
        who: u8,
        to: u8,
        after: u8,
    },
    Mark {
        who: u8,
        to: u8,
        read: u8,
        delivered: u8,
    },
    Block {
        who: u8,
        other: u8,
        on: bool,
    },
    /// An earlier operation again.
    Repeat {
        back: u8,
    },
    /// What gathered is submitted.
    Flush,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0..4u8;
    let to = 0..4u8;
    let any8 = any::<u8>;
    let step = prop_oneof![
        8 => (who.clone(), to.clone(), 1..3u8, prop::bool::weighted(0.2), prop::bool::weighted(0.2), prop::bool::weighted(0.2), 0..WRONG, any8())
            .prop_map(|(who, to, count, private, silent, back, wrong, after)| Step::Send { who, to, count, private, silent, back, wrong, after }),
        4 => (who.clone(), to.clone(), any8(), 0..6u8, 0..WRONG)
            .prop_map(|(who, to, target, what, wrong)| Step::Change { who, to, target, what, wrong }),
        4 => (who.clone(), to.clone(), 0..7u8, any8(), any::<bool>(), 0..WRONG)
            .prop_map(|(who, to, what, history, alone, wrong)| Step::Member { who, to, what, history, alone, wrong }),
        1 => (who.clone(), to.clone(), any8()).prop_map(|(who, to, after)| Step::Refuse { who, to, after }),
        2 => (who.clone(), to, 0..9u8, 0..9u8).prop_map(|(who, to, read, delivered)| Step::Mark { who, to, read, delivered }),
        2 => (who.clone(), who, any::<bool>()).prop_map(|(who, other, on)| Step::Block { who, other, on }),
        2 => any8().prop_map(|back| Step::Repeat { back }),
        3 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..150)
}

fn user(n: u8) -> UserId {
    UserId::new(["ann", "bob", "cyd", "dan"][n as usize % 4]).unwrap()
}

/// Two direct conversations and two groups.
fn conversation(n: u8) -> ConversationId {
    match n {
        0 => ConversationId::direct(&user(0), &user(1)),
        1 => ConversationId::direct(&user(1), &user(2)),
        n => ConversationId([n; 16]),
    }
}

struct Run {
    model: Model,
    harness: StoreHarness,
    now: u64,
    made: u64,
    nonces: Vec<(UserId, Nonce)>,
    earlier: Vec<Op>,
    ops: Vec<Op>,
    expected: Vec<Reply>,
}

impl Run {
    fn command(&mut self, who: u8, after: u8) -> Command {
        self.now += 10;
        self.made += 1;
        let user = user(who);
        let own: Vec<Nonce> = self
            .nonces
            .iter()
            .filter(|(u, _)| *u == user)
            .map(|(_, n)| *n)
            .collect();
        let after = match after {
            0..=40 => Some(Nonce([after; 16])),
            41..=150 => own.get(after as usize % own.len().max(1)).copied(),
            _ => None,
        };
        let nonce = Nonce::new(
            self.now,
            self.made.to_be_bytes().repeat(2)[..10].try_into().unwrap(),
        );
        self.nonces.push((user.clone(), nonce));
        Command {
            user,
            nonce,
            after,
            now: self.now,
        }
    }

    fn entry(&self, kind: EntryKind, command: &Command) -> NewEntry {
        NewEntry {
            kind,
            sender: command.user.clone(),
            at: command.now,
            nonce: Some(command.nonce),
            header: None,
            content: Bytes::new(),
            private: false,
            audience: None,
            target: None,
            facet: None,
            keeps_revision: false,
            tombstone: None,
            member: None,
            sources: Vec::new(),
            withdraws: Vec::new(),
        }
    }

    /// An append as the model says it should be decided, or wrong.
    fn append(&self, to: u8, wrong: u8, command: Command, entries: Vec<NewEntry>) -> Append {
        let id = conversation(to);
        let found = self
            .model
            .conversations
            .get(&id)
            .map(|found| found.row.version);
        let version = match (found, wrong) {
            (Some(version), 0) => Some(version + 1),
            (None, 0) => Some(1),
            (Some(_), 1) => None,
            (found, _) => found,
        };
        let create = version.is_none().then(|| {
            let member = |n| (user(n), Role::Member);
            NewConversation {
                parent: None,
                kind: if to < 2 {
                    ConversationKind::Direct
                } else {
                    ConversationKind::Group
                },
                name: format!("conversation {to}"),
                creator: command.user.clone(),
                history_for_joiners: 0,
                members: if to < 2 {
                    vec![member(to), member(to + 1)]
                } else {
                    Vec::new()
                },
            }
        });
        Append {
            conversation: id,
            expected_version: version,
            create,
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

    fn build(&mut self, step: &Step) -> Option<Op> {
        let append = match *step {
            Step::Send {
                who,
                to,
                count,
                private,
                silent,
                back,
                wrong,
                after,
            } => {
                let command = self.command(who, after);
                let entries = (0..count).map(|n| NewEntry {
                    header: Some(Header {
                        silent,
                        mentions: if n == 1 {
                            vec![user(who + 1)]
                        } else {
                            Vec::new()
                        },
                        ..Header::text()
                    }),
                    content: Bytes::from(format!("text {}", self.made)),
                    private,
                    at: if back { command.now - 500 } else { command.now },
                    ..self.entry(EntryKind::Message, &command)
                });
                self.append(to, wrong, command.clone(), entries.collect())
            }
            Step::Change {
                who,
                to,
                target,
                what,
                wrong,
            } => {
                let found = self.model.conversations.get(&conversation(to))?;
                let number = u64::from(target) % (found.row.last + 1) + 1;
                let rev = found
                    .entries
                    .get(number as usize - 1)
                    .map_or(1, |(_, entry)| entry.body_rev());
                let command = self.command(who, 255);
                let (kind, facet) = match what {
                    0 => (EntryKind::Recall, None),
                    1 => (EntryKind::Edit, None),
                    2 | 3 => {
                        let key = ["👍", "gg"][usize::from(target % 2)].to_owned();
                        let on = what == 2;
                        (EntryKind::React, Some(FacetOp::React { key, on }))
                    }
                    _ => (EntryKind::Pin, Some(FacetOp::Pin { on: what == 4 })),
                };
                let entry = NewEntry {
                    target: Some((number, rev + u64::from(wrong == 2))),
                    content: if kind == EntryKind::Edit {
                        Bytes::from(format!("edit {}", self.made))
                    } else {
                        Bytes::new()
                    },
                    facet,
                    ..self.entry(kind, &command)
                };
                self.append(to, wrong, command, vec![entry])
            }
            Step::Member {
                who,
                to,
                what,
                history,
                alone,
                wrong,
            } => self.member(who, to, what, history, alone, wrong),
            Step::Refuse { who, to, after } => {
                let command = self.command(who, after);
                let append = self.append(to, 2, command, Vec::new());
                Append {
                    effect: Effect::Refuse(Code::Forbidden),
                    ..append
                }
            }
            Step::Mark {
                who,
                to,
                read,
                delivered,
            } => {
                self.now += 10;
                return Some(Op::Mark(vec![Mark {
                    conversation: conversation(to),
                    user: user(who),
                    read: read.into(),
                    delivered: delivered.into(),
                    at: self.now,
                }]));
            }
            Step::Block { who, other, on } => {
                if who == other {
                    return None;
                }
                return Some(Op::SetBlock(SetBlock {
                    command: self.command(who, 255),
                    other: user(other),
                    on,
                    direct: ConversationId::direct(&user(who), &user(other)),
                }));
            }
            Step::Repeat { back } => {
                let index = self.earlier.len().checked_sub(1 + back as usize)?;
                return Some(self.earlier[index].clone());
            }
            Step::Flush | Step::Reopen => return None,
        };
        Some(Op::Append(Box::new(append)))
    }

    fn member(&mut self, who: u8, to: u8, what: u8, history: u8, alone: bool, wrong: u8) -> Append {
        let command = self.command(who, 255);
        if what == 6 {
            let entry = self.entry(EntryKind::Settings, &command);
            let mut append = self.append(to, wrong, command, vec![entry]);
            append.shape = Some(Box::new(Shape {
                name: format!("name {history}"),
                history_for_joiners: history.into(),
                settings: Settings {
                    frozen: alone.then_some(true),
                    slow_mode_ms: Some(u32::from(history % 3)),
                    ..Settings::default()
                },
            }));
            let code = LinkCode([history % 8; 16]);
            let known = (self.model.conversations.get(&append.conversation))
                .is_some_and(|it| it.links.iter().any(|link| link.code == code));
            append.links = match (known, history % 5) {
                (true, 0) => vec![LinkOp::Remove(code)],
                (true, _) => vec![LinkOp::Use(code)],
                (false, _) => vec![LinkOp::Create(Link {
                    code,
                    by: append.command.user.clone(),
                    at: 7,
                    expires: history.into(),
                    uses: history.into(),
                    used: 0,
                })],
            };
            if let Effect::Entries { bumps_version, .. } = &mut append.effect {
                *bumps_version = true;
            }
            return append;
        }
        let user = user(who);
        let by = command.user.clone();
        let (kind, op) = match what {
            0 | 1 => {
                let history = if history > 200 {
                    u64::MAX
                } else {
                    u64::from(history % 8)
                };
                (
                    EntryKind::Joined,
                    MemberOp::Join {
                        user: user.clone(),
                        role: Role::Member,
                        history,
                    },
                )
            }
            2 => (EntryKind::Left, MemberOp::Leave { user: user.clone() }),
            3 if history % 3 == 1 => {
                let until = history.into();
                let user = user.clone();
                (EntryKind::Muted, MemberOp::Mute { user, until })
            }
            3 if history % 3 == 2 => (
                EntryKind::MemberSet,
                MemberOp::Profile {
                    user: user.clone(),
                    name: history.is_multiple_of(2).then(|| format!("Name {history}")),
                    attributes: (history % 4 < 3).then(|| {
                        vec![Attribute {
                            key: "level".into(),
                            value: history.to_string(),
                        }]
                    }),
                },
            ),
            4 if history % 3 == 2 => (
                EntryKind::Banned,
                MemberOp::Ban {
                    user: user.clone(),
                    ban: Ban {
                        by,
                        until: u64::from(history % 2),
                    },
                },
            ),
            5 if history % 3 == 2 => (EntryKind::Role, MemberOp::Unban { user: user.clone() }),
            3 => (
                EntryKind::Role,
                MemberOp::SetRole {
                    user: user.clone(),
                    role: Role::Admin,
                },
            ),
            4 if history % 3 == 1 => (EntryKind::Role, MemberOp::Ask { user: user.clone() }),
            5 if history % 3 == 1 => (EntryKind::Role, MemberOp::Unask { user: user.clone() }),
            5 if history % 3 == 2 => (
                EntryKind::Role,
                MemberOp::Delete {
                    user: user.clone(),
                    upto: u64::from(history % 4),
                    numbers: vec![u64::from(history % 16) + 1, u64::from(history % 7) + 1],
                },
            ),
            4 => (
                EntryKind::Role,
                MemberOp::Invite {
                    user: user.clone(),
                    by,
                },
            ),
            _ => (EntryKind::Role, MemberOp::Uninvite { user: user.clone() }),
        };
        let mut entry = self.entry(kind, &command);
        if !alone || what < 3 {
            entry.member = Some(op.clone());
        }
        let entries = if alone && what > 2 {
            Vec::new()
        } else {
            vec![entry]
        };
        let mut append = self.append(to, wrong, command, entries);
        let record = NewUserRecord {
            record: blank(UserRecordKind::Membership, Some(append.conversation)),
        };
        if let Effect::Entries {
            bumps_version,
            members,
            records,
            ..
        } = &mut append.effect
        {
            *bumps_version = true;
            if alone && what > 2 {
                members.push(op);
            }
            records.push((user, record));
        }
        append
    }

    fn step(&mut self, step: &Step) {
        if let Some(op) = self.build(step) {
            let reply = match &op {
                Op::Append(append) => Reply::Appended(self.model.append(append)),
                Op::Mark(marks) => self.model.mark(marks),
                Op::SetBlock(set) => Reply::BlockSet(self.model.block(set)),
                _ => unreachable!("no other writes are built"),
            };
            self.earlier.push(op.clone());
            self.ops.push(op);
            self.expected.push(reply);
        }
        if matches!(step, Step::Flush | Step::Reopen) {
            self.flush();
        }
        if matches!(step, Step::Reopen) {
            self.harness.reopen();
        }
    }

    fn flush(&mut self) {
        let ops = std::mem::take(&mut self.ops);
        let replies = self.harness.run(ops.clone());
        for ((op, reply), expected) in ops.iter().zip(replies).zip(self.expected.drain(..)) {
            assert_eq!(reply.unwrap(), expected, "{op:?}");
        }
    }

    fn compare(&mut self) {
        for n in 0..4 {
            let id = conversation(n);
            let load = Op::LoadConversation {
                conversation: id,
                peers: None,
            };
            assert_eq!(
                self.one(load),
                Reply::Conversation(Box::new(self.model.load(id)))
            );
            let last = self
                .model
                .conversations
                .get(&id)
                .map_or(0, |found| found.row.last);
            for number in 1..=last + 1 {
                let load = Op::LoadItem {
                    conversation: id,
                    target: Target::Number(number),
                };
                assert_eq!(
                    self.one(load),
                    Reply::Item(Box::new(self.model.item(id, number)))
                );
            }
            let who = user(n);
            let Reply::User(loaded) = self.one(Op::LoadUser(who.clone())) else {
                panic!("a user")
            };
            let mut got = loaded.conversations;
            got.sort();
            assert_eq!(got, self.model.memberships(&who));
            assert_eq!(loaded.user_sequence, self.model.end(&who));
            let log = Op::UserLog {
                user: who.clone(),
                cursor: 0,
                now: self.now,
            };
            let Reply::UserLog(page) = self.one(log) else {
                panic!("a user log")
            };
            assert_eq!(
                page.records,
                self.model.logs.get(&who).cloned().unwrap_or_default()
            );
        }
    }

    fn one(&mut self, op: Op) -> Reply {
        self.harness.run(vec![op]).remove(0).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_as_the_model(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("random.db");
        let harness = StoreHarness::new(move |sink| {
            let config = SqliteConfig { synchronous_off: true, ..SqliteConfig::new(&path) };
            Box::new(SqliteStore::open(config, sink).unwrap())
        });
        let mut run = Run {
            model: Model::default(),
            harness,
            now: 1_700_000_000_000,
            made: 0,
            nonces: Vec::new(),
            earlier: Vec::new(),
            ops: Vec::new(),
            expected: Vec::new(),
        };
        for step in &steps {
            run.step(step);
        }
        run.flush();
        run.compare();
        run.harness.reopen();
        run.compare();
    }
}
