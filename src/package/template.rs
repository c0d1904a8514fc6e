//! Scalars with `${{ }}` in them: parsed when the spec is read, expanded once for each target.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use minijinja::value::ValueKind;
use minijinja::{Environment, UndefinedBehavior};

use crate::diag::{Code, Diagnostic, Span, suggest};

use super::filter;

/// The longest text that a template may become: 1 MiB.
pub(super) const MAX_EXPANDED: usize = 1 << 20;

/// The most items that a list may have.
const MAX_ITEMS: usize = 10_000;

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

/// What a name in an expression stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text; everything but parameters of build styles is.
    Text(String),
    /// True or false.
    Bool(bool),
    /// A list of texts.
    List(Vec<String>),
}

/// The names that an expression may use, dotted, with their values: `target.arch`.
pub type Scope = BTreeMap<String, Value>;

/// The names without values, for the check when a spec is read.
pub type Names = BTreeSet<String>;

/// Evaluates expressions: the template language with this project's filters and bounds.
#[derive(Debug)]
pub struct Evaluator {
    environment: Environment<'static>,
}

impl Default for Evaluator {
    fn default() -> Self {
        Self::new()
    }
}

impl Evaluator {
    /// Expressions only, strict about undefined names, bounded in steps.
    pub fn new() -> Self {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(10_000));
        filter::register(&mut environment);
        Self { environment }
    }

    /// Checks that an expression parses and uses only known names and filters.
    fn check(&self, expression: &Expression, names: &Names) -> Result<(), Diagnostic> {
        let (source, span) = (&expression.source, expression.span);
        if is_dotted(source) {
            return known(source, span, names);
        }
        if let Some((name, _, _)) = comparison(source) {
            return known(name, place_of(expression, name), names);
        }
        let compiled = self.environment.compile_expression(source).map_err(|e| {
            let said = e.detail().unwrap_or("not an expression").to_owned();
            let place = e.range().map_or(span, |r| within(span, r));
            Diagnostic::new(Code::TemplateSyntax, place, said)
                .hint("expressions are like `version | major_minor` or `target.arch == \"arm64\"`")
        })?;
        let mut used: Vec<String> = compiled.undeclared_variables(true).into_iter().collect();
        used.sort();
        for name in used {
            known(&name, place_of(expression, &name), names)?;
        }
        for filter in filters_in(source) {
            if !filter::NAMES.contains(&filter) {
                let said = format!("no filter `{filter}`");
                let found =
                    Diagnostic::new(Code::UnknownVariable, place_of(expression, filter), said);
                return Err(with_hint(found, suggest(filter, filter::NAMES, "filters")));
            }
        }
        Ok(())
    }

    fn evaluate(&self, expression: &Expression, scope: &Scope) -> Result<Value, Diagnostic> {
        let source = &*expression.source;
        if let Some(value) = scope.get(source) {
            return Ok(value.clone());
        }
        if let Some((name, equal, text)) = comparison(source)
            && let Some(Value::Text(value)) = scope.get(name)
        {
            return Ok(Value::Bool((value == text) == equal));
        }
        let failed = |e: minijinja::Error| {
            let said = e.detail().map_or_else(|| e.kind().to_string(), str::to_owned);
            Diagnostic::new(Code::TemplateValue, expression.span, said)
        };
        let compiled = self.environment.compile_expression(source).map_err(failed)?;
        let value = compiled.eval(nested(scope)).map_err(failed)?;
        let wrong = |what: &str| {
            let said =
                format!("the value is {what}, where text, a list of texts or true/false must be");
            Err(Diagnostic::new(Code::TemplateValue, expression.span, said))
        };
        match value.kind() {
            ValueKind::Bool => Ok(Value::Bool(value.is_true())),
            ValueKind::String => Ok(Value::Text(value.to_string())),
            ValueKind::Number => Ok(Value::Text(value.to_string())),
            ValueKind::Seq => {
                let items = value.try_iter().map_err(failed)?;
                let items: Vec<String> = items.take(MAX_ITEMS + 1).map(|i| i.to_string()).collect();
                if items.len() > MAX_ITEMS {
                    return wrong("a list of more than 10,000 items");
                }
                Ok(Value::List(items))
            }
            other => wrong(&other.to_string()),
        }
    }
}

fn known(name: &str, span: Span, names: &Names) -> Result<(), Diagnostic> {
    if names.contains(name) {
        return Ok(());
    }
    let found = Diagnostic::new(Code::UnknownVariable, span, format!("no `{name}` here"));
    Err(with_hint(found, suggest(name, names.iter().map(String::as_str), "names")))
}

fn with_hint(diagnostic: Diagnostic, hint: Option<String>) -> Diagnostic {
    match hint {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
}

/// The place of a word of an expression, so that the mark is no wider than what is wrong.
fn place_of(expression: &Expression, word: &str) -> Span {
    match expression.source.find(word) {
        Some(at)
            if expression.span.end - expression.span.start == expression.source.len() as u32 =>
        {
            within(expression.span, at..at + word.len())
        }
        _ => expression.span,
    }
}

fn within(span: Span, range: std::ops::Range<usize>) -> Span {
    let start = span.start + u32::try_from(range.start).unwrap_or(0);
    let end = span.start + u32::try_from(range.end).unwrap_or(0);
    Span {
        file: span.file,
        start: start.min(span.end),
        end: end.clamp(start.min(span.end), span.end),
    }
}

fn is_dotted(source: &str) -> bool {
    !source.is_empty()
        && source.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
        && source.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
}

/// `name == "text"` and `name != "text"`: nearly every condition, and not worth a compiler.
fn comparison(source: &str) -> Option<(&str, bool, &str)> {
    let (at, equal) = match (source.find("=="), source.find("!=")) {
        (Some(at), None) => (at, true),
        (None, Some(at)) => (at, false),
        _ => return None,
    };
    let name = source[..at].trim();
    let text = source[at + 2..].trim();
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    (is_dotted(name) && !inner.contains(['"', '\'', '\\'])).then_some((name, equal, inner))
}

/// The names after each `|` outside of quotes.
fn filters_in(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut quote = None;
    for (at, c) in source.char_indices() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '|') => {
                let rest = source[at + 1..].trim_start();
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                found.push(&rest[..end]);
            }
            (None, _) => {}
        }
    }
    found
}

