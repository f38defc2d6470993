//! Contents as plain text.

use super::{Content, Copied, MediaContent};

pub(super) fn text(content: &Content) -> String {
    match content {
        Content::Text(content) => content.text.clone(),
        Content::Image(content)
        | Content::Video(content)
        | Content::Audio(content)
        | Content::File(content) => media(content),
        Content::Sticker(content) => content.text.clone(),
        Content::Location(content) => {
            let world = content.world.as_ref().map(|world| world.map.as_str());
            first([&content.label, &content.address, world.unwrap_or_default()])
        }
        Content::Custom(content) | Content::Live(content) => content.text.clone(),
        Content::System(content) => content.text.clone(),
        Content::Poll(content) => content.question.clone(),
        Content::Card(content) => {
            let page = content.pages.first();
            page.map_or_else(String::new, |page| first([&page.title, &page.text, ""]))
        }
        Content::Merged(content) => {
            // One line each; of what was merged before only its heading is looked at.
            let texts = content.copies.iter().map(copied);
            let mut lines = vec![content.title.clone()];
            lines.extend(texts);
            lines.retain(|line| !line.is_empty());
            lines.join("\n")
        }
        Content::Item(content) => first([&content.text, &content.item.name, &content.item.id]),
    }
}

fn copied(copy: &Copied) -> String {
    match Content::decode(copy.kind, &copy.content) {
        Ok(Content::Merged(content)) => content.title,
        Ok(content) => text(&content),
        Err(_) => String::new(),
    }
}

fn media(content: &MediaContent) -> String {
    let name = content.attachments.first().map(|it| it.name.as_str());
    first([&content.text, name.unwrap_or_default(), ""])
}

fn first(texts: [&str; 3]) -> String {
    let mut texts = texts.into_iter();
    let found = texts.find(|text| !text.is_empty());
    found.unwrap_or_default().to_owned()
}
