//! Transient messages: who hears them, and that nothing of them is kept.

use fireside_protocol::{
    Code, Content, ConversationId, DeviceId, Header, MessageKind, ServerFrame, TextContent,
    content::PollContent,
    encode,
    frames::{Block, Leave, Mute, SetConversation},
    settings::Settings,
    transient::{SendTransient, Transient},
};

use crate::world::{World, direct, user};

/// Ann's guild (1, 4) with bob (2) and cyd (3); dee (5) is no member.
fn world() -> (World, ConversationId) {
    let mut world = World::new();
    for (name, key) in [("ann", 1), ("bob", 2), ("cyd", 3), ("ann", 4), ("dee", 5)] {
        world.enter(name, key);
    }
    let guild = world.group(&[("ann", 1), ("bob", 2), ("cyd", 3)]);
    hush(&mut world);
    (world, guild)
}

fn hush(world: &mut World) {
    for key in 1..=5 {
        world.live(key);
    }
}

fn say(conversation: ConversationId, text: &str) -> SendTransient {
    SendTransient {
        conversation,
        header: Header::text(),
        content: encode(&TextContent {
            text: text.into(),
            spans: Vec::new(),
        })
        .into(),
    }
}

fn heard(world: &mut World, key: u64) -> Vec<Transient> {
    let told = world.live(key).into_iter().map(|frame| match frame {
        ServerFrame::Transient(told) => told,
        other => panic!("{other:?}"),
    });
    told.collect()
}

#[test]
fn who_is_online_hears_it_and_nothing_is_kept() {
    let (mut world, guild) = world();
    let before = world.database.entries(guild).len();
    let answer = world.ask(1, say(guild, "now!"));
    assert!(matches!(answer, ServerFrame::Done(_)), "{answer:?}");
    for key in [2, 3, 4] {
        let told = heard(&mut world, key);
        assert_eq!(told.len(), 1, "{key}");
        assert_eq!(told[0].sender, user("ann"));
        assert_eq!(told[0].at, world.now.wall_ms);
        assert_eq!(told[0].content, say(guild, "now!").content);
    }
    assert!(heard(&mut world, 1).is_empty(), "the device that wrote it");
    assert!(heard(&mut world, 5).is_empty(), "no member");
    assert_eq!(world.database.entries(guild).len(), before);
    // Whoever comes later finds nothing.
    let mut login = world.login("bob", 7);
    (login.no_sync, login.device) = (false, DeviceId([7; 16]));
    world.connect(7, login);
    let frames = world.live(7);
    assert!(
        !frames
            .iter()
            .any(|frame| matches!(frame, ServerFrame::Transient(_)))
    );
    let heads = crate::world::heads(&frames);
    assert!(heads.iter().all(|head| head.unread == 0), "{heads:?}");
}

#[test]
fn whoever_may_not_write_may_not_say_it() {
    let (mut world, guild) = world();
    assert_eq!(world.refused(5, say(guild, "x")).code(), Code::NotFound);
    let unknown = ConversationId([9; 16]);
    assert_eq!(world.refused(1, say(unknown, "x")).code(), Code::NotFound);
    // No message comes of it, so no direct conversation either.
    let pair = direct("ann", "dee");
    assert_eq!(world.refused(1, say(pair, "x")).code(), Code::NotFound);
    let mute = Mute {
        nonce: world.nonce(),
        conversation: guild,
        user: user("bob"),
        until: u64::MAX,
    };
    world.acked(1, mute);
    assert_eq!(world.refused(2, say(guild, "x")).code(), Code::Muted);
    let freeze = SetConversation {
        nonce: world.nonce(),
        conversation: guild,
        change: Box::new(Settings {
            frozen: Some(true),
            slow_mode_ms: Some(5_000),
            ..Settings::default()
        }),
    };
    world.acked(1, freeze);
    assert_eq!(world.refused(3, say(guild, "x")).code(), Code::Frozen);
    let thaw = SetConversation {
        nonce: world.nonce(),
        conversation: guild,
        change: Box::new(Settings {
            frozen: Some(false),
            ..Settings::default()
        }),
    };
    world.acked(1, thaw);
    // Slow mode counts it as a message, both ways.
    world.ask(3, say(guild, "one"));
    let slow = world.refused(3, say(guild, "two"));
    assert_eq!(slow.code(), Code::SlowMode);
    assert!(slow.retry_after_ms > 0 && slow.retry_after_ms <= 5_000);
    let send = world.message(guild, "three");
    assert_eq!(world.refused(3, send).code(), Code::SlowMode);
    world.later(5_000);
    let answer = world.ask(3, say(guild, "four"));
    assert!(matches!(answer, ServerFrame::Done(_)), "{answer:?}");
}

#[test]
fn what_only_means_something_while_it_is_kept_is_refused() {
    let (mut world, guild) = world();
    let poll = Content::Poll(PollContent {
        question: "?".into(),
        options: vec!["a".into(), "b".into()],
        choices_max: 1,
        ends: 0,
        anonymous: false,
    });
    let frame = SendTransient {
        conversation: guild,
        header: Header {
            kind: MessageKind::Poll,
            ..Header::text()
        },
        content: poll.encode(),
    };
    assert_eq!(world.refused(1, frame).code(), Code::KindUnsupported);
    let mut answer = say(guild, "x");
    answer.header.reply_to = 1;
    assert_eq!(world.refused(1, answer).code(), Code::ArgumentInvalid);
    let mut ends = say(guild, "x");
    ends.header.expires = world.now.wall_ms + 60_000;
    assert_eq!(world.refused(1, ends).code(), Code::ArgumentInvalid);
    assert_eq!(world.refused(1, say(guild, " ")).code(), Code::TextEmpty);
    hush(&mut world);
    assert!(heard(&mut world, 2).is_empty());
}

#[test]
fn a_block_is_silent_and_who_left_hears_nothing() {
    let (mut world, guild) = world();
    let send = world.message_to("ann", "bob", "hi");
    world.acked(1, send);
    let pair = direct("ann", "bob");
    let block = Block {
        nonce: world.nonce(),
        user: user("ann"),
        on: true,
    };
    world.acked(2, block);
    hush(&mut world);
    let answer = world.ask(1, say(pair, "psst"));
    assert!(
        matches!(answer, ServerFrame::Done(_)),
        "not told: {answer:?}"
    );
    // A second device tells as little as the answer does.
    assert_eq!(heard(&mut world, 4).len(), 1, "the sender's other device");
    world.ask(2, say(pair, "psst"));
    assert!(heard(&mut world, 1).is_empty(), "closed both ways");
    world.ask(1, say(guild, "all"));
    assert!(heard(&mut world, 2).is_empty(), "blocked");
    assert_eq!(heard(&mut world, 3).len(), 1);
    let leave = Leave {
        nonce: world.nonce(),
        conversation: guild,
    };
    world.acked(3, leave);
    hush(&mut world);
    world.ask(1, say(guild, "all"));
    assert!(heard(&mut world, 3).is_empty(), "left");
}

#[test]
fn it_costs_as_a_message() {
    let (mut world, guild) = world();
    let mut taken = 0;
    let refused = loop {
        match world.ask(1, say(guild, "x")) {
            ServerFrame::Done(_) => taken += 1,
            ServerFrame::Refused(refused) => break refused,
            other => panic!("{other:?}"),
        }
        assert!(taken < 1_000);
    };
    assert_eq!(refused.code(), Code::RateLimited);
    assert!(refused.retry_after_ms > 0 && taken > 1);
    assert_eq!(heard(&mut world, 2).len(), taken);
}
