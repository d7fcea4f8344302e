//! The program beside a real Kubernetes: what its frames say against what the API's own watches say,
//! and what it shows while the cluster fails. `tests/cluster/run` starts the cluster and these tests.

mod cases;
mod chapter;
mod faults;
mod kubectl;
mod milestones;
mod page;
mod proxy;
mod watches;
