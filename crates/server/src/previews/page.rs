//! What a page's head says of it. A tokenizer reads it, not a browser: no script runs, nothing is loaded.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use fireside_protocol::{
    limits::{
        NAME_BYTES_MAX, NAME_GRAPHEMES_MAX, PREVIEW_DESCRIPTION_BYTES_MAX,
        PREVIEW_DESCRIPTION_GRAPHEMES_MAX, PREVIEW_TITLE_BYTES_MAX, PREVIEW_TITLE_GRAPHEMES_MAX,
        REFERENCE_BYTES_MAX,
    },
    text::one_line,
};
use fireside_server_core::previews::PageSummary;
use html5gum::{DefaultEmitter, HtmlString, StartTag, Token, Tokenizer};
use url::Url;

/// Reads the start of a page. `charset` is what its header declares; `at` is its own address.
pub(super) fn summary(bytes: &[u8], charset: Option<&str>, at: &Url) -> PageSummary {
    let text = decode(bytes, charset);
    let found = Found::read(&text);
    let host = at.host_str().unwrap_or_default();
    let site = found.site.unwrap_or_else(|| {
        let host = host.strip_prefix("www.").unwrap_or(host);
        host.to_owned()
    });
    let title = found.og_title.or(found.card_title).or(found.title);
    let description = (found.og_description).or(found.card_description);
    let description = description.or(found.description);
    let image = found.og_image.or(found.card_image);
    PageSummary {
        title: one_line(
            &title.unwrap_or_default(),
            PREVIEW_TITLE_BYTES_MAX,
            PREVIEW_TITLE_GRAPHEMES_MAX,
        ),
        description: one_line(
            &description.unwrap_or_default(),
            PREVIEW_DESCRIPTION_BYTES_MAX,
            PREVIEW_DESCRIPTION_GRAPHEMES_MAX,
        ),
        site: one_line(&site, NAME_BYTES_MAX, NAME_GRAPHEMES_MAX),
        image: image
            .and_then(|image| address(&image, at))
            .unwrap_or_default(),
    }
}

/// The whole address of a picture that a page names.
fn address(named: &str, at: &Url) -> Option<String> {
    if named.len() > REFERENCE_BYTES_MAX {
        return None;
    }
    let whole = at.join(named.trim()).ok()?;
    let known = matches!(whole.scheme(), "https" | "http");
    let plain = whole.username().is_empty() && whole.password().is_none();
    let whole = String::from(whole);
    (known && plain && whole.len() <= REFERENCE_BYTES_MAX).then_some(whole)
}

/// A page as text: by its mark, its header, what it declares itself, or as UTF-8 if it is that.
fn decode<'a>(bytes: &'a [u8], charset: Option<&str>) -> Cow<'a, str> {
    let label = |label: &str| Encoding::for_label(label.trim().as_bytes());
    let encoding = match charset.and_then(label) {
        Some(encoding) => encoding,
        None => {
            let start = bytes.get(..DECLARED_WITHIN).unwrap_or(bytes);
            // What it declares is written in ASCII, whatever it is.
            let start = String::from_utf8_lossy(start);
            match declared(&start).as_deref().and_then(label) {
                // A page in UTF-16 could not have declared it so.
                Some(encoding) => encoding.output_encoding(),
                None if is_utf8(bytes) => UTF_8,
                None => WINDOWS_1252,
            }
        }
    };
    // A mark at the start comes before all.
    encoding.decode(bytes).0
}

/// Whether bytes are UTF-8, perhaps cut in a character.
fn is_utf8(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    }
}

/// The encoding that a page's start declares.
fn declared(start: &str) -> Option<String> {
    for tag in tags(start) {
        let Token::StartTag(tag) = tag else { continue };
        if &**tag.name != b"meta" {
            continue;
        }
        if let Some(charset) = attribute(&tag, b"charset") {
            return Some(charset.into_owned());
        }
        let kind = attribute(&tag, b"http-equiv");
        if kind.is_some_and(|kind| kind.eq_ignore_ascii_case("content-type"))
            && let Some(content) = attribute(&tag, b"content")
            && let Some(charset) = charset_of(&content)
        {
            return Some(charset.to_owned());
        }
    }
    None
}

