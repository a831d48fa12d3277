//! One policy of an explanation: whether the stream has it, and its rules, each with its origin.

use std::fmt;

use serde::{Serialize, Serializer};

use super::words::Party;
use crate::vcluster::policies::comment_of_field;
use manifest::escape::terminal;
use netpol::model::policy::{Direction, Namespaces, Origin, Peer, Policy, Rule};
use netpol::sets::addresses::{AddressSet, parse_net};
use netpol::sets::selector::Selector;

/// One policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Its name.
    pub name: String,
    /// Its namespace, where anything tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The virtual cluster that it belongs to, by its identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Whether the stream has it.
    pub presence: Presence,
    /// The pods that it is for.
    pub pods: Party,
    /// What they may talk to.
    pub egress: Side,
    /// What may talk to them.
    pub ingress: Side,
}

/// One direction of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Whether the policy speaks about it; where none does, everything is open.
    pub restricted: bool,
    /// What is let through; nothing, if there is no rule.
    pub rules: Vec<Line>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Where it stands in its list.
    pub index: usize,
    /// Whom it lets through.
    pub peers: Vec<Party>,
    /// On which ports.
    pub ports: String,
    /// Why, as the comment above it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What made it, or else where it is written.
    pub cause: Cause,
    /// Who wrote it.
    pub kind: RuleKind,
    /// Who may use it without having any label, where that is somebody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_to: Option<Openness>,
}

/// What made a rule, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The config makes just this rule.
    Origin(Origin),
    /// No config makes it; this is its path in its policy.
    Written(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin(origin) => origin.fmt(f),
            Self::Written(path) => f.write_str(path),
        }
    }
}

impl Serialize for Cause {
    /// In words: the documented format of the JSON output.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Cause {
    /// The same, fit to be shown.
    fn shown(&self) -> Self {
        let mut shown = self.clone();
        let path = match &mut shown {
            Self::Origin(origin) => origin.setting_mut(),
            Self::Written(path) => Some(path),
        };
        if let Some(path) = path {
            *path = terminal(path).into_owned();
        }
        shown
    }
}

/// Whether a policy is in the stream that is explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// The stream has it, and it is explained as it stands there.
    InStream,
    /// The stream has it, and it is explained as it stands there; but the config makes another one.
    Outdated,
    /// The stream lacks it. It is explained as the filter would add it.
    Missing,
    /// The stream has another one of this name. It is explained as the filter would write it.
    Replaced,
    /// There is no stream, only a config.
    WithoutStream,
}

impl Presence {
    /// What a reader must know before he trusts the policy; nothing if the stream has it.
    #[must_use]
    pub fn note(self) -> Option<&'static str> {
        match self {
            Self::InStream => None,
            Self::Outdated => Some("OUTDATED IN THIS STREAM: the filter would replace it"),
            Self::Missing => Some("NOT IN THIS STREAM: the filter would add it"),
            Self::Replaced => Some("DIFFERENT IN THIS STREAM: the filter would replace it"),
            Self::WithoutStream => Some("NO STREAM WAS GIVEN: the filter would add it"),
        }
    }
}

/// Who wrote a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleKind {
    /// Every virtual cluster has it, or a default of the config made it.
    BuiltIn,
    /// The user's config made it.
    User,
    /// No config makes it: it is only written in the policy.
    Unknown,
}

impl RuleKind {
    /// All of them, in the order of a legend.
    pub const ALL: [Self; 3] = [Self::BuiltIn, Self::User, Self::Unknown];

    fn of(origin: Option<&Origin>) -> Self {
        match origin {
            Some(Origin::BuiltIn | Origin::Default(_)) => Self::BuiltIn,
            Some(Origin::Setting(_) | Origin::Label(_)) => Self::User,
            None => Self::Unknown,
        }
    }

    /// One letter, for forms without room for words.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::BuiltIn => "B",
            Self::User => "U",
            Self::Unknown => "?",
        }
    }

    /// What the letter means.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::BuiltIn => "built in, or a default",
            Self::User => "from the user's config",
            Self::Unknown => "written in the policy, by no config",
        }
    }

    /// The word that formats use for its color.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::BuiltIn => "builtin",
            Self::User => "user",
            Self::Unknown => "unknown",
        }
    }

    /// Its color, the same in every format.
    pub(super) fn color(self) -> &'static str {
        match self {
            Self::BuiltIn => "#2f6fb0",
            Self::User => "#2b8a3e",
            Self::Unknown => "#6b7280",
        }
    }
}

/// The sign of a rule that is open to somebody without any label.
pub const OPEN_SIGN: &str = "!";

/// What the sign means.
pub const OPEN_MEANING: &str = "open to everyone, to every address or to every pod";

/// The color of an open rule.
pub(super) const OPEN_COLOR: &str = "#c92a2a";

/// Who may use a rule without having any label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Openness {
    /// Every pod and every address.
    Everyone,
    /// Every IPv4 address.
    #[serde(rename = "every-ipv4-address")]
    EveryIpv4Address,
    /// Every IPv6 address.
    #[serde(rename = "every-ipv6-address")]
    EveryIpv6Address,
    /// Every pod of every namespace.
    EveryPod,
}

impl Openness {
    fn of(rule: &Rule) -> Option<Self> {
        let Some(peers) = &rule.peers else {
            return Some(Self::Everyone);
        };
        let blocks: AddressSet = (peers.iter())
            .filter_map(|peer| match peer {
                Peer::Block(block) => Some(block.clone()),
                Peer::Pods { .. } => None,
            })
            .collect();
        let covers = |family: &str| {
            let family: AddressSet = parse_net(family).into_iter().collect();
            family.difference(&blocks).is_empty()
        };
        match (covers("0.0.0.0/0"), covers("::/0")) {
            (true, true) => return Some(Self::Everyone),
            (true, false) => return Some(Self::EveryIpv4Address),
            (false, true) => return Some(Self::EveryIpv6Address),
            (false, false) => {}
        }
        let is_every_pod = |peer: &Peer| match peer {
            Peer::Pods {
                namespaces: Namespaces::Labelled(selector),
                pods,
            } => pods.is_empty() && is_every_namespace(selector),
            _ => false,
        };
        peers.iter().any(is_every_pod).then_some(Self::EveryPod)
    }
}

