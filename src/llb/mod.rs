//! BuildKit's low-level build graph: ops as plain data, interned by the digest of their bytes.
//!
//! The messages are those of BuildKit's `solver/pb/ops.proto`; an op's identity is the SHA-256 of
//! its encoding, as `client/llb/marshal.go` computes it.

mod dump;
mod encode;
mod graph;
mod op;
mod verify;

pub use bollard_buildkit_proto::pb::Definition;
pub use dump::dump;
pub use encode::encode;
pub(crate) use encode::platform;
pub use graph::{Graph, Location, Metadata, Output, SourceFile};
pub use op::{Copy, Exec, FileAction, FileOp, Mount, MountKind, Op, Vertex};
pub use verify::{Fault, verify};
