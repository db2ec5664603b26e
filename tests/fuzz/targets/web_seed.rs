//! What web seeds say and where they are asked: a range that is read makes sense, and no name leads out of its folder.

use ttui::wire::web_seed;
use url::Url;

/// One input.
pub fn run(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Some(web_seed::ContentRange { first, last, total }) = web_seed::content_range(text) {
            assert!(first <= last && total.is_none_or(|total| last < total));
        }
        let _ = web_seed::host(text);
    }
    let parts: Vec<&[u8]> = bytes.split(|byte| *byte == b'/').collect();
    let count = parts.len();
    let Some(path) = web_seed::percent_encode_path(parts.into_iter()) else { return };
    let url = Url::parse(&web_seed::file_url("http://h.example/base/", true, &path)).unwrap();
    assert!(url.path().starts_with("/base/") && url.query().is_none() && url.fragment().is_none(), "{url}");
    assert_eq!(url.path().matches('/').count(), 1 + count, "{url}");
}
