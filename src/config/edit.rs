//! Changes to the text of a config file that leave everything else in it as it was: order, comments, spaces.

use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

/// Sets each key to its new value, written as TOML has it; `None` takes the key out. `keys.pause` is the key `pause` of
/// the table `keys`.
///
/// # Errors
/// One part of a sentence: the text is no TOML, or a value is none.
pub fn edit(text: &str, settings: &[(String, Option<String>)]) -> Result<String, String> {
    let one_line = |why: &toml_edit::TomlError| why.message().trim().replace('\n', " ");
    let mut document: DocumentMut = text.parse().map_err(|why| one_line(&why))?;
    let only_comments = document.as_table().is_empty();
    for (key, value) in settings {
        let new = value.as_ref().map(|value| value.trim().parse::<Value>().map_err(|why| one_line(&why))).transpose();
        let new = new.map_err(|why| format!("{key} cannot be {}: {why}", value.as_deref().unwrap_or_default()))?;
        set(document.as_table_mut(), key, new).ok_or_else(|| format!("{key} is no key of a table there"))?;
    }
    if only_comments && !text.trim().is_empty() {
        // They are a head to what follows, not its tail.
        document.set_trailing("");
        return Ok(format!("{}\n\n{document}", text.trim_end()));
    }
    Ok(document.to_string())
}

/// Sets a key of a table or takes it out. `None` when its path leads through something that is no table.
fn set(root: &mut Table, key: &str, new: Option<Value>) -> Option<()> {
    let mut path: Vec<&str> = key.split('.').collect();
    let last = path.pop()?;
    let mut table: &mut dyn TableLike = root;
    for name in path {
        if new.is_none() && table.get(name).is_none() {
            return Some(());
        }
        table = table.entry(name).or_insert_with(|| Item::Table(Table::new())).as_table_like_mut()?;
    }
    match (new, table.get_mut(last).and_then(Item::as_value_mut)) {
        (None, _) => drop(table.remove(last)),
        // What stands around the old value, a comment behind it for one, stands around the new one.
        (Some(mut new), Some(old)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        (Some(new), None) => drop(table.insert(last, Item::Value(new))),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, settings: &[(&str, Option<&str>)]) -> Result<String, String> {
        let settings: Vec<_> = settings.iter().map(|(k, v)| ((*k).to_owned(), v.map(str::to_owned))).collect();
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
        assert_eq!(edited("a = 1\nb = 2\n", &[("a", None)]).unwrap(), "b = 2\n");
        assert_eq!(edited("", &[("a", Some("1"))]).unwrap(), "a = 1\n");
        assert_eq!(edited("# head\n", &[("a", Some("1"))]).unwrap(), "# head\n\na = 1\n");
        assert_eq!(edited("", &[("keys.a", Some("\"b\""))]).unwrap(), "[keys]\na = \"b\"\n");
    }

    #[test]
    fn what_is_no_toml_is_refused() {
        assert!(edited("a = = 1\n", &[("a", Some("1"))]).is_err());
        assert!(edited("", &[("a", Some("dark"))]).unwrap_err().contains("a cannot be dark"));
        assert!(edited("a = 1\n", &[("a.b", Some("1"))]).is_err());
    }
}
