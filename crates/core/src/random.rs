//! Randomness comes in as an argument: the daemon passes the operating system's, tests a seeded one.

/// A source of uniformly distributed 64-bit numbers.
pub type Random<'a> = &'a mut dyn FnMut() -> u64;

/// SplitMix64, for tests only: repeatable.
#[cfg(test)]
pub(crate) fn seeded(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
