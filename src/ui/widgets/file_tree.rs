//! A foldable file tree. Built once per torrent, with sums computed once per snapshot: a frame formats only visible
//! rows, however many files there are.

use std::cmp::Ordering;
use std::time::Duration;

use crate::api::{FileRow, Priority, TorrentId};

/// Maximum number of files for which all directories start unfolded; with more files, top-level directories are
/// folded.
const UNFOLDED: usize = 300;

/// A directory or a file.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Node {
    name: String,
    depth: u16,
    /// Index after the last node within this one.
    end: u32,
    /// Index of the parent directory.
    parent: Option<u32>,
    /// Index into the file list; `None` for a directory.
    file: Option<u32>,
}

/// Totals of a directory or file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum {
    /// Size in bytes.
    pub size: u64,
    /// Bytes of verified pieces.
    pub done: u64,
    /// Number of files.
    pub files: u32,
    /// Number of files that are to be downloaded.
    pub wanted: u32,
    /// Time until the last selected file is complete, if it can be estimated.
    pub eta: Option<Duration>,
    /// The common priority; `None` if mixed.
    pub priority: Option<Priority>,
}

/// A row of the tree as drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row<'a> {
    pub name: &'a str,
    /// Number of parent directories.
    pub depth: u16,
    /// Index into the file list; `None` for a directory.
    pub file: Option<usize>,
    /// Index among all nodes.
    pub number: usize,
    /// Whether this is a folded directory.
    pub folded: bool,
    pub sum: Sum,
}

/// The file tree of a torrent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tree {
    /// The torrent and its number of files that the tree was built from.
    of: Option<(TorrentId, usize)>,
    stale: bool,
    nodes: Vec<Node>,
    sums: Vec<Sum>,
    folded: Vec<bool>,
    /// Nodes that are not within a folded directory.
    rows: Vec<u32>,
    /// Offset of each file in the torrent, and the end of the last file.
    starts: Vec<u64>,
}

impl Tree {
    /// Builds the tree of these files with all directories unfolded.
    #[must_use]
    pub fn unfolded(files: &[FileRow]) -> Self {
        let mut tree = Tree::default();
        tree.build(files);
        tree.folded.fill(false);
        tree.unfold();
        tree.add_up(files);
        tree
    }

    /// Marks the totals as stale: they are recomputed when needed.
    pub const fn mark_stale(&mut self) {
        self.stale = true;
    }

    /// Updates the tree to the files of this torrent; recomputes stale totals only if the tree is `seen`.
    pub fn refresh(&mut self, id: TorrentId, files: &[FileRow], seen: bool) {
        if self.of != Some((id, files.len())) {
            self.build(files);
            self.of = Some((id, files.len()));
            self.stale = true;
        }
        if seen && self.stale {
            self.add_up(files);
            self.stale = false;
        }
    }

    fn build(&mut self, files: &[FileRow]) {
        self.nodes.clear();
        let lower: Vec<String> = files.iter().map(|file| file.path.to_lowercase()).collect();
        let mut order: Vec<usize> = (0..files.len()).collect();
        order.sort_by(|a, b| compare((&lower[*a], &files[*a].path), (&lower[*b], &files[*b].path)).then(a.cmp(b)));
        let mut open: Vec<u32> = Vec::new();
        for at in order {
            let mut parts: Vec<&str> = files[at].path.split('/').collect();
            let name = parts.pop().unwrap_or_default();
            let shared = open.iter().zip(&parts).take_while(|(node, part)| self.nodes[**node as usize].name == **part);
            let shared = shared.count();
            self.close(&mut open, shared);
            for part in &parts[shared..] {
                self.push(&open, part, None);
                open.push(self.nodes.len() as u32 - 1);
            }
            self.push(&open, name, u32::try_from(at).ok());
        }
        self.close(&mut open, 0);
        let many = files.len() > UNFOLDED;
        self.folded = self.nodes.iter().map(|node| many && node.file.is_none() && node.depth > 0).collect();
        self.starts = Vec::with_capacity(files.len() + 1);
        let mut start = 0_u64;
        self.starts.push(0);
        for file in files {
            start = start.saturating_add(file.size);
            self.starts.push(start);
        }
        self.unfold();
    }

