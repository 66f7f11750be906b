//! Delegates: what runs a graph in place of the library's own kernels, and which operators it took.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

use libloading::Library;

use crate::elf;
use crate::error::Error;
use crate::runtime::{Object, Runtime};

/// XNNPACK's flags for signed and unsigned 8-bit kernels, which are off unless asked for.
const QS8_AND_QU8: u32 = 3;

/// What shall run a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delegate {
    /// The library's own kernels.
    None,
    /// XNNPACK, with its 8-bit kernels on.
    Xnnpack,
    /// A delegate in a library of its own, such as the Edge TPU's `libedgetpu.so.1`.
    External {
        /// The library.
        library: PathBuf,
        /// Its options, such as `device` = `usb`.
        options: Vec<(String, String)>,
    },
}

/// How much of a graph a delegate runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// Operators of the graph.
    pub operators_total: usize,
    /// Operators that the delegate took.
    pub operators_delegated: usize,
    /// Into how many pieces the delegate's part falls.
    pub partitions: usize,
    /// Operators that the library's own kernels run, in order.
    pub left: Vec<String>,
}

/// A delegate that was made, and how it is unmade.
pub(crate) enum Living {
    Xnnpack {
        object: Object,
        runtime: Runtime,
    },
    External {
        object: Object,
        destroy: unsafe extern "C" fn(Object),
        _library: Library,
    },
}

/// The signature of `tflite_plugin_create_delegate`.
type PluginCreate = unsafe extern "C" fn(
    *const *const c_char,
    *const *const c_char,
    usize,
    unsafe extern "C" fn(*const c_char),
) -> Object;

impl Living {
    /// Makes a delegate; `None` if none was asked for.
    pub(crate) fn new(runtime: &Runtime, delegate: &Delegate, threads: i32) -> Result<Option<Self>, Error> {
        match delegate {
            Delegate::None => Ok(None),
            Delegate::Xnnpack => Self::xnnpack(runtime, threads).map(Some),
            Delegate::External { library, options } => Self::external(library, options).map(Some),
        }
    }

    fn xnnpack(runtime: &Runtime, threads: i32) -> Result<Self, Error> {
        let refused = |cause: &str| Error::Delegate {
            name: "xnnpack".to_owned(),
            cause: cause.to_owned(),
        };
        let Some(xnnpack) = &runtime.api().xnnpack else {
            return Err(refused(
                "this TensorFlow Lite library was built without it. Set delegate = \"none\" or \"auto\".",
            ));
        };
        // SAFETY: the options are plain data, returned by value into a struct that is at least as large.
        let mut options = unsafe { (xnnpack.options)() };
        options.threads = threads;
        options.flags |= QS8_AND_QU8;
        // SAFETY: the options are valid for the call, which copies them.
        let object = unsafe { (xnnpack.create)(&raw const options) };
        if object.is_null() {
            return Err(refused("the library did not make it."));
        }
        Ok(Self::Xnnpack {
            object,
            runtime: runtime.clone(),
        })
    }

