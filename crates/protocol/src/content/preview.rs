//! Link previews: which link of a text has one, and what it shows.

use bytes::Bytes;

use super::{Span, SpanKind, TextContent, check};
use crate::{
    Code,
    codec::decode,
    entry::MessageKind,
    limits::{
        NAME_BYTES_MAX, NAME_GRAPHEMES_MAX, PREVIEW_CONTENT_BYTES_MAX,
        PREVIEW_DESCRIPTION_BYTES_MAX, PREVIEW_DESCRIPTION_GRAPHEMES_MAX, PREVIEW_TITLE_BYTES_MAX,
        PREVIEW_TITLE_GRAPHEMES_MAX, REFERENCE_BYTES_MAX,
    },
    record,
    text::{Count, is_direction},
};

record! {
    /// The content of [`FacetKind::Preview`](crate::entry::FacetKind): what the page behind a message's first link says of itself, as the
    /// server read it. It is the page's own word, not the sender's and not the server's. All texts are in NFC, in one line, without control,
    /// direction or zero-width characters.
    LinkPreview {
        /// The link, as it stands in the message.
        req "u" url: String,
        /// The page's title.
        opt "ti" title: String,
        /// What the page is about.
        opt "de" description: String,
        /// The site's name.
        opt "si" site: String,
        /// The address of a picture, http or https. The server has not looked at it, and whoever loads it tells its host of it: only a game that
        /// wants that does.
        opt "pi" image: String,
    }
}

impl LinkPreview {
    /// Whether it is within its limits. The server counts, a client need not.
    ///
    /// # Errors
    /// `content_invalid`.
    pub fn check(&self, count: Count) -> Result<(), Code> {
        let line = |text: &str, bytes: usize, graphemes: usize| {
            let bad = |c: char| c.is_control() || is_direction(c);
            text.len() <= bytes && !text.chars().any(bad) && !count.over(text, graphemes)
        };
        let ok = is_written_link(&self.url)
            && (self.image.is_empty() || check::is_address(&self.image))
            && !(self.title.is_empty() && self.description.is_empty() && self.image.is_empty())
            && line(
                &self.title,
                PREVIEW_TITLE_BYTES_MAX,
                PREVIEW_TITLE_GRAPHEMES_MAX,
            )
            && line(
                &self.description,
                PREVIEW_DESCRIPTION_BYTES_MAX,
                PREVIEW_DESCRIPTION_GRAPHEMES_MAX,
            )
            && line(&self.site, NAME_BYTES_MAX, NAME_GRAPHEMES_MAX);
        if ok {
            Ok(())
        } else {
            Err(Code::ContentInvalid)
        }
    }
}

/// The link that a message of this kind and content has a preview of, as it is written: of a text its first one. `None` if there is none, or
/// the content is over [`PREVIEW_CONTENT_BYTES_MAX`].
#[must_use]
pub fn link_of(kind: MessageKind, content: &Bytes) -> Option<String> {
    if kind != MessageKind::Text || content.len() > PREVIEW_CONTENT_BYTES_MAX {
        return None;
    }
    // Most messages have none, and need not be read.
    if !content.windows(3).any(|part| part == b"://") {
        return None;
    }
    let content: TextContent = decode(content).ok()?;
    content.first_link().map(str::to_owned)
}

impl TextContent {
    /// Its first link, http or https: a [`SpanKind::Link`], or an address that stands in the text itself. One in a part that is hidden
    /// ([`SpanKind::Spoiler`]) or shown as it stands ([`SpanKind::Code`]) does not count.
    #[must_use]
    pub fn first_link(&self) -> Option<&str> {
        let covers = |span: &Span, at: usize| {
            let start = span.start as usize;
            start <= at && at < start.saturating_add(span.length as usize)
        };
        let is_shut = |at: usize| {
            (self.spans.iter()).any(|span| {
                matches!(span.kind, SpanKind::Spoiler | SpanKind::Code) && covers(span, at)
            })
        };
        let spans = self.spans.iter().filter(|span| {
            span.kind == SpanKind::Link
                && is_written_link(&span.value)
                && !is_shut(span.start as usize)
        });
        let named = spans.min_by_key(|span| span.start);
        let named_at = named.map_or(usize::MAX, |span| span.start as usize);
        let mut from = 0;
        while let Some((start, link)) = next_link(&self.text, from) {
            if start >= named_at {
                break;
            }
            if !is_shut(start) {
                return Some(link);
            }
            from = start + link.len();
        }
        named.map(|span| span.value.as_str())
    }
}

/// The first address in a text from a place on, and where it begins.
fn next_link(text: &str, mut from: usize) -> Option<(usize, &str)> {
    loop {
        let colon = from + text.get(from..)?.find("://")?;
        from = colon + 3;
        let before = text.get(..colon)?;
        let Some(start) = ["https", "http"].into_iter().find_map(|scheme| {
            let start = colon.checked_sub(scheme.len())?;
            let found = before.get(start..)?;
            found.eq_ignore_ascii_case(scheme).then_some(start)
        }) else {
            continue;
        };
        let glued = text.get(..start)?.chars().next_back();
        if glued.is_some_and(|c| c.is_ascii_alphanumeric()) {
            continue;
        }
        let rest = text.get(start..)?;
        let end = rest.find(ends_link).unwrap_or(rest.len());
        let link = without_closing(rest.get(..end)?);
        if link.len() > colon + 3 - start && is_written_link(link) {
            return Some((start, link));
        }
    }
}

/// Whether a character is no part of an address in a text. Much writing has no space behind one.
fn ends_link(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || is_direction(c)
        || matches!(
            c,
            '<' | '>' | '"' | '`' | '\\' | '^' | '{' | '|' | '}' | '\u{200b}' | '\u{2060}' | '\u{feff}'
        )
        // Punctuation of East Asian writing.
        || matches!(c, '\u{3000}'..='\u{303f}' | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}' | '\u{ff5b}'..='\u{ff65}')
}

