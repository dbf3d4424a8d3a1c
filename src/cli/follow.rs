//! Follows an operation to its end, with its steps as a progress bar.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use super::{
    client::{Answer, Client},
    failure::Failure,
    names::{Names, list},
    output::Out,
    timeline::millis,
};
use crate::model::order::Order as _;
use crate::model::tree::tree;

/// How long an operation is watched.
#[derive(Args, Clone, Copy)]
pub struct Wait {
    /// Come back at once, with the operation's id
    #[arg(long)]
    pub no_wait: bool,
    /// Seconds to wait for the operation
    #[arg(long, default_value_t = 1800, value_name = "SECONDS")]
    pub timeout: u64,
}

pub const NS_OPS: &str = "/nslcm/v2/ns_lcm_op_occs";
pub const VNF_OPS: &str = "/vnflcm/v2/vnf_lcm_op_occs";
/// Operations on the host itself.
pub const HOST_OPS: &str = "/bothy/v1/host/operations";

/// After a task was accepted: waits for its operation, or just names it.
pub fn accepted(client: &Client, out: &Out, answer: &Answer, wait: Wait) -> Result<(), Failure> {
    let op = answer.location.as_deref().ok_or_else(|| Failure::Here("the daemon accepted the request but named no operation".into()))?;
    if wait.no_wait {
        let id = op.rsplit('/').next().unwrap_or(op);
        out.done(&serde_json::json!({ "operation": id }), &format!("accepted as operation {id}"));
        return Ok(());
    }
    let end = follow(client, op, Duration::from_secs(wait.timeout))?;
    told(client, out, &end)
}

/// Tells how an operation ended, with names in place of ids.
pub fn told(client: &Client, out: &Out, op: &Value) -> Result<(), Failure> {
    finished(out, op).map_err(|f| f.dressed(&names_of(client, op).unwrap_or_default()))
}

/// Tells how an operation ended; one that did not complete is a failure.
fn finished(out: &Out, op: &Value) -> Result<(), Failure> {
    let what = format!("operation {} ({}) is {}", text(op, "id"), kind(op), text(op, "operationState"));
    for w in op["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        eprintln!("warning: {}", super::failure::visible(w));
    }
    if text(op, "operationState") != "COMPLETED" {
        if out.json {
            out.value(op);
        }
        if text(op, "operationState") == "FAILED_TEMP" {
            eprintln!("{}", next_of_failed(text(op, "id")));
        }
        return Err(Failure::operation(&what, &op["error"]));
    }
    out.done(op, &what);
    Ok(())
}

/// What can be done about an operation that is FAILED_TEMP.
pub fn next_of_failed(id: &str) -> String {
    format!("bothy op show {id} tells which step failed; then: bothy op retry|rollback|fail {id}")
}

/// `INSTANTIATE`, whichever of the two APIs the op-occ is from.
pub fn kind(op: &Value) -> &str {
    op["lcmOperationType"].as_str().or_else(|| op["operation"].as_str()).unwrap_or("?")
}

fn text<'v>(v: &'v Value, member: &str) -> &'v str {
    v[member].as_str().unwrap_or("?")
}

/// Ends, or waits for somebody to say retry, rollback or fail.
pub fn is_at_rest(state: &str) -> bool {
    !matches!(state, "STARTING" | "PROCESSING" | "ROLLING_BACK")
}

/// Watches an op-occ until it moves no more; gives it as it is then.
pub fn follow(client: &Client, op: &str, patience: Duration) -> Result<Value, Failure> {
    let id = op.rsplit('/').next().unwrap_or(op);
    let mut bars = Bars::new();
    let begun = Instant::now();
    // Short at first, for a VNF may be up in under a second.
    let mut pause = Duration::from_millis(50);
    loop {
        let now = client.get(op)?;
        let state = text(&now, "operationState");
        if is_at_rest(state) {
            return Ok(now);
        }
        if begun.elapsed() > patience {
            drop(bars);
            let s = patience.as_secs();
            return Err(Failure::Here(format!("operation {id} is still {state} after {s} s; it goes on: bothy op wait {id}")));
        }
        if !bars.top.is_hidden() {
            bars.show(client, &now)?;
        }
        std::thread::sleep(pause);
        pause = (pause * 3 / 2).min(Duration::from_millis(500));
    }
}

