//! An Argo CD application, as a config management plugin is told of it: by environment variables.
//!
//! From them comes the command line of `helm template` that Argo CD would use itself. Nothing here
//! runs a program or looks at a file.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// What Argo CD says of an application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Application {
    /// The Helm release: the parameter `release-name`, or the application's name.
    pub release: String,
    /// The namespace of the release: the parameter `namespace`, or the application's destination.
    pub namespace: Option<String>,
    /// The parameter `values-files`: files of the repository.
    pub values_files: Vec<String>,
    /// The parameter `values`: YAML.
    pub values: Option<String>,
    /// The parameter `set`: single values, by their paths.
    pub set: BTreeMap<String, String>,
    /// The parameter `config-files`: files for the filter's `--config`.
    pub config_files: Vec<String>,
    /// The parameter `skip-crds`.
    pub skip_crds: bool,
    /// The folder of the application, seen from the repository's root.
    pub source_path: String,
    kube_version: Option<String>,
    api_versions: Vec<String>,
}

/// One entry of `ARGOCD_APP_PARAMETERS`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Parameter {
    name: String,
    string: Option<String>,
    array: Option<Vec<String>>,
    map: Option<BTreeMap<String, String>>,
}

/// The parameters that the plugin announces.
const STRINGS: [&str; 4] = ["release-name", "namespace", "values", "skip-crds"];
const ARRAYS: [&str; 2] = ["values-files", "config-files"];
const MAPS: [&str; 1] = ["set"];

/// How the names of the variables begin that say something of an application.
const PREFIXES: [&str; 3] = ["ARGOCD_", "PARAM_", "KUBE_"];

impl Application {
    /// Reads the variables of the environment.
    ///
    /// # Errors
    /// As [`Application::of`], and when a variable that it could need is not UTF-8.
    pub fn in_environment(
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, String> {
        let mut known = BTreeMap::new();
        for (name, value) in variables {
            let Ok(name) = name.into_string() else {
                continue;
            };
            if !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            let value = value
                .into_string()
                .map_err(|_| format!("the variable {name} is not UTF-8"))?;
            known.insert(name, value);
        }
        Self::of(&known)
    }

    /// Reads the variables.
    ///
    /// # Errors
    /// With what is wrong and what to do, when a variable is missing or a parameter is not one of
    /// the plugin's.
    pub fn of(variables: &BTreeMap<String, String>) -> Result<Self, String> {
        let variable = |name: &str| variables.get(name).filter(|v| !v.is_empty()).cloned();
        let parameters = parameters(variables)?;
        let string = |name: &str| {
            parameters
                .iter()
                .find(|p| p.name == name)
                .and_then(|p| p.string.clone())
                .filter(|v| !v.is_empty())
                .or_else(|| variable(&format!("ARGOCD_ENV_{}", upper(name))))
        };
        let array = |name: &str| {
            parameters
                .iter()
                .find(|p| p.name == name)
                .and_then(|p| p.array.clone())
                .or_else(|| Some(listed(&variable(&format!("ARGOCD_ENV_{}", upper(name)))?)))
                .unwrap_or_default()
        };
        let release = string("release-name")
            .or_else(|| variable("ARGOCD_APP_NAME"))
            .ok_or(
                "ARGOCD_APP_NAME is not set: this command is for Argo CD's config management \
                 plugin; by hand use `vcluster-netpol exec -- helm template …`",
            )?;
        let skip_crds = match string("skip-crds").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                return Err(format!(
                    "the parameter skip-crds is {other:?}, and must be \"true\" or \"false\""
                ));
            }
        };
        Ok(Self {
            release,
            namespace: string("namespace").or_else(|| variable("ARGOCD_APP_NAMESPACE")),
            values_files: array("values-files"),
            values: string("values"),
            set: parameters
                .iter()
                .find(|p| p.name == "set")
                .and_then(|p| p.map.clone())
                .unwrap_or_default(),
            config_files: array("config-files"),
            skip_crds,
            source_path: variable("ARGOCD_APP_SOURCE_PATH").unwrap_or_default(),
            kube_version: variable("KUBE_VERSION"),
            api_versions: variable("KUBE_API_VERSIONS").map_or_else(Vec::new, |v| listed(&v)),
        })
    }

    /// The arguments of `helm` that render the chart in the current folder. `values_files` are
    /// those of the application, as paths that were found to lie in the repository; the values of
    /// the parameter `values` are read from stdin.
    #[must_use]
    pub fn template(&self, values_files: &[PathBuf]) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["template".into()];
        let option = |name: &str, value: &str| OsString::from(format!("--{name}={value}"));
        words.extend(self.namespace.iter().map(|n| option("namespace", n)));
        if !self.skip_crds {
            words.push("--include-crds".into());
        }
        words.extend(self.kube_version.iter().map(|v| option("kube-version", v)));
        words.extend(self.api_versions.iter().map(|v| option("api-versions", v)));
        for file in values_files {
            let mut word = OsString::from("--values=");
            word.push(file);
            words.push(word);
        }
        if self.values.is_some() {
            words.push("--values=-".into());
        }
        for (path, value) in &self.set {
            words.push(option("set", &format!("{path}={}", literal(value))));
        }
        // Behind the dashes nothing is an option, whatever it begins with.
        words.extend(["--", self.release.as_str(), "."].map(OsString::from));
        words
    }
}

