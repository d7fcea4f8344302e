//! Containers (a stand-in of the same interface that runs the commands of this machine).

use std::path::PathBuf;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::watch;

#[derive(Debug, Clone)]
pub(crate) struct Mount {
    pub(crate) host: PathBuf,
    pub(crate) path: String,
    pub(crate) read_only: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct ContainerSpec {
    pub(crate) image: String,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) args: Option<Vec<String>>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) working_dir: Option<String>,
    pub(crate) hostname: String,
    pub(crate) scratch: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) cache: PathBuf,
}

#[derive(Debug, Clone)]
pub(crate) struct ImageInfo {
    pub(crate) reference: String,
    pub(crate) id: String,
    pub(crate) size: u64,
    pub(crate) stop_signal: i32,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ImageError(String);
impl ImageError {
    pub(crate) fn reason(&self) -> &'static str {
        "ErrImagePull"
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct StartError(String);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ExecError(String);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Exit {
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) width: u16,
    pub(crate) height: u16,
}

pub(crate) struct ExecRequest {
    pub(crate) command: Vec<String>,
    pub(crate) tty: bool,
    pub(crate) stdin: Option<Pin<Box<dyn AsyncRead + Send>>>,
    pub(crate) stdout: Pin<Box<dyn AsyncWrite + Send>>,
    pub(crate) stderr: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    pub(crate) resize: Option<tokio::sync::mpsc::Receiver<Size>>,
}

pub(crate) fn resolve(image: &str) -> Result<ImageInfo, ImageError> {
    let name = image.split(':').next().unwrap_or("");
    if !matches!(name, "postgres" | "busybox") {
        return Err(ImageError(format!("failed to pull and unpack image \"docker.io/library/{image}:latest\": not here")));
    }
    let tag = if image.contains(':') { "" } else { ":latest" };
    Ok(ImageInfo { reference: format!("docker.io/library/{image}{tag}"), id: format!("sha256:{}", "0".repeat(64)), size: 1, stop_signal: if name == "postgres" { 2 } else { 15 } })
}

#[derive(Debug, Clone)]
pub(crate) struct Container(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pid: u32,
    id: String,
    spec: ContainerSpec,
    exit: watch::Receiver<Option<Exit>>,
    _guard: Mutex<()>,
}

pub(crate) async fn start(spec: ContainerSpec) -> Result<Container, StartError> {
    std::fs::create_dir_all(&spec.scratch).map_err(|error| StartError(error.to_string()))?;
    let mut line = spec.command.clone().unwrap_or_default();
    line.extend(spec.args.clone().unwrap_or_default());
    if line.is_empty() {
        line = vec!["sh".into(), "-c".into(), "trap 'exit 0' INT TERM; while :; do sleep 0.1; done".into()];
    }
    let log = std::fs::OpenOptions::new().create(true).append(true).open(&spec.log).map_err(|error| StartError(error.to_string()))?;
    let mut child = Command::new(&line[0])
        .args(&line[1..])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(spec.env.clone())
        .current_dir(&spec.scratch)
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(|error| StartError(error.to_string()))?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| StartError(format!("exec: {:?}: {error}", line[0])))?;
    let (sender, exit) = watch::channel(None);
    let pid = child.id().unwrap_or(0);
    tokio::spawn(async move {
        let status = child.wait().await;
        use std::os::unix::process::ExitStatusExt;
        let (code, signal) = status.map_or((255, None), |status| (status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)), status.signal()));
        let _ = sender.send(Some(Exit { code, signal }));
    });
    Ok(Container(Arc::new(Inner { pid, id: crate::embedded::object::random_hex(32), spec, exit, _guard: Mutex::new(()) })))
}

impl Container {
    pub(crate) fn pid(&self) -> u32 {
        self.0.pid
    }
    pub(crate) fn id(&self) -> &str {
        &self.0.id
    }
    pub(crate) fn signal(&self, signal: i32) {
        let _ = std::process::Command::new("kill").arg(format!("-{signal}")).arg(self.0.pid.to_string()).status();
    }
    pub(crate) async fn wait(&self) -> Exit {
        let mut exit = self.0.exit.clone();
        let found = exit.wait_for(Option::is_some).await;
        found.ok().and_then(|exit| *exit).unwrap_or(Exit { code: 255, signal: None })
    }
    pub(crate) async fn exec(&self, mut request: ExecRequest) -> Result<i32, ExecError> {
        if self.0.spec.image.starts_with("postgres") && request.command.iter().any(|word| word.contains("pg_isready")) {
            return Ok(0);
        }
        let output = Command::new(&request.command[0]).args(&request.command[1..]).envs(self.0.spec.env.clone()).kill_on_drop(true).output().await.map_err(|error| ExecError(error.to_string()))?;
        let _ = request.stdout.write_all(&output.stdout).await;
        if let Some(stderr) = &mut request.stderr {
            let _ = stderr.write_all(&output.stderr).await;
        }
        Ok(output.status.code().unwrap_or(255))
    }
    pub(crate) fn postgres_port(&self) -> Option<u16> {
        None
    }
}
