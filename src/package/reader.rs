//! What every part of a spec is read with: typed access to nodes, with a finding for each that
//! has another form. Reading goes on after a finding, so that all of them come at once.

use crate::diag::{Code, Diagnostic, Diagnostics, Span, Spanned, suggest};

use super::raw::{Kind, Node};
use super::style::Styles;
use super::template::{Condition, Evaluator, Names, Template};
use super::{Platform, Reference};

/// The findings so far, and what templates may use where they stand now.
pub(super) struct Reader<'r> {
    pub(super) text: &'r str,
    pub(super) evaluator: &'r Evaluator,
    pub(super) styles: &'r Styles,
    pub(super) names: Names,
    pub(super) found: Diagnostics,
}

/// The entries of a mapping whose keys are all known.
#[derive(Clone, Copy)]
pub(super) struct Fields<'n> {
    pub(super) span: Span,
    entries: &'n [(Spanned<String>, Node)],
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|(_, node)| node)
    }

    pub(super) fn entry(&self, key: &str) -> Option<&'n (Spanned<String>, Node)> {
        self.entries.iter().find(|(k, _)| k.value == key)
    }

    /// The keys of these that are present, in the order given.
    pub(super) fn present(&self, keys: &[&'static str]) -> Vec<(&'static str, Span)> {
        keys.iter().filter_map(|k| self.entry(k).map(|(key, _)| (*k, key.span))).collect()
    }
}

impl<'r> Reader<'r> {
    pub(super) fn new(text: &'r str, (evaluator, styles): (&'r Evaluator, &'r Styles)) -> Self {
        let (names, found) = (Names::new(), Diagnostics::new());
        Self { text, evaluator, styles, names, found }
    }

    pub(super) fn say(&mut self, code: Code, span: Span, message: impl Into<String>) {
        self.found.push(Diagnostic::new(code, span, message));
    }

    pub(super) fn say_hint(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.found.push(Diagnostic::new(code, span, message).hint(hint));
    }

