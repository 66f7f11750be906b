//! affectd: how a group of people feels, from a camera, over MQTT. Never an image, an identity or one person.
#![forbid(unsafe_code)]

use std::process::ExitCode;

mod audit;
mod board;
mod camera_state;
mod capture;
mod cli;
mod clock;
mod config;
mod count;
mod credential;
mod daemon;
mod delegate;
mod golden;
mod group;
mod identity;
mod jpeg;
mod last_report;
mod latency;
mod memory;
mod pipeline;
mod place;
mod progress;
mod publish;
mod redact;
mod room;
mod setup;
mod tls;
mod vision;

fn main() -> ExitCode {
    cli::main()
}
