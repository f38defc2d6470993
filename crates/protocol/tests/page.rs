//! `docs/protocol.md` says what the code does: its tables are printed from the declared lists.
//!
//! `FIRESIDE_REGENERATE=1 cargo test -p fireside-protocol` writes the tables anew; the prose between them is by hand.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fmt::Write as _, fs, path::PathBuf};

use fireside_protocol::{
    ClientFrame, Code, Nonce, ServerFrame,
    codec::Field,
    frames::FrameInfo,
    schema::{ENUMS, RECORDS},
};

/// Text of a doc comment without rustdoc's links.
fn plain(doc: &str) -> String {
    let mut out = String::new();
    let mut rest = doc.trim();
    while let Some(start) = rest.find("[`") {
        let Some(end) = rest[start..].find("`]") else {
            break;
        };
        out.push_str(&rest[..start]);
        let name = &rest[start + 2..start + end];
        let _ = write!(out, "`{}`", name.rsplit("::").next().unwrap());
        rest = &rest[start + end + 2..];
        if rest.starts_with('(') {
            rest = &rest[rest.find(')').unwrap() + 1..];
        }
    }
    out.push_str(rest);
    out.replace('|', "\\|")
}

/// The Rust type in the page's words. A type that is not here has no words yet.
fn type_words(kind: &str) -> String {
    let inner = |open: &str| {
        kind.strip_prefix(open)
            .and_then(|rest| rest.strip_suffix('>'))
    };
    if let Some(inner) = inner("Option<") {
        return format!("{} or nil", type_words(inner));
    }
    if let Some(inner) = inner("Vec<") {
        return format!("array of {}", type_words(inner));
    }
    if let Some(inner) = inner("Box<") {
        return type_words(inner);
    }
    match kind {
        "ConversationId" | "DeviceId" | "FolderId" | "Nonce" | "LinkCode" => "bin 16".to_owned(),
        "UserId" => "user id".to_owned(),
        "String" => "str".to_owned(),
        "Real" => "float 64".to_owned(),
        "Bytes" => "bin".to_owned(),
        "Raw" => "`Entry`".to_owned(),
        "bool" | "u8" | "u16" | "u32" | "u64" => kind.to_owned(),
        "Sequence" | "Rev" | "Ordinal" | "UserSequence" => "u64".to_owned(),
        "WallMs" => "u64 ms".to_owned(),
        name if ENUMS.iter().any(|info| info.name == name) => format!("u16 `{name}`"),
        name if RECORDS.iter().any(|info| info.name == name) => format!("`{name}`"),
        other => panic!("no words for the type {other}"),
    }
}

fn fields_table(out: &mut String, fields: &[Field]) {
    out.push_str("\n| key | name | type | must | meaning |\n|---|---|---|---|---|\n");
    for field in fields {
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {} |",
            field.key,
            field.name,
            type_words(&field.kind.replace(' ', "")),
            if field.required { "yes" } else { "" },
            plain(field.doc),
        );
    }
}

fn frame_tables(table: &[FrameInfo]) -> String {
    let mut out = String::new();
    for info in table {
        let _ = writeln!(
            out,
            "\n#### {} {} ({:?})\n",
            info.kind, info.name, info.lane
        );
        let _ = writeln!(out, "{}", plain(info.doc));
        if RECORDS.iter().any(|record| record.name == info.name) {
            let _ = writeln!(out, "\nFields: see [records](#records), `{}`.", info.name);
        } else {
            fields_table(&mut out, info.fields);
        }
    }
    out
}

fn record_tables() -> String {
    let mut out = String::new();
    for record in RECORDS {
        let _ = writeln!(out, "\n#### {}\n\n{}", record.name, plain(record.doc));
        fields_table(&mut out, record.fields);
    }
    out
}

fn enum_tables() -> String {
    let mut out = String::from("\n| name | number | value | meaning |\n|---|---|---|---|\n");
    for info in ENUMS {
        for (number, name, doc) in info.values {
            let _ = writeln!(
                out,
                "| `{}` | {number} | {name} | {} |",
                info.name,
                plain(doc)
            );
        }
    }
    out
}

fn code_table() -> String {
    let mut out = String::from("\n| code | name | retry as it is | meaning |\n|---|---|---|---|\n");
    for code in Code::ALL {
        let retry = if code.retryable() { "yes" } else { "" };
        let _ = writeln!(
            out,
            "| {} | `{}` | {retry} | {} |",
            code.number(),
            code.key(),
            code.text()
        );
    }
    out
}

