//! A tree behind the gateway: the build context, asked for in few and large pieces.

use std::cell::RefCell;
use std::collections::BTreeMap;

use bollard_buildkit_proto::pb;
use tokio::runtime::Handle;

use crate::llb::{Graph, Metadata, Op, Vertex};
use crate::tree::{Kind, MAX_FILE, ReadError, ReadResult, Tree};

use super::bridge::{Bridge, Ref};

/// What the first transfer from a client brings: every spec and style, and no patches or code.
const SPECS: [&str; 3] = ["packages/*/*/package.yaml", "templates/build/*.yaml", "stagex.yaml"];

/// The bit of Go's `os.FileMode` that says folder.
const MODE_DIR: u32 = 1 << 31;

/// Where the context is.
#[derive(Clone, Debug)]
pub(super) enum Context {
    /// A folder of the client.
    Local {
        /// Its name.
        name: String,
        /// The session that has it.
        session: String,
    },
    /// A tree that is solved already, and the folder of it.
    Solved(Ref, String),
}

/// The build context as a tree. Its methods block, and must not be called on the runtime's thread.
pub(super) struct GatewayTree {
    bridge: Bridge,
    handle: Handle,
    context: Context,
    /// Transfers so far, by the patterns that were asked for.
    refs: RefCell<BTreeMap<Vec<String>, Option<Ref>>>,
}

impl GatewayTree {
    pub(super) fn new(bridge: Bridge, handle: Handle, context: Context) -> Self {
        Self { bridge, handle, context, refs: RefCell::new(BTreeMap::new()) }
    }

    /// The transfer that has a path, and where it is in there.
    fn locate(&self, path: &str) -> Result<Option<(Ref, String)>, ReadError> {
        let (name, session) = match &self.context {
            Context::Solved(tree, folder) => {
                return Ok(Some((tree.clone(), crate::package::join(folder, path))));
            }
            Context::Local { name, session } => (name, session),
        };
        let patterns = patterns_for(path);
        if let Some(known) = self.refs.borrow().get(&patterns) {
            return Ok(known.clone().map(|r| (r, path.to_owned())));
        }
        let definition = local(name, session, &patterns);
        let solved = self.handle.block_on(self.bridge.solve(definition, true, Vec::new()));
        let tree = solved.map_err(|e| ReadError::Io(e.message().to_owned()))?;
        self.refs.borrow_mut().insert(patterns, tree.clone());
        Ok(tree.map(|r| (r, path.to_owned())))
    }
}

/// The patterns whose transfer has a path: all specs at once, otherwise the folder of the package,
/// otherwise the path itself.
fn patterns_for(path: &str) -> Vec<String> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["packages"] | ["packages", _] | ["packages", _, _, "package.yaml"] | ["stagex.yaml"] => {
            SPECS.map(str::to_owned).to_vec()
        }
        ["templates", "build", ..] => SPECS.map(str::to_owned).to_vec(),
        ["packages", group, name, ..] => vec![format!("packages/{group}/{name}")],
        _ => vec![path.to_owned()],
    }
}

/// A transfer of a client's folder, for reading only.
pub(super) fn local(name: &str, session: &str, patterns: &[String]) -> pb::Definition {
    let json = serde_json::to_string(patterns).expect("strings become JSON");
    let attrs = [
        ("local.followpaths".to_owned(), json.clone()),
        ("local.includepattern".to_owned(), json),
        ("local.session".to_owned(), session.to_owned()),
        ("local.sharedkeyhint".to_owned(), format!("stagex:{name}:{}", patterns.join(","))),
        ("local.differ".to_owned(), "none".to_owned()),
    ];
    let op = Op::Source { identifier: format!("local://{name}"), attrs: attrs.into() };
    let shown = if patterns.len() > 1 { "specs".to_owned() } else { patterns.join(" ") };
    let metadata = Metadata::named(format!("[internal] load {shown}"));
    let mut graph = Graph::new();
    let output = graph.add(Vertex { op, platform: None, metadata });
    graph.definition(Some(output))
}

/// BuildKit says that a file does not exist in words, under several codes.
fn is_absent(e: &tonic::Status) -> bool {
    let text = e.message();
    e.code() == tonic::Code::NotFound
        || text.contains("no such file or directory")
        || text.contains("not a directory")
        || text.ends_with("not found")
}

async fn read_at(bridge: Bridge, at: Result<Option<(Ref, String)>, ReadError>) -> ReadResult {
    let Some((tree, path)) = at? else { return Ok(None) };
    // One byte more than is allowed tells a large file from one that just fits.
    match bridge.read(&tree, &path, MAX_FILE + 1).await {
        Ok(bytes) if bytes.len() as u64 > MAX_FILE => Err(ReadError::TooLarge(bytes.len() as u64)),
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if is_absent(&e) => Ok(None),
        Err(e) if e.message().contains("is a directory") => Err(ReadError::NotAFile),
        Err(e) => Err(ReadError::Io(e.message().to_owned())),
    }
}

impl Tree for GatewayTree {
    fn read(&self, path: &str) -> ReadResult {
        let at = self.locate(path);
        self.handle.block_on(read_at(self.bridge.clone(), at))
    }

    fn read_many(&self, paths: &[String]) -> Vec<ReadResult> {
        // The channel takes many calls at once; what waits is the network between, not the disk.
        let mut located = Vec::new();
        for path in paths {
            located.push(self.locate(path));
        }
        let tasks: Vec<tokio::task::JoinHandle<ReadResult>> = located
            .into_iter()
            .map(|at| self.handle.spawn(read_at(self.bridge.clone(), at)))
            .collect();
        let interrupted = || Err(ReadError::Io("reading was interrupted".to_owned()));
        let join = |task: tokio::task::JoinHandle<ReadResult>| {
            self.handle.block_on(task).unwrap_or_else(|_| interrupted())
        };
        tasks.into_iter().map(join).collect()
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, ReadError> {
        let Some((tree, path)) = self.locate(folder)? else { return Ok(Vec::new()) };
        let entries = match self.handle.block_on(self.bridge.list(&tree, &path)) {
            Ok(entries) => entries,
            Err(e) if is_absent(&e) => return Ok(Vec::new()),
            Err(e) => return Err(ReadError::Io(e.message().to_owned())),
        };
        let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        let mut names: Vec<String> = entries
            .iter()
            .map(|s| if s.mode & MODE_DIR != 0 { name(&s.path) + "/" } else { name(&s.path) })
            .collect();
        names.sort();
        Ok(names)
    }

    fn kind(&self, path: &str) -> Result<Option<Kind>, ReadError> {
        if path == "." {
            return Ok(Some(Kind::Folder));
        }
        let Some((tree, path)) = self.locate(path)? else { return Ok(None) };
        match self.handle.block_on(self.bridge.stat(&tree, &path)) {
            Ok(Some(stat)) if stat.mode & MODE_DIR != 0 => Ok(Some(Kind::Folder)),
            Ok(Some(_)) => Ok(Some(Kind::File)),
            Ok(None) => Ok(None),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(ReadError::Io(e.message().to_owned())),
        }
    }
}
