//! A definition as text that is pleasant to review: one op a paragraph, numbers for references.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bollard_buildkit_proto::pb;
use prost::Message as _;

use crate::digest::Digest;

/// Writes a definition out; ops in the order of the definition, attributes sorted, digests of ops
/// left out so that a change shows where it is made and not in everything above it.
pub fn dump(definition: &pb::Definition) -> String {
    let mut out = String::new();
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for bytes in &definition.def {
        let digest = Digest::of(bytes).to_string();
        let Ok(op) = pb::Op::decode(bytes.as_slice()) else {
            out.push_str("undecodable\n\n");
            continue;
        };
        let metadata = definition.metadata.get(&digest);
        let name = metadata.and_then(|m| m.description.get("llb.customname"));
        let group = name.and_then(|n| n.strip_prefix('[')?.split(']').next()).unwrap_or("op");
        let number = counts.entry(group.to_owned()).and_modify(|n| *n += 1).or_insert(1);
        let label = format!("{group}.{number}");
        let input = |n: i64| match usize::try_from(n).ok().and_then(|n| op.inputs.get(n)) {
            None => "scratch".to_owned(),
            Some(input) => {
                let label = labels.get(&input.digest).map_or("?", String::as_str);
                if input.index == 0 { label.to_owned() } else { format!("{label}:{}", input.index) }
            }
        };
        let Some(kind) = &op.op else {
            let _ = writeln!(out, "result {}", input(0));
            continue;
        };
        paragraph(&mut out, (&label, &op, kind), &input);
        if let Some(name) = name {
            let _ = writeln!(out, "  # {name}");
        }
        for place in places(definition, &digest) {
            let _ = writeln!(out, "  @ {place}");
        }
        out.push('\n');
        labels.insert(digest, label);
    }
    out
}

fn places(definition: &pb::Definition, digest: &str) -> Vec<String> {
    let Some(source) = &definition.source else { return Vec::new() };
    let Some(locations) = source.locations.get(digest) else { return Vec::new() };
    let place = |l: &pb::Location| {
        let info = source.infos.get(usize::try_from(l.source_index).ok()?)?;
        let range = l.ranges.first()?;
        let line = |p: &Option<pb::Position>| p.as_ref().map_or(0, |p| p.line);
        Some(format!("{}:{}-{}", info.filename, line(&range.start), line(&range.end)))
    };
    locations.locations.iter().filter_map(place).collect()
}

type Labels<'l> = &'l dyn Fn(i64) -> String;

fn paragraph(out: &mut String, (label, op, kind): (&str, &pb::Op, &pb::op::Op), input: Labels<'_>) {
    let platform = op.platform.as_ref().map_or_else(String::new, |p| {
        let variant = if p.variant.is_empty() { String::new() } else { format!("/{}", p.variant) };
        format!(" on {}/{}{variant}", p.os, p.architecture)
    });
    match kind {
        pb::op::Op::Source(source) => {
            let _ = writeln!(out, "{label} = source {}{platform}", source.identifier);
            for (key, value) in &source.attrs {
                let _ = writeln!(out, "  {key} = {value}");
            }
        }
        pb::op::Op::Merge(merge) => {
            let _ = writeln!(out, "{label} = merge");
            for tree in &merge.inputs {
                let _ = writeln!(out, "  {}", input(tree.input));
            }
        }
        pb::op::Op::File(file) => {
            let _ = writeln!(out, "{label} = file{platform}");
            actions(out, op, file, input);
        }
        pb::op::Op::Exec(exec) => {
            let _ = writeln!(out, "{label} = exec{platform}");
            self::exec(out, exec, input);
        }
        pb::op::Op::Build(_) | pb::op::Op::Diff(_) => {
            let _ = writeln!(out, "{label} = build or diff");
        }
    }
}

