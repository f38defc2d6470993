//! The power cut itself: a small program writes, syncs and is killed; what it synced is there and what it did not is gone.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use fireside_tests::{
    chance::Chance,
    powercut::{Damage, Loss, PowerCut, compile},
};

struct Scene {
    temporary: tempfile::TempDir,
    cut: PowerCut,
    program: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let scratch = temporary.path().join("scratch");
        let cut = PowerCut::prepare(&temporary.path().join("data"), &scratch).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("powercut/scenario.c");
        let program = compile(&source, &scratch.join("scenario"), &[]).unwrap();
        Self {
            temporary,
            cut,
            program,
        }
    }

    fn data(&self) -> PathBuf {
        self.temporary.path().join("data")
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read(self.data().join(name))
            .ok()
            .map(|b| String::from_utf8_lossy(&b).into_owned())
    }

    /// Runs the commands in one process life and kills it.
    fn live(&self, script: &str) {
        let mut child: Child = Command::new(&self.program)
            .current_dir(self.data())
            .envs(self.cut.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            writeln!(input, "{line}").unwrap();
            assert_eq!(output.next().unwrap().unwrap(), "ok", "{line}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn lose(&self, loss: Loss, seed: u64) -> Damage {
        self.cut.cut(loss, &mut Chance::new(seed)).unwrap()
    }
}

#[test]
fn synced_stays_and_unsynced_goes() {
    let scene = Scene::new();
    scene.live(
        "open a
         write a 0 first
         datasync a
         syncdir
         write a 0 SECOND
         append a third
         open b
         write b 0 never",
    );
    let damage = scene.lose(Loss::Everything, 1);
    assert_eq!(scene.read("a").as_deref(), Some("first"));
    assert_eq!(scene.read("b"), None);
    assert_eq!(
        (damage.writes, damage.unsynced, damage.names_undone),
        (4, 3, 1)
    );
}

#[test]
fn a_sync_covers_only_its_own_file_and_only_what_came_before() {
    let scene = Scene::new();
    scene.live("open a\n open b\n write a 0 aaaa\n write b 0 bbbb\n sync a\n sync b\n syncdir");
    scene.live(
        "open a\n open b\n write a 2 xx\n write b 2 yy\n sync b\n write b 0 zz\n append a more",
    );
    scene.lose(Loss::Everything, 1);
    assert_eq!(scene.read("a").as_deref(), Some("aaaa"));
    assert_eq!(scene.read("b").as_deref(), Some("bbyy"));
}

#[test]
fn truncation_comes_back() {
    let scene = Scene::new();
    scene
        .live("open a\n write a 0 0123456789\n sync a\n open b\n write b 0 abc\n sync b\n syncdir");
    scene.live("open a\n truncate a 3\n append a XY\n truncopen b\n write b 0 z");
    assert_eq!(scene.read("a").as_deref(), Some("012XY"));
    scene.lose(Loss::Everything, 1);
    assert_eq!(scene.read("a").as_deref(), Some("0123456789"));
    assert_eq!(scene.read("b").as_deref(), Some("abc"));
}

#[test]
fn names_come_back_until_the_folder_is_synced() {
    let scene = Scene::new();
    scene.live("open a\n write a 0 old\n sync a\n open c\n write c 0 cc\n sync c\n syncdir");
    scene.live(
        "open a.new
         write a.new 0 new
         sync a.new
         rename a.new a
         unlink c",
    );
    assert_eq!(
        (scene.read("a").as_deref(), scene.read("c")),
        (Some("new"), None)
    );
    let damage = scene.lose(Loss::Everything, 1);
    assert_eq!(scene.read("a").as_deref(), Some("old"));
    assert_eq!(scene.read("c").as_deref(), Some("cc"));
    assert_eq!(scene.read("a.new"), None);
    assert_eq!(damage.names_undone, 3);

    scene.live("open a.new\n write a.new 0 new\n sync a.new\n rename a.new a\n unlink c\n syncdir");
    let damage = scene.lose(Loss::Everything, 1);
    assert_eq!(
        (scene.read("a").as_deref(), scene.read("c")),
        (Some("new"), None)
    );
    assert_eq!(damage.names_undone, 0);
}

#[test]
fn writes_to_an_unlinked_file_do_not_touch_its_successor() {
    let scene = Scene::new();
    scene.live("open a\n write a 0 one\n sync a\n syncdir");
    scene.live("open a\n write a 0 TWO\n unlink a\n open a\n write a 0 three\n sync a\n syncdir");
    scene.lose(Loss::Everything, 1);
    assert_eq!(scene.read("a").as_deref(), Some("three"));
}

#[test]
fn a_partial_loss_tears_at_sectors() {
    let (mut kept, mut lost, mut torn) = (0, 0, 0);
    let scene = Scene::new();
    let old = "o".repeat(4_096);
    scene.live(&format!("open a\n write a 0 {old}\n sync a\n syncdir"));
    for seed in 0..30 {
        scene.live(&format!(
            "open a\n write a 0 {}\n write a 1024 {}",
            "n".repeat(4_096),
            "m".repeat(600)
        ));
        let damage = scene.lose(Loss::Part, seed);
        let found = scene.read("a").unwrap();
        assert_eq!(found.len(), 4_096);
        for (n, sector) in found.as_bytes().chunks(512).enumerate() {
            // The second write covers all of sector 2 and 88 bytes of sector 3.
            let (first, last) = (sector[0], sector[511]);
            let allowed: &[(u8, u8)] = match n {
                2 => &[(b'o', b'o'), (b'n', b'n'), (b'm', b'm')],
                3 => &[(b'o', b'o'), (b'n', b'n'), (b'm', b'n')],
                _ => &[(b'o', b'o'), (b'n', b'n')],
            };
            assert!(
                allowed.contains(&(first, last)),
                "sector {n}: {first} {last}"
            );
            kept += u32::from(first != b'o');
            lost += u32::from(first == b'o');
        }
        torn += damage.torn;
        scene.live(&format!("open a\n write a 0 {old}\n sync a"));
        scene.lose(Loss::Everything, seed);
    }
    assert!(
        kept > 20 && lost > 20 && torn > 10,
        "kept {kept}, lost {lost}, torn {torn}"
    );
}

#[test]
fn a_partial_loss_never_takes_what_was_synced() {
    let scene = Scene::new();
    scene.live("open a\n write a 0 first\n sync a\n syncdir");
    for seed in 0..20 {
        scene.live("open a\n truncate a 5\n sync a\n append a +tail\n write a 600 far\n open b\n write b 0 x");
        scene.lose(Loss::Part, seed);
        let found = scene.read("a").unwrap();
        assert!(found.starts_with("first"), "{found}");
    }
}
