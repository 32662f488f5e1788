# tasker-server, without handlers, for a PostgreSQL that runs elsewhere.
#
#   docker build -t tasker-server .
#   docker run -e DATABASE_URL=postgres://… -e TASKER_API_KEY=… -p 8080:8080 -p 9190:9190 tasker-server
#
# or see compose.yaml.

FROM golang:1.26-trixie AS build
WORKDIR /src
# Modules first: they change seldom, and then this layer is not made again.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags="-s -w" -o /out/tasker-server ./cmd/tasker-server

FROM debian:trixie-slim
# For databases, token issuers and collectors that are reached over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/tasker-server /usr/local/bin/tasker-server

# Configuration is read from the working directory.
WORKDIR /tasker
COPY config config

# In a container loopback reaches nobody. Bound to all addresses the server asks
# for credentials and does not start without TASKER_API_KEY.
ENV TASKER_ENV=production \
    TASKER_WEB_BIND_ADDRESS=0.0.0.0:8080 \
    TASKER_ORCHESTRATION_GRPC_BIND_ADDRESS=0.0.0.0:9190
EXPOSE 8080 9190

# A number, so that Kubernetes can see that it is not root.
USER 65532:65532

# The image has neither curl nor wget; bash speaks enough HTTP. The port is the
# one above: who changes it overrides this check.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /health/ready HTTP/1.0\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]

ENTRYPOINT ["tasker-server"]
