//! The input line: moves by what people see as characters, remembers what was sent.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Lines kept for the arrow keys.
const HISTORY_MAX: usize = 200;
/// Bytes of a line; a message has at most 16 KiB.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// A line being written.
#[derive(Debug, Default)]
pub(crate) struct Editor {
    text: String,
    /// In bytes, between two graphemes.
    cursor: usize,
    history: Vec<String>,
    /// Where in the history the arrow keys are, and what was being written before.
    browsing: Option<(usize, String)>,
}

impl Editor {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn before_cursor(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or_default()
    }

    fn after_cursor(&self) -> &str {
        self.text.get(self.cursor..).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn set(&mut self, text: String) {
        self.cursor = text.len();
        self.text = text;
    }

    /// Types or pastes. Control characters other than line feed do not get in.
    pub(crate) fn insert(&mut self, text: &str) {
        let text = text
            .replace("\r\n", "\n")
            .replace('\r', "\n")
            .replace('\t', "    ");
        let clean: String = text
            .chars()
            .filter(|c| !c.is_control() || *c == '\n')
            .collect();
        if self.text.len() + clean.len() <= LINE_BYTES_MAX {
            self.text.insert_str(self.cursor, &clean);
            self.cursor += clean.len();
            self.browsing = None;
        }
    }

    pub(crate) fn backspace(&mut self) {
        if let Some(last) = self.before_cursor().graphemes(true).next_back() {
            let start = self.cursor - last.len();
            self.text.replace_range(start..self.cursor, "");
            self.cursor = start;
        }
    }

    pub(crate) fn delete(&mut self) {
        if let Some(first) = self.after_cursor().graphemes(true).next() {
            let end = self.cursor + first.len();
            self.text.replace_range(self.cursor..end, "");
        }
    }

    pub(crate) fn delete_word(&mut self) {
        let start = self.word_start();
        self.text.replace_range(start..self.cursor, "");
        self.cursor = start;
    }

    pub(crate) fn delete_to_start(&mut self) {
        self.text.replace_range(..self.cursor, "");
        self.cursor = 0;
    }

    pub(crate) fn delete_to_end(&mut self) {
        self.text.truncate(self.cursor);
    }

    pub(crate) fn left(&mut self) {
        self.cursor -= self
            .before_cursor()
            .graphemes(true)
            .next_back()
            .map_or(0, str::len);
    }

    pub(crate) fn right(&mut self) {
        self.cursor += self
            .after_cursor()
            .graphemes(true)
            .next()
            .map_or(0, str::len);
    }

    pub(crate) fn word_left(&mut self) {
        self.cursor = self.word_start();
    }

    pub(crate) fn word_right(&mut self) {
        let rest = self.after_cursor();
        let spaces = rest.len() - rest.trim_start().len();
        let word = rest
            .trim_start()
            .find(char::is_whitespace)
            .unwrap_or(rest.len() - spaces);
        self.cursor += spaces + word;
    }

    pub(crate) const fn home(&mut self) {
        self.cursor = 0;
    }

    pub(crate) const fn end(&mut self) {
        self.cursor = self.text.len();
    }

    fn word_start(&self) -> usize {
        let before = self.before_cursor().trim_end();
        before.rfind(char::is_whitespace).map_or(0, |at| {
            at + before
                .get(at..)
                .and_then(|rest| rest.chars().next())
                .map_or(1, char::len_utf8)
        })
    }

    /// Puts `replacement` in the place of the last `bytes` before the cursor.
    pub(crate) fn replace_before(&mut self, bytes: usize, replacement: &str) {
        let start = self.cursor.saturating_sub(bytes);
        if self.text.is_char_boundary(start) {
            self.text.replace_range(start..self.cursor, replacement);
            self.cursor = start + replacement.len();
        }
    }

    /// Takes the line, remembers it, and starts anew.
    pub(crate) fn submit(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        self.cursor = 0;
        self.browsing = None;
        if !text.trim().is_empty() && self.history.last() != Some(&text) {
            if self.history.len() == HISTORY_MAX {
                self.history.remove(0);
            }
            self.history.push(text.clone());
        }
        text
    }

    /// The line sent before this one.
    pub(crate) fn older(&mut self) {
        let at = self
            .browsing
            .as_ref()
            .map_or(self.history.len(), |(at, _)| *at);
        if let Some(line) = at
            .checked_sub(1)
            .and_then(|at| self.history.get(at))
            .cloned()
        {
            let draft = self
                .browsing
                .take()
                .map_or_else(|| self.text.clone(), |(_, draft)| draft);
            self.browsing = Some((at - 1, draft));
            self.set(line);
        }
    }

    /// The line sent after this one; at the end what was being written.
    pub(crate) fn newer(&mut self) {
        let Some((at, draft)) = self.browsing.take() else {
            return;
        };
        match self.history.get(at + 1).cloned() {
            Some(line) => {
                self.browsing = Some((at + 1, draft));
                self.set(line);
            }
            None => self.set(draft),
        }
    }

    /// What fits into `width` cells around the cursor, and the cell the cursor is in. Line feeds show as a mark.
    pub(crate) fn view(&self, width: usize) -> (String, usize) {
        let cells = |grapheme: &str| {
            if grapheme == "\n" {
                1
            } else {
                grapheme.width()
            }
        };
        let mut shown: Vec<&str> = Vec::new();
        let mut used = 0;
        // Half the line after the cursor is kept in view while there is one; the end needs one cell for the cursor itself.
        let after: Vec<&str> = self.after_cursor().graphemes(true).collect();
        let after_width: usize = after.iter().map(|grapheme| cells(grapheme)).sum();
        let before_room = width
            .saturating_sub(1)
            .saturating_sub(after_width.min(width / 3));
        for grapheme in self.before_cursor().graphemes(true).rev() {
            if used + cells(grapheme) > before_room {
                break;
            }
            used += cells(grapheme);
            shown.push(grapheme);
        }
        shown.reverse();
        let column = used;
        for grapheme in after {
            if used + cells(grapheme) > width {
                break;
            }
            used += cells(grapheme);
            shown.push(grapheme);
        }
        (shown.concat().replace('\n', "⏎"), column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Editor {
        let mut editor = Editor::default();
        editor.insert(text);
        editor
    }

    #[test]
    fn moves_and_deletes_whole_characters() {
        let mut editor = with("a👨‍👩‍👧e\u{301}世");
        editor.left();
        editor.left();
        editor.backspace();
        assert_eq!(editor.text(), "ae\u{301}世");
        editor.delete();
        assert_eq!(editor.text(), "a世");
        editor.home();
        editor.delete();
        assert_eq!(editor.text(), "世");
        editor.left();
        editor.backspace();
        editor.right();
        editor.right();
        editor.delete();
        assert_eq!((editor.text(), editor.before_cursor()), ("世", "世"));
    }

    #[test]
    fn words() {
        let mut editor = with("/w bob  你好 x");
        editor.word_left();
        assert_eq!(editor.before_cursor(), "/w bob  你好 ");
        editor.delete_word();
        assert_eq!(editor.text(), "/w bob  x");
        editor.home();
        editor.word_right();
        editor.word_right();
        assert_eq!(editor.before_cursor(), "/w bob");
        editor.delete_to_end();
        editor.delete_word();
        assert_eq!(editor.text(), "/w ");
    }

    #[test]
    fn history_keeps_the_draft() {
        let mut editor = with("one");
        editor.submit();
        editor.insert("two");
        editor.submit();
        editor.insert("draft");
        editor.older();
        editor.older();
        editor.older();
        assert_eq!(editor.text(), "one");
        editor.newer();
        editor.newer();
        editor.newer();
        assert_eq!(editor.text(), "draft");
    }

    #[test]
    fn the_cursor_is_always_in_view() {
        let mut editor = with(&"世界ab".repeat(20));
        for _ in 0..100 {
            for width in [1, 2, 3, 10, 37] {
                let (shown, column) = editor.view(width);
                assert!(
                    shown.width() <= width && column <= width,
                    "{width}: {shown} {column}"
                );
            }
            editor.left();
        }
        let (shown, column) = with("a\nb").view(10);
        assert_eq!((shown.as_str(), column), ("a⏎b", 3));
    }

    #[test]
    fn pasted_control_characters_stay_out() {
        assert_eq!(with("a\u{1b}[31mb\r\nc\td").text(), "a[31mb\nc    d");
    }
}
