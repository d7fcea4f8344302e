//! The parent's side of a container: starting the process, its log, signals, its end, and exec.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};

use super::child::{HIDDEN_ARGUMENT, Order};
use super::frame::Frame;
use super::log::{Lines, Log};
use super::{ContainerSpec, ExecError, ExecRequest, Exit, Size, StartError, image, programs};

/// Enough for a screen of text; pipes hold no more either.
const CHUNK: usize = 64 * 1024;

/// Starts containers. One for each cluster.
#[derive(Debug, Clone)]
pub struct Runtime {
    program: PathBuf,
    cache: PathBuf,
}

/// A started container. A cheap handle; when the last one is dropped, the container is killed.
#[derive(Debug, Clone)]
pub struct Container(Arc<Inner>);

struct Inner {
    runtime: Runtime,
    id: String,
    pid: u32,
    order: Order,
    scratch: PathBuf,
    exit: watch::Receiver<Option<Exit>>,
    /// The life line: the container ends when this is closed.
    _life: ChildStdin,
}

impl Runtime {
    /// A runtime that starts containers as children of `program`, an executable whose `main` begins with [`super::child_main`].
    ///
    /// `cache` is the folder for PostgreSQL's unpacked program files (about 50 MB), shared by all containers; it may be deleted while none runs.
    pub fn new(program: impl Into<PathBuf>, cache: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            cache: cache.into(),
        }
    }

    /// A runtime that starts containers as children of the running executable, also if its file has been replaced meanwhile.
    pub fn of_this_program(cache: impl Into<PathBuf>) -> io::Result<Self> {
        let kept_open = Path::new("/proc/self/exe");
        let program = if kept_open.exists() {
            kept_open.to_owned()
        } else {
            std::env::current_exe()?
        };
        Ok(Self::new(program, cache))
    }

    /// Starts a container. It runs when this returns; what it does is in its log.
    pub async fn start(&self, spec: ContainerSpec) -> Result<Container, StartError> {
        let info = image::resolve(&spec.image)?;
        let argv = info
            .kind
            .argv(spec.command.as_deref(), spec.args.as_deref());
        let mut env = spec.env.clone();
        let image_env = info.kind.env();
        for (name, value) in image_env
            .into_iter()
            .chain([("HOSTNAME", spec.hostname.as_str()), ("HOME", "/root")])
        {
            if !env.iter().any(|(known, _)| known == name) {
                env.push((name.to_owned(), value.to_owned()));
            }
        }
        let order = Order {
            image: info.kind,
            is_main: true,
            main_process: 0,
            main_argv: argv.clone(),
            argv,
            env,
            mounts: spec.mounts.clone(),
            working_dir: spec.working_dir.clone().unwrap_or_else(|| "/".to_owned()),
            hostname: spec.hostname.clone(),
            root: spec.scratch.join("root"),
            socket: spec.scratch.join("s"),
            tty: false,
        };
        std::fs::create_dir_all(spec.scratch.join("tmp"))?;
        std::fs::create_dir_all(&order.root)?;
        std::fs::create_dir_all(&self.cache)?;
        let view = order.view()?;
        view.prepare(info.kind, &spec.hostname, &programs::names(info.kind))?;
        programs::find(&view, &order).map_err(StartError::Command)?;
        let log = Arc::new(Log::open(&spec.log)?);

        let mut child = self.spawn(0, &spec.scratch)?;
        let pid = child
            .id()
            .expect("a child that was not waited for has an id");
        let mut life = child.stdin.take().expect("standard input is a pipe");
        life.write_all(&Frame::Order(order.to_json()).encode())
            .await?;
        life.write_all(&Frame::InputEnd.encode()).await?;
        let (tell, exit) = watch::channel(None);
        tokio::spawn(attend(child, pid, log, tell));
        Ok(Container(Arc::new(Inner {
            runtime: self.clone(),
            id: new_id(),
            pid,
            order,
            scratch: spec.scratch,
            exit,
            _life: life,
        })))
    }

    fn spawn(&self, group: i32, scratch: &Path) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command
            .arg(HIDDEN_ARGUMENT)
            .env_clear()
            // PostgreSQL's runtime unpacks itself into the user's cache folder and works in the temporary one: these are ours.
            .env("HOME", &self.cache)
            .env("XDG_CACHE_HOME", &self.cache)
            .env("TMPDIR", scratch.join("tmp"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(group)
            .kill_on_drop(true);
        command.spawn()
    }
}

