//! Muted, banned, named and dissolved.

use fireside_protocol::{
    Attribute, Code, ConversationId, EntryKind, MemberProfile, Permission, Role, ServerFrame,
    Settings, decode,
    frames::{
        Attention, Ban, BansRequest, CreateGroup, Dissolve, Edit, HeadsRequest, Invite, Join,
        MembersRequest, Mute, Pin, React, Recall, SetConversation, SetMember, SetRole, Typing,
        UserRecordKind,
    },
};
use fireside_server_core::{Breaks, NodeConfig};

use crate::world::{World, heads, records, shown, user};

/// A group of ann's with bob and cid.
fn group(world: &mut World) -> ConversationId {
    let all = [("ann", 1), ("bob", 2), ("cid", 3)];
    for (name, key) in all.into_iter().chain([("dan", 4)]) {
        world.enter(name, key);
    }
    let id = world.group(&all);
    for key in 1..=3 {
        world.live(key);
    }
    id
}

fn give(world: &mut World, conversation: ConversationId, who: &str, role: Role) -> SetRole {
    SetRole {
        nonce: world.nonce(),
        conversation,
        user: user(who),
        role,
    }
}

fn mute(world: &mut World, conversation: ConversationId, who: &str, until: u64) -> Mute {
    Mute {
        nonce: world.nonce(),
        conversation,
        user: user(who),
        until,
    }
}

fn ban(world: &mut World, conversation: ConversationId, who: &str, until: u64) -> Ban {
    Ban {
        nonce: world.nonce(),
        conversation,
        user: user(who),
        on: true,
        until,
    }
}

fn join(world: &mut World, conversation: ConversationId) -> Join {
    Join {
        nonce: world.nonce(),
        conversation,
        link: None,
    }
}

#[test]
fn who_is_muted_changes_nothing_until_the_servers_clock_says_so() {
    let mut world = World::new();
    let id = group(&mut world);
    let send = world.message(id, "first");
    let first = world.acked(2, send).sequence;
    let until = world.now.wall_ms + 60_000;
    for key in 1..=3 {
        world.live(key);
    }
    let frame = mute(&mut world, id, "bob", until);
    let at = world.acked(1, frame).sequence;
    for key in 1..=3 {
        let live = world.live(key);
        let said = live.iter().find_map(|frame| match frame {
            ServerFrame::Entry(entry) if entry.sequence == at => entry.member.clone(),
            _ => None,
        });
        let said = said.unwrap();
        assert_eq!((said.user, said.until), (user("bob"), until));
    }
    let send = world.message(id, "may I?");
    let refused = world.refused(2, send.clone());
    assert_eq!((refused.code(), refused.until), (Code::Muted, until));
    let again = world.refused(2, send);
    assert_eq!((again.code(), again.until), (Code::Muted, until));
    let edit = Edit {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target: first,
        target_nonce: None,
        seen_rev: 0,
        content: world.message(id, "other").content,
    };
    assert_eq!(world.refused(2, edit).code(), Code::Muted);
    let react = React {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target: first,
        target_nonce: None,
        key: "👍".into(),
        on: true,
    };
    assert_eq!(world.refused(2, react).code(), Code::Muted);
    let pin = Pin {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target: first,
        target_nonce: None,
        on: true,
    };
    assert_eq!(world.refused(2, pin).code(), Code::Muted);
    let rename = SetMember {
        nonce: world.nonce(),
        conversation: id,
        user: None,
        name: Some("I am muted".into()),
        attributes: None,
    };
    assert_eq!(world.refused(2, rename).code(), Code::Muted);
    world.ask(3, Attention { open: vec![id] });
    world.live(3);
    let typing = |world: &mut World, key: u64, counter| {
        let frame = Typing {
            conversation: id,
            counter,
            on: true,
        };
        world.request(key, frame);
        world.live(3).len()
    };
    assert_eq!(typing(&mut world, 1, 1), 1);
    assert_eq!(typing(&mut world, 2, 1), 0, "nor is it said that they type");
    // What they wrote they may take back; others write on.
    let recall = Recall {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target: first,
        target_nonce: None,
    };
    world.acked(2, recall);
    let send = world.message(id, "we go on");
    world.acked(3, send);
    // Lists say it, and a restart forgets nothing.
    world.restart();
    for (name, key) in [("ann", 1), ("bob", 2)] {
        world.enter(name, key);
    }
    let heads = HeadsRequest {
        since: 0,
        before_at: 0,
        before: None,
        limit: 0,
        only: vec![id],
    };
    for (key, expected) in [(1, 0), (2, until)] {
        match world.ask(key, heads.clone()) {
            ServerFrame::HeadsPage(page) => assert_eq!(page.heads[0].muted_until, expected),
            other => panic!("{other:?}"),
        }
    }
    let members = MembersRequest {
        conversation: id,
        after: Some(user("ann")),
        limit: 1,
        asked: false,
        prefix: String::new(),
    };
    match world.ask(1, members) {
        ServerFrame::MembersPage(page) => assert_eq!(page.members[0].muted_until, until),
        other => panic!("{other:?}"),
    }
    let send = world.message(id, "still?");
    assert_eq!(world.refused(2, send).code(), Code::Muted);
    world.later(60_000);
    let send = world.message(id, "at last");
    world.acked(2, send);
    // And it can be taken back.
    let until = world.now.wall_ms + 60_000;
    for until in [until, 0] {
        let frame = mute(&mut world, id, "bob", until);
        world.acked(1, frame);
    }
    let send = world.message(id, "thanks");
    world.acked(2, send);
}

