//! What runs each network: the Edge TPU where it is wanted and has shown that it works, else the processor.
//!
//! An Edge TPU that is not well, or whose library was built for another TensorFlow Lite, can crash or hang whoever uses
//! it. So it is first tried in a process of its own ([`trial`]), and the daemon's first minutes with it are counted
//! ([`probation`]). Whatever it fails at, the networks then run on the processor, and the device's info says why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use affect_core::report::ModelInfo;
use affect_tflite::{Delegate, Delegation, Interpreter, Model, Options, Runtime};
use affect_vision::{LoadedModel, ModelError};
use serde::{Deserialize, Serialize};

use crate::config;
use crate::place;

mod probation;
mod trial;

pub(crate) use probation::{Failures, Probation};
pub(crate) use trial::{Request, perform};

/// What a delegate took of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Share {
    /// Operators of the network.
    total: u32,
    /// Operators that the delegate took; `None` if it does not let itself be watched.
    taken: Option<u32>,
    /// The kinds of operators that it took, and how many of each.
    kinds: BTreeMap<String, u32>,
}

impl Share {
    fn new(operators: &[String], delegation: Option<&Delegation>) -> Self {
        let mut kinds = BTreeMap::<String, u32>::new();
        if let Some(delegation) = delegation {
            for name in operators {
                *kinds.entry(name.clone()).or_default() += 1;
            }
            for name in &delegation.left {
                kinds.entry(name.clone()).and_modify(|count| *count -= 1);
            }
            kinds.retain(|_, count| *count > 0);
        }
        Self {
            total: operators.len() as u32,
            taken: delegation.map(|delegation| delegation.operators_delegated as u32),
            kinds,
        }
    }
}

/// A network and what runs it.
#[derive(Debug)]
pub(crate) struct Network {
    /// With the file for this delegate.
    pub(crate) model: LoadedModel,
    delegate: Delegate,
    share: Share,
    /// Why it does not run on the Edge TPU, if it should.
    fallback: Option<String>,
}

impl Network {
    /// How it is run on `threads` threads of the processor.
    pub(crate) fn options(&self, threads: u32) -> Options {
        Options {
            threads,
            delegate: self.delegate.clone(),
        }
    }

    /// Whether it runs on the Edge TPU.
    pub(crate) fn is_on_edge_tpu(&self) -> bool {
        matches!(self.delegate, Delegate::External { .. })
    }

    /// What is published about it.
    pub(crate) fn info(&self) -> ModelInfo {
        let delegate = match self.delegate {
            Delegate::None => "none",
            Delegate::Xnnpack => "xnnpack",
            Delegate::External { .. } => "edgetpu",
        };
        ModelInfo {
            id: self.model.manifest.id.clone(),
            sha256: self.model.sha256.clone(),
            stand_in: self.model.manifest.stand_in,
            delegate: delegate.to_owned(),
            operators: self.share.total,
            operators_delegated: self.share.taken,
            operators_taken: self.share.kinds.clone(),
            fallback: self.fallback.clone(),
        }
    }
}

/// Why there is nothing to run a network on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChoiceError {
    /// No interpreter on the processor.
    #[error(transparent)]
    Processor(#[from] affect_tflite::Error),
    /// The model's file for the Edge TPU is not what its manifest says.
    #[error(transparent)]
    Compiled(#[from] ModelError),
}

/// Chooses what runs each network.
pub(crate) struct Chooser<'a> {
    pub(crate) config: &'a config::Model,
    pub(crate) runtime: &'a Runtime,
    /// Where the TensorFlow Lite library is.
    pub(crate) runtime_path: &'a Path,
    /// How often the daemon failed with the Edge TPU.
    pub(crate) failures: Failures,
}

