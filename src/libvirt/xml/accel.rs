//! What of a domain depends on how the host runs it: type, features, CPU and clock.
//!
//! Owns these four, and their change in the XML of a domain that was defined for another
//! accelerator. Never: the rest of a domain.

use quick_xml::{
    events::{BytesStart, Event},
    reader::Reader,
    writer::Writer,
};

use super::{Out, Wrote, leaf, node, text};
use crate::{
    model::error::{Fault, Result},
    vim::port::Accel,
};

/// `type` of `<domain>`.
pub fn kind(accel: Accel) -> &'static str {
    match accel {
        Accel::Kvm => "kvm",
        Accel::Tcg => "qemu",
    }
}

pub fn features(w: &mut Out, accel: Accel) -> Wrote {
    node(w, "features", &[], |w| {
        leaf(w, "acpi", &[])?;
        leaf(w, "apic", &[])?;
        match accel {
            Accel::Kvm => Ok(()),
            // Left alone, translated code may grow to 1 GiB per guest, which no capacity check sees.
            Accel::Tcg => node(w, "tcg", &[], |w| text(w, "tb-cache", &[("unit", "MiB")], "128")),
        }
    })
}

/// Under KVM the host's own CPU. Under TCG x86-64-v2 (SSE4.2, POPCNT), which current guests ask for:
/// all that QEMU can emulate would boot them 15 % slower [measured], AVX being the dearest.
pub fn cpu(w: &mut Out, accel: Accel) -> Wrote {
    match accel {
        Accel::Kvm => leaf(w, "cpu", &[("mode", "host-passthrough"), ("check", "none"), ("migratable", "off")]),
        Accel::Tcg => node(w, "cpu", &[("mode", "custom"), ("match", "exact"), ("check", "none")], |w| {
            text(w, "model", &[("fallback", "forbid")], "Nehalem")
        }),
    }
}

pub fn clock(w: &mut Out, accel: Accel) -> Wrote {
    node(w, "clock", &[("offset", "utc")], |w| {
        leaf(w, "timer", &[("name", "rtc"), ("tickpolicy", "catchup")])?;
        match accel {
            Accel::Kvm => {
                leaf(w, "timer", &[("name", "pit"), ("tickpolicy", "delay")])?;
                leaf(w, "timer", &[("name", "hpet"), ("present", "no")])?;
                leaf(w, "timer", &[("name", "kvmclock"), ("present", "yes")])
            }
            // Without KVM there is no paravirtual clock and the TSC is not trusted: HPET it is.
            Accel::Tcg => leaf(w, "timer", &[("name", "hpet"), ("present", "yes")]),
        }
    })
}

/// A domain's XML, as libvirt gives it out, made one that runs under `accel`; `None` when it is one
/// already. All that is not the accelerator's stays as it is: addresses, disks, whose it is.
pub fn under(xml: &str, accel: Accel) -> Result<Option<String>> {
    let broken = |e: quick_xml::Error| Fault::bug("the XML of a domain cannot be read").with_source(e);
    let unwritten = |e: std::io::Error| Fault::bug("cannot write domain XML").with_source(e);
    let mut reader = Reader::from_str(xml);
    let mut w: Out = Writer::new(Vec::with_capacity(xml.len() + 256));
    // Names of the open elements, from `domain` on.
    let mut path: Vec<String> = Vec::new();
    loop {
        let event = reader.read_event().map_err(broken)?;
        match &event {
            Event::Start(e) if path.is_empty() => {
                let had = e.try_get_attribute("type").map_err(|e| broken(e.into()))?;
                if had.is_some_and(|a| a.value.as_ref() == kind(accel)) {
                    return Ok(None);
                }
                let name = e.name().as_ref().to_string();
                let mut now = BytesStart::new(name.clone());
                for a in e.attributes() {
                    let a = a.map_err(|e| broken(e.into()))?;
                    // The number of a running domain is none of its definition.
                    if !matches!(a.key.as_ref(), "type" | "id") {
                        now.push_attribute(a);
                    }
                }
                now.push_attribute(("type", kind(accel)));
                w.write_event(Event::Start(now)).map_err(unwritten)?;
                path.push(name);
                continue;
            }
            Event::Start(e) | Event::Empty(e) => {
                let name = e.name().as_ref().to_string();
                let whole = matches!(event, Event::Start(_));
                let replaced = match (path.len(), path.last().map(String::as_str), name.as_str()) {
                    (1, _, "features") => Some(features(&mut w, accel)),
                    (1, _, "cpu") => Some(cpu(&mut w, accel)),
                    (1, _, "clock") => Some(clock(&mut w, accel)),
                    // libvirt fills it in: the binary may be another one.
                    (2, Some("devices"), "emulator") => Some(Ok(())),
                    _ => None,
                };
                if let Some(written) = replaced {
                    written.map_err(unwritten)?;
                    if whole {
                        reader.read_to_end(e.name()).map_err(broken)?;
                    }
                    continue;
                }
                if whole {
                    path.push(name);
                }
            }
            Event::End(_) => {
                path.pop();
            }
            Event::Eof if path.is_empty() => break,
            Event::Eof => return Err(Fault::bug("the XML of a domain ends early")),
            _ => {}
        }
        w.write_event(event).map_err(unwritten)?;
    }
    String::from_utf8(w.into_inner()).map(Some).map_err(|e| Fault::bug("domain XML is not UTF-8").with_source(e))
}
