//! What a command's sender is told.

use std::time::SystemTime;

use affect_core::command::{CommandResult, RESULT_SCHEMA};

use super::Order;
use crate::clock::rfc3339;
use crate::identity::Names;
use crate::redact;

/// The answer to an order: whether things are now as it wants them, and a sentence.
pub(crate) fn result(names: &Names, order: &Order, ok: bool, message: &str) -> CommandResult {
    CommandResult {
        schema: RESULT_SCHEMA.to_owned(),
        device: names.device.clone(),
        site: names.site.clone(),
        boot_id: names.boot_id.clone(),
        at: rfc3339(SystemTime::now()),
        command: order.word,
        id: order.id.clone(),
        ok,
        message: redact::line(message),
    }
}
