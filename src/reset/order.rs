//! The files that remember a reset, as text: a line each, `name value`. Pure.

use crate::model::{
    error::{Fault, Result},
    reset::{Depth, Ordered, ResetDone},
    time::Stamp,
};

const FIRST: &str = "bothy reset 1";

pub fn render(o: &Ordered) -> String {
    head(o.depth, &o.by, o.at) + &format!("tries {}\n", o.tries)
}

pub fn render_done(d: &ResetDone) -> String {
    let left: String = d.left.iter().map(|l| format!("left {}\n", one_line(l))).collect();
    head(d.depth, &d.by, d.at) + &left
}

fn head(depth: Depth, by: &str, at: Stamp) -> String {
    format!("{FIRST}\ndepth {depth}\nby {}\nat {}\n", one_line(by), at.0)
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

pub fn parse(text: &str) -> Result<Ordered> {
    let all = lines(text)?;
    Ok(Ordered { depth: depth(&all)?, by: value(&all, "by").into(), at: at(&all), tries: value(&all, "tries").parse().unwrap_or(0) })
}

pub fn parse_done(text: &str) -> Result<ResetDone> {
    let all = lines(text)?;
    let left = all.iter().filter(|(n, _)| *n == "left").map(|(_, v)| (*v).to_owned()).collect();
    Ok(ResetDone { depth: depth(&all)?, by: value(&all, "by").into(), at: at(&all), left })
}

/// Names that came later are passed over.
fn lines(text: &str) -> Result<Vec<(&str, &str)>> {
    let mut lines = text.lines();
    if lines.next() != Some(FIRST) {
        return Err(unknown());
    }
    Ok(lines.filter_map(|l| l.split_once(' ')).collect())
}

fn value<'a>(all: &[(&str, &'a str)], name: &str) -> &'a str {
    all.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v)
}

/// How much is to go is never guessed.
fn depth(all: &[(&str, &str)]) -> Result<Depth> {
    value(all, "depth").parse().map_err(|_| unknown())
}

fn at(all: &[(&str, &str)]) -> Stamp {
    Stamp(value(all, "at").parse().unwrap_or(0))
}

fn unknown() -> Fault {
    Fault::conflict(
        "an order to reset (reset/order in the data folder) cannot be read: a newer bothy wrote it, or something else. Start that release, or remove the file",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_is_guessed() {
        for depth in Depth::ALL {
            let o = Ordered { depth, by: "ada".into(), at: Stamp(7), tries: 2 };
            assert_eq!(parse(&render(&o)).expect("read"), o);
            let d = ResetDone { depth, by: "ada".into(), at: Stamp(7), left: vec!["guest 1: libvirt\nis away".into(), "port 2".into()] };
            let read = parse_done(&(render_done(&d) + "later 1\n")).expect("read");
            assert_eq!(read.left, ["guest 1: libvirt is away", "port 2"]);
            assert_eq!((read.depth, read.by, read.at), (d.depth, d.by, d.at));
        }
        for bad in ["", "bothy reset 2\ndepth services\n", "bothy reset 1\n", "bothy reset 1\ndepth all\n"] {
            assert!(parse(bad).is_err() && parse_done(bad).is_err(), "{bad:?}");
        }
    }
}
