//! A recorder of the `metrics` facade that shows what it was told.
//!
//! ```
//! use backstop_testkit::metrics::Recorded;
//!
//! let recorded = Recorded::default();
//! metrics::with_local_recorder(&recorded, || {
//!     metrics::counter!("orders_total", "venue" => "north").increment(2);
//!     metrics::gauge!("depth").set(7.5);
//! });
//! assert_eq!(recorded.value("orders_total{venue=north}"), Some(2.0));
//! assert_eq!(recorded.names(), ["depth", "orders_total{venue=north}"]);
//! ```

#![expect(clippy::float_arithmetic, reason = "the facade counts gauges in floats")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

type Values = Arc<Mutex<BTreeMap<String, f64>>>;

/// What was told, by name and labels; of a histogram the sum.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    values: Values,
}

impl Recorded {
    /// The value of `name{label=value,label=value}`, labels in the order of their names.
    pub fn value(&self, name: &str) -> Option<f64> {
        lock(&self.values).get(name).copied()
    }

    /// Everything that was told of, sorted.
    pub fn names(&self) -> Vec<String> {
        lock(&self.values).keys().cloned().collect()
    }

    fn cell(&self, key: &Key) -> Arc<Cell> {
        let mut labels: Vec<_> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        labels.sort();
        let labels = labels.join(",");
        let name = match labels.as_str() {
            "" => key.name().to_owned(),
            labels => format!("{}{{{labels}}}", key.name()),
        };
        Arc::new(Cell { name, values: Arc::clone(&self.values) })
    }
}

/// One value by its name.
struct Cell {
    name: String,
    values: Values,
}

impl Cell {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut values = lock(&self.values);
        let value = values.entry(self.name.clone()).or_default();
        *value = change(*value);
    }
}

fn lock(values: &Values) -> MutexGuard<'_, BTreeMap<String, f64>> {
    values.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a test are small")]
impl CounterFn for Cell {
    fn increment(&self, value: u64) {
        self.change(|old| old + value as f64);
    }

    fn absolute(&self, value: u64) {
        self.change(|old| old.max(value as f64));
    }
}

impl GaugeFn for Cell {
    fn increment(&self, value: f64) {
        self.change(|old| old + value);
    }

    fn decrement(&self, value: f64) {
        self.change(|old| old - value);
    }

    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

impl HistogramFn for Cell {
    fn record(&self, value: f64) {
        self.change(|old| old + value);
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.cell(key))
    }
}
