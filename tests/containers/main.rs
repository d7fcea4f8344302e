//! Containers as the kubelet uses them: real processes of this program.

mod datadir;
mod limits;
mod pod;
mod postgres;
mod psql;
mod shell;
