//! A power cut for a process that was killed: what it wrote and did not fsync is undone, wholly or in part.
//!
//! The process runs under the preloaded library `tests/powercut/powercut.c`, which keeps a journal of what each write, truncation,
//! creation, unlink and rename changed, and of what was synced since. [`PowerCut::cut`] reads it after `kill -9` and puts the data
//! folder into a state that a disk could have been in.
//!
//! In part means: each 512-byte sector has the content after some number of its unsynced writes (from none to all, so writes are
//! torn and reach the disk in any order), the size is that after some number of the unsynced size changes, and of the
//! unsynced changes to a folder a beginning is kept.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail, ensure};

use crate::chance::Chance;

/// What a disk writes whole or not at all, in bytes.
const SECTOR_BYTES: u64 = 512;
const MAGIC: u32 = 0x5743_5046;
const ENTRY_BYTES: usize = 48;

/// How much of what was not synced is lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loss {
    /// All of it.
    Everything,
    /// A random part of it.
    Part,
}

/// What a cut did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Damage {
    /// Writes and truncations in the journal.
    pub writes: u64,
    /// Those among them that no sync had covered.
    pub unsynced: u64,
    /// Sectors put back to an older content.
    pub sectors_undone: u64,
    /// Sectors whose unsynced content was kept.
    pub sectors_kept: u64,
    /// Writes of which a part was kept and a part was lost.
    pub torn: u64,
    /// Files that became shorter or longer.
    pub resized: u64,
    /// Creations, unlinks and renames undone.
    pub names_undone: u64,
}

/// The library, the journal, and the folder they are about.
pub struct PowerCut {
    library: PathBuf,
    journal: PathBuf,
    folder: PathBuf,
}

impl PowerCut {
    /// Builds the library and prepares to watch `folder`. `scratch` must be on the same file system and not inside it.
    ///
    /// # Errors
    /// When there is no C compiler, or the folders can not be made.
    pub fn prepare(folder: &Path, scratch: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        fs::create_dir_all(scratch)?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("powercut/powercut.c");
        let library = compile(&source, &scratch.join("powercut.so"), &["-shared", "-fPIC"])?;
        // The library works with resolved paths.
        let folder = folder.canonicalize()?;
        let journal = scratch.canonicalize()?.join("journal");
        let this = Self {
            library,
            journal,
            folder,
        };
        this.forget()?;
        Ok(this)
    }

    /// The environment a process must be started with to be watched.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("LD_PRELOAD", self.library.clone()),
            ("POWERCUT_DIR", self.folder.clone()),
            ("POWERCUT_JOURNAL", self.journal.clone()),
        ]
    }

    /// Undoes what the dead process had not synced, and starts a new journal. The process must have been waited for.
    ///
    /// # Errors
    /// When the journal is damaged or a file can not be changed.
    pub fn cut(&self, loss: Loss, chance: &mut Chance) -> anyhow::Result<Damage> {
        let bytes = fs::read(&self.journal).context("the journal; was the library preloaded?")?;
        let journal = Journal::read(&bytes, &self.graveyard())?;
        let mut damage = Damage::default();
        for file in journal.files.values() {
            file.undo(loss, chance, &mut damage)?;
        }
        damage.names_undone = journal.undo_names(loss, chance, &self.graveyard())?;
        self.delete_shared_memory()?;
        self.forget()?;
        Ok(damage)
    }

    /// Whether the process came to load the library: one that was killed before that has written nothing.
    #[must_use]
    pub fn has_journal(&self) -> bool {
        self.journal.exists()
    }

    fn graveyard(&self) -> PathBuf {
        self.journal.with_extension("d")
    }

    fn forget(&self) -> io::Result<()> {
        for gone in [
            fs::remove_file(&self.journal),
            fs::remove_dir_all(self.graveyard()),
        ] {
            if let Err(error) = gone
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(error);
            }
        }
        Ok(())
    }

    /// SQLite's -shm is written through mmap, survives no reboot in its meaning, and is built anew.
    fn delete_shared_memory(&self) -> io::Result<()> {
        let mut open = vec![self.folder.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    open.push(path);
                } else if path.to_string_lossy().ends_with("-shm") {
                    fs::remove_file(path)?;
                }
            }
        }
        Ok(())
    }
}

