//! What changes in reachability from one view to another: what is newly allowed and what no longer
//! is, for each policy's pods and each direction.
//!
//! The sets come from the evaluator, so order and spelling of rules make no difference. Each side
//! of a connection is looked at by itself: whether the other end agrees is what `check` answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::table::wrap;
use super::words::Party;
use manifest::escape::{markdown as escaped, markdown_code as code, terminal};
use netpol::allowed::AllowedTraffic;
use netpol::connections;
use netpol::difference::{self, Difference};
use netpol::evaluate::Policies;
use netpol::model::cluster::ClusterModel;
use netpol::model::policy::{Namespaces, Peer};
use netpol::sets::addresses::AddressSet;
use netpol::sets::ports::Ports;
use netpol::sets::selector::Selector;

/// All that changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// One entry for each kind of pods and direction in which something changes.
    pub changes: Vec<Change>,
    /// What could not be compared: something may change there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<String>,
    /// What changes between workloads because one of them is new, gone, or has other labels, or
    /// because a policy of the whole cluster changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workloads: Vec<WorkloadChange>,
}

/// What changes from one workload to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkloadChange {
    /// The source, as `namespace/name[Kind]`.
    pub from: String,
    /// The destination.
    pub to: String,
    /// The ports that are open now and were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newly_allowed: Option<String>,
    /// The ports that were open and are not now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_longer_allowed: Option<String>,
}

/// What changes for some pods in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The policies whose selectors say which pods these are, in either of the two.
    pub policies: Vec<String>,
    /// Their namespace, where anything tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The pods.
    pub pods: Party,
    /// Pods among them that are not meant: for them something else changes, or nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Party>,
    /// `egress` or `ingress`.
    pub direction: String,
    /// Whether policies restrict the direction, before and after.
    pub restricted: [bool; 2],
    /// What is allowed now and was not.
    pub newly_allowed: Vec<Entry>,
    /// What was allowed and is not now.
    pub no_longer_allowed: Vec<Entry>,
}

/// Somebody at the other end, and the ports that have changed for him.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Who it is.
    pub peer: Party,
    /// The ports.
    pub ports: String,
    /// Who among them is not meant, for nothing changes for him on these ports. Pods that can be
    /// among them by other labels are named too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub but: Vec<Unchanged>,
}

/// Somebody for whom nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unchanged {
    /// Who it is.
    pub peer: Party,
    /// The ports.
    pub ports: String,
    /// Whether all of them are among those for whom something changes.
    pub all: bool,
}

impl Diff {
    /// Compares what two sets of policies let through.
    #[must_use]
    pub fn between(old: &Policies, new: &Policies) -> Self {
        Self::from(&Difference::between(old, new))
    }

    /// The same for two models: what changes because workloads changed is there too.
    #[must_use]
    pub fn between_models(old: &ClusterModel, new: &ClusterModel) -> Self {
        let words = |ports: &Ports| (!ports.is_empty()).then(|| ports.to_string());
        let found = connections::changes_of_workloads(old, new);
        let mut diff = Self::between(old.policies(), new.policies());
        if found.is_none() {
            let words = "connections between workloads: too many workloads have changed";
            diff.not_compared.push(words.to_owned());
        }
        let workloads = found.iter().flatten().map(|change| WorkloadChange {
            from: change.from.to_string(),
            to: change.to.to_string(),
            newly_allowed: words(&change.newly_allowed),
            no_longer_allowed: words(&change.no_longer_allowed),
        });
        diff.workloads.extend(workloads);
        diff.not_compared.extend(moves_of_network(old, new));
        let (before, after) = (old.policies(), new.policies());
        for (policies, others) in [(before, after), (after, before)] {
            let changed = policies
                .tiers()
                .filter(|p| !others.tiers().any(|other| other == *p));
            for policy in changed {
                let words = format!(
                    "{policy}, which changes: only connections between workloads of the input are \
                     compared"
                );
                if !diff.not_compared.contains(&words) {
                    diff.not_compared.push(words);
                }
            }
        }
        let moved = difference::baseline_for_other_pods(before, after);
        diff.not_compared.extend(moved.into_iter().map(|policy| {
            format!(
                "{policy}, which decides for pods that no NetworkPolicy isolates, and these change: \
                 only connections between workloads of the input are compared"
            )
        }));
        diff.not_compared.extend(changes_of_unknown(old, new));
        diff
    }

