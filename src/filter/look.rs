//! What a document looks like that cannot be read: one of our carriers or policies, or not.
//!
//! The look is an over-approximation. It splits a text into words, whatever its style (lines, flow,
//! JSON) and wherever it is broken, with escapes decoded. A document that looks like one of ours is
//! an error, as Helm's reader may read more than ours. One that does not is passed over.

use base64::Engine as _;

use super::escapes::{self, Escaped};
use super::prefilter::ANNOTATION;
use crate::vcluster::actors::{COMPANION_PREFIXES, POLICY_PREFIXES, SECRET_PREFIX};
use netpol::kubernetes;

/// Names are no longer than 253 bytes, in base64 338.
const MAX_BINARY: usize = 400;

/// The object that a document would be, in words, where it looks like one of ours.
pub(super) fn of(document: &[u8]) -> Option<String> {
    let text = decoded(document);
    let mut look = Look::default();
    for token in Tokens::new(&text) {
        look.take(&token);
    }
    look.verdict()
}

/// A text with the escapes of double-quoted scalars decoded, wherever a backslash is.
fn decoded(document: &[u8]) -> String {
    let mut text = Vec::with_capacity(document.len());
    let mut at = 0;
    while let Some(rest) = document.get(at..).filter(|rest| !rest.is_empty()) {
        let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        text.extend_from_slice(rest.get(..plain).unwrap_or_default());
        at += plain;
        match document.get(at..).and_then(escapes::read) {
            // A backslash separates words here, and so does what it stands before.
            Some((Escaped::Char(c), length)) => {
                text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                at += length;
            }
            Some((Escaped::Nothing, length)) => at += length,
            None => {
                text.extend(document.get(at));
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'t> {
    /// A run of characters without blanks, quotes and indicators.
    Word(&'t str),
    /// A tag or an anchor.
    Property(&'t str),
    /// An alias.
    Alias,
    Colon,
    /// The beginning of what may be a comment.
    Hash,
    Break,
    /// A brace or bracket that opens.
    Open,
    /// A comma, or a brace or bracket that closes.
    End,
    /// Quotes, backslashes, marks of block scalars.
    Mark,
}

/// Cuts a text into tokens.
struct Tokens<'t> {
    rest: &'t str,
}

impl<'t> Tokens<'t> {
    fn new(text: &'t str) -> Self {
        Self { rest: text }
    }

    /// Takes characters as long as they belong to it.
    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest;
        run
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{feff}')
}

fn is_flow(c: char) -> bool {
    matches!(c, ',' | '{' | '}' | '[' | ']')
}

fn is_mark(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\' | '|' | '>' | '?') || c.is_control()
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        // Blanks are no token, but an indented line must not look like one that is not.
        if !self.run(is_blank).is_empty() {
            return Some(Token::Mark);
        }
        let first = self.rest.chars().next()?;
        let property = |c: char| !is_break(c) && !is_blank(c) && !is_flow(c);
        let word = |c: char| property(c) && !is_mark(c) && !matches!(c, ':' | '#');
        let token = match first {
            '!' | '&' => return Some(Token::Property(self.run(property))),
            '*' => {
                self.run(property);
                return Some(Token::Alias);
            }
            ':' => Token::Colon,
            '#' => Token::Hash,
            '{' | '[' => Token::Open,
            ',' | '}' | ']' => Token::End,
            c if is_break(c) => Token::Break,
            c if is_mark(c) => Token::Mark,
            _ => return Some(Token::Word(self.run(word))),
        };
        self.rest = self.rest.get(first.len_utf8()..).unwrap_or_default();
        Some(token)
    }
}

/// The keys that say what an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Kind,
    Name,
    Annotation,
    Other,
}

/// Where on its line a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Line {
    /// Nothing of the line has been seen.
    #[default]
    New,
    /// The line begins without a blank.
    AtRoot,
    Indented,
}

/// What has been seen of a document so far.
#[derive(Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one thing that was seen"
)]
struct Look {
    /// The last word, as the key that it would be, and whether its line is indented.
    word: Option<(Key, Line)>,
    /// The key whose value comes next.
    pending: Option<(Key, Line)>,
    /// Whether a tag or an anchor has been seen, and no word behind it.
    property: bool,
    /// Whether a value may come behind a comment.
    comment: bool,
    line: Line,
    /// Whether the document begins with a brace or bracket, or with a blank; and whether anything
    /// was seen at all.
    flow: bool,
    inset: bool,
    begun: bool,
    secret: bool,
    policy: bool,
    /// What anchors may stand for, and whether an alias is a kind or a name.
    anchored: Anchored,
    aliased_kind: bool,
    aliased_name: bool,
    secret_name: Option<String>,
    policy_name: Option<String>,
    annotation: bool,
    /// Kinds of lines that are not indented: one that is none of ours, and one that may be.
    foreign_root: bool,
    own_root: bool,
    kind: Option<String>,
}

