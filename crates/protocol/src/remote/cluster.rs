//! Which node is talked to? One connection at a time; another one when that breaks, or when its node no longer leads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use factum_core::{BoxFuture, Capabilities, StoreId};
use tonic::metadata::{AsciiMetadataValue, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request};

use super::connection_string::{ConnectionString, Finding, Node, NodePreference};
use super::dial::{Dialler, TlsError};
use super::failure::{Fault, fault_of};
use super::pipeline::Pipeline;
use super::{kurrent, own};
use crate::wire::v1::gossip::gossip_client::GossipClient;
use crate::wire::v1::gossip::member_info::VNodeState;
use crate::wire::v1::gossip::{ClusterInfo, MemberInfo};
use crate::wire::v1::server_features::server_features_client::ServerFeaturesClient;

/// Most tries of one call whose connection breaks, or whose node is not ready.
const TRIES: u32 = 6;
/// Pause before the second try; it doubles from try to try.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Most members of a cluster that are looked at.
const MAX_MEMBERS: usize = 1_024;

/// How a node is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By Factum's own service: everything that the store behind it can do.
    Own,
    /// By KurrentDB's calls.
    Kurrent,
}

/// Which of the two ways may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ways {
    /// The server's own service where it has one, KurrentDB's calls otherwise.
    #[default]
    Best,
    /// KurrentDB's calls, whatever the server has.
    KurrentOnly,
}

/// What a server says that it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Features {
    /// Several streams in one append, each once.
    pub(super) append_session: bool,
    /// Several streams in one append, in any order, with checks.
    pub(super) append_records: bool,
    /// Factum's own service, and with it properties of Factum's own on events.
    pub(super) own: bool,
    /// Many appends over one call of that service.
    pub(super) append_many: bool,
}

/// A node that is connected to.
pub(super) struct Link {
    pub(super) channel: Channel,
    pub(super) features: Features,
    pub(super) way: Way,
    node: Node,
}

/// A call under way.
pub(super) type Calling<'f, T> = BoxFuture<'f, Result<T, Fault>>;

/// The cluster.
pub(super) struct Cluster {
    settings: ConnectionString,
    ways: Ways,
    dialler: Dialler,
    authorization: Option<AsciiMetadataValue>,
    name: Option<AsciiMetadataValue>,
    link: tokio::sync::Mutex<Option<Arc<Link>>>,
    /// Where to begin among the nodes that are named, so that one that is gone does not cost each try its time.
    next_seed: AtomicUsize,
    told: Mutex<Told>,
    /// The call that appends share: that of the node that is connected to, if it has such a call.
    pipeline: Mutex<Option<Pipeline>>,
    /// Which log it is, once that was found out.
    identity: OnceLock<StoreId>,
}

/// What was found out about the node that was connected to last.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) way: Way,
    pub(super) capabilities: Capabilities,
}

impl Cluster {
    pub(super) fn new(settings: ConnectionString, ways: Ways) -> Result<Self, TlsError> {
        let dialler = Dialler::new(&settings)?;
        let authorization = settings.credentials.as_ref().and_then(|credentials| {
            let text = STANDARD.encode(format!("{}:{}", credentials.user, credentials.password));
            let mut value: AsciiMetadataValue = format!("Basic {text}").parse().ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        let name = settings.connection_name.as_ref().and_then(|name| name.parse().ok());
        let capabilities = kurrent::capabilities(Features::default());
        Ok(Self {
            settings,
            ways,
            dialler,
            authorization,
            name,
            link: tokio::sync::Mutex::new(None),
            next_seed: AtomicUsize::new(0),
            told: Mutex::new(Told { way: Way::Kurrent, capabilities }),
            pipeline: Mutex::new(None),
            identity: OnceLock::new(),
        })
    }

    /// Which log it is, if that was found out.
    pub(super) fn identity(&self) -> Option<StoreId> {
        self.identity.get().copied()
    }

    /// It is this one.
    pub(super) fn identify(&self, store: StoreId) {
        // Whoever found it out first found the same.
        let _ = self.identity.set(store);
    }

    /// The nodes that are named, in order of their names.
    pub(super) fn seeds(&self) -> String {
        let mut names: Vec<String> = self.settings.nodes.iter().map(ToString::to_string).collect();
        names.sort_unstable();
        names.join(",")
    }

    /// A call's request, with who asks and for how long it is waited for.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = self.endless(message);
        if let Some(deadline) = self.settings.deadline {
            request.set_timeout(deadline);
        }
        request
    }

    /// The request of a call that has no end of its own.
    pub(super) fn endless<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let headers = request.metadata_mut();
        if let Some(authorization) = &self.authorization {
            headers.insert("authorization", authorization.clone());
        }
        if let Some(name) = &self.name {
            headers.insert("connection-name", name.clone());
        }
        let leads = self.settings.preference == NodePreference::Leader;
        headers.insert("requires-leader", MetadataValue::from_static(if leads { "true" } else { "false" }));
        request
    }