    /// The same with every text in one line, fit to be shown.
    fn shown(&self) -> Self {
        Self {
            workloads: self.workloads.clone(),
            changes: self.changes.iter().map(Change::shown).collect(),
            not_compared: (self.not_compared.iter())
                .map(|text| terminal(text).into_owned())
                .collect(),
        }
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.not_compared.is_empty() && self.workloads.is_empty()
    }
}

/// The policies of kinds that are not evaluated and that are new, gone, or say something else.
fn changes_of_unknown(old: &ClusterModel, new: &ClusterModel) -> Vec<String> {
    let by_name = |model: &ClusterModel| -> BTreeMap<String, serde_json::Value> {
        let policies = model.unknown_policies().iter();
        policies
            .map(|policy| (policy.to_string(), policy.content.clone()))
            .collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let gone = gone.map(|name| (name, "is removed"));
    let changed = after
        .iter()
        .filter_map(|(name, content)| match before.get(name) {
            None => Some((name, "is added")),
            Some(old) if old != content => Some((name, "changes")),
            Some(_) => None,
        });
    gone.chain(changed)
        .map(|(name, change)| {
            format!("{name}, which {change}: what policies of this kind allow is not evaluated")
        })
        .collect()
}

/// The workloads that move to the network of their node, or away from it. No policy applies to such
/// pods, so what they can connect to changes although no policy does. Where one side has no workload
/// at all, only policies are compared.
fn moves_of_network(old: &ClusterModel, new: &ClusterModel) -> Vec<String> {
    if old.pods().is_empty() || new.pods().is_empty() {
        return Vec::new();
    }
    let (before, after) = (old.workloads_on_host(), new.workloads_on_host());
    let moved_there = after.difference(&before).map(|workload| {
        format!("{workload}, which now uses the network of its node: no policy applies to its pods")
    });
    let moved_away = before.difference(&after).map(|workload| {
        format!(
            "{workload}, which no longer uses the network of its node: policies apply to its pods"
        )
    });
    moved_there.chain(moved_away).collect()
}

impl WorkloadChange {
    fn lines(&self) -> impl Iterator<Item = String> {
        let words = [
            ("newly allowed", &self.newly_allowed),
            ("no longer allowed", &self.no_longer_allowed),
        ];
        words.into_iter().filter_map(|(words, ports)| {
            let ports = ports.as_ref()?;
            Some(format!("{words}: {} -> {} on {ports}", self.from, self.to))
        })
    }
}

impl From<&Difference<'_>> for Diff {
    fn from(difference: &Difference<'_>) -> Self {
        let not_compared = difference.not_compared.iter().map(|(namespace, direction)| {
            format!(
                "{direction} of the pods in namespace {namespace}: the podSelectors make too many \
                 combinations of labels"
            )
        });
        Self {
            changes: difference.changes.iter().map(Change::from).collect(),
            not_compared: not_compared.collect(),
            workloads: Vec::new(),
        }
    }
}

impl From<&difference::Change<'_>> for Change {
    fn from(change: &difference::Change<'_>) -> Self {
        let party = |selector: &Selector| {
            Party::peer(&Peer::Pods {
                namespaces: Namespaces::Own(change.namespace.to_owned()),
                pods: selector.clone(),
            })
        };
        Self {
            policies: change
                .policies
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
            namespace: (!change.namespace.is_empty()).then(|| change.namespace.to_owned()),
            pods: party(&change.pods),
            except: change.except.iter().map(party).collect(),
            direction: change.direction.to_string(),
            restricted: change.restricted,
            newly_allowed: entries(&change.newly_allowed, &change.before),
            no_longer_allowed: entries(&change.no_longer_allowed, &change.after),
        }
    }
}