pub fn timeline(id: &str) -> String {
    format!("/bothy/v1/operations/{id}/timeline")
}

/// The operation's steps as one bar; under it, one for each member of a network service that is
/// being worked on.
struct Bars {
    all: MultiProgress,
    top: ProgressBar,
    members: BTreeMap<String, ProgressBar>,
    names: Option<Names>,
}

/// More bars than this push each other off the screen.
const BARS: usize = 8;

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let top = all.add(bar("{spinner} {bar:24} {pos}/{len} {elapsed} {wide_msg}"));
        if !top.is_hidden() {
            top.enable_steady_tick(Duration::from_millis(120));
        }
        Bars { all, top, members: BTreeMap::new(), names: None }
    }

    fn show(&mut self, client: &Client, op: &Value) -> Result<(), Failure> {
        let steps = client.get(&timeline(text(op, "id")))?;
        if self.names.is_none() {
            // Read once: the members of an operation are fixed when it is accepted.
            self.names = Some(names_of(client, op)?);
        }
        let Some(names) = &self.names else { return Ok(()) };
        progress(&self.top, &steps, &format!("{} {}", kind(op), text(op, "operationState")), names);
        let busy = parts_of(client, op)?.into_iter().filter(|p| !is_at_rest(text(p, "operationState")));
        let busy: BTreeMap<String, String> =
            tree(busy.map(|p| (text(&p, "id").to_owned(), names.dress(text(&p, "vnfInstanceId")).into_owned())).take(BARS));
        self.members.retain(|id, bar| {
            let stays = busy.contains_key(id);
            if !stays {
                bar.finish_and_clear();
            }
            stays
        });
        for (id, name) in &busy {
            let bar = self.members.entry(id.clone()).or_insert_with(|| self.all.add(bar("    {bar:20.dim} {pos}/{len} {wide_msg}")));
            progress(bar, &client.get(&timeline(id))?, name, names);
        }
        Ok(())
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // What is said next stands where the bars were.
        let _ = self.all.clear();
    }
}

fn bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// The names of what an operation works on. What is gone has none.
pub fn names_of(client: &Client, op: &Value) -> Result<Names, Failure> {
    let (path, learn): (String, fn(&Value) -> Names) = match (op["nsInstanceId"].as_str(), op["vnfInstanceId"].as_str()) {
        (Some(id), _) => (format!("/nslcm/v2/ns_instances/{id}"), Names::of_ns),
        (None, Some(id)) => (format!("/vnflcm/v2/vnf_instances/{id}"), Names::of_vnf),
        (None, None) => return Ok(Names::default()),
    };
    let mut names = match client.get(&path) {
        Ok(v) => learn(&v),
        Err(Failure::Refused { status: 404, .. }) => Names::default(),
        Err(f) => return Err(f),
    };
    // Not everybody may see them.
    if let (true, Ok(chains)) = (op["nsInstanceId"].is_string(), client.get("/bothy/v1/chains")) {
        for c in chains.as_array().into_iter().flatten() {
            names.put(&c["id"], text(c, "nfp"));
        }
    }
    Ok(names)
}

/// The operations on the members that an operation on their service began.
pub fn parts_of(client: &Client, op: &Value) -> Result<Vec<Value>, Failure> {
    let Some(id) = op["nsInstanceId"].as_str() else { return Ok(Vec::new()) };
    let members = match client.get(&format!("/nslcm/v2/ns_instances/{id}")) {
        Ok(ns) => list(&ns, "vnfInstance").iter().map(|v| v["id"].clone()).collect(),
        Err(Failure::Refused { status: 404, .. }) => Vec::new(),
        Err(f) => return Err(f),
    };
    let parts = match client.get(VNF_OPS)? {
        Value::Array(all) => all,
        _ => Vec::new(),
    };
    Ok(belonging(parts, op, &members))
}

