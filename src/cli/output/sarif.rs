//! A report as SARIF 2.1.0, the format of code scanning.
//!
//! Source: the OASIS standard "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".

use std::collections::HashMap;
use std::io;

use serde_json::{Value, json};

use super::{Code, Report, message_with_help, point};
use crate::fnv::fnv1a;
use manifest::diagnostic::{Diagnostic, Severity};
use manifest::escape;

/// The SARIF log of a report.
pub(super) fn write(report: &Report<'_>) -> io::Result<String> {
    let mut rules: Vec<Value> = Vec::new();
    let mut indexes: HashMap<&'static str, usize> = HashMap::new();
    let mut fingerprints = Fingerprints::default();
    let mut results = Vec::new();
    for diagnostic in report.diagnostics() {
        let code = report.code_of(diagnostic);
        let index = *indexes.entry(code.name).or_insert_with(|| {
            rules.push(rule(&code, diagnostic.code.is_some()));
            rules.len() - 1
        });
        let mut result = json!({
            "ruleId": code.name,
            "ruleIndex": index,
            "level": diagnostic.severity,
            "message": { "text": message_with_help(diagnostic) },
            "partialFingerprints": { "vclusterNetpol/v1": fingerprints.of(&code, diagnostic) },
        });
        if let (Some(location), Some(result)) = (location(diagnostic), result.as_object_mut()) {
            result.insert("locations".to_owned(), json!([location]));
        }
        results.push(result);
    }
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "vcluster-netpol",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "automationDetails": { "id": format!("vcluster-netpol/{}/", report.command) },
            "invocations": [{
                "executionSuccessful": true,
                "exitCode": u8::from(report.has_failed()),
            }],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    let text = serde_json::to_string_pretty(&log)?;
    Ok(escape::json(&text) + "\n")
}

/// What a code means. A warning can be allowed; what has no code is rejected in any case.
fn rule(code: &Code, is_warning: bool) -> Value {
    let level = if is_warning {
        Severity::Warning
    } else {
        Severity::Error
    };
    json!({
        "id": code.name,
        "shortDescription": { "text": code.title },
        "fullDescription": { "text": code.title },
        "help": { "text": code.documentation, "markdown": code.documentation },
        "defaultConfiguration": { "level": level },
    })
}

/// The place of a diagnostic: in a file, and in an object.
fn location(diagnostic: &Diagnostic) -> Option<Value> {
    let place = &diagnostic.place;
    let mut location = serde_json::Map::new();
    if let Some(file) = &place.file {
        let mut physical = json!({ "artifactLocation": { "uri": escape::uri(file) } });
        if let (Some(point), Some(physical)) = (point(place), physical.as_object_mut()) {
            let mut region = json!({ "startLine": point.line });
            if let (Some(column), Some(region)) = (point.column, region.as_object_mut()) {
                region.insert("startColumn".to_owned(), json!(column));
            }
            physical.insert("region".to_owned(), region);
        }
        location.insert("physicalLocation".to_owned(), physical);
    }
    let parts = [&place.object, &place.part, &place.path];
    let name: Vec<String> = parts
        .into_iter()
        .flatten()
        .map(|part| escape::terminal(part).into_owned())
        .collect();
    if !name.is_empty() {
        let logical = json!([{ "fullyQualifiedName": name.join("/") }]);
        location.insert("logicalLocations".to_owned(), logical);
    }
    if location.is_empty() {
        None
    } else {
        Some(Value::Object(location))
    }
}

/// Names of results that stay the same while lines above them come and go.
#[derive(Debug, Default)]
struct Fingerprints {
    /// How many results with the same name came before.
    seen: HashMap<u64, usize>,
}

impl Fingerprints {
    fn of(&mut self, code: &Code, diagnostic: &Diagnostic) -> String {
        let place = &diagnostic.place;
        let parts = [&place.file, &place.object, &place.part, &place.path];
        let parts = parts.map(|part| part.as_deref().unwrap_or_default());
        let texts = std::iter::once(code.name).chain(parts);
        let texts = texts.chain([diagnostic.message.as_str()]);
        // A byte that is in no text ends each.
        let hash = fnv1a(texts.flat_map(|text| text.bytes().chain([0xff])));
        let before = self.seen.entry(hash).or_default();
        let fingerprint = format!("{hash:016x}/{before}");
        *before += 1;
        fingerprint
    }
}
