//! The filter in a few lines: `cargo run --example filter < examples/rendered.yaml`.

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use vcluster_netpol::{Options, render};

fn main() -> io::Result<ExitCode> {
    let mut stream = Vec::new();
    io::stdin().read_to_end(&mut stream)?;
    match render(&stream, &Options::default()) {
        Ok(output) => {
            io::stdout().write_all(&output.pieces.concat())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(errors) => {
            writeln!(io::stderr(), "{errors}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}
