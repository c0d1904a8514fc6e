//! Ops → protobuf bytes.

use std::collections::BTreeMap;

use bollard_buildkit_proto::pb;
use prost::Message as _;

use crate::package::Platform;

use super::{Copy, Exec, FileAction, FileOp, MountKind, Op, Output};

/// The bytes of a definition, as `buildctl build` reads them from standard input.
pub fn encode(definition: &pb::Definition) -> Vec<u8> {
    definition.encode_to_vec()
}

/// What `pb.go` calls `Empty` and `SkipOutput`.
const NONE: i64 = -1;

/// In which order the fields of an op are written; both are the same message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// What Go's protobuf writes. Since 0.17 BuildKit writes ops anew when it takes them in, and
    /// in another order they would have another digest there than in our source maps.
    OneofLast,
    /// By number, as BuildKit wrote them before.
    Tags,
}

pub(super) fn bytes(
    op: &Op,
    (platform, order): (Option<&Platform>, Order),
    digest: &dyn Fn(Output) -> String,
) -> Vec<u8> {
    let inputs = op.inputs();
    let encoded = match op {
        Op::Source { identifier, attrs } => {
            let (identifier, attrs) = (identifier.clone(), attrs.clone());
            pb::op::Op::Source(pb::SourceOp { identifier, attrs })
        }
        Op::Exec(exec) => pb::op::Op::Exec(self::exec(exec, &inputs)),
        Op::File(file) => pb::op::Op::File(self::file(file, &inputs)),
        Op::Merge(trees) => {
            let count = i64::try_from(trees.len()).expect("fewer trees than memory");
            let inputs = (0..count).map(|input| pb::MergeInput { input }).collect();
            pb::op::Op::Merge(pb::MergeOp { inputs })
        }
    };
    let inputs = inputs
        .iter()
        .map(|o| pb::Input { digest: digest(*o), index: i64::from(o.index()) })
        .collect();
    // BuildKit's own client writes constraints even when there are none.
    let constraints = Some(pb::WorkerConstraints::default());
    let platform = platform.map(self::platform);
    let head = pb::Op { inputs, platform, constraints, op: None };
    let body = pb::Op { op: Some(encoded), ..pb::Op::default() };
    match order {
        Order::Tags => pb::Op { op: body.op, ..head }.encode_to_vec(),
        Order::OneofLast => [head.encode_to_vec(), body.encode_to_vec()].concat(),
    }
}

pub(super) fn terminal(digest: String, index: u32) -> Vec<u8> {
    let input = pb::Input { digest, index: i64::from(index) };
    pb::Op { inputs: vec![input], ..pb::Op::default() }.encode_to_vec()
}

/// The message form of a platform.
pub(crate) fn platform(platform: &Platform) -> pb::Platform {
    pb::Platform {
        architecture: platform.architecture().to_owned(),
        os: platform.os().to_owned(),
        variant: platform.variant().unwrap_or_default().to_owned(),
        ..pb::Platform::default()
    }
}

fn position(inputs: &[Output], wanted: Option<Output>) -> i64 {
    let at = wanted.and_then(|w| inputs.iter().position(|i| *i == w));
    at.map_or(NONE, |at| i64::try_from(at).expect("fewer inputs than memory"))
}

fn exec(exec: &Exec, inputs: &[Output]) -> pb::ExecOp {
    let mut results = 0;
    let mut mounts = Vec::new();
    for mount in &exec.mounts {
        let output = match mount.kind {
            MountKind::ReadOnly => NONE,
            MountKind::Result => {
                results += 1;
                results - 1
            }
        };
        mounts.push(pb::Mount {
            input: position(inputs, mount.input),
            selector: mount.selector.clone(),
            dest: mount.dest.clone(),
            output,
            readonly: mount.kind == MountKind::ReadOnly,
            mount_type: pb::MountType::Bind.into(),
            ..pb::Mount::default()
        });
    }
    let meta = pb::Meta {
        args: exec.args.clone(),
        env: exec.env.clone(),
        cwd: exec.cwd.clone(),
        remove_mount_stubs_recursive: true,
        ..pb::Meta::default()
    };
    let network = if exec.network { pb::NetMode::Unset } else { pb::NetMode::None };
    pb::ExecOp { meta: Some(meta), mounts, network: network.into(), ..pb::ExecOp::default() }
}

