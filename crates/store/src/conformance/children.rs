//! Conversations that belong to another: made with an append to their parent, and what becomes of their members with it.

use fireside_protocol::{
    Child, ConversationId, ConversationKind, EntryKind, FacetKind, JoinPolicy, Role, Settings,
    UserId,
    frames::{ChildrenPage, ChildrenRequest, UserRecordKind},
};
use fireside_server_core::{
    facets::FacetOp,
    rights::{Interval, role_set},
    storage::{
        Append, Appended, ChildDone, ChildOp, Effect, MemberOp, NewConversation, NewEntry, Op,
        Parent, Reply, Shape,
    },
};

use super::{
    Check,
    world::{World, conversation, heads_request, item, message, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("a thread is made with an append to its parent", thread),
    (
        "a child is made once, and whoever comes in is not in it",
        stale,
    ),
    ("who is out of the parent is out of its children", leave),
    ("roles and mutes of the parent reach down", roles),
    ("only members of the parent come into a child", orphans),
    (
        "whoever comes into the parent comes into its default channels",
        defaults,
    ),
    ("with the parent its children end", dissolve),
    ("children are listed", list),
    ("a role that is named counts for who has it", named_roles),
];

fn join(user: &UserId, role: Role, history: u64) -> MemberOp {
    MemberOp::Join {
        user: user.clone(),
        role,
        history,
    }
}

/// What makes a child of kind `kind` under `root`, or lets `by` into one.
fn child(
    w: &World,
    id: ConversationId,
    parent: Parent,
    by: &UserId,
    kind: ConversationKind,
    makes: bool,
) -> ChildOp {
    let (entry, role, history) = if makes {
        (EntryKind::Created, Role::Owner, 0)
    } else {
        (EntryKind::Joined, Role::Member, u64::MAX)
    };
    ChildOp {
        conversation: id,
        create: makes.then(|| NewConversation {
            kind,
            parent: Some(parent),
            name: "below".to_owned(),
            creator: by.clone(),
            history_for_joiners: u64::MAX,
            members: Vec::new(),
        }),
        shape: None,
        entry: NewEntry {
            member: Some(join(by, role, history)),
            at: w.now,
            ..item(entry, by)
        },
    }
}

/// A thread under message `root` of `parent`, opened by `by`.
fn open(w: &mut World, parent: ConversationId, root: u64, by: &UserId, makes: bool) -> Append {
    let thread = ConversationId::thread(parent, root);
    let opened = NewEntry {
        target: Some((root, root)),
        facet: Some(FacetOp::Thread {
            child: Child {
                conversation: thread,
                name: String::new(),
                by: by.clone(),
            },
        }),
        ..item(EntryKind::Thread, by)
    };
    let version = w.version(parent);
    let entries = if makes { vec![opened] } else { Vec::new() };
    let mut append = w.add(parent, version, by, entries);
    let place = Parent {
        conversation: parent,
        root,
    };
    let below = child(w, thread, place, by, ConversationKind::Thread, makes);
    append.child = Some(Box::new(below));
    append
}

/// A channel in a community, with settings.
fn channel(w: &mut World, parent: ConversationId, n: u8, by: &UserId, settings: Settings) {
    let version = w.version(parent);
    let mut append = w.add(parent, version, by, vec![item(EntryKind::ChannelMade, by)]);
    let place = Parent {
        conversation: parent,
        root: 0,
    };
    let below = child(
        w,
        conversation(n),
        place,
        by,
        ConversationKind::Channel,
        true,
    );
    append.child = Some(Box::new(ChildOp {
        shape: Some(Box::new(Shape {
            name: format!("channel {n}"),
            history_for_joiners: u64::MAX,
            settings,
        })),
        ..below
    }));
    w.done(append);
}

fn default_channel() -> Settings {
    Settings {
        by_default: Some(true),
        ..Settings::default()
    }
}

fn one(children: Vec<ChildDone>) -> ChildDone {
    let [only]: [ChildDone; 1] = children.try_into().expect("one child changed");
    only
}

fn thread(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    let root = w.send(id, &ann, "what about it?").entries[0].meta.sequence;
    let append = open(w, id, root, &bob, true);
    let again = append.clone();
    let done = w.done(append);
    assert_eq!(done.entries[0].meta.kind, EntryKind::Thread);
    let thread = ConversationId::thread(id, root);
    let made = one(done.children);
    assert_eq!((made.conversation, made.version), (thread, 1));
    let meta = &made.entries[0].meta;
    assert_eq!((meta.kind, meta.sequence), (EntryKind::Created, 1));
    assert_eq!(made.members[0].role, Some(Role::Owner));
    assert!(matches!(w.append(again), Appended::Known(_)), "a repeat");
    w.reopen();
    let row = w.load(thread).row.expect("the thread");
    assert_eq!(
        (row.kind, row.last, row.version),
        (ConversationKind::Thread, 1, 1)
    );
    let place = Parent {
        conversation: id,
        root,
    };
    assert_eq!(row.parent, Some(place));
    let item = w.item(id, fireside_server_core::storage::Target::Number(root));
    let facet = item
        .expect("the root")
        .entry
        .facet::<Child>(FacetKind::Thread);
    assert_eq!(facet.expect("the facet").conversation, thread);
    let append = open(w, id, root, &ann, false);
    let done = w.done(append);
    assert_eq!(done.entries, []);
    let came = one(done.children);
    assert_eq!((came.version, came.entries[0].meta.sequence), (2, 2));
    let all = Interval {
        from: 1,
        until: None,
    };
    assert_eq!(came.members[0].intervals, [all]);
    let heads = w.heads(&ann, heads_request());
    let head = heads.heads.iter().find(|head| head.conversation == thread);
    let head = head.expect("a head of the thread");
    assert_eq!((head.parent, head.root), (Some(id), root));
    w.send(thread, &ann, "this about it");
    assert_eq!(w.version(id), w.version(id));
}

fn stale(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    let root = w.send(id, &ann, "root").entries[0].meta.sequence;
    let early = open(w, id, root, &ann, false);
    assert_eq!(w.append(early), Appended::Stale, "there is none yet");
    let (first, second) = (open(w, id, root, &ann, true), open(w, id, root, &bob, true));
    w.done(first);
    let before = w.load(id);
    assert_eq!(w.append(second), Appended::Stale, "there is one already");
    assert_eq!(w.load(id), before);
    let twice = open(w, id, root, &ann, false);
    assert_eq!(w.append(twice), Appended::Stale, "ann is in it");
    let third = open(w, id, root, &bob, false);
    w.done(third);
}

/// A group with a thread in which all are, and a thread's id.
fn with_thread(w: &mut World, members: &[&UserId]) -> (ConversationId, ConversationId) {
    let ann = user("ann");
    let id = w.group(1, &ann, members);
    let root = w.send(id, &ann, "root").entries[0].meta.sequence;
    let append = open(w, id, root, &ann, true);
    w.done(append);
    for member in members {
        let append = open(w, id, root, member, false);
        w.done(append);
    }
    (id, ConversationId::thread(id, root))
}

fn leave(w: &mut World) {
    let (ann, bob, cyd, dee) = (user("ann"), user("bob"), user("cyd"), user("dee"));
    let (id, thread) = with_thread(w, &[&bob, &cyd]);
    w.join(id, &dee, 0);
    let version = w.version(thread);
    let done = w.leave(id, &bob);
    let below = one(done.children);
    assert_eq!((below.conversation, below.version), (thread, version + 1));
    let meta = &below.entries[0].meta;
    assert_eq!((meta.kind, &meta.sender), (EntryKind::Left, &bob));
    let row = &below.members[0];
    assert_eq!(
        (row.role, row.intervals[0].until),
        (None, Some(meta.sequence))
    );
    let gone = |done: &[(UserId, fireside_protocol::frames::UserRecord)], who: &UserId| {
        let mut all = done.iter();
        all.any(|(user, record)| {
            let here = record.conversation == Some(thread) && user == who;
            here && record.kind == UserRecordKind::Membership && record.gone
        })
    };
    assert!(gone(&done.records, &bob));
    let op = MemberOp::Ban {
        user: cyd.clone(),
        ban: fireside_server_core::storage::Ban {
            by: ann.clone(),
            until: 0,
        },
    };
    let append = w.member_append(id, &ann, EntryKind::Banned, op);
    let done = w.done(append);
    let below = one(done.children);
    let meta = &below.entries[0].meta;
    assert_eq!((meta.kind, &meta.sender), (EntryKind::Removed, &ann));
    assert!(gone(&done.records, &cyd));
    let done = w.leave(id, &dee);
    assert_eq!(done.children, [], "dee was never in it");
    w.reopen();
    assert_eq!(w.member(thread, &bob).role, None);
    assert_eq!(w.member(thread, &cyd).role, None);
    assert_eq!(w.member(thread, &ann).role, Some(Role::Owner));
}

fn roles(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let (id, thread) = with_thread(w, &[&bob]);
    let op = MemberOp::SetRole {
        user: bob.clone(),
        role: Role::Admin,
    };
    let append = w.member_append(id, &ann, EntryKind::Role, op.clone());
    let below = one(w.done(append).children);
    assert_eq!(below.members[0].role, Some(Role::Admin));
    let append = w.member_append(id, &ann, EntryKind::Role, op);
    assert_eq!(w.done(append).children, [], "it is so already");
    let op = MemberOp::Mute {
        user: bob.clone(),
        until: 9_000,
    };
    let append = w.member_append(id, &ann, EntryKind::Muted, op);
    let below = one(w.done(append).children);
    assert_eq!(below.entries[0].meta.kind, EntryKind::Muted);
    w.reopen();
    let row = w.member(thread, &bob);
    assert_eq!((row.role, row.muted_until), (Some(Role::Admin), 9_000));
}

fn orphans(w: &mut World) {
    let (bob, cyd) = (user("bob"), user("cyd"));
    let (id, thread) = with_thread(w, &[&bob]);
    let stranger = w.member_append(thread, &cyd, EntryKind::Joined, join(&cyd, Role::Member, 0));
    let before = w.load(thread);
    assert_eq!(w.append(stranger), Appended::Stale);
    assert_eq!(w.load(thread), before);
    w.join(id, &cyd, 0);
    let member = w.member_append(thread, &cyd, EntryKind::Joined, join(&cyd, Role::Member, 0));
    w.done(member);
}

fn community(w: &mut World, owner: &UserId) -> ConversationId {
    let id = conversation(1);
    let mut append = w.new_group(id, owner, u64::MAX);
    if let Some(new) = &mut append.create {
        new.kind = ConversationKind::Community;
    }
    w.done(append);
    id
}

fn defaults(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = community(w, &ann);
    channel(w, id, 2, &ann, default_channel());
    channel(w, id, 3, &ann, Settings::default());
    let closed = Settings {
        join: Some(JoinPolicy::Invite),
        ..default_channel()
    };
    channel(w, id, 4, &ann, closed);
    w.send(conversation(2), &ann, "welcome");
    w.reopen();
    let done = w.join(id, &bob, 0);
    let came = one(done.children);
    assert_eq!(came.conversation, conversation(2));
    assert_eq!(came.entries[0].meta.kind, EntryKind::Joined);
    assert_eq!(came.members[0].intervals[0].from, 1, "all of it");
    let told = done.records.iter().any(|(user, record)| {
        let here = record.conversation == Some(conversation(2)) && *user == bob;
        here && record.kind == UserRecordKind::Membership && record.value == 1
    });
    assert!(told);
    w.leave(conversation(2), &bob);
    let done = w.leave(id, &bob);
    assert_eq!(done.children, []);
    let op = MemberOp::Ban {
        user: bob.clone(),
        ban: fireside_server_core::storage::Ban {
            by: ann.clone(),
            until: 0,
        },
    };
    let append = w.member_append(conversation(2), &ann, EntryKind::Banned, op);
    w.done(append);
    assert_eq!(w.join(id, &bob, 0).children, [], "banned there");
}

fn dissolve(w: &mut World) {
    let (ann, bob, cyd) = (user("ann"), user("bob"), user("cyd"));
    let (id, thread) = with_thread(w, &[&bob]);
    let version = w.version(thread);
    let mut append = w.add(thread, version, &ann, Vec::new());
    if let Effect::Entries {
        members,
        bumps_version,
        ..
    } = &mut append.effect
    {
        *bumps_version = true;
        members.push(MemberOp::Invite {
            user: cyd.clone(),
            by: ann.clone(),
        });
    }
    w.done(append);
    let version = w.version(id);
    let mut append = w.add(id, version, &ann, vec![item(EntryKind::Dissolved, &ann)]);
    if let Effect::Entries { bumps_version, .. } = &mut append.effect {
        *bumps_version = true;
    }
    let done = w.done(append);
    let below = one(done.children);
    assert_eq!(below.entries[0].meta.kind, EntryKind::Dissolved);
    let kinds = done
        .records
        .iter()
        .filter(|(_, it)| it.conversation == Some(thread));
    let mut kinds: Vec<_> = kinds
        .map(|(who, it)| (who.clone(), it.kind, it.gone))
        .collect();
    kinds.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(
        kinds,
        [
            (ann.clone(), UserRecordKind::Membership, true),
            (bob, UserRecordKind::Membership, true),
            (cyd.clone(), UserRecordKind::Invitation, true)
        ]
    );
    w.reopen();
    let loaded = w.load(thread);
    assert!(loaded.row.expect("the thread").dissolved);
    assert!(loaded.members.iter().all(|row| row.role.is_none()));
    assert_eq!(w.member(thread, &cyd).invited_by, None);
}

fn page(
    w: &mut World,
    id: ConversationId,
    of: &UserId,
    after: Option<(u64, ConversationId)>,
    limit: u32,
) -> Option<ChildrenPage> {
    let request = ChildrenRequest {
        conversation: id,
        before_root: after.map_or(0, |(root, _)| root),
        after: after.map(|(_, id)| id),
        limit,
    };
    match w.one(Op::Children {
        user: of.clone(),
        request,
    }) {
        Reply::Children(page) => Some(page),
        Reply::NotFound => None,
        other => panic!("children were answered with {other:?}"),
    }
}

fn list(w: &mut World) {
    let (ann, bob, cyd) = (user("ann"), user("bob"), user("cyd"));
    let id = w.group(1, &ann, &[&bob]);
    let mut roots = Vec::new();
    for text in ["one", "two", "three"] {
        let root = w.send(id, &bob, text).entries[0].meta.sequence;
        let append = open(w, id, root, &ann, true);
        w.done(append);
        roots.push(root);
    }
    w.send(ConversationId::thread(id, roots[1]), &ann, "said");
    let first = page(w, id, &bob, None, 2).unwrap();
    assert!(first.more);
    let shown: Vec<u64> = first.children.iter().map(|it| it.root).collect();
    assert_eq!(shown, [roots[2], roots[1]]);
    let two = &first.children[1];
    assert_eq!((two.members, two.messages, two.role), (1, 1, None));
    let rest = page(w, id, &bob, Some((two.root, two.conversation)), 2).unwrap();
    let shown: Vec<u64> = rest.children.iter().map(|it| it.root).collect();
    assert_eq!((shown, rest.more), (vec![roots[0]], false));
    assert_eq!(page(w, id, &cyd, None, 0), None);
    // Who does not see a message does not see what is said to it.
    w.join(id, &cyd, 0);
    assert_eq!(page(w, id, &cyd, None, 0).unwrap().children, []);
    let space = {
        let id = conversation(9);
        let mut append = w.new_group(id, &ann, u64::MAX);
        if let Some(new) = &mut append.create {
            new.kind = ConversationKind::Community;
        }
        w.done(append);
        id
    };
    w.join(space, &bob, 0);
    channel(w, space, 10, &ann, Settings::default());
    let closed = Settings {
        join: Some(JoinPolicy::Invite),
        ..Settings::default()
    };
    channel(w, space, 11, &ann, closed);
    let names = |page: ChildrenPage| {
        page.children
            .into_iter()
            .map(|it| it.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(page(w, space, &bob, None, 0).unwrap()),
        ["channel 10"]
    );
    assert_eq!(
        names(page(w, space, &ann, None, 0).unwrap()),
        ["channel 10", "channel 11"]
    );
}

fn named_roles(w: &mut World) {
    let (ann, bob, cyd) = (user("ann"), user("bob"), user("cyd"));
    let id = w.group(1, &ann, &[&bob, &cyd]);
    let scouts = Role::Unknown(20);
    let op = MemberOp::SetRole {
        user: bob.clone(),
        role: scouts,
    };
    let append = w.member_append(id, &ann, EntryKind::Role, op);
    w.done(append);
    let mut named = message(&ann, "scouts!");
    if let Some(header) = &mut named.header {
        header.mention_roles = vec![scouts, Role::Unknown(46)];
    }
    let version = w.version(id);
    let append = w.add(id, version, &ann, vec![named]);
    let done = w.done(append);
    assert_eq!(
        done.entries[0].meta.mention_roles,
        role_set(&[scouts, Role::Unknown(46)])
    );
    for _ in 0..8 {
        w.send(id, &ann, "and more");
    }
    w.reopen();
    let mentions = |w: &mut World, who: &UserId| w.heads(who, heads_request()).heads[0].mentions;
    assert_eq!((mentions(w, &bob), mentions(w, &cyd)), (1, 0));
}
