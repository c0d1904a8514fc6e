//! A tree of StageX's shape: as many packages, edges and levels as its release 2026.03 has.

use std::fmt::Write as _;

use stagex::tree::Memory;

/// How large a tree is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Packages.
    pub(crate) packages: usize,
    /// Levels: the longest path of references.
    pub(crate) depth: usize,
    /// References, about.
    pub(crate) edges: usize,
}

impl Shape {
    /// StageX 2026.03 counted by outputs: 514 nodes, about 3,570 edges, 35 deep.
    pub(crate) const STAGEX: Self = Self { packages: 486, depth: 35, edges: 3_570 };

    /// The same, larger.
    pub(crate) fn times(self, factor: usize) -> Self {
        Self { packages: self.packages * factor, edges: self.edges * factor, ..self }
    }

    /// The name of the package that needs the most levels.
    pub(crate) fn deepest(self) -> String {
        format!("core/p{}", self.packages - 1)
    }
}

/// Numbers that look random and are the same every time (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }
}

/// The tree: every package with seven steps, one in seventeen with a second output.
pub(crate) fn tree(shape: Shape) -> Memory {
    let mut numbers = Numbers(1);
    let level = |n: usize| n * shape.depth / shape.packages;
    let mut memory = Memory::default();
    for n in 0..shape.packages {
        let mut needed: Vec<usize> = Vec::new();
        let first_of_level = (0..n).rev().take_while(|m| level(*m) == level(n)).last().unwrap_or(n);
        if level(n) > 0 {
            // One of the level below keeps the depth; the others come from anywhere below.
            needed.push(first_of_level - 1);
            let more = shape.edges / shape.packages;
            for _ in 0..more {
                let other = numbers.below(first_of_level);
                if !needed.contains(&other) {
                    needed.push(other);
                }
            }
        }
        let list = |of: &[usize]| {
            let names: Vec<String> = of.iter().map(|m| format!("core/p{m}")).collect();
            names.join(", ")
        };
        let tools = list(&needed);
        let requires = list(&needed[..needed.len().min(1)]);
        let mut text = format!(
            "# syntax=stagex/frontend\nname: core/p{n}\nversion: 1.{n}.0\ndescription: Package {n} of a tree that is generated\n\
             license: MIT\nhomepage: https://example.org/p{n}\nsources:\n  p{n}:\n    \
             url: https://example.org/p{n}-${{{{ version }}}}.tar.gz\n    sha256: {:064x}\n\
             build:\n  tools: [{tools}]\n  env: {{ CFLAGS: -O2 }}\n  steps:\n    \
             - ./configure --prefix=/usr --host=${{{{ target.machine }}}}\n",
            n + 1
        );
        for step in
            ["make depend", "make -j\"$JOBS\"", "make check", "make DESTDIR=\"$OUT\" install"]
        {
            let _ = writeln!(text, "    - {step}");
        }
        text.push_str("    - { when: target.arch == \"amd64\", run: echo amd64 >>\"$OUT/built-for\" }\n    - rm -rf \"$OUT/usr/share/doc\"\n");
        let _ = writeln!(text, "outputs:\n  p{n}: {{ requires: [{requires}] }}");
        if n % 17 == 0 {
            let _ = writeln!(text, "  lib: {{ files: [/usr/lib/*.so*], requires: [{requires}] }}");
        }
        memory = memory.with(&format!("packages/core/p{n}/package.yaml"), text);
    }
    memory
}
