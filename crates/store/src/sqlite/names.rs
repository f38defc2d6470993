//! What members are looked up by: user id, name and name here, folded, one row each.

use fireside_protocol::{ConversationId, UserId, text::folded};
use rusqlite::{Connection, params};

use super::{
    rows::{conversation_id, text, user},
    trouble::Trouble,
};

/// Makes the rows of one present member.
fn put(
    conn: &Connection,
    id: ConversationId,
    user: &UserId,
    name: &str,
    name_here: &str,
) -> Result<(), Trouble> {
    let mut insert = conn.prepare_cached(
        "INSERT OR IGNORE INTO member_names (conversation, folded, user) VALUES (?1, ?2, ?3)",
    )?;
    for one in [user.as_str(), name, name_here] {
        let folded = folded(one);
        if !folded.is_empty() {
            insert.execute(params![id.0, folded, user.as_str()])?;
        }
    }
    Ok(())
}

fn remove(conn: &Connection, id: ConversationId, user: &UserId) -> Result<(), Trouble> {
    conn.prepare_cached("DELETE FROM member_names WHERE user = ?1 AND conversation = ?2")?
        .execute(params![user.as_str(), id.0])?;
    Ok(())
}

/// Makes the rows of a member as they are now; none of who is not present.
pub(super) fn renew(conn: &Connection, id: ConversationId, who: &UserId) -> Result<(), Trouble> {
    remove(conn, id, who)?;
    let mut select = conn.prepare_cached(
        "SELECT coalesce(u.name, ''), m.name_here FROM members m LEFT JOIN users u ON u.id = m.user \
         WHERE m.conversation = ?1 AND m.user = ?2 AND m.role IS NOT NULL",
    )?;
    let mut rows = select.query(params![id.0, who.as_str()])?;
    match rows.next()? {
        Some(row) => put(conn, id, who, text(row, 0)?, text(row, 1)?),
        None => Ok(()),
    }
}

/// The same in all conversations of a user who has another name now.
pub(super) fn renew_all(conn: &Connection, who: &UserId) -> Result<(), Trouble> {
    let mut select = conn
        .prepare_cached("SELECT conversation FROM members WHERE user = ?1 AND role IS NOT NULL")?;
    let mut rows = select.query(params![who.as_str()])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(conversation_id(row, 0)?);
    }
    all.into_iter().try_for_each(|id| renew(conn, id, who))
}

/// Makes the rows of all who were members before there were any.
pub(super) fn fill(conn: &Connection) -> Result<(), Trouble> {
    let mut select = conn.prepare(
        "SELECT m.conversation, m.user, coalesce(u.name, '') FROM members m LEFT JOIN users u ON u.id = m.user \
         WHERE m.role IS NOT NULL",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        put(
            conn,
            conversation_id(row, 0)?,
            &user(row, 1)?,
            text(row, 2)?,
            "",
        )?;
    }
    Ok(())
}