impl Change {
    /// What there is to say of the whole direction.
    fn remark(&self) -> Option<&'static str> {
        match self.restricted {
            [true, false] => Some("no policy restricts it any more"),
            [false, true] => Some("no policy restricted it before"),
            _ => None,
        }
    }

    fn shown(&self) -> Self {
        let entries = |entries: &[Entry]| entries.iter().map(Entry::shown).collect();
        let policies = self.policies.iter();
        Self {
            policies: policies.map(|p| terminal(p).into_owned()).collect(),
            namespace: self.namespace.as_deref().map(|n| terminal(n).into_owned()),
            pods: self.pods.shown(),
            except: self.except.iter().map(Party::shown).collect(),
            direction: self.direction.clone(),
            restricted: self.restricted,
            newly_allowed: entries(&self.newly_allowed),
            no_longer_allowed: entries(&self.no_longer_allowed),
        }
    }

    fn title(&self) -> String {
        let mut title = self.policies.join(", ");
        if let Some(namespace) = &self.namespace {
            let _ = write!(title, " in namespace {namespace}");
        }
        title
    }

    /// The pods that are meant.
    fn subject(&self, party: impl Fn(&Party) -> String) -> String {
        let mut words = party(&self.pods);
        let except: Vec<String> = self.except.iter().map(party).collect();
        if !except.is_empty() {
            let _ = write!(words, "; except {}", except.join("; "));
        }
        words
    }

    /// Each change with the words for it.
    fn lists(&self) -> [(&'static str, &[Entry]); 2] {
        [
            ("newly allowed", &self.newly_allowed),
            ("no longer allowed", &self.no_longer_allowed),
        ]
    }
}

/// The entries of a difference; `other` is what the other side allows anyway.
pub(crate) fn entries(difference: &AllowedTraffic, other: &AllowedTraffic) -> Vec<Entry> {
    let mut entries = Vec::new();
    let everyone = difference.everyone();
    if !everyone.is_empty() {
        let among = other.addresses().pieces().map(|(a, p)| (block(a), p, true));
        let pods = other
            .pods()
            .map(|(class, p)| (Party::class(class), p, true));
        entries.push(Entry {
            peer: Party::everyone(),
            ports: everyone.to_string(),
            but: unchanged(among.chain(pods), everyone),
        });
    }
    for (addresses, ports) in difference.addresses().pieces() {
        // Everyone has an address; what they get beyond that is left.
        let ports = ports.difference(everyone);
        if !ports.is_empty() {
            entries.push(Entry {
                peer: block(addresses),
                ports: ports.to_string(),
                but: Vec::new(),
            });
        }
    }
    for (class, ports) in difference.pods() {
        let among = other
            .pods()
            // Ports are compared sooner than labels.
            .filter(|(known, p)| !p.intersection(ports).is_empty() && known.overlaps(class))
            .map(|(known, p)| (Party::class(known), p, known.is_within(class)));
        entries.push(Entry {
            peer: Party::class(class),
            ports: ports.to_string(),
            but: unchanged(among, ports),
        });
    }
    entries
}

fn unchanged<'p>(
    known: impl Iterator<Item = (Party, &'p Ports, bool)>,
    ports: &Ports,
) -> Vec<Unchanged> {
    known
        .filter_map(|(peer, theirs, all)| {
            let both = theirs.intersection(ports);
            (!both.is_empty()).then(|| Unchanged {
                peer,
                ports: both.to_string(),
                all,
            })
        })
        .collect()
}

fn block(addresses: &AddressSet) -> Party {
    Party::peer(&Peer::Block(addresses.clone()))
}

