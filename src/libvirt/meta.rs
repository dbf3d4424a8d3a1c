//! What Bothy writes into a domain's metadata, and reads back: its owner, and the digests by which
//! *ensure defined* knows its own work again.
//!
//! Owns the element `<bothy:owner>` in the namespace [`NS`] and the digest of a spec. Never: any
//! other part of a domain's XML.

use quick_xml::{
    XmlVersion,
    events::{BytesStart, Event},
    reader::Reader,
};
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

use crate::model::{
    domain::{DomainDisk, DomainMedium, DomainNic, DomainSpec, Owner},
    epa::NicWish,
    error::{Fault, Result},
};

/// Namespace of Bothy's element. Its number changes only when older guests could be misread.
pub const NS: &str = "https://bothy.dev/xmlns/domain/1";
/// Prefix the element is shown with.
pub const PREFIX: &str = "bothy";
const OWNER: &str = "owner";

/// The metadata of one guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    pub owner: Owner,
    /// Digest of the guest as its VNF wants it: differs when the guest is another one.
    pub spec: SmolStr,
    /// Digest of the XML it was defined by: differs too when only the host's part changed
    /// (accelerator, datapath, a newer Bothy), which a running guest may ignore until it is off.
    pub form: SmolStr,
}

impl Meta {
    /// Attributes in their written order. `ns` is absent for a guest without a network service.
    pub fn attributes(&self) -> Vec<(&'static str, String)> {
        let Owner { project, ns, vnf, op, generation, vnf_name, vdu, index } = &self.owner;
        let mut out = vec![("project", project.to_string())];
        if let Some(ns) = ns {
            out.push(("ns", ns.to_string()));
        }
        out.extend([
            ("vnf", vnf.to_string()),
            ("op", op.to_string()),
            ("generation", generation.to_string()),
            ("name", vnf_name.to_string()),
            ("vdu", vdu.to_string()),
            ("index", index.to_string()),
            ("spec", self.spec.to_string()),
            ("form", self.form.to_string()),
        ]);
        out
    }

    /// The element by itself, as libvirt wants it for a change of metadata.
    pub fn element(&self) -> Result<String> {
        let mut w = quick_xml::writer::Writer::new(Vec::new());
        let attrs = self.attributes();
        let mut e = BytesStart::new(OWNER);
        for (k, v) in &attrs {
            e.push_attribute((*k, v.as_str()));
        }
        w.write_event(Event::Empty(e)).map_err(|e| Fault::bug("cannot write the metadata of a guest").with_source(e))?;
        String::from_utf8(w.into_inner()).map_err(|e| Fault::bug("the metadata of a guest is not UTF-8").with_source(e))
    }

    /// Reads what libvirt hands out for [`NS`]; it may have dropped the prefix.
    pub fn parse(xml: &str) -> Result<Meta> {
        let mut reader = Reader::from_str(xml);
        loop {
            let event = reader.read_event().map_err(|e| Fault::invalid("the metadata of a guest is not XML").with_source(e))?;
            match event {
                Event::Start(e) | Event::Empty(e) if e.local_name().as_ref() == OWNER => return read(&e),
                Event::Eof => return Err(Fault::invalid("the metadata of a guest has no <bothy:owner>")),
                _ => {}
            }
        }
    }
}

fn read(e: &BytesStart<'_>) -> Result<Meta> {
    let get = |name: &str| -> Result<Option<String>> {
        let found = e
            .try_get_attribute(name)
            .map_err(|e| Fault::invalid(format!("the metadata of a guest cannot be read at '{name}'")).with_source(e))?;
        match found {
            None => Ok(None),
            Some(a) => match a.normalized_value(XmlVersion::Implicit1_0) {
                Ok(v) => Ok(Some(v.into_owned())),
                Err(e) => Err(Fault::invalid(format!("the metadata of a guest cannot be read at '{name}'")).with_source(e)),
            },
        }
    };
    let need = |name: &str| get(name)?.ok_or_else(|| Fault::invalid(format!("the metadata of a guest has no '{name}'")));
    let number = |name: &str| {
        let text = need(name)?;
        text.parse::<u64>().map_err(|_| Fault::invalid(format!("the metadata of a guest has '{text}' as its {name}, which is no number")))
    };
    let owner = Owner {
        project: need("project")?.parse()?,
        ns: get("ns")?.map(|s| s.parse()).transpose()?,
        vnf: need("vnf")?.parse()?,
        op: need("op")?.parse()?,
        generation: number("generation")?,
        vnf_name: need("name")?.into(),
        vdu: need("vdu")?.into(),
        index: u32::try_from(number("index")?).map_err(|_| Fault::invalid("the metadata of a guest has an index past 2^32"))?,
    };
    Ok(Meta { owner, spec: need("spec")?.into(), form: need("form")?.into() })
}

