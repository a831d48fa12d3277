//! Where the policies of the virtual clusters stand in the stream, or will stand.
//!
//! Turns policies into changes of the stream. What a policy says is settled before, and which copies
//! of it are there.

use std::collections::BTreeMap;

use super::Action;
use super::PolicyChange;
use super::copies::OwnCopies;
use super::plan::Plan;
use crate::filter::emit;
use crate::filter::index::IndexedObject as Object;
use crate::filter::install_order::{self, Separator};
use crate::filter::krm::SoleList;
use crate::filter::roundtrip;
use crate::vcluster::policies::Policy;
use crate::vcluster::sources::VirtualCluster;
use manifest::diagnostic::{Diagnostic, Diagnostics};
use manifest::documents;
use manifest::edit::{self, Edit};
use manifest::objects::{FILENAME, Item};

/// The stream being edited.
pub(super) struct Placement<'a> {
    stream: &'a [u8],
    list: Option<&'a SoleList>,
    /// Items that go out of their lists.
    leaving: Vec<&'a Object>,
    pub(super) edits: Vec<Edit>,
    missing: Vec<Missing>,
    pub(super) actions: Vec<Action>,
    /// What the stream must hold once it is written.
    pub(super) expected: Vec<Expected<'a>>,
    pub(super) errors: Diagnostics,
}

/// A policy that the stream does not have.
struct Missing {
    text: String,
    header: Option<String>,
}

/// A policy as it must stand in the stream that is written.
pub(super) struct Expected<'a> {
    pub(super) policy: &'a Policy,
    /// Its annotations, Helm 4's among them.
    pub(super) annotations: BTreeMap<String, String>,
    /// The text that was written for it, and read back.
    pub(super) text: String,
}

impl<'a> Placement<'a> {
    pub(super) fn new(stream: &'a [u8], list: Option<&'a SoleList>) -> Self {
        Self {
            stream,
            list,
            leaving: Vec::new(),
            edits: Vec::new(),
            missing: Vec::new(),
            actions: Vec::new(),
            expected: Vec::new(),
            errors: Diagnostics::default(),
        }
    }

    /// Writes the policies of a virtual cluster over their copies, or among what is missing.
    pub(super) fn place(
        &mut self,
        cluster: &VirtualCluster,
        plan: &'a Plan,
        copies: OwnCopies<'a>,
    ) {
        for (policy, found) in plan.policies.iter().zip(copies.policies) {
            self.put(cluster, policy, &plan.comments, found);
        }
        for (policy, found) in plan.companions.iter().zip(copies.companions) {
            if found.is_empty() {
                self.put(cluster, policy, &plan.comments, Vec::new());
            }
        }
        for copy in copies.unwanted {
            self.remove(copy);
        }
    }

    /// Writes a policy over the first of its copies, or notes that it is missing.
    fn put(
        &mut self,
        cluster: &VirtualCluster,
        policy: &'a Policy,
        comments: &[String],
        copies: Vec<&'a Object>,
    ) {
        let mut copies = copies.into_iter();
        let first = copies.next();
        for copy in copies {
            self.remove(copy);
        }
        let template = cluster.template.as_deref().map(networkpolicy_template);
        let annotations = Self::annotations(cluster, policy, first, template.as_ref());
        let text = match self.text(policy, &annotations, comments, first) {
            Ok(text) => text,
            Err(problem) => return self.errors.push(problem),
        };
        if let Some(object) = first {
            self.replace(policy, object, &text);
        } else {
            let header = template.filter(|_| !cluster.helm4);
            self.note(PolicyChange::Injected, policy, None);
            self.missing.push(Missing {
                text: text.clone(),
                header: header.map(|t| install_order::source_line(&t)),
            });
        }
        self.expected.push(Expected {
            policy,
            annotations,
            text,
        });
    }

    /// The annotations of a policy, with that of Helm 4 where the stream is Helm 4's.
    fn annotations(
        cluster: &VirtualCluster,
        policy: &Policy,
        first: Option<&Object>,
        template: Option<&String>,
    ) -> BTreeMap<String, String> {
        let mut annotations = policy.annotations.clone();
        annotations.remove(FILENAME);
        let there = first.filter(|o| o.location.helm4);
        let filename = there
            .and_then(|o| o.location.template.as_ref())
            .or(template);
        if let (true, Some(filename)) = (cluster.helm4, filename) {
            annotations.insert(FILENAME.to_owned(), filename.clone());
        }
        annotations
    }

