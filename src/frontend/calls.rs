//! Answers to `docker buildx build --call=…`, in the forms of BuildKit's `frontend/subrequests`.

use std::fmt::Write as _;

use serde::Serialize;

use crate::diag::{Diagnostics, FileId, Files, Span, render};
use crate::package::Package;

use super::reply::{base64, sentence};

#[derive(Serialize)]
struct Description {
    name: &'static str,
    version: &'static str,
    r#type: &'static str,
    description: &'static str,
    opts: [Opt; 1],
    inputs: Option<()>,
    metadata: [Opt; 2],
    refs: Option<()>,
}

#[derive(Serialize)]
struct Opt {
    name: &'static str,
    description: &'static str,
}

/// The version of each answer's form.
pub(super) const VERSION: &str = "1.0.0";

/// Which questions there are: JSON and text.
pub(super) fn describe() -> (String, String) {
    let one = |name, description| Description {
        name,
        version: VERSION,
        r#type: "rpc",
        description,
        opts: [Opt { name: "target", description: "Target build stage" }],
        inputs: None,
        metadata: [
            Opt { name: "result.json", description: "" },
            Opt { name: "result.txt", description: "" },
        ],
        refs: None,
    };
    let all = [
        one("frontend.outline", "List all parameters current build target supports"),
        one("frontend.targets", "List all build targets current build supports"),
        one("frontend.lint", "Lint a spec"),
        one("frontend.subrequests.describe", "List available subrequest types"),
    ];
    let mut text = String::from("NAME                           VERSION DESCRIPTION\n");
    for one in &all {
        let _ = writeln!(text, "{:30} {:7} {}", one.name, one.version, one.description);
    }
    (json(&all), text)
}

#[derive(Serialize)]
struct Outline {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<Arg>,
    sources: Vec<String>,
}

#[derive(Serialize)]
struct Arg {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    value: String,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    ranges: [Range; 1],
}

#[derive(Serialize)]
struct Range {
    start: Line,
    end: Line,
}

#[derive(Serialize)]
struct Line {
    line: usize,
}

/// The variables of a package.
pub(super) fn outline(package: &Package, target: Option<&str>, files: &Files) -> (String, String) {
    let description = package.description.as_ref().map(|d| d.value.clone()).unwrap_or_default();
    let args: Vec<Arg> = package
        .vars
        .values()
        .map(|var| Arg {
            name: var.name.value.to_string(),
            description: var.description.as_ref().map(|d| d.value.clone()).unwrap_or_default(),
            value: var.default.value.clone(),
            location: location(var.name.span, files),
        })
        .collect();
    let mut text = format!("TARGET:      {}\n", target.unwrap_or(package.name.value.name()));
    if !description.is_empty() {
        let _ = writeln!(text, "DESCRIPTION: {description}");
    }
    if !args.is_empty() {
        let width = args.iter().map(|a| a.name.len()).max().unwrap_or(0).max(9);
        let _ = writeln!(text, "\n{:width$}   VALUE   DESCRIPTION", "BUILD ARG");
        for arg in &args {
            let _ = writeln!(text, "{:width$}   {}   {}", arg.name, arg.value, arg.description);
        }
    }
    let name = target.unwrap_or(package.name.value.name()).to_owned();
    let sources = vec![base64(files.text(package.file).as_bytes())];
    (json(&Outline { name, description, args, sources }), text)
}

#[derive(Serialize)]
struct Targets {
    targets: Vec<Target>,
    sources: Vec<String>,
}

#[derive(Serialize)]
struct Target {
    name: String,
    #[serde(skip_serializing_if = "is_false")]
    default: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    location: Location,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// The outputs, stages and tests of a package.
pub(super) fn targets(package: &Package, files: &Files) -> (String, String) {
    let mut targets = Vec::new();
    for output in package.outputs.values() {
        let own = output.description.as_ref().or(package.description.as_ref());
        targets.push(Target {
            name: output.name.value.to_string(),
            default: output.name.value.as_str() == package.name.value.name(),
            description: own.map(|d| d.value.clone()).unwrap_or_default(),
            location: location(output.name.span, files),
        });
    }
    for stage in package.stages.values() {
        targets.push(Target {
            name: stage.name.value.to_string(),
            default: false,
            description: "a stage, for debugging".to_owned(),
            location: location(stage.name.span, files),
        });
    }
    if let Some(test) = package.tests.values().next() {
        targets.push(Target {
            name: "test".to_owned(),
            default: false,
            description: "all tests".to_owned(),
            location: location(test.name.span, files),
        });
    }
    targets.sort_by_key(|t| !t.default);
    let width = targets.iter().map(|t| t.name.len() + 10).max().unwrap_or(0);
    let mut text = format!("{:width$}   DESCRIPTION\n", "TARGET");
    for target in &targets {
        let name =
            if target.default { format!("{} (default)", target.name) } else { target.name.clone() };
        let _ = writeln!(text, "{name:width$}   {}", target.description);
    }
    let sources = vec![base64(files.text(package.file).as_bytes())];
    (json(&Targets { targets, sources }), text)
}

#[derive(Serialize)]
struct Lint {
    warnings: Vec<Warning>,
    sources: Vec<SourceInfo>,
}

#[derive(Serialize)]
struct Warning {
    #[serde(rename = "ruleName")]
    rule_name: &'static str,
    description: &'static str,
    detail: String,
    location: LintLocation,
}

#[derive(Serialize)]
struct LintLocation {
    #[serde(rename = "sourceIndex")]
    source_index: i64,
    ranges: Vec<Range>,
}

#[derive(Serialize)]
struct SourceInfo {
    filename: String,
    language: &'static str,
    data: String,
}

/// What is wrong with a spec, and the status that the client ends with.
pub(super) fn check(found: &Diagnostics, files: &Files) -> (String, String, u8) {
    let sorted = found.clone().sorted(files);
    let mut order: Vec<FileId> = Vec::new();
    let mut warnings = Vec::new();
    let mut text = String::new();
    for diagnostic in &sorted {
        let index = diagnostic.span.map_or(-1, |span| {
            let at = order.iter().position(|f| *f == span.file).unwrap_or_else(|| {
                order.push(span.file);
                order.len() - 1
            });
            i64::try_from(at).unwrap_or(-1)
        });
        let ranges = diagnostic.span.map(|s| location(s, files).ranges.into_iter().collect());
        let detail = sentence(diagnostic, files);
        let _ = writeln!(text, "{detail}");
        warnings.push(Warning {
            rule_name: diagnostic.code.name(),
            description: diagnostic.code.meaning(),
            detail,
            location: LintLocation { source_index: index, ranges: ranges.unwrap_or_default() },
        });
    }
    let sources = order.iter().map(|f| SourceInfo {
        filename: files.path(*f).to_owned(),
        language: "YAML",
        data: base64(files.text(*f).as_bytes()),
    });
    let status = u8::from(!warnings.is_empty());
    let sources = sources.collect();
    (json(&Lint { warnings, sources }), text, status)
}

fn location(span: Span, files: &Files) -> Location {
    let text = files.text(span.file);
    let first = text.get(span.start as usize..span.end as usize).unwrap_or("");
    let end = span.start + u32::try_from(first.find('\n').unwrap_or(first.len())).unwrap_or(0);
    let line = |at: u32| Line { line: render::line_column(text, at).line };
    Location { ranges: [Range { start: line(span.start), end: line(end) }] }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).expect("strings and numbers become JSON")
}
