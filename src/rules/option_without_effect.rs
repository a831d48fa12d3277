//! An option that has no effect on this stream.
//!
//! Given where the policies are planned (`filter::plan`).

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP115",
    title: "option without effect",
    audience: Audience::Everyone,
    documentation: "\
**An option without effect.** An option on the command line does not apply to anything in this stream. The message names it.

Fix: remove the option.",
    check: None,
};
