//! The rules of the house as a test: who may know whom, what the pure cores may not touch, what may never be linked, and under
//! which licences. Architecture that is only prose rots; this does not.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// Which of our crates each of our crates may name in its manifest. Anything not listed is a breach.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("server-core", &["protocol"]),
    ("client-core", &["protocol"]),
    // The operations of the store are types of `server-core`: the core that decides is also the one that says what is to be kept.
    ("store", &["protocol", "server-core"]),
    ("server", &["server-core", "store", "protocol"]),
    ("client", &["client-core", "protocol"]),
    ("sim", &["client-core", "server-core", "store", "protocol"]),
    ("ffi", &["client", "protocol"]),
    ("cli", EVERYTHING),
    ("tests", EVERYTHING),
    // The Bevy plugin is the client in Bevy's words. Its proof and the game that shows it are in crates of their own.
    ("bevy_fireside", &["client", "protocol"]),
    (
        "bevy-proof",
        &["bevy_fireside", "client", "protocol", "tests"],
    ),
    ("arena", &["bevy_fireside", "client", "protocol", "server"]),
    // The baselines are what the product is measured against; they must owe it nothing.
    ("baseline", &[]),
];

const EVERYTHING: &[&str] = &[
    "protocol",
    "server-core",
    "client-core",
    "store",
    "server",
    "client",
    "sim",
];

/// No I/O, no clock, no threads, no chance of their own: not by any road.
const PURE: &[&str] = &["protocol", "server-core", "client-core"];
const IMPURE_CRATES: &[&str] = &[
    "async-std",
    "chrono",
    "crossbeam-channel",
    "fastrand",
    "getrandom",
    "libc",
    "mio",
    "parking_lot",
    "quinn",
    "quinn-proto",
    "quinn-udp",
    "rand",
    "rand_core",
    "ring",
    "rusqlite",
    "rustls",
    "smol",
    "socket2",
    "time",
    "tokio",
    "tracing-subscriber",
    "uuid",
];
/// Words that no line of a pure core may hold outside its tests.
const IMPURE_WORDS: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "thread::",
    "std::net",
    "std::fs",
    "std::env",
    "std::process",
    "tokio::",
    "thread_local!",
];

/// What stands in a pure core all the same: file, word, and why it changes nothing.
const EXEMPT: &[(&str, &str, &str)] = &[(
    "protocol/src/codec.rs",
    "thread_local!",
    "a buffer that is lent empty and given back: no result depends on it",
)];

/// QUIC is known at the two edges and to what tests them.
const MAY_KNOW_QUINN: &[&str] = &["client", "server", "cli", "tests", "baseline"];

/// What reads the web's pages for links: only the server calls the outside.
const WEB: &[&str] = &[
    "encoding_rs",
    "html5gum",
    "http-body-util",
    "hyper",
    "hyper-util",
    "tokio-rustls",
    "url",
];

/// Bevy is known in the plugin's folder and in the examples: a new Bevy touches nothing else.
const MAY_KNOW_BEVY: &[&str] = &["plugin-bevy", "examples"];

/// `ring` is the only crypto; nothing of C's OpenSSL, nothing that needs cmake or nasm.
const BANNED: &[&str] = &[
    "aws-lc-fips-sys",
    "aws-lc-rs",
    "aws-lc-sys",
    "cmake",
    "native-tls",
    "openssl",
    "openssl-sys",
    "rmp-serde",
];

const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// The workspace and what it links on this machine's platform. Offline: the build before it has brought everything.
fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        .other_options(vec!["--offline".into(), "--filter-platform".into(), host()])
        .exec()
        .unwrap()
}

fn host() -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = std::process::Command::new(cargo)
        .arg("-vV")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap()
        .to_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The workspace's packages by their short names (`fireside-protocol` is `protocol`).
fn ours(metadata: &Metadata) -> BTreeMap<&str, &Package> {
    metadata
        .workspace_packages()
        .into_iter()
        .map(|p| (short(p.name.as_ref()), p))
        .collect()
}

fn short(name: &str) -> &str {
    name.strip_prefix("fireside-").unwrap_or(name)
}

