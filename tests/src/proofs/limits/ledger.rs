//! The server's database as it stands: all tables, row by row, so that a refusal can be seen to have changed nothing.

use std::{cell::RefCell, collections::BTreeMap, path::Path, sync::Arc};

use anyhow::{Context, Result, bail};
use fireside_protocol::{Code, Nonce};
use rusqlite::{Connection, OpenFlags, types::ValueRef};

/// The one table that a refusal may write to: the outcome of the command's nonce, so that a repeat is answered alike. One new row,
/// of the refused command, with the refusal's code; nothing that was there before changes.
const OUTCOMES: &str = "nonces";
/// Where in a row of that table the nonce and the code stand.
const OUTCOME_NONCE: usize = 0;
const OUTCOME_CODE: usize = 2;

/// Bytes of a cell that are kept as they are; of more their hash.
const CELL_BYTES_MAX: usize = 32;

/// A reader of a server's database, beside the server.
#[derive(Debug)]
pub(in crate::proofs) struct Ledger {
    file: Connection,
    /// What was read last, and SQLite's number for it, which changes when anybody else commits.
    last: RefCell<Option<(i64, Arc<Dump>)>>,
}

/// All rows of all tables.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::proofs) struct Dump(BTreeMap<String, Vec<Vec<String>>>);

impl Ledger {
    pub(in crate::proofs) fn open(data: &Path) -> Result<Self> {
        let path = data.join("fireside.sqlite");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&path, flags);
        Ok(Self {
            file: conn.with_context(|| path.display().to_string())?,
            last: RefCell::new(None),
        })
    }

    /// All tables in one snapshot.
    pub(in crate::proofs) fn dump(&self) -> Result<Arc<Dump>> {
        let version = self.number("PRAGMA data_version")?;
        if let Some((read, dump)) = &*self.last.borrow()
            && *read == version
        {
            return Ok(Arc::clone(dump));
        }
        self.file.execute_batch("BEGIN")?;
        let dump = self.read();
        self.file.execute_batch("COMMIT")?;
        let dump = Arc::new(dump?);
        self.last.replace(Some((version, Arc::clone(&dump))));
        Ok(dump)
    }

    fn read(&self) -> Result<Dump> {
        let mut names = self
            .file
            .prepare_cached("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
        let names: Vec<String> = names
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut tables = BTreeMap::new();
        for name in names {
            let mut statement = self
                .file
                .prepare_cached(&format!("SELECT * FROM \"{name}\""))?;
            let columns = statement.column_count();
            let mut rows = statement.query([])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                let cells = (0..columns).map(|column| row.get_ref(column).map(cell));
                all.push(cells.collect::<rusqlite::Result<Vec<_>>>()?);
            }
            all.sort_unstable();
            tables.insert(name, all);
        }
        Ok(Dump(tables))
    }

    /// Reads a single number.
    pub(in crate::proofs) fn number(&self, sql: &str) -> Result<i64> {
        Ok(self.file.query_row(sql, [], |row| row.get(0))?)
    }

    /// Reads the bytes of one cell.
    pub(in crate::proofs) fn bytes(&self, sql: &str) -> Result<Vec<u8>> {
        Ok(self.file.query_row(sql, [], |row| row.get(0))?)
    }
}

fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) if bytes.len() > CELL_BYTES_MAX => {
            let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
            format!("{} bytes, SHA-256 {}", bytes.len(), hex(hash.as_ref()))
        }
        ValueRef::Blob(bytes) => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Dump {
    /// What a refused command may have done to it: nothing, but for its outcome.
    ///
    /// # Errors
    /// The rows that are not as they were.
    pub(in crate::proofs) fn refused(
        &self,
        after: &Self,
        nonce: Option<Nonce>,
        code: Code,
    ) -> Result<()> {
        if self == after {
            return Ok(());
        }
        for (table, rows) in &after.0 {
            let before = self.0.get(table).map_or(&[][..], Vec::as_slice);
            if before == rows {
                continue;
            }
            let gone = minus(before, rows);
            let new = minus(rows, before);
            let is_outcome = table == OUTCOMES
                && gone.is_empty()
                && matches!(new.as_slice(), [row]
                    if !code.retryable()
                        && row.get(OUTCOME_NONCE) == nonce.map(|it| hex(&it.0)).as_ref()
                        && row.get(OUTCOME_CODE) == Some(&code.number().to_string()));
            if !is_outcome {
                bail!(
                    "a refusal changed the table {table}: rows that are gone: {gone:?}, new: {new:?}"
                );
            }
        }
        Ok(())
    }
}

/// Sorted rows that the others have not.
fn minus<'a>(rows: &'a [Vec<String>], others: &[Vec<String>]) -> Vec<&'a Vec<String>> {
    rows.iter()
        .filter(|row| others.binary_search(row).is_err())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(table: &str, rows: &[&[&str]]) -> Dump {
        let row = |row: &&[&str]| row.iter().map(|cell| (*cell).to_owned()).collect();
        Dump(BTreeMap::from([(
            table.to_owned(),
            rows.iter().map(row).collect(),
        )]))
    }

    #[test]
    fn nothing_but_the_outcome_of_the_refused_command_may_be_new() {
        let nonce = Nonce([7; 16]);
        let name = "07".repeat(16);
        let (one, other) = (["01", "ann", "0"], [name.as_str(), "ann", "300"]);
        let before = dump(OUTCOMES, &[&one]);
        let after = dump(OUTCOMES, &[&one, &other]);
        let is_fine =
            |before: &Dump, after: &Dump, code| before.refused(after, Some(nonce), code).is_ok();
        assert!(is_fine(&before, &before, Code::NotFound));
        assert!(is_fine(&before, &after, Code::NotFound));
        assert!(!is_fine(&before, &after, Code::Forbidden), "another code");
        assert!(!is_fine(&after, &before, Code::NotFound), "a row is gone");
        assert!(before.refused(&after, None, Code::NotFound).is_err());
        let entries = dump("entries", &[&one]);
        assert!(!is_fine(&dump("entries", &[]), &entries, Code::NotFound));
    }
}
