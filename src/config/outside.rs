//! The types of keys that speak of what is outside the box: SDN controllers, port maps and tunnels.
//!
//! Owns how each is read and shown; what is wrong with one is `model::sdn`'s and `model::tunnel`'s to say. Never: whether anything
//! answers there.

use smol_str::SmolStr;
use toml::de::DeValue;

use super::{
    keys::{Setting, quoted},
    read::At,
};
use crate::model::{
    sdn::{Controller, ControllerDraft, MappedDraft, MappedPort, OutsidePort, Pattern, PortMap},
    tunnel::{Tunnel, TunnelDraft},
};

impl Setting for OutsidePort {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        let mut t = at.table(v, &["switch_id", "switch_port"])?;
        let (switch, port) = (t.need("switch_id"), t.need("switch_port"));
        Some(OutsidePort { switch: switch?, port: port? })
    }
    fn show(&self) -> String {
        format!("{{ switch_id = {}, switch_port = {} }}", quoted(&self.switch), quoted(&self.port))
    }
}

impl Setting for Controller {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        const KEYS: &[&str] = &["name", "type", "url", "file", "pid_file", "user", "secret", "ca", "networks", "datapaths", "external"];
        let mut t = at.table(v, KEYS)?;
        let (name, kind, url): (Option<SmolStr>, Option<SmolStr>, Option<SmolStr>) = (t.need("name"), t.need("type"), t.need("url"));
        let (networks, datapaths): (Option<Vec<SmolStr>>, Option<Vec<SmolStr>>) = (t.need("networks"), t.need("datapaths"));
        let [file, pid_file, ca] = ["file", "pid_file", "ca"].map(|key| t.may::<SmolStr>(key).unwrap_or_default());
        let draft = ControllerDraft {
            file: file.into(),
            pid_file: pid_file.into(),
            ca: ca.into(),
            user: t.may("user").unwrap_or_default(),
            secret: t.may("secret").unwrap_or_default(),
            external: t.may("external").unwrap_or_default(),
            name: name?,
            kind: kind?,
            url: url?,
            networks: networks?,
            datapaths: datapaths?,
        };
        match draft.check() {
            Ok(c) => Some(c),
            Err(wrong) => {
                wrong.into_iter().for_each(|(member, text)| t.fault(member, text));
                None
            }
        }
    }
    fn show(&self) -> String {
        let d = self.draft();
        let may = |key: &str, value: &str| if value.is_empty() { String::new() } else { format!(", {key} = {}", quoted(value)) };
        let external = if d.external.is_empty() { String::new() } else { format!(", external = {}", d.external.show()) };
        format!(
            "{{ name = {}, type = {}, url = {}{}{}{}{}{}, networks = {}, datapaths = {}{external} }}",
            quoted(&d.name),
            quoted(&d.kind),
            quoted(&d.url),
            may("file", &d.file),
            may("pid_file", &d.pid_file),
            may("user", &d.user),
            may("secret", &d.secret),
            may("ca", &d.ca),
            d.networks.show(),
            d.datapaths.show(),
        )
    }
}

impl Setting for MappedPort {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        let mut t = at.table(v, &["pci", "switch_id", "switch_port", "switch_mac"])?;
        let (pci, switch_id, switch_port) = (t.need("pci"), t.need("switch_id"), t.need("switch_port"));
        let switch_mac = t.may("switch_mac").unwrap_or_default();
        let draft = MappedDraft { pci: pci?, switch_id: switch_id?, switch_port: switch_port?, switch_mac };
        match draft.check() {
            Ok(p) => Some(p),
            Err(wrong) => {
                wrong.into_iter().for_each(|(member, text)| t.fault(member, text));
                None
            }
        }
    }
    fn show(&self) -> String {
        let mac = self.mac.map(|m| format!(", switch_mac = {}", quoted(&m.to_string()))).unwrap_or_default();
        let at = (quoted(&self.at.switch), quoted(&self.at.port));
        format!("{{ pci = {}, switch_id = {}, switch_port = {}{mac} }}", quoted(self.pci.as_str()), at.0, at.1)
    }
}

impl Setting for PortMap {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        let mut t = at.table(v, &["compute_node", "ports"])?;
        let (node, ports): (Option<SmolStr>, Option<Vec<MappedPort>>) = (t.need("compute_node"), t.need("ports"));
        let node = match Pattern::of_node(&node?) {
            Ok(node) => node,
            Err(fault) => {
                t.fault("compute_node", fault.text());
                return None;
            }
        };
        let map = PortMap { node, ports: ports? };
        if let Err(why) = map.check() {
            t.fault("ports", why);
            return None;
        }
        Some(map)
    }
    fn show(&self) -> String {
        format!("{{ compute_node = {}, ports = {} }}", quoted(self.node.as_str()), self.ports.show())
    }
}

