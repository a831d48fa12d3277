//! Standard input into memory and pieces to standard output, as fast as the system has it, and
//! never without saying so when there is no such stream.
//!
//! The stream is held whole, since nothing may be written before all is known to be right. What
//! that costs is not the reading but the first touch of every page of memory; in huge pages, where
//! the system has them, it costs half. The pipes are made larger, so that the programs on both sides
//! wait less for each other.

use std::fs::{File, Metadata};
use std::io::{self, IoSlice, Read, Write};
use std::ops::{Deref, Range};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

#[cfg(target_os = "linux")]
use memmap2::Advice;
use memmap2::{MmapMut, MmapOptions};

/// Up to here a stream is small, and huge pages would cost more than they save.
const SMALL: usize = 1024 * 1024;

/// The address space that a large stream gets at first. It costs nothing until it is touched.
const LARGE: usize = 1024 * 1024 * 1024;

/// The size of a huge page.
const HUGE: usize = 2 * 1024 * 1024;

/// So much must wait in the pipe before a huge page is taken for it: what is left of the last one is
/// memory that nobody uses.
const ENOUGH: usize = PIPE;

/// What a pipe should hold: as much as Linux gives to everybody. It comes with 64 KiB, and each
/// time that it is full or empty one of the two programs waits for the other.
const PIPE: usize = 1024 * 1024;

/// The numbers under which every program gets its streams.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;

/// How many pieces one system call writes at most: what every system takes.
const PIECES: usize = 1024;

/// The bytes of standard input.
#[derive(Debug)]
pub(crate) enum Stream {
    /// In ordinary memory.
    Small(Vec<u8>),
    /// In a mapping, of which so many bytes are filled.
    Large(MmapMut, usize),
}

impl Deref for Stream {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Large(mapping, length) => mapping.get(..*length).unwrap_or_default(),
        }
    }
}

