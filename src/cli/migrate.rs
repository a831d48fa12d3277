//! The command `migrate`: deprecated fields rewritten in the user's files.

use std::path::Path;

use anyhow::Context as _;
use clap::Args as ClapArgs;

use super::charts;
use super::file::{Ready, Target};
use super::input::{self, Paths, Source};
use super::output;
use super::parallel;
use super::pipe;
use super::{Exit, usage_error};
use crate::migrate::{Migration, migrate};
use crate::values_files::chart::Chart;
use crate::values_files::concerns_policies;
use manifest::diagnostic::{Diagnostics, Location};
use manifest::documents;
use manifest::escape;

/// What the command expects.
const WANTED: &str = "a values FILE, or a folder with --check";

/// Replaces deprecated network-policy fields with those of chart 0.31
///
/// Reads values of vCluster's chart and of charts that depend on it, network-policy configs, Flux
/// HelmReleases, Argo CD Applications and ApplicationSets, VirtualClusterTemplates and other objects
/// with values. Everything else keeps its bytes, and the comments of a field move with it. Without
/// an option the result goes to standard output.
///
/// Exit codes: 0 done; 1 a field can't be moved, or --check found some that can; 2 wrong usage, or
/// no values were found; 3 reading or writing failed.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Args {
    #[command(flatten)]
    paths: Paths,
    /// Write the result into the files themselves
    #[arg(long, short, conflicts_with = "check", requires = "paths")]
    in_place: bool,
    /// Write nothing; exit with 1 if there is something to do
    #[arg(long)]
    check: bool,
}

/// A text that was read, and what becomes of it.
#[derive(Debug)]
struct Migrated {
    source: Source,
    text: String,
    /// The file to be replaced, with `--in-place`.
    target: Option<Target>,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    /// It holds values.
    Values(Migration),
    /// It is a file of a folder that holds none.
    Other,
    /// It can't be rewritten.
    Rejected(Diagnostics),
}

/// Rewrites the files. All of them are read before one is written, and the new text of all of them
/// is on the disk before one is replaced.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let sources = sources(args)?;
    let migrated = parallel::map("migrating", &sources, |source| read(source, args.in_place));
    let migrated: Vec<Migrated> = migrated.into_iter().collect::<anyhow::Result<_>>()?;
    let mut report = Diagnostics::default();
    for file in &migrated {
        match &file.outcome {
            Outcome::Values(migration) => report.extend(migration.warnings.iter().cloned()),
            Outcome::Rejected(problems) => report.extend(problems.iter().cloned()),
            Outcome::Other => {}
        }
    }
    let values = migrated
        .iter()
        .filter(|file| !matches!(file.outcome, Outcome::Other));
    let sources = values.map(|file| output::Source {
        file: Some(name(&file.source)),
        text: file.text.as_bytes(),
        quotable: std::iter::once(0..file.text.len()).collect(),
    });
    output::log_diagnostics(&report, &sources.collect::<Vec<_>>())
        .context("can't write to standard error")?;
    let is_rejected = report.has_errors();
    if !is_rejected && migrated.iter().all(|file| !file.holds_values()) {
        return Err(nothing(&migrated));
    }
    if !is_rejected && !args.check {
        write(&migrated, args.in_place)?;
    }
    if !is_rejected || args.check {
        migrated.iter().for_each(log_moves);
    }
    if migrated.len() > 1 {
        super::log(summary(&migrated, args.in_place && !is_rejected));
    }
    let is_needed = migrated.iter().any(Migrated::is_needed);
    Ok(if is_rejected || (args.check && is_needed) {
        Exit::Rejected
    } else {
        Exit::Done
    })
}

/// The files that are read.
fn sources(args: &Args) -> anyhow::Result<Vec<Source>> {
    let sources = input::sources(&args.paths.paths, WANTED)?;
    let goes_to_stdout = !args.in_place && !args.check;
    if goes_to_stdout && (sources.len() > 1 || sources.iter().any(|source| !source.is_named())) {
        let message = "several files or a folder need --in-place or --check";
        return Err(usage_error(message));
    }
    if args.in_place && sources.contains(&Source::Stdin) {
        let message = "--in-place needs a file, and - is standard input";
        return Err(usage_error(message));
    }
    if goes_to_stdout {
        sources.iter().try_for_each(check_output)?;
    }
    Ok(sources)
}

