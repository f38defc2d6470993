//! Reactions and pins.

use fireside_protocol::{
    Entry, EntryKind, FacetKind, Pinned, Reactions, UserId,
    codec::decode,
    content::LinkPreview,
    frames::{Anchor, PinsRequest},
};
use fireside_server_core::{
    facets::FacetOp,
    storage::{Appended, NewEntry, Op, Reply, Target},
};

use super::{
    Check,
    world::{World, item, page_request, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("reactions are told whole and kept with the item", reactions),
    ("who reacts at once does not wait for the other", at_once),
    (
        "an edit that was decided before a reaction is not stale",
        edit_beside,
    ),
    ("a recall takes reactions and pins along", recall),
    ("pinned messages are found", pins),
    ("a reaction moves no conversation up", no_bump),
    ("an edit takes the preview of a link away", preview),
];

/// A change of a facet, decided on the body's `rev`.
fn change(by: &UserId, target: u64, body_rev: u64, op: FacetOp) -> NewEntry {
    let kind = match op {
        FacetOp::React { .. } => EntryKind::React,
        FacetOp::Pin { .. } => EntryKind::Pin,
        FacetOp::Vote { .. } | FacetOp::Ballot { .. } | FacetOp::ClosePoll => EntryKind::Vote,
        FacetOp::Live { .. } => EntryKind::Live,
        FacetOp::Thread { .. } => EntryKind::Thread,
        FacetOp::Preview { .. } => EntryKind::Preview,
    };
    NewEntry {
        target: Some((target, body_rev)),
        facet: Some(op),
        ..item(kind, by)
    }
}

fn react(by: &UserId, target: u64, key: &str, on: bool) -> NewEntry {
    let key = key.to_owned();
    change(by, target, target, FacetOp::React { key, on })
}

fn users(entry: &Entry) -> Vec<(String, Vec<String>)> {
    let state = entry.facet::<Reactions>(FacetKind::Reactions);
    let keys = state.map_or_else(Vec::new, |state| state.keys);
    let names = |users: Vec<UserId>| users.iter().map(|user| user.as_str().to_owned()).collect();
    keys.into_iter()
        .map(|one| (one.key, names(one.users)))
        .collect()
}

fn reactions(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let append = w.add(id, 1, &bob, vec![react(&bob, 1, "👍", true)]);
    let done = w.done(append);
    let live: Entry = decode(&done.entries[0].body).unwrap();
    assert_eq!(
        (live.kind, live.target, live.sequence),
        (EntryKind::React, 1, 2)
    );
    assert_eq!(users(&live), [("👍".to_owned(), vec!["bob".to_owned()])]);
    let append = w.add(id, 1, &ann, vec![react(&ann, 1, "👍", true)]);
    w.done(append);
    w.reopen();
    let seen = w.page(&ann, page_request(id, Anchor::Newest, 0));
    let state = &seen.items[0];
    let both = vec!["bob".to_owned(), "ann".to_owned()];
    assert_eq!(users(state), [("👍".to_owned(), both)]);
    assert_eq!((state.rev(), state.body_rev()), (3, 1));
    assert_eq!(&state.content[..], b"hello", "the body is as it was");
    for name in [&ann, &bob] {
        let append = w.add(id, 1, name, vec![react(name, 1, "👍", false)]);
        w.done(append);
    }
    let item = w.item(id, Target::Number(1)).unwrap();
    assert_eq!((item.meta.rev, item.entry.body_rev()), (5, 1));
    assert!(item.entry.facets[0].content.is_empty() && item.entry.facets[0].rev == 5);
}

fn at_once(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    // Both were decided before either was written.
    let one = w.add(id, 1, &ann, vec![react(&ann, 1, "gg", true)]);
    let other = w.add(id, 1, &bob, vec![react(&bob, 1, "gg", true)]);
    for reply in w.run(vec![Op::Append(Box::new(one)), Op::Append(Box::new(other))]) {
        let done = matches!(reply, Reply::Appended(Appended::Done(_)));
        assert!(done, "{reply:?}");
    }
    let seen = w.page(&bob, page_request(id, Anchor::Newest, 0));
    assert_eq!(users(&seen.items[0])[0].1, ["ann", "bob"]);
}

fn edit_beside(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let append = w.add(id, 1, &bob, vec![react(&bob, 1, "gg", true)]);
    w.done(append);
    let edit = NewEntry {
        target: Some((1, 1)),
        content: bytes::Bytes::from_static(b"hello!"),
        ..item(EntryKind::Edit, &ann)
    };
    let append = w.add(id, 1, &ann, vec![edit]);
    w.done(append);
    // And a reaction that was decided before the edit is.
    let append = w.add(id, 1, &ann, vec![react(&ann, 1, "gg", true)]);
    assert_eq!(w.append(append), Appended::Stale);
    let seen = w.page(&bob, page_request(id, Anchor::Newest, 0));
    let state = &seen.items[0];
    assert_eq!(users(state)[0].1, ["bob"]);
    assert_eq!(&state.content[..], b"hello!");
    assert_eq!((state.rev(), state.body_rev()), (3, 3));
}

fn preview(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let add = |title: &str, rev| {
        let preview = Box::new(LinkPreview {
            url: "https://a.example".to_owned(),
            title: title.to_owned(),
            description: String::new(),
            site: String::new(),
            image: String::new(),
        });
        change(&ann, 1, rev, FacetOp::Preview { preview })
    };
    let held = |w: &mut World| {
        let seen = w.page(&bob, page_request(id, Anchor::Newest, 0));
        let shown = seen.items[0].facet::<LinkPreview>(FacetKind::Preview);
        shown.map(|it| it.title)
    };
    let append = w.add(id, 1, &ann, vec![add("a page", 1)]);
    let done = w.done(append);
    let live: Entry = decode(&done.entries[0].body).unwrap();
    assert_eq!((live.kind, live.target), (EntryKind::Preview, 1));
    w.reopen();
    assert_eq!(held(w).as_deref(), Some("a page"));
    w.change(id, &ann, EntryKind::Edit, 1, "two");
    assert_eq!(held(w), None);
    // Read for what the message said before.
    let append = w.add(id, 1, &ann, vec![add("another", 1)]);
    assert_eq!(w.append(append), Appended::Stale);
    let item = w.item(id, Target::Number(1)).unwrap();
    assert_eq!((item.entry.facets.len(), item.entry.body_rev()), (0, 3));
    assert_eq!(w.head(&bob, id).unread, 1);
    let append = w.add(id, 1, &ann, vec![add("a page", 3)]);
    w.done(append);
    assert_eq!(held(w).as_deref(), Some("a page"));
    w.change(id, &ann, EntryKind::Recall, 1, "");
    assert_eq!(held(w), None);
}

fn recall(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    for entry in [
        change(&ann, 1, 1, FacetOp::Pin { on: true }),
        react(&ann, 1, "secret-id", true),
    ] {
        let append = w.add(id, 1, &ann, vec![entry]);
        w.done(append);
    }
    assert_eq!(w.item(id, Target::Number(1)).unwrap().pins, 1);
    w.change(id, &ann, EntryKind::Recall, 1, "");
    let item = w.item(id, Target::Number(1)).unwrap();
    assert_eq!((item.entry.facets.len(), item.pins), (0, 0));
    let append = w.add(id, 1, &bob, vec![react(&bob, 1, "gg", true)]);
    assert_eq!(w.append(append), Appended::Stale);
    let seen = w.page(&bob, page_request(id, Anchor::Newest, 0));
    assert_eq!(seen.items[0].facets, []);
}

fn pins(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    w.send(id, &ann, "two");
    w.send(id, &bob, "three");
    for target in [3, 1] {
        let op = FacetOp::Pin { on: true };
        let append = w.add(id, 1, &bob, vec![change(&bob, target, target, op)]);
        w.done(append);
    }
    w.reopen();
    let pinned = |w: &mut World, who: &UserId| {
        let user = who.clone();
        let request = PinsRequest {
            conversation: id,
            before: 0,
        };
        match w.one(Op::Pins { user, request }) {
            Reply::Pins(page) => {
                let entries = page
                    .items
                    .iter()
                    .map(|raw| decode::<Entry>(&raw.0).unwrap());
                entries.collect()
            }
            Reply::NotFound => Vec::new(),
            other => panic!("{other:?}"),
        }
    };
    let found = pinned(w, &ann);
    let numbers: Vec<_> = found.iter().map(|entry| entry.sequence).collect();
    assert_eq!(numbers, [3, 1]);
    let by: Pinned = found[0].facet(FacetKind::Pin).unwrap();
    assert_eq!(by.by, bob);
    assert_eq!(pinned(w, &user("eve")), []);
    let append = w.add(
        id,
        1,
        &ann,
        vec![change(&ann, 3, 3, FacetOp::Pin { on: false })],
    );
    w.done(append);
    assert_eq!(pinned(w, &bob).len(), 1);
}

fn no_bump(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let said = w.head(&bob, id).at;
    w.now += 1_000;
    let append = w.add(id, 1, &ann, vec![react(&ann, 1, "gg", true)]);
    w.done(append);
    let head = w.head(&bob, id);
    assert_eq!((head.at, head.last, head.unread), (said, 2, 1));
    let preview = head.preview.as_ref().unwrap();
    assert_eq!(preview.facets, [], "a list shows none of it");
}
