//! The backbones by name, as recipes, checkpoints and the command line say them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plan::Plan;
use super::{efficientnet, mobilenet, rexnet};

/// The smallest input, pixels: below it the last maps of the networks are a single pixel.
pub const LEAST_SIZE: usize = 48;

/// Which backbone, how wide, and for which input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// The family.
    pub name: Family,
    /// Factor on the number of channels, 0.25 to 1; MobileNet-v1 only.
    #[serde(default = "whole")]
    pub width: f32,
    /// Side of the square input, pixels, at least [`LEAST_SIZE`].
    pub size: usize,
    /// Whether batch norm is folded into the weights, as in the published base. If not, it is put back into such weights.
    #[serde(default)]
    pub folded: bool,
    /// Length of a layer of features between backbone and heads: 256 in the published base, which reads age and gender
    /// from it. 0 is none.
    #[serde(default)]
    pub hidden: usize,
}

/// The paper's backbones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // the names say it
pub enum Family {
    #[serde(rename = "mobilenet-v1")]
    #[value(name = "mobilenet-v1")]
    MobilenetV1,
    #[serde(rename = "efficientnet-b0")]
    #[value(name = "efficientnet-b0")]
    EfficientnetB0,
    #[serde(rename = "rexnet-150")]
    #[value(name = "rexnet-150")]
    Rexnet150,
}

fn whole() -> f32 {
    1.0
}

impl Architecture {
    /// The backbone, without heads.
    ///
    /// # Errors
    /// A sentence, if size or width are out of range.
    pub fn plan(&self) -> Result<Plan, String> {
        if self.size < LEAST_SIZE {
            return Err(format!(
                "The input is {} px, but the networks need at least {LEAST_SIZE} px.",
                self.size
            ));
        }
        if !(0.25..=1.0).contains(&self.width) {
            return Err(format!("The width is {}, but 0.25 to 1 is possible.", self.width));
        }
        if self.name != Family::MobilenetV1 && self.width != 1.0 {
            return Err(format!(
                "The width is {}, but only mobilenet-v1 comes in other widths than 1.",
                self.width
            ));
        }
        let plan = match self.name {
            Family::EfficientnetB0 => efficientnet::plan(self.size, !self.folded),
            Family::Rexnet150 => rexnet::plan(self.size, !self.folded),
            Family::MobilenetV1 => mobilenet::plan(self.width, self.size, !self.folded),
        };
        Ok(Plan {
            hidden: self.hidden,
            ..plan
        })
    }

    /// What a weight file says about its network.
    #[must_use]
    pub fn about(&self) -> BTreeMap<String, String> {
        let json = serde_json::to_string(self).unwrap_or_default();
        BTreeMap::from([("architecture".to_owned(), json)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::plan::{Activation, Dense, Operation};

    fn architecture(name: Family, width: f32, size: usize) -> Architecture {
        Architecture {
            name,
            width,
            size,
            folded: false,
            hidden: 0,
        }
    }

    /// Backbone, and backbone with the layer of 256 features that the published models have behind it.
    fn parameters(name: Family) -> (f64, f64) {
        let plan = architecture(name, 1.0, 224).plan().unwrap();
        let backbone = plan.backbone_parameters();
        let layer = Operation::Dense(Dense {
            inputs: plan.features,
            outputs: 256,
            activation: Activation::Relu,
        });
        let mut with_layer = plan.clone();
        with_layer.step("feats", plan.embedding, layer);
        let more = with_layer.steps.last().unwrap().parameters();
        (backbone as f64 / 1e6, (backbone + more) as f64 / 1e6)
    }

    #[test]
    fn parameter_counts_are_the_papers() {
        // The paper says 3.2, 4.3 and 8.3 million. The first is MobileNet's backbone; the two others are reached
        // with a layer of 256 features on top.
        let near = |found: f64, paper: f64| {
            assert!(
                (found - paper).abs() < 0.08,
                "{found} M, the paper says {paper} M"
            )
        };
        near(parameters(Family::MobilenetV1).0, 3.2);
        near(parameters(Family::EfficientnetB0).1, 4.3);
        near(parameters(Family::Rexnet150).1, 8.3);
        // Exactly what Keras counts for include_top=False.
        assert_eq!((parameters(Family::MobilenetV1).0 * 1e6).round(), 3_228_864.0);
    }

    #[test]
    fn work_follows_the_published_figures() {
        let work = |name| architecture(name, 1.0, 224).plan().unwrap().multiply_adds() as f64 / 1e6;
        // Howard et al.: 569 M with the classifier's 1 M; Tan & Le: 390 M; Han et al.: 0.9 G.
        assert!(
            (work(Family::MobilenetV1) - 568.0).abs() < 2.0,
            "{}",
            work(Family::MobilenetV1)
        );
        assert!(
            (work(Family::EfficientnetB0) - 390.0).abs() < 10.0,
            "{}",
            work(Family::EfficientnetB0)
        );
        assert!(
            (work(Family::Rexnet150) - 900.0).abs() < 30.0,
            "{}",
            work(Family::Rexnet150)
        );
    }

    #[test]
    fn impossible_networks_are_refused() {
        assert!(
            architecture(Family::MobilenetV1, 1.0, 32)
                .plan()
                .unwrap_err()
                .contains("at least 48")
        );
        assert!(
            architecture(Family::MobilenetV1, 0.1, 96)
                .plan()
                .unwrap_err()
                .contains("0.25 to 1")
        );
        assert!(
            architecture(Family::Rexnet150, 0.5, 96)
                .plan()
                .unwrap_err()
                .contains("only mobilenet-v1")
        );
    }
}
