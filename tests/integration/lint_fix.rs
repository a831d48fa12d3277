//! What must be true of every text that `lint --fix` writes: tried on the texts of all cases of
//! lint.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::shared::Output;

/// The values and configs of the cases.
fn texts() -> Vec<(PathBuf, String)> {
    let mut texts = Vec::new();
    let mut folders = vec![Path::new(crate::cases::FOLDER).join("lint")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "yaml" || e == "json")
                && let Ok(text) = fs::read_to_string(&path)
            {
                texts.push((path, text));
            }
        }
    }
    assert!(texts.len() > 60, "{}", texts.len());
    texts
}

fn lint(args: &[&str]) -> Output {
    crate::support::shared::filter(b"", &[&["lint"], args].concat(), &[])
}

fn comments(text: &str) -> usize {
    text.lines().filter(|line| line.contains('#')).count()
}

/// A second run finds nothing to do, comments and line breaks stay, and a patch writes nothing.
fn what_is_fixed_stays_fixed() {
    let folder = tempfile::tempdir().unwrap();
    let mut changed = 0;
    for (from, text) in texts() {
        let file = folder.path().join("values.yaml");
        fs::write(&file, &text).unwrap();
        let file = file.to_str().unwrap();
        let shown = from.display();
        let read = || fs::read_to_string(file).unwrap();
        let patch = lint(&[file, "--edition", "0.31", "--diff"]);
        assert_eq!(read(), text, "{shown}: --diff has written");
        lint(&[file, "--edition", "0.31", "--fix"]);
        let fixed = read();
        assert_eq!(fixed == text, patch.stdout.is_empty(), "{shown}");
        assert_eq!(patch.code, Some(i32::from(fixed != text)), "{shown}");
        changed += usize::from(fixed != text);
        let again = lint(&[file, "--edition", "0.31", "--fix"]);
        assert_eq!(read(), fixed, "{shown}: {}", again.stderr);
        assert!(
            !again.stderr.contains("fixed:"),
            "{shown}: {}",
            again.stderr
        );
        assert_eq!(comments(&fixed), comments(&text), "{shown}");
    }
    assert!(changed > 25, "{changed}");
}

crate::registry::tests! {
    fast: [what_is_fixed_stays_fixed],
}
