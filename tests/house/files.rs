//! How a file looks: it opens with what it owns, it is no longer than a reader can hold, and only one
//! has `unsafe`.

use super::{
    lexer::tokens,
    paths::is_test_file,
    tree::{Source, sources},
};

const MOST_LINES: usize = 600;
const UNSAFE_ROOM: &str = "src/libvirt/event.rs";

fn everything() -> Vec<Source> {
    let mut all = sources("src");
    all.extend(sources("tests"));
    all
}

fn hold(what: &str, wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_opens_with_what_it_owns() {
    let bare = |s: &&Source| !s.text.starts_with("//! ");
    hold("no `//!` at the top", everything().iter().filter(bare).map(|s| s.path.clone()).collect());
}

#[test]
fn no_file_is_two_rooms() {
    let long = |s: &Source| {
        let lines = s.text.lines().count();
        (lines > MOST_LINES && !is_test_file(&s.path)).then(|| format!("{}: {lines} lines, at most {MOST_LINES}", s.path))
    };
    hold("too long to hold in mind", sources("src").iter().filter_map(long).collect());
}

#[test]
fn unsafe_stays_in_its_one_room() {
    let has = |s: &Source| tokens(&s.text).iter().any(|t| t.name() == Some("unsafe"));
    let allows = |s: &Source| tokens(&s.text).iter().any(|t| t.name() == Some("unsafe_code"));
    let loose = |s: &&Source| s.path != UNSAFE_ROOM && (has(s) || allows(s));
    hold("`unsafe` outside its room", everything().iter().filter(loose).map(|s| s.path.clone()).collect());
    assert!(sources("src").iter().any(|s| s.path == UNSAFE_ROOM && has(s)), "{UNSAFE_ROOM} has no unsafe: the exception can go");
}

#[test]
fn nothing_is_left_for_later_in_the_code() {
    let words = ["todo", "unimplemented", "dbg"];
    let left = |s: &Source| {
        let all = tokens(&s.text);
        let hit = all.windows(2).find(|w| w[0].name().is_some_and(|n| words.contains(&n)) && w[1].is('!'));
        hit.map(|w| format!("{}:{}: {}!", s.path, w[0].line, w[0].name().unwrap_or_default()))
    };
    hold("left for later", everything().iter().filter_map(left).collect());
}
