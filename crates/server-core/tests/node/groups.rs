//! Members come and go.

use fireside_protocol::{
    Code, EntryKind, Role, ServerFrame,
    frames::{
        Block, CreateGroup, Join, Leave, MembersRequest, PageRequest, RemoveMember, SetRole,
        UserRecordKind,
    },
};

use crate::world::{World, heads, records, shown, user};

fn three() -> (World, fireside_protocol::ConversationId) {
    let mut world = World::new();
    for (name, key) in [("ann", 1), ("bob", 2), ("cid", 3)] {
        world.enter(name, key);
    }
    let group = world.group(&[("ann", 1), ("bob", 2), ("cid", 3)]);
    for key in 1..=3 {
        world.live(key);
    }
    (world, group)
}

#[test]
fn a_group_is_made_joined_and_written_in() {
    let mut world = World::new();
    world.enter("ann", 1);
    world.enter("bob", 2);
    let nonce = world.nonce();
    let create = CreateGroup {
        nonce,
        name: "  Raid ".into(),
        invite: vec![user("bob"), user("bob"), user("ann")],
        history_for_joiners: 0,
        kind: None,
        join: None,
        ends: 0,
        parent: None,
        by_default: false,
    };
    let ack = world.acked(1, create.clone());
    let group = ack.conversation.unwrap();
    assert_eq!(ack.sequence, 1);
    let live = world.live(1);
    assert_eq!(shown(&live), ["head 1", "1 Raid"]);
    assert_eq!(heads(&live)[0].role, Some(Role::Owner));
    let invitations = records(&world.live(2));
    assert_eq!(invitations.len(), 1);
    assert_eq!(invitations[0].kind, UserRecordKind::Invitation);
    assert_eq!(
        (invitations[0].name.as_str(), invitations[0].user.as_ref()),
        ("Raid", Some(&user("ann")))
    );
    assert_eq!(world.acked(1, create).conversation, Some(group), "a repeat");

    let send = world.message(group, "not in yet");
    assert_eq!(world.refused(2, send).code(), Code::NotFound);
    let nonce = world.nonce();
    assert_eq!(
        world
            .acked(
                2,
                Join {
                    nonce,
                    conversation: group,
                    link: None,
                }
            )
            .sequence,
        2
    );
    let live = world.live(2);
    assert_eq!(shown(&live), ["head 2", "2 Joined"]);
    let kinds: Vec<_> = records(&live).iter().map(|it| (it.kind, it.gone)).collect();
    assert_eq!(
        kinds,
        [
            (UserRecordKind::Membership, false),
            (UserRecordKind::Invitation, true)
        ]
    );
    let send = world.message(group, "hello");
    world.acked(2, send);
    assert_eq!(shown(&world.live(1)), ["2 Joined", "3 hello"]);
    assert_eq!(shown(&world.live(2)), ["3 hello"]);
    let nonce = world.nonce();
    let again = Join {
        nonce,
        conversation: group,
        link: None,
    };
    assert_eq!(world.refused(2, again).code(), Code::AlreadyMember);
}

#[test]
fn a_late_joiner_sees_nothing_earlier() {
    let (mut world, group) = three();
    world.enter("dee", 4);
    let invite = world.invite(group, "dee");
    assert_eq!(world.refused(2, invite.clone()).code(), Code::Forbidden);
    let send = world.message(group, "before");
    world.acked(1, send);
    let mut invite = invite;
    invite.nonce = world.nonce();
    world.acked(1, invite);
    let nonce = world.nonce();
    let joined = world
        .acked(
            4,
            Join {
                nonce,
                conversation: group,
                link: None,
            },
        )
        .sequence;
    let live = world.live(4);
    assert_eq!(heads(&live)[0].visible_from, joined);
    assert_eq!(shown(&live).last().unwrap(), &format!("{joined} Joined"));
    let request = PageRequest {
        conversation: group,
        anchor: 0,
        number: 0,
        to: 0,
        limit: 0,
        since: 0,
        held: Vec::new(),
    };
    let ServerFrame::Page(page) = world.ask(4, request) else {
        panic!("no page");
    };
    assert_eq!((page.items.len(), page.first, page.last), (1, 1, joined));
    assert_eq!((page.skips[0].first, page.skips[0].last), (1, joined - 1));
}

