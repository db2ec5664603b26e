//! Made-up content and the `.torrent` files for it, written without any code of the crate under test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use sha1::{Digest, Sha1};

/// A torrent and its content. The same seed gives the same bytes.
pub struct Payload {
    pub name: String,
    /// Paths below the torrent's name and their content; one file with an empty path in a single-file torrent.
    pub files: Vec<(String, Vec<u8>)>,
    pub piece_length: usize,
    info: Vec<u8>,
}

impl Payload {
    /// One file of `length` bytes.
    pub fn single(name: &str, length: usize, piece_length: usize, seed: u64) -> Payload {
        let mut rng = fastrand::Rng::with_seed(seed);
        Payload::of(name, vec![(String::new(), bytes(&mut rng, length))], piece_length)
    }

    /// A folder of `count` files in nested folders: odd sizes, sizes around a block and a piece, and empty ones, the
    /// last file among them.
    pub fn folder(name: &str, count: usize, piece_length: usize, seed: u64) -> Payload {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut files = Vec::new();
        for n in 0..count {
            let length = match n % 20 {
                _ if n + 1 == count => 0,
                3 | 4 => 0,
                7 => 1,
                9 => piece_length,
                11 => piece_length + 1,
                13 => 16 * 1024 - 1,
                15 => rng.usize(piece_length..4 * piece_length),
                _ => rng.usize(1..60_000),
            };
            let path = match n % 4 {
                0 => format!("file {n:03}.bin"),
                1 => format!("one/file-{n:03}"),
                2 => format!("one/two/three/{n:03}.dat"),
                _ => format!("b\u{e4}ume/{:02}/{n:03}.txt", n / 16),
            };
            files.push((path, bytes(&mut rng, length)));
        }
        Payload::of(name, files, piece_length)
    }

    /// These files in this order.
    pub fn of(name: &str, files: Vec<(String, Vec<u8>)>, piece_length: usize) -> Payload {
        let all: Vec<u8> = files.iter().flat_map(|(_, data)| data).copied().collect();
        let pieces: Vec<u8> = all.chunks(piece_length).flat_map(|piece| Sha1::digest(piece).to_vec()).collect();
        let mut info = b"d".to_vec();
        if files[0].0.is_empty() {
            info.extend(format!("6:lengthi{}e", all.len()).bytes());
        } else {
            info.extend(b"5:filesl");
            for (path, data) in &files {
                info.extend(format!("d6:lengthi{}e4:pathl", data.len()).bytes());
                path.split('/').for_each(|part| info.extend(format!("{}:{part}", part.len()).bytes()));
                info.extend(b"ee");
            }
            info.push(b'e');
        }
        info.extend(
            format!("4:name{}:{name}12:piece lengthi{piece_length}e6:pieces{}:", name.len(), pieces.len()).bytes(),
        );
        info.extend(pieces);
        info.push(b'e');
        Payload { name: name.to_owned(), files, piece_length, info }
    }

    /// The same data as a torrent of which only its trackers may know (BEP 27).
    pub fn private(mut self) -> Payload {
        self.info.pop();
        self.info.extend(b"7:privatei1ee");
        self
    }

    /// All bytes of all files.
    pub fn length(&self) -> usize {
        self.files.iter().map(|(_, data)| data.len()).sum()
    }

    /// How many pieces it has.
    pub fn pieces(&self) -> usize {
        self.length().div_ceil(self.piece_length)
    }

    /// The info-hash.
    pub fn hash(&self) -> [u8; 20] {
        Sha1::digest(&self.info).into()
    }

    /// The info-hash in 40 hexadecimal digits.
    pub fn hex(&self) -> String {
        self.hash().iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Writes the `.torrent`; with a tracker if `announce` is not empty.
    pub fn write_torrent(&self, path: &Path, announce: &str) {
        let mut out = b"d".to_vec();
        if !announce.is_empty() {
            out.extend(format!("8:announce{}:{announce}", announce.len()).bytes());
        }
        out.extend(b"4:info");
        out.extend(&self.info);
        out.push(b'e');
        fs::write(path, out).expect("the .torrent can be written");
    }

    /// Writes the content below `dir`.
    pub fn write_data(&self, dir: &Path) {
        for (path, data) in &self.files {
            let at = dir.join(&self.name).join(path);
            let at = if path.is_empty() { dir.join(&self.name) } else { at };
            fs::create_dir_all(at.parent().expect("a parent")).expect("folders can be made");
            fs::write(at, data).expect("content can be written");
        }
    }

    /// The pieces of the single file that are whole below `dir`.
    pub fn whole_pieces(&self, dir: &Path) -> BTreeSet<u64> {
        let got = fs::read(dir.join(&self.name)).unwrap_or_default();
        let pieces = self.files[0].1.chunks(self.piece_length).zip(got.chunks(self.piece_length));
        (0..).zip(pieces).filter(|(_, (good, got))| good == got).map(|(piece, _)| piece).collect()
    }

    /// What is wrong with the content below `dir`, file by file; `None` when the SHA-1 of everything is right. Empty
    /// files count only when `with_empty`: some clients never make them.
    pub fn flaws(&self, dir: &Path, with_empty: bool) -> Option<String> {
        let mut flaws = Vec::new();
        for (path, data) in self.files.iter().filter(|(_, data)| with_empty || !data.is_empty()) {
            let at = if path.is_empty() { dir.join(&self.name) } else { dir.join(&self.name).join(path) };
            match fs::read(&at) {
                Err(e) => flaws.push(format!("{}: {e}", at.display())),
                Ok(got) if Sha1::digest(&got) != Sha1::digest(data) => {
                    flaws.push(format!("{}: {} bytes, and not those of the original", at.display(), got.len()));
                }
                Ok(_) => {}
            }
        }
        (!flaws.is_empty()).then(|| format!("{} of {} files: {}", flaws.len(), self.files.len(), flaws.join("; ")))
    }
}

fn bytes(rng: &mut fastrand::Rng, length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    rng.fill(&mut out);
    out
}
