//! Paths such as `egress[0].to[1].ipBlock` or `labels["a.b/c"]`, and the nodes they lead to.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Node;

/// One step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'p> {
    /// To the value of a key.
    Key(&'p str),
    /// To an item of a list, counted from 0.
    Item(usize),
}

/// All steps of a path; `None` where it is not well formed.
#[must_use]
pub fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (first, behind) = step(rest)?;
        steps.push(first);
        rest = behind;
    }
    Some(steps)
}

/// The first step of a path, and the rest; `None` where the path is not well formed.
pub(super) fn step(path: &str) -> Option<(Step<'_>, &str)> {
    if let Some(bracket) = path.strip_prefix('[') {
        if let Some(quoted) = bracket.strip_prefix('"') {
            let end = quoted.find("\"]")?;
            return Some((Step::Key(quoted.get(..end)?), quoted.get(end + 2..)?));
        }
        let end = bracket.find(']')?;
        let index = bracket.get(..end)?.parse().ok()?;
        return Some((Step::Item(index), bracket.get(end + 1..)?));
    }
    let field = path.strip_prefix('.').unwrap_or(path);
    let end = field.find(['.', '[']).unwrap_or(field.len());
    Some((Step::Key(field.get(..end)?), field.get(end..)?))
}

/// Finds the nodes of many paths below one node.
///
/// It keeps the keys and items of each node that a path leads through, so that thousands of paths
/// into one list or mapping cost no more than the list itself.
#[derive(Debug)]
pub struct Paths<'a> {
    root: Node<'a>,
    /// By the path of the parent.
    children: HashMap<String, Children<'a>>,
}

/// What a node holds.
#[derive(Debug)]
struct Children<'a> {
    keys: HashMap<Cow<'a, str>, Node<'a>>,
    items: Vec<Node<'a>>,
}

impl<'a> Children<'a> {
    fn of(node: Node<'a>) -> Self {
        Self {
            keys: node.entries().into_iter().collect(),
            items: node.items().collect(),
        }
    }
}

impl<'a> Paths<'a> {
    /// Paths that begin at `root`.
    #[must_use]
    pub fn new(root: Node<'a>) -> Self {
        Self {
            root,
            children: HashMap::new(),
        }
    }

    /// The node at the end of a path, as [`Node::at_path`] finds it.
    pub fn find(&mut self, path: &str) -> Option<Node<'a>> {
        let mut node = self.root;
        let mut rest = path;
        while !rest.is_empty() {
            let parent = path.get(..path.len() - rest.len())?;
            let (step, behind) = step(rest)?;
            if !self.children.contains_key(parent) {
                self.children.insert(parent.to_owned(), Children::of(node));
            }
            let children = self.children.get(parent)?;
            node = match step {
                Step::Key(key) => *children.keys.get(key)?,
                Step::Item(index) => *children.items.get(index)?,
            };
            rest = behind;
        }
        Some(node)
    }

    /// The node of the longest part of a path that leads anywhere, apart from the whole path and
    /// the root.
    pub fn nearest(&mut self, path: &str) -> Option<Node<'a>> {
        let mut path = path;
        while let Some(end) = path.rfind(['.', '[']) {
            path = path.get(..end)?;
            if let Some(node) = self.find(path) {
                return Some(node);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::Tree;

    #[test]
    fn paths_lead_where_one_path_leads() {
        let text = "a: &a {b: 1, b: 2}\nl: [x, {k.x/y: 1}, [z]]\nm: {<<: *a, c: 3}\n\"\": 4\n";
        let tree = Tree::parse(text).unwrap();
        let root = tree.root().unwrap();
        let mut paths = Paths::new(root);
        for path in [
            "",
            "a",
            "a.b",
            "l[0]",
            "l[1][\"k.x/y\"]",
            "l[2][0]",
            "l[3]",
            "m.b",
            "m.c",
            "m.d",
            "a.b.c",
            "l[x]",
            "l[1",
            "[\"\"]",
            "l.x",
        ] {
            let place = |node: Option<Node<'_>>| node.map(Node::span);
            assert_eq!(place(paths.find(path)), place(root.at_path(path)), "{path}");
            assert_eq!(place(paths.find(path)), place(root.at_path(path)), "{path}");
        }
    }
}
