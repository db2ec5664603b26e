//! `ttui debug-report`: what a bug report needs to say about the program, the system, the settings and the last run.
//!
//! Secrets are removed ([`Redactor`]): the report is made to be published.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::args::Common;
use super::output;
use crate::config::{self, Config};
use crate::wire::tracker::public_url;

/// Bytes at the end of the log that are part of the report.
const LOG_TAIL: u64 = 64 * 1024;
/// Environment variables that change how the program behaves, printed with their values.
const ENVIRONMENT: [&str; 7] = ["TERM", "COLORTERM", "TERM_PROGRAM", "LANG", "LC_ALL", "NO_COLOR", "TTUI_LOG"];
/// Environment variables of which only the presence is printed.
const PRESENCE: [&str; 6] = ["TMUX", "STY", "SSH_CONNECTION", "http_proxy", "https_proxy", "ALL_PROXY"];

/// Prints the report. What cannot be read is named in the report and does not end it.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn run(common: &Common) -> color_eyre::Result<ExitCode> {
    let home = etcetera::home_dir().ok();
    let mut redactor = Redactor { home, addresses: BTreeMap::new() };
    let mut text = String::from(
        "Report of ttui for a bug report. Peer addresses are numbered, passkeys and info-hashes are cut. Names of files\n\
         and torrents are not removed: read it before you publish it.\n",
    );
    text += &program();
    text += &environment();
    match Config::load(common.clone()) {
        Ok(config) => {
            text += &settings(&config);
            text += &state(&config.state_dir);
            text += &log(&config.log_file.clone().unwrap_or_else(|| config.state_dir.join("ttui.log")));
        }
        Err(why) => text += &section("settings", &why.to_string()),
    }
    output::print(&redactor.redact(&text))?;
    Ok(ExitCode::SUCCESS)
}

fn section(title: &str, body: &str) -> String {
    let body = if body.trim().is_empty() { "(nothing)" } else { body.trim_end() };
    format!("\n== {title}\n{body}\n")
}

fn program() -> String {
    let mut text = format!(
        "ttui {} ({} build)\n",
        env!("CARGO_PKG_VERSION"),
        if cfg!(debug_assertions) { "debug" } else { "release" }
    );
    let _ = writeln!(text, "{} {}", std::env::consts::OS, std::env::consts::ARCH);
    #[cfg(unix)]
    {
        let system = rustix::system::uname();
        let _ = writeln!(text, "{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy());
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let limit = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
        let _ = writeln!(text, "open files: {} (hard limit {})", limit(files.current), limit(files.maximum));
    }
    if let Ok(cores) = std::thread::available_parallelism() {
        let _ = writeln!(text, "cores: {cores}");
    }
    section("program and system", &text)
}

fn environment() -> String {
    let value = |name: &&str| std::env::var_os(name).map(|value| format!("{name}={}\n", value.to_string_lossy()));
    let present = |name: &&str| std::env::var_os(name).map(|_| format!("{name} is set\n"));
    let lines: String = ENVIRONMENT.iter().filter_map(value).chain(PRESENCE.iter().filter_map(present)).collect();
    section("environment", &lines)
}

/// The config file without its comments, and where it and the state directory are.
fn settings(config: &Config) -> String {
    let mut text = format!("state directory: {}\n", config.state_dir.display());
    let Some(path) = &config.file else { return section("settings", &text) };
    let _ = writeln!(text, "config file: {}", path.display());
    match config::text(path) {
        Ok(file) => {
            let lines = file.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
            lines.for_each(|line| _ = writeln!(text, "  {line}"));
        }
        Err(_) if !path.exists() => text += "  (does not exist: all settings have their defaults)\n",
        Err(why) => _ = writeln!(text, "  {why}"),
    }
    section("settings", &text)
}

/// Number and size of the files in the state directory, by extension.
fn state(dir: &Path) -> String {
    let mut kinds: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut text = String::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(why) => {
                let _ = writeln!(text, "{} cannot be read: {why}", folder.display());
                continue;
            }
        };
        for entry in entries.flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let path = PathBuf::from(entry.file_name());
            let kind = path.extension().map_or("(none)".into(), |it| it.to_string_lossy().into_owned());
            let (count, bytes) = kinds.entry(kind).or_default();
            *count += 1;
            *bytes += meta.len();
        }
    }
    for (kind, (count, bytes)) in kinds {
        let _ = writeln!(text, "{kind}: {count} files, {bytes} bytes");
    }
    section("state directory by kind of file", &text)
}

fn log(path: &Path) -> String {
    let body = tail(path).unwrap_or_else(|why| format!("cannot be read: {why}"));
    section(&format!("end of the log {}", path.display()), &body)
}

