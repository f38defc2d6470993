//! Every kind of message, and what can happen to it: polls, live objects, cards, deleting for oneself, looking back.

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, Content, ConversationId, EntryKind, FacetKind, Header, MessageKind, Real,
    ServerFrame, TextContent,
    content::{
        AnswerContent, AnswerValue, Attachment, CardContent, CardElement, CardOption, CardPage,
        CustomContent, EarthPlace, ElementKind, ItemContent, ItemLink, LiveState, LocationContent,
        MediaContent, PollContent, Span, SpanKind, StickerContent, SystemContent, Votes,
    },
    decode,
    frames::{
        Answer, Block, ClosePoll, Delete, Edit, PageRequest, Recall, RevisionsRequest, Send,
        SetLive, UserRecordKind, Vote,
    },
};
use fireside_server_core::NodeConfig;

use crate::world::{World, direct, records, user};

/// A group of ann (its owner, session 1), bob (2) and cyd (3), with nothing to wait for.
fn world() -> (World, ConversationId) {
    let mut world = World::with(NodeConfig {
        rate_direct_per_s: 0,
        rate_group_per_s: 0,
        rate_conversation_per_s: 0,
        ..NodeConfig::default()
    });
    for (name, key) in [("ann", 1), ("bob", 2), ("cyd", 3), ("eve", 4)] {
        world.enter(name, key);
    }
    let id = world.group(&[("ann", 1), ("bob", 2), ("cyd", 3)]);
    for key in 1..=3 {
        world.live(key);
    }
    (world, id)
}

fn send(world: &mut World, id: ConversationId, content: &Content) -> Send {
    let header = Header {
        kind: content.kind(),
        ..Header::text()
    };
    Send {
        header,
        content: content.encode(),
        ..world.message(id, "")
    }
}

fn say(world: &mut World, id: ConversationId, key: u64, content: &Content) -> u64 {
    let frame = send(world, id, content);
    world.acked(key, frame).sequence
}

fn text(text: &str) -> Content {
    Content::Text(TextContent::plain(text))
}

fn custom(text: &str) -> CustomContent {
    CustomContent {
        name: "score".to_owned(),
        data: Bytes::from_static(&[1, 2]),
        text: text.to_owned(),
    }
}

fn poll() -> Content {
    Content::Poll(PollContent {
        question: "Where?".to_owned(),
        options: ["Duskwood", "Mill", "Harbour"].map(str::to_owned).into(),
        choices_max: 2,
        ends: 0,
        anonymous: false,
    })
}

fn element(kind: ElementKind, id: &str) -> CardElement {
    CardElement {
        kind,
        id: id.to_owned(),
        label: String::new(),
        options: Vec::new(),
        required: false,
        value: String::new(),
    }
}

fn card() -> Content {
    let option = |id: &str| CardOption {
        id: id.to_owned(),
        label: String::new(),
    };
    let page = CardPage {
        title: "Raid".to_owned(),
        text: "Who comes?".to_owned(),
        picture: String::new(),
        elements: vec![
            CardElement {
                options: vec![option("tank"), option("healer")],
                required: true,
                ..element(ElementKind::Choice, "role")
            },
            element(ElementKind::Date, "day"),
            element(ElementKind::Text, "note"),
        ],
    };
    Content::Card(CardContent { pages: vec![page] })
}

fn media() -> MediaContent {
    MediaContent {
        attachments: vec![Attachment {
            reference: "https://cdn.example/1.png".to_owned(),
            media_type: "image/png".to_owned(),
            name: "1.png".to_owned(),
            size: 10,
            width: 1,
            height: 1,
            duration_ms: 0,
            hash: Bytes::new(),
            thumbnail: String::new(),
            blur: Bytes::new(),
            waveform: Bytes::new(),
        }],
        text: String::new(),
        spans: Vec::new(),
    }
}