#[test]
fn who_was_removed_gets_the_removal_and_nothing_later() {
    let (mut world, group) = three();
    world.hold_store = true;
    let mut remove = RemoveMember {
        nonce: world.nonce(),
        conversation: group,
        user: user("cid"),
    };
    let removed = world.request(1, remove.clone());
    // Both were decided before the removal was answered.
    let send = world.message(group, "behind the removal");
    let foreign = world.request(3, send);
    let send = world.message(group, "of bob");
    let own = world.request(2, send);
    world.hold_store = false;
    world.carry_out();
    let Some(ServerFrame::Ack(ack)) = world.answer(1, removed) else {
        panic!("not removed");
    };
    let at = ack.sequence;
    assert!(
        matches!(world.answer(2, own), Some(ServerFrame::Ack(_))),
        "decided again"
    );
    let refusal = world.answer(3, foreign);
    assert!(matches!(refusal, Some(ServerFrame::Refused(it)) if it.code() == Code::NotFound));
    assert!(world.node.counters().stale >= 2);
    let live = world.live(3);
    assert_eq!(shown(&live), [format!("{at} Removed")], "their last entry");
    assert!(records(&live)[0].gone);
    assert_eq!(
        shown(&world.live(1)),
        [format!("{at} Removed"), format!("{} of bob", at + 1)]
    );
    remove.nonce = world.nonce();
    assert_eq!(world.refused(1, remove).code(), Code::NotMember);
    let ask = MembersRequest {
        conversation: group,
        after: None,
        limit: 0,
        asked: false,
        prefix: String::new(),
    };
    assert_eq!(world.refused(3, ask.clone()).code(), Code::NotFound);
    let ServerFrame::MembersPage(page) = world.ask(2, ask) else {
        panic!("no members");
    };
    assert_eq!(page.members.len(), 2);

    // Back again: a head, then entries from the new membership on.
    let invite = world.invite(group, "cid");
    world.acked(1, invite);
    let nonce = world.nonce();
    let back = world
        .acked(
            3,
            Join {
                nonce,
                conversation: group,
                link: None,
            },
        )
        .sequence;
    let send = world.message(group, "welcome back");
    world.acked(1, send);
    let seen = shown(&world.live(3));
    assert_eq!(seen[0], format!("head {back}"));
    assert_eq!(seen.last().unwrap(), &format!("{} welcome back", back + 1));
}

#[test]
fn a_session_that_ended_before_the_removal_was_told_leaves_no_trace() {
    let (mut world, group) = three();
    world.hold_store = true;
    let remove = RemoveMember {
        nonce: world.nonce(),
        conversation: group,
        user: user("cid"),
    };
    world.request(1, remove);
    world.node.handle_disconnected(3, world.now);
    world.hold_store = false;
    world.carry_out();
    // The key of the user who left goes to another.
    world.enter("eve", 5);
    let send = world.message(group, "secret");
    world.acked(1, send);
    assert!(world.live(5).is_empty());
}

#[test]
fn a_block_in_a_group_is_the_blockers_alone() {
    let (mut world, group) = three();
    let nonce = world.nonce();
    world.acked(
        2,
        Block {
            nonce,
            user: user("cid"),
            on: true,
        },
    );
    let kinds: Vec<_> = records(&world.live(2)).iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [UserRecordKind::Block, UserRecordKind::Rights]);
    let send = world.message(group, "from cid");
    let at = world.acked(3, send).sequence;
    assert_eq!(shown(&world.live(2)), [format!("{at}-{at}")]);
    assert_eq!(shown(&world.live(1)), [format!("{at} from cid")]);
    let send = world.message(group, "from bob");
    world.acked(2, send);
    world.live(1);
    assert_eq!(
        shown(&world.live(3)).last().unwrap(),
        &format!("{} from bob", at + 1)
    );
    let nonce = world.nonce();
    world.acked(
        2,
        Block {
            nonce,
            user: user("cid"),
            on: false,
        },
    );
    let send = world.message(group, "heard again");
    world.acked(3, send);
    assert_eq!(
        shown(&world.live(2)).last().unwrap(),
        &format!("{} heard again", at + 2)
    );
}

