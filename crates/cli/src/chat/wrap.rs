//! Lines that fit the screen, measured in cells.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Text from others as it may be shown: no control characters, nothing that turns the line around, tabs as spaces.
pub(crate) fn safe(text: &str) -> String {
    let shown = text.chars().filter_map(|c| match c {
        '\t' => Some(' '),
        '\n' => Some('\n'),
        c if c.is_control() || fireside_protocol::text::is_direction(c) => None,
        c => Some(c),
    });
    shown.collect()
}

/// As [`safe`], in one line.
pub(crate) fn safe_line(text: &str) -> String {
    safe(text).replace('\n', " ")
}

/// Breaks text into lines of at most `width` cells: at spaces if there are some, else between characters.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(2);
    let mut lines = Vec::new();
    for paragraph in safe(text).split('\n') {
        let (mut line, mut used) = (String::new(), 0);
        for word in paragraph.split_word_bounds() {
            let cells = word.width();
            if used + cells <= width {
                line.push_str(word);
                used += cells;
                continue;
            }
            if word.trim().is_empty() {
                // A space at the border is the break itself.
                lines.push(std::mem::take(&mut line));
                used = 0;
                continue;
            }
            if cells <= width {
                lines.push(
                    std::mem::replace(&mut line, word.to_owned())
                        .trim_end()
                        .to_owned(),
                );
                used = cells;
                continue;
            }
            for grapheme in word.graphemes(true) {
                let cells = grapheme.width();
                if used + cells > width {
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                line.push_str(grapheme);
                used += cells;
            }
        }
        lines.push(line);
    }
    lines
}

/// The beginning of a line that fits into `width` cells, with a mark if something is left out.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut line, mut used) = (String::new(), 0);
    for grapheme in text.graphemes(true) {
        let cells = grapheme.width();
        if used + cells + 1 > width {
            break;
        }
        line.push_str(grapheme);
        used += cells;
    }
    if width > 0 {
        line.push('…');
    }
    line
}

/// [`cut`], filled with spaces to exactly `width` cells.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let mut line = cut(text, width);
    let used = line.width();
    line.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_at_spaces_and_in_long_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("a\n\nb", 5), ["a", "", "b"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn wide_characters_never_pass_the_border() {
        let texts = [
            "公会战今晚八点开始,大家准时到",
            "👨‍👩‍👧‍👦👍🏽 family 👩‍🚀 here",
            "e\u{301}e\u{301}e\u{301}",
            "mixed 世界 and words",
        ];
        for text in texts {
            for width in 2..30 {
                for line in wrap(text, width) {
                    assert!(line.width() <= width, "{width}: {line:?}");
                }
                assert_eq!(fit(text, width).width(), width, "{width}: {text:?}");
            }
        }
        assert_eq!(wrap("公会战今晚", 4), ["公会", "战今", "晚"]);
    }

    #[test]
    fn nothing_is_lost() {
        let text = "The 世界 is 👍🏽 wide, averyveryverylongword and more";
        for width in 2..60 {
            let joined: String = wrap(text, width).concat().replace(' ', "");
            assert_eq!(joined, text.replace(' ', ""), "{width}");
        }
    }

    #[test]
    fn hostile_text_is_harmless() {
        assert_eq!(safe("a\u{1b}[2Jb\u{202e}c\u{7}\td"), "a[2Jbc d");
    }
}
