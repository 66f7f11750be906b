//! The spool's thread: keeps what waits on the disk, whatever that takes, while the others go on.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::spool::{Keeper, Spool};
use super::{EndsTheRun, Shared};
use crate::clock::Clocks;

/// How often the keeper looks whether something has to be written.
const KEEPER_PERIOD: Duration = Duration::from_secs(1);

/// What is done to the spool while it is there.
type Act<'a> = &'a mut dyn FnMut(&mut Spool);

/// One round of the keeper; `access` gives it the spool for a moment.
pub(super) fn keep(keeper: &mut Keeper, access: &mut dyn FnMut(Act<'_>), all: bool) {
    let now = Clocks::now();
    let mut work = None;
    access(&mut |spool| work = Some(spool.plan(&now, all)));
    let mut done = work.map(|work| keeper.work(work, &now));
    access(&mut |spool| {
        if let Some(done) = done.take() {
            spool.done(done, &now);
        }
    });
}

/// Keeps what waits on the disk until publishing has ended.
pub(super) fn keeper_loop(mut keeper: Keeper, shared: &Shared, woken: &Receiver<()>) {
    let _ended = EndsTheRun(&shared.progress);
    loop {
        let wake = woken.recv_timeout(KEEPER_PERIOD);
        let ended = shared.lock().ended;
        keep(
            &mut keeper,
            &mut |act| act(&mut shared.lock().outbox.spool),
            ended,
        );
        if ended || matches!(wake, Err(RecvTimeoutError::Disconnected)) {
            return;
        }
    }
}
