//! Somebody swaps folders and files for links that lead out, all the time, while programs work on them: nothing outside is read, changed or made.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use rustix::fs::{RenameFlags, renameat_with};

use super::super::disk::Disk;
use super::super::programs::{self, Program, Sink, Source, Streams, World};
use super::*;

/// Enough for some hundred collisions; an implementation that looks at a path and then opens it fails within the first hundreds.
const OPERATIONS: usize = 3_000;

const SECRET: &str = "HOST-SECRET";

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % sides
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.roll(from.len())]
    }
}

/// All that can be told of the files in a folder, by path.
fn state(folder: &Path) -> BTreeMap<PathBuf, (u32, u64, SystemTime, Vec<u8>)> {
    let mut state = BTreeMap::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(path) = todo.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        if about.is_dir() {
            todo.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        let content = fs::read(&path).unwrap_or_default();
        let told = (
            about.mode(),
            about.nlink(),
            about.modified().unwrap(),
            content,
        );
        state.insert(path, told);
    }
    state
}

/// Makes something new under a name of its own and swaps it with what stands at `name`, or puts it there.
fn swap(volume: &Path, name: &str, make: impl FnOnce(&Path)) {
    let new = volume.join(".new");
    let _ = super::super::remove_tree(&new);
    make(&new);
    let old = volume.join(name);
    if renameat_with(CWD, &new, CWD, &old, RenameFlags::EXCHANGE).is_err() {
        let _ = fs::rename(&new, &old);
    }
}

fn swap_until(done: &AtomicBool, volume: &Path, outside: &Path) {
    let mut dice = Dice(7);
    let targets = [
        outside.to_path_buf(),
        outside.join("folder"),
        PathBuf::from("../outside/folder"),
        PathBuf::from("../outside"),
        PathBuf::from("/"),
    ];
    while !done.load(Ordering::Relaxed) {
        let name = dice.pick(&["x", "y"]);
        swap(volume, name, |new| {
            fs::create_dir(new).unwrap();
            fs::write(new.join("secret"), "inside").unwrap();
            fs::create_dir_all(new.join("folder/deep")).unwrap();
        });
        let target = &targets[dice.roll(targets.len())];
        swap(volume, name, |new| symlink(target, new).unwrap());
        swap(volume, "f", |new| fs::write(new, "inside").unwrap());
        let target = dice.pick(&["secret", "folder/secret"]);
        swap(volume, "f", |new| {
            symlink(outside.join(target), new).unwrap();
        });
    }
}

#[test]
fn nothing_outside_is_touched_whatever_is_swapped_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let (root, volume) = (folder.path().join("root"), folder.path().join("volume"));
    let outside = folder.path().join("outside");
    fs::create_dir_all(&root).unwrap();
    fs::create_dir_all(&volume).unwrap();
    fs::create_dir_all(outside.join("folder/deep")).unwrap();
    fs::write(outside.join("secret"), SECRET).unwrap();
    fs::write(outside.join("folder/secret"), SECRET).unwrap();
    let before = state(&outside);

    let mount = |below: &str, path: &str| Mount {
        host: volume.clone(),
        below: below.to_owned(),
        path: path.to_owned(),
        read_only: false,
    };
    let view = View::new(&root, &[mount("", "/v")]).unwrap();
    view.prepare(ImageKind::Busybox, "box", &[]).unwrap();
    let buffer = Arc::new(Mutex::new(Vec::new()));
    let mut world = World::for_tests(view);
    let mut run = |line: &str| {
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let streams = Streams {
            input: Source::Text(Arc::default()),
            output: Sink::Buffer(Arc::clone(&buffer)),
            error: Sink::Buffer(Arc::clone(&buffer)),
        };
        programs::run(
            Program::BuiltIn(argv[0].clone()),
            &mut world,
            &argv,
            streams,
        );
    };
    run("mkdir -p /tmp/a/x/folder /tmp/b");
    run("ln -s x /v/z");
    for name in [
        "/tmp/a/secret",
        "/tmp/a/x/secret",
        "/tmp/a/x/folder/secret",
        "/tmp/a/f",
    ] {
        run(&format!("cp /etc/hostname {name}"));
    }
    run("tar cf /tmp/t -C /tmp/a .");

    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| swap_until(&done, &volume, &outside));
        // Whatever fails, the other thread has to end.
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut dice = Dice(1);
            for _ in 0..OPERATIONS {
                let folder = dice.pick(&["/v/x", "/v/y", "/v/z", "/v/x/folder"]);
                let name = dice.pick(&["secret", "new", "folder", "folder/secret", "deep"]);
                let path = format!("{folder}/{name}");
                match dice.roll(18) {
                    0 => run(&format!("cat {path} /v/f")),
                    1 => run(&format!("cp -r /tmp/a/. {folder}")),
                    2 => run(&format!("cp /tmp/a/secret {path}")),
                    3 => run("cp /tmp/a/secret /v/f"),
                    4 => run(&format!("cp -r {folder} /tmp/b")),
                    5 => run(&format!("mv /v/f {path}")),
                    6 => run(&format!("mv {folder} /tmp/b/moved")),
                    7 => run(&format!("rm -rf {path}")),
                    8 => run(&format!("rm -rf {folder}")),
                    9 => run(&format!("mkdir -p {path}/more")),
                    10 => run(&format!("chmod 700 {path} /v/f")),
                    11 => run(&format!("touch {path} /v/f")),
                    12 => run(&format!("ln {path} /v/hard")),
                    13 => run(&format!("ln -sf /tmp {path}")),
                    14 => run(&format!("tar xf /tmp/t -C {folder}")),
                    15 => run(&format!("tar cf /tmp/b/t {folder} /v/f")),
                    16 => {
                        // As the kubelet and the provisioner do it.
                        let disk = Disk::open(folder_of(&volume)).unwrap();
                        let _ = disk.make_folders(&format!("volume/{name}"));
                        let _ = disk.below("volume").and_then(|disk| {
                            let _ = disk.write(&format!("x/{name}"), b"theirs");
                            let _ = disk.make_folders(&format!("y/{name}"));
                            disk.remove_tree(&format!("x/{name}"))
                        });
                    }
                    _ => {
                        let below = format!("x/{name}");
                        let Ok(view) = View::new(&root, &[mount(&below, "/m")]) else {
                            continue;
                        };
                        for path in ["/m", "/m/secret"] {
                            let read = view.open("/", path).and_then(io::read_to_string);
                            assert_ne!(read.unwrap_or_default(), SECRET);
                            let _ = view.create("/", path, Write::Truncate);
                        }
                    }
                }
            }
        }));
        done.store(true, Ordering::Relaxed);
        if let Err(panic) = tried {
            std::panic::resume_unwind(panic);
        }
    });
    assert_eq!(before, state(&outside));
    let printed = String::from_utf8_lossy(&buffer.lock().unwrap()).into_owned();
    assert!(!printed.contains(SECRET), "it was printed");
    for inside in [&root, &volume] {
        let copied = state(inside);
        let is_secret = |told: &Vec<u8>| String::from_utf8_lossy(told).contains(SECRET);
        // The swapper's own links lead to the secret; what they lead to was not copied.
        let found = copied
            .iter()
            .find(|(path, told)| !path.is_symlink() && is_secret(&told.3));
        assert!(found.is_none(), "{found:?}");
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap()
}
