//! Muted, banned, named, linked and dissolved, as the game sees it.

use fireside_client_core::{Command, event::Completion, view::Body};
use fireside_protocol::{
    Attribute, ClientFrame, Code, ConversationId, ConversationKind, Entry, EntryKind, JoinPolicy,
    LinkCode, MemberChange, MemberProfile, UserId, encode,
    frames::{Ack, Banned, BansPage, Link, LinksPage, Receipt},
};

use crate::{
    server::{message, user},
    world::World,
};

/// Something about a user comes live.
fn live(
    world: &mut World,
    id: ConversationId,
    kind: EntryKind,
    about: Option<&UserId>,
    until: u64,
) {
    let profile = MemberProfile {
        name: Some("Conan".into()),
        attributes: None,
    };
    let entry = Entry {
        kind,
        header: None,
        content: if kind == EntryKind::MemberSet {
            encode(&profile).into()
        } else {
            bytes::Bytes::new()
        },
        member: about.map(|user| MemberChange {
            user: user.clone(),
            role: None,
            name: String::new(),
            until,
        }),
        ..message(id, &user("bob"), "", None)
    };
    let number = world.server.log(id).append(entry).sequence;
    let frame = world.server.log(id).live(number);
    world.live(frame);
}

fn last(world: &World, id: ConversationId) -> Body {
    world.rows(id).last().unwrap().body.clone()
}

#[test]
fn who_is_banned_is_no_reader_any_more() {
    let mut world = World::new();
    let group = world.server.group(1);
    let me = world.server.me.clone();
    world.server.log(group).text(&me, "one");
    world.connect();
    world.open(group);
    let cyd = user("cyd");
    for reader in [user("bob"), cyd.clone()] {
        let receipt = Receipt {
            conversation: group,
            user: reader,
            delivered: 0,
            read: 1,
            joined: 1,
            gone: false,
        };
        world.live(receipt.into());
    }
    let read_by = |world: &World| {
        let row = world.rows(group).first().unwrap();
        (row.read_by.readers, row.read_by.of)
    };
    assert_eq!(read_by(&world), (2, 2));
    live(&mut world, group, EntryKind::Banned, Some(&cyd), 0);
    assert_eq!(read_by(&world), (1, 1));
}

#[test]
fn what_others_do_shows_in_timeline_and_list() {
    let mut world = World::new();
    let group = world.server.group(1);
    world.connect();
    world.open(group);
    let me = world.server.me.clone();
    live(&mut world, group, EntryKind::Muted, Some(&me), 77);
    assert_eq!(last(&world, group), Body::Muted(me.clone(), 77));
    assert_eq!(world.line(group).muted_until, 77);
    live(&mut world, group, EntryKind::Muted, Some(&user("cyd")), 99);
    assert_eq!(world.line(group).muted_until, 77, "it is somebody else");
    live(
        &mut world,
        group,
        EntryKind::MemberSet,
        Some(&user("cyd")),
        0,
    );
    match last(&world, group) {
        Body::MemberSet(who, change) => {
            assert_eq!((who, change.name.as_deref()), (user("cyd"), Some("Conan")));
        }
        other => panic!("{other:?}"),
    }
    live(&mut world, group, EntryKind::Banned, Some(&me), 0);
    assert_eq!(last(&world, group), Body::Banned(me, 0));
    assert_eq!(world.line(group).role, None);
}

#[test]
fn what_is_dissolved_has_no_members_and_stays_readable() {
    let mut world = World::new();
    let group = world.server.group(1);
    world.server.log(group).text(&user("bob"), "so long");
    world.connect();
    world.open(group);
    live(&mut world, group, EntryKind::Dissolved, None, 0);
    assert_eq!(last(&world, group), Body::Dissolved);
    assert_eq!(world.line(group).role, None);
    assert_eq!(world.texts(group)[0], "so long");
}

