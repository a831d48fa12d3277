//! The edits of the crate `manifest`, tried on what the index finds.

use std::ops::Range;

use manifest::edit::{Edit, apply, remove_items, replace_document, replace_item};
use manifest::objects::{Item, Object};

use super::index::Index;

fn first(stream: &str) -> Object {
    Index::of(stream.as_bytes()).objects[0].object.clone()
}

fn after(stream: &str, edit: Edit) -> String {
    let pieces = apply(stream.as_bytes(), vec![edit]).unwrap();
    String::from_utf8(pieces.concat()).unwrap()
}

#[test]
fn markers_and_headers_stay() {
    for (stream, expected) in [
        (
            "---\n# Source: a\nname: vc-cp-a\n---\nb: 1\n",
            "---\n# Source: a\nnew\n---\nb: 1\n",
        ),
        ("--- # c\nname: vc-cp-a\n", "--- # c\nnew\n"),
        ("--- {name: vc-cp-a}\n---\n", "---\nnew\n---\n"),
        ("name: vc-cp-a", "new\n"),
        ("---\r\nname: vc-cp-a\r\n...\r\n", "---\r\nnew\r\n...\r\n"),
        (
            "%YAML 1.1\n---\n# x\nname: vc-cp-a\n",
            "%YAML 1.1\n---\nnew\n",
        ),
    ] {
        let edit = replace_document(stream.as_bytes(), &first(stream), "new\n");
        assert_eq!(after(stream, edit), expected);
    }
}

#[test]
fn items_of_lists_are_replaced_and_removed() {
    let stream = "kind: List\nitems:\n- name: vc-cp-a\n  x: 1\n# c\n- {name: vc-cp-b}\n";
    let object = first(stream);
    let item = object.location.item.as_ref().unwrap();
    let edit = replace_item(stream.as_bytes(), item, "n: 1\nm: 2\n");
    assert_eq!(
        after(stream, edit),
        "kind: List\nitems:\n- n: 1\n  m: 2\n# c\n- {name: vc-cp-b}\n"
    );
    let edit = remove_items(stream.as_bytes(), &[item]).unwrap().remove(0);
    assert_eq!(
        after(stream, edit),
        "kind: List\nitems:\n# c\n- {name: vc-cp-b}\n"
    );
}

#[test]
fn the_only_items_of_a_block_list_leave_an_empty_one() {
    for (stream, expected) in [
        (
            "kind: List\nitems:\n- name: vc-cp-a\n  x: {}\n# c\nz: 1\n",
            "kind: List\nitems:\n  []\n# c\nz: 1\n",
        ),
        (
            "kind: List\nitems:\n  - name: vc-cp-a\n",
            "kind: List\nitems:\n    []\n",
        ),
    ] {
        let object = first(stream);
        let item = object.location.item.as_ref().unwrap();
        let edit = remove_items(stream.as_bytes(), &[item]).unwrap().remove(0);
        assert_eq!(after(stream, edit), expected);
    }
}

#[test]
fn items_of_flow_lists_take_one_comma_along() {
    for (stream, gone, expected) in [
        (
            r#"{"kind":"List","items":[{"name":"vc-cp-a"}, {"x":1}]}"#,
            vec![0],
            r#"{"kind":"List","items":[{"x":1}]}"#,
        ),
        (
            r#"{"kind":"List","items":[{"x":1},{"name":"vc-cp-a"}]}"#,
            vec![1],
            r#"{"kind":"List","items":[{"x":1}]}"#,
        ),
        (
            r#"{"kind":"List","items":[{"a":1},{"name":"vc-cp-a"},{"b":1},{"c":1}]}"#,
            vec![1, 2, 3],
            r#"{"kind":"List","items":[{"a":1}]}"#,
        ),
        (
            r#"{"kind":"List","items":[{"name":"vc-cp-a"},{"b":1}]}"#,
            vec![0, 1],
            r#"{"kind":"List","items":[]}"#,
        ),
        (
            "{kind: List, items: [{x: 1}, # x, y\n {name: vc-cp-a}]}",
            vec![1],
            "{kind: List, items: [{x: 1} # x, y\n ]}",
        ),
    ] {
        let objects = Index::of(stream.as_bytes()).objects;
        let items: Vec<&Item> = gone
            .iter()
            .map(|i| objects[*i].location.item.as_ref().unwrap())
            .collect();
        let edits = remove_items(stream.as_bytes(), &items).unwrap();
        let pieces = apply(stream.as_bytes(), edits).unwrap();
        assert_eq!(String::from_utf8(pieces.concat()).unwrap(), expected);
    }
}

#[test]
fn overlapping_changes_are_refused() {
    let edit = |span: Range<usize>| Edit {
        span,
        text: String::new(),
    };
    assert_eq!(apply(b"abcdef", vec![edit(0..3), edit(2..4)]), Err(2));
}
