//! From the words for an endpoint to an [`EndpointSpec`], and what was probably meant where the
//! words mean nobody.
//!
//! A label or a name that the API server would reject is rejected here: no pod could have it, so a
//! question about it would be a question about nobody, and every `deny` would pass.

use super::addresses::{self, ADDRESS_WORDS};
use super::{
    AddressBase, EndpointSpec, OTHER_PODS, PortSpec, QueryError, Vocabulary, quantified_addresses,
};
use crate::model::cluster::NAMESPACE_NAME_LABEL;
use crate::sets::addresses::{AddressSet, parse_address, parse_net};
use crate::sets::selector::Labels;
use crate::validate::names;
use manifest::schema;

/// What parts an endpoint from its exceptions.
const EXCEPT: &str = " except ";

/// The prefixes of the parts of a description.
const PREFIXES: [&str; 3] = ["pod", "ns", "ip"];

/// Keys that are probably a prefix with the wrong sign behind it.
const MISTAKEN_KEYS: [&str; 4] = ["ns", "namespace", "ip", "pod"];

impl EndpointSpec {
    /// Reads one end.
    ///
    /// # Errors
    /// When the words mean nobody.
    pub fn parse(text: &str, vocabulary: &Vocabulary) -> Result<Self, QueryError> {
        let text = text.trim();
        let Some((base, list)) = text.split_once(EXCEPT) else {
            let spec = simple(text, vocabulary)?;
            if spec.is_in_any_namespace() {
                return Err(QueryError::Label(
                    text.to_owned(),
                    "ns:* is every namespace, and stands only behind except; name one (ns:NAME)"
                        .to_owned(),
                ));
            }
            return Ok(spec);
        };
        let mut spec = simple(base.trim(), vocabulary)?;
        for item in exceptions(list) {
            let exception = simple(item, vocabulary)?;
            spec.take_exception(exception, item)?;
        }
        Ok(spec)
    }

    /// Adds an exception, if one of that kind can be excepted from this.
    fn take_exception(&mut self, exception: Self, text: &str) -> Result<(), QueryError> {
        match (self, exception) {
            (
                Self::OtherPods { except, .. } | Self::OwnPods { except, .. },
                exception @ (Self::Role(_) | Self::Described { .. }),
            ) => {
                except.push(exception);
                Ok(())
            }
            (Self::Addresses { except, .. }, Self::Addresses { base, .. }) => {
                except.push(base);
                Ok(())
            }
            (Self::OtherPods { .. } | Self::OwnPods { .. }, _) => Err(QueryError::Except(format!(
                "{text:?} cannot be excepted from pods; write roles or labels, as in \
                 \"{OTHER_PODS} except platform, pod:app=web,ns:team-a\" (ns:* is every namespace)"
            ))),
            (Self::Addresses { .. }, _) => Err(QueryError::Except(format!(
                "{text:?} cannot be excepted from addresses; write addresses, CIDRs or words for \
                 them"
            ))),
            _ => Err(QueryError::Except(format!(
                "only words for all pods of a kind, such as {OTHER_PODS}, and addresses take \
                 exceptions"
            ))),
        }
    }

    fn is_in_any_namespace(&self) -> bool {
        matches!(self, Self::Described { namespace: Some(labels), .. } if labels.is_empty())
    }
}

/// Cuts a list of exceptions. Commas also part the labels of one description, so what has no sign
/// of a new item goes on with the one before it.
fn exceptions(list: &str) -> Vec<&str> {
    let mut starts = vec![0];
    let mut described = false;
    let mut at = 0;
    for part in list.split_inclusive(',') {
        let word = part.trim();
        let continues = described
            && (word.starts_with("ns:") || word.starts_with("ip:") || word.contains('='))
            && !word.starts_with("pod:");
        if at > 0 && !continues {
            starts.push(at);
        }
        if !continues {
            described = PREFIXES.iter().any(|prefix| starts_with(word, prefix));
        }
        at += part.len();
    }
    let ends = starts.iter().skip(1).copied().chain([list.len()]);
    (starts.iter().zip(ends))
        .filter_map(|(start, end)| list.get(*start..end))
        .map(|item| item.trim().trim_end_matches(',').trim_end())
        .collect()
}

fn starts_with(word: &str, prefix: &str) -> bool {
    word.strip_prefix(prefix)
        .is_some_and(|rest| rest.starts_with(':'))
}

