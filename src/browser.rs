//! The reader's browser: whether there is one at hand, and opening the page in it.

use std::env;
use std::io::{IsTerminal, stdout};

/// Whether a person started the program from a terminal with a desktop around it. Scripts, tests and services have no
/// terminal; who came by SSH sits before another screen.
pub(crate) fn is_at_hand() -> bool {
    let has = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let has_desktop =
        cfg!(any(windows, target_os = "macos")) || has("WAYLAND_DISPLAY") || has("DISPLAY");
    stdout().is_terminal() && has_desktop && !has("SSH_CONNECTION")
}

/// Opens an address in it. Whatever became of that, the address that was printed leads to the page, too. The error is
/// not told on, for it holds the address.
pub(crate) fn open(address: &str) {
    if open::that_detached(address).is_err() {
        tracing::warn!(
            "no browser could be opened; open the address above in one, or start with --no-open"
        );
    }
}
