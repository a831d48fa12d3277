//! Which virtual clusters a stream holds, and which of its objects belong to which.
//!
//! Evidence has a weight. The Secret `vc-config-NAME` says the most; then an object that carries a
//! config in its annotation; then the StatefulSet or Deployment of the release's name; then the
//! environment; and last the labels of any other object. A weaker word never beats a stronger one,
//! and two words of the same weight that contradict each other are an error that names both.
//! Cluster-scoped objects and our own policies say nothing of a namespace. What a config means is
//! read in [`super::sources`].

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use super::actors::SECRET_PREFIX;
use super::sources::{Overrides, object_place};
use crate::filter::index::{Index, IndexedObject as Object};
use crate::rules::unlabelled_secret;
use manifest::diagnostic::{Diagnostic, Diagnostics, Location};

/// Kinds of which no object is in a namespace. Source: the API reference of Kubernetes, and the
/// custom resources that charts render most.
const CLUSTER_SCOPED: [&str; 36] = [
    "APIService",
    "AdminNetworkPolicy",
    "BaselineAdminNetworkPolicy",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ClusterIssuer",
    "ClusterNetworkPolicy",
    "ClusterPolicy",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "ClusterRoleList",
    "ClusterSecretStore",
    "ClusterTrustBundle",
    "ComponentStatus",
    "CustomResourceDefinition",
    "DeviceClass",
    "FlowSchema",
    "GatewayClass",
    "IngressClass",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PodSecurityPolicy",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
];

/// How many names a message lists before it counts the rest.
const MAX_NAMES: usize = 5;

/// A virtual cluster while its objects are being gathered.
#[derive(Debug)]
pub(super) struct Draft<'i> {
    pub(super) name: String,
    /// The namespace that the stream says.
    pub(super) namespace: Option<String>,
    pub(super) secret: Option<&'i Object>,
    /// The objects that carry its config in their annotation.
    pub(super) annotated: Vec<&'i Object>,
    /// Other objects of the release, the StatefulSet or Deployment of its name first. They are
    /// read only where the Secret leaves something open.
    pub(super) release_objects: Vec<&'i Object>,
}

impl<'i> Draft<'i> {
    fn new(name: &str, namespace: Option<&str>) -> Self {
        Self {
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
            secret: None,
            annotated: Vec::new(),
            release_objects: Vec::new(),
        }
    }

    /// The objects in the order in which their word counts.
    pub(super) fn objects(&self) -> impl Iterator<Item = &'i Object> {
        let is_main = |o: &&Object| is_main_workload(o, &self.name);
        let main = self.release_objects.iter().copied().filter(is_main);
        self.secret
            .into_iter()
            .chain(main)
            .chain(self.annotated.iter().copied())
            .chain(self.release_objects.iter().copied())
    }

    /// A label of the weightiest object that has it.
    pub(super) fn label(&self, key: &str) -> Option<&'i str> {
        self.objects()
            .find_map(|o| o.labels.get(key).map(String::as_str))
    }

    /// Whether the Secret alone says all that has to be known.
    fn is_complete(&self) -> bool {
        self.secret
            .is_some_and(|s| s.labels.contains_key("chart") && s.labels.contains_key("heritage"))
    }
}

/// Objects that need not hold any word of ours: those with the labels `app: vcluster` and
/// `release`. The stream is read for them only when they are asked for.
#[derive(Debug)]
pub(super) struct ReleaseObjects<'s> {
    index: &'s Index,
    stream: &'s [u8],
    objects: OnceCell<Vec<Object>>,
}

impl<'s> ReleaseObjects<'s> {
    pub(super) fn of(index: &'s Index, stream: &'s [u8]) -> Self {
        Self {
            index,
            stream,
            objects: OnceCell::new(),
        }
    }

    fn all(&self) -> &[Object] {
        self.objects
            .get_or_init(|| self.index.release_objects(self.stream))
    }

