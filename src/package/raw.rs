//! A spec as written: YAML events with byte positions, before anything has a meaning.

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::diag::{
    Code, Diagnostic, Diagnostics, FileId, Files, Span, Spanned, is_direction_control,
};

/// How deeply a spec may nest.
const MAX_DEPTH: usize = 32;

/// A value of the YAML text.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Any scalar is text: `1.10` and `no` stay what they are.
    Text(String),
    /// Nothing stands after the key.
    Empty,
    List(Vec<Node>),
    Map(Vec<(Spanned<String>, Node)>),
}

/// Takes bytes into the table of files and parses them; fails with everything that is wrong with
/// the text, or with the first thing that is wrong with the YAML.
pub(super) fn parse(
    path: &str,
    bytes: Vec<u8>,
    files: &mut Files,
) -> Result<(FileId, Node), Diagnostics> {
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let at = u32::try_from(e.utf8_error().valid_up_to()).unwrap_or(u32::MAX);
            let file = files.add(path, String::from_utf8_lossy(e.as_bytes()));
            let span = Span { file, start: at, end: at + 1 };
            let found = Diagnostic::new(Code::BadText, span, "the file is not UTF-8")
                .hint("save it as UTF-8; a binary belongs in a file of its own, named by a source");
            return Err(found.into());
        }
    };
    let file = files.add(path, text);
    let text = files.text(file);
    check_characters(file, text)?;
    Builder::new(file, text).build().map(|node| (file, node)).map_err(Diagnostics::from)
}

/// Refuses what an editor does not show: a BOM, carriage returns, control and direction characters.
fn check_characters(file: FileId, text: &str) -> Result<(), Diagnostics> {
    let mut found = Diagnostics::new();
    for (at, c) in text.char_indices() {
        let said = match c {
            '\u{feff}' => Some(("a byte order mark", "save the file as UTF-8 without BOM")),
            '\r' => Some(("a carriage return", "save the file with Unix line ends (`\\n`)")),
            '\0' => Some(("a NUL", "a spec is text; remove it")),
            '\n' | '\t' => None,
            c if c.is_control() => Some(("a control character", "remove it")),
            c if is_direction_control(c) => {
                Some(("a character that turns the direction of text", "remove it"))
            }
            _ => None,
        };
        let Some((what, hint)) = said else { continue };
        let start = u32::try_from(at).unwrap_or(u32::MAX);
        let span = Span { file, start, end: start + c.len_utf8() as u32 };
        let code = u32::from(c);
        found.push(
            Diagnostic::new(Code::BadText, span, format!("{what} (U+{code:04X}) in the text"))
                .hint(hint),
        );
        if c == '\r' {
            break;
        }
    }
    found.or(())
}

struct Builder<'t> {
    file: FileId,
    text: &'t str,
    /// Byte offset of each character; empty for ASCII text, where they are the same.
    offsets: Vec<u32>,
}

