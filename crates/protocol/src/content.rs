//! What messages say: one record for each kind, what makes it valid, and what is left of it as plain text. The same checks run in the
//! client, before a message goes into the outbox, and in the server.

use bytes::Bytes;

use crate::{
    Code,
    codec::{Real, Wire, read_whole, written},
    entry::{Header, MessageKind},
    ids::{Sequence, UserId, WallMs},
    open_enum, record,
    settings::Attribute,
    text::Count,
};

mod check;
mod merged;
mod plain;
mod preview;

pub use merged::{Copied, Forwarded, MergedContent};
pub use preview::{LinkPreview, link_of};

open_enum! {
    /// What a span does to its part of a text.
    SpanKind {
        /// Bold.
        1 Bold,
        /// Italic.
        2 Italic,
        /// Underlined.
        3 Underline,
        /// Struck through.
        4 Strike,
        /// As it stands, of one width.
        5 Code,
        /// Hidden until the reader wants to see it.
        6 Spoiler,
        /// Somebody else's words.
        7 Quote,
        /// `value` = the address, http or https.
        8 Link,
        /// `user` = who is named. The header names them too; a reader shows the name that it knows, not this part of the text.
        9 Mention,
        /// Everybody is named. The header says so too.
        10 MentionAll,
        /// `item` = something of the game's.
        11 Item,
        /// `value` = the id of a picture that the game made, shown for this part of the text.
        12 Emoji,
        /// `value` = the number of the role that is named, in digits. The header names it too.
        13 MentionRole,
    }
}

record! {
    /// A part of a text and what is done to it. Parts may overlap.
    Span {
        /// What.
        req "k" kind: SpanKind,
        /// Where it begins, in bytes of UTF-8; between two characters.
        req "a" start: u32,
        /// How long it is, in bytes of UTF-8; at least 1.
        req "l" length: u32,
        /// By kind.
        opt "u" user: Option<UserId>,
        /// By kind.
        opt "v" value: String,
        /// By kind.
        opt "it" item: Option<Box<ItemLink>>,
    }
}

record! {
    /// The content of [`MessageKind::Text`].
    TextContent {
        /// What was written.
        req "t" text: String,
        /// What is done to parts of it, by `start` ascending.
        opt "sp" spans: Vec<Span>,
    }
}

record! {
    /// Something of the game's, by its id. Everything else is the sender's word and must not be believed: a reader's game asks itself what the
    /// id is, or checks the signature.
    ItemLink {
        /// What the game calls it.
        req "i" id: String,
        /// Its name, for who does not know the id.
        opt "nm" name: String,
        /// How rare it is, in the game's own words.
        opt "ra" rarity: String,
        /// For the game: what a tooltip shows.
        opt "tt" tooltip: Bytes,
        /// The game's own signature over the rest.
        opt "sg" signature: Bytes,
    }
}

record! {
    /// A file by reference: where it is, and what can be shown before it is there.
    Attachment {
        /// Where it is: an address, or a name of the game's own.
        req "rf" reference: String,
        /// Its media type (RFC 6838), for example `image/png`.
        opt "ty" media_type: String,
        /// Its name, for people.
        opt "nm" name: String,
        /// How long it is, in bytes.
        opt "sz" size: u64,
        /// In pixels.
        opt "w" width: u32,
        /// In pixels.
        opt "hh" height: u32,
        /// How long it lasts, in ms.
        opt "du" duration_ms: u64,
        /// SHA-256 of it.
        opt "ha" hash: Bytes,
        /// Where a small picture of it is (of a video its cover).
        opt "th" thumbnail: String,
        /// A very small picture of it, in a form of the game's own (a blurhash).
        opt "bl" blur: Bytes,
        /// Loudness over time, one byte each, evenly spread.
        opt "wf" waveform: Bytes,
    }
}

record! {
    /// The content of [`MessageKind::Image`], `Video`, `Audio` and `File`.
    MediaContent {
        /// What is shown.
        req "at" attachments: Vec<Attachment>,
        /// What is written below.
        opt "t" text: String,
        /// Of that text.
        opt "sp" spans: Vec<Span>,
    }
}

record! {
    /// The content of [`MessageKind::Sticker`].
    StickerContent {
        /// The set it is from.
        req "pk" pack: String,
        /// Which of it.
        req "i" id: String,
        /// For who does not have it.
        opt "t" text: String,
    }
}

record! {
    /// A place on Earth (WGS 84).
    EarthPlace {
        /// Degrees to the north.
        req "la" latitude: Real,
        /// Degrees to the east.
        req "lo" longitude: Real,
    }
}

