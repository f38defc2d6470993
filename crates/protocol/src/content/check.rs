//! What makes a content valid.

use super::{
    AnswerValue, Attachment, CardContent, CardElement, Content, CustomContent, ElementKind,
    ItemLink, LocationContent, MediaContent, PollContent, Span, SpanKind,
};
use crate::{
    Code,
    entry::{Header, MessageKind, Role},
    limits::{
        ANSWER_BYTES_MAX, ATTACHMENTS_MAX, ATTRIBUTE_KEY_BYTES_MAX, ATTRIBUTE_VALUE_BYTES_MAX,
        ATTRIBUTES_MAX, BLUR_BYTES_MAX, CARD_ELEMENTS_MAX, CARD_OPTIONS_MAX, CARD_PAGES_MAX,
        FORWARD_COPIES_MAX, HASH_BYTES_MAX, ID_BYTES_MAX, ITEM_DATA_BYTES_MAX, LABEL_BYTES_MAX,
        LABEL_GRAPHEMES_MAX, LIVE_DATA_BYTES_MAX, MENTION_ROLES_MAX, MENTIONS_MAX,
        POLL_OPTIONS_MAX, POLL_OPTIONS_MIN, REFERENCE_BYTES_MAX, SPANS_MAX, WAVEFORM_BYTES_MAX,
    },
    settings::OWN_ROLES,
    text::{Count, check_text, is_direction},
};

pub(super) fn header(header: &Header) -> Result<(), Code> {
    if header.mentions.len() > MENTIONS_MAX || header.mention_roles.len() > MENTION_ROLES_MAX {
        Err(Code::TooManyNamed)
    } else if header.priority > 2
        || header.forwarded.is_some()
        || (header.mention_roles.iter()).any(|role| !is_role(*role))
    {
        Err(Code::ArgumentInvalid)
    } else {
        Ok(())
    }
}

/// Whether a role may be named: the three of every conversation, and its own.
fn is_role(role: Role) -> bool {
    !matches!(role, Role::Unknown(number) if !OWN_ROLES.contains(&number))
}

pub(super) fn content(content: &Content, header: &Header, count: Count) -> Result<(), Code> {
    match content {
        Content::Text(content) => {
            check_text(&content.text, count).map_err(|error| error.code())?;
            spans(&content.text, &content.spans, header, count)
        }
        Content::Image(content)
        | Content::Video(content)
        | Content::Audio(content)
        | Content::File(content) => media(content, header, count),
        Content::Sticker(content) => {
            id(&content.pack)?;
            id(&content.id)?;
            caption(&content.text, count)
        }
        Content::Location(content) => location(content, count),
        Content::Custom(content) => custom(content, usize::MAX, count),
        Content::Live(content) => live_state(content, count),
        Content::System(content) => {
            check_text(&content.text, count).map_err(|error| error.code())?;
            line(&content.key, ID_BYTES_MAX)?;
            let pairs = &content.arguments;
            let bad = |pair: &crate::settings::Attribute| {
                line(&pair.key, ATTRIBUTE_KEY_BYTES_MAX).is_err()
                    || line(&pair.value, ATTRIBUTE_VALUE_BYTES_MAX).is_err()
            };
            deny(pairs.len() > ATTRIBUTES_MAX || pairs.iter().any(bad))
        }
        Content::Poll(content) => poll(content, count),
        Content::Card(content) => {
            let pages = &content.pages;
            deny(pages.is_empty() || pages.len() > CARD_PAGES_MAX)?;
            for page in pages {
                label(&page.title, count)?;
                caption(&page.text, count)?;
                line(&page.picture, REFERENCE_BYTES_MAX)?;
            }
            elements(content.pages.iter().flat_map(|page| &page.elements), count)
        }
        // Made by the server, of what was checked before.
        Content::Merged(content) => {
            label(&content.title, count)?;
            deny(content.copies.is_empty() || content.copies.len() > FORWARD_COPIES_MAX)
        }
        Content::Item(content) => {
            item(&content.item, count)?;
            caption(&content.text, count)
        }
    }
}

