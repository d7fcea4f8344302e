//! The program beside a real Kubernetes: what its frames say against what the API's own watches say,
//! what it shows while the cluster fails, and whether the embedded cluster is its like. `tests/cluster/run` starts the cluster and these tests.

mod cases;
mod chapter;
mod faults;
mod kubectl;
#[path = "../embedded/lives.rs"]
mod lives;
mod milestones;
mod page;
#[expect(dead_code, reason = "the tests of the embedded cluster use more of it")]
#[path = "../embedded/program.rs"]
mod program;
mod proxy;
#[path = "../embedded/scripts.rs"]
mod scripts;
#[expect(dead_code, reason = "the tests of the embedded cluster use more of it")]
#[path = "../embedded/transcript.rs"]
mod transcript;
mod twins;
mod watches;
#[expect(dead_code, reason = "the tests of the embedded cluster use more of it")]
#[path = "../embedded/wire.rs"]
mod wire;
