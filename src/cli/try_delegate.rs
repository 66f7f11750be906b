//! `affectd try-delegate`, hidden: what the daemon starts to try an Edge TPU without risk ([`crate::delegate`]).

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::{Failure, print};
use crate::delegate::{Request, perform};

/// Prints one line of JSON. A delegate that refuses is an answer, not an error.
pub(super) fn run(request: &Request) -> Result<(), Failure> {
    // A crash is expected here and leaves no file behind.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(std::io::Error::from)?;
    let answer = serde_json::to_string(&perform(request)).map_err(std::io::Error::from)?;
    Ok(print(answer)?)
}
