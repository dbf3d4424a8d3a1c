//! Zero-touch provisioning as the device does it (RFC 8572, vouchers of RFC 8366).
//!
//! Owns: what the artefacts of bootstrapping data are, which of them are believed and why, where a redirect
//! leads, what onboarding information asks for and in which order, the words of progress reports. All of it
//! is pure. Never: signatures (behind [`port::Cms`]), files, sockets, or the running of what was asked for
//! (`node` and the command line do).
//!
//! ```text
//!   source ──artefacts──> judge ──believed──> Redirect ──> walk ──next server──> rpc (a source again)
//!                           │                 Onboarding ──> onboard: image, script, configuration, script
//!                           └──refused: every reason
//! ```
//!
//! * `artefact`  CMS from outside: encrypted, signed, plain; which content it says it has
//! * `voucher`   ownership voucher: for this device, at this time
//! * `conveyed`  redirect or onboarding information
//! * `judge`     which of these are believed (RFC 8572 5.3, 5.4)
//! * `walk`      redirects, with a cap (5.5)
//! * `onboard`   the steps of onboarding information, and what the end of a script means (5.6)
//! * `merge`     configuration merged into the one that is there, or in place of it
//! * `enrol`     what comes beside a configuration: files, and clients of the box
//! * `source`    servers that DHCP names (4.3, 8), or that the box was told of (4.4)
//! * `rpc`       what passes between box and server (7.3, RFC 9646)
//! * `report`    progress reports (7.3)
//! * `status`    how far a box is

pub mod artefact;
pub mod conveyed;
pub mod enrol;
pub mod judge;
pub mod merge;
pub mod onboard;
pub mod port;
pub mod report;
pub mod rpc;
pub mod source;
pub mod status;
pub mod voucher;
pub mod walk;

#[cfg(test)]
mod tests;

pub use port::Der;

/// What a date is held against. A box without a battery clock may think that it is 1970; RFC 8572 9.1 says
/// what holds then: nothing ends, and nothing is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    Sound(crate::model::time::Stamp),
    Unknown,
}

impl Now {
    /// The one rule for validity times: a clock is sound if it is not before the day that the running software was
    /// made on. No time from the network counts, for nobody has vouched for it yet.
    pub fn of(clock: crate::model::time::Stamp, software_made: crate::model::time::Stamp) -> Now {
        if clock < software_made { Now::Unknown } else { Now::Sound(clock) }
    }
    pub fn stamp(self) -> Option<crate::model::time::Stamp> {
        match self {
            Now::Sound(at) => Some(at),
            Now::Unknown => None,
        }
    }
}

/// Who this device is, by its IDevID (IEEE 802.1AR).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// As in the subject of its IDevID.
    pub serial_number: smol_str::SmolStr,
    /// The key identifier of who issued its IDevID (authority key identifier, RFC 5280 4.2.1.1).
    pub issuer_key: Option<Vec<u8>>,
    /// Who may issue vouchers for it: its manufacturer.
    pub voucher_anchors: Vec<Der>,
}