fn exec(out: &mut String, exec: &pb::ExecOp, input: Labels<'_>) {
    if let Some(meta) = &exec.meta {
        let args: Vec<String> = meta.args.iter().map(|a| format!("{a:?}")).collect();
        let _ = writeln!(out, "  args {}", args.join(" "));
        let _ = writeln!(out, "  cwd {}", meta.cwd);
        for env in &meta.env {
            let _ = writeln!(out, "  env {env:?}");
        }
    }
    let network = if exec.network == i32::from(pb::NetMode::None) { "none" } else { "ON" };
    let _ = writeln!(out, "  network {network}");
    for mount in &exec.mounts {
        let selector =
            if mount.selector.is_empty() { String::new() } else { format!(" {}", mount.selector) };
        let result = match mount.output {
            -1 => " read-only".to_owned(),
            n => format!(" -> :{n}"),
        };
        let _ = writeln!(out, "  mount {} {}{selector}{result}", mount.dest, input(mount.input));
    }
}

fn actions(out: &mut String, op: &pb::Op, file: &pb::FileOp, input: Labels<'_>) {
    let inputs = i64::try_from(op.inputs.len()).unwrap_or(i64::MAX);
    let tree = |n: i64| if n >= inputs { "so far".to_owned() } else { input(n) };
    for (number, action) in file.actions.iter().enumerate() {
        if number == 0 {
            let _ = writeln!(out, "  base {}", tree(action.input));
        }
        match &action.action {
            Some(pb::file_action::Action::Copy(copy)) => {
                let from = tree(action.secondary_input);
                let _ = write!(out, "  copy {from} {} {}", copy.src, copy.dest);
                for (set, word) in [
                    (copy.dir_copy_contents, "contents"),
                    (copy.attempt_unpack_docker_compatibility, "unpack"),
                    (copy.allow_wildcard, "wildcard"),
                ] {
                    if set {
                        let _ = write!(out, " {word}");
                    }
                }
                let owner = owner(copy.owner.as_ref());
                let mode =
                    if copy.mode < 0 { String::new() } else { format!(" mode {:04o}", copy.mode) };
                let time = if copy.timestamp < 0 {
                    String::new()
                } else {
                    format!(" time {}", copy.timestamp / 1_000_000_000)
                };
                let _ = writeln!(out, "{owner}{mode}{time}");
                for pattern in &copy.include_patterns {
                    let _ = writeln!(out, "    include {pattern:?}");
                }
                for pattern in &copy.exclude_patterns {
                    let _ = writeln!(out, "    exclude {pattern:?}");
                }
            }
            Some(pb::file_action::Action::Mkfile(made)) => {
                let owner = owner(made.owner.as_ref());
                let _ = writeln!(out, "  file {} mode {:04o}{owner}", made.path, made.mode);
                content(out, &made.data);
            }
            Some(pb::file_action::Action::Mkdir(made)) => {
                let owner = owner(made.owner.as_ref());
                let _ = writeln!(out, "  folder {} mode {:04o}{owner}", made.path, made.mode);
            }
            Some(pb::file_action::Action::Rm(_) | pb::file_action::Action::Symlink(_)) | None => {
                out.push_str("  other action\n");
            }
        }
    }
}

fn owner(owner: Option<&pb::ChownOpt>) -> String {
    let id = |u: Option<&pb::UserOpt>| match u.and_then(|u| u.user.as_ref()) {
        Some(pb::user_opt::User::ById(id)) => id.to_string(),
        Some(pb::user_opt::User::ByName(name)) => name.name.clone(),
        None => "?".to_owned(),
    };
    owner.map_or_else(String::new, |o| {
        format!(" owner {}:{}", id(o.user.as_ref()), id(o.group.as_ref()))
    })
}

/// Text as lines; anything else, and long text, as its digest and size.
fn content(out: &mut String, data: &[u8]) {
    match std::str::from_utf8(data) {
        Ok(text)
            if data.len() <= 16 << 10
                && !text.chars().any(|c| c.is_control() && !"\n\t".contains(c)) =>
        {
            for line in text.lines() {
                let _ = writeln!(out, "    | {line}");
            }
        }
        _ => {
            let _ = writeln!(out, "    {} bytes, {}", data.len(), Digest::of(data));
        }
    }
}
