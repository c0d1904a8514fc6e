//! A stage or a test → the root it runs in, the steps in it, and what they leave.

use crate::diag::{Code, Diagnostic};
use crate::graph::{self, Command, RootEntry, RootFrom, Source, Stage, Step, Test};
use crate::package::{Archive, Package, Platform, TakeFiles};

use super::lower::{Lowering, Options, PATH, copy};
use super::script::{self, SCRIPTS};
use super::{Content, Copy, Entry, Mount, Op, Out, Port, Run, TreeRef};

/// Where the output folder is mounted.
pub(super) const OUT: &str = "/out";

/// Where sources stand when the spec does not say.
const SOURCES: &str = "/src";

type Trees = (Option<TreeRef>, Option<TreeRef>);

impl Lowering<'_> {
    pub(super) fn stage(
        &mut self,
        node: &graph::Node,
        stage: &Stage,
        (package, group): (&Package, &str),
    ) -> Trees {
        let mut env = environment(package, stage, &node.platform, self.options);
        let has_out = package.outputs.values().any(|o| {
            o.take.as_ref().is_some_and(|take| {
                let all = !matches!(take.files, TakeFiles::Map(_));
                take.stage.value == stage.name.value && all
            })
        });
        if !has_out {
            env.retain(|(name, _)| name != "OUT");
        }
        self.run_stage(stage, group, Work { env, has_out, test: None })
    }

    pub(super) fn test(
        &mut self,
        node: &graph::Node,
        test: &Test,
        (package, group): (&Package, &str),
    ) -> Trees {
        let env = environment(package, &test.stage, &node.platform, self.options);
        let work = Work { env, has_out: true, test: Some(test) };
        let last = test.stage.steps.last().map(|s| &s.command);
        let is_script =
            matches!(last, Some(Command::Run(_, shell)) if script::is_posix_shell(shell));
        if work.is_judged() && !is_script {
            let said = format!("what `{}` expects can't be found out", test.name);
            let hint = "`exit`, `stdout` and `files` are for a last step that is a shell script, on every platform";
            let found = Diagnostic::new(Code::BadTest, test.stage.name.span, said);
            self.found.push(found.hint(hint));
        }
        self.run_stage(&test.stage, group, work)
    }

    fn run_stage(&mut self, stage: &Stage, group: &str, work: Work<'_>) -> Trees {
        let is_shell = |s: &Step| match &s.command {
            Command::Run(_, shell) => script::is_posix_shell(shell),
            Command::Exec(_) => false,
        };
        let shell = stage.steps.iter().find(|s| is_shell(s)).and_then(|s| match &s.command {
            Command::Run(_, shell) => Some(shell.clone()),
            Command::Exec(_) => None,
        });
        let mut trees = self.root(stage, group);
        let placed = placed(stage);
        trees.extend(self.files(&placed, group, &stage.runs_on));
        if shell.is_none() {
            trees.extend(self.unpacked(&placed, group, &stage.runs_on));
        }
        let shown = (group, "root", vec![stage.name.span]);
        let mut root = self.union(&trees, shown, &stage.runs_on);
        let mut out = None;
        if stage.steps.is_empty() {
            return (root, out);
        }
        let is_script = |s: &Step| matches!(s.command, Command::Run(..));
        let scripts = stage.steps.iter().any(is_script);
        let scripts = scripts.then(|| self.scripts(stage, (group, &work), &placed));
        if let (Some(shell), Some(scripts)) = (&shell, scripts) {
            root = self.prepare(stage, &placed, Prepare { group, shell, scripts, root });
        }
        for (number, step) in stage.steps.iter().enumerate() {
            let run = self.step(stage, &work, (number, step), (root, out, scripts));
            let label =
                step.name.clone().map_or_else(|| label(&step.command), |n| script::shortened(&n));
            let done = self.add((group, &label, vec![step.span]), &stage.runs_on, Op::Run(run));
            root = Some(done);
            out = work.has_out.then_some(TreeRef { port: Port::Out, ..done });
        }
        (root, out)
    }

    /// The trees that make the root, in the order of the spec, each package once.
    fn root(&mut self, stage: &Stage, group: &str) -> Vec<TreeRef> {
        let mut trees: Vec<TreeRef> = Vec::new();
        let platform = &stage.runs_on;
        if !stage.steps.is_empty() {
            // Compilers and shells write temporary files; packages that bring a /tmp come later
            // in the union and win.
            let (path, mode, owner) = ("/tmp".to_owned(), 0o777, (0, 0));
            let tmp = Entry { path, content: Content::Folder, mode, owner };
            trees.push(self.add((group, "/tmp", Vec::new()), platform, Op::Write(vec![tmp])));
        }
        for entry in &stage.root {
            let whole = entry.path.is_none() && entry.to.is_none() && entry.files.is_empty();
            let added: Vec<TreeRef> = match &entry.from {
                RootFrom::Package(id) if whole => {
                    self.trees(&[*id]).into_iter().map(|(_, tree)| tree).collect()
                }
                RootFrom::Package(id) => {
                    let own = self.own(*id).into_iter().map(|(_, tree)| tree);
                    let copies: Vec<Copy> = own.map(|tree| part(tree, entry)).collect();
                    self.parts(copies, (group, entry), platform).into_iter().collect()
                }
                RootFrom::Stage(id) if whole => self.stage_root(*id).into_iter().collect(),
                RootFrom::Stage(id) => {
                    let root = self.stage_root(*id);
                    let copies = root.map(|tree| part(tree, entry)).into_iter().collect();
                    self.parts(copies, (group, entry), platform).into_iter().collect()
                }
                RootFrom::Sources(sources) => {
                    let copies = self.side_by_side(sources, (group, entry), platform);
                    self.parts(copies, (group, entry), platform).into_iter().collect()
                }
            };
            for tree in added {
                // The same tree again brings nothing but its turn to win.
                trees.retain(|t| *t != tree);
                trees.push(tree);
            }
        }
        if let Some(accounts) = &stage.accounts {
            let file = |path: &str, text: String| {
                let content = Content::File(text.into_bytes());
                Entry { path: path.to_owned(), content, mode: 0o644, owner: (0, 0) }
            };
            let entries =
                vec![file("/etc/passwd", accounts.passwd()), file("/etc/group", accounts.group())];
            trees.push(self.add((group, "accounts", Vec::new()), platform, Op::Write(entries)));
        }
        trees
    }

    fn parts(
        &mut self,
        copies: Vec<Copy>,
        (group, entry): (&str, &RootEntry),
        platform: &Platform,
    ) -> Option<TreeRef> {
        if copies.is_empty() {
            return None;
        }
        let shown = (group, "copy into the root", vec![entry.span]);
        Some(self.add(shown, platform, Op::Copy { base: None, copies }))
    }

    /// Sources of a root entry, never unpacked: folders as their contents, files under their names.
    fn side_by_side(
        &mut self,
        sources: &[Source],
        (group, entry): (&str, &RootEntry),
        platform: &Platform,
    ) -> Vec<Copy> {
        let to = entry.to.as_deref().unwrap_or("/");
        let mut copies = Vec::new();
        for source in sources {
            let (tree, src) = self.source(source, group, platform);
            let dest = match (source.is_folder, sources.len(), &entry.to) {
                (true, ..) => to.to_owned(),
                (false, 1, Some(to)) if !to.ends_with('/') => to.clone(),
                (false, ..) => format!("{}/{}", to.trim_end_matches('/'), source.file_name),
            };
            let mode = (!source.is_folder).then_some(source.mode);
            let timestamp = Some(self.options.epoch);
            let src = match (&entry.path, source.is_folder) {
                (Some(path), true) => path.clone(),
                _ => src,
            };
            let include = patterns(&entry.files);
            copies.push(Copy {
                mode,
                include,
                owner: Some((0, 0)),
                timestamp,
                ..copy(tree, &src, &dest)
            });
        }
        copies
    }

    /// Sources that are single files, in one tree.
    fn files(
        &mut self,
        placed: &[Placed<'_>],
        group: &str,
        platform: &Platform,
    ) -> Option<TreeRef> {
        let mut copies = Vec::new();
        let mut origin = Vec::new();
        for p in placed.iter().filter(|p| !p.is_tree()) {
            let (tree, src) = self.source(p.source, group, platform);
            let (mode, owner) = (Some(p.source.mode), Some((0, 0)));
            let timestamp = Some(self.options.epoch);
            copies.push(Copy { mode, owner, timestamp, ..copy(tree, &src, &p.to) });
            origin.push(p.source.span);
        }
        if copies.is_empty() {
            return None;
        }
        Some(self.add((group, "sources", origin), platform, Op::Copy { base: None, copies }))
    }

    /// Archives and folders where no shell is: the engine unpacks.
    fn unpacked(
        &mut self,
        placed: &[Placed<'_>],
        group: &str,
        platform: &Platform,
    ) -> Vec<TreeRef> {
        let mut trees = Vec::new();
        for p in placed.iter().filter(|p| p.is_tree()) {
            let source = p.source;
            self.check_engine_can(source);
            let (tree, src) = self.source(source, group, platform);
            let owner = Some((0, 0));
            let timestamp = Some(self.options.epoch);
            let label = format!("unpack {}", source.file_name);
            let shown = |label: &str| (group.to_owned(), label.to_owned(), vec![source.span]);
            let (mut from, mut src, mut wildcard) = (tree, src, false);
            let unpack = source.unpack.is_some();
            if unpack && source.strip > 0 {
                let copies = vec![Copy { unpack: true, owner, ..copy(tree, &src, "/") }];
                let (g, l, o) = shown(&label);
                from = self.add((&g, &l, o), platform, Op::Copy { base: None, copies });
                src = "/*".repeat(source.strip as usize);
                wildcard = true;
            }
            let unpack = unpack && source.strip == 0;
            let dest = p.to.trim_end_matches('/');
            let dest = if dest.is_empty() { "/" } else { dest };
            // An unpacked archive goes into a folder, which its name has to say.
            let dest =
                if unpack { format!("{}/", dest.trim_end_matches('/')) } else { dest.to_owned() };
            let copies =
                vec![Copy { wildcard, unpack, owner, timestamp, ..copy(from, &src, &dest) }];
            let (g, l, o) = shown(if wildcard { "strip" } else { &label });
            trees.push(self.add((&g, &l, o), platform, Op::Copy { base: None, copies }));
        }
        trees
    }

    fn check_engine_can(&mut self, source: &Source) {
        if let Some(archive @ (Archive::Zip | Archive::TarZst)) = source.unpack {
            let name = Archive::ALL.iter().find(|(a, _)| *a == archive).map_or("", |(_, n)| n);
            let said =
                format!("the engine can't unpack {name}, and the stage has no shell that could");
            let hint =
                "unpack it in a step (`unpack: false`), or give the stage a `run:` and the tools";
            self.found.push(Diagnostic::new(Code::Conflict, source.span, said).hint(hint));
        }
        if !source.patches.is_empty() {
            let said = "patches are applied by a shell, and the stage has none";
            self.found.push(Diagnostic::new(Code::Conflict, source.span, said));
        }
    }

    /// One tree with all texts that the stage runs; each step mounts only its own, so that a
    /// change in one leaves the others cached.
    fn scripts(
        &mut self,
        stage: &Stage,
        (group, work): (&str, &Work<'_>),
        placed: &[Placed<'_>],
    ) -> TreeRef {
        let mut entries = vec![text_entry("/prelude", script::prelude(&work.env))];
        let mut prepare = String::new();
        for p in placed.iter().filter(|p| p.is_tree()) {
            let mut paths = Vec::new();
            for (number, patch) in p.source.patches.iter().enumerate() {
                let path = format!("/patches/{}/{number}", p.source.name);
                paths.push(format!("{SCRIPTS}{path}"));
                let content = Content::File(patch.bytes.clone());
                entries.push(Entry { path, content, mode: 0o644, owner: (0, 0) });
            }
            prepare.push_str(&script::prepare(p.source, &p.mounted(), &p.to, &paths));
        }
        if !prepare.is_empty() {
            entries.push(text_entry("/prepare", script::shell_script(&prepare, &[])));
        }
        for (number, step) in stage.steps.iter().enumerate() {
            let Command::Run(text, shell) = &step.command else { continue };
            let path = format!("/{}", number + 1);
            let text = if script::is_posix_shell(shell) {
                script::shell_script(text, &step.env)
            } else {
                text.clone()
            };
            entries.push(text_entry(&path, text));
            if let (Some(test), true) = (work.test, number + 1 == stage.steps.len())
                && work.is_judged()
            {
                let inner = format!("{SCRIPTS}{path}");
                let text = script::judge(test, shell, &inner);
                entries.push(text_entry("/judge", script::shell_script(&text, &[])));
            }
        }
        self.add((group, "scripts", vec![stage.name.span]), &stage.runs_on, Op::Write(entries))
    }

    fn prepare(
        &mut self,
        stage: &Stage,
        placed: &[Placed<'_>],
        with: Prepare<'_>,
    ) -> Option<TreeRef> {
        let trees: Vec<&Placed<'_>> = placed.iter().filter(|p| p.is_tree()).collect();
        if trees.is_empty() {
            return with.root;
        }
        let script_file = |name: &str| Mount {
            from: with.scripts,
            src: name.to_owned(),
            dest: format!("{SCRIPTS}{name}"),
        };
        let mut mounts = vec![script_file("/prelude"), script_file("/prepare")];
        if trees.iter().any(|p| !p.source.patches.is_empty()) {
            mounts.push(script_file("/patches"));
        }
        let mut origin = Vec::new();
        let mut names = Vec::new();
        for p in trees {
            let (tree, src) = self.source(p.source, with.group, &stage.runs_on);
            let dest = p.mounted();
            // An archive is mounted with the folder that it is in: a mount of a file alone has
            // no name that every engine keeps.
            let folder = src.rsplit_once('/').map_or("", |(folder, _)| folder);
            let src = match p.source.is_folder {
                true => src,
                false if folder.is_empty() => "/".to_owned(),
                false => folder.to_owned(),
            };
            mounts.push(Mount { from: tree, src, dest });
            origin.push(p.source.span);
            names.push(
                if p.source.is_folder { &p.source.name } else { &p.source.file_name }.as_str(),
            );
        }
        let mut args = with.shell.to_vec();
        args.push(format!("{SCRIPTS}/prepare"));
        let (root, out, env, network) = (with.root, None, Vec::new(), None);
        let run = Run { root, out, mounts, args, env, cwd: "/".to_owned(), network };
        let label = script::shortened(&format!("unpack {}", names.join(" ")));
        Some(self.add((with.group, &label, origin), &stage.runs_on, Op::Run(run)))
    }

    fn step(
        &self,
        stage: &Stage,
        work: &Work<'_>,
        (number, step): (usize, &Step),
        (root, before, scripts): (Option<TreeRef>, Option<TreeRef>, Option<TreeRef>),
    ) -> Run {
        let file = |name: &str| {
            let (src, dest) = (name.to_owned(), format!("{SCRIPTS}{name}"));
            scripts.map(|from| Mount { from, src, dest })
        };
        let full = || {
            let mut env = work.env.clone();
            for (name, value) in &step.env {
                env.retain(|(n, _)| n != name);
                env.push((name.clone(), value.clone()));
            }
            env
        };
        let own = format!("/{}", number + 1);
        let judged = work.is_judged() && number + 1 == stage.steps.len();
        let (args, env, mounts) = match &step.command {
            Command::Exec(argv) => (argv.clone(), full(), Vec::new()),
            Command::Run(_, shell) => {
                let posix = script::is_posix_shell(shell);
                let names = [posix.then_some("/prelude"), Some(&own), judged.then_some("/judge")];
                let mounts = names.into_iter().flatten().filter_map(file).collect();
                let mut args = shell.clone();
                if judged {
                    args.push(format!("{SCRIPTS}/judge"));
                } else {
                    args.push(format!("{SCRIPTS}{own}"));
                }
                // What the prelude exports is not said twice: graphs of a thousand steps are sent
                // over a wire that takes 16 MiB.
                (args, if posix { Vec::new() } else { full() }, mounts)
            }
        };
        let out = work.has_out.then(|| Out { dest: OUT.to_owned(), before });
        let cwd = step.workdir.clone().unwrap_or_else(|| workdir(stage));
        Run { root, out, mounts, args, env, cwd, network: step.network.clone() }
    }
}

struct Work<'w> {
    env: Vec<(String, String)>,
    has_out: bool,
    test: Option<&'w Test>,
}

impl Work<'_> {
    /// Whether a test expects more than that its last step ends well.
    fn is_judged(&self) -> bool {
        self.test.is_some_and(|t| t.exit != 0 || t.stdout.is_some() || !t.files.is_empty())
    }
}

struct Prepare<'p> {
    group: &'p str,
    shell: &'p [String],
    scripts: TreeRef,
    root: Option<TreeRef>,
}

/// A source of a stage and where it stands.
struct Placed<'s> {
    source: &'s Source,
    to: String,
}

