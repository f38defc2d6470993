//! The raw relay: reads payloads, forwards them, acknowledges them. With a database each payload is a row on the disk first.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use anyhow::{Context, bail};
use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    commit::{Job, Writer},
    frame::{Cutter, GROUP, HELLO, SEND, put_ack, put_deliver},
    net::Net,
    stats::input_ended,
};

/// Bytes read from a stream at once.
const READ_BYTES: usize = 64 * 1024;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What waits to be written to a connection. Small frames are gathered in `tail`, so that one write takes them all.
#[derive(Debug, Default)]
pub(crate) struct Out {
    queue: Mutex<Queue>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    shared: Vec<Bytes>,
    tail: BytesMut,
    closed: bool,
}

impl Out {
    /// Writes frames of this connection's own.
    pub(crate) fn put(&self, write: impl FnOnce(&mut BytesMut)) {
        let mut queue = lock(&self.queue);
        let was_empty = queue.tail.is_empty() && queue.shared.is_empty();
        write(&mut queue.tail);
        drop(queue);
        if was_empty {
            self.more.notify_one();
        }
    }

    /// Adds bytes that many connections get.
    fn share(&self, bytes: &Bytes) {
        let mut queue = lock(&self.queue);
        let was_empty = queue.tail.is_empty() && queue.shared.is_empty();
        if !queue.tail.is_empty() {
            let tail = queue.tail.split().freeze();
            queue.shared.push(tail);
        }
        queue.shared.push(bytes.clone());
        drop(queue);
        if was_empty {
            self.more.notify_one();
        }
    }

    fn close(&self) {
        lock(&self.queue).closed = true;
        self.more.notify_one();
    }

    /// Writes what comes until the connection ends.
    async fn run(&self, mut send: quinn::SendStream) -> anyhow::Result<()> {
        loop {
            self.more.notified().await;
            let (mut shared, tail, closed) = {
                let mut queue = lock(&self.queue);
                // An idle connection keeps no buffer.
                (
                    std::mem::take(&mut queue.shared),
                    std::mem::take(&mut queue.tail),
                    queue.closed,
                )
            };
            if closed {
                return Ok(());
            }
            if !tail.is_empty() {
                shared.push(tail.freeze());
            }
            match shared.as_mut_slice() {
                [] => {}
                [one] => send.write_chunk(std::mem::take(one)).await?,
                // Many small segments are slow to look through in quinn: one buffer.
                many if many.iter().map(Bytes::len).sum::<usize>() <= READ_BYTES => {
                    send.write_chunk(many.concat().into()).await?;
                }
                many => send.write_all_chunks(many).await?,
            }
        }
    }
}

/// Members of a group and what waits to be sent to all of them.
#[derive(Debug, Default)]
pub(crate) struct Group {
    members: RwLock<Vec<Arc<Out>>>,
    gathered: Mutex<(u64, BytesMut)>,
    more: Notify,
}

impl Group {
    /// Gives a payload its number. It goes to the members with all that gathered meanwhile.
    fn push(&self, sender: u32, target: u32, payload: &[u8]) -> u64 {
        let mut gathered = lock(&self.gathered);
        let was_empty = gathered.1.is_empty();
        gathered.0 += 1;
        let sequence = gathered.0;
        put_deliver(&mut gathered.1, sender, target, sequence, payload);
        drop(gathered);
        if was_empty {
            self.more.notify_one();
        }
        sequence
    }

    /// Sends one shared buffer to all.
    pub(crate) fn share(&self, bytes: &Bytes) {
        for member in self
            .members
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            member.share(bytes);
        }
    }

    async fn run(self: Arc<Self>) {
        loop {
            self.more.notified().await;
            let bytes = lock(&self.gathered).1.split().freeze();
            if !bytes.is_empty() {
                self.share(&bytes);
            }
        }
    }
}

/// Where payloads go.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    users: RwLock<HashMap<u32, Arc<Out>>>,
    groups: RwLock<HashMap<u32, Arc<Group>>>,
}

