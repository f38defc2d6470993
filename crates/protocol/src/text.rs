//! Text and names: parsed once at the edge, within limits from then on.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use unicode_segmentation::UnicodeSegmentation;

use crate::{
    Code,
    limits::{
        NAME_BYTES_MAX, NAME_GRAPHEMES_MAX, REACTION_KEY_BYTES_MAX, TEXT_BYTES_MAX,
        TEXT_GRAPHEMES_MAX,
    },
};

/// Why a text or name is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// Nothing but white space.
    #[error("the text is empty")]
    Empty,
    /// Over [`TEXT_GRAPHEMES_MAX`] or [`TEXT_BYTES_MAX`].
    #[error("the text is over {TEXT_GRAPHEMES_MAX} characters or {TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// Control characters other than line feed and tab.
    #[error("the text has control characters")]
    Control,
    /// A name that is empty, too long, or has control or direction characters.
    #[error(
        "a name is 1 to {NAME_GRAPHEMES_MAX} characters without control or direction characters"
    )]
    BadName,
}

impl TextError {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Empty => Code::TextEmpty,
            Self::TooLong => Code::TextTooLong,
            Self::Control => Code::ContentInvalid,
            Self::BadName => Code::NameInvalid,
        }
    }
}

/// How a side counts what people take for characters. The server counts; a client leaves it to the server, because the tables for it are
/// 30 KiB, and those of a game that shipped years ago are of an older Unicode than the server's: it would refuse what the server takes.
#[derive(Clone, Copy, Debug)]
pub struct Count(fn(&str) -> usize);

impl Count {
    /// Extended grapheme clusters (Unicode UAX #29).
    pub const GRAPHEMES: Self = Self(|text| text.graphemes(true).count());
    /// Nothing is counted: only the limits in bytes hold.
    pub const NOTHING: Self = Self(|_| 0);

    /// Whether a text has more than so many. Each has a byte at least, so that short texts need no count.
    #[must_use]
    pub fn over(self, text: &str, max: usize) -> bool {
        text.len() > max && (self.0)(text) > max
    }
}

/// Checks a message's text: not empty, within both limits, no control characters but line feed and tab.
///
/// # Errors
/// [`TextError`].
pub fn check_text(text: &str, count: Count) -> Result<(), TextError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(TextError::TooLong);
    }
    if text.trim().is_empty() {
        return Err(TextError::Empty);
    }
    if text
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        return Err(TextError::Control);
    }
    if count.over(text, TEXT_GRAPHEMES_MAX) {
        return Err(TextError::TooLong);
    }
    Ok(())
}

/// A name or an id as it is looked up by: without case and accents. Not for people.
#[must_use]
pub fn folded(text: &str) -> String {
    let plain = text.nfkd().filter(|c| !is_combining_mark(*c));
    // Lower case may make marks of its own (a dotted capital I does).
    let lower: String = plain.flat_map(char::to_lowercase).collect();
    lower.nfkd().filter(|c| !is_combining_mark(*c)).collect()
}

/// A name in NFC, without spaces at its ends: as it is stored.
///
/// # Errors
/// [`TextError::BadName`].
pub fn normalise_name(name: &str) -> Result<String, TextError> {
    if name.len() > NAME_BYTES_MAX * 2 {
        return Err(TextError::BadName);
    }
    let name: String = name.trim().nfc().collect();
    check_counted(&name, Count::GRAPHEMES)?;
    if name.len() > NAME_BYTES_MAX {
        return Err(TextError::BadName);
    }
    Ok(name)
}

/// Checks what a user gave as a name, before it is sent: the server brings it into NFC and counts it ([`Count`]), and then its limit in bytes
/// holds. The tables for NFC are 110 KiB, which a client need not have. Gives it back without spaces at its ends.
///
/// # Errors
/// [`TextError::BadName`].
pub fn check_name(name: &str) -> Result<&str, TextError> {
    check_counted(name, Count::NOTHING)
}

fn check_counted(name: &str, count: Count) -> Result<&str, TextError> {
    let bad = |c: char| {
        c.is_control() || is_direction(c) || matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}')
    };
    if name.len() > NAME_BYTES_MAX * 2 {
        return Err(TextError::BadName);
    }
    let name = name.trim();
    if name.is_empty() || name.chars().any(bad) || count.over(name, NAME_GRAPHEMES_MAX) {
        return Err(TextError::BadName);
    }
    Ok(name)
}

