//! The rule that lets workloads reach the internet, as a config says it.
//!
//! Brings the field, its deprecated predecessor and the defaults together. Pure, like
//! [`super::settings`], of which it is a part.

use k8s_openapi::api::networking::v1::IPBlock;
use serde::Deserialize;

use super::host_fit::{DEFAULT_EXCEPT_V6, HARDENED_EXCEPT, missing_excepts};
use super::settings::{at, contradiction, deprecated};
use crate::rules::default_excepts;
use manifest::diagnostic::{Diagnostic, Quoting};
use netpol::cidr::Cidr;

/// The ranges that public egress leaves out by default.
pub const DEFAULT_EXCEPT: [&str; 5] = [
    "100.64.0.0/10",
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
];

/// What public egress reaches by default.
pub const DEFAULT_CIDR: &str = "0.0.0.0/0";

/// The field, and its deprecated predecessor.
const NEW: &str = "workload.publicEgress";
const OLD: &str = "outgoingConnections.ipBlock";

/// The rule that lets workloads reach the internet.
#[derive(Debug, Clone, PartialEq)]
pub struct PublicEgress {
    /// Whether it is there.
    pub enabled: bool,
    /// What may be reached.
    pub cidr: String,
    /// What may not, of it.
    pub except: Vec<String>,
    /// Where in the text's list each of them stands: defaults may have been dropped between them.
    /// Those that `hardened` has added stand behind them and have no place.
    pub except_index: Vec<usize>,
    /// Whether the excepts are the default ones, or those of them that lie inside the cidr.
    pub has_default_excepts: bool,
    /// The field that holds the two: `workload.publicEgress`, or the deprecated one.
    pub field: &'static str,
    /// Further ranges, each with what is left out of it.
    pub further: Vec<IPBlock>,
}

impl PublicEgress {
    /// Whether it is what a config gets that says nothing of it, apart from what `hardened` adds.
    #[must_use]
    pub fn is_default(&self) -> bool {
        let written = self.except.get(..self.except_index.len());
        let has_defaults = written.is_some_and(|except| except == DEFAULT_EXCEPT);
        self.enabled && self.cidr == DEFAULT_CIDR && has_defaults
    }

    /// Whether `hardened` has added excepts to the first range.
    #[must_use]
    pub fn is_hardened(&self) -> bool {
        self.except.len() > self.except_index.len()
    }

    /// The first range.
    #[must_use]
    pub fn block(&self) -> IPBlock {
        IPBlock {
            cidr: self.cidr.clone(),
            except: (!self.except.is_empty()).then(|| self.except.clone()),
        }
    }

    /// The field of a further range.
    #[must_use]
    pub fn field_of_further(index: usize) -> String {
        format!("{NEW}.cidrs[{index}]")
    }

    /// Leaves out the ranges that `hardened` closes, where the blocks do not yet.
    pub(super) fn harden(&mut self, problems: &mut Vec<Diagnostic>) {
        if !self.enabled {
            return;
        }
        match missing_excepts(&self.block(), &HARDENED_EXCEPT) {
            Ok(missing) => self.except.extend(missing),
            Err(range) => problems.push(closed(&format!("{}.cidr", self.field), &range)),
        }
        for (i, block) in self.further.iter_mut().enumerate() {
            match missing_excepts(block, &HARDENED_EXCEPT) {
                Ok(missing) if missing.is_empty() => {}
                Ok(missing) => block.except.get_or_insert_default().extend(missing),
                Err(range) => {
                    problems.push(closed(
                        &format!("{}.cidr", Self::field_of_further(i)),
                        &range,
                    ));
                }
            }
        }
    }

    /// A problem with an except, counted as the text counts.
    #[must_use]
    pub fn reindexed(&self, mut problem: Diagnostic) -> Diagnostic {
        if let Some(path) = &mut problem.place.path
            && let Some((head, tail)) = path.split_once("except[")
            && let Some((number, rest)) = tail.split_once(']')
            && let Some(index) = number
                .parse()
                .ok()
                .and_then(|i: usize| self.except_index.get(i))
        {
            *path = format!("{head}except[{index}]{rest}");
            if let Some(suggestion) = &mut problem.suggestion {
                suggestion.path.clone_from(path);
            }
        }
        problem
    }
}

/// A block that `hardened` would close completely.
fn closed(field: &str, range: &str) -> Diagnostic {
    let message = format!("hardened leaves {range} out, and the block is inside it");
    let help = "write the block as a rule of workload.egress, with its ports, if it is meant";
    at(field, Diagnostic::error(message)).help(help)
}

/// The field as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[cfg_attr(test, serde(deny_unknown_fields))]
pub(super) struct RawPublicEgress {
    enabled: Option<bool>,
    cidr: Option<String>,
    except: Option<Vec<String>>,
    cidrs: Vec<IPBlock>,
}

/// Its deprecated predecessor.

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[cfg_attr(test, serde(deny_unknown_fields))]
pub(super) struct RawIpBlock {
    cidr: Option<String>,
    except: Option<Vec<String>>,
}

