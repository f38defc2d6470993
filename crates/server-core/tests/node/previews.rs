//! Link previews: which messages ask for a page, and what becomes of it when it was read.

use fireside_protocol::TextContent;
use fireside_protocol::{
    ConversationId, Entry, EntryKind, FacetKind, Nonce, ServerFrame,
    content::LinkPreview,
    encode,
    frames::{Block, Edit, HeadsRequest, Recall},
    limits::PREVIEW_TITLE_GRAPHEMES_MAX,
};
use fireside_server_core::{
    Breaks, Loss, NodeConfig,
    node::Node,
    previews::{PageSummary, PreviewRequest},
    storage::StoreError,
};

use crate::world::{World, direct, heads, user};

fn config() -> NodeConfig {
    NodeConfig {
        previews: true,
        ..NodeConfig::default()
    }
}

/// A world of two who have said hello.
fn two(config: NodeConfig) -> (World, ConversationId) {
    let breaks = config.breaks;
    let mut world = World::with(config);
    world.database.breaks = breaks;
    for (name, key) in [("ann", 1), ("bob", 2)] {
        world.enter(name, key);
    }
    let hello = world.message_to("ann", "bob", "hello");
    world.acked(1, hello);
    for key in [1, 2] {
        world.live(key);
    }
    (world, direct("ann", "bob"))
}

fn say(world: &mut World, id: ConversationId, text: &str) -> Option<PreviewRequest> {
    let send = world.message(id, text);
    world.acked(1, send);
    world.node.poll_preview()
}

fn edit(world: &mut World, id: ConversationId, target: u64, text: &str) -> u64 {
    let edit = Edit {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target,
        target_nonce: None,
        seen_rev: 0,
        content: encode(&TextContent::plain(text)).into(),
    };
    world.acked(1, edit).sequence
}

fn page(title: &str) -> PageSummary {
    PageSummary {
        title: title.to_owned(),
        ..PageSummary::default()
    }
}

/// Hands a page in, and goes on until nothing moves.
fn read(world: &mut World, request: &PreviewRequest, page: &PageSummary) {
    let now = world.now;
    world.node.handle_preview(request.clone(), page, now);
    world.pump();
}

fn preview(entry: &Entry) -> Option<LinkPreview> {
    entry.facet(FacetKind::Preview)
}

/// The preview of a message as it is stored.
fn stored(world: &World, id: ConversationId, number: usize) -> Option<LinkPreview> {
    preview(&world.database.entries(id)[number - 1].0)
}

#[test]
fn a_page_is_added_behind_the_message_and_is_quiet() {
    let (mut world, id) = two(config());
    assert_eq!(say(&mut world, id, "no link"), None);
    let request = say(&mut world, id, "see https://a.example/x.").unwrap();
    let expected = PreviewRequest {
        conversation: id,
        message: 3,
        rev: 3,
        url: "https://a.example/x".to_owned(),
    };
    assert_eq!(request, expected);
    assert_eq!(world.node.poll_preview(), None, "asked for once");
    world.live(1);
    world.live(2);
    let summary = PageSummary {
        title: "A\u{202e} \n title".to_owned(),
        description: "what it is".to_owned(),
        site: "Site".to_owned(),
        image: "https://a.example/i.png".to_owned(),
    };
    let ask = |world: &mut World| {
        let request = HeadsRequest {
            since: 0,
            before_at: 0,
            before: None,
            limit: 0,
            only: vec![id],
        };
        match world.ask(2, request) {
            ServerFrame::HeadsPage(page) => page.heads[0].clone(),
            other => panic!("{other:?}"),
        }
    };
    let before = ask(&mut world);
    world.later(5_000);
    read(&mut world, &request, &summary);
    for key in [1, 2] {
        let live = world.live(key);
        let [ServerFrame::Entry(entry)] = &live[..] else {
            panic!("{live:?}");
        };
        assert_eq!(
            (entry.sequence, entry.kind, entry.target),
            (4, EntryKind::Preview, 3)
        );
        assert_eq!(entry.sender, user("ann"), "in its author's name");
        let shown = preview(entry).unwrap();
        assert_eq!(
            (shown.url, shown.title),
            (expected.url.clone(), "A title".to_owned())
        );
        assert_eq!(shown.image, summary.image);
    }
    let after = ask(&mut world);
    assert_eq!(
        (after.unread, after.at, after.ordinal),
        (before.unread, before.at, before.ordinal)
    );
    assert_eq!(after.last, 4, "a number of its own");
    assert_eq!(heads(&world.live(2)), []);
    // Read by two nodes, or twice: one entry.
    read(&mut world, &request, &page("another"));
    assert_eq!(world.database.entries(id).len(), 4);
    let counters = world.node.counters();
    assert_eq!((counters.previews_wanted, counters.previews_added), (1, 1));
}

