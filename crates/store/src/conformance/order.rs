//! Order of writes and answers, what reads see, what a restart keeps.

use fireside_protocol::{EntryKind, frames::Anchor};
use fireside_server_core::storage::{Appended, Mark, Op, Reply};

use super::{
    Check,
    world::{World, heads_request, message, page_request, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("writes are carried out in the order they came", writes),
    ("reads see what was answered before", reads),
    ("a restart keeps everything", kept),
    ("many operations at once", many),
];

fn writes(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let mut ops = Vec::new();
    for n in 2..=100 {
        let append = w.add(id, 1, &ann, vec![message(&ann, &n.to_string())]);
        ops.push(Op::Append(Box::new(append)));
        // Of another kind, in between: each marks what the append before it made.
        ops.push(Op::Mark(vec![Mark {
            conversation: id,
            user: bob.clone(),
            read: n,
            delivered: 0,
            at: w.now,
        }]));
    }
    for (index, reply) in w.run(ops).into_iter().enumerate() {
        let n = index as u64 / 2 + 2;
        match reply {
            Reply::Appended(Appended::Done(done)) => assert_eq!(done.entries[0].meta.sequence, n),
            Reply::Marked(records) => {
                assert_eq!((records[0].1.sequence, records[0].1.value), (n - 1, n));
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    let seen = w.page(&bob, page_request(id, Anchor::Newest, 0));
    assert_eq!(&seen.items.last().unwrap().content[..], b"100");
}

fn reads(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    for n in 2..60 {
        let append = w.add(id, 1, &ann, vec![message(&ann, "x")]);
        w.done(append);
        let reads = vec![
            Op::LoadConversation {
                conversation: id,
                peers: None,
            },
            Op::Page {
                user: bob.clone(),
                request: page_request(id, Anchor::Newest, 0),
            },
            Op::LoadConversation {
                conversation: id,
                peers: None,
            },
        ];
        for reply in w.run(reads) {
            let last = match reply {
                Reply::Conversation(loaded) => loaded.row.unwrap().last,
                Reply::Page(page) => page.as_of,
                other => panic!("unexpected {other:?}"),
            };
            assert_eq!(last, n);
        }
    }
}

fn kept(w: &mut World) {
    let (ann, bob, cyd) = (user("ann"), user("bob"), user("cyd"));
    let direct = w.direct(&ann, &bob);
    let group = w.group(1, &ann, &[&bob, &cyd]);
    w.send(group, &bob, "4");
    w.change(group, &bob, EntryKind::Edit, 4, "four");
    w.leave(group, &cyd);
    w.block(&bob, &ann, true);
    w.read_to(direct, &bob, 1);
    w.put_device(&bob, 3, "Bob");
    let look = |w: &mut World| {
        let now = w.now;
        let mut ops = vec![Op::Devices(bob.clone())];
        for who in [&ann, &bob, &cyd] {
            ops.push(Op::LoadUser(who.clone()));
            ops.push(Op::UserLog {
                user: who.clone(),
                cursor: 0,
                now,
            });
            ops.push(Op::Heads {
                user: who.clone(),
                request: heads_request(),
                only: Vec::new(),
            });
            for id in [direct, group] {
                let request = page_request(id, Anchor::Newest, 0);
                ops.push(Op::Page {
                    user: who.clone(),
                    request,
                });
                ops.push(Op::LoadConversation {
                    conversation: id,
                    peers: None,
                });
            }
        }
        w.run(ops)
    };
    let before = look(w);
    w.reopen();
    assert_eq!(look(w), before);
    w.reopen();
    assert_eq!(look(w), before);
}

fn many(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let mut ops = Vec::new();
    for n in 0..3_000 {
        if n % 3 == 0 {
            ops.push(Op::LoadUser(bob.clone()));
        } else {
            let append = w.add(id, 1, &bob, vec![message(&bob, "x")]);
            ops.push(Op::Append(Box::new(append)));
        }
    }
    let mut next = 2;
    for reply in w.run(ops) {
        if let Reply::Appended(appended) = reply {
            let Appended::Done(done) = appended else {
                panic!("not done: {appended:?}");
            };
            assert_eq!(done.entries[0].meta.sequence, next);
            next += 1;
        }
    }
    assert_eq!(next, 2_002);
}
