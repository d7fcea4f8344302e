//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A container is a child of this program: before anything else starts, see whether that is what we are.
    if let Some(code) = eizoku::embedded::containers::child_main() {
        return code;
    }
    ExitCode::SUCCESS
}
