//! The command `migrate`: deprecated fields rewritten in the user's files.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args as ClapArgs;

use super::Exit;
use super::file::{Ready, Target};
use super::output;
use super::pipe;
use crate::migrate::{Migration, migrate};
use manifest::diagnostic::{Diagnostics, Location};
use manifest::escape;

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

/// What is read, and where the result goes.
#[derive(Debug)]
struct Input {
    name: String,
    text: String,
    /// The file to be replaced, with `--in-place`.
    target: Option<Target>,
}

/// A file whose new text is on the disk, and has yet to take its place.
type Prepared<'i> = (&'i Input, Migration, Option<Ready>);

/// Rewrites the files. All of them are read before one is written, and the new text of all of them
/// is on the disk before one is replaced.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    if let Some(message) = misuse(args) {
        super::log(format!("error: {message}"));
        return Ok(Exit::Usage);
    }
    let inputs = inputs(args)?;
    let mut report = Diagnostics::default();
    let mut migrated: Vec<(&Input, Migration)> = Vec::new();
    for input in &inputs {
        let place = Location {
            file: Some(input.name.clone()),
            ..Location::default()
        };
        match migrate(&input.text, &place) {
            Ok(migration) => {
                report.extend(migration.left.iter().cloned());
                migrated.push((input, migration));
            }
            Err(problems) => report.extend(problems),
        }
    }
    let sources = inputs.iter().map(|input| output::Source {
        file: Some(input.name.clone()),
        text: input.text.as_bytes(),
        quotable: std::iter::once(0..input.text.len()).collect(),
    });
    output::log_diagnostics(&report, &sources.collect::<Vec<_>>())
        .context("can't write to standard error")?;
    if report.has_errors() {
        return Ok(Exit::Rejected);
    }
    let needed = migrated.iter().any(|(_, m)| m.is_needed());
    let mut prepared: Vec<Prepared<'_>> = Vec::new();
    for (input, migration) in migrated {
        let target = input
            .target
            .clone()
            .filter(|_| migration.text != input.text);
        let ready = target
            .map(|target| target.prepare(migration.text.as_bytes()))
            .transpose()?;
        prepared.push((input, migration, ready));
    }
    for (input, migration, ready) in prepared {
        if let Some(ready) = ready {
            ready.put()?;
        }
        if !args.in_place && !args.check {
            pipe::write_stdout(&[&migration.text]).context("can't write standard output")?;
        }
        // Only what is done is told.
        log(&input.name, &migration);
    }
    Ok(if args.check && needed {
        Exit::Rejected
    } else {
        Exit::Done
    })
}

/// What is wrong with a call that the definitions of the options let pass.
fn misuse(args: &Args) -> Option<&'static str> {
    if args.files.len() > 1 && !args.in_place && !args.check {
        return Some("several files need --in-place or --check");
    }
    if args.in_place && args.files.iter().any(|path| is_stdin(path)) {
        return Some("--in-place needs a file, and - is standard input");
    }
    None
}

fn inputs(args: &Args) -> anyhow::Result<Vec<Input>> {
    let stdin = [PathBuf::from("-")];
    let files = if args.files.is_empty() {
        &stdin[..]
    } else {
        &args.files
    };
    let mut inputs: Vec<Input> = Vec::new();
    for path in files {
        let target = args.in_place.then(|| Target::existing(path)).transpose()?;
        if let Some(target) = &target {
            // Another path to a file that is already among them.
            let mut known = inputs.iter().filter_map(|input| input.target.as_ref());
            if known.any(|known| known.path() == target.path()) {
                continue;
            }
        } else if !args.check {
            check_output(path)?;
        }
        inputs.push(Input {
            name: name(path),
            text: read(path)?,
            target,
        });
    }
    Ok(inputs)
}

/// Refuses an output that can't arrive, or that goes into the file that is read.
fn check_output(path: &Path) -> anyhow::Result<()> {
    if is_stdin(path) {
        return pipe::check_both().map_err(Into::into);
    }
    let file = std::fs::metadata(path);
    if file.is_ok_and(|file| pipe::is_stdout(&file)) {
        anyhow::bail!(
            "{} is the file that standard output goes to; use --in-place",
            path.display()
        );
    }
    Ok(())
}

/// Says what has moved.
fn log(name: &str, migration: &Migration) {
    for step in &migration.moves {
        let line = step.line;
        let moved = match &step.to {
            Some(to) => format!("{name}:{line}: {} -> {to}", step.from),
            None => format!("{name}:{line}: {} says nothing and is dropped", step.from),
        };
        super::log(escape::terminal(&moved));
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn name(path: &Path) -> String {
    if is_stdin(path) {
        "<stdin>".to_owned()
    } else {
        path.display().to_string()
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let name = name(path);
    let bytes = if is_stdin(path) {
        pipe::read_stdin().map(|stream| stream.to_vec())
    } else {
        std::fs::read(path)
    };
    let bytes = bytes.with_context(|| format!("can't read {name}"))?;
    String::from_utf8(bytes).with_context(|| format!("{name} is not UTF-8"))
}
