//! Reads FlatBuffers with every access checked: offsets, bounds, alignment, and the tables' own directories.
//!
//! The C library walks the same bytes without most of these checks, so a file must pass here first.

/// What is wrong with the bytes. Becomes [`crate::Error::Corrupt`].
pub(crate) type Damage = String;

/// A table inside the bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table<'a> {
    bytes: &'a [u8],
    /// Where the table starts.
    at: usize,
    /// Its directory: one 16-bit offset per field.
    directory: &'a [u8],
    /// Size of the table in bytes.
    size: usize,
}

/// A vector of scalars of `width` bytes each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vector<'a> {
    /// The elements' bytes.
    pub(crate) bytes: &'a [u8],
    width: usize,
}

impl<'a> Vector<'a> {
    /// An empty vector, for a field that is not there.
    fn empty(width: usize) -> Self {
        Self { bytes: &[], width }
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / self.width
    }

    /// The elements as 32-bit integers; the vector must be of that width.
    pub(crate) fn i32s(&self) -> Vec<i32> {
        self.bytes
            .chunks_exact(4)
            .map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    }

    /// The elements as 32-bit floating point numbers.
    pub(crate) fn f32s(&self) -> Vec<f32> {
        self.i32s()
            .into_iter()
            .map(|bits| f32::from_bits(bits as u32))
            .collect()
    }

    /// The elements as 64-bit integers.
    pub(crate) fn i64s(&self) -> Vec<i64> {
        let eight = |b: &[u8]| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
        self.bytes.chunks_exact(8).map(eight).collect()
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(usize::from(u16::from_le_bytes([pair[0], pair[1]])))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes([four[0], four[1], four[2], four[3]])).ok()
}

impl<'a> Table<'a> {
    /// The root table.
    pub(crate) fn root(bytes: &'a [u8]) -> Result<Self, Damage> {
        let at = u32_at(bytes, 0).ok_or("it ends within its first four bytes")?;
        Self::at(bytes, at)
    }

    fn at(bytes: &'a [u8], at: usize) -> Result<Self, Damage> {
        let outside = || format!("a table at byte {at} lies outside the file");
        if !at.is_multiple_of(4) {
            return Err(format!("a table at byte {at} is not aligned"));
        }
        let back = u32_at(bytes, at).ok_or_else(outside)? as u32 as i32;
        let directory_at = i64::try_from(at).map_err(|_| outside())? - i64::from(back);
        let directory_at = usize::try_from(directory_at).map_err(|_| outside())?;
        if !directory_at.is_multiple_of(2) {
            return Err(format!("the directory of the table at byte {at} is not aligned"));
        }
        let length = u16_at(bytes, directory_at).ok_or_else(outside)?;
        let size = u16_at(bytes, directory_at + 2).ok_or_else(outside)?;
        if length < 4 || !length.is_multiple_of(2) || size < 4 {
            return Err(format!("the table at byte {at} has a broken directory"));
        }
        let directory = bytes
            .get(directory_at + 4..directory_at + length)
            .ok_or_else(outside)?;
        if bytes.len() - at < size {
            return Err(outside());
        }
        Ok(Self {
            bytes,
            at,
            directory,
            size,
        })
    }

    /// Where the field's `width` bytes are; `None` if the field is not there.
    fn field(&self, field: usize, width: usize) -> Result<Option<usize>, Damage> {
        let offset = u16_at(self.directory, field * 2).unwrap_or(0);
        if offset == 0 {
            return Ok(None);
        }
        let at = self.at + offset;
        if offset < 4 || offset + width > self.size || !at.is_multiple_of(width) {
            return Err(format!(
                "field {field} of the table at byte {} lies outside it",
                self.at
            ));
        }
        Ok(Some(at))
    }

    /// Whether the field is there.
    pub(crate) fn has(&self, field: usize) -> Result<bool, Damage> {
        Ok(self.field(field, 1)?.is_some())
    }

    /// An 8-bit field, 0 if absent.
    pub(crate) fn u8(&self, field: usize) -> Result<u8, Damage> {
        Ok(self.field(field, 1)?.map_or(0, |at| self.bytes[at]))
    }

