//! What a conversation is set to.

use fireside_protocol::{Attribute, EntryKind, Settings};
use fireside_server_core::storage::{Append, Appended, Effect, Shape};

use super::{
    Check,
    world::{World, conversation, item, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("a conversation is set to something else", set),
    ("what was stale or refused sets nothing", not_set),
    ("a conversation begins as it is set", begins),
    ("who wrote when is told where it matters", sent),
    ("whoever comes back and sees more pages anew", more),
    ("heads say what a conversation is set to", heads),
];

fn shape() -> Shape {
    Shape {
        name: "another name".to_owned(),
        history_for_joiners: u64::MAX,
        settings: Settings {
            description: Some("公会".to_owned()),
            frozen: Some(true),
            slow_mode_ms: Some(0),
            attributes: vec![Attribute {
                key: "level".to_owned(),
                value: "40".to_owned(),
            }],
            ..Settings::default()
        },
    }
}

fn set_to(w: &mut World, id: fireside_protocol::ConversationId, by: &str, shape: Shape) -> Append {
    let by = user(by);
    let version = w.version(id);
    let mut append = w.add(id, version, &by, vec![item(EntryKind::Settings, &by)]);
    if let Effect::Entries { bumps_version, .. } = &mut append.effect {
        *bumps_version = true;
    }
    Append {
        shape: Some(Box::new(shape)),
        ..append
    }
}

fn set(w: &mut World) {
    let ann = user("ann");
    let id = w.group(1, &ann, &[]);
    let before = w.load(id).row.expect("it is there");
    assert_eq!(before.settings, Settings::default());
    let append = set_to(w, id, "ann", shape());
    let done = w.done(append.clone());
    assert_eq!(done.version, before.version + 1);
    for _ in 0..2 {
        let row = w.load(id).row.expect("it is there");
        assert_eq!(row.settings, shape().settings);
        assert_eq!(
            (row.name.as_str(), row.history_for_joiners, row.version),
            ("another name", u64::MAX, done.version)
        );
        w.reopen();
    }
    assert_eq!(w.append(append), Appended::Known(done.outcome));
    // Without a shape it stays.
    w.send(id, &ann, "x");
    assert_eq!(w.load(id).row.expect("it is there").name, "another name");
}

fn not_set(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[]);
    let late = set_to(w, id, "ann", shape());
    w.join(id, &bob, 0);
    assert_eq!(w.append(late), Appended::Stale);
    let refused = set_to(w, id, "ann", shape());
    let refused = super::world::refused(&refused, fireside_protocol::Code::Forbidden);
    w.done(refused);
    let row = w.load(id).row.expect("it is there");
    assert_eq!(
        (row.name.as_str(), row.settings),
        ("the group", Settings::default())
    );
}

fn begins(w: &mut World) {
    let ann = user("ann");
    let id = conversation(7);
    let append = w.new_group(id, &ann, 3);
    w.done(Append {
        shape: Some(Box::new(shape())),
        ..append
    });
    let row = w.load(id).row.expect("it is there");
    assert_eq!(
        (row.name.as_str(), row.history_for_joiners, row.settings),
        ("another name", u64::MAX, shape().settings)
    );
}

fn sent(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    w.send(id, &ann, "one");
    let two = w.send(id, &ann, "two").entries[0].meta.at;
    let three = w.send(id, &bob, "three").entries[0].meta.at;
    w.change(id, &ann, EntryKind::Edit, 4, "edited");
    assert!(w.load(id).sent.is_empty(), "nobody asks");
    let slow = Shape {
        settings: Settings {
            slow_mode_ms: Some(5_000),
            ..Settings::default()
        },
        ..shape()
    };
    let append = set_to(w, id, "ann", slow);
    w.done(append);
    assert_eq!(w.load(id).sent, [(ann.clone(), two), (bob, three)]);
    w.reopen();
    assert_eq!(w.load(id).sent.first(), Some(&(ann, two)));
    let append = set_to(w, id, "ann", shape());
    w.done(append);
    assert!(w.load(id).sent.is_empty(), "nor now");
}

fn heads(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    let append = set_to(w, id, "ann", shape());
    w.done(append);
    let head = w.head(&bob, id);
    assert_eq!((head.name.as_str(), head.frozen), ("another name", true));
    assert_eq!(head.settings, None, "not in every list");
    assert_eq!(head.capabilities, 0, "frozen");
    assert_ne!(w.head(&ann, id).capabilities, 0);
    let request = fireside_protocol::frames::HeadsRequest {
        only: vec![id],
        ..super::world::heads_request()
    };
    let page = w.heads(&bob, request);
    assert_eq!(page.heads[0].settings.as_deref(), Some(&shape().settings));
}

fn more(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[]);
    for text in ["one", "two", "three"] {
        w.send(id, &ann, text);
    }
    let rights = |w: &mut World| {
        let members = w.load(id).members;
        let bob = members
            .into_iter()
            .find(|member| member.user == user("bob"));
        bob.map_or(0, |bob| bob.rights)
    };
    w.join(id, &bob, 1);
    w.leave(id, &bob);
    w.join(id, &bob, 1);
    assert_eq!(rights(w), 0, "as much as before: nothing was withheld");
    w.leave(id, &bob);
    let done = w.join(id, &bob, u64::MAX);
    assert_eq!(done.members[0].rights, 1);
    w.reopen();
    assert_eq!(rights(w), 1);
}
