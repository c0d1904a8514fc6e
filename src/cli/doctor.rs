//! `stagex doctor`

use crate::engine;

use super::{Done, Failure, Screen};

pub(super) fn run(screen: &Screen, json: bool) -> Done {
    let report = engine::probe();
    if json {
        let text = serde_json::to_string_pretty(&report).expect("strings become JSON");
        screen.text(&(text + "\n"))?;
    } else {
        for found in &report.found {
            screen.text(&format!("{} {}\n", found.name, found.version))?;
            if !found.platforms.is_empty() {
                screen.text(&format!("  builds for {}\n", found.platforms.join(", ")))?;
            }
            for note in &found.notes {
                screen.text(&format!("  {note}\n"))?;
            }
        }
        for problem in &report.problems {
            screen.text(&format!("missing: {}\n  mend it: {}\n", problem.what, problem.mend))?;
        }
    }
    if report.problems.is_empty() { Ok(()) } else { Err(Failure::Said) }
}
