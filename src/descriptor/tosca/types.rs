//! TOSCA types: SOL001's own, built in, and those a package defines.
//!
//! Owns "is a": which SOL001 type a type comes from, and the property definitions that a package
//! adds on the way. Never reads ETSI's type files.

use std::{collections::HashMap, rc::Rc};

use smol_str::SmolStr;

use super::yaml::Node;
use crate::descriptor::diagnose::{Pos, Sink, did_you_mean};

pub const NS: &str = "tosca.nodes.nfv.NS";
pub const VNF: &str = "tosca.nodes.nfv.VNF";
pub const PNF: &str = "tosca.nodes.nfv.PNF";
pub const COMPUTE: &str = "tosca.nodes.nfv.Vdu.Compute";
pub const BLOCK: &str = "tosca.nodes.nfv.Vdu.VirtualBlockStorage";
pub const OBJECT: &str = "tosca.nodes.nfv.Vdu.VirtualObjectStorage";
pub const FILE: &str = "tosca.nodes.nfv.Vdu.VirtualFileStorage";
pub const CONTAINER: &str = "tosca.nodes.nfv.Vdu.OsContainer";
pub const CONTAINER_UNIT: &str = "tosca.nodes.nfv.Vdu.OsContainerDeployableUnit";
pub const MCIOP: &str = "tosca.nodes.nfv.Mciop";
pub const VDU_CP: &str = "tosca.nodes.nfv.VduCp";
pub const VDU_SUB_CP: &str = "tosca.nodes.nfv.VduSubCp";
pub const VIP_CP: &str = "tosca.nodes.nfv.VipCp";
pub const VIRTUAL_CP: &str = "tosca.nodes.nfv.VirtualCp";
pub const EXT_CP: &str = "tosca.nodes.nfv.VnfExtCp";
pub const INT_LINK: &str = "tosca.nodes.nfv.VnfVirtualLink";
pub const NS_LINK: &str = "tosca.nodes.nfv.NsVirtualLink";
pub const PNF_CP: &str = "tosca.nodes.nfv.PnfExtCp";
pub const SAP: &str = "tosca.nodes.nfv.Sap";
pub const NFP: &str = "tosca.nodes.nfv.NFP";
pub const NFP_POSITION: &str = "tosca.nodes.nfv.NfpPosition";
/// What interfaces of a VNF are derived from whose notifications are its indicators.
pub const VNF_INDICATOR: &str = "tosca.interfaces.nfv.VnfIndicator";
pub const NFP_ELEMENT: &str = "tosca.nodes.nfv.NfpPositionElement";

/// Node types that SOL001 brings, with what each is derived from where that matters here.
const NODES: &[(&str, &str)] = &[
    (NS, "tosca.nodes.Root"),
    (VNF, "tosca.nodes.Root"),
    (PNF, "tosca.nodes.Root"),
    (COMPUTE, "tosca.nodes.Root"),
    (BLOCK, "tosca.nodes.Root"),
    (OBJECT, "tosca.nodes.Root"),
    (FILE, "tosca.nodes.Root"),
    (CONTAINER, "tosca.nodes.Root"),
    (CONTAINER_UNIT, "tosca.nodes.Root"),
    (MCIOP, "tosca.nodes.Root"),
    ("tosca.nodes.nfv.Cp", "tosca.nodes.Root"),
    (VDU_CP, "tosca.nodes.nfv.Cp"),
    (VDU_SUB_CP, VDU_CP),
    (VIP_CP, "tosca.nodes.nfv.Cp"),
    (VIRTUAL_CP, "tosca.nodes.nfv.Cp"),
    (EXT_CP, "tosca.nodes.nfv.Cp"),
    (PNF_CP, "tosca.nodes.nfv.Cp"),
    (SAP, "tosca.nodes.nfv.Cp"),
    (INT_LINK, "tosca.nodes.Root"),
    (NS_LINK, "tosca.nodes.Root"),
    (NFP_ELEMENT, "tosca.nodes.Root"),
    (NFP_POSITION, "tosca.nodes.Root"),
    (NFP, "tosca.nodes.Root"),
    ("tosca.nodes.nfv.Forwarding", "tosca.nodes.Root"),
    ("tosca.nodes.Root", ""),
];

/// A type that the package defines.
#[derive(Debug)]
struct UserType {
    parent: SmolStr,
    pos: Pos,
    properties: Vec<(SmolStr, Rc<Node>)>,
    /// Of a node type, by name.
    interfaces: Vec<(SmolStr, Rc<Node>)>,
    /// Of an interface type: what it tells.
    notifications: Vec<SmolStr>,
}

#[derive(Debug, Default)]
pub struct Types {
    user: HashMap<SmolStr, UserType>,
}

/// Longer chains of `derived_from` are a mistake or an attack.
const LONGEST_CHAIN: usize = 32;

