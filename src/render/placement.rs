//! Where the policies of the virtual clusters stand in the stream, or will stand.
//!
//! Finds the copies that are there, and turns policies into changes of the stream. What a policy
//! says is settled before.

use std::collections::BTreeMap;

use super::plan::Plan;
use super::{Action, Deed};
use crate::config::cluster::VirtualCluster;
use crate::edit::{self, Edit};
use crate::index::{FILENAME, Index, Item, Object};
use crate::krm::{self, SoleList};
use crate::policy::{Policy, Role};
use crate::report::{Problem, Report, code};
use crate::survey::{self, Closing};
use crate::{emit, readback, stream};

/// The stream being edited.
pub(super) struct Placement<'a> {
    stream: &'a [u8],
    index: &'a Index,
    claimed: Vec<bool>,
    /// Items that go out of their lists.
    leaving: Vec<Object>,
    pub(super) edits: Vec<Edit>,
    missing: Vec<Missing>,
    pub(super) actions: Vec<Action>,
    pub(super) errors: Report,
}

/// A policy that the stream does not have.
struct Missing {
    block: String,
    flow: String,
    header: Option<String>,
}

impl<'a> Placement<'a> {
    pub(super) fn new(stream: &'a [u8], index: &'a Index) -> Self {
        Self {
            stream,
            index,
            claimed: vec![false; index.objects.len()],
            leaving: Vec::new(),
            edits: Vec::new(),
            missing: Vec::new(),
            actions: Vec::new(),
            errors: Report::default(),
        }
    }

    /// The copies of a policy in the stream, none of which has been taken for another's.
    fn copies(&mut self, name: &str, namespaces: &[Option<&str>]) -> Vec<Object> {
        let mut found = Vec::new();
        for (object, claimed) in self.index.objects.iter().zip(&mut self.claimed) {
            let here =
                object.namespace.is_none() || namespaces.contains(&object.namespace.as_deref());
            let ours = object.is_network_policy()
                && object.name.as_deref() == Some(name)
                && here
                && !object.is_hook();
            if ours && !*claimed {
                *claimed = true;
                found.push(object.clone());
            }
        }
        found
    }

    pub(super) fn place(&mut self, cluster: &VirtualCluster, plan: &Plan) {
        for policy in &plan.policies {
            let namespaces = [
                policy.namespace.as_deref(),
                cluster.stream_namespace.as_deref(),
            ];
            let copies = self.copies(&policy.name, &namespaces);
            self.put(cluster, policy, &plan.comments, copies);
        }
        for policy in &plan.companions {
            let namespaces = [
                policy.namespace.as_deref(),
                cluster.stream_namespace.as_deref(),
            ];
            if self.copies(&policy.name, &namespaces).is_empty() {
                self.put(cluster, policy, &plan.comments, Vec::new());
            }
        }
        for name in &plan.unwanted {
            let namespaces = [
                cluster.namespace.as_deref(),
                cluster.stream_namespace.as_deref(),
            ];
            for copy in self.copies(name, &namespaces) {
                self.remove(copy);
            }
        }
    }

    /// Writes a policy over the first of its copies, or notes that it is missing.
    fn put(
        &mut self,
        cluster: &VirtualCluster,
        policy: &Policy,
        comments: &[String],
        copies: Vec<Object>,
    ) {
        let mut copies = copies.into_iter();
        let first = copies.next();
        for copy in copies {
            self.remove(copy);
        }
        let template = cluster.template.as_deref().map(networkpolicy_template);
        let filename = match &first {
            Some(object) if object.seat.helm4 => object.seat.template.clone(),
            _ if cluster.helm4 => template.clone(),
            _ => None,
        };
        let mut annotations: BTreeMap<String, String> = policy.annotations.clone();
        annotations.remove(FILENAME);
        if let Some(filename) = filename {
            annotations.insert(FILENAME.to_owned(), filename);
        }
        let comments = match &first {
            // Comments above an item would not be part of it the next time.
            Some(object) if object.seat.item.is_some() => &[],
            _ => comments,
        };
        let block = emit::block(policy, &annotations, comments);
        let flow = emit::flow(policy, &annotations);
        for text in [&block, &flow] {
            if let Err(problem) = readback::check(text, policy, &annotations) {
                self.errors.push(problem);
            }
        }
        let action = |deed, document| Action {
            deed,
            policy: policy.name.clone(),
            namespace: policy.namespace.clone(),
            document,
        };
        let Some(object) = first else {
            self.actions.push(action(Deed::Injected, None));
            let header = (!cluster.helm4)
                .then_some(template)
                .flatten()
                .map(|t| survey::source_line(&t));
            self.missing.push(Missing {
                block,
                flow,
                header,
            });
            return;
        };
        let edit = match &object.seat.item {
            None => edit::replace_document(self.stream, &object, &block),
            Some(item) if item.referred_to => {
                let message = "the policy stands in a list, and an alias elsewhere refers to it";
                let help = "take the anchor out of the policy, or the policy out of the list";
                self.errors.push(
                    Problem::error(message)
                        .help(help)
                        .at(object.place(self.stream)),
                );
                return;
            }
            Some(item) => edit::replace_item(self.stream, item, &block, &flow),
        };
        let same = self.stream.get(edit.span.clone()) == Some(edit.text.as_bytes());
        let deed = if same {
            Deed::Unchanged
        } else {
            Deed::Replaced
        };
        self.actions.push(action(deed, Some(object.seat.number)));
        if !same {
            self.edits.push(edit);
        }
    }

