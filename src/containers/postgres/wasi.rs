//! Runs the real psql, a WebAssembly program compiled ahead of time, in this process: its standard streams are ours, its files are in memory, and the only
//! address it can connect to is the container's PostgreSQL.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};
use wasmer::sys::{EngineBuilder, Features};
use wasmer_types::ModuleHash;
use wasmer_wasix::bin_factory::spawn_exec_module;
use wasmer_wasix::runners::wasi::{PackageOrHash, RuntimeOrEngine, WasiRunner};
use wasmer_wasix::runtime::PluggableRuntime;
use wasmer_wasix::runtime::module_cache::{FileSystemCache, ModuleCache};
use wasmer_wasix::runtime::task_manager::tokio::TokioTaskManager;
use wasmer_wasix::virtual_fs::{self, FileSystem, FsError};
use wasmer_wasix::virtual_net::tcp_pair::TcpSocketHalf;
use wasmer_wasix::virtual_net::{
    self, InterestHandler, NetworkError, SocketStatus, VirtualConnectedSocket, VirtualIoSource,
    VirtualNetworking, VirtualSocket, VirtualTcpSocket,
};
use webc::metadata::annotations::Wasi;

/// How much may wait in a connection's buffers.
const BUFFER: usize = 256 * 1024;

/// psql, ready to run.
pub(super) struct Psql {
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// Files that it can read, by absolute path.
    pub(super) files: Vec<(String, Vec<u8>)>,
    pub(super) stdin: Box<dyn Read + Send + Sync>,
    pub(super) stdout: Box<dyn Write + Send + Sync>,
    pub(super) stderr: Box<dyn Write + Send + Sync>,
    pub(super) network: Network,
}

impl Psql {
    /// Runs it to its end; the result is its exit code.
    pub(super) fn run(self) -> anyhow::Result<i32> {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let _inside = tokio.enter();
        let mut features = Features::new();
        features.exceptions(true);
        let engine: wasmer::Engine = EngineBuilder::headless()
            .set_features(Some(features))
            .engine()
            .into();
        let tasks = Arc::new(TokioTaskManager::new(tokio.handle().clone()));
        let hash = ModuleHash::sha256(wasm()?);
        let cache = FileSystemCache::new(unpack(&engine, hash)?, Arc::clone(&tasks));
        let module = tokio.block_on(cache.load(hash, &engine))?;

        let mut runtime = PluggableRuntime::new(tasks);
        runtime.set_engine(engine);
        runtime.set_networking_implementation(Joined {
            network: self.network,
            tokio: tokio.handle().clone(),
        });
        let mut runner = WasiRunner::new();
        runner
            .with_mount("/".to_owned(), Arc::new(files(&self.files)?))
            .with_current_dir("/")
            .with_args(self.args)
            .with_envs(self.env)
            .with_stdin(Box::new(InputFile(self.stdin)))
            .with_stdout(Box::new(OutputFile(self.stdout)))
            .with_stderr(Box::new(OutputFile(self.stderr)));
        let env = runner
            .prepare_webc_env(
                "psql",
                &Wasi::new("psql"),
                PackageOrHash::Hash(hash),
                RuntimeOrEngine::Runtime(Arc::new(runtime)),
                None,
            )?
            .build()?;
        let runtime = Arc::clone(&env.runtime);
        let mut task = spawn_exec_module(module, env, &runtime)?;
        let code = tokio
            .block_on(task.wait_finished())
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        // A connection's task may still be reading; the process ends soon anyway.
        tokio.shutdown_background();
        Ok(code.raw())
    }
}

fn wasm() -> anyhow::Result<&'static [u8]> {
    oliphaunt_wasix_tools::psql_wasm().ok_or_else(|| anyhow::anyhow!("psql is not in this build"))
}

/// psql's machine code as the module cache wants it: a file in a folder named for the engine. Unpacked once; the result is the cache's folder.
fn unpack(engine: &wasmer::Engine, hash: ModuleHash) -> anyhow::Result<PathBuf> {
    #[cfg(all(target_os = "macos", target_arch = "aarch64"))]
    use oliphaunt_wasix_tools_aot_aarch64_apple_darwin as compiled;
    #[cfg(all(target_os = "linux", target_arch = "aarch64", target_env = "gnu"))]
    use oliphaunt_wasix_tools_aot_aarch64_unknown_linux_gnu as compiled;
    #[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
    use oliphaunt_wasix_tools_aot_x86_64_unknown_linux_gnu as compiled;

    let cache = PathBuf::from(std::env::var_os("XDG_CACHE_HOME").unwrap_or_default()).join("psql");
    let folder = format!(
        "{}-v{}",
        engine.deterministic_id(),
        wasmer_types::MetadataHeader::CURRENT_VERSION
    );
    let file = cache
        .join(folder)
        .join(hash.to_string())
        .with_extension("bin");
    if !file.exists() {
        let packed = compiled::artifact_bytes("tool:psql")
            .ok_or_else(|| anyhow::anyhow!("psql is not compiled for this computer"))?;
        let folder = file.parent().unwrap_or(&cache);
        std::fs::create_dir_all(folder)?;
        // Several processes may do this at once: each writes its own file and renames it into place.
        let own = folder.join(format!("{}.new", std::process::id()));
        std::fs::write(&own, zstd::decode_all(packed)?)?;
        std::fs::rename(own, &file)?;
    }
    Ok(cache)
}

