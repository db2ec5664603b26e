//! Writes to standard output and standard error, either of which may be a closed pipe.
//!
//! Everything printed outside the interface goes through this module, which escapes control characters: file names,
//! tracker responses and arguments are untrusted input and may hold terminal escape sequences. Escape sequences of
//! our own are written by [`rewrite`], [`status`] and [`print_as_it_is`].

use std::io::{self, Write};

use serde_json::Value;

use crate::disk::error::reason;
use crate::wire::sanitize::{escape_json_for_terminal, sanitize_for_terminal};

/// Moves the cursor to the start of the line and clears the line.
const CLEAR: &str = "\r\x1b[K";

/// Prints `text`, which may have several lines. A closed pipe (`ttui show x | head -1`) is not an error.
///
/// # Errors
/// Standard output cannot be written for another reason, such as a full disk.
pub fn print(text: &str) -> io::Result<()> {
    print_as_it_is(&sanitize_for_terminal(text, true))
}

/// Prints text that may contain escape sequences; the caller must not pass untrusted input.
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

/// Prints a value as one line of JSON. Control characters are escaped, so no text is lost.
///
/// # Errors
/// As [`print()`].
pub fn print_json(value: &Value) -> io::Result<()> {
    print_as_it_is(&format!("{}\n", escape_json_for_terminal(&value.to_string())))
}

/// Prints one line and flushes it. Write errors are ignored: a closed pipe must not stop the download.
pub fn line(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{}", sanitize_for_terminal(text, false)).and_then(|()| out.flush());
}

/// Prints a value as one line of JSON and flushes it; like [`line()`], ignores write errors.
pub fn json(value: &Value) {
    json_line(&value.to_string());
}

/// Prints serialized JSON as one line and flushes it; like [`line()`], ignores write errors.
pub fn json_line(json: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{}", escape_json_for_terminal(json)).and_then(|()| out.flush());
}

/// Joins an error and its causes to one sentence, outermost first. A cause already quoted by its effect is not repeated.
#[must_use]
pub fn sentence(report: &color_eyre::Report) -> String {
    let mut whole = String::new();
    for cause in report.chain() {
        let cause = cause.downcast_ref::<io::Error>().map_or_else(|| cause.to_string(), reason);
        if whole.is_empty() {
            whole = cause;
        } else if !whole.contains(&cause) {
            whole = format!("{whole}: {cause}");
        }
    }
    whole
}

/// Prints one line to standard error.
pub fn warn(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", sanitize_for_terminal(text, false));
}

/// Prints several lines to standard error.
pub fn report(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", sanitize_for_terminal(text.trim_end(), true));
}

/// Overwrites the current line of standard output and flushes it.
pub fn rewrite(text: &str) {
    let mut out = io::stdout().lock();
    let _ = write!(out, "{CLEAR}{}", sanitize_for_terminal(text, false)).and_then(|()| out.flush());
}

/// Overwrites the current line of standard error.
pub fn status(text: &str) {
    let _ = write!(io::stderr().lock(), "{CLEAR}{}", sanitize_for_terminal(text, false));
}
