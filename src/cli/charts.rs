//! The Helm chart that a values file is for, by the files around it.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use crate::values_files::chart::{Chart, ChartFolder};

/// How many folders above a values file are looked at, its own among them: values for one
/// environment are often in a folder of the chart.
const MAX_LEVELS: usize = 3;

/// How deep charts inside charts are read.
const MAX_DEPTH: usize = 4;

/// How many charts of a folder `charts` are read.
const MAX_SUBCHARTS: usize = 200;

/// How much of a file is read.
const MAX_BYTES: u64 = 1 << 20;

/// The chart that a values file is for: the nearest one in its folder and in those above.
pub(super) fn of_values_file(file: &Path) -> Chart {
    let Ok(file) = fs::canonicalize(file) else {
        return Chart::Unknown;
    };
    for folder in file.ancestors().skip(1).take(MAX_LEVELS) {
        if let Some(chart) = read(folder, 0) {
            return chart.chart();
        }
        if folder.join(".git").exists() {
            break;
        }
    }
    Chart::Unknown
}

/// The chart in a folder, and the charts that it holds; `None` where there is none.
pub(super) fn in_folder(folder: &Path) -> Option<ChartFolder> {
    read(folder, 0)
}

fn read(folder: &Path, depth: usize) -> Option<ChartFolder> {
    let chart = text(&folder.join("Chart.yaml"))?;
    // Charts of Helm 2 list their dependencies in a file of their own.
    let requirements = text(&folder.join("requirements.yaml")).unwrap_or_default();
    let mut chart = ChartFolder::parse(&[&chart, &requirements]);
    if depth == MAX_DEPTH {
        return Some(chart);
    }
    let paths = chart.dependencies.iter().filter_map(|dependency| {
        let path = dependency.repository.strip_prefix("file://")?;
        read(&folder.join(path), depth + 1)
    });
    let mut subcharts: Vec<ChartFolder> = paths.collect();
    let entries = fs::read_dir(folder.join("charts")).into_iter().flatten();
    for entry in entries.flatten().take(MAX_SUBCHARTS) {
        let path = entry.path();
        let subchart = if path.is_dir() {
            read(&path, depth + 1)
        } else {
            path.file_name()
                .and_then(|name| ChartFolder::of_archive(name.to_str()?))
        };
        subcharts.extend(subchart);
    }
    chart.subcharts = subcharts;
    Some(chart)
}

/// The text of a file, but not much more than a chart's file has.
fn text(path: &Path) -> Option<String> {
    let is_file = fs::metadata(path).is_ok_and(|file| file.is_file());
    let mut text = String::new();
    let file = File::open(path).ok().filter(|_| is_file)?;
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}
