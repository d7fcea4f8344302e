//! A postgres container's main process: what the official image's entry point does before PostgreSQL starts, and the postmaster's life from start to signal.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use super::super::image::POSTGRES_VERSION;
use super::super::programs::{self, Missing, Streams, World};
use super::backend::{Backend, Opening};
use super::control::{self, Left};
use super::datadir::{DataDirectory, Refusal};
use super::postmaster::Postmaster;
use super::shutdown::{attend, signals};
use super::wire::Report;
use super::{identifier, literal, log, session, wire};

/// PostgreSQL's code for a database that does not exist.
const NO_SUCH_DATABASE: &str = "3D000";

const NO_PASSWORD: &str = "\
Error: Database is uninitialized and superuser password is not specified.
       You must specify POSTGRES_PASSWORD to a non-empty value for the
       superuser. For example, \"-e POSTGRES_PASSWORD=password\" on \"docker run\".

       You may also use \"POSTGRES_HOST_AUTH_METHOD=trust\" to allow all
       connections without a password. This is *not* recommended.

       See PostgreSQL documentation about \"trust\":
       https://www.postgresql.org/docs/current/auth-trust.html";

/// Before and after the places of the databases that it found.
const OLD_DATABASES: [&str; 2] = [
    "\
Error: in 18+, these Docker images are configured to store database data in a
       format which is compatible with \"pg_ctlcluster\" (specifically, using
       major-version-specific directory names).  This better reflects how
       PostgreSQL itself works, and how upgrades are to be performed.

       See also https://github.com/docker-library/postgres/pull/1259

       Counter to that, there appears to be PostgreSQL data in:
         ",
    "

       This is usually the result of upgrading the Docker image without
       upgrading the underlying database using \"pg_upgrade\" (which requires both
       versions).

       The suggested container configuration for 18+ is to place a single mount
       at /var/lib/postgresql which will then place PostgreSQL data in a
       subdirectory, allowing usage of \"pg_upgrade --link\" without mount point
       boundary issues.

       See https://github.com/docker-library/postgres/issues/37 for a (long)
       discussion around this process, and suggestions for how to do so.",
];

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
    settings: BTreeMap<String, String>,
}

impl Plan {
    fn of(world: &World, args: &[String]) -> Result<Self, String> {
        let user = variable(world, "POSTGRES_USER")?.unwrap_or_else(|| "postgres".to_owned());
        Ok(Self {
            database: variable(world, "POSTGRES_DB")?.unwrap_or_else(|| user.clone()),
            password: variable(world, "POSTGRES_PASSWORD")?.unwrap_or_default(),
            trusts: variable(world, "POSTGRES_HOST_AUTH_METHOD")?.as_deref() == Some("trust"),
            user,
            pgdata: world.env.get("PGDATA").cloned().unwrap_or_default(),
            settings: settings(args)?,
        })
    }

    fn run(&self, world: &World, streams: &mut Streams) -> Result<i32, String> {
        let signals = signals().map_err(|error| format!("signals: {error}"))?;
        let data = match DataDirectory::claim(world, &self.pgdata) {
            Ok(data) => data,
            Err(refusal) => return Ok(refuse(refusal, streams)),
        };
        let is_new = !data.has_database();
        if is_new {
            if self.password.is_empty() && !self.trusts {
                return Err(NO_PASSWORD.to_owned());
            }
            if let Some(places) = self.old_databases(world) {
                let [before, after] = OLD_DATABASES;
                return Err(format!("{before}{places}{after}"));
            }
            if let Err(refusal) = data.is_fit_for_initdb() {
                return Ok(refuse(refusal, streams));
            }
        }
        let opening = Opening {
            folder: world.socket.with_file_name("db"),
            data: Some(data.host.clone()),
            // The database that sessions will most likely want; its name may have changed since it was made.
            database: self.database.clone(),
            settings: self.settings.clone(),
        };
        let postmaster = Arc::new(Postmaster::new(opening.clone()));
        listen(&postmaster, world)
            .map_err(|error| format!("could not create Unix socket: {error}"))?;
        if is_new {
            data.make(|folder| self.set_up(folder))
                .map_err(|error| format!("initdb: error: {}", programs::reason(&error)))?;
        }
        let said = if is_new {
            "PostgreSQL init process complete; ready for start up."
        } else {
            "PostgreSQL Database directory appears to contain a database; Skipping initialization"
        };
        let _ = streams.output.write_all(format!("\n{said}\n\n").as_bytes());
        if let Err(refusal) = data.is_fit_for_postgres(POSTGRES_VERSION) {
            return Ok(refuse(refusal, streams));
        }
        let Some(backend) = start(&data, opening) else {
            return Ok(1);
        };
        postmaster.run_with(backend);
        log(1, "LOG", "database system is ready to accept connections");
        if is_new {
            self.run_scripts(world, streams);
        }
        Ok(attend(&postmaster, &signals))
    }

