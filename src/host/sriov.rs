//! SR-IOV and drivers: how many VFs a PF has, what it does for each, and who drives a function.
//!
//! Owns `sriov_numvfs`, `driver_override`, `bind` and `unbind`, and the settings of VFs through their
//! PF's interface; each is read back. Never: touches a VF's number while a guest has one.
//!
//! Documentation/ABI/testing/sysfs-bus-pci; rtnetlink(7).

use std::time::{Duration, Instant};

use super::{facts::Tree, netlink::Netlink};
use crate::{
    model::{
        error::{Fault, Result},
        host::{DriverName, PfSetting, VfConf, VfSetting},
        hw::PciAddr,
        id::IfName,
    },
    vim::port::no_iommu,
};

const DEVICES: &str = "sys/bus/pci/devices";
const DRIVERS: &str = "sys/bus/pci/drivers";
/// The kernel binds a device whose address is written here to a driver that knows it.
const PROBE: &str = "sys/bus/pci/drivers_probe";
/// A PF's driver makes its VFs, and the VFs' driver finds them, before the write returns; udev and
/// firmware may take a little more.
const SETTLE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(20);
/// A driver that lets go of a PF waits for the guests that have its VFs; until it is through, the kernel takes the
/// PF for one that has a driver and finds it no other, without a word.
const LET_GO: Duration = Duration::from_secs(30);
/// How often it is offered meanwhile.
const OFFER: Duration = Duration::from_millis(250);

pub(super) struct Functions<'a> {
    tree: &'a Tree,
}

impl<'a> Functions<'a> {
    pub fn new(tree: &'a Tree) -> Self {
        Functions { tree }
    }

    pub fn is_there(&self, addr: PciAddr) -> bool {
        self.tree.is_dir(format!("{DEVICES}/{addr}"))
    }
    fn driver(&self, addr: PciAddr) -> Option<DriverName> {
        self.tree.link(format!("{DEVICES}/{addr}/driver"))?.parse().ok()
    }
    fn made(&self, pf: PciAddr) -> Vec<PciAddr> {
        let dir = format!("{DEVICES}/{pf}");
        let of = |n: u16| self.tree.link(format!("{dir}/virtfn{n}"))?.parse().ok();
        self.tree.numbered(&dir, "virtfn").into_iter().filter_map(of).collect()
    }

    /// The PF has `count` VFs. The kernel goes from a number to another only through none.
    pub fn make(&self, pf: PciAddr, count: u16) -> Result<()> {
        let at = |f: &str| format!("{DEVICES}/{pf}/{f}");
        if !self.is_there(pf) {
            return Err(Fault::not_found(format!("PCI device {pf} is not there")));
        }
        let Some(total) = self.tree.parse::<u16>(at("sriov_totalvfs")) else {
            return Err(Fault::invalid(format!("PCI device {pf} is not a physical function")));
        };
        if count > total {
            return Err(Fault::invalid(format!("PF {pf}: {count} VFs wanted, its hardware has {total}")));
        }
        let now: u16 = self.tree.parse(at("sriov_numvfs")).unwrap_or(0);
        if now == count {
            return Ok(());
        }
        if let Some(vf) = self.made(pf).into_iter().find(|vf| self.driver(*vf) == Some(DriverName::VFIO)) {
            return Err(Fault::conflict(format!("PF {pf}: its VF {vf} belongs to a guest; their number stays {now}")));
        }
        let what = format!("PF {pf}: make {count} VFs");
        // VFs send nothing through a PF that is down.
        self.set_up(pf)?;
        if now != 0 {
            self.tree.write(at("sriov_numvfs"), "0").map_err(|f| f.context(&what))?;
        }
        if count != 0 {
            self.tree.write(at("sriov_numvfs"), &count.to_string()).map_err(|f| f.context(&what))?;
        }
        let there = || self.tree.parse(at("sriov_numvfs")) == Some(count) && self.made(pf).len() == usize::from(count);
        if eventually(there) { Ok(()) } else { Err(Fault::transient(format!("{what}: there are {}", self.made(pf).len()))) }
    }

    /// Away from its driver, and back.
    pub fn reload(&self, want: &PfSetting) -> Result<()> {
        // First: the kernel waits for a guest that has one, and who unbinds waits with it.
        self.make(want.pf, 0)?;
        self.drive(want.pf, None)?;
        self.ensure_pf(want)
    }

