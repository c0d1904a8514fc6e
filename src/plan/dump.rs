//! A plan as text, for review: one operation a paragraph.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{BuildPlan, Content, Copy, Entry, Fetch, NodeId, Op, Port, Run, TreeRef};

/// Writes a plan out, references as `group.number` in the order of the plan; only the nodes of a
/// package when one is given.
pub fn dump(plan: &BuildPlan, package: Option<&str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut labels = Vec::new();
    for node in &plan.nodes {
        let number = counts.entry(&node.group).and_modify(|n| *n += 1).or_insert(1);
        labels.push(format!("{}.{number}", node.group));
    }
    let label = |id: NodeId| labels[id.0 as usize].clone();
    let mut out = String::new();
    for (node, own) in plan.nodes.iter().zip(&labels) {
        if package.is_some_and(|p| node.group.split(' ').next() != Some(p)) {
            continue;
        }
        let _ = writeln!(out, "{own} ({}): {}", node.platform, node.label);
        op(&mut out, &node.op, &label);
        out.push('\n');
    }
    for result in &plan.results {
        let tree = result.tree.map_or_else(|| "scratch".to_owned(), |t| tree(t, &label));
        let _ =
            writeln!(out, "result {} {} = {tree}", result.target.package, result.target.platform);
        for layer in &result.layers {
            let _ = writeln!(out, "  layer {layer}");
        }
        let json = result.config.to_json(&result.target.platform, &[]);
        let _ = writeln!(out, "  config {}", String::from_utf8_lossy(&json));
    }
    out
}

type Label<'l> = &'l dyn Fn(NodeId) -> String;

fn tree(tree: TreeRef, label: Label<'_>) -> String {
    let port = match tree.port {
        Port::Root => "",
        Port::Out => ":out",
    };
    format!("{}{port}", label(tree.node))
}

fn op(out: &mut String, op: &Op, label: Label<'_>) {
    match op {
        Op::Fetch(fetch) => fetched(out, fetch),
        Op::Write(entries) => {
            for entry in entries {
                written(out, entry);
            }
        }
        Op::Copy { base, copies } => {
            if let Some(base) = base {
                let _ = writeln!(out, "  onto {}", tree(*base, label));
            }
            for copy in copies {
                copied(out, copy, label);
            }
        }
        Op::Union(trees) => {
            for t in trees {
                let _ = writeln!(out, "  {}", tree(*t, label));
            }
        }
        Op::Run(run) => ran(out, run, label),
    }
}

fn fetched(out: &mut String, fetch: &Fetch) {
    let _ = match fetch {
        Fetch::Http { urls, digest, file_name } => {
            let _ = writeln!(out, "  http {file_name} {digest}");
            urls.iter().try_for_each(|url| writeln!(out, "    {url}"))
        }
        Fetch::Git { remote, commit, subdir } => {
            writeln!(out, "  git {remote} {commit} {}", subdir.as_deref().unwrap_or("."))
        }
        Fetch::Image { name, digest } => writeln!(out, "  image {name}@{digest}"),
        Fetch::Local { path, exclude } => writeln!(out, "  local {path} without {exclude:?}"),
        Fetch::Context(reference) => writeln!(out, "  context {reference}"),
    };
}

fn written(out: &mut String, entry: &Entry) {
    let (uid, gid) = entry.owner;
    let _ = write!(out, "  {} {:04o} {uid}:{gid}", entry.path, entry.mode);
    match &entry.content {
        Content::Folder => out.push_str(" folder\n"),
        Content::Link(to) => {
            let _ = writeln!(out, " -> {to}");
        }
        Content::File(bytes) => {
            out.push('\n');
            match std::str::from_utf8(bytes) {
                Ok(text) if !text.chars().any(|c| c.is_control() && !"\n\t".contains(c)) => {
                    for line in text.lines() {
                        let _ = writeln!(out, "    | {line}");
                    }
                }
                Ok(_) | Err(_) => {
                    let digest = crate::digest::Digest::of(bytes);
                    let _ = writeln!(out, "    {} bytes {digest}", bytes.len());
                }
            }
        }
    }
}

fn copied(out: &mut String, copy: &Copy, label: Label<'_>) {
    let _ = write!(out, "  copy {} {} {}", tree(copy.from, label), copy.src, copy.dest);
    if copy.unpack {
        out.push_str(" unpack");
    }
    if let Some((uid, gid)) = copy.owner {
        let _ = write!(out, " owner {uid}:{gid}");
    }
    if let Some(mode) = copy.mode {
        let _ = write!(out, " mode {mode:04o}");
    }
    if let Some(time) = copy.timestamp {
        let _ = write!(out, " time {time}");
    }
    if !copy.include.is_empty() {
        let _ = write!(out, " only {:?}", copy.include);
    }
    if !copy.exclude.is_empty() {
        let _ = write!(out, " without {:?}", copy.exclude);
    }
    out.push('\n');
}

fn ran(out: &mut String, run: &Run, label: Label<'_>) {
    let root = run.root.map_or_else(|| "scratch".to_owned(), |t| tree(t, label));
    let _ = writeln!(out, "  root {root}");
    if let Some(o) = &run.out {
        let before = o.before.map_or_else(|| "scratch".to_owned(), |t| tree(t, label));
        let _ = writeln!(out, "  out {} {before}", o.dest);
    }
    for mount in &run.mounts {
        let _ = writeln!(out, "  mount {} {} {}", mount.dest, tree(mount.from, label), mount.src);
    }
    let _ = writeln!(out, "  args {:?}", run.args);
    for (name, value) in &run.env {
        let _ = writeln!(out, "  env {name}={value:?}");
    }
    let _ = writeln!(out, "  cwd {}", run.cwd);
    if let Some(reason) = &run.network {
        let _ = writeln!(out, "  network: {reason}");
    }
}
