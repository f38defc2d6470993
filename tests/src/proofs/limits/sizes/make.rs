//! What requests are made of, of any size.

use bytes::Bytes;
use fireside_protocol::{
    Attribute, ClientFrame, Content, FolderId, PresenceState, ReportReason, RichPresence, Settings,
    TextContent, UserId,
    content::{
        Attachment, CardContent, CardElement, CardOption, CardPage, CustomContent, ElementKind,
        ItemContent, ItemLink, LocationContent, MediaContent, PollContent, Span, SpanKind,
        WorldPlace,
    },
    encode,
    frames::{CreateGroup, SetConversation, SetMember},
    personal::{SetDraft, SetFolder},
    presence::SetPresence,
    profile::SetProfile,
    report::Report,
};

use super::Place;
use crate::proofs::limits::{stage, stage::send};

pub(in crate::proofs::limits) fn says(place: &Place, content: &Content) -> ClientFrame {
    send(place.nonce, place.group, content).into()
}

pub(in crate::proofs::limits) fn text(text: &str) -> Content {
    Content::Text(TextContent::plain(text))
}

/// So many bytes in few characters: emojis of 8 bytes each, and letters for the rest.
pub(in crate::proofs::limits) fn wide(bytes: usize) -> String {
    let mut text = "👍🏽".repeat(bytes / 8);
    text.push_str(&"x".repeat(bytes % 8));
    text
}

pub(in crate::proofs::limits) fn padded(start: &str, bytes: usize) -> String {
    format!("{start}{}", "x".repeat(bytes - start.len()))
}

pub(in crate::proofs::limits) fn zeros(bytes: usize) -> Bytes {
    vec![0; bytes].into()
}

pub(in crate::proofs::limits) fn users(prefix: &str, count: usize) -> Vec<UserId> {
    let names = (0..count).map(|n| format!("{prefix}{n}"));
    names.filter_map(|name| UserId::new(&name).ok()).collect()
}

pub(in crate::proofs::limits) fn span(kind: SpanKind, value: &str) -> Span {
    Span {
        kind,
        start: 0,
        length: 2,
        user: None,
        value: value.to_owned(),
        item: None,
    }
}

pub(in crate::proofs::limits) fn media(count: usize) -> MediaContent {
    let one = || Attachment {
        reference: "https://cdn.example/1".to_owned(),
        media_type: String::new(),
        name: String::new(),
        size: 0,
        width: 0,
        height: 0,
        duration_ms: 0,
        hash: Bytes::new(),
        thumbnail: String::new(),
        blur: Bytes::new(),
        waveform: Bytes::new(),
    };
    MediaContent {
        attachments: (0..count).map(|_| one()).collect(),
        text: String::new(),
        spans: Vec::new(),
    }
}

pub(in crate::proofs::limits) fn file(
    place: &Place,
    change: impl Fn(&mut Attachment),
) -> ClientFrame {
    let mut media = media(1);
    media.attachments.iter_mut().for_each(change);
    says(place, &Content::File(media))
}

pub(in crate::proofs::limits) fn world(bytes: usize) -> WorldPlace {
    WorldPlace {
        map: "x".repeat(bytes),
        x: Default::default(),
        y: Default::default(),
        z: Default::default(),
    }
}

pub(in crate::proofs::limits) fn location(
    place: &Place,
    change: impl Fn(&mut LocationContent),
) -> ClientFrame {
    let mut location = LocationContent {
        earth: None,
        world: Some(world(1)),
        label: String::new(),
        address: String::new(),
        picture: String::new(),
    };
    change(&mut location);
    says(place, &Content::Location(location))
}

pub(in crate::proofs::limits) fn custom(data: usize, text: usize) -> CustomContent {
    CustomContent {
        name: "score".to_owned(),
        data: zeros(data),
        text: "x".repeat(text),
    }
}

/// One whose encoded content has so many bytes.
pub(in crate::proofs::limits) fn custom_of(bytes: usize) -> Content {
    let more = Content::Custom(custom(bytes, 1)).encode().len() - bytes;
    Content::Custom(custom(bytes - more, 1))
}

/// A text whose encoded content has so many bytes: a field that nobody knows makes up the rest.
pub(in crate::proofs::limits) fn padded_text(bytes: usize) -> Bytes {
    let mut content = encode(&TextContent::plain("gg"));
    // A map of one more field, which is a `bin 16`.
    if let Some(first) = content.first_mut() {
        *first += 1;
    }
    content.extend_from_slice(b"\xa2zz\xc5");
    let left = bytes.saturating_sub(content.len() + 2);
    content.extend_from_slice(&(left as u16).to_be_bytes());
    content.resize(bytes, 0);
    content.into()
}

