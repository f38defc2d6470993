//! Reports and their evidence: a table of its own, which recall and erasure do not touch.

use fireside_protocol::{
    Code, ConversationId, Raw, ReportReason, WallMs,
    codec::encode,
    limits::{REPORT_RETENTION_MS, REPORTS_PER_DAY_MAX},
};
use fireside_server_core::{
    reports::{NewReport, StoredReport, evidence},
    storage::Outcome,
};
use rusqlite::{Connection, params};

use super::{
    reader::Snapshot,
    rows::{blob, decode_body, int, text, uint, user},
    trouble::Trouble,
    writer::Writer,
};

/// What reports are counted over, in ms.
const DAY_MS: WallMs = 24 * 3_600_000;
/// Reports taken away in one go.
const PRUNED_AT_ONCE: i64 = 500;

impl Writer<'_> {
    /// Keeps a report.
    pub(super) fn report(&mut self, report: &NewReport) -> Result<Outcome, Trouble> {
        let command = &report.command;
        if let Some(outcome) = self.known(&command.user, command.nonce)? {
            return Ok(outcome);
        }
        let since = command.now.saturating_sub(DAY_MS);
        let made: i64 = self
            .conn
            .prepare_cached("SELECT count(*) FROM reports WHERE reporter = ?1 AND at > ?2")?
            .query_row(params![command.user.as_str(), int(since)], |row| row.get(0))?;
        let found = evidence(&mut Snapshot::within(self.conn), report)
            .map_err(|error| Trouble::Other(error.to_string()))?;
        let outcome = match &found {
            None => Outcome::Refused(Code::NotFound),
            Some(_) if made >= REPORTS_PER_DAY_MAX as i64 => Outcome::Refused(Code::TooManyReports),
            Some(_) => Outcome::Done {
                conversation: None,
                sequence: 0,
                ordinal: 0,
                at: command.now,
                expires: 0,
            },
        };
        self.remember(&command.user, command.nonce, &outcome, command.now)?;
        if let (Some(found), Outcome::Done { .. }) = (found, &outcome) {
            self.conn
                .prepare_cached(
                    "INSERT INTO reports (reporter, at, conversation, seq, accused, reason, text, evidence, revisions) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )?
                .execute(params![
                    command.user.as_str(),
                    int(command.now),
                    report.conversation.as_ref().map(|id| &id.0),
                    int(report.sequence),
                    found.accused.as_str(),
                    report.reason.number(),
                    report.text,
                    encode(&found.entries),
                    encode(&found.revisions)
                ])?;
        }
        Ok(outcome)
    }

    /// Takes away reports whose time is over.
    pub(super) fn prune_reports(&mut self) -> Result<(), Trouble> {
        let oldest = self.now.saturating_sub(REPORT_RETENTION_MS);
        let pruned = self
            .conn
            .prepare_cached(
                "DELETE FROM reports WHERE number IN (SELECT number FROM reports WHERE at < ?1 ORDER BY at LIMIT ?2)",
            )?
            .execute(params![int(oldest), PRUNED_AT_ONCE])?;
        if pruned > 0 {
            self.wipe.due();
        }
        Ok(())
    }
}

/// Reads reports over a number.
pub(super) fn reports(
    conn: &Connection,
    after: u64,
    limit: u32,
) -> Result<Vec<StoredReport>, Trouble> {
    let mut statement = conn.prepare_cached(
        "SELECT number, reporter, at, conversation, seq, accused, reason, text, evidence, revisions FROM reports \
         WHERE number > ?1 ORDER BY number LIMIT ?2",
    )?;
    let mut rows = statement.query(params![int(after), limit])?;
    let mut reports = Vec::new();
    while let Some(row) = rows.next()? {
        let conversation: Option<[u8; 16]> = row.get(3)?;
        let reason = u16::try_from(uint(row, 6)?).map_err(|_| Trouble::damaged("number"))?;
        let evidence: Vec<Raw> = decode_body(blob(row, 8)?)?;
        reports.push(StoredReport {
            number: uint(row, 0)?,
            reporter: user(row, 1)?,
            at: uint(row, 2)?,
            conversation: conversation.map(ConversationId),
            sequence: uint(row, 4)?,
            accused: user(row, 5)?,
            reason: ReportReason::from_number(reason),
            text: text(row, 7)?.to_owned(),
            evidence,
            revisions: decode_body(blob(row, 9)?)?,
        });
    }
    Ok(reports)
}
