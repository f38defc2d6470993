//! Who may do what: one function of the kind, the role and the settings, for decisions and for what clients are told. Pure.

use fireside_protocol::{
    Code, ConversationKind, JoinPolicy, Permission, Role, Settings, settings::GIVEN_PERMISSIONS,
};

use crate::{decide::Case, groups::rank};

/// What a role may do in a conversation: a set of [`Permission`] bits. What depends on another's role, on a block or on the time is
/// decided besides.
#[must_use]
pub fn capabilities(kind: ConversationKind, role: Option<Role>, settings: &Settings) -> u32 {
    let Some(role) = role else { return 0 };
    let all = of_role(kind, role, settings);
    // In a space nobody writes: its channels are for that.
    match kind {
        ConversationKind::Community => all & !MESSAGES,
        // A thread has none under it, and ends with what it belongs to.
        ConversationKind::Thread => {
            all & !(Permission::Channels.bit()
                | Permission::Threads.bit()
                | Permission::Dissolve.bit())
        }
        _ => all & !Permission::Channels.bit(),
    }
}

/// What is about messages.
const MESSAGES: u32 = WRITE
    | Permission::RecallOthers.bit()
    | Permission::Pin.bit()
    | Permission::Cards.bit()
    | Permission::Threads.bit();
const WRITE: u32 = Permission::Send.bit() | Permission::MentionAll.bit();

fn of_role(kind: ConversationKind, role: Role, settings: &Settings) -> u32 {
    if kind == ConversationKind::Direct {
        return WRITE | Permission::Pin.bit() | Permission::Cards.bit();
    }
    match role {
        Role::Owner => {
            GIVEN_PERMISSIONS
                | Permission::Roles.bit()
                | Permission::Permissions.bit()
                | Permission::Dissolve.bit()
        }
        Role::Admin => settings.admin_permissions.unwrap_or(GIVEN_PERMISSIONS),
        Role::Member | Role::Unknown(_) => {
            // Ten thousand are not to be named by everybody.
            let usual = match kind {
                ConversationKind::Public | ConversationKind::Channel => {
                    Permission::Send.bit() | Permission::Threads.bit()
                }
                ConversationKind::Thread => Permission::Send.bit(),
                _ => WRITE | Permission::Threads.bit(),
            };
            let mut own = settings.roles.iter();
            let own = own.find(|own| own.number == role.number());
            let given = own.map_or(settings.member_permissions, |own| Some(own.permissions));
            let given = given.unwrap_or(usual);
            if is_frozen(settings) {
                given & !(WRITE | Permission::Threads.bit())
            } else {
                given
            }
        }
    }
}

fn is_frozen(settings: &Settings) -> bool {
    settings.frozen.unwrap_or(false)
}

impl Case<'_> {
    fn settings(&self) -> Option<&Settings> {
        self.state.row.as_ref().map(|row| &row.settings)
    }

    /// What the asker may do here.
    fn capabilities(&self) -> u32 {
        let row = self.state.row.as_ref();
        row.map_or(0, |row| {
            capabilities(row.kind, self.state.role(self.me), &row.settings)
        })
    }

    /// Whether the asker, who is a member, may.
    pub(crate) fn may(&self, permission: Permission) -> Result<(), Code> {
        if self.capabilities() & permission.bit() == 0 {
            Err(Code::Forbidden)
        } else {
            Ok(())
        }
    }

    /// Whether the asker may write now, or change what they wrote.
    pub(crate) fn may_write(&self, roles: &[Role], mention_all: bool) -> Result<(), Code> {
        let role = self.state.role(self.me).ok_or(Code::NotFound)?;
        self.check_mute()?;
        let frozen = self.settings().is_some_and(is_frozen);
        if frozen && self.state.is_group() && rank(role) < rank(Role::Admin) {
            return Err(Code::Frozen);
        }
        self.may(Permission::Send)?;
        if mention_all || !roles.is_empty() {
            self.may(Permission::MentionAll)?;
        }
        Ok(())
    }

    /// How long the asker waits until slow mode lets them write again, in ms. By the conversation's time, which never goes back.
    pub(crate) fn slow_wait_ms(&self) -> Option<u64> {
        let slow_ms = self.state.slow_mode_ms();
        let member = self.state.member(self.me)?;
        let free = member
            .role
            .is_none_or(|role| rank(role) >= rank(Role::Admin));
        if slow_ms == 0 || free || self.paid || member.sent_at == 0 {
            return None;
        }
        let now = self.now.wall_ms.max(self.last_at());
        let wait_ms = (member.sent_at.saturating_add(slow_ms)).saturating_sub(now);
        // A clock that was set back must not make anybody wait for longer than the rule says.
        (wait_ms > 0).then_some(wait_ms.min(slow_ms))
    }

    fn last_at(&self) -> u64 {
        self.state.row.as_ref().map_or(0, |row| row.last_at)
    }

    /// Whether it was dissolved: then it is as if it did not exist.
    pub(crate) fn is_over(&self) -> bool {
        self.state.row.as_ref().is_some_and(|row| row.dissolved)
    }

    /// Members of a kind at most, whatever is set.
    pub(crate) fn members_allowed(&self, kind: ConversationKind) -> usize {
        match kind {
            ConversationKind::Public
            | ConversationKind::Community
            | ConversationKind::Channel
            | ConversationKind::Thread => self.config.public_members_max,
            ConversationKind::Meeting => self.config.meeting_members_max,
            _ => self.config.group_members_max,
        }
    }

    /// How somebody comes in.
    pub(crate) fn join_policy(&self) -> JoinPolicy {
        let Some(row) = &self.state.row else {
            return JoinPolicy::Invite;
        };
        match row.kind {
            ConversationKind::Public | ConversationKind::Community | ConversationKind::Channel => {
                row.settings.join.unwrap_or(JoinPolicy::Open)
            }
            ConversationKind::Thread => JoinPolicy::Open,
            ConversationKind::Meeting => row.settings.join.unwrap_or(JoinPolicy::Invite),
            _ => JoinPolicy::Invite,
        }
    }

    /// Members at most.
    pub(crate) fn members_max(&self) -> usize {
        let kind = self.state.row.as_ref().map(|row| row.kind);
        let allowed = self.members_allowed(kind.unwrap_or(ConversationKind::Group));
        match self.settings().and_then(|settings| settings.members_max) {
            None | Some(0) => allowed,
            Some(set) => allowed.min(set as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_members_may_can_be_given_and_taken() {
        let may = |role, settings: &Settings, permission: Permission| {
            capabilities(ConversationKind::Group, Some(role), settings) & permission.bit() != 0
        };
        let plain = Settings::default();
        assert!(may(Role::Member, &plain, Permission::Send));
        assert!(!may(Role::Member, &plain, Permission::Invite));
        assert!(may(Role::Admin, &plain, Permission::Settings));
        assert!(!may(Role::Admin, &plain, Permission::Roles));
        assert!(may(Role::Owner, &plain, Permission::Permissions));
        let set = Settings {
            frozen: Some(true),
            member_permissions: Some(Permission::Send.bit() | Permission::Invite.bit()),
            admin_permissions: Some(Permission::Send.bit()),
            ..Settings::default()
        };
        assert!(!may(Role::Member, &set, Permission::Send), "frozen");
        assert!(may(Role::Member, &set, Permission::Invite));
        assert!(may(Role::Admin, &set, Permission::Send));
        assert!(!may(Role::Admin, &set, Permission::Remove));
        assert!(may(Role::Owner, &set, Permission::Remove));
        assert_eq!(capabilities(ConversationKind::Group, None, &set), 0);
    }
}
