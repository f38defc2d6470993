//! Group commit: one thread writes all that waits in one transaction, another one tells whom it concerns, so that the next
//! commit begins at once. For one payload at a time both are done where it was read: no thread has to wake up for it.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use crossbeam_channel::{Receiver, Sender, bounded};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::{
    frame::{GROUP, put_ack, put_deliver},
    relay::{Out, Routes},
    stats::{Times, micros},
};

/// Rows of one transaction.
const BATCH_ROWS_MAX: usize = 4_096;
/// Submissions that wait for the writer.
const QUEUE_MAX: usize = 8_192;

/// A payload on its way to the disk.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) from: Arc<Out>,
    pub(crate) sender: u32,
    pub(crate) target: u32,
    pub(crate) name: u64,
    pub(crate) payload: Bytes,
    pub(crate) sequence: u64,
}

/// Opens the database that both the relay and the plain writer use.
fn open(folder: &Path) -> anyhow::Result<Connection> {
    std::fs::create_dir_all(folder)?;
    let db = Connection::open(folder.join("baseline.sqlite"))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cache_size", -65_536)?;
    db.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    db.execute_batch(
        "CREATE TABLE message (conv INTEGER NOT NULL, seq INTEGER NOT NULL, sender INTEGER NOT NULL, at INTEGER NOT NULL,
         payload BLOB NOT NULL, PRIMARY KEY (conv, seq)) WITHOUT ROWID",
    )?;
    Ok(db)
}

/// Where payloads are committed.
#[derive(Clone, Debug)]
pub(crate) enum Writer {
    /// Handed to the writing thread.
    Thread(Sender<Vec<Job>>),
    /// By whoever read them.
    InPlace(Arc<InPlace>),
}

/// The database of a relay that commits where it reads.
#[derive(Debug)]
pub(crate) struct InPlace {
    routes: Arc<Routes>,
    db: Mutex<(Connection, HashMap<u64, u64>)>,
}

impl Writer {
    /// Opens the database; starts both threads unless it is all done in place.
    pub(crate) fn start(
        folder: &Path,
        routes: Arc<Routes>,
        in_place: bool,
    ) -> anyhow::Result<Self> {
        let mut db = open(folder)?;
        if in_place {
            let db = Mutex::new((db, HashMap::new()));
            return Ok(Self::InPlace(Arc::new(InPlace { routes, db })));
        }
        let (jobs, waiting) = bounded::<Vec<Job>>(QUEUE_MAX);
        let (done, committed) = bounded::<Vec<Job>>(4);
        std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                let mut last = HashMap::new();
                while let Ok(batch) = gather(&waiting) {
                    match write(&mut db, &mut last, batch) {
                        Ok(batch) => {
                            let _ = done.send(batch);
                        }
                        Err(error) => {
                            eprintln!("the writer stops: {error:#}");
                            return;
                        }
                    }
                }
            })?;
        std::thread::Builder::new()
            .name("teller".to_owned())
            .spawn(move || {
                while let Ok(batch) = committed.recv() {
                    tell(&routes, &batch);
                }
            })?;
        Ok(Self::Thread(jobs))
    }

    /// Waits while the queue is full, as the product's readers do; or until the payloads are durable and told.
    pub(crate) fn submit(&self, jobs: Vec<Job>) -> anyhow::Result<()> {
        match self {
            Self::Thread(writer) => writer.send(jobs).context("the writer is gone"),
            Self::InPlace(place) => {
                let mut guard = place.db.lock().unwrap_or_else(PoisonError::into_inner);
                let (db, last) = &mut *guard;
                let batch = write(db, last, jobs)?;
                drop(guard);
                tell(&place.routes, &batch);
                Ok(())
            }
        }
    }
}

fn gather(waiting: &Receiver<Vec<Job>>) -> anyhow::Result<Vec<Job>> {
    let mut batch = waiting.recv()?;
    while batch.len() < BATCH_ROWS_MAX {
        let Ok(mut more) = waiting.try_recv() else {
            break;
        };
        batch.append(&mut more);
    }
    Ok(batch)
}

