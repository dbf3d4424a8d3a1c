//! A topology as text for a terminal, as Graphviz reads it (`--dot`) and as a picture (`--svg`). Pure.

use std::fmt::Write as _;

use super::topology::{Chain, Link, NodeKind, Port, Stop, Topology};

pub fn text(t: &Topology) -> String {
    let width = t.nodes.iter().map(|n| n.name.chars().count()).max().unwrap_or(0);
    let mut parts: Vec<String> = t.links.iter().map(|l| tree(l, t, width)).collect();
    parts.extend(t.chains.iter().map(line));
    if parts.is_empty() { "no link".into() } else { parts.join("\n\n") }
}

fn tree(l: &Link, t: &Topology, width: usize) -> String {
    let mut out = format!("━━ {}  {}", l.name, l.details.join(" · "));
    for (i, p) in l.ports.iter().enumerate() {
        let Some(node) = t.nodes.get(p.node) else { continue };
        let branch = if i + 1 == l.ports.len() { '└' } else { '├' };
        let joint = match (p.wire, node.kind) {
            (true, _) => "╌╌",
            (false, NodeKind::Guest) => "──",
            (false, NodeKind::Host | NodeKind::Physical | NodeKind::Box) => "══",
        };
        let what = match node.kind {
            NodeKind::Guest | NodeKind::Host => p.details.join("  "),
            NodeKind::Physical if p.details.is_empty() => "physical network".into(),
            NodeKind::Physical => format!("tunnel: {}", p.details.join("  ")),
            NodeKind::Box => format!("physical box  {}", p.details.join("  ")),
        };
        let wire = if p.wire { "  (end of a wire: chains alone lead here)" } else { "" };
        let _ = write!(out, "\n   {branch}{joint} {}", format!("{:width$}  {what}{wire}", node.name).trim_end());
    }
    out
}

/// `client ──▶ fw ──▶ web`, with what was led into each below it.
fn line(c: &Chain) -> String {
    let arrow = if c.symmetric { " ◀─▶ " } else { " ──▶ " };
    let (mut path, mut counts) = (String::new(), String::new());
    for (i, s) in c.stops.iter().enumerate() {
        if i > 0 {
            path.push_str(arrow);
        }
        let at = path.chars().count();
        path.push_str(&label(s));
        if let Some(seen) = count(s) {
            let gap = at.saturating_sub(counts.chars().count()).max(usize::from(!counts.is_empty()));
            counts.extend(std::iter::repeat_n(' ', gap));
            counts.push_str(&seen);
        }
    }
    let mut lines = vec![format!("▶▶ {}  {}", c.name, c.traffic.join(" · ")), format!("   {path}")];
    if !counts.is_empty() {
        lines.push(format!("   {counts}"));
    }
    lines.join("\n")
}

fn label(s: &Stop) -> String {
    let routed = if s.routed { " (routed)" } else { "" };
    let missing = if s.missing { " (missing)" } else { "" };
    format!("{}{routed}{missing}", s.name)
}
fn count(s: &Stop) -> Option<String> {
    s.packets.map(|(out, back)| format!("{out}/{back}"))
}

pub fn dot(t: &Topology) -> String {
    let mut out =
        String::from("graph bothy {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\", fontsize=10];\n");
    for (i, n) in t.nodes.iter().enumerate() {
        let shape = match n.kind {
            NodeKind::Guest => "box",
            NodeKind::Host => "house",
            NodeKind::Physical => "doubleoctagon",
            NodeKind::Box => "box3d",
        };
        let _ = writeln!(out, "  n{i} [label={}, shape={shape}];", quoted(&[&n.name]));
    }
    for (i, l) in t.links.iter().enumerate() {
        let _ = writeln!(out, "  l{i} [label={}, shape=ellipse];", quoted(&[&l.name, &l.details.join("\n")]));
        for p in &l.ports {
            let style = if p.wire { ", style=dashed" } else { "" };
            let _ = writeln!(out, "  n{} -- l{i} [label={}{style}];", p.node, quoted(&[&p.details.join("\n")]));
        }
    }
    for (i, c) in t.chains.iter().enumerate() {
        let _ = writeln!(out, "  subgraph cluster_c{i} {{\n    label={};", quoted(&[&c.name, &c.traffic.join("\n")]));
        for (j, s) in c.stops.iter().enumerate() {
            let style = if s.missing { "dotted" } else { "rounded" };
            let _ = writeln!(out, "    c{i}s{j} [label={}, shape=box, style={style}];", quoted(&[&label(s)]));
        }
        for (j, s) in c.stops.iter().enumerate().skip(1) {
            let dir = if c.symmetric { "both" } else { "forward" };
            let _ = writeln!(out, "    c{i}s{} -- c{i}s{j} [dir={dir}, label={}];", j - 1, quoted(&[&count(s).unwrap_or_default()]));
        }
        out.push_str("  }\n");
    }
    out.push_str("}\n");
    out
}

