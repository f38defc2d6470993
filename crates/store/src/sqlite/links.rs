//! Invite links.

use fireside_protocol::{ConversationId, LinkCode, frames::Link};
use fireside_server_core::storage::LinkOp;
use rusqlite::{Connection, Row, params};

use super::{
    rows::{blob, int, uint, user},
    trouble::Trouble,
};

/// Carries out a change of a conversation's links.
pub(super) fn carry_out(conn: &Connection, id: ConversationId, op: &LinkOp) -> Result<(), Trouble> {
    match op {
        LinkOp::Create(link) => conn
            .prepare_cached(
                "INSERT INTO links (conversation, code, made_by, at, expires, uses, used) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                id.0,
                link.code.0,
                link.by.as_str(),
                int(link.at),
                int(link.expires),
                link.uses,
                link.used
            ])?,
        LinkOp::Use(code) => conn
            .prepare_cached("UPDATE links SET used = used + 1 WHERE conversation = ?1 AND code = ?2")?
            .execute(params![id.0, code.0])?,
        LinkOp::Remove(code) => conn
            .prepare_cached("DELETE FROM links WHERE conversation = ?1 AND code = ?2")?
            .execute(params![id.0, code.0])?,
    };
    Ok(())
}

/// The links of the conversation `?1`, oldest first.
pub(super) const LINKS: &str = "SELECT code, made_by, at, expires, uses, used FROM links WHERE conversation = ?1 ORDER BY number";

/// Reads a row of [`LINKS`].
pub(super) fn link(row: &Row<'_>) -> Result<Link, Trouble> {
    let code = blob(row, 0)?.try_into();
    Ok(Link {
        code: code
            .map(LinkCode)
            .map_err(|_| Trouble::damaged("link code"))?,
        by: user(row, 1)?,
        at: uint(row, 2)?,
        expires: uint(row, 3)?,
        uses: row.get(4)?,
        used: row.get(5)?,
    })
}