fn write(
    db: &mut Connection,
    last: &mut HashMap<u64, u64>,
    mut batch: Vec<Job>,
) -> anyhow::Result<Vec<Job>> {
    let transaction = db.transaction()?;
    {
        let mut insert =
            transaction.prepare_cached("INSERT INTO message VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for job in &mut batch {
            // Of a pair only one side sends.
            let conv = u64::from(job.target);
            let next = last.entry(conv).or_insert(0);
            *next += 1;
            job.sequence = *next;
            insert.execute(params![
                conv as i64,
                job.sequence as i64,
                job.sender,
                micros() as i64,
                &job.payload[..]
            ])?;
        }
    }
    transaction.commit()?;
    Ok(batch)
}

/// Acknowledges and forwards a committed batch, with one wake-up per connection.
fn tell(routes: &Routes, batch: &[Job]) {
    let mut acks: HashMap<*const Out, (&Arc<Out>, BytesMut)> = HashMap::new();
    let mut delivers: HashMap<u32, BytesMut> = HashMap::new();
    for job in batch {
        let (_, ack) = acks
            .entry(Arc::as_ptr(&job.from))
            .or_insert_with(|| (&job.from, BytesMut::new()));
        put_ack(ack, job.name, job.sequence);
        let deliver = delivers.entry(job.target).or_default();
        put_deliver(deliver, job.sender, job.target, job.sequence, &job.payload);
    }
    for (out, bytes) in acks.into_values() {
        out.put(|tail| tail.extend_from_slice(&bytes));
    }
    for (target, bytes) in delivers {
        if target & GROUP == 0 {
            if let Some(peer) = routes.user(target) {
                peer.put(|tail| tail.extend_from_slice(&bytes));
            }
        } else if let Some(group) = routes.group(target & !GROUP) {
            group.share(&bytes.freeze());
        }
    }
}

/// Threads that each write a row and wait until it is durable.
pub(crate) fn bench(
    folder: &Path,
    threads: usize,
    seconds: f64,
    payload: usize,
) -> anyhow::Result<Value> {
    let mut db = open(folder)?;
    let (rows, waiting) = bounded::<(u64, Sender<()>)>(QUEUE_MAX);
    let (count, ended) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let times = Arc::new(Times::new()?);
    let workers: Vec<_> = (0..threads as u64)
        .map(|thread| {
            let (rows, count, ended, times) = (
                rows.clone(),
                Arc::clone(&count),
                Arc::clone(&ended),
                Arc::clone(&times),
            );
            std::thread::spawn(move || {
                let (done, wait) = bounded(1);
                while !ended.load(Ordering::Relaxed) {
                    let began = micros();
                    if rows.send((thread, done.clone())).is_err() || wait.recv().is_err() {
                        return;
                    }
                    times.record(micros() - began);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    drop(rows);
    let writer = std::thread::spawn(move || -> anyhow::Result<u64> {
        let body = vec![7u8; payload];
        let (mut seq, mut commits) = (0i64, 0);
        while let Ok(first) = waiting.recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH_ROWS_MAX {
                let Ok(more) = waiting.try_recv() else { break };
                batch.push(more);
            }
            let transaction = db.transaction()?;
            {
                let mut insert = transaction
                    .prepare_cached("INSERT INTO message VALUES (?1, ?2, ?3, ?4, ?5)")?;
                for (thread, _) in &batch {
                    seq += 1;
                    insert.execute(params![*thread as i64, seq, 1, 1, body])?;
                }
            }
            transaction.commit()?;
            commits += 1;
            for (_, done) in batch {
                let _ = done.send(());
            }
        }
        Ok(commits)
    });
    std::thread::sleep(Duration::from_millis(500));
    times.clear();
    let (before, began) = (count.load(Ordering::Relaxed), Instant::now());
    std::thread::sleep(Duration::from_secs_f64(seconds));
    let (rows, took) = (
        count.load(Ordering::Relaxed) - before,
        began.elapsed().as_secs_f64(),
    );
    let (p50, p99) = (times.quantile_ms(0.5), times.quantile_ms(0.99));
    ended.store(true, Ordering::Relaxed);
    for worker in workers {
        let _ = worker.join();
    }
    let commits = writer
        .join()
        .map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    Ok(
        json!({ "per_second": rows as f64 / took, "p50_ms": p50, "p99_ms": p99, "threads": threads, "commits": commits }),
    )
}
