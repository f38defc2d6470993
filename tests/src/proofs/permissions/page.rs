//! Reads the tables of the page: a section is a kind of conversation, a line an action, a column a role.

use anyhow::{Context, Result, ensure};
use fireside_protocol::Code;

/// What the page says of one action of one role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Cell {
    /// The section: the kind, and what is special about it.
    pub(super) table: String,
    /// What is done.
    pub(super) action: String,
    /// By whom.
    pub(super) role: String,
    /// `ok`, or the key of a code.
    pub(super) expected: String,
}

/// All cells that say something.
///
/// # Errors
/// A table that is not one, or an outcome that there is not.
pub(super) fn cells(page: &str) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for section in page.split("\n## ").skip(1) {
        let (table, body) = section.split_once('\n').context("a section has a body")?;
        let mut roles: Option<Vec<&str>> = None;
        for line in body.lines() {
            let Some(line) = line.strip_prefix('|').and_then(|l| l.strip_suffix('|')) else {
                roles = None;
                continue;
            };
            let mut columns = line.split('|').map(str::trim);
            let first = columns.next().unwrap_or_default();
            let Some(roles) = &roles else {
                // Tables of other things stand in the page too.
                roles = (first == "action").then(|| columns.collect());
                continue;
            };
            if first.starts_with("---") {
                continue;
            }
            let outcomes: Vec<&str> = columns.collect();
            ensure!(
                outcomes.len() == roles.len(),
                "{table}: {first}: {} outcomes for {} roles",
                outcomes.len(),
                roles.len()
            );
            for (role, outcome) in roles.iter().zip(outcomes) {
                let Some(expected) = outcome_of(outcome)
                    .with_context(|| format!("{table}: {first}, as {role}: {outcome}"))?
                else {
                    continue;
                };
                cells.push(Cell {
                    table: table.trim().to_owned(),
                    action: first.to_owned(),
                    role: (*role).to_owned(),
                    expected,
                });
            }
        }
    }
    Ok(cells)
}

/// `None` for a dash.
fn outcome_of(cell: &str) -> Result<Option<String>> {
    if cell == "–" {
        return Ok(None);
    }
    let key = cell
        .strip_prefix('`')
        .and_then(|rest| rest.strip_suffix('`'))
        .context("an outcome stands in backticks")?;
    let known = key == "ok" || Code::ALL.iter().any(|code| code.key() == key);
    ensure!(known, "there is no such code");
    Ok(Some(key.to_owned()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    #[test]
    fn tables_are_read_and_mistakes_are_named() {
        let page = "# x\n\n| role | who |\n|---|---|\n| owner | first |\n\n## group\n\nprose\n\n\
                    | action | owner | stranger |\n|---|---|---|\n| join | `ok` | – |\n| leave | `forbidden` | `ok` |\n";
        let cells = super::cells(page).unwrap();
        let short: Vec<_> = cells
            .iter()
            .map(|cell| (&*cell.action, &*cell.role, &*cell.expected))
            .collect();
        let expected = [
            ("join", "owner", "ok"),
            ("leave", "owner", "forbidden"),
            ("leave", "stranger", "ok"),
        ];
        assert_eq!(short, expected);
        for (old, new) in [
            ("`forbidden`", "`forbiden`"),
            ("| – |", "|"),
            ("`ok`", "ok"),
        ] {
            let error = super::cells(&page.replacen(old, new, 1)).unwrap_err();
            assert!(format!("{error:#}").contains("group"), "{error:#}");
        }
    }
}
