//! Without the feature `cache`: a client given a folder goes on in memory, and says so. `cargo test -p fireside-client
//! --no-default-features --test no_cache`.

#![cfg(not(feature = "cache"))]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use fireside_client::{Client, ClientConfig, Trust, core::Event};
use fireside_protocol::UserId;

#[test]
fn a_folder_without_the_cache_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ClientConfig::new("127.0.0.1:9", Trust::Roots, "");
    config.user = Some(UserId::new("ada").unwrap());
    config.folder = Some(folder.path().to_owned());
    let client = Client::start(config).unwrap();
    client.set_visible(true).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let (mut said, mut completed) = (false, false);
    while !(said && completed) {
        assert!(Instant::now() < deadline, "{said} {completed}");
        let _ = client.wait(Duration::from_secs(1));
        client.tick(100, Duration::from_secs(1), &mut |event| match event {
            Event::MemoryMode { reason } => said |= reason.contains("`cache`"),
            Event::Completed { result, .. } => completed |= result.is_ok(),
            _ => {}
        });
    }
    let kept = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(kept, 0, "nothing is written");
}
