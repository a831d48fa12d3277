//! `argocd generate`: what Argo CD's config management plugin runs.
//!
//! It renders the application's chart with `helm template`, as Argo CD itself does it, and filters
//! what came out. Nothing is written unless Helm ended well: an application is never pruned because
//! half a pipe failed. What the variables mean is in [`crate::argocd`].

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use super::Exit;
use super::charts;
use super::exec;
use super::file::PrivateFolder;
use super::filter;
use super::log;
use super::output;
use crate::argocd::Application;
use crate::values_files::chart::Chart;
use crate::values_files::{clusters, parameters};
use manifest::diagnostic::Diagnostics;
use manifest::escape;

/// The words behind `argocd`.
#[derive(Debug, Clone, Parser)]
#[group(skip)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Clone, Subcommand)]
enum Verb {
    /// Renders the application that the environment names, and adds the policies
    Generate(Generate),
}

/// The options of `argocd generate`.
#[derive(Debug, Clone, Parser)]
#[group(skip)]
struct Generate {
    #[command(flatten)]
    filter: filter::Args,
    /// The Helm program to run
    #[arg(long, value_name = "PROGRAM", env = "HELM_BIN", default_value = "helm")]
    helm: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let Verb::Generate(args) = &args.command;
    let app = match Application::in_environment(std::env::vars_os()) {
        Ok(app) => app,
        Err(message) => {
            log(escape::terminal(&format!("error: {message}")));
            return Ok(Exit::Usage);
        }
    };
    let repository = Repository::around(&app)?;
    let found = repository
        .files(&app.values_files)
        .and_then(|values| Ok((values, repository.files(&app.config_files)?)));
    let (values, configs) = match found {
        Ok(found) => found,
        Err(message) => {
            log(escape::terminal(&format!("error: {message}")));
            return Ok(Exit::Rejected);
        }
    };
    let mut filter = args.filter.clone();
    filter.config.config.extend(configs);
    let mut options = filter.options()?;
    options.overrides.app_name = Some(app.release.clone());
    options
        .overrides
        .fallback_namespace
        .clone_from(&app.namespace);

    let chart = charts::in_folder(&repository.app).unwrap_or_default();
    let warnings = misplaced_configs(&chart.chart(), &repository.app, &values, &app)
        .finish(&filter.policies.allow, filter.policies.strict);
    output::log_diagnostics(&warnings, &[]).context("can't write to standard error")?;
    if warnings.has_errors() {
        return Ok(Exit::Rejected);
    }
    let homes = Homes::missing().context("can't make a private folder for Helm's files")?;
    // The chart has dependencies, and none of them is there.
    if !chart.dependencies.is_empty() && !repository.app.join("charts").exists() {
        let mut build = homes.helm(&args.helm);
        build.args(["dependency", "build"]).stdin(Stdio::null());
        match exec::output(&mut build)? {
            Ok(output) => log(escape::lines(String::from_utf8_lossy(&output).trim_end())),
            Err(exit) => return Ok(exit),
        }
    }
    let mut template = homes.helm(&args.helm);
    template.args(app.template(&values));
    match render(template, app.values.as_deref())? {
        Ok(stream) => filter::write(
            &stream,
            &options,
            &filter.run_report,
            filter::Reader::Caller,
        ),
        Err(exit) => Ok(exit),
    }
}

/// Warnings about configs at the root of the values of a chart that depends on vCluster.
///
/// Helm passes only the values below the dependency's name or alias to it, so such a config has no
/// effect, and nothing in the rendered chart shows that somebody wrote it.
fn misplaced_configs(
    chart: &Chart,
    folder: &Path,
    values_files: &[PathBuf],
    app: &Application,
) -> Diagnostics {
    let mut warnings = Diagnostics::default();
    let mut check = |name: &str, text: &str| {
        let clusters = clusters::of_file(text, Some(name), || chart.clone());
        warnings.extend(clusters.problems);
    };
    let own = folder.join("values.yaml");
    let is_given = values_files.contains(&own);
    for file in values_files.iter().chain((!is_given).then_some(&own)) {
        // Helm itself reports what can't be read.
        if let Ok(text) = std::fs::read_to_string(file) {
            let name = file.strip_prefix(folder).unwrap_or(file);
            check(&name.display().to_string(), &text);
        }
    }
    if let Some(values) = &app.values {
        check("the parameter values", values);
    }
    let set = app
        .set
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    check("the parameter set", &parameters::values(set).to_string());
    warnings
}

