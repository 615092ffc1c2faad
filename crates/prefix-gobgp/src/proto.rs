//! Messages and clients generated from the workspace's `proto` folder.
#![allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated code")]

pub(crate) mod v3 {
    tonic::include_proto!("apipb");
}

pub(crate) mod v4 {
    tonic::include_proto!("api");
}
