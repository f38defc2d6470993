//! Edits and recalls.

use fireside_protocol::{Entry, EntryKind, Header, Tombstone, codec::decode, frames::Anchor};
use fireside_server_core::storage::{NewEntry, Target};

use super::{
    Check,
    world::{World, item, message, numbers_of, page_request, user},
};

pub(super) const CHECKS: &[Check] = &[
    (
        "an edit changes the item and is told with its content",
        edit,
    ),
    ("a recall leaves nothing but a tombstone", recall),
    ("a change knows whose item it changes", target_of_change),
    ("the newest change wins", twice),
];

fn edit(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let done = w.change(id, &ann, EntryKind::Edit, 1, "hello!");
    assert_eq!(numbers_of(&done.outcome), (2, 1, w.now));
    let live: Entry = decode(&done.entries[0].body).unwrap();
    assert_eq!(
        (live.sequence, live.target, live.kind),
        (2, 1, EntryKind::Edit)
    );
    assert_eq!(&live.content[..], b"hello!", "readers get what it says now");
    w.reopen();
    let seen = w.page(&bob, page_request(id, Anchor::Newest, 0));
    assert_eq!(seen.covered(), (1, 2));
    assert_eq!(seen.items.len(), 1, "a change has no place of its own");
    let state = &seen.items[0];
    assert_eq!(&state.content[..], b"hello!");
    assert!(state.edited);
    assert_eq!((state.sequence, state.rev(), state.ordinal), (1, 2, 1));
    assert_eq!(w.item(id, Target::Number(1)).unwrap().meta.rev, 2);
}

fn recall(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let mut new = message(&ann, "the secret word");
    new.header = Some(Header {
        mentions: vec![bob.clone()],
        mention_all: true,
        reply_to: 1,
        ..Header::text()
    });
    let append = w.add(id, 1, &ann, vec![new]);
    w.done(append);
    w.change(id, &ann, EntryKind::Edit, 2, "another secret word");
    let recall = NewEntry {
        target: Some((2, 3)),
        tombstone: Some(Tombstone::RecalledByAdmin),
        ..item(EntryKind::Recall, &ann)
    };
    let append = w.add(id, 1, &ann, vec![recall]);
    let done = w.done(append);
    let live: Entry = decode(&done.entries[0].body).unwrap();
    assert_eq!(
        (live.target, live.tombstone),
        (2, Some(Tombstone::RecalledByAdmin))
    );
    let item = w.item(id, Target::Number(2)).unwrap();
    assert_eq!(item.entry.tombstone, Some(Tombstone::RecalledByAdmin));
    assert!(item.meta.mentions.is_empty() && !item.meta.mention_all);
    assert_eq!(
        (item.meta.rev, item.meta.ordinal, item.meta.countable),
        (4, 2, true)
    );
    let request = fireside_protocol::frames::PageRequest {
        held: vec![fireside_protocol::frames::Range { first: 1, last: 3 }],
        since: 1,
        ..page_request(id, Anchor::After, 3)
    };
    let seen = w.page(&bob, request);
    let state = &seen.changes[0];
    assert!(state.content.is_empty());
    assert_eq!(state.header, Some(Header::text()));
    // Nowhere in what a reader can get is the text left.
    let seen = w.page(&ann, page_request(id, Anchor::Newest, 0));
    for raw in seen.page.items.iter().chain(&seen.page.changes) {
        assert!(!raw.0.windows(6).any(|part| part == b"secret"));
    }
}

fn target_of_change(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let hidden = NewEntry {
        private: true,
        ..message(&ann, "only mine")
    };
    let append = w.add(id, 1, &ann, vec![hidden]);
    w.done(append);
    let open = w.change(id, &ann, EntryKind::Edit, 1, "x");
    let meta = &open.entries[0].meta;
    assert_eq!(
        (meta.target, meta.target_sender.clone()),
        (1, Some(ann.clone()))
    );
    assert!(!meta.target_private && !meta.countable);
    let private = w.change(id, &ann, EntryKind::Edit, 2, "y");
    assert!(private.entries[0].meta.target_private);
    // Bob sees neither the private message nor its change, and the rest.
    let seen = w.page(&bob, page_request(id, Anchor::Newest, 0));
    assert_eq!(seen.numbers(), [1]);
    assert_eq!(seen.skipped(), [(2, 2), (4, 4)]);
    let seen = w.page(&ann, page_request(id, Anchor::Newest, 0));
    assert_eq!(seen.numbers(), [1, 2]);
    assert!(seen.skipped().is_empty());
    assert!(
        w.item(id, Target::Number(2)).unwrap().meta.private,
        "an edit does not open it"
    );
}

fn twice(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    for n in 2..12 {
        w.change(id, &ann, EntryKind::Edit, 1, &format!("version {n}"));
    }
    w.reopen();
    let seen = w.page(&bob, page_request(id, Anchor::Newest, 0));
    assert_eq!(&seen.items[0].content[..], b"version 11");
    assert_eq!(seen.items[0].rev(), 11);
    assert_eq!(seen.covered(), (1, 11));
}
