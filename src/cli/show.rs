//! `ttui show`: prints the contents of a `.torrent` or a magnet link.

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{Common, ShowArgs};
use super::output;
use super::torrent_arg::{TorrentArg, read};
use crate::format::{self, counted};
use crate::wire::magnet::Magnet;
use crate::wire::metainfo::Metainfo;
use crate::wire::sanitize::sanitize;

/// Maximum columns of an untrusted text.
const TEXT: usize = 1000;

/// Prints the contents.
///
/// # Errors
/// The torrent cannot be read.
pub(crate) fn run(args: &ShowArgs, common: &Common) -> color_eyre::Result<ExitCode> {
    match (read(&args.torrent, common)?, args.json) {
        (TorrentArg::Torrent(it), false) => output::print(&torrent(&it)),
        (TorrentArg::Torrent(it), true) => output::print_json(&torrent_json(&it)),
        (TorrentArg::Magnet(it), false) => output::print(&magnet(&it)),
        (TorrentArg::Magnet(it), true) => output::print_json(&magnet_json(&it)),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// A list of label and value lines.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, label: &str, value: &str) {
        let _ = writeln!(self.0, "{label:<11} {value}");
    }

    /// Adds an untrusted text, if present, sanitized.
    fn text(&mut self, label: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(label, &sanitize(value, TEXT));
        }
    }

    /// Adds several values below one label.
    fn list<'a>(&mut self, label: &str, values: impl IntoIterator<Item = &'a str>) {
        for (n, value) in values.into_iter().enumerate() {
            self.add(if n == 0 { label } else { "" }, &sanitize(value, TEXT));
        }
    }
}

/// Formats a torrent as text.
fn torrent(it: &Metainfo) -> String {
    let mut lines = Lines::default();
    lines.text("name", Some(&it.name));
    lines.add("info-hash", &it.info_hash.to_string());
    let files = it.files.iter().filter(|f| !f.pad);
    let bytes: u64 = files.clone().map(|f| f.length).sum();
    let count = match files.clone().count() {
        1 if !it.folder => "one file".to_owned(),
        1 => "a folder of one file".to_owned(),
        n => format!("a folder of {n} files"),
    };
    lines.add("size", &format!("{} ({}), {count}", format::size(bytes), counted(bytes, "byte")));
    let piece = format::binary_size(it.piece_length.into());
    lines.add("pieces", &format!("{} of {piece}", it.hashes.len()));
    if it.private {
        lines.add("private", "yes: peers come from its own trackers only");
    }
    lines.text("comment", it.comment.as_deref());
    lines.text("made by", it.created_by.as_deref());
    if let Some(created) = it.created {
        lines
            .add("made on", &format::date_to_second(created).unwrap_or_else(|| format!("{created}, which is no date")));
    }
    lines.text("source", it.source.as_deref());
    for (n, tier) in it.trackers.iter().enumerate() {
        let label = if n == 0 { "trackers" } else { "" };
        lines.add(label, &sanitize(&format!("tier {}: {}", n + 1, tier.join(", ")), TEXT));
    }
    lines.list("web seeds", it.web_seeds.iter().map(String::as_str));
    let refused: Vec<String> = it.refused_trackers.iter().map(ToString::to_string).collect();
    lines.list("refused", refused.iter().map(String::as_str));
    lines.list("remarks", it.warnings.iter().map(String::as_str));
    lines.add("files", "");
    for file in files {
        let _ = writeln!(lines.0, "{:>12} {}", format::size(file.length), sanitize(&file.name, TEXT * 4));
    }
    lines.0
}

/// Formats a torrent as JSON. Texts are verbatim; file names are those used on disk.
fn torrent_json(it: &Metainfo) -> Value {
    let files: Vec<Value> = it
        .files
        .iter()
        .filter(|f| !f.pad)
        .map(|f| json!({ "path": String::from_utf8_lossy(f.bytes()), "length": f.length, "offset": f.offset }))
        .collect();
    json!({
        "name": it.name,
        "info_hash": it.info_hash.to_string(),
        "bytes": it.files.iter().filter(|f| !f.pad).map(|f| f.length).sum::<u64>(),
        "pieces": it.hashes.len(),
        "piece_length": it.piece_length,
        "folder": it.folder,
        "private": it.private,
        "comment": it.comment,
        "created_by": it.created_by,
        "created": it.created,
        "source": it.source,
        "trackers": it.trackers,
        "web_seeds": it.web_seeds,
        "refused": it.refused_trackers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "remarks": it.warnings,
        "files": files,
        "magnet": Magnet::from(it).to_string(),
    })
}

/// Formats a magnet link as text.
fn magnet(it: &Magnet) -> String {
    let mut lines = Lines::default();
    lines.text("name", it.name.as_deref());
    lines.add("info-hash", &it.info_hash.to_string());
    lines.list("trackers", it.trackers.iter().map(String::as_str));
    lines.list("web seeds", it.web_seeds.iter().map(String::as_str));
    lines.list("source at", it.sources.iter().map(String::as_str));
    let peers = it.peers.iter().map(ToString::to_string).chain(it.named_peers.iter().map(ToString::to_string));
    lines.list("peers", peers.collect::<Vec<_>>().iter().map(String::as_str));
    let select: Vec<String> = it.select.iter().map(|r| format!("{} to {}", r.start(), r.end())).collect();
    if !select.is_empty() {
        lines.add("only files", &select.join(", "));
    }
    let refused: Vec<String> = it.refused.iter().map(ToString::to_string).collect();
    lines.list("refused", refused.iter().map(String::as_str));
    lines.add("files", "not known before a peer has told them");
    lines.0
}

/// Formats a magnet link as JSON.
fn magnet_json(it: &Magnet) -> Value {
    json!({
        "name": it.name,
        "info_hash": it.info_hash.to_string(),
        "trackers": it.trackers,
        "web_seeds": it.web_seeds,
        "sources": it.sources,
        "peers": it.peers.iter().map(ToString::to_string).chain(it.named_peers.iter().map(ToString::to_string))
            .collect::<Vec<_>>(),
        "select": it.select.iter().map(|r| [*r.start(), *r.end()]).collect::<Vec<_>>(),
        "refused": it.refused.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "magnet": it.to_string(),
    })
}
