//! A look at a shared library before it is loaded: the system's loader trusts the sizes in the file, and a file
//! that was cut off while copying would end the whole process.

use std::path::Path;

use crate::regular;

/// Longest library that is looked at, in bytes.
const LONGEST: u64 = 1 << 30;

/// Why a file should not be given to the loader; `None` if nothing speaks against it.
pub(crate) fn objection(path: &Path) -> Option<String> {
    match regular::read(path, LONGEST) {
        Ok(bytes) => check(&bytes).err(),
        Err(error) => Some(error.to_string()),
    }
}

fn check(bytes: &[u8]) -> Result<(), String> {
    if !bytes.starts_with(b"\x7FELF") {
        return Err("it is not a shared library".to_owned());
    }
    let wide = bytes.get(4) == Some(&2);
    let little = bytes.get(5) == Some(&1);
    let machine = number(bytes, 18, 2)?;
    let (name, ours, ours_wide) = match std::env::consts::ARCH {
        "x86_64" => ("x86_64", 62, true),
        "aarch64" => ("aarch64", 183, true),
        "arm" => ("32-bit ARM", 40, false),
        _ => return Ok(()),
    };
    if machine != ours || wide != ours_wide || !little {
        return Err(format!(
            "it was built for another architecture than this machine's, {name}"
        ));
    }
    let (table_at, table_width, entry_at, count_at) = if wide { (32, 8, 54, 56) } else { (28, 4, 42, 44) };
    let table = number(bytes, table_at, table_width)?;
    let (entry, count) = (number(bytes, entry_at, 2)?, number(bytes, count_at, 2)?);
    for i in 0..count {
        let at = table.saturating_add(i * entry);
        let (offset, size) = if wide {
            (at + 8, at + 32)
        } else {
            (at + 4, at + 16)
        };
        let width = if wide { 8 } else { 4 };
        let end = number(bytes, offset, width)?.saturating_add(number(bytes, size, width)?);
        if end > bytes.len() {
            return Err(format!(
                "it is cut off: {} bytes of at least {end} are there",
                bytes.len()
            ));
        }
    }
    Ok(())
}

/// A little-endian number of `width` bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> Result<usize, String> {
    let field = at
        .checked_add(width)
        .and_then(|end| bytes.get(at..end))
        .ok_or("it is cut off")?;
    Ok(field.iter().rev().fold(0, |n, byte| n << 8 | usize::from(*byte)))
}