    /// Its driver, its name, its VFs and their settings, in this order: each needs the one before.
    pub fn ensure_pf(&self, want: &PfSetting) -> Result<()> {
        let pf = want.pf;
        match (&want.driver, self.driver(pf)) {
            (Some(driver), _) => self.drive(pf, Some(driver))?,
            (None, Some(_)) => {}
            (None, None) if self.is_there(pf) => self.probe(pf)?,
            (None, None) => return Err(Fault::not_found(format!("PCI device {pf} is not there"))),
        }
        // An interface that is up cannot be given its name any more.
        if !eventually(|| self.is_named(pf)) {
            return Err(Fault::transient(format!("PF {pf}: its network interface has not come, or not got its name from udev")));
        }
        self.make(pf, want.vfs)?;
        self.set_up(pf)?;
        if let (Some(mtu), Ok(name)) = (want.mtu, self.interface(pf)) {
            let mut net = Netlink::open()?;
            if let Some(link) = net.link(&name)?.filter(|l| l.mtu != mtu) {
                net.set_up(&link, Some(mtu))?;
            }
        }
        want.others.iter().try_for_each(|s| self.set_vf(s))
    }

    /// Some driver has it: the kernel knows which.
    fn probe(&self, pf: PciAddr) -> Result<()> {
        let what = format!("PF {pf}: find it a driver");
        let until = Instant::now() + LET_GO;
        loop {
            self.tree.write(PROBE, &pf.to_string()).map_err(|f| f.context(&what))?;
            if self.driver(pf).is_some() {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Fault::transient(format!("{what}: none has taken it within {} s", LET_GO.as_secs())));
            }
            std::thread::sleep(OFFER);
        }
    }

    /// Its interface is there and udev is through with it, where there is one.
    fn is_named(&self, pf: PciAddr) -> bool {
        let Ok(name) = self.interface(pf) else { return false };
        let index = self.tree.read(format!("{DEVICES}/{pf}/net/{name}/ifindex"));
        !self.tree.exists("run/udev/control") || index.is_some_and(|i| self.tree.exists(format!("run/udev/data/n{i}")))
    }

    /// The PF's interface is up; a PF without one (its driver is away) is left alone.
    fn set_up(&self, pf: PciAddr) -> Result<()> {
        let Ok(name) = self.interface(pf) else { return Ok(()) };
        let mut net = Netlink::open()?;
        match net.link(&name)? {
            Some(link) if !link.up => net.set_up(&link, None),
            Some(_) | None => Ok(()),
        }
    }

    fn interface(&self, pf: PciAddr) -> Result<IfName> {
        let found = self.tree.list(format!("{DEVICES}/{pf}/net")).into_iter().find_map(|n| n.parse().ok());
        found.ok_or_else(|| Fault::transient(format!("PF {pf} has no network interface: is its driver bound?")))
    }

    /// Settings and driver. Whoever drives the VF looks at its settings when it begins, so it is
    /// nobody's while they change.
    pub fn set_vf(&self, want: &VfSetting) -> Result<()> {
        let place = format!("{DEVICES}/{}/virtfn{}", want.pf, want.index);
        if self.tree.link(place).as_deref() != Some(want.vf.to_string().as_str()) {
            return Err(Fault::transient(format!("VF {} of PF {} is not there: the PF has not made it", want.vf, want.pf)));
        }
        self.may_drive(want.vf, want.driver.as_ref())?;
        let now = self.driver(want.vf);
        if now != want.driver && now.is_some() {
            self.drive(want.vf, None)?;
        }
        // The host's own driver, once it has a VF without a MAC, gives it one, and its PF tells of that.
        let chosen = want.conf.mac.is_none() && now.is_some() && now == want.driver && now != Some(DriverName::VFIO);
        self.configure(want, chosen)?;
        self.drive(want.vf, want.driver.as_ref())
    }

    fn configure(&self, want: &VfSetting, any_mac: bool) -> Result<()> {
        let name = self.interface(want.pf)?;
        let mut net = Netlink::open()?;
        let mut see = || -> Result<VfConf> {
            let all = net.vfs(&name)?;
            let found = all.into_iter().find(|vf| vf.index == want.index).map(|vf| vf.conf);
            let found = found.map(|c| if any_mac { VfConf { mac: want.conf.mac, ..c } } else { c });
            found.ok_or_else(|| Fault::transient(format!("{name} tells nothing of its VF {}", want.index)))
        };
        let now = see()?;
        if now == want.conf {
            return Ok(());
        }
        let set = Netlink::open()?.set_vf(&name, want.index, &now, &want.conf);
        // A rate is held against the link's speed, which a PF that has just come does not know yet.
        let without_link = || self.tree.read(format!("{DEVICES}/{}/net/{name}/carrier", want.pf)).as_deref() != Some("1");
        set.map_err(|f| {
            if want.conf.max_rate != now.max_rate && without_link() { Fault::transient(format!("{f} (its link is down)")) } else { f }
        })?;
        let now = see()?;
        if now == want.conf {
            return Ok(());
        }
        Err(Fault::transient(format!("VF {} of {name} does not keep its settings: {:?} wanted, {now:?} there", want.index, want.conf)))
    }

    fn may_drive(&self, addr: PciAddr, driver: Option<&DriverName>) -> Result<()> {
        let grouped = self.tree.link(format!("{DEVICES}/{addr}/iommu_group")).is_some();
        if driver == Some(&DriverName::VFIO) && !grouped { Err(no_iommu(addr)) } else { Ok(()) }
    }

    /// This driver has the device. An override names the one driver that may take it, so no other
    /// is faster; it goes with the guest.
    pub fn drive(&self, addr: PciAddr, driver: Option<&DriverName>) -> Result<()> {
        let at = |f: &str| format!("{DEVICES}/{addr}/{f}");
        if !self.is_there(addr) {
            return Err(Fault::not_found(format!("PCI device {addr} is not there")));
        }
        self.may_drive(addr, driver)?;
        let now = self.driver(addr);
        let what = match driver {
            Some(d) => format!("PCI device {addr}: give it to driver {d}"),
            None => format!("PCI device {addr}: take it from its driver"),
        };
        let wants_override = driver == Some(&DriverName::VFIO);
        if now.as_ref() != driver && now.is_some() {
            self.tree.write(at("driver/unbind"), &addr.to_string()).map_err(|f| f.context(&what))?;
        }
        // A single new line takes an override away.
        let set = driver.filter(|_| wants_override).map_or("\n", DriverName::as_str);
        let overridden = self.tree.read(at("driver_override")).is_some_and(|o| o != "(null)" && !o.is_empty());
        if now.as_ref() != driver || overridden != wants_override {
            self.tree.write(at("driver_override"), set).map_err(|f| f.context(&what))?;
        }
        if now.as_ref() == driver {
            return Ok(());
        }
        if let Some(d) = driver {
            let bind = format!("{DRIVERS}/{d}/bind");
            if !self.tree.exists(&bind) {
                super::exec::Exec::new("modprobe").arg(d.as_str()).run().map_err(|f| f.context(&what))?;
            }
            // A driver that was just loaded may have taken it already.
            if self.driver(addr).as_ref() != driver {
                self.tree.write(bind, &addr.to_string()).map_err(|f| f.context(&what))?;
            }
        }
        if eventually(|| self.driver(addr).as_ref() == driver) {
            return Ok(());
        }
        let has = self.driver(addr).map_or("none has it".into(), |d| format!("{d} has it"));
        Err(Fault::transient(format!("{what}: {has}")))
    }
}

