//! The images that are built in, and what a container runtime says about any other.

use std::fmt;

/// PostgreSQL's major version in this program, and the minor one that it carries.
const POSTGRES_MAJOR: &str = "18";
pub(super) const POSTGRES_VERSION: &str = "18.4";

/// What is known about an image that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// The full name, as in a container's `status.image`: `docker.io/library/postgres:18`.
    pub reference: String,
    /// A stable id, as in `status.imageID`: `sha256:` and 64 hex digits.
    pub id: String,
    /// What stands for the size of the image, in bytes.
    pub size: u64,
    /// The signal that asks its main process to stop (`STOPSIGNAL`): SIGINT for postgres, SIGTERM otherwise.
    pub stop_signal: i32,
    pub(super) kind: ImageKind,
}

/// Which of the built-in images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum ImageKind {
    Postgres,
    Busybox,
}

/// Why an image can't be had. Displays as the text after `Failed to pull image "name": `, except for an invalid name, where it is the whole message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The name is no image reference.
    #[error(
        "Failed to apply default image tag \"{0}\": couldn't parse image name \"{0}\": invalid reference format"
    )]
    InvalidName(String),
    /// Not one of the built-in images, or not in that version.
    #[error(
        "failed to pull and unpack image \"{reference}\": failed to resolve reference \"{reference}\": {reference}: not found ({carried})"
    )]
    NotCarried {
        /// The full name of the image that was asked for.
        reference: String,
        /// What there is instead.
        carried: String,
    },
}

impl ImageError {
    /// The reason in a container's waiting state: `ErrImagePull` or `InvalidImageName`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InvalidName(_) => "InvalidImageName",
            Self::NotCarried { .. } => "ErrImagePull",
        }
    }
}

/// Looks an image up by the name a manifest gives it.
///
/// `postgres` with tag 18, 18.x or none and `busybox` with any tag are there, with or without `docker.io/library/` before them; nothing else is.
pub fn resolve(image: &str) -> Result<ImageInfo, ImageError> {
    let name = Reference::parse(image).ok_or_else(|| ImageError::InvalidName(image.to_owned()))?;
    let carried = match (name.repository.as_str(), name.version()) {
        ("docker.io/library/busybox", _) => return Ok(name.info(ImageKind::Busybox)),
        ("docker.io/library/postgres", version) if is_carried(version) => {
            if cfg!(feature = "postgres") {
                return Ok(name.info(ImageKind::Postgres));
            }
            "this build of eizoku leaves PostgreSQL out".to_owned()
        }
        ("docker.io/library/postgres", _) => {
            format!("PostgreSQL {POSTGRES_VERSION} is built in: use postgres:{POSTGRES_MAJOR}")
        }
        _ => {
            format!("this cluster carries postgres:{POSTGRES_MAJOR} and busybox and pulls nothing")
        }
    };
    Err(ImageError::NotCarried {
        reference: name.to_string(),
        carried,
    })
}

/// Whether a tag without its variant (`18.4` of `18.4-alpine`) means the built-in version. Docker's images know 18, 18.0 to 18.4 and latest.
fn is_carried(version: &str) -> bool {
    match version.split_once('.') {
        None => matches!(
            version,
            "latest" | POSTGRES_MAJOR | "alpine" | "trixie" | "bookworm"
        ),
        Some((major, minor)) => {
            major == POSTGRES_MAJOR
                && !minor.is_empty()
                && minor.bytes().all(|b| b.is_ascii_digit())
        }
    }
}

/// An image's name, taken apart and completed as container runtimes do.
struct Reference {
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Reference {
    fn parse(image: &str) -> Option<Self> {
        let (name, digest) = match image.split_once('@') {
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (image, None),
        };
        // A colon after the last slash begins the tag; one before it belongs to a registry's port.
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.to_owned())),
            _ => (name, None),
        };
        let well_formed = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
                && part.as_bytes()[0].is_ascii_alphanumeric()
        };
        let (registry, path) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (first, rest.to_owned())
            }
            Some(_) => ("docker.io", name.to_owned()),
            None => ("docker.io", format!("library/{name}")),
        };
        let tag_is_fine = tag.as_ref().is_none_or(|tag| {
            !tag.is_empty()
                && tag.len() <= 128
                && tag
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        });
        (path.split('/').all(well_formed) && tag_is_fine).then(|| Self {
            repository: format!("{registry}/{path}"),
            tag: tag.or_else(|| digest.is_none().then(|| "latest".to_owned())),
            digest,
        })
    }

    /// The tag without its variant. An image asked for by digest is never the one built in.
    fn version(&self) -> &str {
        match (&self.tag, &self.digest) {
            (Some(tag), None) => tag.split('-').next().unwrap_or(tag),
            _ => "",
        }
    }

    fn info(&self, kind: ImageKind) -> ImageInfo {
        let (id, size, stop_signal) = match kind {
            ImageKind::Postgres => (POSTGRES_ID, 14_000_000, 2),
            ImageKind::Busybox => (BUSYBOX_ID, 100_000, 15),
        };
        ImageInfo {
            reference: self.to_string(),
            id: id.to_owned(),
            size,
            stop_signal,
            kind,
        }
    }
}

