//! The TensorFlow Lite C library, loaded.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libloading::Library;

use crate::elf;
use crate::error::Error;
use crate::reporter::VaList;

/// An object of the C library.
pub(crate) type Object = *mut c_void;

/// What the library calls to say something.
pub(crate) type ReportFn = unsafe extern "C" fn(*mut c_void, *const c_char, VaList);

/// The loaded library. Cheap to clone; it stays loaded while a clone or an interpreter lives.
#[derive(Clone)]
pub struct Runtime(Arc<Api>);

/// `TfLiteXNNPackDelegateOptions` of 2.17: 32 bytes, of which only the first two fields are ours to set. It is
/// returned by value; the space behind is room to spare, since a larger struct is returned through a pointer.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct XnnpackOptions {
    pub(crate) threads: i32,
    pub(crate) flags: u32,
    /// What the library fills in of it, it fills in itself; nothing is read here.
    rest: MaybeUninit<[u64; 31]>,
}

/// Declares the functions that are taken from the library, and loads them.
macro_rules! api {
    ($($field:ident: $name:literal = fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of the C library, as its headers declare them.
        pub(crate) struct Api {
            $(pub(crate) $field: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
            /// XNNPACK, where the library was built with it.
            pub(crate) xnnpack: Option<Xnnpack>,
            version: String,
            path: PathBuf,
            // Last, so that it is dropped last.
            _library: Library,
        }

        impl Api {
            fn new(library: Library, path: &Path) -> Result<Self, Error> {
                $(let $field = symbol(&library, path, $name)?;)*
                let xnnpack = Xnnpack::new(&library, path).ok();
                Ok(Self { $($field,)* xnnpack, version: String::new(), path: path.to_owned(), _library: library })
            }
        }
    };
}

api! {
    version_text: "TfLiteVersion" = fn() -> *const c_char;
    model_create: "TfLiteModelCreateWithErrorReporter" = fn(*const c_void, usize, ReportFn, *mut c_void) -> Object;
    model_delete: "TfLiteModelDelete" = fn(Object);
    options_create: "TfLiteInterpreterOptionsCreate" = fn() -> Object;
    options_delete: "TfLiteInterpreterOptionsDelete" = fn(Object);
    options_threads: "TfLiteInterpreterOptionsSetNumThreads" = fn(Object, i32);
    options_reporter: "TfLiteInterpreterOptionsSetErrorReporter" = fn(Object, ReportFn, *mut c_void);
    options_delegate: "TfLiteInterpreterOptionsAddDelegate" = fn(Object, Object);
    interpreter_create: "TfLiteInterpreterCreate" = fn(Object, Object) -> Object;
    interpreter_delete: "TfLiteInterpreterDelete" = fn(Object);
    interpreter_allocate: "TfLiteInterpreterAllocateTensors" = fn(Object) -> c_int;
    interpreter_invoke: "TfLiteInterpreterInvoke" = fn(Object) -> c_int;
    interpreter_input: "TfLiteInterpreterGetInputTensor" = fn(Object, i32) -> Object;
    interpreter_output: "TfLiteInterpreterGetOutputTensor" = fn(Object, i32) -> Object;
    tensor_type: "TfLiteTensorType" = fn(Object) -> c_int;
    tensor_bytes: "TfLiteTensorByteSize" = fn(Object) -> usize;
    tensor_data: "TfLiteTensorData" = fn(Object) -> *mut c_void;
}

/// The functions of the XNNPACK delegate.
pub(crate) struct Xnnpack {
    pub(crate) options: unsafe extern "C" fn() -> XnnpackOptions,
    pub(crate) create: unsafe extern "C" fn(*const XnnpackOptions) -> Object,
    pub(crate) delete: unsafe extern "C" fn(Object),
}

impl Xnnpack {
    fn new(library: &Library, path: &Path) -> Result<Self, Error> {
        Ok(Self {
            options: symbol(library, path, "TfLiteXNNPackDelegateOptionsDefault")?,
            create: symbol(library, path, "TfLiteXNNPackDelegateCreate")?,
            delete: symbol(library, path, "TfLiteXNNPackDelegateDelete")?,
        })
    }
}

/// Looks a function up. `T` must be the function's type; the callers in this file take it from the headers.
fn symbol<T: Copy>(library: &Library, path: &Path, name: &str) -> Result<T, Error> {
    // SAFETY: the symbols asked for are functions whose types stand in the C headers of this version.
    let found = unsafe { library.get::<T>(name.as_bytes()) };
    found.map(|symbol| *symbol).map_err(|_| Error::Symbol {
        path: path.to_owned(),
        symbol: name.to_owned(),
    })
}

impl Runtime {
    /// Loads the library at `path`.
    ///
    /// # Errors
    /// [`Error::Library`] if it cannot be loaded, [`Error::Symbol`] if it is another library, [`Error::Version`] if
    /// it is not 2.17.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let refused = |cause: String| Error::Library {
            path: path.to_owned(),
            cause,
        };
        if !path.is_file() {
            return Err(refused("there is no such file".to_owned()));
        }
        if let Some(objection) = elf::objection(path) {
            return Err(refused(objection));
        }
        // SAFETY: loading runs the library's initialisers. The path is the operator's choice, like any program that
        // he installs; TensorFlow Lite's own initialisers have no preconditions.
        let library = unsafe { Library::new(path) }.map_err(|e| refused(e.to_string()))?;
        let mut api = Api::new(library, path)?;
        // SAFETY: the function takes nothing and returns a static string.
        api.version = unsafe { CStr::from_ptr((api.version_text)()) }
            .to_string_lossy()
            .into_owned();
        if api.version != "2.17" && !api.version.starts_with("2.17.") {
            return Err(Error::Version {
                path: path.to_owned(),
                found: api.version,
            });
        }
        Ok(Self(Arc::new(api)))
    }

    /// The library's version, such as `2.17.1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// Whether the library has XNNPACK. The armv7 build has not.
    #[must_use]
    pub fn has_xnnpack(&self) -> bool {
        self.0.xnnpack.is_some()
    }

    pub(crate) fn api(&self) -> &Api {
        &self.0
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("version", &self.0.version)
            .field("path", &self.0.path)
            .finish()
    }
}