    fn push(&mut self, open: &[u32], name: &str, file: Option<u32>) {
        let end = self.nodes.len() as u32 + 1;
        let depth = u16::try_from(open.len()).unwrap_or(u16::MAX);
        self.nodes.push(Node { name: name.to_owned(), depth, end, parent: open.last().copied(), file });
    }

    fn close(&mut self, open: &mut Vec<u32>, keep: usize) {
        let end = self.nodes.len() as u32;
        for node in open.drain(keep..) {
            self.nodes[node as usize].end = end;
        }
    }

    fn unfold(&mut self) {
        self.rows.clear();
        let mut at = 0;
        while let Some(node) = self.nodes.get(at) {
            self.rows.push(at as u32);
            at = if self.folded[at] { node.end as usize } else { at + 1 };
        }
    }

    /// Computes the totals of the same files, some of which changed.
    pub fn add_up(&mut self, files: &[FileRow]) {
        self.sums.clear();
        self.sums.resize(self.nodes.len(), Sum::default());
        for at in (0..self.nodes.len()).rev() {
            let node = &self.nodes[at];
            if let Some(file) = node.file.and_then(|file| files.get(file as usize)) {
                let (size, done, priority) = (file.size, file.done, Some(file.priority));
                let eta = file.eta.filter(|_| file.priority != Priority::Skip);
                let wanted = u32::from(file.priority != Priority::Skip);
                self.sums[at] = Sum { size, done, files: 1, wanted, eta, priority };
            }
            let Some(parent) = node.parent else { continue };
            let sum = self.sums[at];
            let into = &mut self.sums[parent as usize];
            let first = into.files == 0;
            into.size = into.size.saturating_add(sum.size);
            into.done = into.done.saturating_add(sum.done);
            into.files += sum.files;
            into.wanted += sum.wanted;
            into.eta = into.eta.max(sum.eta);
            into.priority = if first || into.priority == sum.priority { sum.priority } else { None };
        }
    }

    /// Returns the number of visible rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns a visible row.
    #[must_use]
    pub fn row(&self, row: usize) -> Option<Row<'_>> {
        let at = *self.rows.get(row)? as usize;
        let node = self.nodes.get(at)?;
        Some(Row {
            name: &node.name,
            depth: node.depth,
            file: node.file.map(|file| file as usize),
            number: at,
            folded: self.folded.get(at).copied().unwrap_or(false),
            sum: self.sums.get(at).copied().unwrap_or_default(),
        })
    }

    /// Returns the indices of all files at or below a row.
    #[must_use]
    pub fn files_in(&self, row: usize) -> Vec<usize> {
        let Some(at) = self.rows.get(row).map(|at| *at as usize) else { return Vec::new() };
        let end = self.nodes[at].end as usize;
        self.nodes[at..end].iter().filter_map(|node| node.file.map(|file| file as usize)).collect()
    }

    /// Toggles the directory at a row; for a file, folds its parent. Returns the row to select.
    pub fn fold(&mut self, row: usize) -> usize {
        let Some(at) = self.rows.get(row).copied() else { return row };
        let node = &self.nodes[at as usize];
        let folder = if node.file.is_some() { node.parent } else { Some(at) };
        let Some(folder) = folder else { return row };
        self.folded[folder as usize] = !self.folded[folder as usize];
        self.unfold();
        self.rows.iter().position(|at| *at == folder).unwrap_or(0)
    }

    /// Returns the size of all files in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// Returns the file that contains this byte of the torrent: its index, start and end.
    #[must_use]
    pub fn at(&self, byte: u64) -> Option<(usize, u64, u64)> {
        let at = self.starts.partition_point(|start| *start <= byte).checked_sub(1)?;
        Some((at, self.starts[at], *self.starts.get(at + 1)?))
    }
}

