//! A postgres container's main process: what the official image's entry point does before PostgreSQL starts, and the postmaster's life from start to signal.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use super::super::place::{Place, Write as How};
use super::super::programs::{self, Missing, Streams, World};
use super::super::view::{View, parent_of};
use super::backend::{Backend, Opening};
use super::control::{self, Left};
use super::postmaster::Postmaster;
use super::{DATA_FOLDER, identifier, literal, log, session, wire};

const NO_PASSWORD: &str = "\
Error: Database is uninitialized and superuser password is not specified.
       You must specify POSTGRES_PASSWORD to a non-empty value for the
       superuser. For example, \"-e POSTGRES_PASSWORD=password\" on \"docker run\".

       You may also use \"POSTGRES_HOST_AUTH_METHOD=trust\" to allow all
       connections without a password. This is *not* recommended.

       See PostgreSQL documentation about \"trust\":
       https://www.postgresql.org/docs/current/auth-trust.html";

const OLD_MOUNT: &str = "\
Error: in 18+, these Docker images are configured to store database data in a
       format which is compatible with \"pg_ctlcluster\" (specifically, using
       major-version-specific directory names).

       Counter to that, there appears to be PostgreSQL data in:
         /var/lib/postgresql/data (unused mount/volume)

       Mount the volume at /var/lib/postgresql instead.";

/// Runs the entry point; the result is the container's exit code.
pub(in super::super) fn run(world: &mut World, argv: &[String], mut streams: Streams) -> i32 {
    let mut args = argv.to_vec();
    let mut is_entrypoint = false;
    if args
        .first()
        .is_some_and(|name| name.ends_with("docker-entrypoint.sh"))
    {
        args.remove(0);
        is_entrypoint = true;
        if args.first().is_none_or(|arg| arg.starts_with('-')) {
            args.insert(0, "postgres".to_owned());
        }
    }
    if args[0] != "postgres" {
        return run_instead(world, &args, streams);
    }
    if !is_entrypoint {
        streams.complain("\"root\" execution of the PostgreSQL server is not permitted.");
        streams.complain("The server must be started under an unprivileged user ID to prevent\npossible system security compromise.");
        return 1;
    }
    match Plan::of(world, &args[1..]).and_then(|plan| plan.run(world, &mut streams)) {
        Ok(code) => code,
        Err(text) => {
            streams.complain(text);
            1
        }
    }
}

/// `docker-entrypoint.sh sh -c …` runs that instead.
fn run_instead(world: &mut World, args: &[String], mut streams: Streams) -> i32 {
    let path = world.env.get("PATH").cloned().unwrap_or_default();
    match programs::locate(&world.view, world.image, &world.directory, &path, &args[0]) {
        Ok(program) => programs::run(program, world, args, streams),
        Err(why) => {
            let text = match why {
                Missing::NotInPath => "not found",
                Missing::NoFile => "No such file or directory",
                Missing::NotExecutable | Missing::IsFolder => "Permission denied",
            };
            streams.complain(format_args!(
                "/usr/local/bin/docker-entrypoint.sh: exec: {}: {text}",
                args[0]
            ));
            if matches!(why, Missing::NotInPath | Missing::NoFile) {
                127
            } else {
                126
            }
        }
    }
}

/// What the environment and the arguments ask for.
struct Plan {
    user: String,
    password: String,
    database: String,
    trusts: bool,
    /// In the container.
    pgdata: String,
    /// The files as they lie on the host.
    view: View,
    /// The folder that holds [`DATA_FOLDER`].
    home: Place,
    /// The same on the host, for PostgreSQL, whose runtime has walls of its own there.
    folder: PathBuf,
    settings: BTreeMap<String, String>,
}

impl Plan {
    fn of(world: &World, args: &[String]) -> Result<Self, String> {
        let user = variable(world, "POSTGRES_USER")?.unwrap_or_else(|| "postgres".to_owned());
        let pgdata = world.env.get("PGDATA").cloned().unwrap_or_default();
        if !pgdata.starts_with('/') {
            return Err("Error: PGDATA must be an absolute path".to_owned());
        }
        let view = world.view.without_data();
        let (home, folder) = home(&view, &pgdata).map_err(|error| {
            format!(
                "mkdir: cannot create directory '{pgdata}': {}",
                programs::reason(&error)
            )
        })?;
        Ok(Self {
            database: variable(world, "POSTGRES_DB")?.unwrap_or_else(|| user.clone()),
            password: variable(world, "POSTGRES_PASSWORD")?.unwrap_or_default(),
            trusts: variable(world, "POSTGRES_HOST_AUTH_METHOD")?.as_deref() == Some("trust"),
            user,
            pgdata,
            view,
            home,
            folder,
            settings: settings(args)?,
        })
    }

