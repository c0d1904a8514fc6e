//! `stagex check`

use crate::check;

use super::workspace::host;
use super::{Done, Screen, Workspace};

pub(super) fn run(workspace: &mut Workspace, screen: &Screen, json: bool) -> Done {
    let count = check(&workspace.tree, &host(), &mut workspace.files)?;
    if json {
        screen.text("[]\n")?;
        return Ok(());
    }
    if count == 0 {
        screen.note(&format!(
            "no packages below {}: `-C DIR` names the folder that has `packages/` in it, \
             `stagex new core/NAME` makes a first one",
            workspace.full("packages").display()
        ));
        return Ok(());
    }
    screen.text(&format!("{count} packages, nothing to complain about\n"))?;
    Ok(())
}
