//! `stagex build` and `stagex test`

use crate::diag::{Code, Diagnostic};
use crate::engine::{self, Client};
use crate::graph::Goal;
use crate::package::TreeConfig;
use crate::plan::Options;

use super::args::{Build, Compile};
use super::{Done, Failure, Screen, Workspace};

pub(super) fn run(workspace: &mut Workspace, screen: &Screen, args: &Build) -> Done {
    build(workspace, screen, args)
}

pub(super) fn test(workspace: &mut Workspace, screen: &Screen, args: &Build) -> Done {
    let target = Some("test".to_owned());
    let compile = Compile { target, ..args.compile.clone() };
    // What tests leave is of no use but to the one who asks for it.
    let output = match args.output.as_slice() {
        [] => vec!["type=cacheonly".to_owned()],
        asked => asked.to_vec(),
    };
    let (tag, frontend, rest) = (Vec::new(), args.frontend.clone(), args.rest.clone());
    let args = Build { compile, output, load: false, push: false, tag, frontend, rest };
    build(workspace, screen, &args)
}

fn build(workspace: &mut Workspace, screen: &Screen, args: &Build) -> Done {
    // Whatever is wrong with the spec is said here, with all of its errors, before an engine is
    // asked to do anything.
    let compiled = workspace.compile(&args.compile, Options::default())?;
    let named = workspace.named(&args.compile.package)?;
    let config = TreeConfig::read(&workspace.tree, &mut workspace.files)?;
    let client = engine::client().ok_or_else(|| {
        Diagnostic::bare(Code::Engine, "neither docker buildx nor buildctl works here")
            .hint("`stagex doctor` says what is missing and how to mend it")
    })?;
    let mut tags = args.tag.clone();
    if tags.is_empty() && (args.load || args.push) {
        tags.push(image_name(&config.image_prefix, &compiled));
    }
    let target = args.compile.target.clone().or(named.output.map(|o| o.to_string()));
    let vars = super::workspace::variables(&args.compile.set)?.into_iter().collect();
    let build = engine::Build {
        root: workspace.root().to_owned(),
        spec: named.path,
        platforms: args.compile.platform.clone(),
        target,
        vars,
        outputs: args.output.clone(),
        tags,
        load: args.load,
        push: args.push,
        frontend: args.frontend.clone(),
        rest: args.rest.clone(),
    };
    if (client, args.load) == (Client::Buildctl, true) {
        let found = Diagnostic::bare(
            Code::Engine,
            "only docker can load an image, and only buildctl is here",
        );
        return Err(found.hint("write it: `--output type=oci,dest=image.tar`").into());
    }
    let mut command = client.command(&build);
    let status = engine::run(&mut command).map_err(|e| {
        Diagnostic::bare(Code::Engine, format!("{}: {e}", command.get_program().to_string_lossy()))
    })?;
    if !status.success() {
        // The client has said why.
        return Err(Failure::Said);
    }
    if screen.is_watched() {
        for tag in &build.tags {
            screen.note(&format!("built {tag}"));
        }
    }
    Ok(())
}

/// `stagex/core-zlib`, `stagex/core-llvm-libgcc`, or the name that the output gives itself.
fn image_name(prefix: &str, compiled: &crate::Compiled) -> String {
    let name = &compiled.package.name.value;
    let base = format!("{}-{}", name.group(), name.name());
    let output = compiled.graph.roots.first().and_then(|(target, _)| match &target.goal {
        Goal::Output(output) => output.clone(),
        Goal::Outputs | Goal::Stage(_) | Goal::Tests => None,
    });
    let spec = output.as_ref().map_or_else(
        || compiled.package.outputs.values().find(|o| o.name.value.as_str() == name.name()),
        |o| compiled.package.outputs.get(o),
    );
    let own = spec.and_then(|o| o.image.name.as_ref()).map(|n| n.value.clone());
    let image = own.unwrap_or_else(|| match output {
        Some(output) if output.as_str() != name.name() => format!("{base}-{output}"),
        Some(_) | None => base,
    });
    format!("{prefix}/{image}")
}
