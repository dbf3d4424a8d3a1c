//! The host's set-up in a document: how it is read, and what of it is here as items. Pure.
//!
//! ```text
//! differs --SetUp--> live things are so; kernel arguments are on trial --Restart, where the document allows it--> the box runs with them
//! named no more, prune --UndoSetUp--> as it was before documents
//! ```
//! What was on trial once and is not what the box runs with is not tried again by itself, and a live thing that does not come holds
//! nothing else up: neither the restart, which may bring it, nor services. Never: sets anything (`vim::setup`), or the
//! box's own network: a change of that is confirmed from outside or undone, which no document can do.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

use super::{
    document::Reader,
    plan::{Item, State, Step},
};
use crate::{
    model::{
        desired::{HostMade, ItemKind},
        error::Fault,
        host::{KernelArgs, NodeId, PfName},
        hw::{CpuSet, PageSize},
        setup::PagePool,
        size::Bytes,
    },
    vim::setup::{Desired, HostPlan, Needs, Profile},
};

/// What a document wants of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostWish {
    /// Without the host's own CPUs, which the box's configuration names.
    pub set_up: Desired,
    pub may_restart: bool,
}

/// What of a host's set-up is here.
#[derive(Debug, Clone)]
pub struct HostHere {
    pub plan: Result<HostPlan, String>,
    /// What documents have made of it.
    pub made: Option<HostMade>,
    /// Not all of it came at the last try.
    pub vain: bool,
}

const KNOWN: &[&str] = &["profile", "hugepages", "pf", "iommu", "governor", "isolate", "reboot"];

impl Reader {
    pub(super) fn host(&mut self, v: &Value) -> Option<HostWish> {
        let o = self.object("host", v, KNOWN)?;
        let word = |name: &str| o.get(name).map(|v| v.as_str().unwrap_or_default());
        let profile = match word("profile") {
            None | Some("none") => Profile::None,
            Some("throughput") => Profile::Throughput,
            Some("realtime") => Profile::Realtime,
            Some(_) => {
                self.fault("host.profile", "must be none, throughput or realtime");
                Profile::None
            }
        };
        let may_restart = match word("reboot") {
            None | Some("never") => false,
            Some("allowed") => true,
            Some(_) => {
                self.fault("host.reboot", "must be allowed or never");
                false
            }
        };
        let isolate = word("isolate").map(str::parse::<CpuSet>).transpose().unwrap_or_else(|fault| {
            self.fault("host.isolate", fault.text());
            None
        });
        let governor = o.get("governor").and_then(|v| self.text("host.governor", Some(v)));
        let iommu = self.flag("host.iommu", o.get("iommu"));
        let hugepages: Vec<PagePool> = self.list("host.hugepages", o).iter().enumerate().filter_map(|(i, v)| self.pool(i, v)).collect();
        let pools: Vec<SmolStr> = hugepages.iter().map(|p| format!("{} on node {}", p.size, p.node).into()).collect();
        self.unique("host.hugepages", pools.iter());
        let pfs: Vec<(PfName, u16)> = self.list("host.pf", o).iter().enumerate().filter_map(|(i, v)| self.pf(i, v)).collect();
        let names: Vec<SmolStr> = pfs.iter().map(|(name, _)| name.to_string().into()).collect();
        self.unique("host.pf", names.iter());
        let set_up =
            Desired { profile, hugepages, pfs, iommu, governor, isolate: isolate.unwrap_or_default(), host_cpus: CpuSet::default() };
        Some(HostWish { set_up, may_restart })
    }

    fn count<N: TryFrom<u64>>(&mut self, at: &str, v: Option<&Value>) -> Option<N> {
        let n = v.and_then(Value::as_u64).and_then(|n| N::try_from(n).ok());
        if n.is_none() {
            self.fault(at, "must be a number, 0 or above, that is not too large");
        }
        n
    }

    fn pool(&mut self, i: usize, v: &Value) -> Option<PagePool> {
        let at = format!("host.hugepages[{i}]");
        let o = self.object(&at, v, &["node", "size", "pages"])?;
        let node = self.count::<u16>(&format!("{at}.node"), o.get("node"));
        let pages = self.count::<u64>(&format!("{at}.pages"), o.get("pages"));
        let size = o.get("size").and_then(Value::as_str).and_then(|s| s.parse::<Bytes>().ok());
        let size = size.and_then(|b| PageSize::from_kib(b.0 / 1024)).filter(|s| s.is_huge());
        if size.is_none() {
            self.fault(&format!("{at}.size"), "must be \"2 MiB\" or \"1 GiB\"");
        }
        Some(PagePool { node: NodeId(node?), size: size?, pages: pages? })
    }

