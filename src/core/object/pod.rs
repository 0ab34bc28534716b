//! Pods as triggers see them: nothing is projected from them.

use crate::core::object::ObjectKey;

/// A pod, as far as it is noticed that it became ready, or that another one has its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PodState {
    /// Which pod.
    pub key: ObjectKey,
    /// `metadata.uid`, folded to a number.
    pub uid: u128,
    /// Its address and since when it is ready, while it runs, is ready and stays.
    pub ready: Option<Ready>,
}

/// How a pod that is ready is reached, and since when it is ready; both as the API writes them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ready {
    /// `status.podIP`
    pub address: String,
    /// `lastTransitionTime` of its condition.
    pub since: String,
}
