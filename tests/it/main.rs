//! Everything that speaks to an API server: the in-process one by default, a real one when PROJECTOR_TEST_CLUSTER names a kubeconfig.

#[path = "../support/mod.rs"]
mod support;
