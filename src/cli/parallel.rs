//! The same work for many inputs, on all processors, with a progress bar on a terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What a thread gets, as much as the main thread: YAML is read by recursion.
const STACK: usize = 8 << 20;

/// Work that ends sooner shows no progress bar.
const PATIENCE: Duration = Duration::from_millis(300);

/// How often the progress bar is drawn.
const INTERVAL: Duration = Duration::from_millis(50);

/// How many characters the progress bar has.
const WIDTH: usize = 30;

/// Does the same work for each item, and gives the results in the order of the items.
///
/// `label` names the work beside the progress bar.
pub(super) fn map<I: Sync, T: Send>(
    label: &str,
    items: &[I],
    work: impl Fn(&I) -> T + Sync,
) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let helpers = threads.min(items.len()).saturating_sub(1);
    if items.len() < 2 {
        return items.iter().map(work).collect();
    }
    let progress = Progress::new(label, items.len());
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(items.len()));
    let run = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return };
            let result = work(item);
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.push((index, result));
            progress.show(results.len());
        }
    };
    thread::scope(|scope| {
        for _ in 0..helpers {
            // Where the system gives no more threads, the others do the work.
            let builder = thread::Builder::new().stack_size(STACK);
            let _ = builder.spawn_scoped(scope, run);
        }
        run();
    });
    progress.clear();
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// A progress bar on standard error, where that is a terminal.
struct Progress<'l> {
    label: &'l str,
    total: usize,
    /// When the bar was drawn last, or will be drawn first. `None` where nobody sees it.
    drawn: Option<Mutex<Drawn>>,
}

struct Drawn {
    next: Instant,
    is_visible: bool,
}

impl<'l> Progress<'l> {
    fn new(label: &'l str, total: usize) -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let drawn = if io::stderr().is_terminal() && !is_dumb {
            Some(Mutex::new(Drawn {
                next: Instant::now() + PATIENCE,
                is_visible: false,
            }))
        } else {
            None
        };
        Self {
            label,
            total,
            drawn,
        }
    }

    fn show(&self, done: usize) {
        let Some(drawn) = &self.drawn else { return };
        let mut drawn = drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now < drawn.next {
            return;
        }
        drawn.next = now + INTERVAL;
        drawn.is_visible = true;
        let _ = write!(io::stderr(), "\r{}", self.line(done));
    }

    fn line(&self, done: usize) -> String {
        let filled = done * WIDTH / self.total.max(1);
        let mut line = format!("{} [", self.label);
        for at in 0..WIDTH {
            line.push(if at < filled { '=' } else { ' ' });
        }
        let _ = write!(line, "] {done}/{}", self.total);
        line
    }

    /// Removes the bar, so that what is printed next has the line to itself.
    fn clear(&self) {
        let Some(drawn) = &self.drawn else { return };
        let drawn = drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.is_visible {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_the_order_of_the_items() {
        for count in [0, 1, 2, 1000] {
            let items: Vec<usize> = (0..count).collect();
            let doubled = map("doubling", &items, |item| item * 2);
            assert_eq!(doubled, items.iter().map(|i| i * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_bar_fills_up() {
        let progress = Progress::new("reading", 3);
        assert_eq!(
            progress.line(0),
            format!("reading [{}] 0/3", " ".repeat(WIDTH))
        );
        assert_eq!(
            progress.line(3),
            format!("reading [{}] 3/3", "=".repeat(WIDTH))
        );
    }
}
