//! Boxes and polygons in an image. Pixels grow to the right and down from the top left corner.

/// Boxes that share more of the smaller one are one face, whatever the detector is told.
pub(crate) const SAME_FACE: f32 = 0.3;

/// An axis-parallel box in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rect {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

impl Rect {
    /// The box that spans a whole image.
    #[must_use]
    pub fn of_image(width: usize, height: usize) -> Self {
        Self {
            x: 0.0,
            y: 0.0,
            w: width as f32,
            h: height as f32,
        }
    }

    /// The area in square pixels; 0 for an empty or inverted box.
    #[must_use]
    pub fn area(&self) -> f32 {
        self.w.max(0.0) * self.h.max(0.0)
    }

    /// The length of the shorter side.
    #[must_use]
    pub fn short_side(&self) -> f32 {
        self.w.min(self.h)
    }

    /// The middle of the box.
    #[must_use]
    pub fn centre(&self) -> (f32, f32) {
        (self.x + self.w / 2.0, self.y + self.h / 2.0)
    }

    /// The part of the box inside an image of `width` × `height`; `None` if less than one pixel is left
    /// on either side, or if a coordinate is not a number.
    #[must_use]
    pub fn clipped(&self, width: usize, height: usize) -> Option<Self> {
        let (left, top) = (self.x.max(0.0), self.y.max(0.0));
        let right = (self.x + self.w).min(width as f32);
        let bottom = (self.y + self.h).min(height as f32);
        let part = Self {
            x: left,
            y: top,
            w: right - left,
            h: bottom - top,
        };
        let whole = self.x.is_finite() && self.y.is_finite();
        (whole && part.w >= 1.0 && part.h >= 1.0).then_some(part)
    }

    /// Intersection over union with another box, 0..=1.
    #[must_use]
    pub fn iou(&self, other: &Self) -> f32 {
        let common = self.common(other);
        let union = self.area() + other.area() - common;
        if union > 0.0 { common / union } else { 0.0 }
    }

    /// How far the middles of both boxes lie apart.
    #[must_use]
    pub fn distance(&self, other: &Self) -> f32 {
        let ((x0, y0), (x1, y1)) = (self.centre(), other.centre());
        (x0 - x1).hypot(y0 - y1)
    }

    /// The part of the smaller box that the other one covers, 0..=1; 0 for an empty box.
    #[must_use]
    pub fn covered_part(&self, other: &Self) -> f32 {
        let smaller = self.area().min(other.area());
        if smaller > 0.0 {
            self.common(other) / smaller
        } else {
            0.0
        }
    }

    /// The area that both boxes cover.
    fn common(&self, other: &Self) -> f32 {
        let w = (self.x + self.w).min(other.x + other.w) - self.x.max(other.x);
        let h = (self.y + self.h).min(other.y + other.h) - self.y.max(other.y);
        if w > 0.0 && h > 0.0 { w * h } else { 0.0 }
    }

    /// The box with every length multiplied by `factor`.
    #[must_use]
    pub fn scaled(&self, factor: f32) -> Self {
        Self {
            x: self.x * factor,
            y: self.y * factor,
            w: self.w * factor,
            h: self.h * factor,
        }
    }
}

/// A region of the picture in which no face is looked at: a staff area, or a neighbour's window.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    /// Corners as fractions of the frame's width and height, 0..=1, in order along the outline.
    pub polygon: Vec<[f32; 2]>,
}

impl Mask {
    /// Whether the centre of a face lies inside the mask (even-odd rule).
    #[must_use]
    pub fn covers(&self, face: &Rect, width: usize, height: usize) -> bool {
        let (cx, cy) = face.centre();
        let (px, py) = (cx / width as f32, cy / height as f32);
        let mut inside = false;
        let mut previous = match self.polygon.last() {
            Some(corner) => *corner,
            None => return false,
        };
        for corner in &self.polygon {
            let [x1, y1] = *corner;
            let [x0, y0] = previous;
            if (y1 > py) != (y0 > py) && px < (x0 - x1) * (py - y1) / (y0 - y1) + x1 {
                inside = !inside;
            }
            previous = *corner;
        }
        inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iou_of_halves_and_strangers() {
        let a = Rect {
            x: 0.0,
            y: 0.0,
            w: 10.0,
            h: 10.0,
        };
        assert_eq!(a.iou(&a), 1.0);
        assert_eq!(a.iou(&Rect { x: 5.0, ..a }), 50.0 / 150.0);
        assert_eq!(a.iou(&Rect { x: 10.0, ..a }), 0.0);
        assert_eq!(Rect::default().iou(&Rect::default()), 0.0);
    }

    #[test]
    fn clipping_keeps_the_visible_part() {
        let face = Rect {
            x: -5.0,
            y: 90.0,
            w: 20.0,
            h: 30.0,
        };
        assert_eq!(
            face.clipped(100, 100),
            Some(Rect {
                x: 0.0,
                y: 90.0,
                w: 15.0,
                h: 10.0
            })
        );
        assert_eq!(Rect { x: 99.5, ..face }.clipped(100, 100), None);
        assert_eq!(Rect { x: f32::NAN, ..face }.clipped(100, 100), None);
    }

    #[test]
    fn a_mask_covers_faces_by_their_centre() {
        let left_half = Mask {
            polygon: vec![[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]],
        };
        let face = |x: f32| Rect {
            x,
            y: 40.0,
            w: 20.0,
            h: 20.0,
        };
        assert!(left_half.covers(&face(10.0), 100, 100));
        assert!(left_half.covers(&face(39.0), 100, 100), "centre at 49 is inside");
        assert!(
            !left_half.covers(&face(45.0), 100, 100),
            "centre at 55 is outside"
        );
        let notch = Mask {
            polygon: vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.2], [0.0, 1.0]],
        };
        assert!(
            !notch.covers(&face(40.0), 100, 100),
            "inside the notch of a concave outline"
        );
        assert!(!Mask { polygon: Vec::new() }.covers(&face(10.0), 100, 100));
    }
}
