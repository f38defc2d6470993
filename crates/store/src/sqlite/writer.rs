//! The one writer: batches, commits, answers, checkpoints.

use std::collections::{HashMap, VecDeque};

use fireside_protocol::{
    ConversationId, ConversationKind, Nonce, Ordinal, Sequence, UserId, WallMs,
};
use fireside_server_core::storage::{Op, Outcome, Reply, StoreError, Ticket};
use foldhash::fast::RandomState;
use rusqlite::{Connection, OptionalExtension, Statement, params};

use super::{
    prune::Round,
    queue::Queued,
    recent::Recent,
    rows::{conversation_or_none, int, outcome, uint},
    trouble::Trouble,
    wipe::Wipe,
};

/// Conversations whose end the writer remembers: about 100 bytes each.
const HEADS_KEPT_MAX: usize = 65_536;
/// Commands the writer remembers to have an outcome, so that `after` costs no lookup: about 100 bytes each.
const NONCES_KEPT_MAX: usize = 65_536;
/// Pages (4 KiB) of the write-ahead log above which it is checkpointed when there is nothing to do.
const WAL_PAGES_IDLE: i64 = 1_000;
/// Pages above which it is checkpointed after the next answer: 32 MiB.
const WAL_PAGES_BUSY: i64 = 8_000;
/// Pages above which readers are waited for, so that the log starts over: 64 MiB.
const WAL_PAGES_MAX: i64 = 16_000;

/// What an answer is.
pub(super) type Answer = (Ticket, Result<Reply, StoreError>);

/// The end of a conversation's log, and what an append is checked against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// What stands for the id in the log.
    pub(super) number: i64,
    pub(super) kind: ConversationKind,
    /// What it belongs to.
    pub(super) parent: Option<ConversationId>,
    pub(super) version: u64,
    pub(super) first: Sequence,
    pub(super) last: Sequence,
    pub(super) ordinal: Ordinal,
    pub(super) last_at: WallMs,
}

/// The writing side of the file. What it remembers is what the transaction in progress says; a rollback forgets it.
#[derive(Debug)]
pub(super) struct Writer<'c> {
    pub(super) conn: &'c Connection,
    pub(super) heads: Recent<ConversationId, Head>,
    pub(super) nonces: Recent<Nonce, UserId>,
    /// The largest clock a command came with.
    pub(super) now: WallMs,
    pub(super) round: Round,
    pub(super) wipe: Wipe,
    /// Whose last message of this transaction is where, by number of the conversation.
    pub(super) sent: HashMap<(i64, UserId), Sequence, RandomState>,
    /// The two statements of every message: prepared once, not looked up.
    pub(super) insert_entry: Statement<'c>,
    insert_nonce: Statement<'c>,
}

impl<'c> Writer<'c> {
    pub(super) fn new(conn: &'c Connection) -> Result<Self, Trouble> {
        Ok(Self {
            conn,
            heads: Recent::new(HEADS_KEPT_MAX),
            nonces: Recent::new(NONCES_KEPT_MAX),
            now: 0,
            round: Round::default(),
            wipe: Wipe::at_start(),
            sent: HashMap::default(),
            insert_entry: conn.prepare(
                "INSERT INTO entries (conversation, seq, kind, sender, at, ordinal, rev, flags, target, target_sender, mentions, body, audience, expires) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?,
            insert_nonce: conn.prepare(
                "INSERT INTO nonces (nonce, user, code, conversation, seq, ordinal, at, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
                 ON CONFLICT DO NOTHING",
            )?,
        })
    }

    /// Carries out a batch in one transaction and commits it. All or nothing if the disk is full or fails.
    pub(super) fn run(&mut self, batch: &VecDeque<Queued>) -> Vec<Answer> {
        match self.together(batch) {
            Ok(answers) => answers,
            Err(Failed::Op(Trouble::Other(_))) if batch.len() > 1 => {
                // One bad row must not fail its neighbours.
                self.apart(batch)
                    .unwrap_or_else(|trouble| all(batch, &trouble))
            }
            Err(Failed::Op(trouble) | Failed::Transaction(trouble)) => all(batch, &trouble),
        }
    }

    fn together(&mut self, batch: &VecDeque<Queued>) -> Result<Vec<Answer>, Failed> {
        self.begin().map_err(Failed::Transaction)?;
        let mut answers = Vec::with_capacity(batch.len());
        for (ticket, op) in batch {
            match op {
                None => answers.push((*ticket, Err(StoreError::Busy))),
                Some(op) => match self.op(op) {
                    Ok(reply) => answers.push((*ticket, Ok(reply))),
                    Err(trouble) => {
                        self.roll_back();
                        return Err(Failed::Op(trouble));
                    }
                },
            }
        }
        self.commit().map_err(Failed::Transaction)?;
        Ok(answers)
    }

    /// The same with a savepoint around each operation.
    fn apart(&mut self, batch: &VecDeque<Queued>) -> Result<Vec<Answer>, Trouble> {
        self.begin()?;
        let mut answers = Vec::with_capacity(batch.len());
        for (ticket, op) in batch {
            let Some(op) = op else {
                answers.push((*ticket, Err(StoreError::Busy)));
                continue;
            };
            let step = |sql| self.conn.prepare_cached(sql)?.execute([]).map(|_| ());
            step("SAVEPOINT op")?;
            let result = self
                .op(op)
                .and_then(|reply| Ok(self.note_senders().map(|()| reply)?));
            if result.is_err() {
                self.forget();
            }
            let step = |sql| self.conn.prepare_cached(sql)?.execute([]).map(|_| ());
            let undo = if result.is_err() {
                step("ROLLBACK TO op")
            } else {
                Ok(())
            };
            if let Err(error) = undo.and_then(|()| step("RELEASE op")) {
                self.roll_back();
                return Err(error.into());
            }
            answers.push((*ticket, result.map_err(Into::into)));
        }
        self.commit()?;
        Ok(answers)
    }

    pub(super) fn begin(&mut self) -> Result<(), Trouble> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(())
    }