/// The `charset` parameter of a media type.
pub(super) fn charset_of(media_type: &str) -> Option<&str> {
    media_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        (name.trim().eq_ignore_ascii_case("charset") && !value.is_empty()).then_some(value)
    })
}

/// The first of each that a page's head names.
#[derive(Default)]
struct Found {
    title: Option<String>,
    description: Option<String>,
    og_title: Option<String>,
    og_description: Option<String>,
    og_image: Option<String>,
    card_title: Option<String>,
    card_description: Option<String>,
    card_image: Option<String>,
    site: Option<String>,
}

impl Found {
    fn read(text: &str) -> Self {
        let mut found = Self::default();
        let mut title: Option<String> = None;
        for token in tags(text) {
            match token {
                Token::StartTag(tag) => match &**tag.name {
                    b"body" => break,
                    b"title" if found.title.is_none() => title = Some(String::new()),
                    b"meta" => found.take(&tag),
                    _ => {}
                },
                Token::String(part) => {
                    if let Some(title) = &mut title
                        && title.len() < KEPT_BYTES_MAX
                    {
                        title.push_str(&String::from_utf8_lossy(&part.value));
                    }
                }
                Token::EndTag(tag) => match &**tag.name {
                    b"head" => break,
                    b"title" => put(&mut found.title, title.take()),
                    _ => {}
                },
                _ => {}
            }
        }
        // One that was cut.
        put(&mut found.title, title);
        found
    }

    fn take(&mut self, tag: &StartTag<()>) {
        let name = attribute(tag, b"property").or_else(|| attribute(tag, b"name"));
        let (Some(name), Some(content)) = (name, attribute(tag, b"content")) else {
            return;
        };
        let slot = match name.trim().to_ascii_lowercase().as_str() {
            "og:title" => &mut self.og_title,
            "og:description" => &mut self.og_description,
            "og:image" | "og:image:url" | "og:image:secure_url" => &mut self.og_image,
            "og:site_name" => &mut self.site,
            "twitter:title" => &mut self.card_title,
            "twitter:description" => &mut self.card_description,
            "twitter:image" | "twitter:image:src" => &mut self.card_image,
            "description" => &mut self.description,
            _ => return,
        };
        put(slot, Some(content.into_owned()));
    }
}

/// The first that says something counts.
fn put(slot: &mut Option<String>, found: Option<String>) {
    if slot.is_none() {
        *slot = found.filter(|text| !text.trim().is_empty());
    }
}

fn attribute<'a>(tag: &'a StartTag<()>, name: &[u8]) -> Option<Cow<'a, str>> {
    let value: &HtmlString = &tag.attributes.get(name)?.value;
    let value = value.get(..KEPT_BYTES_MAX).unwrap_or(value);
    Some(String::from_utf8_lossy(value))
}

/// The tokens of a page, text of scripts and titles as such.
fn tags(text: &str) -> impl Iterator<Item = Token> + '_ {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(text, emitter).filter_map(Result::ok)
}

