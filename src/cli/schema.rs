//! The command `schema`: the JSON Schema of the config, for editors.

use anyhow::Context as _;
use clap::Args as ClapArgs;

use super::Exit;
use super::pipe;
use crate::json_schema::{Form, schema};

/// Prints the JSON Schema of the config.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Args {
    /// What the schema is for
    #[arg(
        long = "for",
        value_enum,
        value_name = "FORM",
        default_value = "config"
    )]
    form: Form,
}

/// Prints it.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut text = serde_json::to_string_pretty(&schema(args.form))?;
    text.push('\n');
    pipe::print(text.as_bytes()).context("can't write standard output")?;
    Ok(Exit::Done)
}
