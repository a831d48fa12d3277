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

use super::{Exit, exec, filter};
use crate::argocd::Application;
use crate::yaml::{Node, Tree};

/// The words behind `argocd`.
#[derive(Debug, Clone, Parser)]
#[group(skip)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Clone, Subcommand)]
enum Verb {
    /// Renders the application that the environment names, and filters it
    Generate(Generate),
}

/// The options of `argocd generate`.
#[derive(Debug, Clone, Parser)]
#[group(skip)]
struct Generate {
    #[command(flatten)]
    filter: filter::Args,
    /// The Helm to run
    #[arg(long, value_name = "PROGRAM", env = "HELM_BIN", default_value = "helm")]
    helm: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let Verb::Generate(args) = &args.command;
    let variables = std::env::vars_os()
        .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
        .collect();
    let app = match Application::of(&variables) {
        Ok(app) => app,
        Err(message) => {
            eprintln!("error: {message}");
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
            eprintln!("error: {message}");
            return Ok(Exit::Rejected);
        }
    };
    let mut filter = args.filter.clone();
    filter.config.extend(configs.iter().map(PathBuf::from));
    let mut options = filter.options()?;
    options.said.app_name = Some(app.release.clone());
    options.said.fallback_namespace.clone_from(&app.namespace);

    if lacks_dependencies(&repository.app) {
        let mut build = helm(&args.helm);
        build.args(["dependency", "build"]).stdin(Stdio::null());
        match exec::output(&mut build)? {
            Ok(said) => eprint!("{}", String::from_utf8_lossy(&said)),
            Err(exit) => return Ok(exit),
        }
    }
    let mut template = helm(&args.helm);
    template.args(app.template(&values));
    match render(template, app.values.as_deref())? {
        Ok(stream) => filter::write(&stream, &options, &filter.account, filter::Reader::Caller),
        Err(exit) => Ok(exit),
    }
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

/// A Helm that keeps its files where a sidecar may write.
fn helm(program: &Path) -> Command {
    let mut command = Command::new(program);
    let home = std::env::temp_dir().join("vcluster-netpol-helm");
    for (variable, folder) in [
        ("HELM_CACHE_HOME", "cache"),
        ("HELM_CONFIG_HOME", "config"),
        ("HELM_DATA_HOME", "data"),
    ] {
        if std::env::var_os(variable).is_none() {
            command.env(variable, home.join(folder));
        }
    }
    command
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
    fn files(&self, names: &[String]) -> Result<Vec<String>, String> {
        names.iter().map(|name| self.file(name)).collect()
    }

    fn file(&self, name: &str) -> Result<String, String> {
        if name.contains("://") {
            return Err(format!(
                "{name} is no file of the application's repository, and nothing is fetched from \
                 elsewhere; put the file into the repository"
            ));
        }
        if name.contains([',', '"']) {
            return Err(format!(
                "{name} holds a comma or a quote, which Helm would take for the end of the name; \
                 rename the file"
            ));
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
        found
            .into_os_string()
            .into_string()
            .map_err(|_| format!("the path of {name} is not UTF-8"))
    }
}

/// Whether the chart has dependencies, and none of them is there.
fn lacks_dependencies(chart: &Path) -> bool {
    let names_some = |file: &str| {
        let text = std::fs::read_to_string(chart.join(file)).unwrap_or_default();
        Tree::parse(&text).is_ok_and(|tree| {
            tree.root()
                .and_then(|root| root.get("dependencies"))
                .is_some_and(|list| Node::items(list).next().is_some())
        })
    };
    !chart.join("charts").exists() && (names_some("Chart.yaml") || names_some("requirements.yaml"))
}