/// Reads standard input to its end.
pub(crate) fn read_stdin() -> io::Result<Stream> {
    let mut input = open(io::stdin())?;
    there(&input, STDIN)?;
    enlarge(&input);
    let mut bytes = Vec::new();
    (&mut input).take(SMALL as u64).read_to_end(&mut bytes)?;
    if bytes.len() < SMALL {
        return Ok(Stream::Small(bytes));
    }
    let Some(mut mapping) = reserve(LARGE) else {
        input.read_to_end(&mut bytes)?;
        return Ok(Stream::Small(bytes));
    };
    let mut length = bytes.len();
    let mut decided = next_huge_page(&mapping, length);
    huge_pages(&mapping, 0..decided);
    if let Some(start) = mapping.get_mut(..length) {
        start.copy_from_slice(&bytes);
    }
    drop(bytes);
    loop {
        if length == mapping.len() {
            let Some(mut wider) = reserve(length.saturating_mul(4)) else {
                let mut bytes = mapping.to_vec();
                input.read_to_end(&mut bytes)?;
                return Ok(Stream::Small(bytes));
            };
            huge_pages(&wider, 0..length);
            if let Some(start) = wider.get_mut(..length) {
                start.copy_from_slice(&mapping);
            }
            mapping = wider;
        }
        if length >= decided {
            decided = next_huge_page(&mapping, length + 1).min(mapping.len());
            if waiting(&input) >= ENOUGH.min(decided - length) {
                huge_pages(&mapping, length..decided);
            }
        }
        let rest = mapping.get_mut(length..decided).unwrap_or_default();
        match input.read(rest) {
            Ok(0) => return Ok(Stream::Large(mapping, length)),
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Address space, if the system gives any.
fn reserve(length: usize) -> Option<MmapMut> {
    let mut options = MmapOptions::new();
    options.len(length).no_reserve_swap();
    options.map_anon().ok()
}

/// The first place from `at` on where a huge page begins.
fn next_huge_page(mapping: &MmapMut, at: usize) -> usize {
    let base = mapping.as_ptr() as usize;
    (base + at).next_multiple_of(HUGE) - base
}

/// Asks for huge pages. Without them it is slower, and nothing else.
#[cfg(target_os = "linux")]
fn huge_pages(mapping: &MmapMut, range: Range<usize>) {
    let _ = mapping.advise_range(Advice::HugePage, range.start, range.len());
}

#[cfg(not(target_os = "linux"))]
fn huge_pages(_: &MmapMut, _: Range<usize>) {}

/// How many bytes can be read at once.
#[cfg(target_os = "linux")]
fn waiting(input: &File) -> usize {
    rustix::io::ioctl_fionread(input)
        .ok()
        .and_then(|bytes| usize::try_from(bytes).ok())
        .unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn waiting(_: &File) -> usize {
    0
}

/// Writes pieces to standard output, one after the other. A reader that goes away before the end is
/// an error: half a stream must not look like a whole one.
pub(crate) fn write_stdout(pieces: &[impl AsRef<[u8]>]) -> io::Result<()> {
    let output = open(io::stdout())?;
    there(&output, STDOUT)?;
    write_pieces(output, pieces)
}

/// Prints a text whose reader may stop when it has read enough.
pub(crate) fn print(text: &[u8]) -> io::Result<()> {
    until_enough(write_stdout(&[text]))
}

/// Prints what the exit code says as well, so that nothing is lost where nobody reads it.
pub(crate) fn answer(text: &[u8]) -> io::Result<()> {
    until_enough(write_pieces(open(io::stdout())?, &[text]))
}

/// A reader that went away is no reason to fail.
pub(crate) fn until_enough(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Refuses a call whose input is not there, whose output can't arrive, or whose output would go into
/// the file that it reads.
pub(crate) fn check_both() -> io::Result<()> {
    let (input, output) = (open(io::stdin())?, open(io::stdout())?);
    there(&input, STDIN)?;
    there(&output, STDOUT)?;
    if same_file(&input.metadata()?, &output.metadata()?) {
        return Err(io::Error::other(
            "standard input and standard output are the same file; write to another file, and \
             rename it afterwards",
        ));
    }
    Ok(())
}

/// Whether a file is the one that standard output goes to.
pub(crate) fn is_stdout(file: &Metadata) -> bool {
    open(io::stdout())
        .and_then(|output| output.metadata())
        .is_ok_and(|output| same_file(file, &output))
}

/// Whether two open files are one file on a disk.
fn same_file(one: &Metadata, other: &Metadata) -> bool {
    one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn open(stream: impl AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
}

/// Refuses a stream that the caller closed.
///
/// Rust's runtime opens /dev/null in the place of a stream that is closed, for reading and writing,
/// so that no other file gets its number. From then on all that is written there is lost without an
/// error. A shell opens /dev/null in one direction only (`>/dev/null`), which tells the two apart.
fn there(file: &File, number: u8) -> io::Result<()> {
    const READ_AND_WRITE: u32 = 2;
    let kind = file.metadata()?;
    if !kind.file_type().is_char_device() || !is_null(&kind) {
        return Ok(());
    }
    // Where the system does not say how it was opened, nothing is known against it.
    let known = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let flags = known
        .lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    if flags.is_none_or(|flags| flags & 3 != READ_AND_WRITE) {
        return Ok(());
    }
    let (name, sign) = if number == STDIN {
        ("input", '<')
    } else {
        ("output", '>')
    };
    Err(io::Error::other(format!(
        "standard {name} is closed, or is /dev/null opened for reading and writing; give it a \
         file or a pipe, or `{sign}/dev/null`"
    )))
}

fn is_null(kind: &Metadata) -> bool {
    std::fs::metadata("/dev/null").is_ok_and(|null| null.rdev() == kind.rdev())
}

/// Makes a pipe as large as it may be. What is no pipe stays as it is.
#[cfg(target_os = "linux")]
fn enlarge(file: &File) {
    let _ = rustix::pipe::fcntl_setpipe_size(file, PIPE);
}

#[cfg(not(target_os = "linux"))]
fn enlarge(_: &File) {}

/// Writes pieces with as few system calls as they take.
fn write_pieces(mut output: File, pieces: &[impl AsRef<[u8]>]) -> io::Result<()> {
    enlarge(&output);
    for pieces in pieces.chunks(PIECES) {
        let mut slices: Vec<IoSlice<'_>> = pieces
            .iter()
            .map(|piece| IoSlice::new(piece.as_ref()))
            .collect();
        let mut rest = slices.as_mut_slice();
        // It takes away what has nothing in it.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match output.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
