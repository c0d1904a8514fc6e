//! Places in files, and what is said about them.
//!
//! Everything but [`render`] speaks of bytes; lines and columns exist only where a person reads them.

mod code;
mod files;
pub mod render;
mod suggest;

use std::cmp::Ordering;

pub use code::Code;
pub use files::{FileId, Files};
pub use suggest::{listed, nearest, suggest};

/// A range of bytes in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// The first byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// A value and the place where somebody wrote it.
///
/// Equality and order are those of the value: two equal names at two places are one name.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Ties a value to its place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

/// Whether a character turns the direction of the text after it (Unicode TR 9, the embeddings,
/// overrides and isolates): a reviewer would read something else than a program.
pub fn is_direction_control(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One finding: a code for programs, a sentence and a place for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of finding it is; code matches on this, never on text.
    pub code: Code,
    /// The sentence: lower case, no full stop, the user's text in backticks.
    pub message: String,
    /// Where; `None` only for findings about the invocation itself.
    pub span: Option<Span>,
    /// A few words that stand at the marked text.
    pub label: Option<String>,
    /// Other places that belong to it, in reading order (a path of references, a first definition).
    pub notes: Vec<(Span, String)>,
    /// What solves it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A finding at a place.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message, span: Some(span), label: None, notes: Vec::new(), hint: None }
    }

    /// A finding about the invocation, which no file is to blame for.
    pub fn bare(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message, span: None, label: None, notes: Vec::new(), hint: None }
    }

    /// Adds the words at the marked text.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn note(mut self, span: Span, text: impl Into<String>) -> Self {
        self.notes.push((span, text.into()));
        self
    }

    /// Adds what solves it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// All findings of a run; sorted when they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds all of another run.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Adds one, if there is one.
    pub fn extend_with(&mut self, found: Option<Diagnostic>) {
        self.0.extend(found);
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Sorted by file path, place, code and text, each once: the order in which they are shown.
    #[must_use]
    pub fn sorted(mut self, files: &Files) -> Vec<Diagnostic> {
        self.0.sort_by(|a, b| by_place(files, a, b));
        self.0.dedup();
        self.0
    }

    /// The value when nothing was found, otherwise the findings.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

fn by_place(files: &Files, a: &Diagnostic, b: &Diagnostic) -> Ordering {
    let place = |d: &Diagnostic| d.span.map(|s| (files.path(s.file).to_owned(), s.start, s.end));
    place(a)
        .cmp(&place(b))
        .then_with(|| a.code.name().cmp(b.code.name()))
        .then_with(|| a.message.cmp(&b.message))
}