#[test]
fn nobody_mutes_or_bans_who_stands_as_high() {
    let mut world = World::new();
    let id = group(&mut world);
    for who in ["bob", "cid"] {
        let frame = give(&mut world, id, who, Role::Admin);
        world.acked(1, frame);
    }
    let until = world.now.wall_ms + 60_000;
    for (who, code) in [
        ("cid", Code::Forbidden),
        ("ann", Code::Forbidden),
        ("bob", Code::ArgumentInvalid),
    ] {
        let frame = mute(&mut world, id, who, until);
        assert_eq!(world.refused(2, frame).code(), code, "{who}");
        let frame = ban(&mut world, id, who, 0);
        assert_eq!(world.refused(2, frame).code(), code, "{who}");
    }
    let frame = mute(&mut world, id, "dan", until);
    assert_eq!(world.refused(2, frame).code(), Code::NotMember);
    let past = world.now.wall_ms;
    let frame = mute(&mut world, id, "cid", past);
    assert_eq!(world.refused(1, frame).code(), Code::ArgumentInvalid);
    let frame = ban(&mut world, id, "cid", past);
    assert_eq!(world.refused(1, frame).code(), Code::ArgumentInvalid);
    // A muted admin who becomes the owner is an owner.
    let frame = mute(&mut world, id, "bob", until);
    world.acked(1, frame);
    let send = world.message(id, "hm");
    assert_eq!(world.refused(2, send).code(), Code::Muted);
    let frame = give(&mut world, id, "bob", Role::Owner);
    world.acked(1, frame);
    let send = world.message(id, "mine");
    world.acked(2, send);
}

#[test]
fn who_is_banned_stays_out() {
    let mut world = World::new();
    let id = group(&mut world);
    let until = world.now.wall_ms + 60_000;
    let frame = ban(&mut world, id, "bob", until);
    let at = world.acked(1, frame).sequence;
    let live = world.live(2);
    assert_eq!(shown(&live), [format!("{at} Banned")], "the last they see");
    assert!(
        records(&live)
            .iter()
            .any(|it| it.kind == UserRecordKind::Membership && it.gone)
    );
    let send = world.message(id, "without bob");
    world.acked(1, send);
    assert!(world.live(2).is_empty());
    let frame = join(&mut world, id);
    let refused = world.refused(2, frame);
    assert_eq!((refused.code(), refused.until), (Code::Barred, until));
    let send = world.message(id, "I am back");
    assert_eq!(world.refused(2, send).code(), Code::NotFound);
    // Who invites is told; of several the others are invited.
    let invite = world.invite(id, "bob");
    assert_eq!(world.refused(3, invite).code(), Code::Forbidden);
    let invite = world.invite(id, "bob");
    assert_eq!(world.refused(1, invite).code(), Code::Barred);
    let invite = Invite {
        nonce: world.nonce(),
        conversation: id,
        users: vec![user("bob"), user("dan")],
    };
    world.acked(1, invite);
    assert!(records(&world.live(2)).is_empty());
    assert_eq!(records(&world.live(4)).len(), 1);
    // Who is invited and then banned never hears of it again, and a stranger hears nothing at all.
    let frame = ban(&mut world, id, "dan", 0);
    world.acked(1, frame);
    let live = world.live(4);
    assert!(records(&live)[0].gone && shown(&live).is_empty());
    let frame = join(&mut world, id);
    assert_eq!(world.refused(4, frame).code(), Code::NotFound);
    let list = BansRequest {
        conversation: id,
        after: None,
        limit: 0,
    };
    match world.ask(1, list.clone()) {
        ServerFrame::BansPage(page) => {
            let all: Vec<_> = page.bans.iter().map(|it| (&it.user, it.until)).collect();
            assert_eq!(all, [(&user("bob"), until), (&user("dan"), 0)]);
            assert_eq!(page.bans[0].by, user("ann"));
        }
        other => panic!("{other:?}"),
    }
    for key in [2, 3, 4] {
        assert_eq!(world.refused(key, list.clone()).code(), Code::NotFound);
    }
    // A ban ends by itself, or is ended.
    world.later(60_000);
    for who in ["bob", "dan"] {
        let frame = Ban {
            on: false,
            ..ban(&mut world, id, who, 0)
        };
        if who == "dan" {
            assert_eq!(world.acked(1, frame).sequence, 0);
        }
        let invite = world.invite(id, who);
        world.acked(1, invite);
    }
    for key in [2, 4] {
        let frame = join(&mut world, id);
        world.acked(key, frame);
    }
}

