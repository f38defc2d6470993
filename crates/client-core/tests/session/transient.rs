//! Transient messages: sent once, and told as they come.

use fireside_client_core::{Command, ConnectionState, Event, NewMessage, event::Completion};
use fireside_protocol::{
    ClientFrame, Code, Content, ConversationId, Header, MessageKind, ServerFrame, TextContent,
    content::PollContent, encode, frames::Done, transient::Transient,
};

use crate::{server::user, world::World};

fn text(text: &str) -> Content {
    Content::Text(TextContent {
        text: text.into(),
        spans: Vec::new(),
    })
}

fn command(conversation: ConversationId, content: Content) -> Command {
    Command::SendTransient {
        conversation,
        message: Box::new(NewMessage::new(content)),
    }
}

fn world() -> (World, ConversationId) {
    let mut world = World::new();
    let bob = world.server.direct("bob");
    world.server.log(bob).text(&user("bob"), "hello");
    world.connect();
    (world, bob)
}

fn asked(world: &World) -> usize {
    world.seen(|frame| matches!(frame, ClientFrame::SendTransient(_)))
}

#[test]
fn it_goes_out_once_whatever_becomes_of_the_link() {
    let (mut world, bob) = world();
    let call = world.call(command(bob, text("now")));
    assert_eq!(asked(&world), 1);
    world.cut();
    let code = world.result(call).map(|it| it.map_err(|error| error.code));
    assert_eq!(code, Some(Err(Code::Offline)), "nobody knows");
    world.advance(10_000);
    assert_eq!(world.state(), Some(ConnectionState::Connected));
    assert_eq!(asked(&world), 1);
    world
        .server
        .answers
        .push(ServerFrame::Done(Done { reserved: 0 }));
    let call = world.call(command(bob, text("now")));
    assert_eq!(world.result(call), Some(Ok(Completion::Done)));
    assert_eq!(world.rows(bob).len(), 0, "it is in no view");
}

#[test]
fn it_needs_a_link_and_a_fitting_content() {
    let mut world = World::new();
    let bob = world.server.direct("bob");
    let refused = world.command(command(bob, text("x")));
    assert_eq!(refused.map_err(|error| error.code), Err(Code::Offline));
    world.connect();
    let poll = Content::Poll(PollContent {
        question: "?".into(),
        options: vec!["a".into(), "b".into()],
        choices_max: 1,
        ends: 0,
        anonymous: false,
    });
    let refused = world.command(command(bob, poll));
    assert_eq!(
        refused.map_err(|error| error.code),
        Err(Code::KindUnsupported)
    );
    let refused = world.command(command(bob, text(" ")));
    assert_eq!(refused.map_err(|error| error.code), Err(Code::TextEmpty));
    assert_eq!(asked(&world), 0);
}

#[test]
fn what_comes_is_told() {
    let (mut world, bob) = world();
    let told = |conversation, kind, mention_all| {
        ServerFrame::Transient(Transient {
            conversation,
            sender: user("bob"),
            at: 7,
            header: Header {
                kind,
                mention_all,
                ..Header::text()
            },
            content: encode(&TextContent {
                text: "boo".into(),
                spans: Vec::new(),
            })
            .into(),
        })
    };
    world.live(told(bob, MessageKind::Text, false));
    world.live(told(bob, MessageKind::Text, true));
    world.live(told(bob, MessageKind::Unknown(99), false));
    world.live(told(ConversationId([3; 16]), MessageKind::Text, false));
    let heard = world.events.iter().filter_map(|event| match event {
        Event::Transient(told) => Some((told.conversation, told.names_me, told.content.clone())),
        _ => None,
    });
    let heard: Vec<_> = heard.collect();
    assert_eq!(heard, [(bob, false, text("boo")), (bob, true, text("boo"))]);
    assert_eq!(world.line(bob).unread, 1, "the one from before");
}