impl Setting for Tunnel {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        let mut t = at.table(v, &["name", "type", "remotes", "local", "vni", "dst_port", "mtu", "bfd"])?;
        let (name, kind, remotes): (Option<SmolStr>, Option<SmolStr>, Option<Vec<SmolStr>>) =
            (t.need("name"), t.need("type"), t.need("remotes"));
        let local = t.may("local");
        let [vni, dst_port, mtu] = ["vni", "dst_port", "mtu"].map(|key| t.may::<u64>(key));
        let bfd = t.may("bfd");
        match (TunnelDraft { name: name?, kind: kind?, remotes: remotes?, local, vni, dst_port, mtu, bfd }).check() {
            Ok(tunnel) => Some(tunnel),
            Err(wrong) => {
                wrong.into_iter().for_each(|(member, text)| t.fault(member, text));
                None
            }
        }
    }
    fn show(&self) -> String {
        let remotes: Vec<String> = self.remotes.iter().map(|r| quoted(&r.to_string())).collect();
        let local = self.local.map(|l| format!(", local = {}", quoted(&l.to_string()))).unwrap_or_default();
        let vni = self.vni.map(|v| format!(", vni = {v}")).unwrap_or_default();
        let bfd = if self.bfd { ", bfd = true" } else { "" };
        let (name, kind, remotes) = (quoted(&self.name), quoted(self.kind.word()), remotes.join(", "));
        format!(
            "{{ name = {name}, type = {kind}, remotes = [{remotes}]{local}{vni}, dst_port = {}, mtu = {}{bfd} }}",
            self.dst_port, self.mtu
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_tunnel_is_read_and_shown_and_clashes_are_refused() {
        let one = "[[tunnel]]\nname = \"hq\"\ntype = \"vxlan\"\nremotes = [\"192.0.2.7\", \"192.0.2.8\"]\n";
        let t =
            Config::check(&format!("{one}local = \"192.0.2.1\"\nvni = 5000\nmtu = 9000\nbfd = true\n")).expect("sound").tunnel.remove(0);
        let shown = super::Setting::show(&t);
        assert_eq!(Config::check(&format!("tunnel = [{shown}]")).expect("as it is shown").tunnel, [t], "{shown}");
        let said =
            |more: &str| Config::check(&format!("{one}{more}")).expect_err("refused").iter().map(ToString::to_string).collect::<String>();
        let other = one.replace("\"hq\"", "\"branch\"");
        for (more, says) in [
            ("vni = 0", "tunnel[0].vni: is not in 1 to 16777215"),
            ("[[physical_network]]\nname = \"hq\"\nbridge = \"br\"", "'hq' is a physical network too"),
            (one, "'hq' is named twice"),
            (&other, "hq and branch have remote ends in common"),
        ] {
            assert!(said(more).contains(says), "{more}: {}", said(more));
        }
        let apart = other.replace("vxlan", "geneve");
        assert!(Config::check(&format!("{one}{apart}")).is_ok(), "another kind is another way");
    }

    #[test]
    fn a_controller_with_an_api_is_read_and_shown_and_what_is_not_its_is_refused() {
        let text = |more: &str| {
            format!(
                "[[sdn_controller]]\nname = \"odl\"\ntype = \"opendaylight\"\nurl = \"https://odl:8443/rests/\"\nuser = \"bothy\"\nsecret = \"odl\"\n\
                 networks = [\"wan\"]\ndatapaths = [\"openflow:1\"]\n{more}"
            )
        };
        let c = Config::check(&text("ca = \"/etc/odl.pem\"\n")).expect("sound").sdn_controller.remove(0);
        let shown = super::Setting::show(&c);
        let again = Config::check(&format!("sdn_controller = [{shown}]\n")).expect("as it is shown").sdn_controller.remove(0);
        assert_eq!((&again, c.draft().ca.as_str(), c.draft().url.as_str()), (&c, "/etc/odl.pem", "https://odl:8443/rests"), "{shown}");
        let faults = Config::check(&text("file = \"/f\"\nca = \"odl.pem\"\n")).expect_err("two faults");
        let why: String = faults.iter().map(ToString::to_string).collect();
        assert!(why.contains("means nothing to a controller of type opendaylight") && why.contains("must be an absolute path"), "{why}");
    }
}