    /// What was found out about the node that was connected to last.
    pub(super) fn told(&self) -> Told {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The call that appends share, while it is open. With a time limit for each call there is none: an append that shares
    /// a call cannot be broken off by itself.
    pub(super) fn pipeline(&self) -> Option<Pipeline> {
        self.shared_call().as_ref().filter(|pipeline| pipeline.is_open()).cloned()
    }

    // A thread that panicked under the lock left a handle, or none.
    fn shared_call(&self) -> MutexGuard<'_, Option<Pipeline>> {
        self.pipeline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that appends share a call to this node, if it has such calls. On the network's thread.
    pub(super) fn share(&self, link: &Link) {
        if link.way != Way::Own || !link.features.append_many || self.settings.deadline.is_some() {
            return;
        }
        let mut current = self.shared_call();
        if current.as_ref().is_some_and(Pipeline::is_open) {
            return;
        }
        let request = self.endless(());
        *current = Some(Pipeline::start(own::client(link.channel.clone()), move |outgoing| {
            let (metadata, extensions, ()) = request.into_parts();
            Request::from_parts(metadata, extensions, outgoing)
        }));
    }

    /// The node that is connected to; connects where none is.
    pub(super) async fn link(&self) -> Result<Arc<Link>, Fault> {
        let mut link = self.link.lock().await;
        if let Some(link) = &*link {
            return Ok(link.clone());
        }
        let found = Arc::new(self.find().await?);
        *link = Some(found.clone());
        Ok(found)
    }

    /// Does `call`, and does it again where nothing says that it cannot succeed: with pauses, and not for ever.
    ///
    /// # Errors
    /// The last fault. Where an earlier try may have reached the server, that is said of the last one too.
    pub(super) async fn call<'f, T>(
        &self,
        call: impl Fn(Arc<Link>) -> Calling<'f, T> + Send,
    ) -> Result<T, Fault> {
        let mut pause = Pause::new();
        let mut sent = false;
        loop {
            let fault = match self.link().await {
                Ok(link) => match call(link.clone()).await {
                    Ok(answer) => return Ok(answer),
                    Err(fault) => {
                        sent |= fault.may_have_been_done();
                        self.after(&link, &fault).await;
                        fault
                    }
                },
                Err(fault) => fault,
            };
            if !fault.is_passing() || !pause.wait().await {
                return Err(if sent { fault.perhaps_done() } else { fault });
            }
        }
    }

    /// Goes on to another node where the fault says that this one will not do.
    pub(super) async fn after(&self, link: &Arc<Link>, fault: &Fault) {
        let leader = match fault {
            Fault::NotLeader { leader } => leader.clone(),
            Fault::Broken { .. } => None,
            _ => return,
        };
        let mut current = self.link.lock().await;
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, link)) {
            *current = None;
            *self.shared_call() = None;
            if let Some(leader) = leader.filter(|leader| *leader != link.node) {
                // A leader that does not answer is looked for again by the next try.
                *current = self.open(&leader).await.ok().map(Arc::new);
            }
        }
    }

    async fn find(&self) -> Result<Link, Fault> {
        if self.settings.finding == Finding::Direct {
            let node = self.settings.nodes.first().ok_or_else(|| Fault::broken("no node is named"))?;
            return self.open(node).await;
        }
        let mut last = Fault::broken("no node is named");
        for attempt in 0..self.settings.discover_attempts {
            if attempt > 0 {
                tokio::time::sleep(self.settings.discovery_interval).await;
            }
            let seeds = &self.settings.nodes;
            let first = self.next_seed.load(Ordering::Relaxed);
            for step in 0..seeds.len() {
                let place = (first + step) % seeds.len();
                match self.found_through(&seeds[place]).await {
                    Ok(link) => {
                        self.next_seed.store(place, Ordering::Relaxed);
                        return Ok(link);
                    }
                    Err(fault @ (Fault::Denied { .. } | Fault::Refused { .. })) => return Err(fault),
                    Err(fault) => last = fault,
                }
            }
        }
        Err(last)
    }

    async fn found_through(&self, seed: &Node) -> Result<Link, Fault> {
        let asking = async {
            let channel = self.dial(seed).await?;
            let mut gossip = GossipClient::new(channel);
            gossip.read(self.endless(())).await.map_err(|status| fault_of(&status))
        };
        let late = || Fault::broken(format!("{seed} does not say who is in the cluster"));
        let told = tokio::time::timeout(self.settings.gossip_timeout, asking).await.map_err(|_| late())??;
        let spread = self.next_seed.load(Ordering::Relaxed);
        let node = chosen(&told.into_inner(), self.settings.preference, spread)
            .ok_or_else(|| Fault::broken(format!("{seed} knows no node of the cluster that is wanted")))?;
        self.open(&node).await
    }

    async fn dial(&self, node: &Node) -> Result<Channel, Fault> {
        self.dialler.connect(node).await.map_err(|why| Fault::NotConnected { why: format!("{node}: {why}") })
    }

    async fn open(&self, node: &Node) -> Result<Link, Fault> {
        let channel = self.dial(node).await?;
        let features = self.features(channel.clone()).await?;
        let way = if features.own && self.ways == Ways::Best { Way::Own } else { Way::Kurrent };
        let capabilities = match way {
            Way::Own => own::capabilities(self, channel.clone()).await?,
            Way::Kurrent => kurrent::capabilities(features),
        };
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Told { way, capabilities };
        Ok(Link { channel, features, way, node: node.clone() })
    }

    /// Asks what the server answers. One too old to be asked has none of what is asked for.
    async fn features(&self, channel: Channel) -> Result<Features, Fault> {
        let mut client = ServerFeaturesClient::new(channel);
        let listed = match client.get_supported_methods(self.request(())).await {
            Ok(listed) => listed.into_inner(),
            Err(status) if matches!(status.code(), Code::Unimplemented | Code::NotFound) => {
                return Ok(Features::default());
            }
            Err(status) => return Err(fault_of(&status)),
        };
        let has = |service: &str, method: &str| {
            listed.methods.iter().any(|listed| {
                listed.service_name.eq_ignore_ascii_case(service)
                    && listed.method_name.eq_ignore_ascii_case(method)
            })
        };
        const V2: &str = "kurrentdb.protocol.v2.streams.StreamsService";
        Ok(Features {
            append_session: has(V2, "AppendSession"),
            append_records: has(V2, "AppendRecords"),
            own: has("factum.v1.Store", "Append"),
            append_many: has("factum.v1.Store", "AppendMany"),
        })
    }
}

