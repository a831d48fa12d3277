//! Gives every vCluster in a rendered chart its two network policies.
//!
//! # The way of the data
//!
//! ```text
//! bytes ─stream─▶ documents ─index─▶ objects ─config─▶ settings ─policy─▶ policies ─emit─▶ text ─edit─▶ bytes
//! ```
//!
//! Data flows one way, and [`render`] leads it: from the bytes of a rendered chart to the bytes
//! that Helm installs. Each room has one job and knows nothing of those that it does not need.
//!
//! | room | its one job |
//! |---|---|
//! | [`stream`] | cuts bytes into documents, as spans |
//! | [`index`] | who is who: finds the few documents that matter, and parses only those |
//! | [`yaml`], [`shape`] | one document as a tree that knows its places; the fields and types it must have |
//! | [`lines`] | from a byte of a text to its line and column |
//! | [`config`] | which virtual clusters there are, and what the config of each says |
//! | [`edition`] | which chart rendered the stream, and which shape of the policies goes with it |
//! | [`policy`] | settings to policies, each rule with its cause; reads like the documentation |
//! | [`validate`], [`kube`] | what the API server takes, all of it and no more |
//! | [`advice`] | what a careful colleague would say of it |
//! | [`emit`], [`readback`] | a policy as text that every reader of YAML understands alike, and the proof |
//! | [`survey`], [`edit`], [`krm`] | where the text goes, and what changes in the bytes for it |
//! | [`helm`] | which Helm it is, and where it shows the user an error |
//! | [`reach`] | what policies allow: exact sets, and verdicts with the rules that decide |
//! | [`explain`] | policies in words and pictures: who, why, and what may surprise |
//! | [`report`], [`codes`] | what the user is told, and by what name |
//! | [`escape`] | text from outside, made fit for the place where it is shown |
//! | [`lint`], [`migrate`], [`schema`], [`argocd`], [`doctor`] | the commands of these names |
//! | [`cli`] | the edge: words, files, exit codes |
//!
//! ```
//! use vcluster_netpol::render::{Options, render};
//!
//! let stream = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: other\n";
//! let output = render(stream, &Options::default()).expect("nothing to refuse");
//! assert_eq!(output.pieces.concat(), stream);
//! ```

pub mod advice;
pub mod argocd;
pub mod cli;
pub mod codes;
pub mod config;
pub mod doctor;
pub mod edit;
pub mod edition;
pub mod emit;
pub mod escape;
pub mod explain;
pub mod helm;
pub mod index;
pub mod krm;
pub mod kube;
pub mod lines;
pub mod lint;
pub mod migrate;
pub mod policy;
pub mod reach;
pub mod readback;
pub mod render;
pub mod report;
pub mod schema;
pub mod shape;
pub mod stream;
pub mod survey;
pub mod validate;
pub mod yaml;