/// Compiles a C file of the tests with the machine's compiler.
///
/// # Errors
/// When there is none, or it finds an error.
pub fn compile(source: &Path, target: &Path, options: &[&str]) -> anyhow::Result<PathBuf> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let output = Command::new(&compiler)
        .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"])
        .args(options)
        .arg("-o")
        .arg(target)
        .arg(source)
        .arg("-pthread")
        .output()
        .with_context(|| format!("no C compiler ({compiler})"))?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(target.to_owned())
}

/// A write or truncation that no sync has covered.
struct Change {
    number: u64,
    offset: u64,
    old: Vec<u8>,
    old_size: u64,
    /// Bytes from `offset` that it may have changed.
    span: u64,
}

/// A file as the journal knows it.
#[derive(Default)]
struct Watched {
    /// Where its bytes are now: its path, or its link in the graveyard.
    place: PathBuf,
    changes: Vec<Change>,
    all_changes: u64,
}

enum Name {
    Created(PathBuf),
    Unlinked(PathBuf, u64),
    Renamed(PathBuf, PathBuf, u64),
}

struct NameChange {
    number: u64,
    folder: PathBuf,
    name: Name,
}

#[derive(Default)]
struct Journal {
    files: BTreeMap<u32, Watched>,
    names: Vec<NameChange>,
}

struct Entry<'a> {
    kind: u32,
    number: u64,
    file: u32,
    offset: u64,
    old_size: u64,
    extra: u64,
    payload: &'a [u8],
}

impl Journal {
    fn read(bytes: &[u8], graveyard: &Path) -> anyhow::Result<Self> {
        let mut journal = Self::default();
        let mut rest = bytes;
        while let Some((entry, after)) = next(rest)? {
            journal.add(&entry, graveyard)?;
            rest = after;
        }
        Ok(journal)
    }

    fn add(&mut self, entry: &Entry<'_>, graveyard: &Path) -> anyhow::Result<()> {
        let path = || PathBuf::from(String::from_utf8_lossy(entry.payload).into_owned());
        match entry.kind {
            1 => self.files.entry(entry.file).or_default().place = path(),
            2 | 3 => {
                let old = entry.payload.to_vec();
                let span = if entry.kind == 2 {
                    entry.extra
                } else {
                    old.len() as u64
                };
                let file = self.files.entry(entry.file).or_default();
                file.all_changes += 1;
                let (number, offset, old_size) = (entry.number, entry.offset, entry.old_size);
                file.changes.push(Change {
                    number,
                    offset,
                    old,
                    old_size,
                    span,
                });
            }
            4 => self.name(entry.number, path(), Name::Created(path())),
            5 => {
                self.move_file(&path(), &graveyard.join(entry.extra.to_string()));
                self.name(entry.number, path(), Name::Unlinked(path(), entry.extra));
            }
            6 => {
                let text = String::from_utf8_lossy(entry.payload).into_owned();
                let (from, to) = text.split_once('\0').context("a rename has two paths")?;
                let (from, to) = (PathBuf::from(from), PathBuf::from(to));
                if entry.extra != 0 {
                    self.move_file(&to, &graveyard.join(entry.extra.to_string()));
                }
                self.move_file(&from, &to);
                self.name(
                    entry.number,
                    to.clone(),
                    Name::Renamed(from, to, entry.extra),
                );
            }
            7 => {
                let file = self.files.entry(entry.file).or_default();
                file.changes.retain(|change| change.number > entry.extra);
            }
            8 => {
                let folder = path();
                self.names
                    .retain(|name| name.folder != folder || name.number > entry.extra);
            }
            other => bail!("the journal has an entry of kind {other}"),
        }
        Ok(())
    }

    fn name(&mut self, number: u64, path: PathBuf, name: Name) {
        let folder = path.parent().unwrap_or(&path).to_owned();
        self.names.push(NameChange {
            number,
            folder,
            name,
        });
    }

    fn move_file(&mut self, from: &Path, to: &Path) {
        for file in self.files.values_mut().filter(|file| file.place == from) {
            to.clone_into(&mut file.place);
        }
    }