/// All parameters, from the JSON of all of them, or else from one variable each.
fn parameters(variables: &BTreeMap<String, String>) -> Result<Vec<Parameter>, String> {
    let all = variables
        .get("ARGOCD_APP_PARAMETERS")
        .map(|text| text.trim())
        .filter(|text| !text.is_empty());
    let Some(text) = all else {
        return Ok(single_parameters(variables));
    };
    let found: Option<Vec<Parameter>> = serde_json::from_str(text)
        .map_err(|error| format!("ARGOCD_APP_PARAMETERS is not what Argo CD writes: {error}"))?;
    let found = found.unwrap_or_default();
    for parameter in &found {
        let name = parameter.name.as_str();
        let (kind, fits) = if STRINGS.contains(&name) {
            (
                "string",
                parameter.array.is_none() && parameter.map.is_none(),
            )
        } else if ARRAYS.contains(&name) {
            (
                "array",
                parameter.string.is_none() && parameter.map.is_none(),
            )
        } else if MAPS.contains(&name) {
            (
                "map",
                parameter.string.is_none() && parameter.array.is_none(),
            )
        } else {
            let known = [&STRINGS[..], &ARRAYS, &MAPS].concat().join(", ");
            return Err(format!(
                "the plugin has no parameter {name:?}; its parameters are {known}"
            ));
        };
        if !fits {
            return Err(format!(
                "the parameter {name} must be given as `{kind}:` in spec.source.plugin.parameters"
            ));
        }
    }
    Ok(found)
}

/// `PARAM_RELEASE_NAME`, `PARAM_VALUES_FILES_0` and so on. The keys of a map can't be told from
/// the names of variables, so there is no map among them.
fn single_parameters(variables: &BTreeMap<String, String>) -> Vec<Parameter> {
    let get = |name: &str| variables.get(name).filter(|v| !v.is_empty()).cloned();
    let strings = STRINGS.into_iter().filter_map(|name| {
        Some(Parameter {
            name: name.to_owned(),
            string: Some(get(&format!("PARAM_{}", upper(name)))?),
            ..Parameter::default()
        })
    });
    let arrays = ARRAYS.into_iter().filter_map(|name| {
        let item = |i: usize| get(&format!("PARAM_{}_{i}", upper(name)));
        let items: Vec<String> = (0..).map_while(item).collect();
        (!items.is_empty()).then(|| Parameter {
            name: name.to_owned(),
            array: Some(items),
            ..Parameter::default()
        })
    });
    strings.chain(arrays).collect()
}

