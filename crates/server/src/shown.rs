//! How are projections and processes shown as JSON? The same for the HTTP API and for the command line.

mod processes;
mod projections;

use serde_json::{Map, Value};

pub use processes::{process_details, process_record, process_summary, process_trouble};
pub use projections::{
    StandingFields, fault_fields, table_difference_fields, value_of_row, version_details, version_fields,
};

/// The fields of an object, in this order.
pub(crate) fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
