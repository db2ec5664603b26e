//! A path input with tab completion from directory listings.

use crate::ui::effect::Effect;
use crate::ui::widgets::text_input::TextInput;

/// A directory listing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DirListing {
    /// The directory, as requested.
    pub folder: String,
    /// Full path of the directory, sanitized for display.
    pub path: String,
    /// Parent directory, if any.
    pub above: Option<String>,
    /// Subdirectories and `.torrent` files, or all files if requested; directories first, by name.
    pub entries: Vec<Entry>,
    /// Why the directory cannot be read, one sentence.
    pub fault: Option<String>,
    /// Number of omitted entries: too many, or names that cannot be typed.
    pub left_out: usize,
}

/// An entry of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub name: String,
    /// Whether the entry is a directory.
    pub folder: bool,
    /// Size of a file in bytes.
    pub size: u64,
}

/// What a path input accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PathKind {
    /// A `.torrent` file.
    #[default]
    Torrent,
    /// A directory.
    Folder,
    /// Any file or directory.
    Data,
}

impl PathKind {
    /// Returns the effect that lists a directory.
    #[must_use]
    pub const fn ask(self, folder: String) -> Effect {
        match self {
            PathKind::Torrent | PathKind::Folder => Effect::List(folder),
            PathKind::Data => Effect::ListAll(folder),
        }
    }
}

/// Maximum number of completions to cycle through.
const MAX_COMPLETIONS: usize = 1000;

/// A path input.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PathInput {
    /// The typed text.
    pub edit: TextInput,
    wanted: PathKind,
    /// The directory whose listing is awaited.
    asked: Option<String>,
    /// The text that the fields below and `asked` are about: they mean nothing once another one is typed.
    completed: String,
    /// The text before the completed name.
    base: String,
    found: Vec<String>,
    /// The completion that is currently inserted.
    at: Option<usize>,
    /// Whether no entry matches.
    none: bool,
}

/// Returns whether a character is a path separator on this platform.
fn is_separator(c: char) -> bool {
    c == '/' || cfg!(windows) && c == '\\'
}

/// Expands `~/` to the home directory.
#[must_use]
pub fn expand(text: &str, home: Option<&str>) -> String {
    match (text.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with(is_separator) => {
            format!("{}{rest}", home.trim_end_matches(is_separator))
        }
        _ => text.to_owned(),
    }
}

/// Returns the path of a file that was dropped on the terminal: without quotes, `file://` and the backslashes of a
/// shell.
pub fn dropped(text: &str) -> String {
    let text = text.trim();
    if let Some(quoted) = ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote)) {
        return quoted.to_owned();
    }
    if let Some(url) = text.strip_prefix("file://") {
        return percent_encoding::percent_decode_str(url).decode_utf8_lossy().into_owned();
    }
    let mut path = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escapes = c == '\\' && cfg!(unix) && chars.peek().is_some_and(|next| !next.is_alphanumeric());
        path.extend(if escapes { chars.next() } else { Some(c) });
    }
    path
}

/// Abbreviates the home directory as `~/`, for display.
#[must_use]
pub fn shorten(text: &str, home: Option<&str>) -> String {
    let rest = home.filter(|home| home.len() > 1).and_then(|home| text.strip_prefix(home));
    match rest {
        Some(rest) if rest.is_empty() || rest.starts_with(is_separator) => format!("~{rest}"),
        _ => text.to_owned(),
    }
}

/// Joins a directory and a name.
#[must_use]
pub fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() || folder.ends_with(is_separator) {
        format!("{folder}{name}")
    } else {
        format!("{folder}/{name}")
    }
}

impl PathInput {
    /// Creates an input for this kind of path.
    #[must_use]
    pub fn new(text: &str, wanted: PathKind) -> Self {
        PathInput { edit: TextInput::new(text), wanted, ..PathInput::default() }
    }