#[test]
fn members_have_a_name_and_attributes_here() {
    let mut world = World::new();
    let id = group(&mut world);
    let set =
        |world: &mut World, who: Option<&str>, name: Option<&str>, level: Option<&str>| SetMember {
            nonce: world.nonce(),
            conversation: id,
            user: who.map(user),
            name: name.map(Into::into),
            attributes: level.map(|level| {
                vec![Attribute {
                    key: "level".into(),
                    value: level.into(),
                }]
            }),
        };
    let frame = set(&mut world, None, Some(" Conan "), Some("40"));
    let at = world.acked(2, frame).sequence;
    let live = world.live(3);
    let entry = live.iter().find_map(|frame| match frame {
        ServerFrame::Entry(entry) if entry.sequence == at => Some(entry),
        _ => None,
    });
    let entry = entry.unwrap();
    assert_eq!(entry.kind, EntryKind::MemberSet);
    assert_eq!(entry.member.as_ref().unwrap().user, user("bob"));
    let said: MemberProfile = decode(&entry.content).unwrap();
    assert_eq!(said.name.as_deref(), Some("Conan"));
    let find = |world: &mut World, prefix: &str| {
        let request = MembersRequest {
            conversation: id,
            after: None,
            limit: 0,
            asked: false,
            prefix: prefix.into(),
        };
        match world.ask(3, request) {
            ServerFrame::MembersPage(page) => page.members,
            other => panic!("{other:?}"),
        }
    };
    let found = find(&mut world, "CON");
    assert_eq!(found.len(), 1);
    assert_eq!(
        (
            &found[0].user,
            found[0].name_here.as_str(),
            found[0].attributes[0].value.as_str()
        ),
        (&user("bob"), "Conan", "40")
    );
    let frame = set(&mut world, Some("ann"), Some("x"), None);
    assert_eq!(world.refused(2, frame).code(), Code::Forbidden);
    let frame = set(&mut world, Some("bob"), Some(""), None);
    world.acked(1, frame);
    assert!(find(&mut world, "con").is_empty());
    let found = find(&mut world, "bob");
    assert_eq!(
        (found[0].name_here.as_str(), found[0].attributes.len()),
        ("", 1)
    );
    let frame = set(&mut world, Some("dan"), Some("x"), None);
    assert_eq!(world.refused(1, frame).code(), Code::NotMember);
    let frame = set(&mut world, None, None, None);
    assert_eq!(world.refused(1, frame).code(), Code::ArgumentInvalid);
    let long = MembersRequest {
        conversation: id,
        after: None,
        limit: 0,
        asked: false,
        prefix: "x".repeat(65),
    };
    assert_eq!(world.refused(1, long).code(), Code::ArgumentInvalid);
}

#[test]
fn in_a_large_one_names_make_no_entries() {
    let mut world = World::with(NodeConfig {
        member_entries_max: 2,
        ..NodeConfig::default()
    });
    let id = group(&mut world);
    let request = MembersRequest {
        conversation: id,
        after: None,
        limit: 0,
        asked: false,
        prefix: "CONAN".into(),
    };
    let page = |world: &mut World| match world.ask(3, request.clone()) {
        ServerFrame::MembersPage(page) => page,
        other => panic!("{other:?}"),
    };
    let before = page(&mut world);
    let frame = SetMember {
        nonce: world.nonce(),
        conversation: id,
        user: None,
        name: Some("Conan".into()),
        attributes: None,
    };
    assert_eq!(world.acked(2, frame).sequence, 0);
    assert!(shown(&world.live(3)).is_empty());
    let after = page(&mut world);
    assert_eq!((before.members.len(), after.members.len()), (0, 1));
    assert!(after.version > before.version);
}

