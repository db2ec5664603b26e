//! Errors of the config file. The display text of each is one sentence, or a clause where that is said.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::settings::{self, KEY_TABLE};

/// Why the configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// There is no default state directory.
    #[error("there is no home folder to keep the state in: name one with --state-dir")]
    NoHome,
    /// The file cannot be read.
    #[error("the config file {} cannot be used: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The file is a directory or a device, or too long.
    #[error("the config file {} cannot be used: it is no file, or longer than 1 MiB", .0.display())]
    NotAFile(PathBuf),
    /// The text is not valid.
    #[error("the config file {} cannot be used: {source}", path.display())]
    Invalid { path: PathBuf, source: Box<SyntaxError> },
}

/// What is wrong in the text of a config file; a clause.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SyntaxError {
    /// A message of the parser that names no line.
    #[error("{0}")]
    Unlocated(String),
    #[error("line {line}: unknown key `{key}`; the keys are {}", key_names())]
    UnknownKey { line: usize, key: String },
    #[error("line {line}: {text}: {message}; behind {key} = write {expected}")]
    Value { line: usize, text: String, message: String, key: String, expected: Cow<'static, str> },
    /// A syntax error outside the value of a known key.
    #[error("line {line}: {text}: {message}")]
    Malformed { line: usize, text: String, message: String },
}

fn key_names() -> String {
    let keys: Vec<&str> = settings::all().map(|setting| setting.key).chain([KEY_TABLE]).collect();
    keys.join(", ")
}

/// Why the text of a config file cannot be changed; a clause.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum EditError {
    /// The text is not valid TOML: the message of the parser.
    #[error("{0}")]
    Syntax(String),
    /// The new value is not valid TOML.
    #[error("{key} cannot be {value}: {message}")]
    Value { key: String, value: String, message: String },
    #[error("{key} is no key of a table there")]
    NoTable { key: String },
    /// The key shares its line with another.
    #[error("{key} does not stand on a line of its own: take it out by hand")]
    SharedLine { key: String },
}
