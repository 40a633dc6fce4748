//! A row of eight-step bars: the shape of a value at a glance, in plain text.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One character a point, oldest first. The lowest bar is zero, or the lowest value if that is
/// negative; where there is no value, or none that can be drawn, stands a `·`.
pub fn sparkline(points: &[Option<f64>]) -> String {
    let finite = || points.iter().flatten().copied().filter(|v| v.is_finite());
    let low = finite().fold(0.0, f64::min);
    let high = finite().fold(low, f64::max);
    points
        .iter()
        .map(|point| match point {
            Some(value) if value.is_finite() => bar((value - low) / (high - low)),
            Some(value) if *value == f64::INFINITY => '█',
            _ => '·',
        })
        .collect()
}

/// `share` is of the range from low to high; NaN where that is empty.
fn bar(share: f64) -> char {
    let mut upper = 0.5 / 7.0;
    for bar in BARS {
        if share < upper || share.is_nan() {
            return bar;
        }
        upper += 1.0 / 7.0;
    }
    '█'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_shape() {
        let drawn =
            |values: &[f64]| sparkline(&values.iter().map(|v| Some(*v)).collect::<Vec<_>>());
        assert_eq!(drawn(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), "▁▂▃▄▅▆▇█");
        assert_eq!(drawn(&[5.0, 5.0]), "██");
        assert_eq!(drawn(&[0.0, 0.0]), "▁▁");
        assert_eq!(drawn(&[-1.0, 1.0]), "▁█");
        assert_eq!(
            sparkline(&[None, Some(f64::NAN), Some(f64::INFINITY), Some(3.0)]),
            "··██"
        );
        assert_eq!(sparkline(&[]), "");
        assert_eq!(drawn(&[f64::MAX, f64::MIN]), "▁▁");
    }
}
