//! Versions and revs: what was decided on an old state is refused and leaves nothing.

use fireside_protocol::{EntryKind, Role, frames::UserRecordKind};
use fireside_server_core::storage::{
    Append, Appended, Effect, MemberOp, NewEntry, NewUserRecord, Op, Reply, Target,
};

use super::{
    Check,
    world::{World, conversation, item, message, record, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("an old version is stale", version),
    ("only the first of two creations wins", race),
    ("a conversation that is not there is stale", missing),
    ("a change of an old rev is stale", rev),
    ("what can not be changed is stale", unchangeable),
    ("what was stale leaves nothing", nothing_left),
    ("a removed member's message does not slip in", removal),
    (
        "a first message does not slip past a block",
        first_message_and_block,
    ),
];

fn version(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[]);
    let before = w.version(id);
    let old = w.add(id, before, &ann, vec![message(&ann, "x")]);
    let joined = w.join(id, &bob, 0);
    assert_eq!(joined.version, before + 1);
    assert_eq!(w.version(id), before + 1);
    assert_eq!(w.append(old.clone()), Appended::Stale);
    let early = w.add(id, before + 2, &ann, vec![message(&ann, "x")]);
    assert_eq!(w.append(early), Appended::Stale);
    let again = Append {
        expected_version: Some(before + 1),
        ..old
    };
    assert_eq!(
        w.done(again).version,
        before + 1,
        "a message does not grow it"
    );
    w.reopen();
    assert_eq!(w.version(id), before + 1);
}

fn race(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let one = w.first_message(&ann, &bob, "me first");
    let other = w.first_message(&bob, &ann, "no, me");
    let id = one.conversation;
    assert_eq!(id, other.conversation);
    let ops = vec![
        Op::Append(Box::new(one)),
        Op::Append(Box::new(other.clone())),
    ];
    let replies = w.run(ops);
    let Reply::Appended(Appended::Done(done)) = &replies[0] else {
        panic!("the first wins: {replies:?}");
    };
    assert_eq!(replies[1], Reply::Appended(Appended::Stale));
    assert_eq!(done.members.len(), 2);
    let version = done.version;
    assert_eq!(w.append(other.clone()), Appended::Stale);
    let again = Append {
        expected_version: Some(version),
        create: None,
        ..other
    };
    assert_eq!(w.done(again).entries[0].meta.sequence, 2);
}

fn missing(w: &mut World) {
    let ann = user("ann");
    let append = w.add(conversation(3), 1, &ann, vec![message(&ann, "x")]);
    assert_eq!(w.append(append), Appended::Stale);
    assert_eq!(w.load(conversation(3)).row, None);
}

fn edit(w: &mut World, id: fireside_protocol::ConversationId, target: u64, rev: u64) -> Append {
    let ann = user("ann");
    let entry = NewEntry {
        target: Some((target, rev)),
        ..item(EntryKind::Edit, &ann)
    };
    let version = w.version(id);
    w.add(id, version, &ann, vec![entry])
}

fn rev(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    // Two decided on the same state, in one batch: the first wins.
    let one = edit(w, id, 1, 1);
    let other = edit(w, id, 1, 1);
    let ops = vec![Op::Append(Box::new(one)), Op::Append(Box::new(other))];
    let replies = w.run(ops);
    assert!(matches!(&replies[0], Reply::Appended(Appended::Done(_))));
    assert_eq!(replies[1], Reply::Appended(Appended::Stale));
    assert_eq!(w.item(id, Target::Number(1)).unwrap().meta.rev, 2);
    for wrong in [0, 1, 3] {
        let append = edit(w, id, 1, wrong);
        assert_eq!(w.append(append), Appended::Stale);
    }
    w.reopen();
    let append = edit(w, id, 1, 2);
    w.done(append);
    assert_eq!(w.item(id, Target::Number(1)).unwrap().meta.rev, 3);
}

fn unchangeable(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    w.change(id, &ann, EntryKind::Edit, 1, "x");
    w.send(id, &ann, "y");
    w.change(id, &ann, EntryKind::Recall, 3, "");
    // Missing, a change, recalled, its own number.
    for (target, rev) in [(9, 9), (2, 2), (3, 4), (5, 5)] {
        let append = edit(w, id, target, rev);
        assert_eq!(w.append(append), Appended::Stale, "target {target}");
    }
    assert_eq!(w.last(id), 4);
}

fn nothing_left(w: &mut World) {
    let (ann, bob, cyd) = (user("ann"), user("bob"), user("cyd"));
    let id = w.group(1, &ann, &[&bob]);
    let before = w.load(id);
    // Its last entry is stale: nothing of the others may stay.
    let mut append = w.add(
        id,
        before.row.as_ref().unwrap().version,
        &ann,
        vec![
            message(&ann, "x"),
            NewEntry {
                member: Some(MemberOp::Join {
                    user: cyd.clone(),
                    role: Role::Member,
                    history: 0,
                }),
                ..item(EntryKind::Joined, &cyd)
            },
            NewEntry {
                target: Some((1, 99)),
                ..item(EntryKind::Edit, &ann)
            },
        ],
    );
    if let Effect::Entries {
        bumps_version,
        members,
        records,
        ..
    } = &mut append.effect
    {
        *bumps_version = true;
        members.push(MemberOp::Invite {
            user: user("dan"),
            by: ann.clone(),
        });
        let record = record(UserRecordKind::Membership, Some(id));
        records.push((cyd.clone(), NewUserRecord { record }));
    }
    let message = w.add(id, 2, &ann, vec![message(&ann, "after it")]);
    let ops = vec![
        Op::Append(Box::new(append.clone())),
        Op::Append(Box::new(message)),
    ];
    let replies = w.run(ops);
    assert_eq!(replies[0], Reply::Appended(Appended::Stale));
    let Reply::Appended(Appended::Done(done)) = &replies[1] else {
        panic!("its neighbour is not touched: {replies:?}");
    };
    assert_eq!(done.entries[0].meta.sequence, 3, "no number was used up");
    let after = w.load(id);
    assert_eq!(after.members, before.members);
    assert_eq!(after.row.unwrap().version, before.row.unwrap().version);
    assert_eq!(w.load_user(&cyd).user_sequence, 0);
    assert!(w.user_log(&cyd, 0).records.is_empty());
    // Nor its nonce.
    if let Effect::Entries { entries, .. } = &mut append.effect {
        entries.pop();
    }
    assert_eq!(w.done(append).entries.len(), 2);
}

fn removal(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    let version = w.version(id);
    let op = MemberOp::Leave { user: bob.clone() };
    let removal = w.member_append(id, &ann, EntryKind::Removed, op);
    let late = w.add(id, version, &bob, vec![message(&bob, "wait")]);
    let replies = w.run(vec![
        Op::Append(Box::new(removal)),
        Op::Append(Box::new(late)),
    ]);
    assert!(matches!(&replies[0], Reply::Appended(Appended::Done(_))));
    assert_eq!(replies[1], Reply::Appended(Appended::Stale));
    assert_eq!(w.last(id), 3);
}

fn first_message_and_block(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    w.block(&bob, &ann, true);
    for (from, to) in [(&ann, &bob), (&bob, &ann)] {
        let first = w.first_message(from, to, "decided before the block");
        assert_eq!(
            w.append(first),
            Appended::Stale,
            "there is no version to notice it by"
        );
    }
    let mut first = w.first_message(&ann, &bob, "decided after it");
    if let Effect::Entries { entries, .. } = &mut first.effect {
        entries[0].private = true;
    }
    let done = w.done(first);
    assert!(done.entries[0].meta.private);
}