/// An address without the punctuation of the sentence around it: a closing bracket belongs to it only with its opening one.
fn without_closing(mut link: &str) -> &str {
    while let Some(last) = link.chars().next_back() {
        let open = match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~' => None,
            ')' => Some('('),
            ']' => Some('['),
            _ => return link,
        };
        if let Some(open) = open
            && link.matches(open).count() >= link.matches(last).count()
        {
            return link;
        }
        link = link.get(..link.len() - last.len_utf8()).unwrap_or_default();
    }
    link
}

/// Whether a text is an address as people write it: capital letters in the scheme do no harm.
fn is_written_link(text: &str) -> bool {
    let lower = |scheme: &str| {
        let found = text.get(..scheme.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(scheme)) && text.len() > scheme.len()
    };
    let bad = |c: char| c.is_control() || c.is_whitespace() || is_direction(c);
    (lower("https://") || lower("http://"))
        && text.len() <= REFERENCE_BYTES_MAX
        && !text.chars().any(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::encode;

    fn link(text: &str) -> Option<&str> {
        let found = next_link(text, 0);
        found.map(|(_, link)| link)
    }

    #[test]
    fn links_in_a_text() {
        for (text, expected) in [
            (
                "see https://a.example/x?y=1#z now",
                Some("https://a.example/x?y=1#z"),
            ),
            (
                "(see http://a.example/w_(x))",
                Some("http://a.example/w_(x)"),
            ),
            ("HTTPS://A.example.", Some("HTTPS://A.example")),
            (
                "看https://a.example/游戏。好",
                Some("https://a.example/游戏"),
            ),
            ("<https://a.example>", Some("https://a.example")),
            ("xhttps://a.example", None),
            ("ftp://a.example", None),
            ("https://", None),
            ("https:// a", None),
            ("://", None),
            ("a://b https://c.example", Some("https://c.example")),
            ("https://a.example/\u{202e}x", Some("https://a.example/")),
            ("https://[::1]/", Some("https://[::1]/")),
            ("é://x http://é.example!", Some("http://é.example")),
        ] {
            assert_eq!(link(text), expected, "{text:?}");
        }
        let long = format!("https://a.example/{}", "x".repeat(REFERENCE_BYTES_MAX));
        assert_eq!(link(&long), None);
    }

    fn span(kind: SpanKind, start: u32, length: u32, value: &str) -> Span {
        Span {
            kind,
            start,
            length,
            user: None,
            value: value.to_owned(),
            item: None,
        }
    }

    #[test]
    fn the_first_that_is_shown_counts() {
        let text = "map http://a.example http://b.example";
        let first = |spans| {
            let content = TextContent {
                text: text.to_owned(),
                spans,
            };
            link_of(MessageKind::Text, &encode(&content).into())
        };
        let is = |link: &str| Some(link.to_owned());
        assert_eq!(first(vec![]), is("http://a.example"));
        let named = span(SpanKind::Link, 0, 3, "https://c.example");
        assert_eq!(first(vec![named.clone()]), is("https://c.example"));
        let later = span(SpanKind::Link, 21, 3, "https://c.example");
        assert_eq!(first(vec![later.clone()]), is("http://a.example"));
        for shut in [SpanKind::Spoiler, SpanKind::Code] {
            assert_eq!(first(vec![span(shut, 2, 10, "")]), is("http://b.example"));
            let both = vec![span(shut, 2, 10, ""), later.clone()];
            assert_eq!(first(both), is("https://c.example"));
            assert_eq!(first(vec![named.clone(), span(shut, 0, 37, "")]), None);
        }
    }

    #[test]
    fn only_texts_within_the_limit() {
        let content = encode(&TextContent::plain("https://a.example")).into();
        assert!(link_of(MessageKind::Text, &content).is_some());
        assert_eq!(link_of(MessageKind::Custom, &content), None);
        assert_eq!(
            link_of(MessageKind::Text, &Bytes::from_static(b"://")),
            None,
            "no content at all"
        );
        let long = format!(
            "https://a.example {}",
            "x".repeat(PREVIEW_CONTENT_BYTES_MAX)
        );
        let content = encode(&TextContent::plain(long)).into();
        assert_eq!(link_of(MessageKind::Text, &content), None);
    }

    #[test]
    fn limits() {
        let good = LinkPreview {
            url: "https://a.example".to_owned(),
            title: "x".repeat(PREVIEW_TITLE_GRAPHEMES_MAX),
            description: String::new(),
            site: String::new(),
            image: "https://a.example/i.png".to_owned(),
        };
        let ok = |preview: LinkPreview| preview.check(Count::GRAPHEMES).is_ok();
        assert!(ok(good.clone()));
        let bad = [
            LinkPreview {
                url: "ftp://a".to_owned(),
                ..good.clone()
            },
            LinkPreview {
                title: format!("{}x", good.title),
                ..good.clone()
            },
            LinkPreview {
                title: "a\nb".to_owned(),
                ..good.clone()
            },
            LinkPreview {
                site: "a\u{202e}".to_owned(),
                ..good.clone()
            },
            LinkPreview {
                image: "javascript:x".to_owned(),
                ..good.clone()
            },
            LinkPreview {
                description: "x".repeat(PREVIEW_DESCRIPTION_BYTES_MAX + 1),
                ..good.clone()
            },
            LinkPreview {
                title: String::new(),
                image: String::new(),
                ..good
            },
        ];
        for bad in bad {
            assert!(!ok(bad.clone()), "{bad:?}");
        }
    }
}