#[test]
fn with_its_owner_a_conversation_ends_for_all() {
    let mut world = World::new();
    let id = group(&mut world);
    let invite = world.invite(id, "dan");
    world.acked(1, invite);
    let frame = give(&mut world, id, "bob", Role::Admin);
    world.acked(1, frame);
    for key in 1..=4 {
        world.live(key);
    }
    let dissolve = |world: &mut World| Dissolve {
        nonce: world.nonce(),
        conversation: id,
    };
    for (key, code) in [(2, Code::Forbidden), (4, Code::NotFound)] {
        let frame = dissolve(&mut world);
        assert_eq!(world.refused(key, frame).code(), code);
    }
    let frame = dissolve(&mut world);
    let at = world.acked(1, frame.clone()).sequence;
    assert_eq!(world.acked(1, frame).sequence, at, "once");
    for key in 1..=3 {
        let live = world.live(key);
        assert_eq!(shown(&live), [format!("{at} Dissolved")]);
        let gone: Vec<_> = records(&live);
        assert_eq!(gone.len(), 1);
        assert!(gone[0].gone && gone[0].kind == UserRecordKind::Membership);
    }
    let invited = records(&world.live(4));
    assert!(invited[0].gone && invited[0].kind == UserRecordKind::Invitation);
    for again in 0..2 {
        for key in 1..=4 {
            let send = world.message(id, "anybody?");
            assert_eq!(world.refused(key, send).code(), Code::NotFound);
            let frame = join(&mut world, id);
            let code = world.refused(key, frame).code();
            assert_eq!(code, Code::NotFound);
        }
        if again == 0 {
            world.restart();
            for (name, key) in [("ann", 1), ("bob", 2), ("cid", 3), ("dan", 4)] {
                world.enter(name, key);
            }
            assert!(heads(&world.live(1)).is_empty());
        }
    }
}

#[test]
fn an_open_one_that_ended_lets_nobody_in() {
    let mut world = World::new();
    world.enter("ann", 1);
    world.enter("bob", 2);
    let create = CreateGroup {
        nonce: world.nonce(),
        name: "Guild".into(),
        invite: Vec::new(),
        history_for_joiners: 0,
        kind: Some(fireside_protocol::ConversationKind::Public),
        join: None,
        ends: 0,
        parent: None,
        by_default: false,
    };
    let id = world.acked(1, create).conversation.unwrap();
    let frame = Dissolve {
        nonce: world.nonce(),
        conversation: id,
    };
    world.acked(1, frame);
    let frame = join(&mut world, id);
    assert_eq!(world.refused(2, frame).code(), Code::NotFound);
}

#[test]
fn bans_and_mutes_are_given_as_permissions() {
    let mut world = World::new();
    let id = group(&mut world);
    let frame = mute(&mut world, id, "cid", 0);
    assert_eq!(world.refused(2, frame).code(), Code::Forbidden);
    let send = Permission::Send.bit();
    let set = SetConversation {
        nonce: world.nonce(),
        conversation: id,
        change: Settings {
            member_permissions: Some(send | Permission::Mute.bit() | Permission::Ban.bit()),
            ..Settings::default()
        }
        .into(),
    };
    world.acked(1, set);
    // Allowed, but cid stands as high.
    for frame in [
        fireside_protocol::ClientFrame::from(mute(&mut world, id, "cid", 0)),
        ban(&mut world, id, "cid", 0).into(),
    ] {
        assert_eq!(world.refused(2, frame).code(), Code::Forbidden);
    }
    let frame = ban(&mut world, id, "dan", 0);
    world.acked(2, frame);
}

#[test]
fn the_breaks_break_it() {
    let mut world = World::broken(Breaks {
        mute_ignored: true,
        ban_ignored: true,
        ..Breaks::default()
    });
    let id = group(&mut world);
    let until = world.now.wall_ms + 60_000;
    let frame = mute(&mut world, id, "bob", until);
    world.acked(1, frame);
    let send = world.message(id, "ha");
    world.acked(2, send);
    let frame = ban(&mut world, id, "cid", 0);
    world.acked(1, frame);
    let invite = world.invite(id, "cid");
    world.acked(1, invite);
    let frame = join(&mut world, id);
    world.acked(3, frame);
}
