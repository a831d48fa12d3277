//! The tests of this program by name: the functions that each module lists in `tests!`, and what
//! is found in folders when the program starts.
//!
//! A name is `TIER::MODULE::TEST`. The fast tier needs nothing but this checkout; the slow tier
//! runs the real Helms, installs, packages and the shared cases.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use libtest_mimic::{Failed, Trial};

/// How long a test takes, and what it needs.
#[derive(Clone, Copy)]
pub(crate) enum Tier {
    Fast,
    Slow,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fast => "fast",
            Self::Slow => "slow",
        })
    }
}

/// A function that is a test.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    pub(crate) tier: Tier,
    /// As `module_path!()` gives it.
    pub(crate) module: &'static str,
    pub(crate) name: &'static str,
    pub(crate) run: fn(),
}

/// Lists the tests of a module in its constant `TESTS`, which `main` collects.
///
/// The attribute `#[test]` does nothing in a program with a harness of its own. A function or a
/// constant that is not listed is dead code, which `main.rs` denies: no test is forgotten.
macro_rules! tests {
    ($($tier:ident: [$($test:ident),* $(,)?]),* $(,)?) => {
        pub(crate) const TESTS: &[$crate::registry::Test] = &[$($(
            $crate::registry::Test {
                tier: $crate::registry::tests!(@ $tier),
                module: module_path!(),
                name: stringify!($test),
                run: $test,
            },
        )*)*];
    };
    (@ fast) => { $crate::registry::Tier::Fast };
    (@ slow) => { $crate::registry::Tier::Slow };
}
pub(crate) use tests;

impl Test {
    /// The test as the harness runs it.
    pub(crate) fn trial(self) -> Trial {
        trial(self.tier, self.module, self.name, move || {
            (self.run)();
            Ok(())
        })
    }
}

/// A test by the path of its module and its name there.
pub(crate) fn trial(
    tier: Tier,
    module: &str,
    name: &str,
    run: impl FnOnce() -> Result<(), String> + Send + 'static,
) -> Trial {
    let module = module.split_once("::").map_or(module, |(_, path)| path);
    Trial::test(format!("{tier}::{module}::{name}"), move || {
        let result = panic::catch_unwind(AssertUnwindSafe(run));
        let result = result.unwrap_or_else(|payload| Err(panicked(payload.as_ref())));
        result.map_err(Failed::from)
    })
}

thread_local! {
    /// Where this thread panicked last.
    static PANICKED_AT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps where a test panics, beside what the default hook prints at once.
pub(crate) fn note_where_tests_panic() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let location = info.location().map(ToString::to_string);
        PANICKED_AT.set(location.unwrap_or_default());
        default(info);
    }));
}

/// What the harness prints of a test that panicked.
fn panicked(payload: &(dyn Any + Send)) -> String {
    let message = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    let location = PANICKED_AT.take();
    format!("panicked at {location}:\n{message}")
}

/// The cases of a group, or why there are none on this machine.
pub(crate) type ClusterSummary<C> = Result<Vec<C>, LeftOut>;

/// Why a group is left out.
pub(crate) struct LeftOut(pub(crate) String);

/// A group of tests: one for each case that is found when the program starts.
#[derive(Clone, Copy)]
pub(crate) struct Group {
    pub(crate) tier: Tier,
    /// As `module_path!()` gives it.
    pub(crate) module: &'static str,
    pub(crate) name: &'static str,
}

impl Group {
    /// The tests of the group. A folder without a case is a failure, and a group that is left out
    /// says so on stderr in its only test.
    pub(crate) fn trials<C: Send + 'static>(
        self,
        found: ClusterSummary<C>,
        name: impl Fn(&C) -> String,
        judge: fn(&C) -> Result<(), String>,
    ) -> Vec<Trial> {
        let path = |case: &str| format!("{}::{case}", self.name);
        match found {
            Err(LeftOut(why)) => {
                let run = move || {
                    eprintln!("{why}");
                    Ok(())
                };
                vec![trial(self.tier, self.module, &path("left_out"), run)]
            }
            Ok(cases) if cases.is_empty() => {
                let run = || Err("there is a folder, but no case in it".to_owned());
                vec![trial(self.tier, self.module, &path("no_case"), run)]
            }
            Ok(cases) => cases
                .into_iter()
                .map(|case| {
                    let path = path(&name(&case));
                    trial(self.tier, self.module, &path, move || judge(&case))
                })
                .collect(),
        }
    }
}

/// The modules below this folder that list tests, by their files and by the constants collected.
fn every_module_that_lists_tests_is_collected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration");
    let mut listing = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // Without the harness of the compiler, such a function is left out in silence.
        let is_attribute = |line: &str| line.trim() == "#[test]";
        assert!(
            !text.lines().any(is_attribute),
            "{name}: list the test in tests!"
        );
        if text
            .lines()
            .any(|line| line.trim().ends_with("registry::tests! {"))
        {
            listing.insert(name);
        }
    }
    let collected: BTreeSet<String> = crate::functions()
        .iter()
        .filter_map(|test| test.module.split("::").nth(1))
        .map(str::to_owned)
        .collect();
    assert_eq!(listing, collected);
}

fn every_name_is_there_once() {
    let trials = crate::trials();
    let names: BTreeSet<&str> = trials.iter().map(Trial::name).collect();
    assert_eq!(names.len(), trials.len());
}

crate::registry::tests! {
    fast: [every_module_that_lists_tests_is_collected, every_name_is_there_once],
}
