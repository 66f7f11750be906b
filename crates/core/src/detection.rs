//! From the raw heads of a YuNet detector to faces: decode, threshold, non-maximum suppression.

use crate::geometry::Rect;

/// Strides of YuNet's three feature maps, in pixels of its input.
pub const STRIDES: [usize; 3] = [8, 16, 32];

/// A face that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// Box without margin, in pixels of the picture.
    pub rect: Rect,
    /// Confidence, 0..=1.
    pub score: f32,
    /// Eyes, nose tip and corners of the mouth, right before left, in pixels.
    pub landmarks: [[f32; 2]; 5],
}

/// The four heads at one stride, dequantised, one row per cell of the feature map, rows from the top.
#[derive(Debug, Clone, Copy)]
pub struct Heads<'a> {
    /// Pixels per cell.
    pub stride: usize,
    /// Face probability, 1 per cell.
    pub cls: &'a [f32],
    /// Objectness, 1 per cell.
    pub obj: &'a [f32],
    /// Centre offset and log size in cells, 4 per cell.
    pub bbox: &'a [f32],
    /// Landmark offsets in cells, 10 per cell.
    pub kps: &'a [f32],
}

impl Heads<'_> {
    /// Appends the faces with a score of at least `threshold`. `width` is the input's width in pixels;
    /// `scale` is pixels of the input per pixel of the picture.
    pub fn decode(&self, width: usize, scale: f32, threshold: f32, faces: &mut Vec<Face>) {
        let columns = width / self.stride;
        let cells = self
            .cls
            .iter()
            .zip(self.obj)
            .zip(self.bbox.chunks_exact(4).zip(self.kps.chunks_exact(10)));
        for (cell, ((cls, obj), (bbox, kps))) in cells.enumerate() {
            let score = (cls.clamp(0.0, 1.0) * obj.clamp(0.0, 1.0)).sqrt();
            // A broken network gives no numbers, which are no faces either.
            if score.is_nan() || score < threshold {
                continue;
            }
            let to_pixels = self.stride as f32 / scale;
            let (column, row) = ((cell % columns) as f32, (cell / columns) as f32);
            let (w, h) = (bbox[2].exp() * to_pixels, bbox[3].exp() * to_pixels);
            let rect = Rect {
                x: (column + bbox[0]) * to_pixels - w / 2.0,
                y: (row + bbox[1]) * to_pixels - h / 2.0,
                w,
                h,
            };
            let landmarks = std::array::from_fn(|i| {
                [
                    (column + kps[2 * i]) * to_pixels,
                    (row + kps[2 * i + 1]) * to_pixels,
                ]
            });
            faces.push(Face {
                rect,
                score,
                landmarks,
            });
        }
    }
}

/// Keeps the best of every group of faces that overlap by more than `iou`, best score first.
pub fn suppress_overlaps(faces: &mut Vec<Face>, iou: f32) {
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept = 0;
    for next in 0..faces.len() {
        let face = faces[next];
        if faces[..kept]
            .iter()
            .all(|better| better.rect.iou(&face.rect) <= iou)
        {
            faces[kept] = face;
            kept += 1;
        }
    }
    faces.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_decodes_to_its_face() {
        // 4×2 cells of stride 8; the face is in column 1 of row 1, half a cell right, 3×2 cells large.
        let (mut cls, mut obj) = ([0.0; 8], [0.0; 8]);
        let (mut bbox, mut kps) = ([0.0; 32], [0.0; 80]);
        (cls[5], obj[5]) = (0.81, 1.2); // objectness over 1 is cut
        bbox[20..24].copy_from_slice(&[0.5, 0.0, 3f32.ln(), 2f32.ln()]);
        kps[50..52].copy_from_slice(&[0.25, -0.25]);
        let heads = Heads {
            stride: 8,
            cls: &cls,
            obj: &obj,
            bbox: &bbox,
            kps: &kps,
        };
        let mut faces = Vec::new();
        heads.decode(32, 0.5, 0.6, &mut faces);
        assert_eq!(faces.len(), 1);
        let face = faces[0];
        assert!((face.score - 0.9).abs() < 1e-6);
        // Centre (1.5, 1) cells = (12, 8) px of the input = (24, 16) px of the picture.
        let close = |a: f32, b: f32| assert!((a - b).abs() < 1e-4, "{a} is not {b}");
        close(face.rect.x, 24.0 - 24.0);
        close(face.rect.y, 16.0 - 16.0);
        close(face.rect.w, 48.0);
        close(face.rect.h, 32.0);
        close(face.landmarks[0][0], 20.0);
        close(face.landmarks[0][1], 12.0);
        heads.decode(32, 0.5, 0.91, &mut faces);
        assert_eq!(faces.len(), 1, "nothing above the higher threshold");
        let broken = [f32::NAN; 8];
        let heads = Heads {
            cls: &broken,
            ..heads
        };
        heads.decode(32, 0.5, 0.1, &mut faces);
        assert_eq!(faces.len(), 1, "what is no number is no face");
    }

    #[test]
    fn the_better_of_two_overlapping_faces_stays() {
        let face = |x: f32, score: f32| Face {
            rect: Rect {
                x,
                y: 0.0,
                w: 10.0,
                h: 10.0,
            },
            score,
            landmarks: [[0.0; 2]; 5],
        };
        let mut faces = vec![face(0.0, 0.7), face(1.0, 0.9), face(30.0, 0.6), face(2.0, 0.8)];
        suppress_overlaps(&mut faces, 0.3);
        assert_eq!(faces, vec![face(1.0, 0.9), face(30.0, 0.6)]);
    }
}
