//! The backbones by name, as recipes, checkpoints and the command line say them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::mobilenet;
use super::plan::Plan;

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
    /// Whether batch norm is folded into the weights, as in the published base.
    #[serde(default)]
    pub folded: bool,
}

/// The paper's backbones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // the names say it
pub enum Family {
    #[serde(rename = "mobilenet-v1")]
    MobilenetV1,
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
        Ok(match self.name {
            Family::MobilenetV1 => mobilenet::plan(self.width, self.size, !self.folded),
        })
    }

    /// What a weight file says about its network.
    #[must_use]
    pub fn about(&self) -> BTreeMap<String, String> {
        let json = serde_json::to_string(self).unwrap_or_default();
        BTreeMap::from([("architecture".to_owned(), json)])
    }
}
