//! Files that we write: whole or not at all.
//!
//! A full disk, a limit or a power cut in the middle of writing must not leave half of a file that
//! somebody wrote by hand. So the new text is written beside the file and brought to the disk, and
//! only then does it take the file's name. Mode, owner and links stay as they are.

use std::collections::hash_map::RandomState;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::pipe;

/// How many random names are tried.
const MAX_TRIES: usize = 16;

/// A file that is to be written: the one behind all links.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// As the user names it.
    name: String,
    path: PathBuf,
    /// What is there already.
    old: Option<Metadata>,
}

impl Target {
    /// Finds a file, and refuses what can't be replaced without a loss.
    pub(super) fn existing(name: &Path) -> anyhow::Result<Self> {
        let shown = name.display().to_string();
        let path = fs::canonicalize(name).with_context(|| format!("can't read {shown}"))?;
        let old = fs::metadata(&path).with_context(|| format!("can't read {shown}"))?;
        if !old.is_file() {
            bail!("{shown} is not a regular file, so it can't be changed in place");
        }
        if old.nlink() > 1 {
            bail!(
                "{shown} is one of {} names (hard links) of a file, and only one of them would get \
                 the new text; write the result to another file, and copy it over with `cp`",
                old.nlink()
            );
        }
        Ok(Self {
            name: shown,
            path,
            old: Some(old),
        })
    }

    /// Writes the new text beside the file. Nothing has changed until [`Ready::put`].
    pub(super) fn prepare(self, text: &[u8]) -> anyhow::Result<Ready> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let mode = if self.old.is_some() { 0o600 } else { 0o666 };
        let (beside, mut file) = create_in(folder, mode).with_context(|| {
            format!(
                "can't write into the folder {}, where the new text of {} has to be written \
                 first; make the folder writable, or write the result to another file",
                folder.display(),
                self.name
            )
        })?;
        // From here on the new file is removed again if anything fails.
        let ready = Ready {
            beside: Some(beside),
            target: self,
        };
        let target = &ready.target;
        if let Some(old) = &target.old {
            target.keep_owner(&file, old)?;
            file.set_permissions(old.permissions())
                .with_context(|| format!("can't keep the mode of {}", target.name))?;
        }
        file.write_all(text)
            .and_then(|()| file.sync_all())
            .with_context(|| format!("can't write {}, which is left as it was", target.name))?;
        Ok(ready)
    }

    /// Gives the new file to the owner and group of the old one.
    fn keep_owner(&self, file: &File, old: &Metadata) -> anyhow::Result<()> {
        let new = file.metadata()?;
        let owner = (old.uid() != new.uid()).then(|| old.uid());
        let group = (old.gid() != new.gid()).then(|| old.gid());
        if owner.is_none() && group.is_none() {
            return Ok(());
        }
        fchown(file, owner, group).with_context(|| {
            format!(
                "can't keep the owner and group of {}, which is left as it was; run this as its \
                 owner, or write the result to another file",
                self.name
            )
        })
    }

    /// Whether the file is still what it was when it was found.
    fn is_unchanged(&self) -> io::Result<bool> {
        let state = |of: &Metadata| (of.ino(), of.len(), of.mtime(), of.mtime_nsec());
        match (&self.old, fs::symlink_metadata(&self.path)) {
            (Some(old), Ok(now)) => Ok(state(old) == state(&now)),
            (Some(_), Err(error)) => Err(error),
            (None, _) => Ok(true),
        }
    }
}

/// A new text on the disk, beside the file that it is for.
#[derive(Debug)]
pub(super) struct Ready {
    beside: Option<PathBuf>,
    target: Target,
}

impl Ready {
    /// Puts the new text in the file's place.
    pub(super) fn put(mut self) -> anyhow::Result<()> {
        let Target { name, path, .. } = &self.target;
        if !self.target.is_unchanged()? {
            bail!("{name} was changed by somebody else meanwhile and is left so; run this again");
        }
        let Some(beside) = &self.beside else {
            return Ok(());
        };
        fs::rename(beside, path).with_context(|| format!("can't replace {name}"))?;
        // The name is on the disk when its folder is. Some file systems can't promise that.
        if let Some(folder) = path.parent() {
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        self.beside = None;
        Ok(())
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            let _ = fs::remove_file(beside);
        }
    }
}

/// Writes a report, whole or not at all where its folder allows that.
///
/// A device, a pipe, a file with several names, and a file that alone can be written in its folder
/// (one that is mounted into a container) get the text directly. No work is lost with an old report.
pub(super) fn report(name: &Path, text: &[u8]) -> anyhow::Result<()> {
    let old = fs::metadata(name).ok();
    if old.as_ref().is_some_and(pipe::is_stdout) {
        bail!(
            "{} is the file that standard output goes to; give the report another file",
            name.display()
        );
    }
    // An open file goes by its number, not by the name that it once had.
    let by_number = name.starts_with("/dev") || name.starts_with("/proc");
    let direct = match &old {
        Some(old) => !old.is_file() || old.nlink() > 1 || by_number,
        // A link to a file that is still to be made.
        None => fs::symlink_metadata(name).is_ok(),
    };
    if direct {
        return Ok(fs::write(name, text)?);
    }
    let target = Target {
        name: name.display().to_string(),
        path: fs::canonicalize(name).unwrap_or_else(|_| name.to_owned()),
        old,
    };
    match target.prepare(text).and_then(Ready::put) {
        Err(error) if folder_is_closed(&error) => Ok(fs::write(name, text)?),
        ended => ended,
    }
}

/// Whether nothing can be done in a folder, although perhaps with a file in it.
fn folder_is_closed(error: &anyhow::Error) -> bool {
    let kind = error.chain().find_map(|cause| {
        let error = cause.downcast_ref::<io::Error>()?;
        Some(error.kind())
    });
    matches!(
        kind,
        Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::ResourceBusy)
    )
}

/// Makes a file under a name that nobody can foresee, and that is not there yet.
fn create_in(folder: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    unforeseen(|name| {
        let path = folder.join(format!(".{name}.tmp"));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)?;
        Ok((path, file))
    })
}

/// A folder for files that pass, which only this user can see. It goes when this value does.
#[derive(Debug)]
pub(super) struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// Makes the folder among the temporary files.
    pub(super) fn new() -> io::Result<Self> {
        let among = std::env::temp_dir();
        unforeseen(|name| {
            let path = among.join(name);
            DirBuilder::new().mode(0o700).create(&path)?;
            Ok(Self(path))
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Tries random names until one is free.
fn unforeseen<T>(make: impl Fn(&str) -> io::Result<T>) -> io::Result<T> {
    let mut tries = 0;
    loop {
        // The keys of each are random, and so is what it makes of nothing.
        let random = RandomState::new().build_hasher().finish();
        tries += 1;
        match make(&format!("vcluster-netpol-{random:016x}")) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && tries < MAX_TRIES => {}
            ended => return ended,
        }
    }
}
