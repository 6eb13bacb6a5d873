//! Writes what was seen, row by row of the table.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;

use super::seen::Seen;
use super::table::{GROUPS, Kind, Metric};
use crate::engine::Took;

impl Collector for Seen {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in GROUPS.iter().flat_map(|group| group.metrics) {
            let encoder = encoder.encode_descriptor(
                metric.family(),
                metric.help,
                None,
                metric.kind.into(),
            )?;
            let mut points = Points { metric, encoder, written: Ok(()) };
            (metric.read)(self, &mut points);
            points.written?;
        }
        Ok(())
    }
}

impl From<Kind> for MetricType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter,
            Kind::Gauge => Self::Gauge,
            Kind::Histogram => Self::Histogram,
            Kind::Info => Self::Info,
        }
    }
}

/// Takes the values of one metric.
pub(super) struct Points<'a> {
    metric: &'static Metric,
    encoder: MetricEncoder<'a>,
    written: fmt::Result,
}

/// A value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Whole(u64),
    Real(f64),
}

impl Points<'_> {
    /// The value for those values of the metric's labels.
    pub(super) fn put(&mut self, values: &[&str], value: impl Into<Value>) {
        let (kind, value) = (self.metric.kind, value.into());
        self.write(values, |encoder, labels| match (kind, value) {
            (Kind::Counter, Value::Whole(value)) => {
                encoder.encode_counter::<NoLabelSet, _, f64>(&value, None)
            }
            (Kind::Counter, Value::Real(value)) => {
                encoder.encode_counter::<NoLabelSet, _, f64>(&value, None)
            }
            (Kind::Gauge, Value::Whole(value)) => encoder.encode_gauge(&value),
            (Kind::Gauge, Value::Real(value)) => encoder.encode_gauge(&value),
            // The labels are all that it says.
            (Kind::Info, _) => encoder.encode_info(labels),
            (Kind::Histogram, _) => Err(fmt::Error),
        });
    }

    /// A value that may not be there, which is no point.
    pub(super) fn put_if(&mut self, values: &[&str], value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(values, value);
        }
    }

    /// The times of a phase.
    pub(super) fn times(&mut self, values: &[&str], took: &Took) {
        let Took { buckets, seconds, .. } = took;
        let count = buckets.iter().map(|(_end, count)| count).sum();
        self.write(values, |encoder, _labels| {
            encoder.encode_histogram::<NoLabelSet>(*seconds, count, buckets, None)
        });
    }

    fn write(
        &mut self,
        values: &[&str],
        write: impl FnOnce(&mut MetricEncoder<'_>, &Labels<'_>) -> fmt::Result,
    ) {
        if self.written.is_err() {
            return;
        }
        let labels = Labels { names: self.metric.labels, values };
        // An info has its labels from nowhere else.
        let written = if values.is_empty() || self.metric.kind == Kind::Info {
            write(&mut self.encoder, &labels)
        } else {
            self.encoder.encode_family(&labels).and_then(|mut encoder| write(&mut encoder, &labels))
        };
        self.written = written;
    }
}

/// The labels of one value.
struct Labels<'a> {
    names: &'static [&'static str],
    values: &'a [&'a str],
}

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        debug_assert_eq!(self.names.len(), self.values.len(), "{:?}", self.names);
        self.names
            .iter()
            .zip(self.values)
            .try_for_each(|(name, value)| (*name, *value).encode(encoder.encode_label()))
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Whole(value.into())
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Whole(u64::try_from(value).unwrap_or(u64::MAX))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Whole(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}
