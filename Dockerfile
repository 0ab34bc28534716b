# kube-projector as one static binary on an empty image, with a shell beside it where scripts are to run.
#
#   docker build --tag kube-projector:0.1.0 .
#   docker build --tag kube-projector:0.1.0-with-shell --target with-shell .
#   buildah build --format docker --tag kube-projector:0.1.0 .
#
# | target | entrypoint | shell |
# |---|---|---|
# | (none) | kube-projector | no |
# | with-shell | kube-projector | busybox |
# | k8s-sidecar | k8s-sidecar, which is PROFILE=k8s-sidecar | no |
# | k8s-sidecar-with-shell | k8s-sidecar | busybox |
#
# The build runs natively on the platform that is asked for: `--platform linux/arm64` needs an arm64 machine or emulation.
# With the files at hand (a binary from a pipeline, say) the first two stages are not needed:
#
#   image/lay-out root BINARY CERTIFICATES DIR/build/out
#   image/lay-out shell BUSYBOX DIR/shell/out
#   buildah build --format docker --build-context build=DIR/build --build-context shell=DIR/shell .

FROM rust:1.95-bookworm AS build
ARG TARGETARCH
WORKDIR /src
COPY . .
# An explicit --target keeps +crt-static away from build scripts and procedural macros, which cannot be static.
# Nothing unwinds where a panic aborts: without an index for that, and with packed relocations, the binary is 0.5 MB smaller.
# Where the toolchain links with LLD, functions that came out the same are kept once: 0.1 MB; the tables that the index was of are
# left out: 0.8 MB; and what hardly ever runs stands apart, where no page of it is read: 0.5 MB of resident memory.
RUN case "${TARGETARCH:-$(dpkg --print-architecture)}" in \
      amd64) target=x86_64-unknown-linux-gnu; fold=,--icf=all,-T,image/layout.ld,-z,keep-text-section-prefix ;; \
      arm64) target=aarch64-unknown-linux-gnu; fold= ;; \
      *) echo "no target known for ${TARGETARCH}" >&2; exit 1 ;; \
    esac \
 && RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs,--no-eh-frame-hdr$fold" cargo build --release --locked --bin kube-projector --target "$target" \
 && image/lay-out root "target/$target/release/kube-projector" /etc/ssl/certs/ca-certificates.crt /out

FROM rust:1.95-bookworm AS shell
COPY image/lay-out /lay-out
RUN apt-get update \
 && apt-get install --yes --no-install-recommends busybox-static \
 && /lay-out shell /bin/busybox /out

FROM scratch AS base
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="kube-projector" \
      org.opencontainers.image.description="Keeps a folder equal to what labelled Kubernetes ConfigMaps and Secrets say it should hold" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /out/ /
# One heap for both threads and no caches beside it: with 10,000 files 2 MiB of resident memory less.
ENV PATH=/usr/local/bin:/bin MALLOC_ARENA_MAX=1 GLIBC_TUNABLES=glibc.malloc.tcache_count=0
# Numeric, so that runAsNonRoot can be checked without a passwd file. Any other uid works as well.
USER 65534:65534
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/kube-projector", "healthcheck", "--or-off"]
ENTRYPOINT ["/kube-projector"]

FROM base AS with-shell
COPY --from=shell /out/ /

FROM base AS k8s-sidecar
ENTRYPOINT ["/usr/local/bin/k8s-sidecar"]

FROM with-shell AS k8s-sidecar-with-shell
ENTRYPOINT ["/usr/local/bin/k8s-sidecar"]

# The last one is the default.
FROM base
