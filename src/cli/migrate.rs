//! The command `migrate`: deprecated fields rewritten in the user's files.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args as ClapArgs;

use super::Exit;
use super::show::{self, Format};
use crate::migrate::{Migration, migrate};
use crate::report::{Place, Report};

/// Rewrites deprecated network-policy fields to those of chart 0.31.
///
/// Reads values files, vcluster.yaml, network-policy configs and VirtualClusterTemplates. All that
/// is not concerned keeps its bytes, and the comments of a field move along with it. Without an
/// option the result goes to standard output.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Args {
    /// The file; standard input without one, or for -
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write the result into the file itself
    #[arg(long, short, conflicts_with = "check", requires = "files")]
    in_place: bool,
    /// Write nothing; exit with 1 if there is something to do
    #[arg(long)]
    check: bool,
}

/// Rewrites one file after the other; all of them are read before one is written.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let stdin = [PathBuf::from("-")];
    let files: &[PathBuf] = if args.files.is_empty() {
        &stdin
    } else {
        &args.files
    };
    if files.len() > 1 && !args.in_place && !args.check {
        eprintln!("error: several files need --in-place or --check");
        return Ok(Exit::Usage);
    }
    let mut report = Report::default();
    let mut done: Vec<(&PathBuf, String, Migration)> = Vec::new();
    for path in files {
        let text = read(path)?;
        let place = Place {
            file: Some(name(path)),
            ..Place::default()
        };
        match migrate(&text, &place) {
            Ok(migration) => {
                report.extend(migration.left.iter().cloned());
                done.push((path, text, migration));
            }
            Err(problems) => report.extend(problems),
        }
    }
    show::report(&report, &[], Format::Text).context("can't write to standard error")?;
    if report.has_errors() {
        return Ok(Exit::Rejected);
    }
    let mut needed = false;
    for (path, text, migration) in &done {
        needed |= migration.is_needed();
        tell(path, migration);
        if args.check {
            continue;
        }
        if !args.in_place {
            let mut out = std::io::stdout().lock();
            out.write_all(migration.text.as_bytes())
                .and_then(|()| out.flush())
                .context("can't write standard output")?;
        } else if migration.text != *text {
            std::fs::write(path, &migration.text)
                .with_context(|| format!("can't write {}", name(path)))?;
        }
    }
    Ok(if args.check && needed {
        Exit::Rejected
    } else {
        Exit::Done
    })
}

/// Says what has moved.
fn tell(path: &Path, migration: &Migration) {
    let name = name(path);
    for step in &migration.moves {
        let line = step.line;
        match &step.to {
            Some(to) => eprintln!("{name}:{line}: {} -> {to}", step.from),
            None => eprintln!("{name}:{line}: {} says nothing and is dropped", step.from),
        }
    }
}

fn name(path: &Path) -> String {
    if path.as_os_str() == "-" {
        "<stdin>".to_owned()
    } else {
        path.display().to_string()
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let name = name(path);
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .with_context(|| format!("can't read {name}"))?;
    } else {
        bytes = std::fs::read(path).with_context(|| format!("can't read {name}"))?;
    }
    String::from_utf8(bytes).with_context(|| format!("{name} is not UTF-8"))
}
