//! Runs a model.

use std::fmt;
use std::marker::PhantomData;

use crate::delegate::{Delegate, Delegation, Living, watch};
use crate::error::Error;
use crate::hushed::hushed;
use crate::model::Model;
use crate::reporter::{Reporter, report};
use crate::runtime::{Object, Runtime};
use crate::tensor::{Element, ElementType, TensorInfo};

/// How a model shall be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Threads, at least 1. One, or one less than the cores: XNNPACK's pool spins when all are busy.
    pub threads: u32,
    /// What runs the graph.
    pub delegate: Delegate,
}

/// An interpreter with its tensors allocated. It may move between threads, but is used by one at a time.
pub struct Interpreter {
    // In the order in which they must be dropped: what uses comes before what is used.
    object: Handle,
    _delegate: Option<Living>,
    _c_model: Handle,
    model: Model,
    reporter: Box<Reporter>,
    delegation: Option<Delegation>,
    runtime: Runtime,
    _not_sync: PhantomData<*const ()>,
}

// SAFETY: the C interpreter, its delegate and its model have no ties to the thread that made them; `PhantomData`
// above keeps the type from being shared between threads at the same time.
unsafe impl Send for Interpreter {}

/// An object of the C library and the function that deletes it.
struct Handle {
    object: Object,
    delete: unsafe extern "C" fn(Object),
    /// The function lives in the library.
    _runtime: Runtime,
}

