//! `DomainSpec` -> libvirt's domain XML: what a guest is, whole and explicit.
//!
//! Everything a guest can notice has its address written down, so that the same spec is the same
//! machine on every host and after every restart. Never: talks to libvirt, touches a file, or
//! formats XML by hand.
//!
//! All devices sit on the root bus `pcie.0`: no root ports means fewer devices for firmware and
//! kernel to walk (that is most of a boot under TCG), and old guests still find the legacy half of
//! VirtIO there. Guests number devices by PCI address, so slots are given in order:
//!
//! | slot | what |
//! |---|---|
//! | 0x01 | video |
//! | 0x02-0x11 | NICs of every kind; functions of a slot are used when there are more than 16 |
//! | 0x12-0x19 | VirtIO disks, in the same way from 9 on |
//! | 0x1a-0x1d | SCSI controller, VirtIO serial, random numbers, balloon |
//! | 0x1e | PCI devices of the host, by function |
//! | 0x1f | SATA, part of the chip set |
//!
//! But for virtual functions: the root bus lets go of nothing while the guest runs, and a function has to
//! leave when its PF is reloaded. So from the first virtual function on, each NIC is behind a root port in its
//! slot; buses are numbered after the root bus and in the order of their ports, which keeps the NICs' order.
//! A guest whose NICs have slots by wish (`vpci`) keeps those, and is stopped for a reload.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use quick_xml::{
    XmlVersion,
    events::{BytesText, Event},
    reader::Reader,
    writer::Writer,
};

use super::meta::{self, Meta};
use crate::{
    model::{
        domain::{DomainSpec, Layout},
        error::{Fault, Result},
        hw::CpuSet,
        vnfd::Firmware,
    },
    vim::port::Accel,
};

mod accel;
mod device;
mod function;
mod nic;
mod pins;
mod platform;

pub use accel::under;

/// What the host decides about a guest, not its descriptor.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    pub accel: Accel,
    /// The Open vSwitch bridge of all segments.
    pub bridge: &'a str,
    /// Packets cross the switch in user space, where nobody fills in what an offload left out.
    pub offloads_off: bool,
    pub layout: &'a Layout,
    /// Serial console socket.
    pub console: &'a Utf8Path,
    /// Clock of the host's CPUs, by which a CPU limit in MHz becomes time.
    pub mhz: Option<u32>,
    /// The kernel weighs guests by cgroups of the second version: 100 is usual there, not 1024.
    pub weights: bool,
    /// CPUs that guests without a place float over; `None`: all.
    pub float: Option<&'a CpuSet>,
    /// Folder of vhost-user sockets.
    pub vhost: &'a Utf8Path,
    /// UEFI code (read-only) and the template of its variables.
    pub uefi: (&'a Utf8Path, &'a Utf8Path),
}

/// A domain ready to be defined.
#[derive(Debug)]
pub struct Written {
    pub xml: String,
    pub meta: Meta,
}

/// Writes the domain of a spec, or says all that keeps it from being one.
pub fn domain(spec: &DomainSpec, host: &Host<'_>) -> Result<Written> {
    device::check(spec, host)?;
    let mut meta = Meta { owner: spec.owner.clone(), spec: meta::spec_digest(spec), form: Default::default() };
    // The owner is left out of the form: it may change while the guest runs.
    let bare = write(spec, host, None)?;
    meta.form = meta::form_digest(&bare);
    Ok(Written { xml: write(spec, host, Some(&meta))?, meta })
}

type Out = Writer<Vec<u8>>;
type Wrote = io::Result<()>;

/// An element without content.
fn leaf(w: &mut Out, name: &str, attrs: &[(&str, &str)]) -> Wrote {
    w.create_element(name).with_attributes(attrs.iter().copied()).write_empty().map(drop)
}

/// An element with text.
fn text(w: &mut Out, name: &str, attrs: &[(&str, &str)], content: &str) -> Wrote {
    w.create_element(name).with_attributes(attrs.iter().copied()).write_text_content(BytesText::new(content)).map(drop)
}

/// An element with elements.
fn node(w: &mut Out, name: &str, attrs: &[(&str, &str)], inner: impl FnOnce(&mut Out) -> Wrote) -> Wrote {
    w.create_element(name).with_attributes(attrs.iter().copied()).write_inner_content(inner).map(drop)
}

