//! How does the second version of the protocol say what went wrong?
//!
//! As `grpc-status-details-bin`: a status that repeats the call's code and message, then the machine-readable reason,
//! then one detail with the values. The order is part of the protocol: one client reads only the last detail.

use std::collections::HashMap;

use bytes::Bytes;
use prost::Message;
use tonic::{Code, Status};

use crate::wire::google::rpc;

/// What the name of a packed message begins with.
const TYPE_URL_PREFIX: &str = "type.googleapis.com/";

/// An error of the second version of the protocol.
#[derive(Clone, Debug)]
pub struct RichError {
    code: Code,
    message: String,
    reason: &'static str,
    domain: &'static str,
    detail: Option<prost_types::Any>,
}

impl RichError {
    /// An error of the streams service.
    pub fn streams(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), reason, domain: "streams", detail: None }
    }

    /// An error that any service may answer with.
    pub fn server(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), reason, domain: "server", detail: None }
    }

    /// With the values of `detail`; `package` and `name` are its message's.
    #[must_use]
    pub fn with(mut self, type_name: &str, detail: &impl Message) -> Self {
        self.detail = Some(any(type_name, detail));
        self
    }

    /// The status that carries it.
    pub fn into_status(self) -> Status {
        let info = rpc::ErrorInfo {
            reason: self.reason.to_owned(),
            domain: self.domain.to_owned(),
            metadata: HashMap::new(),
        };
        let mut details = vec![any("google.rpc.ErrorInfo", &info)];
        details.extend(self.detail);
        let status = rpc::Status { code: i32::from(self.code), message: self.message.clone(), details };
        Status::with_details(self.code, self.message, Bytes::from(status.encode_to_vec()))
    }
}

/// A message in an envelope that says what it is.
pub(crate) fn any(type_name: &str, message: &impl Message) -> prost_types::Any {
    prost_types::Any { type_url: format!("{TYPE_URL_PREFIX}{type_name}"), value: message.encode_to_vec() }
}
