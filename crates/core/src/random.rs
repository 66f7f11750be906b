//! Randomness comes in as an argument: the daemon passes the operating system's, tests a seeded one.

/// A source of uniformly distributed 64-bit numbers.
pub type Random<'a> = &'a mut dyn FnMut() -> u64;

/// A number from the open interval (0, 1).
pub(crate) fn unit(random: Random<'_>) -> f64 {
    ((random() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// A number from the Laplace distribution around 0 with the given scale (standard deviation √2 · scale).
pub(crate) fn laplace(scale: f64, random: Random<'_>) -> f64 {
    let u = unit(random) - 0.5;
    -scale * u.signum() * (1.0 - 2.0 * u.abs()).ln()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laplace_has_its_mean_and_spread() {
        let mut random = seeded(1);
        let draws: Vec<f64> = (0..20_000).map(|_| laplace(2.0, &mut random)).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let absolute = draws.iter().map(|d| d.abs()).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.06, "mean {mean}");
        assert!((absolute - 2.0).abs() < 0.06, "mean distance {absolute}");
    }
}
