//! Names, label keys and label values: which texts the API server takes, and what to write instead.
//!
//! Sources: the Kubernetes documentation on object names, labels and annotations (RFC 1123
//! subdomains and labels). Where a text stands, and in which object, is the caller's business.

/// The longest name of an object, and the longest prefix of a label key.
const MAX_SUBDOMAIN: usize = 253;

/// The longest name of a namespace, name part of a label key, and label value.
const MAX_LABEL: usize = 63;

/// The longest name of a port.
const MAX_PORT_NAME: usize = 15;

/// Why a text is refused: ends a sentence that begins with the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong (`is longer than 63 characters`).
    pub what: String,
    /// What to write.
    pub help: &'static str,
}

const SUBDOMAIN_HELP: &str = "use lower-case letters, digits, '-' and '.', with a letter or digit \
                              at both ends of each part";
const DNS_LABEL_HELP: &str =
    "use lower-case letters, digits and '-', with a letter or digit at both ends";
const NAME_PART_HELP: &str = "use letters, digits, '-', '_' and '.', with a letter or digit at \
                              both ends; a prefix goes before one '/'";
const VALUE_HELP: &str = "use letters, digits, '-', '_' and '.', with a letter or digit at both \
                          ends; or leave it empty";
const PORT_NAME_HELP: &str =
    "write the port's number without quotes, or a name of lower-case letters, digits and '-'";

fn fault(what: impl Into<String>, help: &'static str) -> Fault {
    Fault {
        what: what.into(),
        help,
    }
}

fn too_long(max: usize, help: &'static str) -> Fault {
    fault(format!("is longer than {max} characters"), help)
}

/// Why a text can't be the name of an object (a DNS subdomain).
#[must_use]
pub fn subdomain(text: &str) -> Option<Fault> {
    if text.len() > MAX_SUBDOMAIN {
        return Some(too_long(MAX_SUBDOMAIN, "shorten it"));
    }
    if text.split('.').all(is_dns_label) {
        return None;
    }
    Some(fault(
        "is not a valid name (a DNS subdomain)",
        SUBDOMAIN_HELP,
    ))
}

/// Why a text can't be the name of a namespace (a DNS label).
#[must_use]
pub fn dns_label(text: &str) -> Option<Fault> {
    if text.len() > MAX_LABEL {
        return Some(too_long(MAX_LABEL, "shorten it"));
    }
    if is_dns_label(text) {
        return None;
    }
    Some(fault(
        "is not a valid namespace name (a DNS label)",
        DNS_LABEL_HELP,
    ))
}

/// Why a text can't be the key of a label or annotation, or another qualified name.
#[must_use]
pub fn qualified(text: &str) -> Option<Fault> {
    let (prefix, name) = match text.split_once('/') {
        Some((_, name)) if name.contains('/') => {
            return Some(fault("has more than one '/'", NAME_PART_HELP));
        }
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if let Some(prefix) = prefix {
        if prefix.is_empty() {
            return Some(fault(
                "has nothing before its '/'",
                "put a DNS subdomain before the '/', or leave the '/' out",
            ));
        }
        if let Some(fault) = subdomain(prefix) {
            return Some(Fault {
                what: format!("has a prefix that {}", fault.what),
                help: fault.help,
            });
        }
    }
    if name.is_empty() {
        let what = if prefix.is_some() {
            "has no name behind its '/'"
        } else {
            "is empty"
        };
        return Some(fault(what, NAME_PART_HELP));
    }
    if name.len() > MAX_LABEL {
        return Some(fault(
            format!("has a name part longer than {MAX_LABEL} characters"),
            "shorten it",
        ));
    }
    if is_name_part(name) {
        return None;
    }
    Some(fault("is not a valid key", NAME_PART_HELP))
}

/// Why a text can't be the value of a label.
#[must_use]
pub fn label_value(text: &str) -> Option<Fault> {
    if text.len() > MAX_LABEL {
        return Some(too_long(
            MAX_LABEL,
            "shorten it, or use an annotation, which may be long",
        ));
    }
    if text.is_empty() || is_name_part(text) {
        return None;
    }
    Some(fault("is not a valid label value", VALUE_HELP))
}

/// Why a text can't be the name of a port.
#[must_use]
pub fn port_name(text: &str) -> Option<Fault> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(fault(
            "is a number in quotes, which names no port",
            "write the number without quotes",
        ));
    }
    let what = if text.is_empty() {
        "is no name of a port".to_owned()
    } else if text.len() > MAX_PORT_NAME {
        format!("is longer than {MAX_PORT_NAME} characters")
    } else if !text.bytes().all(allowed) {
        "has characters that a port's name can't have".to_owned()
    } else if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        "has no letter, as a port's name must".to_owned()
    } else if text.contains("--") {
        "has two hyphens in a row".to_owned()
    } else if text.starts_with('-') || text.ends_with('-') {
        "begins or ends with a hyphen".to_owned()
    } else {
        return None;
    };
    Some(fault(what, PORT_NAME_HELP))
}

fn is_dns_label(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(allowed) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_name_part(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    text.bytes().all(inner) && edge(text.bytes().next()) && edge(text.bytes().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for good in ["a", "A-b_c.D", "example.com/a", "1.2/3", &"a".repeat(63)] {
            assert_eq!(qualified(good), None, "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "", "/a", "a/", "a/b/c", "Ex.com/a", "a b", "a.", "-a", "a..b/c", &long,
        ] {
            assert!(qualified(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn values_and_names() {
        for good in ["", "a", "A.b-c_d", "1.0"] {
            assert_eq!(label_value(good), None, "{good}");
        }
        for bad in ["a b", "-a", "a/b", "a\n", "é"] {
            assert!(label_value(bad).is_some(), "{bad}");
        }
        assert_eq!(subdomain("a.b-c.1"), None);
        assert!(subdomain("a..b").is_some() && subdomain("").is_some());
        assert!(dns_label("a.b").is_some());
    }

    #[test]
    fn port_names() {
        for good in ["a", "http", "9z", "a-b"] {
            assert_eq!(port_name(good), None, "{good}");
        }
        for bad in [
            "",
            "80",
            "-",
            "a--b",
            "a-",
            "HTTP",
            "aaaaaaaaaaaaaaaa",
            "1-2",
        ] {
            assert!(port_name(bad).is_some(), "{bad}");
        }
    }
}
