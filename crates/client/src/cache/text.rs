//! How text is cut into words for the search: characters of Chinese, Japanese and Korean are words of their own, because those
//! languages put no spaces between words (and a trigram index finds no word of two characters).

/// Puts spaces around each character that is a word of its own.
pub(super) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_word(c) {
            out.push(' ');
            out.push(c);
            out.push(' ');
        } else {
            out.push(c);
        }
    }
    out
}

/// An FTS5 query: each word as the beginning of one, runs of CJK characters in order. `None`: nothing to search for.
#[cfg(feature = "cache")]
pub(super) fn query(text: &str) -> Option<String> {
    let phrases: Vec<String> = text
        .split_whitespace()
        .take(WORDS_MAX)
        // A word of punctuation alone has no token, and FTS5 takes it for one that every message has.
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .map(|word| format!("\"{}\"*", segment(word).replace('"', "\"\"")))
        .collect();
    (!phrases.is_empty()).then(|| phrases.join(" "))
}

/// Words of a query that are looked at.
const WORDS_MAX: usize = 16;

/// The words of a query for [`matches`].
pub(super) fn folded_words(text: &str) -> Vec<Vec<String>> {
    text.split_whitespace()
        .take(WORDS_MAX)
        .map(tokens)
        .filter(|word| !word.is_empty())
        .collect()
}

/// The memory cache's match: as the index would, but for accents.
pub(super) fn matches(text: &str, words: &[Vec<String>]) -> bool {
    let have = tokens(text);
    words.iter().all(|word| {
        have.windows(word.len()).any(|window| {
            let (last, first) = (word.len() - 1, word.len() - 1);
            window[..first] == word[..first] && window[last].starts_with(&word[last])
        })
    })
}

fn tokens(text: &str) -> Vec<String> {
    let segmented = segment(text);
    let words = segmented
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// Han, Kana, Hangul, Bopomofo and their compatibility forms.
const fn is_word(c: char) -> bool {
    matches!(c,
        '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' | '\u{3040}'..='\u{30ff}'
        | '\u{3100}'..='\u{312f}' | '\u{3130}'..='\u{318f}' | '\u{31a0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(all(test, feature = "cache"))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn cjk_characters_stand_alone() {
        assert_eq!(segment("去 go副本!"), " 去  go 副  本 !");
        assert_eq!(query("副本 dé\"jà").unwrap(), "\" 副  本 \"* \"dé\"\"jà\"*");
        assert_eq!(query(" *** \" "), None);
    }

    #[test]
    fn memory_matches_like_the_index() {
        assert!(matches("公会战今晚八点", &folded_words("会战")));
        assert!(!matches("公会战今晚八点", &folded_words("战会")));
        assert!(matches("Raid tonight", &folded_words("ton RAID")));
        assert!(!matches("Raid tonight", &folded_words("night")));
    }
}
