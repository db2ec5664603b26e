//! A path that is being typed, and completed from what the folder holds.

use crate::ui::edit::Edit;
use crate::ui::keys::Key;
use crate::ui::outward::Outward;

/// What a folder holds, as far as it matters here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listing {
    /// The folder, as it was asked for.
    pub folder: String,
    /// The folder's full path, safe to print.
    pub path: String,
    /// The folder above, if there is one.
    pub above: Option<String>,
    /// Its folders and `.torrent` files, or all files where those were asked for; folders first, by name.
    pub entries: Vec<Entry>,
    /// Why they cannot be told, in one sentence.
    pub fault: Option<String>,
    /// How many were left out: too many, or with names that cannot be typed.
    pub left_out: usize,
}

/// A folder or a file in a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Bytes of a file.
    pub size: u64,
}

/// What a path may lead to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Wanted {
    /// A `.torrent` file.
    #[default]
    Torrent,
    /// A folder.
    Folder,
    /// Any file, or a folder.
    Data,
}

impl Wanted {
    /// Asks what is in a folder.
    #[must_use]
    pub const fn ask(self, folder: String) -> Outward {
        match self {
            Wanted::Torrent | Wanted::Folder => Outward::List(folder),
            Wanted::Data => Outward::ListAll(folder),
        }
    }
}

/// The most completions that are kept to go through.
const FOUND: usize = 1000;

/// A path that is being typed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PathField {
    /// What is typed.
    pub edit: Edit,
    wanted: Wanted,
    /// The folder whose listing is awaited.
    asked: Option<String>,
    /// What stands before the names in `found`.
    base: String,
    /// What the typed text could go on as.
    found: Vec<String>,
    /// Which of them stands there now.
    at: Option<usize>,
    /// Nothing goes on like this.
    none: bool,
}

/// Whether this character parts the names of a path here.
fn parts(c: char) -> bool {
    c == '/' || cfg!(windows) && c == '\\'
}

/// The typed text with `~/` written out.
#[must_use]
pub fn expand(text: &str, home: Option<&str>) -> String {
    match (text.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with(parts) => {
            format!("{}{rest}", home.trim_end_matches(parts))
        }
        _ => text.to_owned(),
    }
}

/// The path with `~/` for the home folder, for people.
#[must_use]
pub fn shorten(text: &str, home: Option<&str>) -> String {
    let rest = home.filter(|home| home.len() > 1).and_then(|home| text.strip_prefix(home));
    match rest {
        Some(rest) if rest.is_empty() || rest.starts_with(parts) => format!("~{rest}"),
        _ => text.to_owned(),
    }
}

/// The name below the folder.
#[must_use]
pub fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() || folder.ends_with(parts) { format!("{folder}{name}") } else { format!("{folder}/{name}") }
}

impl PathField {
    /// A field that wants this.
    #[must_use]
    pub fn new(text: &str, wanted: Wanted) -> Self {
        PathField { edit: Edit::new(text), wanted, ..PathField::default() }
    }

    /// What is typed.
    #[must_use]
    pub fn text(&self) -> &str {
        self.edit.text()
    }

    /// Puts another text in its place.
    pub fn set(&mut self, text: &str) {
        *self = PathField::new(text, self.wanted);
    }

    /// Puts text at the cursor.
    pub fn insert(&mut self, text: &str) {
        self.edit.insert(text);
        self.forget();
    }

    /// What it could go on as, and which of it stands there.
    #[must_use]
    pub fn found(&self) -> (&[String], Option<usize>) {
        (&self.found, self.at)
    }

    /// Whether nothing was found that goes on like this.
    #[must_use]
    pub fn nothing(&self) -> bool {
        self.none
    }

    fn forget(&mut self) {
        self.asked = None;
        self.found.clear();
        self.at = None;
        self.none = false;
    }

    /// The typed text up to the last slash, and what stands behind it.
    fn split(&self) -> (&str, &str) {
        let text = self.edit.text();
        text.split_at(text.rfind(parts).map_or(0, |at| at + 1))
    }