/// A text of somebody else's in one line, in NFC, without control, direction or zero-width characters, cut to both limits. Joiners stay: emoji
/// and some writing need them.
#[must_use]
pub fn one_line(text: &str, bytes_max: usize, graphemes_max: usize) -> String {
    // What is read of it is bounded too: characters that go, and marks that are composed, count for nothing.
    let mut end = text.len().min(bytes_max.saturating_mul(4));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let gone = |c: &char| is_direction(*c) || matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}');
    let spaced = |c: char| if c.is_control() { ' ' } else { c };
    let text = text.get(..end).unwrap_or_default();
    let plain: String = text.nfc().filter(|c| !gone(c)).map(spaced).collect();
    // What stood apart may compose now.
    let plain: String = plain.nfc().collect();
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let fits = plain
        .grapheme_indices(true)
        .take(graphemes_max)
        .map(|(at, part)| at + part.len())
        .take_while(|end| *end <= bytes_max)
        .last();
    plain
        .get(..fits.unwrap_or(0))
        .unwrap_or_default()
        .trim_end()
        .to_owned()
}

/// Checks a reaction's key: an emoji or an id that the game made, without spaces, control or direction characters.
#[must_use]
pub fn is_reaction_key(key: &str) -> bool {
    let bad = |c: char| c.is_control() || c.is_whitespace() || is_direction(c);
    !key.is_empty() && key.len() <= REACTION_KEY_BYTES_MAX && !key.chars().any(bad)
}

/// Whether a character changes the direction of the text around it (Unicode UAX #9, explicit formatting characters and marks).
#[must_use]
pub const fn is_direction(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_limits() {
        assert_eq!(check_text(" \n ", Count::GRAPHEMES), Err(TextError::Empty));
        assert_eq!(
            check_text("a\u{7}b", Count::GRAPHEMES),
            Err(TextError::Control)
        );
        assert_eq!(check_text(&"é".repeat(4_000), Count::GRAPHEMES), Ok(()));
        assert_eq!(
            check_text(&"é".repeat(4_001), Count::GRAPHEMES),
            Err(TextError::TooLong)
        );
        // One family emoji is one character, 25 bytes: the byte limit holds first.
        assert_eq!(
            check_text(&"👨‍👩‍👧‍👦".repeat(656), Count::GRAPHEMES),
            Err(TextError::TooLong)
        );
        assert_eq!(check_text(&"👨‍👩‍👧‍👦".repeat(655), Count::GRAPHEMES), Ok(()));
    }

    #[test]
    fn names_are_nfc_and_cannot_turn_around() {
        assert_eq!(normalise_name(" e\u{301} ").as_deref(), Ok("é"));
        assert_eq!(normalise_name("admin\u{202e}"), Err(TextError::BadName));
        assert_eq!(normalise_name(&"x".repeat(65)), Err(TextError::BadName));
        // 64 characters, each of more bytes than a name may have of them.
        let long = "e\u{301}\u{302}\u{303}".repeat(64);
        assert_eq!(normalise_name(&long), Err(TextError::BadName));
    }

    #[test]
    fn one_line_of_a_text() {
        for (text, expected) in [
            ("  a\n\t b\u{0} ", "a b"),
            ("e\u{301}", "é"),
            ("e\u{200b}\u{301}", "é"),
            ("a\u{202e}b\u{feff}", "ab"),
            ("👨‍👩‍👧‍👦", "👨‍👩‍👧‍👦"),
            ("", ""),
            ("\u{202e}", ""),
        ] {
            assert_eq!(one_line(text, 100, 10), expected, "{text:?}");
        }
        assert_eq!(one_line("abcdef", 100, 3), "abc");
        assert_eq!(one_line("ab cdef", 100, 3), "ab");
        assert_eq!(one_line("ééé", 5, 10), "éé", "between two characters");
        let heap = format!("e{}", "\u{301}".repeat(10_000));
        assert_eq!(one_line(&heap, 100, 10), "", "one character of many bytes");
    }

    #[test]
    fn a_name_is_checked_before_it_is_sent() {
        assert_eq!(check_name(" e\u{301} "), Ok("e\u{301}"));
        let long = "x".repeat(NAME_BYTES_MAX * 2 + 1);
        for bad in [" ", "admin\u{202e}", "a\nb", "a\u{200b}", &long] {
            assert_eq!(check_name(bad), Err(TextError::BadName));
            assert_eq!(normalise_name(bad), Err(TextError::BadName));
        }
        let counted = "x".repeat(NAME_GRAPHEMES_MAX + 1);
        assert_eq!(check_name(&counted), Ok(&*counted), "the server counts");
        assert_eq!(normalise_name(&counted), Err(TextError::BadName));
    }
}
