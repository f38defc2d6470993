//! Channels of a community, threads under messages, and roles of a conversation's own.

use fireside_protocol::{
    Child, Code, ConversationId, ConversationKind, Entry, EntryKind, FacetKind, JoinPolicy,
    OwnRole, Permission, Role, ServerFrame, Settings,
    frames::{
        AnswerRequest, Ban, ChildSummary, ChildrenRequest, CreateGroup, Dissolve, Edit,
        HeadsRequest, Join, Leave, Mute, OpenThread, PageRequest, RemoveMember, SetConversation,
        SetRole, UserRecordKind,
    },
};
use fireside_server_core::{Breaks, storage::StoreError};

use crate::world::{World, heads, records, shown, user};

const BOB: u64 = 2;
const CID: u64 = 3;

fn open(world: &mut World, conversation: ConversationId, target: u64) -> OpenThread {
    OpenThread {
        nonce: world.nonce(),
        conversation,
        target,
        name: String::new(),
    }
}

fn join(world: &mut World, conversation: ConversationId) -> Join {
    Join {
        nonce: world.nonce(),
        conversation,
        link: None,
    }
}

fn made(world: &mut World, kind: ConversationKind, parent: Option<ConversationId>) -> CreateGroup {
    CreateGroup {
        nonce: world.nonce(),
        name: "Guild".into(),
        invite: Vec::new(),
        history_for_joiners: 0,
        kind: Some(kind),
        join: Some(JoinPolicy::Open),
        ends: 0,
        parent,
        by_default: false,
    }
}

fn all_enter(world: &mut World) {
    for (name, key) in [("ann", 1), ("bob", BOB), ("cid", CID)] {
        world.enter(name, key);
    }
}

/// A group of the three with a message of ann's, and the thread that bob opened under it.
fn with_thread(world: &mut World) -> (ConversationId, u64, ConversationId) {
    all_enter(world);
    let id = world.group(&[("ann", 1), ("bob", BOB), ("cid", CID)]);
    let send = world.message(id, "who comes?");
    let root = world.acked(1, send).sequence;
    for key in 1..=3 {
        world.live(key);
    }
    let frame = open(world, id, root);
    let ack = world.acked(BOB, frame);
    assert_eq!(ack.conversation, Some(id));
    (id, root, ConversationId::thread(id, root))
}

/// A community of ann's with bob in it, and a channel.
fn community(world: &mut World, by_default: bool) -> (ConversationId, ConversationId) {
    all_enter(world);
    let create = made(world, ConversationKind::Community, None);
    let id = world.acked(1, create).conversation.unwrap();
    let mut create = made(world, ConversationKind::Channel, Some(id));
    create.by_default = by_default;
    let nonce = create.nonce;
    assert_eq!(world.acked(1, create).conversation, Some(id));
    let frame = join(world, id);
    world.acked(BOB, frame);
    (id, ConversationId::made(&user("ann"), nonce))
}

fn children(world: &mut World, key: u64, conversation: ConversationId) -> Vec<ChildSummary> {
    let request = ChildrenRequest {
        conversation,
        before_root: 0,
        after: None,
        limit: 0,
    };
    match world.ask(key, request) {
        ServerFrame::ChildrenPage(page) => page.children,
        other => panic!("{other:?}"),
    }
}

