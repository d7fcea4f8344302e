//! A cluster that a kubeconfig leads to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::time::timeout;

use super::act::check_name;
use super::answers::Bounded;
use super::fault::{Cause, Fault};

/// How long `auto` waits for the kubeconfig's context before it does without.
pub(super) const AUTO_PATIENCE: Duration = Duration::from_secs(2);

/// How to reach a cluster, as the user gave it.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The kubeconfig; none: `$KUBECONFIG`, then `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The context; none: the current one.
    pub context: Option<String>,
    /// The namespace; none: the context's own, then `default`.
    pub namespace: Option<String>,
}

/// A cluster that a kubeconfig leads to. Nothing was asked of it yet.
#[derive(Clone)]
pub struct Reached {
    /// The client.
    pub client: Client,
    /// The context's name.
    pub context: String,
    /// The namespace to show.
    pub namespace: String,
    /// Whether that is the context's own, which kubectl takes without being told.
    pub is_own: bool,
}

impl Target {
    /// Reads the kubeconfig and makes a client for its context.
    pub async fn reach(&self) -> Result<Reached, Fault> {
        let kubeconfig = self.read()?;
        let context = self
            .context
            .clone()
            .or_else(|| kubeconfig.current_context.clone())
            .unwrap_or_default();
        let contexts: Vec<String> = kubeconfig
            .contexts
            .iter()
            .map(|named| named.name.clone())
            .collect();
        let explain = |mut fault: Fault| {
            fault.context = Some(context.clone()).filter(|name| !name.is_empty());
            fault.path = Some(self.path());
            if fault.cause == Cause::ContextNotFound {
                fault.contexts.clone_from(&contexts);
            }
            fault
        };
        if !contexts.contains(&context) {
            let detail = if context.is_empty() {
                "current-context is not set".to_owned()
            } else {
                format!("context {context:?} is not in the kubeconfig")
            };
            return Err(explain(Fault::new(Cause::ContextNotFound, detail)));
        }
        let options = KubeConfigOptions {
            context: Some(context.clone()),
            ..KubeConfigOptions::default()
        };
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| explain(Fault::from(&error)))?;
        // Retries inside the client would hide a dead API server for minutes.
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(3));
        let namespace = self
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        // It becomes a part of addresses.
        check_name(&namespace).map_err(|refusal| {
            let words = format!("the namespace: {}", refusal.message);
            explain(Fault::new(Cause::Other, words))
        })?;
        let is_own = namespace == config.default_namespace;
        // A credentials plugin is run and waited for here, so not on a thread that serves pages.
        let client = tokio::task::spawn_blocking(move || ClientBuilder::try_from(config))
            .await
            .expect("making a client does not panic")
            .map_err(|error| explain(Fault::from(&error)))?
            .with_layer(&Bounded)
            .build();
        Ok(Reached {
            client,
            context,
            namespace,
            is_own,
        })
    }

    /// Reaches the cluster and waits for one answer, [`AUTO_PATIENCE`] long at most.
    pub async fn answers(&self) -> Result<Reached, Fault> {
        let answer = async {
            let reached = self.reach().await?;
            match probe(&reached.client).await {
                Ok(()) => Ok(reached),
                Err(mut fault) => {
                    fault.context = Some(reached.context);
                    Err(fault)
                }
            }
        };
        timeout(AUTO_PATIENCE, answer).await.unwrap_or_else(|_| {
            let mut fault = Fault::new(
                Cause::Timeout,
                format!("no answer within {} s", AUTO_PATIENCE.as_secs()),
            );
            fault.context.clone_from(&self.context);
            Err(fault)
        })
    }

    fn read(&self) -> Result<Kubeconfig, Fault> {
        let at = |cause, detail: String| {
            let mut fault = Fault::new(cause, detail);
            fault.path = Some(self.path());
            fault
        };
        let read = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        read.map_err(|error| {
            let missing = self.kubeconfig.is_none() && !exists(&self.path());
            let cause = if missing {
                Cause::NoKubeconfig
            } else {
                Cause::KubeconfigUnreadable
            };
            at(cause, Fault::from(&error).detail)
        })
    }

    /// The kubeconfig that is read, for a message.
    fn path(&self) -> PathBuf {
        self.kubeconfig
            .clone()
            .or_else(|| std::env::var_os("KUBECONFIG").map(PathBuf::from))
            .or_else(|| std::env::home_dir().map(|home| home.join(".kube/config")))
            .unwrap_or_default()
    }
}

fn exists(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}

/// How long a cluster may think about whether it is ready.
const READY_PATIENCE: Duration = Duration::from_secs(3);

/// Whether the API server says that it is ready; its words when it is not. Who may not ask is not told.
pub(super) async fn ready(client: &Client) -> Result<(), String> {
    let request = http::Request::get("/readyz")
        .body(Vec::new())
        .expect("a constant request");
    match timeout(READY_PATIENCE, client.request_text(request)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) if status.code < 500 => Ok(()),
        Ok(Err(kube::Error::Api(status))) => Err(status.message),
        Ok(Err(error)) => Err(Fault::from(&error).detail),
        Err(_) => Err(format!("no answer within {} s", READY_PATIENCE.as_secs())),
    }
}

/// Asks the API server whether it is ready. Answers that RBAC or an unhealthy part of it gives
/// are answers, too: only silence and wrong credentials are faults.
pub(super) async fn probe(client: &Client) -> Result<(), Fault> {
    let request = http::Request::get("/readyz")
        .body(Vec::new())
        .expect("a constant request");
    match client.request_text(request).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code != 401 => Ok(()),
        Err(error) => Err(Fault::from(&error)),
    }
}
