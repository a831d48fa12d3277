//! One text that holds a config: how it is read, and in which of its forms it is.
//!
//! A text is a values file, the `networkPolicy:` object, the bare object, values of a chart up to
//! 0.19, or a VirtualClusterTemplate. What the fields mean is none of this room's business.

use k8s_openapi::api::networking::v1::IPBlock;
use serde_json::Value;

use super::fields;
use super::public_egress::is_default_except;
use crate::rules::null_excepts;
use manifest::diagnostic::{Diagnostic, Location, Position, Quoting, Severity};
use manifest::schema::{self, Origin, Shape, Unknown};
use manifest::yaml::{Node, Paths, Tree};
use netpol::validate::{self, CidrRule, Context, FieldSpot, Use};

/// The largest text that is read: what a Secret may hold in Kubernetes.
pub const MAX_BYTES: usize = 1_048_576;

/// A text and where it comes from.
#[derive(Debug, Clone)]
pub struct ConfigText {
    /// The YAML or JSON.
    pub text: String,
    /// The object or file.
    pub origin: Origin,
    /// What an unknown field is.
    pub unknown: Unknown,
}

/// A text, read and checked for its shape.
#[derive(Debug)]
pub struct ConfigDocument {
    /// The config as JSON, nulls and all, and the path that leads to it in the text.
    pub network_policy: Option<(Value, String)>,
    /// All values, where the text holds values.
    pub values: Option<Value>,
    /// What is wrong with its shape.
    pub problems: Vec<Diagnostic>,
    text: String,
    origin: Origin,
}

/// What a text is allowed to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forms {
    /// Values that may or may not hold a config (the chart's Secret).
    Values,
    /// A config in any form, or values without one, to be laid over others.
    Overlay,
    /// A config in any form; a text without one is an error.
    Any,
}

impl ConfigDocument {
    /// Reads a text.
    ///
    /// # Errors
    /// When it is too large, not YAML, or not a mapping. Wrong fields and types are among the
    /// [`problems`](Self::problems), all at once.
    pub fn read(config: &ConfigText, forms: Forms) -> Result<Self, Diagnostic> {
        let origin = &config.origin;
        let fail = |message: String, position: Option<Position>| {
            Diagnostic::error(message).at(Location {
                position,
                ..origin.place.clone()
            })
        };
        if config.text.len() > MAX_BYTES {
            let message = format!(
                "the config is {} bytes long, and no more than {MAX_BYTES} are read",
                config.text.len()
            );
            return Err(fail(message, None).help("a Kubernetes Secret can't hold more either"));
        }
        let not_yaml = |e: manifest::yaml::YamlError| {
            fail(
                format!("the config is not YAML: {}", e.message),
                Some(e.position),
            )
        };
        let tree = Tree::parse(&config.text).map_err(not_yaml)?;
        let mut document = Self {
            network_policy: None,
            values: None,
            problems: Vec::new(),
            text: config.text.clone(),
            origin: origin.clone(),
        };
        let Some(root) = tree.root().filter(|root| !root.is_null()) else {
            if forms != Forms::Any {
                return Ok(document);
            }
            let help = "write the networkPolicy object, or remove the config";
            return Err(fail("the config is empty".to_owned(), None).help(help));
        };
        if !root.is_mapping() {
            let message = format!("the config must be a mapping, not {}", root.kind());
            return Err(fail(message, Some(root.position())));
        }
        if root.get("kind").and_then(Node::text).as_deref() == Some("VirtualClusterTemplate") {
            return document.read_template(root, config, forms);
        }
        document.choose(root, config, forms)?;
        Ok(document)
    }