fn items(world: &mut World, key: u64, conversation: ConversationId) -> Result<Vec<Entry>, Code> {
    let request = PageRequest {
        conversation,
        anchor: 0,
        number: 0,
        to: 0,
        limit: 0,
        since: 0,
        held: Vec::new(),
    };
    match world.ask(key, request) {
        ServerFrame::Page(page) => {
            let items = page.items.iter();
            Ok(items
                .map(|raw| fireside_protocol::decode(&raw.0).unwrap())
                .collect())
        }
        ServerFrame::Refused(refused) => Err(refused.code()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_thread_has_a_log_and_members_of_its_own() {
    let mut world = World::new();
    let (id, root, thread) = with_thread(&mut world);
    // All see that it is there; only who is in it hears what is said.
    let facet = |frames: &[ServerFrame]| {
        frames.iter().any(|frame| {
            let entry = match frame {
                ServerFrame::Entry(entry) if entry.kind == EntryKind::Thread => entry,
                _ => return false,
            };
            let child = entry.facet::<Child>(FacetKind::Thread).unwrap();
            entry.target == root && child.conversation == thread && child.by == user("bob")
        })
    };
    assert!(facet(&world.live(1)) && facet(&world.live(CID)));
    let own = world.live(BOB);
    let head = heads(&own)
        .into_iter()
        .find(|head| head.conversation == thread)
        .unwrap();
    assert_eq!(
        (head.kind, head.parent, head.root),
        (ConversationKind::Thread, Some(id), root)
    );
    assert_eq!(head.role, Some(Role::Owner));
    let told = records(&own);
    assert!(
        told.iter()
            .any(|it| it.kind == UserRecordKind::Membership && it.conversation == Some(thread))
    );
    let send = world.message(thread, "I do");
    assert_eq!(
        world.refused(1, send.clone()).code(),
        Code::NotFound,
        "ann is not in it"
    );
    assert_eq!(world.acked(BOB, send).sequence, 2);
    assert_eq!(shown(&world.live(1)), [""; 0]);
    let frame = open(&mut world, id, root);
    assert_eq!(world.acked(1, frame.clone()).sequence, 0);
    assert_eq!(world.acked(1, frame).sequence, 0, "a repeat");
    let again = open(&mut world, id, root);
    world.acked(1, again);
    assert_eq!(shown(&world.live(BOB)), ["2 I do", "3 Joined"]);
    let texts = items(&mut world, 1, thread).unwrap();
    assert_eq!(texts.len(), 3, "all that was said");
    let frame = join(&mut world, thread);
    world.acked(CID, frame);
    assert_eq!(children(&mut world, CID, id)[0].members, 3);
    let frame = Leave {
        nonce: world.nonce(),
        conversation: thread,
    };
    world.acked(BOB, frame);
    assert_eq!(items(&mut world, BOB, thread), Err(Code::NotFound));
}

#[test]
fn who_is_out_of_the_parent_is_out_of_its_threads() {
    for how in 0..3 {
        let mut world = World::new();
        let (id, root, thread) = with_thread(&mut world);
        let frame = open(&mut world, id, root);
        world.acked(CID, frame);
        for key in 1..=3 {
            world.live(key);
        }
        let nonce = world.nonce();
        match how {
            0 => world.acked(
                CID,
                Leave {
                    nonce,
                    conversation: id,
                },
            ),
            1 => world.acked(
                1,
                RemoveMember {
                    nonce,
                    conversation: id,
                    user: user("cid"),
                },
            ),
            _ => world.acked(
                1,
                Ban {
                    nonce,
                    conversation: id,
                    user: user("cid"),
                    on: true,
                    until: 0,
                },
            ),
        };
        let own = world.live(CID);
        let gone = records(&own);
        let gone = gone
            .iter()
            .filter(|it| it.kind == UserRecordKind::Membership && it.gone);
        let gone: Vec<_> = gone.map(|it| it.conversation.unwrap()).collect();
        assert_eq!(gone, [id, thread]);
        let last = shown(&world.live(BOB));
        assert!(
            last.contains(&if how == 0 {
                "3 Left".to_owned()
            } else {
                "3 Removed".to_owned()
            }),
            "{last:?}"
        );
        let send = world.message(thread, "psst");
        world.acked(BOB, send);
        assert_eq!(shown(&world.live(CID)), [""; 0]);
        let send = world.message(thread, "still here");
        assert_eq!(world.refused(CID, send).code(), Code::NotFound);
        let frame = join(&mut world, thread);
        assert_eq!(world.refused(CID, frame).code(), Code::NotFound);
        assert_eq!(items(&mut world, CID, thread), Err(Code::NotFound));
    }
}

#[test]
fn a_store_that_leaves_them_in_is_found_out() {
    let mut world = World::broken(Breaks {
        orphans: true,
        ..Breaks::default()
    });
    let (id, root, thread) = with_thread(&mut world);
    let frame = open(&mut world, id, root);
    world.acked(CID, frame);
    let frame = Leave {
        nonce: world.nonce(),
        conversation: id,
    };
    world.acked(CID, frame);
    assert!(items(&mut world, CID, thread).is_ok());
}

#[test]
fn threads_open_where_they_may_and_once() {
    let mut world = World::new();
    let (id, root, thread) = with_thread(&mut world);
    world.enter("eve", 9);
    let frame = open(&mut world, id, root);
    assert_eq!(world.refused(9, frame).code(), Code::NotFound, "a stranger");
    let frame = open(&mut world, id, 99);
    assert_eq!(
        world.refused(1, frame).code(),
        Code::NotFound,
        "no such message"
    );
    let frame = open(&mut world, id, 1);
    assert_eq!(world.refused(1, frame).code(), Code::NotFound, "no message");
    let send = world.message(thread, "deeper");
    let below = world.acked(BOB, send).sequence;
    let frame = open(&mut world, thread, below);
    assert_eq!(
        world.refused(BOB, frame).code(),
        Code::Forbidden,
        "threads have none"
    );
    let send = world.message_to("ann", "bob", "hi");
    let ack = world.acked(1, send);
    let frame = open(&mut world, ack.conversation.unwrap(), ack.sequence);
    assert_eq!(world.refused(1, frame).code(), Code::Forbidden);
    // Two open one at the same time: both are in it.
    let send = world.message(id, "and this?");
    let root = world.acked(1, send).sequence;
    world.hold_store = true;
    let (one, two) = (open(&mut world, id, root), open(&mut world, id, root));
    let (first, second) = (world.request(1, one), world.request(CID, two));
    world.hold_store = false;
    world.carry_out();
    for (key, request) in [(1, first), (CID, second)] {
        let answer = world.answer(key, request);
        assert!(matches!(answer, Some(ServerFrame::Ack(_))), "{answer:?}");
    }
    let thread = children(&mut world, 1, id).remove(0);
    assert_eq!((thread.root, thread.members), (root, 2));
    // A muted member opens none.
    let nonce = world.nonce();
    let until = world.now.wall_ms + 60_000;
    world.acked(
        1,
        Mute {
            nonce,
            conversation: id,
            user: user("bob"),
            until,
        },
    );
    let send = world.message(id, "third");
    let root = world.acked(1, send).sequence;
    let frame = open(&mut world, id, root);
    assert_eq!(world.refused(BOB, frame).code(), Code::Muted);
    let send = world.message(ConversationId::thread(id, 5), "muted below too");
    let _ = send;
    let send = world.message(thread.conversation, "not in it");
    assert_eq!(world.refused(BOB, send).code(), Code::NotFound);
}

#[test]
fn a_mute_and_a_role_reach_down() {
    let mut world = World::new();
    let (id, _, thread) = with_thread(&mut world);
    let nonce = world.nonce();
    let until = world.now.wall_ms + 60_000;
    world.acked(
        1,
        Mute {
            nonce,
            conversation: id,
            user: user("bob"),
            until,
        },
    );
    let nonce = world.nonce();
    let role = Role::Admin;
    world.acked(
        1,
        SetRole {
            nonce,
            conversation: id,
            user: user("bob"),
            role,
        },
    );
    let send = world.message(thread, "mmh");
    let refused = world.refused(BOB, send);
    assert_eq!((refused.code(), refused.until), (Code::Muted, until));
    let head = HeadsRequest {
        since: 0,
        before_at: 0,
        before: None,
        limit: 0,
        only: vec![thread],
    };
    match world.ask(BOB, head) {
        ServerFrame::HeadsPage(page) => assert_eq!(page.heads[0].role, Some(Role::Admin)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_community_is_a_space_of_channels() {
    let mut world = World::new();
    let (id, channel) = community(&mut world, false);
    world.live(BOB);
    let send = world.message(id, "nobody writes here");
    assert_eq!(world.refused(1, send).code(), Code::Forbidden);
    let mine = children(&mut world, BOB, id);
    assert_eq!(
        (mine.len(), mine[0].conversation, mine[0].role),
        (1, channel, None)
    );
    let send = world.message(channel, "hello?");
    assert_eq!(world.refused(BOB, send).code(), Code::NotFound);
    let frame = join(&mut world, channel);
    world.acked(BOB, frame);
    let send = world.message(channel, "hello!");
    let root = world.acked(BOB, send).sequence;
    let frame = join(&mut world, channel);
    assert_eq!(
        world.refused(CID, frame).code(),
        Code::NotFound,
        "not in the community"
    );
    // Channels have threads, and who leaves the community is out of these too.
    let frame = open(&mut world, channel, root);
    world.acked(BOB, frame);
    let thread = ConversationId::thread(channel, root);
    let frame = Leave {
        nonce: world.nonce(),
        conversation: id,
    };
    world.acked(BOB, frame);
    for gone in [id, channel, thread] {
        assert_eq!(items(&mut world, BOB, gone), Err(Code::NotFound));
    }
    let create = made(&mut world, ConversationKind::Channel, Some(id));
    assert_eq!(world.refused(BOB, create).code(), Code::NotFound);
    let create = made(&mut world, ConversationKind::Channel, None);
    assert_eq!(world.refused(1, create).code(), Code::ArgumentInvalid);
    let group = world.group(&[("ann", 1), ("cid", CID)]);
    let create = made(&mut world, ConversationKind::Channel, Some(group));
    assert_eq!(world.refused(1, create).code(), Code::ArgumentInvalid);
    let frame = join(&mut world, id);
    world.acked(CID, frame);
    let create = made(&mut world, ConversationKind::Channel, Some(id));
    assert_eq!(world.refused(CID, create).code(), Code::Forbidden);
}

#[test]
fn who_comes_into_a_community_comes_into_its_default_channels() {
    let mut world = World::new();
    let (id, channel) = community(&mut world, true);
    let came = heads(&world.live(BOB));
    let came: Vec<_> = came.iter().map(|head| head.conversation).collect();
    assert!(came.contains(&id) && came.contains(&channel), "{came:?}");
    let send = world.message(channel, "I am in");
    world.acked(BOB, send);
    assert!(shown(&world.live(1)).contains(&"3 I am in".to_owned()));
    // By hand to nobody but members of the community, asked or not.
    let nonce = world.nonce();
    let change = Settings {
        join: Some(JoinPolicy::Request),
        ..Settings::default()
    };
    world.acked(
        1,
        SetConversation {
            nonce,
            conversation: channel,
            change: Box::new(change),
        },
    );
    let frame = join(&mut world, id);
    world.acked(CID, frame);
    let frame = join(&mut world, channel);
    world.acked(CID, frame);
    let frame = Leave {
        nonce: world.nonce(),
        conversation: id,
    };
    world.acked(CID, frame);
    let answer = AnswerRequest {
        nonce: world.nonce(),
        conversation: channel,
        user: user("cid"),
        accept: true,
    };
    assert_eq!(world.refused(1, answer).code(), Code::NotAsked);
}

#[test]
fn with_the_parent_all_below_ends() {
    let mut world = World::new();
    let (id, channel) = community(&mut world, true);
    let send = world.message(channel, "root");
    let root = world.acked(BOB, send).sequence;
    let frame = open(&mut world, channel, root);
    world.acked(BOB, frame);
    world.live(BOB);
    let frame = Dissolve {
        nonce: world.nonce(),
        conversation: id,
    };
    world.acked(1, frame);
    let gone = records(&world.live(BOB));
    assert_eq!(
        gone.iter()
            .filter(|it| it.kind == UserRecordKind::Membership && it.gone)
            .count(),
        3
    );
    for key in [1, BOB] {
        for gone in [channel, ConversationId::thread(channel, root)] {
            let send = world.message(gone, "anybody?");
            assert_eq!(world.refused(key, send).code(), Code::NotFound);
        }
    }
    world.restart();
    world.enter("bob", BOB);
    let send = world.message(channel, "anybody?");
    assert_eq!(world.refused(BOB, send).code(), Code::NotFound);
}

#[test]
fn nothing_is_half_done_when_the_store_fails() {
    let mut world = World::new();
    let (id, _, _) = with_thread(&mut world);
    let send = world.message(id, "another");
    let root = world.acked(1, send).sequence;
    world.failing = Some(StoreError::Full);
    let frame = open(&mut world, id, root);
    assert_eq!(world.refused(1, frame.clone()).code(), Code::StorageFull);
    world.failing = None;
    assert_eq!(children(&mut world, 1, id).len(), 1);
    world.acked(1, frame);
    assert_eq!(children(&mut world, 1, id).len(), 2);
}

#[test]
fn own_roles_may_what_they_say_and_can_be_named() {
    let mut world = World::new();
    all_enter(&mut world);
    let id = world.group(&[("ann", 1), ("bob", BOB), ("cid", CID)]);
    let scout = Role::Unknown(20);
    let set = |world: &mut World, user_name: &str, role| SetRole {
        nonce: world.nonce(),
        conversation: id,
        user: user(user_name),
        role,
    };
    let frame = set(&mut world, "bob", scout);
    assert_eq!(
        world.refused(1, frame).code(),
        Code::ArgumentInvalid,
        "there is no such role"
    );
    let role = OwnRole {
        number: 20,
        name: "Scout".into(),
        permissions: Permission::Send.bit() | Permission::Remove.bit(),
        colour: 0x00ff_8800,
    };
    let change = Settings {
        roles: vec![role],
        ..Settings::default()
    };
    let define = |world: &mut World, change: &Settings| SetConversation {
        nonce: world.nonce(),
        conversation: id,
        change: Box::new(change.clone()),
    };
    let frame = define(&mut world, &change);
    assert_eq!(world.refused(BOB, frame).code(), Code::Forbidden);
    let frame = define(&mut world, &change);
    world.acked(1, frame);
    let frame = set(&mut world, "bob", scout);
    world.acked(1, frame);
    let mut send = world.message(id, "scouts!");
    send.header.mention_roles = vec![scout];
    assert_eq!(
        world.refused(BOB, send.clone()).code(),
        Code::Forbidden,
        "may not name"
    );
    send.nonce = world.nonce();
    world.acked(1, send.clone());
    let number = send.nonce;
    let mentions = |world: &mut World, key| {
        let request = HeadsRequest {
            since: 0,
            before_at: 0,
            before: None,
            limit: 0,
            only: vec![id],
        };
        match world.ask(key, request) {
            ServerFrame::HeadsPage(page) => page.heads[0].mentions,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        (mentions(&mut world, BOB), mentions(&mut world, CID)),
        (1, 0)
    );
    let edit = Edit {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target: 0,
        target_nonce: Some(number),
        seen_rev: 0,
        content: send.content,
    };
    world.acked(1, edit);
    // Between admin and member.
    let remove = |world: &mut World, name: &str| RemoveMember {
        nonce: world.nonce(),
        conversation: id,
        user: user(name),
    };
    let frame = remove(&mut world, "ann");
    assert_eq!(world.refused(BOB, frame).code(), Code::Forbidden);
    let frame = remove(&mut world, "cid");
    assert_eq!(world.refused(CID, frame).code(), Code::ArgumentInvalid);
    let frame = remove(&mut world, "cid");
    world.acked(BOB, frame);
    // Without its role a member may what members may.
    let gone = Settings {
        roles: vec![OwnRole {
            number: 20,
            name: String::new(),
            permissions: 0,
            colour: 0,
        }],
        ..Settings::default()
    };
    let frame = define(&mut world, &gone);
    world.acked(1, frame);
    let invite = world.invite(id, "cid");
    world.acked(1, invite);
    let frame = join(&mut world, id);
    world.acked(CID, frame);
    let frame = remove(&mut world, "cid");
    assert_eq!(world.refused(BOB, frame).code(), Code::Forbidden);
}