/// Orders directories before files, both by name, case-insensitively at first.
fn compare(a: (&str, &str), b: (&str, &str)) -> Ordering {
    let (mut a_lower, mut b_lower) = (a.0.split('/').peekable(), b.0.split('/').peekable());
    let (mut a_parts, mut b_parts) = (a.1.split('/'), b.1.split('/'));
    loop {
        let (Some(a_low), Some(b_low)) = (a_lower.next(), b_lower.next()) else { return a.1.cmp(b.1) };
        // The last component is the file name.
        let kinds = (a_lower.peek().is_none(), b_lower.peek().is_none());
        let names = a_low.cmp(b_low).then_with(|| a_parts.next().cmp(&b_parts.next()));
        let order = kinds.0.cmp(&kinds.1).then(names);
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(index: usize, path: &str, size: u64, done: u64, priority: Priority) -> FileRow {
        FileRow { index, path: path.into(), size, done, priority, eta: None }
    }

    fn files() -> Vec<FileRow> {
        vec![
            file(0, "top/zebra.txt", 10, 10, Priority::Normal),
            file(1, "top/Beta/two.bin", 100, 50, Priority::High),
            file(2, "top/alpha/one.bin", 100, 0, Priority::Skip),
            file(3, "top/Beta/One.bin", 300, 50, Priority::High),
            file(4, "top/aardvark", 5, 0, Priority::Low),
        ]
    }

    fn shown(tree: &Tree) -> Vec<String> {
        (0..tree.len())
            .filter_map(|row| tree.row(row))
            .map(|row| {
                format!("{}{}{}", " ".repeat(usize::from(row.depth)), row.name, if row.folded { "+" } else { "" })
            })
            .collect()
    }

    #[test]
    fn folders_stand_before_files_and_fold() {
        let mut tree = Tree::default();
        tree.refresh(TorrentId(1), &files(), true);
        let all = ["top", " alpha", "  one.bin", " Beta", "  One.bin", "  two.bin", " aardvark", " zebra.txt"];
        assert_eq!(shown(&tree), all);
        assert_eq!(tree.fold(4), 3, "folding at a file folds its folder");
        assert_eq!(shown(&tree), ["top", " alpha", "  one.bin", " Beta+", " aardvark", " zebra.txt"]);
        assert_eq!(tree.files_in(3), [3, 1]);
        assert_eq!(tree.files_in(0), [2, 3, 1, 4, 0]);
        tree.refresh(TorrentId(1), &files(), true);
        assert_eq!(tree.len(), 6, "what was folded stays folded");
        tree.fold(3);
        assert_eq!(shown(&tree), all);
        tree.refresh(TorrentId(2), &files()[..1], true);
        assert_eq!(shown(&tree), ["top", " zebra.txt"]);
    }

    #[test]
    fn a_folder_is_the_sum_of_what_is_in_it() {
        let mut tree = Tree::default();
        tree.refresh(TorrentId(1), &files(), true);
        let sum = |row: usize| tree.row(row).unwrap().sum;
        assert_eq!((sum(0).size, sum(0).done, sum(0).files, sum(0).priority), (515, 110, 5, None));
        assert_eq!((sum(3).size, sum(3).done, sum(3).priority), (400, 100, Some(Priority::High)));
        assert_eq!(sum(1).priority, Some(Priority::Skip));
    }

    #[test]
    fn the_file_of_a_byte_is_found_without_walking_all() {
        let mut tree = Tree::default();
        let mut files = files();
        files.insert(1, file(5, "top/empty", 0, 0, Priority::Normal));
        tree.refresh(TorrentId(1), &files, true);
        assert_eq!(tree.at(9), Some((0, 0, 10)));
        assert_eq!(tree.at(10), Some((2, 10, 110)), "an empty file has no byte");
        assert_eq!(tree.at(514), Some((5, 510, 515)));
        assert_eq!(tree.at(515), None);
        assert_eq!((tree.size(), Tree::default().at(0)), (515, None));
    }

    #[test]
    fn a_great_many_files_and_deep_folders_are_no_trouble() {
        let many: Vec<FileRow> =
            (0..10_000).map(|at| file(at, &format!("t/{}/{}", at % 97, at), 1, 0, Priority::Normal)).collect();
        let mut tree = Tree::default();
        tree.refresh(TorrentId(1), &many, true);
        assert_eq!(tree.len(), 98, "folded at first");
        assert_eq!(tree.row(0).unwrap().sum.files, 10_000);
        let deep = [file(0, &"d/".repeat(1500), 1, 0, Priority::Normal)];
        tree.refresh(TorrentId(2), &deep, true);
        assert_eq!(tree.len(), 1501);
        tree.refresh(TorrentId(3), &[], true);
        assert!(tree.is_empty());
    }
}