/// Refuses an output that can't arrive, or that goes into the file that is read.
fn check_output(source: &Source) -> anyhow::Result<()> {
    let Some(path) = source.path() else {
        return pipe::check_both().map_err(Into::into);
    };
    let file = std::fs::metadata(path);
    if file.is_ok_and(|file| pipe::is_stdout(&file)) {
        anyhow::bail!(
            "{} is the file that standard output goes to; use --in-place",
            path.display()
        );
    }
    Ok(())
}

/// Reads a text and rewrites it.
fn read(source: &Source, in_place: bool) -> anyhow::Result<Migrated> {
    // Reading what is no regular file could take for ever, so this is first.
    let target = |path: &Path| Target::existing(path);
    let target = if in_place && source.is_named() {
        source.path().map(target).transpose()?
    } else {
        None
    };
    let bytes = source.bytes()?;
    let (text, is_utf8) = match String::from_utf8(bytes) {
        Ok(text) => (text, true),
        Err(error) => (
            String::from_utf8_lossy(error.as_bytes()).into_owned(),
            false,
        ),
    };
    let may_be_other = !source.is_named() && !concerns_policies(&text);
    let mut migrated = Migrated {
        source: source.clone(),
        text,
        target,
        outcome: Outcome::Other,
    };
    if !is_utf8 {
        anyhow::ensure!(may_be_other, "{} is not UTF-8", name(source));
        return Ok(migrated);
    }
    let chart = source.path().map_or(Chart::Unknown, charts::of_values_file);
    let place = Location {
        file: Some(name(source)),
        ..Location::default()
    };
    migrated.outcome = match migrate(&migrated.text, &place, &chart) {
        Ok(migration)
            if migration.holds_values || documents::says_nothing(migrated.text.as_bytes()) =>
        {
            Outcome::Values(migration)
        }
        Ok(_) => Outcome::Other,
        // A folder has files that are no YAML, such as the templates of a chart.
        Err(_) if may_be_other => Outcome::Other,
        Err(problems) => Outcome::Rejected(problems),
    };
    if in_place && migrated.is_needed() && migrated.target.is_none() {
        migrated.target = source.path().map(Target::existing).transpose()?;
    }
    Ok(migrated)
}

impl Migrated {
    fn holds_values(&self) -> bool {
        matches!(self.outcome, Outcome::Values(_))
    }

    fn is_needed(&self) -> bool {
        matches!(&self.outcome, Outcome::Values(migration) if migration.is_needed())
    }
}

/// Writes the new texts: into the files, or the only one to standard output.
fn write(migrated: &[Migrated], in_place: bool) -> anyhow::Result<()> {
    let mut prepared: Vec<Ready> = Vec::new();
    for file in migrated {
        let Outcome::Values(migration) = &file.outcome else {
            continue;
        };
        if !in_place {
            pipe::write_stdout(&[&migration.text]).context("can't write standard output")?;
        } else if let Some(target) = file.target.clone().filter(|_| migration.is_needed()) {
            prepared.push(target.prepare(migration.text.as_bytes())?);
        }
    }
    prepared.into_iter().try_for_each(Ready::put)
}

/// Says what has moved.
fn log_moves(file: &Migrated) {
    let Outcome::Values(migration) = &file.outcome else {
        return;
    };
    let name = name(&file.source);
    for step in &migration.moves {
        let line = step.line;
        let moved = match &step.to {
            Some(to) => format!("{name}:{line}: {} -> {to}", step.from),
            None => format!("{name}:{line}: {} has no effect and is dropped", step.from),
        };
        super::log(escape::terminal(&moved));
    }
}

/// One line about all files.
fn summary(migrated: &[Migrated], is_written: bool) -> String {
    let count = |is: fn(&Migrated) -> bool| migrated.iter().filter(|file| is(file)).count();
    let rejected = count(|file| matches!(file.outcome, Outcome::Rejected(_)));
    let needed = count(Migrated::is_needed);
    let values = count(Migrated::holds_values);
    let other = count(|file| matches!(file.outcome, Outcome::Other));
    let done = if is_written { "migrated" } else { "to migrate" };
    format!(
        "{} files: {needed} {done}, {rejected} rejected, {} without deprecated fields, {other} \
         without values",
        migrated.len(),
        values - needed,
    )
}

/// A check of files that hold no values must not look like success.
fn nothing(migrated: &[Migrated]) -> anyhow::Error {
    let names = match migrated {
        [only] => name(&only.source),
        all => format!("{} files", all.len()),
    };
    usage_error(escape::terminal(&format!(
        "there are no values in {names}; give a values file, a HelmRelease, an Application \
         or a VirtualClusterTemplate, and not the output of `helm template`"
    )))
}

fn name(source: &Source) -> String {
    source.file().unwrap_or_else(|| "<stdin>".to_owned())
}