    /// What runs the control planes of virtual clusters. Where the other objects are not asked for,
    /// only documents that can be such are read.
    pub(super) fn main_workloads(&self) -> Vec<Object> {
        let is_main = |o: &&Object| {
            let release = o.labels.get("release");
            release.is_some_and(|release| is_main_workload(o, release))
        };
        if let Some(objects) = self.objects.get() {
            return objects.iter().filter(is_main).cloned().collect();
        }
        let objects = self.index.workloads(self.stream).into_iter();
        objects.filter(|o| is_main(&o)).collect()
    }

    /// The objects of each release.
    fn by_release(&self, default_namespace: Option<&str>) -> HashMap<&str, ReleaseMembers<'_>> {
        let mut releases: HashMap<&str, ReleaseMembers<'_>> = HashMap::new();
        for object in self.all() {
            if let Some(release) = object.labels.get("release") {
                let members = releases.entry(release.as_str()).or_default();
                members.add(release, object, default_namespace);
            }
        }
        releases
    }
}

/// The objects of one release, in the order of the stream.
#[derive(Default)]
struct ReleaseMembers<'o> {
    all: Vec<&'o Object>,
    /// Those that run the control plane.
    main: Vec<&'o Object>,
    /// The places among all of those that state a namespace, or none.
    by_namespace: HashMap<Option<String>, Vec<usize>>,
    /// The namespaces that those state that run the control plane.
    main_namespaces: HashSet<&'o str>,
}

impl<'o> ReleaseMembers<'o> {
    fn add(&mut self, release: &str, object: &'o Object, default_namespace: Option<&str>) {
        let stated = stated_namespace(object);
        // Policies that the last run made for one namesake say nothing of the other.
        let namespace = if object.is_own_policy() {
            object.namespace.as_deref().or(default_namespace)
        } else {
            stated
        };
        let namespace = namespace.map(str::to_owned);
        let places = self.by_namespace.entry(namespace).or_default();
        places.push(self.all.len());
        self.all.push(object);
        if is_main_workload(object, release) {
            self.main.push(object);
            self.main_namespaces.extend(stated);
        }
    }

    /// Those that may be in a namespace, as far as they state one.
    fn near(&self, namespace: Option<&str>) -> Vec<&'o Object> {
        if namespace.is_none() {
            return self.all.clone();
        }
        let places = [None, namespace.map(str::to_owned)];
        let places = places.map(|namespace| self.by_namespace.get(&namespace));
        let mut places: Vec<usize> = places.into_iter().flatten().flatten().copied().collect();
        places.sort_unstable();
        let objects = places.iter().filter_map(|place| self.all.get(*place));
        objects.copied().collect()
    }
}

/// Gathers the drafts of a stream, and all that is wrong with them.
pub(super) struct Ownership<'a, 'i> {
    index: &'i Index,
    overrides: &'a Overrides,
    stream: &'i [u8],
    drafts: Vec<Draft<'i>>,
    /// The drafts of each name.
    by_name: HashMap<String, Vec<usize>>,
    /// The first draft of each name in each namespace.
    by_namespace: HashMap<String, HashMap<Option<String>, usize>>,
    /// For each name what the first annotation of each of its virtual clusters says, read when
    /// it is asked for.
    carried: HashMap<String, HashSet<&'i str>>,
    pub(super) errors: Diagnostics,
    /// Warnings, each with the name of the release that it is about.
    pub(super) warnings: Vec<(String, Diagnostic)>,
}

/// What an annotated object says of the virtual cluster that it belongs to.
enum Claim {
    /// It belongs to this one.
    To(usize),
    /// It can only repeat what other objects say: a virtual cluster of these names is meant.
    Repeats(Vec<String>),
}

impl<'a, 'i> Ownership<'a, 'i> {
    pub(super) fn new(index: &'i Index, overrides: &'a Overrides, stream: &'i [u8]) -> Self {
        Self {
            index,
            overrides,
            stream,
            drafts: Vec::new(),
            by_name: HashMap::new(),
            by_namespace: HashMap::new(),
            carried: HashMap::new(),
            errors: Diagnostics::default(),
            warnings: Vec::new(),
        }
    }

