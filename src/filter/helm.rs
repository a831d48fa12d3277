//! How Helm treats what a post-renderer says: which Helm it is, and where the user sees an error.
//!
//! Helm 4 puts its filename annotation on every document of the stream, and names its plugin in the
//! environment. Helm 3 shows stderr and the exit code of a renderer that fails. Helm 4 shows
//! neither, but stops on output that is no manifest and prints it whole; so there the message is
//! one YAML block scalar on stdout, with exit code 0. To anybody else an exit code of 0 would say
//! that all is well, so both the stream and the environment must be Helm 4's.

use manifest::documents;
use manifest::escape;
use manifest::objects::FILENAME;
use manifest::yaml::{Node, Tree};

/// The name of our plugin, by which Helm 4 calls its post-renderer.
pub const PLUGIN: &str = "vcluster-netpol";

/// The type of a plugin that Helm 4 runs as a post-renderer.
const POST_RENDERER: &str = "postrenderer/v1";

/// Whether a stream comes from Helm 4: whether the first object in it has Helm 4's annotation.
/// Helm 4 puts it on every object, and a chart may put it on any.
#[must_use]
pub fn is_helm4(stream: &[u8]) -> bool {
    let first = documents::split(stream)
        .filter_map(|document| stream.get(document.body))
        .find(|body| !documents::says_nothing(body));
    first.is_some_and(has_filename)
}

/// Whether a document has Helm 4's annotation.
fn has_filename(body: &[u8]) -> bool {
    if memchr::memmem::find(body, FILENAME.as_bytes()).is_none() {
        return false;
    }
    let tree = std::str::from_utf8(body)
        .ok()
        .and_then(|text| Tree::parse(text).ok());
    let root = tree.as_ref().and_then(Tree::root);
    let annotations = root.and_then(|root| root.dig(&["metadata", "annotations"]));
    let filename = annotations
        .and_then(|a| a.get(FILENAME))
        .and_then(Node::text);
    filename.is_some_and(|name| !name.is_empty())
}

/// Whether Helm 4 called the program as its post-renderer, by the environment of the process.
///
/// Helm 4 says the plugin's name and folder. A wrapper such as helm-secrets leaves its own name
/// there when it calls Helm 3, and Helm 3 says ours when it runs the program as a command: then
/// `manifest`, the text of the plugin's plugin.yaml, has no type.
#[must_use]
pub fn is_called_by_helm4(plugin: Option<&str>, manifest: Option<&str>) -> bool {
    plugin == Some(PLUGIN) && manifest.is_none_or(|text| text.contains(POST_RENDERER))
}

/// A message as the one YAML block scalar by which Helm 4 stops and tells the user why.
#[must_use]
pub fn block_scalar(message: &str) -> String {
    let mut text = String::from("|\n");
    for line in message.lines() {
        text.push_str("  ");
        text.push_str(escape::terminal(line.trim_end()).trim_end());
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
    fn the_environment_of_another_plugin_is_not_ours() {
        let helm4 = Some("name: vcluster-netpol\ntype: postrenderer/v1\n");
        assert!(is_called_by_helm4(Some(PLUGIN), helm4));
        assert!(is_called_by_helm4(Some(PLUGIN), None));
        let helm3 = Some("name: vcluster-netpol\nusage: x\n");
        assert!(!is_called_by_helm4(Some(PLUGIN), helm3));
        assert!(!is_called_by_helm4(Some("secrets"), helm4));
        assert!(!is_called_by_helm4(None, helm4));
    }

    #[test]
    fn a_message_is_one_scalar() {
        let text = block_scalar("error: a: b\n  --> c\u{7}");
        assert_eq!(text, "|\n  error: a: b\n    --> c\\x07\n");
        let tree = Tree::parse(&text).unwrap();
        assert_eq!(
            tree.root().unwrap().text().unwrap(),
            "error: a: b\n  --> c\\x07\n"
        );
    }
}
