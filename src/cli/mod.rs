//! The `stagex` command: arguments as typed → a command as meant.
//!
//! Exit codes: 0 when all is well, 1 for findings and failures, 2 for wrong usage.

mod affected;
mod args;
mod build;
mod check;
mod doctor;
mod graph;
mod list;
mod llb;
mod new;
mod render;
mod show;
mod workspace;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Arguments, Command};
pub use render::Screen;
use workspace::Workspace;

/// Why a command ends before its end.
#[derive(Debug)]
enum Failure {
    /// What was found in specs, or about the invocation.
    Found(crate::diag::Diagnostics),
    /// It was said already (by an engine).
    Said,
    /// The reader of the output is gone; nobody is left to tell.
    Closed,
}

impl From<crate::diag::Diagnostics> for Failure {
    fn from(found: crate::diag::Diagnostics) -> Self {
        Self::Found(found)
    }
}

impl From<crate::diag::Diagnostic> for Failure {
    fn from(found: crate::diag::Diagnostic) -> Self {
        Self::Found(found.into())
    }
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        if e.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::Closed;
        }
        let code = crate::diag::Code::Unreadable;
        Self::Found(crate::diag::Diagnostic::bare(code, e.to_string()).into())
    }
}

type Done = Result<(), Failure>;

/// Runs the command of these arguments.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(e) => {
            // Help and version go to standard output and are no errors.
            let code = if e.use_stderr() { 2 } else { 0 };
            let _ = e.print();
            return ExitCode::from(code);
        }
    };
    let screen = Screen::new(arguments.color);
    let mut workspace = Workspace::new(&arguments.directory);
    let json = arguments.json;
    let done = match arguments.command {
        Command::Check => check::run(&mut workspace, &screen, json),
        Command::Show(args) => show::run(&mut workspace, &screen, (&args, json)),
        Command::Graph(args) => graph::run(&mut workspace, &screen, (&args, json)),
        Command::Llb(args) => llb::run(&mut workspace, &screen, &args),
        Command::Build(args) => build::run(&mut workspace, &screen, &args),
        Command::Test(args) => build::test(&mut workspace, &screen, &args),
        Command::List => list::run(&mut workspace, &screen, json),
        Command::Affected(args) => affected::run(&mut workspace, &screen, (&args, json)),
        Command::New(args) => new::run(&mut workspace, &screen, &args),
        Command::Doctor => doctor::run(&screen, json),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Found(found)) => {
            screen.findings(&found, &workspace.files, json);
            ExitCode::from(1)
        }
        Err(Failure::Said | Failure::Closed) => ExitCode::from(1),
    }
}