/// Dotted names as the nested maps that the template language wants.
fn nested(scope: &Scope) -> minijinja::Value {
    #[derive(Default)]
    struct Level(BTreeMap<String, Level>, Option<minijinja::Value>);
    impl Level {
        fn value(self) -> minijinja::Value {
            match self.1 {
                Some(value) => value,
                // Collecting pairs would give a list of pairs.
                None => {
                    minijinja::Value::from_pairs(self.0.into_iter().map(|(k, v)| (k, v.value())))
                }
            }
        }
    }
    let mut root = Level::default();
    for (name, value) in scope {
        let mut level = &mut root;
        for part in name.split('.') {
            level = level.0.entry(part.to_owned()).or_default();
        }
        level.1 = Some(match value {
            Value::Text(text) => minijinja::Value::from(text.as_str()),
            Value::Bool(b) => minijinja::Value::from(*b),
            Value::List(items) => items.iter().map(String::as_str).collect(),
        });
    }
    root.value()
}

impl Template {
    /// Parses a scalar; `raw` is the text of its span in the file, which places each expression.
    /// Fails when an expression does not end, does not parse, or uses a name that is not known.
    pub(super) fn parse(
        text: &str,
        (span, raw): (Span, &str),
        (evaluator, names): (&Evaluator, &Names),
    ) -> Result<Self, Diagnostic> {
        let mut parts = Vec::new();
        let (mut rest, mut raw_at) = (text, 0);
        while let Some(at) = rest.find("${{") {
            if at > 0 {
                parts.push(Part::Text(rest[..at].into()));
            }
            let body = &rest[at + 3..];
            let raw_open = raw[raw_at..].find("${{").map(|n| raw_at + n + 3);
            let Some(end) = closing(body) else {
                let place = raw_open.map_or(span, |n| within(span, n - 3..n));
                return Err(Diagnostic::new(Code::TemplateSyntax, place, "`${{` without `}}`"));
            };
            let source = body[..end].trim();
            let place = raw_open.and_then(|n| raw[n..].find(source).map(|m| n + m));
            let place = place.map_or(span, |n| within(span, n..n + source.len()));
            raw_at = raw_open.unwrap_or(raw_at);
            let expression = Expression { span: place, source: source.into() };
            evaluator.check(&expression, names)?;
            parts.push(Part::Expression(expression));
            rest = &body[end + 2..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Self { span, parts })
    }

    /// The text when no expression is in it.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text for one target; fails where an expression has no value, where its value is a list,
    /// and where the result is larger than a script can be (1 MiB).
    pub fn expand(&self, evaluator: &Evaluator, scope: &Scope) -> Result<String, Diagnostic> {
        if let Some(text) = self.as_literal() {
            return Ok(text.to_owned());
        }
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Expression(e) => match evaluator.evaluate(e, scope)? {
                    Value::Text(text) => out.push_str(&text),
                    Value::Bool(b) => out.push_str(if b { "true" } else { "false" }),
                    Value::List(_) => {
                        let said = "a list can't stand in a text";
                        let hint = "`| args` quotes each item for a shell, `| join(\",\")` joins";
                        return Err(Diagnostic::new(Code::TemplateValue, e.span, said).hint(hint));
                    }
                },
            }
            if out.len() > MAX_EXPANDED {
                let said = "the expanded text is larger than 1 MiB";
                return Err(Diagnostic::new(Code::TemplateValue, self.span, said));
            }
        }
        Ok(out)
    }
}

/// Where the `}}` that ends an expression stands, quotes skipped.
fn closing(body: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in body.char_indices() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '}') if body[at..].starts_with("}}") => return Some(at),
            (None, _) => {}
        }
    }
    None
}

impl Expression {
    /// Parses the whole scalar of a `when:`; fails as [`Template::parse`] does.
    pub(super) fn parse(
        text: &str,
        span: Span,
        (evaluator, names): (&Evaluator, &Names),
    ) -> Result<Self, Diagnostic> {
        if text.contains("${{") {
            let said = "`when` is an expression already";
            let found = Diagnostic::new(Code::TemplateSyntax, span, said);
            return Err(found.hint("write it without `${{` and `}}`"));
        }
        let expression = Self { span, source: text.trim().into() };
        evaluator.check(&expression, names)?;
        Ok(expression)
    }

    /// Whether the condition holds; fails when its value is neither true nor false.
    pub fn holds(&self, evaluator: &Evaluator, scope: &Scope) -> Result<bool, Diagnostic> {
        match evaluator.evaluate(self, scope)? {
            Value::Bool(b) => Ok(b),
            Value::Text(_) | Value::List(_) => {
                let said = "the value of a condition must be true or false";
                let found = Diagnostic::new(Code::TemplateValue, self.span, said);
                Err(found.hint("compare it: `target.arch == \"arm64\"`"))
            }
        }
    }
}