    /// The file that says that setting up has begun and not ended: PostgreSQL's folder is as good as empty then.
    fn beginning(&self) -> io::Result<Place> {
        self.beside("setting-up")
    }

    fn beside(&self, what: &str) -> io::Result<Place> {
        let name = self.home.path.rsplit('/').next().unwrap_or_default();
        let path = format!("{}/.{name}.{what}", parent_of(&self.home.path));
        self.view.resolve("/", &path, false)
    }

    fn is_made(&self) -> bool {
        let path = format!("{}/{DATA_FOLDER}/PG_VERSION", self.home.path);
        let version = self.view.resolve("/", &path, false);
        version.and_then(|version| version.about()).is_ok()
    }

    fn run(&self, world: &World, streams: &mut Streams) -> Result<i32, String> {
        let signals = signals().map_err(|error| format!("signals: {error}"))?;
        let has_old_mount = world
            .view
            .mounts()
            .iter()
            .any(|mount| mount.path == "/var/lib/postgresql/data");
        if has_old_mount && !self.pgdata.starts_with("/var/lib/postgresql/data") {
            return Err(OLD_MOUNT.to_owned());
        }
        let lock = self.beside("postmaster.lock");
        let lock = lock.and_then(|lock| lock.create(How::Append));
        let lock = lock.map_err(|error| programs::reason(&error))?;
        if lock.try_lock().is_err() {
            log(1, "FATAL", "lock file \"postmaster.pid\" already exists");
            log(
                1,
                "HINT",
                &format!(
                    "Is another postmaster (PID 1) running in data directory \"{}\"?",
                    self.pgdata
                ),
            );
            return Ok(1);
        }
        let data = self.folder.join(DATA_FOLDER);
        let begun = self.beginning().and_then(|begun| begun.about());
        if begun.is_ok() {
            let _ = self.home.remove_tree();
        }
        let is_new = !self.is_made();
        if is_new && self.password.is_empty() && !self.trusts {
            return Err(NO_PASSWORD.to_owned());
        }

        let postmaster = Arc::new(Postmaster::new(self.opening(if is_new {
            &self.database
        } else {
            "postgres"
        })));
        listen(&postmaster, world)
            .map_err(|error| format!("could not create Unix socket: {error}"))?;
        if is_new {
            self.set_up(streams)
                .map_err(|error| format!("initdb: error: {error}"))?;
        } else {
            let _ = streams.output.write_all(
                b"\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n",
            );
        }
        let backend = self.start(&data).map_err(|error| {
            log(1, "FATAL", &error.to_string());
            "container: PostgreSQL did not start".to_owned()
        })?;
        postmaster.run_with(backend);
        log(1, "LOG", "database system is ready to accept connections");
        if is_new {
            self.run_scripts(world, streams);
        }
        let code = attend(&postmaster, &signals);
        drop(lock);
        Ok(code)
    }

    fn opening(&self, database: &str) -> Opening {
        Opening {
            folder: self.folder.clone(),
            database: database.to_owned(),
            settings: self.settings.clone(),
        }
    }

    /// `initdb`, then the superuser under its name and with its password, and the database.
    fn set_up(&self, streams: &mut Streams) -> io::Result<()> {
        let beginning = self.beginning()?;
        beginning.create(How::Truncate)?;
        // Nothing is lost if this is interrupted, so PostgreSQL need not wait for the disk again and again; once at the end is enough.
        let mut opening = self.opening("postgres");
        opening
            .settings
            .insert("fsync".to_owned(), "off".to_owned());
        let mut backend = Backend::start(&opening)?;
        let user = identifier(&self.user);
        let mut statements = Vec::new();
        if self.user != "postgres" {
            // The role that initdb made can't be renamed by itself.
            statements.extend([
                "CREATE ROLE setting_up SUPERUSER".to_owned(),
                "SET SESSION AUTHORIZATION setting_up".to_owned(),
                format!("ALTER ROLE postgres RENAME TO {user}"),
                // A reset would not do: in single-user mode there is nothing to reset to.
                format!("SET SESSION AUTHORIZATION {user}"),
                "DROP ROLE setting_up".to_owned(),
            ]);
        }
        if !self.password.is_empty() {
            statements.push(format!(
                "ALTER ROLE {user} PASSWORD {}",
                literal(&self.password)
            ));
        }
        if self.database != "postgres" {
            statements.push(format!("CREATE DATABASE {}", identifier(&self.database)));
        }
        for sql in statements {
            let answer = backend.send(&wire::query(&sql))?;
            wire::rows(&answer).map_err(|report| io::Error::other(report.message))?;
        }
        backend.close()?;
        sync(&self.home)?;
        beginning.remove_file()?;
        streams
            .output
            .write_all(b"\nPostgreSQL init process complete; ready for start up.\n\n")
    }

