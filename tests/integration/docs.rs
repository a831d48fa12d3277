//! The examples of the pages in docs/, run with the real Helm 3 and both real Helm 4.
//!
//! A block that begins with "```sh run" is run, in one folder for the whole page, with `helm3` or
//! `helm4` behind it only by that Helm. "```yaml file=NAME" is written to that file. The block
//! "```text output" that follows must be what the last run printed, where a line `…` stands for any
//! lines.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::helm::{ALL, FILTER, Helm, Run, kubectl};
use crate::support::release::{Host, VERSION, done, repository};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A block of a page: the words behind its fence, and its text.
struct Block {
    words: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(words)) => {
                open = Some(Block {
                    words: words.to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Whether a text is what the page shows.
fn fits(shown: &str, printed: &str) -> bool {
    let mut rest = printed;
    let mut open = false;
    for line in shown.split_inclusive('\n') {
        if line == "…\n" {
            open = true;
            continue;
        }
        let Some(at) = rest.find(line) else {
            return false;
        };
        let at_start = at == 0 || rest[..at].ends_with('\n');
        if !at_start || (at > 0 && !open) {
            return false;
        }
        rest = &rest[at + line.len()..];
        open = false;
    }
    open || rest.is_empty()
}

/// Where the examples of a page run: a home, in it a folder `work`, and the plugin's repository.
struct Workplace {
    home: tempfile::TempDir,
    host: Host,
}

impl Workplace {
    fn new(helm: Helm) -> Self {
        let place = Self {
            home: tempfile::tempdir().expect("a folder"),
            host: Host::with(VERSION),
        };
        repository(&place.path("repos/vcluster-netpol"));
        let work = place.path("work");
        fs::create_dir_all(&work).expect("a folder");
        let mut copy = Command::new("cp");
        copy.arg("-r")
            .arg(Path::new(ROOT).join("tests/charts/vcluster-mini"))
            .arg(work.join("vcluster"));
        done(&mut copy);
        let on = "policies: {networkPolicy: {enabled: true}}\n";
        fs::write(work.join("values.yaml"), on).expect("values");
        fs::write(work.join("vcluster/values-on.yaml"), on).expect("values");
        fs::create_dir_all(place.path("bin")).expect("a folder");
        symlink(helm.program(), place.path("bin/helm")).expect("a link");
        let kubectl = kubectl(helm, [""; 0]);
        symlink(kubectl.get_program(), place.path("bin/kubectl")).expect("a link");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs the lines of an example.
    fn shell(&self, lines: &str) -> Run {
        let repository = self.path("repos/vcluster-netpol");
        let mut shell = Command::new("sh");
        shell
            .args(["-euc", lines])
            .current_dir(self.path("work"))
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("bin").display()),
            )
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.path("no-cluster"))
            .env("REPO", format!("file://{}", repository.display()))
            .env("VCLUSTER_NETPOL_BASE_URL", self.host.url());
        Run::of(&mut shell, "")
    }
}

/// Runs the examples of a page with one Helm, and returns how many there were.
fn run(name: &str, helm: Helm, prepare: impl Fn(&Path)) -> usize {
    let page = fs::read_to_string(Path::new(ROOT).join("docs").join(name)).expect("a page");
    let place = Workplace::new(helm);
    prepare(place.home.path());
    let family = if helm.is_four() { "helm4" } else { "helm3" };
    let mut last: Option<Run> = None;
    let mut count = 0;
    for block in blocks(&page) {
        let words: Vec<&str> = block.words.split(' ').collect();
        match words.as_slice() {
            ["sh", "run", of @ ..] => {
                last = None;
                if !of.is_empty() && of != [family] {
                    continue;
                }
                count += 1;
                let ran = place.shell(&block.text);
                let (text, stderr) = (&block.text, &ran.stderr);
                assert_eq!(ran.code, Some(0), "{name}, {helm}:\n{text}\n{stderr}");
                last = Some(ran);
            }
            ["yaml", file] if file.starts_with("file=") => {
                serde_yaml::from_str::<serde_yaml::Value>(&block.text).expect("YAML");
                let file = place.path("work").join(&file["file=".len()..]);
                fs::write(file, &block.text).expect("a file");
            }
            ["text", "output"] => {
                let Some(ran) = last.take() else { continue };
                // The pages do not show what the install hook prints.
                let printed: String = ran
                    .stdout
                    .split_inclusive('\n')
                    .filter(|line| !line.starts_with("vcluster-netpol: "))
                    .collect();
                assert!(
                    fits(&block.text, &printed),
                    "docs/{name} shows for {helm}:\n{}\nand it is:\n{printed}",
                    block.text
                );
            }
            _ => {}
        }
    }
    count
}

fn on_path(home: &Path) {
    symlink(FILTER, home.join("bin/vcluster-netpol")).expect("a link");
}

fn install() {
    let counts = ALL.map(|helm| run("install.md", helm, |_| ()));
    assert_eq!(counts, [3, 3, 3]);
}

fn argocd() {
    assert_eq!(ALL.map(|helm| run("argocd.md", helm, on_path)), [2, 2, 2]);
}

fn integrations() {
    assert_eq!(
        ALL.map(|helm| run("integrations.md", helm, on_path)),
        [7, 7, 7]
    );
}

/// The pages whose examples need no Helm.
fn check_and_explain() {
    let with_chart = |home: &Path| {
        on_path(home);
        let work = home.join("work");
        let example = |name: &str| Path::new(ROOT).join("examples").join(name);
        fs::copy(example("rendered.yaml"), work.join("chart.yaml")).expect("a chart");
        fs::copy(example("expectations.yaml"), work.join("expectations.yaml")).expect("assertions");
        let filter = "vcluster-netpol < chart.yaml > rendered.yaml";
        let mut shell = Command::new("sh");
        shell.args(["-euc", filter]).current_dir(&work);
        done(shell.env(
            "PATH",
            format!("{}:/usr/bin:/bin", home.join("bin").display()),
        ));
    };
    assert_eq!(run("do-i-need-this.md", ALL[0], with_chart), 1);
    assert_eq!(run("explain.md", ALL[0], with_chart), 6);
    assert_eq!(run("check.md", ALL[0], with_chart), 5);
    assert_eq!(run("lint.md", ALL[0], on_path), 3);
    assert_eq!(run("audit.md", ALL[0], with_chart), 2);
    assert_eq!(run("hardening.md", ALL[0], with_chart), 4);
    assert_eq!(run("config.md", ALL[0], on_path), 1);
    assert_eq!(run("list.md", ALL[0], with_chart), 2);
    assert_eq!(run("cluster-policies.md", ALL[0], with_chart), 1);
    assert_eq!(run("vcluster-cli.md", ALL[0], with_chart), 2);
}

/// docs/integrations.md says that kubectl ignores functions: change it if kubectl runs them.
fn kubectl_ignores_a_function_without_a_warning() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/integrations.md")).expect("a page");
    for helm in ALL {
        let folder = tempfile::tempdir().expect("a folder");
        for block in blocks(&page) {
            if let Some(file) = block.words.strip_prefix("yaml file=") {
                fs::write(folder.path().join(file), block.text).expect("a file");
            }
        }
        symlink(FILTER, folder.path().join("vcluster-netpol")).expect("a link");
        let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  namespace: b\n  \
                       labels: {app: vcluster, release: a}\n";
        fs::write(folder.path().join("rendered.yaml"), service).expect("a file");
        let words = ["kustomize", "--enable-alpha-plugins", "."];
        let mut command = kubectl(helm, words);
        let printed = Run::of(command.current_dir(folder.path()), "").printed();
        assert!(!printed.contains("NetworkPolicy"), "{helm}: {printed}");
        let refused = kubectl(helm, ["kustomize", "--enable-exec", "."])
            .output()
            .expect("it starts");
        assert!(!refused.status.success(), "{helm} knows --enable-exec");
    }
}

