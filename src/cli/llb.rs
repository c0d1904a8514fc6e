//! `stagex llb`

use std::io::IsTerminal as _;

use crate::diag::{Code, Diagnostic};
use crate::emit::llb::{Inputs, emit};
use crate::llb::{Graph, dump, encode};
use crate::plan::Options;

use super::args::{Llb, Merge};
use super::{Done, Screen, Workspace};

pub(super) fn run(workspace: &mut Workspace, screen: &Screen, args: &Llb) -> Done {
    let options = Options { merge: args.merge == Merge::Auto, ..Options::default() };
    let compiled = workspace.compile(&args.compile, options)?;
    let mut graph = Graph::new();
    let results = emit(&compiled.plan, &workspace.files, &Inputs::default(), &mut graph);
    if args.text {
        for (result, plan) in results.iter().zip(&compiled.plan.results) {
            if results.len() > 1 {
                screen.text(&format!("# {}\n", plan.target.platform))?;
            }
            screen.text(&dump(&graph.definition(*result)))?;
        }
        return Ok(());
    }
    let [result] = results.as_slice() else {
        let said = "a definition is for one platform";
        let hint = "ask for one with `--platform`; `stagex build` makes an index of several";
        return Err(Diagnostic::bare(Code::BadRequest, said).hint(hint).into());
    };
    if std::io::stdout().is_terminal() {
        let said = "protobuf is nothing for a terminal";
        let hint = "add `--text`, or send it on: `| buildctl build --local context=. …`";
        return Err(Diagnostic::bare(Code::BadRequest, said).hint(hint).into());
    }
    screen.bytes(&encode(&graph.definition(*result)))?;
    Ok(())
}
