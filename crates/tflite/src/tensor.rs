//! Tensors as the outside sees them: name, shape, type, quantisation, and typed elements.

/// Type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ElementType {
    /// 32-bit floating point.
    Float32,
    /// 16-bit floating point.
    Float16,
    /// 32-bit signed integer.
    Int32,
    /// 8-bit unsigned integer.
    Uint8,
    /// 64-bit signed integer.
    Int64,
    /// One byte, true or false.
    Bool,
    /// 16-bit signed integer.
    Int16,
    /// 8-bit signed integer.
    Int8,
}

impl ElementType {
    /// Bytes of one element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::Int8 | Self::Uint8 => 1,
            Self::Float16 | Self::Int16 => 2,
            Self::Float32 | Self::Int32 => 4,
            Self::Int64 => 8,
        }
    }

    /// By the number in the C library, which differs from the file format's for floats.
    pub(crate) fn from_c_code(code: i32) -> Option<Self> {
        match code {
            1 => Some(Self::Float32),
            10 => Some(Self::Float16),
            0 => None,
            other => Self::from_code(other),
        }
    }

    /// By the number in the file format.
    pub(crate) fn from_code(code: i32) -> Option<Self> {
        Some(match code {
            0 => Self::Float32,
            1 => Self::Float16,
            2 => Self::Int32,
            3 => Self::Uint8,
            4 => Self::Int64,
            6 => Self::Bool,
            7 => Self::Int16,
            9 => Self::Int8,
            _ => return None,
        })
    }
}

/// Affine quantisation of a whole tensor: real = scale · (stored − zero_point).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantisation {
    /// Greater than 0.
    pub scale: f32,
    /// The stored value of the real 0.
    pub zero_point: i32,
}

/// What is known of an input or output.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorInfo {
    /// Name in the file.
    pub name: String,
    /// Shape, batch first.
    pub shape: Vec<usize>,
    /// Type of one element.
    pub element: ElementType,
    /// For quantised tensors.
    pub quantisation: Option<Quantisation>,
}

impl TensorInfo {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for i8 {}
    impl Sealed for u8 {}
}

/// A type in which tensor elements can be read and written. Any bit pattern is a valid value of it.
pub trait Element: Copy + sealed::Sealed {
    /// The element type of such tensors.
    const TYPE: ElementType;
}

impl Element for f32 {
    const TYPE: ElementType = ElementType::Float32;
}

impl Element for i8 {
    const TYPE: ElementType = ElementType::Int8;
}

impl Element for u8 {
    const TYPE: ElementType = ElementType::Uint8;
}
