//! Gives every vCluster in a rendered chart its two network policies.
//!
//! # Three storeys
//!
//! Each storey is a crate that cannot see the one above it.
//!
//! | storey | what it knows |
//! |---|---|
//! | [`manifest`] | a stream of manifests, byte for byte; no policy, no vCluster |
//! | [`netpol`] | Kubernetes network policies: validation and exact evaluation; no Helm, no vCluster |
//! | this crate, the program | vCluster, Helm, Argo CD; the commands |
//!
//! # How the data flows
//!
//! ```text
//! bytes ─▶ documents ─▶ objects ─▶ virtual clusters ─▶ settings ─▶ policies ─▶ edits ─▶ bytes
//! ```
//!
//! [`render`] leads it: it reads the stream, discovers the virtual clusters and their configs, plans
//! their policies, inserts them, and verifies what will be written. Nothing is written before.
//!
//! | module | what it does |
//! |---|---|
//! | `vcluster` | which virtual clusters there are, what their configs mean, and their policies |
//! | `values_files` | the files in which users write values, and where in them the values are |
//! | `rules` | the warnings: what is accepted, but may not do what is meant |
//! | `filter` | from the bytes of a stream to the bytes that Helm installs |
//! | `check` | the model that the command `check` asks |
//! | `tenant` | the worst tenant: the most that a virtual cluster's pods reach, whatever they do |
//! | `explain` | policies in words and pictures: who, why, and what is open |
//! | `audit` | whether the virtual clusters of a stream are isolated, and why not |
//! | `list` | every connection that is allowed |
//! | `guard` | admission and cluster policies against what a NetworkPolicy can't close |
//! | `lint`, `migrate`, `json_schema`, `argocd`, `doctor` | the commands of these names |
//! | `fix`, `text_diff` | corrections written into the text of the user, and shown as a patch |
//! | `cli` | arguments, files, exit codes |
//!
//! ```
//! use vcluster_netpol::{Options, render};
//!
//! let stream = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: other\n";
//! let output = render(stream, &Options::default()).expect("nothing to refuse");
//! assert_eq!(output.pieces.concat(), stream);
//! ```

pub use filter::{Options, Output, render};

mod fnv;

// What the program, its tests and its fuzz targets use. It may change with every version.
#[doc(hidden)]
pub mod argocd;
#[doc(hidden)]
pub mod audit;
#[doc(hidden)]
pub mod check;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod doctor;
#[doc(hidden)]
pub mod explain;
#[doc(hidden)]
pub mod filter;
#[doc(hidden)]
pub mod fix;
#[doc(hidden)]
pub mod guard;
#[doc(hidden)]
pub mod json_schema;
#[doc(hidden)]
pub mod lint;
#[doc(hidden)]
pub mod list;
#[doc(hidden)]
pub mod migrate;
#[doc(hidden)]
pub mod rules;
pub mod tenant;
#[doc(hidden)]
pub mod text_diff;
#[doc(hidden)]
pub mod values_files;
#[doc(hidden)]
pub mod vcluster;