/// Digest of a spec without its owner: who a guest belongs to may change while it runs. Written out
/// field by field, so that a field added later, at its default, leaves running guests what they are.
pub fn spec_digest(spec: &DomainSpec) -> SmolStr {
    let DomainSpec { id, owner: _, vcpus, memory, firmware, disks, medium, nics, epa, placed } = spec;
    let mut h = Sha256::new();
    let mut line = |key: &str, value: &dyn std::fmt::Debug| h.update(format!("{key}={value:?}\n"));
    line("id", id);
    line("vcpus", vcpus);
    line("memory", &memory.0);
    line("firmware", firmware);
    for DomainDisk { id, bus, serial } in disks {
        line("disk", &(id, bus, serial));
    }
    if let Some(DomainMedium { bus }) = medium {
        line("medium", bus);
    }
    for DomainNic { port, ifname, mac, vlan, model, mtu, wish } in nics {
        line("nic", &(port, ifname.as_str(), mac, vlan.get(), model, mtu));
        if *wish != NicWish::default() {
            line("nic-wish", wish);
        }
    }
    if !epa.is_plain() {
        line("epa", epa);
    }
    if let Some(placed) = placed {
        line("placed", placed);
    }
    short(h)
}

/// Digest of a domain's XML as it was written.
pub fn form_digest(xml: &str) -> SmolStr {
    let mut h = Sha256::new();
    h.update(xml);
    short(h)
}

/// 128 bits tell guests apart; the rest would only make the XML longer.
fn short(h: Sha256) -> SmolStr {
    SmolStr::new(data_encoding::HEXLOWER.encode(&h.finalize()[..16]))
}

#[cfg(test)]
mod tests {
    use super::{super::xml::tests::spec, *};
    use crate::model::{id::NsId, size::MiB, vnfd::Firmware};
    use uuid::Uuid;

    fn meta() -> Meta {
        let spec = spec();
        Meta { owner: spec.owner.clone(), spec: spec_digest(&spec), form: form_digest("<domain/>") }
    }

    #[test]
    fn an_owner_is_read_back_as_it_was_written() {
        let mut m = meta();
        for name in ["fw-1", "a <b> & \"c\" 'd'", "größe\n2", ""] {
            for ns in [None, Some(NsId(Uuid::from_u128(9)))] {
                m.owner.vnf_name = name.into();
                m.owner.ns = ns;
                m.owner.generation = u64::MAX;
                let xml = m.element().expect("written");
                assert_eq!(Meta::parse(&xml).expect(&xml), m);
                let prefixed = xml.replace("<owner ", "<bothy:owner xmlns:bothy=\"https://bothy.dev/xmlns/domain/1\" ");
                assert_eq!(Meta::parse(&prefixed).expect(&prefixed), m);
            }
        }
    }

    #[test]
    fn broken_metadata_is_refused_and_says_where() {
        let good = meta().element().expect("written");
        for (from, to, says) in [
            ("<owner", "<other", "no <bothy:owner>"),
            ("vnf=", "wnf=", "no 'vnf'"),
            ("index=\"0\"", "index=\"x\"", "no number"),
            ("index=\"0\"", "index=\"99999999999\"", "2^32"),
            ("op=\"", "op=\"z", "is not the id of a operation"),
            ("/>", "", "not XML"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            let e = Meta::parse(&bad).expect_err(&bad);
            assert!(e.text().contains(says), "{says}: {e}");
        }
    }

    #[test]
    fn another_guest_has_another_digest_and_another_owner_has_not() {
        let base = spec();
        let digest = spec_digest(&base);
        let mut owned = base.clone();
        owned.owner.generation += 1;
        owned.owner.op.0 = Uuid::from_u128(77);
        assert_eq!(spec_digest(&owned), digest);
        let changes: Vec<fn(&mut DomainSpec)> = vec![
            |s| s.vcpus += 1,
            |s| s.memory = MiB(s.memory.0 + 1),
            |s| s.firmware = Firmware::Uefi,
            |s| s.medium = None,
            |s| s.nics.swap(0, 1),
            |s| s.nics[0].mtu = Some(9000),
            |s| s.disks[0].serial = "other".into(),
            |s| s.disks.clear(),
        ];
        for change in changes {
            let mut other = base.clone();
            change(&mut other);
            assert_ne!(spec_digest(&other), digest, "{other:?}");
        }
    }
}
