//! Blocks: versions, rights, what is read.

use fireside_protocol::{
    Code, ConversationId,
    frames::{Anchor, UserRecordKind},
    limits::BLOCKS_MAX,
};
use fireside_server_core::storage::{Op, Outcome, Reply, SetBlock};

use super::{
    Check,
    world::{World, page_request, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("a block bumps every shared conversation", bumps),
    ("a block that changes nothing bumps nothing", unchanged),
    ("a block is done once", once),
    ("blocks are loaded with their conversation", loaded),
    (
        "a blocker does not see the blocked one's messages in groups",
        hidden,
    ),
    ("blocks per user are bounded", bounded),
];

fn bumps(w: &mut World) {
    let (ann, bob, cyd) = (user("ann"), user("bob"), user("cyd"));
    let direct = w.direct(&ann, &bob);
    let both = w.group(1, &ann, &[&bob]);
    let also = w.group(2, &cyd, &[&bob, &ann]);
    let not = w.group(3, &ann, &[&cyd]);
    let ids = [direct, both, also, not];
    let before = ids.map(|id| w.version(id));
    let set = w.block(&ann, &bob, true);
    assert_eq!(
        set.outcome,
        Outcome::Done {
            conversation: None,
            sequence: 0,
            ordinal: 0,
            at: w.now,
            expires: 0,
        }
    );
    let mut bumped = set.bumped.clone();
    bumped.sort();
    let mut expected = vec![
        (direct, before[0] + 1),
        (both, before[1] + 1),
        (also, before[2] + 1),
    ];
    expected.sort();
    assert_eq!(bumped, expected);
    w.reopen();
    let after = ids.map(|id| w.version(id));
    assert_eq!(
        after,
        [before[0] + 1, before[1] + 1, before[2] + 1, before[3]]
    );
    // Records: the block, and the rights in both groups, for the blocker alone.
    assert!(set.records.iter().all(|(who, _)| *who == ann));
    let block = &set.records[0].1;
    assert_eq!(
        (block.kind, block.user.as_ref(), block.gone),
        (UserRecordKind::Block, Some(&bob), false)
    );
    let mut rights: Vec<_> = set.records[1..]
        .iter()
        .map(|(_, record)| (record.kind, record.conversation, record.value))
        .collect();
    rights.sort_by_key(|(_, id, _)| *id);
    let mut expected = vec![
        (UserRecordKind::Rights, Some(both), 1),
        (UserRecordKind::Rights, Some(also), 1),
    ];
    expected.sort_by_key(|(_, id, _)| *id);
    assert_eq!(rights, expected);
    assert_eq!(w.member(both, &ann).rights, 1);
    assert_eq!(w.member(both, &bob).rights, 0);
    assert_eq!(
        w.member(direct, &ann).rights,
        0,
        "in direct ones the entries say it"
    );
    let log = w.user_log(&ann, 0);
    assert_eq!(log.records.len(), 3);
    assert_eq!(
        w.load_user(&bob).user_sequence,
        0,
        "the blocked one learns nothing"
    );
    let set = w.block(&ann, &bob, false);
    let block = &set.records[0].1;
    assert_eq!((block.kind, block.gone), (UserRecordKind::Block, true));
    assert_eq!(w.member(both, &ann).rights, 2);
    assert_eq!(w.version(direct), before[0] + 2);
}

fn unchanged(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let set = w.block(&ann, &bob, false);
    assert!(set.bumped.is_empty() && set.records.is_empty());
    assert!(matches!(set.outcome, Outcome::Done { .. }));
    w.block(&ann, &bob, true);
    let version = w.version(id);
    let set = w.block(&ann, &bob, true);
    assert!(set.bumped.is_empty() && set.records.is_empty());
    assert_eq!(w.version(id), version);
}

fn once(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let set = SetBlock {
        command: w.command(&ann),
        other: bob.clone(),
        on: true,
        direct: id,
    };
    let first = w.set_block(set.clone());
    w.block(&ann, &bob, false);
    let version = w.version(id);
    w.reopen();
    let again = w.set_block(set);
    assert_eq!(again.outcome, first.outcome);
    assert!(again.bumped.is_empty() && again.records.is_empty());
    assert_eq!(w.version(id), version);
    assert!(
        w.load(id).blocks.is_empty(),
        "the repeat of an old command does not block again"
    );
}

fn loaded(w: &mut World) {
    let (ann, bob, cyd) = (user("ann"), user("bob"), user("cyd"));
    let id = w.group(1, &ann, &[&bob]);
    w.block(&bob, &ann, true);
    w.block(&bob, &cyd, true);
    assert_eq!(
        w.load(id).blocks,
        [(bob.clone(), ann.clone())],
        "among its members only"
    );
    let none = ConversationId::direct(&bob, &cyd);
    let peers = |one: &fireside_protocol::UserId, other: &fireside_protocol::UserId| {
        Some((one.clone(), other.clone()))
    };
    for peers in [peers(&bob, &cyd), peers(&cyd, &bob)] {
        let got = w.load_between(none, peers);
        assert_eq!(got.row, None);
        assert_eq!(got.blocks, [(bob.clone(), cyd.clone())]);
    }
    w.block(&cyd, &bob, true);
    let mut got = w.load_between(none, peers(&cyd, &bob)).blocks;
    got.sort();
    assert_eq!(
        got,
        [(bob.clone(), cyd.clone()), (cyd.clone(), bob.clone())]
    );
    // Told once, though they are members and peers.
    let direct = w.direct_after_block(&ann, &bob);
    assert_eq!(
        w.load_between(direct, peers(&ann, &bob)).blocks,
        [(bob, ann)]
    );
}

fn hidden(w: &mut World) {
    let (ann, bob, cyd) = (user("ann"), user("bob"), user("cyd"));
    let id = w.group(1, &ann, &[&bob, &cyd]);
    w.send(id, &bob, "4");
    w.send(id, &cyd, "5");
    w.block(&ann, &bob, true);
    w.send(id, &bob, "6");
    let all = page_request(id, Anchor::Newest, 0);
    let seen = w.page(&ann, all.clone());
    assert_eq!(
        seen.numbers(),
        [1, 2, 3, 5],
        "old ones included, system items not"
    );
    assert_eq!(seen.skipped(), [(4, 4), (6, 6)]);
    assert_eq!(w.page(&cyd, all.clone()).numbers(), [3, 4, 5, 6]);
    assert_eq!(w.page(&bob, all.clone()).numbers(), [2, 3, 4, 5, 6]);
    w.block(&ann, &bob, false);
    assert_eq!(
        w.page(&ann, all).numbers(),
        [1, 2, 3, 4, 5, 6],
        "while it lasts"
    );
}

fn bounded(w: &mut World) {
    let ann = user("ann");
    let ops = (0..=BLOCKS_MAX).map(|n| {
        let other = user(&format!("pest-{n}"));
        Op::SetBlock(SetBlock {
            command: w.command(&ann),
            direct: ConversationId::direct(&ann, &other),
            other,
            on: true,
        })
    });
    let ops: Vec<_> = ops.collect();
    let last = ops.last().cloned();
    let refused: Vec<_> = w
        .run(ops)
        .into_iter()
        .enumerate()
        .filter(|(_, reply)| !matches!(reply, Reply::BlockSet(set) if matches!(set.outcome, Outcome::Done { .. })))
        .collect();
    assert_eq!(refused.len(), 1);
    let (index, Reply::BlockSet(set)) = &refused[0] else {
        panic!("not answered as a block: {refused:?}");
    };
    assert_eq!(
        (*index, set.outcome),
        (BLOCKS_MAX, Outcome::Refused(Code::LimitReached))
    );
    assert!(set.bumped.is_empty() && set.records.is_empty());
    // For good: also when there is room again.
    w.block(&ann, &user("pest-0"), false);
    let Some(Op::SetBlock(last)) = last else {
        panic!("the last one");
    };
    let again = w.set_block(SetBlock { ..last });
    assert_eq!(again.outcome, Outcome::Refused(Code::LimitReached));
}
