//! The image as it is deployed: in real pods, under the shipped roles, with real faults.
//!
//! Every test takes a namespace of its own on the cluster it is pointed at, and fails, never skips, when it is pointed at none:
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `PROJECTOR_TEST_CLUSTER` | kubeconfig of an administrator | required |
//! | `PROJECTOR_TEST_NODE_ENTER` | command prefix that runs a command inside the node: containerd's namespaces, its network | required by the fault tests |
//! | `PROJECTOR_TEST_NODE_PIDS` | file of lines `name pid`, one of them `apiserver`; the node restarts what is killed | `pids` beside the kubeconfig |
//! | `PROJECTOR_TEST_KUBECTL` | kubectl, as a command with arguments | `kubectl` |
//! | `PROJECTOR_TEST_IMAGE` | the image under test, already on the node | `localhost/kube-projector:ci` |
//! | `PROJECTOR_TEST_IMAGE_WITH_SHELL` | the image of the target `k8s-sidecar-with-shell`, already on the node | `localhost/kube-projector:ci-with-shell` |
//! | `PROJECTOR_TEST_IMAGE_OF_PROGRAMS` | an image with nginx, HAProxy, Prometheus and busybox's applets, already on the node; see `.ci/run` | `localhost/programs:ci` |
//! | `PROJECTOR_TEST_BUSYBOX` | an image with busybox's applets, already on the node | `localhost/busybox:1` |
//! | `PROJECTOR_TEST_HELM` | programs of Helm, with commas between them | required by the tests of charts |
//! | `PROJECTOR_TEST_ROUNDS` | how often the test with hundreds of objects deletes its namespace | 1 |
//!
//! `cargo test --test pods -- --ignored --test-threads=2` runs them all.

mod cluster;
mod pod;
mod wait;

mod asked;
mod charts;
mod dovecot;
mod dry;
mod examples;
mod exec;
mod farewell;
mod faults;
mod k8s_sidecar;
mod programs;
mod sharing;
mod sidecar;
mod signal;
mod starts;
