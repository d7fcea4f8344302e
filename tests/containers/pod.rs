//! A container for a test: its folders, and short words for what the tests do with it.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use eizoku_containers::{
    Container, ContainerSpec, ExecError, ExecRequest, Exit, Mount, Runtime, Size,
};
use tempfile::TempDir;
use tokio::io::{AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

/// No step of a test takes longer, on a slow and busy machine either.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One volume, and the containers that come and go on it.
pub(crate) struct Pod {
    pub(crate) folder: TempDir,
    runtime: Runtime,
    count: std::cell::Cell<u32>,
}

/// What a command printed, and its exit code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Pod {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("ez").tempdir().unwrap();
        std::fs::create_dir(folder.path().join("volume")).unwrap();
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
        Self {
            folder,
            runtime: Runtime::new(env!("CARGO_BIN_EXE_eizoku"), cache),
            count: std::cell::Cell::new(0),
        }
    }

    pub(crate) fn volume(&self) -> PathBuf {
        self.folder.path().join("volume")
    }

    /// A container of this image with the volume at `/var/lib/postgresql`.
    pub(crate) fn spec(&self, image: &str) -> ContainerSpec {
        let n = self.count.get();
        self.count.set(n + 1);
        ContainerSpec {
            image: image.to_owned(),
            command: None,
            args: None,
            env: Vec::new(),
            mounts: vec![Mount {
                host: self.volume(),
                below: String::new(),
                path: "/var/lib/postgresql".to_owned(),
                read_only: false,
            }],
            working_dir: None,
            hostname: "postgres-statefulset-0".to_owned(),
            scratch: self.folder.path().join(format!("c{n}")),
            log: self.folder.path().join(format!("{n}.log")),
        }
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn postgres(&self) -> ContainerSpec {
        let mut spec = self.spec("postgres:18");
        for (name, value) in [
            ("POSTGRES_USER", "user"),
            ("POSTGRES_PASSWORD", "password"),
            ("POSTGRES_DB", "app_db"),
        ] {
            spec.env.push((name.to_owned(), value.to_owned()));
        }
        spec
    }

    pub(crate) fn shell(&self, script: &str) -> ContainerSpec {
        let mut spec = self.spec("busybox");
        spec.command = Some(vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()]);
        spec
    }

    pub(crate) async fn start(&self, spec: &ContainerSpec) -> Container {
        self.runtime.start(spec.clone()).await.unwrap()
    }

    pub(crate) async fn try_start(&self, spec: &ContainerSpec) -> Result<Container, String> {
        self.runtime
            .start(spec.clone())
            .await
            .map_err(|error| error.to_string())
    }

    /// Starts a container and waits for its end.
    pub(crate) async fn run(&self, spec: &ContainerSpec) -> (Exit, String) {
        let container = self.start(spec).await;
        let exit = end(&container).await;
        (exit, log(spec))
    }
}

/// The texts in a container's log, without stamps.
pub(crate) fn log(spec: &ContainerSpec) -> String {
    let text = std::fs::read_to_string(&spec.log).unwrap_or_default();
    text.lines()
        .map(|line| line.splitn(4, ' ').nth(3).unwrap_or_default().to_owned() + "\n")
        .collect()
}

pub(crate) async fn end(container: &Container) -> Exit {
    tokio::time::timeout(PATIENCE, container.wait())
        .await
        .expect("the container ends")
}

/// Runs a command without a terminal.
pub(crate) async fn exec(container: &Container, command: &[&str]) -> Ran {
    exec_with(container, command, b"").await
}

/// Runs a command that reads `input`.
pub(crate) async fn exec_with(
    container: &Container,
    command: &[&str],
    input: &'static [u8],
) -> Ran {
    match try_exec(container, command, input).await {
        Ok(ran) => ran,
        Err(error) => panic!("{error}: ended with {:?}", container.wait().await),
    }
}

pub(crate) async fn try_exec(
    container: &Container,
    command: &[&str],
    input: &'static [u8],
) -> Result<Ran, ExecError> {
    let (out, err) = (Screen::default(), Screen::default());
    let request = ExecRequest {
        command: command.iter().map(ToString::to_string).collect(),
        tty: false,
        stdin: Some(Box::pin(input)),
        stdout: Box::pin(out.clone()),
        stderr: Some(Box::pin(err.clone())),
        resize: None,
    };
    let code = tokio::time::timeout(PATIENCE, container.exec(request))
        .await
        .expect("the command ends")?;
    Ok(Ran {
        code,
        out: out.text(),
        err: err.text(),
    })
}

/// Waits until PostgreSQL accepts connections, as a readiness probe does.
#[cfg(feature = "postgres")]
pub(crate) async fn ready(container: &Container, spec: &ContainerSpec) {
    let until = Instant::now() + PATIENCE;
    while exec(
        container,
        &[
            "sh",
            "-c",
            "pg_isready -U \"$POSTGRES_USER\" -d \"$POSTGRES_DB\"",
        ],
    )
    .await
    .code
        != 0
    {
        assert!(Instant::now() < until, "not ready:\n{}", log(spec));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A person at a terminal.
pub(crate) struct Terminal {
    keys: DuplexStream,
    pub(crate) screen: Screen,
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "psql's tests resize")
    )]
    pub(crate) resize: mpsc::Sender<Size>,
    done: tokio::task::JoinHandle<Result<i32, ExecError>>,
    seen: usize,
}

impl Terminal {
    pub(crate) fn open(container: &Container, command: &[&str]) -> Self {
        let (keys, typed) = tokio::io::duplex(4096);
        let screen = Screen::default();
        let (resize, sizes) = mpsc::channel(4);
        resize
            .try_send(Size {
                width: 80,
                height: 24,
            })
            .unwrap();
        let request = ExecRequest {
            command: command.iter().map(ToString::to_string).collect(),
            tty: true,
            stdin: Some(Box::pin(typed)),
            stdout: Box::pin(screen.clone()),
            stderr: None,
            resize: Some(sizes),
        };
        let container = container.clone();
        let done = tokio::spawn(async move { container.exec(request).await });
        Self {
            keys,
            screen,
            resize,
            done,
            seen: 0,
        }
    }

    pub(crate) async fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.unwrap();
    }

    /// Waits until this text comes after what was waited for before; the result is everything up to it.
    pub(crate) async fn expect(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let all = self.screen.text();
            if let Some(at) = all[self.seen..].find(text) {
                let end = self.seen + at + text.len();
                let part = all[self.seen..end].to_owned();
                self.seen = end;
                return part;
            }
            assert!(
                Instant::now() < until,
                "no {text:?} in {:?}",
                &all[self.seen..]
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Types a line and waits for the prompt after it; the result is what was printed between.
    pub(crate) async fn line(&mut self, line: &str, prompt: &str) -> String {
        self.press(&format!("{line}\r")).await;
        self.expect("\r\n").await;
        self.expect(prompt).await
    }

    pub(crate) async fn end(self) -> i32 {
        tokio::time::timeout(PATIENCE, self.done)
            .await
            .expect("the session ends")
            .unwrap()
            .unwrap()
    }
}

/// Collects what a program writes.
#[derive(Clone, Default)]
pub(crate) struct Screen(Arc<Mutex<Vec<u8>>>);

impl Screen {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl AsyncWrite for Screen {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
