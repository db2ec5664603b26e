//! Names that not every file system takes, mended by the rules of Windows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::disk::layout::Layout;
use crate::wire::metainfo::paths::{PathRules, UsedPaths, component, is_reserved, to_path};

/// Returns the paths of the files with a name that Windows does not take, made to fit.
///
/// They are unique within the torrent, and the same whenever they are computed: files that need no other name keep theirs.
#[must_use]
pub fn mended(layout: &Layout) -> BTreeMap<usize, PathBuf> {
    let files = layout.files().iter().enumerate().filter(|(_, file)| !file.pad);
    let (odd, plain): (Vec<_>, Vec<_>) = files.partition(|(_, file)| is_odd(&file.path));
    if odd.is_empty() {
        return BTreeMap::new();
    }
    let parts = |path: &'_ Path| -> Vec<Vec<u8>> { path.iter().map(|part| part.as_encoded_bytes().to_vec()).collect() };
    let mut used = UsedPaths::default();
    for (_, file) in plain {
        used.assign(parts(&file.path).into_iter().map(Into::into).collect());
    }
    let fitted = |path: &Path| {
        let fit = |part: Vec<u8>| component(&part, PathRules::Windows).map(|part| part.into_owned().into());
        parts(path).into_iter().filter_map(fit).collect()
    };
    odd.into_iter().map(|(n, file)| (n, to_path(&used.assign(fitted(&file.path))))).collect()
}

/// Returns whether a path has a component that Windows does not take.
fn is_odd(path: &Path) -> bool {
    path.iter().any(|part| {
        let bytes = part.as_encoded_bytes();
        let refused = |b: &u8| *b < 0x20 || matches!(b, b'<' | b'>' | b':' | b'"' | b'\\' | b'|' | b'?' | b'*');
        bytes.iter().any(refused) || matches!(bytes.last(), Some(b'.' | b' ')) || part.to_str().is_none_or(is_reserved)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::disk::layout::tests::layout;

    fn paths(names: &[&str]) -> Vec<String> {
        let files: Vec<(Option<&str>, u64)> = names.iter().map(|name| (Some(*name), 10)).collect();
        let l = layout(10, &files);
        let mended = mended(&l);
        let path = |n: usize| mended.get(&n).map_or(l.files()[n].path.clone(), Clone::clone);
        (0..names.len()).map(|n| path(n).to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_windows_does_not_take_is_mended_and_the_rest_is_kept() {
        for (name, want) in [
            ("g/Part 1: why?", "g/Part 1_ why_"),
            ("g/a*b|c<d>e\"f\\g", "g/a_b_c_d_e_f_g"),
            ("g:/x/y.", "g_/x/y_"),
            ("g/ends with space ", "g/ends with space_"),
            ("g/nul.txt", "g/_nul.txt"),
            ("AUX/com1", "_AUX/_com1"),
            ("g/tab\there\u{1}", "g/tab_here_"),
            ("g/caf\u{e9} \u{96ea}", "g/caf\u{e9} \u{96ea}"),
            ("g/plain (2) - x.txt", "g/plain (2) - x.txt"),
            ("console/lpt10", "console/lpt10"),
        ] {
            assert_eq!(paths(&[name]), [want], "{name}");
        }
    }

    #[test]
    fn mended_names_are_unique_and_never_anothers() {
        for (names, want) in [
            (&["g/a:b", "g/a_b", "g/a?b"][..], &["g/a_b (2)", "g/a_b", "g/a_b (3)"][..]),
            (&["g/a?/x", "g/a_", "g/a?/y"], &["g/a_ (2)/x", "g/a_", "g/a_ (2)/y"]),
            (&["g/a?/x", "g/a*/x", "g/a_/x"], &["g/a_/x (2)", "g/a_/x (3)", "g/a_/x"]),
            (&["g/x.y:", "g/x.y?", "g/x.y."], &["g/x.y_", "g/x (2).y_", "g/x (3).y_"]),
        ] {
            assert_eq!(paths(names), want, "{names:?}");
        }
        // Names of few letters, many of which come to the same.
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..300 {
            let part = |rng: &mut fastrand::Rng| -> String {
                (0..rng.usize(1..3)).map(|_| *rng.choice(&['a', '_', ':', '?', '.', '\u{e4}']).unwrap()).collect()
            };
            let name = |rng: &mut fastrand::Rng| match part(rng) {
                name if name.trim_matches('.').is_empty() => "x".to_owned(),
                name => name,
            };
            // As in a torrent, no path is used twice and no file is a folder, too.
            let mut names: BTreeSet<String> = BTreeSet::new();
            for _ in 0..rng.usize(1..20) {
                let path = format!("f {}/{}", name(&mut rng), name(&mut rng));
                names.insert(if rng.bool() { path } else { format!("g {}", name(&mut rng)) });
            }
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mended = paths(&names);
            let different: BTreeSet<&String> = mended.iter().collect();
            assert_eq!(different.len(), names.len(), "{names:?} {mended:?}");
            for (name, mended) in names.iter().zip(&mended) {
                assert!(!is_odd(Path::new(mended)), "{mended}");
                assert!(is_odd(Path::new(name)) || name == mended, "{name} {mended}");
            }
        }
    }
}
