//! affectd: how a group of people feels, from a camera, over MQTT. Never an image, an identity or one person.
#![cfg_attr(not(feature = "fuzz"), forbid(unsafe_code))]
// Under the fuzzer libFuzzer has the entry, and most of the program is not called.
#![cfg_attr(feature = "fuzz", no_main, allow(dead_code, unused_imports))]

use std::process::ExitCode;

mod aiming;
mod audit;
mod board;
mod camera_state;
mod capture;
mod cli;
mod clock;
mod command;
mod config;
mod count;
mod credential;
mod daemon;
mod delegate;
#[cfg(any(test, feature = "fuzz"))]
mod fuzz;
mod golden;
mod group;
mod homeassistant;
mod identity;
mod jpeg;
mod last_report;
mod latency;
mod logging;
mod memory;
mod pipeline;
mod place;
mod progress;
mod publish;
mod redact;
mod reload;
mod room;
mod setup;
mod starts;
mod status;
mod tls;
mod vision;

#[cfg(not(feature = "fuzz"))]
fn main() -> ExitCode {
    cli::main()
}
