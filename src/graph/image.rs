//! What an image says, with what it inherits from its layers; accounts of several packages as one.

use std::collections::BTreeMap;

use crate::diag::{Code, Diagnostic, Diagnostics, Span, nearest};
use crate::package::{self, ImageSpec, Scope};

use super::expand::Expander;

/// What an image says besides its files, all values in place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// The name that it is published under, when it is not that of its path.
    pub name: Option<String>,
    /// The program.
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments.
    pub cmd: Option<Vec<String>>,
    /// By name, with the place that says so.
    pub env: BTreeMap<String, (String, Span)>,
    /// Folders in front of `PATH`, the image's own first.
    pub path: Vec<String>,
    /// `user` or `user:group`.
    pub user: Option<String>,
    /// Where processes start.
    pub workdir: Option<String>,
    /// By name.
    pub labels: BTreeMap<String, String>,
    /// By name.
    pub annotations: BTreeMap<String, String>,
    /// Ports with their protocol.
    pub expose: Vec<String>,
    /// Paths.
    pub volumes: Vec<String>,
    /// A name or a number.
    pub stop_signal: Option<String>,
}

/// Accounts of several packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Sorted by number.
    pub users: Vec<User>,
    /// Sorted by number.
    pub groups: Vec<Group>,
}

/// A line of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The login name.
    pub name: String,
    /// The line after the name and password, without a line end.
    pub line: String,
    uid: u32,
    gid: u32,
    span: Span,
}

/// A line of `/etc/group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The group's name.
    pub name: String,
    gid: u32,
    members: Vec<String>,
    span: Span,
}

impl Accounts {
    /// The accounts of packages together; fails where two say different things of one name or
    /// give one number to two names.
    pub(super) fn merged<'a>(
        all: impl IntoIterator<Item = &'a package::Accounts>,
    ) -> Result<Self, Diagnostics> {
        let (mut merged, mut found) = (Self::default(), Diagnostics::new());
        for accounts in all {
            for (name, group) in &accounts.groups {
                let members = group.members.iter().map(|m| m.value.clone()).collect();
                let (gid, span) = (group.gid, group.span);
                merged.groups.push(Group { name: name.clone(), gid, members, span });
            }
            for (name, user) in &accounts.users {
                let line = format!(
                    "{}:{}:{}:{}:{}",
                    user.uid, user.gid, user.comment, user.home, user.shell
                );
                let (uid, gid, span) = (user.uid, user.gid, user.span);
                merged.users.push(User { name: name.clone(), line, uid, gid, span });
            }
        }
        merged.users.sort_by(|a, b| (a.uid, &a.name, &a.line).cmp(&(b.uid, &b.name, &b.line)));
        merged.users.dedup_by(|a, b| a.name == b.name && a.line == b.line);
        merged.groups.sort_by(|a, b| (a.gid, &a.name).cmp(&(b.gid, &b.name)));
        merged.groups.dedup_by(|b, a| {
            let same = a.name == b.name && a.gid == b.gid;
            if same {
                a.members.append(&mut b.members);
                a.members.sort();
                a.members.dedup();
            }
            same
        });
        for user in &merged.users {
            if !merged.groups.iter().any(|g| g.gid == user.gid) {
                let (name, gid, span) = (user.name.clone(), user.gid, user.span);
                let at = merged.groups.partition_point(|g| g.gid < gid);
                merged.groups.insert(at, Group { name, gid, members: Vec::new(), span });
            }
        }
        let users: Vec<_> = merged.users.iter().map(|u| (&u.name, u.uid, u.span)).collect();
        let groups: Vec<_> = merged.groups.iter().map(|g| (&g.name, g.gid, g.span)).collect();
        for (kind, list) in [("user", users), ("group", groups)] {
            for (at, (name, number, span)) in list.iter().enumerate() {
                let clash = list[..at].iter().find(|(n, i, _)| n == name || i == number);
                if let Some((other, other_number, place)) = clash {
                    let said = format!(
                        "the {kind} `{name}` ({number}) clashes with `{other}` ({other_number})"
                    );
                    found.push(
                        Diagnostic::new(Code::AccountConflict, *span, said)
                            .note(*place, "the other")
                            .hint("give one of them another name or number"),
                    );
                }
            }
        }
        found.or(merged)
    }

    /// `/etc/passwd`.
    pub fn passwd(&self) -> String {
        self.users.iter().map(|u| format!("{}:x:{}\n", u.name, u.line)).collect()
    }

    /// `/etc/group`.
    pub fn group(&self) -> String {
        let line = |g: &Group| format!("{}:x:{}:{}\n", g.name, g.gid, g.members.join(","));
        self.groups.iter().map(line).collect()
    }
}

