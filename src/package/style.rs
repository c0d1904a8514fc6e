//! Build styles: steps that repeat, under `templates/build/`, used by name with typed parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic, Diagnostics, Files, Spanned, listed, suggest};
use crate::tree::Tree;

use super::load::{code_of, fact_names};
use super::raw::{self, Kind, Node};
use super::reader::Reader;
use super::template::Evaluator;
use super::{ParamValue, Params, Step, StyleName};

/// The styles that every tree has; a file of the same name in the tree comes first.
const BUILT_IN: [(&str, &str); 6] = [
    ("autotools", include_str!("../../templates/build/autotools.yaml")),
    ("cargo", include_str!("../../templates/build/cargo.yaml")),
    ("cmake", include_str!("../../templates/build/cmake.yaml")),
    ("go", include_str!("../../templates/build/go.yaml")),
    ("meson", include_str!("../../templates/build/meson.yaml")),
    ("python", include_str!("../../templates/build/python.yaml")),
];

/// A style: what it takes and what it does.
#[derive(Clone, Debug)]
pub(super) struct Style {
    params: BTreeMap<String, Param>,
    pub(super) steps: Vec<Step>,
}

/// A parameter of a style.
#[derive(Clone, Debug)]
struct Param {
    kind: ParamKind,
    default: Option<ParamValue>,
}

#[derive(Clone, Debug)]
enum ParamKind {
    Text,
    List,
    Bool,
    Choice(Vec<String>),
}

/// The styles that were read so far; `None` for a file that was found wanting.
#[derive(Debug, Default)]
pub(super) struct Styles {
    read: BTreeMap<StyleName, Option<Arc<Style>>>,
    known: Vec<String>,
}

impl Styles {
    /// Reads the styles that a spec uses and that were not read before, and adds what is wrong
    /// with their files to `found`.
    pub(super) fn read(
        &mut self,
        spec: &Node,
        (tree, files): (&dyn Tree, &mut Files),
        evaluator: &Evaluator,
        found: &mut Diagnostics,
    ) {
        let mut names = Vec::new();
        used(spec, &mut names);
        for name in names {
            if self.read.contains_key(&name) {
                continue;
            }
            let path = format!("templates/build/{name}.yaml");
            let built_in = BUILT_IN.iter().find(|(n, _)| *n == name.as_str());
            let bytes = match tree.read(&path) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => match built_in {
                    Some((_, text)) => text.as_bytes().to_vec(),
                    None => {
                        self.list_known(tree);
                        continue;
                    }
                },
                Err(e) => {
                    found.push(Diagnostic::bare(code_of(&e), format!("{path}: {e}")));
                    continue;
                }
            };
            let style = parse(&path, bytes, files, evaluator, found);
            self.read.insert(name, style.map(Arc::new));
        }
    }

    fn list_known(&mut self, tree: &dyn Tree) {
        if self.known.is_empty() {
            self.known.extend(BUILT_IN.iter().map(|(n, _)| (*n).to_owned()));
            let own = tree.list("templates/build").unwrap_or_default();
            self.known
                .extend(own.iter().filter_map(|n| n.strip_suffix(".yaml")).map(str::to_owned));
        }
    }
}

/// The values of all `use:` keys.
fn used(node: &Node, names: &mut Vec<StyleName>) {
    match &node.kind {
        Kind::Text(_) | Kind::Empty => {}
        Kind::List(items) => items.iter().for_each(|n| used(n, names)),
        Kind::Map(entries) => {
            for (key, value) in entries {
                match &value.kind {
                    Kind::Text(text) if key.value == "use" => names.extend(StyleName::parse(text)),
                    _ => used(value, names),
                }
            }
        }
    }
}

fn parse(
    path: &str,
    bytes: Vec<u8>,
    files: &mut Files,
    evaluator: &Evaluator,
    found: &mut Diagnostics,
) -> Option<Style> {
    let (file, node) = match raw::parse(path, bytes, files) {
        Ok(parsed) => parsed,
        Err(e) => {
            found.extend(e);
            return None;
        }
    };
    let none = Styles::default();
    let mut reader = Reader::new(files.text(file), (evaluator, &none));
    let style = read(&mut reader, &node);
    let failed = !reader.found.is_empty();
    found.extend(reader.found);
    style.filter(|_| !failed)
}

fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Style> {
    let fields = reader.fields(node, "a mapping", &["description", "params", "steps"])?;
    fields.get("description").and_then(|n| reader.line(n));
    reader.names = fact_names();
    let mut params = BTreeMap::new();
    if let Some(node) = fields.get("params") {
        for (key, value) in reader.entries(node, "parameters") {
            // A parameter that is declared wrongly is no unknown one where it is used.
            let param = param(reader, value);
            reader.names.insert(format!("params.{}", key.value));
            params.extend(param.map(|p| (key.value.clone(), p)));
        }
    }
    let steps = reader.required(fields, "steps")?;
    Some(Style { params, steps: reader.style_steps(steps) })
}

