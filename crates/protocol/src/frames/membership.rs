//! Frames of who belongs to a conversation, as what, and what it is set to.

use crate::{
    ConversationId, Nonce, UserId,
    entry::{ConversationKind, Role},
    ids::WallMs,
    members::LinkCode,
    record,
    settings::{JoinPolicy, Settings},
};

record! {
    /// Makes a group, a public conversation, a meeting, a community, or a channel of one. Its id is derived from the user and the nonce.
    CreateGroup {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Its name.
        req "nm" name: String,
        /// Invited at once.
        opt "us" invite: Vec<UserId>,
        /// What joiners see of earlier numbers: 0 nothing, N the last N numbers, 18446744073709551615 all. Of a public conversation 0 is all.
        opt "hj" history_for_joiners: u64,
        /// `Group`, `Public`, `Meeting`, `Community` or `Channel`; none: `Group`.
        opt "k" kind: Option<ConversationKind>,
        /// Of all but a group: how somebody comes in; none: `Open`, of a meeting `Invite`.
        opt "jp" join: Option<JoinPolicy>,
        /// Of a meeting: when it ends by itself; 0: when nobody is there any more.
        opt "en" ends: WallMs,
        /// Of a channel: its community.
        opt "pa" parent: Option<ConversationId>,
        /// Of a channel: whoever comes into the community comes into it too.
        opt "bd" by_default: bool,
    }
}
record! {
    /// Invites users to a group. Admins and owners may.
    Invite {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// The group.
        req "c" conversation: ConversationId,
        /// Whom.
        req "us" users: Vec<UserId>,
    }
}
record! {
    /// Accepts an invitation; comes into a public conversation, or asks to be let in; comes in by a link.
    Join {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// The group.
        req "c" conversation: ConversationId,
        /// The secret of an invite link.
        opt "lk" link: Option<LinkCode>,
    }
}
record! {
    /// Leaves, declines an invitation, or takes back that one asked to come in.
    Leave {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// The group.
        req "c" conversation: ConversationId,
    }
}
record! {
    /// Lets a user in who asked for it, or does not.
    AnswerRequest {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Which conversation.
        req "c" conversation: ConversationId,
        /// Whom.
        req "u" user: UserId,
        /// In or not.
        req "on" accept: bool,
    }
}
record! {
    /// Removes a member of lower role.
    RemoveMember {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// The group.
        req "c" conversation: ConversationId,
        /// Whom.
        req "u" user: UserId,
    }
}
record! {
    /// Gives a member a role. Owner to another: the giver becomes admin.
    SetRole {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// The group.
        req "c" conversation: ConversationId,
        /// Whom.
        req "u" user: UserId,
        /// What.
        req "ro" role: Role,
    }
}
record! {
    /// Changes what a conversation is set to.
    SetConversation {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Which.
        req "c" conversation: ConversationId,
        /// What changes; the rest stays.
        req "st" change: Box<Settings>,
    }
}
record! {
    /// Blocks or unblocks a user.
    Block {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Whom.
        req "u" user: UserId,
        /// Block or unblock.
        req "on" on: bool,
    }
}
