//! What stands on the wire beside the frames themselves: nested records and enumerations, as tables.
//!
//! With [`ClientFrame::TABLE`](crate::ClientFrame::TABLE), [`ServerFrame::TABLE`](crate::ServerFrame::TABLE),
//! [`Code::ALL`](crate::Code::ALL) and [`limits`](crate::limits) this is all that another language needs to be generated or
//! checked from.

use crate::{
    codec::{Field, Record},
    content::{
        AnswerContent, AnswerValue, Attachment, Ballot, Ballots, CardContent, CardElement,
        CardOption, CardPage, Copied, CustomContent, EarthPlace, ElementKind, Forwarded,
        ItemContent, ItemLink, LinkPreview, LiveState, LocationContent, MediaContent,
        MergedContent, OptionVotes, PollContent, Span, SpanKind, StickerContent, SystemContent,
        TextContent, Votes, WorldPlace,
    },
    entry::{
        Child, ConversationKind, Entry, EntryKind, Facet, FacetKind, Header, MemberChange,
        MessageKind, Pinned, Reaction, Reactions, Role, Tombstone,
    },
    frames::{
        Anchor, ChildSummary, Device, Head, Member, Range, Revision, StreamKind, UserRecord,
        UserRecordKind,
    },
    members::{Banned, Link, MemberProfile},
    personal::{Draft, FriendAction, FriendState, NotificationLevel, Personal},
    presence::{PresenceOf, PresenceState, RichPresence},
    profile::UserProfile,
    report::ReportReason,
    settings::{Attribute, JoinPolicy, OwnRole, Permission, Settings},
};

/// A record that stands inside others.
#[derive(Clone, Copy, Debug)]
pub struct RecordInfo {
    /// Its name in code.
    pub name: &'static str,
    /// Its fields, in the order they are written.
    pub fields: &'static [Field],
    /// What it means.
    pub doc: &'static str,
}

/// A number with names.
#[derive(Clone, Copy, Debug)]
pub struct EnumInfo {
    /// Its name in code.
    pub name: &'static str,
    /// Known numbers, their names and meanings.
    pub values: &'static [(u16, &'static str, &'static str)],
}

const fn record<R: Record>() -> RecordInfo {
    RecordInfo {
        name: R::NAME,
        fields: R::FIELDS,
        doc: R::DOC,
    }
}

/// Records that stand inside frames or contents. [`Entry`], [`Head`], [`UserRecord`] and [`PresenceOf`] are frames too.
pub const RECORDS: &[RecordInfo] = &[
    record::<Entry>(),
    record::<Header>(),
    record::<MemberChange>(),
    record::<TextContent>(),
    record::<Span>(),
    record::<ItemLink>(),
    record::<MediaContent>(),
    record::<Attachment>(),
    record::<StickerContent>(),
    record::<LocationContent>(),
    record::<EarthPlace>(),
    record::<WorldPlace>(),
    record::<CustomContent>(),
    record::<SystemContent>(),
    record::<PollContent>(),
    record::<Votes>(),
    record::<OptionVotes>(),
    record::<Ballots>(),
    record::<Ballot>(),
    record::<LiveState>(),
    record::<CardContent>(),
    record::<CardPage>(),
    record::<CardElement>(),
    record::<CardOption>(),
    record::<AnswerContent>(),
    record::<AnswerValue>(),
    record::<ItemContent>(),
    record::<MergedContent>(),
    record::<Copied>(),
    record::<Forwarded>(),
    record::<Facet>(),
    record::<Reactions>(),
    record::<Reaction>(),
    record::<Pinned>(),
    record::<Child>(),
    record::<LinkPreview>(),
    record::<Range>(),
    record::<Head>(),
    record::<UserRecord>(),
    record::<Member>(),
    record::<Device>(),
    record::<ChildSummary>(),
    record::<Personal>(),
    record::<Draft>(),
    record::<UserProfile>(),
    record::<PresenceOf>(),
    record::<RichPresence>(),
    record::<Revision>(),
    record::<Settings>(),
    record::<Attribute>(),
    record::<OwnRole>(),
    record::<MemberProfile>(),
    record::<Banned>(),
    record::<Link>(),
];

/// Enumerations. Receivers keep numbers they do not know.
pub const ENUMS: &[EnumInfo] = &[
    EnumInfo {
        name: "StreamKind",
        values: StreamKind::TABLE,
    },
    EnumInfo {
        name: "Anchor",
        values: Anchor::TABLE,
    },
    EnumInfo {
        name: "ConversationKind",
        values: ConversationKind::TABLE,
    },
    EnumInfo {
        name: "EntryKind",
        values: EntryKind::TABLE,
    },
    EnumInfo {
        name: "FacetKind",
        values: FacetKind::TABLE,
    },
    EnumInfo {
        name: "MessageKind",
        values: MessageKind::TABLE,
    },
    EnumInfo {
        name: "SpanKind",
        values: SpanKind::TABLE,
    },
    EnumInfo {
        name: "ElementKind",
        values: ElementKind::TABLE,
    },
    EnumInfo {
        name: "Role",
        values: Role::TABLE,
    },
    EnumInfo {
        name: "Tombstone",
        values: Tombstone::TABLE,
    },
    EnumInfo {
        name: "UserRecordKind",
        values: UserRecordKind::TABLE,
    },
    EnumInfo {
        name: "NotificationLevel",
        values: NotificationLevel::TABLE,
    },
    EnumInfo {
        name: "PresenceState",
        values: PresenceState::TABLE,
    },
    EnumInfo {
        name: "ReportReason",
        values: ReportReason::TABLE,
    },
    EnumInfo {
        name: "FriendAction",
        values: FriendAction::TABLE,
    },
    EnumInfo {
        name: "FriendState",
        values: FriendState::TABLE,
    },
    EnumInfo {
        name: "JoinPolicy",
        values: JoinPolicy::TABLE,
    },
    EnumInfo {
        name: "Permission",
        values: Permission::TABLE,
    },
];
