//! Public conversations: who comes in, and who lets them.

use fireside_protocol::{
    Code, ConversationId, ConversationKind, JoinPolicy, ServerFrame, Settings, UserId,
    frames::{
        AnswerRequest, CreateGroup, Join, Leave, MembersRequest, SetConversation, UserRecord,
        UserRecordKind,
    },
};
use fireside_server_core::NodeConfig;

use crate::world::{World, heads, records, shown, user};

/// A public conversation of ann's; bob and cid are strangers.
fn public(world: &mut World, join: Option<JoinPolicy>) -> ConversationId {
    for (name, key) in [("ann", 1), ("bob", 2), ("cid", 3)] {
        world.enter(name, key);
    }
    let create = CreateGroup {
        nonce: world.nonce(),
        name: "Guild".into(),
        invite: Vec::new(),
        history_for_joiners: 0,
        kind: Some(ConversationKind::Public),
        join,
        ends: 0,
        parent: None,
        by_default: false,
    };
    let id = world.acked(1, create).conversation.unwrap();
    world.live(1);
    id
}

fn join(world: &mut World, conversation: ConversationId) -> Join {
    Join {
        nonce: world.nonce(),
        conversation,
        link: None,
    }
}

fn answer(world: &mut World, id: ConversationId, who: &str, accept: bool) -> AnswerRequest {
    AnswerRequest {
        nonce: world.nonce(),
        conversation: id,
        user: user(who),
        accept,
    }
}

fn of(records: &[UserRecord], kind: UserRecordKind) -> Vec<(u64, bool)> {
    let of = records.iter().filter(|record| record.kind == kind);
    of.map(|record| (record.value, record.gone)).collect()
}

fn asking(world: &mut World, key: u64, conversation: ConversationId) -> Vec<UserId> {
    let request = MembersRequest {
        conversation,
        after: None,
        limit: 0,
        asked: true,
        prefix: String::new(),
    };
    match world.ask(key, request) {
        ServerFrame::MembersPage(page) => page.members.into_iter().map(|it| it.user).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn whoever_wants_comes_into_an_open_one_and_sees_all_of_it() {
    let mut world = World::new();
    let id = public(&mut world, None);
    let send = world.message(id, "long ago");
    world.acked(1, send);
    let frame = join(&mut world, id);
    assert_eq!(world.acked(2, frame).sequence, 3);
    let live = world.live(2);
    let head = &heads(&live)[0];
    assert_eq!(
        (head.kind, head.visible_from),
        (ConversationKind::Public, 1)
    );
    assert_eq!(shown(&live).last().unwrap(), "3 Joined");
    // Everybody is not named by everybody.
    let mut send = world.message(id, "all!");
    send.header.mention_all = true;
    assert_eq!(world.refused(2, send).code(), Code::Forbidden);
    let frame = Leave {
        nonce: world.nonce(),
        conversation: id,
    };
    world.acked(2, frame);
    let frame = join(&mut world, id);
    world.acked(2, frame);
}

#[test]
fn on_request_somebody_must_say_yes() {
    let mut world = World::new();
    let id = public(&mut world, Some(JoinPolicy::Request));
    for (key, waiting) in [(2, 1), (3, 2)] {
        let frame = join(&mut world, id);
        assert_eq!(world.acked(key, frame).sequence, 0);
        let own = records(&world.live(key));
        assert_eq!(of(&own, UserRecordKind::Asked), [(0, false)]);
        assert_eq!(own[0].name, "Guild");
        let led = records(&world.live(1));
        assert_eq!(of(&led, UserRecordKind::JoinRequests), [(waiting, false)]);
    }
    let again = join(&mut world, id);
    world.acked(3, again);
    assert!(world.live(1).is_empty(), "nothing new");
    assert_eq!(asking(&mut world, 1, id), [user("bob"), user("cid")]);
    let send = world.message(id, "am I in?");
    assert_eq!(world.refused(2, send).code(), Code::NotFound);
    // A yes, by somebody who may.
    let frame = answer(&mut world, id, "cid", true);
    assert_eq!(world.refused(2, frame).code(), Code::NotFound);
    let frame = answer(&mut world, id, "bob", true);
    let at = world.acked(1, frame).sequence;
    let live = world.live(2);
    assert!(shown(&live).contains(&format!("{at} Joined")));
    let own = records(&live);
    assert_eq!(of(&own, UserRecordKind::Asked), [(0, true)]);
    assert_eq!(of(&own, UserRecordKind::Membership).len(), 1);
    let frame = answer(&mut world, id, "cid", true);
    assert_eq!(world.refused(2, frame).code(), Code::Forbidden);
    world.live(1);
    // A no, and no other.
    let frame = answer(&mut world, id, "cid", false);
    assert_eq!(world.acked(1, frame).sequence, 0);
    assert_eq!(
        of(&records(&world.live(3)), UserRecordKind::Asked),
        [(0, true)]
    );
    let led = records(&world.live(1));
    assert_eq!(of(&led, UserRecordKind::JoinRequests), [(0, true)]);
    let frame = answer(&mut world, id, "cid", true);
    assert_eq!(world.refused(1, frame).code(), Code::NotAsked);
    assert!(asking(&mut world, 1, id).is_empty());
    // Asked again, and taken back.
    let frame = join(&mut world, id);
    world.acked(3, frame);
    let frame = Leave {
        nonce: world.nonce(),
        conversation: id,
    };
    world.acked(3, frame);
    assert!(asking(&mut world, 1, id).is_empty());
}

#[test]
fn a_full_one_is_full_and_a_closed_one_does_not_tell() {
    let mut world = World::with(NodeConfig {
        public_members_max: 2,
        ..NodeConfig::default()
    });
    let id = public(&mut world, Some(JoinPolicy::Open));
    let frame = join(&mut world, id);
    world.acked(2, frame);
    let frame = join(&mut world, id);
    assert_eq!(world.refused(3, frame).code(), Code::TooManyMembers);
    let close = SetConversation {
        nonce: world.nonce(),
        conversation: id,
        change: Settings {
            join: Some(JoinPolicy::Invite),
            ..Settings::default()
        }
        .into(),
    };
    world.acked(1, close);
    let frame = join(&mut world, id);
    assert_eq!(world.refused(3, frame).code(), Code::NotFound);
    // A group is never open.
    let mut create = CreateGroup {
        nonce: world.nonce(),
        name: "Friends".into(),
        invite: Vec::new(),
        history_for_joiners: 0,
        kind: None,
        join: Some(JoinPolicy::Open),
        ends: 0,
        parent: None,
        by_default: false,
    };
    assert_eq!(
        world.refused(1, create.clone()).code(),
        Code::ArgumentInvalid
    );
    create.nonce = world.nonce();
    create.kind = Some(ConversationKind::Live);
    assert_eq!(world.refused(1, create).code(), Code::ArgumentInvalid);
}
