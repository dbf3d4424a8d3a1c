//! `bothy pm create` and `create-threshold`: what is to be measured, and from when on somebody is told (SOL003 6.4, SOL005 7.4).

use camino::Utf8PathBuf;
use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    client::Client,
    failure::Failure,
    ns::NSS,
    output::{Out, plain},
    resource::request,
    vnf::VNFS,
};

/// Of what, and who is told.
#[derive(Args)]
pub struct Measured {
    /// They are network services
    #[arg(long)]
    ns: bool,
    /// What of them: Vnf, Vnfc, VnfIntCp or VnfExtCp; of services Ns or Sap. A whole VNF or service where this is not given
    #[arg(long = "of", value_name = "TYPE")]
    of: Option<String>,
    /// Only this part of the one object, by its id; repeat for more
    #[arg(long = "part", value_name = "ID")]
    parts: Vec<String>,
    /// Who is told: it has to answer a GET with 204 now
    #[arg(long, value_name = "URL")]
    callback: Option<String>,
    /// The rest of the request, such as credentials for the callback, JSON or YAML
    #[arg(long, value_name = "FILE")]
    request: Option<Utf8PathBuf>,
}

#[derive(Args)]
pub struct CreateJob {
    /// VNFs, or with --ns services
    #[arg(required = true)]
    objects: Vec<String>,
    #[command(flatten)]
    measured: Measured,
    /// A metric by its name; repeat for more
    #[arg(long = "metric", value_name = "NAME")]
    metrics: Vec<String>,
    /// A group of metrics; repeat for more
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// Seconds between two values
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    every: u64,
    /// Seconds between two reports
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    report_every: u64,
    /// It ends by itself then, such as 2030-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

#[derive(Args)]
pub struct CreateThreshold {
    /// A VNF, or with --ns a service
    object: String,
    #[command(flatten)]
    measured: Measured,
    #[arg(long, value_name = "NAME")]
    metric: String,
    /// The value that is crossed
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    at: f64,
    /// So far beyond it a value has to be to count, up or down
    #[arg(long, default_value_t = 0.0, value_name = "NUMBER")]
    hysteresis: f64,
}

impl Measured {
    /// Root of the API that measures these.
    fn api(&self) -> &'static str {
        if self.ns { "/nspm/v2" } else { "/vnfpm/v2" }
    }

    fn id(&self, client: &Client, named: &str) -> Result<String, Failure> {
        let path = if self.ns { &NSS } else { &VNFS }.find(client, named)?;
        Ok(path.rsplit('/').next().unwrap_or(named).to_owned())
    }

    /// What jobs and thresholds have in common, over what the file says.
    fn body(&self) -> Result<Map<String, Value>, Failure> {
        let mut body = request(self.request.as_deref())?;
        let of = self.of.as_deref().unwrap_or(if self.ns { "Ns" } else { "Vnf" });
        body.insert("objectType".into(), of.into());
        if !self.parts.is_empty() {
            body.insert("subObjectInstanceIds".into(), json!(self.parts));
        }
        if let Some(url) = &self.callback {
            body.insert("callbackUri".into(), url.as_str().into());
        }
        Ok(body)
    }
}

impl CreateJob {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let ids = self.objects.iter().map(|o| self.measured.id(client, o)).collect::<Result<Vec<_>, _>>()?;
        let made = client.post(&format!("{}/pm_jobs", self.measured.api()), &self.body(&ids)?)?.body;
        out.done(&made, &format!("PM job {} measures every {} s", plain(&made["id"]), self.every));
        Ok(())
    }

    fn body(&self, ids: &[String]) -> Result<Value, Failure> {
        let mut body = self.measured.body()?;
        body.insert("objectInstanceIds".into(), json!(ids));
        let mut criteria = json!({ "collectionPeriod": self.every, "reportingPeriod": self.report_every });
        for (member, names) in [("performanceMetric", &self.metrics), ("performanceMetricGroup", &self.groups)] {
            if !names.is_empty() {
                criteria[member] = json!(names);
            }
        }
        if let Some(until) = &self.until {
            criteria["reportingBoundary"] = until.as_str().into();
        }
        body.insert("criteria".into(), criteria);
        Ok(Value::Object(body))
    }
}

impl CreateThreshold {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let id = self.measured.id(client, &self.object)?;
        let made = client.post(&format!("{}/thresholds", self.measured.api()), &self.body(&id)?)?.body;
        out.done(&made, &format!("threshold {} is at {} ± {}", plain(&made["id"]), self.at, self.hysteresis));
        Ok(())
    }

    fn body(&self, id: &str) -> Result<Value, Failure> {
        let mut body = self.measured.body()?;
        body.insert("objectInstanceId".into(), id.into());
        let details = json!({ "thresholdValue": self.at, "hysteresis": self.hysteresis });
        let criteria = json!({ "performanceMetric": self.metric, "thresholdType": "SIMPLE", "simpleThresholdDetails": details });
        body.insert("criteria".into(), criteria);
        Ok(Value::Object(body))
    }
}
