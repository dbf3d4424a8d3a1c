//! `bothy project`: projects, their quotas and what of them is used.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    client::Client,
    failure::Failure,
    identity::named,
    output::{Out, plain},
};

const PROJECTS: &str = "/bothy/v1/projects";

/// What is not given has no limit.
#[derive(Args)]
pub struct Limits {
    #[arg(long)]
    vnfs: Option<u32>,
    #[arg(long)]
    vcpus: Option<u32>,
    #[arg(long)]
    memory_mib: Option<u64>,
    #[arg(long)]
    disk_mib: Option<u64>,
    /// Virtual functions of NICs
    #[arg(long)]
    vfs: Option<u32>,
}

impl Limits {
    fn body(&self) -> Value {
        json!({"vnfs": self.vnfs, "vcpus": self.vcpus, "memoryMib": self.memory_mib, "diskMib": self.disk_mib, "vfs": self.vfs})
    }
}

#[derive(Subcommand)]
pub enum Project {
    List,
    Show {
        name: String,
    },
    Create {
        name: String,
        #[arg(long, default_value = "")]
        description: String,
        #[command(flatten)]
        quota: Limits,
    },
    /// Set its whole quota; nothing that is there is taken away
    Quota {
        name: String,
        #[command(flatten)]
        quota: Limits,
    },
    Rename {
        name: String,
        to: String,
    },
    /// Only one that owns nothing goes
    Delete {
        name: String,
    },
}

impl Project {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Project::List => {
                let all = client.get(PROJECTS)?;
                let pair = |p: &Value, k: &str| match &p["quota"][k] {
                    Value::Null => plain(&p["used"][k]),
                    limit => format!("{} of {}", plain(&p["used"][k]), plain(limit)),
                };
                let row = |p: &Value| {
                    let mut r = vec![plain(&p["name"]), plain(&p["id"])];
                    r.extend(["vnfs", "vcpus", "memoryMib", "diskMib"].iter().map(|k| pair(p, k)));
                    r
                };
                let rows = all.as_array().into_iter().flatten().map(row).collect();
                out.table(&all, &["NAME", "ID", "VNFS", "VCPUS", "MEMORY MIB", "DISK MIB"], rows);
            }
            Project::Show { name } => out.record(&client.get(&named(PROJECTS, &name)?)?),
            Project::Create { name, description, quota } => {
                let body = json!({"name": name, "description": description, "quota": quota.body()});
                out.record(&client.post(PROJECTS, &body)?.body);
            }
            Project::Quota { name, quota } => {
                let body = Map::from_iter([("quota".to_owned(), quota.body())]);
                out.record(&client.patch(&named(PROJECTS, &name)?, &Value::Object(body))?.body);
            }
            Project::Rename { name, to } => out.record(&client.patch(&named(PROJECTS, &name)?, &json!({ "name": to }))?.body),
            Project::Delete { name } => {
                client.delete(&named(PROJECTS, &name)?)?;
                out.done(&Value::Null, &format!("project {name} is gone"));
            }
        }
        Ok(())
    }
}
