//! An operation drawn as a timeline: each step's bar on one axis, how long it took, what it waited
//! for, what failed and why; of a network service, those of its members too.

use serde_json::Value;

use super::{
    follow::kind,
    names::{Names, list},
    output::{align, plain},
};

/// Columns of the time axis.
const WIDE: i64 = 24;
/// A label that is longer is cut; what it says is told whole where the step failed.
const LABEL: usize = 34;

/// An operation with its steps, and those of its parts.
pub struct Drawn<'v> {
    pub steps: &'v Value,
    /// Name of the member, its operation, its steps.
    pub parts: &'v [(String, Value, Value)],
}

struct Axis {
    from: i64,
    to: i64,
}

/// An instant of the API, which writes no zeros at the end of its fraction: as texts they do not sort.
pub fn millis(v: &Value) -> Option<i64> {
    v.as_str()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

impl Axis {
    fn of<'v>(steps: impl Iterator<Item = &'v Value>) -> Axis {
        let mut axis = Axis { from: i64::MAX, to: i64::MIN };
        for t in steps.flat_map(|s| [&s["started"], &s["ended"]]).filter_map(millis) {
            axis.from = axis.from.min(t);
            axis.to = axis.to.max(t);
        }
        axis
    }
    fn at(&self, t: i64) -> i64 {
        (t - self.from).max(0) * WIDE / (self.to - self.from).max(1)
    }
    fn bar(&self, from: i64, to: i64) -> String {
        // A moment has its place too, also the last.
        let first = self.at(from).min(WIDE - 1);
        let length = (self.at(to) - first).max(1);
        format!("{}{}", " ".repeat(first as usize), "█".repeat(length as usize))
    }
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

pub fn draw(drawn: &Drawn<'_>, names: &Names) -> String {
    let own = list(drawn.steps, "steps");
    let all = own.iter().chain(drawn.parts.iter().flat_map(|p| list(&p.2, "steps")));
    let axis = Axis::of(all);
    let mut rows: Vec<Vec<String>> = own.iter().map(|s| row("", s, &axis, names)).collect();
    let mut notes: Vec<String> = own.iter().filter_map(|s| note("", s, names)).collect();
    for (name, op, steps) in drawn.parts {
        let steps = list(steps, "steps");
        let inner = names.within(name);
        rows.push(vec![String::new(), format!("{name}: {}", kind(op)), plain(&op["operationState"])]);
        rows.extend(steps.iter().map(|s| row("  ", s, &axis, &inner)));
        notes.extend(steps.iter().filter_map(|s| note(&format!("{name} "), s, &inner)));
    }
    if rows.is_empty() {
        return "no steps are planned".into();
    }
    let mut text = align(&["#", "STEP", "STATE", "TOOK", "TIMELINE"], &rows);
    for n in notes {
        text += &format!("\n  - {n}");
    }
    text
}

fn row(pad: &str, s: &Value, axis: &Axis, names: &Names) -> Vec<String> {
    let whole = names.dress(s["label"].as_str().unwrap_or("?")).into_owned();
    let label = if whole.chars().count() > LABEL { format!("{}…", whole.chars().take(LABEL - 1).collect::<String>()) } else { whole };
    let (took, bar) = match (millis(&s["started"]), millis(&s["ended"])) {
        (Some(from), Some(to)) => (seconds(to - from), axis.bar(from, to)),
        (Some(from), None) => ("...".into(), axis.bar(from, axis.to)),
        (None, _) => (String::new(), String::new()),
    };
    vec![plain(&s["index"]), format!("{pad}{label}"), plain(&s["state"]), took, bar]
}

/// What is to be said of a step beside its row.
fn note(of: &str, s: &Value, names: &Names) -> Option<String> {
    let tries = s["tries"].as_u64().filter(|n| *n > 1).map(|n| format!(" (try {n})")).unwrap_or_default();
    let head = format!("{of}{}, {}{tries}", plain(&s["index"]), names.dress(&plain(&s["label"])));
    if let Some(detail) = s["error"]["detail"].as_str() {
        let reasons: String = list(&s["error"], "reasons").iter().map(|r| format!("\n      {}", names.dress(&plain(r)))).collect();
        return Some(format!("{head} failed: {}{reasons}", names.dress(detail)));
    }
    let waits = if s["state"] == "WAITING" { "waits" } else { "waited" };
    s["why"].as_str().map(|why| format!("{head} {waits}: {}", names.dress(why)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_timeline_draws_when_each_step_ran_and_why_one_failed() {
        let at = |s: u32| format!("2026-01-01T00:00:{s:02}Z");
        let steps = json!({"steps": [
            {"index": 0, "label": "link 00000000-0000-0000-0000-000000000001", "state": "DONE", "started": at(0), "ended": at(1), "tries": 1},
            {"index": 1, "label": "instantiate VNF fw", "state": "FAILED", "started": at(1), "ended": at(4), "tries": 2, "error": {"detail": "no room", "reasons": ["node 0: full"]}},
        ]});
        let part = json!({"steps": [
            {"index": 0, "label": "disk", "state": "DONE", "started": at(1), "ended": at(1), "tries": 1, "why": "libvirt is away"},
            {"index": 1, "label": "a label that is much longer than any column should be", "state": "WAITING", "started": at(2), "tries": 1, "why": "the console is silent"},
            {"index": 2, "label": "ready", "state": "PENDING", "tries": 0},
        ]});
        let op = json!({"operation": "INSTANTIATE", "operationState": "PROCESSING"});
        let parts = [("fw".to_owned(), op.clone(), part)];
        insta::assert_snapshot!(draw(&Drawn { steps: &steps, parts: &parts }, &Names::default()), @r"
        #  STEP                                  STATE       TOOK     TIMELINE
        0  link 00000000                         DONE        1.000 s  ██████
        1  instantiate VNF fw                    FAILED      3.000 s        ██████████████████
           fw: INSTANTIATE                       PROCESSING
        0    disk                                DONE        0.000 s        █
        1    a label that is much longer than …  WAITING     ...                  ████████████
        2    ready                               PENDING
          - 1, instantiate VNF fw (try 2) failed: no room
              node 0: full
          - fw 0, disk waited: libvirt is away
          - fw 1, a label that is much longer than any column should be waits: the console is silent
        ");
    }
}
