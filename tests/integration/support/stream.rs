//! What Helm printed, document by document.

use serde_yaml::Value;

/// One document of a stream.
pub(crate) struct Document {
    /// What stands behind `# Source: ` in its first line.
    pub(crate) source: Option<String>,
    /// Its bytes, without the line that separates it from the one before.
    pub(crate) text: String,
    /// What they mean; null for a document that holds no object.
    pub(crate) value: Value,
}

impl Document {
    pub(crate) fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or("")
    }

    pub(crate) fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or("")
    }

    /// Whether it is a network policy, by whomever.
    pub(crate) fn is_policy(&self) -> bool {
        self.kind() == "NetworkPolicy"
    }
}

/// Cuts a stream at its `---` lines. Helm's own output has no other kind of separator.
pub(crate) fn documents(stream: &str) -> Vec<Document> {
    let mut texts: Vec<String> = Vec::new();
    for line in stream.split_inclusive('\n') {
        match texts.last_mut() {
            Some(_) | None if line == "---\n" => texts.push(String::new()),
            Some(text) => text.push_str(line),
            None => texts.push(line.to_owned()),
        }
    }
    texts
        .into_iter()
        .filter(|text| !text.trim().is_empty())
        .map(|text| {
            let first = text.lines().next().unwrap_or("");
            let source = first.strip_prefix("# Source: ").map(str::to_owned);
            let value = serde_yaml::from_str(&text)
                .unwrap_or_else(|error| panic!("no YAML ({error}):\n{text}"));
            Document {
                source,
                text,
                value,
            }
        })
        .collect()
}
