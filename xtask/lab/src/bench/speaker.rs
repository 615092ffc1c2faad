//! The bare speaker of the yardsticks: one unary `AddPath`, as anybody would call it.

use anyhow::{Context, Result};
use prefix_testkit::lab::Gobgpd;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

/// GoBGP's message, as far as a path in binary needs it.
#[derive(Clone, PartialEq, prost::Message)]
struct AddPathRequest {
    #[prost(int32, tag = "1")]
    table_type: i32,
    #[prost(message, optional, tag = "3")]
    path: Option<Path>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Path {
    #[prost(message, optional, tag = "9")]
    family: Option<Family>,
    #[prost(bytes = "vec", tag = "20")]
    nlri: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "21")]
    attributes: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Family {
    #[prost(int32, tag = "1")]
    afi: i32,
    #[prost(int32, tag = "2")]
    safi: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AddPathResponse {}

/// The global table, in version 4 of the API.
const GLOBAL: i32 = 1;

/// A connection to gobgpd 4.
pub(super) struct Speaker(Grpc<Channel>);

impl Speaker {
    pub(super) async fn connect(speaker: &Gobgpd) -> Result<Self> {
        let endpoint =
            Endpoint::from_shared(format!("http://{}", speaker.grpc_endpoint()))?.tcp_nodelay(true);
        Ok(Self(Grpc::new(endpoint.connect().await.context("cannot connect to gobgpd")?)))
    }

    /// Adds a discarding rule with these components.
    pub(super) async fn add(&mut self, components: &[u8]) -> Result<()> {
        let length = u8::try_from(components.len()).context("a short rule")?;
        let attributes = ["40010100", "40030400000000", "c010088006000000000000"];
        let path = Path {
            family: Some(Family { afi: 1, safi: 133 }),
            nlri: [&[length], components].concat(),
            attributes: attributes.iter().map(hex::decode).collect::<Result<_, _>>()?,
        };
        self.0.ready().await.context("gobgpd is not ready")?;
        let request = tonic::Request::new(AddPathRequest { table_type: GLOBAL, path: Some(path) });
        let call = PathAndQuery::from_static("/api.GoBgpService/AddPath");
        let codec: ProstCodec<AddPathRequest, AddPathResponse> = ProstCodec::default();
        self.0.unary(request, call, codec).await.context("gobgpd refused a path")?;
        Ok(())
    }
}
