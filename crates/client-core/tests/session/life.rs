//! Messages of every kind on the screen: what they are, what they answer, how a poll stands, at once and after a restart.

use bytes::Bytes;
use fireside_client_core::{
    Command, NewMessage,
    command::{MessageRef, Recipient},
    view::{Body, Details, QuoteState},
};
use fireside_protocol::{
    ClientFrame, Code, Content, ConversationId, TextContent, UserId,
    content::{CustomContent, PollContent, Span, SpanKind},
    frames::{UserRecord, UserRecordKind},
};

use crate::{
    server::{ballots, user},
    world::World,
};

fn world() -> (World, ConversationId) {
    let mut world = World::new();
    let id = world.server.group(1);
    world.server.log(id).text(&user("bob"), "where to?");
    world.connect();
    world.open(id);
    (world, id)
}

fn send(world: &mut World, id: ConversationId, message: NewMessage) -> u64 {
    world.call(Command::Send {
        to: Recipient::Conversation(id),
        message: Box::new(message),
    })
}

fn poll() -> NewMessage {
    NewMessage::new(Content::Poll(PollContent {
        question: "Where?".to_owned(),
        options: ["mill", "harbour"].map(str::to_owned).into(),
        choices_max: 0,
        ends: 0,
        anonymous: false,
    }))
}

fn details(world: &World, id: ConversationId) -> Details {
    let row = world.rows(id).last().unwrap();
    Details::clone(row.details.as_ref().unwrap())
}

/// Who chose what; mine in brackets.
fn votes(world: &World, id: ConversationId) -> Vec<String> {
    let poll = details(world, id).poll.unwrap();
    let names = poll.options.iter().map(|one| {
        let users: Vec<_> = one.users.iter().map(UserId::as_str).collect();
        let text = users.join(" ");
        if one.mine { format!("[{text}]") } else { text }
    });
    names.collect()
}

#[test]
fn a_vote_shows_at_once_and_stays() {
    let (mut world, id) = world();
    send(&mut world, id, poll());
    world.advance(1_000);
    assert_eq!(votes(&world, id), ["", ""]);
    let vote = |world: &mut World, choices: &[u32]| {
        world.call(Command::Vote {
            conversation: id,
            message: MessageRef::Sequence(2),
            choices: choices.to_vec(),
        })
    };
    world.hold_frames = true;
    vote(&mut world, &[1]);
    assert_eq!(votes(&world, id), ["", "[ada]"], "nothing came yet");
    world.hold_frames = false;
    world.advance(1_000);
    let entry = world.server.log(id).vote(&user("bob"), 2, &[1]);
    let live = world.server.log(id).live(entry.sequence);
    world.live(live);
    assert_eq!(votes(&world, id), ["", "[ada bob]"]);
    vote(&mut world, &[0]);
    world.advance(1_000);
    assert_eq!(votes(&world, id), ["[ada]", "bob"]);
    let mut world = world.restart();
    world.open(id);
    assert_eq!(votes(&world, id), ["[ada]", "bob"], "from the cache");
}

/// How many chose what; mine in brackets.
fn counts(world: &World, id: ConversationId) -> Vec<String> {
    let poll = details(world, id).poll.unwrap();
    assert!(poll.anonymous && poll.options.iter().all(|one| one.users.is_empty()));
    let shown = poll.options.iter().map(|one| match one.mine {
        true => format!("[{}]", one.count),
        false => one.count.to_string(),
    });
    shown.collect()
}

#[test]
fn an_anonymous_poll_counts_and_shows_the_own_choice() {
    let (mut world, id) = world();
    let Content::Poll(content) = poll().content else {
        unreachable!()
    };
    let anonymous = PollContent {
        anonymous: true,
        ..content
    };
    send(&mut world, id, NewMessage::new(Content::Poll(anonymous)));
    world.advance(1_000);
    assert_eq!(counts(&world, id), ["0", "0"]);
    let vote = |world: &mut World, choices: &[u32]| {
        world.call(Command::Vote {
            conversation: id,
            message: MessageRef::Sequence(2),
            choices: choices.to_vec(),
        })
    };
    world.hold_frames = true;
    vote(&mut world, &[1]);
    assert_eq!(counts(&world, id), ["0", "[1]"], "nothing came yet");
    world.hold_frames = false;
    world.advance(1_000);
    assert_eq!(counts(&world, id), ["0", "[1]"]);
    let entry = world.server.log(id).ballot(2, &[], &[1]);
    let live = world.server.log(id).live(entry.sequence);
    world.live(live);
    assert_eq!(counts(&world, id), ["0", "[2]"]);
    world.hold_frames = true;
    vote(&mut world, &[0]);
    assert_eq!(
        counts(&world, id),
        ["[1]", "1"],
        "in the place of the one before"
    );
    world.hold_frames = false;
    world.advance(1_000);
    assert_eq!(counts(&world, id), ["[1]", "1"]);
    let mut world = world.restart();
    world.open(id);
    assert_eq!(counts(&world, id), ["[1]", "1"], "from the cache");
    // Another device of the user voted.
    let record = ballots(id, 2, &[1]);
    let live = world.server.put(record);
    world.connect();
    world.live(live);
    assert_eq!(counts(&world, id), ["1", "[1]"]);
}

