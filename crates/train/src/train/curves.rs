//! Learning curves: a table (CSV) and a drawing (SVG) of what every epoch came to.

use std::path::Path;

use plotters::prelude::*;
use serde::{Deserialize, Serialize};

/// One epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// From 1.
    pub epoch: usize,
    /// Of the recipe.
    pub phase: String,
    /// Mean loss over the training pictures, while they were learnt.
    pub train_loss: f64,
    /// Per head: mean loss on the validation pictures and its figure (accuracy, or mean error in years).
    pub validation: Vec<(String, f64, f64)>,
    /// Seconds from the start.
    pub seconds: f64,
}

/// Writes `curves.csv` and `curves.svg` into a folder.
///
/// # Errors
/// What the system or the drawing says.
pub fn write(out: &Path, points: &[Point]) -> anyhow::Result<()> {
    let mut text = String::from("epoch,phase,seconds,train_loss");
    for (head, ..) in points.first().map_or(&[][..], |p| &p.validation) {
        text += &format!(",{head}_loss,{head}");
    }
    text += "\n";
    for point in points {
        text += &format!(
            "{},{},{:.0},{:.5}",
            point.epoch, point.phase, point.seconds, point.train_loss
        );
        for (_, loss, figure) in &point.validation {
            text += &format!(",{loss:.5},{figure:.5}");
        }
        text += "\n";
    }
    crate::weights::write_whole(&out.join("curves.csv"), text.as_bytes())?;
    let mut svg = String::new();
    draw(&mut svg, points)?;
    crate::weights::write_whole(&out.join("curves.svg"), svg.as_bytes())?;
    Ok(())
}

fn draw(svg: &mut String, points: &[Point]) -> anyhow::Result<()> {
    let error = |e: &dyn std::fmt::Display| anyhow::anyhow!("The curves cannot be drawn: {e}.");
    let area = SVGBackend::with_string(svg, (900, 420)).into_drawing_area();
    area.fill(&WHITE).map_err(|e| error(&e))?;
    let (left, right) = area.split_horizontally(450);
    let series = |value: &dyn Fn(&Point) -> f64| -> Vec<(f64, f64)> {
        points.iter().map(|p| (p.epoch as f64, value(p))).collect()
    };
    let heads: Vec<String> = points
        .first()
        .map_or_else(Vec::new, |p| p.validation.iter().map(|v| v.0.clone()).collect());
    let mut losses = vec![("training".to_owned(), series(&|p| p.train_loss))];
    let mut figures = Vec::new();
    for (place, head) in heads.iter().enumerate() {
        losses.push((format!("validation: {head}"), series(&|p| p.validation[place].1)));
        figures.push((head.clone(), series(&|p| p.validation[place].2)));
    }
    for (area, title, lines) in [(left, "loss", losses), (right, "validation", figures)] {
        let values = || lines.iter().flat_map(|line| line.1.iter().map(|point| point.1));
        let (least, most) = values().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
        let room = ((most - least) * 0.05).max(0.01);
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(32)
            .y_label_area_size(48)
            .build_cartesian_2d(1.0..points.len().max(2) as f64, least - room..most + room)
            .map_err(|e| error(&e))?;
        chart
            .configure_mesh()
            .x_desc("epoch")
            .x_label_formatter(&|x| format!("{x:.0}"))
            .light_line_style(WHITE)
            .draw()
            .map_err(|e| error(&e))?;
        for (place, (name, line)) in lines.into_iter().enumerate() {
            let colour = Palette99::pick(place).stroke_width(2);
            chart
                .draw_series(LineSeries::new(line, colour))
                .map_err(|e| error(&e))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()
            .map_err(|e| error(&e))?;
    }
    area.present().map_err(|e| error(&e))?;
    drop(area);
    Ok(())
}