    /// A 32-bit signed field.
    pub(crate) fn i32(&self, field: usize, absent: i32) -> Result<i32, Damage> {
        let read = |at| u32_at(self.bytes, at).map_or(absent, |v| v as u32 as i32);
        Ok(self.field(field, 4)?.map_or(absent, read))
    }

    /// A 32-bit unsigned field, 0 if absent.
    pub(crate) fn u32(&self, field: usize) -> Result<u32, Damage> {
        Ok(self.i32(field, 0)? as u32)
    }

    /// A 32-bit floating point field, 0 if absent.
    pub(crate) fn f32(&self, field: usize) -> Result<f32, Damage> {
        Ok(f32::from_bits(self.u32(field)?))
    }

    /// A 64-bit field, 0 if absent.
    pub(crate) fn u64(&self, field: usize) -> Result<u64, Damage> {
        let Some(at) = self.field(field, 8)? else {
            return Ok(0);
        };
        let (low, high) = (u32_at(self.bytes, at), u32_at(self.bytes, at + 4));
        Ok(low.unwrap_or(0) as u64 | ((high.unwrap_or(0) as u64) << 32))
    }

    /// Where the field's offset leads.
    fn target(&self, field: usize) -> Result<Option<usize>, Damage> {
        let Some(at) = self.field(field, 4)? else {
            return Ok(None);
        };
        let target = u32_at(self.bytes, at).and_then(|offset| at.checked_add(offset));
        match target {
            Some(target) if target > at && target < self.bytes.len() => Ok(Some(target)),
            _ => Err(format!(
                "field {field} of the table at byte {} leads outside the file",
                self.at
            )),
        }
    }

    /// A table field.
    pub(crate) fn table(&self, field: usize) -> Result<Option<Self>, Damage> {
        self.target(field)?.map(|at| Self::at(self.bytes, at)).transpose()
    }

    /// A vector of scalars of `width` bytes; empty if absent.
    pub(crate) fn vector(&self, field: usize, width: usize) -> Result<Vector<'a>, Damage> {
        match self.target(field)? {
            Some(at) => self.vector_at(at, width),
            None => Ok(Vector::empty(width)),
        }
    }

    fn vector_at(&self, at: usize, width: usize) -> Result<Vector<'a>, Damage> {
        let outside = || format!("a vector at byte {at} lies outside the file");
        if !at.is_multiple_of(4) || !(at + 4).is_multiple_of(width) {
            return Err(format!("a vector at byte {at} is not aligned"));
        }
        let length = u32_at(self.bytes, at).ok_or_else(outside)?;
        let end = length
            .checked_mul(width)
            .and_then(|size| size.checked_add(at + 4))
            .ok_or_else(outside)?;
        let bytes = self.bytes.get(at + 4..end).ok_or_else(outside)?;
        Ok(Vector { bytes, width })
    }

    /// A vector of tables; empty if absent.
    pub(crate) fn tables(&self, field: usize) -> Result<Vec<Self>, Damage> {
        let Some(at) = self.target(field)? else {
            return Ok(Vec::new());
        };
        let offsets = self.vector_at(at, 4)?;
        let table = |i: usize| {
            let from = at + 4 + i * 4;
            let to = u32_at(self.bytes, from).and_then(|offset| from.checked_add(offset));
            Self::at(self.bytes, to.ok_or("a table lies outside the file")?)
        };
        (0..offsets.len()).map(table).collect()
    }

    /// A string; `None` if absent. It must be followed by a zero byte, since the C library counts on that.
    pub(crate) fn string(&self, field: usize) -> Result<Option<&'a str>, Damage> {
        let Some(at) = self.target(field)? else {
            return Ok(None);
        };
        let text = self.vector_at(at, 1)?.bytes;
        if self.bytes.get(at + 4 + text.len()) != Some(&0) {
            return Err(format!("the string at byte {at} does not end"));
        }
        match std::str::from_utf8(text) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(format!("the string at byte {at} is not text")),
        }
    }
}
