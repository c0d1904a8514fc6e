//! Scalars with `${{ }}` in them: parsed when the spec is read, expanded once for each target.

use std::sync::Arc;

use crate::diag::Span;

/// A scalar as written: text and expressions by turns.
#[derive(Clone, Debug)]
pub struct Template {
    /// The whole scalar in its file.
    pub span: Span,
    /// What it is made of, in order; a scalar without `${{` is one [`Part::Text`] (or none, when empty).
    pub parts: Vec<Part>,
}

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text that stands for itself.
    Text(Arc<str>),
    /// `${{ expression }}`.
    Expression(Expression),
}

/// An expression that has parsed, and whose names are known where it stands.
#[derive(Clone, Debug)]
pub struct Expression {
    /// Where it stands, without the braces.
    pub span: Span,
    /// Its text, trimmed.
    pub source: Arc<str>,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

/// `when:`, an expression whose value is true or false.
pub type Condition = Expression;

impl Template {
    /// The text when no expression is in it.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}