/// The limits' names, values and reasons, read from their source: a value in the page can not be an old one.
fn limits_table() -> String {
    let source = include_str!("../src/limits.rs");
    let mut out = String::from("\n| limit | value | what and why |\n|---|---|---|\n");
    let mut doc = Vec::new();
    for line in source.lines() {
        if let Some(text) = line.strip_prefix("/// ") {
            doc.push(text.to_owned());
        } else if let Some(rest) = line.strip_prefix("pub const ") {
            let (name, rest) = rest.split_once(':').unwrap();
            let value = rest.split_once('=').unwrap().1.trim().trim_end_matches(';');
            let product: u64 = value
                .split('*')
                .map(|factor| factor.trim().replace('_', "").parse::<u64>().unwrap())
                .product();
            let _ = writeln!(out, "| `{name}` | {product} | {} |", plain(&doc.join(" ")));
            doc.clear();
        }
    }
    out
}

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md")
}

#[test]
fn the_tables_of_the_page_are_the_declared_lists() {
    let parts = [
        ("client frames", frame_tables(ClientFrame::TABLE)),
        ("server frames", frame_tables(ServerFrame::TABLE)),
        ("records", record_tables()),
        ("enumerations", enum_tables()),
        ("codes", code_table()),
        ("limits", limits_table()),
    ];
    let mut text = fs::read_to_string(page()).unwrap();
    for (name, table) in parts {
        let (open, close) = (
            format!("<!-- generated: {name} -->\n"),
            format!("\n<!-- end: {name} -->"),
        );
        let start = text
            .find(&open)
            .unwrap_or_else(|| panic!("{open} is not in the page"))
            + open.len();
        let end = start - 1
            + text[start - 1..]
                .find(&close)
                .unwrap_or_else(|| panic!("{close} is missing"));
        if std::env::var_os("FIRESIDE_REGENERATE").is_some() {
            text.replace_range(start..end.max(start), table.trim_end());
        } else {
            let old = text[start..end].lines().chain(std::iter::once("the end"));
            let new = table.trim_end().lines().chain(std::iter::once("the end"));
            if let Some((old, new)) = old.zip(new).find(|(old, new)| old != new) {
                panic!(
                    "{name}: the page says\n{old}\nthe code\n{new}\nFIRESIDE_REGENERATE=1 writes it"
                );
            }
        }
    }
    if std::env::var_os("FIRESIDE_REGENERATE").is_some() {
        // Other tests read the page meanwhile.
        let new = page().with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, page()).unwrap();
    }
}

#[test]
fn every_request_stands_in_the_table_of_answers() {
    let text = fs::read_to_string(page()).unwrap();
    let (_, rest) = text.split_once("### Answers").unwrap();
    let (table, _) = rest.split_once("\n##").unwrap();
    for info in ClientFrame::TABLE {
        let cell = format!("`{}`", info.name);
        assert!(
            table.contains(&cell),
            "{cell} has no line in the table of answers"
        );
    }
}

#[test]
fn the_worked_bytes_of_the_page_are_true() {
    let text = fs::read_to_string(page()).unwrap();
    let vectors = concat!(
        include_str!("../vectors/frames.json"),
        include_str!("../vectors/ids.json")
    );
    let mut shown = 0;
    // Blocks of hexadecimal bytes in the page are vectors, so that a reader can try them.
    for block in text.split("```hex\n").skip(1) {
        let (block, _) = block.split_once("```").unwrap();
        let hex: String = block
            .lines()
            .flat_map(|line| line.split('#').next())
            .flat_map(str::split_whitespace)
            .collect();
        assert!(vectors.contains(&hex), "not a vector: {hex}");
        shown += 1;
    }
    assert!(shown >= 10, "the page shows {shown} frames");
    let nonce: Nonce = "019ab0a2077bf3f3b3f3f3f3f3f3f3f3".parse().unwrap();
    assert!(nonce.wall_ms() > 0);
}

#[test]
fn keys_and_numbers_are_used_once() {
    let tables = ClientFrame::TABLE.iter().chain(ServerFrame::TABLE);
    let mut kinds: Vec<u16> = tables.clone().map(|info| info.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert!(kinds.len() == ClientFrame::TABLE.len() + ServerFrame::TABLE.len());
    let of_server = |kind: u16| (64..128).contains(&kind) || kind >= 160;
    let of_server = |info: &FrameInfo| of_server(info.kind);
    assert!(!ClientFrame::TABLE.iter().any(of_server));
    assert!(ServerFrame::TABLE.iter().all(of_server));
    let records = RECORDS.iter().map(|record| (record.name, record.fields));
    for (name, fields) in tables.map(|info| (info.name, info.fields)).chain(records) {
        for (at, field) in fields.iter().enumerate() {
            assert!(
                !fields[..at].iter().any(|other| other.key == field.key),
                "{name}: {}",
                field.key
            );
            assert!(field.key.len() <= 2, "{name}: {} is long", field.key);
        }
    }
    for info in ENUMS {
        for (at, (number, ..)) in info.values.iter().enumerate() {
            assert!(
                !info.values[..at].iter().any(|(other, ..)| other == number),
                "{}: {number}",
                info.name
            );
        }
    }
}
