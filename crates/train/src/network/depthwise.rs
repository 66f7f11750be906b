//! Depthwise convolution on a processor, forwards and backwards, and the patches of a full one: see [`super::kernels`].

use pulp::Arch;

use super::kernels::dot;
use super::plan::Convolution;

/// A depthwise convolution of a certain size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Depthwise {
    channels: usize,
    batch: usize,
    side: usize,
    stride: usize,
    height: usize,
    width: usize,
    top: usize,
    left: usize,
    /// Of a plane with its border.
    padded: (usize, usize),
    /// Of the result.
    out: (usize, usize),
}

impl Depthwise {
    /// `shape` is `[channels, batch, height, width]` of the input.
    pub(super) fn new(c: &Convolution, shape: [usize; 4]) -> Self {
        let [channels, batch, height, width] = shape;
        let ((top, bottom), (left, right)) = (c.pad(height), c.pad(width));
        Self {
            channels,
            batch,
            side: c.kernel,
            stride: c.stride,
            height,
            width,
            top,
            left,
            padded: (height + top + bottom, width + left + right),
            out: (c.length(height), c.length(width)),
        }
    }

    /// Shape of the result.
    pub(super) fn result_shape(&self) -> [usize; 4] {
        [self.channels, self.batch, self.out.0, self.out.1]
    }

    /// The result; `kernel` is `[channels, 1, side, side]`.
    pub(super) fn forward(&self, x: &[f32], kernel: &[f32]) -> Vec<f32> {
        Arch::new().dispatch(
            #[inline(always)]
            || self.forward_planes(x, kernel),
        )
    }

    #[inline(always)]
    fn forward_planes(&self, x: &[f32], kernel: &[f32]) -> Vec<f32> {
        let (out_height, out_width) = self.out;
        let pitch = self.padded.1;
        let mut result = vec![0.0; self.channels * self.batch * out_height * out_width];
        let mut plane = self.buffer();
        // At stride 1 the whole plane is one run, border columns included; at stride 2 every line is one.
        let whole = self.stride == 1;
        let length = if whole {
            (out_height - 1) * pitch + out_width
        } else {
            (out_width - 1) * self.stride + 1
        };
        let mut run = vec![0.0; length];
        let outputs = result.chunks_exact_mut(out_height * out_width);
        let inputs = x.chunks_exact(self.height * self.width);
        for (number, (output, input)) in outputs.zip(inputs).enumerate() {
            let taps = self.kernel_of(number / self.batch, kernel);
            self.pad(input, &mut plane);
            if whole {
                correlate(&plane, pitch, taps, self.side, &mut run);
                for (line, from) in output.chunks_exact_mut(out_width).zip(run.chunks(pitch)) {
                    line.copy_from_slice(&from[..out_width]);
                }
            } else {
                for (row, line) in output.chunks_exact_mut(out_width).enumerate() {
                    correlate(
                        &plane[row * self.stride * pitch..],
                        pitch,
                        taps,
                        self.side,
                        &mut run,
                    );
                    for (value, from) in line.iter_mut().zip(run.iter().step_by(self.stride)) {
                        *value = *from;
                    }
                }
            }
        }
        result
    }

    /// The gradients by input (if wanted) and by kernel, from the gradient by the result.
    pub(super) fn backward(
        &self,
        x: &[f32],
        kernel: &[f32],
        gradient: &[f32],
        wanted: bool,
    ) -> (Option<Vec<f32>>, Vec<f32>) {
        Arch::new().dispatch(
            #[inline(always)]
            || self.backward_planes(x, kernel, gradient, wanted),
        )
    }

