//! `bothy pm`: what is measured of VNFs and services, and the reports.

use clap::Subcommand;
use serde_json::Value;

use super::{
    capacity,
    client::Client,
    failure::Failure,
    measure::{CreateJob, CreateThreshold},
    names::{list, short},
    output::{Out, plain},
    resource::Kind,
};

const fn kind(what: &'static str, path: &'static str) -> Kind {
    Kind { what, path, columns: &[], names: &[] }
}

const JOBS: [Kind; 2] = [kind("PM job", "/vnfpm/v2/pm_jobs"), kind("PM job", "/nspm/v2/pm_jobs")];
const THRESHOLDS: [Kind; 3] = [
    kind("threshold", "/vnfpm/v2/thresholds"),
    kind("threshold", "/nspm/v2/thresholds"),
    // Of the box's capacity.
    kind("threshold", "/nfvici/v1/capacity_thresholds"),
];

#[derive(Subcommand)]
pub enum Pm {
    /// PM jobs: what is measured, how often
    List,
    /// Have something measured
    Create(CreateJob),
    /// A PM job in full, with its reports
    Show { id: String },
    /// The reports that are kept of a PM job, the newest last
    Reports { id: String },
    /// The newest report of a PM job, a line for each value
    Report {
        id: String,
        /// Another one of its reports, by its id or the start of it
        report: Option<String>,
    },
    /// End a PM job; its reports go with it
    Delete { id: String },
    /// Thresholds
    Thresholds,
    /// Have somebody told when a value is crossed
    CreateThreshold(CreateThreshold),
    /// A threshold in full
    ShowThreshold { id: String },
    /// Take a threshold away
    DeleteThreshold { id: String },
}

impl Pm {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Pm::List => {
                let all = all(client, &JOBS)?;
                let row = |j: &Value| {
                    let c = &j["criteria"];
                    let metrics = [&c["performanceMetric"], &c["performanceMetricGroup"]].map(words).join(" ");
                    let every = format!("{}/{} s", plain(&c["collectionPeriod"]), plain(&c["reportingPeriod"]));
                    vec![short(&plain(&j["id"])).to_owned(), plain(&j["objectType"]), words(&j["objectInstanceIds"]), every, metrics]
                };
                let rows = all.iter().map(row).collect();
                out.table(&Value::Array(all), &["ID", "OF", "OBJECTS", "EVERY", "METRICS"], rows);
            }
            Pm::Create(c) => c.run(client, out)?,
            Pm::CreateThreshold(c) => c.run(client, out)?,
            Pm::ShowThreshold { id } => out.record(&client.get(&find(client, &THRESHOLDS, &id)?)?),
            Pm::Show { id } => out.record(&client.get(&find(client, &JOBS, &id)?)?),
            Pm::Reports { id } => {
                let job = client.get(&find(client, &JOBS, &id)?)?;
                let rows = list(&job, "reports")
                    .iter()
                    .map(|r| vec![id_of(r).to_owned(), plain(&r["readyTime"]), plain(&r["fileSize"])])
                    .collect();
                out.table(&job["reports"], &["ID", "READY", "BYTES"], rows);
            }
            Pm::Report { id, report } => {
                let at = find(client, &JOBS, &id)?;
                let job = client.get(&at)?;
                let all = || list(&job, "reports").iter().map(id_of);
                let found = match &report {
                    None => all().next_back().ok_or_else(|| format!("PM job {id} has no report yet")),
                    Some(named) => {
                        all().find(|r| r.starts_with(named.as_str())).ok_or_else(|| format!("PM job {id} has no report '{named}'"))
                    }
                };
                let report = found.map_err(|detail| Failure::Refused { status: 404, detail, reasons: Vec::new() })?;
                let report = client.get(&format!("{at}/reports/{report}"))?;
                let mut rows = Vec::new();
                for e in report["entries"].as_array().into_iter().flatten() {
                    let of = e["subObjectInstanceId"].as_str().or(e["objectInstanceId"].as_str()).unwrap_or("");
                    for v in e["performanceValues"].as_array().into_iter().flatten() {
                        rows.push(vec![plain(&v["timeStamp"]), short(of).to_owned(), plain(&e["performanceMetric"]), plain(&v["value"])]);
                    }
                }
                out.table(&report, &["TIME", "OF", "METRIC", "VALUE"], rows);
            }
            Pm::Delete { id } => {
                client.delete(&find(client, &JOBS, &id)?)?;
                out.done(&Value::Null, &format!("PM job {id} is ended"));
            }
            Pm::Thresholds => {
                let all = all(client, &THRESHOLDS)?;
                let row = |t: &Value| {
                    let c = &t["criteria"];
                    if c["capacityMetric"].is_object() {
                        let [zone, metric, at] = capacity::threshold(t);
                        return vec![short(&plain(&t["id"])).to_owned(), "capacity".into(), zone, metric, at];
                    }
                    let d = &c["simpleThresholdDetails"];
                    vec![
                        short(&plain(&t["id"])).to_owned(),
                        plain(&t["objectType"]),
                        short(&plain(&t["objectInstanceId"])).to_owned(),
                        plain(&c["performanceMetric"]),
                        format!("{} ± {}", plain(&d["thresholdValue"]), plain(&d["hysteresis"])),
                    ]
                };
                let rows = all.iter().map(row).collect();
                out.table(&Value::Array(all), &["ID", "OF", "OBJECT", "METRIC", "AT"], rows);
            }
            Pm::DeleteThreshold { id } => {
                client.delete(&find(client, &THRESHOLDS, &id)?)?;
                out.done(&Value::Null, &format!("threshold {id} is gone"));
            }
        }
        Ok(())
    }
}

/// A report's id, from where it is.
fn id_of(report: &Value) -> &str {
    report["href"].as_str().and_then(|h| h.rsplit('/').next()).unwrap_or_default()
}

fn words(list: &Value) -> String {
    list.as_array().into_iter().flatten().map(|v| short(&plain(v)).to_owned()).collect::<Vec<_>>().join(" ")
}

fn all(client: &Client, kinds: &[Kind]) -> Result<Vec<Value>, Failure> {
    let mut out = Vec::new();
    for k in kinds {
        out.extend(k.list(client)?);
    }
    Ok(out)
}

fn find(client: &Client, kinds: &[Kind], id: &str) -> Result<String, Failure> {
    for k in kinds {
        if let Some(path) = k.maybe(client, id)? {
            return Ok(path);
        }
    }
    let what = kinds.first().map_or("resource", |k| k.what);
    Err(Failure::Refused { status: 404, detail: format!("there is no {what} '{id}'"), reasons: Vec::new() })
}
