//! An audit as one page of HTML: no script, and nothing that is loaded from elsewhere.

use std::fmt::Write as _;

use super::{diff, summary};
use crate::audit::reach::{Reach, ReachCell, ReachMatrix};
use crate::audit::verdict::{Finding, Verdict};
use crate::audit::words::{counted, help, message};
use crate::audit::{ClusterAudit, Report, StreamAudit};
use crate::explain::diff as difference;
use manifest::escape::xml;

/// The width of the lines that say what differs.
const WIDTH: usize = 110;

const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>Isolation of virtual clusters</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { border: 1px solid #8888; padding: .3em .6em; text-align: left; vertical-align: top; }
pre { overflow-x: auto; padding: .5em; border-left: 3px solid #8888; }
.good { color: #1a7f37; font-weight: 600; }
.bad { color: #c62828; font-weight: 600; }
.unsure { color: #9a6700; font-weight: 600; }
.help { opacity: .8; }
@media (prefers-color-scheme: dark) { .good { color: #4ac26b; } .bad { color: #ff6b60; } .unsure { color: #d4a72c; } }
</style>
</head>
<body>
<h1>Isolation of virtual clusters</h1>
";

/// The page: every virtual cluster with its verdict, why, and who reaches whom.
#[must_use]
pub fn html(report: &Report) -> String {
    let mut page = String::from(HEAD);
    let (class, sign) = if report.is_isolated() {
        ("good", "✓ isolated")
    } else {
        ("bad", "✗ not all isolated")
    };
    let _ = writeln!(
        page,
        "<p><span class=\"{class}\">{sign}</span> {}</p>",
        xml(&summary(report))
    );
    push_table(&mut page, report);
    for stream in &report.streams {
        push_problems(&mut page, stream);
    }
    for stream in &report.streams {
        for cluster in super::shown(stream, false) {
            push_details(&mut page, cluster, stream);
        }
    }
    push_notes(&mut page, report);
    push_worst_tenants(&mut page, report);
    for stream in &report.streams {
        if let Some(reach) = &stream.reach {
            push_reach(&mut page, reach, stream);
        }
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Isolated => "good",
        Verdict::Unknown => "unsure",
        _ => "bad",
    }
}

fn push_table(page: &mut String, report: &Report) {
    page.push_str(
        "<table>\n<thead><tr><th>virtual cluster</th><th>verdict</th><th>why</th><th>chart</th>\
         <th>input</th></tr></thead>\n<tbody>\n",
    );
    for stream in &report.streams {
        for cluster in &stream.clusters {
            let verdict = cluster.verdict();
            let reasons: Vec<String> = (cluster.findings.iter())
                .map(|finding| xml(&message(finding)))
                .collect();
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td class=\"{}\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                xml(&cluster.title()),
                class(verdict),
                verdict.as_str(),
                reasons.join("<br>"),
                xml(cluster.chart.as_deref().unwrap_or_default()),
                xml(&stream.name)
            );
        }
    }
    page.push_str("</tbody>\n</table>\n");
}

/// What prevents a judgement of a whole stream, and what it leaves open.
fn push_problems(page: &mut String, stream: &StreamAudit) {
    let name = xml(&stream.name);
    if !stream.errors.is_empty() {
        let _ = writeln!(
            page,
            "<p class=\"bad\">{name}: nothing in it could be judged</p>\n<pre>{}</pre>",
            xml(&stream.errors.to_string())
        );
    }
    if !stream.warnings.is_empty() {
        let _ = writeln!(
            page,
            "<p class=\"unsure\">{name}: warnings</p>\n<pre>{}</pre>",
            xml(&stream.warnings.to_string())
        );
    }
    if stream.is_empty {
        let _ = writeln!(page, "<p class=\"bad\">{name}: the input is empty</p>");
    }
    if stream.has_nothing() {
        let _ = writeln!(
            page,
            "<p class=\"bad\">{name}: there is no virtual cluster in it</p>"
        );
    }
    if !stream.unevaluated.is_empty() {
        let _ = writeln!(
            page,
            "<details><summary class=\"unsure\">{name}: {} not evaluated, which can allow more\
             </summary>\n<pre>{}</pre></details>",
            counted(stream.unevaluated.len(), "policy of another kind"),
            xml(&stream.unevaluated.join("\n"))
        );
    }
}

fn push_details(page: &mut String, cluster: &ClusterAudit, stream: &StreamAudit) {
    let verdict = cluster.verdict();
    let _ = writeln!(
        page,
        "<h2>{}: <span class=\"{}\">{}</span></h2>\n<p>Input: {}{}</p>",
        xml(&cluster.title()),
        class(verdict),
        verdict.as_str(),
        xml(&stream.name),
        cluster
            .config
            .as_ref()
            .map(|config| format!(". Config: {}", xml(config)))
            .unwrap_or_default()
    );
    for finding in &cluster.findings {
        push_finding(page, finding);
    }
}

fn push_finding(page: &mut String, finding: &Finding) {
    let _ = writeln!(page, "<p>{}</p>", xml(&message(finding)));
    if let Some(diff) = diff(finding) {
        let changes = difference::text(diff, WIDTH);
        let _ = writeln!(page, "<pre>{}</pre>", xml(changes.trim_end()));
    }
    if let Some(help) = help(finding) {
        let _ = writeln!(page, "<p class=\"help\">What to do: {}</p>", xml(&help));
    }
}

/// What the values need and the policies block, and what they open.
fn push_notes(page: &mut String, report: &Report) {
    let with_notes = report
        .clusters()
        .filter(|cluster| !cluster.notes.is_empty());
    for (i, cluster) in with_notes.enumerate() {
        if i == 0 {
            page.push_str("<h2>What the values need and policies block, and what they open</h2>\n");
        }
        let _ = writeln!(
            page,
            "<details><summary>{}: {}</summary>\n<ul>",
            xml(&cluster.title()),
            counted(cluster.notes.len(), "note")
        );
        for note in &cluster.notes {
            let path = note.place.path.as_deref().unwrap_or_default();
            let _ = writeln!(
                page,
                "<li>{} {}: {} <span class=\"help\">{}</span></li>",
                note.code.unwrap_or_default(),
                xml(path),
                xml(&note.message),
                xml(note.help.as_deref().unwrap_or_default())
            );
        }
        page.push_str("</ul></details>\n");
    }
}

/// What a tenant of each virtual cluster reaches that uses all that it may do.
fn push_worst_tenants(page: &mut String, report: &Report) {
    let tenants = report.clusters().filter_map(|c| c.worst_tenant.as_ref());
    for (i, tenant) in tenants.enumerate() {
        if i == 0 {
            page.push_str("<h2>The worst tenant of each virtual cluster</h2>\n");
        }
        let ways = counted(tenant.holes.len(), "way");
        let (title, may) = (xml(&tenant.cluster), xml(&tenant.may));
        let _ = writeln!(
            page,
            "<details><summary>{title}: {ways} past the policies</summary>\n<p>{may}.</p>\n<ul>"
        );
        let none = tenant.without_holes().map(str::to_owned);
        for line in tenant
            .most()
            .into_iter()
            .chain(none)
            .chain(tenant.remarks())
        {
            let _ = writeln!(page, "<li>{}</li>", xml(&line));
        }
        for hole in &tenant.holes {
            let witness = hole.witness.as_deref().unwrap_or_default();
            let _ = writeln!(
                page,
                "<li>{} <code>{}</code> <span class=\"help\">To close it: {}</span></li>",
                xml(&hole.what),
                xml(witness),
                xml(&hole.close)
            );
        }
        page.push_str("</ul></details>\n");
    }
}

fn push_reach(page: &mut String, reach: &ReachMatrix, stream: &StreamAudit) {
    let _ = writeln!(
        page,
        "<h2>Who reaches whom in {}</h2>\n<p>From the workloads of the row to the workloads (w) and \
         to the control plane (c) of the column, by the policies of both. \"By address\" means that a rule \
         for addresses decides: it is open where the pod has an address that the rule allows.</p>\n<table>\n<thead><tr>\
         <th>from \\ to</th>{}</tr></thead>\n<tbody>",
        xml(&stream.name),
        cells("th", reach.clusters.iter().map(|name| (None, xml(name))))
    );
    for (from, (name, row)) in reach.clusters.iter().zip(&reach.rows).enumerate() {
        let row = row.iter().enumerate().map(|(to, cell)| {
            let is_own = from == to;
            let class = match (is_own, &cell.workloads.ports) {
                (true, _) => None,
                (false, Some(_)) => Some("bad"),
                (false, None) if is_unsure(cell) => Some("unsure"),
                (false, None) => Some("good"),
            };
            let text = format!(
                "w: {}<br>c: {}",
                xml(&in_words(&cell.workloads)),
                xml(&in_words(&cell.control_plane))
            );
            (class, text)
        });
        let _ = writeln!(page, "<tr><th>{}</th>{}</tr>", xml(name), cells("td", row));
    }
    page.push_str("</tbody>\n</table>\n");
}

/// Whether something may be open: the API of a virtual cluster, or what depends on addresses.
fn is_unsure(cell: &ReachCell) -> bool {
    let [workloads, control_plane] = [&cell.workloads, &cell.control_plane];
    workloads.depends_on_address
        || control_plane.depends_on_address
        || control_plane.ports.is_some()
}

fn in_words(reach: &Reach) -> String {
    let more = if reach.depends_on_address {
        ", more by address"
    } else {
        ""
    };
    match &reach.ports {
        Some(ports) => format!("{ports}{more}"),
        None if reach.depends_on_address => "by address".to_owned(),
        None => "no".to_owned(),
    }
}

/// Cells of a row; their texts are escaped already.
fn cells(tag: &str, texts: impl Iterator<Item = (Option<&'static str>, String)>) -> String {
    texts.fold(String::new(), |mut row, (class, text)| {
        let class = class.map(|c| format!(" class=\"{c}\"")).unwrap_or_default();
        let _ = write!(row, "<{tag}{class}>{text}</{tag}>");
        row
    })
}
