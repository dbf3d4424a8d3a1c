//! What keys say together: two that contradict each other, or one that needs another.
//!
//! Owns those checks; each fault is at the line of one of the keys. Never: what a single value may be (each type reads itself).

use camino::Utf8PathBuf;

use super::{Config, HostProfile, read::Reader};

impl Config {
    /// What one key alone cannot tell.
    pub(super) fn cross_check(&self, r: &mut Reader<'_>) {
        if self.listen.is_empty() && r.has("listen") {
            r.fault_at("listen", "needs at least one listener; leave the key out for the default");
        }
        for (i, l) in self.listen.iter().enumerate() {
            if self.listen[..i].iter().any(|o| o.address == l.address) {
                r.fault_at("listen", format!("{} is listed twice", l.address));
            }
        }
        if self.tls.certificate.as_str().is_empty() != self.tls.key.as_str().is_empty() {
            let given = if self.tls.key.as_str().is_empty() { "tls.certificate" } else { "tls.key" };
            r.fault_at(given, "tls.certificate and tls.key belong together: give both, or neither to have them made");
        }
        if self.tls.client_ca.as_str().is_empty() && !self.tls.client_crl.as_str().is_empty() {
            r.fault_at("tls.client_crl", "a revocation list needs tls.client_ca, whose certificates it revokes");
        }
        for (i, n) in self.physical_network.iter().enumerate() {
            if self.physical_network[..i].iter().any(|o| o.name == n.name) {
                r.fault_at("physical_network", format!("'{}' is named twice", n.name));
            }
        }
        self.centre_check(r);
        self.host_check(r);
        self.outside_check(r);
        self.tunnel_check(r);
        if !self.network.pool.is_ipv4() || self.network.pool.prefix() > 24 {
            r.fault_at("network.pool", format!("{} has no room for links: an IPv4 network of /24 or shorter is needed", self.network.pool));
        }
        for (path, key) in [(&self.data_dir, "data_dir"), (&self.run_dir, "run_dir")] {
            if !path.is_absolute() {
                r.fault_at(key, format!("'{path}' must be an absolute path"));
            }
        }
        // A UNIX socket's path fits 107 bytes.
        if self.socket_path().as_str().len() > 107 {
            let key = if self.socket.path.as_str().is_empty() { "run_dir" } else { "socket.path" };
            r.fault_at(key, format!("'{}' is longer than the 107 bytes a UNIX socket's path may have", self.socket_path()));
        }
    }

    fn outside_check(&self, r: &mut Reader<'_>) {
        for (i, c) in self.sdn_controller.iter().enumerate() {
            for o in &self.sdn_controller[..i] {
                if o.name == c.name {
                    r.fault_at("sdn_controller", format!("'{}' is named twice", c.name));
                }
                if let Some(n) = c.networks.iter().find(|n| o.networks.contains(n)) {
                    r.fault_at("sdn_controller", format!("physical network '{n}' is in the hands of both {} and {}", o.name, c.name));
                }
            }
        }
        for (i, m) in self.sdn_portmap.iter().enumerate() {
            if self.sdn_portmap[..i].iter().any(|o| o.node == m.node) {
                r.fault_at("sdn_portmap", format!("compute node '{}' has two port maps", m.node.as_str()));
            }
        }
    }

    fn tunnel_check(&self, r: &mut Reader<'_>) {
        for (i, t) in self.tunnel.iter().enumerate() {
            if self.physical_network.iter().any(|n| n.name == t.name) {
                r.fault_at("tunnel", format!("'{}' is a physical network too: links know both by one kind of name", t.name));
            }
            for o in &self.tunnel[..i] {
                if o.name == t.name {
                    r.fault_at("tunnel", format!("'{}' is named twice", t.name));
                } else if o.kind != t.kind && o.dst_port == t.dst_port {
                    let text = format!("{} and {} are of two kinds on UDP port {}", o.name, t.name, t.dst_port);
                    r.fault_at("tunnel", text);
                } else if o.meets(t) {
                    let text = format!("{} and {} have remote ends in common: each is in one tunnel of its kind and port", o.name, t.name);
                    r.fault_at("tunnel", text);
                }
            }
        }
    }