    fn pf(&mut self, i: usize, v: &Value) -> Option<(PfName, u16)> {
        let at = format!("host.pf[{i}]");
        let o = self.object(&at, v, &["name", "vfs"])?;
        let vfs = self.count::<u16>(&format!("{at}.vfs"), o.get("vfs"));
        let name = o.get("name").and_then(Value::as_str).unwrap_or_default().parse::<PfName>();
        let name = name.map_err(|f: Fault| self.fault(&format!("{at}.name"), format!("{}; a PF's interface or PCI address", f.text())));
        Some((name.ok()?, vfs?))
    }
}

/// Which arguments were on trial.
pub(super) fn digest(args: &KernelArgs) -> [u8; 32] {
    Sha256::digest(args.to_string()).into()
}

fn item(name: &str, state: State) -> Item {
    Item::new(ItemKind::Host, &name.into(), state)
}

/// The whole first, with its next step, then each thing that differs.
pub(super) fn items(wish: Option<&HostWish>, prune: bool, here: Option<&HostHere>) -> Vec<Item> {
    let Some(here) = here else { return Vec::new() };
    let Some(wish) = wish else {
        let over = match prune {
            true => item("host", State::Pending).because("it goes back to what it was before").next(Step::UndoSetUp),
            false => item("host", State::Left).because("an earlier document made it, and this one does not name it"),
        };
        return here.made.map(|_| over).into_iter().collect();
    };
    let plan = match &here.plan {
        Ok(p) => p,
        Err(why) => return vec![item("host", State::Failed).because(why)],
    };
    let needs = |n| match n {
        Needs::Nothing => "",
        Needs::Reboot | Needs::Booting => "; counts after a restart of the box",
        Needs::Hand => "; to be written into the boot loader by hand",
    };
    let mut all = vec![whole(wish, plan, here)];
    all.extend(plan.items.iter().map(|i| item(&i.what, State::Pending).because(format!("{}{}", i.why, needs(i.needs)))));
    all.extend(plan.blocked.iter().map(|b| item(&b.what, State::Failed).because(&b.why)));
    all
}

fn whole(wish: &HostWish, plan: &HostPlan, here: &HostHere) -> Item {
    let made = here.made;
    let (host, any) = (|state: State| item("host", state), |needs: Needs| plan.items.iter().any(|i| i.needs == needs));
    let trial = plan.boot.as_ref().and_then(|b| b.trial.as_ref()).map(digest);
    if trial.is_some() && made.is_some_and(|m| m.tried == trial) {
        let why = "its kernel arguments were on trial before, and the box does not run with them; bothy host apply tries them again";
        return host(State::Failed).because(why);
    }
    let in_vain = here.vain && plan.boot.is_none();
    if plan.has_work() && !in_vain {
        let state = if plan.blocked.is_empty() { State::Pending } else { State::Failed };
        return host(state).next(Step::SetUp { trial });
    }
    let args = digest(&plan.args);
    let restarted = made.is_some_and(|m| m.restarted && m.tried == Some(args));
    if any(Needs::Booting) && wish.may_restart && !restarted {
        return host(State::Pending).because("the box restarts for its kernel arguments").next(Step::Restart { args });
    }
    if plan.has_work() {
        return host(State::Failed).next(Step::SetUp { trial });
    }
    if !plan.blocked.is_empty() {
        return host(State::Failed).because(format!("{} of it cannot be", plan.blocked.len()));
    }
    if any(Needs::Hand) {
        return host(State::Failed).because("no boot loader listens to bothy: bothy host plan shows what to write there");
    }
    match (any(Needs::Booting), wish.may_restart) {
        (false, _) => host(State::InPlace),
        (true, true) => host(State::Failed).because("the box was told to restart for its kernel arguments, and does not run with them"),
        (true, false) => host(State::Pending).because("it waits for a restart of the box, which the document does not allow (reboot)"),
    }
}
