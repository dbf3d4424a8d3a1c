//! Ports of the box that may be reached from outside.

use std::{fmt, net::IpAddr};

use super::net::Cidr;

/// A port that may be reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opening {
    pub tcp: bool,
    pub port: u16,
    /// At this address of the box's only.
    pub at: Option<IpAddr>,
    /// From there only; none: from everywhere.
    pub from: Vec<Cidr>,
}

impl Opening {
    /// `None`: nobody outside reaches a listener on the loopback anyway.
    pub fn of_listener(tcp: bool, at: IpAddr, port: u16) -> Option<Opening> {
        (!at.is_loopback()).then(|| Opening { tcp, port, at: Some(at).filter(|a| !a.is_unspecified()), from: Vec::new() })
    }
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, if self.tcp { "tcp" } else { "udp" })?;
        self.at.iter().try_for_each(|at| write!(f, " at {at}"))?;
        for (i, from) in self.from.iter().enumerate() {
            write!(f, "{}{from}", if i == 0 { " from " } else { ", " })?;
        }
        Ok(())
    }
}