    fn external(path: &Path, options: &[(String, String)]) -> Result<Self, Error> {
        let refused = |cause: String| Error::Delegate {
            name: path.display().to_string(),
            cause,
        };
        let unloadable = |why: String| {
            refused(format!(
                "it cannot be loaded: {why}. Install it, or correct its path."
            ))
        };
        if let Some(objection) = elf::objection(path) {
            return Err(unloadable(objection));
        }
        // SAFETY: as for the runtime itself: the operator chose this library.
        let library = unsafe { Library::new(path) }.map_err(|e| unloadable(e.to_string()))?;
        let missing = |name: &str| {
            refused(format!(
                "it has no `{name}`, so it is not a TensorFlow Lite delegate. Check its path."
            ))
        };
        const CREATE: &str = "tflite_plugin_create_delegate";
        const DESTROY: &str = "tflite_plugin_destroy_delegate";
        // SAFETY: these two functions are the interface of external delegates, with these types.
        let create = unsafe { library.get::<PluginCreate>(CREATE) }
            .map(|f| *f)
            .map_err(|_| missing(CREATE))?;
        // SAFETY: as above.
        let destroy = unsafe { library.get::<unsafe extern "C" fn(Object)>(DESTROY) }
            .map(|f| *f)
            .map_err(|_| missing(DESTROY))?;
        let text = |text: &str| {
            CString::new(text).map_err(|_| refused("an option has a zero byte in it.".to_owned()))
        };
        let keys: Vec<CString> = options
            .iter()
            .map(|(key, _)| text(key))
            .collect::<Result<_, _>>()?;
        let values: Vec<CString> = options
            .iter()
            .map(|(_, value)| text(value))
            .collect::<Result<_, _>>()?;
        let pointers = |texts: &[CString]| texts.iter().map(|t| t.as_ptr()).collect::<Vec<_>>();
        let (keys, values) = (pointers(&keys), pointers(&values));
        PLUGIN_SAID.take();
        // SAFETY: both lists have as many zero-ended strings as is said, and outlive the call.
        let object = unsafe { create(keys.as_ptr(), values.as_ptr(), keys.len(), plugin_says) };
        if object.is_null() {
            let said = PLUGIN_SAID.take().join("; ");
            let said = if said.is_empty() {
                "it did not say why".to_owned()
            } else {
                format!("it says: {said}")
            };
            return Err(refused(format!(
                "it made no delegate ({said}). The device may be absent, without permission or in use, or the library was built for another TensorFlow Lite than 2.17."
            )));
        }
        Ok(Self::External {
            object,
            destroy,
            _library: library,
        })
    }

    pub(crate) fn object(&self) -> Object {
        match self {
            Self::Xnnpack { object, .. } | Self::External { object, .. } => *object,
        }
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        match self {
            Self::Xnnpack { object, runtime } => {
                if let Some(xnnpack) = &runtime.api().xnnpack {
                    // SAFETY: it was made by `create`, is unmade once, and no interpreter has it any more.
                    unsafe { (xnnpack.delete)(*object) }
                }
            }
            // SAFETY: as above; the library is unloaded after this.
            Self::External { object, destroy, .. } => unsafe { destroy(*object) },
        }
    }
}

thread_local! {
    /// What a plugin said while it was made.
    static PLUGIN_SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// The delegate that is being applied to a graph, and what it took.
    static WATCHED: RefCell<Option<Watched>> = const { RefCell::new(None) };
}

unsafe extern "C" fn plugin_says(message: *const c_char) {
    if !message.is_null() {
        // SAFETY: the plugin passes a zero-ended string that is valid for the call.
        let text = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
        PLUGIN_SAID.with_borrow_mut(|said| said.push(text));
    }
}

/// The start of `TfLiteDelegate`, the same in all versions since 2.1.
#[repr(C)]
struct RawDelegate {
    data: *mut c_void,
    prepare: Option<PrepareFn>,
}

type PrepareFn = unsafe extern "C" fn(*mut RawContext, *mut RawDelegate) -> c_int;

/// `TfLiteIntArray`: a length, then so many values.
#[repr(C)]
struct RawIntArray {
    size: c_int,
    data: [c_int; 0],
}

/// The start of `TfLiteContext` of 2.17.
#[repr(C)]
struct RawContext {
    tensors_size: usize,
    execution_plan: unsafe extern "C" fn(*mut RawContext, *mut *mut RawIntArray) -> c_int,
    tensors: *mut c_void,
    implementation: *mut c_void,
    resize_tensor: *const c_void,
    report_error: *const c_void,
    add_tensors: *const c_void,
    node: unsafe extern "C" fn(*mut RawContext, c_int, *mut *mut RawNode, *mut *mut c_void) -> c_int,
}

/// The start of `TfLiteNode` of 2.17.
#[repr(C)]
struct RawNode {
    inputs: *mut c_void,
    outputs: *mut c_void,
    intermediates: *mut c_void,
    temporaries: *mut c_void,
    user_data: *mut c_void,
    builtin_data: *mut c_void,
    custom_initial_data: *const c_void,
    custom_initial_data_size: c_int,
    delegate: *mut RawDelegate,
}