fn eventually(is: impl Fn() -> bool) -> bool {
    let until = Instant::now() + SETTLE;
    while !is() {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// As the kernel's `drivers_probe` while a driver is on its way out: it takes the word, and does nothing.
    #[test]
    fn a_pf_whose_driver_is_still_letting_go_is_offered_again_until_one_has_it() {
        let root = tempfile::tempdir().expect("a folder");
        let pf = PciAddr::new(0, 0x81, 0, 0).expect("an address");
        let device = root.path().join(DEVICES).join(pf.to_string());
        fs::create_dir_all(device.join("net/ens2")).expect("made");
        fs::write(device.join("sriov_totalvfs"), "8\n").expect("written");
        let probe = root.path().join(PROBE);
        fs::write(&probe, "").expect("written");
        let offered = std::thread::scope(|s| {
            let kernel = s.spawn(|| {
                let until = Instant::now() + Duration::from_secs(20);
                for n in 1.. {
                    while fs::read(&probe).is_ok_and(|b| b.is_empty()) {
                        assert!(Instant::now() < until, "it is not offered for the {n}. time");
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    assert_eq!(fs::read_to_string(&probe).expect("there").trim(), pf.to_string());
                    fs::write(&probe, "").expect("written");
                    if n == 3 {
                        symlink("../../../bus/pci/drivers/igb", device.join("driver")).expect("linked");
                        return n;
                    }
                }
                0
            });
            let want = PfSetting { pf, driver: None, vfs: 0, mtu: None, others: Vec::new() };
            Functions::new(&Tree::new(root.path().to_str().expect("UTF-8"))).ensure_pf(&want).expect("it has a driver");
            kernel.join().expect("no panic")
        });
        assert_eq!(offered, 3);
    }
}
