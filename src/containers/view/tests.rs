use std::fs;
use std::os::unix::fs::symlink;

use super::*;

/// A container with a volume at two paths, and the folder on the host that holds everything.
fn view(folder: &Path) -> View {
    let volume = folder.join("volume");
    fs::create_dir_all(&volume).unwrap();
    fs::create_dir_all(folder.join("root")).unwrap();
    let mount = |path: &str, read_only: bool| Mount {
        host: volume.clone(),
        below: String::new(),
        path: path.to_owned(),
        read_only,
    };
    let mounts = [
        mount("/var/lib/postgresql", false),
        mount("/config/", true),
        mount("/config/deep/er", false),
    ];
    let view = View::new(&folder.join("root"), &mounts).unwrap();
    view.prepare(ImageKind::Postgres, "postgres-0", &["ls"])
        .unwrap();
    view
}

fn read(view: &View, path: &str) -> io::Result<String> {
    io::read_to_string(view.open("/tmp", path)?)
}

#[test]
fn mounts_and_layer_are_found_where_the_container_sees_them() {
    let folder = tempfile::tempdir().unwrap();
    let view = view(folder.path());
    fs::create_dir_all(folder.path().join("volume/18/docker")).unwrap();
    fs::create_dir_all(folder.path().join("root/var/lib/postgresqlx")).unwrap();
    for (path, host) in [
        ("a", "root/tmp/a"),
        ("/var/lib/postgresql/a", "volume/a"),
        (
            "/var/lib/postgresql/18/docker/base",
            "volume/18/docker/base",
        ),
        ("/var/lib/postgresqlx/a", "root/var/lib/postgresqlx/a"),
        ("../../../a", "root/a"),
        ("/config/deep/er/b", "volume/b"),
    ] {
        view.create("/tmp", path, Write::Truncate).unwrap();
        assert!(folder.path().join(host).is_file(), "{path}");
    }
    assert_eq!(
        view.resolve("/tmp", "/config/a", true).unwrap().path,
        "/config/a"
    );
    assert_eq!(read(&view, "/etc/hostname").unwrap(), "postgres-0\n");
    assert_eq!(read(&view, "/dev/null").unwrap(), "");
    assert!(folder.path().join("root/config").is_dir());
}

#[test]
fn links_stay_inside() {
    let folder = tempfile::tempdir().unwrap();
    let view = view(folder.path());
    let volume = folder.path().join("volume");
    fs::write(folder.path().join("secret"), "host").unwrap();
    for target in [
        folder.path().join("secret").to_str().unwrap(),
        "../../../../secret",
    ] {
        let link = volume.join("link");
        let _ = fs::remove_file(&link);
        symlink(target, link).unwrap();
        assert!(read(&view, "/var/lib/postgresql/link").is_err(), "{target}");
    }
    symlink("/etc/hostname", volume.join("name")).unwrap();
    assert!(read(&view, "/var/lib/postgresql/name").is_ok());
    symlink("loop", volume.join("loop")).unwrap();
    assert!(read(&view, "/var/lib/postgresql/loop").is_err());
    // From one mount over the container's root into another.
    symlink("/var/lib/postgresql/../postgresql", volume.join("round")).unwrap();
    fs::write(volume.join("there"), "there").unwrap();
    assert_eq!(read(&view, "/config/round/there").unwrap(), "there");
}

#[test]
fn a_read_only_mount_refuses_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let view = view(folder.path());
    let error = view.create("/", "/config/a", Write::Truncate).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ReadOnlyFilesystem);
    view.create("/var/lib/postgresql", "a", Write::Append)
        .unwrap();
    assert!(view.open("/config", "a").is_ok());
    // Nor by a second name for one of its files.
    let file = view.resolve("/", "/config/a", true).unwrap();
    let name = view.resolve("/", "/tmp/a", true).unwrap();
    assert!(file.hard_link(&name).is_err() && file.rename(&name).is_err());
}