/// Settles the field and its deprecated predecessor.
pub(super) fn public_egress(
    new: RawPublicEgress,
    old: RawIpBlock,
    quoting: Quoting,
    problems: &mut Vec<Diagnostic>,
) -> PublicEgress {
    // A chart up to 0.30 writes its defaults into the deprecated fields; those say nothing, unless
    // somebody wrote the new field beside them.
    let written = |new_set: bool| quoting == Quoting::Show && new_set;
    let old_cidr = old
        .cidr
        .filter(|cidr| written(new.cidr.is_some()) || cidr != DEFAULT_CIDR);
    let old_except = old
        .except
        .filter(|except| written(new.except.is_some()) || !is_default_except(except));
    let uses_old = [
        is_taken(old_cidr.as_ref(), new.cidr.as_ref(), "cidr", problems),
        is_taken(old_except.as_ref(), new.except.as_ref(), "except", problems),
    ];
    let field = if uses_old.contains(&true) { OLD } else { NEW };
    let cidr = new
        .cidr
        .or(old_cidr)
        .unwrap_or_else(|| DEFAULT_CIDR.to_owned());
    let mut except: Vec<(usize, String)> = new
        .except
        .or(old_except)
        .unwrap_or_else(|| DEFAULT_EXCEPT.map(str::to_owned).to_vec())
        .into_iter()
        .enumerate()
        .collect();
    let enabled = new.enabled.unwrap_or(true);
    let has_default_excepts =
        is_default_except(&except.iter().map(|(_, e)| e.clone()).collect::<Vec<_>>());
    // A list of the user's own is taken at its word.
    if enabled && has_default_excepts {
        drop_default_excepts(&cidr, &mut except, field, quoting, problems);
    }
    let (except_index, except) = except.into_iter().unzip();
    PublicEgress {
        enabled,
        cidr,
        except,
        except_index,
        has_default_excepts,
        field,
        further: new.cidrs.into_iter().map(with_default_excepts).collect(),
    }
}

/// Whether the value of the deprecated field is used; says what is wrong with its being there.
fn is_taken<T: PartialEq>(
    old: Option<&T>,
    new: Option<&T>,
    name: &str,
    problems: &mut Vec<Diagnostic>,
) -> bool {
    let Some(old) = old else { return false };
    let (old_field, new_field) = (format!("{OLD}.{name}"), format!("{NEW}.{name}"));
    problems.push(if new.is_some_and(|new| new != old) {
        contradiction(&old_field, &new_field)
    } else {
        deprecated(&old_field, &new_field)
    });
    new.is_none()
}

/// A further block. One without excepts leaves out the default ranges of its family, as far as the
/// API server takes them: those that are strictly inside.
fn with_default_excepts(mut block: IPBlock) -> IPBlock {
    if block.except.is_none()
        && let Some(outer) = Cidr::parse(&block.cidr)
    {
        let defaults = DEFAULT_EXCEPT.iter().chain(&DEFAULT_EXCEPT_V6);
        let inside = defaults.filter(|text| {
            Cidr::parse(text).is_some_and(|e| outer.contains(e) && !e.contains(outer))
        });
        let except: Vec<String> = inside.map(|text| (*text).to_owned()).collect();
        block.except = (!except.is_empty()).then_some(except);
    }
    block
}

/// Whether a list is that of the default excepts, in any order.
pub(super) fn is_default_except(except: &[String]) -> bool {
    except.len() == DEFAULT_EXCEPT.len()
        && DEFAULT_EXCEPT
            .iter()
            .all(|default| except.iter().any(|entry| entry == default))
}

/// Helm merges the default excepts in under a cidr of the user's, where the API server refuses
/// those that are not strictly inside.
fn drop_default_excepts(
    cidr: &str,
    except: &mut Vec<(usize, String)>,
    field: &str,
    quoting: Quoting,
    problems: &mut Vec<Diagnostic>,
) {
    let Some(range) = Cidr::parse(cidr) else {
        return;
    };
    // An IPv4-mapped cidr goes out as IPv4, so it is measured as IPv4.
    let inside = |e: Cidr| range.contains(e) && !e.contains(range);
    let outside = |entry: &str| Cidr::parse(entry).is_some_and(|e| !inside(e));
    let dropped: Vec<String> = except
        .iter()
        .filter(|(_, e)| outside(e))
        .map(|(_, e)| e.clone())
        .collect();
    if dropped.is_empty() {
        return;
    }
    except.retain(|(_, e)| !outside(e));
    let shown = match quoting {
        Quoting::Show => cidr,
        Quoting::Hide => "cidr",
    };
    let message = format!(
        "the default excepts {} are not strictly inside {shown}; they are dropped, as the API \
         server would refuse them",
        dropped.join(", "),
    );
    problems.push(
        at(
            &format!("{field}.except"),
            Diagnostic::warning(default_excepts::RULE.code, message),
        )
        .help("set except to the ranges that lie inside, or to []"),
    );
}
