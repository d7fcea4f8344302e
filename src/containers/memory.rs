//! How much memory a container's process may have, and its end when it wants more.
//!
//! Every allocation of the program is counted; a process that is a container refuses itself the one that goes over its
//! limit, and aborts. PostgreSQL's memory lies outside of that, in WebAssembly: a process that runs it looks at what it
//! has, too. Each process of a container has the limit for itself.
//!
//! An abort means "out of memory" and nothing else: the parent tells it as the kernel's OOM killer would, with 137. No
//! script can abort a process, because there is no such signal in our shell.

use std::alloc::System;

use cap::Cap;
use rustix::process::{Resource, Rlimit, Signal, setrlimit};

/// What counts the program's memory, in the server's own process too, where nothing limits it.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// What a process of a container ends with that has used up its memory.
pub(super) const OUT_OF_MEMORY: Signal = Signal::ABORT;

/// What the machinery of a process needs before its program has done anything.
const OWN: u64 = 4 << 20;

/// What PostgreSQL's or psql's code and tables take before the first statement.
#[cfg(feature = "postgres")]
const RUNTIME: u64 = 256 << 20;

/// How often a process looks at its memory. It is not filled faster than some hundred megabytes in this time.
#[cfg(feature = "postgres")]
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(500);

/// What a container may have that was given no limit: a quarter of the machine, and no more than a lesson ever needs.
const MOST: u64 = 2 << 30;
const LEAST: u64 = 256 << 20;

/// The limit of a container that was given none, in bytes.
pub(super) fn by_default() -> u64 {
    total().map_or(LEAST, |total| (total / 4).clamp(LEAST, MOST))
}

/// The machine's memory in bytes, where it can be read.
fn total() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes << 10)
}

/// Limits this process to so many bytes from now on.
pub(super) fn hold(bytes: u64) {
    // No file of all its memory is left behind when it aborts. One byte, because to the kernel 0 still allows to hand
    // the memory to a program that collects such files.
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(1),
            maximum: Some(1),
        },
    );
    let bytes = usize::try_from(bytes.saturating_add(OWN)).unwrap_or(usize::MAX);
    // What is refused here is refused at the next allocation.
    let _ = HEAP.set_limit(bytes);
}

/// The limit of a process that [`hold_runtime`] was called in.
#[cfg(feature = "postgres")]
pub(super) fn limit() -> u64 {
    u64::try_from(HEAP.limit())
        .unwrap_or(u64::MAX)
        .saturating_sub(OWN + RUNTIME)
}

/// Limits this process, which may come to run WebAssembly. That memory is not counted as it is allocated, so that the
/// process looks from now on at all that it has.
#[cfg(feature = "postgres")]
pub(super) fn hold_runtime(bytes: u64) {
    let limit = bytes.saturating_add(RUNTIME);
    hold(limit);
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    let looks = move || {
        while let Some(pages) = own_pages() {
            if pages.saturating_mul(page) > limit.saturating_add(OWN) {
                std::process::abort();
            }
            std::thread::sleep(LOOK_EVERY);
        }
    };
    let _ = std::thread::Builder::new().spawn(looks);
}

/// The pages that are this process's own: not the program's file, nor what is shared. Nothing where there is no `/proc`.
#[cfg(feature = "postgres")]
fn own_pages() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut fields = text
        .split(' ')
        .skip(1)
        .map_while(|field| field.parse::<u64>().ok());
    let (resident, shared) = (fields.next()?, fields.next()?);
    Some(resident.saturating_sub(shared))
}