fn file(file: &FileOp, inputs: &[Output]) -> pb::FileOp {
    let count = i64::try_from(inputs.len()).expect("fewer inputs than memory");
    let last = file.actions.len().saturating_sub(1);
    let actions = file.actions.iter().zip(0..).map(|(action, number)| {
        let input = if number == 0 { position(inputs, file.base) } else { count + number - 1 };
        let (secondary_input, action) = match action {
            FileAction::Copy(copy) => {
                let from = match copy.from {
                    Some(_) => position(inputs, copy.from),
                    None => input,
                };
                (from, pb::file_action::Action::Copy(self::copy(copy)))
            }
            FileAction::MkFile { path, mode, data, owner, timestamp } => {
                let made = pb::FileActionMkFile {
                    path: path.clone(),
                    mode: i32::try_from(*mode).expect("permission bits"),
                    data: data.clone(),
                    owner: Some(self::owner(*owner)),
                    timestamp: nanoseconds(*timestamp),
                };
                (NONE, pb::file_action::Action::Mkfile(made))
            }
            FileAction::MkDir { path, mode, owner, timestamp } => {
                let made = pb::FileActionMkDir {
                    path: path.clone(),
                    mode: i32::try_from(*mode).expect("permission bits"),
                    make_parents: true,
                    owner: Some(self::owner(*owner)),
                    timestamp: nanoseconds(*timestamp),
                };
                (NONE, pb::file_action::Action::Mkdir(made))
            }
        };
        let output = if number == i64::try_from(last).unwrap_or(0) { 0 } else { NONE };
        pb::FileAction { input, secondary_input, output, action: Some(action) }
    });
    pb::FileOp { actions: actions.collect() }
}

fn copy(copy: &Copy) -> pb::FileActionCopy {
    pb::FileActionCopy {
        src: copy.src.clone(),
        dest: copy.dest.clone(),
        owner: copy.owner.map(owner),
        // -1 keeps the modes; the message's own default would set 0.
        mode: copy.mode.map_or(-1, |m| i32::try_from(m).expect("permission bits")),
        dir_copy_contents: copy.contents,
        attempt_unpack_docker_compatibility: copy.unpack,
        create_dest_path: true,
        allow_wildcard: copy.wildcard,
        allow_empty_wildcard: copy.wildcard,
        timestamp: copy.timestamp.map_or(-1, nanoseconds),
        include_patterns: copy.include.clone(),
        exclude_patterns: copy.exclude.clone(),
        ..pb::FileActionCopy::default()
    }
}

fn nanoseconds(seconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000)
}

fn owner((uid, gid): (u32, u32)) -> pb::ChownOpt {
    let by_id = |id| Some(pb::UserOpt { user: Some(pb::user_opt::User::ById(id)) });
    pb::ChownOpt { user: by_id(uid), group: by_id(gid) }
}

/// Metadata of one vertex.
pub(super) fn metadata(metadata: &super::Metadata, caps: &[&str]) -> pb::OpMetadata {
    let mut description = BTreeMap::new();
    if !metadata.name.is_empty() {
        description.insert("llb.customname".to_owned(), metadata.name.clone());
    }
    let group = metadata.group.as_ref();
    pb::OpMetadata {
        ignore_cache: metadata.ignore_cache,
        description,
        caps: caps.iter().map(|c| ((*c).to_owned(), true)).collect(),
        progress_group: group.map(|g| pb::ProgressGroup {
            id: g.clone(),
            name: g.clone(),
            weak: true,
        }),
        ..pb::OpMetadata::default()
    }
}