impl Placed<'_> {
    /// Whether it stands there as a folder.
    fn is_tree(&self) -> bool {
        self.source.is_folder || self.source.unpack.is_some()
    }

    fn mounted(&self) -> String {
        format!("{SCRIPTS}/sources/{}", self.source.name)
    }
}

fn placed(stage: &Stage) -> Vec<Placed<'_>> {
    let place = |(source, to): &'_ (Source, Option<String>)| {
        let folder = source.is_folder || source.unpack.is_some();
        match to {
            Some(to) if folder || !to.ends_with('/') => to.clone(),
            Some(to) => format!("{to}{}", source.file_name),
            None if folder => format!("{SOURCES}/{}", source.name),
            None => format!("{SOURCES}/{}", source.file_name),
        }
    };
    stage.sources.iter().map(|s| Placed { source: &s.0, to: place(s) }).collect()
}

/// Where steps start: what the spec says, the one unpacked source, `/src`, or the root.
pub(super) fn workdir(stage: &Stage) -> String {
    if let Some(dir) = &stage.workdir {
        return dir.clone();
    }
    let placed = placed(stage);
    let trees: Vec<&Placed<'_>> = placed.iter().filter(|p| p.is_tree()).collect();
    match trees.as_slice() {
        [only] => only.to.clone(),
        _ if placed.is_empty() => "/".to_owned(),
        _ => SOURCES.to_owned(),
    }
}