    pub(super) fn commit(&mut self) -> Result<(), Trouble> {
        let result = self.note_senders().and_then(|()| {
            let mut commit = self.conn.prepare_cached("COMMIT")?;
            commit.execute([]).map(|_| ())
        });
        result.map_err(|error| {
            let trouble = error.into();
            self.roll_back();
            trouble
        })
    }

    /// Once per sender and commit, not per message.
    fn note_senders(&mut self) -> rusqlite::Result<()> {
        if self.sent.is_empty() {
            return Ok(());
        }
        let mut put = self.conn.prepare_cached(
            "INSERT INTO senders (conversation, user, seq) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET seq = excluded.seq",
        )?;
        for ((conversation, user), sequence) in self.sent.drain() {
            put.execute(params![conversation, user.as_str(), int(sequence)])?;
        }
        Ok(())
    }

    pub(super) fn roll_back(&mut self) {
        // Some errors have rolled back by themselves; then there is nothing to do.
        if !self.conn.is_autocommit() {
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        self.forget();
    }

    /// Ends a transaction that a panic has left open.
    pub(super) fn end(&mut self) {
        if !self.conn.is_autocommit() {
            self.roll_back();
        }
    }

    fn forget(&mut self) {
        self.heads.clear();
        self.nonces.clear();
        self.sent.clear();
    }

    fn op(&mut self, op: &Op) -> Result<Reply, Trouble> {
        match op {
            Op::Append(append) => self.append(append).map(Reply::Appended),
            Op::Mark(marks) => self.mark(marks).map(Reply::Marked),
            Op::SetBlock(block) => self.set_block(block).map(Reply::BlockSet),
            Op::Report(report) => self.report(report).map(Reply::Reported),
            Op::SetOwn(set) => {
                // It may have been a draft.
                self.wipe.due();
                self.set_own(set).map(Reply::OwnSet)
            }
            Op::PutDevice(device) => self.put_device(device).map(|()| Reply::Done),
            Op::RemoveDevice { command, device } => {
                self.remove_device(command, *device).map(|()| Reply::Done)
            }
            _ => Err(Trouble::Other("a read came to the writer".to_owned())),
        }
    }

    /// The end of a conversation; `None`: it does not exist.
    pub(super) fn head(&mut self, id: ConversationId) -> Result<Option<Head>, Trouble> {
        if let Some(head) = self.heads.get(&id) {
            return Ok(Some(*head));
        }
        let mut statement = self.conn.prepare_cached(
            "SELECT kind, version, first, number, parent FROM conversations WHERE id = ?1",
        )?;
        let mut rows = statement.query(params![id.0])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let number = row.get(3)?;
        let (last, ordinal, last_at) = log_end(self.conn, number)?;
        let head = Head {
            number,
            kind: ConversationKind::from_number(row.get(0)?),
            parent: conversation_or_none(row, 4)?,
            version: uint(row, 1)?,
            first: uint(row, 2)?,
            last,
            ordinal,
            last_at,
        };
        self.heads.insert(id, head);
        Ok(Some(head))
    }

    /// What a nonce stands for.
    pub(super) fn known(&self, user: &UserId, nonce: Nonce) -> Result<Option<Outcome>, Trouble> {
        let mut statement = self.conn.prepare_cached(
            "SELECT code, conversation, seq, ordinal, at, expires FROM nonces WHERE nonce = ?1 AND user = ?2",
        )?;
        let mut rows = statement.query(params![nonce.0, user.as_str()])?;
        rows.next()?.map(outcome).transpose()
    }

    /// Whether a nonce has an outcome.
    pub(super) fn has_outcome(&mut self, user: &UserId, nonce: Nonce) -> Result<bool, Trouble> {
        if self.nonces.get(&nonce).is_some_and(|who| &*who == user) {
            return Ok(true);
        }
        let found = self
            .conn
            .prepare_cached("SELECT 1 FROM nonces WHERE nonce = ?1 AND user = ?2")?
            .query_row(params![nonce.0, user.as_str()], |_| Ok(()))
            .optional()?;
        Ok(found.is_some())
    }

    /// Notes what came of a command. `false`: it is known already, and nothing was changed.
    pub(super) fn remember(
        &mut self,
        user: &UserId,
        nonce: Nonce,
        outcome: &Outcome,
        now: WallMs,
    ) -> Result<bool, Trouble> {
        self.now = self.now.max(now);
        let (code, conversation, sequence, ordinal, at, expires) = match outcome {
            Outcome::Done {
                conversation,
                sequence,
                ordinal,
                at,
                expires,
            } => (
                0,
                conversation.as_ref().map(|id| &id.0),
                *sequence,
                *ordinal,
                *at,
                *expires,
            ),
            Outcome::Refused(code) => (code.number(), None, 0, 0, now, 0),
        };
        let added = self.insert_nonce.execute(params![
            nonce.0,
            user.as_str(),
            code,
            conversation,
            int(sequence),
            int(ordinal),
            int(at),
            int(expires)
        ])?;
        self.nonces.insert(nonce, user.clone());
        Ok(added == 1)
    }

    /// Sets the size at which the file is full, in bytes; 0 no limit.
    pub(super) fn limit_file(&self, bytes: u64) {
        let pages = if bytes == 0 {
            i64::from(u32::MAX) - 1
        } else {
            int((bytes / PAGE_BYTES).max(1))
        };
        // SQLite takes no limit below the pages in use; then nothing can be added either.
        let _ = self
            .conn
            .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()));
    }

    /// Moves all of the write-ahead log into the file, before it is closed.
    pub(super) fn finish(&self) {
        let _ = self
            .conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }

    /// Moves the write-ahead log into the file when it has grown enough. Called after the answers are out.
    pub(super) fn checkpoint(&self, pressure: Pressure) {
        // A failure (disk full, a reader in the way) costs nothing: the log is kept and the next call tries again.
        let pages = self
            .conn
            .prepare_cached("PRAGMA wal_checkpoint(NOOP)")
            .and_then(|mut noop| noop.query_row([], |row| row.get(1)));
        let pages: i64 = pages.unwrap_or(0);
        let enough = match pressure {
            Pressure::Full => 1,
            Pressure::Idle => WAL_PAGES_IDLE,
            Pressure::Busy => WAL_PAGES_BUSY,
        };
        let mode = match pages {
            pages if pages >= WAL_PAGES_MAX => "PRAGMA wal_checkpoint(RESTART)",
            pages if pages >= enough => "PRAGMA wal_checkpoint(PASSIVE)",
            _ => return,
        };
        let _ = self.conn.query_row(mode, [], |_| Ok(()));
    }
}

