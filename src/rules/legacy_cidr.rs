//! A CIDR that Kubernetes 1.36 refuses, or would write in another way.
//!
//! Given by [`netpol::validate`].

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: netpol::codes::LEGACY_CIDR,
    title: "old spelling of a CIDR",
    audience: Audience::Everyone,
    documentation: "\
**Old spelling of a CIDR.** Kubernetes up to 1.35 accepts these spellings with a warning, and since 1.36 it rejects them: `10.0.0.1/8` (bits beyond the prefix), `010.0.0.0/8` (leading zeros) and `::ffff:10.0.0.0/104` (IPv4 as IPv6). With `--kube-version 1.36` or later they are errors here too. All versions accept IPv6 ranges that are not in their shortest form; these are only reported.

Some network plugins can't read leading zeros or an IPv4-mapped range, and allow all traffic if they can't read a policy. So the policies contain these two in their canonical form: `010.0.0.0/8` and `::ffff:10.0.0.0/104` as `10.0.0.0/8`. Then the message contains the form in the policy. Bits beyond the prefix are not changed. An IPv4-mapped address with a prefix below 96 is a range of IPv6, and is not changed either. An except that covers its whole cidr in the canonical form is an error.

Fix: write the form in the message. For `10.0.0.1/8` decide which you mean: the range 10.0.0.0/8 or the address 10.0.0.1/32.",
    check: None,
};
