//! Small streams that break careless post-renderers, each with a note on what must come out.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by stopping"
)]

#[path = "support/cases.rs"]
mod cases;

use std::fs;

use cases::{
    Identity, Name, Output, body, chunks, filter, idempotent, is_separator, judge_all, same, shared,
};

/// One stream and what must come of it.
struct Case {
    name: String,
    input: Vec<u8>,
    note: String,
}

#[test]
fn every_stream_comes_out_as_its_note_says() {
    let Some(folder) = shared("torture") else {
        return;
    };
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let note = fs::read_to_string(path.with_extension("note"));
            cases.push(Case {
                name: path.file_stem().expect("a name").display().to_string(),
                note: note
                    .unwrap_or_else(|error| panic!("no note for {}: {error}", path.display())),
                input: fs::read(path).expect("a stream"),
            });
        }
    }
    judge_all(&cases, |case| case.name.clone(), judge);
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
