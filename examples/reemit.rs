//! What the filter is measured against: every document of the stream on stdin is parsed with
//! serde_yaml and written again. That is how a post-renderer is written first, and it loses
//! comments, quotes, anchors and, here and there, a value.

use std::io::{self, Read as _, Write as _};

use serde::Deserialize as _;

fn main() -> anyhow::Result<()> {
    let mut input = String::new();
    io::stdin().read_to_string(&mut input)?;
    let mut output = String::with_capacity(input.len());
    for document in serde_yaml::Deserializer::from_str(&input) {
        let value = serde_yaml::Value::deserialize(document)?;
        output.push_str("---\n");
        output.push_str(&serde_yaml::to_string(&value)?);
    }
    io::stdout().write_all(output.as_bytes())?;
    Ok(())
}