#[test]
fn a_joiner_brings_their_blocks_along() {
    let (mut world, group) = three();
    world.enter("dee", 4);
    let nonce = world.nonce();
    world.acked(
        4,
        Block {
            nonce,
            user: user("bob"),
            on: true,
        },
    );
    let invite = world.invite(group, "dee");
    world.acked(1, invite);
    let nonce = world.nonce();
    world.acked(
        4,
        Join {
            nonce,
            conversation: group,
            link: None,
        },
    );
    world.live(4);
    let send = world.message(group, "from bob");
    let at = world.acked(2, send).sequence;
    assert_eq!(shown(&world.live(4)), [format!("{at}-{at}")]);
}

#[test]
fn an_invitation_between_blocked_users_goes_nowhere_in_silence() {
    let (mut world, group) = three();
    world.enter("dee", 4);
    let nonce = world.nonce();
    world.acked(
        4,
        Block {
            nonce,
            user: user("ann"),
            on: true,
        },
    );
    world.live(4);
    let invite = world.invite(group, "dee");
    world.acked(1, invite);
    assert!(world.live(4).is_empty());
    let nonce = world.nonce();
    assert_eq!(
        world
            .refused(
                4,
                Join {
                    nonce,
                    conversation: group,
                    link: None,
                }
            )
            .code(),
        Code::NotFound
    );
}

#[test]
fn roles_and_the_owner_who_wants_to_go() {
    let (mut world, group) = three();
    let nonce = world.nonce();
    let leave = Leave {
        nonce,
        conversation: group,
    };
    assert_eq!(world.refused(1, leave).code(), Code::OwnerMustTransfer);
    let mut give = SetRole {
        nonce: world.nonce(),
        conversation: group,
        user: user("bob"),
        role: Role::Admin,
    };
    assert_eq!(world.refused(2, give.clone()).code(), Code::Forbidden);
    give.nonce = world.nonce();
    world.acked(1, give.clone());
    // An admin removes members, but not the owner.
    let mut remove = RemoveMember {
        nonce: world.nonce(),
        conversation: group,
        user: user("ann"),
    };
    assert_eq!(world.refused(2, remove.clone()).code(), Code::Forbidden);
    remove.nonce = world.nonce();
    remove.user = user("cid");
    world.acked(2, remove);
    give.nonce = world.nonce();
    give.role = Role::Owner;
    world.live(1);
    world.acked(1, give);
    let live = world.live(1);
    let roles = live.iter().filter(
        |frame| matches!(frame, ServerFrame::Entry(entry) if entry.kind == EntryKind::Role),
    );
    assert_eq!(roles.count(), 2, "the new owner and the giver");
    let nonce = world.nonce();
    world.acked(
        1,
        Leave {
            nonce,
            conversation: group,
        },
    );
    let nonce = world.nonce();
    world.acked(
        2,
        Leave {
            nonce,
            conversation: group,
        },
    );
}

#[test]
fn an_invitation_is_declined() {
    let (mut world, group) = three();
    world.enter("dee", 4);
    let invite = world.invite(group, "dee");
    world.acked(1, invite);
    world.live(4);
    let nonce = world.nonce();
    world.acked(
        4,
        Leave {
            nonce,
            conversation: group,
        },
    );
    let record = &records(&world.live(4))[0];
    assert!(record.gone && record.kind == UserRecordKind::Invitation);
    let nonce = world.nonce();
    assert_eq!(
        world
            .refused(
                4,
                Join {
                    nonce,
                    conversation: group,
                    link: None,
                }
            )
            .code(),
        Code::NotInvited
    );
}
