//! `include/fireside.h` is what the generator makes of the sources, and nothing that the client can do or tell is missing in it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use cbindgen::{Builder, Config, DocumentationStyle, Language, RenameRule, Style};
use fireside_protocol::{Code, ConversationKind, Role};

/// In the order of the header.
const SOURCES: &[&str] = &[
    "constants.rs",
    "status.rs",
    "types.rs",
    "library.rs",
    "client.rs",
    "message.rs",
    "conversation.rs",
    "people.rs",
];

/// Commands of the client core and the functions that give them. A new command without a line fails here.
const COMMANDS: &[(&str, &[&str])] = &[
    ("Connect", &["fireside_client_connect"]),
    ("Disconnect", &["fireside_client_disconnect"]),
    ("SetToken", &["fireside_client_set_token"]),
    (
        "SendText",
        &["fireside_message_send", "fireside_message_send_to_user"],
    ),
    ("EditText", &["fireside_message_edit"]),
    ("Recall", &["fireside_message_recall"]),
    ("React", &["fireside_message_react"]),
    ("Pin", &["fireside_message_pin"]),
    ("Pins", &["fireside_message_pins"]),
    ("Retry", &["fireside_message_retry"]),
    ("Discard", &["fireside_message_discard"]),
    ("MarkRead", &["fireside_conversation_mark_read"]),
    ("Typing", &["fireside_conversation_set_typing"]),
    ("Open", &["fireside_conversation_open"]),
    ("Close", &["fireside_conversation_close"]),
    ("LoadOlder", &["fireside_conversation_load_older"]),
    ("CreateGroup", &["fireside_conversation_create_group"]),
    ("Invite", &["fireside_conversation_invite"]),
    ("Join", &["fireside_conversation_join"]),
    ("Leave", &["fireside_conversation_leave"]),
    ("RemoveMember", &["fireside_conversation_remove_member"]),
    ("SetRole", &["fireside_conversation_set_role"]),
    ("Block", &["fireside_user_set_blocked"]),
    ("Members", &["fireside_conversation_members"]),
    ("Devices", &["fireside_client_devices"]),
    ("RevokeDevice", &["fireside_device_revoke"]),
    ("SetVisible", &["fireside_client_set_visible"]),
    (
        "SetBackgroundFill",
        &["fireside_client_set_background_fill"],
    ),
    ("Suspend", &["fireside_client_suspend"]),
    ("Resume", &["fireside_client_resume"]),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn generated() -> String {
    let mut config = Config {
        language: Language::C,
        cpp_compat: true,
        include_guard: Some("FIRESIDE_H".to_owned()),
        no_includes: true,
        sys_includes: vec!["stddef.h".to_owned(), "stdint.h".to_owned()],
        usize_is_size_t: true,
        style: Style::Both,
        documentation_style: DocumentationStyle::Doxy,
        line_length: 100,
        header: Some(
            "/*\n * Fireside: chat for games. The C interface of the client.\n *\n \
             * Generated from ffi/src by ffi/tests/header.rs (UPDATE_HEADER=1 cargo test -p fireside-ffi); do not edit.\n *\n \
             * Pointers are NULL where their function allows it, or point to what their type says. Texts are UTF-8 and carry\n \
             * their length. Structs that begin with struct_size are set to zero and told their size before use; they only\n \
             * grow at their end. A call that answers anything but FIRESIDE_STATUS_OK did nothing and wrote nothing. No call\n \
             * waits, except fireside_client_destroy: at most 250 ms. ffi/README.md has the model.\n */"
                .to_owned(),
        ),
        trailer: None,
        ..Config::default()
    };
    config.function.sort_by = Some(cbindgen::SortKey::None);
    config.constant.sort_by = Some(cbindgen::SortKey::None);
    config.enumeration.rename_variants = RenameRule::ScreamingSnakeCase;
    let mut builder = Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(folder().join("src").join(source));
    }
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    String::from_utf8(header).unwrap()
}

fn committed() -> String {
    std::fs::read_to_string(folder().join("include/fireside.h")).unwrap()
}

#[test]
fn header_is_what_the_generator_makes() {
    let new = generated();
    let path = folder().join("include/fireside.h");
    if std::env::var_os("UPDATE_HEADER").is_some() {
        std::fs::write(&path, &new).unwrap();
    }
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    for (n, (old, new)) in old.lines().zip(new.lines()).enumerate() {
        assert_eq!(
            old,
            new,
            "line {} differs; run UPDATE_HEADER=1 cargo test -p fireside-ffi --test header",
            n + 1
        );
    }
    assert!(
        old == new,
        "the header is longer or shorter than it should be"
    );
}

/// What the interface does not have yet: a debt, named so that it is not forgotten. Nothing else may be missing.
const OWED: &[&str] = &[
    "Command::AnswerRequest",
    "Command::Asking",
    "Command::CreatePublic",
    "Command::SetConversation",
    "Command::Settings",
    "Completion::Settings",
    "Event::JoinRequests",
    "Command::SendTransient",
    "Event::Transient",
    "Command::SetPersonal",
    "Command::ReadAll",
    "Command::SetFolder",
    "Command::SetDraft",
    "Command::SetComposing",
    "Command::Friend",
    "Command::SetReceipts",
    "Command::Readers",
    "Command::Report",
    "Command::SetPresence",
    "Command::Presence",
    "Completion::Presence",
    "Event::Presence",
    "Completion::Readers",
    "Event::Badge",
    "Event::Folders",
    "Event::Friends",
    "Event::Receipts",
    "Body::Settings",
    "Command::SetProfile",
    "Command::Profiles",
    "Completion::Profiles",
    "Command::CreateCommunity",
    "Command::CreateChannel",
    "Command::OpenThread",
    "Command::Children",
    "Completion::Children",
    "Body::ChannelMade",
    "Command::CreateMeeting",
    "Command::Dissolve",
    "Command::Mute",
    "Command::Ban",
    "Command::Bans",
    "Command::SetMember",
    "Command::FindMembers",
    "Command::CreateLink",
    "Command::RevokeLink",
    "Command::Links",
    "Command::JoinByLink",
    "Completion::Bans",
    "Completion::Link",
    "Completion::Links",
    "Body::Dissolved",
    "Body::Muted",
    "Body::Banned",
    "Body::MemberSet",
    // Of its rows, what few messages have: spans, what is answered, a thread, how a poll stands, whose a forwarded one was, and the preview
    // of a link.
    "TimelineRow::details",
    "Body::Content",
    "Body::Answer",
    "Command::Send",
    "Command::Edit",
    "Command::Vote",
    "Command::ClosePoll",
    "Command::SetLive",
    "Command::AnswerCard",
    "Command::Delete",
    "Command::Forward",
    "Command::Revisions",
    "Completion::Revisions",
];

