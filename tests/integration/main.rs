//! All integration tests, in one program.
//!
//! | call | what |
//! |---|---|
//! | `cargo test --test integration` | both tiers |
//! | `cargo test --test integration fast::` | the fast tier: nothing but this checkout |
//! | `cargo test --test integration slow::` | the real Helms, installs, packages, shared cases |
//! | `cargo test --test integration cases::filter::strict` | one case folder of tests/cases |
//!
//! A new test is a function that its module lists in `tests!`; a new module is listed in
//! [`functions`]. See `registry.rs`.

#![deny(dead_code)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by stopping"
)]

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use registry::Test;

mod registry;
mod support;

mod argocd;
mod audit;
mod cases;
mod check;
mod ci;
mod corpus;
mod diff;
mod diff_random;
mod docs;
mod doctor;
mod exec;
mod expectations;
mod explain;
mod guard;
mod helm;
mod install;
mod lint;
mod lint_fix;
mod many_pods_random;
mod migrate;
mod names;
mod needs;
mod package;
mod plugin;
mod reach_random;
mod reachability;
mod run_report;
mod tenant;
mod tiers_random;
mod torture;
mod upgrade;
mod validation;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    registry::note_where_tests_panic();
    libtest_mimic::run(&arguments, trials()).exit_code()
}

/// The tests that are functions.
fn functions() -> Vec<Test> {
    [
        run_report::TESTS,
        argocd::TESTS,
        audit::TESTS,
        cases::TESTS,
        check::TESTS,
        ci::TESTS,
        diff::TESTS,
        diff_random::TESTS,
        docs::TESTS,
        doctor::TESTS,
        exec::TESTS,
        expectations::TESTS,
        explain::TESTS,
        guard::TESTS,
        helm::TESTS,
        install::TESTS,
        lint::TESTS,
        lint::random::TESTS,
        lint_fix::TESTS,
        many_pods_random::TESTS,
        migrate::TESTS,
        migrate::in_place::TESTS,
        migrate::random::TESTS,
        names::TESTS,
        needs::TESTS,
        package::TESTS,
        plugin::TESTS,
        reach_random::TESTS,
        registry::TESTS,
        tenant::TESTS,
        tiers_random::TESTS,
        torture::TESTS,
        upgrade::TESTS,
    ]
    .concat()
}

/// All tests: the functions, the case folders, and the shared cases.
fn trials() -> Vec<Trial> {
    let functions = functions().into_iter().map(Test::trial);
    functions
        .chain(cases::trials())
        .chain(corpus::trials())
        .chain(reachability::trials())
        .chain(torture::trials())
        .chain(validation::trials())
        .collect()
}
