//! Many questions in a table, many verdicts out: `from,to,protocol,port` as CSV or JSON.
//!
//! Made for holding this evaluator against another one, row by row. It knows tables, not policies.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::evaluate::Extent;
use crate::model::cluster::ClusterModel;
use crate::model::policy::Direction;
use crate::query::{EndpointSpec, PortSpec, QueryError, QueryScope, Vocabulary, parse_destination};
use crate::verdict::Question;
use manifest::escape;

/// The columns of a question.
const COLUMNS: [&str; 4] = ["from", "to", "protocol", "port"];

/// One row: the question as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// The source.
    pub from: String,
    /// The destination.
    pub to: String,
    /// The protocol; empty is TCP, or every one where there is no port either.
    pub protocol: String,
    /// The port, a range or a name; empty is every port.
    pub port: String,
}

/// A row with its verdicts.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The question.
    #[serde(flatten)]
    pub probe: Probe,
    /// Whether the destination takes all of it.
    pub ingress_ok: bool,
    /// Whether the source may send all of it.
    pub egress_ok: bool,
    /// Whether both do.
    pub allowed: bool,
    /// The rules that open something, or the policies that isolate and open nothing.
    pub decided_by: Vec<String>,
    /// On what the verdict depends that nobody has told: addresses of pods, names of ports.
    pub caveats: Vec<String>,
}

/// A table that can't be read, or a question in it that can't be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeError {
    /// Not the JSON that is wanted.
    Json(String),
    /// The header lacks a column.
    Column(&'static str),
    /// A quote that is never closed, on that line.
    Quote(usize),
    /// A row that is neither an object nor a list of the four.
    Shape(usize),
    /// There is no row: an answer of no questions would look like one without a fault.
    Empty,
    /// A row whose question can't be put.
    Ask(usize, QueryError),
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(message) => write!(f, "not a JSON array of probes: {message}"),
            Self::Column(name) => write!(
                f,
                "the header has no column {name}; the first line must name from, to, protocol, port"
            ),
            Self::Quote(line) => write!(f, "line {line}: a quote is never closed"),
            Self::Shape(row) => write!(
                f,
                "row {row}: neither an object with from, to, protocol, port nor a list of these"
            ),
            Self::Empty => f.write_str("there is no row in the table, so there is nothing to ask"),
            Self::Ask(row, error) => write!(f, "row {row}: {error}"),
        }
    }
}

impl std::error::Error for ProbeError {}

/// Reads probes: a JSON array where the text begins with `[`, else CSV with a header.
///
/// # Errors
/// When it is neither, or has no row.
pub fn read(text: &str) -> Result<Vec<Probe>, ProbeError> {
    let text = text.trim_start_matches('\u{feff}');
    let probes = if text.trim_start().starts_with('[') {
        read_json(text)?
    } else {
        read_csv(text)?
    };
    if probes.is_empty() {
        return Err(ProbeError::Empty);
    }
    Ok(probes)
}

fn read_json(text: &str) -> Result<Vec<Probe>, ProbeError> {
    let rows: Vec<Value> =
        serde_json::from_str(text).map_err(|e| ProbeError::Json(e.to_string()))?;
    rows.iter()
        .enumerate()
        .map(|(i, row)| {
            let field = |column: usize| -> Result<String, ProbeError> {
                let value = match row {
                    Value::Object(fields) => COLUMNS.get(column).and_then(|c| fields.get(*c)),
                    Value::Array(items) => items.get(column),
                    _ => return Err(ProbeError::Shape(i + 1)),
                };
                match value {
                    None | Some(Value::Null) => Ok(String::new()),
                    Some(Value::String(text)) => Ok(text.clone()),
                    Some(Value::Number(number)) => Ok(number.to_string()),
                    Some(_) => Err(ProbeError::Shape(i + 1)),
                }
            };
            Ok(Probe {
                from: field(0)?,
                to: field(1)?,
                protocol: field(2)?,
                port: field(3)?,
            })
        })
        .collect()
}

fn read_csv(text: &str) -> Result<Vec<Probe>, ProbeError> {
    let mut records = csv_records(text)?.into_iter();
    let header = records.next().unwrap_or_default();
    let column = |name: &'static str| {
        header
            .iter()
            .position(|cell| cell.trim().eq_ignore_ascii_case(name))
            .ok_or(ProbeError::Column(name))
    };
    let (from, to) = (column("from")?, column("to")?);
    let (protocol, port) = (column("protocol")?, column("port")?);
    let rows = records.map(|record| {
        let cell = |i: usize| record.get(i).cloned().unwrap_or_default();
        Probe {
            from: cell(from),
            to: cell(to),
            protocol: cell(protocol),
            port: cell(port),
        }
    });
    Ok(rows.collect())
}