/// An endpoint without exceptions.
fn simple(text: &str, vocabulary: &Vocabulary) -> Result<EndpointSpec, QueryError> {
    if let Some(rest) = text.strip_prefix(OTHER_PODS)
        && (rest.is_empty() || rest.starts_with(','))
    {
        return Ok(EndpointSpec::OtherPods {
            except: Vec::new(),
            addresses: quantified_addresses(rest)?,
        });
    }
    if let Some(role) = vocabulary.own.iter().find(|role| role.name == text) {
        return Ok(EndpointSpec::OwnPods {
            word: role.name,
            except: Vec::new(),
        });
    }
    if let Some(role) = vocabulary.role(text) {
        return Ok(EndpointSpec::Role(role.name));
    }
    let base = match addresses::word(text) {
        Some(word) => Some(AddressBase::Word(word.name)),
        None => parse_net(without_brackets(text)).map(AddressBase::Net),
    };
    if let Some(base) = base {
        return Ok(EndpointSpec::Addresses {
            base,
            except: Vec::new(),
        });
    }
    if PREFIXES.iter().any(|prefix| starts_with(text, prefix)) {
        return described(text);
    }
    match text.split_once('/') {
        Some((namespace, name))
            if names::dns_label(namespace).is_none() && names::subdomain(name).is_none() =>
        {
            Ok(EndpointSpec::Named {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            })
        }
        _ => Err(QueryError::EndpointSpec {
            text: text.to_owned(),
            words: vocabulary.words(),
            hint: hint(text, vocabulary),
        }),
    }
}

fn without_brackets(text: &str) -> &str {
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    inner.unwrap_or(text)
}

/// What was probably meant by a text that means nobody.
fn hint(text: &str, vocabulary: &Vocabulary) -> Option<String> {
    if let Some((key, value)) = text.split_once(['=', ':'])
        && matches!(key, "namespace" | "ns" | "namespaces")
    {
        return Some(format!("did you mean ns:{value}?"));
    }
    if let Some((key, value)) = text.split_once([':'])
        && matches!(key, "pods" | "label" | "labels")
    {
        return Some(format!("did you mean pod:{value}?"));
    }
    if text.contains('=') {
        return Some(format!("did you mean pod:{text}?"));
    }
    if let Some((who, port)) = text.rsplit_once(':')
        && PortSpec::is_meant_by(port)
        && simple(who, vocabulary).is_ok()
    {
        return Some("a port follows the destination; a source has none".to_owned());
    }
    let known = vocabulary.all_words();
    schema::nearest(text, known).map(|near| format!("did you mean {near}?"))
}

/// The parts of a description as they are read.
#[derive(Default)]
struct Description {
    labels: Labels,
    namespace: Option<Labels>,
    addresses: AddressSet,
}

/// `pod:app=web,tier=db,ns:team-a,ip:10.0.0.1`: what a prefix begins goes on until the next one.
fn described(text: &str) -> Result<EndpointSpec, QueryError> {
    let mut description = Description::default();
    let mut part = "pod";
    for word in text.split(',') {
        let mut word = word.trim();
        let prefix = PREFIXES.into_iter().find(|p| starts_with(word, p));
        if let Some(prefix) = prefix {
            word = word.get(prefix.len() + 1..).unwrap_or_default().trim();
            part = prefix;
        }
        if word.is_empty() {
            let why = format!(
                "nothing stands behind {}; write pod:KEY=VALUE, ns:NAME or ip:ADDRESS; a pod \
                 without labels is ns:NAME alone",
                prefix.map_or_else(|| "a comma".to_owned(), |p| format!("{p}:"))
            );
            return Err(QueryError::Label(text.to_owned(), why));
        }
        match part {
            "ip" => {
                let address = parse_address(without_brackets(word));
                let address = address.ok_or_else(|| QueryError::Address(word.to_owned()))?;
                description.addresses = description.addresses.union(&address.into());
            }
            "ns" => add_namespace(&mut description, word)?,
            _ => add_label(&mut description.labels, word, prefix.is_some())?,
        }
    }
    Ok(EndpointSpec::Described {
        labels: description.labels,
        namespace: description.namespace,
        addresses: description.addresses,
    })
}

