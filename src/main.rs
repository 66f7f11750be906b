//! affectd: how a group of people feels, over MQTT.
#![forbid(unsafe_code)]
fn main() {}
