//! Compiles the wire-compatible subsets of `GoBGP`'s API without `protoc`.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    for version in ["v3", "v4"] {
        let files = ["gobgp", "attribute"].map(|name| format!("gobgp/{version}/{name}.proto"));
        let descriptors = protox::compile(files, [&protos])?;
        // `Bytes`: attributes that all paths share are encoded once, and a listed table is not copied.
        tonic_prost_build::configure().build_server(false).bytes(".").compile_fds(descriptors)?;
    }
    println!("cargo::rerun-if-changed={}", protos.display());
    Ok(())
}
