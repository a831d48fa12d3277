//! Small streams that break careless post-renderers, each with a note on what must come out.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::registry::{ClusterSummary, Group, Tier};
use crate::support::shared::{
    Identity, Name, Output, body, chunks, files, filter, idempotent, is_separator, same, shared,
    stem,
};

/// One stream and what must come of it.
struct Case {
    name: String,
    input: Vec<u8>,
    note: String,
}

/// One test for each shared stream, and one for each bomb.
pub(crate) fn trials() -> Vec<Trial> {
    let group = |name| Group {
        tier: Tier::Slow,
        module: module_path!(),
        name,
    };
    let streams = group("every_stream_comes_out_as_its_note_says");
    let streams = streams.trials(streams_of_the_folder(), |case| case.name.clone(), judge);
    let bombs_in_all_places = group("what_grows_beyond_measure_ends_every_command_in_time");
    let bombs = bombs_in_all_places.trials(
        Ok(bombs()),
        |(name, _)| name.replace(' ', "-"),
        |(_, value)| bomb(value),
    );
    streams.into_iter().chain(bombs).collect()
}

fn streams_of_the_folder() -> ClusterSummary<Case> {
    let folder = shared("torture")?;
    let case = |path: PathBuf| Case {
        name: stem(&path),
        note: fs::read_to_string(path.with_extension("note"))
            .unwrap_or_else(|error| panic!("no note for {}: {error}", path.display())),
        input: fs::read(path).expect("a stream"),
    };
    Ok(files(&folder, "yaml").into_iter().map(case).collect())
}

/// Lists and mappings that grow with each level: a name, the lowest level, each other one (`N` is
/// the number of the level below), and how many there are.
const TOWERS: [(&str, &str, &str, usize); 9] = [
    (
        "lists of aliases",
        "[x, x, x, x]",
        "[*aN, *aN, *aN, *aN]",
        16,
    ),
    (
        "mappings of aliases",
        "{k: v}",
        "{a: *aN, b: *aN, c: *aN}",
        20,
    ),
    ("aliases as keys", "k", "{? [*aN, *aN, *aN] : v}", 20),
    ("merges of lists", "{k: v}", "{<<: [*aN, *aN, *aN]}", 20),
    (
        "merges of merges",
        "{k: v}",
        "{<<: *aN, <<: *aN, <<: *aN}",
        20,
    ),
    (
        "merges beside aliases",
        "{k: v}",
        "{<<: [*aN, *aN], l: *aN}",
        20,
    ),
    ("a chain of merges", "{k: v}", "{<<: *aN}", 24_500),
    ("a chain of lists", "[k]", "[*aN]", 24_500),
    ("a chain of values", "{k: v}", "{k: *aN}", 24_500),
];

/// One of [`TOWERS`], in YAML.
fn tower(base: &str, level: &str, height: usize) -> String {
    let level = |i: usize| format!("&a{} {}", i + 1, level.replace('N', &i.to_string()));
    let levels: Vec<String> = (0..height).map(level).collect();
    format!("- &a0 {base}\n- {}\n", levels.join("\n- "))
}

/// Values that are small as text, and huge, deep or slow to a reader that follows aliases and merge keys.
fn bombs() -> Vec<(&'static str, String)> {
    let long_text = "x".repeat(9000);
    let aliases = "*a0, ".repeat(9000);
    let others = [
        (
            "one long text many times",
            format!("- &a0 \"{long_text}\"\n- [{aliases}]\n"),
        ),
        (
            "a text that doubles",
            tower(&"x".repeat(500), "[*aN, *aN]", 24),
        ),
        ("brackets", format!("- {}\n", "[".repeat(100_000))),
        ("braces", format!("- {}\n", "{a: ".repeat(100_000))),
        ("dashes", format!("- {}\n", "- ".repeat(100_000))),
        ("an anchor in itself", "- &a0 {k: [*a0]}\n".to_owned()),
    ];
    let towers = TOWERS.map(|(name, base, level, height)| (name, tower(base, level, height)));
    towers.into_iter().chain(others).collect()
}