/// Words behind anchors.
#[derive(Debug, Default)]
struct Anchored {
    secret: bool,
    policy: bool,
    secret_name: Option<String>,
    policy_name: Option<String>,
}

impl Look {
    fn take(&mut self, token: &Token<'_>) {
        if self.line == Line::New && *token != Token::Break {
            let indented = *token == Token::Mark;
            self.line = if indented {
                Line::Indented
            } else {
                Line::AtRoot
            };
        }
        match token {
            Token::Word(word) => self.word(word),
            Token::Property(_) => self.property = true,
            Token::Alias => self.alias(),
            Token::Colon => {
                if let Some(key) = self.word.take() {
                    self.annotation |= key.0 == Key::Annotation;
                    self.pending = Some(key);
                    self.comment = false;
                }
            }
            Token::Hash => self.comment = true,
            Token::Break => {
                self.line = Line::New;
                self.comment = false;
            }
            Token::Open => {
                self.flow |= !self.begun;
                self.begun = true;
                self.pending = None;
            }
            Token::End => {
                self.word = None;
                self.pending = None;
                self.property = false;
            }
            Token::Mark => {}
        }
    }

    fn word(&mut self, word: &str) {
        // The dash of an item, and what stands behind the mark of a block scalar.
        if word.bytes().all(|b| matches!(b, b'-' | b'+' | b'0'..=b'9')) {
            return;
        }
        self.inset |= !self.begun && self.line == Line::Indented;
        self.begun = true;
        let line = self.line;
        self.word = Some((key(word), line));
        self.meaning(word);
        if self.property {
            self.property = false;
            if let Some(text) = unpacked(word) {
                self.word = Some((key(&text), line));
                self.meaning(&text);
            }
        }
        if !self.comment {
            self.pending = None;
        }
    }

    /// Takes a word as the value of the key before it.
    fn meaning(&mut self, word: &str) {
        let secret = matches!(word, "Secret" | "SecretList");
        let policy =
            word == kubernetes::KIND || word.strip_suffix("List") == Some(kubernetes::KIND);
        let secret_name = word.starts_with(SECRET_PREFIX);
        let mut names_of_policies = POLICY_PREFIXES.iter().chain(&COMPANION_PREFIXES);
        let policy_name = names_of_policies.any(|name| word.starts_with(name));
        let name = |wanted: bool| wanted.then(|| word.chars().take(253).collect::<String>());
        if self.property {
            let anchored = &mut self.anchored;
            anchored.secret |= secret;
            anchored.policy |= policy;
            anchored.secret_name = anchored.secret_name.take().or(name(secret_name));
            anchored.policy_name = anchored.policy_name.take().or(name(policy_name));
        }
        match self.pending {
            Some((Key::Kind, line)) => {
                self.secret |= secret;
                self.policy |= policy;
                if line == Line::AtRoot && !self.comment {
                    let own = secret || policy || word.ends_with("List") || self.property;
                    self.own_root |= own;
                    self.foreign_root |= !own;
                }
                let shown = word.len() <= 63 && word.bytes().all(|b| b.is_ascii_alphanumeric());
                if shown && self.kind.is_none() {
                    self.kind = Some(word.to_owned());
                }
            }
            Some((Key::Name, _)) => {
                self.secret_name = self.secret_name.take().or(name(secret_name));
                self.policy_name = self.policy_name.take().or(name(policy_name));
            }
            _ => {}
        }
    }

    fn alias(&mut self) {
        match self.pending.take() {
            Some((Key::Kind, _)) => {
                self.aliased_kind = true;
                self.own_root = true;
            }
            Some((Key::Name, _)) => self.aliased_name = true,
            _ => {}
        }
        self.word = None;
    }