/// Writes the log, waits for the end, and leaves nothing behind.
async fn attend(mut child: Child, pid: u32, log: Arc<Log>, tell: watch::Sender<Option<Exit>>) {
    let stdout = child.stdout.take().expect("standard output is a pipe");
    let stderr = child.stderr.take().expect("standard error is a pipe");
    let logs = tokio::spawn(write_log(stdout, stderr, log));
    let status = child.wait().await;
    // What the main process leaves behind ends with it, as with a PID namespace.
    signal_group(pid, Signal::KILL);
    let _ = logs.await;
    let exit = match status {
        Ok(status) => {
            use std::os::unix::process::ExitStatusExt;
            let signal = status.signal();
            let code = status.code().unwrap_or(128 + signal.unwrap_or(0));
            Exit { code, signal }
        }
        Err(_) => Exit {
            code: 255,
            signal: None,
        },
    };
    tell.send_replace(Some(exit));
}

/// Writes both streams down. Where both have something, standard output goes first: programs that greet there and then
/// log to standard error, as PostgreSQL's entrypoint does, are read in the order in which they spoke.
async fn write_log(
    mut stdout: impl AsyncRead + Unpin,
    mut stderr: impl AsyncRead + Unpin,
    log: Arc<Log>,
) {
    let mut out = Lines::new(Arc::clone(&log), "stdout");
    let mut err = Lines::new(log, "stderr");
    let (mut from_out, mut from_err) = (vec![0; CHUNK], vec![0; CHUNK]);
    let (mut out_is_open, mut err_is_open) = (true, true);
    while out_is_open || err_is_open {
        tokio::select! {
            biased;
            read = stdout.read(&mut from_out), if out_is_open => match read {
                Ok(n @ 1..) => out.push(&from_out[..n]),
                _ => out_is_open = false,
            },
            read = stderr.read(&mut from_err), if err_is_open => match read {
                Ok(n @ 1..) => err.push(&from_err[..n]),
                _ => err_is_open = false,
            },
        }
    }
}

impl Container {
    /// The id of the main process.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// The container's id, 64 hex digits, as after `containerd://`.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Sends a signal to the main process, as `kill` does; SIGKILL goes to everything in the container. Does nothing once the container has ended.
    pub fn signal(&self, signal: i32) {
        if self.0.exit.borrow().is_some() {
            return;
        }
        let Some(signal) = Signal::from_named_raw(signal) else {
            return;
        };
        if signal == Signal::KILL {
            signal_group(self.0.pid, signal);
        } else if let Some(pid) = to_pid(self.0.pid) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for the end of the main process. The log is complete then. May be called any number of times, also afterwards.
    pub async fn wait(&self) -> Exit {
        let mut exit = self.0.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.expect("waited until it is there"),
            // The runtime is being torn down, and the container with it.
            Err(_) => Exit {
                code: 137,
                signal: Some(9),
            },
        }
    }

    /// Connects to a port that the container's main process serves: 5432 of a postgres container, without a password, as from inside it.
    pub async fn connect(&self, port: u16) -> io::Result<UnixStream> {
        if port == 5432 {
            UnixStream::connect(&self.0.order.socket).await
        } else {
            Err(io::ErrorKind::ConnectionRefused.into())
        }
    }