    /// Starts PostgreSQL and says in the log what the postmaster and the start-up process say.
    fn start(&self, data: &Path) -> io::Result<Backend> {
        let stamp = |time: jiff::Timestamp| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        let left = control::read(data);
        log(
            1,
            "LOG",
            "starting PostgreSQL 18.4 on wasm32-wasix, compiled ahead of time",
        );
        log(
            1,
            "LOG",
            "listening on Unix socket \"/var/run/postgresql/.s.PGSQL.5432\"",
        );
        match left {
            Some(Left::ShutDown(time)) => {
                log(
                    29,
                    "LOG",
                    &format!("database system was shut down at {}", stamp(time)),
                );
            }
            Some(Left::Running(time)) => {
                log(
                    29,
                    "LOG",
                    &format!(
                        "database system was interrupted; last known up at {}",
                        stamp(time)
                    ),
                );
                log(
                    29,
                    "LOG",
                    "database system was not properly shut down; automatic recovery in progress",
                );
            }
            None => {}
        }
        // The database that sessions will most likely want; its name may have changed since it was made.
        let opened = Backend::start(&self.opening(&self.database));
        opened.or_else(|_| Backend::start(&self.opening("postgres")))
    }

    /// The scripts that an image or a ConfigMap put into `/docker-entrypoint-initdb.d`, in order of their names.
    fn run_scripts(&self, world: &World, streams: &mut Streams) {
        let folder = "/docker-entrypoint-initdb.d";
        let Ok(place) = world.view.resolve("/", folder, true) else {
            return;
        };
        let mut names: Vec<String> = place
            .names()
            .unwrap_or_default()
            .into_iter()
            .chain(world.view.extra_names(&place.path))
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names.dedup();
        for name in names {
            let path = format!("{folder}/{name}");
            let argv: Vec<String> = if name.ends_with(".sql") {
                let psql = [
                    "psql",
                    "-v",
                    "ON_ERROR_STOP=1",
                    "--no-password",
                    "-U",
                    &self.user,
                    "-d",
                    &self.database,
                    "-f",
                    &path,
                ];
                psql.map(str::to_owned).to_vec()
            } else if name.ends_with(".sh") {
                vec!["sh".to_owned(), path.clone()]
            } else {
                let _ = streams.output.write_all(
                    format!("/usr/local/bin/docker-entrypoint.sh: ignoring {path}\n").as_bytes(),
                );
                continue;
            };
            let _ = streams.output.write_all(
                format!("/usr/local/bin/docker-entrypoint.sh: running {path}\n").as_bytes(),
            );
            let program = programs::Program::BuiltIn(argv[0].clone());
            let code = programs::run(program, &mut world.clone(), &argv, streams.clone());
            if code != 0 {
                streams.complain(format_args!(
                    "/usr/local/bin/docker-entrypoint.sh: {path} ended with {code}"
                ));
            }
        }
    }
}

/// Where the data directory is, and that on the host. The folders above it are made; it need not be there itself.
fn home(view: &View, pgdata: &str) -> io::Result<(Place, PathBuf)> {
    view.make_folders("/", &parent_of(pgdata))?;
    let home = view.writable("/", pgdata, true)?;
    let folder = match home.on_host() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = view.resolve("/", &parent_of(&home.path), true)?;
            let name = home.path.rsplit('/').next().unwrap_or_default();
            parent.on_host()?.join(name)
        }
        other => other?,
    };
    Ok((home, folder))
}

/// Waits until everything written to the folder's file system is on the disk.
fn sync(folder: &Place) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(folder.hold()?)?;
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        rustix::fs::sync();
    }
    Ok(())
}

/// A variable, or what the file holds that `NAME_FILE` names.
fn variable(world: &World, name: &str) -> Result<Option<String>, String> {
    let file = world
        .env
        .get(&format!("{name}_FILE"))
        .filter(|path| !path.is_empty());
    let value = world.env.get(name).filter(|value| !value.is_empty());
    match (value, file) {
        (Some(_), Some(_)) => Err(format!(
            "error: both {name} and {name}_FILE are set (but are exclusive)"
        )),
        (None, Some(path)) => {
            let mut text = String::new();
            let read = world
                .view
                .open("/", path)
                .and_then(|mut file| io::Read::read_to_string(&mut file, &mut text));
            read.map_err(|error| format!("{path}: {}", programs::reason(&error)))?;
            Ok(Some(text.trim_end_matches('\n').to_owned()))
        }
        (value, None) => Ok(value.cloned()),
    }
}

