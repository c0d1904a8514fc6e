//! `stagex new`

use std::io::Write as _;

use crate::diag::{Code, Diagnostic};
use crate::package::PackageName;

use super::args::New;
use super::{Done, Screen, Workspace};

const SPEC: &str = include_str!("../../templates/new/package.yaml");

pub(super) fn run(workspace: &mut Workspace, screen: &Screen, args: &New) -> Done {
    let Some(name) = PackageName::parse(&args.package) else {
        let said = format!("`{}` is no name of a package", args.package);
        let hint = "write a group and a name, such as `core/zlib`";
        return Err(Diagnostic::bare(Code::BadName, said).hint(hint).into());
    };
    let path = workspace.full(&name.spec_path());
    let folder = workspace.full(&name.folder());
    std::fs::create_dir_all(&folder)?;
    let text = SPEC.replace("GROUP/NAME", &name.to_string()).replace("NAME", name.name());
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    file.write_all(text.as_bytes())?;
    // A spec that is there already is somebody's work.
    file.persist_noclobber(&path).map_err(|e| {
        Diagnostic::bare(Code::Conflict, format!("{}: {}", path.display(), e.error))
            .hint("`stagex show` shows what is there")
    })?;
    screen.text(&format!("{}\n", name.spec_path()))?;
    Ok(())
}