/// What is learnt while a delegate takes its operators.
struct Watched {
    prepare: PrepareFn,
    /// Places of the operators that nobody took, and the number of pieces that the delegate took.
    plan: Option<(Vec<usize>, usize)>,
}

/// Runs `make`, in which the library applies the delegate to a graph, and watches what it takes. The C API has no
/// question for it, so the delegate's `Prepare` is replaced for the time being by one that calls it and then
/// reads the execution plan. `None` if the delegate has no `Prepare` or it was not called.
pub(crate) fn watch<T>(
    delegate: Option<&Living>,
    operators: &[String],
    make: impl FnOnce() -> T,
) -> (T, Option<Delegation>) {
    let total = operators.len();
    let Some(living) = delegate else {
        let none = Delegation {
            operators_total: total,
            operators_delegated: 0,
            partitions: 0,
            left: operators.to_vec(),
        };
        return (make(), Some(none));
    };
    let raw = living.object().cast::<RawDelegate>();
    // SAFETY: the object is a living TfLiteDelegate, made in this thread and used by nobody else yet.
    let Some(prepare) = (unsafe { (*raw).prepare }) else {
        return (make(), None);
    };
    WATCHED.set(Some(Watched { prepare, plan: None }));
    // SAFETY: as above; the replacement has the same signature and calls the original.
    unsafe { (*raw).prepare = Some(watching_prepare) };
    let made = make();
    // SAFETY: as above; the delegate lives on in its owner.
    unsafe { (*raw).prepare = Some(prepare) };
    let plan = WATCHED.take().and_then(|watched| watched.plan);
    let delegation = plan.map(|(left, partitions)| Delegation {
        operators_total: total,
        operators_delegated: total - left.len().min(total),
        partitions,
        left: left
            .iter()
            .filter_map(|place| operators.get(*place).cloned())
            .collect(),
    });
    (made, delegation)
}

/// Stands in for a delegate's `Prepare` while it is watched.
unsafe extern "C" fn watching_prepare(context: *mut RawContext, delegate: *mut RawDelegate) -> c_int {
    const ERROR: c_int = 1;
    let Some(prepare) = WATCHED.with_borrow(|watched| watched.as_ref().map(|w| w.prepare)) else {
        return ERROR;
    };
    // SAFETY: the library's own arguments, handed on to the function they were meant for.
    let status = unsafe { prepare(context, delegate) };
    if status == 0 {
        // SAFETY: the context is the library's, valid for this call, as it was for the original.
        let plan = unsafe { read_plan(context) };
        WATCHED.with_borrow_mut(|watched| {
            if let Some(watched) = watched {
                watched.plan = plan;
            }
        });
    }
    status
}

/// Reads the execution plan: operators that nobody took keep their places; what was taken is one node per piece.
///
/// # Safety
/// `context` must be the valid context of a delegate's `Prepare`, of TensorFlow Lite 2.17.
unsafe fn read_plan(context: *mut RawContext) -> Option<(Vec<usize>, usize)> {
    let mut plan = std::ptr::null_mut();
    // SAFETY: the context's own function, with a place for its result.
    let status = unsafe { ((*context).execution_plan)(context, &raw mut plan) };
    if status != 0 || plan.is_null() {
        return None;
    }
    // SAFETY: a TfLiteIntArray has `size` values right behind its length.
    let places = unsafe {
        let size = usize::try_from((*plan).size).ok()?;
        std::slice::from_raw_parts((&raw const (*plan).data).cast::<c_int>(), size).to_vec()
    };
    let (mut left, mut partitions) = (Vec::new(), 0);
    for place in places {
        let (mut node, mut registration) = (std::ptr::null_mut::<RawNode>(), std::ptr::null_mut());
        // SAFETY: the context's own function, with places for its results and a place of its own plan.
        let status = unsafe { ((*context).node)(context, place, &raw mut node, &raw mut registration) };
        if status != 0 || node.is_null() {
            return None;
        }
        // SAFETY: the node was just given and is valid for this call.
        if unsafe { (*node).delegate.is_null() } {
            left.push(usize::try_from(place).ok()?);
        } else {
            partitions += 1;
        }
    }
    Some((left, partitions))
}