    /// A name that nothing has, with the nearest of those that exist.
    pub(super) fn unknown<'k>(
        &mut self,
        code: Code,
        name: &Spanned<String>,
        (what, plural): (&str, &str),
        known: impl IntoIterator<Item = &'k str>,
    ) {
        let said = format!("no {what} `{}`", name.value);
        let mut found = Diagnostic::new(code, name.span, said);
        found.hint = suggest(&name.value, known, plural);
        self.found.push(found);
    }

    fn wrong(&mut self, node: &Node, expected: &str) {
        let is = match &node.kind {
            Kind::Text(_) => "text",
            Kind::Empty => "nothing",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        };
        let mut found =
            Diagnostic::new(Code::WrongType, node.span, format!("expected {expected}, found {is}"));
        if matches!(node.kind, Kind::Empty) {
            found.hint = Some("give it a value or remove the key".to_owned());
        } else if let (Kind::Text(text), true) = (&node.kind, expected.starts_with("a list of"))
            && !text.contains('\n')
        {
            found.hint = Some(format!("write `[{text}]`"));
        } else if let (Kind::Map(_), true) = (&node.kind, expected.contains("text")) {
            let raw = self.raw(node.span);
            if raw.starts_with("{{") || raw.starts_with('{') {
                found.hint = Some("a value that starts with `{` goes in quotes".to_owned());
            }
        }
        self.found.push(found);
    }

    /// The text of a span as it stands in the file.
    pub(super) fn raw(&self, span: Span) -> &'r str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// A mapping with any keys, none of them twice.
    pub(super) fn entries<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
    ) -> &'n [(Spanned<String>, Node)] {
        let Kind::Map(entries) = &node.kind else {
            self.wrong(node, what);
            return &[];
        };
        let mut seen = std::collections::BTreeMap::new();
        for (key, _) in entries {
            if let Some(first) = seen.insert(key.value.as_str(), key.span) {
                let said = format!("`{}` stands here twice", key.value);
                self.found.push(
                    Diagnostic::new(Code::DuplicateKey, key.span, said)
                        .note(first, "first here")
                        .hint("keep one of them"),
                );
            }
        }
        entries
    }

    /// A mapping of which every key is known and none stands twice.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        known: &[&'static str],
    ) -> Option<Fields<'n>> {
        let Kind::Map(_) = &node.kind else {
            self.wrong(node, what);
            return None;
        };
        let entries = self.entries(node, what);
        for (key, _) in entries {
            if !known.contains(&key.value.as_str()) {
                self.unknown(Code::UnknownKey, key, ("key", "keys"), known.iter().copied());
            }
        }
        Some(Fields { span: node.span, entries })
    }

    /// A key that has to be there.
    pub(super) fn required<'n>(&mut self, fields: Fields<'n>, key: &str) -> Option<&'n Node> {
        let found = fields.get(key);
        if found.is_none() {
            let start = fields.span.start;
            let first = fields.entries.first().map_or(start + 1, |(k, _)| k.span.end);
            let span = Span { end: first, ..fields.span };
            self.say(Code::MissingKey, span, format!("`{key}` is missing"));
        }
        found
    }

    /// A scalar.
    pub(super) fn text(&mut self, node: &Node) -> Option<Spanned<String>> {
        match &node.kind {
            Kind::Text(text) => Some(Spanned::new(text.clone(), node.span)),
            Kind::Empty | Kind::List(_) | Kind::Map(_) => {
                self.wrong(node, "text");
                None
            }
        }
    }

    /// A scalar that stands for itself in every build.
    pub(super) fn literal(&mut self, node: &Node) -> Option<Spanned<String>> {
        let text = self.text(node)?;
        if text.value.contains("${{") {
            let said = "no `${{ }}` here: this has one value for every target";
            self.say(Code::TemplateSyntax, node.span, said);
            return None;
        }
        Some(text)
    }

    /// One line of text.
    pub(super) fn line(&mut self, node: &Node) -> Option<Spanned<String>> {
        let text = self.literal(node)?;
        if text.value.contains('\n') {
            self.say(Code::BadValue, node.span, "one line is enough here");
            return None;
        }
        Some(text)
    }

    pub(super) fn parsed<T>(
        &mut self,
        node: &Node,
        (code, form): (Code, &str),
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Spanned<T>> {
        let text = self.literal(node)?;
        match parse(&text.value) {
            Some(value) => Some(Spanned::new(value, node.span)),
            None => {
                let said = format!("`{}` is not {form}", text.value);
                let mut found = Diagnostic::new(code, node.span, said);
                found.hint = hint_of(code, form).map(str::to_owned);
                self.found.push(found);
                None
            }
        }
    }

    pub(super) fn platform(&mut self, node: &Node) -> Option<Spanned<Platform>> {
        self.parsed(node, (Code::BadPlatform, "a platform"), Platform::parse)
    }

    pub(super) fn reference(&mut self, node: &Node) -> Option<Spanned<Reference>> {
        self.parsed(node, (Code::BadName, "a package"), Reference::parse)
    }

    pub(super) fn truth(&mut self, node: &Node) -> Option<bool> {
        let yes = |t: &str| matches!(t, "true" | "false").then(|| t == "true");
        self.parsed(node, (Code::BadValue, "`true` or `false`"), yes).map(|b| b.value)
    }

    pub(super) fn number(&mut self, node: &Node, max: u32) -> Option<u32> {
        let form = format!("a number up to {max}");
        let plain = |t: &str| {
            let digits = t.bytes().all(|b| b.is_ascii_digit()) && (t == "0" || !t.starts_with('0'));
            t.parse::<u32>().ok().filter(|n| digits && *n <= max)
        };
        self.parsed(node, (Code::BadValue, &form), plain).map(|n| n.value)
    }

    /// Permission bits, always octal.
    pub(super) fn mode(&mut self, node: &Node) -> Option<u32> {
        let octal = |t: &str| {
            let fits = (3..=5).contains(&t.len()) && t.bytes().all(|b| (b'0'..=b'7').contains(&b));
            u32::from_str_radix(t, 8).ok().filter(|m| fits && *m <= 0o7777)
        };
        self.parsed(node, (Code::BadValue, "a mode in octal such as 0755"), octal).map(|m| m.value)
    }

    /// `uid:gid` in numbers.
    pub(super) fn owner(&mut self, node: &Node) -> Option<(u32, u32)> {
        let pair = |t: &str| {
            let (uid, gid) = t.split_once(':')?;
            Some((uid.parse().ok()?, gid.parse().ok()?))
        };
        self.parsed(node, (Code::BadValue, "an owner such as 0:0"), pair).map(|o| o.value)
    }

    pub(super) fn template(&mut self, node: &Node) -> Option<Template> {
        let text = self.text(node)?;
        let with = (self.evaluator, &self.names);
        match Template::parse(&text.value, (node.span, self.raw(node.span)), with) {
            Ok(template) => Some(template),
            Err(found) => {
                self.found.push(found);
                None
            }
        }
    }

    pub(super) fn condition(&mut self, node: Option<&Node>) -> Option<Condition> {
        let text = self.text(node?)?;
        match Condition::parse(&text.value, text.span, (self.evaluator, &self.names)) {
            Ok(condition) => Some(condition),
            Err(found) => {
                self.found.push(found);
                None
            }
        }
    }

    pub(super) fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.kind {
            Kind::List(items) => items,
            Kind::Text(_) | Kind::Empty | Kind::Map(_) => {
                self.wrong(node, &format!("a list of {what}"));
                &[]
            }
        }
    }

    pub(super) fn templates(&mut self, node: Option<&Node>, what: &str) -> Vec<Template> {
        let Some(node) = node else { return Vec::new() };
        self.list(node, what).iter().filter_map(|n| self.template(n)).collect()
    }

    /// A mapping from checked keys to templates.
    pub(super) fn template_map<K: Ord>(
        &mut self,
        node: Option<&Node>,
        parse: impl Fn(&mut Self, &Spanned<String>) -> Option<K>,
    ) -> std::collections::BTreeMap<K, Template> {
        let mut map = std::collections::BTreeMap::new();
        let Some(node) = node else { return map };
        for (key, value) in self.entries(node, "a mapping") {
            let (key, value) = (parse(self, key), self.template(value));
            if let (Some(key), Some(value)) = (key, value) {
                map.insert(key, value);
            }
        }
        map
    }

    /// A key that is a name of some kind.
    pub(super) fn name<T>(
        &mut self,
        key: &Spanned<String>,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let parsed = parse(&key.value);
        if parsed.is_none() {
            let said = format!("`{}` is not a name for {what}", key.value);
            let mut found = Diagnostic::new(Code::BadName, key.span, said);
            found.hint = hint_of(Code::BadName, what).map(str::to_owned);
            self.found.push(found);
        }
        parsed
    }
}