    #[inline(always)]
    fn backward_planes(
        &self,
        x: &[f32],
        kernel: &[f32],
        gradient: &[f32],
        wanted: bool,
    ) -> (Option<Vec<f32>>, Vec<f32>) {
        let (out_height, out_width) = self.out;
        let (lines, pitch) = self.padded;
        let (size, taps) = (lines * pitch, self.side * self.side);
        // The gradient spread out to the input's grid, behind as many zeros as the kernel reaches back.
        let lead = (self.side - 1) * (pitch + 1);
        let mut spread = vec![0.0; lead + size];
        let mut by_plane = vec![0.0; size];
        let mut by_kernel = vec![0.0; self.channels * taps];
        let mut by_input = wanted.then(|| vec![0.0; x.len()]);
        let mut plane = self.buffer();
        for number in 0..self.channels * self.batch {
            let channel = number / self.batch;
            let from = &gradient[number * out_height * out_width..][..out_height * out_width];
            for (row, line) in from.chunks_exact(out_width).enumerate() {
                let start = lead + row * self.stride * pitch;
                for (column, value) in line.iter().enumerate() {
                    spread[start + column * self.stride] = *value;
                }
            }
            let input = &x[number * self.height * self.width..][..self.height * self.width];
            self.pad(input, &mut plane);
            let sums = &mut by_kernel[channel * taps..][..taps];
            for (tap, sum) in sums.iter_mut().enumerate() {
                let offset = tap / self.side * pitch + tap % self.side;
                *sum += dot(&spread[lead..], &plane[offset..][..size]);
            }
            if let Some(by_input) = &mut by_input {
                let mut flipped = self.kernel_of(channel, kernel).to_vec();
                flipped.reverse();
                correlate(&spread, pitch, &flipped, self.side, &mut by_plane);
                let to = &mut by_input[number * self.height * self.width..][..self.height * self.width];
                for (row, line) in to.chunks_exact_mut(self.width).enumerate() {
                    line.copy_from_slice(&by_plane[(row + self.top) * pitch + self.left..][..self.width]);
                }
            }
        }
        (by_input, by_kernel)
    }

    /// Room for a plane with its border, and as much behind it as the kernel reaches.
    fn buffer(&self) -> Vec<f32> {
        vec![0.0; self.padded.0 * self.padded.1 + (self.side - 1) * (self.padded.1 + 1)]
    }

    #[inline(always)]
    fn pad(&self, input: &[f32], plane: &mut [f32]) {
        for (row, line) in input.chunks_exact(self.width).enumerate() {
            plane[(row + self.top) * self.padded.1 + self.left..][..self.width].copy_from_slice(line);
        }
    }

    #[inline(always)]
    fn kernel_of<'a>(&self, channel: usize, kernel: &'a [f32]) -> &'a [f32] {
        &kernel[channel * self.side * self.side..][..self.side * self.side]
    }
}

/// `out[i]` = the sum over the kernel of `kernel[y, x] · plane[i + y · pitch + x]`.
#[inline(always)]
fn correlate(plane: &[f32], pitch: usize, kernel: &[f32], side: usize, out: &mut [f32]) {
    let length = out.len();
    for (row, taps) in kernel.chunks_exact(side).enumerate() {
        let line = &plane[row * pitch..];
        if let [a, b, c] = *taps {
            let (left, middle, right) = (&line[..length], &line[1..=length], &line[2..length + 2]);
            for i in 0..length {
                let sum = a * left[i] + b * middle[i] + c * right[i];
                out[i] = if row == 0 { sum } else { out[i] + sum };
            }
        } else {
            for (column, tap) in taps.iter().enumerate() {
                let shifted = &line[column..][..length];
                let first = row + column == 0;
                for i in 0..length {
                    let sum = tap * shifted[i];
                    out[i] = if first { sum } else { out[i] + sum };
                }
            }
        }
    }
}

/// The patches under a kernel as the columns of a matrix `[channels · side · side, batch · height · width]`.
pub(super) fn patches(c: &Convolution, x: &[f32], shape: [usize; 4]) -> (Vec<f32>, [usize; 4]) {
    let [channels, batch, height, width] = shape;
    let (top, left) = (c.pad(height).0, c.pad(width).0);
    let (out_height, out_width) = (c.length(height), c.length(width));
    let plane = out_height * out_width;
    let mut matrix = vec![0.0; channels * c.kernel * c.kernel * batch * plane];
    for (row, line) in matrix.chunks_exact_mut(batch * plane).enumerate() {
        let (channel, tap) = (row / (c.kernel * c.kernel), row % (c.kernel * c.kernel));
        let (tap_y, tap_x) = (tap / c.kernel, tap % c.kernel);
        for (number, values) in line.chunks_exact_mut(plane).enumerate() {
            let from = &x[(channel * batch + number) * height * width..][..height * width];
            for (y, values) in values.chunks_exact_mut(out_width).enumerate() {
                let Some(y) = (y * c.stride + tap_y).checked_sub(top).filter(|y| *y < height) else {
                    continue;
                };
                for (x, value) in values.iter_mut().enumerate() {
                    if let Some(x) = (x * c.stride + tap_x).checked_sub(left).filter(|x| *x < width) {
                        *value = from[y * width + x];
                    }
                }
            }
        }
    }
    (
        matrix,
        [channels * c.kernel * c.kernel, batch, out_height, out_width],
    )
}