/// Whether a selector takes every namespace: it asks for nothing, or for the name that each has.
pub(super) fn is_every_namespace(selector: &Selector) -> bool {
    // No selector can tell two unknown names apart, and none names this one.
    let is_unknown_taken = Selector::namespace("(unknown)").is_within(selector);
    let names_values = selector
        .named_values()
        .any(|(_, values)| !values.is_empty());
    is_unknown_taken && !names_values
}

impl Explained {
    /// Explains a policy; `planned` is the one that the filter would write in its place.
    pub(super) fn of(
        policy: &Policy,
        planned: Option<&Policy>,
        cluster: Option<String>,
        presence: Presence,
    ) -> Self {
        Self {
            name: policy.name.clone(),
            namespace: (!policy.namespace.is_empty()).then(|| policy.namespace.clone()),
            cluster,
            presence,
            pods: Party::subject(policy),
            egress: Side::of(policy, planned, Direction::Egress),
            ingress: Side::of(policy, planned, Direction::Ingress),
        }
    }

    pub(super) fn shown(&self) -> Self {
        let side = |side: &Side| Side {
            restricted: side.restricted,
            rules: side.rules.iter().map(Line::shown).collect(),
        };
        Self {
            name: terminal(&self.name).into_owned(),
            namespace: self.namespace.as_deref().map(|n| terminal(n).into_owned()),
            cluster: self.cluster.clone(),
            presence: self.presence,
            pods: self.pods.shown(),
            egress: side(&self.egress),
            ingress: side(&self.ingress),
        }
    }

    /// Both directions with their names.
    pub(super) fn sides(&self) -> [(Direction, &Side); 2] {
        [
            (Direction::Egress, &self.egress),
            (Direction::Ingress, &self.ingress),
        ]
    }

    /// Name and namespace.
    pub(super) fn title(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} in namespace {namespace}", self.name),
            None => self.name.clone(),
        }
    }
}

impl Side {
    fn of(policy: &Policy, planned: Option<&Policy>, direction: Direction) -> Self {
        let rules = policy.rules(direction);
        let planned = planned.and_then(|planned| planned.rules(direction));
        let planned = planned.unwrap_or_default();
        Self {
            restricted: rules.is_some(),
            rules: rules
                .unwrap_or_default()
                .iter()
                .enumerate()
                .map(|(index, rule)| Line::of(direction, index, rule, planned.get(index)))
                .collect(),
        }
    }

    /// What there is to say instead of rules.
    pub(super) fn without_rules(&self) -> Option<&'static str> {
        match (self.restricted, self.rules.is_empty()) {
            (false, _) => Some("not restricted by this policy"),
            (true, true) => Some("nobody, as far as this policy goes"),
            (true, false) => None,
        }
    }
}

impl Line {
    /// The letter of its kind, with the sign of an open rule.
    #[must_use]
    pub fn sign(&self) -> String {
        let open = if self.open_to.is_some() {
            OPEN_SIGN
        } else {
            ""
        };
        format!("{}{open}", self.kind.sign())
    }

    /// Its color: that of an open rule before that of its kind.
    pub(super) fn color(&self) -> &'static str {
        if self.open_to.is_some() {
            OPEN_COLOR
        } else {
            self.kind.color()
        }
    }

    fn shown(&self) -> Self {
        Self {
            index: self.index,
            peers: self.peers.iter().map(Party::shown).collect(),
            ports: terminal(&self.ports).into_owned(),
            why: self.why.as_deref().map(|why| terminal(why).into_owned()),
            cause: self.cause.shown(),
            kind: self.kind,
            open_to: self.open_to,
        }
    }

    fn of(direction: Direction, index: usize, rule: &Rule, planned: Option<&Rule>) -> Self {
        let origin = rule.origin.as_ref();
        // The filter writes only the field's name above a user's rule. The user's own comment
        // stands in the config, and the planned rule has it.
        let comments = [
            Some(rule),
            planned.filter(|planned| planned.origin == rule.origin),
        ];
        let mut comments = comments
            .into_iter()
            .flatten()
            .filter_map(|r| r.comment.clone());
        Self {
            index,
            peers: match &rule.peers {
                None => vec![Party::everyone()],
                Some(peers) => peers.iter().map(Party::peer).collect(),
            },
            ports: rule.ports.to_string(),
            why: comments.find(|comment| !repeats(comment, origin)),
            cause: match &rule.origin {
                Some(origin) => Cause::Origin(origin.clone()),
                None => Cause::Written(format!("spec.{direction}[{index}]")),
            },
            kind: RuleKind::of(origin),
            open_to: Openness::of(rule),
        }
    }
}

/// Whether a comment is the one that the filter writes above a rule of this field, which says no
/// more than the origin. The filter names the field by its path below the config; the path of the
/// origin can be longer (`policies.networkPolicy.workload.egress[0]`).
fn repeats(comment: &str, origin: Option<&Origin>) -> bool {
    let Some(Origin::Setting(path)) = origin else {
        return false;
    };
    let below = path
        .match_indices('.')
        .filter_map(|(i, _)| path.get(i + 1..));
    std::iter::once(path.as_str())
        .chain(below)
        .any(|field| comment == comment_of_field(field))
}
