//! The values of the vCluster chart beyond the network-policy config, as typed answers.
//!
//! Values can be incomplete: a file that a user wrote has only what differs from the chart's
//! defaults. So each question here names the default.

use serde_json::Value;

/// All values of a virtual cluster, where they are known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Values<'a> {
    root: Option<&'a Value>,
}

impl<'a> Values<'a> {
    /// The values below a root.
    #[must_use]
    pub fn new(root: Option<&'a Value>) -> Self {
        Self { root }
    }

    /// The values themselves, where they are known.
    #[must_use]
    pub fn root(self) -> Option<&'a Value> {
        self.root
    }

    /// Whether any values are known: a config alone does not say what else is set.
    #[must_use]
    pub fn are_known(self) -> bool {
        self.root.is_some()
    }

    /// The value at a path of keys (`controlPlane.ingress.enabled`).
    #[must_use]
    pub fn get(self, path: &str) -> Option<&'a Value> {
        let mut keys = path.split('.');
        let value = keys.try_fold(self.root?, |value, key| value.get(key))?;
        Some(value).filter(|value| !value.is_null())
    }

    /// Whether a switch is on. `auto` and everything that is no boolean count as off.
    #[must_use]
    pub fn is_on(self, path: &str) -> bool {
        self.get(path).and_then(Value::as_bool) == Some(true)
    }

    /// Whether a switch is on that the chart has on by default.
    #[must_use]
    pub fn is_on_by_default(self, path: &str) -> bool {
        self.get(path).and_then(Value::as_bool) != Some(false)
    }

    /// A text that is not empty.
    #[must_use]
    pub fn text(self, path: &str) -> Option<&'a str> {
        self.get(path)?.as_str().filter(|text| !text.is_empty())
    }

    /// The items of a list.
    pub fn items(self, path: &str) -> impl Iterator<Item = Values<'a>> {
        let items = self.get(path).and_then(Value::as_array);
        items
            .into_iter()
            .flatten()
            .map(|item| Self { root: Some(item) })
    }

    /// The keys of a mapping, with their values.
    pub fn entries(self, path: &str) -> impl Iterator<Item = (&'a str, Values<'a>)> {
        let entries = self.get(path).and_then(Value::as_object);
        let entries = entries.into_iter().flatten();
        entries.map(|(key, value)| (key.as_str(), Self { root: Some(value) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_missing_has_the_default() {
        let json =
            json!({"a": {"on": true, "auto": "auto", "off": false, "null": null, "text": ""}});
        let values = Values::new(Some(&json));
        assert!(values.is_on("a.on") && values.is_on_by_default("a.on"));
        assert!(!values.is_on("a.auto") && values.is_on_by_default("a.auto"));
        assert!(!values.is_on("a.off") && !values.is_on_by_default("a.off"));
        assert!(values.get("a.null").is_none() && values.text("a.text").is_none());
        assert!(!values.is_on("a.on.deeper") && values.items("a").next().is_none());
        assert!(!Values::default().is_on("a.on"));
    }
}