fn item(id: &str) -> ItemLink {
    ItemLink {
        id: id.to_owned(),
        name: "Sword of a thousand truths".to_owned(),
        rarity: "epic".to_owned(),
        tooltip: Bytes::new(),
        signature: Bytes::new(),
    }
}

fn all_kinds() -> Vec<Content> {
    vec![
        text("hello"),
        Content::Image(media()),
        Content::Video(media()),
        Content::Audio(media()),
        Content::File(media()),
        Content::Sticker(StickerContent {
            pack: "cats".to_owned(),
            id: "7".to_owned(),
            text: String::new(),
        }),
        Content::Location(LocationContent {
            earth: Some(EarthPlace {
                latitude: Real(48.2),
                longitude: Real(-16.4),
            }),
            world: None,
            label: String::new(),
            address: String::new(),
            picture: String::new(),
        }),
        Content::Custom(custom("a trade")),
        poll(),
        card(),
        Content::Live(custom("0:0")),
        Content::Item(ItemContent {
            item: item("sword-7"),
            text: String::new(),
        }),
    ]
}

#[test]
fn every_kind_arrives_as_it_was_sent() {
    let (mut world, id) = world();
    for content in all_kinds() {
        say(&mut world, id, 1, &content);
        let live = world.live(2);
        let [ServerFrame::Entry(entry)] = &live[..] else {
            panic!("{live:?}");
        };
        let kind = entry.header.as_ref().unwrap().kind;
        assert_eq!(Content::decode(kind, &entry.content), Ok(content));
    }
}

#[test]
fn contents_outside_their_rules_are_refused() {
    let (mut world, id) = world();
    let spanned = |span: Span| {
        Content::Text(TextContent {
            text: "hi äbob".to_owned(),
            spans: vec![span],
        })
    };
    let span = |kind, start, length| Span {
        kind,
        start,
        length,
        user: None,
        value: String::new(),
        item: None,
    };
    let two = MediaContent {
        attachments: [media().attachments, media().attachments].concat(),
        ..media()
    };
    let nowhere = MediaContent {
        attachments: Vec::new(),
        ..media()
    };
    let options = |options: &[&str]| {
        Content::Poll(PollContent {
            question: "Where?".to_owned(),
            options: options.iter().map(|it| (*it).to_owned()).collect(),
            choices_max: 0,
            ends: 0,
            anonymous: false,
        })
    };
    let on_earth = |latitude, longitude| {
        Content::Location(LocationContent {
            earth: Some(EarthPlace {
                latitude: Real(latitude),
                longitude: Real(longitude),
            }),
            world: None,
            label: String::new(),
            address: String::new(),
            picture: String::new(),
        })
    };
    let with = |elements: Vec<CardElement>| {
        Content::Card(CardContent {
            pages: vec![CardPage {
                title: String::new(),
                text: String::new(),
                picture: String::new(),
                elements,
            }],
        })
    };
    let wrong = [
        spanned(span(SpanKind::Bold, 0, 0)),
        spanned(span(SpanKind::Bold, 4, 1)),
        spanned(span(SpanKind::Bold, 5, 9)),
        spanned(span(SpanKind::Bold, u32::MAX, u32::MAX)),
        spanned(span(SpanKind::Mention, 0, 2)),
        spanned(Span {
            user: Some(user("bob")),
            ..span(SpanKind::Mention, 0, 2)
        }),
        spanned(span(SpanKind::MentionAll, 0, 2)),
        spanned(Span {
            value: "javascript:alert(1)".to_owned(),
            ..span(SpanKind::Link, 0, 2)
        }),
        spanned(span(SpanKind::Item, 0, 2)),
        Content::Video(two),
        Content::Image(nowhere),
        options(&["one"]),
        options(&["same", "same"]),
        options(&["one", " "]),
        options(&["one", "\u{202e}owt"]),
        on_earth(91.0, 0.0),
        on_earth(0.0, -180.5),
        Content::Custom(CustomContent {
            name: String::new(),
            ..custom("x")
        }),
        Content::Live(CustomContent {
            data: vec![0; 3_000].into(),
            ..custom("x")
        }),
        Content::Item(ItemContent {
            item: item(""),
            text: String::new(),
        }),
        with(vec![element(ElementKind::Choice, "none")]),
        with(vec![
            element(ElementKind::Text, "a"),
            element(ElementKind::Date, "a"),
        ]),
        with(vec![element(ElementKind::Link, "no-address")]),
        Content::Card(CardContent { pages: Vec::new() }),
    ];
    for content in wrong {
        let frame = send(&mut world, id, &content);
        let refused = world.refused(1, frame);
        assert_eq!(refused.code(), Code::ContentInvalid, "{content:?}");
    }
    // Of another kind than the header says, for the game alone, and unknown.
    let system = Content::System(SystemContent {
        text: "You win".to_owned(),
        key: String::new(),
        arguments: Vec::new(),
    });
    for (kind, content, code) in [
        (MessageKind::Poll, text("hi"), Code::ContentInvalid),
        (MessageKind::System, system, Code::KindUnsupported),
        (MessageKind::Unknown(77), text("hi"), Code::KindUnsupported),
    ] {
        let mut frame = send(&mut world, id, &content);
        frame.header.kind = kind;
        assert_eq!(world.refused(1, frame).code(), code, "{kind:?}");
    }
    assert_eq!(world.live(2), [], "nothing of it was heard of");
}

