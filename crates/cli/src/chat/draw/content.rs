//! Messages that are no plain text, as text.

use fireside_client_core::view::{Details, PollRow, Quote, QuoteState};
use fireside_protocol::{
    Content,
    content::{
        AnswerContent, CardElement, ElementKind, LinkPreview, LocationContent, MediaContent,
        MergedContent, PollContent,
    },
};

use crate::chat::wrap::{cut, safe_line};

/// What a message says, line by line.
pub(super) fn text(content: &Content, details: Option<&Details>) -> String {
    match content {
        Content::Text(content) => content.text.clone(),
        Content::Image(content) => media("picture", content),
        Content::Video(content) => media("video", content),
        Content::Audio(content) => media("audio", content),
        Content::File(content) => media("file", content),
        Content::Sticker(content) => {
            let text = if content.text.is_empty() {
                &content.id
            } else {
                &content.text
            };
            format!("[sticker] {}", safe_line(text))
        }
        Content::Location(content) => location(content),
        Content::Custom(content) => fallback(&content.name, &content.text),
        Content::Live(content) => format!("⟳ {}", fallback(&content.name, &content.text)),
        Content::System(content) => content.text.clone(),
        Content::Poll(content) => poll(content, details.and_then(|it| it.poll.as_ref())),
        Content::Card(content) => {
            let pages = content.pages.iter().map(|page| {
                let mut lines = vec![safe_line(&page.title), page.text.clone()];
                lines.extend(page.elements.iter().map(element));
                lines.retain(|line| !line.is_empty());
                lines.join("\n")
            });
            pages.collect::<Vec<_>>().join("\n· · ·\n")
        }
        Content::Merged(content) => merged(content),
        Content::Item(content) => {
            let item = &content.item;
            // The name is the sender's word: a program that knows the game would look the id up.
            let name = if item.name.is_empty() {
                &item.id
            } else {
                &item.name
            };
            let text = format!("[{}] {}", safe_line(name), content.text);
            text.trim_end().to_owned()
        }
        _ => "a message of a kind this program does not know".to_owned(),
    }
}

/// What was said elsewhere: who said it, and how it begins.
fn merged(content: &MergedContent) -> String {
    let mut lines = vec![if content.title.is_empty() {
        "[forwarded]".to_owned()
    } else {
        format!("[forwarded] {}", safe_line(&content.title))
    }];
    for copy in &content.copies {
        let text = Content::decode(copy.kind, &copy.content).map(|it| it.plain_text());
        let text = match (copy.gone, text) {
            (true, _) => "taken back by an admin".to_owned(),
            (false, Ok(text)) => safe_line(&text),
            (false, Err(_)) => "a message of a kind this program does not know".to_owned(),
        };
        lines.push(format!("  {}: {text}", safe_line(copy.from.user.as_str())));
    }
    lines.join("\n")
}

/// What was put into a card.
pub(super) fn answer(answer: &AnswerContent) -> String {
    let values = answer.values.iter();
    let values = values.map(|it| format!("{}: {}", safe_line(&it.id), safe_line(&it.value)));
    format!(
        "answers the card: {}",
        values.collect::<Vec<_>>().join(", ")
    )
}

/// What is answered, in one line.
pub(super) fn quote(quote: &Quote, room: usize) -> String {
    let text = match (&quote.sender, quote.state) {
        (_, QuoteState::Recalled) => "a message that is gone".to_owned(),
        (Some(sender), QuoteState::Held) => {
            let text = safe_line(&quote.text);
            format!("{}: {text}", safe_line(sender.as_str()))
        }
        _ => "an earlier message".to_owned(),
    };
    format!("┃ {}", cut(&text, room.saturating_sub(2)))
}

/// What the page behind a link says of itself, in one line: its title, and what site it is of.
pub(super) fn preview(preview: &LinkPreview, room: usize) -> String {
    let said = [&preview.title, &preview.description];
    let said = said.into_iter().find(|text| !text.is_empty());
    let said = said.map_or("a picture", String::as_str);
    let text = if preview.site.is_empty() {
        safe_line(said)
    } else {
        format!("{} — {}", safe_line(said), safe_line(&preview.site))
    };
    cut(&text, room.saturating_sub(2))
}

fn media(what: &str, content: &MediaContent) -> String {
    let names = content.attachments.iter().map(|it| {
        let name = if it.name.is_empty() {
            &it.reference
        } else {
            &it.name
        };
        format!("[{what}] {}", safe_line(name))
    });
    let mut lines: Vec<String> = names.collect();
    if !content.text.is_empty() {
        lines.push(content.text.clone());
    }
    lines.join("\n")
}

fn location(content: &LocationContent) -> String {
    let mut parts = Vec::new();
    if !content.label.is_empty() {
        parts.push(safe_line(&content.label));
    }
    if let Some(place) = &content.world {
        parts.push(format!(
            "{} ({:.0}, {:.0}, {:.0})",
            safe_line(&place.map),
            place.x.0,
            place.y.0,
            place.z.0
        ));
    }
    if let Some(place) = &content.earth {
        parts.push(format!("{:.5}, {:.5}", place.latitude.0, place.longitude.0));
    }
    if !content.address.is_empty() {
        parts.push(safe_line(&content.address));
    }
    format!("⌖ {}", parts.join(" · "))
}

fn fallback(name: &str, text: &str) -> String {
    if text.is_empty() {
        format!("[{}]", safe_line(name))
    } else {
        text.to_owned()
    }
}

fn poll(content: &PollContent, state: Option<&PollRow>) -> String {
    let mut lines = vec![format!("◷ {}", safe_line(&content.question))];
    for (index, option) in content.options.iter().enumerate() {
        let votes = state.and_then(|state| state.options.get(index));
        let mark = if votes.is_some_and(|votes| votes.mine) {
            "●"
        } else {
            "○"
        };
        let count = votes.map_or(0, |votes| votes.count);
        let number = index + 1;
        lines.push(format!("{mark} {number} {}  {count}", safe_line(option)));
    }
    let closed = state.is_some_and(|state| state.closed);
    let ends = match (closed, content.anonymous) {
        (false, false) => None,
        (true, false) => Some("closed"),
        (false, true) => Some("anonymous"),
        (true, true) => Some("closed, anonymous"),
    };
    lines.extend(ends.map(str::to_owned));
    lines.join("\n")
}

fn element(element: &CardElement) -> String {
    let label = if element.label.is_empty() {
        &element.id
    } else {
        &element.label
    };
    let (id, label) = (safe_line(&element.id), safe_line(label));
    let must = if element.required { " *" } else { "" };
    match element.kind {
        ElementKind::Button => format!("[ {label} ]  {id}={}", safe_line(&element.value)),
        ElementKind::Choice | ElementKind::Choices => {
            let options = element.options.iter().map(|it| safe_line(&it.id));
            format!(
                "{label}{must}  {id}={}",
                options.collect::<Vec<_>>().join("|")
            )
        }
        ElementKind::Text => format!("{label}{must}  {id}=…"),
        ElementKind::Date => format!("{label}{must}  {id}=YYYY-MM-DD"),
        ElementKind::Link => format!("{label}  {}", safe_line(&element.value)),
        ElementKind::Unknown(_) => label,
    }
}
