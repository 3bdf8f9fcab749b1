//! A client's file as a QR code, for a page and for a terminal.

use png::{BitDepth, ColorType, Encoder};
use qrcode::render::unicode::Dense1x2;
use qrcode::{Color, EcLevel, QrCode};

use super::Error;
use crate::domain::refusal::Refusal;

/// The picture's width and height in pixels.
const PIXELS: usize = 500;
/// The light margin that readers need, in modules (ISO/IEC 18004, section 6.3.8).
const MARGIN: usize = 4;

/// Draws `text` as a PNG of 500 by 500 pixels, one bit each.
pub(super) fn png(text: &str) -> Result<Vec<u8>, Error> {
    let code = encode(text)?;
    let modules = code.width();
    let colors = code.to_colors();
    // the largest code has 177 modules, so a module is never smaller than two pixels
    let scale = PIXELS / (modules + 2 * MARGIN);
    let margin = (PIXELS - scale * modules) / 2;
    let module = |pixel: usize| pixel.checked_sub(margin).map(|pixel| pixel / scale).filter(|module| *module < modules);
    let is_dark = |x: usize, y: usize| match (module(x), module(y)) {
        (Some(x), Some(y)) => colors[y * modules + x] == Color::Dark,
        _ => false,
    };
    let row = PIXELS.div_ceil(8);
    let mut bits = vec![0xff_u8; row * PIXELS];
    for (x, y) in (0..PIXELS).flat_map(|y| (0..PIXELS).map(move |x| (x, y))).filter(|(x, y)| is_dark(*x, *y)) {
        bits[y * row + x / 8] &= !(0x80 >> (x % 8));
    }
    write_png(&bits).map_err(|error| Error::Fault(error.into()))
}

fn write_png(bits: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut picture = Vec::new();
    let side = u32::try_from(PIXELS).unwrap_or(u32::MAX);
    let mut encoder = Encoder::new(&mut picture, side, side);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::One);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(bits)?;
    writer.finish()?;
    Ok(picture)
}

/// Draws `text` in half blocks for a dark terminal, two modules a character.
pub(super) fn terminal(text: &str) -> Result<String, Error> {
    // a terminal is dark where nothing is drawn
    let picture = encode(text)?.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    Ok(picture)
}

fn encode(text: &str) -> Result<QrCode, Error> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .or_else(|_| QrCode::with_error_correction_level(text, EcLevel::L));
    // nothing but the list of networks can be that long
    let too_long = Refusal::FieldMalformed { field: "allowed_ips", rule: "short enough for a QR code" };
    code.map_err(|_| Error::Refused(too_long))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_a_picture_of_500_by_500_bits() {
        let picture = png(&"x".repeat(300)).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&picture)).read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (500, 500));
        assert_eq!((reader.info().bit_depth, reader.info().color_type), (BitDepth::One, ColorType::Grayscale));

        let mut bits = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bits).unwrap();
        assert!(bits[..63].iter().all(|byte| *byte == 0xff), "the margin is light");
        assert!(bits.contains(&0), "something is dark");
    }

    #[test]
    fn draws_the_same_modules_for_a_terminal() {
        let text = terminal("x").unwrap();
        let modules = encode("x").unwrap().width() + 2 * MARGIN;
        assert_eq!(text.lines().count(), modules.div_ceil(2));
        assert!(text.lines().all(|line| line.chars().count() == modules));
        assert!(text.starts_with('█'), "the margin is drawn light");
    }

    #[test]
    fn refuses_what_no_code_can_hold() {
        assert!(matches!(png(&"x".repeat(3_000)), Err(Error::Refused(Refusal::FieldMalformed { .. }))));
    }
}
