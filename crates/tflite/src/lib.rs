//! A safe, thin binding to the TensorFlow Lite C library, loaded at run time.
//!
//! [`Runtime`] is the library, [`Model`] a file whose structure was verified before the library sees it,
//! [`Interpreter`] runs a model, through XNNPACK or an external delegate such as the Edge TPU's. Why an own
//! binding: `docs/decisions/0001-tensorflow-lite-binding.md`.
//!
//! `unsafe` is here and, in one place, in `affect-child`, and nowhere else in the project. Each block says why it is sound.
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(clippy::undocumented_unsafe_blocks)]

mod delegate;
mod elf;
mod error;
mod flatbuffer;
mod graph;
mod hushed;
mod interpreter;
mod model;
mod node;
mod operators;
pub mod regular;
mod reporter;
mod runtime;
mod tensor;
mod tensors;

pub use delegate::{Delegate, Delegation};
pub use error::Error;
pub use interpreter::{Interpreter, Options};
pub use model::Model;
pub use runtime::Runtime;
pub use tensor::{Element, ElementType, Quantisation, TensorInfo};
