//! Child processes that do not outlive the one that started them.
//!
//! Whoever is killed outright (SIGKILL, out of memory) cannot end its children; a camera's program would hold the
//! camera on. The kernel can: it is asked to, in the child, before its program begins.
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(clippy::undocumented_unsafe_blocks)]

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// Makes the kernel end (SIGKILL) the process that `command` starts when the *thread* that starts it ends, however
/// that comes about. The process's own children are not ended.
pub fn ends_with_us(command: &mut Command) -> &mut Command {
    let us = getpid();
    let ask = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // It may have happened already; then nobody would send the signal any more.
        if getppid() == Some(us) {
            Ok(())
        } else {
            Err(Errno::SRCH.into())
        }
    };
    // SAFETY: between fork and exec only prctl(2) and getppid(2) are called, which are system calls and nothing else; no
    // memory is allocated, and no lock is taken.
    unsafe { command.pre_exec(ask) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::time::Duration;

    fn sleeper() -> Command {
        let mut command = Command::new("sleep");
        command.arg("20");
        command
    }

    #[test]
    fn a_child_ends_with_the_thread_that_started_it() {
        let start = |mut command: Command| {
            std::thread::spawn(move || command.spawn().expect("it starts"))
                .join()
                .expect("no panic")
        };
        let mut other = start(sleeper());
        let mut command = sleeper();
        ends_with_us(&mut command);
        let mut child = start(command);
        let status = child.wait().expect("it ends");
        assert_eq!(status.signal(), Some(9));
        std::thread::sleep(Duration::from_millis(50));
        assert!(
            other.try_wait().expect("asked").is_none(),
            "it is no rule of the system"
        );
        other.kill().expect("ended");
        other.wait().expect("ended");
    }

    #[test]
    fn what_cannot_be_started_still_says_why() {
        let mut command = Command::new("no-such-program");
        let error = ends_with_us(&mut command).spawn().expect_err("not there");
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    }
}
