//! `requires`, `layers`, `image`, `files` and `accounts` as written → checked.

use std::collections::BTreeMap;

use crate::diag::{Code, Diagnostic, Spanned};

use super::raw::{Kind, Node};
use super::reader::Reader;
use super::{Accounts, FileContent, FileEntry, Group, ImageSpec, Requirement, User, VariableName};

const IMAGE_KEYS: [&str; 12] = [
    "name",
    "entrypoint",
    "cmd",
    "env",
    "path",
    "user",
    "workdir",
    "labels",
    "annotations",
    "expose",
    "volumes",
    "stop-signal",
];

impl Reader<'_> {
    /// `requires:` or `layers:`.
    pub(super) fn requirements(&mut self, node: Option<&Node>) -> Vec<Requirement> {
        let Some(node) = node else { return Vec::new() };
        let mut all: Vec<Requirement> = Vec::new();
        for item in self.list(node, "packages") {
            let requirement = match &item.kind {
                Kind::Map(_) => {
                    let keys = ["package", "when"];
                    let Some(fields) = self.fields(item, "a package", &keys) else { continue };
                    let reference =
                        self.required(fields, "package").and_then(|n| self.reference(n));
                    let when = self.condition(fields.get("when"));
                    reference.map(|reference| Requirement { reference, when })
                }
                Kind::Text(_) | Kind::Empty | Kind::List(_) => {
                    self.reference(item).map(|reference| Requirement { reference, when: None })
                }
            };
            let Some(requirement) = requirement else { continue };
            let same = |r: &&Requirement| {
                r.reference == requirement.reference && r.when == requirement.when
            };
            if let Some(first) = all.iter().find(same) {
                let said = format!("`{}` stands here twice", requirement.reference.value);
                self.found.push(
                    Diagnostic::new(Code::DuplicateKey, requirement.reference.span, said)
                        .note(first.reference.span, "first here"),
                );
            }
            all.push(requirement);
        }
        all
    }

    /// `image:`.
    pub(super) fn image(&mut self, node: Option<&Node>) -> ImageSpec {
        let mut image = ImageSpec::default();
        let Some(node) = node else { return image };
        let Some(fields) = self.fields(node, "a mapping", &IMAGE_KEYS) else { return image };
        image.name = fields.get("name").and_then(|n| {
            self.parsed(n, (Code::BadName, "the name of an image"), |t| {
                super::OutputName::parse(t).map(|_| t.to_owned())
            })
        });
        for key in ["entrypoint", "cmd"] {
            let Some(node) = fields.get(key) else { continue };
            if let Kind::Text(text) = &node.kind {
                let said = format!("`{key}` is a list of arguments");
                let hint = format!("there may be no shell in the image: write `[{text}]`");
                self.say_hint(Code::WrongType, node.span, said, hint);
                continue;
            }
            let argv = Some(self.templates(Some(node), "arguments"));
            if key == "cmd" { image.cmd = argv } else { image.entrypoint = argv }
        }
        image.env = self
            .template_map(fields.get("env"), |r, k| r.name(k, "a variable", VariableName::parse));
        if let Some(node) = fields.get("path") {
            image.path =
                self.list(node, "folders").iter().filter_map(|n| self.absolute(n)).collect();
        }
        image.user = fields.get("user").and_then(|n| self.template(n));
        image.workdir = fields.get("workdir").and_then(|n| self.absolute(n));
        image.labels = self.template_map(fields.get("labels"), label);
        image.annotations = self.template_map(fields.get("annotations"), label);
        if let Some(node) = fields.get("expose") {
            let items = self.list(node, "ports");
            let form = (Code::BadValue, "a port such as 8080/tcp");
            image.expose = items.iter().filter_map(|n| self.parsed(n, form, port)).collect();
        }
        if let Some(node) = fields.get("volumes") {
            image.volumes =
                self.list(node, "paths").iter().filter_map(|n| self.absolute(n)).collect();
        }
        image.stop_signal = fields.get("stop-signal").and_then(|n| {
            self.parsed(n, (Code::BadValue, "a signal such as SIGTERM"), |t| {
                let named = t.strip_prefix("SIG").is_some_and(|s| {
                    !s.is_empty()
                        && s.bytes()
                            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'+')
                });
                (named || t.parse::<u8>().is_ok()).then(|| t.to_owned())
            })
        });
        image
    }

    /// `files:`.
    pub(super) fn file_entries(&mut self, node: Option<&Node>) -> Vec<FileEntry> {
        let Some(node) = node else { return Vec::new() };
        let mut files = Vec::new();
        for (key, value) in self.entries(node, "paths") {
            let path = self.absolute(&Node { span: key.span, kind: Kind::Text(key.value.clone()) });
            let keys = ["text", "link", "directory", "source", "mode", "owner", "when"];
            let Some(fields) = self.fields(value, "a mapping", &keys) else { continue };
            let kinds = fields.present(&["text", "link", "directory", "source"]);
            let [(kind, _)] = kinds.as_slice() else {
                let said = "a file is exactly one of `text`, `link`, `directory` and `source`";
                self.say(Code::Conflict, key.span, said);
                continue;
            };
            let Some(at) = fields.get(kind) else { continue };
            let content = match *kind {
                "text" => self.template(at).map(FileContent::Text),
                "link" => self.template(at).map(FileContent::Link),
                "source" => self.source_name(at).map(FileContent::Source),
                _ => match self.truth(at) {
                    Some(true) => Some(FileContent::Directory),
                    Some(false) => {
                        self.say(Code::BadValue, at.span, "a folder is `directory: true`");
                        None
                    }
                    None => None,
                },
            };
            let mode = fields.get("mode").and_then(|n| self.mode(n));
            let owner = fields.get("owner").and_then(|n| self.owner(n));
            let when = self.condition(fields.get("when"));
            if let (Some(path), Some(content)) = (path, content) {
                files.push(FileEntry { path, content, mode, owner, when });
            }
        }
        files
    }

    /// `accounts:`.
    pub(super) fn accounts(&mut self, node: Option<&Node>) -> Accounts {
        let mut accounts = Accounts::default();
        let Some(node) = node else { return accounts };
        let Some(fields) = self.fields(node, "a mapping", &["users", "groups"]) else {
            return accounts;
        };
        if let Some(node) = fields.get("groups") {
            for (key, value) in self.entries(node, "groups") {
                if let Some(group) = self.group(key, value) {
                    accounts.groups.insert(key.value.clone(), group);
                }
            }
        }
        if let Some(node) = fields.get("users") {
            for (key, value) in self.entries(node, "users") {
                if let Some(user) = self.user(key, value) {
                    accounts.users.insert(key.value.clone(), user);
                }
            }
        }
        self.conflicts(&accounts);
        accounts
    }

    fn group(&mut self, key: &Spanned<String>, node: &Node) -> Option<Group> {
        let fields = self.fields(node, "a mapping with `gid`", &["gid", "members"])?;
        self.account_name(key)?;
        let gid = self.required(fields, "gid").and_then(|n| self.number(n, u32::MAX - 1))?;
        let members = fields.get("members").map(|n| self.list(n, "users")).unwrap_or(&[]);
        let members = members.iter().filter_map(|n| self.line(n)).collect();
        Some(Group { span: key.span, gid, members })
    }

    fn user(&mut self, key: &Spanned<String>, node: &Node) -> Option<User> {
        let keys = ["uid", "gid", "home", "shell", "comment"];
        let fields = self.fields(node, "a mapping with `uid`", &keys)?;
        self.account_name(key)?;
        let uid = self.required(fields, "uid").and_then(|n| self.number(n, u32::MAX - 1))?;
        let gid = match fields.get("gid") {
            Some(n) => self.number(n, u32::MAX - 1)?,
            None => uid,
        };
        let mut text = |key: &str, default: &str| -> Option<String> {
            let Some(node) = fields.get(key) else { return Some(default.to_owned()) };
            let line = self.line(node)?;
            if line.value.contains(':') {
                self.say(Code::BadValue, line.span, "a `:` can't stand in /etc/passwd");
                return None;
            }
            Some(line.value)
        };
        let (home, shell) = (text("home", "/")?, text("shell", "/sbin/nologin")?);
        let comment = text("comment", "")?;
        Some(User { span: key.span, uid, gid, home, shell, comment })
    }

    fn account_name(&mut self, key: &Spanned<String>) -> Option<()> {
        let form = |t: &str| {
            let first = t.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
            let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
            (first && t.len() <= 32 && t.bytes().all(rest)).then_some(())
        };
        self.name(key, "an account", form)
    }

    fn conflicts(&mut self, accounts: &Accounts) {
        let mut seen = BTreeMap::new();
        let users = accounts.users.iter().map(|(n, u)| (("user", u.uid), n, u.span));
        let groups = accounts.groups.iter().map(|(n, g)| (("group", g.gid), n, g.span));
        for ((kind, number), name, span) in users.chain(groups) {
            if let Some((other, at)) = seen.insert((kind, number), (name, span)) {
                let said = format!("`{name}` and `{other}` are both the {kind} {number}");
                self.found
                    .push(Diagnostic::new(Code::AccountConflict, span, said).note(at, "the other"));
            }
        }
        for group in accounts.groups.values() {
            for member in &group.members {
                if !accounts.users.contains_key(&member.value) {
                    let known = accounts.users.keys().map(String::as_str);
                    self.unknown(Code::UnknownAccount, member, ("user", "users"), known);
                }
            }
        }
    }
}

fn label(reader: &mut Reader<'_>, key: &Spanned<String>) -> Option<String> {
    let plain = |b: u8| b.is_ascii_graphic() && !b"=\"\\".contains(&b);
    let parse = |t: &str| (!t.is_empty() && t.bytes().all(plain)).then(|| t.to_owned());
    reader.name(key, "a label", parse)
}

fn port(text: &str) -> Option<String> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let number = number.parse::<u16>().ok().filter(|n| *n > 0)?;
    matches!(protocol, "tcp" | "udp" | "sctp").then(|| format!("{number}/{protocol}"))
}
