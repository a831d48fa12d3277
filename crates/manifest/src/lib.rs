//! A stream of Kubernetes manifests, byte for byte.
//!
//! This crate knows YAML and the shape of an object, no policy and no vCluster.
//!
//! | module | what it does |
//! |---|---|
//! | [`documents`] | cuts the bytes of a stream into documents, as spans |
//! | [`yaml`] | one document as a tree whose nodes know their places |
//! | [`objects`] | the one walk over documents and lists; identity and location of an object |
//! | [`edit`] | replacements and insertions over spans, everything else as it came |
//! | [`entries`] | the entries of a mapping as texts that can be moved, with their comments |
//! | [`schema`] | tables of fields: types, unknown fields, the nearest known name |
//! | [`diagnostic`] | what is wrong, where, and what to do |
//! | [`escape`] | text from outside, fit for each kind of output |
//! | [`line_index`] | from a byte to its line and column |
//!
//! ```
//! let stream = b"kind: A\n---\nkind: B\n";
//! assert_eq!(manifest::documents::split(stream).count(), 2);
//! ```

pub mod diagnostic;
pub mod documents;
pub mod edit;
pub mod entries;
pub mod escape;
pub mod line_index;
pub mod objects;
pub mod schema;
pub mod yaml;