    /// A policy as text in the style of its place, read back and compared with what was meant.
    fn text(
        &self,
        policy: &Policy,
        annotations: &BTreeMap<String, String>,
        comments: &[String],
        first: Option<&Object>,
    ) -> Result<String, Diagnostic> {
        let item = first.and_then(|o| o.location.item.as_ref());
        let in_list = item.is_some() || first.is_none() && self.list.is_some();
        let flow = match item {
            Some(item) => edit::is_flow_item(self.stream, item),
            None => in_list && self.list.is_some_and(SoleList::takes_flow),
        };
        let text = if flow {
            emit::flow(policy, annotations)
        } else if in_list {
            // Comments above an item would not be part of it the next time.
            emit::block(policy, annotations, &[])
        } else {
            emit::block(policy, annotations, comments)
        };
        roundtrip::check(&text, policy, annotations)?;
        Ok(text)
    }

    /// Puts a text in the place of a policy that is there.
    fn replace(&mut self, policy: &Policy, object: &Object, text: &str) {
        let edit = match &object.location.item {
            None => edit::replace_document(self.stream, object, text),
            Some(item) if item.referred_to => {
                let message = "the policy stands in a list, and an alias elsewhere refers to it";
                let help = "take the anchor out of the policy, or the policy out of the list";
                self.errors.push(
                    Diagnostic::error(message)
                        .help(help)
                        .at(object.place(self.stream)),
                );
                return;
            }
            Some(item) => edit::replace_item(self.stream, item, text),
        };
        if self.stream.get(edit.span.clone()) == Some(edit.text.as_bytes()) {
            self.note(
                PolicyChange::Unchanged,
                policy,
                Some(object.location.number),
            );
        } else {
            self.note(PolicyChange::Replaced, policy, Some(object.location.number));
            self.edits.push(edit);
        }
    }

    fn note(&mut self, change: PolicyChange, policy: &Policy, document: Option<usize>) {
        self.actions.push(Action {
            change,
            policy: policy.name.clone(),
            namespace: policy.namespace.clone(),
            document,
        });
    }

    fn remove(&mut self, object: &'a Object) {
        self.actions.push(Action {
            change: PolicyChange::Removed,
            policy: object.name.clone().unwrap_or_default(),
            namespace: object.namespace.clone(),
            document: Some(object.location.number),
        });
        match &object.location.item {
            None => self.edits.push(edit::remove_document(object)),
            Some(_) => self.leaving.push(object),
        }
    }

    /// Takes the items that go out of their lists, list by list.
    fn remove_items(&mut self) {
        let leaving = std::mem::take(&mut self.leaving);
        let mut lists: BTreeMap<(usize, usize), Vec<(&Object, &Item)>> = BTreeMap::new();
        for object in leaving {
            if let Some(item) = &object.location.item {
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
                    Diagnostic::error("a further copy of the policy can't be taken out of its list")
                        .help("remove it from the template that renders it")
                        .at(object.place(self.stream))
                })),
            }
        }
    }

    /// Takes out what goes, and puts in what is missing.
    pub(super) fn finish(&mut self) {
        self.remove_items();
        if self.missing.is_empty() {
            return;
        }
        if let Some(list) = self.list {
            let texts: Vec<&str> = self.missing.iter().map(|m| m.text.as_str()).collect();
            match list.insert(self.stream, &texts) {
                Some(edit) => self.edits.push(edit),
                None => self.errors.push(
                    Diagnostic::error("the list has no place for the policies that are missing")
                        .help("write its items one below the other, each behind \"- \""),
                ),
            }
            return;
        }
        let gap = install_order::gap(self.stream);
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
            text.push_str(&missing.text);
        }
        match gap.closing {
            Separator::None => {}
            Separator::Marker => text.push_str("---\n"),
            Separator::End => text.push_str("...\n"),
        }
        let line_break = documents::line_break(self.stream, gap.at);
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
