//! Stages, roots, steps and tests as written → checked.

use std::collections::BTreeMap;

use std::sync::Arc;

use crate::diag::{Code, Spanned};

use super::raw::{Kind, Node};
use super::reader::{Fields, Reader};
use super::style;
use super::template::{Condition, Template};
use super::{
    Command, OutputName, PlacedSource, RootEntry, RootFrom, SourceName, Stage, StageName,
    StagePlatform, Step, Test, TestName, VariableName,
};

const STAGE_KEYS: [&str; 12] = [
    "platform", "tools", "rootfs", "sources", "workdir", "env", "shell", "network", "run", "steps",
    "use", "with",
];

const STEP_KEYS: [&str; 10] =
    ["run", "exec", "use", "with", "name", "workdir", "env", "network", "shell", "when"];

const TEST_KEYS: [&str; 8] = ["output", "tools", "run", "steps", "env", "exit", "stdout", "files"];

/// What a stage hands down to its steps.
#[derive(Clone, Default)]
struct Inherited {
    shell: Option<Vec<Template>>,
    network: Option<Spanned<String>>,
}

impl Reader<'_> {
    /// One stage.
    pub(super) fn stage(&mut self, key: &Spanned<String>, node: &Node) -> Option<Stage> {
        let name = self.name(key, "a stage", StageName::parse);
        let fields = self.fields(node, "a mapping with `tools`, `run`, …", &STAGE_KEYS)?;
        let platform = match fields.get("platform") {
            None => StagePlatform::Target,
            Some(node) => match self.literal(node)?.value.as_str() {
                "target" => StagePlatform::Target,
                "build" => StagePlatform::Build,
                _ => StagePlatform::Fixed(self.platform(node)?),
            },
        };
        let mut rootfs = Vec::new();
        for key in ["tools", "rootfs"] {
            rootfs.extend(self.root(fields.get(key)));
        }
        let sources = self.placed(fields.get("sources"));
        let workdir = fields.get("workdir").and_then(|n| self.absolute(n));
        let env = self.environment(fields.get("env"));
        let steps = self.steps(fields);
        let name = Spanned::new(name?, key.span);
        Some(Stage { name, platform, rootfs, sources, workdir, env, steps })
    }

    /// `env:` of a stage, a step or a test.
    pub(super) fn environment(&mut self, node: Option<&Node>) -> BTreeMap<VariableName, Template> {
        self.template_map(node, |r, key| r.name(key, "a variable", VariableName::parse))
    }

    /// A list of root entries.
    pub(super) fn root(&mut self, node: Option<&Node>) -> Vec<RootEntry> {
        let Some(node) = node else { return Vec::new() };
        self.list(node, "packages").iter().filter_map(|n| self.root_entry(n)).collect()
    }

    fn root_entry(&mut self, node: &Node) -> Option<RootEntry> {
        if let Kind::Text(_) = node.kind {
            let reference = self.reference(node)?;
            let from = RootFrom::Package { reference, for_target: false };
            let (path, to, files, when) = (None, None, Vec::new(), None);
            return Some(RootEntry { span: node.span, from, path, to, files, when });
        }
        let keys = ["package", "stage", "source", "sources", "from", "to", "files", "for", "when"];
        let fields = self.fields(node, "a package or a mapping", &keys)?;
        let kinds = fields.present(&["package", "stage", "source", "sources"]);
        let [(kind, _)] = kinds.as_slice() else {
            let said = "an entry is exactly one of `package`, `stage`, `source` and `sources`";
            self.say(Code::Conflict, node.span, said);
            return None;
        };
        let at = fields.get(kind)?;
        let from = match *kind {
            "package" => {
                let reference = self.reference(at)?;
                let for_target = match fields.get("for") {
                    None => false,
                    Some(n) => {
                        let form = (Code::BadValue, "`target`");
                        self.parsed(n, form, |t| (t == "target").then_some(true)).is_some()
                    }
                };
                RootFrom::Package { reference, for_target }
            }
            "stage" => RootFrom::Stage(self.stage_name(at)?),
            "source" => RootFrom::Sources(vec![self.source_name(at)?]),
            _ => {
                let items = self.list(at, "sources");
                RootFrom::Sources(items.iter().filter_map(|n| self.source_name(n)).collect())
            }
        };
        if let (false, Some((key, _))) = (*kind == "package", fields.entry("for")) {
            self.say(Code::Conflict, key.span, "only packages have another platform's files");
        }
        let path = fields.get("from").and_then(|n| self.absolute(n));
        let to = fields.get("to").and_then(|n| self.absolute(n));
        let files = self.templates(fields.get("files"), "patterns");
        let when = self.condition(fields.get("when"));
        Some(RootEntry { span: node.span, from, path, to, files, when })
    }

    pub(super) fn stage_name(&mut self, node: &Node) -> Option<Spanned<StageName>> {
        self.parsed(node, (Code::BadName, "a stage"), StageName::parse)
    }

    pub(super) fn source_name(&mut self, node: &Node) -> Option<Spanned<SourceName>> {
        self.parsed(node, (Code::BadName, "a source"), SourceName::parse)
    }

    fn placed(&mut self, node: Option<&Node>) -> Vec<PlacedSource> {
        let Some(node) = node else { return Vec::new() };
        if let Kind::Map(_) = node.kind {
            let mut placed = Vec::new();
            for (key, to) in self.entries(node, "sources and where they stand") {
                let name = self.name(key, "a source", SourceName::parse);
                let to = self.absolute(to);
                if let (Some(name), Some(to)) = (name, to) {
                    placed.push(PlacedSource { name: Spanned::new(name, key.span), to: Some(to) });
                }
            }
            return placed;
        }
        let items = self.list(node, "sources");
        let names = items.iter().filter_map(|n| self.source_name(n));
        names.map(|name| PlacedSource { name, to: None }).collect()
    }

    /// A path from the root; what templates leave open is checked once they have values.
    pub(super) fn absolute(&mut self, node: &Node) -> Option<Template> {
        let template = self.template(node)?;
        if template.as_literal().is_some_and(|p| !super::reader::is_clean_absolute(p)) {
            let said = "a path here starts with `/` and has no `..`, `.` or empty part";
            self.say(Code::BadPath, node.span, said);
            return None;
        }
        Some(template)
    }

    /// `run`, `use` or `steps` of a stage.
    fn steps(&mut self, fields: Fields<'_>) -> Vec<Step> {
        let inherited = Inherited {
            shell: fields.get("shell").map(|n| self.templates(Some(n), "arguments")),
            network: fields.get("network").and_then(|n| self.reason(n)),
        };
        let short = fields.present(&["run", "use"]);
        if let (None, Some((key, _))) = (fields.get("use"), fields.entry("with")) {
            self.say(Code::Conflict, key.span, "`with` belongs to `use`");
        }
        match (short.as_slice(), fields.get("steps")) {
            ([], None) => Vec::new(),
            ([], Some(list)) => {
                let items = self.list(list, "steps");
                items.iter().flat_map(|n| self.step(n, &inherited)).collect()
            }
            ([(kind, _)], None) => match (*kind, fields.get(kind)) {
                ("run", Some(node)) => self.run(node, &inherited).into_iter().collect(),
                _ => {
                    let frame = Frame { with: fields.get("with"), ..Frame::default() };
                    let name = fields.get("use");
                    name.map_or_else(Vec::new, |n| self.styled(n, frame, &inherited))
                }
            },
            ([_, (second, at), ..], _) | ([(second, at)], Some(_)) => {
                let said = format!("`{second}` beside another of `run`, `use` and `steps`");
                self.say_hint(Code::Conflict, *at, said, "put all of them in order under `steps:`");
                Vec::new()
            }
        }
    }

    fn run(&mut self, node: &Node, inherited: &Inherited) -> Option<Step> {
        let script = self.template(node)?;
        let command = Command::Run { script, shell: inherited.shell.clone() };
        let (span, network) = (node.span, inherited.network.clone());
        let (name, workdir, env, when, params) = (None, None, BTreeMap::new(), Vec::new(), None);
        Some(Step { span, name, command, workdir, env, network, when, params })
    }

    fn step(&mut self, node: &Node, inherited: &Inherited) -> Vec<Step> {
        if let Kind::Text(_) = node.kind {
            return self.run(node, inherited).into_iter().collect();
        }
        let Some(fields) = self.fields(node, "a script or a mapping", &STEP_KEYS) else {
            return Vec::new();
        };
        let mut inherited = inherited.clone();
        if let Some(node) = fields.get("shell") {
            inherited.shell = Some(self.templates(Some(node), "arguments"));
        }
        if let Some(node) = fields.get("network") {
            inherited.network = self.reason(node);
        }
        let kinds = fields.present(&["run", "exec", "use"]);
        let [(kind, _)] = kinds.as_slice() else {
            let said = "a step is exactly one of `run`, `exec` and `use`";
            self.say(Code::Conflict, node.span, said);
            return Vec::new();
        };
        let Some(at) = fields.get(kind) else { return Vec::new() };
        if *kind == "use" {
            if let Some((key, _)) = fields.entry("name") {
                self.say(Code::Conflict, key.span, "a build style names its own steps");
            }
            let frame = Frame {
                with: fields.get("with"),
                workdir: fields.get("workdir").and_then(|n| self.absolute(n)),
                env: self.environment(fields.get("env")),
                when: self.condition(fields.get("when")),
            };
            return self.styled(at, frame, &inherited);
        }
        if let Some((key, _)) = fields.entry("with") {
            self.say(Code::Conflict, key.span, "`with` belongs to `use`");
        }
        let command = match *kind {
            "exec" => {
                if let Some((key, _)) = fields.entry("shell") {
                    self.say(Code::Conflict, key.span, "`exec` runs no shell");
                }
                let argv = self.templates(Some(at), "arguments");
                if argv.is_empty() {
                    if matches!(&at.kind, Kind::List(items) if items.is_empty()) {
                        self.say(Code::BadValue, at.span, "nothing to execute");
                    }
                    return Vec::new();
                }
                Command::Exec(argv)
            }
            _ => match self.template(at) {
                Some(script) => Command::Run { script, shell: inherited.shell.clone() },
                None => return Vec::new(),
            },
        };
        vec![Step {
            span: node.span,
            name: fields.get("name").and_then(|n| self.template(n)),
            command,
            workdir: fields.get("workdir").and_then(|n| self.absolute(n)),
            env: self.environment(fields.get("env")),
            network: inherited.network,
            when: self.condition(fields.get("when")).into_iter().collect(),
            params: None,
        }]
    }

    /// The steps of a build style, with this use's parameters, conditions and environment.
    fn styled(&mut self, name: &Node, frame: Frame<'_>, inherited: &Inherited) -> Vec<Step> {
        let Some(name) = self.literal(name) else { return Vec::new() };
        let Some(style) = self.style(&name) else { return Vec::new() };
        let params = Arc::new(style::arguments(self, &style, &name, frame.with));
        let mut steps = style.steps.clone();
        for step in &mut steps {
            step.params = Some(params.clone());
            step.when.extend(frame.when.clone());
            step.workdir = step.workdir.take().or_else(|| frame.workdir.clone());
            step.env.extend(frame.env.iter().map(|(k, v)| (k.clone(), v.clone())));
            step.network = step.network.take().or_else(|| inherited.network.clone());
            if let (Command::Run { shell: shell @ None, .. }, Some(own)) =
                (&mut step.command, &inherited.shell)
            {
                *shell = Some(own.clone());
            }
        }
        steps
    }

    /// The steps of a style's own file.
    pub(super) fn style_steps(&mut self, node: &Node) -> Vec<Step> {
        let inherited = Inherited::default();
        let items = self.list(node, "steps");
        items.iter().flat_map(|n| self.step(n, &inherited)).collect()
    }

    /// One entry of `tests:`.
    pub(super) fn test(
        &mut self,
        key: &Spanned<String>,
        node: &Node,
        default: &OutputName,
    ) -> Option<Test> {
        let name = self.name(key, "a test", TestName::parse);
        let fields = self.fields(node, "a mapping with `run` or `steps`", &TEST_KEYS)?;
        let output = match fields.get("output") {
            Some(n) => self.parsed(n, (Code::BadName, "an output"), OutputName::parse)?,
            None => Spanned::new(default.clone(), key.span),
        };
        let tools = self.root(fields.get("tools"));
        let env = self.environment(fields.get("env"));
        let mut steps = self.steps(fields);
        if steps.is_empty() {
            self.say(Code::MissingKey, key.span, "a test has `run` or `steps`");
        }
        for step in &mut steps {
            for (key, value) in &env {
                step.env.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        let exit = fields.get("exit").and_then(|n| self.number(n, 255)).unwrap_or(0) as u8;
        let stdout = fields.get("stdout").and_then(|n| self.template(n));
        let files = match fields.get("files") {
            Some(n) => self.list(n, "paths").iter().filter_map(|n| self.absolute(n)).collect(),
            None => Vec::new(),
        };
        let last_is_exec = steps.last().is_some_and(|s| matches!(s.command, Command::Exec(_)));
        for key in ["exit", "stdout", "files"] {
            if let (true, Some((at, _))) = (last_is_exec, fields.entry(key)) {
                let said =
                    format!("`{key}` can't be found out of a program that runs without a shell");
                let hint = "`exec` has to end with 0; write the last step as `run:` and name a shell in `tools:`";
                self.say_hint(Code::BadTest, at.span, said, hint);
            }
        }
        let name = Spanned::new(name?, key.span);
        Some(Test { name, output, tools, steps, exit, stdout, files })
    }
}

/// What the use of a build style adds to its steps.
#[derive(Default)]
struct Frame<'f> {
    with: Option<&'f Node>,
    workdir: Option<Template>,
    env: BTreeMap<VariableName, Template>,
    when: Option<Condition>,
}
