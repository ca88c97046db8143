//! The text that Prometheus reads.

use std::fmt::{Display, Write};

use super::{Family, Sample, Took, Value};

/// What the text is.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes the families, each with its help and kind. A family without figures is left out.
pub(crate) fn text(families: &[Family]) -> String {
    let mut out = String::new();
    for Family { name, help, samples } in families {
        let Some(first) = samples.first() else { continue };
        let kind = match first.value {
            Value::Counter(_) | Value::Seconds(_) => "counter",
            Value::Gauge(_) => "gauge",
            Value::Histogram(_) => "histogram",
        };
        // A string takes everything that is written to it.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for sample in samples {
            write_sample(&mut out, name, sample);
        }
    }
    out
}

fn write_sample(out: &mut String, name: &str, Sample { labels, value }: &Sample) {
    match value {
        Value::Counter(value) | Value::Gauge(value) => line(out, name, labels, None, value),
        Value::Seconds(value) => line(out, name, labels, None, value),
        Value::Histogram(took) => write_histogram(out, name, labels, took),
    }
}

fn write_histogram(out: &mut String, name: &str, labels: &[(&'static str, String)], took: &Took) {
    let bucket = format!("{name}_bucket");
    let mut so_far = 0_u64;
    for (place, count) in took.counts.iter().enumerate() {
        so_far = so_far.saturating_add(*count);
        let end = took.bounds.get(place).map_or_else(|| "+Inf".to_owned(), f64::to_string);
        line(out, &bucket, labels, Some(&end), so_far);
    }
    line(out, &format!("{name}_sum"), labels, None, took.seconds);
    line(out, &format!("{name}_count"), labels, None, so_far);
}

fn line(
    out: &mut String,
    name: &str,
    labels: &[(&'static str, String)],
    bucket_end: Option<&str>,
    value: impl Display,
) {
    let labels = labels.iter().map(|(key, value)| (*key, value.as_str()));
    let all: Vec<_> = labels
        .chain(bucket_end.map(|end| ("le", end)))
        .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
        .collect();
    let _ = if all.is_empty() {
        writeln!(out, "{name} {value}")
    } else {
        writeln!(out, "{name}{{{}}} {value}", all.join(","))
    };
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_adds_up_and_labels_are_escaped() {
        let took = Took { bounds: vec![0.1, 1.0], counts: vec![2, 0, 1], seconds: 3.5 };
        let labels = vec![("method", "a\"b\\c\nd".to_owned())];
        let family = Family {
            name: "x_seconds",
            help: "X.",
            samples: vec![Sample { labels, value: Value::Histogram(took) }],
        };
        let expected = [
            "# HELP x_seconds X.",
            "# TYPE x_seconds histogram",
            r#"x_seconds_bucket{method="a\"b\\c\nd",le="0.1"} 2"#,
            r#"x_seconds_bucket{method="a\"b\\c\nd",le="1"} 2"#,
            r#"x_seconds_bucket{method="a\"b\\c\nd",le="+Inf"} 3"#,
            r#"x_seconds_sum{method="a\"b\\c\nd"} 3.5"#,
            r#"x_seconds_count{method="a\"b\\c\nd"} 3"#,
            "",
        ];
        assert_eq!(text(&[family]), expected.join("\n"));
    }
}
