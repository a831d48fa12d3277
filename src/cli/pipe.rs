//! Standard input into memory and pieces to standard output, as fast as the system has it.
//!
//! The stream is held whole, since nothing may be written before all is known to be right. What
//! that costs is not the reading but the first touch of every page of memory; in huge pages, where
//! the system has them, it costs half.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Deref;
use std::os::fd::AsFd as _;

use memmap2::{Advice, MmapMut, MmapOptions};

/// Up to here a stream is small, and huge pages would cost more than they save.
const SMALL: usize = 1024 * 1024;

/// The address space that a large stream gets at first. It costs nothing until it is touched.
const LARGE: usize = 1024 * 1024 * 1024;

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
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
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
            if let Some(start) = wider.get_mut(..length) {
                start.copy_from_slice(&mapping);
            }
            mapping = wider;
        }
        let rest = mapping.get_mut(length..).unwrap_or_default();
        match input.read(rest) {
            Ok(0) => return Ok(Stream::Large(mapping, length)),
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Address space in huge pages, if the system gives any.
fn reserve(length: usize) -> Option<MmapMut> {
    let mut options = MmapOptions::new();
    options.len(length).no_reserve_swap();
    let mapping = options.map_anon().ok()?;
    // Without huge pages it is slower, and nothing else.
    #[cfg(target_os = "linux")]
    let _ = mapping.advise(Advice::HugePage);
    Some(mapping)
}

/// Writes pieces to standard output, one after the other.
pub(crate) fn write_stdout(pieces: &[impl AsRef<[u8]>]) -> io::Result<()> {
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    for piece in pieces {
        output.write_all(piece.as_ref())?;
    }
    Ok(())
}