/// `-c name=value` and `--name=value` among the server's arguments.
fn settings(args: &[String]) -> Result<BTreeMap<String, String>, String> {
    let mut settings = BTreeMap::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let pair = match arg.strip_prefix("-c") {
            Some("") => args.next().map(String::as_str),
            Some(pair) => Some(pair),
            None => arg.strip_prefix("--"),
        };
        match pair.and_then(|pair| pair.split_once('=')) {
            Some((name, value)) => settings.insert(name.replace('-', "_"), value.to_owned()),
            None => {
                return Err(format!(
                    "postgres: invalid option -- '{arg}'\nTry \"postgres --help\" for more information."
                ));
            }
        };
    }
    Ok(settings)
}

/// Listens on the container's socket, one thread for each connection.
fn listen(postmaster: &Arc<Postmaster>, world: &World) -> io::Result<()> {
    let _ = fs::remove_file(&world.socket);
    let listener = UnixListener::bind(&world.socket)?;
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&world.socket, fs::Permissions::from_mode(0o600))?;
    let postmaster = Arc::clone(postmaster);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let postmaster = Arc::clone(&postmaster);
            std::thread::spawn(move || session::serve(&postmaster, stream));
        }
    });
    Ok(())
}

/// The signals a postmaster heeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shutdown {
    Smart,
    Fast,
    Immediate,
}

/// Waits for signals on a thread of its own.
fn signals() -> io::Result<mpsc::Receiver<Shutdown>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (tell, told) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let guard = runtime.enter();
    let mut smart = signal(SignalKind::terminate())?;
    let mut fast = signal(SignalKind::interrupt())?;
    let mut immediate = signal(SignalKind::quit())?;
    let mut reload = signal(SignalKind::hangup())?;
    drop(guard);
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let which = tokio::select! {
                    _ = smart.recv() => Shutdown::Smart,
                    _ = fast.recv() => Shutdown::Fast,
                    _ = immediate.recv() => Shutdown::Immediate,
                    _ = reload.recv() => {
                        log(1, "LOG", "received SIGHUP, reloading configuration files");
                        continue;
                    }
                };
                if tell.send(which).is_err() {
                    return;
                }
            }
        });
    });
    Ok(told)
}

/// Waits for a signal and shuts down as it asks. The result is the exit code.
fn attend(postmaster: &Arc<Postmaster>, signals: &mpsc::Receiver<Shutdown>) -> i32 {
    let mut which = signals.recv().unwrap_or(Shutdown::Fast);
    if which == Shutdown::Smart {
        log(1, "LOG", "received smart shutdown request");
        let ended = Arc::clone(postmaster);
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            ended.end_sessions(false);
            let _ = tell.send(());
        });
        // A stronger signal while sessions are being waited for.
        which = loop {
            if told
                .recv_timeout(std::time::Duration::from_millis(20))
                .is_ok()
            {
                break Shutdown::Smart;
            }
            if let Ok(stronger @ (Shutdown::Fast | Shutdown::Immediate)) = signals.try_recv() {
                break stronger;
            }
        };
    }
    match which {
        Shutdown::Immediate => {
            log(1, "LOG", "received immediate shutdown request");
            postmaster.kill();
            log(1, "LOG", "database system is shut down");
            return 0;
        }
        Shutdown::Fast => {
            log(1, "LOG", "received fast shutdown request");
            log(1, "LOG", "aborting any active transactions");
            postmaster.end_sessions(true);
        }
        Shutdown::Smart => {}
    }
    log(27, "LOG", "shutting down");
    if let Err(error) = postmaster.close() {
        log(27, "LOG", &format!("shutdown was not in order: {error}"));
    }
    log(1, "LOG", "database system is shut down");
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_arguments_are_settings_or_an_error() {
        let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let found = settings(&words(&[
            "-c",
            "work_mem=8MB",
            "--log-statement=all",
            "-cport=1",
        ]))
        .unwrap();
        assert_eq!(found["work_mem"], "8MB");
        assert_eq!(found["log_statement"], "all");
        assert_eq!(found["port"], "1");
        assert!(settings(&words(&["-X"])).is_err());
    }
}