fn write(spec: &DomainSpec, host: &Host<'_>, meta: Option<&Meta>) -> Result<String> {
    let mut w = Writer::new_with_indent(Vec::with_capacity(4096), b' ', 2);
    node(&mut w, "domain", &[("type", accel::kind(host.accel))], |w| {
        text(w, "name", &[], &spec.id.domain_name())?;
        text(w, "uuid", &[], &spec.id.to_string())?;
        if let Some(meta) = meta {
            text(w, "title", &[], &title(spec))?;
            node(w, "metadata", &[], |w| owner(w, meta))?;
        }
        text(w, "memory", &[("unit", "MiB")], &spec.memory.0.to_string())?;
        platform::vcpu(w, spec, host)?;
        platform::resources(w, spec, host)?;
        os(w, spec, host)?;
        accel::features(w, host.accel, !spec.epa.real_time.is_empty())?;
        platform::cpu(w, spec, host.accel)?;
        accel::clock(w, host.accel)?;
        text(w, "on_poweroff", &[], "destroy")?;
        text(w, "on_reboot", &[], "restart")?;
        // A crashed guest ends and is reported; whether it is started again is policy, not libvirt's.
        text(w, "on_crash", &[], "destroy")?;
        node(w, "pm", &[], |w| {
            leaf(w, "suspend-to-mem", &[("enabled", "no")])?;
            leaf(w, "suspend-to-disk", &[("enabled", "no")])
        })?;
        node(w, "devices", &[], |w| device::devices(w, spec, host))
    })
    .map_err(|e| Fault::bug("cannot write domain XML").with_source(e))?;
    String::from_utf8(w.into_inner()).map_err(|e| Fault::bug("domain XML is not UTF-8").with_source(e))
}

/// For people who look with other tools: `fw-1/firewall/0`. libvirt refuses line breaks here.
fn title(spec: &DomainSpec) -> String {
    let o = &spec.owner;
    format!("{}/{}/{}", o.vnf_name, o.vdu, o.index).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn owner(w: &mut Out, meta: &Meta) -> Wrote {
    let attrs = meta.attributes();
    let mut e = quick_xml::events::BytesStart::new("bothy:owner");
    e.push_attribute(("xmlns:bothy", meta::NS));
    for (k, v) in &attrs {
        e.push_attribute((*k, v.as_str()));
    }
    w.write_event(Event::Empty(e))
}

fn os(w: &mut Out, spec: &DomainSpec, host: &Host<'_>) -> Wrote {
    node(w, "os", &[], |w| {
        text(w, "type", &[("arch", "x86_64"), ("machine", "q35")], "hvm")?;
        match spec.firmware {
            Firmware::Bios => Ok(()),
            Firmware::Uefi => {
                let (code, vars) = host.uefi;
                text(w, "loader", &[("readonly", "yes"), ("type", "pflash")], code.as_str())?;
                text(w, "nvram", &[("template", vars.as_str())], host.layout.nvram(spec.id).as_str())
            }
        }
    })
}

/// The throw-away guest of the accelerator probe: a disk, a serial line into a file, nothing else.
pub fn probe(name: &str, disk: &Utf8Path, out: &Utf8Path, accel: Accel) -> Result<String> {
    let mut w = Writer::new(Vec::new());
    node(&mut w, "domain", &[("type", accel::kind(accel))], |w| {
        text(w, "name", &[], name)?;
        text(w, "memory", &[("unit", "MiB")], "64")?;
        text(w, "vcpu", &[], "1")?;
        node(w, "os", &[], |w| text(w, "type", &[("arch", "x86_64"), ("machine", "q35")], "hvm"))?;
        node(w, "features", &[], |w| leaf(w, "acpi", &[]))?;
        accel::cpu(w, accel, None, accel::NOTHING)?;
        text(w, "on_reboot", &[], "destroy")?;
        text(w, "on_crash", &[], "destroy")?;
        node(w, "devices", &[], |w| {
            leaf(w, "controller", &[("type", "usb"), ("model", "none")])?;
            node(w, "disk", &[("type", "file"), ("device", "disk")], |w| {
                leaf(w, "driver", &[("name", "qemu"), ("type", "raw")])?;
                leaf(w, "source", &[("file", disk.as_str())])?;
                leaf(w, "target", &[("dev", "vda"), ("bus", "virtio")])?;
                leaf(w, "readonly", &[])
            })?;
            node(w, "serial", &[("type", "file")], |w| {
                leaf(w, "source", &[("path", out.as_str())])?;
                leaf(w, "target", &[("port", "0")])
            })?;
            leaf(w, "memballoon", &[("model", "none")])
        })
    })
    .map_err(|e| Fault::bug("cannot write domain XML").with_source(e))?;
    String::from_utf8(w.into_inner()).map_err(|e| Fault::bug("domain XML is not UTF-8").with_source(e))
}

pub use function::functions;
pub use pins::pins;

/// Where VNC listens, in the XML of a running domain.
pub fn vnc_socket(xml: &str) -> Option<Utf8PathBuf> {
    let mut reader = Reader::from_str(xml);
    let mut in_vnc = false;
    loop {
        match reader.read_event().ok()? {
            Event::Start(e) | Event::Empty(e) => {
                let get = |name: &str| Some(e.try_get_attribute(name).ok()??.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned());
                match e.local_name().as_ref() {
                    "graphics" => in_vnc = get("type").as_deref() == Some("vnc"),
                    "listen" if in_vnc && get("type").as_deref() == Some("socket") => return get("socket").map(Utf8PathBuf::from),
                    _ => {}
                }
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
pub(in crate::libvirt) mod tests;