/// A namespace by a label or by its name; `*` is every namespace.
fn add_namespace(description: &mut Description, word: &str) -> Result<(), QueryError> {
    let namespace = description.namespace.get_or_insert_with(Labels::new);
    if word == "*" {
        return Ok(());
    }
    if word.contains('=') {
        return add_label(namespace, word, true);
    }
    if let Some(fault) = names::dns_label(word) {
        let why = if word.contains(':') {
            PORT_PLACE.to_owned()
        } else {
            format!("it {}; {}", fault.what, fault.help)
        };
        return Err(QueryError::Label(word.to_owned(), why));
    }
    add(namespace, NAMESPACE_NAME_LABEL, word)
}

/// Where a port belongs, for a label that has one in it.
const PORT_PLACE: &str = "it contains a colon; a port stands at the very end of the destination \
                          (pod:app=web,ns:team-a:4317), and a source has none";

fn add_label(labels: &mut Labels, word: &str, has_prefix: bool) -> Result<(), QueryError> {
    let wrong = |why: String| Err(QueryError::Label(word.to_owned(), why));
    let Some((key, value)) = word.split_once('=') else {
        return wrong(if word.contains(':') {
            PORT_PLACE.to_owned()
        } else {
            "write key=value, several with commas: pod:app=web,tier=db,ns:team-a".to_owned()
        });
    };
    if !has_prefix && MISTAKEN_KEYS.contains(&key) {
        let prefix = if key == "namespace" { "ns" } else { key };
        return wrong(format!(
            "did you mean {prefix}:{value}? A label of a pod that is called {key} needs its own \
             prefix (pod:{key}={value})"
        ));
    }
    if value.contains(':') {
        return wrong(PORT_PLACE.to_owned());
    }
    if let Some(fault) = names::qualified(key) {
        return wrong(format!("its key {}; {}", fault.what, fault.help));
    }
    if let Some(fault) = names::label_value(value) {
        return wrong(format!("its value {}; {}", fault.what, fault.help));
    }
    add(labels, key, value)
}

/// Adds a label. Two values of one key would describe a pod that cannot exist.
fn add(labels: &mut Labels, key: &str, value: &str) -> Result<(), QueryError> {
    let old = labels.insert(key.to_owned(), value.to_owned());
    match old.filter(|old| old != value) {
        None => Ok(()),
        Some(old) => Err(QueryError::Label(
            format!("{key}={value}"),
            format!("the same label has the value {old:?}, so nobody is meant"),
        )),
    }
}

/// Reads a destination: who, and behind a colon the ports.
///
/// # Errors
/// When either means nothing.
pub fn parse_destination(
    text: &str,
    vocabulary: &Vocabulary,
) -> Result<(EndpointSpec, PortSpec), QueryError> {
    let text = text.trim();
    let (rest, protocol) = match text.rsplit_once('/') {
        Some((rest, last)) if is_protocol(last) => (rest, last),
        _ => (text, ""),
    };
    // Addresses, labels and names have colons and slashes of their own: the whole comes first.
    let whole = match EndpointSpec::parse(rest, vocabulary) {
        Ok(who) => return Ok((who, PortSpec::parse("", protocol)?)),
        Err(error) => error,
    };
    let Some((who, ports)) = rest.rsplit_once(':') else {
        return Err(whole);
    };
    let last_word = who.rsplit([',', ' ']).next().unwrap_or_default();
    if PREFIXES.contains(&last_word) || !PortSpec::is_meant_by(ports) {
        return Err(whole);
    }
    let who = EndpointSpec::parse(who, vocabulary).map_err(|error| {
        // Of two errors the one that knows what was meant.
        if !error.has_hint() && whole.has_hint() {
            whole
        } else {
            error
        }
    })?;
    Ok((who, PortSpec::parse(ports, protocol)?))
}

fn is_protocol(text: &str) -> bool {
    matches!(text.to_ascii_uppercase().as_str(), "TCP" | "UDP" | "SCTP")
}

impl Vocabulary {
    /// All words that mean an endpoint.
    pub(super) fn all_words(&self) -> impl Iterator<Item = &'static str> + '_ {
        let roles = self.roles.iter().map(|role| role.name);
        let addresses = ADDRESS_WORDS.iter().map(|word| word.name);
        let own = self.own.iter().map(|role| role.name);
        roles.chain(own).chain(self.other_pods()).chain(addresses)
    }

    /// The word for the pods of others, if there is a system that they are not of.
    fn other_pods(&self) -> Option<&'static str> {
        if self.roles.is_empty() {
            None
        } else {
            Some(OTHER_PODS)
        }
    }

    /// The same, for a message.
    pub(super) fn words(&self) -> String {
        let words: Vec<&str> = self.all_words().collect();
        words.join(", ")
    }
}
