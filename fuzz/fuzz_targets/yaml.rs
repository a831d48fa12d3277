//! Any text, read as a document and walked over in every way: no crash, no hang, and all spans lie
//! in the text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use manifest::yaml::{Node, Tree};

fn walk(node: Node<'_>, text: &str) {
    assert!(text.get(node.span()).is_some());
    assert!(node.position().line <= text.len() + 1);
    let _ = (node.column(), node.is_referred_to(), node.get("name"));
    for item in node.items() {
        walk(item, text);
    }
    for (key, value) in node.pairs() {
        walk(key, text);
        walk(value, text);
    }
}

fuzz_target!(|text: &str| {
    if let Ok(tree) = Tree::parse(text)
        && let Some(root) = tree.root()
    {
        let _ = root.to_json();
        walk(root, text);
    }
});