    /// Whether anything is wrong with its shape.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        let is_error = |p: &Diagnostic| p.severity == Severity::Error;
        self.problems.iter().any(is_error)
    }

    /// Finds the config in the text.
    fn choose(
        &mut self,
        root: Node<'_>,
        config: &ConfigText,
        forms: Forms,
    ) -> Result<(), Diagnostic> {
        // An object with nothing in it is one, too: that of a chart whose values say nothing.
        let bare = root.pairs().next().is_none()
            || fields::NETWORK_POLICY
                .fields
                .iter()
                .any(|f| root.get(f.name).is_some());
        if let Some(policies) = root.get("policies") {
            self.values = Some(root.to_json());
            let node = policies.get("networkPolicy");
            if let Some(node) = node {
                self.take(node, "policies.networkPolicy", config);
                return Ok(());
            }
            if let Some(problem) = self.misspelt(policies, "policies", config.unknown) {
                return Err(problem);
            }
        } else if let (Some(node), true) = (root.get("networkPolicy"), forms != Forms::Values) {
            self.take(node, "networkPolicy", config);
            return Ok(());
        } else if root.dig(&["isolation"]).is_some_and(Node::is_mapping) {
            self.values = Some(root.to_json());
            self.take_legacy(root, config);
            return Ok(());
        } else if bare && forms != Forms::Values {
            self.take(root, "", config);
            return Ok(());
        } else {
            self.values = Some(root.to_json());
        }
        if forms != Forms::Any {
            return Ok(());
        }
        let misspelt = root
            .pairs()
            .find_map(|(k, _)| {
                let key = k.key_text()?;
                fields::NETWORK_POLICY
                    .nearest(&key)
                    .or_else(|| {
                        (strsim::damerau_levenshtein(&key, "policies") <= 2).then_some("policies")
                    })
                    .or_else(|| {
                        (strsim::damerau_levenshtein(&key, "networkPolicy") <= 3)
                            .then_some("networkPolicy")
                    })
                    .map(|near| format!("unknown field {key}, did you mean {near}?"))
            })
            .unwrap_or_else(|| {
                "write policies.networkPolicy, networkPolicy, or the fields of it at the top"
                    .to_owned()
            });
        Err(
            Diagnostic::error("the config holds no policies.networkPolicy")
                .help(misspelt)
                .at(self.origin.place.clone()),
        )
    }

    /// An error for a key that is almost `networkPolicy`.
    fn misspelt(&self, policies: Node<'_>, path: &str, unknown: Unknown) -> Option<Diagnostic> {
        if unknown != Unknown::Refuse {
            return None;
        }
        policies.pairs().find_map(|(key, _)| {
            let text = key.key_text()?;
            let near = strsim::damerau_levenshtein(&text.to_lowercase(), "networkpolicy") <= 3;
            near.then(|| {
                self.origin
                    .error(
                        &schema::join(path, &text),
                        Some(key.position()),
                        "unknown field",
                    )
                    .help("did you mean networkPolicy?")
            })
        })
    }

    /// Notes what is wrong with the fields of a node.
    fn check_fields(&mut self, node: Node<'_>, shape: Shape, path: &str, config: &ConfigText) {
        let found = schema::check(node, shape, path, &self.origin, config.unknown);
        self.problems.extend(found);
    }

    fn take(&mut self, node: Node<'_>, path: &str, config: &ConfigText) {
        self.check_fields(node, Shape::Object(&fields::NETWORK_POLICY), path, config);
        self.network_policy = Some((node.to_json(), path.to_owned()));
    }

    /// `isolation.networkPolicy` of the charts up to 0.19, in today's words.
    fn take_legacy(&mut self, root: Node<'_>, config: &ConfigText) {
        let path = "isolation.networkPolicy";
        let node = root.dig(&["isolation", "networkPolicy"]);
        if let Some(node) = node {
            self.check_fields(node, Shape::Object(&fields::LEGACY), path, config);
        }
        for (field, expected) in [("enabled", Shape::Bool), ("namespace", Shape::String)] {
            if let Some(value) = root.dig(&["isolation", field]) {
                let path = format!("isolation.{field}");
                self.check_fields(value, expected, &path, config);
            }
        }
        let mut json = node.map_or(Value::Null, Node::to_json);
        if !json.is_object() {
            json = Value::Object(serde_json::Map::new());
        }
        if let Value::Object(map) = &mut json {
            let isolated = root
                .dig(&["isolation", "enabled"])
                .map(Node::to_json)
                .and_then(|v| v.as_bool())
                .unwrap_or(false);
            let enabled = map.get("enabled").and_then(Value::as_bool).unwrap_or(true);
            map.insert("enabled".to_owned(), Value::Bool(isolated && enabled));
            if let Some(fallback) = root.dig(&["coredns", "fallback"]).and_then(Node::text) {
                map.insert(
                    "fallbackDns".to_owned(),
                    Value::String(fallback.into_owned()),
                );
            }
        }
        self.network_policy = Some((json, path.to_owned()));
    }

    /// The values block of a VirtualClusterTemplate; lines count from the start of the file.
    fn read_template(
        self,
        root: Node<'_>,
        config: &ConfigText,
        forms: Forms,
    ) -> Result<Self, Diagnostic> {
        let path = ["spec", "template", "helmRelease", "values"];
        let Some(values) = root.dig(&path).and_then(Node::text) else {
            return Err(
                Diagnostic::error("the VirtualClusterTemplate holds no values")
                    .help("put them into spec.template.helmRelease.values")
                    .at(self.origin.place.at(path.join("."), None)),
            );
        };
        let mut place = self.origin.place.clone();
        place.part = Some(path.join("."));
        let inner = ConfigText {
            text: values.into_owned(),
            origin: Origin {
                place,
                quoting: self.origin.quoting,
            },
            unknown: config.unknown,
        };
        Self::read(&inner, forms)
    }

    /// Reads what lacks of `workload.publicEgress` as the chart since 0.31 does. Its Secret holds
    /// all values, so a field that is not there was set to null, and Helm deleted it.
    pub(in crate::vcluster) fn take_missing_as_null(&mut self) {
        const FIELD: &str = "workload.publicEgress";
        let Some((config, _)) = &mut self.network_policy else {
            return;
        };
        let Some(Value::Object(public)) = config.pointer_mut("/workload/publicEgress") else {
            return;
        };
        let lacks = |fields: &serde_json::Map<String, Value>, name: &str| {
            fields.get(name).is_none_or(Value::is_null)
        };
        if lacks(public, "enabled") {
            public.insert("enabled".to_owned(), Value::Bool(false));
            let block = Value::Object(public.clone());
            return self.refuse_block(&block, FIELD);
        }
        let enabled = public.get("enabled") == Some(&Value::Bool(true));
        let (no_cidr, no_except) = (lacks(public, "cidr"), lacks(public, "except"));
        if no_except {
            public.insert("except".to_owned(), Value::Array(Vec::new()));
        }
        if enabled && no_cidr {
            let message = "the value was set to null, so the rule has no addresses";
            let problem = Diagnostic::error(message)
                .help("set cidr to the range that workloads may reach, or enabled to false");
            let place = Location::default().at(format!("{FIELD}.cidr"), None);
            self.push_located(vec![problem.at(place)]);
        }
        if enabled && no_except {
            let message = "the value was set to null, so public egress reaches private ranges too: \
                           the default excepts are gone";
            let problem = Diagnostic::warning(null_excepts::RULE.code, message)
                .help("leave except out for the default list, or set it to [] if this is meant");
            let place = Location::default().at(format!("{FIELD}.except"), None);
            self.push_located(vec![problem.at(place)]);
        }
    }

    /// Notes what is wrong with the addresses of a block that has no effect. Somebody wrote them
    /// and did not say that they are off, so it is better to hear of it.
    fn refuse_block(&mut self, block: &Value, field: &str) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let except = block.get("except").and_then(Value::as_array);
        let except: Vec<String> = except.into_iter().flatten().filter_map(text).collect();
        let Some(cidr) = block.get("cidr").and_then(text) else {
            return;
        };
        let block = IPBlock {
            cidr,
            except: (!is_default_except(&except)).then_some(except),
        };
        let ctx = Context {
            origin: &self.origin.clone(),
            cidr: CidrRule::default(),
            use_of: Use::ForPolicies,
        };
        let mut problems = validate::ip_block(&block, &FieldSpot::new(field, None), &ctx);
        problems.retain(|problem| problem.severity == Severity::Error);
        self.push_located(problems);
    }

    /// Notes problems whose paths are below the config, at fields that may be missing.
    fn push_located(&mut self, mut problems: Vec<Diagnostic>) {
        let tree = self.tree();
        let mut paths = tree.as_ref().and_then(Tree::root).map(Paths::new);
        for problem in &mut problems {
            let field = problem.place.path.take().unwrap_or_default();
            let located = paths.as_mut().and_then(|paths| self.locate(&field, paths));
            let (path, position) = if let Some((path, position)) = located {
                (path, Some(position))
            } else {
                let paths = paths.as_mut();
                let nearest = paths.and_then(|paths| self.nearest(&field, paths));
                (self.path_of(&field), nearest)
            };
            problem.place = self.origin.place.at(path, position);
        }
        drop(paths);
        drop(tree);
        self.problems.extend(problems);
    }

    /// The tree of the text, to look fields up in; `None` where it is no YAML.
    #[must_use]
    pub fn tree(&self) -> Option<Tree<'_>> {
        Tree::parse(&self.text).ok()
    }

    /// Where a field is, given its path below the config: the full path, and the position of the
    /// field. `None` where the field is not in this text. `paths` begins at the root of its
    /// [`tree`](Self::tree).
    #[must_use]
    pub fn locate(&self, field: &str, paths: &mut Paths<'_>) -> Option<(String, Position)> {
        let path = self.path_of(field);
        let node = paths.find(&path)?;
        Some((path, node.position()))
    }

    /// Whether a comment may stand in the text, and may be shown.
    #[must_use]
    pub fn shows_comments(&self) -> bool {
        self.origin.quoting == Quoting::Show && self.text.contains('#')
    }

    /// The user's comment above a field, given its path below the config.
    #[must_use]
    pub fn comment_above(&self, field: &str, paths: &mut Paths<'_>) -> Option<String> {
        if !self.shows_comments() {
            return None;
        }
        paths.find(&self.path_of(field))?.comment_above()
    }

    /// The position of what is nearest to a field that is missing.
    #[must_use]
    pub fn nearest(&self, field: &str, paths: &mut Paths<'_>) -> Option<Position> {
        let path = self.path_of(field);
        paths.nearest(&path).map(Node::position)
    }

    /// The path of a field below the config, as the user would write it.
    #[must_use]
    pub fn path_of(&self, field: &str) -> String {
        match &self.network_policy {
            Some((_, prefix)) if prefix.is_empty() => field.to_owned(),
            Some((_, prefix)) if field.is_empty() => prefix.clone(),
            Some((_, prefix)) if field.starts_with('[') => format!("{prefix}{field}"),
            Some((_, prefix)) => format!("{prefix}.{field}"),
            None => field.to_owned(),
        }
    }

    /// Where the text comes from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}
