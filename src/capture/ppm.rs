//! Cuts a stream of bytes into PPM pictures, as ffmpeg writes them: each has its size in its header, so nothing must be
//! known about the video beforehand.

use super::Image;

/// More pixels than this are taken for a broken stream.
const MOST_PIXELS: usize = 64_000_000;
/// A header is no longer than this.
const LONGEST_HEADER: usize = 64;

/// Takes bytes in, gives pictures out.
#[derive(Debug, Default)]
pub(super) struct Ppms {
    /// What belongs to no picture yet.
    header: Vec<u8>,
    /// The picture that is being filled.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

/// Why the bytes are no pictures, as a part of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PpmError {
    #[error("a picture of {0}×{1} px is too large")]
    TooLarge(usize, usize),
    #[error("ffmpeg wrote something that is not a picture")]
    Foreign,
}

impl Ppms {
    /// Takes in a piece and gives the pictures that it completes.
    pub(super) fn push(&mut self, mut piece: &[u8], pictures: &mut Vec<Image>) -> Result<(), PpmError> {
        while !piece.is_empty() {
            let open = match &mut self.open {
                Some(open) => open,
                None => {
                    self.header.push(piece[0]);
                    piece = &piece[1..];
                    match size(&self.header)? {
                        Some((width, height)) => {
                            self.header.clear();
                            let rgb = Vec::with_capacity(width * height * 3);
                            self.open.insert(Open { width, height, rgb })
                        }
                        None => continue,
                    }
                }
            };
            let size = open.width * open.height * 3;
            let (mine, rest) = piece.split_at(piece.len().min(size - open.rgb.len()));
            open.rgb.extend_from_slice(mine);
            piece = rest;
            if open.rgb.len() == size
                && let Some(Open { width, height, rgb }) = self.open.take()
            {
                pictures.push(Image::Rgb { width, height, rgb });
            }
        }
        Ok(())
    }

    /// Whether there are bytes of a picture that is not complete.
    pub(super) fn has_rest(&self) -> bool {
        self.open.is_some() || !self.header.is_empty()
    }
}

/// The size in a whole header: `P6`, width, height and 255, each followed by white space. `None` if it goes on.
fn size(header: &[u8]) -> Result<Option<(usize, usize)>, PpmError> {
    let text = std::str::from_utf8(header).map_err(|_| PpmError::Foreign)?;
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    match fields[..] {
        _ if header.len() > LONGEST_HEADER || !"P6".starts_with(&text[..text.len().min(2)]) => {
            Err(PpmError::Foreign)
        }
        ["P6", width, height, "255"] if text.ends_with(|c: char| c.is_ascii_whitespace()) => {
            match (width.parse::<usize>(), height.parse::<usize>()) {
                (Ok(width), Ok(height)) if width.saturating_mul(height) <= MOST_PIXELS => {
                    Ok(Some((width, height)))
                }
                (Ok(width), Ok(height)) => Err(PpmError::TooLarge(width, height)),
                _ => Err(PpmError::Foreign),
            }
        }
        _ if fields.len() > 4 => Err(PpmError::Foreign),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bytes: &[u8], piece: usize) -> Result<Vec<(usize, usize, Vec<u8>)>, PpmError> {
        let (mut ppms, mut pictures) = (Ppms::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            ppms.push(piece, &mut pictures)?;
        }
        let picture = |image| match image {
            Image::Rgb { width, height, rgb } => (width, height, rgb),
            other => panic!("{other:?}"),
        };
        Ok(pictures.into_iter().map(picture).collect())
    }

    #[test]
    fn pictures_are_cut_wherever_the_pieces_end() {
        let stream = b"P6\n2 1\n255\nabcdefP6 1 2 255\nuvwxyz";
        let expected = vec![(2, 1, b"abcdef".to_vec()), (1, 2, b"uvwxyz".to_vec())];
        for piece in [1, 2, 5, stream.len()] {
            assert_eq!(cut(stream, piece).as_ref(), Ok(&expected), "pieces of {piece}");
        }
        let mut ppms = Ppms::default();
        ppms.push(b"P6\n2 1\n255\nabc", &mut Vec::new()).unwrap();
        assert!(ppms.has_rest());
    }

    #[test]
    fn what_is_no_picture_is_refused_before_it_takes_memory() {
        assert_eq!(
            cut(b"P6\n9000 9000\n255\n", 64),
            Err(PpmError::TooLarge(9000, 9000))
        );
        for foreign in [
            &b"P5\n2 1\n255\n"[..],
            b"hello",
            b"P6\n2 1\n65535\nab",
            b"\xff\xd8",
        ] {
            assert_eq!(cut(foreign, 64), Err(PpmError::Foreign), "{foreign:?}");
        }
        assert_eq!(
            cut(&[b"P6 ", &[b'1'; 90][..]].concat(), 64),
            Err(PpmError::Foreign)
        );
    }
}
