//! CPU time per picture of the JPEG decoders that affectd could use, one thread, the same pictures in turns.

use std::error::Error;

use rustix::time::{ClockId, clock_gettime};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

const ROUNDS: usize = 5;

type Decode = fn(&[u8], &mut Vec<u8>) -> Result<(usize, usize), Box<dyn Error>>;

fn zune(jpeg: &[u8], rgb: &mut Vec<u8>) -> Result<(usize, usize), Box<dyn Error>> {
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    decoder.decode_headers()?;
    let (width, height) = decoder.dimensions().ok_or("no size")?;
    rgb.resize(width * height * 3, 0);
    decoder.decode_into(rgb)?;
    Ok((width, height))
}

fn jpeg_decoder(jpeg: &[u8], rgb: &mut Vec<u8>) -> Result<(usize, usize), Box<dyn Error>> {
    let mut decoder = jpeg_decoder::Decoder::new(jpeg);
    *rgb = decoder.decode()?;
    let info = decoder.info().ok_or("no size")?;
    Ok((info.width.into(), info.height.into()))
}

fn turbo(jpeg: &[u8], rgb: &mut Vec<u8>) -> Result<(usize, usize), Box<dyn Error>> {
    turbo_scaled(jpeg, rgb, turbojpeg::ScalingFactor::ONE)
}

fn turbo_half(jpeg: &[u8], rgb: &mut Vec<u8>) -> Result<(usize, usize), Box<dyn Error>> {
    turbo_scaled(jpeg, rgb, turbojpeg::ScalingFactor::ONE_HALF)
}

fn turbo_scaled(
    jpeg: &[u8],
    rgb: &mut Vec<u8>,
    factor: turbojpeg::ScalingFactor,
) -> Result<(usize, usize), Box<dyn Error>> {
    let mut decoder = turbojpeg::Decompressor::new()?;
    decoder.set_scaling_factor(factor)?;
    let header = decoder.read_header(jpeg)?.scaled(factor);
    let (width, height) = (header.width, header.height);
    rgb.resize(width * height * 3, 0);
    let format = turbojpeg::PixelFormat::RGB;
    let pixels = rgb.as_mut_slice();
    decoder.decompress(
        jpeg,
        turbojpeg::Image {
            pixels,
            width,
            pitch: width * 3,
            height,
            format,
        },
    )?;
    Ok((width, height))
}

fn cpu_ms() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// The pictures of an .mjpeg file. (A start mark directly after an end mark begins the next.)
fn pictures(stream: &[u8]) -> Vec<&[u8]> {
    let mut starts: Vec<usize> = (2..stream.len().saturating_sub(3))
        .filter(|&at| stream[at - 2..at] == [0xFF, 0xD9] && stream[at..at + 3] == [0xFF, 0xD8, 0xFF])
        .collect();
    starts.insert(0, 0);
    starts.push(stream.len());
    starts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let decoders: [(&str, Decode); 4] = [
        ("zune-jpeg", zune),
        ("jpeg-decoder", jpeg_decoder),
        ("libjpeg-turbo", turbo),
        ("libjpeg-turbo, half size", turbo_half),
    ];
    for path in std::env::args().skip(1) {
        let stream = std::fs::read(&path)?;
        let pictures = pictures(&stream);
        let (width, height) = turbo(pictures[0], &mut Vec::new())?;
        println!(
            "{path}: {} pictures of {width}×{height} px, {} kB each",
            pictures.len(),
            stream.len() / pictures.len() / 1000
        );
        let mut times = vec![Vec::new(); decoders.len()];
        let mut rgb = Vec::new();
        for picture in (0..ROUNDS).flat_map(|_| &pictures) {
            for ((_, decode), times) in decoders.iter().zip(&mut times) {
                let began = cpu_ms();
                decode(picture, &mut rgb)?;
                times.push(cpu_ms() - began);
            }
        }
        for ((name, _), mut times) in decoders.iter().zip(times) {
            times.sort_by(f64::total_cmp);
            println!(
                "  {name:<26} {:6.2} ms (median), {:6.2} ms (95 %)",
                times[times.len() / 2],
                times[times.len() * 95 / 100]
            );
        }
    }
    Ok(())
}