/// Cuts CSV (RFC 4180) into records; empty lines are none.
fn csv_records(text: &str) -> Result<Vec<Vec<String>>, ProbeError> {
    let mut records = Vec::new();
    let (mut record, mut cell): (Vec<String>, String) = (Vec::new(), String::new());
    let (mut line, mut quoted_since) = (1, None);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            line += 1;
        }
        match (c, quoted_since) {
            ('"', Some(_)) if chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            ('"', Some(_)) => quoted_since = None,
            ('"', None) if cell.is_empty() => quoted_since = Some(line),
            (',', None) => record.push(std::mem::take(&mut cell)),
            ('\r', None) if chars.peek() == Some(&'\n') => {}
            ('\n', None) => {
                if !record.is_empty() || !cell.is_empty() {
                    record.push(std::mem::take(&mut cell));
                    records.push(std::mem::take(&mut record));
                }
            }
            _ => cell.push(c),
        }
    }
    if let Some(line) = quoted_since {
        return Err(ProbeError::Quote(line));
    }
    if !record.is_empty() || !cell.is_empty() {
        record.push(cell);
        records.push(record);
    }
    Ok(records)
}

impl Probe {
    /// The question that the row puts. The port may also stand in `to`, behind a colon.
    ///
    /// # Errors
    /// When a cell means nothing.
    pub fn question(&self, vocabulary: &Vocabulary) -> Result<Question, QueryError> {
        let from = EndpointSpec::parse(&self.from, vocabulary)?;
        if self.port.trim().is_empty() && self.protocol.trim().is_empty() {
            let (to, ports) = parse_destination(&self.to, vocabulary)?;
            return Ok(Question { from, to, ports });
        }
        Ok(Question {
            from,
            to: EndpointSpec::parse(&self.to, vocabulary)?,
            ports: PortSpec::parse(&self.port, &self.protocol)?,
        })
    }
}

/// Puts all questions.
///
/// # Errors
/// The first question that can't be put, with its row.
pub fn run(
    probes: Vec<Probe>,
    model: &ClusterModel,
    scope: &QueryScope,
) -> Result<Vec<Row>, ProbeError> {
    probes
        .into_iter()
        .enumerate()
        .map(|(i, probe)| {
            let answer = probe
                .question(scope.vocabulary)
                .and_then(|question| question.ask(model, scope))
                .map_err(|error| ProbeError::Ask(i + 1, error))?;
            let ok = |direction| answer.extent_of(direction) == Extent::All;
            Ok(Row {
                ingress_ok: ok(Direction::Ingress),
                egress_ok: ok(Direction::Egress),
                allowed: answer.allowed(),
                decided_by: answer.decided(),
                caveats: answer.caveats(),
                probe,
            })
        })
        .collect()
}

/// The rows as CSV with a header; several rules in one cell are parted by `; `.
#[must_use]
pub fn to_csv(rows: &[Row]) -> String {
    let mut text =
        String::from("from,to,protocol,port,ingress_ok,egress_ok,allowed,decided_by,caveats\n");
    for row in rows {
        let Probe {
            from,
            to,
            protocol,
            port,
        } = &row.probe;
        let truth = [row.ingress_ok, row.egress_ok, row.allowed].map(|b| b.to_string());
        let rules = row.decided_by.join("; ");
        let cells = [from, to, protocol, port].into_iter().chain(&truth);
        let caveats = row.caveats.join("; ");
        let cells = cells.chain([&rules, &caveats]);
        let cells: Vec<String> = cells.map(|cell| csv_cell(cell)).collect();
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}

fn csv_cell(text: &str) -> String {
    let text = escape::terminal(text);
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_and_json_say_the_same() {
        let csv = "port,from,to,protocol,note\r\n80,\"pod:a=b,c=d\",x/y,TCP,\"say \"\"hi\"\"\"\r\n\n,a/b,internet,,\n";
        let json = r#"[{"from": "pod:a=b,c=d", "to": "x/y", "protocol": "TCP", "port": 80},
                       ["a/b", "internet", null, null, true]]"#;
        assert_eq!(read(csv).unwrap(), read(json).unwrap());
        assert_eq!(read(csv).unwrap().len(), 2);
    }

    #[test]
    fn a_table_that_is_none_is_refused() {
        assert_eq!(read("from,to,port\n"), Err(ProbeError::Column("protocol")));
        assert_eq!(read("from\n\"x\n"), Err(ProbeError::Quote(2)));
        assert_eq!(read("[1]"), Err(ProbeError::Shape(1)));
        assert!(matches!(read("[{]"), Err(ProbeError::Json(_))));
        for text in [
            "[]",
            "from,to,protocol,port\n",
            "from,to,protocol,port\n\n\r\n",
        ] {
            assert_eq!(read(text), Err(ProbeError::Empty), "{text:?}");
        }
    }
}
