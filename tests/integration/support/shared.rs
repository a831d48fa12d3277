//! Cases that lie in a folder beside the repository: where they are, the filter run on them, and
//! what they have in common with each other's judgement.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::registry::LeftOut;

/// A folder of shared cases: below `VCLUSTER_NETPOL_SHARED`, else below `../shared` as seen from
/// the crate. A checkout that has none beside it leaves these cases out, and says so.
pub(crate) fn shared(name: &str) -> Result<PathBuf, LeftOut> {
    let folder = root().join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(LeftOut(format!(
        "LEFT OUT: the shared cases in {} are not there (VCLUSTER_NETPOL_SHARED names their folder)",
        folder.display()
    )))
}

/// The folder of all shared cases, whether or not it is there.
pub(crate) fn root() -> PathBuf {
    std::env::var_os("VCLUSTER_NETPOL_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")),
        PathBuf::from,
    )
}

/// The files of a folder that have an extension, in order.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    paths.sort();
    paths
}

/// The name of a file without its extension.
pub(crate) fn stem(path: &Path) -> String {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    stem.expect("a name in UTF-8").to_owned()
}

/// What the filter left behind.
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// Runs the filter on a stream, with arguments and with nothing but these variables.
pub(crate) fn filter(input: &[u8], args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vcluster-netpol"))
        .args(args)
        .env_clear()
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the filter starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let output = thread::scope(|scope| {
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("an end")
    });
    Output {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Judges all cases, and says what is wrong in any of them.
pub(crate) fn judge_all<C>(
    cases: &[C],
    name: impl Fn(&C) -> String,
    judge: impl Fn(&C) -> Result<(), String>,
) -> Result<(), String> {
    if cases.is_empty() {
        return Err("there is a folder, but no case in it".to_owned());
    }
    let mut wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            judge(case)
                .err()
                .map(|what| format!("{}: {what}", name(case)))
        })
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let count = wrong.len();
    wrong.truncate(25);
    Err(format!(
        "{count} of {} cases are wrong, the first of them:\n\n{}\n",
        cases.len(),
        wrong.join("\n\n")
    ))
}

/// Holds a second run over the filter's own output against the first.
pub(crate) fn idempotent(output: &[u8], args: &[&str], env: &[(&str, &str)]) -> Result<(), String> {
    let second = filter(output, args, env);
    if second.code != Some(0) {
        return Err(format!(
            "a second run ends with {:?}: {}",
            second.code, second.stderr
        ));
    }
    same("a second run", &second.stdout, output)
}

/// Says where two byte strings part, with what stands there.
pub(crate) fn same(what: &str, got: &[u8], want: &[u8]) -> Result<(), String> {
    if got == want {
        return Ok(());
    }
    let at = got.iter().zip(want).take_while(|(g, w)| g == w).count();
    let around = |bytes: &[u8]| {
        let from = at.saturating_sub(40);
        let to = bytes.len().min(at + 80);
        let cut = bytes.get(from..to).unwrap_or_default();
        format!("{:?}", String::from_utf8_lossy(cut))
    };
    Err(format!(
        "{what} differs from byte {at} on ({} bytes for {}):\n  got  {}\n  want {}",
        got.len(),
        want.len(),
        around(got),
        around(want)
    ))
}

/// Cuts a stream at its `---` lines; every chunk begins with its own, and all together are the
/// stream again.
pub(crate) fn chunks(stream: &[u8]) -> Vec<&[u8]> {
    let mut cuts = vec![0];
    let mut at = 0;
    for line in stream.split_inclusive(|byte| *byte == b'\n') {
        if at > 0 && is_separator(line) {
            cuts.push(at);
        }
        at += line.len();
    }
    cuts.push(stream.len());
    cuts.windows(2)
        .map(|pair| stream.get(pair[0]..pair[1]).unwrap_or_default())
        .collect()
}

/// Whether a text begins with a document marker: `---`, and then white space or nothing.
pub(crate) fn is_separator(text: &[u8]) -> bool {
    text.strip_prefix(b"---")
        .is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// A chunk without the line that separates it from the one before.
pub(crate) fn body(chunk: &[u8]) -> &[u8] {
    if !is_separator(chunk) {
        return chunk;
    }
    let end = chunk.iter().position(|byte| *byte == b'\n');
    end.and_then(|end| chunk.get(end + 1..)).unwrap_or_default()
}

/// Who a document is, as far as it says so; its text in full, whatever type YAML would give it.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identity {
    #[serde(default)]
    pub(crate) api_version: String,
    #[serde(default)]
    pub(crate) kind: String,
    pub(crate) metadata: Name,
}

#[derive(serde::Deserialize)]
pub(crate) struct Name {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) namespace: Option<String>,
}

impl Identity {
    /// Reads it from a chunk; one that is no object has none.
    pub(crate) fn of(chunk: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(chunk).ok()?;
        serde_yaml::from_str(text).ok()
    }

    /// Whether it is a NetworkPolicy of Kubernetes itself.
    pub(crate) fn is_policy(&self) -> bool {
        self.kind == "NetworkPolicy" && self.api_version.starts_with("networking.k8s.io/")
    }
}