impl<'t> Builder<'t> {
    fn new(file: FileId, text: &'t str) -> Self {
        let mut offsets = Vec::new();
        if !text.is_ascii() {
            offsets
                .extend(text.char_indices().map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX)));
            offsets.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        Self { file, text, offsets }
    }

    fn byte(&self, characters: usize) -> u32 {
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        if self.offsets.is_empty() {
            return u32::try_from(characters).unwrap_or(u32::MAX).min(end);
        }
        self.offsets.get(characters).copied().unwrap_or(end)
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        let start = self.byte(span.start.index());
        Span { file: self.file, start, end: self.byte(span.end.index()).max(start) }
    }

    fn build(&self) -> Result<Node, Diagnostic> {
        let mut open: Vec<Open> = Vec::new();
        let mut root: Option<Node> = None;
        let mut parser = Parser::new_from_str(self.text);
        loop {
            let (event, at) = match parser.next() {
                None => break,
                Some(Ok(next)) => next,
                Some(Err(e)) => return Err(self.syntax(&e)),
            };
            let span = self.span(at);
            let done = match event {
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => None,
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(feature(span, "a second document", "a file holds one spec"));
                }
                Event::DocumentStart(_) => None,
                Event::Alias(_) => return Err(alias(span)),
                Event::Scalar(_, _, anchor, _)
                | Event::SequenceStart(anchor, _)
                | Event::MappingStart(anchor, _)
                    if anchor != 0 =>
                {
                    return Err(alias(span));
                }
                Event::Scalar(_, _, _, Some(_))
                | Event::SequenceStart(_, Some(_))
                | Event::MappingStart(_, Some(_)) => {
                    let hint = "every scalar is text here; remove the tag";
                    return Err(feature(span, "a tag", hint));
                }
                Event::Scalar(text, style, _, None) => Some(self.scalar(&text, style, span)?),
                Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= MAX_DEPTH => {
                    return Err(too_deep(span));
                }
                Event::SequenceStart(..) => {
                    open.push(Open::List(span, Vec::new()));
                    None
                }
                Event::MappingStart(..) => {
                    open.push(Open::Map(span, Vec::new(), None));
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop().map(|o| o.close(span, self.text))
                }
            };
            let Some(node) = done else { continue };
            match open.last_mut() {
                Some(parent) => parent.take(node)?,
                None => root = Some(node),
            }
        }
        let whole = Span { file: self.file, start: 0, end: 0 };
        root.ok_or_else(|| {
            Diagnostic::new(Code::YamlSyntax, whole, "the file is empty")
                .hint("a spec starts with `name:` and `version:`")
        })
    }

    fn scalar(&self, text: &str, style: ScalarStyle, span: Span) -> Result<Node, Diagnostic> {
        if let Some(c) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            let said = format!("a control character (U+{:04X}) in the value", u32::from(c));
            return Err(Diagnostic::new(Code::BadText, span, said).hint("remove the escape"));
        }
        let empty = text.is_empty() && style == ScalarStyle::Plain;
        let kind = if empty { Kind::Empty } else { Kind::Text(text.to_owned()) };
        Ok(Node { span, kind })
    }

    fn syntax(&self, e: &saphyr_parser::ScanError) -> Diagnostic {
        let start = self.byte(e.marker().index());
        let rest = self.text.get(start as usize..).unwrap_or("");
        let width = rest.chars().next().map_or(0, |c| c.len_utf8() as u32);
        let span = Span { file: self.file, start, end: start + width };
        if rest.starts_with('*') && e.info().contains("anchor") {
            return alias(span);
        }
        // The scanner looks ahead over brackets, and gives up at 256 of them.
        if e.info().contains("recursion limit") {
            return too_deep(span);
        }
        let found = Diagnostic::new(Code::YamlSyntax, span, e.info().to_owned());
        let line_start = self.text[..start as usize].rfind('\n').map_or(0, |n| n + 1);
        let line = self.text[line_start..].lines().next().unwrap_or("");
        match line {
            l if l.trim_start_matches(' ').starts_with('\t') => found.hint("indent with spaces"),
            _ if e.info().contains("illegal placement of ':'") => {
                found.hint("is a bracket or a quote above it not closed?")
            }
            l if l.contains("${{") => found.hint("put a value with `${{ }}` and `: ` in quotes"),
            _ => found,
        }
    }
}

enum Open {
    List(Span, Vec<Node>),
    Map(Span, Vec<(Spanned<String>, Node)>, Option<Spanned<String>>),
}

impl Open {
    fn take(&mut self, node: Node) -> Result<(), Diagnostic> {
        match self {
            Self::List(_, items) => items.push(node),
            Self::Map(_, entries, key) => match (key.take(), node.kind) {
                (Some(key), kind) => entries.push((key, Node { span: node.span, kind })),
                (None, Kind::Text(text)) if text == "<<" => {
                    return Err(feature(node.span, "a merge key", "write the keys out"));
                }
                (None, Kind::Text(text)) => *key = Some(Spanned::new(text, node.span)),
                (None, _) => {
                    let said = "a key must be text";
                    return Err(Diagnostic::new(Code::WrongType, node.span, said));
                }
            },
        }
        Ok(())
    }

    /// The parser ends block collections at the next token; the mark ends with the last child.
    fn close(self, end: Span, text: &str) -> Node {
        let (start, last, kind) = match self {
            Self::List(s, items) => (s, items.last().map(|n| n.span.end), Kind::List(items)),
            Self::Map(s, entries, _) => {
                (s, entries.last().map(|(_, n)| n.span.end), Kind::Map(entries))
            }
        };
        let flow = text[start.start as usize..].starts_with(['[', '{']);
        let end = if flow { end.end } else { last.unwrap_or(start.end) };
        Node { span: Span { end: end.max(start.start), ..start }, kind }
    }
}

fn too_deep(span: Span) -> Diagnostic {
    let said = format!("nested more deeply than {MAX_DEPTH} levels");
    let hint = "no key of a spec stands that deep; look for a bracket too many";
    Diagnostic::new(Code::TooDeep, span, said).hint(hint)
}

fn feature(span: Span, what: &str, hint: &str) -> Diagnostic {
    Diagnostic::new(Code::YamlFeature, span, format!("{what} is refused")).hint(hint)
}

fn alias(span: Span) -> Diagnostic {
    feature(
        span,
        "an anchor or alias",
        "a reader should see each value where it stands: write it out; a value that starts with `&` or `*` goes in quotes",
    )
}
