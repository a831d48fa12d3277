//! The program `vcluster-netpol`: everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    vcluster_netpol::cli::run()
}