fn files(files: &[(String, Vec<u8>)]) -> anyhow::Result<virtual_fs::mem_fs::FileSystem> {
    let system = virtual_fs::mem_fs::FileSystem::default();
    // psql looks for its own executable.
    for (path, bytes) in [("/bin/psql".to_owned(), Vec::new())].iter().chain(files) {
        let path = Path::new(path);
        let mut folders: Vec<_> = path.ancestors().skip(1).collect();
        folders.reverse();
        for folder in folders {
            match system.create_dir(folder) {
                Ok(()) | Err(FsError::AlreadyExists) => {}
                Err(error) => anyhow::bail!("{}: {error}", folder.display()),
            }
        }
        let mut file = system
            .new_open_options()
            .write(true)
            .create(true)
            .open(path)
            .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        futures::executor::block_on(file.write_all(bytes))?;
    }
    Ok(system)
}

/// Called with every piece that the server sends.
pub(super) type Listener = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// What psql can connect to.
#[derive(Clone)]
pub(super) struct Network {
    /// PostgreSQL's socket on the host.
    pub(super) socket: PathBuf,
    /// The names that mean this container.
    pub(super) names: Vec<String>,
    /// Told what the server sends, before psql gets it.
    pub(super) listener: Listener,
}

#[derive(Clone)]
struct Joined {
    network: Network,
    tokio: tokio::runtime::Handle,
}

impl std::fmt::Debug for Joined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Joined")
            .field("socket", &self.network.socket)
            .finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl VirtualNetworking for Joined {
    async fn connect_tcp(
        &self,
        _from: SocketAddr,
        to: SocketAddr,
    ) -> virtual_net::Result<Box<dyn VirtualTcpSocket + Sync>> {
        if to.port() != 5432 {
            return Err(NetworkError::ConnectionRefused);
        }
        // This runs outside of the runtime, on psql's own thread.
        let stream = std::os::unix::net::UnixStream::connect(&self.network.socket)
            .and_then(|stream| stream.set_nonblocking(true).map(|()| stream))
            .map_err(|_| NetworkError::ConnectionRefused)?;
        let _inside = self.tokio.enter();
        let stream = tokio::net::UnixStream::from_std(stream).map_err(|_| NetworkError::IOError)?;
        let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000);
        let (guest, host) = TcpSocketHalf::channel(BUFFER, from, to);
        let (mut to_guest, mut from_guest) = host.split();
        let (mut from_server, mut to_server) = stream.into_split();
        let listener = Arc::clone(&self.network.listener);
        self.tokio.spawn(async move {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(n @ 1..) = from_server.read(&mut buffer).await {
                listener(&buffer[..n]);
                if to_guest.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
            let _ = to_guest.close();
        });
        self.tokio.spawn(async move {
            loop {
                let bytes = std::future::poll_fn(|cx| match from_guest.poll_fill_buf(cx) {
                    Poll::Ready(Ok(bytes)) => Poll::Ready(bytes.to_vec()),
                    Poll::Ready(Err(_)) => Poll::Ready(Vec::new()),
                    Poll::Pending => Poll::Pending,
                })
                .await;
                if bytes.is_empty() {
                    break;
                }
                from_guest.consume(bytes.len());
                if to_server.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            let _ = to_server.shutdown().await;
        });
        Ok(Box::new(Socket {
            inner: guest,
            is_new: true,
        }))
    }

    async fn resolve(
        &self,
        host: &str,
        _port: Option<u16>,
        _server: Option<IpAddr>,
    ) -> virtual_net::Result<Vec<IpAddr>> {
        if self.network.names.iter().any(|name| name == host) {
            Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])
        } else {
            Err(NetworkError::AddressNotAvailable)
        }
    }
}

/// psql's end of a connection. The pair in memory says that it can't be written to until somebody has read from it; a fresh connection can.
#[derive(Debug)]
struct Socket {
    inner: TcpSocketHalf,
    is_new: bool,
}

impl VirtualIoSource for Socket {
    fn remove_handler(&mut self) {
        self.inner.remove_handler();
    }

    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<virtual_net::Result<usize>> {
        self.inner.poll_read_ready(cx)
    }

    fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<virtual_net::Result<usize>> {
        if std::mem::take(&mut self.is_new) {
            return Poll::Ready(Ok(BUFFER));
        }
        self.inner.poll_write_ready(cx)
    }
}

/// Hands methods on to the inner socket as they are.
macro_rules! hand_on {
    ($($trait:ident { $(fn $name:ident(&self) -> $got:ty;)* $(mut fn $change:ident($($arg:ident: $of:ty),*) -> $result:ty;)* })*) => {
        $(impl $trait for Socket {
            $(fn $name(&self) -> $got { self.inner.$name() })*
            $(fn $change(&mut self $(, $arg: $of)*) -> $result { self.inner.$change($($arg),*) })*
        })*
    };
}

hand_on! {
    VirtualSocket {
        fn ttl(&self) -> virtual_net::Result<u32>;
        fn addr_local(&self) -> virtual_net::Result<SocketAddr>;
        fn status(&self) -> virtual_net::Result<SocketStatus>;
        mut fn set_ttl(ttl: u32) -> virtual_net::Result<()>;
        mut fn set_handler(handler: Box<dyn InterestHandler + Send + Sync>) -> virtual_net::Result<()>;
    }
    VirtualConnectedSocket {
        fn linger(&self) -> virtual_net::Result<Option<Duration>>;
        mut fn set_linger(linger: Option<Duration>) -> virtual_net::Result<()>;
        mut fn try_send(data: &[u8]) -> virtual_net::Result<usize>;
        mut fn try_flush() -> virtual_net::Result<()>;
        mut fn close() -> virtual_net::Result<()>;
        mut fn try_recv(buffer: &mut [MaybeUninit<u8>], peek: bool) -> virtual_net::Result<usize>;
    }
    VirtualTcpSocket {
        fn recv_buf_size(&self) -> virtual_net::Result<usize>;
        fn send_buf_size(&self) -> virtual_net::Result<usize>;
        fn nodelay(&self) -> virtual_net::Result<bool>;
        fn keepalive(&self) -> virtual_net::Result<bool>;
        fn dontroute(&self) -> virtual_net::Result<bool>;
        fn addr_peer(&self) -> virtual_net::Result<SocketAddr>;
        fn is_closed(&self) -> bool;
        mut fn set_recv_buf_size(size: usize) -> virtual_net::Result<()>;
        mut fn set_send_buf_size(size: usize) -> virtual_net::Result<()>;
        mut fn set_nodelay(on: bool) -> virtual_net::Result<()>;
        mut fn set_keepalive(on: bool) -> virtual_net::Result<()>;
        mut fn set_dontroute(on: bool) -> virtual_net::Result<()>;
        mut fn shutdown(how: Shutdown) -> virtual_net::Result<()>;
    }
}

/// Standard input. Reading blocks psql's own thread, which has nothing else to do.
struct InputFile(Box<dyn Read + Send + Sync>);

/// Standard output or error.
struct OutputFile(Box<dyn Write + Send + Sync>);

/// What a stream has of a file: nothing.
macro_rules! stream {
    ($of:ty, $name:literal) => {
        impl std::fmt::Debug for $of {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($name)
            }
        }

        impl virtual_fs::VirtualFile for $of {
            fn last_accessed(&self) -> u64 {
                0
            }
            fn last_modified(&self) -> u64 {
                0
            }
            fn created_time(&self) -> u64 {
                0
            }
            fn size(&self) -> u64 {
                0
            }
            fn set_len(&mut self, _size: u64) -> virtual_fs::Result<()> {
                Err(FsError::PermissionDenied)
            }
            fn unlink(&mut self) -> virtual_fs::Result<()> {
                Ok(())
            }
            fn poll_read_ready(
                self: Pin<&mut Self>,
                _cx: &mut Context<'_>,
            ) -> Poll<io::Result<usize>> {
                Poll::Ready(Ok(1))
            }
            fn poll_write_ready(
                self: Pin<&mut Self>,
                _cx: &mut Context<'_>,
            ) -> Poll<io::Result<usize>> {
                Poll::Ready(Ok(8192))
            }
        }

        impl virtual_fs::AsyncSeek for $of {
            fn start_seek(self: Pin<&mut Self>, _position: io::SeekFrom) -> io::Result<()> {
                Ok(())
            }
            fn poll_complete(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
                Poll::Ready(Ok(0))
            }
        }
    };
}

stream!(InputFile, "InputFile");
stream!(OutputFile, "OutputFile");

impl virtual_fs::AsyncRead for InputFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = self.0.read(buffer.initialize_unfilled())?;
        buffer.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl virtual_fs::AsyncWrite for InputFile {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::PermissionDenied.into()))
    }
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl virtual_fs::AsyncRead for OutputFile {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl virtual_fs::AsyncWrite for OutputFile {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.write_all(bytes)?;
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.flush())
    }
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
