//! What those who lead a conversation do: mute, ban, name members, make links, end it.

use fireside_protocol::{
    Attribute, ConversationId, ConversationKind, EntryKind, LinkCode, Settings, UserId,
    frames::{BansRequest, Link, LinksRequest, MembersRequest},
};
use fireside_server_core::{
    rights::Interval,
    storage::{Ban, Done, Effect, LinkOp, MemberOp, Op, Reply, Shape},
};

use super::{
    Check,
    world::{World, conversation, item, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("a mute stays until it is ended", mute),
    ("a ban ends all that was", ban),
    ("those who are banned are listed for who may ban", bans),
    ("a member's name and attributes", profile),
    ("members are found by what their names begin with", search),
    ("links are made, counted and ended", links),
    ("a conversation that has ended says so", dissolved),
    ("meetings that are not over are read", meetings),
];

/// Changes members without an entry.
fn change(w: &mut World, id: ConversationId, ops: Vec<MemberOp>) -> Done {
    let version = w.version(id);
    let mut append = w.add(id, version, &user("ann"), Vec::new());
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
}

fn mute(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    let op = |until| MemberOp::Mute {
        user: user("bob"),
        until,
    };
    let append = w.member_append(id, &ann, EntryKind::Muted, op(5_000));
    let done = w.done(append);
    assert_eq!(done.members[0].muted_until, 5_000);
    let entry: fireside_protocol::Entry = fireside_protocol::decode(&done.entries[0].body).unwrap();
    let said = entry.member.unwrap();
    assert_eq!(
        (said.user, said.role, said.until),
        (bob.clone(), None, 5_000)
    );
    w.leave(id, &bob);
    w.join(id, &bob, 0);
    w.reopen();
    assert_eq!(
        w.member(id, &bob).muted_until,
        5_000,
        "leaving is no way out"
    );
    let append = w.member_append(id, &ann, EntryKind::Muted, op(0));
    w.done(append);
    assert_eq!(w.member(id, &bob).muted_until, 0);
}

fn ban(w: &mut World) {
    let (ann, bob, cyd) = (user("ann"), user("bob"), user("cyd"));
    let id = w.group(1, &ann, &[&bob]);
    let asks = [
        MemberOp::Ask { user: cyd.clone() },
        MemberOp::Invite {
            user: cyd.clone(),
            by: ann.clone(),
        },
    ];
    change(w, id, asks.to_vec());
    let op = |who: &UserId, until| MemberOp::Ban {
        user: who.clone(),
        ban: Ban {
            by: user("ann"),
            until,
        },
    };
    let append = w.member_append(id, &ann, EntryKind::Banned, op(&bob, 0));
    let done = w.done(append);
    let number = done.entries[0].meta.sequence;
    let append = w.member_append(id, &ann, EntryKind::Banned, op(&cyd, 7));
    w.done(append);
    w.reopen();
    let row = w.member(id, &bob);
    let expected = Interval {
        from: 2,
        until: Some(number),
    };
    assert_eq!(
        (row.role, row.intervals.as_slice()),
        (None, &[expected][..])
    );
    assert_eq!(
        row.ban.map(|ban| (ban.by, ban.until)),
        Some((ann.clone(), 0))
    );
    let row = w.member(id, &cyd);
    assert_eq!((row.asked, row.invited_by), (false, None));
    assert_eq!(row.intervals, []);
    assert_eq!(row.ban.map(|ban| ban.until), Some(7));
    change(w, id, vec![MemberOp::Unban { user: bob.clone() }]);
    assert_eq!(w.member(id, &bob).ban, None);
    let back = w.join(id, &cyd, 0);
    assert_eq!(back.members[0].ban, None, "whoever is in is not banned");
    assert_eq!(w.load(id).members.len(), 3);
}

fn bans(w: &mut World) {
    let ann = user("ann");
    let id = w.group(1, &ann, &[&user("member")]);
    let barred = [("a", 0), ("b", 100), ("c", 50), ("d", 0)];
    for (who, until) in barred {
        let op = MemberOp::Ban {
            user: user(who),
            ban: Ban {
                by: ann.clone(),
                until,
            },
        };
        let append = w.member_append(id, &ann, EntryKind::Banned, op);
        w.done(append);
    }
    let ask = |w: &mut World, who: &str, after: Option<&str>, limit| {
        let request = BansRequest {
            conversation: id,
            after: after.map(user),
            limit,
        };
        w.one(Op::Bans {
            user: user(who),
            request,
            now: 50,
        })
    };
    let names = |reply: Reply| match reply {
        Reply::Bans(page) => {
            let names: Vec<String> = page.bans.iter().map(|it| it.user.to_string()).collect();
            (names.join(" "), page.more)
        }
        other => panic!("{other:?}"),
    };
    let page = ask(w, "ann", None, 0);
    assert_eq!(names(page), ("a b d".into(), false), "one has ended");
    assert_eq!(names(ask(w, "ann", None, 2)), ("a b".into(), true));
    assert_eq!(names(ask(w, "ann", Some("b"), 2)), ("d".into(), false));
    for who in ["member", "a", "stranger"] {
        assert_eq!(ask(w, who, None, 0), Reply::NotFound);
    }
}

fn attribute(key: &str, value: &str) -> Attribute {
    Attribute {
        key: key.into(),
        value: value.into(),
    }
}

fn profile(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    let op = |name: Option<&str>, attributes| MemberOp::Profile {
        user: user("bob"),
        name: name.map(Into::into),
        attributes,
    };
    let both = op(Some("Conan"), Some(vec![attribute("level", "40")]));
    let append = w.member_append(id, &bob, EntryKind::MemberSet, both);
    w.done(append);
    change(
        w,
        id,
        vec![op(None, Some(vec![attribute("class", "fighter")]))],
    );
    w.reopen();
    let row = w.member(id, &bob);
    assert_eq!(row.name_here, "Conan");
    assert_eq!(row.attributes, [attribute("class", "fighter")]);
    change(w, id, vec![op(Some(""), None)]);
    let row = w.member(id, &bob);
    assert_eq!((row.name_here.as_str(), row.attributes.len()), ("", 1));
}

fn search(w: &mut World) {
    let others = ["bob", "Bert", "zoé", "fourth"].map(user);
    let id = w.group(1, &user("ann"), &others.iter().collect::<Vec<_>>());
    w.put_device(&others[3], 1, "Ómar the Grey");
    let named = MemberOp::Profile {
        user: others[2].clone(),
        name: Some("Bêowulf".into()),
        attributes: None,
    };
    change(w, id, vec![named]);
    let find = |w: &mut World, prefix: &str, after: Option<&str>, limit| {
        let request = MembersRequest {
            conversation: id,
            after: after.map(user),
            limit,
            asked: false,
            prefix: prefix.into(),
        };
        let op = Op::Members {
            user: user("ann"),
            request,
        };
        match w.one(op) {
            Reply::Members(page) => {
                let found = page.members.iter().map(|it| it.user.to_string());
                (found.collect::<Vec<_>>().join(" "), page.more)
            }
            other => panic!("{other:?}"),
        }
    };
    for _ in 0..2 {
        assert_eq!(find(w, "B", None, 0), ("Bert bob zoé".into(), false));
        assert_eq!(find(w, "b", None, 2), ("Bert bob".into(), true));
        assert_eq!(find(w, "b", Some("bob"), 2), ("zoé".into(), false));
        assert_eq!(find(w, "BEO", None, 0).0, "zoé", "by the name here");
        assert_eq!(find(w, "omar", None, 0).0, "fourth", "by the name");
        assert_eq!(find(w, "zoe", None, 0).0, "zoé", "by the id");
        assert_eq!(find(w, "the", None, 0).0, "", "from the beginning");
        w.reopen();
    }
    w.put_device(&others[3], 1, "Saruman");
    assert_eq!(find(w, "omar", None, 0).0, "");
    assert_eq!(find(w, "sar", None, 0).0, "fourth");
    w.leave(id, &others[3]);
    assert_eq!(find(w, "sar", None, 0).0, "");
    w.join(id, &others[3], 0);
    assert_eq!(find(w, "sar", None, 0).0, "fourth");
}

fn links(w: &mut World) {
    let ann = user("ann");
    let id = w.group(1, &ann, &[&user("member")]);
    let link = |n: u8| Link {
        code: LinkCode([n; 16]),
        by: user("ann"),
        at: 1,
        expires: 0,
        uses: 2,
        used: 0,
    };
    let carry = |w: &mut World, ops: Vec<LinkOp>| {
        let version = w.version(id);
        let mut append = w.add(id, version, &user("ann"), Vec::new());
        append.links = ops;
        if let Effect::Entries { bumps_version, .. } = &mut append.effect {
            *bumps_version = true;
        }
        append
    };
    let append = carry(w, [2, 1, 3].map(|n| LinkOp::Create(link(n))).to_vec());
    w.done(append);
    let ops = vec![LinkOp::Use(link(1).code), LinkOp::Remove(link(2).code)];
    let append = carry(w, ops);
    // Decided on the state before: nothing of it is done.
    let late = carry(w, vec![LinkOp::Use(link(1).code)]);
    w.done(append);
    assert_eq!(
        w.append(late),
        fireside_server_core::storage::Appended::Stale
    );
    w.reopen();
    let expected = [Link { used: 1, ..link(1) }, link(3)];
    assert_eq!(w.load(id).links, expected);
    let ask = |w: &mut World, who: &str| {
        w.one(Op::Links {
            user: user(who),
            request: LinksRequest { conversation: id },
        })
    };
    let Reply::Links(page) = ask(w, "ann") else {
        panic!("the owner may see them");
    };
    assert_eq!(page.links, expected);
    for who in ["member", "stranger"] {
        assert_eq!(ask(w, who), Reply::NotFound);
    }
}

/// A meeting.
fn meeting(w: &mut World, n: u8, ends: Option<u64>) -> ConversationId {
    let id = conversation(n);
    let mut append = w.new_group(id, &user("ann"), 0);
    if let Some(new) = &mut append.create {
        new.kind = ConversationKind::Meeting;
    }
    append.shape = Some(Box::new(Shape {
        name: "raid".into(),
        history_for_joiners: 0,
        settings: Settings {
            ends,
            ..Settings::default()
        },
    }));
    w.done(append);
    id
}

fn dissolve(w: &mut World, id: ConversationId) {
    let ann = user("ann");
    let version = w.version(id);
    let mut append = w.add(id, version, &ann, vec![item(EntryKind::Dissolved, &ann)]);
    if let Effect::Entries {
        members,
        bumps_version,
        ..
    } = &mut append.effect
    {
        *bumps_version = true;
        members.push(MemberOp::Leave { user: ann });
    }
    w.done(append);
}

fn dissolved(w: &mut World) {
    let id = w.group(1, &user("ann"), &[]);
    assert!(!w.load(id).row.unwrap().dissolved);
    dissolve(w, id);
    w.reopen();
    let loaded = w.load(id);
    let row = loaded.row.unwrap();
    assert!(row.dissolved && row.last == 2);
    let interval = Interval {
        from: 1,
        until: Some(2),
    };
    assert_eq!(
        loaded.members[0].intervals,
        [interval],
        "it is the last they see"
    );
}

fn meetings(w: &mut World) {
    w.group(1, &user("ann"), &[]);
    let ids = [(2, None), (3, Some(77)), (4, Some(5))].map(|(n, ends)| meeting(w, n, ends));
    dissolve(w, ids[1]);
    w.reopen();
    let all = w.one(Op::Meetings { after: None });
    assert_eq!(all, Reply::Meetings(vec![(ids[0], 0), (ids[2], 5)]));
    let rest = w.one(Op::Meetings {
        after: Some(ids[0]),
    });
    assert_eq!(rest, Reply::Meetings(vec![(ids[2], 5)]));
}
