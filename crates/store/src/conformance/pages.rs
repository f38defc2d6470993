//! Pages: every anchor, skips, changes, reset.

use fireside_protocol::{
    EntryKind, Sequence,
    frames::{Anchor, PageRequest, Range},
    limits::{PAGE_CHANGES_MAX, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX},
};
use fireside_server_core::storage::{Appended, Op, Reply};

use super::{
    Check,
    world::{World, conversation, item, message, page_request, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("a page of every anchor", anchors),
    ("pages count items and cover numbers", counted),
    ("limits of a page", limits),
    ("who is not a member gets no page", strangers),
    ("withheld numbers are skipped", skips),
    ("changes of what is held", changes),
    ("more than 500 changes reset", reset),
    ("large items make shorter pages", large),
];

/// A group of ann's with messages up to number `last`.
fn filled(w: &mut World, last: Sequence) -> fireside_protocol::ConversationId {
    let ann = user("ann");
    let id = w.group(1, &ann, &[]);
    let appends = (2..=last).map(|n| {
        let append = w.add(id, 1, &ann, vec![message(&ann, &format!("message {n}"))]);
        Op::Append(Box::new(append))
    });
    let appends = appends.collect();
    let replies = w.run(appends);
    assert!(
        replies
            .iter()
            .all(|reply| matches!(reply, Reply::Appended(Appended::Done(_))))
    );
    id
}

fn anchors(w: &mut World) {
    let ann = user("ann");
    let id = filled(w, 100);
    let ask = |anchor, number, to| PageRequest {
        to,
        limit: 10,
        ..page_request(id, anchor, number)
    };
    // (request, what it covers)
    let cases = [
        (ask(Anchor::Newest, 0, 0), (91, 100)),
        (ask(Anchor::Before, 50, 0), (40, 49)),
        (ask(Anchor::Before, 5, 0), (1, 4)),
        (ask(Anchor::Before, 1_000, 0), (91, 100)),
        (ask(Anchor::After, 50, 0), (51, 60)),
        (ask(Anchor::After, 0, 0), (1, 10)),
        (ask(Anchor::After, 95, 0), (96, 100)),
        (ask(Anchor::Range, 20, 25), (20, 25)),
        (ask(Anchor::Range, 20, 90), (20, 29)),
        (ask(Anchor::Range, 98, 500), (98, 100)),
        (ask(Anchor::Range, 0, 3), (1, 3)),
    ];
    for (request, (first, last)) in cases {
        let seen = w.page(&ann, request.clone());
        assert_eq!(seen.covered(), (first, last), "{request:?}");
        let expected: Vec<_> = (first..=last).collect();
        assert_eq!(seen.numbers(), expected, "{request:?}");
        assert_eq!(
            (seen.page.as_of, seen.page.oldest, seen.page.reset),
            (100, 1, false)
        );
        assert!(seen.skipped().is_empty() && seen.changes.is_empty());
    }
    let around = w.page(&ann, ask(Anchor::Around, 50, 0));
    let (first, last) = around.covered();
    assert!(
        first < 50 && 50 < last && last - first + 1 == 10,
        "on both sides: {first}..{last}"
    );
    // Nothing there: nothing is covered.
    for request in [
        ask(Anchor::Before, 1, 0),
        ask(Anchor::After, 100, 0),
        ask(Anchor::After, u64::MAX, 0),
        ask(Anchor::Range, 30, 20),
        ask(Anchor::Range, 101, 200),
    ] {
        let seen = w.page(&ann, request);
        assert!(seen.covered().0 > seen.covered().1);
        assert!(seen.items.is_empty() && seen.skipped().is_empty());
    }
    let seen = w.page(&ann, ask(Anchor::Newest, 0, 0));
    assert_eq!(&seen.items[9].content[..], b"message 100");
}

fn counted(w: &mut World) {
    let ann = user("ann");
    let id = filled(w, 10);
    for _ in 0..20 {
        w.change(id, &ann, EntryKind::Edit, 10, "again");
    }
    w.send(id, &ann, "31");
    let request = PageRequest {
        limit: 3,
        ..page_request(id, Anchor::Newest, 0)
    };
    let seen = w.page(&ann, request);
    assert_eq!(seen.numbers(), [9, 10, 31], "changes take no place");
    let (first, last) = seen.covered();
    assert!(first <= 9 && last == 31, "but are covered: {first}..{last}");
    assert_eq!(seen.items[1].rev(), 30);
}

fn limits(w: &mut World) {
    let ann = user("ann");
    let id = filled(w, u64::from(PAGE_ITEMS_MAX) + 100);
    let asked = |limit| PageRequest {
        limit,
        ..page_request(id, Anchor::Newest, 0)
    };
    assert_eq!(
        w.page(&ann, asked(0)).items.len(),
        PAGE_ITEMS_DEFAULT as usize
    );
    assert_eq!(w.page(&ann, asked(7)).items.len(), 7);
    assert_eq!(
        w.page(&ann, asked(100_000)).items.len(),
        PAGE_ITEMS_MAX as usize
    );
}

fn strangers(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let ask = |w: &mut World, who: &str, id| {
        let request = page_request(id, Anchor::Newest, 0);
        w.one(Op::Page {
            user: user(who),
            request,
        })
    };
    assert!(matches!(ask(w, "bob", id), Reply::Page(_)));
    assert_eq!(ask(w, "eve", id), Reply::NotFound);
    assert_eq!(
        ask(w, "ann", conversation(5)),
        Reply::NotFound,
        "the same answer as for none"
    );
}

fn skips(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[]);
    w.send(id, &ann, "2");
    w.send(id, &ann, "3");
    w.join(id, &bob, 1);
    for n in 5..=9 {
        let mut entry = message(&ann, "x");
        entry.private = n % 2 == 1;
        let version = w.version(id);
        let append = w.add(id, version, &ann, vec![entry]);
        w.done(append);
    }
    let seen = w.page(&bob, page_request(id, Anchor::Newest, 0));
    assert_eq!(seen.covered(), (1, 9), "skips and items together are dense");
    assert_eq!(seen.numbers(), [3, 4, 6, 8]);
    assert_eq!(seen.skipped(), [(1, 2), (5, 5), (7, 7), (9, 9)]);
    assert_eq!(w.head(&bob, id).visible_from, 3);
    let seen = w.page(&ann, page_request(id, Anchor::Newest, 0));
    assert_eq!(seen.numbers(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let seen = w.page(&bob, page_request(id, Anchor::Before, 3));
    assert_eq!(seen.covered(), (1, 2));
    assert_eq!(seen.skipped(), [(1, 2)]);
}

fn changes(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    for _ in 3..=10 {
        w.send(id, &ann, "x");
    }
    // 11 changes 3, 12 changes 4, 13 changes 8, 14 changes 3 again, 15 recalls 5.
    for target in [3, 4, 8, 3] {
        w.change(id, &ann, EntryKind::Edit, target, "y");
    }
    w.change(id, &ann, EntryKind::Recall, 5, "");
    w.reopen();
    let ask = |since, held: &[(u64, u64)]| PageRequest {
        since,
        held: held
            .iter()
            .map(|(first, last)| Range {
                first: *first,
                last: *last,
            })
            .collect(),
        ..page_request(id, Anchor::After, 15)
    };
    // By rev, each item once, as it is now.
    let seen = w.page(&bob, ask(10, &[(2, 10)]));
    assert_eq!(seen.changed(), [4, 8, 3, 5]);
    let revs: Vec<_> = seen
        .changes
        .iter()
        .map(fireside_protocol::Entry::rev)
        .collect();
    assert_eq!(revs, [12, 13, 14, 15]);
    assert_eq!(&seen.changes[0].content[..], b"y");
    assert!(seen.changes[3].tombstone.is_some());
    assert!(!seen.page.reset);
    assert_eq!(
        w.page(&bob, ask(13, &[(2, 10)])).changed(),
        [3, 5],
        "after since"
    );
    assert_eq!(
        w.page(&bob, ask(10, &[(2, 3), (8, 9)])).changed(),
        [8, 3],
        "of what is held"
    );
    assert!(w.page(&bob, ask(15, &[(2, 10)])).changed().is_empty());
    assert!(
        w.page(&bob, ask(10, &[])).changed().is_empty(),
        "nothing is held"
    );
    // What the page itself brings is not told twice.
    let both = PageRequest {
        since: 10,
        held: vec![Range { first: 2, last: 10 }],
        to: 5,
        ..page_request(id, Anchor::Range, 4)
    };
    let seen = w.page(&bob, both);
    assert_eq!((seen.numbers(), seen.changed()), (vec![4, 5], vec![8, 3]));
}

fn reset(w: &mut World) {
    let ann = user("ann");
    let max = u64::from(PAGE_CHANGES_MAX);
    let id = filled(w, max + 10);
    let last = max + 10;
    let edits = (2..=max + 2).map(|n| {
        let entry = fireside_server_core::storage::NewEntry {
            target: Some((n, n)),
            ..item(EntryKind::Edit, &ann)
        };
        Op::Append(Box::new(w.add(id, 1, &ann, vec![entry])))
    });
    let edits = edits.collect();
    w.run(edits);
    let ask = |since, first| PageRequest {
        since,
        held: vec![Range { first, last }],
        ..page_request(id, Anchor::After, last)
    };
    let seen = w.page(&ann, ask(last, 3));
    assert_eq!(
        (seen.changes.len() as u64, seen.page.reset),
        (max, false),
        "exactly as many as fit"
    );
    let seen = w.page(&ann, ask(last, 1));
    assert_eq!((seen.changes.len(), seen.page.reset), (0, true), "one more");
    let seen = w.page(&ann, ask(last + 1, 1));
    assert_eq!((seen.changes.len() as u64, seen.page.reset), (max, false));
}

fn large(w: &mut World) {
    let ann = user("ann");
    let id = w.group(1, &ann, &[]);
    let text = "x".repeat(20_000);
    let appends =
        (0..80).map(|_| Op::Append(Box::new(w.add(id, 1, &ann, vec![message(&ann, &text)]))));
    let appends = appends.collect();
    w.run(appends);
    let request = |number| PageRequest {
        limit: 500,
        ..page_request(id, Anchor::After, number)
    };
    let (mut reached, mut items) = (0, 0);
    while reached < 81 {
        let seen = w.page(&ann, request(reached));
        let bytes: usize = seen.page.items.iter().map(|raw| raw.0.len()).sum();
        assert!(bytes < fireside_protocol::limits::PAGE_FRAME_BYTES_MAX);
        let (first, last) = seen.covered();
        assert_eq!(first, reached + 1, "every page goes on");
        assert_eq!(seen.items.len() as u64, last - reached);
        items += seen.items.len();
        reached = last;
    }
    assert_eq!(items, 81);
}
