//! The common flags, made from the table of settings: `--down-limit 10MB/s` is checked and stored exactly like
//! `down-limit = "10MB/s"` in the config file.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use serde::Deserialize;
use toml::{Table, Value};

use crate::config::Settings;
use crate::config::settings::{self, Kind, Setting};

const HEADING: &str = "Common flags";

impl Args for Settings {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config").long("config").value_name("FILE").value_parser(clap::value_parser!(PathBuf));
        let flags = settings::all().filter(|setting| !setting.flag_help.is_empty()).map(flag);
        let all = std::iter::once(file.help("Use this config file")).chain(flags);
        command.args(all.map(|arg| arg.global(true).help_heading(HEADING)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Settings::augment_args(command)
    }
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Settings, clap::Error> {
        let flags = settings::all().filter(|setting| !setting.flag_help.is_empty());
        let table: Table =
            flags.filter_map(|setting| Some((setting.key.to_owned(), given(setting, matches)?))).collect();
        let parsed = Settings::deserialize(table);
        let mut parsed = parsed.map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, error.message()))?;
        // Paths need not be UTF-8, as TOML is.
        let path = |key: &str| matches.get_one::<PathBuf>(key).cloned();
        (parsed.config, parsed.state_dir, parsed.log_file) = (path("config"), path("state-dir"), path("log-file"));
        Ok(parsed)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Settings::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Makes the flag of a setting.
fn flag(setting: &'static Setting) -> Arg {
    let arg = Arg::new(setting.key).long(setting.key).help(setting.flag_help);
    let with_value = |arg: Arg| arg.value_name(setting.value_name);
    match setting.kind {
        _ if setting.key == "verbose" => arg.short('v').action(ArgAction::Count),
        Kind::Switch(_) | Kind::NegatedSwitch => arg.action(ArgAction::SetTrue),
        Kind::Choice(values) => with_value(arg).value_parser(PossibleValuesParser::new(values)),
        Kind::Path(_) => with_value(arg).value_parser(clap::value_parser!(PathBuf)),
        Kind::List(_) => {
            let parse = move |text: &str| checked(setting, Value::Array(vec![Value::String(text.trim().to_owned())]));
            with_value(arg).value_delimiter(',').action(ArgAction::Append).value_parser(parse)
        }
        Kind::Number(words) => with_value(arg).value_parser(move |text: &str| {
            let number = text.parse::<i64>().map_err(|_| format!("it needs {words}"))?;
            checked(setting, Value::Integer(number)).map_err(|why| format!("{why}; it needs {words}"))
        }),
        Kind::Text(_) => {
            with_value(arg).value_parser(move |text: &str| checked(setting, Value::String(text.to_owned())))
        }
    }
}

/// Returns the value if the config file would accept it.
fn checked(setting: &Setting, value: Value) -> Result<Value, String> {
    let table = Table::from_iter([(setting.key.to_owned(), value.clone())]);
    Settings::deserialize(table).map(|_| value).map_err(|error| error.message().to_owned())
}

/// Returns the value given on the command line.
fn given(setting: &Setting, matches: &ArgMatches) -> Option<Value> {
    match setting.kind {
        _ if setting.key == "verbose" => Some(Value::Integer(matches.get_count(setting.key).into())),
        Kind::Switch(_) | Kind::NegatedSwitch => matches.get_flag(setting.key).then_some(Value::Boolean(true)),
        Kind::Choice(_) => matches.get_one::<String>(setting.key).cloned().map(Value::String),
        Kind::Path(_) => None,
        Kind::List(_) => {
            let lists = matches.get_many::<Value>(setting.key)?;
            Some(Value::Array(lists.filter_map(Value::as_array).flatten().cloned().collect()))
        }
        Kind::Number(_) | Kind::Text(_) => matches.get_one::<Value>(setting.key).cloned(),
    }
}
