//! `[deployment]`: where the device hangs, what for, and who answers for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NAME, NAME_FORM, NAME_OR_EMPTY};
use crate::config::optional;

/// Where this device works, what for, and who answers for it. Nothing starts before this table is filled in: the
/// law asks it of whoever reads people's emotions, and `affectd notice` prints it for the people in the room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-why" = "fill in [deployment]: affectd says where, what for and for whom it reads emotions"))]
pub(crate) struct Deployment {
    /// Short name of the site, the second level of every topic.
    #[schemars(regex(pattern = NAME), extend("x-form" = NAME_FORM), example = &"museum-north")]
    pub(crate) site: String,
    /// Kind of place.
    #[schemars(example = &"museum")]
    pub(crate) place: Place,
    /// Why emotions are read here, in a sentence that the people in the room would understand.
    #[schemars(
        length(min = 10, max = 500),
        example = &"Find out which rooms of the exhibition visitors enjoy."
    )]
    pub(crate) purpose: String,
    /// Who is responsible for the data (the data controller) and how to reach them.
    #[schemars(length(min = 1, max = 200), example = &"Museum of the North, privacy@museum.example")]
    pub(crate) controller: String,
    /// Legal basis where reading emotions is otherwise forbidden: at a workplace and in education only "medical"
    /// and "safety" are lawful.
    #[serde(default)]
    pub(crate) basis: Basis,
    /// Short name of the room that the camera sees. Two affectd on one device must not see the same people; with two rooms
    /// give each its name and a state directory of its own.
    #[serde(default)]
    #[schemars(regex(pattern = NAME_OR_EMPTY), extend("x-form" = NAME_FORM))]
    pub(crate) room: String,
    /// Short name of this device, the third level of every topic. Empty: the board's serial number.
    #[serde(default, with = "optional")]
    #[schemars(with = "String", regex(pattern = NAME_OR_EMPTY), extend("x-form" = NAME_FORM))]
    pub(crate) device: Option<String>,
}

/// Kind of place a device works in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// a shop or a shopping centre
    Retail,
    /// a hotel, a restaurant, a bar
    Hospitality,
    /// a concert, a fair, a match
    Event,
    /// a museum or an exhibition
    Museum,
    /// a station, an airport, a vehicle
    Transport,
    /// a hospital, a practice, a care home
    Healthcare,
    /// a study whose subjects have agreed
    Research,
    /// a street, a square, a public building
    PublicSpace,
    /// a private home
    Home,
    /// where people work (needs a basis)
    Workplace,
    /// a school, a university, a course (needs a basis)
    Education,
    /// anything else: say what in `purpose`
    Other,
}

impl Place {
    /// Whether strangers come and go there: then nothing is said of fewer than five.
    pub(crate) fn is_public(self) -> bool {
        match self {
            Self::Retail
            | Self::Hospitality
            | Self::Event
            | Self::Museum
            | Self::Transport
            | Self::PublicSpace
            | Self::Other => true,
            Self::Healthcare | Self::Research | Self::Home | Self::Workplace | Self::Education => false,
        }
    }
}

/// Legal basis for reading emotions where that is otherwise forbidden.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Basis {
    /// none declared
    #[default]
    None,
    /// for medical reasons
    Medical,
    /// for safety reasons
    Safety,
}