#[test]
fn a_mount_path_stays_inside() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("root")).unwrap();
    fs::create_dir_all(folder.path().join("volume")).unwrap();
    let mount = |path: &str| Mount {
        host: folder.path().join("volume"),
        below: String::new(),
        path: path.to_owned(),
        read_only: false,
    };
    let mounts = [mount("/../../up"), mount("a/../../b/./c"), mount("//d/")];
    let view = View::new(&folder.path().join("root"), &mounts).unwrap();
    view.prepare(ImageKind::Busybox, "box", &[]).unwrap();
    for path in ["/up/1", "/b/c/2", "/d/3"] {
        view.create("/", path, Write::Truncate).unwrap();
    }
    let names = |folder: &Path| fs::read_dir(folder).unwrap().count();
    assert_eq!(names(&folder.path().join("volume")), 3);
    assert_eq!(names(folder.path()), 2);
}

#[test]
fn what_is_mounted_is_never_reached_over_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (root, disk) = (folder.path().join("root"), folder.path().join("disk"));
    fs::create_dir_all(&root).unwrap();
    fs::create_dir_all(disk.join("a/b")).unwrap();
    fs::write(disk.join("a/file"), "file").unwrap();
    symlink("a", disk.join("link")).unwrap();
    symlink("file", disk.join("a/other")).unwrap();
    let open = |below: &str| {
        let mount = Mount {
            host: disk.clone(),
            below: below.to_owned(),
            path: "/m".to_owned(),
            read_only: false,
        };
        View::new(&root, &[mount])
    };
    assert!(open("a/b").is_ok());
    assert_eq!(read(&open("a/file").unwrap(), "/m").unwrap(), "file");
    for below in [
        "link",
        "link/b",
        "link/file",
        "a/other",
        "a/none",
        "a/file/x",
    ] {
        assert!(open(below).is_err(), "{below}");
    }
}

/// Opening a pipe waits for its other end; nobody may be made to wait for one that never comes.
#[test]
fn pipes_are_not_waited_for_and_devices_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let view = view(folder.path());
    let pipe = folder.path().join("volume/pipe");
    let made = std::process::Command::new("mkfifo").arg(pipe).status();
    assert!(made.unwrap().success());
    assert!(view.open("/", "/config/pipe").is_err());
    for how in [Write::Append, Write::Truncate] {
        assert!(view.create("/", "/var/lib/postgresql/pipe", how).is_err());
    }
    // A folder of our own stands for the host's, so that a fault does no harm to the machine that finds it.
    let host = folder.path().join("dev");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("null"), "").unwrap();
    let view = View {
        devices: Some(Arc::new(open_trusted(&host).unwrap())),
        ..view
    };
    view.create("/", "/dev/null", Write::Truncate).unwrap();
    let null = view.resolve("/", "/dev/null", true).unwrap();
    assert!(null.set_mode(0o600).is_err());
    assert!(null.remove_file().is_err() && null.remove_tree().is_err());
    let file = view.resolve("/", "/tmp/x", true).unwrap();
    assert!(null.rename(&file).is_err() && file.rename(&null).is_err());
    assert!(null.hard_link(&file).is_err() && null.link_to("x").is_err());
    assert!(null.touch().is_ok() && host.join("null").is_file());
}

#[test]
fn rights_are_set_but_never_lent() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let view = view(folder.path());
    let host = folder.path().join("volume/a");
    fs::write(&host, "").unwrap();
    let place = view.resolve("/", "/var/lib/postgresql/a", true).unwrap();
    place.set_mode(0o6750).unwrap();
    let mode = || fs::metadata(&host).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(), 0o750);
    fs::write(folder.path().join("outside"), "").unwrap();
    let before = fs::metadata(folder.path().join("outside"))
        .unwrap()
        .permissions();
    fs::remove_file(&host).unwrap();
    symlink(folder.path().join("outside"), &host).unwrap();
    assert!(place.set_mode(0o777).is_err());
    let after = fs::metadata(folder.path().join("outside"))
        .unwrap()
        .permissions();
    assert_eq!(before, after);
}
