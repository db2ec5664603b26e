//! Edits keys in the text of a config file (TOML) and preserves its order, comments and whitespace.

use toml_edit::{Document, DocumentMut, Item, Table, TableLike, TomlError, Value};

use super::error::EditError;
use crate::api::Setting;

/// Sets each key to its new value, given as TOML text; `None` removes the key.
///
/// The key `keys.pause` is `pause` of the table `keys`.
///
/// # Errors
/// Fails if the text or a value is not valid TOML.
pub(crate) fn edit(text: &str, settings: &[Setting]) -> Result<String, EditError> {
    settings.iter().try_fold(text.to_owned(), |text, Setting { key, value }| match value {
        Some(value) => put(&text, key, value.trim()),
        None => remove_key(&text, key),
    })
}

/// Returns the message of a TOML error on one line.
fn message(why: &TomlError) -> String {
    why.message().trim().replace('\n', " ")
}

fn put(text: &str, key: &str, value: &str) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse().map_err(|why| EditError::Syntax(message(&why)))?;
    let only_comments = document.as_table().is_empty();
    let bad = |why| EditError::Value { key: key.to_owned(), value: value.to_owned(), message: message(&why) };
    let new = value.parse::<Value>().map_err(bad)?;
    set(document.as_table_mut(), key, new).ok_or_else(|| EditError::NoTable { key: key.to_owned() })?;
    if only_comments && !text.trim().is_empty() {
        // The comments are a header: keep them above the new key.
        document.set_trailing("");
        return Ok(format!("{}\n\n{document}", text.trim_end()));
    }
    Ok(document.to_string())
}

/// Sets a key of a table. `None` if its path contains a value that is not a table.
fn set(root: &mut Table, key: &str, mut new: Value) -> Option<()> {
    let mut path: Vec<&str> = key.split('.').collect();
    let last = path.pop()?;
    let mut table: &mut dyn TableLike = root;
    for name in path {
        table = table.entry(name).or_insert_with(|| Item::Table(Table::new())).as_table_like_mut()?;
    }
    if let Some(old) = table.get_mut(last).and_then(Item::as_value_mut) {
        // Keeps the decoration of the old value, such as a trailing comment.
        *new.decor_mut() = old.decor().clone();
        *old = new;
    } else {
        table.insert(last, Item::Value(new));
    }
    Some(())
}

/// Removes the lines of a key. Comments above it are kept: they may describe the following keys too.
fn remove_key(text: &str, key: &str) -> Result<String, EditError> {
    let document = Document::parse(text).map_err(|why| EditError::Syntax(message(&why)))?;
    let mut path: Vec<&str> = key.split('.').collect();
    let last = path.pop().unwrap_or_default();
    let mut table: &dyn TableLike = document.as_table();
    for name in path {
        let Some(inner) = table.get(name).and_then(Item::as_table_like) else { return Ok(text.to_owned()) };
        table = inner;
    }
    let Some((at, item)) = table.get_key_value(last) else { return Ok(text.to_owned()) };
    let (Some(name), Some(value)) = (at.span(), item.span()) else { return Ok(text.to_owned()) };
    let start = text[..name.start].rfind('\n').map_or(0, |end| end + 1);
    let end = text[value.end..].find('\n').map_or(text.len(), |end| value.end + end + 1);
    if !text[start..name.start].trim().is_empty() || !item.is_value() {
        return Err(EditError::SharedLine { key: key.to_owned() });
    }
    Ok(format!("{}{}", &text[..start], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, settings: &[(&str, Option<&str>)]) -> Result<String, EditError> {
        let settings: Vec<_> = settings
            .iter()
            .map(|(key, value)| Setting { key: (*key).to_owned(), value: value.map(str::to_owned) })
            .collect();
        edit(text, &settings)
    }

    #[test]
    fn everything_else_stays_as_it_was() {
        let text = "# mine\nport = 7000 # at home\n\ndown-limit = \"1M\"\n\n[keys] # of keys\n# odd\npause = \"F5\"\n";
        let new = edited(
            text,
            &[
                ("port", Some("7001")),
                ("theme", Some("\"dark\"")),
                ("keys.pause", Some("[\"F6\"]")),
                ("keys.quit", Some("\"Q\"")),
                ("up-limit", None),
                ("more.of", None),
            ],
        );
        assert_eq!(
            new.unwrap(),
            "# mine\nport = 7001 # at home\n\ndown-limit = \"1M\"\ntheme = \"dark\"\n\n[keys] # of keys\n# odd\n\
             pause = [\"F6\"]\nquit = \"Q\"\n"
        );
        assert_eq!(
            edited("# of both\na = [1, # one\n 2] # two\nb = 2\n", &[("a", None)]).unwrap(),
            "# of both\nb = 2\n"
        );
        assert_eq!(edited("[keys]\n a = 1", &[("keys.a", None), ("keys.b", None)]).unwrap(), "[keys]\n");
        assert_eq!(edited("", &[("a", Some("1"))]).unwrap(), "a = 1\n");
        assert_eq!(edited("# head\n", &[("a", Some("1"))]).unwrap(), "# head\n\na = 1\n");
        assert_eq!(edited("", &[("keys.a", Some("\"b\""))]).unwrap(), "[keys]\na = \"b\"\n");
    }

    #[test]
    fn what_is_no_toml_is_refused() {
        assert!(edited("a = = 1\n", &[("a", Some("1"))]).is_err());
        assert!(edited("", &[("a", Some("dark"))]).unwrap_err().to_string().contains("a cannot be dark"));
        assert!(edited("a = 1\n", &[("a.b", Some("1"))]).is_err());
        assert!(edited("keys = { a = 1 }\n", &[("keys.a", None)]).unwrap_err().to_string().contains("by hand"));
    }
}
