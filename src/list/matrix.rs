//! Who may connect to whom, by namespace or virtual cluster, as a table.

use std::fmt::Write as _;

use serde::Serialize;

use manifest::escape;
use netpol::evaluate::Extent;
use netpol::matrix::Matrix;

/// The table, for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// The version of this format.
    pub version: u8,
    /// The units, in order.
    pub units: Vec<String>,
    /// What is allowed from one unit to another. A pair without two different pods is left out.
    pub cells: Vec<Cell>,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The source.
    pub from: String,
    /// The destination.
    pub to: String,
    /// `all`, `some` or `nothing`: of all ports between all pods.
    pub allowed: &'static str,
    /// The ports that are open between some two pods.
    pub ports: String,
}

impl From<&Matrix> for Table {
    fn from(matrix: &Matrix) -> Self {
        let cells = matrix.cells.iter().map(|((from, to), cell)| Cell {
            from: from.clone(),
            to: to.clone(),
            allowed: match cell.extent {
                Extent::All => "all",
                Extent::Part => "some",
                Extent::Nothing => "nothing",
            },
            ports: cell.ports.to_string(),
        });
        Self {
            version: 1,
            units: matrix.units.clone(),
            cells: cells.collect(),
        }
    }
}

/// One line for each pair between which something is allowed.
#[must_use]
pub fn text(table: &Table) -> String {
    let mut text = String::new();
    for cell in table.cells.iter().filter(|cell| cell.allowed != "nothing") {
        let line = format!(
            "{} -> {}: {} ({})",
            cell.from, cell.to, cell.allowed, cell.ports
        );
        let _ = writeln!(text, "{}", escape::terminal(&line));
    }
    if text.is_empty() {
        text.push_str("No connection is allowed.\n");
    }
    text
}

/// One row for each pair.
#[must_use]
pub fn csv(table: &Table) -> String {
    let mut text = String::from("from,to,allowed,ports\n");
    for cell in &table.cells {
        let cells = [&cell.from, &cell.to, cell.allowed, &cell.ports];
        let cells: Vec<String> = cells.iter().map(|cell| escape::csv(cell)).collect();
        let _ = writeln!(text, "{}", cells.join(","));
    }
    text
}

/// A table with a row for each source and a column for each destination.
#[must_use]
pub fn markdown(table: &Table) -> String {
    let mut text = String::from("| from \\ to |");
    for unit in &table.units {
        let _ = write!(text, " {} |", escape::markdown(unit));
    }
    let _ = writeln!(text, "\n|---|{}", "---|".repeat(table.units.len()));
    let mut cells = table.cells.iter().peekable();
    for from in &table.units {
        let _ = write!(text, "| {} |", escape::markdown(from));
        for to in &table.units {
            // The cells are sorted as the units are.
            let cell = cells.next_if(|cell| cell.from == *from && cell.to == *to);
            let words = match cell {
                None => "",
                Some(cell) if cell.allowed == "nothing" => "-",
                Some(cell) if cell.allowed == "all" => "all",
                Some(cell) => &cell.ports,
            };
            let _ = write!(text, " {} |", escape::markdown(words));
        }
        text.push('\n');
    }
    text
}

/// A graph for Graphviz.
#[must_use]
pub fn dot(table: &Table) -> String {
    let mut text = String::from("digraph matrix {\n  rankdir=LR\n  node [shape=box]\n");
    for unit in &table.units {
        let _ = writeln!(text, "  \"{}\"", escape::dot(unit));
    }
    for cell in table.cells.iter().filter(|cell| cell.allowed != "nothing") {
        let (from, to) = (escape::dot(&cell.from), escape::dot(&cell.to));
        let _ = writeln!(
            text,
            "  \"{from}\" -> \"{to}\" [label=\"{}\"]",
            escape::dot(&cell.ports)
        );
    }
    text.push_str("}\n");
    text
}
