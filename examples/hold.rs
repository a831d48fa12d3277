//! `cat`, held whole: all of standard input into memory, and then all of it to standard output.
//!
//! A filter that writes nothing before it has read everything can't do less. `scripts/bench`
//! measures the filter beside it.

use std::io::{Read as _, Write as _};

fn main() -> std::io::Result<()> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    // Past the buffer of lines that standard output otherwise goes through.
    let mut output =
        std::fs::File::from(std::os::fd::AsFd::as_fd(&std::io::stdout()).try_clone_to_owned()?);
    output.write_all(&bytes)
}