/// The changes in lines no longer than `width`, as far as that is possible.
#[must_use]
pub fn text(diff: &Diff, width: usize) -> String {
    if diff.is_empty() {
        return "No change in reachability.\n".to_owned();
    }
    let diff = &diff.shown();
    let mut text = String::new();
    for (i, change) in diff.changes.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| diff.changes.get(i));
        let about = |c: &Change| (c.title(), c.pods.clone(), c.except.clone());
        if before.is_none_or(|before| about(before) != about(change)) {
            let gap = if i == 0 { "" } else { "\n" };
            let title = format!("{}: {}", change.title(), change.subject(Party::in_line));
            let _ = writeln!(text, "{gap}{}", wrap(&title, width).join("\n"));
        }
        let remark = change.remark().map(|r| format!(" ({r})"));
        let _ = writeln!(text, "  {}{}", change.direction, remark.unwrap_or_default());
        for (words, entries) in change.lists() {
            for entry in entries {
                let line = format!("{words}: {}", entry.in_line(Party::in_line, str::to_owned));
                for (n, line) in wrap(&line, width.saturating_sub(6)).iter().enumerate() {
                    let margin = if n == 0 { "    " } else { "      " };
                    let _ = writeln!(text, "{margin}{line}");
                }
            }
        }
    }
    if !diff.workloads.is_empty() {
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}connections between workloads:");
    }
    for line in diff.workloads.iter().flat_map(WorkloadChange::lines) {
        let _ = writeln!(text, "  {}", terminal(&line));
    }
    for words in &diff.not_compared {
        let _ = writeln!(text, "not compared: {words}");
    }
    text
}

/// Each change in one line, for a message. Names are as they are, to be escaped by the output.
#[must_use]
pub fn in_lines(diff: &Diff) -> Vec<String> {
    let mut lines = Vec::new();
    for change in &diff.changes {
        let subject = change.subject(Party::in_line);
        for (words, entries) in change.lists() {
            for entry in entries {
                let entry = entry.in_line(Party::in_line, str::to_owned);
                lines.push(format!(
                    "{} of {subject}: {words}: {entry}",
                    change.direction
                ));
            }
        }
    }
    let rest = diff.not_compared.iter();
    lines.extend(rest.map(|words| format!("not compared: {words}")));
    lines
}

/// The changes as Markdown, for a comment on a pull request.
#[must_use]
pub fn markdown(diff: &Diff) -> String {
    let mut text = String::from("### Network policies: what changes in reachability\n");
    if diff.is_empty() {
        text.push_str("\nNothing.\n");
        return text;
    }
    text.push_str(&changes_as_markdown(diff));
    text
}

/// The changes without a heading, for a page that has its own.
#[must_use]
pub fn changes_as_markdown(diff: &Diff) -> String {
    let mut text = String::new();
    let party = |party: &Party| match party.label() {
        "" => escaped(&party.who),
        by => format!("{} ({})", escaped(&party.who), code(by)),
    };
    for change in &diff.changes {
        let remark = change.remark().map(|r| format!(" ({r})"));
        let _ = writeln!(
            text,
            "\n**{}**: {} of {}{}\n",
            escaped(&change.title()),
            change.direction,
            change.subject(party),
            remark.unwrap_or_default()
        );
        for (words, entries) in change.lists() {
            for entry in entries {
                let _ = writeln!(text, "- {words}: {}", entry.in_line(party, escaped));
            }
        }
    }
    if !diff.workloads.is_empty() {
        text.push_str("\n**Connections between workloads**:\n\n");
    }
    for line in diff.workloads.iter().flat_map(WorkloadChange::lines) {
        let _ = writeln!(text, "- {}", escaped(&line));
    }
    for words in &diff.not_compared {
        let _ = writeln!(text, "\nNot compared: {}", escaped(words));
    }
    text
}

impl Entry {
    fn shown(&self) -> Self {
        let but = self.but.iter().map(|unchanged| Unchanged {
            peer: unchanged.peer.shown(),
            ports: terminal(&unchanged.ports).into_owned(),
            all: unchanged.all,
        });
        Self {
            peer: self.peer.shown(),
            ports: terminal(&self.ports).into_owned(),
            but: but.collect(),
        }
    }

    /// In one line; of those for whom nothing changes only such as surely belong here.
    fn in_line(&self, party: impl Fn(&Party) -> String, ports: impl Fn(&str) -> String) -> String {
        let mut line = format!("{} on {}", party(&self.peer), ports(&self.ports));
        let but: Vec<String> = (self.but.iter())
            .filter(|unchanged| unchanged.all)
            .map(|unchanged| {
                let peer = party(&unchanged.peer);
                if unchanged.ports == self.ports {
                    peer
                } else {
                    format!("{peer} on {}", ports(&unchanged.ports))
                }
            })
            .collect();
        if !but.is_empty() {
            let _ = write!(line, "; the same as before for {}", but.join("; "));
        }
        line
    }
}
