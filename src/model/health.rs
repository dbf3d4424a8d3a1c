//! Conditions: what the box depends on, and whether it is there. Shown on the health page.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionState {
    Ok,
    /// Not known yet: the first probe is under way.
    Pending,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// `store`, `libvirt`, `openvswitch`, `accel`, `reconciled`, `functions`, `shutdown`, `desired`, `firewall`, `uplinks`, `call-home`, `hub`.
    pub name: SmolStr,
    pub state: ConditionState,
    /// One sentence: the version that answered, or what failed and what to do.
    pub text: String,
}

impl Condition {
    pub fn new(name: &str, state: ConditionState, text: impl Into<String>) -> Self {
        Condition { name: SmolStr::new(name), state, text: text.into() }
    }
}