record! {
    /// A place in the game's world, in its own units.
    WorldPlace {
        /// Which map.
        req "m" map: String,
        /// Where on it.
        opt "x" x: Real,
        /// Where on it.
        opt "y" y: Real,
        /// Where on it.
        opt "z" z: Real,
    }
}

record! {
    /// The content of [`MessageKind::Location`]: a place on Earth, or in the world, or both.
    LocationContent {
        /// On Earth.
        opt "ea" earth: Option<EarthPlace>,
        /// In the game.
        opt "wo" world: Option<WorldPlace>,
        /// What is there.
        opt "lb" label: String,
        /// How to find it.
        opt "ad" address: String,
        /// Where a picture of the map is.
        opt "pi" picture: String,
    }
}

record! {
    /// The content of [`MessageKind::Custom`] and of [`MessageKind::Live`].
    CustomContent {
        /// What the game calls this sort of message.
        req "ty" name: String,
        /// The game's own.
        opt "b" data: Bytes,
        /// For who does not know the sort, for search, and for moderation.
        opt "t" text: String,
    }
}

record! {
    /// The content of [`MessageKind::System`].
    SystemContent {
        /// In the language of the game's backend.
        req "t" text: String,
        /// What it is, for a client that says it in its own language.
        opt "ky" key: String,
        /// What to put in there.
        opt "ar" arguments: Vec<Attribute>,
    }
}

record! {
    /// The content of [`MessageKind::Poll`].
    PollContent {
        /// What is asked.
        req "q" question: String,
        /// What can be chosen.
        req "os" options: Vec<String>,
        /// How many of them one user may choose; 0: one.
        opt "mx" choices_max: u32,
        /// No vote counts after this, and the server closes it then; 0: until somebody closes it.
        opt "en" ends: WallMs,
        /// Nobody is told who chose what, only how many did.
        opt "an" anonymous: bool,
    }
}

record! {
    /// Who chose an option.
    OptionVotes {
        /// Which, from 0.
        req "n" option: u32,
        /// They, in the order they did; of an anonymous poll nobody.
        opt "us" users: Vec<UserId>,
        /// Of an anonymous poll: how many. Else 0, and `users` says it.
        opt "ct" count: u64,
    }
}

record! {
    /// What a user chose in an anonymous poll.
    Ballot {
        /// The poll's number.
        req "n" poll: Sequence,
        /// Which options, ascending; none: the vote was taken back.
        opt "os" choices: Vec<u32>,
    }
}

record! {
    /// What a user chose in the anonymous polls of a conversation: the body of a record of their user log, which nobody else gets.
    Ballots {
        /// By number ascending; at most [`BALLOTS_MAX`](crate::limits::BALLOTS_MAX), those of the newest polls.
        opt "bs" ballots: Vec<Ballot>,
    }
}

record! {
    /// The content of [`FacetKind::Votes`](crate::entry::FacetKind).
    Votes {
        /// For each option that somebody chose, by number ascending.
        opt "vs" options: Vec<OptionVotes>,
        /// No more votes: its author or an admin closed it.
        opt "cl" closed: bool,
    }
}

record! {
    /// The content of [`FacetKind::Live`](crate::entry::FacetKind).
    LiveState {
        /// When it was changed.
        req "at" at: WallMs,
        /// The state, instead of what the message began with.
        req "st" state: Box<CustomContent>,
    }
}

open_enum! {
    /// What stands on a card.
    ElementKind {
        /// Answers at once, with `value`.
        1 Button,
        /// One of `options`.
        2 Choice,
        /// Some of `options`.
        3 Choices,
        /// A line of text.
        4 Text,
        /// A day, as `YYYY-MM-DD`.
        5 Date,
        /// Opens `value`, an http or https address; answers nothing.
        6 Link,
    }
}

record! {
    /// Something to choose.
    CardOption {
        /// What an answer says.
        req "i" id: String,
        /// What a reader sees.
        opt "lb" label: String,
    }
}

record! {
    /// Something on a card.
    CardElement {
        /// What.
        req "k" kind: ElementKind,
        /// What an answer calls it; unique on the card.
        req "i" id: String,
        /// What a reader sees.
        opt "lb" label: String,
        /// By kind.
        opt "os" options: Vec<CardOption>,
        /// No answer without it.
        opt "rq" required: bool,
        /// By kind.
        opt "v" value: String,
    }
}

record! {
    /// One page of a card. With several a reader turns them.
    CardPage {
        /// Its heading.
        opt "ti" title: String,
        /// What it says.
        opt "t" text: String,
        /// Where its picture is.
        opt "pi" picture: String,
        /// What can be done on it.
        opt "el" elements: Vec<CardElement>,
    }
}