#[test]
fn who_did_not_ask_for_previews_is_asked_for_none() {
    let (mut world, id) = two(NodeConfig::default());
    assert_eq!(say(&mut world, id, "https://a.example"), None);
    let request = PreviewRequest {
        conversation: id,
        message: 2,
        rev: 2,
        url: "https://a.example".to_owned(),
    };
    read(&mut world, &request, &page("title"));
    assert_eq!(
        world.database.entries(id).len(),
        2,
        "nothing is taken either"
    );
}

#[test]
fn a_repeat_asks_for_nothing_and_neither_does_a_failed_append() {
    let (mut world, id) = two(config());
    let send = world.message(id, "https://a.example");
    world.acked(1, send.clone());
    assert!(world.node.poll_preview().is_some());
    world.acked(1, send);
    assert_eq!(world.node.poll_preview(), None);
    world.failing = Some(StoreError::Full);
    let send = world.message(id, "https://a.example");
    world.refused(1, send);
    assert_eq!(world.node.poll_preview(), None);
}

#[test]
fn an_edit_takes_the_preview_away_and_asks_anew() {
    let (mut world, id) = two(config());
    let request = say(&mut world, id, "https://a.example").unwrap();
    read(&mut world, &request, &page("a"));
    world.live(2);
    assert_eq!(edit(&mut world, id, 2, "look: https://a.example"), 4);
    assert_eq!(stored(&world, id, 2), None);
    let live = world.live(2);
    let [ServerFrame::Entry(entry)] = &live[..] else {
        panic!("{live:?}");
    };
    assert_eq!((entry.kind, entry.facets.len()), (EntryKind::Edit, 0));
    let again = world.node.poll_preview().unwrap();
    assert_eq!((again.message, again.rev), (2, 4));
    read(&mut world, &again, &page("a"));
    assert_eq!(stored(&world, id, 2).unwrap().title, "a");
    read(&mut world, &again, &page("a2"));
    assert_eq!(world.database.entries(id).len(), 5, "once for each text");
    edit(&mut world, id, 2, "look: https://b.example");
    let request = world.node.poll_preview().unwrap();
    assert_eq!(request.url, "https://b.example");
    read(&mut world, &request, &page("b"));
    assert_eq!(stored(&world, id, 2).unwrap().title, "b");
    edit(&mut world, id, 2, "no link");
    assert_eq!(world.node.poll_preview(), None);
    assert_eq!(stored(&world, id, 2), None);
}

#[test]
fn what_was_read_for_an_earlier_text_is_refused() {
    for (break_it, expected) in [(false, None), (true, Some("a".to_owned()))] {
        let (mut world, id) = two(NodeConfig {
            breaks: Breaks {
                preview_of_old: break_it,
                ..Breaks::default()
            },
            ..config()
        });
        let request = say(&mut world, id, "https://a.example").unwrap();
        edit(&mut world, id, 2, "https://b.example");
        read(&mut world, &request, &page("a"));
        let shown = stored(&world, id, 2).map(|it| it.title);
        assert_eq!(shown, expected, "{break_it}");
    }
}

#[test]
fn an_edit_that_overtakes_the_append_wins() {
    let (mut world, id) = two(config());
    let request = say(&mut world, id, "https://a.example").unwrap();
    world.hold_store = true;
    let now = world.now;
    // The message is read for the preview; meanwhile it is edited, and the edit comes first.
    world.node.handle_preview(request, &page("a"), now);
    world.pump();
    let nonce = world.nonce();
    let change = Edit {
        nonce,
        after: None,
        conversation: id,
        target: 2,
        target_nonce: None,
        seen_rev: 0,
        content: encode(&TextContent::plain("https://b.example")).into(),
    };
    let asked = world.request(1, change);
    while !world.held.is_empty() {
        // Reads first, then the newer write.
        let read = world.held.iter().position(|(_, op)| !op.is_write());
        let place = read.unwrap_or(world.held.len() - 1);
        world.held.swap(0, place);
        world.carry_out_some(1);
    }
    world.hold_store = false;
    assert!(matches!(world.answer(1, asked), Some(ServerFrame::Ack(_))));
    assert_eq!(stored(&world, id, 2), None);
    assert!(world.node.poll_preview().is_some(), "of the new link");
}

