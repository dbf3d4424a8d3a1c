//! Where redirects lead (RFC 8572 5.5): each list in its order, what a server answers with before the rest of its
//! list, and an end to it.

use std::collections::{BTreeSet, VecDeque};

use smol_str::SmolStr;

use super::{Der, conveyed::Server};

/// "no more than ten is RECOMMENDED"
pub const DEEPEST: usize = 10;
/// However the lists branch.
const MOST: usize = 100;

/// A server to ask, and the anchors that its certificate must lead to; without one it is asked untrusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    pub address: SmolStr,
    pub port: u16,
    pub anchors: Vec<Der>,
}

impl At {
    pub fn trusted(&self) -> bool {
        !self.anchors.is_empty()
    }
}

#[derive(Debug, Default)]
pub struct Walk {
    levels: Vec<VecDeque<At>>,
    asked: BTreeSet<(SmolStr, u16, bool)>,
    /// Whoever was passed by, and why.
    pub passed: Vec<String>,
}

impl Walk {
    pub fn new(servers: impl IntoIterator<Item = At>) -> Walk {
        Walk { levels: vec![servers.into_iter().collect()], ..Walk::default() }
    }

    /// The next server. A server is asked once: one that leads back to another would do so for ever.
    pub fn next_server(&mut self) -> Option<At> {
        while let Some(level) = self.levels.last_mut() {
            let Some(at) = level.pop_front() else {
                self.levels.pop();
                continue;
            };
            if self.asked.len() >= MOST {
                self.passed.push(format!("{MOST} servers have been asked: that is the most"));
                self.levels.clear();
                return None;
            }
            if self.asked.insert((at.address.clone(), at.port, at.trusted())) {
                return Some(at);
            }
            self.passed.push(format!("{}:{} was asked already", at.address, at.port));
        }
        None
    }

    /// The server that was asked last leads to these. `anchors`: what a believed `trust-anchor` holds.
    pub fn redirected(&mut self, servers: &[Server], mut anchors: impl FnMut(&[u8]) -> Result<Vec<Der>, String>) {
        if self.levels.len() > DEEPEST {
            self.passed.push(format!("{DEEPEST} redirects in a row: no more are followed"));
            return;
        }
        let mut level = VecDeque::new();
        for s in servers {
            let found = s.trust_anchor.as_deref().map_or(Ok(Vec::new()), &mut anchors);
            match found {
                // An anchor that holds nothing must not make a server untrusted in silence.
                Ok(none) if none.is_empty() && s.trust_anchor.is_some() => {
                    self.passed.push(format!("{}:{}: its trust-anchor holds no certificate", s.address, s.port));
                }
                Ok(anchors) => level.push_back(At { address: s.address.clone(), port: s.port, anchors }),
                Err(why) => self.passed.push(format!("{}:{}: its trust-anchor cannot be read: {why}", s.address, s.port)),
            }
        }
        self.levels.push(level);
    }
}
