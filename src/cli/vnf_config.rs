//! `bothy vnf config`: a VNF's configuration, as the VNF itself has it (SOL002 9).

use camino::Utf8PathBuf;
use clap::Subcommand;
use serde_json::{Map, Value};

use super::{
    client::Client,
    failure::Failure,
    output::Out,
    resource::{key_values, request},
    vnf::VNFS,
};

#[derive(Subcommand)]
pub enum VnfConfig {
    Show {
        vnf: String,
    },
    /// Change it; without anything to set, the VNF is given the configurable properties of its record
    Set {
        vnf: String,
        /// A value of vnfSpecificData; KEY=null takes it away; repeat for more
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
        /// The rest of a VnfConfigModifications, JSON or YAML
        #[arg(long, value_name = "FILE")]
        request: Option<Utf8PathBuf>,
    },
}

impl VnfConfig {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let at = |vnf: &str| -> Result<String, Failure> {
            let found = VNFS.find(client, vnf)?;
            Ok(format!("/bothy/v1/vnf/{}/config", found.rsplit('/').next().unwrap_or_default()))
        };
        match self {
            VnfConfig::Show { vnf } => out.record(&client.get(&at(&vnf)?)?),
            VnfConfig::Set { vnf, set, request: file } => {
                let mut body = request(file.as_deref())?;
                if !set.is_empty() {
                    let data = body.entry("vnfConfigurationData").or_insert_with(|| Value::Object(Map::new()));
                    data["vnfSpecificData"] = key_values(&set)?;
                }
                out.record(&client.patch(&at(&vnf)?, &Value::Object(body))?.body);
            }
        }
        Ok(())
    }
}
