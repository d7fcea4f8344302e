//! The licences of everything in the binary.

/// Our own licence and the notices of the crates and fonts that are built in.
pub(crate) const TEXT: &str = concat!(
    include_str!("../LICENSE-APACHE"),
    "\n\n",
    include_str!("../LICENSE-MIT"),
    "\n\n",
    include_str!("../THIRD-PARTY")
);