impl Routes {
    pub(crate) fn user(&self, user: u32) -> Option<Arc<Out>> {
        self.users
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&user)
            .cloned()
    }

    pub(crate) fn group(&self, group: u32) -> Option<Arc<Group>> {
        self.groups
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&group)
            .cloned()
    }

    fn enter(&self, user: u32, group: u32, out: &Arc<Out>) {
        self.users
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(user, Arc::clone(out));
        if group == 0 {
            return;
        }
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        let group = groups.entry(group).or_insert_with(|| {
            let group = Arc::new(Group::default());
            tokio::spawn(Arc::clone(&group).run());
            group
        });
        group
            .members
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(out));
    }
}

/// Runs until standard input ends. With `in_place` a payload is committed where it was read.
pub(crate) async fn serve(net: &Net, db: Option<PathBuf>, in_place: bool) -> anyhow::Result<Value> {
    let routes = Arc::new(Routes::default());
    let writer = db
        .map(|folder| Writer::start(&folder, Arc::clone(&routes), in_place))
        .transpose()?;
    let endpoint = net.server()?;
    let accept = async {
        while let Some(incoming) = endpoint.accept().await {
            let (routes, writer) = (Arc::clone(&routes), writer.clone());
            tokio::spawn(async move {
                let result = connection(incoming, &routes, writer).await;
                // A client that goes away is no news here.
                drop(result);
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = input_ended() => {}
    }
    Ok(Value::Null)
}

async fn connection(
    incoming: quinn::Incoming,
    routes: &Routes,
    writer: Option<Writer>,
) -> anyhow::Result<()> {
    let connection = incoming.await?;
    let (send, mut recv) = connection.accept_bi().await?;
    let out = Arc::new(Out::default());
    let writing = tokio::spawn({
        let out = Arc::clone(&out);
        async move { out.run(send).await }
    });
    let mut cutter = Cutter::default();
    let mut who = None;
    let result = loop {
        let chunk = match recv.read_chunk(READ_BYTES, true).await {
            Ok(Some(chunk)) => chunk.bytes,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.into()),
        };
        if let Err(error) = take(&mut cutter, chunk, routes, writer.as_ref(), &out, &mut who) {
            break Err(error);
        }
    };
    out.close();
    let _ = writing.await;
    result
}

/// Handles all frames of a chunk, with one wake-up per reader and one for the sender.
fn take(
    cutter: &mut Cutter,
    chunk: Bytes,
    routes: &Routes,
    writer: Option<&Writer>,
    out: &Arc<Out>,
    who: &mut Option<u32>,
) -> anyhow::Result<()> {
    let mut acks = BytesMut::new();
    let mut jobs = Vec::new();
    cutter.cut(chunk, |kind, mut body| {
        match kind {
            HELLO if body.len() == 8 => {
                let (user, group) = (body.get_u32(), body.get_u32());
                routes.enter(user, group, out);
                *who = Some(user);
                put_ack(&mut acks, 0, 0);
            }
            SEND if body.len() >= 12 => {
                let sender = who.context("a payload before the hello")?;
                let (target, name) = (body.get_u32(), body.get_u64());
                if writer.is_some() {
                    jobs.push(Job {
                        from: Arc::clone(out),
                        sender,
                        target,
                        name,
                        payload: body,
                        sequence: 0,
                    });
                    return Ok(());
                }
                let sequence = if target & GROUP == 0 {
                    let peer = routes.user(target).context("nobody there")?;
                    peer.put(|tail| put_deliver(tail, sender, target, name, &body));
                    name
                } else {
                    routes
                        .group(target & !GROUP)
                        .context("no such group")?
                        .push(sender, target, &body)
                };
                put_ack(&mut acks, name, sequence);
            }
            other => bail!("a frame of kind {other}"),
        }
        Ok(())
    })?;
    if !acks.is_empty() {
        out.put(|tail| tail.extend_from_slice(&acks));
    }
    if let (Some(writer), false) = (writer, jobs.is_empty()) {
        writer.submit(jobs)?;
    }
    Ok(())
}
