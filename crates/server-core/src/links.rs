//! Decides on invite links: made, ended, and who comes in by one. Pure.

use fireside_protocol::{
    Code, LinkCode, Permission,
    frames::{CreateLink, Link, RevokeLink},
    limits::LINKS_MAX,
};

use crate::{
    decide::{Case, Decision, Plan},
    groups,
    storage::LinkOp,
};

/// What link codes are made with: 32 bytes of the server's own, the same in all its lives.
#[derive(Clone, Copy)]
pub struct LinkSecret(pub [u8; 32]);

impl std::fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkSecret(…)")
    }
}

/// Decides that there is a new link. Its code is made from the command's name, so that a repeat is answered with the same and no secret
/// is kept twice.
pub(crate) fn create(case: &Case<'_>, frame: &CreateLink) -> Result<Decision, Code> {
    groups::role_in_group(case)?;
    case.may(Permission::Invite)?;
    let now = case.now.wall_ms;
    if frame.expires != 0 && frame.expires <= now {
        return Err(Code::ArgumentInvalid);
    }
    // Without a secret of its own a server makes no links: their codes could be guessed.
    let secret = case.secret.ok_or(Code::UnknownRequest)?;
    let code = LinkCode::made(&secret.0, case.me, frame.nonce);
    let links = &case.state.links;
    if links.iter().any(|link| link.code == code) {
        return Err(Code::AlreadyExists);
    }
    let (open, ended): (Vec<_>, Vec<_>) = links.iter().partition(|link| link.is_open(now));
    if open.len() >= LINKS_MAX {
        return Err(Code::LimitReached);
    }
    // Those that have ended are shown until they are in the way.
    let over = (links.len() + 1).saturating_sub(LINKS_MAX);
    let ended = ended.iter().take(over);
    let mut ops: Vec<LinkOp> = ended.map(|link| LinkOp::Remove(link.code)).collect();
    ops.push(LinkOp::Create(Link {
        code,
        by: case.me.clone(),
        at: now,
        expires: frame.expires,
        uses: frame.uses,
        used: 0,
    }));
    Ok(Decision::Append(Plan {
        bumps_version: true,
        links: ops,
        ..Plan::default()
    }))
}

/// Decides that a link is none any more.
pub(crate) fn revoke(case: &Case<'_>, frame: &RevokeLink) -> Result<Decision, Code> {
    groups::role_in_group(case)?;
    case.may(Permission::Invite)?;
    let mut links = case.state.links.iter();
    if !links.any(|link| link.code == frame.code) {
        return Err(Code::LinkInvalid);
    }
    Ok(Decision::Append(Plan {
        bumps_version: true,
        links: vec![LinkOp::Remove(frame.code)],
        ..Plan::default()
    }))
}

/// Whether the asker may come in by a link. Whatever is wrong with it is answered alike.
pub(crate) fn check(case: &Case<'_>, code: LinkCode) -> Result<LinkOp, Code> {
    let mut links = case.state.links.iter();
    let found = links.find(|link| link.code == code).cloned();
    let mut link = found.filter(|_| !case.is_over()).ok_or(Code::LinkInvalid)?;
    if case.config.breaks.link_uncounted {
        link.uses = 0;
    }
    if link.is_open(case.now.wall_ms) {
        Ok(LinkOp::Use(code))
    } else {
        Err(Code::LinkInvalid)
    }
}