pub(in crate::proofs::limits) fn item(
    place: &Place,
    change: impl Fn(&mut ItemLink),
) -> ClientFrame {
    let mut item = ItemLink {
        id: "sword-7".to_owned(),
        name: String::new(),
        rarity: String::new(),
        tooltip: Bytes::new(),
        signature: Bytes::new(),
    };
    change(&mut item);
    let text = String::new();
    says(place, &Content::Item(ItemContent { item, text }))
}

pub(in crate::proofs::limits) fn poll(options: usize, choices_max: u32) -> PollContent {
    PollContent {
        question: "Where to?".to_owned(),
        options: (0..options).map(|n| n.to_string()).collect(),
        choices_max,
        ends: 0,
        anonymous: false,
    }
}

pub(in crate::proofs::limits) fn card(pages: Vec<CardPage>) -> Content {
    Content::Card(CardContent { pages })
}

/// A card with a line of text to fill in.
pub(in crate::proofs::limits) fn line_card() -> Content {
    card(vec![page(vec![element(ElementKind::Text, "line", 0)])])
}

pub(in crate::proofs::limits) fn page(elements: Vec<CardElement>) -> CardPage {
    CardPage {
        title: "Raid".to_owned(),
        text: String::new(),
        picture: String::new(),
        elements,
    }
}

pub(in crate::proofs::limits) fn element(
    kind: ElementKind,
    id: &str,
    options: usize,
) -> CardElement {
    let option = |n: usize| CardOption {
        id: n.to_string(),
        label: String::new(),
    };
    CardElement {
        kind,
        id: id.to_owned(),
        label: String::new(),
        options: (0..options).map(option).collect(),
        required: false,
        value: String::new(),
    }
}

pub(in crate::proofs::limits) fn create(
    place: &Place,
    name: String,
    invited: usize,
) -> ClientFrame {
    CreateGroup {
        name,
        invite: users("c", invited),
        ..stage::create(place.nonce)
    }
    .into()
}

pub(in crate::proofs::limits) fn set(place: &Place, change: Settings) -> ClientFrame {
    SetConversation {
        nonce: place.nonce,
        conversation: place.group,
        change: change.into(),
    }
    .into()
}

pub(in crate::proofs::limits) fn attribute(key: &str, value: &str) -> Attribute {
    Attribute {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

pub(in crate::proofs::limits) fn attributes(count: usize) -> Vec<Attribute> {
    (0..count)
        .map(|n| attribute(&format!("a{n}"), "1"))
        .collect()
}

pub(in crate::proofs::limits) fn member(
    place: &Place,
    name: Option<String>,
    attributes: Option<Vec<Attribute>>,
) -> ClientFrame {
    SetMember {
        nonce: place.nonce,
        conversation: place.group,
        user: None,
        name,
        attributes,
    }
    .into()
}

pub(in crate::proofs::limits) fn folder(place: &Place, name: String) -> ClientFrame {
    SetFolder {
        nonce: place.nonce,
        folder: FolderId([1; 16]),
        name,
        order: 0,
    }
    .into()
}

pub(in crate::proofs::limits) fn draft(place: &Place, content: Bytes) -> ClientFrame {
    SetDraft {
        nonce: place.nonce,
        conversation: place.group,
        content,
        reply_to: 0,
    }
    .into()
}

pub(in crate::proofs::limits) fn rich(secret: usize) -> RichPresence {
    RichPresence {
        what: "Raid".to_owned(),
        details: String::new(),
        join_secret: zeros(secret),
        party_size: 0,
        party_max: 0,
    }
}

pub(in crate::proofs::limits) fn presence(change: impl Fn(&mut SetPresence)) -> ClientFrame {
    let mut said = SetPresence {
        state: PresenceState::Online,
        text: String::new(),
        emoji: String::new(),
        until: 0,
        rich: None,
    };
    change(&mut said);
    said.into()
}

pub(in crate::proofs::limits) fn report(place: &Place, text: String) -> ClientFrame {
    Report {
        nonce: place.nonce,
        conversation: Some(place.group),
        sequence: place.said,
        user: None,
        reason: ReportReason::Other,
        text,
    }
    .into()
}

pub(in crate::proofs::limits) fn profile(
    place: &Place,
    change: impl Fn(&mut SetProfile),
) -> ClientFrame {
    let mut set = SetProfile {
        nonce: place.nonce,
        description: None,
        picture: None,
        attributes: Vec::new(),
    };
    change(&mut set);
    set.into()
}
