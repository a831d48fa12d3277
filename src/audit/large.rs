//! Lists that are larger than a document may be: what `kubectl get -A` prints of a cluster.
//!
//! The rest of the program reads documents of a limited size. So each item of such a list becomes a
//! list of its own, with its bytes as they are.

use std::borrow::Cow;
use std::fmt::Write as _;

use manifest::documents;
use manifest::yaml::{Node, Tree};

/// Documents that are smaller are left as they are.
const LARGE: usize = 8 << 20;

/// The stream, with the items of large lists in documents of their own.
pub(super) fn split_lists(stream: &[u8]) -> Cow<'_, [u8]> {
    if stream.len() < LARGE {
        return Cow::Borrowed(stream);
    }
    let mut whole = Vec::new();
    let mut copied = 0;
    for document in documents::split(stream) {
        let body = stream.get(document.body.clone()).unwrap_or_default();
        if body.len() < LARGE {
            continue;
        }
        let Some(split) = std::str::from_utf8(body).ok().and_then(items) else {
            continue;
        };
        whole.extend_from_slice(stream.get(copied..document.body.start).unwrap_or_default());
        whole.extend_from_slice(split.as_bytes());
        copied = document.body.end;
    }
    if copied == 0 {
        return Cow::Borrowed(stream);
    }
    whole.extend_from_slice(stream.get(copied..).unwrap_or_default());
    Cow::Owned(whole)
}

/// The items of a list as documents; `None` where it is none, or can't be divided.
fn items(text: &str) -> Option<String> {
    let tree = Tree::parse_cluster(text).ok()?;
    let root = tree.root()?;
    let of_root = |key: &str| root.get(key).and_then(Node::text);
    let kind = of_root("kind").filter(|kind| kind.ends_with("List"))?;
    let version = of_root("apiVersion")?;
    let list = root.get("items").filter(|list| list.is_sequence())?;
    let mut split = String::with_capacity(text.len());
    for item in list.items() {
        let body = text.get(item.span())?;
        // Anchors of other items are out of reach.
        if item.is_alias() || item.is_referred_to() {
            return None;
        }
        if list.is_flow() {
            let _ = writeln!(
                split,
                "\n---\n{{\"apiVersion\": {version:?}, \"kind\": {kind:?}, \"items\": [{body}]}}"
            );
        } else {
            let indent = " ".repeat(item.column().checked_sub(2)?);
            let _ = writeln!(
                split,
                "\n---\napiVersion: {version:?}\nkind: {kind:?}\nitems:\n{indent}- {body}"
            );
        }
    }
    Some(split)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_lists_become_documents() {
        for (text, count) in [
            (
                "{\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": [\n {\"kind\": \"A\",\n  \
                 \"b\": 1\n },\n {\"kind\": \"B\"}\n]}",
                2,
            ),
            (
                "apiVersion: v1\nkind: PodList\nitems:\n- metadata:\n    name: a\n  x: |\n    text\n\
                 - metadata: {name: b}\nmetadata: {}\n",
                2,
            ),
            (
                "apiVersion: v1\nkind: List\nitems:\n  - a: 1\n    b: 2\n  - a: 3\n",
                2,
            ),
        ] {
            let split = items(text).unwrap();
            let documents: Vec<_> = documents::split(split.as_bytes())
                .filter(|d| !documents::says_nothing(&split.as_bytes()[d.body.clone()]))
                .collect();
            assert_eq!(documents.len(), count, "{split}");
            for document in documents {
                let text = std::str::from_utf8(&split.as_bytes()[document.body]).unwrap();
                let tree = Tree::parse(text).unwrap();
                let items = tree.root().unwrap().get("items").unwrap();
                assert_eq!(items.items().count(), 1, "{text}");
            }
        }
        assert_eq!(items("kind: Pod\nitems: []\n"), None);
    }
}
