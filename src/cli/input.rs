//! What a command reads: files, folders and standard input, each with the name that messages use.
//!
//! Every command that takes paths reads them here, so that the same call names the same inputs
//! everywhere. A folder stands for all manifests below it, in the order of their names.

use std::collections::HashSet;
use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueHint;

use super::parallel;
use super::pipe;
use super::usage_error;
use manifest::documents;

/// The path that means standard input.
const STDIN: &str = "-";

/// The extensions of the files that are read from a folder.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// The paths of a command that reads any number of inputs.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub(super) struct Paths {
    /// Files, or folders (all *.yaml, *.yml and *.json below them); - is standard input, which is
    /// the default
    #[arg(value_name = "FILE", value_hint = ValueHint::AnyPath)]
    pub(super) paths: Vec<PathBuf>,
}

/// A text that was read.
#[derive(Debug)]
pub(super) struct Input {
    /// Where it was read from.
    pub(super) source: Source,
    /// Its bytes. UTF-16 has been made UTF-8, as kubectl and the API server read it too.
    pub(super) bytes: Vec<u8>,
}

/// Where an input is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// Standard input.
    Stdin,
    /// A file that the caller named.
    Named(PathBuf),
    /// A file in a folder that the caller named.
    InFolder(PathBuf),
}

impl Source {
    /// The file, as messages name it. Standard input has none.
    pub(super) fn file(&self) -> Option<String> {
        match self {
            Self::Stdin => None,
            Self::Named(path) | Self::InFolder(path) => Some(path.display().to_string()),
        }
    }

    /// The file or standard input in words.
    pub(super) fn name(&self) -> String {
        self.file().unwrap_or_else(|| "standard input".to_owned())
    }

    /// Whether the caller named it, and it was not found in a folder.
    pub(super) fn is_named(&self) -> bool {
        !matches!(self, Self::InFolder(_))
    }

    fn read(&self) -> anyhow::Result<Input> {
        Ok(Input::of(self.clone(), self.bytes()?))
    }

    /// The bytes as they are, in any encoding.
    pub(super) fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        let bytes = match self {
            Self::Stdin => pipe::read_stdin().map(|stream| stream.to_vec()),
            Self::Named(path) | Self::InFolder(path) => fs::read(path),
        };
        bytes.with_context(|| format!("can't read {}", self.name()))
    }

    /// The path of a file.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdin => None,
            Self::Named(path) | Self::InFolder(path) => Some(path),
        }
    }
}

impl Input {
    /// An input that was read in another way.
    pub(super) fn of(source: Source, bytes: Vec<u8>) -> Self {
        let bytes = documents::from_utf16(&bytes).map_or(bytes, String::into_bytes);
        Self { source, bytes }
    }

    /// The file or standard input in words.
    pub(super) fn name(&self) -> String {
        self.source.name()
    }

    /// Whether nothing but white space and comments is in it.
    pub(super) fn is_blank(&self) -> bool {
        documents::says_nothing(&self.bytes)
    }
}

/// Reads the inputs that some paths name, in the order of the paths; without a path, standard input.
///
/// A file that several paths lead to is read once. `wanted` says what the command expects, for the
/// error that there is none.
///
/// # Errors
/// An error of usage where nothing is given: standard input is a terminal, or a folder has no
/// manifest. Any other error is one of reading.
pub(super) fn read(paths: &[PathBuf], wanted: &str) -> anyhow::Result<Vec<Input>> {
    let sources = sources(paths, wanted)?;
    parallel::map("reading", &sources, Source::read)
        .into_iter()
        .collect()
}

/// Reads a file, or standard input.
///
/// # Errors
/// One of reading, also where the path is a folder.
pub(super) fn read_one(path: &Path) -> anyhow::Result<Input> {
    if is_stdin(path) {
        Source::Stdin.read()
    } else {
        Source::Named(path.to_owned()).read()
    }
}

/// Whether a path means standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == STDIN
}

/// Refuses to wait for input that a person would have to type.
///
/// # Errors
/// An error of usage where standard input is a terminal.
pub(super) fn refuse_terminal(wanted: &str) -> anyhow::Result<()> {
    if io::stdin().is_terminal() {
        return Err(usage_error(format!(
            "there is nothing to read: no FILE is given, and standard input is a terminal; give \
             {wanted}"
        )));
    }
    Ok(())
}