/// Runs Helm with these values on its stdin.
fn render(mut template: Command, values: Option<&str>) -> anyhow::Result<Result<Vec<u8>, Exit>> {
    let Some(values) = values else {
        template.stdin(Stdio::null());
        return exec::output(&mut template);
    };
    let (reader, mut writer) = std::io::pipe().context("can't make a pipe for Helm")?;
    template.stdin(reader);
    std::thread::scope(|scope| {
        // A Helm that fails before it reads says so itself.
        scope.spawn(move || drop(writer.write_all(values.as_bytes())));
        let output = exec::output(&mut template);
        // Our own end of the pipe goes, so that the writer ends even if Helm read nothing.
        drop(template);
        output
    })
}

/// The variables that name Helm's folders, and what we call those folders.
const HOMES: [(&str, &str); 3] = [
    ("HELM_CACHE_HOME", "cache"),
    ("HELM_CONFIG_HOME", "config"),
    ("HELM_DATA_HOME", "data"),
];

/// The folders of Helm that the environment does not name.
///
/// They lie where a sidecar may write, which is where others may write, too: who foresees the name
/// could put plugins and repositories there. So the name is random, and nobody else can look in.
struct Homes {
    folder: Option<PrivateFolder>,
}

impl Homes {
    fn missing() -> std::io::Result<Self> {
        let is_missing = |(variable, _): &(&str, &str)| std::env::var_os(variable).is_none();
        let folder = if HOMES.iter().any(is_missing) {
            Some(PrivateFolder::new()?)
        } else {
            None
        };
        Ok(Self { folder })
    }

    /// A Helm with these folders.
    fn helm(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (variable, name) in HOMES {
            if let (Some(folder), None) = (&self.folder, std::env::var_os(variable)) {
                command.env(variable, folder.path().join(name));
            }
        }
        command
    }
}

/// The checkout of the application's repository.
#[derive(Debug)]
struct Repository {
    root: PathBuf,
    app: PathBuf,
}

impl Repository {
    /// The repository around the current folder, which is the application's.
    fn around(app: &Application) -> anyhow::Result<Self> {
        let here = std::env::current_dir()
            .and_then(|folder| folder.canonicalize())
            .context("can't tell the application's folder")?;
        let path: PathBuf = Path::new(&app.source_path)
            .components()
            .filter(|c| matches!(c, std::path::Component::Normal(_)))
            .collect();
        let mut root = here.clone();
        if here.ends_with(&path) {
            for _ in path.components() {
                root.pop();
            }
        }
        Ok(Self { root, app: here })
    }

    /// The whole paths of files that lie in the repository: below the application's folder, or, if
    /// they begin with `/`, below the root. None leads out of it, by `..` or by a link, and none is
    /// fetched.
    fn files(&self, names: &[String]) -> Result<Vec<PathBuf>, String> {
        names.iter().map(|name| self.file(name)).collect()
    }

    fn file(&self, name: &str) -> Result<PathBuf, String> {
        if name.contains("://") {
            return Err(format!(
                "{name} is no file of the application's repository, and nothing is fetched from \
                 elsewhere; put the file into the repository"
            ));
        }
        if let Some((reference, path)) = name.strip_prefix('$').and_then(|n| n.split_once('/')) {
            return Err(format!(
                "{name} is in another source of the application (ref: {reference}), and Argo CD \
                 gives a config management plugin only the source that it renders; put {path} into \
                 the application's repository, or its content into the parameter `values`"
            ));
        }
        if let Some(problem) = ends_early(Path::new(name)) {
            return Err(problem);
        }
        let path = match name.strip_prefix('/') {
            Some(below) => self.root.join(below.trim_start_matches('/')),
            None => self.app.join(name),
        };
        let found = path.canonicalize().map_err(|error| {
            format!(
                "can't read {name}, which the application names: {error}; paths begin at the \
                 application's folder, or with / at the repository's root"
            )
        })?;
        if !found.starts_with(&self.root) {
            return Err(format!(
                "{name} leads out of the application's repository; put the file into it"
            ));
        }
        ends_early(&found).map_or(Ok(found), Err)
    }
}

/// What is wrong with a path that Helm would take for several.
fn ends_early(path: &Path) -> Option<String> {
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.iter().any(|b| matches!(b, b',' | b'"')).then(|| {
        format!(
            "{} holds a comma or a quote, which Helm would take for the end of the name; rename \
             the file or its folder",
            path.display()
        )
    })
}