    fn remove(&mut self, object: Object) {
        self.actions.push(Action {
            deed: Deed::Removed,
            policy: object.name.clone().unwrap_or_default(),
            namespace: object.namespace.clone(),
            document: Some(object.seat.number),
        });
        match &object.seat.item {
            None => self.edits.push(edit::remove_document(&object)),
            Some(_) => self.leaving.push(object),
        }
    }

    /// Takes the items that go out of their lists, list by list.
    fn remove_items(&mut self) {
        let leaving = std::mem::take(&mut self.leaving);
        let mut lists: BTreeMap<(usize, usize), Vec<(&Object, &Item)>> = BTreeMap::new();
        for object in &leaving {
            if let Some(item) = &object.seat.item {
                let list = (item.list.start, item.list.end);
                lists.entry(list).or_default().push((object, item));
            }
        }
        for members in lists.into_values() {
            let items: Vec<&Item> = members.iter().map(|(_, item)| *item).collect();
            let bound = items.iter().any(|item| item.referred_to);
            match edit::remove_items(self.stream, &items).filter(|_| !bound) {
                Some(edits) => self.edits.extend(edits),
                None => self.errors.extend(members.iter().map(|(object, _)| {
                    Problem::error("a further copy of the policy can't be taken out of its list")
                        .help("remove it from the template that renders it")
                        .at(object.place(self.stream))
                })),
            }
        }
    }

    /// Policies of a virtual cluster whose config is disabled stay, and a warning says so.
    pub(super) fn disabled(&mut self, cluster: &VirtualCluster) -> Vec<Problem> {
        let namespaces = [
            cluster.namespace.as_deref(),
            cluster.stream_namespace.as_deref(),
        ];
        let stream = self.stream;
        [Role::Workload, Role::ControlPlane]
            .into_iter()
            .flat_map(|role| self.copies(&role.policy_name(&cluster.name), &namespaces))
            .map(|object| {
                let message = format!(
                    "the config of {} is disabled, but this policy is in the stream and stays",
                    cluster.describe()
                );
                Problem::warning(code::DISABLED, message)
                    .help("enable the config, or remove the policy from the chart")
                    .at(object.place(stream))
            })
            .collect()
    }

    /// Policies of virtual clusters that no config speaks of stay, and a warning says so.
    pub(super) fn left_alone(&self) -> Vec<Problem> {
        let ours = |o: &&Object| {
            let name = o.name.as_deref().unwrap_or_default();
            o.is_network_policy()
                && !o.is_hook()
                && (name.starts_with("vc-work-") || name.starts_with("vc-cp-"))
        };
        let objects = self.index.objects.iter().filter(ours);
        objects
            .map(|object| {
                let message =
                    "the stream holds no config, so this policy stays as the chart has it";
                Problem::warning(code::DISABLED, message)
                    .help("was the config Secret hidden? Set the annotation, or use --config FILE")
                    .at(object.place(self.stream))
            })
            .collect()
    }

    /// Takes out what goes, and puts in what is missing.
    pub(super) fn finish(&mut self, list: Option<&SoleList>) {
        self.remove_items();
        if self.missing.is_empty() {
            return;
        }
        if let Some(list) = list {
            let texts: Vec<krm::Text> = self
                .missing
                .iter()
                .map(|m| krm::Text {
                    // An item has no comments above it, see `put`.
                    block: m
                        .block
                        .lines()
                        .skip_while(|l| l.starts_with('#'))
                        .fold(String::new(), |text, line| text + line + "\n"),
                    flow: m.flow.clone(),
                })
                .collect();
            match list.insert(self.stream, &texts) {
                Some(edit) => self.edits.push(edit),
                None => self.errors.push(
                    Problem::error("the list has no place for the policies that are missing")
                        .help("write its items one below the other, each behind \"- \""),
                ),
            }
            return;
        }
        let gap = survey::gap(self.stream);
        let mut text = String::new();
        // A document that is replaced at the very end brings its own line break.
        let replaced = self
            .edits
            .iter()
            .any(|e| e.span.end == gap.at && !e.text.is_empty());
        if gap.needs_break && !replaced {
            text.push('\n');
        }
        for missing in &self.missing {
            text.push_str("---\n");
            text.push_str(missing.header.as_deref().unwrap_or_default());
            text.push_str(&missing.block);
        }
        match gap.closing {
            Closing::None => {}
            Closing::Marker => text.push_str("---\n"),
            Closing::End => text.push_str("...\n"),
        }
        let line_break = stream::line_break(self.stream, gap.at);
        self.edits.push(Edit {
            span: gap.at..gap.at,
            text: edit::with_line_breaks(&text, line_break),
        });
    }
}

/// The chart's template of network policies, beside the carrier's.
fn networkpolicy_template(carrier: &str) -> String {
    let chart = carrier
        .rfind("/templates/")
        .map_or_else(|| carrier.split('/').next(), |i| carrier.get(..i))
        .unwrap_or(carrier);
    format!("{chart}/templates/networkpolicy.yaml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_lies_beside_the_carriers() {
        for (carrier, expected) in [
            (
                "vcluster/templates/config-secret.yaml",
                "vcluster/templates/networkpolicy.yaml",
            ),
            (
                "u/charts/a/templates/x/y.yaml",
                "u/charts/a/templates/networkpolicy.yaml",
            ),
            ("odd.yaml", "odd.yaml/templates/networkpolicy.yaml"),
        ] {
            assert_eq!(networkpolicy_template(carrier), expected);
        }
    }
}
