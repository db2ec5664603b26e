//! What a typed text means: file-name patterns (globs and substrings), words and letters to find.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

/// Returns which texts a query means: those that have all of its words, in any case, or if there are none, those that
/// have its letters in their order.
pub(crate) fn found<'a>(texts: impl Iterator<Item = &'a str> + Clone, query: &str) -> Vec<bool> {
    let query = query.trim().to_lowercase();
    if query.is_empty() {
        return texts.map(|_| true).collect();
    }
    let has_words = |text: &str| {
        let text = text.to_lowercase();
        query.split_whitespace().all(|word| text.contains(word))
    };
    let by_words: Vec<bool> = texts.clone().map(has_words).collect();
    if by_words.contains(&true) {
        return by_words;
    }
    let pattern = Pattern::parse(&query, CaseMatching::Ignore, Normalization::Smart);
    let (mut matcher, mut buffer) = (Matcher::new(Config::DEFAULT), Vec::new());
    texts.map(|text| pattern.score(Utf32Str::new(text, &mut buffer), &mut matcher).is_some()).collect()
}

/// Returns whether a file path matches. A pattern with `*`, `?`, `[` or `{` is a glob, matched like `--select`
/// against the path with or without the torrent's top directory, or against the file name; other text is a
/// case-insensitive substring.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    if !pattern.contains(['*', '?', '[', '{']) {
        return path.to_lowercase().contains(&pattern.to_lowercase());
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let inner = path.split_once('/').map_or(name, |(_, inner)| inner);
    [path, inner, name].iter().any(|text| glob_match::glob_match(pattern, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_before_letters() {
        let names = ["debian-13.1 DVD", "Big Buck Bunny", "archlinux"];
        let found = |query| found(names.into_iter(), query);
        assert_eq!(found("dvd deb"), [true, false, false], "in any order and case");
        assert_eq!(found("bbb"), [false, true, false], "the letters, if no name has the word");
        assert_eq!(found(" "), [true; 3]);
        assert_eq!(found("xyz"), [false; 3]);
    }

    #[test]
    fn patterns_are_those_of_the_command_line_and_words_are_parts() {
        for (pattern, path, fits) in [
            ("*.mkv", "t/a/b.mkv", true),
            ("a/*.mkv", "t/a/b.mkv", true),
            ("t/**/*.mkv", "t/a/b.mkv", true),
            ("*.mkv", "t/a/b.MKV", false),
            ("mkv", "t/a/b.MKV", true),
            ("*.{mkv,srt}", "b.srt", true),
            ("[", "t/a", false),
        ] {
            assert_eq!(matches(pattern, path), fits, "{pattern} {path}");
        }
    }
}
