//! Ids as people read them: the name where one is known, else the first eight characters.

use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

use regex::Regex;
use serde_json::Value;

use crate::model::tree::tree;

/// No `.ok()` of this pattern is `None`: a test holds it.
static UUID: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b").ok());

/// Names of ids, learnt from the resources that were read.
#[derive(Default)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// The members, guests and links of a network service.
    pub fn of_ns(ns: &Value) -> Names {
        let mut names = Names::default();
        let prefix = format!("{}-", ns["nsInstanceName"].as_str().unwrap_or_default());
        for v in list(ns, "vnfInstance") {
            names.learn_vnf(v, &prefix);
        }
        for l in list(ns, "virtualLinkInfo") {
            names.put(&l["id"], l["nsVirtualLinkDescId"].as_str().unwrap_or_default());
        }
        names
    }

    pub fn of_vnf(vnf: &Value) -> Names {
        let mut names = Names::default();
        names.learn_vnf(vnf, "");
        names
    }

    fn learn_vnf(&mut self, vnf: &Value, prefix: &str) {
        let whole = vnf["vnfInstanceName"].as_str().unwrap_or_default();
        let name = whole.strip_prefix(prefix).unwrap_or(whole);
        self.put(&vnf["id"], name);
        let info = &vnf["instantiatedVnfInfo"];
        for (vnfc, index) in guests(info) {
            self.put(&vnfc["id"], &format!("{name}/{}/{index}", vnfc["vduId"].as_str().unwrap_or("?")));
        }
        for l in list(info, "vnfVirtualLinkResourceInfo") {
            self.put(&l["id"], l["vnfVirtualLinkDescId"].as_str().unwrap_or_default());
        }
    }

    pub fn put(&mut self, id: &Value, name: &str) {
        if let Some(id) = id.as_str().filter(|_| !name.is_empty()) {
            self.0.insert(id.to_owned(), name.to_owned());
        }
    }

    /// For what is told under the heading of one VNF: its guests without its name.
    pub fn within(&self, vnf: &str) -> Names {
        let cut = |n: &String| n.strip_prefix(vnf).and_then(|n| n.strip_prefix('/')).unwrap_or(n).to_owned();
        Names(tree(self.0.iter().map(|(id, n)| (id.clone(), cut(n)))))
    }

    /// The text with its ids replaced.
    pub fn dress<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(uuid) = UUID.as_ref() else { return Cow::Borrowed(text) };
        uuid.replace_all(text, |c: &regex::Captures<'_>| self.0.get(&c[0]).cloned().unwrap_or_else(|| c[1].to_owned()))
    }
}

/// An id in a table. Its beginning is enough to name it again.
pub fn short(text: &str) -> &str {
    match uuid::Uuid::parse_str(text) {
        Ok(_) => text.get(..8).unwrap_or(text),
        Err(_) => text,
    }
}

pub fn list<'v>(v: &'v Value, member: &str) -> &'v [Value] {
    v[member].as_array().map_or(&[], Vec::as_slice)
}

/// The VNFCs of an InstantiatedVnfInfo, each with its index among those of its VDU.
pub fn guests(info: &Value) -> Vec<(&Value, usize)> {
    let all = list(info, "vnfcResourceInfo");
    all.iter().enumerate().map(|(i, c)| (c, all[..i].iter().filter(|o| o["vduId"] == c["vduId"]).count())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_in_a_text_become_names_or_their_beginning() {
        let [vnf, guest, other] = [1, 2, 3].map(|n| uuid::Uuid::from_u128(n).to_string());
        let ns = json!({"nsInstanceName": "site", "vnfInstance": [{"id": vnf, "vnfInstanceName": "site-fw",
            "instantiatedVnfInfo": {"vnfcResourceInfo": [{"id": "x", "vduId": "a"}, {"id": guest, "vduId": "a"}]}}]});
        let names = Names::of_ns(&ns);
        let text = format!("start {guest} of {vnf}, not {other}");
        assert_eq!(names.dress(&text), "start fw/a/1 of fw, not 00000000");
        assert_eq!(short(&vnf), "00000000");
        assert_eq!(short("vcpe"), "vcpe");
    }
}