impl Chooser<'_> {
    /// Chooses for a model, which comes with its file for the processor.
    ///
    /// # Errors
    /// [`ChoiceError`] if it cannot be run even on the processor, or if its file for the Edge TPU is needed and wrong.
    pub(crate) fn network(&self, model: LoadedModel) -> Result<Network, ChoiceError> {
        let fallback = match self.candidate(&model)? {
            Candidate::Ready(library, compiled) => match self.tried(&library, &compiled) {
                Ok(share) => {
                    return Ok(Network {
                        model: *compiled,
                        delegate: external(&library),
                        share,
                        fallback: None,
                    });
                }
                Err(why) => Some(why),
            },
            Candidate::Missing(why) => Some(why),
            Candidate::Unasked => None,
        };
        if let Some(why) = &fallback {
            log::warn!("`{}` runs on the processor: {why}", model.manifest.id);
        }
        self.on_processor(model, fallback)
    }

    /// Whether there is an Edge TPU to be tried with this model.
    fn candidate(&self, model: &LoadedModel) -> Result<Candidate, ModelError> {
        let asked = match self.config.delegate {
            config::Delegate::None | config::Delegate::Xnnpack => return Ok(Candidate::Unasked),
            config::Delegate::Auto => false,
            config::Delegate::Edgetpu => true,
        };
        // What is missing matters to whoever asked for the Edge TPU by name.
        let missing = |why: String| match asked {
            true => Candidate::Missing(why),
            false => Candidate::Unasked,
        };
        let library = match place::edge_tpu_library(self.config.delegate_library.as_deref()) {
            Ok(library) => library,
            Err(error) => return Ok(missing(error.to_string())),
        };
        Ok(match model.for_edge_tpu().transpose()? {
            Some(compiled) => Candidate::Ready(library, Box::new(compiled)),
            None => missing(
                "its manifest names no file for the Edge TPU ([edge_tpu] file and sha256): compile one, or use delegate = \"auto\"."
                    .to_owned(),
            ),
        })
    }

    /// Tries the Edge TPU; gives what it takes, or why it is not to be used.
    fn tried(&self, library: &Path, compiled: &LoadedModel) -> Result<Share, String> {
        if let Some(why) = self.failures.forbid() {
            return Err(why);
        }
        let request = Request {
            runtime: self.runtime_path.to_owned(),
            library: library.to_owned(),
            model: compiled.folder.clone(),
        };
        let result = request
            .run(self.config.delegate_timeout)
            .map_err(|e| e.to_string())?;
        if result.share.taken == Some(0) {
            return Err(
                "The Edge TPU takes none of the operators of the model's file for it: that file was not made by the Edge TPU compiler. Compile it, or take [edge_tpu] out of the manifest."
                    .to_owned(),
            );
        }
        log::info!(
            "The Edge TPU was tried on `{}`: it takes {} of {} operators; its output has the SHA-256 {}.",
            compiled.manifest.id,
            result
                .share
                .taken
                .map_or_else(|| "an unknown number".to_owned(), |n| n.to_string()),
            result.share.total,
            result.output_sha256
        );
        Ok(result.share)
    }

    /// XNNPACK; where the library lacks it (armv7) and it was not asked for by name, the library's own kernels, which
    /// is said.
    fn on_processor(&self, model: LoadedModel, fallback: Option<String>) -> Result<Network, ChoiceError> {
        let (delegate, interpreter) = match self.config.delegate {
            config::Delegate::None => with(self.runtime, &model.file, Delegate::None)?,
            config::Delegate::Xnnpack => with(self.runtime, &model.file, Delegate::Xnnpack)?,
            config::Delegate::Auto | config::Delegate::Edgetpu => usual(self.runtime, &model.file)?,
        };
        let share = Share::new(model.file.operators(), interpreter.delegation());
        Ok(Network {
            model,
            delegate,
            share,
            fallback,
        })
    }
}

/// XNNPACK where it runs, and the library's own kernels elsewhere (armv7), which is said.
pub(crate) fn usual(
    runtime: &Runtime,
    file: &Model,
) -> Result<(Delegate, Interpreter), affect_tflite::Error> {
    with(runtime, file, Delegate::Xnnpack).or_else(|error| {
        log::warn!("XNNPACK does not run here, so the library's own kernels do, which are slower: {error}");
        with(runtime, file, Delegate::None)
    })
}

/// On this delegate, one thread.
pub(crate) fn with(
    runtime: &Runtime,
    file: &Model,
    delegate: Delegate,
) -> Result<(Delegate, Interpreter), affect_tflite::Error> {
    let options = Options {
        threads: 1,
        delegate: delegate.clone(),
    };
    Ok((delegate, Interpreter::new(runtime, file, &options)?))
}

/// What speaks for the Edge TPU.
enum Candidate {
    /// Nobody asked for it, or nothing is there and nobody insists.
    Unasked,
    /// It was asked for, but something is missing.
    Missing(String),
    /// Its library, and the model with the file for it.
    Ready(PathBuf, Box<LoadedModel>),
}

fn external(library: &Path) -> Delegate {
    Delegate::External {
        library: library.to_owned(),
        options: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_what_was_not_left() {
        let operators = ["CONV_2D", "CONV_2D", "SOFTMAX"].map(str::to_owned);
        let delegation = Delegation {
            operators_total: 3,
            operators_delegated: 1,
            partitions: 1,
            left: vec!["CONV_2D".to_owned(), "SOFTMAX".to_owned()],
        };
        let share = Share::new(&operators, Some(&delegation));
        assert_eq!((share.total, share.taken), (3, Some(1)));
        assert_eq!(share.kinds, BTreeMap::from([("CONV_2D".to_owned(), 1)]));
        let unwatched = Share::new(&operators, None);
        assert_eq!((unwatched.taken, unwatched.kinds.len()), (None, 0));
    }
}