#[test]
fn a_mention_names_whom_its_header_names() {
    let (mut world, id) = world();
    let content = Content::Text(TextContent {
        text: "hi @bob".to_owned(),
        spans: vec![Span {
            kind: SpanKind::Mention,
            start: 3,
            length: 4,
            user: Some(user("bob")),
            value: String::new(),
            item: None,
        }],
    });
    let mut frame = send(&mut world, id, &content);
    frame.header.mentions = vec![user("bob")];
    let number = world.acked(1, frame).sequence;
    // By an edit nobody else can be named.
    let edit = |world: &mut World, who: &str| Edit {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target: number,
        target_nonce: None,
        seen_rev: 0,
        content: Content::Text(TextContent {
            text: "hi @you".to_owned(),
            spans: vec![Span {
                kind: SpanKind::Mention,
                start: 3,
                length: 4,
                user: Some(user(who)),
                value: String::new(),
                item: None,
            }],
        })
        .encode(),
    };
    let frame = edit(&mut world, "cyd");
    assert_eq!(world.refused(1, frame).code(), Code::ContentInvalid);
    let frame = edit(&mut world, "bob");
    world.acked(1, frame);
}

#[test]
fn an_edit_stays_of_its_kind() {
    let (mut world, id) = world();
    let edit = |world: &mut World, target: u64, content: &Content| Edit {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target,
        target_nonce: None,
        seen_rev: 0,
        content: content.encode(),
    };
    let picture = say(&mut world, id, 1, &Content::Image(media()));
    let frame = edit(&mut world, picture, &text("no picture"));
    assert_eq!(world.refused(1, frame).code(), Code::ContentInvalid);
    let better = Content::Image(MediaContent {
        text: "the raid".to_owned(),
        ..media()
    });
    let frame = edit(&mut world, picture, &better);
    world.acked(1, frame);
    let asked = say(&mut world, id, 1, &poll());
    let frame = edit(&mut world, asked, &poll());
    assert_eq!(world.refused(1, frame).code(), Code::KindUnsupported);
}

fn vote(world: &mut World, id: ConversationId, target: u64, choices: &[u32]) -> Vote {
    Vote {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target,
        target_nonce: None,
        choices: choices.to_vec(),
    }
}

fn close(world: &mut World, id: ConversationId, target: u64) -> ClosePoll {
    ClosePoll {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target,
        target_nonce: None,
    }
}