    /// The virtual clusters of the stream, each with its objects.
    pub(super) fn drafts(&mut self, release_objects: &'i ReleaseObjects<'_>) -> Vec<Draft<'i>> {
        self.take_secrets();
        if self.drafts.is_empty() {
            self.assign_without_secrets();
        } else {
            self.assign_to_secrets();
        }
        if self.overrides.files.is_empty() {
            // Only what carries a config counts.
        } else if self.drafts.is_empty() {
            self.take_files(release_objects);
        } else {
            self.take_running(release_objects);
        }
        self.attach_release_objects(release_objects);
        std::mem::take(&mut self.drafts)
    }

    /// The namespace of objects that say none.
    fn default_namespace(&self) -> Option<&'a str> {
        self.overrides.default_namespace()
    }

    /// The namespace in which an object will be.
    fn resolved<'o>(&self, object: &'o Object) -> Option<&'o str>
    where
        'a: 'o,
    {
        stated_namespace(object).or(self.default_namespace())
    }

    /// The namespace in which an object runs, as far as the stream and the environment say. Where
    /// they contradict each other, `--namespace` settles it.
    fn runs_in<'o>(&self, object: &'o Object) -> Option<&'o str>
    where
        'a: 'o,
    {
        let overrides = self.overrides;
        let fallback = overrides.fallback_namespace.as_deref();
        stated_namespace(object).or(fallback.filter(|_| overrides.namespace.is_none()))
    }

    fn add(&mut self, draft: Draft<'i>) -> usize {
        let place = self.drafts.len();
        let namespace = draft.namespace.as_deref().or(self.default_namespace());
        let namespace = namespace.map(str::to_owned);
        let namespaces = self.by_namespace.entry(draft.name.clone()).or_default();
        namespaces.entry(namespace).or_insert(place);
        self.by_name
            .entry(draft.name.clone())
            .or_default()
            .push(place);
        self.drafts.push(draft);
        place
    }

    fn named(&self, name: &str) -> &[usize] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// The first draft of a name in a namespace, where none is one too.
    fn in_namespace(&self, name: &str, namespace: Option<&str>) -> Option<usize> {
        let namespaces = self.by_namespace.get(name)?;
        namespaces.get(&namespace.map(str::to_owned)).copied()
    }

    fn namespace_of(&self, draft: usize) -> Option<&str> {
        let stated = self.drafts.get(draft)?.namespace.as_deref();
        stated.or(self.default_namespace())
    }

    fn refuse(&mut self, object: &Object, problem: Diagnostic) {
        self.errors
            .push(problem.at(object_place(object, self.stream)));
    }

    /// The names of all virtual clusters, for a message.
    fn names(&self) -> String {
        let names = self.drafts.iter().take(MAX_NAMES);
        let shown: Vec<&str> = names.map(|d| d.name.as_str()).collect();
        match self.drafts.len().checked_sub(MAX_NAMES) {
            Some(more @ 1..) => format!("{} and {more} more", shown.join(", ")),
            _ => shown.join(", "),
        }
    }

    fn take_secrets(&mut self) {
        let index = self.index;
        for object in index.carriers().filter(|o| o.secret.is_some()) {
            let name = object.name.as_deref().unwrap_or_default();
            let Some(name) = name.strip_prefix(SECRET_PREFIX).filter(|n| !n.is_empty()) else {
                continue;
            };
            if self.is_config_secret(object, name) {
                self.take_secret(object, name);
            }
        }
        self.check_release_option();
    }

    /// Whether the labels of a Secret say that it is the one of the virtual cluster that it names.
    fn is_config_secret(&mut self, object: &Object, name: &str) -> bool {
        let label = |key: &str| object.labels.get(key).map(String::as_str);
        match (label("app"), label("release")) {
            (Some("vcluster"), Some(release)) if release == name => true,
            (Some("vcluster"), Some(_)) => {
                let message = "the Secret's name and its label release name two virtual clusters";
                let help = format!("the label release must be {name}");
                self.errors.push(
                    Diagnostic::error(message)
                        .help(help)
                        .at(object.place(self.stream)),
                );
                false
            }
            _ => {
                let message = "the Secret is named like a vCluster's but lacks the labels \
                               app: vcluster and release, so it is not read";
                let warning = Diagnostic::warning(unlabelled_secret::RULE.code, message).help(
                    format!("label it app: vcluster and release: {name} if it is one"),
                );
                let warning = warning.at(object.place(self.stream));
                self.warnings.push((name.to_owned(), warning));
                false
            }
        }
    }

    fn take_secret(&mut self, object: &'i Object, name: &str) {
        let namespace = self.resolved(object);
        // Without a namespace of its own, it may be in that of another Secret of its name.
        let same = if namespace.is_some() {
            let places = [None, namespace].map(|n| self.in_namespace(name, n));
            places.into_iter().flatten().min()
        } else {
            self.named(name).first().copied()
        };
        let first = same.and_then(|i| self.drafts.get(i)?.secret);
        let Some(first) = first else {
            self.add(Draft {
                secret: Some(object),
                ..Draft::new(name, stated_namespace(object))
            });
            return;
        };
        let same_namespace = self.resolved(first) == namespace;
        if !same_namespace {
            let message = format!(
                "this Secret and {} (document {}) may be of one virtual cluster: one of them has \
                 no namespace",
                first.describe(),
                first.location.number
            );
            let help = "give both a metadata.namespace, or say the release's with --namespace";
            self.refuse(object, Diagnostic::error(message).help(help));
        } else if first.secret != object.secret {
            self.errors.push(two_configs(first, object, self.stream));
        }
    }

    /// `--release` must name one of the virtual clusters of the stream.
    fn check_release_option(&mut self) {
        let Some(release) = &self.overrides.release else {
            return;
        };
        if !self.drafts.is_empty() && self.named(release).is_empty() {
            let names = self.names();
            self.errors.push(other_release(release, &names));
        }
    }

    /// Assigns each annotated object to one of the Secrets' virtual clusters.
    fn assign_to_secrets(&mut self) {
        let index = self.index;
        let mut repeating = Vec::new();
        for object in index.carriers().filter(|o| o.config_annotation().is_some()) {
            match self.claim_among_secrets(object) {
                Ok(Claim::To(draft)) => self.annotate(draft, object),
                Ok(Claim::Repeats(names)) => repeating.push((object, names)),
                Err(problem) => self.refuse(object, problem),
            }
        }
        for (object, names) in repeating {
            self.check_repetition(object, &names);
        }
    }

    fn annotate(&mut self, draft: usize, object: &'i Object) {
        if let Some(draft) = self.drafts.get_mut(draft) {
            draft.annotated.push(object);
        }
    }

    /// An object that can't be told to be of one virtual cluster may repeat the config of one, as
    /// a chart's global annotations do, but not bring one.
    fn check_repetition(&mut self, object: &Object, names: &[String]) {
        let text = object.config_annotation().unwrap_or_default().trim();
        let repeats = names.iter().any(|name| self.is_carried(name, text));
        if repeats || says_nothing(text) {
            return;
        }
        let several = self.drafts.len() > 1;
        let message = match names.first() {
            Some(name) if several => format!(
                "the object is not in the namespace of the virtual cluster {name}, so its \
                 annotation can't be that one's config"
            ),
            Some(name) => format!(
                "the object is in another namespace than the virtual cluster {name}, so its \
                 annotation can't be that one's config"
            ),
            None => "nothing says to which virtual cluster the annotation belongs".to_owned(),
        };
        let help = "give the object the label release and the metadata.namespace of the virtual \
                    cluster that the config is for, or remove the annotation";
        self.refuse(object, Diagnostic::error(message).help(help));
    }

    /// Whether the first annotation of some virtual cluster of the name says a text.
    fn is_carried(&mut self, name: &str, text: &str) -> bool {
        if !self.carried.contains_key(name) {
            let drafts = self.named(name).iter().filter_map(|i| self.drafts.get(*i));
            let first =
                drafts.flat_map(|d| d.annotated.first().copied().into_iter().chain(d.secret));
            let texts = first.filter_map(Object::config_annotation).map(str::trim);
            self.carried.insert(name.to_owned(), texts.collect());
        }
        self.carried
            .get(name)
            .is_some_and(|texts| texts.contains(text))
    }

    /// The virtual cluster that an annotated object belongs to, where Secrets name them.
    fn claim_among_secrets(&self, object: &Object) -> Result<Claim, Diagnostic> {
        let pointers = Pointers::of(object);
        let by_label = pointers.release.and_then(|r| self.near(r, object));
        if self.drafts.len() == 1 {
            return self.claim_of_the_only_one(object, &pointers, by_label);
        }
        // With several virtual clusters a name is no claim: anyone may choose it.
        let Some(named) = pointers.release.or(pointers.instance) else {
            let names = self.pointed_to_by_name(object).map(str::to_owned);
            return Ok(Claim::Repeats(names.collect()));
        };
        if self.named(named).is_empty() {
            return Err(self.other_release_of_object(named));
        }
        let Some(found) = by_label.or_else(|| self.near(named, object)) else {
            return Ok(Claim::Repeats(vec![named.to_owned()]));
        };
        match pointers.own_name {
            Some(own) if own != named && self.near(own, object).is_some() => Err(two_pointers()),
            _ => Ok(Claim::To(found)),
        }
    }

    fn claim_of_the_only_one(
        &self,
        object: &Object,
        pointers: &Pointers<'_>,
        by_label: Option<usize>,
    ) -> Result<Claim, Diagnostic> {
        let elsewhere = !self.is_near(0, object);
        let is_name = |name: &str| self.drafts.first().is_some_and(|d| d.name == name);
        if by_label.is_some() || pointers.instance.is_some_and(is_name) && !elsewhere {
            return Ok(Claim::To(0));
        }
        let named = pointers.release.or(pointers.instance);
        match named {
            Some(name) if is_name(name) => Ok(Claim::Repeats(vec![name.to_owned()])),
            Some(name)
                if pointers.release.is_some()
                    || self.pointed_to_by_name(object).next().is_none() =>
            {
                Err(self.other_release_of_object(name))
            }
            _ if elsewhere => Err(no_name(Location::default())),
            // An object that points nowhere can only mean the only one that there is.
            _ => Ok(Claim::To(0)),
        }
    }

    /// Whether an object may be of a virtual cluster, as far as namespaces say. Among several
    /// virtual clusters the two namespaces must be the same.
    fn is_near(&self, draft: usize, object: &Object) -> bool {
        let of_draft = self.namespace_of(draft);
        if self.drafts.len() == 1 {
            let stated = stated_namespace(object);
            return stated.is_none() || of_draft.is_none() || stated == of_draft;
        }
        self.resolved(object) == of_draft && !is_cluster_scoped(object)
    }

    /// The virtual cluster of a name that an object may belong to.
    fn near(&self, name: &str, object: &Object) -> Option<usize> {
        if let [only] = self.named(name) {
            return Some(*only).filter(|only| self.is_near(*only, object));
        }
        let place = self.in_namespace(name, self.resolved(object));
        place.filter(|place| self.is_near(*place, object))
    }

    fn other_release_of_object(&self, release: &str) -> Diagnostic {
        let message = format!(
            "the object's labels say that it is of the release {release}, but the stream holds \
             the virtual cluster {}",
            self.names()
        );
        let help = "give it the label release of the one that the config is for";
        Diagnostic::error(message).help(help)
    }

    /// The virtual clusters that an object's name points to: `X`, `X-headless`, `vc-X`,
    /// `vc-config-X`.
    fn pointed_to_by_name<'o>(&self, object: &'o Object) -> impl Iterator<Item = &'o str> {
        let name = object.name.as_deref();
        let candidates = [
            name,
            name.and_then(|name| name.strip_suffix("-headless")),
            name.and_then(|name| name.strip_prefix(SECRET_PREFIX)),
            name.and_then(|name| name.strip_prefix("vc-workload-")),
            name.and_then(|name| name.strip_prefix("vc-")),
        ];
        let candidates = candidates.into_iter().flatten();
        candidates.filter(|name| !self.named(name).is_empty())
    }

    /// Makes a virtual cluster of what annotated objects say, where no Secret names any.
    fn assign_without_secrets(&mut self) {
        let index = self.index;
        let mut without_namespace = Vec::new();
        for object in index.carriers().filter(|o| o.config_annotation().is_some()) {
            match self.name_by_annotated(object) {
                Err(problem) => self.refuse(object, problem),
                Ok(name) => match stated_namespace(object) {
                    Some(namespace) => {
                        let draft = self.draft_of(&name, Some(namespace));
                        self.annotate(draft, object);
                    }
                    None => without_namespace.push((object, name)),
                },
            }
        }
        // Those that say no namespace are of the virtual cluster that others have named.
        for (object, name) in without_namespace {
            match self.named(&name) {
                [] => {
                    let draft = self.draft_of(&name, None);
                    self.annotate(draft, object);
                }
                &[only] => self.annotate(only, object),
                _ => match self.in_namespace(&name, self.default_namespace()) {
                    Some(draft) if !is_cluster_scoped(object) => self.annotate(draft, object),
                    _ => self.check_repetition(object, &[name]),
                },
            }
        }
    }

    /// The draft of a name in a namespace, made where it is not there.
    fn draft_of(&mut self, name: &str, namespace: Option<&str>) -> usize {
        match self.in_namespace(name, namespace) {
            Some(draft) => draft,
            None => self.add(Draft::new(name, namespace)),
        }
    }

    /// The release that an annotated object is of, where no Secret names any.
    fn name_by_annotated(&self, object: &Object) -> Result<String, Diagnostic> {
        let pointers = Pointers::of(object);
        let labelled = pointers.release.or(pointers.instance);
        if let Some(named) = &self.overrides.release {
            if let Some(other) = labelled.filter(|other| other != named) {
                let message = format!(
                    "--release says {named}, but the object's labels say that it is of the \
                     release {other}"
                );
                return Err(Diagnostic::error(message).help("leave --release out, or correct it"));
            }
            return Ok(named.clone());
        }
        let app_name = self.overrides.app_name.as_deref();
        let Some(name) = labelled.or(pointers.own_name).or(app_name) else {
            return Err(no_name(Location::default()));
        };
        let is_vcluster = object
            .labels
            .get("app")
            .is_some_and(|app| app == "vcluster");
        if object.kind == "StatefulSet"
            && is_vcluster
            && let Some(own) = pointers.own_name.filter(|own| *own != name)
        {
            let message = format!(
                "the StatefulSet is named {own}, and its labels say that the release is {name}"
            );
            return Err(Diagnostic::error(message).help("say which it is with --release NAME"));
        }
        Ok(name.to_owned())
    }

    /// The virtual clusters that files are the config of, where no object carries one: the one
    /// that is named, or those that the stream's objects are of.
    fn take_files(&mut self, release_objects: &'i ReleaseObjects<'_>) {
        let releases = release_objects.by_release(self.default_namespace());
        let mut names: Vec<&str> = Vec::new();
        for object in release_objects.all() {
            if let Some(release) = object.labels.get("release")
                && !self.by_name.contains_key(release.as_str())
            {
                self.by_name.insert(release.clone(), Vec::new());
                names.push(release);
            }
        }
        if let Some(release) = &self.overrides.release {
            if !names.is_empty() && !names.contains(&release.as_str()) {
                names.truncate(MAX_NAMES);
                self.errors.push(other_release(release, &names.join(", ")));
            }
            names = vec![release];
        } else if names.is_empty()
            && let Some(app_name) = &self.overrides.app_name
        {
            names = vec![app_name];
        }
        if names.is_empty() {
            self.errors.push(no_name(Location::default()));
        }
        for name in names {
            let main = releases.get(name).map_or(&[][..], |objects| &objects.main);
            let mut known = HashSet::new();
            let mut namespaces: Vec<Option<&str>> = main
                .iter()
                .map(|object| stated_namespace(object))
                .filter(|namespace| known.insert(*namespace))
                .collect();
            // Where nothing runs, the namespace is settled like that of any other.
            if namespaces.is_empty() {
                namespaces.push(None);
            }
            for namespace in namespaces {
                self.add(Draft::new(name, namespace));
            }
        }
    }

    /// Files apply to all that run, not only to those that have a config of their own: else one
    /// object with a config would take the files away from the others.
    fn take_running(&mut self, release_objects: &'i ReleaseObjects<'_>) {
        for object in release_objects.all() {
            let Some(release) = object.labels.get("release") else {
                continue;
            };
            let is_meant = self.overrides.release.as_ref().is_none_or(|r| r == release);
            if !is_meant || !is_main_workload(object, release) {
                continue;
            }
            let namespace = self.resolved(object);
            let namespaces = self.by_namespace.get(release);
            let is_known = namespaces.is_some_and(|known| {
                known.contains_key(&None) || known.contains_key(&namespace.map(str::to_owned))
            });
            if !is_known {
                self.add(Draft::new(release, stated_namespace(object)));
            }
        }
    }

    /// Gives each draft the other objects of its release, where its Secret leaves something open.
    fn attach_release_objects(&mut self, release_objects: &'i ReleaseObjects<'_>) {
        if self.drafts.iter().all(Draft::is_complete) {
            return;
        }
        let releases = release_objects.by_release(self.default_namespace());
        let none = ReleaseMembers::default();
        let mut drafts = std::mem::take(&mut self.drafts);
        for draft in drafts.iter_mut().filter(|d| !d.is_complete()) {
            let objects = releases.get(draft.name.as_str()).unwrap_or(&none);
            if let Err(problem) = self.settle_namespace(draft, objects) {
                self.errors.push(problem);
                continue;
            }
            let namespace = draft.namespace.as_deref().or(self.default_namespace());
            draft.release_objects = objects.near(namespace);
            if let Err(problem) = self.check_chart(draft) {
                self.errors.push(problem);
            }
        }
        self.drafts = drafts;
    }

    /// Finds the namespace of a draft whose carriers say none, and holds one that they say against
    /// what runs.
    fn settle_namespace(
        &self,
        draft: &mut Draft<'i>,
        objects: &ReleaseMembers<'_>,
    ) -> Result<(), Diagnostic> {
        let is_main = |o: &&Object| is_main_workload(o, &draft.name);
        // The Secret's word is the last one, and one without a namespace means the release's.
        if draft.secret.is_some() {
            return Ok(());
        }
        if let Some(namespace) = draft.namespace.as_deref() {
            let elsewhere = |o: &&Object| self.runs_in(o) != Some(namespace);
            let mut carriers = draft.annotated.iter().copied();
            // What runs and carries the config must be where the config goes, even if a namesake
            // in that namespace carries one too.
            let astray = carriers
                .clone()
                .find(|o| is_main(o) && elsewhere(o) && self.overrides.namespace.is_none());
            if astray.is_none() && objects.main_namespaces.contains(namespace) {
                return Ok(());
            }
            // What runs without a namespace that anything says, and carries no config, may be here.
            let main = objects.main.iter().copied();
            let main = main.chain(carriers.clone().filter(is_main));
            let running: Vec<&Object> = main.filter(|o| self.runs_in(o).is_some()).collect();
            let away = running.first().copied();
            let away = away.filter(|_| running.iter().all(elsewhere));
            let other = carriers.find(|o| !is_main(o) || !elsewhere(o));
            return match (astray.or(away), other) {
                (Some(main), Some(carrier)) => {
                    Err(self.contradiction(&draft.name, main, carrier, "namespace"))
                }
                _ => Ok(()),
            };
        }
        let states_a_namespace = |o: &&Object| stated_namespace(o).is_some();
        let main = objects.main.iter().copied().filter(states_a_namespace);
        let main: Vec<&Object> = main.collect();
        let others: Vec<&Object> = match (main.is_empty(), self.default_namespace()) {
            (false, _) => main,
            (true, Some(_)) => Vec::new(),
            (true, None) => {
                let all = objects.all.iter().copied();
                all.filter(states_a_namespace).collect()
            }
        };
        let Some(first) = others.first() else {
            return Ok(());
        };
        let namespace = stated_namespace(first);
        if let Some(other) = others.iter().find(|o| stated_namespace(o) != namespace) {
            return Err(self.contradiction(&draft.name, first, other, "namespace"));
        }
        draft.namespace = namespace.map(str::to_owned);
        Ok(())
    }

    /// Objects of one weight must not say two charts. The Secret's word is the last one.
    fn check_chart(&self, draft: &Draft<'_>) -> Result<(), Diagnostic> {
        let has_chart = |o: &&Object| o.labels.contains_key("chart");
        if draft.secret.as_ref().is_some_and(has_chart) {
            return Ok(());
        }
        let is_vcluster = |o: &&Object| o.labels.get("app").is_some_and(|app| app == "vcluster");
        let carriers = draft.annotated.iter().copied().filter(is_vcluster);
        let objects = draft.release_objects.iter().copied();
        let main = objects.clone().filter(|o| is_main_workload(o, &draft.name));
        let heavy: Vec<&Object> = main.chain(carriers).filter(has_chart).collect();
        let weighed = if heavy.is_empty() {
            objects.filter(has_chart).collect()
        } else {
            heavy
        };
        let chart = |o: &Object| o.labels.get("chart").cloned();
        let Some(first) = weighed.first() else {
            return Ok(());
        };
        match weighed.iter().find(|o| chart(o) != chart(first)) {
            Some(other) => Err(self.contradiction(&draft.name, first, other, "chart")),
            None => Ok(()),
        }
    }

    fn contradiction(
        &self,
        release: &str,
        first: &Object,
        second: &Object,
        what: &str,
    ) -> Diagnostic {
        let message = format!(
            "{} (document {}) is of the release {release} too, and the two say different {what}s",
            first.describe(),
            first.location.number
        );
        let help = match what {
            "chart" => "correct the label chart, or the label release, of one of them",
            _ => "correct metadata.namespace, or the label release, of one of them",
        };
        Diagnostic::error(message)
            .help(help)
            .at(second.place(self.stream))
    }
}

