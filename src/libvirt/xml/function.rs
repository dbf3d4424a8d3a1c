//! The functions of the host that a domain's XML names, each with the words that do.
//!
//! Owns finding them in what libvirt says, running or defined. Never: writes one.

use quick_xml::{
    XmlVersion,
    events::{BytesStart, Event},
    reader::Reader,
};

use crate::model::{
    error::{Fault, Result},
    hw::PciAddr,
};

/// A PCI function as a device of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub device: PciAddr,
    /// The whole element, as libvirt takes it to attach or detach.
    pub xml: String,
}

/// In the order of the XML.
pub fn functions(xml: &str) -> Result<Vec<Function>> {
    let unreadable = |why: &str| Fault::bug(format!("libvirt's domain XML cannot be read: {why}"));
    let mut reader = Reader::from_str(xml);
    let mut all = Vec::new();
    // Where the device began, whether its source is open, and what that says.
    let (mut begun, mut in_source, mut device) = (None, false, None);
    loop {
        let at = reader.buffer_position() as usize;
        let event = reader.read_event().map_err(|e| unreadable("it is not well formed").with_source(e))?;
        match &event {
            Event::Start(e) | Event::Empty(e) => match e.local_name().as_ref() {
                "interface" if get(e, "type").as_deref() == Some("hostdev") => begun = Some(at),
                "hostdev" if get(e, "type").as_deref() == Some("pci") => begun = Some(at),
                "source" => in_source = begun.is_some() && matches!(event, Event::Start(_)),
                "address" if in_source => device = address(e),
                _ => {}
            },
            Event::End(e) => match e.local_name().as_ref() {
                "source" => in_source = false,
                "interface" | "hostdev" => {
                    let end = reader.buffer_position() as usize;
                    if let (Some(from), Some(device)) = (begun.take(), device.take()) {
                        let text = xml.get(from..end).ok_or_else(|| unreadable("a device has no end"))?;
                        all.push(Function { device, xml: text.to_owned() });
                    }
                }
                _ => {}
            },
            Event::Eof => return Ok(all),
            _ => {}
        }
    }
}

fn get(e: &BytesStart<'_>, name: &str) -> Option<String> {
    Some(e.try_get_attribute(name).ok()??.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
}

fn address(e: &BytesStart<'_>) -> Option<PciAddr> {
    let part = |name: &str| u16::from_str_radix(get(e, name)?.trim_start_matches("0x"), 16).ok();
    let byte = |name: &str| u8::try_from(part(name)?).ok();
    PciAddr::new(part("domain")?, byte("bus")?, byte("slot")?, byte("function")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_with_the_words_that_name_them_and_nothing_else_is() {
        let nic = "<interface type='hostdev' managed='no'>\n  <mac address='02:00:00:00:00:01'/>\n  <source>\n    \
                   <address type='pci' domain='0x0000' bus='0x81' slot='0x10' function='0x2'/>\n  </source>\n  \
                   <address type='pci' domain='0x0000' bus='0x02' slot='0x00' function='0x0'/>\n</interface>";
        let whole = "<hostdev mode='subsystem' type='pci'><source><address domain='0x0001' bus='0x02' slot='0x00' function='0x1'/></source></hostdev>";
        let other = "<interface type='bridge'><source bridge='b'/><address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x0'/></interface>\
                     <hostdev mode='subsystem' type='usb'><source><address bus='1' device='2'/></source></hostdev>";
        let xml = format!("<domain><devices>{other}\n  {nic}\n{other}{whole}</devices></domain>");
        let found = functions(&xml).expect("read");
        assert_eq!(
            found.iter().map(|f| (f.device.to_string(), f.xml.as_str())).collect::<Vec<_>>(),
            [("0000:81:10.2".to_owned(), nic), ("0001:02:00.1".to_owned(), whole)]
        );
        assert!(functions("<domain>").is_ok_and(|f| f.is_empty()) || functions("<domain>").is_err());
        assert!(functions("<domain></devices>").is_err());
    }
}
