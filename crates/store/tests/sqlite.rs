//! SQLite: the conformance suite, and what only SQLite does.
#![expect(clippy::unwrap_used, reason = "tests")]

use fireside_store::{
    SqliteConfig, SqliteStore,
    conformance::{StoreHarness, run_all},
};

#[test]
fn conforms() {
    let folder = tempfile::tempdir().unwrap();
    let mut made = 0;
    let checks = run_all(&mut || {
        made += 1;
        let path = folder.path().join(format!("{made}.db"));
        Box::new(StoreHarness::new(move |sink| {
            Box::new(SqliteStore::open(SqliteConfig::new(&path), sink).unwrap())
        }))
    });
    println!("{checks} checks");
    assert_eq!(checks, made);
}
