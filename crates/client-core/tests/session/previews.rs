//! What the page behind a link says, on the screen: quietly, whatever comes in which order, and gone with the link.

use fireside_client_core::{Command, Event, command::MessageRef};
use fireside_protocol::{
    ConversationId, ServerFrame, TextContent, content::LinkPreview, frames::TypingOf,
};

use crate::{server::user, world::World};

fn world(text: &str) -> (World, ConversationId) {
    let mut world = World::new();
    let id = world.server.direct("bob");
    world.server.log(id).text(&user("bob"), text);
    world.connect();
    world.open(id);
    (world, id)
}

fn preview(title: &str) -> LinkPreview {
    LinkPreview {
        url: "https://a.example".to_owned(),
        title: title.to_owned(),
        description: "what it is".to_owned(),
        site: "Site".to_owned(),
        image: "https://a.example/i.png".to_owned(),
    }
}

fn shown(world: &World, id: ConversationId) -> Option<LinkPreview> {
    let details = world.rows(id).last().unwrap().details.as_ref()?;
    details.preview.as_deref().cloned()
}

/// Tells of an entry that is in the log already.
fn tell(world: &mut World, id: ConversationId, number: u64) {
    let live = world.server.log(id).live(number);
    world.live(live);
}

#[test]
fn it_comes_behind_the_message_and_stays() {
    let (mut world, id) = world("see https://a.example");
    assert_eq!(shown(&world, id), None);
    let before = world.line(id).clone();
    let entry = world.server.log(id).preview(1, &preview("a title"));
    tell(&mut world, id, entry.sequence);
    assert_eq!(shown(&world, id), Some(preview("a title")));
    let after = world.line(id);
    assert_eq!((after.unread, after.at), (before.unread, before.at));
    let mut world = world.restart();
    world.open(id);
    assert_eq!(
        shown(&world, id),
        Some(preview("a title")),
        "from the cache"
    );
}

#[test]
fn who_was_away_sees_the_same() {
    let (mut world, id) = world("see https://a.example");
    world.cut();
    world.server.log(id).preview(1, &preview("a title"));
    world.connect();
    world.advance(5_000);
    assert_eq!(shown(&world, id), Some(preview("a title")));
}

#[test]
fn it_goes_with_its_link_in_any_order() {
    let bob = user("bob");
    for order in [[2, 3], [3, 2]] {
        let (mut world, id) = world("see https://a.example");
        let log = world.server.log(id);
        log.preview(1, &preview("a title"));
        log.edit(&bob, 1, "see https://b.example");
        for number in order {
            tell(&mut world, id, number);
        }
        assert_eq!(world.texts(id), ["see https://b.example"]);
        assert_eq!(shown(&world, id), None, "{order:?}");
    }
    for order in [[2, 3], [3, 2]] {
        let (mut world, id) = world("see https://a.example");
        let log = world.server.log(id);
        log.preview(1, &preview("a title"));
        log.recall(&bob, 1);
        for number in order {
            tell(&mut world, id, number);
        }
        assert_eq!(shown(&world, id), None, "{order:?}");
    }
}

#[test]
fn an_own_edit_hides_it_at_once() {
    let (mut world, id) = world("hello");
    world.send(id, "see https://a.example");
    world.advance(1_000);
    world.server.log(id).preview(2, &preview("a title"));
    tell(&mut world, id, 3);
    assert_eq!(shown(&world, id), Some(preview("a title")));
    world.hold_frames = true;
    let edit = |text: &str| Command::Edit {
        conversation: id,
        message: MessageRef::Sequence(2),
        content: Box::new(fireside_protocol::Content::Text(TextContent::plain(text))),
    };
    world.call(edit("see https://b.example"));
    assert_eq!(shown(&world, id), None);
    // The answer alone says so too: the entry may come later, or never.
    world.hold_frames = false;
    world.advance(1_000);
    assert_eq!(shown(&world, id), None);
    let mut again = preview("another title");
    again.url = "https://b.example".to_owned();
    world.server.log(id).preview(2, &again);
    tell(&mut world, id, 5);
    assert_eq!(shown(&world, id), Some(again));
}

#[test]
fn one_over_its_limits_is_none() {
    for bad in [
        LinkPreview {
            image: "javascript:x".to_owned(),
            ..preview("a title")
        },
        preview("a\u{202e}title"),
        preview(&"x".repeat(1_000)),
    ] {
        let (mut world, id) = world("see https://a.example");
        world.server.log(id).preview(1, &bad);
        tell(&mut world, id, 2);
        assert_eq!(shown(&world, id), None, "{bad:?}");
        assert_eq!(world.texts(id), ["see https://a.example"]);
    }
}

#[test]
fn whoever_writes_on_meanwhile_still_writes() {
    let (mut world, id) = world("see https://a.example");
    world.live(ServerFrame::TypingOf(TypingOf {
        conversation: id,
        user: user("bob"),
        counter: 1,
        on: true,
    }));
    let said = |world: &World| {
        let events = world.events.iter();
        let typing = events.filter(|event| matches!(event, Event::Typing { .. }));
        typing.count()
    };
    assert_eq!(said(&world), 1);
    world.server.log(id).preview(1, &preview("a title"));
    tell(&mut world, id, 2);
    assert_eq!(
        said(&world),
        1,
        "a page that was read is nothing that they wrote"
    );
    world.server.log(id).text(&user("bob"), "there");
    tell(&mut world, id, 3);
    assert_eq!(said(&world), 2);
}
