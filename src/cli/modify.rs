//! `bothy vnf modify`: what the record of a VNF has for its client (SOL003 5.4.3.3.4, MODIFY_INFO).

use camino::Utf8PathBuf;
use clap::Args;
use serde_json::Value;

use super::{
    client::Client,
    failure::Failure,
    follow::{Wait, accepted},
    output::Out,
    resource::{key_values, request},
    vnf::VNFS,
};

#[derive(Args)]
pub struct Modify {
    pub vnf: String,
    #[arg(long)]
    pub name: Option<String>,
    #[arg(long)]
    pub description: Option<String>,
    /// A configurable property, such as isAutohealEnabled=true; KEY=null takes it away; repeat for more
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub configurable: Vec<String>,
    /// The same in the VNF's extensions
    #[arg(long = "extension", value_name = "KEY=VALUE")]
    pub extensions: Vec<String>,
    /// The same in its metadata
    #[arg(long = "metadata", value_name = "KEY=VALUE")]
    pub metadata: Vec<String>,
    /// The rest of a VnfInfoModificationRequest, JSON or YAML
    #[arg(long, value_name = "FILE")]
    pub request: Option<Utf8PathBuf>,
    #[command(flatten)]
    pub wait: Wait,
}

impl Modify {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let body = self.body()?;
        let answer = client.patch(&VNFS.find(client, &self.vnf)?, &body)?;
        accepted(client, out, &answer, self.wait)
    }

    fn body(&self) -> Result<Value, Failure> {
        let mut body = request(self.request.as_deref())?;
        for (member, text) in [("vnfInstanceName", &self.name), ("vnfInstanceDescription", &self.description)] {
            if let Some(text) = text {
                body.insert(member.into(), text.as_str().into());
            }
        }
        for (member, pairs) in
            [("vnfConfigurableProperties", &self.configurable), ("extensions", &self.extensions), ("metadata", &self.metadata)]
        {
            if !pairs.is_empty() {
                body.insert(member.into(), key_values(pairs)?);
            }
        }
        if body.is_empty() {
            return Err(Failure::Usage("say what is to change: --name, --description, --set, --extension, --metadata or --request".into()));
        }
        Ok(Value::Object(body))
    }
}