/// Reads the last whole lines of a file, up to [`LOG_TAIL`] bytes.
fn tail(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(LOG_TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = if start == 0 { &text } else { text.split_once('\n').map_or("", |(_, rest)| rest) };
    Ok(whole.to_owned())
}

/// Removes secrets and personal data from a text: public addresses are replaced by numbers (the same address by the
/// same number), credentials and passkeys in URLs and long hex strings are cut, the home directory becomes `~`.
struct Redactor {
    home: Option<PathBuf>,
    addresses: BTreeMap<IpAddr, usize>,
}

impl Redactor {
    fn redact(&mut self, text: &str) -> String {
        let home = self.home.as_ref().and_then(|home| home.to_str()).filter(|home| home.len() > 1);
        let text = home.map_or_else(|| text.to_owned(), |home| text.replace(home, "~"));
        let edge = |c: char| c.is_whitespace() || "\"'`<>|".contains(c);
        self.each(&text, edge, Self::word)
    }

    /// Applies `change` to the parts of a text between the characters of `edge`.
    fn each(&mut self, text: &str, edge: fn(char) -> bool, change: fn(&mut Self, &str) -> String) -> String {
        let mut out = String::with_capacity(text.len());
        for part in text.split_inclusive(edge) {
            let word = part.strip_suffix(edge).unwrap_or(part);
            out += &change(self, word);
            out += &part[word.len()..];
        }
        out
    }

    /// Redacts a word without spaces: a URL as a whole, anything else in parts.
    fn word(&mut self, word: &str) -> String {
        if let Some((before, _)) = word.split_once("magnet:") {
            return format!("{before}magnet:***");
        }
        if let Some(at) = word.find("://") {
            let name = word[..at].chars().rev().take_while(char::is_ascii_alphanumeric).count();
            let scheme = at - name;
            let url = word.trim_end_matches(['.', ',', ';', ':', ')', '}']);
            let end = url.len().max(scheme);
            return format!("{}{}{}", &word[..scheme], public_url(&word[scheme..end]), &word[end..]);
        }
        self.each(word, |c| "(),;={}".contains(c), Self::part)
    }

    fn part(&mut self, part: &str) -> String {
        let bare = part.trim_end_matches(['.', ':']);
        let rest = &part[bare.len()..];
        if let Ok(addr) = bare.parse::<SocketAddr>() {
            return format!("{}:{}{rest}", self.address(addr.ip()), addr.port());
        }
        if let Ok(ip) = bare.trim_matches(['[', ']']).parse::<IpAddr>() {
            return format!("{}{rest}", self.address(ip));
        }
        cut_hex(part)
    }

    fn address(&mut self, ip: IpAddr) -> String {
        let local = match ip {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_unspecified() || v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified(),
        };
        if local {
            return ip.to_string();
        }
        let next = self.addresses.len() + 1;
        let number = self.addresses.entry(ip).or_insert(next);
        format!("IPv{}#{number}", if ip.is_ipv4() { 4 } else { 6 })
    }
}

/// Cuts runs of 32 and more hex digits or base32 letters after the eighth: info-hashes, passkeys and keys.
fn cut_hex(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut run = String::new();
    for c in word.chars().map(Some).chain([None]) {
        match c {
            Some(c) if c.is_ascii_alphanumeric() => run.push(c),
            other => {
                let cut = run.len() >= 32;
                out += if cut { &run[..8] } else { &run };
                out += if cut { "***" } else { "" };
                run.clear();
                out.extend(other);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redact(text: &str) -> String {
        Redactor { home: Some("/users/ada".into()), addresses: BTreeMap::new() }.redact(text)
    }

    #[test]
    fn no_secret_is_left() {
        let hash = "0123456789abcdef0123456789abcdef01234567";
        for (text, expected) in [
            ("dial 203.0.113.9:6881 failed", "dial IPv4#1:6881 failed"),
            ("peer{addr=[2001:db8::7]:51413}: x", "peer{addr=IPv6#1:51413}: x"),
            ("203.0.113.9: no, 203.0.113.8 and 203.0.113.9.", "IPv4#1: no, IPv4#2 and IPv4#1."),
            ("192.168.1.20:6881 [::1]:7 127.0.0.1", "192.168.1.20:6881 ::1:7 127.0.0.1"),
            (
                "url=\"https://u:p@t.example.org/0a1b2c3d4e5f6071/announce?pid=9\"",
                "url=\"https://t.example.org/***/announce?***\"",
            ),
            ("'magnet:?xt=urn:btih:abc&tr=x'", "'magnet:***'"),
            ("é://x and ://y", "éx and y"),
            ("(see udp://t.example.org:80/announce), or", "(see udp://t.example.org:80/announce), or"),
            ("link=magnet:?xt=urn:btih:abc&dn=secret; next", "link=magnet:*** next"),
            ("tracker = [\"http://t.example.org/?k=1;j=2\"]", "tracker = [\"http://t.example.org/?***\"]"),
            ("/users/ada/a b/c.bin: full", "~/a b/c.bin: full"),
            ("a clean line, with nothing in it", "a clean line, with nothing in it"),
            ("12:30:01.5 t1.p3.r", "12:30:01.5 t1.p3.r"),
        ] {
            let found = redact(text);
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(redact(&format!("resume/{hash}.resume")), "resume/01234567***.resume");
        assert!(!redact(&format!("magnet:?xt=urn:btih:{hash}")).contains(hash));
    }

    #[test]
    fn the_end_of_a_log_begins_with_a_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        fs::write(&path, "one\ntwo\n").unwrap();
        assert_eq!(tail(&path).unwrap(), "one\ntwo\n");
        fs::write(&path, "0123456789\n".repeat(10_000)).unwrap();
        let text = tail(&path).unwrap();
        assert!(text.starts_with("0123456789\n") && text.len() as u64 > LOG_TAIL - 11);
        assert!(tail(dir.path()).is_err() && tail(&dir.path().join("none")).is_err());
    }
}
