//! `lint --fix` and `lint --diff`: suggestions written into the files that are checked, or shown as
//! a patch.

use anyhow::Context as _;

use super::file::{Ready, Target};
use super::input::Input;
use super::pipe;
use crate::fix;
use crate::text_diff;
use manifest::diagnostic::{Diagnostics, Suggestion};
use manifest::documents;
use manifest::escape;

/// How often a text is checked and changed. An error hides the warnings of a config, so the second
/// round finds more than the first.
const MAX_ROUNDS: usize = 4;

/// What is done with the new texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// They are written.
    Write,
    /// They are shown as a patch.
    Show,
}

/// A file with its new text.
struct Fixed<'i> {
    input: &'i Input,
    text: String,
    done: Vec<Suggestion>,
}

/// Changes the configs among the inputs. `check` says what is wrong with one. Returns the inputs as
/// they are then, and how many changes there are.
pub(super) fn fix(
    inputs: Vec<Input>,
    mode: Mode,
    check: impl Fn(&Input) -> Diagnostics,
) -> anyhow::Result<(Vec<Input>, usize)> {
    let fixed: Vec<Fixed<'_>> = inputs
        .iter()
        .filter_map(|input| fixed(input, &check))
        .collect();
    match mode {
        Mode::Write => write(&fixed)?,
        Mode::Show => show(&fixed)?,
    }
    let changes = fixed.iter().map(|file| file.done.len()).sum();
    for file in &fixed {
        let name = file.input.name();
        for suggestion in &file.done {
            let verb = if mode == Mode::Write {
                "fixed"
            } else {
                "to fix"
            };
            let line = format!("{verb}: {name}: {}", suggestion.in_one_line());
            super::log(escape::terminal(&line));
        }
    }
    let new: Vec<Option<Input>> = inputs
        .iter()
        .map(|input| {
            let file = fixed.iter().find(|file| std::ptr::eq(file.input, input))?;
            Some(Input::of(
                input.source.clone(),
                file.text.clone().into_bytes(),
            ))
        })
        .collect();
    drop(fixed);
    let new = inputs.into_iter().zip(new);
    Ok((new.map(|(old, new)| new.unwrap_or(old)).collect(), changes))
}

/// The new text of an input; `None` where nothing can be changed.
fn fixed<'i>(input: &'i Input, check: &impl Fn(&Input) -> Diagnostics) -> Option<Fixed<'i>> {
    let mut text = std::str::from_utf8(&input.bytes).ok()?.to_owned();
    // The lines around a change, which a patch shows, may be those of a Secret beside it.
    if text.contains("Secret") && documents::split(text.as_bytes()).nth(1).is_some() {
        return None;
    }
    let name = input.name();
    let mut done = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let current = Input::of(input.source.clone(), text.clone().into_bytes());
        let found = check(&current);
        // A part is a text inside the file, with paths of its own.
        let here = found.iter().filter(|problem| {
            problem.place.file.as_ref() == Some(&name) && problem.place.part.is_none()
        });
        let suggestions: Vec<fix::Placed> = here
            .filter_map(|problem| {
                let line = problem.place.position.map(|position| position.line);
                Some((line, problem.suggestion.as_deref()?.clone()))
            })
            .collect();
        let result = fix::apply(&text, &suggestions);
        if result.done.is_empty() {
            break;
        }
        text = result.text;
        done.extend(result.done);
    }
    if done.is_empty() {
        return None;
    }
    Some(Fixed { input, text, done })
}

/// Writes the new texts. All of them are on the disk before one file is replaced.
fn write(fixed: &[Fixed<'_>]) -> anyhow::Result<()> {
    let mut prepared: Vec<Ready> = Vec::new();
    for file in fixed {
        let path = file
            .input
            .source
            .path()
            .context("standard input can't be written")?;
        let target = Target::existing(path)?;
        anyhow::ensure!(
            file.input.source.bytes()? == file.input.bytes,
            "{} is not UTF-8, or has changed while it was checked",
            file.input.name()
        );
        prepared.push(target.prepare(file.text.as_bytes())?);
    }
    prepared.into_iter().try_for_each(Ready::put)
}

/// Prints the changes as a patch.
fn show(fixed: &[Fixed<'_>]) -> anyhow::Result<()> {
    let mut patch = String::new();
    for file in fixed {
        let old = std::str::from_utf8(&file.input.bytes).unwrap_or_default();
        patch += &text_diff::unified(&file.input.name(), old, &file.text);
    }
    pipe::answer(patch.as_bytes()).context("can't write the patch")
}