    fn centre_check(&self, r: &mut Reader<'_>) {
        for (i, c) in self.call_home.iter().enumerate() {
            if self.call_home[..i].iter().any(|o| o.name == c.name) {
                r.fault_at("call_home", format!("'{}' is named twice", c.name));
            }
        }
        if self.hub.certificate.as_str().is_empty() != self.hub.key.as_str().is_empty() {
            let given = if self.hub.key.as_str().is_empty() { "hub.certificate" } else { "hub.key" };
            r.fault_at(given, "hub.certificate and hub.key belong together: give both, or neither for those of [tls]");
        }
        for (i, b) in self.hub.boxes.iter().enumerate() {
            if self.hub.boxes[..i].iter().any(|o| o.serial == b.serial) {
                r.fault_at("hub.box", format!("box '{}' is enrolled twice", b.serial));
            }
            if b.fingerprint.is_some() && self.hub.boxes[..i].iter().any(|o| o.fingerprint == b.fingerprint) {
                r.fault_at("hub.box", format!("box '{}' has the fingerprint of another one", b.serial));
            }
            if b.fingerprint.is_none() && self.hub.ca.as_str().is_empty() {
                r.fault_at("hub.box", format!("box '{}' needs a fingerprint, or hub.ca to vouch for it", b.serial));
            }
        }
        let empty = |p: &Utf8PathBuf| p.as_str().is_empty();
        let needs = [
            ("hub.name", self.hub.name.is_empty()),
            ("hub.devices", empty(&self.hub.devices)),
            ("hub.documents", empty(&self.hub.documents)),
        ];
        for (key, _) in needs.iter().filter(|(_, missing)| *missing && self.hub.bootstrap.is_some()) {
            r.fault_at("hub.bootstrap", format!("a bootstrap server needs {key}"));
        }
        if self.hub.bootstrap.is_some() && self.hub.listen.is_none() {
            r.fault_at("hub.bootstrap", "boxes that it bootstraps call this hub: hub.listen says where");
        }
        let url = &self.desired.url;
        if !(url.is_empty() || url.starts_with("https://") || url.starts_with("http://") && self.limits.fetch_http) {
            r.fault_at("desired.url", "must be an https URL (http only with limits.fetch_http)");
        } else if let Some(why) = crate::model::url::check(url).err().filter(|_| !url.is_empty()) {
            r.fault_at("desired.url", why);
        }
        if !url.is_empty() && self.desired.ca.as_str().is_empty() {
            r.fault_at("desired.url", "what comes from there has to be signed: desired.ca says by whom");
        }
        for (i, b) in self.ztp.server.iter().enumerate() {
            if self.ztp.server[..i].iter().any(|o| o.address == b.address) {
                r.fault_at("ztp.server", format!("{} is named twice", b.address));
            }
        }
    }

    fn host_check(&self, r: &mut Reader<'_>) {
        if self.host.profile == HostProfile::Realtime && self.reserve.cpus.is_empty() {
            r.fault_at("host.profile", "realtime takes CPUs from the host: reserve.cpus must say which it keeps, such as \"0-1\"");
        }
        if !self.host.isolate.common(&self.reserve.cpus).is_empty() {
            let both = self.host.isolate.common(&self.reserve.cpus);
            r.fault_at("host.isolate", format!("CPUs {both} are kept for the host by reserve.cpus"));
        }
        for (key, pools) in [("host.hugepages", &self.host.hugepages), ("reserve.hugepages", &self.reserve.hugepages)] {
            for (i, p) in pools.iter().enumerate() {
                if pools[..i].iter().any(|o| (o.node, o.size) == (p.node, p.size)) {
                    r.fault_at(key, format!("pages of {} on node {} are named twice", p.size, p.node));
                }
            }
        }
        for (i, p) in self.host.pf.iter().enumerate() {
            if self.host.pf[..i].iter().any(|o| o.name == p.name) {
                r.fault_at("host.pf", format!("PF {} is named twice", p.name));
            }
        }
        if !self.host.grubenv.as_str().is_empty() && !self.host.grubenv.is_absolute() {
            r.fault_at("host.grubenv", format!("'{}' must be an absolute path", self.host.grubenv));
        }
    }
}
