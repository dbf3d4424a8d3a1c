//! Where a domain's threads may run, by its XML.
//!
//! Owns what each thread gets that has no words of its own. Never: writes any (`platform`).

use std::collections::BTreeMap;

use quick_xml::{
    XmlVersion,
    events::{BytesStart, Event},
    reader::Reader,
};

use crate::model::{
    error::{Fault, Result},
    hw::CpuSet,
    place::Thread,
};

/// What the text of an open element counts.
#[derive(Clone, Copy)]
enum Counts {
    Vcpus,
    IoThreads,
}

/// Each vCPU, the emulator, each I/O thread; an empty set where nothing is said, which is everywhere.
pub fn pins(xml: &str) -> Result<Vec<(Thread, CpuSet)>> {
    let unreadable = |why: &str| Fault::bug(format!("libvirt's domain XML cannot be read: {why}"));
    let mut reader = Reader::from_str(xml);
    let (mut all, mut said) = (CpuSet::new(), BTreeMap::new());
    let (mut vcpus, mut io): (u16, u16) = (0, 0);
    let mut counts = None;
    loop {
        let event = reader.read_event().map_err(|e| unreadable("it is not well formed").with_source(e))?;
        match &event {
            Event::Start(e) | Event::Empty(e) => {
                let number = |name: &str| get(e, name).and_then(|n| n.parse::<u16>().ok());
                let cpus = || get(e, "cpuset").and_then(|c| c.parse::<CpuSet>().ok());
                let thread = match e.local_name().as_ref() {
                    "vcpu" if vcpus == 0 => {
                        all = cpus().unwrap_or_default();
                        counts = Some(Counts::Vcpus);
                        None
                    }
                    "iothreads" => {
                        counts = Some(Counts::IoThreads);
                        None
                    }
                    "vcpupin" => number("vcpu").map(Thread::Vcpu),
                    "emulatorpin" => Some(Thread::Emulator),
                    "iothreadpin" => number("iothread").map(Thread::Io),
                    // All that this is about comes before the devices.
                    "devices" => break,
                    _ => None,
                };
                said.extend(thread.zip(cpus()));
            }
            Event::Text(t) => {
                let number = || t.trim().parse().map_err(|_| unreadable("it counts no threads"));
                match counts.take() {
                    Some(Counts::Vcpus) => vcpus = number()?,
                    Some(Counts::IoThreads) => io = number()?,
                    None => {}
                }
            }
            Event::End(_) => counts = None,
            Event::Eof => break,
            _ => {}
        }
    }
    let threads = (0..vcpus).map(Thread::Vcpu).chain([Thread::Emulator]).chain((1..=io).map(Thread::Io));
    Ok(threads.map(|t| (t, said.get(&t).unwrap_or(&all).clone())).collect())
}

fn get(e: &BytesStart<'_>, name: &str) -> Option<String> {
    Some(e.try_get_attribute(name).ok()??.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(xml: &str) -> Vec<String> {
        pins(xml).expect("read").iter().map(|(t, on)| format!("{t}: {on}")).collect()
    }

    #[test]
    fn each_thread_is_where_its_words_say_else_where_all_are() {
        let own = "<domain><vcpu placement='static' cpuset='0-3'>2</vcpu><iothreads>2</iothreads><cputune>\
                   <vcpupin vcpu='1' cpuset='2,5'/><emulatorpin cpuset='1'/><iothreadpin iothread='2' cpuset='7'/></cputune>\
                   <devices><vcpupin vcpu='0' cpuset='9'/></devices></domain>";
        assert_eq!(read(own), ["vCPU 0: 0-3", "vCPU 1: 2,5", "the emulator: 1", "I/O thread 1: 0-3", "I/O thread 2: 7"]);
        let bare = "<domain><vcpu>1</vcpu><cputune><vcpupin vcpu='0' cpuset='4'/></cputune></domain>";
        assert_eq!(read(bare), ["vCPU 0: 4", "the emulator: "]);
        assert!(pins("<domain></devices>").is_err() && pins("<domain><vcpu>many</vcpu></domain>").is_err());
    }
}
