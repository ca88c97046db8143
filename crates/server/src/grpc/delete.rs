//! Deleting a stream, so that it can come back or for ever.

use factum_core::{Delete, DeleteMode};
use factum_protocol::wire::v1::AllStreamPosition;
use factum_protocol::wire::v1::streams::delete_resp::PositionOption;
use factum_protocol::wire::v1::streams::{DeleteReq, DeleteResp};
use tonic::Status;

use super::append::target;
use crate::access::Action;
use crate::call::Call;
use crate::operations::OPERATIONS_STREAM;
use crate::shared::Shared;
use crate::status;

/// Carries the delete out.
pub(super) async fn delete(
    shared: &Shared,
    call: &Call,
    request: DeleteReq,
    mode: DeleteMode,
) -> Result<DeleteResp, Status> {
    let options = request.options.ok_or_else(|| Status::invalid_argument("the request has no options"))?;
    let (stream, expected) = target(&options)?;
    shared.access.check(&call.caller, Action::Delete(stream.as_str())).await?;
    // A server that asks nobody who they are refuses it too: without the stream nothing can be operated.
    if stream.as_str() == OPERATIONS_STREAM {
        return Err(status::access_denied());
    }
    let deleted = shared
        .store
        .delete(Delete { stream, expected: expected.0, mode })
        .await
        .map_err(|error| status::of_append(&error, "Delete"))?;
    let position = match deleted.position {
        Some(position) => PositionOption::Position(AllStreamPosition {
            commit_position: position.0,
            prepare_position: position.0,
        }),
        None => PositionOption::NoPosition(()),
    };
    Ok(DeleteResp { position_option: Some(position) })
}