/// Names of everything that a package links or builds with, itself included.
fn tree(metadata: &Metadata, from: &PackageId) -> BTreeSet<String> {
    let nodes = &metadata.resolve.as_ref().unwrap().nodes;
    let nodes: BTreeMap<_, _> = nodes.iter().map(|node| (&node.id, node)).collect();
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let linked = nodes[id].deps.iter().filter(|dep| {
            dep.dep_kinds
                .iter()
                .any(|kind| kind.kind != DependencyKind::Development)
        });
        open.extend(linked.map(|dep| &dep.pkg));
    }
    seen.into_iter()
        .map(|id| metadata[id].name.to_string())
        .collect()
}

/// Every `.rs` file under a folder, with its text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&path) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

/// The lines before the file's own tests (which stand at its end), without comments.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line));
    lines
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(n, line)| (n, line.split("//").next().unwrap_or_default()))
}

fn breaches(found: &[String]) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn crates_know_only_what_they_may() {
    let metadata = metadata();
    let ours = ours(&metadata);
    let table: BTreeMap<_, _> = MAY_KNOW.iter().copied().collect();
    let mut found = Vec::new();
    for (name, package) in &ours {
        let Some(allowed) = table.get(name) else {
            found.push(format!("{name} has no line in MAY_KNOW"));
            continue;
        };
        for dependency in &package.dependencies {
            let other = short(&dependency.name);
            // A crate may name itself in its tests (features for the suite).
            if ours.contains_key(other) && other != *name && !allowed.contains(&other) {
                found.push(format!("{name} may not know {other}"));
            }
        }
    }
    for name in table.keys() {
        if !ours.contains_key(name) {
            found.push(format!(
                "MAY_KNOW names {name}, which is no crate of the workspace"
            ));
        }
    }
    breaches(&found);
}

#[test]
fn pure_cores_link_nothing_impure() {
    let metadata = metadata();
    let ours = ours(&metadata);
    let mut found = Vec::new();
    for name in PURE {
        let tree = tree(&metadata, &ours[name].id);
        for banned in IMPURE_CRATES
            .iter()
            .filter(|banned| tree.contains(**banned))
        {
            found.push(format!("{name} links {banned}"));
        }
    }
    breaches(&found);
}

#[test]
fn pure_cores_read_no_clock_and_start_no_thread() {
    let mut found = Vec::new();
    for name in PURE {
        let files = sources(&root().join("crates").join(name).join("src"));
        assert!(!files.is_empty());
        for (path, text) in files {
            for (n, line) in code_lines(&text) {
                for word in IMPURE_WORDS.iter().filter(|word| line.contains(**word)) {
                    let exempt = |(file, what, _): &&(&str, &str, &str)| {
                        path.ends_with(file) && what == word
                    };
                    if EXEMPT.iter().any(|it| exempt(&it)) {
                        continue;
                    }
                    found.push(format!("{}:{n}: {word}", path.display()));
                }
            }
        }
    }
    breaches(&found);
}

#[test]
fn quinn_stays_at_the_edges() {
    let metadata = metadata();
    let mut found = Vec::new();
    for (name, package) in ours(&metadata) {
        let knows = package
            .dependencies
            .iter()
            .any(|d| d.name.starts_with("quinn"));
        if knows && !MAY_KNOW_QUINN.contains(&name) {
            found.push(format!("{name} may not know quinn"));
        }
    }
    breaches(&found);
}

#[test]
fn only_the_server_reads_pages() {
    let metadata = metadata();
    let (mut found, mut known) = (Vec::new(), 0);
    for (name, package) in ours(&metadata) {
        for dependency in &package.dependencies {
            if WEB.contains(&dependency.name.as_str()) {
                known += 1;
                if name != "server" {
                    found.push(format!("{name} may not know {}", dependency.name));
                }
            }
        }
    }
    assert_eq!(known, WEB.len(), "the list is not what the server has");
    breaches(&found);
}

/// Its tables are a twentieth of the client's library, and the server must do it in any case.
#[test]
fn the_client_leaves_nfc_to_the_server() {
    let mut found = Vec::new();
    for folder in ["crates/client-core/src", "crates/client/src", "ffi/src"] {
        for (path, text) in sources(&root().join(folder)) {
            for (n, line) in code_lines(&text) {
                if ["normalise_name", ".normalised(", ".change()"]
                    .iter()
                    .any(|name| line.contains(name))
                {
                    found.push(format!("{}:{n} brings a text into NFC", path.display()));
                }
            }
        }
    }
    breaches(&found);
}

