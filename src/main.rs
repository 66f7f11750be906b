//! affectd: how a group of people feels, over MQTT.
#![forbid(unsafe_code)]

#[allow(dead_code, unused_imports)]
mod config;

fn main() {}
