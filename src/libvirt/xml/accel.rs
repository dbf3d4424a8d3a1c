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

/// `quiet`: no performance counters, whose interrupts come at the wrong moment for real time.
pub fn features(w: &mut Out, accel: Accel, quiet: bool) -> Wrote {
    node(w, "features", &[], |w| {
        leaf(w, "acpi", &[])?;
        leaf(w, "apic", &[])?;
        if quiet {
            leaf(w, "pmu", &[("state", "off")])?;
        }
        match accel {
            Accel::Kvm => Ok(()),
            // Left alone, translated code may grow to 1 GiB per guest, which no capacity check sees.
            Accel::Tcg => node(w, "tcg", &[], |w| text(w, "tb-cache", &[("unit", "MiB")], "128")),
        }
    })
}

/// No more in `<cpu>` than the accelerator's part.
pub const NOTHING: Option<fn(&mut Out) -> Wrote> = None;

/// Under KVM the host's own CPU. Under TCG x86-64-v2 (SSE4.2, POPCNT), which current guests ask for:
/// all that QEMU can emulate would boot them 15 % slower [measured], AVX being the dearest. A model that
/// the guest wished for is told from these by its fallback: it stays when the accelerator changes.
/// `rest`: topology, features, NUMA cells.
pub fn cpu(w: &mut Out, accel: Accel, wished: Option<&str>, rest: Option<impl FnOnce(&mut Out) -> Wrote>) -> Wrote {
    let custom: &[(&str, &str)] = &[("mode", "custom"), ("match", "exact"), ("check", "none")];
    let (attrs, model) = match (wished, accel) {
        (Some(model), _) => (custom, Some((model, WISHED))),
        (None, Accel::Kvm) => ([("mode", "host-passthrough"), ("check", "none"), ("migratable", "off")].as_slice(), None),
        (None, Accel::Tcg) => (custom, Some(("Nehalem", "forbid"))),
    };
    if model.is_none() && rest.is_none() {
        return leaf(w, "cpu", attrs);
    }
    node(w, "cpu", attrs, |w| {
        if let Some((name, fallback)) = model {
            text(w, "model", &[("fallback", fallback)], name)?;
        }
        rest.map_or(Ok(()), |rest| rest(w))
    })
}

/// `fallback` of a model that the guest wished for.
const WISHED: &str = "allow";

/// What of an element outlives a change of the accelerator.
#[derive(Default)]
struct Kept {
    /// Children of `<cpu>` but its model.
    children: Vec<Event<'static>>,
    model: Option<String>,
    quiet: bool,
}

/// Reads on to the end of `element`, which has begun.
fn keep(reader: &mut Reader<&[u8]>, element: &str) -> std::result::Result<Kept, quick_xml::Error> {
    let (mut kept, mut depth, mut wished) = (Kept::default(), 0, None);
    loop {
        let event = reader.read_event()?;
        match &event {
            Event::Start(e) if depth == 0 && e.name().as_ref() == "model" => {
                let fallback = e.try_get_attribute("fallback")?;
                wished = Some(fallback.is_some_and(|f| f.value.as_ref() == WISHED));
                continue;
            }
            Event::Text(t) => {
                if wished == Some(true) {
                    kept.model = Some(t.to_string());
                }
                continue;
            }
            Event::End(e) if wished.is_some() && e.name().as_ref() == "model" => {
                wished = None;
                continue;
            }
            Event::End(e) if depth == 0 && e.name().as_ref() == element => return Ok(kept),
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            Event::Empty(e) => kept.quiet |= e.name().as_ref() == "pmu",
            Event::Eof => return Ok(kept),
            _ => {}
        }
        kept.children.push(event.into_owned());
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
                let ours = match (path.len(), path.last().map(String::as_str), name.as_str()) {
                    (1, _, "features" | "cpu" | "clock") => true,
                    // libvirt fills it in: the binary may be another one.
                    (2, Some("devices"), "emulator") => true,
                    _ => false,
                };
                if ours {
                    let kept = if whole { keep(&mut reader, &name).map_err(broken)? } else { Kept::default() };
                    match name.as_str() {
                        "features" => features(&mut w, accel, kept.quiet),
                        "cpu" => {
                            let rest = Some(kept.children).filter(|c| !c.is_empty());
                            let write = rest.map(|c| move |w: &mut Out| c.into_iter().try_for_each(|e| w.write_event(e)));
                            cpu(&mut w, accel, kept.model.as_deref(), write)
                        }
                        "clock" => clock(&mut w, accel),
                        _ => Ok(()),
                    }
                    .map_err(unwritten)?;
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