fn upper(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

/// The items between commas.
fn listed(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A value for `--set`, in which a comma is one, unless the whole is a list in braces.
fn literal(value: &str) -> String {
    if value.starts_with('{') && value.ends_with('}') {
        return value.to_owned();
    }
    let mut text = String::new();
    let mut escaped = false;
    for c in value.chars() {
        if c == ',' && !escaped {
            text.push('\\');
        }
        escaped = c == '\\' && !escaped;
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(variables: &[(&str, &str)]) -> Result<Application, String> {
        let variables = variables
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Application::of(&variables)
    }

    #[test]
    fn an_application_alone_says_enough() {
        let app = application(&[
            ("ARGOCD_APP_NAME", "a"),
            ("ARGOCD_APP_NAMESPACE", "team-a"),
            ("KUBE_VERSION", "1.35"),
            ("KUBE_API_VERSIONS", "v1,apps/v1"),
            ("ARGOCD_APP_PARAMETERS", "null"),
        ])
        .unwrap();
        assert_eq!(
            app.template(&[]),
            [
                "template",
                "--namespace=team-a",
                "--include-crds",
                "--kube-version=1.35",
                "--api-versions=v1",
                "--api-versions=apps/v1",
                "--",
                "a",
                "."
            ]
        );
    }

    #[test]
    fn parameters_say_more_and_go_before_variables_of_the_application() {
        let json = r#"[
            {"name": "release-name", "string": "r"},
            {"name": "values-files", "array": ["a.yaml", "b.yaml"]},
            {"name": "set", "map": {"x.y": "1,2", "z": "{1,2}"}},
            {"name": "skip-crds", "string": "true"},
            {"name": "values", "string": "a: 1"}
        ]"#;
        let app = application(&[
            ("ARGOCD_APP_NAME", "a"),
            ("ARGOCD_ENV_RELEASE_NAME", "e"),
            ("ARGOCD_ENV_NAMESPACE", "from-env"),
            ("ARGOCD_APP_PARAMETERS", json),
            ("PARAM_RELEASE_NAME", "p"),
        ])
        .unwrap();
        assert_eq!(app.values_files, ["a.yaml", "b.yaml"]);
        assert_eq!(
            app.template(&["a.yaml", "b.yaml"].map(PathBuf::from)),
            [
                "template",
                "--namespace=from-env",
                "--values=a.yaml",
                "--values=b.yaml",
                "--values=-",
                "--set=x.y=1\\,2",
                "--set=z={1,2}",
                "--",
                "r",
                "."
            ]
        );
    }

    #[test]
    fn single_variables_do_where_there_is_no_json() {
        let app = application(&[
            ("ARGOCD_APP_NAME", "a"),
            ("PARAM_RELEASE_NAME", "p"),
            ("PARAM_VALUES_FILES_0", "0.yaml"),
            ("PARAM_VALUES_FILES_1", "1.yaml"),
            ("PARAM_VALUES_FILES_3", "3.yaml"),
            ("ARGOCD_ENV_CONFIG_FILES", "c.yaml, d.yaml"),
        ])
        .unwrap();
        assert_eq!(app.release, "p");
        assert_eq!(app.values_files, ["0.yaml", "1.yaml"]);
        assert_eq!(app.config_files, ["c.yaml", "d.yaml"]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (json, message) in [
            (r#"[{"name": "value-files", "array": []}]"#, "no parameter"),
            (r#"[{"name": "values-files", "string": "a"}]"#, "`array:`"),
            (r#"[{"name": "release-name", "array": ["a"]}]"#, "`string:`"),
            (r#"[{"name": "set", "string": "a=b"}]"#, "`map:`"),
            (r#"[{"name": "skip-crds", "string": "yes"}]"#, "skip-crds"),
            ("{", "not what Argo CD writes"),
        ] {
            let error = application(&[("ARGOCD_APP_NAME", "a"), ("ARGOCD_APP_PARAMETERS", json)])
                .unwrap_err();
            assert!(error.contains(message), "{json}: {error}");
        }
        assert!(application(&[]).unwrap_err().contains("ARGOCD_APP_NAME"));
    }
}