/// The README shows what the first of its two commands prints, and a picture of the policies.
fn readme_shows_what_the_filter_prints() {
    let printed = of_the_example(&[]);
    let page = fs::read_to_string(Path::new(ROOT).join("README.md")).expect("a page");
    let shown = blocks(&page)
        .into_iter()
        .find(|block| block.text.starts_with("---\n"))
        .expect("a block with the first lines");
    assert!(
        fits(&shown.text, &printed),
        "README.md shows:\n{}\nand it is:\n{printed}",
        shown.text
    );
}

/// With UPDATE=1 the picture is written again.
fn picture_is_what_explain_prints() {
    let printed = of_the_example(&["explain", "--output", "svg"]);
    let picture = Path::new(ROOT).join("docs/example.svg");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&picture, &printed).expect("a picture");
    }
    assert!(
        fs::read_to_string(&picture).is_ok_and(|committed| committed == printed),
        "docs/example.svg is out of date: UPDATE=1 cargo test picture_is_what_explain_prints"
    );
}

/// What the program prints for examples/rendered.yaml.
fn of_the_example(words: &[&str]) -> String {
    let example = fs::read_to_string(Path::new(ROOT).join("examples/rendered.yaml"));
    let mut command = Command::new(FILTER);
    Run::of(
        command.args(words).env_clear(),
        &example.expect("an example"),
    )
    .printed()
}

/// The anchor that GitHub gives a heading: its letters, digits and hyphens, spaces as hyphens.
fn anchor(heading: &str) -> String {
    heading
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            _ if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

/// The anchors of a page: its headings outside of code blocks.
fn anchors(page: &str) -> Vec<String> {
    let mut in_code = false;
    let mut anchors = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code && line.starts_with('#') {
            anchors.push(anchor(line.trim_start_matches('#').trim()));
        }
    }
    anchors
}

/// Every link of a page leads to a file, and to a heading if it names one.
fn links_lead_to_files() {
    let pages_of = |folder: &str| {
        fs::read_dir(Path::new(ROOT).join(folder))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|e| e == "md"))
    };
    for page in pages_of("docs").chain(pages_of(".")) {
        let text = fs::read_to_string(&page).expect("a page");
        for (link, _) in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
        {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                page.clone()
            } else {
                page.parent().expect("a folder").join(file)
            };
            assert!(target.exists(), "{}: {link}", page.display());
            if !heading.is_empty() {
                let text = fs::read_to_string(&target).expect("a page");
                assert!(
                    anchors(&text).iter().any(|anchor| anchor == heading),
                    "{}: {link}",
                    page.display()
                );
            }
        }
    }
}

crate::registry::tests! {
    fast: [
        links_lead_to_files,
    ],
    slow: [
        install,
        argocd,
        integrations,
        check_and_explain,
        kubectl_ignores_a_function_without_a_warning,
        readme_shows_what_the_filter_prints,
        picture_is_what_explain_prints,
    ],
}
