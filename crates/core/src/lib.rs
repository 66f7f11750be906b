//! The pure domain of affectd: no I/O, no clocks, no threads.
#![forbid(unsafe_code)]
