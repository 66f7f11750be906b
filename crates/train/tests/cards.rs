//! A graphics card learns what the processor learns, with every family of networks. Mesa's software driver will do:
//! `cargo test --package affect-train --profile train --features vulkan --test cards`
#![cfg(feature = "vulkan")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use affect_train::device::Kind;
use affect_train::network::architecture::{Architecture, Family};
use affect_train::train::card::{compare, open};

#[test]
fn a_graphics_card_learns_what_the_processor_learns() {
    for (name, width) in [
        (Family::MobilenetV1, 0.25),
        (Family::EfficientnetB0, 1.0),
        (Family::Rexnet150, 1.0),
    ] {
        let network = Architecture {
            name,
            width,
            size: 48,
            folded: false,
            hidden: 0,
        };
        let card = open(Kind::Vulkan, &network).unwrap();
        println!("{name:?}: {}", compare(&card, &network).unwrap());
    }
}
