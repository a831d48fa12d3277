//! Expressions of the Common Expression Language, as ValidatingAdmissionPolicies have them.
//!
//! Only what Kubernetes 1.30 knows is used, so a server from 1.31 on compiles it. An error of an
//! expression refuses the request (`failurePolicy: Fail`), so each field is asked for before it is
//! read.

use super::Protected;
use crate::vcluster::actors::MANAGED_BY;
use netpol::cidr::Cidr;

/// A string literal.
pub(super) fn string(text: &str) -> String {
    let mut literal = String::from("'");
    for c in text.chars() {
        match c {
            '\'' | '\\' => literal.extend(['\\', c]),
            c if c.is_ascii_graphic() || c == ' ' => literal.push(c),
            c => literal.extend(format!("\\U{:08x}", u32::from(c)).chars()),
        }
    }
    literal.push('\'');
    literal
}

/// A list of string literals.
pub(super) fn strings<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let literals: Vec<String> = texts.into_iter().map(string).collect();
    format!("[{}]", literals.join(", "))
}

/// Whether the request comes from the syncer of the virtual cluster.
pub(super) fn is_syncer(cluster: &Protected<'_>) -> String {
    format!("request.userInfo.username == {}", string(&cluster.syncer()))
}

/// Whether an object has the mark of the virtual cluster's objects, in one of its namespaces.
pub(super) fn is_marked(cluster: &Protected<'_>) -> String {
    format!(
        "(request.namespace in {} && {})",
        strings(cluster.namespaces()),
        has_mark("object.metadata.labels", cluster)
    )
}

/// Whether labels, which may be absent, have the mark of the virtual cluster.
pub(super) fn has_mark(labels: &str, cluster: &Protected<'_>) -> String {
    format!(
        "has({labels}) && {labels}[?{}].orValue('') == {}",
        string(MANAGED_BY),
        string(cluster.name)
    )
}

/// A range that blocks of synced policies may lie in, and what they must leave out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) cidr: String,
    pub(super) except: Vec<String>,
}

impl Range {
    /// A range in the spelling that `isCIDR` takes: `None` for a text that is no CIDR.
    pub(super) fn of(cidr: &str, except: &[String]) -> Option<Self> {
        let canonical = |text: &str| Cidr::parse(text).map(Cidr::canonical);
        Some(Self {
            cidr: canonical(cidr)?,
            except: except.iter().filter_map(|text| canonical(text)).collect(),
        })
    }

    /// The variables of a range: each CIDR is parsed once, as parsing in a loop costs too much.
    pub(super) fn variables(&self, name: &str) -> [(String, String); 2] {
        let excepts = strings(self.except.iter().map(String::as_str));
        [
            (name.to_owned(), format!("cidr({})", string(&self.cidr))),
            (
                format!("{name}Except"),
                format!("{excepts}.map(e, cidr(e))"),
            ),
        ]
    }

    /// Whether the range `c` of the block `p.ipBlock` lies in this range, and leaves out what this
    /// range leaves out. `containsCIDR` is not used: servers before March 2025 answer it wrongly.
    fn holds(name: &str) -> String {
        format!(
            "(variables.{name}.prefixLength() <= c.prefixLength() && \
             variables.{name}.containsIP(c.ip()) &&\n    \
             variables.{name}Except.all(e,\n      \
             !(e.prefixLength() <= c.prefixLength() ? e.containsIP(c.ip()) : c.containsIP(e.ip())) ||\n      \
             (c.prefixLength() < e.prefixLength() &&\n        \
             (string(e) in p.ipBlock.?except.orValue([]) ||\n        \
             p.ipBlock.?except.orValue([]).exists(x, isCIDR(x) && [cidr(x)].all(y,\n          \
             y.prefixLength() <= e.prefixLength() && y.containsIP(e.ip())))))))"
        )
    }
}

/// Whether each block in a list of lists of peers lies in one of some ranges.
pub(super) fn blocks_lie_in(peers: &str, names: &[String]) -> String {
    if names.is_empty() {
        return format!("variables.{peers}.all(ps, ps.all(p, !has(p.ipBlock)))");
    }
    let held: Vec<String> = names.iter().map(|name| Range::holds(name)).collect();
    format!(
        "variables.{peers}.all(ps, ps.all(p, !has(p.ipBlock) ||\n  \
         (isCIDR(p.ipBlock.cidr) && [cidr(p.ipBlock.cidr)].all(c, c == c.masked() &&\n    ({})))))",
        held.join(" ||\n    ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_hold_any_text() {
        assert_eq!(string("a"), "'a'");
        assert_eq!(
            string("o'b\\c\n\u{e9}"),
            "'o\\'b\\\\c\\U0000000a\\U000000e9'"
        );
        assert_eq!(strings(["a", "b"]), "['a', 'b']");
    }
}
