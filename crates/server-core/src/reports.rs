//! Reports: what is reported is copied with what stands around it, so that no recall and no erasure takes the evidence away.

use fireside_protocol::{
    ClientFrame, Code, ConversationId, EntryKind, Now, Raw, ReportReason, Sequence, UserId, WallMs,
    frames::Revision,
    limits::{REPORT_CONTEXT, REVISIONS_MAX},
    text::Count,
};

use crate::{
    answers::BUSY_RETRY_MS,
    appended::{STORE_RETRY_MS, answer_of},
    job::{Job, Pending, Task, command_of},
    log::{Viewer, open},
    node::Node,
    storage::{Command, LogReader, Op, Reply, StoreError, StoredEntry},
};

/// A report to keep.
#[derive(Clone, Debug, PartialEq)]
pub struct NewReport {
    /// Who reports, and the command's name.
    pub command: Command,
    /// Where.
    pub conversation: Option<ConversationId>,
    /// The message; 0: a user.
    pub sequence: Sequence,
    /// Whom, if no message.
    pub user: Option<UserId>,
    /// Why.
    pub reason: ReportReason,
    /// In the user's own words.
    pub text: String,
}

/// A report as it is kept, for moderators.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredReport {
    /// Its number; grows.
    pub number: u64,
    /// Who reported.
    pub reporter: UserId,
    /// When.
    pub at: WallMs,
    /// Where.
    pub conversation: Option<ConversationId>,
    /// The message; 0: a user.
    pub sequence: Sequence,
    /// Whom: the message's author, or the user who was named.
    pub accused: UserId,
    /// Why.
    pub reason: ReportReason,
    /// In the reporter's own words.
    pub text: String,
    /// What the reporter saw, as it was then, ascending: the message itself and up to [`REPORT_CONTEXT`] on each side.
    pub evidence: Vec<Raw>,
    /// What the message said before, oldest first.
    pub revisions: Vec<Revision>,
}

/// What a report is about, copied.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Whom.
    pub accused: UserId,
    /// The message and what stands around it.
    pub entries: Vec<Raw>,
    /// What the message said before, oldest first.
    pub revisions: Vec<Revision>,
}

/// Entries read on each side to find enough messages among them.
const SCANNED: u32 = 64;

/// Whom a report is about, and the evidence; `None`: the reporter does not see it.
///
/// # Errors
/// What the reader answers.
pub fn evidence(
    reader: &mut impl LogReader,
    report: &NewReport,
) -> Result<Option<Evidence>, StoreError> {
    let me = &report.command.user;
    let Some(id) = report.conversation else {
        return Ok(of_user(report, Vec::new()));
    };
    let Some((_, viewer)) = open(reader, id, me)? else {
        return Ok(None);
    };
    if report.sequence == 0 {
        let mut entries = seen(&viewer, reader.entries_below(id, Sequence::MAX, SCANNED)?);
        entries.truncate(2 * REPORT_CONTEXT);
        entries.reverse();
        return Ok(of_user(report, raw(entries)));
    }
    let here = reader.entries_above(id, report.sequence - 1, 1)?;
    let is_it = |entry: &StoredEntry| entry.meta.sequence == report.sequence;
    let Some(entry) = seen(&viewer, here).into_iter().find(is_it) else {
        return Ok(None);
    };
    let accused = entry.meta.sender.clone();
    let mut entries = seen(&viewer, reader.entries_below(id, report.sequence, SCANNED)?);
    entries.truncate(REPORT_CONTEXT);
    entries.reverse();
    entries.push(entry);
    let after = seen(&viewer, reader.entries_above(id, report.sequence, SCANNED)?);
    entries.extend(after.into_iter().take(REPORT_CONTEXT));
    Ok(Some(Evidence {
        accused,
        entries: raw(entries),
        revisions: reader.revisions(id, report.sequence, 0, REVISIONS_MAX)?,
    }))
}

fn of_user(report: &NewReport, entries: Vec<Raw>) -> Option<Evidence> {
    Some(Evidence {
        accused: report.user.clone()?,
        entries,
        revisions: Vec::new(),
    })
}

/// The messages among entries that a reader sees.
fn seen(viewer: &Viewer, entries: Vec<StoredEntry>) -> Vec<StoredEntry> {
    let mut entries = entries;
    entries.retain(|entry| entry.meta.kind == EntryKind::Message && viewer.sees(entry));
    entries
}

fn raw(entries: Vec<StoredEntry>) -> Vec<Raw> {
    entries.into_iter().map(|entry| Raw(entry.body)).collect()
}

impl Node {
    /// Hands a report to the store, which finds the evidence.
    pub(crate) fn report(&mut self, job: Box<Job>, now: Now) {
        let Task::Frame(ClientFrame::Report(frame)) = &job.task else {
            return;
        };
        if let Err(code) = frame.check(Count::GRAPHEMES) {
            return self.give_up(job, code, 0);
        }
        let Some(command) = command_of(&job, now) else {
            return;
        };
        let report = NewReport {
            command,
            conversation: frame.conversation,
            sequence: frame.sequence,
            user: frame.user.clone(),
            reason: frame.reason,
            text: frame.text.clone(),
        };
        self.submit(Op::Report(Box::new(report)), Pending::Report(job), now);
    }

    /// A report was kept or refused.
    pub(crate) fn reported(&mut self, job: Box<Job>, result: Result<Reply, StoreError>) {
        match (result, job.nonce()) {
            (Ok(Reply::Reported(outcome)), Some(nonce)) => {
                self.finish(&job, answer_of(nonce, outcome));
            }
            (Err(error), _) => {
                self.counters.store_errors += 1;
                self.give_up(job, error.code(), STORE_RETRY_MS);
            }
            (Ok(_), _) => self.give_up(job, Code::StorageUnavailable, BUSY_RETRY_MS),
        }
    }
}
