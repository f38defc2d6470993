//! Exactly once: what a nonce stands for, and `after`.

use fireside_protocol::Code;
use fireside_server_core::storage::{Appended, Op, Outcome, Reply};

use super::{
    Check,
    world::{World, conversation, message, refused, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("a repeat is answered with the first outcome", repeat),
    ("a repeat in one batch", repeat_in_batch),
    ("refusals are remembered", refusals),
    ("a known nonce comes before every other check", known_first),
    ("a nonce is its user's own", own),
    ("after needs an outcome", after),
    ("after within one batch", after_in_batch),
    (
        "what was out of order leaves nothing",
        out_of_order_leaves_nothing,
    ),
];

fn appended(reply: Reply) -> Appended {
    match reply {
        Reply::Appended(appended) => appended,
        other => panic!("an append was answered with {other:?}"),
    }
}

fn repeat(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let first = w.first_message(&ann, &bob, "hello");
    let id = first.conversation;
    let outcome = w.done(first.clone()).outcome;
    assert_eq!(w.append(first.clone()), Appended::Known(outcome));
    w.send(id, &bob, "hi");
    w.reopen();
    assert_eq!(w.append(first.clone()), Appended::Known(outcome));
    w.reopen();
    assert_eq!(w.append(first), Appended::Known(outcome));
    assert_eq!(w.last(id), 2);
}

fn repeat_in_batch(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let append = Box::new(w.add(id, 1, &ann, vec![message(&ann, "x")]));
    let ops = vec![
        Op::Append(append.clone()),
        Op::Append(append.clone()),
        Op::Append(append),
    ];
    let mut replies = w.run(ops).into_iter().map(appended);
    let Some(Appended::Done(done)) = replies.next() else {
        panic!("the first is done");
    };
    assert!(replies.all(|reply| reply == Appended::Known(done.outcome)));
    assert_eq!(w.last(id), 2);
}

fn refusals(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let sent = w.add(id, 1, &ann, vec![message(&ann, "x")]);
    let refusal = refused(&sent, Code::Forbidden);
    let done = w.done(refusal);
    assert_eq!(done.outcome, Outcome::Refused(Code::Forbidden));
    assert!(done.entries.is_empty() && done.records.is_empty() && done.members.is_empty());
    let known = Appended::Known(Outcome::Refused(Code::Forbidden));
    assert_eq!(
        w.append(sent.clone()),
        known,
        "for good: the same nonce can not send any more"
    );
    assert_eq!(
        w.append(refused(&sent, Code::NotFound)),
        known,
        "the first refusal stays"
    );
    w.reopen();
    assert_eq!(w.append(sent), known);
    assert_eq!(w.last(id), 1);
    // Of a conversation that does not exist, and of one that is to be made: neither is looked at.
    let nowhere = w.add(conversation(50), 9, &ann, Vec::new());
    let done = w.done(refused(&nowhere, Code::NotFound));
    assert_eq!(done.outcome, Outcome::Refused(Code::NotFound));
    assert_eq!(w.load(conversation(50)).row, None);
    let create = w.first_message(&ann, &user("cyd"), "x");
    w.done(refused(&create, Code::Unknown(999)));
    assert_eq!(w.load(create.conversation).row, None);
    assert_eq!(
        w.append(create),
        Appended::Known(Outcome::Refused(Code::Unknown(999)))
    );
}

fn known_first(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let append = w.add(id, 1, &ann, vec![message(&ann, "x")]);
    let outcome = w.done(append.clone()).outcome;
    let known = Appended::Known(outcome);
    let mut stale = append;
    stale.expected_version = Some(99);
    assert_eq!(w.append(stale.clone()), known, "before the version");
    stale.expected_version = None;
    stale.create = w.first_message(&ann, &bob, "x").create;
    assert_eq!(w.append(stale.clone()), known, "before existence");
    stale.command.after = Some(w.nonce());
    assert_eq!(w.append(stale.clone()), known, "before its predecessor");
    assert_eq!(
        w.append(refused(&stale, Code::Forbidden)),
        known,
        "before a refusal"
    );
}

fn own(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let one = w.add(id, 1, &ann, vec![message(&ann, "x")]);
    let mut other = w.add(id, 1, &bob, vec![message(&bob, "y")]);
    other.command.nonce = one.command.nonce;
    let first = w.done(one.clone()).outcome;
    let second = w.done(other.clone()).outcome;
    assert_ne!(first, second);
    w.reopen();
    assert_eq!(w.append(one), Appended::Known(first));
    assert_eq!(w.append(other), Appended::Known(second));
}

fn after(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let first = w.add(id, 1, &ann, vec![message(&ann, "1")]);
    let mut second = w.add(id, 1, &ann, vec![message(&ann, "2")]);
    second.command.after = Some(first.command.nonce);
    assert_eq!(w.append(second.clone()), Appended::OutOfOrder);
    assert_eq!(
        w.append(refused(&second, Code::Forbidden)),
        Appended::OutOfOrder
    );
    let mut stale = second.clone();
    stale.expected_version = Some(99);
    assert_eq!(w.append(stale), Appended::OutOfOrder, "before the version");
    w.done(first);
    w.reopen();
    w.done(second);
    // A refusal is an outcome too.
    let first = w.add(id, 1, &ann, vec![message(&ann, "3")]);
    let mut second = w.add(id, 1, &ann, vec![message(&ann, "4")]);
    second.command.after = Some(first.command.nonce);
    w.done(refused(&first, Code::TextEmpty));
    w.done(second.clone());
    // Another user's nonce is not this user's predecessor.
    let mut foreign = w.add(id, 1, &bob, vec![message(&bob, "5")]);
    foreign.command.after = Some(second.command.nonce);
    assert_eq!(w.append(foreign), Appended::OutOfOrder);
}

fn after_in_batch(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let mut chain = Vec::new();
    let mut before = None;
    for _ in 0..8 {
        let mut append = w.add(id, 1, &ann, vec![message(&ann, "x")]);
        append.command.after = before.replace(append.command.nonce);
        chain.push(append);
    }
    // Without its third link the rest of the chain is out of order, all in one batch.
    let third = chain.remove(2);
    let ops = chain
        .iter()
        .map(|append| Op::Append(Box::new(append.clone())));
    let replies: Vec<_> = w.run(ops.collect()).into_iter().map(appended).collect();
    assert!(
        replies[..2]
            .iter()
            .all(|reply| matches!(reply, Appended::Done(_)))
    );
    assert!(
        replies[2..]
            .iter()
            .all(|reply| *reply == Appended::OutOfOrder)
    );
    let rest = std::iter::once(&third).chain(&chain[2..]);
    let ops = rest.map(|append| Op::Append(Box::new(append.clone())));
    let replies = w.run(ops.collect());
    assert!(
        replies
            .iter()
            .all(|reply| matches!(reply, Reply::Appended(Appended::Done(_))))
    );
    assert_eq!(w.last(id), 9);
}

fn out_of_order_leaves_nothing(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let mut first = w.first_message(&ann, &bob, "x");
    first.command.after = Some(w.nonce());
    assert_eq!(w.append(first.clone()), Appended::OutOfOrder);
    let loaded = w.load(first.conversation);
    assert!(loaded.row.is_none() && loaded.members.is_empty());
    let mut next = w.add(first.conversation, 1, &ann, vec![message(&ann, "y")]);
    next.command.after = Some(first.command.nonce);
    first.command.after = None;
    assert_eq!(
        w.append(next.clone()),
        Appended::OutOfOrder,
        "it has no outcome"
    );
    w.done(first);
    w.done(next);
}