impl Types {
    /// Takes over what a file defines under `node_types`, `policy_types` and so on.
    pub fn add_file(&mut self, root: &Node, sink: &Sink) {
        for section in ["node_types", "policy_types", "artifact_types", "group_types", "data_types", "capability_types", "interface_types"]
        {
            let Some(defs) = root.get(section) else { continue };
            for (name, def) in defs.entries() {
                // ETSI's names mean what ETSI says, whatever a copy in the package says.
                if name.text.starts_with("tosca.") {
                    continue;
                }
                let parent = def.get("derived_from").and_then(|d| d.text()).map(SmolStr::new).unwrap_or_default();
                if section == "node_types" && parent.is_empty() {
                    sink.error(name.pos, &format!("{section}.{}", name.text), "says not what it is derived from (derived_from)");
                }
                let properties = def.get("properties").map(|p| p.entries().to_vec()).unwrap_or_default();
                let properties = properties.into_iter().map(|(k, v)| (k.text, v)).collect();
                if let Some(first) = self.user.get(&name.text).filter(|f| f.pos != name.pos) {
                    let text = format!("the type is also defined in {}:{}", sink.file_name(first.pos), first.pos.line);
                    sink.error(name.pos, &format!("{section}.{}", name.text), text);
                }
                let interfaces = def.get("interfaces").map(|i| i.entries().to_vec()).unwrap_or_default();
                let interfaces = interfaces.into_iter().map(|(k, v)| (k.text, v)).collect();
                let notifications = notifications(def);
                self.user.insert(name.text.clone(), UserType { parent, pos: name.pos, properties, interfaces, notifications });
            }
        }
    }

    /// Reports types that come from nowhere or from themselves.
    pub fn check(&self, sink: &Sink) {
        for (name, t) in &self.user {
            let mut at = name.clone();
            let mut seen: Vec<SmolStr> = Vec::new();
            while let Some(u) = self.user.get(&at) {
                if seen.contains(&at) || seen.len() > LONGEST_CHAIN {
                    sink.error(t.pos, name, "is derived from itself: a cycle of derived_from");
                    break;
                }
                seen.push(at);
                at = u.parent.clone();
            }
        }
    }

    /// The chain from a type to its root, itself first; ends at an unknown name or a cycle.
    fn chain(&self, name: &str) -> Vec<SmolStr> {
        let mut out: Vec<SmolStr> = Vec::new();
        let mut at = SmolStr::new(name);
        while !at.is_empty() && !out.contains(&at) && out.len() < LONGEST_CHAIN {
            let next = match self.user.get(&at) {
                Some(u) => u.parent.clone(),
                None => NODES.iter().find(|(n, _)| *n == at).map(|(_, p)| SmolStr::new(p)).unwrap_or_default(),
            };
            out.push(at);
            at = next;
        }
        out
    }

    pub fn is_a(&self, name: &str, base: &str) -> bool {
        self.chain(name).iter().any(|t| t == base)
    }

    /// Ends in a node type that is built in.
    pub fn known_node(&self, name: &str) -> bool {
        self.chain(name).last().is_some_and(|t| NODES.iter().any(|(n, _)| n == t))
    }

    pub fn suggest(&self, name: &str) -> Option<String> {
        did_you_mean(name, NODES.iter().map(|(n, _)| *n).chain(self.user.keys().map(SmolStr::as_str)))
    }

    /// Interfaces that the package gives a node type, the nearest to the type first.
    pub fn interfaces(&self, name: &str) -> Vec<(SmolStr, Rc<Node>)> {
        self.chain(name).iter().filter_map(|t| self.user.get(t)).flat_map(|u| u.interfaces.iter().cloned()).collect()
    }

    /// What an interface type tells, its own and what those tell that it is derived from.
    pub fn notifications(&self, name: &str) -> Vec<SmolStr> {
        self.chain(name).iter().filter_map(|t| self.user.get(t)).flat_map(|u| u.notifications.iter().cloned()).collect()
    }

    /// Property definitions that the package gives a type, the nearest to the type first.
    pub fn properties(&self, name: &str) -> Vec<(SmolStr, Rc<Node>)> {
        let mut out: Vec<(SmolStr, Rc<Node>)> = Vec::new();
        for t in self.chain(name) {
            for (k, v) in self.user.get(&t).map(|u| u.properties.as_slice()).unwrap_or_default() {
                if !out.iter().any(|(o, _)| o == k) {
                    out.push((k.clone(), v.clone()));
                }
            }
        }
        out
    }
}

/// `notifications` of TOSCA 1.3, `operations` before it had them.
pub fn notifications(interface: &Node) -> Vec<SmolStr> {
    ["notifications", "operations"].iter().filter_map(|k| interface.get(k)).flat_map(|n| n.entries()).map(|(k, _)| k.text.clone()).collect()
}
