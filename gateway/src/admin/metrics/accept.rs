//! In which of the two text formats the metrics are wanted.

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

/// A format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// The older text format of Prometheus, 0.0.4.
    Prometheus,
}

/// Media types looked at in one header; no client of good will lists more.
const MOST: usize = 32;

impl Format {
    /// The one that a request likes best: OpenMetrics, unless plain text is liked better.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let (mut open, mut plain) = (0, 0);
        let accept = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for range in accept.flat_map(|value| value.split(',')).take(MOST) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths);
            if kind.eq_ignore_ascii_case("application/openmetrics-text") {
                open = weight.max(open);
            } else if kind.eq_ignore_ascii_case("text/plain") {
                plain = weight.max(plain);
            }
        }
        if plain > open { Self::Prometheus } else { Self::OpenMetrics }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }

    /// Appends all that is registered.
    pub(super) fn encode(self, text: &mut String, registry: &Registry) -> fmt::Result {
        match self {
            Self::OpenMetrics => text::encode(text, registry),
            Self::Prometheus => prometheus_text::encode(text, registry),
        }
    }
}

/// A weight, which has at most three digits after its point; what is none is as good as 0.
fn thousandths(weight: &str) -> u32 {
    let (whole, rest) = weight.split_once('.').unwrap_or((weight, ""));
    let is_weight = rest.len() <= 3 && rest.bytes().all(|digit| digit.is_ascii_digit());
    let digits = if is_weight { format!("{rest:0<3}") } else { return 0 };
    let whole = whole.parse().map_or(0, |whole: u32| whole.min(1));
    (whole * 1000 + digits.parse().unwrap_or(0)).min(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_is_for_those_who_like_it_better() {
        use Format::{OpenMetrics, Prometheus};
        for (accept, expected) in [
            (&[][..], OpenMetrics),
            (&["*/*"], OpenMetrics),
            (&["text/html"], OpenMetrics),
            (&["text/plain"], Prometheus),
            (&["text/plain;version=0.0.4"], Prometheus),
            (&["application/openmetrics-text; version=1.0.0; charset=utf-8"], OpenMetrics),
            (
                &[
                    "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ],
                OpenMetrics,
            ),
            (
                &["application/openmetrics-text;q=0.5", "Text/Plain;q=0.500001, text/plain;q=0.6"],
                Prometheus,
            ),
            (&["text/plain;q=0.5,application/openmetrics-text;q=0.5"], OpenMetrics),
            (&["text/plain;q=0"], OpenMetrics),
            (&["text/plain;q=-1, ;;;q=,,q=9.9.9"], OpenMetrics),
        ] {
            let values = accept.iter().map(|value| (ACCEPT, value.parse().unwrap()));
            assert_eq!(Format::wanted(&values.collect()), expected, "{accept:?}");
        }
    }
}
