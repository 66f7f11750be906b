use super::*;
use crate::capture::{Layout, PixelFormat};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let pixels = vec![200; (width * height * 3) as usize];
    JpegEncoder::new(&mut bytes)
        .encode(&pixels, width, height, ExtendedColorType::Rgb8)
        .unwrap();
    bytes
}

fn png(width: u32, height: u32, pixels: &[u8], colour: ::png::ColorType) -> Vec<u8> {
    png_with(width, height, pixels, colour, |_| {})
}

fn png_with(
    width: u32,
    height: u32,
    pixels: &[u8],
    colour: ::png::ColorType,
    set: impl FnOnce(&mut ::png::Encoder<'_, &mut Vec<u8>>),
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    set(&mut encoder);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
    bytes
}

fn decoded(bytes: Vec<u8>) -> Result<(usize, usize, Vec<u8>), DecodeError> {
    let name = "x.jpg".to_owned();
    Decoder::default()
        .decode(Image::Encoded { bytes, name })
        .map(|(width, height, rgb)| (width, height, rgb.to_vec()))
}

fn complaint(bytes: Vec<u8>) -> String {
    let image = Image::Encoded {
        bytes,
        name: "x.jpg".to_owned(),
    };
    Decoder::default().decode(image).unwrap_err().to_string()
}

#[test]
fn the_light_is_that_of_the_whole_picture() {
    let mut decoder = Decoder::default();
    let mut light = |rgb: Vec<u8>| {
        let image = Image::Rgb {
            width: rgb.len() / 3,
            height: 1,
            rgb,
        };
        decoder.decode(image).unwrap();
        decoder.light()
    };
    assert_eq!(light(vec![0; 30_000]), 0);
    assert_eq!(light(vec![255; 3]), 255);
    assert_eq!(light([vec![0; 15_000], vec![200; 15_000]].concat()), 100);
}

#[test]
fn jpeg_and_png_become_rgb() {
    let mut decoder = Decoder::default();
    let (width, height, rgb) = decoder
        .decode(Image::Encoded {
            bytes: jpeg(20, 10),
            name: String::new(),
        })
        .map(|(w, h, p)| (w, h, p.to_vec()))
        .unwrap();
    assert_eq!((width, height, rgb.len()), (20, 10, 600));
    assert!(rgb.iter().all(|p| p.abs_diff(200) < 3));
    let transparent = png(1, 1, &[10, 20, 30, 128], ::png::ColorType::Rgba);
    let (_, _, rgb) = decoder
        .decode(Image::Encoded {
            bytes: transparent,
            name: String::new(),
        })
        .unwrap();
    assert_eq!(rgb, [10, 20, 30]);
    let grey = png(2, 1, &[7, 9], ::png::ColorType::Grayscale);
    let (_, _, rgb) = decoder
        .decode(Image::Encoded {
            bytes: grey,
            name: String::new(),
        })
        .unwrap();
    assert_eq!(rgb, [7, 7, 7, 9, 9, 9]);
}

#[test]
fn raw_frames_become_rgb_and_short_ones_are_refused() {
    let raw = |bytes: &[u8]| Image::Raw {
        layout: Layout::packed(PixelFormat::Grey, 2, 1),
        bytes: bytes.to_vec(),
    };
    let mut decoder = Decoder::default();
    let (width, height, rgb) = decoder.decode(raw(&[7, 9])).unwrap();
    assert_eq!((width, height, rgb), (2, 1, &[7, 7, 7, 9, 9, 9][..]));
    let error = decoder.decode(raw(&[7])).unwrap_err().to_string();
    assert!(error.contains("has 1 bytes, but 2 are needed"), "{error}");
}

#[test]
fn a_camera_may_leave_out_the_huffman_tables() {
    // As many USB cameras do: the standard ones are meant.
    let whole = jpeg(20, 10);
    let mut without = whole[..2].to_vec();
    let mut at = 2;
    while whole[at + 1] != 0xDA {
        let end = at + 2 + usize::from(u16::from_be_bytes([whole[at + 2], whole[at + 3]]));
        if whole[at + 1] != 0xC4 {
            without.extend(&whole[at..end]);
        }
        at = end;
    }
    without.extend(&whole[at..]);
    assert!(without.len() + 100 < whole.len());
    let mut decoder = Decoder::default();
    let mut pixels = |bytes: Vec<u8>| {
        let name = String::new();
        decoder
            .decode(Image::Encoded { bytes, name })
            .map(|(_, _, rgb)| rgb.to_vec())
            .unwrap()
    };
    assert_eq!(pixels(without), pixels(whole));
    // What has no structure is left to the decoder, and does no harm.
    for bytes in [
        &[0xFF, 0xD8][..],
        &[0xFF, 0xD8, 0xFF, 0xE0, 0xFF, 0xFF],
        &[0xFF, 0xD8, 0xFF, 0xE0, 0, 0, 1],
    ] {
        assert_eq!(jpeg::with_tables(bytes), bytes);
    }
}

#[test]
fn what_cannot_be_decoded_says_why() {
    assert!(complaint(b"GIF89a".to_vec()).contains("neither a JPEG nor a PNG"));
    assert!(complaint(Vec::new()).contains("neither a JPEG nor a PNG"));
    let whole = jpeg(64, 64);
    assert!(complaint(whole[..whole.len() - 2].to_vec()).contains("cut off"));
    let mut damaged = whole.clone();
    damaged[20..60].fill(0xFF);
    assert!(complaint(damaged).contains("broken"));
    let mut no_pixels = png(1, 1, &[1, 2, 3], ::png::ColorType::Rgb);
    no_pixels[16..24].fill(0);
    assert!(complaint(no_pixels).contains("left out"));
}

#[test]
fn a_huge_picture_is_refused_before_it_takes_memory() {
    // The header of a JPEG is enough to say 20,000 × 20,000.
    let mut bytes = jpeg(64, 64);
    let sof = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    bytes[sof + 5..sof + 9].copy_from_slice(&[0x4E, 0x20, 0x4E, 0x20]);
    assert!(complaint(bytes).contains("20000×20000 px, but affectd decodes up to 64 megapixels"));
}

#[test]
fn every_kind_of_png_becomes_rgb() {
    use ::png::{BitDepth, ColorType};
    let deep = png_with(
        1,
        1,
        &[10, 99, 20, 99, 30, 99, 0, 7],
        ColorType::Rgba,
        |encoder| {
            encoder.set_depth(BitDepth::Sixteen);
        },
    );
    assert_eq!(decoded(deep).unwrap().2, [10, 20, 30]);
    let veiled = png(2, 1, &[7, 0, 9, 255], ColorType::GrayscaleAlpha);
    assert_eq!(decoded(veiled).unwrap().2, [7, 7, 7, 9, 9, 9]);
    let painted = png_with(3, 1, &[0b0110_0000], ColorType::Indexed, |encoder| {
        encoder.set_depth(BitDepth::One);
        encoder.set_palette(vec![1, 2, 3, 4, 5, 6]);
    });
    assert_eq!(decoded(painted).unwrap().2, [1, 2, 3, 4, 5, 6, 4, 5, 6]);
}

#[test]
fn what_takes_too_much_memory_is_refused_by_its_header() {
    // A progressive picture of 60 megapixels would take 9 bytes for each; an upright plain one takes 3.
    let with_size = |name: &str| {
        let mut bytes = std::fs::read(format!(
            "{}/tests/data/jpeg/{name}.jpg",
            env!("CARGO_MANIFEST_DIR")
        ))
        .unwrap();
        let is_frame = |pair: &[u8]| pair[0] == 0xFF && (0xC0..=0xC2).contains(&pair[1]);
        let sof = bytes.windows(2).position(is_frame).unwrap();
        bytes[sof + 5..sof + 9].copy_from_slice(&[0x1B, 0x58, 0x21, 0x34]);
        complaint(bytes)
    };
    let said = with_size("progressive");
    assert!(
        said.contains("takes 510 MiB of memory to decode, and affectd gives 256 MiB"),
        "{said}"
    );
    assert!(
        with_size("plain").contains("pixels end after"),
        "it may be decoded, but is not whole"
    );
}

#[test]
fn a_jpeg_with_a_hole_is_damaged_and_one_that_is_turned_is_put_upright() {
    let mut whole = jpeg(64, 64);
    let middle = whole.len() - 20;
    whole.drain(middle..middle + 8);
    assert!(complaint(whole).contains("is damaged: its pixels"));
    let mut turned = jpeg(20, 10);
    let exif = b"\xFF\xE1\0\x22Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    turned.splice(2..2, exif.iter().copied());
    let (width, height, _) = decoded(turned).unwrap();
    assert_eq!((width, height), (10, 20));
}