    fn verdict(self) -> Option<String> {
        let anchored = self.anchored;
        let secret = self.secret || (self.aliased_kind && anchored.secret);
        let policy = self.policy || (self.aliased_kind && anchored.policy);
        let aliased = self.aliased_name;
        let secret_name = self
            .secret_name
            .or(anchored.secret_name.filter(|_| aliased));
        let policy_name = self
            .policy_name
            .or(anchored.policy_name.filter(|_| aliased));
        // In a document of lines the kind at the root is that of the object. Another one inside
        // belongs to a text, or to a reference.
        let lines = !self.flow && !self.inset;
        let foreign = lines && self.foreign_root && !self.own_root;
        match (secret_name, policy_name) {
            (Some(name), _) if secret && !foreign => Some(format!("Secret {name}")),
            (_, Some(name)) if policy && !foreign => Some(format!("{} {name}", kubernetes::KIND)),
            _ if self.annotation => {
                let kind = self.kind.unwrap_or_else(|| "object".to_owned());
                Some(format!("{kind} with the annotation {ANNOTATION}"))
            }
            _ => None,
        }
    }
}

fn key(word: &str) -> Key {
    match word {
        "kind" => Key::Kind,
        "name" => Key::Name,
        ANNOTATION => Key::Annotation,
        _ => Key::Other,
    }
}

/// What a word in base64 stands for.
fn unpacked(word: &str) -> Option<String> {
    if word.len() > MAX_BINARY {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(word)
        .ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_ours_is_known_in_every_style() {
        for text in [
            "kind: Secret\nmetadata:\n  name: vc-config-a\n",
            "{kind: Secret, metadata: {name: vc-config-a}}",
            "{\"k\\u0069nd\":\"S\\u0065cret\",\"name\" :\n\"vc\\u002dconfig-a\"}",
            "kind: !!str Secret\nname: &n 'vc-config-a'\n",
            "kind: # a kind\n  Secret\nname: |-\n  vc-config-a\n",
            "? kind\n: Secret\n? name\n: vc-config-a\n",
            "kind: !!binary U2VjcmV0\nname: !!binary dmMtY29uZmlnLWE=\n",
            "kind: *k\nx: &k Secret\nname: vc-config-a\n",
            "kind: Secret\u{85}name: vc-config-a\u{2028}",
            "kind: Secret\rname: \"vc-\\\n  \\\n  config-a\"\r",
            "kind: List\nitems:\n- kind: Secret\n  metadata: {name: vc-config-a}\n",
            "kind: ConfigMap\nkind: Secret\nname: vc-config-a\n",
        ] {
            let found = of(text.as_bytes());
            assert_eq!(found.as_deref(), Some("Secret vc-config-a"), "{text}");
        }
    }

    #[test]
    fn policies_and_annotated_objects_are_known_in_every_style() {
        for (text, look) in [
            (
                "{\"metadata\":{\"name\":\"vc-cp-a\"},\"kind\":\"NetworkPolicy\"}",
                "NetworkPolicy vc-cp-a",
            ),
            (
                "{\"vcluster-netpol\\/config\": \"\", kind: Pod}",
                "Pod with the annotation vcluster-netpol/config",
            ),
            (
                "'vcluster-netpol/config' : x",
                "object with the annotation vcluster-netpol/config",
            ),
        ] {
            let found = of(text.as_bytes());
            assert_eq!(found.as_deref(), Some(look), "{text}");
        }
    }

    #[test]
    fn other_documents_are_not() {
        for text in [
            "kind: ConfigMap\n  metadata: : [vc-config-a\n",
            "kind: StatefulSet\nspec: {volumes: [{name: config, secret: {secretName: vc-config-a}}]}\n",
            "kind: ConfigMap\ndata:\n  p: |\n    kind: NetworkPolicy\n    metadata:\n      name: vc-work-a\n",
            "kind: NetworkPolicy\nmetadata: {name: vc-workload}\n",
            "kind: Secret\nmetadata: {name: other, labels: {x: vc-config-a}}\n",
            "run: vcluster-netpol/config\n",
            "{\"kind\":\"Pod\",\"ref\":{\"kind\":\"Secret\",\"secretName\":\"vc-config-a\"}}",
        ] {
            assert_eq!(of(text.as_bytes()), None, "{text}");
        }
    }
}
