//! `stagex show`

use crate::plan::{Options, dump};

use super::args::Compile;
use super::{Done, Screen, Workspace, graph};

pub(super) fn run(
    workspace: &mut Workspace,
    screen: &Screen,
    (args, json): (&Compile, bool),
) -> Done {
    let compiled = workspace.compile(args, Options::default())?;
    if json {
        return graph::json(screen, &compiled.graph);
    }
    let group = compiled.package.name.value.to_string();
    screen.text(&dump(&compiled.plan, Some(&group)))?;
    Ok(())
}