    /// Runs a command in the container and waits for it; the result is its exit code. Dropping the future kills it.
    pub async fn exec(&self, request: ExecRequest) -> Result<i32, ExecError> {
        let ended = || ExecError::NotRunning(self.0.id.clone());
        if self.0.exit.borrow().is_some() {
            return Err(ended());
        }
        let mut order = Order {
            is_main: false,
            main_process: i32::try_from(self.0.pid).unwrap_or_default(),
            argv: request.command,
            tty: request.tty,
            ..self.0.order.clone()
        };
        if request.tty && !order.env.iter().any(|(name, _)| name == "TERM") {
            order.env.push(("TERM".to_owned(), "xterm".to_owned()));
        }
        programs::find(&order.view()?, &order)
            .map_err(|why| ExecError::Command { id: new_id(), why })?;
        let group = i32::try_from(self.0.pid).unwrap_or_default();
        let mut child = match self.0.runtime.spawn(group, &self.0.scratch) {
            Ok(child) => child,
            // The group is gone: the container has ended just now.
            Err(error) if matches!(error.raw_os_error(), Some(1 | 3)) => return Err(ended()),
            Err(error) => return Err(error.into()),
        };
        let mut input = child.stdin.take().expect("standard input is a pipe");
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let stderr = child.stderr.take().expect("standard error is a pipe");
        input
            .write_all(&Frame::Order(order.to_json()).encode())
            .await?;
        let feed = feed(input, request.stdin, request.resize);
        let outputs = async {
            match request.stderr {
                Some(to) => {
                    tokio::join!(copy(stdout, request.stdout), copy(stderr, to));
                }
                // Nobody listens, but the program must not block on a full pipe.
                None => {
                    tokio::join!(
                        copy(stdout, request.stdout),
                        copy(stderr, Box::pin(tokio::io::sink()))
                    );
                }
            }
        };
        tokio::select! {
            () = outputs => {}
            never = feed => match never {},
        }
        let status = child.wait().await?;
        use std::os::unix::process::ExitStatusExt;
        Ok(status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
    }
}

/// Hands typed bytes and sizes on. Never ends, because the pipe is the child's life line.
async fn feed(
    mut to: ChildStdin,
    stdin: Option<std::pin::Pin<Box<dyn AsyncRead + Send>>>,
    resize: Option<mpsc::Receiver<Size>>,
) -> std::convert::Infallible {
    let mut stdin = stdin;
    let mut resize = resize;
    let mut buffer = vec![0; CHUNK];
    if stdin.is_none() {
        let _ = to.write_all(&Frame::InputEnd.encode()).await;
    }
    loop {
        let frame = tokio::select! {
            read = async { stdin.as_mut().expect("guarded").read(&mut buffer).await }, if stdin.is_some() => match read {
                Ok(n @ 1..) => Frame::Input(buffer[..n].to_vec()),
                _ => {
                    stdin = None;
                    Frame::InputEnd
                }
            },
            size = async { resize.as_mut().expect("guarded").recv().await }, if resize.is_some() => match size {
                Some(size) if size.width > 0 && size.height > 0 => Frame::Resize(size),
                Some(_) => continue,
                None => {
                    resize = None;
                    continue;
                }
            },
            else => std::future::pending().await,
        };
        if to.write_all(&frame.encode()).await.is_err() {
            // The program has ended and its output is being read.
            std::future::pending::<()>().await;
        }
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: std::pin::Pin<Box<dyn AsyncWrite + Send>>) {
    let mut buffer = vec![0; CHUNK];
    let mut listening = true;
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        if listening {
            listening = to.write_all(&buffer[..n]).await.is_ok() && to.flush().await.is_ok();
        }
    }
}

fn to_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

fn signal_group(pid: u32, signal: Signal) {
    if let Some(pid) = to_pid(pid) {
        let _ = kill_process_group(pid, signal);
    }
}

/// 64 hex digits that no other container or exec of this process or an earlier one has.
fn new_id() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    (0..4)
        .map(|_| {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u64(COUNT.fetch_add(1, Ordering::Relaxed));
            format!("{:016x}", hasher.finish())
        })
        .collect()
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.exit.borrow().is_none() {
            signal_group(self.pid, Signal::KILL);
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The order holds the environment, and the environment holds passwords.
        f.debug_struct("Container")
            .field("id", &self.id)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

impl Order {
    /// The environment as a map.
    pub(super) fn env_map(&self) -> HashMap<String, String> {
        self.env.iter().cloned().collect()
    }
}
