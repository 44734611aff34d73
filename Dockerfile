# syntax=docker/dockerfile:1
#
#   docker build -t ordercast .
#   docker run -p 8080:8080 -e ORDERCAST_DATABASE_URL=… -e ORDERCAST_AUTH__SECRET=… ordercast
#
# With PostgreSQL's programs inside, for `demo`, or for `serve` without a database of one's own:
#
#   docker build -t ordercast:alone --build-arg WITH_POSTGRES=1 .
#   docker run --init -p 8080:8080 -v ordercast:/var/lib/ordercast ordercast:alone

FROM rust:1.95-slim-bookworm AS builder
# The allocator is built with it.
RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build

# First the dependencies alone, behind two empty sources: this layer lasts until Cargo.toml or
# Cargo.lock change. Tests and benches are not built here, so their declarations go.
COPY Cargo.toml Cargo.lock ./
RUN awk '/^\[/ { skip = /^\[\[(bench|example|test)\]\]/ } !skip' Cargo.toml > Cargo.short \
    && mv Cargo.short Cargo.toml \
    && mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && : > src/lib.rs \
    && cargo build --profile dist --locked

# Then ours. What was copied may be older than what was built just now: cargo must be told.
COPY config config
COPY sql sql
COPY src src
RUN touch src/main.rs src/lib.rs && cargo build --profile dist --locked

FROM debian:bookworm-slim
ARG WITH_POSTGRES=0
# The package would make and start a cluster of its own, which nobody would use.
RUN if [ "$WITH_POSTGRES" = 1 ]; then \
        apt-get update \
        && apt-get install -y --no-install-recommends postgresql-common \
        && sed -ri 's/^#?create_main_cluster .*/create_main_cluster = false/' \
            /etc/postgresql-common/createcluster.conf \
        && apt-get install -y --no-install-recommends postgresql \
        && rm -rf /var/lib/apt/lists/*; \
    fi
RUN useradd --system --user-group --home-dir /var/lib/ordercast --shell /usr/sbin/nologin ordercast \
    && install -d -o ordercast -g ordercast -m 0750 /var/lib/ordercast
COPY --from=builder /build/target/dist/ordercast /usr/local/bin/ordercast

USER ordercast
WORKDIR /var/lib/ordercast
ENV ORDERCAST_SERVER__HOST=0.0.0.0
EXPOSE 8080
# Not ready, sockets closed with 3001, the last batch committed: allow more than the usual 10 s,
# as in `docker stop --time 30`.
STOPSIGNAL SIGTERM
# That the process answers; whether it is ready is for the balancer to ask (/readyz). The image has
# no HTTP client, and bash needs none.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["/bin/bash", "-c", "exec 3<>\"/dev/tcp/127.0.0.1/${ORDERCAST_SERVER__PORT:-8080}\" && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r status <&3 && [[ $status == *' 200 '* ]]"]
ENTRYPOINT ["ordercast"]
CMD ["serve"]
