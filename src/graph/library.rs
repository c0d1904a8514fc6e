//! The packages of a tree that are needed, read breadth first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diag::{Code, Diagnostic, Diagnostics, Files, Spanned, suggest};
use crate::package::{
    Evaluator, Loader, Package, PackageName, Place, Reference, RootFrom, code_of,
};
use crate::tree::Tree;

/// Packages by name, with what was found while they were read.
pub struct Library<'t> {
    /// Where packages come from.
    pub tree: &'t dyn Tree,
    /// Evaluates their templates.
    pub evaluator: &'t Evaluator,
    /// The packages that are in order.
    pub packages: BTreeMap<PackageName, Arc<Package>>,
    /// The packages that exist but are not in order.
    broken: BTreeSet<PackageName>,
    /// Outputs that are published under a name that is no path: `core/clang`.
    aliases: BTreeMap<PackageName, Reference>,
    /// Every name of the tree, once something was missing.
    known: Vec<String>,
    /// References that named contexts replace.
    replaced: BTreeSet<Reference>,
}

impl<'t> Library<'t> {
    /// An empty library; references of `replaced` are never read.
    pub fn new(
        tree: &'t dyn Tree,
        evaluator: &'t Evaluator,
        replaced: BTreeSet<Reference>,
    ) -> Self {
        Self {
            tree,
            evaluator,
            packages: BTreeMap::new(),
            broken: BTreeSet::new(),
            aliases: BTreeMap::new(),
            known: Vec::new(),
            replaced,
        }
    }

    /// Whether a named context stands for this.
    pub fn is_replaced(&self, reference: &Reference) -> bool {
        self.replaced.contains(reference)
    }

