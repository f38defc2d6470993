//! The user log: one sequence, compacted by key, tombstones that expire.

use fireside_protocol::{
    ConversationId,
    frames::{HeadsRequest, UserRecord, UserRecordKind},
    limits::{USER_RECORDS_MAX, USER_TOMBSTONE_MS},
};
use fireside_server_core::storage::{Op, Reply};

use super::{
    Check,
    world::{World, conversation, heads_request, record, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("records get the user's own numbers", numbers),
    ("only the newest record of a key is kept", compaction),
    (
        "who gave an invitation is no part of its key",
        invitation_key,
    ),
    ("the log is read in pages", paging),
    ("a cursor sees what came after it", cursor),
    (
        "expired tombstones make an old cursor start over",
        tombstones,
    ),
    ("a reload of a long log comes to an end", long_reload),
    ("a sync is the user log and the heads", sync),
];

fn membership(id: ConversationId, value: u64, gone: bool, at: u64) -> UserRecord {
    UserRecord {
        value,
        gone,
        at,
        ..record(UserRecordKind::Membership, Some(id))
    }
}

fn sync(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    w.group(1, &ann, &[&bob]);
    let stamp = w.now + 1;
    w.group(2, &ann, &[&bob]);
    for since in [0, stamp] {
        let request = HeadsRequest {
            since,
            ..heads_request()
        };
        let heads = w.heads(&bob, request.clone());
        assert_eq!(heads.heads.len(), if since == 0 { 2 } else { 1 });
        for cursor in [0, 1] {
            let op = Op::Sync {
                user: bob.clone(),
                cursor,
                request: request.clone(),
                now: w.now,
            };
            let Reply::Sync(pages) = w.one(op) else {
                panic!("a sync is answered with its pages");
            };
            assert_eq!(*pages, (w.user_log(&bob, cursor), heads.clone()));
        }
    }
}

fn numbers(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[]);
    let new = vec![
        (ann.clone(), membership(id, 3, false, 7)),
        (bob.clone(), membership(id, 1, false, 7)),
        (ann.clone(), record(UserRecordKind::Rights, Some(id))),
    ];
    let done = w.records(id, new.clone());
    let got: Vec<_> = done
        .records
        .iter()
        .map(|(who, record)| (who.as_str(), record.sequence))
        .collect();
    assert_eq!(got, [("ann", 1), ("bob", 1), ("ann", 2)]);
    for ((who, told), (_, given)) in done.records.iter().zip(new) {
        let expected = UserRecord {
            sequence: told.sequence,
            ..given
        };
        assert_eq!(*told, expected);
        assert!(w.user_log(who, 0).records.contains(&expected));
    }
    w.reopen();
    let done = w.records(
        id,
        vec![(ann.clone(), membership(conversation(2), 1, false, 0))],
    );
    assert_eq!(done.records[0].1.sequence, 3);
    assert_eq!(w.load_user(&ann).user_sequence, 3);
    assert_eq!(w.load_user(&bob).user_sequence, 1);
}

fn compaction(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[]);
    let block = |other: &str| UserRecord {
        user: Some(user(other)),
        ..record(UserRecordKind::Block, None)
    };
    let records = [
        membership(id, 1, false, 0),
        membership(conversation(2), 1, false, 0),
        record(UserRecordKind::ReadMarker, Some(id)),
        block("x"),
        block("y"),
        membership(id, 2, false, 0),
        block("x"),
        membership(id, 0, true, w.now),
    ];
    w.records(
        id,
        records
            .into_iter()
            .map(|record| (bob.clone(), record))
            .collect(),
    );
    let page = w.user_log(&bob, 0);
    let got: Vec<_> = page.records.iter().map(|record| record.sequence).collect();
    assert_eq!(got, [2, 3, 5, 7, 8]);
    assert_eq!((page.cursor, page.more, page.reload), (8, false, false));
    assert!(page.records[4].gone);
}

fn invitation_key(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[]);
    let at = w.now;
    let invitation = |by: &str, gone| UserRecord {
        at,
        user: Some(user(by)),
        gone,
        name: "the group".to_owned(),
        ..record(UserRecordKind::Invitation, Some(id))
    };
    w.records(
        id,
        vec![
            (bob.clone(), invitation("ann", false)),
            (bob.clone(), invitation("cyd", true)),
        ],
    );
    let page = w.user_log(&bob, 0);
    assert_eq!(page.records.len(), 1);
    assert!(page.records[0].gone);
}

