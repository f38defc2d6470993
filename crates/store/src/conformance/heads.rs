//! Heads: order, paging, unread, previews.

use fireside_protocol::{
    ConversationId, ConversationKind, EntryKind, Header, Role, UserId, frames::HeadsRequest,
    limits::UNREAD_COUNT_MAX,
};
use fireside_server_core::storage::{Mark, Op, Reply};

use super::{
    Check,
    world::{World, conversation, heads_request, message, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("what a head says", said),
    ("heads are newest first, in pages", paging),
    ("heads since a stamp", since),
    ("heads of named conversations", only),
    ("unread counts what the reader sees", unread),
    ("own messages move the marker", own),
    ("mentions among the unread", mentions),
    ("unread is counted to its limit", many),
    ("what lies far below counts as what is near", far),
    ("what is withheld moves nothing", withheld),
    ("a preview is the last message the reader sees", preview),
];

fn said(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    w.send(id, &bob, "two");
    w.mark(vec![Mark {
        conversation: id,
        user: bob.clone(),
        read: 1,
        delivered: 2,
        at: w.now,
    }]);
    w.reopen();
    let head = w.head(&ann, id);
    assert_eq!(
        (head.kind, head.last, head.first, head.visible_from),
        (ConversationKind::Direct, 2, 1, 1)
    );
    assert_eq!((head.ordinal, head.unread, head.mentions), (2, 1, 0));
    assert_eq!((head.read, head.peer_read, head.peer_delivered), (0, 1, 2));
    assert_eq!(
        (head.peer.clone(), head.role, head.members),
        (Some(bob.clone()), Some(Role::Member), 2)
    );
    assert_eq!(
        (head.version, head.rights, head.at),
        (w.version(id), 0, w.now)
    );
    assert_eq!(&head.preview.as_ref().unwrap().content[..], b"two");
    assert_eq!(w.head(&bob, id).unread, 0, "bob wrote last");
    let id = w.group(1, &ann, &[&bob]);
    w.block(&ann, &bob, true);
    let head = w.head(&ann, id);
    assert_eq!(
        (head.name.as_str(), head.kind, head.peer),
        ("the group", ConversationKind::Group, None)
    );
    assert_eq!(
        (head.members, head.role, head.rights),
        (2, Some(Role::Owner), 1)
    );
    assert_eq!(
        (head.unread, head.preview),
        (0, None),
        "system items are no messages"
    );
    assert!(w.heads(&user("eve"), heads_request()).heads.is_empty());
}

fn ids(heads: &fireside_protocol::frames::HeadsPage) -> Vec<ConversationId> {
    heads.heads.iter().map(|head| head.conversation).collect()
}

fn paging(w: &mut World) {
    let ann = user("ann");
    let mut made: Vec<_> = (0..10).map(|n| w.group(n, &ann, &[])).collect();
    // Written to again: first.
    w.send(made[3], &ann, "x");
    let moved = made.remove(3);
    made.push(moved);
    made.reverse();
    assert_eq!(ids(&w.heads(&ann, heads_request())), made);
    let mut got = Vec::new();
    let mut request = HeadsRequest {
        limit: 4,
        ..heads_request()
    };
    loop {
        let page = w.heads(&ann, request.clone());
        assert!(page.heads.len() <= 4);
        got.extend(ids(&page));
        let Some(last) = page.heads.last().filter(|_| page.more) else {
            break;
        };
        (request.before_at, request.before) = (last.at, Some(last.conversation));
    }
    assert_eq!(got, made, "each once, in order");
}

fn since(w: &mut World) {
    let ann = user("ann");
    let old = w.group(1, &ann, &[]);
    let stamp = w.now + 1;
    let new = w.group(2, &ann, &[]);
    let request = HeadsRequest {
        since: stamp,
        ..heads_request()
    };
    assert_eq!(ids(&w.heads(&ann, request.clone())), [new]);
    w.send(old, &ann, "x");
    assert_eq!(ids(&w.heads(&ann, request)), [old, new]);
}

fn only(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let one = w.group(1, &ann, &[]);
    let _two = w.group(2, &ann, &[]);
    let three = w.group(3, &ann, &[&bob]);
    let foreign = w.group(4, &bob, &[]);
    let named = vec![three, foreign, one, conversation(99)];
    let request = HeadsRequest {
        only: named.clone(),
        ..heads_request()
    };
    let mut got = ids(&w.heads(&ann, request));
    got.sort();
    assert_eq!(got, [one, three]);
    let op = Op::Heads {
        user: ann,
        request: heads_request(),
        only: named,
    };
    let Reply::Heads(page) = w.one(op) else {
        panic!("heads are answered with heads");
    };
    let mut got = ids(&page);
    got.sort();
    assert_eq!(got, [one, three], "named by the core");
}

fn unread_of(w: &mut World, who: &UserId, id: ConversationId) -> u32 {
    w.head(who, id).unread
}

fn unread(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[]);
    w.send(id, &ann, "before bob came");
    w.join(id, &bob, 0);
    assert_eq!(unread_of(w, &bob, id), 0);
    for n in 0..5 {
        w.send(id, &ann, "x");
        assert_eq!(unread_of(w, &bob, id), n + 1);
    }
    let mut silent = message(&ann, "x");
    silent.header = Some(Header {
        silent: true,
        ..Header::text()
    });
    let version = w.version(id);
    let append = w.add(id, version, &ann, vec![silent]);
    w.done(append);
    w.change(id, &ann, EntryKind::Edit, 5, "y");
    w.join(id, &user("cyd"), 0);
    assert_eq!(
        unread_of(w, &bob, id),
        5,
        "silent ones, changes and system items do not count"
    );
    w.change(id, &ann, EntryKind::Recall, 6, "");
    assert_eq!(unread_of(w, &bob, id), 5, "a recalled one does");
    w.read_to(id, &bob, 5);
    assert_eq!(unread_of(w, &bob, id), 3);
    let last = w.last(id);
    w.read_to(id, &bob, last);
    assert_eq!(unread_of(w, &bob, id), 0);
    assert_eq!(w.head(&bob, id).read, last);
}