/// What every step of a stage finds in its environment. The engine's own platform is only told to
/// stages that run on it: elsewhere it would change the graph from machine to machine.
pub(super) fn environment(
    package: &Package,
    stage: &Stage,
    target: &Platform,
    options: &Options,
) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| {
        env.retain(|(n, _)| n != name);
        env.push((name.to_owned(), value.to_owned()));
    };
    let own: String = stage.path.iter().map(|folder| format!("{folder}:")).collect();
    set("PATH", &(own + PATH));
    set("HOME", "/tmp");
    set("LANG", "C.UTF-8");
    set("TZ", "UTC");
    set("SOURCE_DATE_EPOCH", &options.epoch.to_string());
    set("VERSION", package.version.value.as_str());
    set("OUT", OUT);
    set("TARGET", &graph::triple(target));
    let mut sides = vec![("TARGET", target)];
    if stage.on_build {
        sides.push(("BUILD", &stage.runs_on));
    }
    for (side, platform) in sides {
        set(&format!("{side}PLATFORM"), &platform.to_string());
        set(&format!("{side}OS"), platform.os());
        set(&format!("{side}ARCH"), platform.architecture());
        set(&format!("{side}VARIANT"), platform.variant().unwrap_or_default());
    }
    for (name, value) in &stage.env {
        set(name, value);
    }
    env
}

fn part(tree: TreeRef, entry: &RootEntry) -> Copy {
    let src = entry.path.as_deref().unwrap_or("/");
    let dest = entry.to.as_deref().unwrap_or(src);
    Copy { include: patterns(&entry.files), ..copy(tree, src, dest) }
}

fn patterns(files: &[String]) -> Vec<String> {
    files.iter().map(|p| p.trim_start_matches('/').to_owned()).collect()
}

fn text_entry(path: &str, text: String) -> Entry {
    let content = Content::File(text.into_bytes());
    Entry { path: path.to_owned(), content, mode: 0o644, owner: (0, 0) }
}

fn label(command: &Command) -> String {
    match command {
        Command::Run(text, _) => script::first_line(text),
        Command::Exec(argv) => script::shortened(&argv.join(" ")),
    }
}