/// Where a page must have declared its encoding, in bytes.
const DECLARED_WITHIN: usize = 1_024;
/// What is kept of one value before it is cut to its own limit, in bytes.
const KEPT_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn at() -> Url {
        Url::parse("https://www.a.example/x/page.html").unwrap()
    }

    fn of(text: &str) -> PageSummary {
        summary(text.as_bytes(), None, &at())
    }

    #[test]
    fn the_head_says_what_a_page_is() {
        let found = of(
            "<!doctype html><html><head><script>var x = '<title>no</title>'</script>\
             <TITLE>Plain &amp; simple</TITLE><meta name=description content='plain'>\
             <meta property='og:title' content='  The\n title '><meta property=og:site_name content=Site>\
             <meta name='twitter:description' content='card'><meta property='og:image' content='../i.png'>\
             </head><body><meta property='og:description' content='too late'>",
        );
        assert_eq!(
            (found.title.as_str(), found.description.as_str()),
            ("The title", "card")
        );
        assert_eq!(found.site, "Site");
        assert_eq!(found.image, "https://www.a.example/i.png");
        let plain = of("<title>Plain &amp; simple</title><meta name=description content=d>");
        assert_eq!(
            (plain.title.as_str(), plain.description.as_str()),
            ("Plain & simple", "d")
        );
        assert_eq!(
            (plain.site.as_str(), plain.image.as_str()),
            ("a.example", "")
        );
    }

    #[test]
    fn hostile_markup() {
        for (page, title) in [
            ("", ""),
            ("<title>", ""),
            ("<title>cut", "cut"),
            ("<title>a</title><title>b</title>", "a"),
            ("<title> </title><title>b</title>", "b"),
            ("<!-- <title>no</title> --><title>yes</title>", "yes"),
            ("<meta property=og:title content='a' content='b'>", "a"),
            ("<meta property=og:title>", ""),
            (
                "<title>a\u{202e}b\u{0}c&#8238;d&#x0;</title>",
                "ab\u{fffd}cd\u{fffd}",
            ),
            ("<style><title>no</title></style><title>yes</title>", "yes"),
            (
                "<title><script>alert(1)</script></title>",
                "<script>alert(1)</script>",
            ),
            ("<<<<>><title <title>x", "x"),
            (
                "&&&&#x110000;<title>&#x110000;&bogus;</title>",
                "\u{fffd}&bogus;",
            ),
        ] {
            assert_eq!(of(page).title, title, "{page:?}");
        }
        for image in [
            "javascript:alert(1)",
            "data:image/png,x",
            "file:///etc/passwd",
            "https://u:p@a.example/",
        ] {
            let page = format!("<meta property=og:image content='{image}'>");
            assert_eq!(of(&page).image, "", "{image}");
        }
        let long = "x".repeat(300_000);
        let found = of(&format!(
            "<title>{long}</title><meta property=og:image content='{long}'>"
        ));
        assert_eq!(found.title.len(), PREVIEW_TITLE_GRAPHEMES_MAX);
        assert_eq!(found.image, "");
        let deep = "<div ".repeat(50_000);
        assert_eq!(of(&deep).title, "");
        let many: String = (0..50_000).map(|n| format!(" a{n}=1")).collect();
        assert_eq!(of(&format!("<meta{many}><title>t</title>")).title, "t");
    }

    #[test]
    fn encodings() {
        let at = at();
        let title = |bytes: &[u8], charset: Option<&str>| summary(bytes, charset, &at).title;
        assert_eq!(title("<title>é</title>".as_bytes(), None), "é");
        assert_eq!(
            title(b"<title>\xe9</title>", None),
            "é",
            "neither declared nor UTF-8"
        );
        assert_eq!(title(b"<title>\xe9</title>", Some("iso-8859-1")), "é");
        assert_eq!(
            title(b"<meta charset=gbk><title>\xd3\xce\xcf\xb7</title>", None),
            "游戏"
        );
        let declared = b"<meta http-equiv='Content-Type' content='text/html; charset=Shift_JIS'><title>\x83Q</title>";
        assert_eq!(title(declared, None), "ゲ");
        assert_eq!(
            title(b"\xef\xbb\xbf<title>\xc3\xa9</title>", Some("gbk")),
            "é"
        );
        assert_eq!(title("<title>é</title>".as_bytes(), Some("nonsense")), "é");
        assert_eq!(
            title(b"<title>\xc3", None),
            "\u{fffd}",
            "cut in a character"
        );
        assert_eq!(charset_of("text/html; Charset=\"UTF-8\""), Some("UTF-8"));
        assert_eq!(charset_of("text/html"), None);
    }
}