/// What a live object may be: less than other custom contents, because it is kept twice.
pub(super) fn live_state(content: &CustomContent, count: Count) -> Result<(), Code> {
    custom(content, LIVE_DATA_BYTES_MAX, count)?;
    deny(content.text.len() > LIVE_DATA_BYTES_MAX)
}

fn deny(wrong: bool) -> Result<(), Code> {
    if wrong {
        Err(Code::ContentInvalid)
    } else {
        Ok(())
    }
}

/// A short text that no person wrote.
fn line(text: &str, bytes_max: usize) -> Result<(), Code> {
    let bad = |c: char| c.is_control() || is_direction(c);
    deny(text.len() > bytes_max || text.chars().any(bad))
}

fn id(text: &str) -> Result<(), Code> {
    deny(text.is_empty())?;
    line(text, ID_BYTES_MAX)
}

/// A short text that a person wrote, in one line.
fn label(text: &str, count: Count) -> Result<(), Code> {
    line(text, LABEL_BYTES_MAX)?;
    deny(count.over(text, LABEL_GRAPHEMES_MAX))
}

/// A text as in a message, or none.
fn caption(text: &str, count: Count) -> Result<(), Code> {
    if text.is_empty() {
        return Ok(());
    }
    check_text(text, count).map_err(|error| error.code())
}

pub(super) fn is_address(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let bad = |c: char| c.is_control() || c.is_whitespace() || is_direction(c);
    text.len() <= REFERENCE_BYTES_MAX
        && rest.is_some_and(|rest| !rest.is_empty() && !rest.chars().any(bad))
}

fn spans(text: &str, spans: &[Span], header: &Header, count: Count) -> Result<(), Code> {
    deny(spans.len() > SPANS_MAX)?;
    let mut before = 0;
    for span in spans {
        let (start, length) = (span.start as usize, span.length as usize);
        let part = start
            .checked_add(length)
            .and_then(|end| text.get(start..end));
        let ok = match span.kind {
            // A mention that the header does not name would be shown and tell nobody.
            SpanKind::Mention => {
                (span.user.as_ref()).is_some_and(|user| header.mentions.contains(user))
            }
            SpanKind::MentionAll => header.mention_all,
            SpanKind::MentionRole => {
                let named = header.mention_roles.iter();
                named
                    .map(|role| role.number())
                    .any(|it| span.value.parse() == Ok(it))
            }
            SpanKind::Link => is_address(&span.value),
            SpanKind::Item => (span.item.as_ref()).is_some_and(|it| item(it, count).is_ok()),
            SpanKind::Emoji => id(&span.value).is_ok(),
            // A later client's: it is kept within the same bounds.
            _ => line(&span.value, REFERENCE_BYTES_MAX).is_ok(),
        };
        deny(!ok || length == 0 || part.is_none() || start < before)?;
        before = start;
    }
    Ok(())
}

fn item(link: &ItemLink, count: Count) -> Result<(), Code> {
    id(&link.id)?;
    label(&link.name, count)?;
    line(&link.rarity, ID_BYTES_MAX)?;
    deny(link.tooltip.len() > ITEM_DATA_BYTES_MAX || link.signature.len() > ITEM_DATA_BYTES_MAX)
}

fn media(content: &MediaContent, header: &Header, count: Count) -> Result<(), Code> {
    let most = match header.kind {
        MessageKind::Image => ATTACHMENTS_MAX,
        _ => 1,
    };
    let files = content.attachments.len();
    deny(files == 0 || files > most)?;
    for Attachment {
        reference,
        media_type,
        name,
        hash,
        thumbnail,
        blur,
        waveform,
        ..
    } in &content.attachments
    {
        deny(reference.is_empty())?;
        line(reference, REFERENCE_BYTES_MAX)?;
        line(media_type, ID_BYTES_MAX)?;
        label(name, count)?;
        line(thumbnail, REFERENCE_BYTES_MAX)?;
        deny(
            hash.len() > HASH_BYTES_MAX
                || blur.len() > BLUR_BYTES_MAX
                || waveform.len() > WAVEFORM_BYTES_MAX,
        )?;
    }
    caption(&content.text, count)?;
    spans(&content.text, &content.spans, header, count)
}

