//! Whether the kernel holds its wall clock to be synchronised.
//!
//! Whoever keeps the time (systemd-timesyncd, chrony, ntpd, a GPS daemon), tells the kernel; the kernel in turn takes it
//! back when the clock is set by hand, or when nobody has kept it for hours. No crate reads this without setting anything,
//! so the one system call is wrapped here.

/// The kernel's `STA_UNSYNC`: nobody keeps the clock.
const UNSYNCHRONISED: libc::c_int = libc::STA_UNSYNC;
/// What `adjtimex` returns for a clock that is not synchronised.
const ERROR: libc::c_int = libc::TIME_ERROR;

/// Asks the kernel.
///
/// # Errors
/// The system's error if it does not tell (a sandbox may forbid `adjtimex`, reading included).
pub fn is_synchronised() -> std::io::Result<bool> {
    // SAFETY: `timex` is plain integers, for which zero is a value, and `modes` 0 asks the kernel to change nothing.
    let mut told: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live `timex` that nobody else uses; the kernel writes no more than that.
    let state = unsafe { libc::adjtimex(&raw mut told) };
    match state {
        -1 => Err(std::io::Error::last_os_error()),
        state => Ok(judge(state, told.status)),
    }
}

/// Both must say so: the state is an error as well when only the hardware's signal is missing.
fn judge(state: libc::c_int, status: libc::c_int) -> bool {
    state != ERROR && status & UNSYNCHRONISED == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_somebody_keeps_is_synchronised() {
        assert!(judge(libc::TIME_OK, libc::STA_PLL));
        assert!(judge(libc::TIME_INS, 0), "a leap second is to come");
        assert!(!judge(libc::TIME_ERROR, libc::STA_UNSYNC));
        assert!(!judge(libc::TIME_ERROR, 0));
        assert!(!judge(libc::TIME_OK, libc::STA_UNSYNC));
    }

    #[test]
    fn the_kernel_answers() {
        // Which answer depends on the machine; that there is one does not.
        assert!(is_synchronised().is_ok());
    }
}