#[test]
fn bevy_stays_in_its_plugin_and_its_examples() {
    let metadata = metadata();
    let (mut found, mut known) = (Vec::new(), 0);
    for (name, package) in ours(&metadata) {
        // `bevy_fireside` is ours and knows Bevy: whoever names it does too.
        let knows = package
            .dependencies
            .iter()
            .any(|d| d.name == "bevy" || d.name.starts_with("bevy_"));
        let folder = package.manifest_path.as_std_path();
        let folder = folder.strip_prefix(root()).unwrap();
        let may = MAY_KNOW_BEVY.iter().any(|may| folder.starts_with(may));
        known += u32::from(knows);
        if knows && !may {
            found.push(format!("{name} may not know Bevy"));
        }
    }
    assert!(
        known > 0,
        "nobody knows Bevy: the test looks for the wrong names"
    );
    breaches(&found);
}

#[test]
fn banned_crates_are_on_no_platform() {
    // The lock file has the packages of every platform, not only of this one.
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let names = lock
        .lines()
        .filter_map(|line| line.strip_prefix("name = \""));
    let names: BTreeSet<_> = names.filter_map(|name| name.strip_suffix('"')).collect();
    assert!(
        names.contains("ring"),
        "the lock file was not read as it should"
    );
    let found: Vec<_> = BANNED
        .iter()
        .filter(|name| names.contains(**name))
        .collect();
    assert!(found.is_empty(), "banned: {found:?}");
}

#[test]
fn licences_are_permissive() {
    let metadata = metadata();
    let mut found = Vec::new();
    for package in &metadata.packages {
        let licence = package.license.as_deref().unwrap_or("none");
        if !permitted(licence) {
            found.push(format!("{} {}: {licence}", package.name, package.version));
        }
    }
    breaches(&found);
}

/// Whether an SPDX expression can be met from [`LICENCES`]: each part of an `AND` needs one permitted choice of its `OR`.
fn permitted(expression: &str) -> bool {
    // Split at the top level only; brackets are stripped when they span the whole.
    let expression = expression.trim();
    for (word, all) in [(" OR ", false), (" AND ", true)] {
        let parts = split_top(expression, word);
        if parts.len() > 1 {
            return if all {
                parts.iter().all(|part| permitted(part))
            } else {
                parts.iter().any(|part| permitted(part))
            };
        }
    }
    if let Some(inner) = expression
        .strip_prefix('(')
        .and_then(|e| e.strip_suffix(')'))
    {
        return permitted(inner);
    }
    // The older spelling of OR.
    if expression.contains('/') {
        return expression.split('/').any(permitted);
    }
    LICENCES.contains(&expression)
}

fn split_top<'a>(expression: &'a str, word: &str) -> Vec<&'a str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (at, c) in expression.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ' ' if depth == 0 && at >= start && expression[at..].starts_with(word) => {
                parts.push(&expression[start..at]);
                start = at + word.len();
            }
            _ => {}
        }
    }
    parts.push(&expression[start..]);
    parts
}

#[test]
fn licence_expressions_are_understood() {
    for good in [
        "MIT/GPL-3.0",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "GPL-3.0 OR Zlib AND ISC",
    ] {
        assert!(permitted(good), "{good}");
    }
    for bad in [
        "GPL-3.0",
        "none",
        "(MIT OR Apache-2.0) AND GPL-2.0",
        "AGPL-3.0 OR GPL-3.0",
    ] {
        assert!(!permitted(bad), "{bad}");
    }
}

#[test]
fn no_unsafe_outside_the_c_interface() {
    let mut found = Vec::new();
    for folder in ["crates", "tests", "examples", "plugin-bevy"] {
        for (path, text) in sources(&root().join(folder)) {
            if path.ends_with("tests/tests/layers.rs") || is_size_baseline(&path) {
                continue;
            }
            for (n, line) in code_lines(&text) {
                if line
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .any(|word| word == "unsafe")
                {
                    found.push(format!("{}:{n}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    breaches(&found);
}

/// A library with a C interface of its own, in a workspace of its own: it is measured against, never linked.
fn is_size_baseline(path: &Path) -> bool {
    path.starts_with(root().join("tests/baseline/size"))
}

#[test]
fn files_have_one_subject() {
    let mut found = Vec::new();
    for folder in ["crates", "ffi", "tests", "plugin-bevy", "examples"] {
        for (path, _) in sources(&root().join(folder)) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if [
                "mod.rs",
                "utils.rs",
                "util.rs",
                "common.rs",
                "manager.rs",
                "helpers.rs",
            ]
            .contains(&name)
            {
                found.push(path.display().to_string());
            }
        }
    }
    breaches(&found);
}