#[test]
fn what_is_gone_gets_none_and_loses_what_it_had() {
    let (mut world, id) = two(config());
    let request = say(&mut world, id, "https://a.example").unwrap();
    read(&mut world, &request, &page("a"));
    let late = say(&mut world, id, "https://a.example").unwrap();
    for target in [2, 4] {
        let recall = Recall {
            nonce: world.nonce(),
            after: None,
            conversation: id,
            target,
            target_nonce: None,
        };
        world.acked(1, recall);
    }
    read(&mut world, &late, &page("a"));
    let log = world.database.entries(id);
    assert_eq!(log.len(), 6);
    assert!(log.iter().all(|(entry, _)| preview(entry).is_none()));
}

#[test]
fn behind_a_block_nothing_comes() {
    let (mut world, id) = two(config());
    let open = say(&mut world, id, "https://a.example").unwrap();
    let block = Block {
        nonce: world.nonce(),
        user: user("ann"),
        on: true,
    };
    world.acked(2, block);
    world.live(2);
    read(&mut world, &open, &page("a"));
    assert_eq!(world.database.entries(id).len(), 2);
    // What only its sender sees has its preview for them: nothing tells them of the block.
    let hidden = say(&mut world, id, "https://b.example").unwrap();
    read(&mut world, &hidden, &page("b"));
    assert_eq!(stored(&world, id, 3).unwrap().title, "b");
    let seen = world.live(2);
    assert!(
        !seen.iter().any(|it| matches!(it, ServerFrame::Entry(_))),
        "{seen:?}"
    );
}

#[test]
fn nothing_is_believed_of_a_page() {
    let url = "https://a.example";
    let long = "x".repeat(100_000);
    let summary = PageSummary {
        title: long.clone(),
        description: long.clone(),
        site: "\u{202e}\u{0}evil".to_owned(),
        image: format!("https://a.example/{long}"),
    };
    let shown = summary.preview(url).unwrap();
    assert_eq!(shown.title.len(), PREVIEW_TITLE_GRAPHEMES_MAX);
    assert_eq!((shown.site.as_str(), shown.image.as_str()), ("evil", ""));
    assert_eq!(PageSummary::default().preview(url), None);
    let only_site = PageSummary {
        site: "Site".to_owned(),
        image: "javascript:alert(1)".to_owned(),
        ..PageSummary::default()
    };
    assert_eq!(only_site.preview(url), None, "nothing to show");
    assert_eq!(page("a").preview("ftp://a.example"), None);
    let (mut world, id) = two(config());
    let request = say(&mut world, id, url).unwrap();
    read(&mut world, &request, &PageSummary::default());
    // Of a message that never was, of another conversation, of one with another link.
    for wrong in [
        PreviewRequest {
            message: 99,
            ..request.clone()
        },
        PreviewRequest {
            conversation: direct("bob", "cyd"),
            ..request.clone()
        },
        PreviewRequest {
            url: "https://b.example".to_owned(),
            ..request.clone()
        },
        PreviewRequest {
            rev: 1,
            ..request.clone()
        },
        PreviewRequest {
            message: 1,
            rev: 1,
            ..request
        },
    ] {
        read(&mut world, &wrong, &page("a"));
    }
    assert_eq!(world.database.entries(id).len(), 2);
    assert_eq!(world.node.counters().previews_added, 0);
}

#[test]
fn a_node_that_ends_asks_no_more_and_takes_no_more() {
    let (mut world, id) = two(config());
    let request = say(&mut world, id, "https://a.example").unwrap();
    let now = world.now;
    world.node.drain(now);
    read(&mut world, &request, &page("a"));
    assert!(world.node.is_drained());
    assert_eq!(world.database.entries(id).len(), 2);
}

#[test]
fn each_change_of_a_message_has_a_name_of_its_own() {
    let (one, other) = (direct("ann", "bob"), direct("ann", "cyd"));
    let names = [(one, 1, 1), (one, 1, 2), (one, 2, 1), (other, 1, 1)];
    let names = names.map(|(id, message, rev)| Nonce::preview_of(id, message, rev));
    assert_eq!(names[0], Nonce::preview_of(one, 1, 1));
    assert!(names[1..].iter().all(|name| *name != names[0]));
    assert_ne!(names[1], names[2]);
}

#[test]
fn what_was_read_can_be_lost() {
    let (mut world, id) = two(NodeConfig {
        breaks: Breaks {
            loss: Loss::Field("preview"),
            ..Breaks::default()
        },
        ..config()
    });
    let request = say(&mut world, id, "https://a.example").unwrap();
    read(&mut world, &request, &page("a"));
    assert_eq!(world.database.entries(id).len(), 2);
    world.node = Node::new(config());
}