record! {
    /// The content of [`MessageKind::Card`].
    CardContent {
        /// 1 to 10.
        req "ps" pages: Vec<CardPage>,
    }
}

record! {
    /// What was put into one element of a card; of `Choices` one for each.
    AnswerValue {
        /// The element's id.
        req "i" id: String,
        /// An option's id, the text, the day; of a button its `value`.
        opt "v" value: String,
    }
}

record! {
    /// The content of an [`EntryKind::Answer`](crate::entry::EntryKind).
    AnswerContent {
        /// The card's number.
        req "g" card: Sequence,
        /// What was put in.
        opt "vs" values: Vec<AnswerValue>,
    }
}

record! {
    /// The content of [`MessageKind::Item`].
    ItemContent {
        /// Which.
        req "it" item: ItemLink,
        /// What is written beside it.
        opt "t" text: String,
    }
}

impl TextContent {
    /// Without spans.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            spans: Vec::new(),
        }
    }
}

/// A message's content, read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// A text.
    Text(TextContent),
    /// Pictures.
    Image(MediaContent),
    /// A film.
    Video(MediaContent),
    /// Something to hear.
    Audio(MediaContent),
    /// A file.
    File(MediaContent),
    /// A sticker.
    Sticker(StickerContent),
    /// A place.
    Location(LocationContent),
    /// A sort of the game's own.
    Custom(CustomContent),
    /// The game speaks.
    System(SystemContent),
    /// A question with answers to choose.
    Poll(PollContent),
    /// Something to fill in.
    Card(CardContent),
    /// Something that changes.
    Live(CustomContent),
    /// Something of the game's.
    Item(ItemContent),
    /// What was said elsewhere.
    Merged(MergedContent),
}

impl Content {
    /// Reads the content of a kind.
    ///
    /// # Errors
    /// `kind_unsupported` for a kind that this build does not know, `content_invalid` for bytes that are none of it.
    pub fn decode(kind: MessageKind, content: &Bytes) -> Result<Self, Code> {
        let mut read = match kind {
            MessageKind::Text => Self::Text(Wire::blank()),
            MessageKind::Image => Self::Image(Wire::blank()),
            MessageKind::Video => Self::Video(Wire::blank()),
            MessageKind::Audio => Self::Audio(Wire::blank()),
            MessageKind::File => Self::File(Wire::blank()),
            MessageKind::Sticker => Self::Sticker(Wire::blank()),
            MessageKind::Location => Self::Location(Wire::blank()),
            MessageKind::Custom => Self::Custom(Wire::blank()),
            MessageKind::System => Self::System(Wire::blank()),
            MessageKind::Poll => Self::Poll(Wire::blank()),
            MessageKind::Card => Self::Card(Wire::blank()),
            MessageKind::Live => Self::Live(Wire::blank()),
            MessageKind::Item => Self::Item(Wire::blank()),
            MessageKind::Merged => Self::Merged(Wire::blank()),
            MessageKind::Unknown(_) => return Err(Code::KindUnsupported),
        };
        let whole = read_whole(content, &mut |reader| match &mut read {
            Self::Text(content) => content.read_into(reader),
            Self::Image(content)
            | Self::Video(content)
            | Self::Audio(content)
            | Self::File(content) => content.read_into(reader),
            Self::Sticker(content) => content.read_into(reader),
            Self::Location(content) => content.read_into(reader),
            Self::Custom(content) | Self::Live(content) => content.read_into(reader),
            Self::System(content) => content.read_into(reader),
            Self::Poll(content) => content.read_into(reader),
            Self::Card(content) => content.read_into(reader),
            Self::Item(content) => content.read_into(reader),
            Self::Merged(content) => content.read_into(reader),
        });
        whole.map(|()| read).map_err(|_| Code::ContentInvalid)
    }