// Ids need only be stable and look like ids: the first is the SHA-256 of the words "eizoku postgres 18.4", the second of "eizoku busybox".
const POSTGRES_ID: &str = "sha256:7d66ebd27f23ffe07021bf0ab7432e54d6caa645212ad9526d2ce9ac43314c59";
const BUSYBOX_ID: &str = "sha256:f7d0aab737b42bf0eadfa1a759792c5efb7154e5fed75c0abe385f0ac0bd24ef";

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl ImageKind {
    /// What runs in a container: a manifest's `command` replaces the image's entry point (and its default arguments), `args` the default arguments.
    pub(super) fn argv(self, command: Option<&[String]>, args: Option<&[String]>) -> Vec<String> {
        let some = |list: Option<&[String]>| list.filter(|l| !l.is_empty()).map(<[String]>::to_vec);
        match (some(command), some(args)) {
            (Some(mut command), args) => {
                command.extend(args.unwrap_or_default());
                command
            }
            (None, args) => match self {
                Self::Postgres => {
                    let mut argv = vec!["docker-entrypoint.sh".to_owned()];
                    argv.extend(args.unwrap_or_else(|| vec!["postgres".to_owned()]));
                    argv
                }
                Self::Busybox => args.unwrap_or_else(|| vec!["sh".to_owned()]),
            },
        }
    }

    /// The environment that the image itself sets.
    pub(super) fn env(self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::Postgres => vec![
                (
                    "PATH",
                    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/18/bin",
                ),
                ("LANG", "en_US.utf8"),
                ("PG_MAJOR", POSTGRES_MAJOR),
                ("PG_VERSION", POSTGRES_VERSION),
                ("PGDATA", "/var/lib/postgresql/18/docker"),
            ],
            Self::Busybox => vec![(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )],
        }
    }

    /// Folders that the image has, beside those every image has.
    pub(super) fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &[
                "var/lib/postgresql",
                "var/run/postgresql",
                "docker-entrypoint-initdb.d",
                "usr/lib/postgresql/18/bin",
            ],
            Self::Busybox => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "postgres")]
    fn every_name_of_the_built_in_images_is_found() {
        for (name, reference) in [
            ("postgres", "docker.io/library/postgres:latest"),
            ("postgres:18", "docker.io/library/postgres:18"),
            ("postgres:18.4", "docker.io/library/postgres:18.4"),
            ("postgres:18-alpine", "docker.io/library/postgres:18-alpine"),
            ("library/postgres:18", "docker.io/library/postgres:18"),
            (
                "docker.io/library/postgres:18",
                "docker.io/library/postgres:18",
            ),
            ("busybox", "docker.io/library/busybox:latest"),
            ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ] {
            assert_eq!(resolve(name).unwrap().reference, reference);
        }
        assert_eq!(resolve("postgres:18").unwrap().stop_signal, 2);
        assert_eq!(resolve("busybox").unwrap().stop_signal, 15);
    }

    #[test]
    fn another_postgres_says_which_version_there_is() {
        for name in [
            "postgres:16",
            "postgres:16.2",
            "postgres:19",
            "postgres:18.x",
            "postgres@sha256:00",
        ] {
            let error = resolve(name).unwrap_err();
            assert_eq!(error.reason(), "ErrImagePull");
            if cfg!(feature = "postgres") {
                assert!(
                    error.to_string().contains("PostgreSQL 18.4 is built in"),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn other_images_are_not_pulled_and_bad_names_are_named() {
        let error = resolve("registry.example:5000/team/app:v1").unwrap_err();
        assert!(
            error.to_string().starts_with(
                "failed to pull and unpack image \"registry.example:5000/team/app:v1\": failed to resolve reference"
            ),
            "{error}"
        );
        for name in ["", "UPPER", "nginx:", "a//b", "nginx:a b"] {
            assert_eq!(
                resolve(name).unwrap_err().reason(),
                "InvalidImageName",
                "{name}"
            );
        }
    }

    #[test]
    fn command_and_args_follow_the_rules_of_kubernetes() {
        let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let argv = |command: Option<&[&str]>, args: Option<&[&str]>| {
            ImageKind::Postgres.argv(command.map(words).as_deref(), args.map(words).as_deref())
        };
        assert_eq!(argv(None, None), ["docker-entrypoint.sh", "postgres"]);
        assert_eq!(
            argv(None, Some(&["-c", "work_mem=8MB"])),
            ["docker-entrypoint.sh", "-c", "work_mem=8MB"]
        );
        assert_eq!(argv(Some(&["sh"]), None), ["sh"]);
        assert_eq!(
            argv(Some(&["sh"]), Some(&["-c", "date"])),
            ["sh", "-c", "date"]
        );
        assert_eq!(ImageKind::Busybox.argv(None, None), ["sh"]);
    }
}
