# prefixd and prefixdctl in one small image.
#
#   docker build -t prefixd .
#   docker run --rm -v ./configs:/etc/prefixd:ro prefixd --check

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin prefixd --bin prefixdctl \
    && install -D -t /out target/release/prefixd target/release/prefixdctl

# The speaker, for compose.yaml: GoBGP as Debian packages it.
FROM debian:bookworm-slim AS gobgpd
RUN apt-get update && apt-get install -y --no-install-recommends gobgpd && rm -rf /var/lib/apt/lists/*
USER nobody
ENTRYPOINT ["gobgpd", "--pprof-disable"]
CMD ["-f", "/etc/gobgp/gobgpd.toml", "--api-hosts=127.0.0.1:50051"]

FROM debian:bookworm-slim AS prefixd
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/prefixd --create-home prefixd
COPY --from=build /out/prefixd /out/prefixdctl /usr/bin/
USER prefixd
# The shipped prefixd.yaml keeps its database and state here; the guard (`prefixd guard`) runs in a container of its own
# on the same volume.
ENV STATE_DIRECTORY=/var/lib/prefixd
VOLUME /var/lib/prefixd
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["prefixdctl", "health", "--ready"]
ENTRYPOINT ["prefixd"]