/// What solves a value of a wrong form, where the message does not say it already.
fn hint_of(code: Code, form: &str) -> Option<&'static str> {
    let hint = match (code, form) {
        (Code::BadPlatform, _) => {
            "platforms are `linux/amd64`, `linux/arm64`, `linux/riscv64`, `linux/386`, …"
        }
        (Code::BadName, "a package") => {
            "a package is `group/name` and an output of it `group/name/output`, in `a-z0-9._+-`"
        }
        (Code::BadName, "a variable") => "variables have letters, digits and `_`, no digit first",
        (Code::BadName, "an account") => "accounts have `a-z0-9_-`, at most 32, a letter first",
        (Code::BadName, "a label") => "labels are printable and have no blank, `=`, quote or `\\`",
        (Code::BadName, "the first part of an image name") => {
            "a prefix is like `registry.example.org/stagex`, without `/` at the end"
        }
        (Code::BadName, _) => "names have `a-z0-9`, then also `._+-`",
        (Code::Unpinned, "an image with its digest") => {
            "an image is `name@sha256:…`; `docker buildx imagetools inspect` prints the digest"
        }
        (Code::Unpinned, _) => "`git rev-parse` prints it; a branch or tag moves",
        _ => return None,
    };
    Some(hint)
}

/// Whether a path is absolute and free of `..`, empty parts and what an engine can't pass on.
pub(crate) fn is_clean_absolute(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| {
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        path == "/" || is_clean_relative(rest)
    })
}

/// The same for a path below a folder: `a/b`, never `../a`, `/a` or ``.
pub(crate) fn is_clean_relative(path: &str) -> bool {
    let part = |p: &str| !p.is_empty() && p != "." && p != ".." && p.len() <= 255;
    path.len() < 4096 && path.split('/').all(part) && !path.chars().any(char::is_control)
}