fn is_owed(name: &str, variant: &str) -> bool {
    OWED.contains(&format!("{name}::{variant}").as_str())
}

/// The variants of an enum, from its source: other crates can not match on it exhaustively.
fn variants(file: &str, name: &str) -> BTreeSet<String> {
    let path = folder().join("../crates/client-core/src").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let begin = text
        .lines()
        .skip_while(|line| {
            !line.starts_with(&format!("pub enum {name} {{"))
                && !line.starts_with(&format!("pub enum {name}<"))
        })
        .skip(1);
    let found: BTreeSet<_> = begin
        .take_while(|line| *line != "}")
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| {
            line.chars()
                .take_while(char::is_ascii_alphanumeric)
                .collect()
        })
        .collect();
    assert!(!found.is_empty(), "{name} is not in {file}");
    found
}

fn screaming(name: &str) -> String {
    let mut out = String::new();
    for (n, c) in name.chars().enumerate() {
        if n > 0 && c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

#[test]
fn every_command_has_a_function() {
    let header = committed();
    let table: BTreeSet<_> = COMMANDS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let mut commands = variants("command.rs", "Command");
    commands.retain(|command| !is_owed("Command", command));
    assert_eq!(commands, table);
    for (command, functions) in COMMANDS {
        for function in *functions {
            assert!(
                header.contains(&format!("fireside_status {function}(")),
                "{command}: no {function} in the header"
            );
        }
    }
}

#[test]
fn everything_that_is_told_has_a_constant() {
    let header = committed();
    for (file, name, prefix) in [
        ("event.rs", "Event", "EVENT"),
        ("event.rs", "Completion", "RESULT"),
        ("event.rs", "ConnectionState", "STATE"),
        ("event.rs", "SyncState", "SYNC"),
        ("view.rs", "Diff", "CHANGE"),
        ("view.rs", "Body", "BODY"),
        ("view.rs", "MessageState", "MESSAGE"),
    ] {
        for variant in variants(file, name) {
            if is_owed(name, &variant) {
                continue;
            }
            let constant = format!("#define FIRESIDE_{prefix}_{} ", screaming(&variant));
            assert!(
                header.contains(&constant),
                "{name}::{variant}: no {constant}"
            );
        }
    }
    let numbered = |prefix: &str, known: &[(u16, &str, &str)]| {
        for (number, name, _) in known {
            let constant = format!("#define FIRESIDE_{prefix}_{} {number}\n", screaming(name));
            assert!(header.contains(&constant), "no {constant}");
        }
    };
    numbered("KIND", ConversationKind::TABLE);
    numbered("ROLE", Role::TABLE);
}

#[test]
fn every_code_has_a_status_with_its_number() {
    let header = committed();
    for code in Code::ALL {
        let constant = format!(
            "#define FIRESIDE_STATUS_{} {}\n",
            code.key().to_uppercase(),
            code.number()
        );
        assert!(header.contains(&constant), "no {constant}");
    }
}

#[test]
fn a_status_is_always_called_one() {
    let header = committed();
    assert!(header.contains("typedef int32_t fireside_status;\n"));
    let plain: Vec<_> = header
        .lines()
        .filter(|line| line.contains("int32_t status"))
        .collect();
    assert!(plain.is_empty(), "{plain:?}");
}

#[test]
fn every_function_says_threads_and_errors() {
    let header = committed();
    let mut doc = String::new();
    let mut functions = 0;
    for line in header.lines() {
        if line.starts_with("/**") {
            doc.clear();
        }
        doc.push_str(line);
        let declares = line.contains(" fireside_") || line.contains("*fireside_");
        if declares && line.contains('(') && !line.starts_with(" *") && !line.starts_with("typedef")
        {
            functions += 1;
            for word in ["Threads:", "Errors:"] {
                assert!(doc.contains(word), "no {word} above {line}");
            }
            doc.clear();
        }
    }
    assert!(functions > 40, "only {functions} functions were found");
    // Rust's ways of writing must not leak into it.
    for word in ["[`", "# Safety", "::"] {
        assert!(!header.contains(word), "{word:?} is in the header");
    }
}

#[test]
fn every_unsafe_block_says_why() {
    for entry in std::fs::read_dir(folder().join("src")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Tests.
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for (n, line) in lines.iter().enumerate() {
            let opens = line.contains("unsafe {") || line.starts_with("unsafe impl");
            if !opens || line.starts_with("//") {
                continue;
            }
            let above = lines[n.saturating_sub(6)..n]
                .iter()
                .any(|line| line.starts_with("// SAFETY:"));
            assert!(above, "{}:{}: no SAFETY above", path.display(), n + 1);
        }
    }
}