#[test]
fn votes_are_counted_until_the_poll_is_closed() {
    let (mut world, id) = world();
    let number = say(&mut world, id, 2, &poll());
    world.live(1);
    for choices in [&[3][..], &[0, 0], &[0, 1, 2]] {
        let frame = vote(&mut world, id, number, choices);
        assert_eq!(world.refused(1, frame).code(), Code::ArgumentInvalid);
    }
    let frame = vote(&mut world, id, number, &[0, 2]);
    let first = world.acked(1, frame.clone()).sequence;
    assert_eq!(world.acked(1, frame).sequence, first, "the same answer");
    let frame = vote(&mut world, id, number, &[2, 0]);
    assert_eq!(world.acked(1, frame).sequence, 0, "it was so already");
    let frame = vote(&mut world, id, number, &[1]);
    world.acked(3, frame);
    let live = world.live(1);
    let Some(ServerFrame::Entry(entry)) = live.last() else {
        panic!("{live:?}");
    };
    assert_eq!((entry.kind, entry.target), (EntryKind::Vote, number));
    let votes: Votes = entry.facet(FacetKind::Votes).unwrap();
    assert!(votes.has(0, &user("ann")) && votes.has(2, &user("ann")));
    assert!(votes.has(1, &user("cyd")) && !votes.closed);
    let frame = close(&mut world, id, number);
    assert_eq!(world.refused(3, frame).code(), Code::Forbidden);
    let frame = vote(&mut world, id, number, &[0]);
    assert_eq!(world.refused(4, frame).code(), Code::NotFound, "a stranger");
    let frame = close(&mut world, id, number);
    world.acked(2, frame);
    let frame = vote(&mut world, id, number, &[0]);
    assert_eq!(world.refused(3, frame).code(), Code::PollClosed);
    let frame = close(&mut world, id, number);
    assert_eq!(world.acked(1, frame).sequence, 0, "closed already");
    let other = say(&mut world, id, 2, &text("no poll"));
    let frame = vote(&mut world, id, other, &[0]);
    assert_eq!(world.refused(3, frame).code(), Code::KindUnsupported);
}

/// Two appends are on their way at once: the second was decided on a poll that is open.
#[test]
fn a_vote_that_the_end_overtakes_is_refused() {
    let (mut world, id) = world();
    let number = say(&mut world, id, 2, &poll());
    let (close, vote) = (
        close(&mut world, id, number),
        vote(&mut world, id, number, &[0]),
    );
    world.hold_store = true;
    world.request(2, close);
    let request = world.request(3, vote);
    // Both items are read, then both decisions are written.
    world.carry_out_some(2);
    world.hold_store = false;
    world.carry_out();
    let Some(ServerFrame::Refused(refused)) = world.answer(3, request) else {
        panic!("{:?}", world.answer(3, request));
    };
    assert_eq!(refused.code(), Code::PollClosed);
}

#[test]
fn a_poll_ends_by_the_servers_clock() {
    let (mut world, id) = world();
    let ends = world.now.wall_ms + 60_000;
    let Content::Poll(poll) = poll() else {
        unreachable!()
    };
    let number = say(
        &mut world,
        id,
        2,
        &Content::Poll(PollContent { ends, ..poll }),
    );
    let frame = vote(&mut world, id, number, &[0]);
    world.acked(1, frame);
    world.later(60_000);
    let frame = vote(&mut world, id, number, &[1]);
    assert_eq!(world.refused(1, frame).code(), Code::PollClosed);
}

fn set_live(world: &mut World, id: ConversationId, target: u64, text: &str) -> SetLive {
    SetLive {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target,
        target_nonce: None,
        state: Box::new(custom(text)),
    }
}

