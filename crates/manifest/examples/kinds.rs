//! Prints the kind and the name of each object in a stream: `cat chart.yaml | cargo run -p manifest
//! --example kinds`.

use std::io::{self, Read as _, Write as _};

use manifest::{documents, objects, yaml::Tree};

fn main() -> io::Result<()> {
    let mut stream = Vec::new();
    io::stdin().read_to_end(&mut stream)?;
    let mut output = io::stdout().lock();
    for document in documents::split(&stream) {
        let body = stream.get(document.body.clone()).unwrap_or_default();
        let Some(tree) = std::str::from_utf8(body)
            .ok()
            .and_then(|t| Tree::parse(t).ok())
        else {
            continue;
        };
        let Some(root) = tree.root() else { continue };
        let location = objects::ObjectLocation::of_document(document);
        objects::walk(
            root,
            location.document.body.start,
            &location,
            &mut |object, _| {
                // A reader that went away is no reason to fail.
                let _ = writeln!(output, "{}", object.describe());
            },
        );
    }
    Ok(())
}
