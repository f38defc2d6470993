//! What is copied from where, and what an admin's recall does to it.

use bytes::Bytes;
use fireside_protocol::{
    Code, Content, ConversationId, Entry, EntryKind, Header, MessageKind, TextContent, Tombstone,
    UserId,
    content::{Copied, Forwarded, MergedContent},
    decode,
    frames::{Anchor, UserRecordKind},
};
use fireside_server_core::{
    forward::Original,
    own::{OwnChange, SetOwn},
    storage::{Appended, Expiring, NewEntry, Op, Reply, Source},
};

use super::{
    Check,
    world::{World, item, message, page_request, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("what is forwarded is read as its reader sees it", read),
    ("what is gone or ends is not forwarded", gone),
    ("a copy of what changed meanwhile is stale", stale),
    ("an admin's recall marks the copies, also of copies", marks),
    ("a copy that is taken out is not marked any more", taken_out),
    ("what is over is not marked", over),
    ("a forward leaves the draft", draft),
];

fn text(text: &str) -> Bytes {
    Content::Text(TextContent::plain(text)).encode()
}

fn say(w: &mut World, id: ConversationId, by: &UserId, said: &str) -> u64 {
    let entry = NewEntry {
        content: text(said),
        ..message(by, "")
    };
    let version = w.version(id);
    let append = w.add(id, version, by, vec![entry]);
    w.done(append).entries[0].meta.sequence
}

fn originals(
    w: &mut World,
    user: &UserId,
    id: ConversationId,
    numbers: &[u64],
) -> Result<Vec<Original>, Code> {
    let op = Op::Originals {
        user: user.clone(),
        conversation: id,
        numbers: numbers.to_vec(),
    };
    match w.one(op) {
        Reply::Originals(found) => found,
        other => panic!("answered with {other:?}"),
    }
}

/// Forwards what was read, all of it in one message.
fn forward(
    w: &mut World,
    by: &UserId,
    from: ConversationId,
    to: ConversationId,
    read: &[Original],
) -> Appended {
    let copies = read.iter().map(|one| Copied {
        from: one.from.clone(),
        kind: one.kind,
        content: one.content.clone(),
        gone: false,
    });
    let content = Content::Merged(MergedContent {
        title: String::new(),
        copies: copies.collect(),
    });
    let mut sources = Vec::new();
    for (place, one) in (0..).zip(read) {
        let own = [(from, one.sequence, Some(one.rev))];
        let roots = one.sources.iter().map(|(id, n)| (*id, *n, None));
        for (conversation, sequence, rev) in own.into_iter().chain(roots) {
            sources.push(Source {
                place,
                conversation,
                sequence,
                rev,
            });
        }
    }
    let entry = NewEntry {
        header: Some(Header {
            kind: MessageKind::Merged,
            ..Header::text()
        }),
        content: content.encode(),
        sources,
        ..item(EntryKind::Message, by)
    };
    let version = w.version(to);
    let append = w.add(to, version, by, vec![entry]);
    w.append(append)
}

fn forwarded(appended: Appended) -> u64 {
    match appended {
        Appended::Done(done) => done.entries[0].meta.sequence,
        other => panic!("{other:?}"),
    }
}

fn withdrawn(w: &mut World) -> Vec<(ConversationId, u64, Vec<u32>)> {
    match w.one(Op::Expiring { upto: 0 }) {
        Reply::Expiring(Expiring { withdrawn, .. }) => withdrawn,
        other => panic!("answered with {other:?}"),
    }
}

fn recall(w: &mut World, id: ConversationId, by: &UserId, target: u64, tombstone: Tombstone) {
    let entry = NewEntry {
        target: Some((target, target)),
        tombstone: Some(tombstone),
        ..item(EntryKind::Recall, by)
    };
    let version = w.version(id);
    let append = w.add(id, version, by, vec![entry]);
    w.done(append);
}

/// Ann's group with bob, and bob's with cem.
fn places(w: &mut World) -> (ConversationId, ConversationId) {
    let (ann, bob, cem) = (user("ann"), user("bob"), user("cem"));
    (w.group(1, &ann, &[&bob]), w.group(2, &bob, &[&cem]))
}

fn read(w: &mut World) {
    let (ann, bob, cem) = (user("ann"), user("bob"), user("cem"));
    w.put_device(&ann, 1, "Ann the Bold");
    let (from, to) = places(w);
    let number = say(w, from, &ann, "to the mill");
    w.reopen();
    let found = originals(w, &bob, from, &[number]).expect("bob sees it");
    let [one] = found.as_slice() else {
        panic!("{found:?}")
    };
    let at = one.from.at;
    let from_ann = Forwarded {
        user: ann.clone(),
        name: "Ann the Bold".to_owned(),
        at,
    };
    assert_eq!(
        (&one.from, one.sequence, one.rev),
        (&from_ann, number, number)
    );
    assert_eq!(
        (one.kind, &one.content),
        (MessageKind::Text, &text("to the mill"))
    );
    assert_eq!(one.sources, []);
    let copy = forwarded(forward(w, &bob, from, to, &found));
    let again = originals(w, &cem, to, &[copy]).expect("cem sees it");
    assert_eq!(again[0].sources, [(from, number)]);
    assert_eq!(
        originals(w, &cem, from, &[number]),
        Err(Code::NotFound),
        "no member"
    );
    assert_eq!(
        originals(w, &bob, from, &[1]),
        Err(Code::NotFound),
        "no message"
    );
    assert_eq!(
        originals(w, &bob, from, &[number, 900]),
        Err(Code::NotFound)
    );
}

fn gone(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let (from, _) = places(w);
    let number = say(w, from, &ann, "to the mill");
    recall(w, from, &ann, number, Tombstone::Recalled);
    assert_eq!(
        originals(w, &bob, from, &[number]),
        Err(Code::NotForwardable)
    );
    let mut ends = message(&ann, "");
    ends.header = Some(Header {
        expires: w.now + 1_000_000,
        ..Header::text()
    });
    let version = w.version(from);
    let append = w.add(from, version, &ann, vec![ends]);
    let number = w.done(append).entries[0].meta.sequence;
    assert_eq!(
        originals(w, &bob, from, &[number]),
        Err(Code::NotForwardable)
    );
}

fn stale(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let (from, to) = places(w);
    let number = say(w, from, &ann, "to the mill");
    let read = originals(w, &bob, from, &[number]).expect("bob sees it");
    w.change(from, &ann, EntryKind::Edit, number, "to the harbour");
    assert_eq!(forward(w, &bob, from, to, &read), Appended::Stale, "edited");
    let read = originals(w, &bob, from, &[number]).expect("bob sees it");
    let copy = forwarded(forward(w, &bob, from, to, &read));
    let second = originals(w, &bob, to, &[copy]).expect("bob sees it");
    w.change(from, &ann, EntryKind::Recall, number, "");
    assert_eq!(
        forward(w, &bob, from, to, &read),
        Appended::Stale,
        "recalled"
    );
    // Its author's recall leaves the copy as it is.
    assert!(matches!(
        forward(w, &bob, to, from, &second),
        Appended::Done(_)
    ));
}

fn marks(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let (from, to) = places(w);
    let numbers = ["one", "two", "three"].map(|said| say(w, from, &bob, said));
    let read = originals(w, &bob, from, &numbers).expect("bob sees it");
    let copy = forwarded(forward(w, &bob, from, to, &read));
    let second = originals(w, &bob, to, &[copy]).expect("bob sees it");
    let other = w.group(3, &bob, &[&ann]);
    let third = forwarded(forward(w, &bob, to, other, &second));
    recall(w, from, &bob, numbers[0], Tombstone::Recalled);
    assert_eq!(withdrawn(w), [], "its author's leaves the copies");
    recall(w, from, &ann, numbers[1], Tombstone::RecalledByAdmin);
    w.reopen();
    assert_eq!(withdrawn(w), [(to, copy, vec![1]), (other, third, vec![0])]);
    // Nobody copies it on its way out.
    assert_eq!(forward(w, &bob, to, other, &second), Appended::Stale);
}

fn taken_out(w: &mut World) {
    let (ann, bob, cem) = (user("ann"), user("bob"), user("cem"));
    let (from, to) = places(w);
    let numbers = ["one", "two"].map(|said| say(w, from, &bob, said));
    let read = originals(w, &bob, from, &numbers).expect("bob sees it");
    let copy = forwarded(forward(w, &bob, from, to, &read));
    recall(w, from, &ann, numbers[1], Tombstone::RecalledByAdmin);
    let left = Bytes::from_static(b"what is left");
    let take = |w: &mut World, rev, places: Vec<u32>, tombstone: Option<Tombstone>| {
        let entry = NewEntry {
            target: Some((copy, rev)),
            content: if tombstone.is_none() {
                left.clone()
            } else {
                Bytes::new()
            },
            keeps_revision: false,
            tombstone,
            withdraws: places,
            ..item(EntryKind::Withdraw, &bob)
        };
        let version = w.version(to);
        let append = w.add(to, version, &bob, vec![entry]);
        w.done(append).entries[0].clone()
    };
    let live = take(w, copy, vec![1], None);
    let entry: Entry = decode(&live.body).expect("an entry");
    assert_eq!((entry.kind, &entry.content), (EntryKind::Withdraw, &left));
    w.reopen();
    assert_eq!(withdrawn(w), []);
    let state = |w: &mut World| {
        let page = w.page(&cem, page_request(to, Anchor::Newest, 0));
        page.items
            .into_iter()
            .find(|it| it.sequence == copy)
            .expect("its place")
    };
    let now = state(w);
    assert_eq!(
        (&now.content, now.edited, now.tombstone),
        (&left, false, None)
    );
    recall(w, from, &ann, numbers[0], Tombstone::RecalledByAdmin);
    assert_eq!(withdrawn(w), [(to, copy, vec![0])]);
    take(w, entry.sequence, vec![0], Some(Tombstone::RecalledByAdmin));
    let now = state(w);
    assert_eq!(now.tombstone, Some(Tombstone::RecalledByAdmin));
    assert!(now.content.is_empty());
    assert_eq!(withdrawn(w), []);
}

fn over(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let (from, to) = places(w);
    let number = say(w, from, &bob, "one");
    let read = originals(w, &bob, from, &[number]).expect("bob sees it");
    let copy = forwarded(forward(w, &bob, from, to, &read));
    recall(w, to, &bob, copy, Tombstone::Recalled);
    recall(w, from, &ann, number, Tombstone::RecalledByAdmin);
    assert_eq!(withdrawn(w), [], "the copy was gone before");
}

fn draft(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let (from, to) = places(w);
    let number = say(w, from, &ann, "one");
    let set = SetOwn {
        command: w.command(&bob),
        change: OwnChange::Draft {
            conversation: to,
            content: text("so far"),
            reply_to: 0,
        },
    };
    w.one(Op::SetOwn(Box::new(set)));
    let read = originals(w, &bob, from, &[number]).expect("bob sees it");
    forwarded(forward(w, &bob, from, to, &read));
    let drafts = |w: &mut World| {
        let log = w.user_log(&bob, 0);
        let drafts = log
            .records
            .iter()
            .filter(|it| it.kind == UserRecordKind::Draft);
        drafts.filter(|it| !it.gone).count()
    };
    assert_eq!(drafts(w), 1);
    say(w, to, &bob, "so far");
    assert_eq!(drafts(w), 0);
}
