//! Which modules of the crate a file names: every `crate::`, `super::`, `self::` and `bothy::` path, in
//! `use` trees and in code alike, made absolute.

use super::lexer::{Kind, Token, tokens};

/// A path from the crate's root, e.g. `["store", "Tx"]`; `["*"]` names all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub path: Vec<String>,
    pub line: usize,
    /// Stands in code that is only built for tests.
    pub test: bool,
}

/// A crate that is not ours, by its first name: `sled` in `sled::Db`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    pub name: String,
    pub line: usize,
    pub test: bool,
}

/// The module that a file below `src` is: `src/vim/port.rs` is `["vim", "port"]`.
pub fn module(path: &str) -> Vec<String> {
    let path = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    path.split('/').filter(|p| !matches!(*p, "mod" | "lib" | "main")).map(str::to_owned).collect()
}

/// Whether all of a file is test code: a `tests` folder, `tests.rs` or `..._tests.rs`.
pub fn is_test_file(path: &str) -> bool {
    module(path).iter().any(|m| m == "tests" || m.ends_with("_tests"))
}

/// Everything a file names, ours and foreign.
pub fn named(path: &str, text: &str) -> (Vec<Named>, Vec<Foreign>) {
    let all = tokens(text);
    let mut walk = Walk { all: &all, base: module(path), nested: Vec::new(), ours: Vec::new(), foreign: Vec::new() };
    walk.file(is_test_file(path));
    (walk.ours, walk.foreign)
}

struct Walk<'a> {
    all: &'a [Token],
    base: Vec<String>,
    /// Inline modules around the place: name, depth of their braces, whether they are tests.
    nested: Vec<(String, usize, bool)>,
    ours: Vec<Named>,
    foreign: Vec<Foreign>,
}

impl Walk<'_> {
    fn file(&mut self, test_file: bool) {
        let (mut i, mut depth, mut cfg_test) = (0, 0, false);
        while i < self.all.len() {
            let token = &self.all[i];
            let name = token.name().unwrap_or_default();
            let led = self.goes_on(i);
            let leads = self.all.get(i + 1).is_some_and(|t| t.kind == Kind::Sep);
            if name == "cfg" && self.all.get(i + 2).and_then(Token::name) == Some("test") {
                cfg_test = true;
            } else if name == "mod" && self.all.get(i + 2).is_some_and(|t| t.is('{')) {
                let inner = self.all[i + 1].name().unwrap_or_default().to_owned();
                self.nested.push((inner, depth, cfg_test));
            } else if token.is('{') {
                (depth, cfg_test) = (depth + 1, false);
            } else if token.is(';') {
                cfg_test = false;
            } else if token.is('}') {
                depth -= 1;
                self.nested.retain(|(_, at, _)| *at < depth);
            } else if leads && !led && !name.is_empty() {
                let test = test_file || self.nested.iter().any(|n| n.2);
                if matches!(name, "crate" | "super" | "self" | "bothy") {
                    let (trees, end) = self.tree(i, Vec::new());
                    for tree in trees {
                        let path = self.absolute(&tree);
                        self.ours.push(Named { path, line: token.line, test });
                    }
                    i = end;
                    continue;
                }
                self.foreign.push(Foreign { name: name.to_owned(), line: token.line, test });
            } else if i > 0 && matches!(self.all[i - 1].name(), Some("use" | "crate")) && !name.is_empty() {
                // `use sled;`, `use sled as s;`, `extern crate sled;`
                let test = test_file || self.nested.iter().any(|n| n.2);
                self.foreign.push(Foreign { name: name.to_owned(), line: token.line, test });
            }
            i += 1;
        }
    }

    /// The token at `i` goes on a path (`a::b`, `<T>::b`) or is a member; `::a` starts one.
    fn goes_on(&self, i: usize) -> bool {
        let before = |n: usize| i.checked_sub(n).and_then(|j| self.all.get(j));
        let behind = |t: &Token| t.name().is_some_and(|n| n != "use") || t.is('>');
        before(1).is_some_and(|t| t.is('.') || t.kind == Kind::Sep && before(2).is_some_and(behind))
    }

    /// The paths of a `use` tree (or of a plain path) that starts at `i`, and where it ends.
    fn tree(&self, mut i: usize, mut path: Vec<String>) -> (Vec<Vec<String>>, usize) {
        while let Some(token) = self.all.get(i) {
            match &token.kind {
                Kind::Name(n) => path.push(n.clone()),
                Kind::Mark('*') => path.push("*".to_owned()),
                Kind::Mark('{') => return self.group(i + 1, &path),
                Kind::Mark(_) | Kind::Sep => return (vec![path], i),
            }
            i += 1;
            match self.all.get(i) {
                Some(t) if t.kind == Kind::Sep => i += 1,
                _ => break,
            }
        }
        (vec![path], i)
    }

    fn group(&self, mut i: usize, path: &[String]) -> (Vec<Vec<String>>, usize) {
        let mut found = Vec::new();
        while let Some(token) = self.all.get(i) {
            if token.is('}') {
                return (found, i + 1);
            }
            if token.is(',') {
                i += 1;
                continue;
            }
            if token.name() == Some("as") {
                i += 2;
                continue;
            }
            let (more, end) = self.tree(i, path.to_vec());
            found.extend(more);
            i = end.max(i + 1);
        }
        (found, i)
    }

    fn absolute(&self, path: &[String]) -> Vec<String> {
        let mut at = self.base.clone();
        at.extend(self.nested.iter().map(|n| n.0.clone()));
        for (i, part) in path.iter().enumerate() {
            match part.as_str() {
                "crate" | "bothy" if i == 0 => at.clear(),
                "super" => _ = at.pop(),
                "self" => {}
                _ => at.push(part.clone()),
            }
        }
        at
    }
}

#[cfg(test)]
fn ours(path: &str, text: &str) -> Vec<String> {
    named(path, text).0.iter().map(|n| n.path.join("::")).collect()
}

#[test]
fn paths_are_found_wherever_they_stand() {
    let text = "
        use crate::{a::b, c, d::{e, f as g}};
        fn x() -> crate::h::T<crate::i::U> { crate::j::k(crate::l) }
        pub(crate) use super::m::n;
    ";
    let want = ["a::b", "c", "d::e", "d::f", "h::T", "i::U", "j::k", "l", "room::m::n"];
    assert_eq!(ours("src/room/file.rs", text), want);
}

#[test]
fn super_leads_out_of_the_room() {
    assert_eq!(ours("src/vnfm/mod.rs", "use super::nfvo::Nfvo;"), ["nfvo::Nfvo"]);
    assert_eq!(ours("src/vnfm/plan.rs", "use super::super::{nfvo::Nfvo, *};"), ["nfvo::Nfvo", "*"]);
    assert_eq!(ours("src/vnfm/plan.rs", "mod inner { use super::x; } use super::y;"), ["vnfm::plan::x", "vnfm::y"]);
}

#[test]
fn foreign_crates_and_test_code_are_told_apart() {
    let text = "use sled; fn f(x: nix::T) {} #[cfg(test)] mod tests { use virt::X; } mod y { use virt::Y; }";
    let (_, foreign) = named("src/a.rs", text);
    let found: Vec<_> = foreign.iter().map(|f| (f.name.as_str(), f.test)).collect();
    assert_eq!(found, [("sled", false), ("nix", false), ("virt", true), ("virt", false)]);
}