/// What of an object can point to a release.
struct Pointers<'o> {
    release: Option<&'o str>,
    instance: Option<&'o str>,
    /// The name of an object that is named like its release.
    own_name: Option<&'o str>,
}

impl<'o> Pointers<'o> {
    fn of(object: &'o Object) -> Self {
        let label = |key: &str| {
            let value = object.labels.get(key).map(String::as_str);
            value.filter(|text| !text.is_empty())
        };
        let named_alike = matches!(
            object.kind.as_str(),
            "StatefulSet" | "Deployment" | "Service"
        );
        Self {
            release: label("release"),
            instance: label("app.kubernetes.io/instance"),
            own_name: object.name.as_deref().filter(|_| named_alike),
        }
    }
}

fn is_cluster_scoped(object: &Object) -> bool {
    CLUSTER_SCOPED.contains(&object.kind.as_str())
}

/// The namespace that an object says it is in. Cluster-scoped objects and our own policies say
/// nothing.
pub(super) fn stated_namespace(object: &Object) -> Option<&str> {
    if is_cluster_scoped(object) || object.is_own_policy() {
        return None;
    }
    object.namespace.as_deref()
}

/// Whether an object is what runs the control plane of a release.
fn is_main_workload(object: &Object, release: &str) -> bool {
    matches!(object.kind.as_str(), "StatefulSet" | "Deployment")
        && object.name.as_deref() == Some(release)
}

/// What `toJson | quote` makes of a value that is not there.
pub(super) fn says_nothing(text: &str) -> bool {
    matches!(text.trim(), "" | "null" | "~")
}

fn no_name(place: Location) -> Diagnostic {
    Diagnostic::error("nothing says which Helm release the config belongs to")
        .help("name it with --release NAME, or give the object the label release")
        .at(place)
}

fn other_release(release: &str, names: &str) -> Diagnostic {
    let message =
        format!("--release says {release}, but the stream holds the virtual cluster {names}");
    Diagnostic::error(message).help("leave --release out, or correct it")
}

fn two_pointers() -> Diagnostic {
    let message = "the object's label release and its name point to two virtual clusters";
    let help = "give it the label release of the one that the config is for";
    Diagnostic::error(message).help(help)
}

/// An error for two carriers of one virtual cluster that say different things.
pub(super) fn two_configs(first: &Object, second: &Object, stream: &[u8]) -> Diagnostic {
    let message = format!(
        "two different configs for one virtual cluster: here and in {} (document {})",
        first.describe(),
        first.location.number
    );
    Diagnostic::error(message)
        .help("leave one of them, or make them the same")
        .at(object_place(second, stream))
}
