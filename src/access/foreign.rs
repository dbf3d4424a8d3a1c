//! Foreign VNFMs: which accounts are such, and where VNFs of services are driven there.
//!
//! One account says who asks for grants, and whose VNFs are asked for: what is granted is held as long as these need it.

use smol_str::SmolStr;

use super::{Access, Caller};
use crate::model::order::Order as _;
use crate::{
    model::{
        abroad::{ForeignEar, ForeignVnf, ForeignVnfm},
        access::{Account, Token},
        error::{Fault, Result},
    },
    store::Durability,
};

/// The built-in role of such an account.
pub const ROLE: &str = "vnfm";

impl Access {
    pub fn vnfms(&self, by: &Caller) -> Vec<ForeignVnfm> {
        let d = self.directory();
        let mut all: Vec<ForeignVnfm> = d.vnfms.values().filter(|m| by.sees(m.project)).cloned().collect();
        all.order_by(|a, b| a.account.cmp(&b.account));
        all
    }

    pub fn vnfm(&self, by: &Caller, name: &str) -> Result<ForeignVnfm> {
        self.vnfms(by).into_iter().find(|m| m.account == name).ok_or_else(|| absent(name))
    }

    /// Makes one or replaces it; its project, its revision and what it was made of before are seen to here.
    /// `root`: where it is to call this box; `None`: it is not to.
    pub fn set_vnfm(&self, by: &Caller, m: &ForeignVnfm, root: Option<&str>) -> Result<ForeignVnfm> {
        self.change(
            Durability::Barrier,
            |d| {
                let a: &Account = d
                    .accounts
                    .get(&m.account)
                    .filter(|a| by.sees(a.project))
                    .ok_or_else(|| Fault::not_found(format!("there is no account '{}'", m.account)))?;
                if !a.roles.iter().any(|r| r == ROLE) {
                    return Err(Fault::conflict(format!("'{}' has not the role '{ROLE}': give it that role first", a.name)));
                }
                let before = d.vnfms.get(&m.account);
                // Its VNFs would be asked for, and made again, where nobody has them.
                if let Some(b) = before.filter(|b| b.api_root != m.api_root) {
                    let has = self.vnfs_at(&m.account)?;
                    if !has.is_empty() {
                        let why = format!("services have VNFs at VNFM '{}' at {}: terminate them first", m.account, b.api_root);
                        return Err(Fault::conflict(why).with_reasons(has));
                    }
                }
                let (created, revision) = before.map_or((m.created, 1), |b| (b.created, b.revision + 1));
                Ok(ForeignVnfm { project: a.project, created, revision, ..m.clone() })
            },
            |tx, m| {
                tx.put(m)?;
                let Some(root) = root else { return tx.delete::<ForeignEar>(&m.account).map(|_| ()) };
                // What is subscribed to stays so, where it calls the same.
                let had = tx.get::<ForeignEar>(&m.account)?.filter(|e| e.root == root).map(|e| e.subscribed);
                tx.put(&ForeignEar { vnfm: m.account.clone(), root: root.into(), subscribed: had.unwrap_or_default() })
            },
            |d, m| {
                d.vnfms.insert(m.account.clone(), m.clone());
            },
        )
    }

    fn vnfs_at(&self, vnfm: &str) -> Result<Vec<String>> {
        let all = self.store.list::<ForeignVnf>()?;
        Ok(all.into_iter().filter(|f| f.vnfm == vnfm).map(|f| format!("VNF instance {}", f.vnf)).collect())
    }

    /// Nothing of it is driven any more; refused while services have VNFs there.
    pub fn delete_vnfm(&self, by: &Caller, name: &str) -> Result<()> {
        let m = self.vnfm(by, name)?;
        let has = self.vnfs_at(&m.account)?;
        if !has.is_empty() {
            return Err(Fault::conflict(format!("services have VNFs at VNFM '{name}': terminate them first")).with_reasons(has));
        }
        self.change(
            Durability::Barrier,
            |_| Ok(m.account),
            |tx, name| {
                tx.delete::<ForeignEar>(name)?;
                tx.delete::<ForeignVnfm>(name).map(|_| ())
            },
            |d, name: &SmolStr| {
                d.vnfms.remove(name);
            },
        )
        .map(|_| ())
    }
}

impl Access {
    /// The one token of an account under this label: it makes those before it void. Gives what is shown once.
    pub fn replace_token(&self, account: &str, label: SmolStr) -> Result<String> {
        self.change(
            Durability::Lazy,
            |d| Ok(d.tokens.values().filter(|t| t.account == account && t.label == label).map(|t| t.sha256).collect::<Vec<_>>()),
            |tx, old| old.iter().try_for_each(|t| tx.delete::<Token>(t).map(|_| ())),
            |d, old| old.iter().for_each(|t| drop(d.tokens.remove(t))),
        )?;
        self.issue(account, label, None, Durability::Barrier).map(|(fresh, _)| fresh.reveal().to_owned())
    }

    /// Where it is to call this box, and what is subscribed to there.
    pub fn ear(&self, vnfm: &SmolStr) -> Result<Option<ForeignEar>> {
        self.store.get(vnfm)
    }
}

fn absent(name: &str) -> Fault {
    Fault::not_found(format!("there is no foreign VNFM '{name}'"))
}
