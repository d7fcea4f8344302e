//! How large an object may become, whatever it was made by.
//!
//! Every write comes through here: what patches and copies build can get larger and deeper than any body.

use serde_json::Value;

use crate::failure::Failure;
use crate::object;

/// etcd takes requests of so many bytes (`--max-request-bytes`).
const LARGEST: usize = 3 * 512 * 1024;
/// So many maps and lists may lie inside each other. What reads JSON stops at 128, and lists, tables and watch events
/// put objects into more of them.
pub(super) const DEEPEST: usize = 100;

/// Refuses an object that no client could read back, or that a real cluster's store would not take.
pub(super) fn check(object: &Value) -> Result<(), Failure> {
    if object::depth(object) > DEEPEST {
        return Err(Failure::bad_request("json: exceeded max depth"));
    }
    if object::size(object) > LARGEST {
        return Err(Failure::too_large("etcdserver: request is too large"));
    }
    Ok(())
}
