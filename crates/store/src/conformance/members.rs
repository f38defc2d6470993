//! Members: intervals, roles, invitations.

use fireside_protocol::{
    EntryKind, Role,
    frames::{Anchor, MembersRequest},
};
use fireside_server_core::{
    rights::Interval,
    storage::{Effect, MemberOp, Op, Reply},
};

use super::{
    Check,
    world::{World, conversation, page_request, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("who asks to come in is noted until it is answered", asked),
    (
        "members of a direct conversation are in from number 1",
        direct,
    ),
    ("joiners see as much history as they may", history),
    (
        "leaving ends the interval, coming back begins another",
        rejoin,
    ),
    (
        "a new interval that reaches into the old one takes it in",
        overlap,
    ),
    ("roles", roles),
    ("invitations", invitations),
    ("the conversations of a user", conversations),
    ("the member list", list),
];

const fn interval(from: u64, until: Option<u64>) -> Interval {
    Interval { from, until }
}

fn direct(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let first = w.first_message(&ann, &bob, "x");
    let id = first.conversation;
    let done = w.done(first);
    assert_eq!(done.members, w.load(id).members);
    for who in [&ann, &bob] {
        let row = w.member(id, who);
        assert_eq!(
            (row.role, row.invited_by.clone()),
            (Some(Role::Member), None)
        );
        assert_eq!(row.intervals, [interval(1, None)]);
        assert_eq!((row.read, row.delivered, row.rights), (0, 0, 0));
    }
}

fn history(w: &mut World) {
    let ann = user("ann");
    let id = w.group(1, &ann, &[]);
    for _ in 2..=10 {
        w.send(id, &ann, "x");
    }
    // (what they may see, from)
    let joiners = [(0, 11), (3, 9), (1, 12), (1_000, 1), (u64::MAX, 1)];
    for (n, (history, from)) in joiners.into_iter().enumerate() {
        let who = user(&format!("joiner-{n}"));
        let done = w.join(id, &who, history);
        assert_eq!(done.members.len(), 1);
        assert_eq!(
            done.members[0].intervals,
            [interval(from, None)],
            "history {history}"
        );
        assert_eq!(w.member(id, &who), done.members[0]);
        let seen = w.page(&who, page_request(id, Anchor::After, 0));
        assert_eq!(seen.items[0].sequence, from);
        let skipped: &[_] = if from > 1 { &[(1, from - 1)] } else { &[] };
        assert_eq!(seen.skipped(), skipped);
    }
}

fn rejoin(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    w.send(id, &ann, "3");
    let left = w.leave(id, &bob);
    assert_eq!(
        (left.members[0].role, left.members[0].intervals.as_slice()),
        (None, &[interval(2, Some(4))][..])
    );
    w.send(id, &ann, "5");
    w.reopen();
    let back = w.join(id, &bob, 0);
    assert_eq!(
        back.members[0].intervals,
        [interval(2, Some(4)), interval(6, None)]
    );
    w.send(id, &ann, "7");
    let seen = w.page(&bob, page_request(id, Anchor::Newest, 0));
    assert_eq!(seen.numbers(), [2, 3, 4, 6, 7]);
    assert_eq!(seen.skipped(), [(1, 1), (5, 5)]);
}

fn overlap(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    w.leave(id, &bob);
    w.send(id, &ann, "4");
    let back = w.join(id, &bob, 3);
    assert_eq!(
        back.members[0].intervals,
        [interval(2, None)],
        "from 2 on without a gap"
    );
    w.leave(id, &bob);
    let back = w.join(id, &bob, u64::MAX);
    assert_eq!(back.members[0].intervals, [interval(1, None)]);
    assert_eq!(w.member(id, &bob).intervals, [interval(1, None)]);
}

fn roles(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    assert_eq!(w.member(id, &ann).role, Some(Role::Owner));
    let op = MemberOp::SetRole {
        user: bob.clone(),
        role: Role::Admin,
    };
    let append = w.member_append(id, &ann, EntryKind::Role, op);
    let done = w.done(append);
    assert_eq!(done.members[0].role, Some(Role::Admin));
    let entry: fireside_protocol::Entry = fireside_protocol::decode(&done.entries[0].body).unwrap();
    let change = entry.member.unwrap();
    assert_eq!((change.user, change.role), (bob.clone(), Some(Role::Admin)));
    w.reopen();
    let row = w.member(id, &bob);
    assert_eq!(
        (row.role, row.intervals),
        (Some(Role::Admin), vec![interval(2, None)])
    );
}

fn invitations(w: &mut World) {
    let (ann, bob, cyd) = (user("ann"), user("bob"), user("cyd"));
    let id = w.group(1, &ann, &[]);
    let before = w.version(id);
    let mut append = w.add(id, before, &ann, Vec::new());
    if let Effect::Entries {
        bumps_version,
        members,
        ..
    } = &mut append.effect
    {
        *bumps_version = true;
        for invited in [&bob, &cyd] {
            members.push(MemberOp::Invite {
                user: invited.clone(),
                by: ann.clone(),
            });
        }
    }
    let done = w.done(append);
    assert!(done.entries.is_empty());
    assert_eq!(
        super::world::numbers_of(&done.outcome),
        (0, 0, w.now),
        "no entry was made"
    );
    assert_eq!((done.version, done.members.len()), (before + 1, 2));
    let row = w.member(id, &bob);
    assert_eq!((row.role, row.invited_by), (None, Some(ann.clone())));
    assert!(row.intervals.is_empty());
    assert_eq!(
        w.one(Op::Page {
            user: bob.clone(),
            request: page_request(id, Anchor::Newest, 0)
        }),
        Reply::NotFound
    );
    assert!(
        w.load_user(&bob).conversations.is_empty(),
        "invited is not a member"
    );
    let joined = w.join(id, &bob, 0);
    assert_eq!(
        (joined.members[0].role, joined.members[0].invited_by.clone()),
        (Some(Role::Member), None)
    );
    let mut append = w.add(id, before + 2, &cyd, Vec::new());
    if let Effect::Entries { members, .. } = &mut append.effect {
        members.push(MemberOp::Uninvite { user: cyd.clone() });
    }
    w.done(append);
    w.reopen();
    assert_eq!(w.member(id, &cyd).invited_by, None);
}

fn conversations(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let direct = w.direct(&ann, &bob);
    let one = w.group(1, &ann, &[&bob]);
    let two = w.group(2, &ann, &[&bob]);
    w.leave(one, &bob);
    let mut expected = vec![direct, two];
    expected.sort();
    let mut got = w.load_user(&bob).conversations;
    got.sort();
    assert_eq!(got, expected);
    assert_eq!(w.load_user(&ann).conversations.len(), 3);
    assert_eq!(
        w.load_user(&user("nobody")),
        fireside_server_core::storage::LoadedUser::default()
    );
    assert_eq!(
        w.load(conversation(99)),
        fireside_server_core::storage::LoadedConversation::default()
    );
}

fn list(w: &mut World) {
    let owner = user("owner");
    let others: Vec<_> = (0..7).map(|n| user(&format!("member-{n}"))).collect();
    let id = w.group(1, &owner, &others.iter().collect::<Vec<_>>());
    w.leave(id, &others[3]);
    w.put_device(&others[1], 1, "The Second");
    w.read_to(id, &others[1], 5);
    let ask = |w: &mut World, who: &str, after: Option<&str>| {
        let request = MembersRequest {
            conversation: id,
            after: after.map(user),
            limit: 3,
            asked: false,
            prefix: String::new(),
        };
        w.one(Op::Members {
            user: user(who),
            request,
        })
    };
    let Reply::Members(page) = ask(w, "owner", None) else {
        panic!("the owner may see them");
    };
    let names: Vec<_> = page
        .members
        .iter()
        .map(|member| member.user.as_str())
        .collect();
    assert_eq!(names, ["member-0", "member-1", "member-2"]);
    let second = &page.members[1];
    assert_eq!(
        (second.name.as_str(), second.read, second.joined),
        ("The Second", 5, 3)
    );
    assert!(page.more);
    assert_eq!(page.version, w.version(id));
    let Reply::Members(page) = ask(w, "member-0", Some("member-5")) else {
        panic!("members may see them");
    };
    let names: Vec<_> = page
        .members
        .iter()
        .map(|member| member.user.as_str())
        .collect();
    assert_eq!(names, ["member-6", "owner"]);
    assert!(!page.more);
    assert_eq!(
        ask(w, "member-3", None),
        Reply::NotFound,
        "who left may not"
    );
    assert_eq!(ask(w, "stranger", None), Reply::NotFound);
}

fn asked(w: &mut World) {
    let (ann, bob, cyd, dan) = (user("ann"), user("bob"), user("cyd"), user("dan"));
    let id = w.group(1, &ann, &[&bob]);
    let before = w.version(id);
    let ask = |w: &mut World, ops: Vec<MemberOp>| {
        let version = w.version(id);
        let mut append = w.add(id, version, &user("cyd"), Vec::new());
        if let Effect::Entries {
            members,
            bumps_version,
            ..
        } = &mut append.effect
        {
            *bumps_version = true;
            *members = ops;
        }
        w.done(append)
    };
    let both = [&cyd, &dan].map(|user| MemberOp::Ask { user: user.clone() });
    let done = ask(w, both.to_vec());
    assert_eq!((done.version, done.members.len()), (before + 1, 2));
    assert!(
        done.members
            .iter()
            .all(|row| row.asked && row.role.is_none())
    );
    let page = |w: &mut World, who: &str, after: Option<&str>| {
        let request = MembersRequest {
            conversation: id,
            after: after.map(user),
            limit: 1,
            asked: true,
            prefix: String::new(),
        };
        match w.one(Op::Members {
            user: user(who),
            request,
        }) {
            Reply::Members(page) => page.members.into_iter().map(|it| it.user).collect(),
            _ => Vec::new(),
        }
    };
    w.reopen();
    assert_eq!(page(w, "ann", None), std::slice::from_ref(&cyd));
    assert_eq!(page(w, "ann", Some("cyd")), std::slice::from_ref(&dan));
    assert!(page(w, "bob", None).is_empty(), "a member may not invite");
    assert!(page(w, "cyd", None).is_empty());
    assert!(w.load_user(&cyd).conversations.is_empty(), "not a member");
    w.join(id, &cyd, 0);
    assert!(!w.member(id, &cyd).asked);
    ask(w, vec![MemberOp::Unask { user: dan.clone() }]);
    w.reopen();
    assert!(!w.member(id, &dan).asked);
    assert!(page(w, "ann", None).is_empty());
}