/// They are accepted together with it, so the first of each member at or after its begin is its part.
fn belonging(mut parts: Vec<Value>, op: &Value, members: &[Value]) -> Vec<Value> {
    let begun = millis(&op["startTime"]);
    parts.retain(|p| members.contains(&p["vnfInstanceId"]) && kind(p) == kind(op) && millis(&p["startTime"]) >= begun);
    parts.order_by_key(|p| millis(&p["startTime"]));
    let mut seen = Vec::new();
    parts.retain(|p| {
        let first = !seen.contains(&p["vnfInstanceId"]);
        seen.push(p["vnfInstanceId"].clone());
        first
    });
    parts
}

fn progress(bar: &ProgressBar, timeline: &Value, what: &str, names: &Names) {
    let steps = timeline["steps"].as_array().map_or(&[][..], Vec::as_slice);
    let of = |state: &'static str| steps.iter().filter(move |s| s["state"] == state);
    bar.set_length(steps.len() as u64);
    bar.set_position(of("DONE").count() as u64);
    let label = |s: &Value| names.dress(text(s, "label")).into_owned();
    let now = of("RUNNING").map(label);
    let waits = of("WAITING").map(|s| match s["why"].as_str() {
        Some(why) => format!("{}: {}", label(s), names.dress(why)),
        None => label(s),
    });
    let doing: Vec<String> = now.chain(waits).take(3).collect();
    bar.set_message(format!("{what}  {}", doing.join("; ")));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::failure::Exit, *};

    #[test]
    fn the_parts_of_a_service_are_found_whatever_digits_their_instants_have() {
        let op = |id: &str, of: &str, at: &str| {
            let at = format!("2026-01-01T00:00:{at}Z");
            json!({"id": id, "vnfInstanceId": of, "operation": "INSTANTIATE", "startTime": at})
        };
        let all = vec![
            op("before", "a", "04.999"),
            op("again", "a", "06"),
            op("of b", "b", "05.12"),
            op("of a", "a", "05.003"),
            op("other", "c", "05.1"),
        ];
        for begun in ["05", "05.00", "05.003"] {
            let found = belonging(all.clone(), &op("ns", "", begun), &[json!("a"), json!("b")]);
            let ids: Vec<&Value> = found.iter().map(|p| &p["id"]).collect();
            assert_eq!(ids, ["of a", "of b"], "begun at {begun}");
        }
    }

    #[test]
    fn only_a_completed_operation_is_a_success() {
        let out = Out { json: false };
        for (state, at_rest, exit) in [
            ("COMPLETED", true, None),
            ("FAILED_TEMP", true, Some(Exit::OperationFailed)),
            ("PARTIALLY_COMPLETED", true, Some(Exit::OperationFailed)),
            ("ROLLED_BACK", true, Some(Exit::OperationFailed)),
            ("FAILED", true, Some(Exit::OperationFailed)),
            ("PROCESSING", false, Some(Exit::OperationFailed)),
            ("ROLLING_BACK", false, Some(Exit::OperationFailed)),
            ("STARTING", false, Some(Exit::OperationFailed)),
        ] {
            assert_eq!(is_at_rest(state), at_rest, "{state}");
            let op = json!({"id": "1", "operation": "INSTANTIATE", "operationState": state, "error": {"detail": "d", "reasons": ["r"]}});
            let end = finished(&out, &op);
            assert_eq!(end.as_ref().err().map(Failure::exit), exit, "{state}");
            if let Err(f) = end {
                assert_eq!(f.text(), format!("error: operation 1 (INSTANTIATE) is {state}: d\n  - r"));
            }
        }
    }
}