/// Tries with growing pauses between them.
pub(super) struct Pause {
    tries: u32,
    next: Duration,
}

impl Pause {
    pub(super) fn new() -> Self {
        Self { tries: 1, next: FIRST_PAUSE }
    }

    /// Waits before the next try; `false` where there has been the last one.
    pub(super) async fn wait(&mut self) -> bool {
        if self.tries >= TRIES {
            return false;
        }
        self.tries += 1;
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        true
    }
}

/// The member that is wanted most; `spread` tells members apart that are as good as each other.
fn chosen(told: &ClusterInfo, preference: NodePreference, spread: usize) -> Option<Node> {
    let rank = |member: &MemberInfo| {
        let state = VNodeState::try_from(member.state).ok()?;
        let wanted = match preference {
            NodePreference::Leader => state == VNodeState::Leader,
            NodePreference::Follower => state == VNodeState::Follower,
            NodePreference::ReadOnlyReplica => {
                matches!(state, VNodeState::ReadOnlyReplica | VNodeState::ReadOnlyLeaderless)
            }
            NodePreference::Random => true,
        };
        let usable = matches!(
            state,
            VNodeState::Leader
                | VNodeState::Follower
                | VNodeState::ReadOnlyReplica
                | VNodeState::ReadOnlyLeaderless
        );
        // Where the wish cannot be met, the leader serves best.
        usable.then_some(match (wanted, state) {
            (true, _) => 2,
            (false, VNodeState::Leader) => 1,
            (false, _) => 0,
        })
    };
    let alive = told.members.iter().take(MAX_MEMBERS).filter(|member| member.is_alive);
    let ranked: Vec<(i32, &MemberInfo)> = alive.filter_map(|member| Some((rank(member)?, member))).collect();
    let best = ranked.iter().map(|(rank, _)| *rank).max()?;
    let equals: Vec<&MemberInfo> =
        ranked.iter().filter(|(rank, _)| *rank == best).map(|(_, member)| *member).collect();
    let endpoint = equals.get(spread % equals.len())?.http_end_point.as_ref()?;
    Some(Node { host: endpoint.address.clone(), port: u16::try_from(endpoint.port).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::v1::gossip::EndPoint;

    fn member(host: &str, state: VNodeState, is_alive: bool) -> MemberInfo {
        MemberInfo {
            instance_id: None,
            time_stamp: 0,
            state: i32::from(state),
            is_alive,
            http_end_point: Some(EndPoint { address: host.to_owned(), port: 2113 }),
        }
    }

    #[test]
    fn the_preferred_member_is_chosen_among_those_alive() {
        let told = ClusterInfo {
            members: vec![
                member("dead", VNodeState::Leader, false),
                member("new", VNodeState::CatchingUp, true),
                member("follows", VNodeState::Follower, true),
                member("follows-too", VNodeState::Follower, true),
                member("leads", VNodeState::Leader, true),
                member("manages", VNodeState::Manager, true),
            ],
        };
        let host = |preference, spread| chosen(&told, preference, spread).map(|node| node.host);
        assert_eq!(host(NodePreference::Leader, 0).as_deref(), Some("leads"));
        assert_eq!(host(NodePreference::Follower, 0).as_deref(), Some("follows"));
        assert_eq!(host(NodePreference::Follower, 1).as_deref(), Some("follows-too"));
        assert_eq!(host(NodePreference::ReadOnlyReplica, 7).as_deref(), Some("leads"));
        assert_eq!(chosen(&ClusterInfo::default(), NodePreference::Random, 0), None);
    }
}