impl Handle {
    /// Takes an object that the library has just made; `None` for null.
    fn new(object: Object, delete: unsafe extern "C" fn(Object), runtime: &Runtime) -> Option<Self> {
        (!object.is_null()).then(|| Self {
            object,
            delete,
            _runtime: runtime.clone(),
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the object came from the library with this function to delete it, and is deleted once.
        unsafe { (self.delete)(self.object) }
    }
}

impl Interpreter {
    /// Makes an interpreter for a model and allocates its tensors.
    ///
    /// # Errors
    /// [`Error::Delegate`] if the delegate cannot be made; [`Error::Refused`], with the library's own words, if it
    /// refuses the model, the delegate or the memory.
    pub fn new(runtime: &Runtime, model: &Model, options: &Options) -> Result<Self, Error> {
        match options.delegate {
            // It may crash, and then what it said before is all that is known.
            Delegate::External { .. } => Self::made(runtime, model, options),
            Delegate::None | Delegate::Xnnpack => hushed(|| Self::made(runtime, model, options)),
        }
    }

    fn made(runtime: &Runtime, model: &Model, options: &Options) -> Result<Self, Error> {
        let api = runtime.api();
        let reporter = Box::<Reporter>::default();
        let refused = |action| Error::Refused {
            action,
            said: reporter.take(),
        };
        let bytes = model.bytes();
        // SAFETY: the bytes are a verified model; they and the reporter outlive the C model, which are dropped
        // after it in `Interpreter`.
        let c_model =
            unsafe { (api.model_create)(bytes.as_ptr().cast(), bytes.len(), report, reporter.address()) };
        let c_model =
            Handle::new(c_model, api.model_delete, runtime).ok_or_else(|| refused("read the model"))?;
        let threads = i32::try_from(options.threads.clamp(1, 64)).unwrap_or(1);
        let delegate = Living::new(runtime, &options.delegate, threads)?;
        // SAFETY: takes nothing.
        let c_options = unsafe { (api.options_create)() };
        let c_options = Handle::new(c_options, api.options_delete, runtime)
            .ok_or_else(|| refused("make the interpreter's options"))?;
        // SAFETY: the options are valid; reporter and delegate outlive the interpreter, which is dropped first.
        unsafe {
            (api.options_threads)(c_options.object, threads);
            (api.options_reporter)(c_options.object, report, reporter.address());
            if let Some(delegate) = &delegate {
                (api.options_delegate)(c_options.object, delegate.object());
            }
        }
        let (object, delegation) = watch(delegate.as_ref(), model.operators(), || {
            // SAFETY: model and options are valid.
            unsafe { (api.interpreter_create)(c_model.object, c_options.object) }
        });
        let object = Handle::new(object, api.interpreter_delete, runtime)
            .ok_or_else(|| refused("make an interpreter for the model"))?;
        // SAFETY: the interpreter is valid.
        if unsafe { (api.interpreter_allocate)(object.object) } != 0 {
            return Err(refused("allocate the model's tensors"));
        }
        let interpreter = Self {
            object,
            _delegate: delegate,
            _c_model: c_model,
            model: model.clone(),
            reporter,
            delegation,
            runtime: runtime.clone(),
            _not_sync: PhantomData,
        };
        interpreter.check_tensors()?;
        Ok(interpreter)
    }

    /// The library's inputs and outputs are those of the file.
    fn check_tensors(&self) -> Result<(), Error> {
        let places = [("input", self.inputs()), ("output", self.outputs())];
        for (place, infos) in places {
            for (i, info) in infos.iter().enumerate() {
                let wanted = info.len() * info.element.size();
                let (element, bytes) = self
                    .tensor(place, i)
                    .map_or((None, 0), |tensor| self.measure(tensor));
                if element != Some(info.element) || bytes != wanted {
                    let found = format!("the library has {bytes} bytes of {element:?} for it");
                    return Err(Error::Tensor {
                        place,
                        index: i,
                        wanted: info.element,
                        length: info.len(),
                        found,
                    });
                }
            }
        }
        Ok(())
    }

    /// The inputs, in the file's order.
    #[must_use]
    pub fn inputs(&self) -> &[TensorInfo] {
        self.model.inputs()
    }

    /// The outputs, in the file's order.
    #[must_use]
    pub fn outputs(&self) -> &[TensorInfo] {
        self.model.outputs()
    }

    /// Which operators the delegate took; `None` if the delegate does not let itself be watched.
    #[must_use]
    pub fn delegation(&self) -> Option<&Delegation> {
        self.delegation.as_ref()
    }

    /// The elements of an input, to be written before [`Interpreter::invoke`].
    ///
    /// # Errors
    /// [`Error::Tensor`] if there is no such input, or it has another type.
    pub fn input_mut<T: Element>(&mut self, index: usize) -> Result<&mut [T], Error> {
        let (data, length) = self.elements::<T>("input", self.inputs(), index)?;
        // SAFETY: `elements` gives the tensor's own memory with its length; `&mut self` keeps everybody else away.
        Ok(unsafe { std::slice::from_raw_parts_mut(data, length) })
    }

    /// The elements of an output, as of the last [`Interpreter::invoke`].
    ///
    /// # Errors
    /// [`Error::Tensor`] if there is no such output, or it has another type.
    pub fn output<T: Element>(&self, index: usize) -> Result<&[T], Error> {
        let (data, length) = self.elements::<T>("output", self.outputs(), index)?;
        // SAFETY: as above; the library writes to it only in `invoke`, which needs `&mut self`.
        Ok(unsafe { std::slice::from_raw_parts(data, length) })
    }

    /// Copies an output as real numbers into a slice of its length.
    ///
    /// # Errors
    /// [`Error::Tensor`] if there is no such output, it has another length, or a type that is not read.
    pub fn read_output(&self, index: usize, into: &mut [f32]) -> Result<(), Error> {
        let info = self.outputs().get(index);
        if info.is_none_or(|info| info.len() != into.len()) {
            return Err(missing(
                "output",
                self.outputs(),
                index,
                ElementType::Float32,
                into.len(),
            ));
        }
        let quantisation = info.and_then(|info| info.quantisation);
        let (scale, zero) = quantisation.map_or((1.0, 0), |q| (q.scale, q.zero_point));
        match info.map(|info| info.element) {
            Some(ElementType::Int8) => {
                let stored = self.output::<i8>(index)?.iter();
                into.iter_mut()
                    .zip(stored)
                    .for_each(|(v, s)| *v = scale * (i32::from(*s) - zero) as f32);
            }
            Some(ElementType::Uint8) => {
                let stored = self.output::<u8>(index)?.iter();
                into.iter_mut()
                    .zip(stored)
                    .for_each(|(v, s)| *v = scale * (i32::from(*s) - zero) as f32);
            }
            _ => into.copy_from_slice(self.output::<f32>(index)?),
        }
        Ok(())
    }

    /// Runs the model on its inputs.
    ///
    /// # Errors
    /// [`Error::Refused`], with the library's own words.
    pub fn invoke(&mut self) -> Result<(), Error> {
        // SAFETY: the interpreter is valid and its tensors are allocated.
        match unsafe { (self.runtime.api().interpreter_invoke)(self.object.object) } {
            0 => Ok(()),
            _ => Err(Error::Refused {
                action: "run the model",
                said: self.reporter.take(),
            }),
        }
    }

    fn tensor(&self, place: &'static str, index: usize) -> Option<Object> {
        let api = self.runtime.api();
        let get = if place == "input" {
            api.interpreter_input
        } else {
            api.interpreter_output
        };
        // SAFETY: the callers have checked the index against the model's own list.
        let tensor = unsafe { get(self.object.object, i32::try_from(index).ok()?) };
        (!tensor.is_null()).then_some(tensor)
    }

    /// Type and size in bytes of a tensor.
    fn measure(&self, tensor: Object) -> (Option<ElementType>, usize) {
        let api = self.runtime.api();
        // SAFETY: the tensor belongs to this interpreter.
        unsafe {
            (
                ElementType::from_c_code((api.tensor_type)(tensor)),
                (api.tensor_bytes)(tensor),
            )
        }
    }

    /// Memory and length of a tensor. Asked anew each time: XNNPACK moves tensors at the first run.
    fn elements<T: Element>(
        &self,
        place: &'static str,
        infos: &[TensorInfo],
        index: usize,
    ) -> Result<(*mut T, usize), Error> {
        let fits = infos.get(index).filter(|info| info.element == T::TYPE);
        let tensor = fits.and_then(|_| self.tensor(place, index));
        let (Some(info), Some(tensor)) = (fits, tensor) else {
            return Err(missing(place, infos, index, T::TYPE, 0));
        };
        // SAFETY: the tensor belongs to this interpreter, whose tensors are allocated.
        let data = unsafe { (self.runtime.api().tensor_data)(tensor) }.cast::<T>();
        if data.is_null() || !data.is_aligned() || self.measure(tensor).1 != info.len() * size_of::<T>() {
            return Err(missing(place, infos, index, T::TYPE, info.len()));
        }
        Ok((data, info.len()))
    }
}

fn missing(
    place: &'static str,
    infos: &[TensorInfo],
    index: usize,
    wanted: ElementType,
    length: usize,
) -> Error {
    let found = match infos.get(index) {
        Some(info) => format!(
            "{place} {index} is `{}`, {:?} {:?}",
            info.name, info.element, info.shape
        ),
        None => format!("it has {} {place}s", infos.len()),
    };
    Error::Tensor {
        place,
        index,
        wanted,
        length,
        found,
    }
}

impl fmt::Debug for Interpreter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Interpreter");
        out.field("model", &self.model)
            .field("delegation", &self.delegation)
            .finish_non_exhaustive()
    }
}