#[test]
fn commands_are_frames_or_refused_at_once() {
    let mut world = World::new();
    let conversation = world.server.group(1);
    world.connect();
    let bob = user("bob");
    let profile = |name: &str, key: &str| {
        Box::new(MemberProfile {
            name: Some(name.into()),
            attributes: Some(vec![Attribute {
                key: key.into(),
                value: "40".into(),
            }]),
        })
    };
    let set = |profile| Command::SetMember {
        conversation,
        user: None,
        profile,
    };
    let find = |prefix: &str| Command::FindMembers {
        conversation,
        prefix: prefix.into(),
        after: None,
    };
    for (command, code) in [
        (set(profile("\u{202e}", "level")), Code::NameInvalid),
        (set(profile("Conan", "")), Code::ArgumentInvalid),
        (find(" "), Code::ArgumentInvalid),
        (find(&"x".repeat(65)), Code::ArgumentInvalid),
    ] {
        assert_eq!(world.command(command).unwrap_err().code, code);
    }
    let commands = [
        Command::Mute {
            conversation,
            user: bob.clone(),
            until: 7,
        },
        Command::Ban {
            conversation,
            user: bob.clone(),
            on: true,
            until: 8,
        },
        Command::Dissolve { conversation },
        set(profile(" Conan ", "level")),
        find("bo"),
        Command::RevokeLink {
            conversation,
            code: LinkCode([1; 16]),
        },
        Command::JoinByLink {
            conversation,
            code: LinkCode([2; 16]),
        },
        Command::CreateMeeting {
            name: "Raid".into(),
            invite: vec![bob.clone()],
            join: JoinPolicy::Open,
            ends: 9,
        },
    ];
    for command in commands {
        world.call(command);
    }
    let mut seen = world.server.seen.iter();
    let mut saw = |is: &dyn Fn(&ClientFrame) -> bool| assert!(seen.any(is));
    saw(&|frame| matches!(frame, ClientFrame::Mute(it) if it.user == bob && it.until == 7));
    saw(&|frame| matches!(frame, ClientFrame::Ban(it) if it.on && it.until == 8));
    saw(&|frame| matches!(frame, ClientFrame::Dissolve(it) if it.conversation == conversation));
    saw(
        &|frame| matches!(frame, ClientFrame::SetMember(it) if it.name.as_deref() == Some("Conan")),
    );
    saw(&|frame| matches!(frame, ClientFrame::MembersRequest(it) if it.prefix == "bo"));
    saw(&|frame| matches!(frame, ClientFrame::RevokeLink(it) if it.code == LinkCode([1; 16])));
    saw(&|frame| matches!(frame, ClientFrame::Join(it) if it.link == Some(LinkCode([2; 16]))));
    saw(&|frame| {
        matches!(frame, ClientFrame::CreateGroup(it)
            if it.kind == Some(ConversationKind::Meeting) && it.ends == 9)
    });
}

#[test]
fn a_link_and_lists_come_with_their_completion() {
    let mut world = World::new();
    let conversation = world.server.group(1);
    world.connect();
    let code = LinkCode([5; 16]);
    let link = Link {
        code,
        by: user("bob"),
        at: 1,
        expires: 0,
        uses: 3,
        used: 1,
    };
    let bans = vec![Banned {
        user: user("cyd"),
        until: 0,
        by: user("bob"),
        name: String::new(),
    }];
    let ack = Ack {
        nonce: fireside_protocol::Nonce::default(),
        conversation: Some(conversation),
        sequence: 0,
        ordinal: 0,
        at: 1,
        entry: None,
        link: Some(code),
        expires: 0,
    };
    let ask = |world: &mut World, command, answer| {
        world.server.answers.push(answer);
        let call = world.call(command);
        world.result(call).unwrap().unwrap()
    };
    let create = Command::CreateLink {
        conversation,
        expires: 0,
        uses: 3,
    };
    let got = ask(&mut world, create, ack.into());
    assert_eq!(got, Completion::Link { code });
    let page = LinksPage {
        conversation,
        links: vec![link.clone()],
    };
    let got = ask(&mut world, Command::Links { conversation }, page.into());
    assert_eq!(got, Completion::Links(vec![link]));
    let page = BansPage {
        conversation,
        bans: bans.clone(),
        more: true,
    };
    let list = Command::Bans {
        conversation,
        after: None,
    };
    let got = ask(&mut world, list, page.into());
    assert_eq!(got, Completion::Bans { bans, more: true });
}
