//! The lines of a headless run: a stable contract for scripts.

use serde_json::json;

use crate::api::{State, TorrentView};
use crate::wire::sanitize::escape_json_for_terminal;
use crate::words::why;

/// Returns the complete share in percent.
pub(super) fn percent(view: &TorrentView) -> f64 {
    match view.state {
        State::Checking => 100.0 * f64::from(view.checked) / f64::from(view.pieces.max(1)),
        State::Metadata => 100.0 * f64::from(view.metadata.done) / f64::from(view.metadata.total.max(1)),
        // A magnet link has no pieces before its metadata arrive. Empty torrents are complete once they are seeding.
        _ if view.pieces == 0 && view.state != State::Seeding => 0.0,
        _ if view.wanted == 0 => 100.0,
        // Rounded down: 100 is shown only when the torrent is complete.
        _ => (1000.0 * view.done as f64 / view.wanted as f64).floor() / 10.0,
    }
}

/// Formats the progress of a torrent as `key=value` fields.
pub(super) fn line(v: &TorrentView) -> String {
    let eta = v.eta.map_or_else(|| "-".to_owned(), |eta| eta.as_secs().to_string());
    format!(
        "progress name={} done={:.1}% have={}/{} down={} up={} peers={}/{} state={} eta={eta} why={}",
        quoted(name(v)),
        percent(v),
        v.have,
        v.pieces,
        v.down,
        v.up,
        v.peers,
        v.known,
        v.state.word(),
        quoted(&why::sentence(&v.why)),
    )
}

/// Returns the name of the file or folder on disk.
pub(super) fn name(v: &TorrentView) -> &str {
    v.name_on_disk.as_deref().unwrap_or(&v.name)
}

/// Quotes a text as a JSON string, with control characters escaped.
pub(super) fn quoted(text: &str) -> String {
    escape_json_for_terminal(&json!(text).to_string()).into_owned()
}

/// Returns the same fields as a JSON object, with the info-hash and the size.
pub(super) fn object(v: &TorrentView) -> serde_json::Value {
    json!({
        "event": "progress",
        "name": name(v),
        "info_hash": v.info_hash.map(|hash| hash.to_string()),
        "size": v.size,
        "done": percent(v),
        "have": v.have,
        "pieces": v.pieces,
        "metadata": (v.state == State::Metadata).then(|| json!({ "have": v.metadata.done, "pieces": v.metadata.total })),
        "down": v.down,
        "up": v.up,
        "downloaded": v.downloaded,
        "uploaded": v.uploaded,
        "peers": v.peers,
        "known": v.known,
        "state": v.state.word(),
        "eta": v.eta.map(|eta| eta.as_secs()),
        "error": v.error,
        "why": why::sentence(&v.why),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{DiskFault, FaultKind, Reason};

    #[test]
    fn names_stand_in_lines_as_json_writes_them() {
        for (name, wanted) in [
            ("film.mkv", r#""film.mkv""#),
            ("cafe\u{301} नि 日本", "\"cafe\u{301} नि 日本\""),
            (r#"a"b\c"#, r#""a\"b\\c""#),
            ("a\tb\u{1}", r#""a\tb\u0001""#),
            ("\u{7f}\u{9b}m\u{202e}\u{e0001}", r#""\u007f\u009bm\u202e\udb40\udc01""#),
        ] {
            assert_eq!(quoted(name), wanted);
            assert_eq!(serde_json::from_str::<String>(wanted).unwrap(), name);
        }
    }

    #[test]
    fn a_line_says_why_at_its_end() {
        let fault = DiskFault { kind: FaultKind::Final, text: "no peers: \"x\" refuses".into() };
        let why = Reason::Fault(fault).into();
        let view =
            TorrentView { name: "a b".into(), pieces: 4, have: 1, wanted: 8, done: 2, why, ..TorrentView::default() };
        let told = line(&view);
        let head = "progress name=\"a b\" done=25.0% have=1/4 down=0 up=0 peers=0/0 state=downloading eta=- why=";
        assert_eq!(told, format!("{head}{}", r#""no peers: \"x\" refuses""#));
        assert_eq!(object(&view)["why"], "no peers: \"x\" refuses");
    }
}
