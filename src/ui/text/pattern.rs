//! File-name patterns (globs and substrings).

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