    /// As it stands in a message.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let bytes = written(&|out| match self {
            Self::Text(content) => content.write(out),
            Self::Image(content)
            | Self::Video(content)
            | Self::Audio(content)
            | Self::File(content) => content.write(out),
            Self::Sticker(content) => content.write(out),
            Self::Location(content) => content.write(out),
            Self::Custom(content) | Self::Live(content) => content.write(out),
            Self::System(content) => content.write(out),
            Self::Poll(content) => content.write(out),
            Self::Card(content) => content.write(out),
            Self::Item(content) => content.write(out),
            Self::Merged(content) => content.write(out),
        });
        bytes.into()
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Text(_) => MessageKind::Text,
            Self::Image(_) => MessageKind::Image,
            Self::Video(_) => MessageKind::Video,
            Self::Audio(_) => MessageKind::Audio,
            Self::File(_) => MessageKind::File,
            Self::Sticker(_) => MessageKind::Sticker,
            Self::Location(_) => MessageKind::Location,
            Self::Custom(_) => MessageKind::Custom,
            Self::System(_) => MessageKind::System,
            Self::Poll(_) => MessageKind::Poll,
            Self::Card(_) => MessageKind::Card,
            Self::Live(_) => MessageKind::Live,
            Self::Item(_) => MessageKind::Item,
            Self::Merged(_) => MessageKind::Merged,
        }
    }

    /// Whether its author may put another in its place. What others have answered to stays as it is.
    #[must_use]
    pub const fn is_editable(&self) -> bool {
        !matches!(
            self,
            Self::Poll(_) | Self::Live(_) | Self::Sticker(_) | Self::System(_) | Self::Merged(_)
        )
    }

    /// Its spans, if it can have some.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        match self {
            Self::Text(content) => &content.spans,
            Self::Image(content)
            | Self::Video(content)
            | Self::Audio(content)
            | Self::File(content) => &content.spans,
            _ => &[],
        }
    }

    /// Checks it against its kind's rules and against the header that it goes out with. What the header says of itself is checked too.
    ///
    /// # Errors
    /// The code of what is wrong.
    pub fn check(&self, header: &Header, count: Count) -> Result<(), Code> {
        check::header(header)?;
        if header.kind != self.kind() {
            return Err(Code::ContentInvalid);
        }
        check::content(self, header, count)
    }

    /// What is left of it as text, for lists, search and moderation; empty if nothing is.
    #[must_use]
    pub fn plain_text(&self) -> String {
        plain::text(self)
    }
}

impl CustomContent {
    /// Checks it as the state of a live object.
    ///
    /// # Errors
    /// The code of what is wrong.
    pub fn check_live_state(&self, count: Count) -> Result<(), Code> {
        check::live_state(self, count)
    }
}

impl CardContent {
    /// Checks an answer to this card.
    ///
    /// # Errors
    /// `content_invalid`.
    pub fn check_answer(&self, values: &[AnswerValue], count: Count) -> Result<(), Code> {
        check::answer(self, values, count)
    }
}

impl Votes {
    /// Nobody voted.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            options: Vec::new(),
            closed: false,
        }
    }

    /// Whether a user chose an option.
    #[must_use]
    pub fn has(&self, option: u32, user: &UserId) -> bool {
        let one = self.options.iter().find(|one| one.option == option);
        one.is_some_and(|one| one.users.contains(user))
    }

    /// Puts a user's choice in the place of the one before; an empty one takes it back.
    pub fn vote(&mut self, choices: &[u32], user: &UserId) {
        for one in &mut self.options {
            one.users
                .retain(|other| other != user || choices.contains(&one.option));
        }
        for option in choices {
            let place = self.options.binary_search_by_key(option, |one| one.option);
            let place = place.unwrap_or_else(|place| {
                let new = OptionVotes {
                    option: *option,
                    users: Vec::new(),
                    count: 0,
                };
                self.options.insert(place, new);
                place
            });
            if let Some(one) = self.options.get_mut(place)
                && !one.users.contains(user)
            {
                one.users.push(user.clone());
            }
        }
        self.options.retain(|one| !one.users.is_empty());
    }

    /// How many chose an option.
    #[must_use]
    pub fn count(&self, option: u32) -> u64 {
        let one = self.options.iter().find(|one| one.option == option);
        one.map_or(0, |one| one.count.max(one.users.len() as u64))
    }

    /// Counts a choice in the place of the one before, as anonymous polls do.
    pub fn vote_unnamed(&mut self, before: &[u32], choices: &[u32]) {
        for one in &mut self.options {
            if before.contains(&one.option) {
                one.count = one.count.saturating_sub(1);
            }
        }
        for option in choices {
            match (self.options).binary_search_by_key(option, |one| one.option) {
                Ok(place) => {
                    if let Some(one) = self.options.get_mut(place) {
                        one.count = one.count.saturating_add(1);
                    }
                }
                Err(place) => {
                    let new = OptionVotes {
                        option: *option,
                        users: Vec::new(),
                        count: 1,
                    };
                    self.options.insert(place, new);
                }
            }
        }
        self.options.retain(|one| one.count > 0);
    }
}

impl Ballots {
    /// What was chosen in a poll; nothing if the user did not vote.
    #[must_use]
    pub fn choices(&self, poll: Sequence) -> &[u32] {
        let place = self.ballots.binary_search_by_key(&poll, |one| one.poll);
        let one = place.ok().and_then(|place| self.ballots.get(place));
        one.map_or(&[], |one| &one.choices)
    }
}