    /// Does what a key means here; false if it means nothing. Tab asks `outbox` for the folder, or goes to the next of
    /// what was found.
    pub fn key(&mut self, key: Key, home: Option<&str>, outbox: &mut Vec<Outward>) -> bool {
        match key {
            Key::Tab | Key::BackTab if self.found.len() > 1 => {
                let count = self.found.len();
                let at = match (self.at, key) {
                    (None, Key::Tab) => 0,
                    (None, _) => count - 1,
                    (Some(at), Key::Tab) => (at + 1) % count,
                    (Some(at), _) => (at + count - 1) % count,
                };
                self.at = Some(at);
                self.complete(&self.found[at].clone());
                true
            }
            Key::Tab => {
                self.forget();
                let (folder, _) = self.split();
                let folder = if self.edit.text() == "~" { "~/" } else { folder };
                let folder = if folder.is_empty() { ".".to_owned() } else { expand(folder, home) };
                self.asked = Some(folder.clone());
                outbox.push(self.wanted.ask(folder));
                true
            }
            key => {
                let taken = self.edit.key(key);
                if taken {
                    self.forget();
                }
                taken
            }
        }
    }

    /// Puts `name` behind what stands before all that was found.
    fn complete(&mut self, name: &str) {
        self.edit = Edit::new(&format!("{}{name}", self.base));
    }

    /// Takes a listing that was asked for: the text goes on as far as there is only one way.
    pub fn listing(&mut self, listing: &Listing) {
        if self.asked.as_deref() != Some(listing.folder.as_str()) {
            return;
        }
        self.asked = None;
        let (base, stem) = if self.edit.text() == "~" { ("~/", "") } else { self.split() };
        let (base, stem) = (base.to_owned(), stem.to_owned());
        self.base = base;
        let fits = |entry: &&Entry| {
            (entry.folder || self.wanted != Wanted::Folder)
                && (stem.starts_with('.') || !entry.name.starts_with('.'))
                && begins(&entry.name, &stem)
        };
        let name = |entry: &Entry| if entry.folder { format!("{}/", entry.name) } else { entry.name.clone() };
        self.found = listing.entries.iter().filter(fits).take(FOUND).map(name).collect();
        let common = common(&self.found);
        self.none = self.found.is_empty();
        if self.found.len() == 1 || common.len() > stem.len() {
            self.complete(&common);
        }
        if self.found.len() == 1 {
            self.found.clear();
        }
    }
}

/// Whether the name begins with what was typed; capitals do not matter as long as none are typed.
fn begins(name: &str, stem: &str) -> bool {
    let exact = stem.chars().any(char::is_uppercase);
    if exact {
        return name.starts_with(stem);
    }
    let mut name = name.chars().flat_map(char::to_lowercase);
    stem.chars().all(|c| name.next() == Some(c))
}

/// What all begin with.
fn common(names: &[String]) -> String {
    let Some(first) = names.first() else { return String::new() };
    let shared = |other: &String| first.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let count = names.iter().map(shared).min().unwrap_or(0);
    first.chars().take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(folder: &str) -> Listing {
        let entry =
            |name: &str| Entry { name: name.trim_end_matches('/').into(), folder: name.ends_with('/'), size: 1 };
        let names = ["debian/", "Downloads/", ".cache/", "debian-12.torrent", "debian-13.torrent", "x.torrent"];
        Listing { folder: folder.into(), entries: names.map(entry).to_vec(), ..Listing::default() }
    }

    /// The text after Tab, and what is offered then.
    fn tabbed(text: &str, wanted: Wanted, tabs: usize) -> (String, usize) {
        let mut field = PathField::new(text, wanted);
        let mut outbox = Vec::new();
        for _ in 0..tabs {
            assert!(field.key(Key::Tab, Some("/data/me"), &mut outbox));
            for ask in outbox.drain(..) {
                let Outward::List(folder) = ask else { panic!("{ask:?}") };
                field.listing(&listing(&folder));
            }
        }
        (field.text().to_owned(), field.found().0.len())
    }

    #[test]
    fn tab_goes_as_far_as_there_is_one_way_and_then_through_all() {
        use Wanted::{Folder, Torrent};
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
            let mut outbox = Vec::new();
            PathField::new(text, Wanted::Torrent).key(Key::Tab, Some("/data/me"), &mut outbox);
            assert_eq!(outbox, [Outward::List(asked.into())], "{text}");
        }
    }

    #[test]
    fn an_answer_that_comes_late_changes_nothing() {
        let mut field = PathField::new("/a/deb", Wanted::Torrent);
        field.key(Key::Tab, None, &mut Vec::new());
        field.key(Key::Char('x'), None, &mut Vec::new());
        field.listing(&listing("/a/"));
        assert_eq!(field.text(), "/a/debx");
        field.key(Key::Tab, None, &mut Vec::new());
        field.listing(&Listing { folder: "/a/".into(), fault: Some("gone".into()), ..Listing::default() });
        assert!(field.nothing());
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
