//! Users, roles, settings that there are not.

use fireside_protocol::{
    ClientFrame, Code, ConversationId, FolderId, JoinPolicy, LinkCode, Permission, Settings,
    UserId,
    frames::{Block, Dissolve, Leave, RevokeLink, SetMember},
    personal::{SetDraft, SetFolder},
};

use super::{
    NOBODY, Odd,
    make::{
        answer_request, ban, friend, invite, join, mute, personal, plain_member, remove, role, set,
        user,
    },
};
use crate::proofs::limits::{sizes::text, stage::send};

pub(super) const ODD: &[Odd] = &[
    // --- users and roles
    (
        "an invitation of nobody",
        "ann",
        Code::ArgumentInvalid,
        |it| invite(it, &[]),
    ),
    (
        "an invitation of who is there",
        "ann",
        Code::AlreadyMember,
        |it| invite(it, &["bob", "cyd"]),
    ),
    (
        "an invitation by who may not",
        "bob",
        Code::Forbidden,
        |it| invite(it, &[NOBODY]),
    ),
    ("a removal of nobody", "ann", Code::NotMember, |it| {
        remove(it, NOBODY)
    }),
    ("a removal of oneself", "ann", Code::ArgumentInvalid, |it| {
        remove(it, "ann")
    }),
    ("a removal by who may not", "bob", Code::Forbidden, |it| {
        remove(it, "cyd")
    }),
    ("a role for nobody", "ann", Code::NotMember, |it| {
        role(it, NOBODY, 1)
    }),
    ("an unknown role", "ann", Code::ArgumentInvalid, |it| {
        role(it, "bob", 99)
    }),
    ("no role at all", "ann", Code::ArgumentInvalid, |it| {
        role(it, "bob", 0)
    }),
    ("a role for oneself", "ann", Code::ArgumentInvalid, |it| {
        role(it, "ann", 2)
    }),
    ("a role by who may not", "bob", Code::Forbidden, |it| {
        role(it, "cyd", 2)
    }),
    ("a mute of nobody", "ann", Code::NotMember, |it| {
        mute(it, NOBODY, u64::MAX)
    }),
    ("a mute of oneself", "ann", Code::ArgumentInvalid, |it| {
        mute(it, "ann", u64::MAX)
    }),
    (
        "a mute until a time that has passed",
        "ann",
        Code::ArgumentInvalid,
        |it| mute(it, "bob", 1),
    ),
    ("a ban of oneself", "ann", Code::ArgumentInvalid, |it| {
        ban(it, "ann", 0)
    }),
    (
        "a ban until a time that has passed",
        "ann",
        Code::ArgumentInvalid,
        |it| ban(it, "bob", 1),
    ),
    ("a ban by who may not", "bob", Code::Forbidden, |it| {
        ban(it, NOBODY, 0)
    }),
    ("a block of oneself", "ann", Code::ArgumentInvalid, |it| {
        Block {
            nonce: it.nonce,
            user: user("ann"),
            on: true,
        }
        .into()
    }),
    (
        "a friendship with oneself",
        "ann",
        Code::ArgumentInvalid,
        |it| friend(it, "ann", 1),
    ),
    (
        "a yes to who did not ask",
        "ann",
        Code::NoFriendRequest,
        |it| friend(it, NOBODY, 2),
    ),
    (
        "a no to who did not ask",
        "ann",
        Code::NoFriendRequest,
        |it| friend(it, NOBODY, 3),
    ),
    (
        "a yes to who does not ask to come in",
        "ann",
        Code::NotAsked,
        |it| answer_request(it, NOBODY),
    ),
    ("a yes to a member", "ann", Code::AlreadyMember, |it| {
        answer_request(it, "bob")
    }),
    ("a name for nobody", "ann", Code::NotMember, |it| {
        SetMember {
            user: UserId::new(NOBODY).ok(),
            ..plain_member(it)
        }
        .into()
    }),
    (
        "a change of nothing of a member",
        "ann",
        Code::ArgumentInvalid,
        |it| {
            SetMember {
                name: None,
                ..plain_member(it)
            }
            .into()
        },
    ),
    ("a message to oneself", "ann", Code::ArgumentInvalid, |it| {
        let mut send = send(
            it.nonce,
            ConversationId::direct(&user("ann"), &user("ann")),
            &text("gg"),
        );
        send.peer = UserId::new("ann").ok();
        send.into()
    }),
    (
        "a message to another than its conversation is with",
        "ann",
        Code::NotFound,
        |it| {
            let mut send = send(
                it.nonce,
                ConversationId::direct(&user("ann"), &user("bob")),
                &text("gg"),
            );
            send.peer = UserId::new("cyd").ok();
            send.into()
        },
    ),
    (
        "the owner who leaves the others alone",
        "ann",
        Code::OwnerMustTransfer,
        |it| {
            Leave {
                nonce: it.nonce,
                conversation: it.group,
            }
            .into()
        },
    ),
    ("a member who joins", "bob", Code::AlreadyMember, |it| {
        join(it.nonce, it.group, None)
    }),
    ("a wrong link", "dan", Code::LinkInvalid, |it| {
        join(it.nonce, it.group, Some(LinkCode([9; 16])))
    }),
    (
        "the end of a group by who may not",
        "bob",
        Code::Forbidden,
        |it| {
            Dissolve {
                nonce: it.nonce,
                conversation: it.group,
            }
            .into()
        },
    ),
    // --- settings
    ("a change of nothing", "ann", Code::ArgumentInvalid, |it| {
        set(it, Settings::default())
    }),
    (
        "an unknown permission",
        "ann",
        Code::ArgumentInvalid,
        |it| {
            set(
                it,
                Settings {
                    member_permissions: Some(1 << 31),
                    ..Settings::default()
                },
            )
        },
    ),
    (
        "a permission that is the owner's",
        "ann",
        Code::ArgumentInvalid,
        |it| {
            set(
                it,
                Settings {
                    admin_permissions: Some(Permission::Roles.bit()),
                    ..Settings::default()
                },
            )
        },
    ),
    (
        "a group that is to be open",
        "ann",
        Code::ArgumentInvalid,
        |it| {
            set(
                it,
                Settings {
                    join: Some(JoinPolicy::Open),
                    ..Settings::default()
                },
            )
        },
    ),
    ("settings by who may not", "bob", Code::Forbidden, |it| {
        set(
            it,
            Settings {
                frozen: Some(true),
                ..Settings::default()
            },
        )
    }),
    (
        "an own change of nothing",
        "ann",
        Code::ArgumentInvalid,
        |it| personal(it, |_| {}),
    ),
    ("an unknown folder", "ann", Code::NotFound, |it| {
        personal(it, |own| own.folder = Some(FolderId([77; 16])))
    }),
    (
        "a folder without an id",
        "ann",
        Code::ArgumentInvalid,
        |it| {
            SetFolder {
                nonce: it.nonce,
                folder: FolderId::default(),
                name: "raids".into(),
                order: 0,
            }
            .into()
        },
    ),
    (
        "bytes that are no draft",
        "ann",
        Code::ContentInvalid,
        |it| {
            SetDraft {
                nonce: it.nonce,
                conversation: it.group,
                content: b"\x93\x01\x02".as_slice().into(),
                reply_to: 0,
            }
            .into()
        },
    ),
    ("an unknown link", "ann", Code::LinkInvalid, |it| {
        RevokeLink {
            nonce: it.nonce,
            conversation: it.group,
            code: LinkCode([9; 16]),
        }
        .into()
    }),
    (
        "a request that there is not",
        "ann",
        Code::UnknownRequest,
        |_| ClientFrame::Unknown(63),
    ),
];
