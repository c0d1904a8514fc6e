//! The files that spans point into.

/// A file of a [`Files`] table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(u32);

/// Paths and texts of everything that was read, so that a finding can show the line it is about.
#[derive(Clone, Debug, Default)]
pub struct Files(Vec<(String, String)>);

impl Files {
    /// No files yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a file in; `path` is relative to the tree, with `/`, and is what people are shown.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) -> FileId {
        let id = FileId(u32::try_from(self.0.len()).expect("fewer than four billion files"));
        self.0.push((path.into(), text.into()));
        id
    }

    /// The path of a file.
    pub fn path(&self, id: FileId) -> &str {
        &self.0[id.0 as usize].0
    }

    /// The text of a file.
    pub fn text(&self, id: FileId) -> &str {
        &self.0[id.0 as usize].1
    }
}