fn location(content: &LocationContent, count: Count) -> Result<(), Code> {
    deny(content.earth.is_none() && content.world.is_none())?;
    if let Some(earth) = &content.earth {
        deny(earth.latitude.0.abs() > 90.0 || earth.longitude.0.abs() > 180.0)?;
    }
    if let Some(world) = &content.world {
        id(&world.map)?;
    }
    label(&content.label, count)?;
    line(&content.address, REFERENCE_BYTES_MAX)?;
    line(&content.picture, REFERENCE_BYTES_MAX)
}

fn custom(content: &CustomContent, data_bytes_max: usize, count: Count) -> Result<(), Code> {
    id(&content.name)?;
    deny(content.data.len() > data_bytes_max)?;
    caption(&content.text, count)
}

fn poll(content: &PollContent, count: Count) -> Result<(), Code> {
    deny(content.question.trim().is_empty())?;
    label(&content.question, count)?;
    let options = content.options.len();
    deny(!(POLL_OPTIONS_MIN..=POLL_OPTIONS_MAX).contains(&options))?;
    deny(content.choices_max as usize > options)?;
    for (index, option) in content.options.iter().enumerate() {
        label(option, count)?;
        let earlier = content.options.iter().take(index);
        deny(option.trim().is_empty() || earlier.into_iter().any(|other| other == option))?;
    }
    Ok(())
}

fn elements<'a>(elements: impl Iterator<Item = &'a CardElement>, count: Count) -> Result<(), Code> {
    let mut seen: Vec<&str> = Vec::new();
    for element in elements {
        id(&element.id)?;
        label(&element.label, count)?;
        line(&element.value, REFERENCE_BYTES_MAX)?;
        deny(seen.len() >= CARD_ELEMENTS_MAX || seen.contains(&element.id.as_str()))?;
        seen.push(&element.id);
        let chooses = matches!(element.kind, ElementKind::Choice | ElementKind::Choices);
        deny(chooses == element.options.is_empty() || element.options.len() > CARD_OPTIONS_MAX)?;
        for (index, option) in element.options.iter().enumerate() {
            id(&option.id)?;
            label(&option.label, count)?;
            let mut earlier = element.options.iter().take(index);
            deny(earlier.any(|other| other.id == option.id))?;
        }
        deny(element.kind == ElementKind::Link && !is_address(&element.value))?;
    }
    Ok(())
}

/// An answer to a card: what it names is there, each once (but `Choices`), chosen among what is offered, and nothing required is missing.
pub(super) fn answer(card: &CardContent, values: &[AnswerValue], count: Count) -> Result<(), Code> {
    let elements = || card.pages.iter().flat_map(|page| &page.elements);
    deny(values.is_empty() || values.len() > CARD_ELEMENTS_MAX * CARD_OPTIONS_MAX)?;
    for (index, value) in values.iter().enumerate() {
        let element = elements().find(|element| element.id == value.id);
        let Some(element) = element else {
            return Err(Code::ContentInvalid);
        };
        let is_option = element.options.iter().any(|it| it.id == value.value);
        let mut earlier = values.iter().take(index);
        let repeated = earlier.any(|other| {
            other.id == value.id
                && (element.kind != ElementKind::Choices || other.value == value.value)
        });
        let fits = match element.kind {
            ElementKind::Button => value.value == element.value,
            ElementKind::Choice | ElementKind::Choices => is_option,
            ElementKind::Text => caption(&value.value, count).is_ok(),
            ElementKind::Date => is_date(&value.value),
            ElementKind::Link | ElementKind::Unknown(_) => false,
        };
        deny(repeated || !fits || value.value.len() > ANSWER_BYTES_MAX)?;
    }
    let missing = |element: &CardElement| {
        element.required && !values.iter().any(|value| value.id == element.id)
    };
    deny(elements().any(missing))
}

/// A day of the calendar, as `YYYY-MM-DD`.
fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut number = |digits: usize| {
        let part = parts.next().unwrap_or_default();
        let plain = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| part.parse::<u32>().ok()).flatten()
    };
    let (Some(year), Some(month), Some(day)) = (number(4), number(2), number(2)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    parts.next().is_none() && (1..=days).contains(&day)
}
