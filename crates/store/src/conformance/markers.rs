//! Read and delivered markers.

use fireside_protocol::frames::UserRecordKind;
use fireside_server_core::storage::Mark;

use super::{
    Check,
    world::{World, conversation, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("markers only move forward", forward),
    ("a read marker makes one record, the newest", records),
    ("marks of who is not there change nothing", foreign),
];

fn mark(
    w: &World,
    id: fireside_protocol::ConversationId,
    who: &str,
    read: u64,
    delivered: u64,
) -> Mark {
    Mark {
        conversation: id,
        user: user(who),
        read,
        delivered,
        at: w.now,
    }
}

fn forward(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    // (mark, then the markers)
    let steps = [
        ((0, 3), (0, 3)),
        ((2, 0), (2, 3)),
        ((1, 1), (2, 3)),
        ((0, 0), (2, 3)),
        ((5, 2), (5, 3)),
        ((4, 9), (5, 9)),
    ];
    for ((read, delivered), expected) in steps {
        let mark = mark(w, id, "bob", read, delivered);
        let grew = read > w.member(id, &bob).read;
        let records = w.mark(vec![mark]);
        assert_eq!(records.len(), usize::from(grew));
        let row = w.member(id, &bob);
        assert_eq!((row.read, row.delivered), expected);
    }
    w.reopen();
    let row = w.member(id, &bob);
    assert_eq!((row.read, row.delivered), (5, 9));
    let row = w.member(id, &ann);
    assert_eq!((row.read, row.delivered), (0, 0));
}

fn records(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let other = w.group(1, &bob, &[]);
    // Several in one operation.
    let marks = vec![
        mark(w, id, "bob", 1, 0),
        mark(w, other, "bob", 1, 0),
        mark(w, id, "bob", 1, 1),
        mark(w, id, "bob", 3, 0),
    ];
    let told = w.mark(marks);
    let got: Vec<_> = told
        .iter()
        .map(|(who, record)| {
            (
                who.as_str(),
                record.sequence,
                record.conversation,
                record.value,
            )
        })
        .collect();
    assert_eq!(
        got,
        [
            ("bob", 1, Some(id), 1),
            ("bob", 2, Some(other), 1),
            ("bob", 3, Some(id), 3)
        ]
    );
    assert!(
        told.iter()
            .all(|(_, record)| record.kind == UserRecordKind::ReadMarker && record.at == w.now)
    );
    let log = w.user_log(&bob, 0);
    assert_eq!(
        log.records,
        [told[1].1.clone(), told[2].1.clone()],
        "one of each conversation"
    );
    assert_eq!(w.load_user(&bob).user_sequence, 3);
}

fn foreign(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let marks = vec![
        mark(w, id, "stranger", 1, 1),
        mark(w, conversation(66), "bob", 1, 1),
        mark(w, id, "bob", 1, 1),
    ];
    let told = w.mark(marks);
    assert_eq!(told.len(), 1);
    assert_eq!(w.load(id).members.len(), 2);
    assert_eq!(w.load_user(&user("stranger")).user_sequence, 0);
    assert!(w.mark(Vec::new()).is_empty());
}
