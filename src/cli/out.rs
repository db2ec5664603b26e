//! Words for standard output and standard error, whose other end may have gone.
//!
//! All that is printed outside the interface goes through here, and nothing gets through that a terminal would obey:
//! names of files, answers of trackers and arguments are strangers' words. What we want obeyed ourselves has functions of
//! its own ([`rewrite`], [`status`]) or is said with [`print_as_it_is`].

use std::io::{self, Write};

use serde_json::Value;

use crate::wire::text::{harmless, harmless_json};

/// Goes to the start of the line and clears it.
const CLEAR: &str = "\r\x1b[K";

/// Prints all of `text`, which may have several lines. Where the reader has left (`ttui show x | head -1`), there is
/// nothing more to say, and that is no failure.
///
/// # Errors
/// When it cannot be written for another reason, such as a full disk.
pub fn print(text: &str) -> io::Result<()> {
    print_as_it_is(&harmless(text, true))
}

/// Prints text in which the terminal is to obey what it says: nothing of a stranger may be in it.
///
/// # Errors
/// As [`print()`].
pub fn print_as_it_is(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), format!("cannot write to standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Prints a value as one line of JSON. Texts in it are whole: what a terminal would obey is escaped.
///
/// # Errors
/// As [`print()`].
pub fn print_json(value: &Value) -> io::Result<()> {
    print_as_it_is(&format!("{}\n", harmless_json(&value.to_string())))
}

/// Prints one line at once. A reader that has gone does not stop the work that the line tells of.
pub fn line(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{}", harmless(text, false)).and_then(|()| out.flush());
}

/// Prints a value as a line of JSON at once, as [`line()`] does.
pub fn json(value: &Value) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{}", harmless_json(&value.to_string())).and_then(|()| out.flush());
}

/// Prints one line to standard error.
pub fn warn(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", harmless(text, false));
}

/// Prints several lines to standard error.
pub fn report(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", harmless(text.trim_end(), true));
}

/// Writes over the line that standard output is in, at once.
pub fn rewrite(text: &str) {
    let mut out = io::stdout().lock();
    let _ = write!(out, "{CLEAR}{}", harmless(text, false)).and_then(|()| out.flush());
}

/// Writes over the line that standard error is in.
pub fn status(text: &str) {
    let _ = write!(io::stderr().lock(), "{CLEAR}{}", harmless(text, false));
}
