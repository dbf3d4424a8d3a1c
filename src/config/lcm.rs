//! How operations run: the section `lcm`, with what holds where nothing is said.
//!
//! Never: how its keys are read (`keys`), or what they do.

use super::GrantOffline;

#[derive(Debug, Clone, PartialEq)]
pub struct Lcm {
    pub workers: u64,
    pub start_at_once: u64,
    pub patience_s: u64,
    pub grant_hold_s: u64,
    pub grant_offline: GrantOffline,
    pub package_wait_s: u64,
    pub vnf_answer_s: u64,
}

impl Default for Lcm {
    fn default() -> Self {
        Lcm {
            workers: 4,
            start_at_once: 4,
            patience_s: 120,
            grant_hold_s: 3600,
            grant_offline: GrantOffline::AllowHeal,
            package_wait_s: 10,
            vnf_answer_s: 600,
        }
    }
}