#[test]
fn a_live_object_is_its_newest_state_and_floods_nothing() {
    let (mut world, id) = world();
    let number = say(&mut world, id, 2, &Content::Live(custom("0:0")));
    let frame = set_live(&mut world, id, number, "1:0");
    let refused = world.refused(2, frame.clone());
    assert_eq!(refused.code(), Code::RateLimited);
    assert!((1..=5_000).contains(&refused.retry_after_ms));
    world.later(refused.retry_after_ms);
    let done = world.acked(2, frame.clone()).sequence;
    let again = world.refused(2, frame.clone());
    world.later(again.retry_after_ms);
    assert_eq!(world.acked(2, frame).sequence, done, "and has one effect");
    world.later(5_000);
    let frame = set_live(&mut world, id, number, "2:0");
    assert_eq!(world.refused(1, frame).code(), Code::Forbidden);
    let frame = set_live(&mut world, id, number, "2:1");
    world.acked(2, frame);
    let live = world.live(3);
    let Some(ServerFrame::Entry(entry)) = live.last() else {
        panic!("{live:?}");
    };
    let state: LiveState = entry.facet(FacetKind::Live).unwrap();
    assert_eq!(
        (entry.kind, state.state.text.as_str()),
        (EntryKind::Live, "2:1")
    );
    assert_eq!(state.at, world.now.wall_ms);
}

fn answer(world: &mut World, id: ConversationId, target: u64, values: &[(&str, &str)]) -> Answer {
    let value = |(id, value): &(&str, &str)| AnswerValue {
        id: (*id).to_owned(),
        value: (*value).to_owned(),
    };
    Answer {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target,
        target_nonce: None,
        values: values.iter().map(value).collect(),
    }
}

#[test]
fn an_answer_reaches_the_cards_author_alone() {
    let (mut world, id) = world();
    let frame = send(&mut world, id, &card());
    assert_eq!(world.refused(2, frame).code(), Code::Forbidden);
    let number = say(&mut world, id, 1, &card());
    world.live(1);
    world.live(3);
    for values in [
        &[][..],
        &[("day", "2026-11-26")],
        &[("role", "rogue")],
        &[("role", "tank"), ("role", "healer")],
        &[("role", "tank"), ("day", "2026-02-30")],
        &[("role", "tank"), ("other", "x")],
    ] {
        let frame = answer(&mut world, id, number, values);
        let code = world.refused(2, frame).code();
        assert_eq!(code, Code::ContentInvalid, "{values:?}");
    }
    let frame = answer(
        &mut world,
        id,
        number,
        &[("role", "tank"), ("day", "2028-02-29")],
    );
    let given = world.acked(2, frame).sequence;
    for key in [1, 2] {
        let live = world.live(key);
        let Some(ServerFrame::Entry(entry)) = live.last() else {
            panic!("{live:?}");
        };
        assert_eq!((entry.kind, entry.sequence), (EntryKind::Answer, given));
        let said: AnswerContent = decode(&entry.content).unwrap();
        assert_eq!((said.card, said.values.len()), (number, 2));
    }
    let live = world.live(3);
    let [ServerFrame::Skip(skip)] = &live[..] else {
        panic!("{live:?}");
    };
    assert_eq!((skip.first, skip.last), (given, given));
    let frame = answer(&mut world, id, given, &[("role", "tank")]);
    assert_eq!(world.refused(3, frame).code(), Code::NotFound);
}

#[test]
fn behind_a_block_answers_and_votes_reach_nobody() {
    let (mut world, _) = world();
    let id = direct("ann", "bob");
    let mut frame = send(&mut world, id, &card());
    frame.peer = Some(user("bob"));
    world.acked(1, frame);
    say(&mut world, id, 1, &poll());
    let block = Block {
        nonce: world.nonce(),
        user: user("bob"),
        on: true,
    };
    world.acked(1, block);
    world.live(1);
    let frame = answer(&mut world, id, 1, &[("role", "tank")]);
    let given = world.acked(2, frame).sequence;
    assert_eq!(given, 3);
    let frame = vote(&mut world, id, 2, &[0]);
    assert_eq!(world.acked(2, frame).sequence, 0);
    let heard = world.live(1);
    let entries = heard
        .iter()
        .filter(|it| matches!(it, ServerFrame::Entry(_)));
    assert_eq!(entries.count(), 0, "{heard:?}");
}

