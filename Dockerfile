# kube-projector as one static binary on an empty image.
#
#   docker build --tag kube-projector:0.1.0 .
#   buildah build --format docker --tag kube-projector:0.1.0 .
#
# The build runs natively on the platform that is asked for: `--platform linux/arm64` needs an arm64 machine or emulation.
# With the two files of /out at hand (a binary from a pipeline, say) the first stage is not needed:
#
#   buildah build --format docker --build-context build=DIR .        # DIR/out/kube-projector, DIR/out/ca-certificates.crt

FROM rust:1.95-bookworm AS build
ARG TARGETARCH
WORKDIR /src
COPY . .
# An explicit --target keeps +crt-static away from build scripts and procedural macros, which cannot be static.
RUN case "${TARGETARCH:-$(dpkg --print-architecture)}" in \
      amd64) target=x86_64-unknown-linux-gnu ;; \
      arm64) target=aarch64-unknown-linux-gnu ;; \
      *) echo "no target known for ${TARGETARCH}" >&2; exit 1 ;; \
    esac \
 && RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --bin kube-projector --target "$target" \
 && install -D "target/$target/release/kube-projector" /out/kube-projector \
 && install -D --mode=0644 /etc/ssl/certs/ca-certificates.crt /out/ca-certificates.crt

FROM scratch
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="kube-projector" \
      org.opencontainers.image.description="Keeps a folder equal to what labelled Kubernetes ConfigMaps and Secrets say it should hold" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/kube-projector /kube-projector
# Numeric, so that runAsNonRoot can be checked without a passwd file. Any other uid works as well.
# One heap for both threads and no caches beside it: with 10,000 files 2 MiB of resident memory less.
ENV MALLOC_ARENA_MAX=1 GLIBC_TUNABLES=glibc.malloc.tcache_count=0
USER 65534:65534
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/kube-projector", "healthcheck"]
ENTRYPOINT ["/kube-projector"]