/// How much there is to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pressure {
    /// The disk is full: what is in the log twice need not be.
    Full,
    Idle,
    Busy,
}

/// Pages of the file.
const PAGE_BYTES: u64 = 4_096;

/// Number, ordinal and time of a log's last entry; zeros if it has none.
pub(super) fn log_end(
    conn: &Connection,
    conversation: i64,
) -> Result<(Sequence, Ordinal, WallMs), Trouble> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, ordinal, at FROM entries WHERE conversation = ?1 ORDER BY seq DESC LIMIT 1",
    )?;
    let mut rows = statement.query(params![conversation])?;
    match rows.next()? {
        Some(row) => Ok((uint(row, 0)?, uint(row, 1)?, uint(row, 2)?)),
        None => Ok((0, 0, 0)),
    }
}

/// Where a batch failed.
#[derive(Debug)]
enum Failed {
    Op(Trouble),
    Transaction(Trouble),
}

fn all(batch: &VecDeque<Queued>, trouble: &Trouble) -> Vec<Answer> {
    let error = StoreError::from(trouble.clone());
    batch
        .iter()
        .map(|(ticket, op)| match op {
            Some(_) => (*ticket, Err(error.clone())),
            None => (*ticket, Err(StoreError::Busy)),
        })
        .collect()
}