#[test]
fn a_vote_without_a_network_waits_for_its_poll() {
    let (mut world, id) = world();
    world.cut();
    send(&mut world, id, poll());
    let name = world.rows(id).last().unwrap().nonce.unwrap();
    world.call(Command::Vote {
        conversation: id,
        message: MessageRef::Nonce(name),
        choices: vec![0],
    });
    world.connect();
    world.advance(5_000);
    let sent = world.seen(|frame| matches!(frame, ClientFrame::Vote(_)));
    assert!(sent >= 1);
    assert_eq!(votes(&world, id), ["[ada]", ""]);
}

#[test]
fn a_live_object_shows_its_newest_state() {
    let (mut world, id) = world();
    let state = |text: &str| CustomContent {
        name: "score".to_owned(),
        data: Bytes::new(),
        text: text.to_owned(),
    };
    send(&mut world, id, NewMessage::new(Content::Live(state("0:0"))));
    world.advance(1_000);
    let shown = |world: &World| match &world.rows(id).last().unwrap().body {
        Body::Content(content) => content.plain_text(),
        other => panic!("{other:?}"),
    };
    assert_eq!(shown(&world), "0:0");
    world.hold_frames = true;
    world.call(Command::SetLive {
        conversation: id,
        message: MessageRef::Sequence(2),
        state: Box::new(state("1:0")),
    });
    assert_eq!(shown(&world), "1:0", "at once");
    world.hold_frames = false;
    world.advance(1_000);
    assert_eq!(shown(&world), "1:0");
    let mut world = world.restart();
    world.open(id);
    assert_eq!(shown(&world), "1:0", "from the cache");
}

#[test]
fn a_reply_shows_what_it_answers_as_it_is_now() {
    let (mut world, id) = world();
    let text = Content::Text(TextContent::plain("to the mill"));
    let reply = NewMessage {
        reply_to: 1,
        ..NewMessage::new(text)
    };
    world.hold_frames = true;
    send(&mut world, id, reply);
    let quote = |world: &World| details(world, id).reply.unwrap();
    assert_eq!(&*quote(&world).text, "where to?", "the echo has it");
    world.hold_frames = false;
    world.advance(1_000);
    assert_eq!(quote(&world).sender, Some(user("bob")));
    for (edit, text, state) in [
        (true, "where to, friends?", QuoteState::Held),
        (false, "", QuoteState::Recalled),
    ] {
        let log = world.server.log(id);
        let entry = if edit {
            log.edit(&user("bob"), 1, text)
        } else {
            log.recall(&user("bob"), 1)
        };
        let live = world.server.log(id).live(entry.sequence);
        world.live(live);
        let now = quote(&world);
        assert_eq!((&*now.text, now.state), (text, state));
    }
    let mut world = world.restart();
    world.open(id);
    assert_eq!(quote(&world).state, QuoteState::Recalled);
}

#[test]
fn spans_mentions_and_options_are_there() {
    let (mut world, id) = world();
    let content = TextContent {
        text: "@bob come".to_owned(),
        spans: vec![Span {
            kind: SpanKind::Mention,
            start: 0,
            length: 4,
            user: Some(user("bob")),
            value: String::new(),
            item: None,
        }],
    };
    let forged = NewMessage::new(Content::Text(content.clone()));
    let refused = world.command(Command::Send {
        to: Recipient::Conversation(id),
        message: Box::new(forged.clone()),
    });
    assert_eq!(refused.unwrap_err().code, Code::ContentInvalid);
    let message = NewMessage {
        mentions: vec![user("bob"), user("ada")],
        silent: true,
        priority: 1,
        ..forged
    };
    send(&mut world, id, message);
    world.advance(1_000);
    let seen = details(&world, id);
    assert_eq!(seen.spans, content.spans);
    assert!(seen.mentioned && seen.silent && seen.priority == 1);
    let first = &world.rows(id)[0];
    assert_eq!(first.details, None, "a plain text has none");
    let Body::Text(text) = &world.rows(id)[1].body else {
        panic!("no text");
    };
    assert_eq!(&**text, "@bob come");
}

