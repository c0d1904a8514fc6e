//! Diagnostics as people and programs read them: the only place that knows lines and columns.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use super::{Diagnostic, Diagnostics, Files, Span};

/// How many findings are shown; the rest is counted.
pub const SHOWN: usize = 100;

/// The findings as text, sorted, at most [`SHOWN`] of them, with their number at the end where
/// there are several.
pub fn text(diagnostics: &Diagnostics, files: &Files, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let sorted = diagnostics.clone().sorted(files);
    let mut out = String::new();
    for diagnostic in sorted.iter().take(SHOWN) {
        out.push_str(&renderer.render(&[group(diagnostic, files)]));
        out.push_str("\n\n");
    }
    match sorted.len() {
        0 | 1 => {}
        n if n > SHOWN => out.push_str(&format!("{n} errors, of which {SHOWN} are shown\n")),
        n => out.push_str(&format!("{n} errors\n")),
    }
    out
}

fn group<'a>(diagnostic: &'a Diagnostic, files: &'a Files) -> Group<'a> {
    let title = Level::ERROR.primary_title(visible(&diagnostic.message)).id(diagnostic.code.name());
    let mut group = Group::with_title(title);
    let mut shown: Vec<(Span, Option<String>, AnnotationKind)> = Vec::new();
    if let Some(span) = diagnostic.span {
        shown.push((span, diagnostic.label.as_deref().map(visible), AnnotationKind::Primary));
    }
    for (span, text) in &diagnostic.notes {
        shown.push((*span, Some(visible(text)), AnnotationKind::Context));
    }
    let mut order: Vec<super::FileId> = Vec::new();
    for (span, _, _) in &shown {
        if !order.contains(&span.file) {
            order.push(span.file);
        }
    }
    for file in order {
        let source = files.text(file);
        if source.is_empty() {
            group = group.element(Origin::path(files.path(file)));
            continue;
        }
        let mut snippet = Snippet::source(source).path(files.path(file)).fold(true);
        for (span, label, kind) in shown.iter().filter(|(s, _, _)| s.file == file) {
            snippet = snippet.annotation(kind.span(marked(source, *span)).label(label.clone()));
        }
        group = group.element(snippet);
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(visible(hint)));
    }
    group
}

/// The bytes to mark: the first line of the span, so that a block scalar does not fill the screen.
fn marked(source: &str, span: Span) -> Range<usize> {
    let end = (span.end as usize).min(source.len());
    let start = floor_char(source, (span.start as usize).min(end));
    let text = &source[start..ceil_char(source, end)];
    let line = text.split('\n').next().unwrap_or(text);
    start..start + line.trim_end().len()
}

fn floor_char(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil_char(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// Text of unknown origin for a terminal: control characters and those that turn the direction of
/// text are written out, so that a spec can't move the cursor or hide what it says.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = c.is_control() && c != '\n' || super::is_direction_control(c);
        if hidden { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// A place as people count: line and column from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LineColumn {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

/// Line and column of a byte of a text.
pub fn line_column(text: &str, at: u32) -> LineColumn {
    let at = floor_char(text, (at as usize).min(text.len()));
    let before = &text[..at];
    let start = before.rfind('\n').map_or(0, |n| n + 1);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    LineColumn { line, column: before[start..].chars().count() + 1 }
}

#[derive(Serialize)]
struct JsonPlace<'a> {
    file: &'a str,
    start: LineColumn,
    end: LineColumn,
    bytes: [u32; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonDiagnostic<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<JsonPlace<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<JsonPlace<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

/// The findings as a JSON array, all of them, sorted.
pub fn json(diagnostics: &Diagnostics, files: &Files) -> String {
    let sorted = diagnostics.clone().sorted(files);
    let list: Vec<JsonDiagnostic<'_>> = sorted
        .iter()
        .map(|d| JsonDiagnostic {
            code: d.code.name(),
            message: &d.message,
            place: d.span.map(|s| json_place(s, d.label.as_deref(), files)),
            notes: d.notes.iter().map(|(s, t)| json_place(*s, Some(t), files)).collect(),
            hint: d.hint.as_deref(),
        })
        .collect();
    serde_json::to_string_pretty(&list).expect("strings and numbers become JSON") + "\n"
}

fn json_place<'a>(span: Span, text: Option<&'a str>, files: &'a Files) -> JsonPlace<'a> {
    let source = files.text(span.file);
    JsonPlace {
        file: files.path(span.file),
        start: line_column(source, span.start),
        end: line_column(source, span.end),
        bytes: [span.start, span.end],
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Code;

    #[test]
    fn columns_count_characters_and_spans_bytes() {
        let text = "é: 1\nü: é\n";
        assert_eq!(line_column(text, 0), LineColumn { line: 1, column: 1 });
        assert_eq!(line_column(text, 6), LineColumn { line: 2, column: 1 });
        assert_eq!(line_column(text, 10), LineColumn { line: 2, column: 4 });
    }

    #[test]
    fn a_finding_shows_its_line_and_cannot_move_the_cursor() {
        let mut files = Files::new();
        let file = files.add("a.yaml", "é: \u{1b}[2J\n");
        let span = Span { file, start: 4, end: 8 };
        let found = Diagnostics::from(Diagnostic::new(Code::BadText, span, "bad \u{1b}[2J"));
        let shown = text(&found, &files, false);
        assert!(shown.contains("a.yaml:1:4"), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}