fn page(world: &mut World, id: ConversationId, key: u64) -> Vec<u64> {
    let request = PageRequest {
        conversation: id,
        anchor: 0,
        number: 0,
        to: 0,
        limit: 0,
        since: 0,
        held: Vec::new(),
    };
    match world.ask(key, ClientFrame::PageRequest(request)) {
        ServerFrame::Page(page) => {
            let number = |raw: &fireside_protocol::Raw| {
                decode::<fireside_protocol::Entry>(&raw.0).unwrap().sequence
            };
            page.items.iter().map(number).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_one_deletes_for_oneself_the_others_keep() {
    let (mut world, id) = world();
    let (before, whole) = (page(&mut world, id, 2), page(&mut world, id, 1));
    let number = say(&mut world, id, 1, &text("a secret"));
    let next = say(&mut world, id, 1, &text("more"));
    world.live(1);
    world.live(2);
    let delete = |world: &mut World, upto, numbers: &[u64]| Delete {
        nonce: world.nonce(),
        conversation: id,
        upto,
        numbers: numbers.to_vec(),
    };
    for (upto, numbers) in [(0, &[][..]), (0, &[99]), (0, &[0]), (0, &[1; 101])] {
        let frame = delete(&mut world, upto, numbers);
        assert_eq!(world.refused(2, frame).code(), Code::ArgumentInvalid);
    }
    let frame = delete(&mut world, 0, &[number]);
    assert_eq!(world.acked(2, frame.clone()).sequence, 0);
    let told = records(&world.live(2));
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].kind, told[0].value), (UserRecordKind::Rights, 1));
    assert_eq!(world.live(1), [], "nobody else is told");
    world.acked(2, frame);
    assert_eq!(world.live(2), [], "once");
    let mut left = before;
    left.push(next);
    assert_eq!(page(&mut world, id, 2), left);
    assert_eq!(page(&mut world, id, 1).len(), whole.len() + 2);
    // An edit of what is gone is a skip.
    let edit = Edit {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target: number,
        target_nonce: None,
        seen_rev: 0,
        content: text("still secret").encode(),
    };
    world.acked(1, edit);
    let heard = world.live(2);
    assert!(matches!(&heard[..], [ServerFrame::Skip(_)]), "{heard:?}");
    let frame = delete(&mut world, u64::MAX, &[]);
    world.acked(2, frame);
    assert_eq!(page(&mut world, id, 2), []);
    let last = say(&mut world, id, 1, &text("again"));
    assert_eq!(page(&mut world, id, 2), [last], "what comes later is seen");
    let frame = delete(&mut world, 1, &[]);
    assert_eq!(world.refused(4, frame).code(), Code::NotFound);
}

#[test]
fn moderators_look_back_and_members_do_not() {
    let (mut world, id) = world();
    let number = say(&mut world, id, 2, &text("one"));
    let edit = Edit {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target: number,
        target_nonce: None,
        seen_rev: 0,
        content: text("two").encode(),
    };
    world.acked(2, edit);
    let recall = Recall {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target: number,
        target_nonce: None,
    };
    world.acked(2, recall);
    let request = RevisionsRequest {
        conversation: id,
        target: number,
        after: 0,
    };
    let ServerFrame::RevisionsPage(page) = world.ask(1, request.clone()) else {
        panic!("no revisions");
    };
    let words = page.revisions.iter().map(|it| {
        let content: TextContent = decode(&it.content).unwrap();
        content.text
    });
    assert_eq!(words.collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(world.refused(2, request.clone()).code(), Code::Forbidden);
    assert_eq!(world.refused(4, request.clone()).code(), Code::NotFound);
    let nothing = RevisionsRequest {
        target: 99,
        ..request
    };
    assert_eq!(world.refused(1, nothing).code(), Code::NotFound);
}