#[test]
fn a_picture_is_listed_by_its_caption_and_found_by_it() {
    let (mut world, id) = world();
    let picture = Content::Image(fireside_protocol::content::MediaContent {
        attachments: vec![fireside_protocol::content::Attachment {
            reference: "screens/7".to_owned(),
            media_type: String::new(),
            name: "7.png".to_owned(),
            size: 0,
            width: 0,
            height: 0,
            duration_ms: 0,
            hash: Bytes::new(),
            thumbnail: String::new(),
            blur: Bytes::new(),
            waveform: Bytes::new(),
        }],
        text: "our camp".to_owned(),
        spans: Vec::new(),
    });
    send(&mut world, id, NewMessage::new(picture));
    world.advance(1_000);
    assert_eq!(&*world.line(id).preview, "our camp");
    // Its author gives it another caption; another kind it can not become.
    let text = Content::Text(TextContent::plain("no picture"));
    let refused = world.command(Command::Edit {
        conversation: id,
        message: MessageRef::Sequence(2),
        content: Box::new(text),
    });
    assert_eq!(refused.unwrap_err().code, Code::ContentInvalid);
}

#[test]
fn what_was_deleted_for_this_user_goes_from_every_device() {
    let (mut world, id) = world();
    world.server.log(id).text(&user("bob"), "a secret");
    let live = world.server.log(id).live(2);
    world.live(live);
    assert_eq!(world.texts(id), ["where to?", "a secret"]);
    // Another device deleted it: the server withholds it, and says that rights changed.
    world.server.log(id).hidden.insert(2);
    world.server.log(id).rights += 1;
    let record = UserRecord {
        sequence: 1,
        kind: UserRecordKind::Rights,
        conversation: Some(id),
        user: None,
        value: 1,
        name: String::new(),
        gone: false,
        at: 0,
        folder: None,
        body: Bytes::new(),
    };
    world.server.records.push(record.clone());
    world.live(record.into());
    world.advance(5_000);
    assert_eq!(world.texts(id), ["where to?"]);
    let mut world = world.restart();
    world.open(id);
    assert_eq!(world.texts(id), ["where to?"], "not in the cache either");
}

/// The ack was lost, another device deleted the message, and this one asks again after a restart.
#[test]
fn an_ack_of_long_ago_brings_back_nothing_that_was_deleted() {
    let (mut world, id) = world();
    world.mute = true;
    world.send(id, "a secret");
    world.advance(100);
    assert_eq!(world.server.log(id).last(), 2, "the server has it");
    world.server.log(id).hidden.insert(2);
    world.server.log(id).rights += 1;
    world.server.records.push(UserRecord {
        sequence: 1,
        kind: UserRecordKind::Rights,
        conversation: Some(id),
        user: None,
        value: 1,
        name: String::new(),
        gone: false,
        at: 0,
        folder: None,
        body: Bytes::new(),
    });
    let mut world = world.restart();
    world.mute = false;
    world.open(id);
    world.connect();
    world.advance(5_000);
    assert!(world.seen(|frame| matches!(frame, ClientFrame::Send(_))) >= 2);
    assert_eq!(world.texts(id), ["where to?"]);
}

#[test]
fn a_message_is_hidden_when_its_time_is_over_and_gone_when_the_server_says_so() {
    let (mut world, id) = world();
    let ends = world.session.server_ms(world.now) + 60_000;
    let message = NewMessage {
        expires: ends,
        ..NewMessage::new(Content::Text(TextContent::plain("burns")))
    };
    send(&mut world, id, message);
    world.advance(1_000);
    let body = |world: &World| world.rows(id).last().unwrap().body.clone();
    assert_eq!(body(&world), Body::Text("burns".into()));
    assert_eq!(details(&world, id).expires, ends);
    world.advance(57_000);
    assert_eq!(body(&world), Body::Text("burns".into()));
    world.advance(3_000);
    assert_eq!(body(&world), Body::Expired, "without a word of the server");
    assert!(world.rows(id).last().unwrap().details.is_none());
    let end = world.server.log(id).expire(2);
    let live = world.server.log(id).live(end.sequence);
    world.live(live);
    assert_eq!(body(&world), Body::Expired);
    let mut world = world.restart();
    world.open(id);
    assert_eq!(body(&world), Body::Expired, "from the cache");
}

#[test]
fn what_has_expired_is_not_unread() {
    let mut world = World::connected();
    let id = world.server.direct("bob");
    for n in 0..3 {
        let entry = world.server.log(id).text(&user("bob"), &format!("{n}"));
        let live = world.server.log(id).live(entry.sequence);
        world.live(live);
    }
    world.advance(1_000);
    let line = |world: &World| (world.line(id).unread, world.line(id).at);
    let (unread, at) = line(&world);
    assert_eq!(unread, 3);
    for left in [2, 1] {
        let end = world.server.log(id).expire(u64::from(left));
        let live = world.server.log(id).live(end.sequence);
        world.live(live);
        world.advance(1_000);
        assert_eq!(line(&world), (left, at), "nor does it move anything up");
    }
}