/// Runs a command with a text as its input; an error where it takes long or crashes.
fn within_seconds(
    words: &[&str],
    folder: &std::path::Path,
    input: &str,
) -> Result<Option<i32>, String> {
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_vcluster-netpol"))
        .args(words)
        .current_dir(folder)
        .env("PATH", folder)
        .env("ARGOCD_APP_NAME", "a")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A command that does not read its input may end before.
    drop(stdin.write_all(input.as_bytes()));
    drop(stdin);
    loop {
        if let Some(status) = child.try_wait().expect("it can be asked") {
            return match status.code() {
                Some(0..=3) => Ok(status.code()),
                code => Err(format!("{words:?} crashes: {code:?}, {status}")),
            };
        }
        if start.elapsed() > Duration::from_secs(20) {
            child.kill().expect("it can be stopped");
            child.wait().expect("it ends");
            return Err(format!("{words:?} takes longer than 20 seconds"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One bomb in all the places that are read: it ends the command with an error where the document
/// is one of ours, and is passed where it is not.
fn bomb(value: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let indented = value.replace('\n', "\n  ");
    let object = |head: &str| format!("x-bomb:\n  {}\n{head}", indented.trim_end());
    let secret = object("apiVersion: v1\nkind: Secret\nmetadata: {name: vc-config-a}\n");
    let policy = object(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: vc-work-a}\n",
    );
    let hook = object("kind: Pod\nmetadata: {name: p, annotations: {helm.sh/hook: test}}\n");
    let other = object(
        "kind: ConfigMap\nmetadata: {name: c, annotations: \
         {postrenderer.helm.sh/postrender-filename: a/b}}\n",
    );
    let list = object("kind: ResourceList\nitems: []\n");
    let write = |name: &str, text: &str| fs::write(path.join(name), text).expect("a file");
    write("policy.yaml", &policy);
    write("secret.yaml", &secret);
    write("config.yaml", &object("enabled: true\n"));
    write("Chart.yaml", &object("name: a\nversion: 1.0.0\n"));
    let expect = |words: &[&str], input: &str, code: Option<i32>| {
        let got = within_seconds(words, path, input)?;
        match code {
            Some(_) if got != code => Err(format!("{words:?} ends with {got:?}, not {code:?}")),
            _ => Ok(()),
        }
    };
    expect(&[], &secret, Some(1))?;
    expect(&[], &policy, Some(1))?;
    expect(&[], &hook, Some(0))?;
    expect(&[], &other, Some(0))?;
    expect(&[], &list, Some(1))?;
    expect(&["--config", "config.yaml"], "kind: Pod\n", Some(1))?;
    expect(&["lint", "policy.yaml"], "", Some(1))?;
    expect(&["lint", "--config", "config.yaml"], "", Some(1))?;
    let question = ["--from", "pod:a=b", "--to", "10.0.0.1:443"];
    expect(
        &[&["check", "--policies", "policy.yaml"], &question[..]].concat(),
        "",
        Some(1),
    )?;
    expect(&["explain", "policy.yaml"], "", None)?;
    expect(&["explain", "config.yaml"], "", None)?;
    expect(&["diff", "policy.yaml", "policy.yaml"], "", None)?;
    expect(&["migrate", "config.yaml"], "", Some(1))?;
    expect(&["argocd", "generate"], "", None)
}

fn a_document_that_is_too_large_is_an_error_where_it_is_ours() {
    let folder = tempfile::tempdir().expect("a folder");
    let large = format!("x: \"{}\"\n", " ".repeat(17 * 1024 * 1024));
    let run = |words: &[&str], stream: &str| within_seconds(words, folder.path(), stream);
    let ours = "kind: Secret\nmetadata: {name: vc-config-a}\n";
    assert_eq!(run(&[], &format!("{ours}{large}")), Ok(Some(1)));
    let other = "kind: ConfigMap\nmetadata: {name: a}\n";
    assert_eq!(run(&[], &format!("{other}{large}")), Ok(Some(0)));
    let list = format!(
        "{{\"kind\": \"List\", \"items\": [],\n\"x\": \"{}\"}}",
        &large[4..]
    );
    assert_eq!(run(&[], &list), Ok(Some(1)));
    assert_eq!(run(&["migrate"], &large), Ok(Some(1)));
}

fn judge(case: &Case) -> Result<(), String> {
    let first = case.note.lines().next().unwrap_or("");
    let expected = first.strip_prefix("expect: ").unwrap_or("");
    let output = filter(&case.input, &[], &[]);
    let refused = output.code != Some(0);
    if case.note.contains("warning on stderr") && !output.stderr.contains("warning") {
        return Err(format!("no warning on stderr: {:?}", output.stderr));
    }
    match expected {
        "error" => return error(&case.input, &output),
        "pass-or-error" if refused => return error(&case.input, &output),
        _ if refused => return Err(format!("exit {:?}: {}", output.code, output.stderr)),
        "pass" | "pass-or-error" => same("the output", &output.stdout, &case.input)?,
        "inject" => inject(&case.input, &output.stdout)?,
        "replace" => replace(&case.input, &output.stdout)?,
        _ => return Err(format!("a note that nobody understands: {first:?}")),
    }
    idempotent(&output.stdout, &[], &[])
}

/// An error: said in words, nothing on stdout, and no word of the Secret.
fn error(input: &[u8], output: &Output) -> Result<(), String> {
    if !matches!(output.code, Some(1 | 2)) {
        return Err(format!("must be refused, ends with {:?}", output.code));
    }
    same("stdout", &output.stdout, b"")?;
    if !output.stderr.contains("error") {
        return Err(format!("says no error: {:?}", output.stderr));
    }
    for line in String::from_utf8_lossy(input).lines() {
        if let Some(value) = line.trim().strip_prefix("config.yaml: ") {
            let value = value.trim_matches(['"', '\'']);
            if !value.is_empty() && output.stderr.contains(value) {
                return Err(format!("shows what the Secret holds: {}", output.stderr));
            }
        }
    }
    Ok(())
}

/// A virtual cluster, or one of its policies: where it lives, and its name.
type Named = (Option<String>, String);

/// The virtual clusters of a stream, by their Secrets.
fn releases(stream: &[u8]) -> Vec<Named> {
    documents(stream)
        .into_iter()
        .filter_map(Identity::of)
        .filter(|identity| identity.kind == "Secret")
        .filter_map(|secret| {
            let release = secret.metadata.name.strip_prefix("vc-config-")?.to_owned();
            Some((secret.metadata.namespace, release))
        })
        .collect()
}

/// The documents of a stream, also those that end with `...` and not with the next one's `---`.
fn documents(stream: &[u8]) -> Vec<&[u8]> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut documents = Vec::new();
    for chunk in chunks(stream) {
        let mut from = 0;
        let mut at = 0;
        for line in chunk.split_inclusive(|byte| *byte == b'\n') {
            at += line.len();
            if line.trim_ascii_end() == b"..." {
                documents.push(&chunk[from..at]);
                from = at;
            }
        }
        documents.push(&chunk[from..]);
    }
    documents
}

/// The name of a document that is one of our policies.
fn our_policy(document: &[u8], releases: &[Named]) -> Option<Named> {
    let it = Identity::of(document).filter(Identity::is_policy)?;
    let Name { name, namespace } = it.metadata;
    let release = name
        .strip_prefix("vc-work-")
        .or(name.strip_prefix("vc-cp-"))?;
    releases
        .iter()
        .any(|(home, known)| *known == *release && *home == namespace)
        .then_some((namespace, name))
}

/// Every virtual cluster has its two policies, each once.
fn complete(output: &[u8], releases: &[Named]) -> Result<(), String> {
    let mut got: Vec<Named> = documents(output)
        .into_iter()
        .filter_map(|document| our_policy(document, releases))
        .collect();
    let mut want: Vec<Named> = releases
        .iter()
        .flat_map(|(namespace, release)| {
            ["vc-work", "vc-cp"].map(|what| (namespace.clone(), format!("{what}-{release}")))
        })
        .collect();
    got.sort();
    want.sort();
    if want.is_empty() || got != want {
        return Err(format!("holds the policies {got:?}, not {want:?}"));
    }
    Ok(())
}

/// All bytes of the input are there, in one piece before and one piece behind the two policies.
fn inject(input: &[u8], output: &[u8]) -> Result<(), String> {
    let releases = releases(input);
    complete(output, &releases)?;
    let before = input.iter().zip(output).take_while(|(i, o)| i == o).count();
    let behind = input
        .iter()
        .rev()
        .zip(output.iter().rev())
        .take_while(|(i, o)| i == o)
        .count();
    // Where the new text begins or ends like the old, it can be cut out in more than one way.
    let possible = input.len().saturating_sub(behind)..=before;
    let well = possible.into_iter().any(|cut| {
        let middle = &output[cut..output.len() - (input.len() - cut)];
        is_insertion(&input[..cut], middle, &input[cut..], &releases)
    });
    if well {
        return Ok(());
    }
    same("beside two inserted documents, the output", output, input)
}

/// Whether what stands between two pieces of a stream is nothing but our two policies, and takes
/// nothing from the documents before and behind.
fn is_insertion(before: &[u8], middle: &[u8], behind: &[u8], releases: &[Named]) -> bool {
    // Only what ends without a newline may be given one.
    let open = !before.is_empty() && !before.ends_with(b"\n") && before != b"\xef\xbb\xbf";
    let inserted = if open {
        let Some(rest) = middle.strip_prefix(b"\r\n").or(middle.strip_prefix(b"\n")) else {
            return false;
        };
        rest
    } else {
        middle
    };
    let starts_apart = is_separator(inserted) || stands_alone(before);
    let ends_apart = behind.is_empty()
        || is_separator(behind)
        || inserted
            .split_inclusive(|byte| *byte == b'\n')
            .next_back()
            .is_some_and(|line| matches!(line.trim_ascii_end(), b"---" | b"..."));
    let filled: Vec<&[u8]> = documents(inserted)
        .into_iter()
        .filter(|document| !matches!(document.trim_ascii(), b"" | b"---" | b"..."))
        .collect();
    starts_apart
        && ends_apart
        && filled.len() == 2
        && filled
            .iter()
            .all(|document| our_policy(document, releases).is_some())
}

/// Whether what follows this text begins a document without a marker of its own.
fn stands_alone(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    text.is_empty()
        || text
            .split_inclusive(|byte| *byte == b'\n')
            .next_back()
            .is_some_and(|line| matches!(line.trim_ascii_end(), b"---" | b"..."))
}

/// Only our own policies changed; those that were there are where they were.
fn replace(input: &[u8], output: &[u8]) -> Result<(), String> {
    let releases = releases(input);
    complete(output, &releases)?;
    let (kept, old) = parted(input, &releases);
    let (left, new) = parted(output, &releases);
    same(
        "all but our policies",
        &left.join(&b"---\n"[..]),
        &kept.join(&b"---\n"[..]),
    )?;
    for (name, place) in old {
        if !new.contains(&(name.clone(), place)) {
            return Err(format!("{} has left its place", name.1));
        }
    }
    Ok(())
}

/// The documents that are not ours, and for each of ours how many of the others stand before it.
fn parted<'a>(stream: &'a [u8], releases: &[Named]) -> (Vec<&'a [u8]>, Vec<(Named, usize)>) {
    let mut others = Vec::new();
    let mut ours = Vec::new();
    for chunk in chunks(stream) {
        match our_policy(chunk, releases) {
            Some(name) => ours.push((name, others.len())),
            None if body(chunk).trim_ascii().is_empty() => {}
            None => others.push(body(chunk)),
        }
    }
    (others, ours)
}

crate::registry::tests! {
    slow: [
        a_document_that_is_too_large_is_an_error_where_it_is_ours,
    ],
}