impl Expander<'_> {
    /// `image:` with its values.
    pub(super) fn image(&mut self, spec: &ImageSpec, scope: &Scope) -> Image {
        let texts = |x: &mut Self, list: &Option<Vec<package::Template>>| {
            list.as_ref().map(|l| l.iter().filter_map(|t| x.text(t, scope)).collect())
        };
        let mut image = Image {
            name: spec.name.as_ref().map(|n| n.value.clone()),
            entrypoint: texts(self, &spec.entrypoint),
            cmd: texts(self, &spec.cmd),
            user: spec.user.as_ref().and_then(|t| self.text(t, scope)),
            workdir: spec.workdir.as_ref().and_then(|t| self.path(t, scope)),
            expose: spec.expose.iter().map(|p| p.value.clone()).collect(),
            stop_signal: spec.stop_signal.as_ref().map(|s| s.value.clone()),
            ..Image::default()
        };
        image.path = spec.path.iter().filter_map(|t| self.path(t, scope)).collect();
        image.volumes = spec.volumes.iter().filter_map(|t| self.path(t, scope)).collect();
        for (name, template) in &spec.env {
            let value = self.text(template, scope);
            image.env.extend(value.map(|v| (name.as_str().to_owned(), (v, template.span))));
        }
        for (from, to) in
            [(&spec.labels, &mut image.labels), (&spec.annotations, &mut image.annotations)]
        {
            for (name, template) in from {
                to.extend(self.text(template, scope).map(|v| (name.clone(), v)));
            }
        }
        image
    }
}

/// Adds what the layers of an image, or the tools of a stage, say: environment and paths, in their
/// order; two that say different things of one variable are a conflict unless it is decided
/// already.
pub(super) fn inherit(image: &mut Image, (layers, at): (&[&Image], Span), found: &mut Diagnostics) {
    let own: Vec<String> = image.env.keys().cloned().collect();
    for layer in layers {
        for (name, (value, span)) in &layer.env {
            if own.contains(name) {
                continue;
            }
            match image.env.get(name) {
                Some((other, place)) if other != value => {
                    let said = format!("two layers set `{name}`: `{value}` and `{other}`");
                    found.push(
                        Diagnostic::new(Code::ImageConflict, *span, said)
                            .note(*place, "the other")
                            .note(at, "both are here")
                            .hint(format!("decide it where they meet: `env: {{ {name}: … }}`")),
                    );
                }
                Some(_) => {}
                None => {
                    image.env.insert(name.clone(), (value.clone(), *span));
                }
            }
        }
        for folder in &layer.path {
            if !image.path.contains(folder) {
                image.path.push(folder.clone());
            }
        }
    }
}

/// Checks that `user:` is a number or has an account.
pub(super) fn check_user(user: &str, span: Span, accounts: &Accounts) -> Option<Diagnostic> {
    let (name, group) = user.split_once(':').map_or((user, None), |(u, g)| (u, Some(g)));
    let users: Vec<&str> = accounts.users.iter().map(|u| u.name.as_str()).collect();
    let groups: Vec<&str> = accounts.groups.iter().map(|g| g.name.as_str()).collect();
    let missing =
        |text: &str, known: &[&str]| text.parse::<u32>().is_err() && !known.contains(&text);
    let (what, text, known) = match group {
        _ if missing(name, &users) => ("user", name, users),
        Some(group) if missing(group, &groups) => ("group", group, groups),
        _ => return None,
    };
    let said = format!("no account for the {what} `{text}`");
    let mut found = Diagnostic::new(Code::UnknownAccount, span, said);
    let (plural, number) = if what == "user" { ("users", "uid") } else { ("groups", "gid") };
    found.hint = Some(match nearest(text, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            format!("declare it: `accounts: {{ {plural}: {{ {text}: {{ {number}: 1000 }} }} }}`")
        }
    });
    Some(found)
}