    /// Undoes creations, unlinks and renames, newest first; in part, a beginning of each folder's is kept.
    fn undo_names(&self, loss: Loss, chance: &mut Chance, graveyard: &Path) -> io::Result<u64> {
        let mut counts: BTreeMap<&Path, u64> = BTreeMap::new();
        for change in &self.names {
            *counts.entry(&change.folder).or_default() += 1;
        }
        let mut undo: HashMap<&Path, u64> = HashMap::new();
        for (folder, count) in counts {
            let lost = if loss == Loss::Everything {
                count
            } else {
                chance.between(0, count)
            };
            undo.insert(folder, lost);
        }
        let mut undone = 0;
        for change in self.names.iter().rev() {
            let Some(left) = undo
                .get_mut(change.folder.as_path())
                .filter(|left| **left > 0)
            else {
                continue;
            };
            *left -= 1;
            undone += 1;
            match &change.name {
                Name::Created(path) => remove_if_there(path)?,
                Name::Unlinked(path, grave) => {
                    fs::rename(graveyard.join(grave.to_string()), path)?;
                }
                Name::Renamed(from, to, grave) => {
                    // The kill may have come between journal and rename.
                    if !from.exists() {
                        fs::rename(to, from)?;
                    }
                    if *grave != 0 {
                        fs::rename(graveyard.join(grave.to_string()), to)?;
                    }
                }
            }
        }
        Ok(undone)
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The next entry and what follows it. A cut-off last entry is the end: its change had not happened yet.
fn next(bytes: &[u8]) -> anyhow::Result<Option<(Entry<'_>, &[u8])>> {
    let Some((head, rest)) = bytes.split_at_checked(ENTRY_BYTES) else {
        return Ok(None);
    };
    let word = |at: usize| -> u64 {
        let part = head.get(at..at + 8).and_then(|b| b.try_into().ok());
        part.map_or(0, u64::from_le_bytes)
    };
    let (low, high) = (|n: u64| n as u32, |n: u64| (n >> 32) as u32);
    ensure!(low(word(0)) == MAGIC, "the journal is damaged");
    let Some((payload, after)) = rest.split_at_checked(high(word(16)) as usize) else {
        return Ok(None);
    };
    let entry = Entry {
        kind: high(word(0)),
        number: word(8),
        file: low(word(16)),
        offset: word(24),
        old_size: word(32),
        extra: word(40),
        payload,
    };
    Ok(Some((entry, after)))
}

impl Watched {
    fn undo(&self, loss: Loss, chance: &mut Chance, damage: &mut Damage) -> anyhow::Result<()> {
        damage.writes += self.all_changes;
        damage.unsynced += self.changes.len() as u64;
        let Some(first) = self.changes.first() else {
            return Ok(());
        };
        let mut file = match OpenOptions::new().write(true).open(&self.place) {
            // The kill came between journal and creation.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.with_context(|| self.place.display().to_string())?,
        };
        let size_now = file.metadata()?.len();
        let size = match loss {
            Loss::Everything => first.old_size,
            Loss::Part => {
                let kept = chance.below(self.changes.len() as u64 + 1) as usize;
                self.changes
                    .get(kept)
                    .map_or(size_now, |change| change.old_size)
            }
        };
        // Newest first. Where a sector keeps a write, the older ones under it are of no account.
        let mut settled = HashSet::new();
        // Some cuts lose nearly all and some nearly nothing.
        let keeping = chance.below(101) as f64 / 100.0;
        for change in self.changes.iter().rev() {
            let (mut kept, mut undone) = (0, 0);
            let end = change.offset + change.span;
            let mut sector = change.offset / SECTOR_BYTES;
            while sector * SECTOR_BYTES < end {
                if !settled.contains(&sector) {
                    if loss == Loss::Part && chance.happens(keeping) {
                        settled.insert(sector);
                        kept += 1;
                    } else {
                        change.restore(&mut file, sector)?;
                        undone += 1;
                    }
                }
                sector += 1;
            }
            damage.sectors_kept += kept;
            damage.sectors_undone += undone;
            damage.torn += u64::from(kept > 0 && undone > 0);
        }
        file.set_len(size)?;
        damage.resized += u64::from(size != size_now);
        Ok(())
    }
}

impl Change {
    /// Puts one sector's part of the change back to what was there: the old bytes, and zeros where the file had ended.
    fn restore(&self, file: &mut File, sector: u64) -> io::Result<()> {
        let from = self.offset.max(sector * SECTOR_BYTES);
        let to = (self.offset + self.span).min((sector + 1) * SECTOR_BYTES);
        let bytes: Vec<u8> = (from..to)
            .map(|at| {
                self.old
                    .get((at - self.offset) as usize)
                    .copied()
                    .unwrap_or(0)
            })
            .collect();
        file.seek(SeekFrom::Start(from))?;
        file.write_all(&bytes)
    }
}