fn param(reader: &mut Reader<'_>, node: &Node) -> Option<Param> {
    let keys = ["type", "default", "description", "values"];
    let fields = reader.fields(node, "a mapping with `type`", &keys)?;
    fields.get("description").and_then(|n| reader.line(n));
    let values = fields.get("values").map(|n| reader.list(n, "texts")).unwrap_or(&[]);
    let values: Vec<String> =
        values.iter().filter_map(|n| reader.literal(n)).map(|t| t.value).collect();
    let at = reader.required(fields, "type")?;
    let kind = match reader.literal(at)?.value.as_str() {
        "text" => ParamKind::Text,
        "list" => ParamKind::List,
        "bool" => ParamKind::Bool,
        "choice" => ParamKind::Choice(values),
        other => {
            let said = format!("no type `{other}`: there are text, list, bool and choice");
            reader.say(Code::BadValue, at.span, said);
            return None;
        }
    };
    let default = match fields.get("default") {
        Some(node) => Some(value(reader, &kind, node)?),
        None => None,
    };
    Some(Param { kind, default })
}

fn value(reader: &mut Reader<'_>, kind: &ParamKind, node: &Node) -> Option<ParamValue> {
    match (kind, &node.kind) {
        (ParamKind::Text, Kind::Text(_)) => reader.template(node).map(ParamValue::Text),
        (ParamKind::Bool, Kind::Text(_)) => reader.truth(node).map(ParamValue::Bool),
        (ParamKind::List, Kind::List(items)) => {
            Some(ParamValue::List(items.iter().filter_map(|n| reader.template(n)).collect()))
        }
        (ParamKind::Choice(values), Kind::Text(text)) => {
            if values.contains(text) {
                return reader.template(node).map(ParamValue::Text);
            }
            let known: Vec<&str> = values.iter().map(String::as_str).collect();
            let said = format!("`{text}` is none of {}", listed(&known));
            reader.say(Code::BadParameter, node.span, said);
            None
        }
        (kind, _) => {
            let name = match kind {
                ParamKind::Text | ParamKind::Choice(_) => "text",
                ParamKind::List => "a list",
                ParamKind::Bool => "`true` or `false`",
            };
            reader.say(Code::BadParameter, node.span, format!("the parameter takes {name}"));
            None
        }
    }
}

/// The parameters of one use: what stands under `with`, and the defaults of the rest.
pub(super) fn arguments(
    reader: &mut Reader<'_>,
    style: &Style,
    name: &Spanned<String>,
    with: Option<&Node>,
) -> Params {
    let mut values = BTreeMap::new();
    let given = with.map(|n| reader.entries(n, "parameters")).unwrap_or(&[]);
    for (key, node) in given {
        match style.params.get(&key.value) {
            Some(param) => {
                let read = value(reader, &param.kind, node);
                values.extend(read.map(|v| (key.value.clone(), v)));
            }
            None => {
                let known = style.params.keys().map(String::as_str);
                reader.unknown(Code::BadParameter, key, ("parameter", "parameters"), known);
            }
        }
    }
    for (key, param) in &style.params {
        let is_given = given.iter().any(|(k, _)| k.value == *key);
        match (&param.default, is_given) {
            (_, true) => {}
            (Some(default), false) => {
                values.insert(key.clone(), default.clone());
            }
            (None, false) => {
                let said = format!("the style `{}` needs the parameter `{key}`", name.value);
                reader.say_hint(
                    Code::BadParameter,
                    name.span,
                    said,
                    format!("add `with: {{ {key}: … }}`"),
                );
            }
        }
    }
    Params(values)
}

impl Reader<'_> {
    /// The style of a name; a finding where there is none.
    pub(super) fn style(&mut self, name: &Spanned<String>) -> Option<Arc<Style>> {
        let styles = self.styles;
        let parsed = StyleName::parse(&name.value);
        let is_odd = parsed.is_none();
        match parsed.and_then(|n| styles.read.get(&n)) {
            Some(read) => read.clone(),
            None => {
                // A text that is no name was never looked for, so that nothing was listed.
                let built_in = BUILT_IN.iter().map(|(n, _)| *n).filter(|_| is_odd);
                let known = styles.known.iter().map(String::as_str).chain(built_in);
                let said = format!("no build style `{}`", name.value);
                let mut found = Diagnostic::new(Code::UnknownStyle, name.span, said);
                found.hint = suggest(&name.value, known, "build styles").or_else(|| {
                    Some("a build style can't use another: write the steps out".to_owned())
                });
                self.found.push(found);
                None
            }
        }
    }
}
