//! Messages that end by their time.

use fireside_protocol::{
    Content, EntryKind, Header, MessageKind, Tombstone, UserId,
    codec::decode,
    content::PollContent,
    frames::{Anchor, RevisionsRequest},
};
use fireside_server_core::{
    facets::FacetOp,
    storage::{Appended, EXPIRIES_READ_MAX, Expiring, NewEntry, Op, Outcome, Reply, Target},
};

use super::{
    Check,
    world::{World, heads_request, item, message, page_request, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("what ends is found, the first to end first", found),
    ("nothing is left of what has ended", ended),
    (
        "what has ended does not count, and moves nothing up",
        counts,
    ),
    ("what was taken back does not end again", recalled),
    ("the answer says when a message ends", answered),
    (
        "a poll that closes by itself is found until it is closed",
        polls,
    ),
    ("of much that is over so many are read at once", many),
];

fn ending(sender: &UserId, text: &str, expires: u64) -> NewEntry {
    let header = Some(Header {
        expires,
        ..Header::text()
    });
    NewEntry {
        header,
        ..message(sender, text)
    }
}

fn expiring(w: &mut World, upto: u64) -> Expiring {
    match w.one(Op::Expiring { upto }) {
        Reply::Expiring(expiring) => expiring,
        other => panic!("answered with {other:?}"),
    }
}

fn put(w: &mut World, id: fireside_protocol::ConversationId, entry: NewEntry) -> u64 {
    let version = w.version(id);
    let by = entry.sender.clone();
    let append = w.add(id, version, &by, vec![entry]);
    w.done(append).entries[0].meta.sequence
}

fn end(w: &mut World, id: fireside_protocol::ConversationId, by: &UserId, target: u64) -> Appended {
    let version = w.version(id);
    let Reply::Item(found) = w.one(Op::LoadItem {
        conversation: id,
        target: Target::Number(target),
    }) else {
        panic!("no item");
    };
    let rev = found.expect("an item").entry.body_rev();
    let entry = NewEntry {
        target: Some((target, rev)),
        keeps_revision: false,
        ..item(EntryKind::Expire, by)
    };
    let append = w.add(id, version, by, vec![entry]);
    w.append(append)
}

fn found(w: &mut World) {
    let (ann, bob, cem) = (user("ann"), user("bob"), user("cem"));
    let (one, other) = (w.direct(&ann, &bob), w.direct(&ann, &cem));
    let none = Expiring::default();
    assert_eq!(expiring(w, u64::MAX >> 1), none);
    let at = w.now + 100_000;
    let late = put(w, one, ending(&ann, "late", at + 9));
    let early = put(w, other, ending(&cem, "early", at));
    let middle = put(w, one, ending(&bob, "middle", at + 5));
    w.reopen();
    let due = expiring(w, at - 1);
    assert_eq!((due.due.len(), due.next), (0, at));
    let due = expiring(w, at + 5);
    assert_eq!(due.due, [(other, early), (one, middle)]);
    assert_eq!(due.next, at + 9);
    let due = expiring(w, at + 9);
    assert_eq!(due.due, [(other, early), (one, middle), (one, late)]);
    assert_eq!(due.next, 0);
}

fn ended(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    let at = w.now + 100_000;
    let number = put(w, id, ending(&bob, "secret", at));
    let edit = w.change(id, &bob, EntryKind::Edit, number, "another secret");
    assert_eq!(edit.entries.len(), 1);
    let done = end(w, id, &bob, number);
    let Appended::Done(done) = done else {
        panic!("{done:?}")
    };
    let live: fireside_protocol::Entry = decode(&done.entries[0].body).expect("an entry");
    assert_eq!((live.kind, live.target), (EntryKind::Expire, number));
    w.reopen();
    assert_eq!(expiring(w, at + 1), Expiring::default());
    let page = w.page(&ann, page_request(id, Anchor::Range, number));
    let page = if page.items.is_empty() {
        w.page(&ann, page_request(id, Anchor::Newest, 0))
    } else {
        page
    };
    let left = page.items.iter().find(|item| item.sequence == number);
    let left = left.expect("its place stays");
    assert_eq!(left.tombstone, Some(Tombstone::Expired));
    assert!(left.content.is_empty() && left.facets.is_empty());
    assert_eq!(left.header.as_ref().map(|it| it.expires), Some(at));
    assert_eq!(left.body_rev(), live.sequence);
    // Who moderates finds nothing of it either.
    let Reply::Revisions(kept) = w.one(Op::Revisions {
        user: ann,
        request: RevisionsRequest {
            conversation: id,
            target: number,
            after: 0,
        },
    }) else {
        panic!("no revisions")
    };
    assert_eq!(kept.revisions, []);
    assert_eq!(end(w, id, &bob, number), Appended::Stale, "once");
}

fn counts(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    let at = w.now + 100_000;
    let mut numbers = Vec::new();
    for n in 0..8 {
        let mut entry = ending(&ann, "soon over", at);
        if n == 3 {
            entry.header.as_mut().expect("a header").mentions = vec![bob.clone()];
        }
        numbers.push(put(w, id, entry));
    }
    w.send(id, &ann, "stays");
    let head = |w: &mut World| {
        let heads = w.heads(&bob, heads_request());
        let head = &heads.heads[0];
        (head.unread, head.mentions, head.at)
    };
    let (unread, mentions, moved) = head(w);
    assert_eq!((unread, mentions), (9, 1));
    for (left, number) in numbers.into_iter().rev().enumerate() {
        assert!(matches!(end(w, id, &ann, number), Appended::Done(_)));
        let mention = u32::from(left < 4);
        assert_eq!(head(w), (8 - left as u32, mention, moved), "{number}");
    }
    w.reopen();
    assert_eq!(head(w), (1, 0, moved));
}

fn recalled(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let at = w.now + 100_000;
    let number = put(w, id, ending(&ann, "soon over", at));
    w.change(id, &ann, EntryKind::Recall, number, "");
    assert_eq!(expiring(w, at), Expiring::default());
    assert_eq!(end(w, id, &ann, number), Appended::Stale);
}

fn answered(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let at = w.now + 100_000;
    let version = w.version(id);
    let append = w.add(id, version, &ann, vec![ending(&ann, "soon over", at)]);
    let done = w.done(append.clone());
    let ends = |outcome: Outcome| match outcome {
        Outcome::Done { expires, .. } => expires,
        Outcome::Refused(code) => panic!("{code}"),
    };
    assert_eq!(ends(done.outcome), at);
    w.reopen();
    let again = w.append(append);
    assert!(matches!(again, Appended::Known(outcome) if ends(outcome) == at));
    let done = w.send(id, &ann, "stays");
    assert_eq!(ends(done.outcome), 0);
}

fn polls(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let at = w.now + 100_000;
    let poll = |closes, expires| {
        let content = Content::Poll(PollContent {
            question: "Where?".to_owned(),
            options: vec!["mill".to_owned(), "harbour".to_owned()],
            choices_max: 0,
            ends: closes,
            anonymous: false,
        });
        NewEntry {
            header: Some(Header {
                kind: MessageKind::Poll,
                expires,
                ..Header::text()
            }),
            content: content.encode(),
            ..message(&ann, "")
        }
    };
    let number = put(w, id, poll(at, at + 50));
    put(w, id, poll(0, 0));
    w.reopen();
    let due = expiring(w, at);
    assert_eq!((due.due, due.next), (vec![(id, number)], 0));
    let change = |w: &mut World, facet| {
        let entry = NewEntry {
            target: Some((number, number)),
            facet: Some(facet),
            ..item(EntryKind::Vote, &ann)
        };
        let version = w.version(id);
        let append = w.add(id, version, &ann, vec![entry]);
        w.done(append);
    };
    change(w, FacetOp::Vote { choices: vec![1] });
    assert_eq!(expiring(w, at).due, [(id, number)], "a vote closes nothing");
    change(w, FacetOp::ClosePoll);
    w.reopen();
    let due = expiring(w, at);
    assert_eq!((due.due.len(), due.next), (0, at + 50), "it still ends");
    assert_eq!(expiring(w, at + 50).due, [(id, number)]);
}

fn many(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let at = w.now + 10_000_000;
    let version = w.version(id);
    let entries = (0..=EXPIRIES_READ_MAX).map(|_| ending(&ann, "soon over", at));
    let append = w.add(id, version, &ann, entries.collect());
    w.done(append);
    let due = expiring(w, at);
    assert_eq!((due.due.len(), due.next), (EXPIRIES_READ_MAX, at));
}
