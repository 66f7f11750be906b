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
    use crate::network::plan::Operation;

    fn architecture(name: Family, width: f32, size: usize) -> Architecture {
        Architecture {
            name,
            width,
            size,
            folded: false,
            hidden: 0,
        }
    }

    /// Trained numbers (batch norm's running statistics left out): of the backbone, and with a layer of 256 features
    /// on its embedding, as the published base has.
    fn trained(name: Family) -> (usize, usize) {
        let plan = architecture(name, 1.0, 224).plan().unwrap();
        let running = plan.steps.iter().map(|step| match step.operation {
            Operation::Convolution(c) if c.norm => 2 * c.outputs,
            _ => 0,
        });
        let backbone = plan.backbone_parameters() - running.sum::<usize>();
        (backbone, backbone + plan.features * 256 + 256)
    }

    #[test]
    fn parameter_counts_are_the_papers() {
        // The paper gives one number per network, in millions, and not what it counts. Trained numbers of the
        // backbone alone are 3.21, 4.01 and 7.81; with the layer of 256 features 3.47, 4.34 and 8.30.
        // So its 3.2 is the backbone, and its 4.3 and 8.3 are the networks with that layer.
        assert_eq!(trained(Family::MobilenetV1), (3_206_976, 3_469_376));
        assert_eq!(trained(Family::EfficientnetB0), (4_007_548, 4_335_484));
        assert_eq!(trained(Family::Rexnet150), (7_806_562, 8_298_338));
        let rounded = |count: usize| (count as f64 / 1e5).round() / 10.0;
        assert_eq!(rounded(trained(Family::MobilenetV1).0), 3.2);
        assert_eq!(rounded(trained(Family::EfficientnetB0).1), 4.3);
        assert_eq!(rounded(trained(Family::Rexnet150).1), 8.3);
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