fn quoted(lines: &[&str]) -> String {
    let text = lines.iter().filter(|l| !l.is_empty()).copied().collect::<Vec<_>>().join("\n");
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

const ROW: usize = 34;
const COLUMN: usize = 150;
const LEFT: usize = 230;
const TOP: usize = 70;

/// Guests are rows and links are columns, with a dot where one has a port; chains stand below.
pub fn svg(t: &Topology) -> String {
    let bottom = TOP + t.nodes.len() * ROW;
    let stops = t.chains.iter().map(|c| c.stops.len()).max().unwrap_or(0);
    let (width, height) = (LEFT + (t.links.len() * COLUMN).max(stops * 190) + 20, bottom + 30 + t.chains.len() * 90);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let x = |link: usize| LEFT + link * COLUMN + COLUMN / 2;
    let y = |node: usize| TOP + node * ROW + ROW / 2;
    for (i, l) in t.links.iter().enumerate() {
        let _ = writeln!(out, "<line x1=\"{0}\" y1=\"{TOP}\" x2=\"{0}\" y2=\"{bottom}\" stroke=\"#36c\" stroke-width=\"5\"/>", x(i));
        say(&mut out, x(i), 24, "middle", "bold", &l.name);
        for (n, d) in l.details.iter().take(2).enumerate() {
            say(&mut out, x(i), 40 + 15 * n, "middle", "normal", d);
        }
    }
    for (i, n) in t.nodes.iter().enumerate() {
        let fill = match n.kind {
            NodeKind::Guest => "#eee",
            NodeKind::Host => "#dfd",
            NodeKind::Physical => "#fed",
            NodeKind::Box => "#fdc",
        };
        let on: Vec<(usize, &Port)> =
            t.links.iter().enumerate().flat_map(|(l, link)| link.ports.iter().filter(|p| p.node == i).map(move |p| (l, p))).collect();
        if let Some(last) = on.iter().map(|(l, _)| l).max() {
            let _ = writeln!(out, "<line x1=\"{}\" y1=\"{1}\" x2=\"{2}\" y2=\"{1}\" stroke=\"#888\"/>", LEFT - 20, y(i), x(*last));
        }
        let _ = writeln!(
            out,
            "<rect x=\"10\" y=\"{}\" width=\"{}\" height=\"26\" rx=\"3\" fill=\"{fill}\" stroke=\"#888\"/>",
            y(i) - 13,
            LEFT - 30
        );
        say(&mut out, 20, y(i) + 4, "start", "normal", &n.name);
        for (l, p) in on {
            let fill = if p.wire { "white" } else { "#36c" };
            let _ = write!(out, "<circle cx=\"{}\" cy=\"{}\" r=\"6\" fill=\"{fill}\" stroke=\"#36c\" stroke-width=\"2\"", x(l), y(i));
            // Viewers show it where the pointer is.
            let told = p.details.iter().filter(|d| !d.is_empty()).cloned().collect::<Vec<_>>().join(", ");
            let _ = match told.is_empty() {
                true => writeln!(out, "/>"),
                false => writeln!(out, "><title>{}</title></circle>", escaped(&told)),
            };
        }
    }
    for (i, c) in t.chains.iter().enumerate() {
        let top = bottom + 30 + i * 90;
        say(&mut out, 10, top + 14, "start", "bold", &format!("{}: {}", c.name, c.traffic.join(" · ")));
        for (j, s) in c.stops.iter().enumerate() {
            let (left, middle) = (10 + j * 190, top + 42);
            if j > 0 {
                let _ = writeln!(
                    out,
                    "<line x1=\"{}\" y1=\"{middle}\" x2=\"{left}\" y2=\"{middle}\" stroke=\"#c63\" stroke-width=\"2\"/>",
                    left - 40
                );
                let head = |tip: usize, back: usize| {
                    format!(
                        "<path d=\"M{back},{} L{tip},{middle} L{back},{}\" fill=\"none\" stroke=\"#c63\" stroke-width=\"2\"/>\n",
                        middle - 5,
                        middle + 5
                    )
                };
                out.push_str(&head(left, left - 8));
                if c.symmetric {
                    out.push_str(&head(left - 40, left - 32));
                }
            }
            let dash = if s.missing { " stroke-dasharray=\"4\"" } else { "" };
            let _ = writeln!(
                out,
                "<rect x=\"{left}\" y=\"{}\" width=\"150\" height=\"26\" rx=\"3\" fill=\"#fff4ea\" stroke=\"#c63\"{dash}/>",
                middle - 13
            );
            say(&mut out, left + 75, middle + 4, "middle", "normal", &label(s));
            say(&mut out, left + 75, middle + 30, "middle", "normal", &count(s).unwrap_or_default());
        }
    }
    out.push_str("</svg>\n");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn say(out: &mut String, x: usize, y: usize, anchor: &str, weight: &str, text: &str) {
    if text.is_empty() {
        return;
    }
    let text = escaped(text);
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" font-weight=\"{weight}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::cli::topology::Facts;

    fn topology() -> Topology {
        let station = |vnf: &str, name: &str, address: &str, wire: bool| {
            let mut s = json!({"port": "p", "vnf": vnf, "hostname": name, "mac": "02:00:00:00:00:01", "addresses": [address]});
            if wire {
                s["wire"] = Value::Bool(true);
            }
            s
        };
        let mut voice = station("w", "web <\"&\\>", "10.0.4.20", false);
        voice["tag"] = json!(10);
        let networks = [
            json!({"id": "1", "link": "lan", "ns": "s", "vlan": 101, "networks": ["10.0.1.0/24"], "addresses": ["10.0.1.254/24"], "interface": "bhaaaa",
                "stations": [station("c", "client", "10.0.1.10", false), station("f", "fw", "", true), station("w", "web <\"&\\>", "10.0.1.20", false)]}),
            json!({"id": "2", "link": "wan", "ns": "s", "vlan": 102, "networks": [], "addresses": [], "physicalNetwork": "uplink",
                "pnfs": [{"ns": "s", "id": "4711", "name": "big press", "cp": "plug", "mac": "02:00:00:00:00:32", "addresses": ["10.0.2.50"]}],
                "stations": [station("w", "web <\"&\\>", "10.0.2.20", false)]}),
            json!({"id": "3", "link": "int", "vnf": "w", "vlan": 103, "networks": [], "addresses": [], "stations": []}),
            json!({"id": "6", "link": "voice", "ns": "s", "vlan": 104, "networks": [], "addresses": [], "physicalNetwork": "hq",
                "tunnel": {"type": "vxlan", "remotes": ["192.0.2.7", "192.0.2.8"], "vni": 60000, "silent": ["192.0.2.8"]}, "stations": [voice]}),
        ];
        let count = |n: u64| json!({"packets": n, "bytes": n * 100});
        let chains = [
            json!({"id": "4", "ns": "s", "nfp": "path", "classifiers": ["tcp to any port 80"], "symmetric": true, "from": [{"vnf": "c", "cp": "lan"}],
                "hops": [{"name": "fw", "kind": "TRANSPARENT", "live": 1, "out": count(12), "back": count(10)},
                    {"name": "router", "kind": "ROUTED", "live": 0, "out": count(0), "back": count(0)}],
                "to": [{"vnf": "w", "cp": "lan"}], "out": count(11), "back": count(10)}),
            json!({"id": "5", "ns": "s", "nfp": "one-way", "classifiers": ["any"], "symmetric": false, "from": [{"vnf": "c", "cp": "lan"}], "hops": [],
                "to": [{"vnf": "w", "cp": "lan"}]}),
        ];
        let cards = [
            json!({"name": "ens1f0", "vfs": 8, "physicalNetwork": "uplink", "given": [{"address": "0000:01:10.0", "vf": 3, "holder": {"id": "x", "name": "fw/vdu/0"}}]}),
            json!({"name": "ens1f1", "vfs": 8, "given": []}),
        ];
        let owners: BTreeMap<String, String> =
            [("s", "site"), ("c", "client"), ("w", "web")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        Topology::of(&Facts { networks: &networks, chains: &chains, cards: &cards, owners: &owners })
    }

    #[test]
    fn a_network_is_drawn_in_a_terminal() {
        insta::assert_snapshot!(text(&topology()));
        let nothing = Topology { nodes: Vec::new(), links: Vec::new(), chains: Vec::new() };
        assert_eq!(text(&nothing), "no link");
        assert!(svg(&nothing).ends_with("</svg>\n") && dot(&nothing).ends_with("}\n"));
    }
    #[test]
    fn a_network_is_drawn_for_graphviz() {
        insta::assert_snapshot!(dot(&topology()));
    }
    #[test]
    fn a_network_is_drawn_as_a_picture() {
        insta::assert_snapshot!(svg(&topology()));
    }
}