fn own(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    w.send(id, &ann, "2");
    assert_eq!(unread_of(w, &bob, id), 2);
    w.send(id, &bob, "3");
    assert_eq!(unread_of(w, &bob, id), 0, "who answers has read");
    assert_eq!(unread_of(w, &ann, id), 1);
    w.send(id, &ann, "4");
    assert_eq!((unread_of(w, &ann, id), unread_of(w, &bob, id)), (0, 1));
    assert_eq!(
        w.head(&bob, id).read,
        0,
        "the read marker itself is not touched"
    );
}

fn mentions(w: &mut World) {
    let (ann, bob, cyd) = (user("ann"), user("bob"), user("cyd"));
    let id = w.group(1, &ann, &[&bob, &cyd]);
    for (named, all) in [
        (vec![bob.clone()], false),
        (vec![cyd.clone()], false),
        (Vec::new(), true),
    ] {
        let mut entry = message(&ann, "x");
        entry.header = Some(Header {
            mentions: named,
            mention_all: all,
            ..Header::text()
        });
        let version = w.version(id);
        let append = w.add(id, version, &ann, vec![entry]);
        w.done(append);
    }
    w.reopen();
    let head = w.head(&bob, id);
    assert_eq!((head.unread, head.mentions), (3, 2));
    w.change(id, &ann, EntryKind::Recall, 4, "");
    let head = w.head(&bob, id);
    assert_eq!(
        (head.unread, head.mentions),
        (3, 1),
        "recalled: it names nobody any more"
    );
    w.read_to(id, &bob, 6);
    assert_eq!(w.head(&bob, id).mentions, 0);
}

fn many(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let appends = (0..UNREAD_COUNT_MAX + 200).map(|_| {
        let append = w.add(id, 1, &ann, vec![message(&ann, "x")]);
        Op::Append(Box::new(append))
    });
    let appends = appends.collect();
    w.run(appends);
    assert_eq!(
        unread_of(w, &bob, id),
        UNREAD_COUNT_MAX + 1,
        "stands for more"
    );
    let last = w.last(id);
    w.read_to(id, &bob, last - u64::from(UNREAD_COUNT_MAX));
    assert_eq!(unread_of(w, &bob, id), UNREAD_COUNT_MAX);
}

