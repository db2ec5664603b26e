//! `ttui verify`: verifies data on disk against a torrent.

use std::fmt::Write as _;
use std::io::{IsTerminal, stderr};
use std::ops::Range;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use color_eyre::eyre::bail;
use serde_json::{Value, json};

use super::args::{Common, VerifyArgs};
use super::exit_status::FAILED;
use super::output;
use super::torrent_arg::{TorrentArg, read};
use crate::disk::alias_paths;
use crate::disk::atomic_bitfield::{AtomicBitfield, runs};
use crate::disk::check::hash_check;
use crate::disk::file_look::{FileLook, look};
use crate::disk::layout::Layout;
use crate::disk::part::{self, PartFile};
use crate::format::{self, counted};
use crate::swarm::job::DiskFault;
use crate::wire::message::PieceIndex;
use crate::wire::metainfo::Metainfo;
use crate::wire::sanitize::sanitize;

/// Maximum columns of an untrusted text.
const TEXT: usize = 4000;

/// Hashes the data and lists corrupt and missing pieces per file.
///
/// # Errors
/// The torrent cannot be read.
pub(crate) fn run(args: &VerifyArgs, common: &Common) -> color_eyre::Result<ExitCode> {
    let TorrentArg::Torrent(meta) = read(&args.torrent, common)? else {
        bail!("a magnet link does not tell what the data should be: name the .torrent file instead");
    };
    let (layout, other_names) = alias_paths::find(&Arc::new(Layout::of(&meta)?), &args.dir);
    let began = Instant::now();
    let parts = PartFile::default();
    parts.load(&args.dir, &layout);
    let (good, fault) = check(&layout, args, &parts);
    let files = judge(&layout, args, &good, &parts);
    let whole = good.count() == good.pieces() && files.iter().all(File::is_whole);
    match args.json {
        true => output::print_json(&json(&meta, &good, &files, whole, fault.as_ref()))?,
        false => output::print(&words(&meta, &good, &files, whole, began))?,
    }
    if let Some(sentence) = other_names {
        output::warn(&format!("ttui: {sentence}"));
    }
    if let Some(fault) = fault {
        output::warn(&sanitize(&format!("ttui: {fault}"), TEXT));
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// Hashes all pieces; shows progress if standard error is a terminal.
fn check(layout: &Layout, args: &VerifyArgs, parts: &PartFile) -> (AtomicBitfield, Option<DiskFault>) {
    let geometry = layout.geometry();
    let good = AtomicBitfield::new(geometry.pieces());
    let watched = stderr().is_terminal();
    let progress = Mutex::new((0_u64, Instant::now()));
    let found = |first: PieceIndex, run: &[bool]| {
        (first.0..).zip(run).filter(|(_, g)| **g).for_each(|(piece, _)| {
            good.set(piece);
        });
        if let Ok(mut progress) = progress.lock() {
            progress.0 += run.len() as u64;
            if watched && progress.1.elapsed().as_millis() > 100 {
                progress.1 = Instant::now();
                let share = progress.0 * 100 / u64::from(geometry.pieces().max(1));
                output::status(&format!("{share:>3}% checked"));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let all = 0..geometry.pieces();
    let fault = hash_check(layout, (&args.dir, parts), std::slice::from_ref(&all), threads, &|| false, &found);
    if watched {
        output::status("");
    }
    (good, fault)
}

/// Result for one file.
struct File {
    path: String,
    length: u64,
    /// Length on disk; `None` if missing.
    is: Option<u64>,
    /// Why something at the path does not count as the file.
    why: Option<(&'static str, String)>,
    /// Bytes of the file in the part file, stored while the file was not selected.
    parted: u64,
    /// Corrupt pieces.
    bad: Vec<Range<u32>>,
    /// Missing pieces.
    missing: Vec<Range<u32>>,
}

impl File {
    fn is_whole(&self) -> bool {
        self.bad.is_empty() && self.missing.is_empty() && self.is == Some(self.length)
    }

    const fn state(&self) -> &'static str {
        match (self.is, &self.why) {
            (_, Some((state, _))) => state,
            (None, _) => "missing",
            (Some(is), _) if is > self.length => "larger",
            (Some(is), _) if is < self.length => "short",
            _ if self.bad.is_empty() && self.missing.is_empty() => "whole",
            _ => "bad",
        }
    }
}

/// Assigns the failed pieces to files, as corrupt or missing.
fn judge(layout: &Layout, args: &VerifyArgs, good: &AtomicBitfield, parts: &PartFile) -> Vec<File> {
    let mut files = Vec::new();
    for (n, file) in layout.files().iter().enumerate().filter(|(_, f)| !f.pad) {
        let (is, why) = match look(&args.dir, &file.path) {
            FileLook::Missing => (None, None),
            FileLook::Usable(length) => (Some(length), None),
            FileLook::Unusable(state, why) => (None, Some((state, why))),
        };
        let there = |piece: u32| {
            let end = layout.bytes_of(PieceIndex(piece)).end.min(file.offset + file.length);
            is.is_some_and(|is| file.offset + is >= end)
        };
        let wrong = || layout.pieces_of(n).filter(|p| !good.has(*p));
        files.push(File {
            path: file.path.to_string_lossy().into_owned(),
            length: file.length,
            is,
            why,
            parted: parts.bytes_of(n as u32),
            bad: runs(wrong().filter(|p| there(*p))),
            missing: runs(wrong().filter(|p| !there(*p))),
        });
    }
    files
}

/// Formats the result as text.
fn words(meta: &Metainfo, good: &AtomicBitfield, files: &[File], whole: bool, began: Instant) -> String {
    let name = sanitize(&meta.name, TEXT);
    let seconds = began.elapsed().as_secs_f64();
    let mut text = String::new();
    if whole {
        let size = format::size(files.iter().map(|file| file.length).sum());
        let pieces = counted(good.pieces(), "piece");
        let _ = writeln!(text, "whole: {name}, {size}, {pieces}, checked in {seconds:.1} s");
        return text;
    }
    let (all, are) = (counted(good.pieces(), "piece"), if good.pieces() == 1 { "is" } else { "are" });
    let _ = writeln!(text, "not whole: {name}: {} of {all} {are} good", good.count());
    let part = part::name(meta.info_hash).display().to_string();
    for file in files.iter().filter(|f| !f.is_whole()) {
        let _ = write!(text, "{:>8} {}", file.state(), sanitize(&file.path, TEXT));
        if let Some(is) = file.is.filter(|is| *is != file.length) {
            let _ = write!(text, " ({} instead of {})", counted(is, "byte"), file.length);
        }
        if let Some((_, why)) = &file.why {
            let _ = write!(text, " ({})", sanitize(why, TEXT));
        }
        if file.parted > 0 {
            let _ = write!(text, " (not wanted: {} of {} in {part})", counted(file.parted, "byte"), file.length);
        }
        for (what, pieces) in [("bad", &file.bad), ("missing", &file.missing)] {
            if !pieces.is_empty() {
                let one = matches!(&pieces[..], [run] if run.len() == 1);
                let _ = write!(text, "; {what} piece{} {}", if one { "" } else { "s" }, list(pieces));
            }
        }
        text.push('\n');
    }
    text
}

/// Formats ranges of pieces: `3, 7-9`.
fn list(pieces: &[Range<u32>]) -> String {
    let one = |run: &Range<u32>| match run.end - run.start {
        1 => run.start.to_string(),
        _ => format!("{}-{}", run.start, run.end - 1),
    };
    pieces.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Formats the result as JSON.
fn json(meta: &Metainfo, good: &AtomicBitfield, files: &[File], whole: bool, fault: Option<&DiskFault>) -> Value {
    let all = |pieces: &[Range<u32>]| pieces.iter().cloned().flatten().collect::<Vec<u32>>();
    let files: Vec<Value> = files
        .iter()
        .map(|f| {
            json!({
                "path": f.path,
                "length": f.length,
                "state": f.state(),
                "bad": all(&f.bad),
                "missing": all(&f.missing),
                "parted": f.parted,
                "why": f.why.as_ref().map(|(_, why)| why),
            })
        })
        .collect();
    json!({
        "name": meta.name,
        "info_hash": meta.info_hash.to_string(),
        "whole": whole,
        "pieces": good.pieces(),
        "good": good.count(),
        "files": files,
        "fault": fault.map(|f| f.text.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_listed_as_people_write_them() {
        assert_eq!(list(&[3..4, 7..10]), "3, 7-9");
    }

    #[test]
    fn a_file_is_whole_only_if_all_of_it_is_there_and_no_more() {
        let (bad, missing) = (vec![], vec![]);
        let mut file = File { path: "a".into(), length: 5, is: Some(5), why: None, parted: 0, bad, missing };
        assert!(file.is_whole() && file.state() == "whole");
        file.is = Some(6);
        assert!(!file.is_whole() && file.state() == "larger");
        file.is = None;
        assert!(!file.is_whole() && file.state() == "missing");
    }
}