    /// Returns the typed text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.edit.text()
    }

    /// Replaces the text.
    pub fn set(&mut self, text: &str) {
        *self = PathInput::new(text, self.wanted);
    }

    /// Returns the completions, and the index of the inserted one.
    #[must_use]
    pub fn found(&self) -> (&[String], Option<usize>) {
        if self.is_current() { (&self.found, self.at) } else { (&[], None) }
    }

    fn is_current(&self) -> bool {
        self.completed == self.edit.text()
    }

    /// Returns whether the last completion found no match.
    #[must_use]
    pub fn has_no_match(&self) -> bool {
        self.none && self.is_current()
    }

    /// Splits the text after the last path separator.
    fn split(&self) -> (&str, &str) {
        let text = self.edit.text();
        text.split_at(text.rfind(is_separator).map_or(0, |at| at + 1))
    }

    /// Inserts the next completion, or the previous one; without completions, returns the request for a listing.
    pub fn complete(&mut self, forward: bool, home: Option<&str>) -> Option<Effect> {
        let count = self.found().0.len();
        if count > 1 {
            let at = match (self.at, forward) {
                (None, true) => 0,
                (None, false) => count - 1,
                (Some(at), true) => (at + 1) % count,
                (Some(at), false) => (at + count - 1) % count,
            };
            self.at = Some(at);
            self.put(&self.found[at].clone());
            return None;
        }
        if !forward {
            return None;
        }
        let text = self.text().to_owned();
        self.set(&text);
        let (folder, _) = self.split();
        let folder = if self.edit.text() == "~" { "~/" } else { folder };
        let folder = if folder.is_empty() { ".".to_owned() } else { expand(folder, home) };
        self.asked = Some(folder.clone());
        self.completed = self.text().to_owned();
        Some(self.wanted.ask(folder))
    }

    /// Replaces the name after `base` by a completion.
    fn put(&mut self, name: &str) {
        self.completed = format!("{}{name}", self.base);
        self.edit = TextInput::new(&self.completed);
    }

    /// Applies a requested listing: completes the longest common prefix.
    pub fn on_listing(&mut self, listing: &DirListing) {
        if self.asked.as_deref() != Some(listing.folder.as_str()) || !self.is_current() {
            return;
        }
        self.asked = None;
        let (base, stem) = if self.edit.text() == "~" { ("~/", "") } else { self.split() };
        let (base, stem) = (base.to_owned(), stem.to_owned());
        self.base = base;
        let fits = |entry: &&Entry| {
            (entry.folder || self.wanted != PathKind::Folder)
                && (stem.starts_with('.') || !entry.name.starts_with('.'))
                && begins(&entry.name, &stem)
        };
        let name = |entry: &Entry| if entry.folder { format!("{}/", entry.name) } else { entry.name.clone() };
        self.found = listing.entries.iter().filter(fits).take(MAX_COMPLETIONS).map(name).collect();
        let common = common(&self.found);
        self.none = self.found.is_empty();
        if self.found.len() == 1 || common.len() > stem.len() {
            self.put(&common);
        }
        if self.found.len() == 1 {
            self.found.clear();
        }
    }
}

/// Returns whether a name starts with the typed text; case matters only if the text contains uppercase.
fn begins(name: &str, stem: &str) -> bool {
    let exact = stem.chars().any(char::is_uppercase);
    if exact {
        return name.starts_with(stem);
    }
    let mut name = name.chars().flat_map(char::to_lowercase);
    stem.chars().all(|c| name.next() == Some(c))
}

