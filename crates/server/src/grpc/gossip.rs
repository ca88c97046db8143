//! Which nodes are there? This one, and it leads.

use std::sync::Arc;

use factum_core::EventId;
use factum_protocol::wire::v1::gossip::gossip_server;
use factum_protocol::wire::v1::gossip::member_info::VNodeState;
use factum_protocol::wire::v1::gossip::{ClusterInfo, EndPoint, MemberInfo};
use factum_protocol::{UuidForm, ticks, uuid_to_wire};
use tonic::{Request, Response, Status};

use crate::call::Call;
use crate::shared::Shared;

/// `event_store.client.gossip.Gossip`.
pub(crate) struct Gossip {
    shared: Arc<Shared>,
}

impl Gossip {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[tonic::async_trait]
impl gossip_server::Gossip for Gossip {
    async fn read(&self, request: Request<()>) -> Result<Response<ClusterInfo>, Status> {
        let call = Call::of(&request);
        let endpoint = self.shared.endpoint(&call);
        let member = MemberInfo {
            instance_id: Some(uuid_to_wire(EventId(self.shared.instance), UuidForm::Text)),
            time_stamp: ticks(self.shared.options.clock.now()),
            state: i32::from(VNodeState::Leader),
            is_alive: true,
            http_end_point: Some(EndPoint { address: endpoint.host, port: u32::from(endpoint.port) }),
        };
        Ok(Response::new(ClusterInfo { members: vec![member] }))
    }
}
