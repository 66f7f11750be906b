//! The C library's error reporter, brought into our log and our errors.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Mutex, PoisonError};

/// Collects what the library says.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    said: Mutex<Vec<String>>,
}

/// A `va_list` as it is passed to a function: one pointer on x86_64, aarch64 and 32-bit ARM alike, so it can be
/// handed on unopened.
pub(crate) type VaList = *mut c_void;

unsafe extern "C" {
    fn vsnprintf(buffer: *mut c_char, size: usize, format: *const c_char, arguments: VaList) -> c_int;
}

impl Reporter {
    /// Everything that was said since the last call, in one line.
    pub(crate) fn take(&self) -> String {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.drain(..).collect::<Vec<_>>().join("; ")
    }

    /// The address under which the library knows this reporter. It must outlive every interpreter that has it.
    pub(crate) fn address(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    fn hear(&self, message: String) {
        log::debug!("TensorFlow Lite: {message}");
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        // A model that complains at every run must not fill the memory.
        if said.len() < 8 {
            said.push(message);
        }
    }
}

/// What the library calls.
///
/// # Safety
/// `reporter` must come from [`Reporter::address`] of a living reporter; `format` and `arguments` must be as for
/// `vsnprintf`.
pub(crate) unsafe extern "C" fn report(reporter: *mut c_void, format: *const c_char, arguments: VaList) {
    let mut buffer = [0 as c_char; 1024];
    // SAFETY: the library passes a format and matching arguments; the buffer's size is given, and vsnprintf
    // always ends its output with a zero byte.
    let text = unsafe {
        vsnprintf(buffer.as_mut_ptr(), buffer.len(), format, arguments);
        CStr::from_ptr(buffer.as_ptr())
            .to_string_lossy()
            .trim()
            .trim_end_matches('.')
            .to_owned()
    };
    // SAFETY: by the contract of this function.
    let reporter = unsafe { &*reporter.cast::<Reporter>() };
    reporter.hear(text);
}