/// Memberships of as many conversations, in one append after the other.
fn fill(w: &mut World, count: u32) -> ConversationId {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[]);
    let numbers: Vec<u32> = (0..count).collect();
    for chunk in numbers.chunks(100) {
        let records = chunk.iter().map(|n| {
            let mut other = [9; 16];
            other[..4].copy_from_slice(&n.to_be_bytes());
            (bob.clone(), membership(ConversationId(other), 1, false, 0))
        });
        w.records(id, records.collect());
    }
    id
}

fn paging(w: &mut World) {
    let count = USER_RECORDS_MAX * 2 + 100;
    fill(w, count);
    let bob = user("bob");
    let (mut cursor, mut pages, mut next) = (0, 0, 1);
    loop {
        let page = w.user_log(&bob, cursor);
        assert!(!page.reload);
        assert!(page.records.len() <= USER_RECORDS_MAX as usize);
        for record in &page.records {
            assert_eq!(record.sequence, next);
            next += 1;
        }
        pages += 1;
        cursor = page.cursor;
        if !page.more {
            break;
        }
    }
    assert_eq!(
        (pages, next, cursor),
        (3, u64::from(count) + 1, u64::from(count))
    );
}

fn cursor(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[]);
    assert_eq!(w.user_log(&bob, 0).cursor, 0);
    w.records(id, vec![(bob.clone(), membership(id, 1, false, 0))]);
    let first = w.user_log(&bob, 0);
    assert_eq!((first.records.len(), first.cursor), (1, 1));
    let nothing = w.user_log(&bob, first.cursor);
    assert_eq!(
        (
            nothing.records.len(),
            nothing.cursor,
            nothing.more,
            nothing.reload
        ),
        (0, 1, false, false)
    );
    w.records(id, vec![(bob.clone(), membership(id, 2, false, 0))]);
    let second = w.user_log(&bob, first.cursor);
    assert_eq!((second.records.len(), second.cursor), (1, 2));
    assert_eq!(second.records[0].value, 2);
}

fn tombstones(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[]);
    let other = conversation(2);
    let at = w.now;
    w.records(
        id,
        vec![
            (bob.clone(), membership(id, 1, false, at)),
            (bob.clone(), membership(other, 1, false, at)),
            (bob.clone(), membership(other, 0, true, at)),
        ],
    );
    let young = w.user_log(&bob, 2);
    assert_eq!((young.reload, young.records.len()), (false, 1));
    assert!(young.records[0].gone);
    w.now = at + USER_TOMBSTONE_MS - 1;
    assert!(!w.user_log(&bob, 1).reload, "90 days");
    w.now = at + USER_TOMBSTONE_MS + 1_000;
    let old = w.user_log(&bob, 2);
    assert!(old.reload, "the cursor can not know what it missed");
    assert_eq!(
        (old.records.len(), old.cursor),
        (1, 3),
        "everything that is left"
    );
    assert!(!old.records[0].gone);
    let new = w.user_log(&bob, 3);
    assert_eq!(
        (new.reload, new.records.len()),
        (false, 0),
        "who saw the tombstone is up to date"
    );
    let fresh = w.user_log(&bob, 0);
    assert!(!fresh.reload, "who holds nothing has nothing to forget");
    assert_eq!((fresh.records.len(), fresh.cursor), (1, 3));
}

fn long_reload(w: &mut World) {
    let count = USER_RECORDS_MAX * 2 + 100;
    let id = fill(w, count);
    let bob = user("bob");
    let at = w.now;
    w.records(id, vec![(bob.clone(), membership(id, 0, true, at))]);
    w.now = at + USER_TOMBSTONE_MS + 1_000;
    let mut cursor = 5;
    let mut held = std::collections::BTreeSet::new();
    for page in 0..5 {
        let got = w.user_log(&bob, cursor);
        assert_eq!(
            got.reload,
            page == 0,
            "a reload must not start over and over"
        );
        if got.reload {
            held.clear();
        }
        held.extend(got.records.iter().map(|record| record.sequence));
        cursor = got.cursor;
        if !got.more {
            break;
        }
    }
    assert_eq!(held.len(), count as usize);
    assert_eq!(cursor, u64::from(count) + 1);
}
