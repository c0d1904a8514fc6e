//! The arguments, as clap reads them; the doc comments are the help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Package specs in YAML, compiled into BuildKit graphs: FROM scratch, hash-locked, reproducible.
#[derive(Debug, Parser)]
#[command(
    name = "stagex",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  stagex check                          every spec of the tree, all errors at once
  stagex build core/zlib --load         build and load into docker
  stagex graph core/zlib --format dot | dot -Tsvg > zlib.svg
  stagex llb core/zlib | buildctl build --local context=. --output type=local,dest=out

Exit codes: 0 all is well, 1 findings or a failed build, 2 wrong usage."
)]
pub(super) struct Arguments {
    /// The folder of the tree (with `packages/` in it).
    #[arg(short = 'C', long, global = true, value_name = "DIR", default_value = ".")]
    pub(super) directory: PathBuf,
    /// Write JSON for scripts, findings included.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// When to use colours.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(super) color: Color,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check every spec of the tree; all errors at once, each with its place.
    Check,
    /// Show a package with everything expanded: sources, roots, scripts, environment, image.
    Show(Compile),
    /// Show what a package needs.
    #[command(
        after_help = "Examples:\n  stagex graph core/zlib\n  stagex graph core/zlib --reverse\n  stagex graph pallet/busybox --format dot | dot -Tsvg > busybox.svg"
    )]
    Graph(Graph),
    /// Write the LLB definition of a package to standard output, for `buildctl build`.
    Llb(Llb),
    /// Build a package with docker buildx, or with buildctl where only that exists.
    #[command(
        after_help = "Examples:\n  stagex build core/zlib --load\n  stagex build core/zlib --platform linux/amd64,linux/arm64 --push\n  stagex build core/zlib --output type=oci,dest=zlib.tar -- --no-cache --progress plain"
    )]
    Build(Build),
    /// Run the tests of a package.
    Test(Build),
    /// List the packages of the tree.
    List,
    /// List what a change in git makes stale: every output whose graph is another than at REF.
    #[command(
        after_help = "Examples:\n  stagex affected --since origin/main\n  stagex affected --since HEAD~1 --json"
    )]
    Affected(Affected),
    /// Write a commented spec to start from.
    New(New),
    /// Say which engines are here, what they can do, what is missing and the command that mends it.
    Doctor,
}

/// Which package, and for what.
#[derive(Clone, Debug, Args)]
pub(super) struct Compile {
    /// `core/zlib`, `core/llvm/libgcc`, `zlib` where one group has it, or the path of a spec.
    pub(super) package: String,
    /// Platforms, such as linux/amd64,linux/arm64.
    #[arg(long, value_delimiter = ',', value_name = "PLATFORM")]
    pub(super) platform: Vec<String>,
    /// A variable that the spec declares.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) set: Vec<String>,
    /// An output, a stage, or `test`.
    #[arg(long, value_name = "NAME")]
    pub(super) target: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Graph {
    #[command(flatten)]
    pub(super) compile: Compile,
    /// The form.
    #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
    pub(super) format: GraphFormat,
    /// What needs the package, instead of what it needs.
    #[arg(long)]
    pub(super) reverse: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum GraphFormat {
    /// Lines for people.
    Text,
    /// Graphviz.
    Dot,
    /// JSON.
    Json,
}

#[derive(Debug, Args)]
pub(super) struct Llb {
    #[command(flatten)]
    pub(super) compile: Compile,
    /// Text for people instead of protobuf.
    #[arg(long)]
    pub(super) text: bool,
    /// How trees become one root.
    #[arg(long, value_enum, default_value_t = Merge::Auto)]
    pub(super) merge: Merge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Merge {
    /// As unions (MergeOp, BuildKit 0.10 and newer).
    Auto,
    /// By copies, for engines without MergeOp; the files are the same.
    Never,
}

#[derive(Debug, Args)]
pub(super) struct Build {
    #[command(flatten)]
    pub(super) compile: Compile,
    /// Where the result goes, in the form of docker buildx: type=local,dest=DIR …
    #[arg(short, long, value_name = "SPEC")]
    pub(super) output: Vec<String>,
    /// Load the image into docker.
    #[arg(long)]
    pub(super) load: bool,
    /// Push the image.
    #[arg(long)]
    pub(super) push: bool,
    /// Name the image; `stagex/core-zlib` when it is loaded or pushed.
    #[arg(short, long, value_name = "NAME")]
    pub(super) tag: Vec<String>,
    /// The frontend image instead of the one that the spec's `# syntax=` line names.
    #[arg(long, value_name = "IMAGE", env = "STAGEX_FRONTEND")]
    pub(super) frontend: Option<String>,
    /// Passed on to docker buildx or buildctl.
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub(super) rest: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Affected {
    /// A commit, branch or tag.
    #[arg(long, value_name = "REF")]
    pub(super) since: String,
}

#[derive(Debug, Args)]
pub(super) struct New {
    /// `core/zlib`.
    pub(super) package: String,
}
