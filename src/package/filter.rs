//! The filters of `${{ }}`: small functions from text to text.

use minijinja::{Environment, Error, ErrorKind};

use super::template::MAX_EXPANDED;

/// Every filter, for hints.
pub(super) const NAMES: [&str; 14] = [
    "args",
    "dash",
    "default",
    "join",
    "lower",
    "major",
    "major_minor",
    "major_minor_patch",
    "quote",
    "replace",
    "trim_prefix",
    "trim_suffix",
    "underscore",
    "upper",
];

pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_filter("args", |items: Vec<String>| {
        items.iter().map(|i| shell_quote(i)).collect::<Vec<_>>().join(" ")
    });
    environment.add_filter("dash", |text: String| text.replace('.', "-"));
    environment.add_filter(
        "default",
        |text: String, other: String| {
            if text.is_empty() { other } else { text }
        },
    );
    environment.add_filter("join", |items: Vec<String>, with: String| {
        let size: usize = items.iter().map(|i| i.len() + with.len()).sum();
        bounded(size).map(|()| items.join(&with))
    });
    environment.add_filter("lower", |text: String| text.to_lowercase());
    environment.add_filter("major", |text: String| leading(&text, 1));
    environment.add_filter("major_minor", |text: String| leading(&text, 2));
    environment.add_filter("major_minor_patch", |text: String| leading(&text, 3));
    environment.add_filter("quote", |text: String| shell_quote(&text));
    environment.add_filter("replace", |text: String, from: String, to: String| {
        if from.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "`replace` needs a text to replace",
            ));
        }
        let count = text.matches(&from).count();
        bounded(text.len() + count * to.len()).map(|()| text.replace(&from, &to))
    });
    environment.add_filter("trim_prefix", |text: String, prefix: String| {
        text.strip_prefix(prefix.as_str()).map(str::to_owned).unwrap_or(text)
    });
    environment.add_filter("trim_suffix", |text: String, suffix: String| {
        text.strip_suffix(suffix.as_str()).map(str::to_owned).unwrap_or(text)
    });
    environment.add_filter("underscore", |text: String| text.replace('.', "_"));
    environment.add_filter("upper", |text: String| text.to_uppercase());
}

/// Refuses a result before it is made: filters one after another could multiply its size.
fn bounded(size: usize) -> Result<(), Error> {
    if size <= MAX_EXPANDED {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidOperation, "the text becomes larger than 1 MiB"))
}

/// The first parts of a version; fails when it has fewer.
fn leading(version: &str, parts: usize) -> Result<String, Error> {
    let found: Vec<&str> = version.split('.').take(parts).collect();
    if found.len() < parts {
        let said = format!("`{version}` has fewer than {parts} parts");
        return Err(Error::new(ErrorKind::InvalidOperation, said));
    }
    Ok(found.join("."))
}

/// One word for a POSIX shell, quoted only where it must be.
pub fn shell_quote(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_cut_and_words_are_quoted() {
        assert_eq!(leading("1.10.3", 2).unwrap(), "1.10");
        assert!(leading("1", 2).is_err());
        assert_eq!(shell_quote("a b'c"), "'a b'\\''c'");
        assert_eq!(shell_quote("-O2"), "-O2");
    }
}
