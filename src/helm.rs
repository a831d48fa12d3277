//! How Helm treats what a post-renderer says: which Helm it is, and where the user sees an error.
//!
//! Only the stream tells the two apart: Helm 4 puts its filename annotation on every document.
//! Helm 3 shows stderr and the exit code of a renderer that fails. Helm 4 shows neither, but stops
//! on output that is no manifest and prints it whole; so there the message is one YAML block scalar
//! on stdout, with exit code 0.

use crate::index::FILENAME;
use crate::stream;
use crate::yaml::{Node, Tree};

/// Whether a stream comes from Helm 4: whether the first object in it bears Helm 4's annotation.
#[must_use]
pub fn is_helm4(stream: &[u8]) -> bool {
    if memchr::memmem::find(stream, FILENAME.as_bytes()).is_none() {
        return false;
    }
    stream::documents(stream)
        .find_map(|document| {
            let text = std::str::from_utf8(stream.get(document.body)?).ok()?;
            let tree = Tree::parse(text).ok()?;
            let root = tree.root()?.dig(&["metadata"])?;
            Some(root.get("annotations").is_some_and(|a| {
                a.get(FILENAME)
                    .and_then(Node::text)
                    .is_some_and(|name| !name.is_empty())
            }))
        })
        .unwrap_or(false)
}

/// A message as the one YAML block scalar by which Helm 4 stops and tells the user why.
#[must_use]
pub fn block_scalar(message: &str) -> String {
    let mut text = String::from("|\n");
    for line in message.lines() {
        let clean: String = line
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        text.push_str("  ");
        text.push_str(clean.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotation_tells_and_a_mention_does_not() {
        let with = "kind: A\nmetadata:\n  annotations:\n    postrenderer.helm.sh/postrender-filename: 'a/b'\n";
        assert!(is_helm4(with.as_bytes()));
        assert!(is_helm4(format!("# c\n---\n{with}").as_bytes()));
        let mention =
            "kind: A\nmetadata:\n  name: a\ndata: {x: postrenderer.helm.sh/postrender-filename}\n";
        assert!(!is_helm4(mention.as_bytes()));
        assert!(!is_helm4(b""));
    }

    #[test]
    fn a_message_is_one_scalar() {
        let text = block_scalar("error: a: b\n  --> c\u{7}");
        assert_eq!(text, "|\n  error: a: b\n    --> c\n");
        let tree = Tree::parse(&text).unwrap();
        assert_eq!(
            tree.root().unwrap().text().unwrap(),
            "error: a: b\n  --> c\n"
        );
    }
}