/// Each thing that decides what counts, with more than a screen of messages above and below it.
fn far(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let many = |w: &mut World, id: ConversationId| {
        for _ in 0..20 {
            w.send(id, &ann, "x");
        }
    };
    let direct = w.direct(&ann, &bob);
    many(w, direct);
    assert_eq!(unread_of(w, &bob, direct), 21);
    let mut entry = message(&ann, "not for bob");
    entry.private = true;
    let append = w.add(direct, 1, &ann, vec![entry]);
    w.done(append);
    many(w, direct);
    assert_eq!(
        unread_of(w, &bob, direct),
        41,
        "a private one does not count"
    );
    w.read_to(direct, &bob, 11);
    assert_eq!(unread_of(w, &bob, direct), 30);
    w.send(direct, &bob, "y");
    many(w, direct);
    assert_eq!(unread_of(w, &bob, direct), 20, "above one's own");

    let group = w.group(1, &ann, &[&bob]);
    many(w, group);
    let mut named = message(&ann, "bob!");
    named.header = Some(Header {
        mentions: vec![bob.clone()],
        ..Header::text()
    });
    let version = w.version(group);
    let append = w.add(group, version, &ann, vec![named]);
    w.done(append);
    many(w, group);
    let head = w.head(&bob, group);
    assert_eq!((head.unread, head.mentions), (41, 1));
    w.block(&bob, &ann, true);
    assert_eq!(
        unread_of(w, &bob, group),
        0,
        "whom bob blocks does not count"
    );
    w.block(&bob, &ann, false);
    w.change(group, &ann, EntryKind::Edit, 4, "z");
    w.join(group, &user("cyd"), 0);
    many(w, group);
    assert_eq!(unread_of(w, &bob, group), 61);
}

fn withheld(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let before = w.head(&bob, id);
    let other = w.group(1, &bob, &[]);
    for _ in 0..6 {
        let mut entry = message(&ann, "do you hear me?");
        entry.private = true;
        let append = w.add(id, 1, &ann, vec![entry]);
        w.done(append);
    }
    let after = w.head(&bob, id);
    assert_eq!(
        (after.unread, after.at, &after.preview),
        (before.unread, before.at, &before.preview)
    );
    assert_eq!(after.last, 7, "numbers are for all");
    assert_eq!(
        ids(&w.heads(&bob, heads_request())),
        [other, id],
        "it does not move up"
    );
    let request = HeadsRequest {
        since: before.at + 1,
        ..heads_request()
    };
    assert_eq!(
        ids(&w.heads(&bob, request)),
        [other, id],
        "its numbers moved: a device has to account for them"
    );
    assert_eq!(
        &w.head(&ann, id).preview.unwrap().content[..],
        b"do you hear me?"
    );
    // In a group: whom the reader blocks.
    let group = w.group(2, &ann, &[&bob]);
    w.send(group, &bob, "seen");
    w.send(group, &ann, "seen too");
    w.send(group, &bob, "not seen");
    w.block(&ann, &bob, true);
    let head = w.head(&ann, group);
    assert_eq!(&head.preview.unwrap().content[..], b"seen too");
    assert_eq!(head.unread, 0);
    w.block(&ann, &bob, false);
    assert_eq!(w.head(&ann, group).unread, 1);
}

fn preview(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    w.send(id, &ann, "the last message");
    // Much that is no message behind it.
    for n in 0..12 {
        w.join(id, &user(&format!("member-{n}")), 0);
    }
    let seen = w.head(&bob, id).preview.unwrap();
    assert_eq!(
        (&seen.content[..], seen.sequence),
        (&b"the last message"[..], 3)
    );
    w.change(id, &ann, EntryKind::Edit, 3, "as it is now");
    w.reopen();
    let seen = w.head(&bob, id).preview.unwrap();
    assert_eq!(&seen.content[..], b"as it is now");
    assert!(seen.edited);
    let late = w.head(&user("member-5"), id);
    assert_eq!(late.preview, None, "who came later does not see it");
    assert_eq!(late.unread, 0);
}