    /// The names of all packages of the tree, sorted.
    pub fn names(tree: &dyn Tree) -> Result<Vec<PackageName>, Diagnostics> {
        let list = |folder: &str| {
            tree.list(folder).map_err(|e| {
                Diagnostics::from(Diagnostic::bare(Code::Unreadable, format!("{folder}: {e}")))
            })
        };
        let mut names = Vec::new();
        for group in list("packages")? {
            let Some(group) = group.strip_suffix('/') else { continue };
            for name in list(&format!("packages/{group}"))? {
                let full = name.strip_suffix('/').map(|name| format!("{group}/{name}"));
                names.extend(full.as_deref().and_then(PackageName::parse));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Reads these packages and all that they name. With `tests`, also what their tests name.
    pub fn read(&mut self, names: Vec<PackageName>, tests: bool, files: &mut Files) -> Diagnostics {
        let places = names.iter().map(Place::of).collect();
        self.read_places(places, tests, files)
    }

    /// Reads the spec at one place, which need not be the one of its name, and all that it names.
    pub fn read_spec(
        &mut self,
        place: &Place,
        bytes: Vec<u8>,
        tests: bool,
        files: &mut Files,
    ) -> Result<PackageName, Diagnostics> {
        let package = Loader::new(self.tree, self.evaluator).load(place, bytes, files)?;
        let name = package.name.value.clone();
        let next = self.references(&package, tests);
        self.packages.insert(name.clone(), Arc::new(package));
        let next: BTreeSet<PackageName> = next.into_iter().map(|r| r.value.package).collect();
        let next = next.iter().filter(|n| **n != name).map(Place::of).collect();
        self.read_places(next, false, files).or(name)
    }

    fn read_places(
        &mut self,
        mut places: Vec<Place>,
        tests: bool,
        files: &mut Files,
    ) -> Diagnostics {
        let mut found = Diagnostics::new();
        let mut loader = Loader::new(self.tree, self.evaluator);
        let mut asked: BTreeSet<PackageName> = BTreeSet::new();
        let (mut missing, mut first, mut parts) = (false, true, Vec::new());
        while !places.is_empty() {
            let paths: Vec<String> = places.iter().map(|p| p.path.clone()).collect();
            let mut next = BTreeSet::new();
            for (place, read) in places.iter().zip(self.tree.read_many(&paths)) {
                let expected = place.expected.clone();
                asked.extend(expected.clone());
                let (package, wrong) = match read {
                    Ok(Some(bytes)) => loader.load_part(place, bytes, files),
                    Ok(None) => {
                        missing = true;
                        continue;
                    }
                    Err(e) => {
                        let said = format!("{}: {e}", place.path);
                        (None, Diagnostic::bare(code_of(&e), said).into())
                    }
                };
                let named = package.as_ref().map(|p| self.references(p, tests && first));
                next.extend(named.into_iter().flatten().map(|r| r.value.package));
                if wrong.is_empty() {
                    let package = package.map(|p| (p.name.value.clone(), Arc::new(p)));
                    self.packages.extend(package);
                } else {
                    found.extend(wrong);
                    self.broken.extend(expected);
                    parts.extend(package);
                }
            }
            let is_new = |n: &&PackageName| !self.packages.contains_key(n) && !asked.contains(n);
            places = next.iter().filter(is_new).map(Place::of).collect();
            first = false;
        }
        if missing && self.known.is_empty() {
            self.learn_names(files);
        }
        // What a broken spec names is never resolved; that it exists is found out here.
        for part in &parts {
            for reference in self.references(part, tests) {
                found.extend_with(self.find(&reference).err());
            }
        }
        found
    }

    /// Everything that a package names and that no named context replaces.
    fn references(&self, package: &Package, tests: bool) -> Vec<Spanned<Reference>> {
        let tests = package.tests.values().filter(|_| tests).flat_map(|t| &t.tools);
        let roots = package.stages.values().flat_map(|s| &s.rootfs).chain(tests);
        let roots = roots.filter_map(|e| match &e.from {
            RootFrom::Package { reference, .. } => Some(reference),
            RootFrom::Stage(_) | RootFrom::Sources(_) => None,
        });
        let requires = package.outputs.values().flat_map(|o| &o.requires);
        let all = roots.chain(requires.chain(&package.layers).map(|r| &r.reference));
        all.filter(|r| !self.replaced.contains(&r.value)).cloned().collect()
    }

    /// Names for hints, and the outputs that go by another name; the whole tree is read for it,
    /// which happens only where something is missing.
    fn learn_names(&mut self, files: &mut Files) {
        let names = Self::names(self.tree).unwrap_or_default();
        self.known = names.iter().map(ToString::to_string).collect();
        let mut loader = Loader::new(self.tree, self.evaluator);
        let paths: Vec<String> = names.iter().map(PackageName::spec_path).collect();
        for (name, read) in names.iter().zip(self.tree.read_many(&paths)) {
            if !self.packages.contains_key(name) && !self.broken.contains(name) {
                let Ok(Some(bytes)) = read else { continue };
                let Ok(package) = loader.load(&Place::of(name), bytes, files) else { continue };
                self.packages.insert(name.clone(), Arc::new(package));
            }
        }
        for package in self.packages.values() {
            for output in package.outputs.values() {
                let Some(image) = &output.image.name else { continue };
                let group = package.name.value.group();
                let name = image.value.strip_prefix(group).and_then(|n| n.strip_prefix('-'));
                let Some(name) = name.and_then(|n| PackageName::parse(&format!("{group}/{n}")))
                else {
                    continue;
                };
                let reference = Reference {
                    package: package.name.value.clone(),
                    output: Some(output.name.value.clone()),
                };
                self.known.push(name.to_string());
                self.aliases.insert(name, reference);
            }
        }
        self.known.sort();
    }

    /// The package of a reference, and the reference under its own name. `Ok(None)` when it is
    /// known and broken, which was said already; fails when there is none.
    pub fn find(
        &self,
        reference: &Spanned<Reference>,
    ) -> Result<Option<(Arc<Package>, Reference)>, Diagnostic> {
        let wanted = &reference.value;
        if let Some(package) = self.packages.get(&wanted.package) {
            return Ok(Some((package.clone(), wanted.clone())));
        }
        if self.broken.contains(&wanted.package) {
            return Ok(None);
        }
        if let (Some(real), None) = (self.aliases.get(&wanted.package), &wanted.output) {
            return Ok(self.packages.get(&real.package).map(|p| (p.clone(), real.clone())));
        }
        let said = format!("no package `{}`", wanted.package);
        let mut found = Diagnostic::new(Code::UnknownPackage, reference.span, said);
        let name = wanted.package.to_string();
        found.hint = suggest(&name, self.known.iter().map(String::as_str), "packages")
            .or_else(|| Some(format!("it would stand in {}", wanted.package.spec_path())));
        Err(found)
    }
}