/// The inputs that some paths name; their content is not read yet.
///
/// # Errors
/// As [`read`].
pub(super) fn sources(paths: &[PathBuf], wanted: &str) -> anyhow::Result<Vec<Source>> {
    if paths.is_empty() {
        refuse_terminal(wanted)?;
        return Ok(vec![Source::Stdin]);
    }
    let mut walk = Walk::default();
    for path in paths {
        if is_stdin(path) {
            walk.stdin();
        } else if !walk.is_new(path) {
            // Another path led there before.
        } else if path.is_dir() {
            let before = walk.manifests;
            walk.folder(path)?;
            if walk.manifests == before {
                return Err(usage_error(format!(
                    "there is nothing to read in the folder {}: no file in it ends in .yaml, .yml \
                     or .json",
                    path.display()
                )));
            }
        } else {
            walk.sources.push(Source::Named(path.clone()));
        }
    }
    Ok(walk.sources)
}

/// What was found below some paths.
#[derive(Debug, Default)]
struct Walk {
    sources: Vec<Source>,
    /// How many manifests the folders have, those that were named before among them.
    manifests: usize,
    /// The files and folders behind all links. Each is read once, so a link to a folder above ends
    /// the walk instead of repeating it.
    seen: HashSet<PathBuf>,
}

impl Walk {
    fn stdin(&mut self) {
        if !self.sources.contains(&Source::Stdin) {
            self.sources.push(Source::Stdin);
        }
    }

    /// Whether no other path led to this file or folder before.
    fn is_new(&mut self, path: &Path) -> bool {
        // What has no path of its own, such as a pipe behind /dev/fd, is told by its name.
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        self.seen.insert(real)
    }

    /// Takes the manifests of a folder and of the folders below it, in the order of their names.
    fn folder(&mut self, folder: &Path) -> anyhow::Result<()> {
        let unreadable = || format!("can't read the folder {}", folder.display());
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder).with_context(unreadable)? {
            entries.push(entry.with_context(unreadable)?.path());
        }
        entries.sort();
        for path in entries {
            // Follows links. Where a link leads nowhere, reading the file says so.
            let is_folder = path.is_dir();
            if is_folder {
                if !is_hidden(&path) && self.is_new(&path) {
                    self.folder(&path)?;
                }
            } else if is_manifest(&path) {
                self.manifests += 1;
                if self.is_new(&path) {
                    self.sources.push(Source::InFolder(path));
                }
            }
        }
        Ok(())
    }
}

/// Whether a folder is left out: `.git`, and the `..data` of a mounted ConfigMap, whose files have
/// names outside of it too.
fn is_hidden(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}

/// Whether a file of a folder is read, by its name. A pipe or a device could keep the walk waiting.
fn is_manifest(path: &Path) -> bool {
    let is_special = fs::metadata(path).is_ok_and(|file| !file.is_file());
    let extension = path.extension().unwrap_or_default();
    !is_special
        && EXTENSIONS
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[&Path]) -> Vec<String> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| (*path).to_owned()).collect();
        let sources = sources(&paths, "a file").unwrap();
        sources.iter().map(Source::name).collect()
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_names_and_each_file_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b/c")).unwrap();
        fs::create_dir_all(root.join(".git")).unwrap();
        for file in [
            "b/2.yml",
            "b/c/1.JSON",
            "a.yaml",
            "z.yaml",
            "note.txt",
            ".git/x.yaml",
        ] {
            fs::write(root.join(file), "a: 1\n").unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("b/loop")).unwrap();
        std::os::unix::fs::symlink(root.join("a.yaml"), root.join("link.yaml")).unwrap();
        let below: Vec<String> = ["a.yaml", "b/2.yml", "b/c/1.JSON", "z.yaml"]
            .iter()
            .map(|file| root.join(file).display().to_string())
            .collect();
        assert_eq!(names(&[root]), below);
        let first = root.join("z.yaml");
        let named = names(&[&first, root, root, &first, Path::new("-"), Path::new("-")]);
        assert_eq!(named.len(), below.len() + 1);
        assert_eq!(named[0], below[3]);
        assert_eq!(named[4], "standard input");
    }

    #[test]
    fn a_folder_without_manifests_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().to_owned()];
        let error = sources(&paths, "a file").unwrap_err();
        assert!(
            error.to_string().contains("there is nothing to read"),
            "{error}"
        );
        let missing = [folder.path().join("none.yaml")];
        assert!(read(&missing, "a file").is_err());
    }
}