    /// Where the entry point finds databases that a container with the default data directory would leave behind.
    fn old_databases(&self, world: &World) -> Option<String> {
        const VOLUME: &str = "/var/lib/postgresql";
        if self.pgdata != format!("{VOLUME}/18/docker") {
            return None;
        }
        let view = &world.view;
        let names = view
            .resolve("/", VOLUME, true)
            .and_then(|place| place.names());
        let mut versions: Vec<String> = names
            .into_iter()
            .flatten()
            .chain(view.extra_names(VOLUME))
            .filter(|name| !name.starts_with('.'))
            .map(|name| format!("{VOLUME}/{name}/docker"))
            .collect();
        versions.sort();
        versions.dedup();
        let has_version = |folder: &String| {
            let version = view.open("/", &format!("{folder}/PG_VERSION"));
            version
                .and_then(|file| file.metadata())
                .is_ok_and(|about| about.len() > 0)
        };
        let found: Vec<String> = [VOLUME.to_owned(), format!("{VOLUME}/data")]
            .into_iter()
            .chain(versions)
            .filter(has_version)
            .collect();
        let mut mounts = world.view.mounts().iter();
        if !found.is_empty() {
            Some(found.join(" "))
        } else if mounts.any(|mount| mount.path == "/var/lib/postgresql/data") {
            Some("/var/lib/postgresql/data (unused mount/volume)".to_owned())
        } else {
            None
        }
    }

    /// `initdb` in this folder, then the superuser under its name and with its password, and the database.
    fn set_up(&self, folder: &Path) -> io::Result<()> {
        let mut opening = Opening {
            folder: folder.to_owned(),
            data: None,
            database: "postgres".to_owned(),
            settings: self.settings.clone(),
        };
        // Nothing is lost if this is interrupted, so PostgreSQL need not wait for the disk again and again; once at the end is enough.
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
            wire::rows(&answer).map_err(io::Error::other)?;
        }
        backend.close()
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

/// Says why there is no database to run; the result is the exit code.
fn refuse(refusal: Refusal, streams: &mut Streams) -> i32 {
    match refusal {
        Refusal::Said(text, code) => {
            streams.complain(text);
            code
        }
        Refusal::Logged(report) => {
            session::write_log(1, &report, None);
            1
        }
    }
}

/// Starts PostgreSQL and says in the log what the postmaster and the start-up process say.
fn start(data: &DataDirectory, opening: Opening) -> Option<Backend> {
    const STARTUP: u32 = 29;
    let stamp = |time: jiff::Timestamp| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let left = control::read(&data.host);
    let postmaster = |text: &str| log(1, "LOG", text);
    let startup = |text: &str| log(STARTUP, "LOG", text);
    postmaster("starting PostgreSQL 18.4 on wasm32-wasix, compiled ahead of time");
    postmaster("listening on Unix socket \"/var/run/postgresql/.s.PGSQL.5432\"");
    match left {
        Some(Left::ShutDown(time)) => {
            startup(&format!("database system was shut down at {}", stamp(time)));
        }
        Some(Left::Running(time)) => {
            startup(&format!(
                "database system was interrupted; last known up at {}",
                stamp(time)
            ));
            startup("database system was not properly shut down; automatic recovery in progress");
        }
        None => {}
    }
    let is_missing = |error: &io::Error| report_of(error).code == NO_SUCH_DATABASE;
    let opened = data
        .forget_postmaster()
        .and_then(|()| Backend::start(&opening));
    let opened = match opened {
        Err(error) if is_missing(&error) => Backend::start(&Opening {
            database: "postgres".to_owned(),
            ..opening
        }),
        other => other,
    };
    let error = match opened {
        Ok(backend) => return Some(backend),
        Err(error) => error,
    };
    let report = report_of(&error).seen_in(&data.path);
    session::write_log(STARTUP, &report, None);
    postmaster(&if &*report.severity == "PANIC" {
        format!("startup process (PID {STARTUP}) was terminated by signal 6: Aborted")
    } else {
        format!("startup process (PID {STARTUP}) exited with exit code 1")
    });
    postmaster("aborting startup due to startup process failure");
    postmaster("database system is shut down");
    None
}

/// What PostgreSQL said, if that is what an error is.
fn report_of(error: &io::Error) -> Report {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    let host = || Report::fatal("58030", programs::reason(error));
    inner.cloned().unwrap_or_else(host)
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
