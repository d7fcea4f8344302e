//! The command line.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};

/// A chapter on Kubernetes persistence that plays your cluster live beside the text.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

/// What else the binary does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read the content and report every error in it, with file and line
    Check {
        #[command(flatten)]
        content: ContentArgs,
    },
    /// Write down what a cluster does, to be played with --cluster recording FILE
    ///
    /// Goes on until Ctrl-C. Holds no Secret, environment, argument or address: only what the page shows.
    Record {
        /// The file to write
        file: PathBuf,
        /// Write over a file that is there already
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Print the licences of everything in this binary
    Licenses,
    /// Print how to reach the embedded cluster: export KUBECONFIG=...
    Kubeconfig {
        #[command(flatten)]
        data: DataArgs,
    },
}

/// Where the embedded cluster keeps itself.
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// The folder of the embedded cluster instead of eizoku in your state folder
    #[arg(id = "data", long = "data", value_name = "DIR", env = "EIZOKU_DATA")]
    pub(crate) dir: Option<PathBuf>,
}

/// Which cluster, and what of it.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// The kubeconfig's context to use instead of the current one
    #[arg(long, value_name = "NAME", env = "EIZOKU_CONTEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) context: Option<String>,

    /// The namespace to show instead of the context's own
    #[arg(long, short, value_name = "NAME", env = "EIZOKU_NAMESPACE", value_parser = namespace)]
    pub(crate) namespace: Option<String>,

    /// The kubeconfig to read instead of $KUBECONFIG or ~/.kube/config
    #[arg(long, value_name = "FILE", env = "EIZOKU_KUBECONFIG")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

/// Where the chapter comes from.
#[derive(Debug, Args)]
pub(crate) struct ContentArgs {
    /// Read the chapter from this folder instead of the copy in the binary
    #[arg(
        id = "content",
        long = "content",
        value_name = "DIR",
        env = "EIZOKU_CONTENT"
    )]
    pub(crate) dir: Option<PathBuf>,
}

/// Serving the page, which is what happens without a command.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The cluster to show: auto, kube, embedded, or recording [FILE]
    ///
    /// auto: the kubeconfig's context if it answers in 2 s, else embedded.
    /// kube: the kubeconfig's context, waited for if it is not there yet.
    /// embedded: a small cluster inside this program, with a real PostgreSQL.
    /// recording: a run written down earlier, or the one in the binary.
    #[arg(
        long,
        value_names = ["SOURCE", "FILE"],
        num_args = 1..=2,
        value_delimiter = '=',
        default_value = "auto",
        env = "EIZOKU_CLUSTER"
    )]
    pub(crate) cluster: Vec<String>,

    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// Let the page act on the kubeconfig's cluster, on objects of the lesson only
    ///
    /// On the embedded cluster it always may.
    #[arg(long, env = "EIZOKU_ALLOW_ACTIONS")]
    pub(crate) allow_actions: bool,

    /// How fast a recording is played
    #[arg(long, value_name = "FACTOR", default_value = "1", env = "EIZOKU_SPEED", value_parser = speed)]
    pub(crate) speed: f64,

    /// The port on 127.0.0.1; 0 takes any free one
    #[arg(
        long,
        short,
        value_name = "PORT",
        default_value = "8008",
        env = "EIZOKU_PORT"
    )]
    pub(crate) port: u16,

    /// Open no browser
    ///
    /// The page is opened by itself where the program is started from a terminal on a desktop.
    /// The address it prints leads there, too: with the key that lets the page act.
    #[arg(long, env = "EIZOKU_NO_OPEN")]
    pub(crate) no_open: bool,

    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// Empty the embedded cluster before it starts
    #[arg(long, env = "EIZOKU_FRESH")]
    pub(crate) fresh: bool,

    #[command(flatten)]
    pub(crate) content: ContentArgs,
}

/// `--cluster`, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    Auto,
    Kube,
    Embedded,
    Recording(Option<PathBuf>),
}

impl Choice {
    /// From the one or two values of `--cluster`.
    pub(crate) fn parse(values: &[String]) -> Result<Self, String> {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        match values[..] {
            ["auto"] => Ok(Self::Auto),
            ["kube"] => Ok(Self::Kube),
            ["embedded"] => Ok(Self::Embedded),
            ["recording"] => Ok(Self::Recording(None)),
            ["recording", file] => Ok(Self::Recording(Some(file.into()))),
            _ => Err(format!(
                "--cluster {} is not known\nUse --cluster auto, --cluster kube, --cluster embedded, or --cluster recording [FILE]",
                values.join(" ")
            )),
        }
    }
}

fn namespace(text: &str) -> Result<String, String> {
    match crate::cluster::check_name(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(refusal) => Err(refusal.message),
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=100.0).contains(&speed) => Ok(speed),
        _ => Err("must be a number from 0.1 to 100".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_recording_may_name_its_file() {
        for (arguments, want) in [
            (&["eizoku"][..], Ok(Choice::Auto)),
            (&["eizoku", "--cluster", "kube"], Ok(Choice::Kube)),
            (&["eizoku", "--cluster", "embedded"], Ok(Choice::Embedded)),
            (
                &["eizoku", "--cluster", "recording"],
                Ok(Choice::Recording(None)),
            ),
            (
                &["eizoku", "--cluster", "recording", "a b.jsonl"],
                Ok(Choice::Recording(Some("a b.jsonl".into()))),
            ),
            (
                &["eizoku", "--cluster", "recording=a.jsonl", "--port", "0"],
                Ok(Choice::Recording(Some("a.jsonl".into()))),
            ),
            (&["eizoku", "--cluster", "minikube"], Err(())),
            (&["eizoku", "--cluster", "kube", "x"], Err(())),
        ] {
            let cli = Cli::parse_from(arguments);
            let got = Choice::parse(&cli.serve.cluster).map_err(|_| ());
            assert_eq!(got, want, "{arguments:?}");
        }
    }
}
