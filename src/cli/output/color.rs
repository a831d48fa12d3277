//! Whether output has colours: `--color`, else NO_COLOR, else FORCE_COLOR, else the terminal.

use anstream::ColorChoice;

/// Applies `--color` to all that is printed from now on.
pub(in crate::cli) fn choose(asked: clap::ColorChoice) {
    let choice = match asked {
        clap::ColorChoice::Always => ColorChoice::Always,
        clap::ColorChoice::Never => ColorChoice::Never,
        clap::ColorChoice::Auto => by_environment(),
    };
    choice.write_global();
}

/// NO_COLOR wins: it turns colours off even where FORCE_COLOR is set.
fn by_environment() -> ColorChoice {
    let set = |name: &str| {
        let value = std::env::var_os(name).unwrap_or_default();
        !(value.is_empty() || value == "0" || value == "false")
    };
    if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        ColorChoice::Never
    } else if set("FORCE_COLOR") {
        ColorChoice::Always
    } else {
        // It asks the terminal, TERM and CLICOLOR.
        ColorChoice::Auto
    }
}
