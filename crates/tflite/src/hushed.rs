//! The library writes lines of its own to standard error (`INFO: Created TensorFlow Lite XNNPACK delegate for CPU.`) and
//! has no function to stop that. They belong into our log.

use std::ffi::{c_char, c_int, c_void};
use std::sync::{Mutex, PoisonError};

/// A `FILE *` of the C library.
type File = *mut c_void;

unsafe extern "C" {
    static mut stderr: File;
    fn open_memstream(text: *mut *mut c_char, size: *mut usize) -> File;
    fn fclose(file: File) -> c_int;
    fn free(text: *mut c_void);
}

/// Only one at a time turns standard error away.
static TURNED: Mutex<()> = Mutex::new(());

/// The C library's standard error turned into memory. Rust's own is not: it has no such `FILE`.
struct Turned {
    before: File,
    memory: File,
    // Boxed: the C library writes to both until the file is closed.
    text: Box<(*mut c_char, usize)>,
}

impl Turned {
    fn new() -> Option<Self> {
        let mut text = Box::new((std::ptr::null_mut(), 0));
        // SAFETY: both places live as long as the file, which is closed in `drop`.
        let memory = unsafe { open_memstream(&raw mut text.0, &raw mut text.1) };
        if memory.is_null() {
            return None;
        }
        // SAFETY: a plain pointer, which `TURNED` keeps from being changed by two; whoever reads it meanwhile gets one
        // or the other valid file.
        let before = unsafe { (&raw mut stderr).replace(memory) };
        Some(Self { before, memory, text })
    }
}

impl Drop for Turned {
    fn drop(&mut self) {
        // SAFETY: the pointer that stood there; then a file that nobody has any more is closed, which completes its text;
        // the text has so many bytes, and is freed once.
        let said = unsafe {
            (&raw mut stderr).write(self.before);
            fclose(self.memory);
            let (text, size) = *self.text;
            if text.is_null() {
                return;
            }
            let said =
                String::from_utf8_lossy(std::slice::from_raw_parts(text.cast::<u8>(), size)).into_owned();
            free(text.cast());
            said
        };
        for line in said.lines().filter(|line| !line.trim().is_empty()) {
            log::debug!("TensorFlow Lite: {line}");
        }
    }
}

/// Runs `make`; what C code writes to standard error meanwhile goes into the log, for those who look for a fault.
pub(crate) fn hushed<T>(make: impl FnOnce() -> T) -> T {
    let _one = TURNED.lock().unwrap_or_else(PoisonError::into_inner);
    let _turned = Turned::new();
    make()
}
