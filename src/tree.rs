//! Where bytes of specs come from: a folder, memory, one tree above another.
//!
//! The trait is about bytes and not about packages, so that loaders can't drift apart.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The largest file that is read from a tree: 4 MiB. Specs and patches are far smaller, and an
/// LLB definition that carried more would pass BuildKit's 16 MiB message limit.
pub const MAX_FILE: u64 = 4 << 20;

/// Why a file of a tree could not be read. That a file does not exist is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// Larger than [`MAX_FILE`]; the size in bytes where it is known.
    TooLarge(u64),
    /// A symbolic link leads out of the tree.
    Escapes,
    /// Not a regular file.
    NotAFile,
    /// The operating system or the engine said no, in its own words.
    Io(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(size) => write!(f, "{size} bytes are more than the limit of {MAX_FILE}"),
            Self::Escapes => f.write_str("a symbolic link leads out of the tree"),
            Self::NotAFile => f.write_str("it is not a regular file"),
            Self::Io(e) => f.write_str(e),
        }
    }
}

impl std::error::Error for ReadError {}

/// Bytes of a file, or `None` where the tree has no such file.
pub type ReadResult = Result<Option<Vec<u8>>, ReadError>;

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file (or a link to one).
    File,
    /// A folder (or a link to one).
    Folder,
}

/// A tree of files. Paths are relative, with `/`, without `.` and `..`.
pub trait Tree {
    /// Reads one file.
    fn read(&self, path: &str) -> ReadResult;

    /// Reads several; trees behind a network override it to ask for all at once.
    fn read_many(&self, paths: &[String]) -> Vec<ReadResult> {
        paths.iter().map(|p| self.read(p)).collect()
    }

    /// The entries of a folder, sorted, folders with a `/` at the end; empty where there is none.
    fn list(&self, folder: &str) -> Result<Vec<String>, ReadError>;

    /// Whether a path is a file or a folder; `None` where there is nothing.
    fn kind(&self, path: &str) -> Result<Option<Kind>, ReadError>;
}

/// A folder on disk; links that lead out of it are refused.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// A tree of everything below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn inside(&self, path: &str) -> Result<Option<PathBuf>, ReadError> {
        let full = self.root.join(path);
        let real = match full.canonicalize() {
            Ok(real) => real,
            Err(e) if is_absent(&e) => return Ok(None),
            Err(e) => return Err(ReadError::Io(e.to_string())),
        };
        let root = self.root.canonicalize().map_err(|e| ReadError::Io(e.to_string()))?;
        if real.starts_with(root) { Ok(Some(real)) } else { Err(ReadError::Escapes) }
    }
}

fn is_absent(e: &std::io::Error) -> bool {
    matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

impl Tree for Folder {
    fn read(&self, path: &str) -> ReadResult {
        let Some(full) = self.inside(path)? else { return Ok(None) };
        let meta = std::fs::metadata(&full).map_err(|e| ReadError::Io(e.to_string()))?;
        if !meta.is_file() {
            return Err(ReadError::NotAFile);
        }
        if meta.len() > MAX_FILE {
            return Err(ReadError::TooLarge(meta.len()));
        }
        std::fs::read(&full).map(Some).map_err(|e| ReadError::Io(e.to_string()))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, ReadError> {
        let Some(full) = self.inside(folder)? else { return Ok(Vec::new()) };
        if !full.is_dir() {
            return Ok(Vec::new());
        }
        let entries = std::fs::read_dir(full).map_err(|e| ReadError::Io(e.to_string()))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| ReadError::Io(e.to_string()))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let slash = if entry.path().is_dir() { "/" } else { "" };
            names.push(format!("{name}{slash}"));
        }
        names.sort();
        Ok(names)
    }

    fn kind(&self, path: &str) -> Result<Option<Kind>, ReadError> {
        let Some(full) = self.inside(path)? else { return Ok(None) };
        match full {
            full if full.is_dir() => Ok(Some(Kind::Folder)),
            full if full.is_file() => Ok(Some(Kind::File)),
            _ => Err(ReadError::NotAFile),
        }
    }
}

/// One tree above another: a file of the top shadows that of the bottom.
pub struct Overlay<T, B> {
    /// Looked at first.
    pub top: T,
    /// Looked at where the top has nothing.
    pub bottom: B,
}

impl<T: Tree, B: Tree> Tree for Overlay<T, B> {
    fn read(&self, path: &str) -> ReadResult {
        match self.top.read(path) {
            Ok(None) => self.bottom.read(path),
            found => found,
        }
    }

    fn read_many(&self, paths: &[String]) -> Vec<ReadResult> {
        let mut results = self.top.read_many(paths);
        for (result, path) in results.iter_mut().zip(paths) {
            if matches!(result, Ok(None)) {
                *result = self.bottom.read(path);
            }
        }
        results
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, ReadError> {
        let mut names = self.top.list(folder)?;
        names.extend(self.bottom.list(folder)?);
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn kind(&self, path: &str) -> Result<Option<Kind>, ReadError> {
        match self.top.kind(path)? {
            None => self.bottom.kind(path),
            found => Ok(found),
        }
    }
}

impl<T: Tree + ?Sized> Tree for &T {
    fn read(&self, path: &str) -> ReadResult {
        (**self).read(path)
    }

    fn read_many(&self, paths: &[String]) -> Vec<ReadResult> {
        (**self).read_many(paths)
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, ReadError> {
        (**self).list(folder)
    }

    fn kind(&self, path: &str) -> Result<Option<Kind>, ReadError> {
        (**self).kind(path)
    }
}

/// A tree in memory, for tests and for what a client sent in one piece.
#[derive(Clone, Debug, Default)]
pub struct Memory(pub BTreeMap<String, Vec<u8>>);

impl Memory {
    /// Puts a file in, replacing one of the same path.
    #[must_use]
    pub fn with(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.to_owned(), bytes.into());
        self
    }
}

impl Tree for Memory {
    fn read(&self, path: &str) -> ReadResult {
        match self.0.get(path) {
            Some(bytes) if bytes.len() as u64 > MAX_FILE => {
                Err(ReadError::TooLarge(bytes.len() as u64))
            }
            found => Ok(found.cloned()),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, ReadError> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut names: Vec<String> = self
            .0
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix))
            .map(|rest| match rest.split_once('/') {
                Some((folder, _)) => format!("{folder}/"),
                None => rest.to_owned(),
            })
            .collect();
        names.dedup();
        Ok(names)
    }

    fn kind(&self, path: &str) -> Result<Option<Kind>, ReadError> {
        if self.0.contains_key(path) {
            return Ok(Some(Kind::File));
        }
        let prefix = if path == "." { String::new() } else { format!("{path}/") };
        Ok(self.0.keys().any(|k| k.starts_with(&prefix)).then_some(Kind::Folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_out_of_the_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("tree");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(dir.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
        assert_eq!(Folder::new(&root).read("link"), Err(ReadError::Escapes));
        assert_eq!(Folder::new(&root).read("absent"), Ok(None));
    }

    #[test]
    fn memory_and_folder_list_alike() {
        let memory = Memory::default().with("a/b/c", "1").with("a/d", "2");
        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in &memory.0 {
            let full = dir.path().join(path);
            std::fs::create_dir_all(full.parent().unwrap()).unwrap();
            std::fs::write(full, bytes).unwrap();
        }
        let folder = Folder::new(dir.path());
        for path in ["", "a", "a/b", "none"] {
            assert_eq!(memory.list(path), folder.list(path), "{path}");
        }
    }
}
