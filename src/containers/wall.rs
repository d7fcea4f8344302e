//! The second wall around a container's processes: Landlock, where the kernel has it. [`super::view`] keeps a container to its own files already; should
//! that or PostgreSQL's runtime ever be tricked, the kernel lets the process open nothing else, gives it no TCP, no abstract socket, and no signal
//! to anybody outside.
//!
//! A process puts itself behind the wall before it does anything for its container; what it starts is behind it too. What is let through is named by the
//! descriptors that the view holds, not by paths.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope, make_bitflags,
};

use super::child::Order;
use super::image::ImageKind;
use super::view::{DEVICES, View};

/// What is asked for at most; a kernel that knows less does what it knows. Later ones have more to forbid, but nothing that was tried.
const KNOWN: ABI = ABI::V6;

/// Why there is no second wall; nothing if there is one.
pub fn missing_wall() -> Option<&'static str> {
    // Only the thread that asks is put behind the wall, and it ends at once.
    let tried = std::thread::spawn(|| {
        let ruleset = Ruleset::default()
            .handle_access(AccessFs::MakeChar)?
            .create()?;
        ruleset.restrict_self()
    });
    match tried.join() {
        Ok(Ok(status)) if status.ruleset != RulesetStatus::NotEnforced => None,
        _ => Some("this kernel has no Landlock (Linux 5.13 or later, not switched off at boot)"),
    }
}

/// Puts this process behind the wall. It must not have other threads yet.
pub(super) fn raise(order: &Order, view: &View) -> io::Result<()> {
    restrict(order, view).map_err(|error| io::Error::other(format!("second wall: {error}")))
}

fn restrict(order: &Order, view: &View) -> Result<(), Box<dyn std::error::Error>> {
    let read: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    let write = read
        | make_bitflags!(AccessFs::{WriteFile | Truncate | RemoveDir | RemoveFile | MakeDir | MakeReg | MakeSym | Refer});
    let device = make_bitflags!(AccessFs::{ReadFile | WriteFile});
    let program = make_bitflags!(AccessFs::{ReadFile | Execute});

    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::AbstractUnixSocket)?;
    if order.is_main {
        // A command in the container is a process beside the main one, and `kill 1` is what people type there.
        ruleset = ruleset.scope(Scope::Signal)?;
    }
    let mut ruleset = ruleset.create()?;
    for (held, read_only) in view.held()? {
        ruleset = allow(ruleset, held, if read_only { read } else { write })?;
    }
    // The container's own folder: its socket, and temporary files of PostgreSQL's runtime.
    if let Some(scratch) = order.socket.parent() {
        ruleset = ruleset.add_rule(PathBeneath::new(
            PathFd::new(scratch)?,
            write | AccessFs::MakeSock,
        ))?;
    }
    if order.image == ImageKind::Postgres
        && let Some(cache) = std::env::var_os("XDG_CACHE_HOME")
    {
        ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new(cache)?, write))?;
    }
    // This program itself, which a postmaster starts as its backend, with what the system loads for it.
    ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new("/proc/self/exe")?, program))?;
    for library in libraries()? {
        ruleset = allow_if_there(ruleset, &library, program)?;
    }
    ruleset = allow_if_there(ruleset, "/etc/ld.so.cache", AccessFs::ReadFile.into())?;
    // What is another process's there, the kernel keeps from a process behind such a wall.
    ruleset = allow_if_there(ruleset, "/proc", read)?;
    for path in DEVICES {
        ruleset = allow_if_there(ruleset, path, device)?;
    }
    ruleset.restrict_self()?;
    Ok(())
}

fn allow(
    ruleset: RulesetCreated,
    held: OwnedFd,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, landlock::RulesetError> {
    ruleset.add_rule(PathBeneath::new(held, access))
}

fn allow_if_there(
    ruleset: RulesetCreated,
    path: impl AsRef<Path>,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, landlock::RulesetError> {
    match PathFd::new(path) {
        Ok(held) => ruleset.add_rule(PathBeneath::new(held, access)),
        Err(_) => Ok(ruleset),
    }
}

/// The files whose code is in this process: the libraries, and the loader.
fn libraries() -> io::Result<Vec<String>> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let mut files: Vec<String> = maps
        .lines()
        .filter(|line| {
            line.split_whitespace()
                .nth(1)
                .is_some_and(|rights| rights.contains('x'))
        })
        .filter_map(|line| line.find('/').map(|at| line[at..].to_owned()))
        .collect();
    files.dedup();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::process::Command;

    use rustix::process::{Pid, Signal, kill_process};

    use super::super::Mount;
    use super::*;

    #[test]
    fn behind_the_wall_there_are_the_containers_files_and_nothing_else() {
        if let Some(why) = missing_wall() {
            eprintln!("nothing is tried: {why}");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["c/root", "disk/volume", "disk/fixed", "outside"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        for path in [
            "disk/volume/file",
            "disk/fixed/file",
            "disk/single",
            "disk/other",
            "outside/file",
        ] {
            fs::write(at(path), "").unwrap();
        }
        let mount = |below: &str, read_only: bool| Mount {
            host: at("disk"),
            below: below.to_owned(),
            path: format!("/{below}"),
            read_only,
        };
        let order = Order {
            image: ImageKind::Busybox,
            is_main: true,
            argv: Vec::new(),
            env: Vec::new(),
            mounts: vec![
                mount("volume", false),
                mount("fixed", true),
                mount("single", false),
            ],
            working_dir: "/".to_owned(),
            hostname: "box".to_owned(),
            root: at("c/root"),
            socket: at("c/s"),
            tty: false,
            main_process: 0,
            main_argv: Vec::new(),
        };
        let view = order.view().unwrap();
        let mut other = Command::new("sleep").arg("100").spawn().unwrap();
        let process = Pid::from_child(&other);
        // The wall stands for the thread that raises it, which is what a process has at its start.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                raise(&order, &view).unwrap();
                for path in ["disk/volume/file", "disk/single", "c/root/new", "c/new"] {
                    assert!(File::create(at(path)).is_ok(), "{path}");
                }
                assert!(File::open(at("disk/fixed/file")).is_ok());
                assert!(fs::rename(at("disk/volume/file"), at("disk/volume/moved")).is_ok());
                for path in [
                    "disk/fixed/file",
                    "disk/other",
                    "disk/new",
                    "outside/file",
                    "outside/new",
                ] {
                    assert!(File::create(at(path)).is_err(), "{path}");
                }
                for path in ["disk/other", "outside/file", "/etc/passwd"] {
                    assert!(File::open(at(path)).is_err(), "{path}");
                }
                assert!(fs::read_dir(at("outside")).is_err());
                assert!(fs::remove_file(at("outside/file")).is_err());
                assert!(fs::hard_link(at("outside/file"), at("disk/volume/hard")).is_err());
                assert!(Command::new("/bin/true").status().is_err());
                let itself = Command::new("/proc/self/exe").arg("--list").output();
                assert!(itself.unwrap().status.success());
                if knows_all() {
                    assert!(std::net::TcpListener::bind(("127.0.0.1", 0)).is_err());
                    assert!(kill_process(process, Signal::KILL).is_err());
                }
            });
        });
        other.kill().unwrap();
        other.wait().unwrap();
    }

    /// Whether this kernel knows the newest of what is asked for, and with it the rest.
    fn knows_all() -> bool {
        let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        ruleset.scope(Scope::Signal).is_ok()
    }
}