/// Returns the longest common prefix.
fn common(names: &[String]) -> String {
    let Some(first) = names.first() else { return String::new() };
    let shared = |other: &String| first.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let count = names.iter().map(shared).min().unwrap_or(0);
    first.chars().take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(folder: &str) -> DirListing {
        let entry =
            |name: &str| Entry { name: name.trim_end_matches('/').into(), folder: name.ends_with('/'), size: 1 };
        let names = ["debian/", "Downloads/", ".cache/", "debian-12.torrent", "debian-13.torrent", "x.torrent"];
        DirListing { folder: folder.into(), entries: names.map(entry).to_vec(), ..DirListing::default() }
    }

    /// Returns the text after Tab, and the number of completions.
    fn tabbed(text: &str, wanted: PathKind, tabs: usize) -> (String, usize) {
        let mut field = PathInput::new(text, wanted);
        for _ in 0..tabs {
            if let Some(ask) = field.complete(true, Some("/data/me")) {
                let Effect::List(folder) = ask else { panic!("{ask:?}") };
                field.on_listing(&listing(&folder));
            }
        }
        (field.text().to_owned(), field.found().0.len())
    }

    #[test]
    fn tab_goes_as_far_as_there_is_one_way_and_then_through_all() {
        use PathKind::{Folder, Torrent};
        let table = [
            ("/a/x", Torrent, 1, "/a/x.torrent", 0),
            ("/a/X", Torrent, 1, "/a/X", 0),
            ("/a/dow", Torrent, 1, "/a/Downloads/", 0),
            ("/a/deb", Torrent, 1, "/a/debian", 3),
            ("/a/deb", Torrent, 2, "/a/debian/", 3),
            ("/a/deb", Torrent, 3, "/a/debian-12.torrent", 3),
            ("/a/deb", Torrent, 5, "/a/debian/", 3),
            ("/a/deb", Folder, 1, "/a/debian/", 0),
            ("/a/", Torrent, 1, "/a/", 5),
            ("/a/.", Torrent, 1, "/a/.cache/", 0),
            ("~", Folder, 2, "~/debian/", 2),
            ("deb", Folder, 1, "debian/", 0),
            ("/a/nothing", Torrent, 1, "/a/nothing", 0),
        ];
        for (text, wanted, tabs, after, offered) in table {
            assert_eq!(tabbed(text, wanted, tabs), (after.into(), offered), "{text} {tabs}");
        }
    }

    #[test]
    fn the_folder_that_is_asked_for_is_the_one_that_is_typed() {
        for (text, asked) in [("~/x", "/data/me/"), ("/a/b", "/a/"), ("b", "."), ("", "."), ("~", "/data/me/")] {
            let effect = PathInput::new(text, PathKind::Torrent).complete(true, Some("/data/me"));
            assert_eq!(effect, Some(Effect::List(asked.into())), "{text}");
        }
    }

    #[test]
    fn an_answer_that_comes_late_changes_nothing() {
        let mut field = PathInput::new("/a/deb", PathKind::Torrent);
        assert!(field.complete(true, None).is_some());
        field.edit.type_char('x');
        field.on_listing(&listing("/a/"));
        assert_eq!(field.text(), "/a/debx");
        assert!(field.complete(true, None).is_some());
        field.on_listing(&DirListing { folder: "/a/".into(), fault: Some("gone".into()), ..DirListing::default() });
        assert!(field.has_no_match());
    }

    #[test]
    #[cfg(unix)]
    fn what_a_shell_escapes_is_a_path() {
        for (text, path) in [
            (r"/data/a\ film\ \(2026\).torrent ", "/data/a film (2026).torrent"),
            ("'/data/a b'", "/data/a b"),
            (r#""/data/a\ b""#, r"/data/a\ b"),
            ("file:///data/a%20b", "/data/a b"),
            (r"C:\data\film", r"C:\data\film"),
        ] {
            assert_eq!(dropped(text), path);
        }
    }

    #[test]
    fn home_is_written_out_and_back() {
        assert_eq!(expand("~/a", Some("/data/me")), "/data/me/a");
        assert_eq!(expand("~me/a", Some("/data/me")), "~me/a");
        assert_eq!(shorten("/data/me/a", Some("/data/me")), "~/a");
        assert_eq!(shorten("/data/mean", Some("/data/me")), "/data/mean");
        assert_eq!((join("/a", "b").as_str(), join("/", "b").as_str()), ("/a/b", "/b"));
    }
}
