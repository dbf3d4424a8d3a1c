//! `bothy vnf endpoint`: where a VNF's own interfaces are, and its element manager's (SOL002).

use camino::Utf8PathBuf;
use clap::Subcommand;
use serde_json::{Map, Value};

use super::{client::Client, failure::Failure, output::Out, resource::request, vnf::VNFS};

#[derive(Subcommand)]
pub enum Endpoint {
    /// What somebody has told; what the VNFD says is not among it
    Show { vnf: String },
    /// Tell it, in the place of what was told before
    Set {
        vnf: String,
        /// What stands before /lcmcoord/v1 at the VNF, where it is not as the VNFD says
        #[arg(long, value_name = "URL")]
        api_root: Option<String>,
        /// The same at its element manager
        #[arg(long, value_name = "URL")]
        mgmt: Option<String>,
        /// The request: `vnf` and `mgmt`, each with apiRoot and `authentication` as a subscription has it, JSON or YAML
        #[arg(long, value_name = "FILE")]
        request: Option<Utf8PathBuf>,
    },
    /// Forget it
    Delete { vnf: String },
}

impl Endpoint {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let at = |vnf: &str| -> Result<String, Failure> {
            let found = VNFS.find(client, vnf)?;
            Ok(format!("/bothy/v1/vnf/{}/endpoint", found.rsplit('/').next().unwrap_or_default()))
        };
        match self {
            Endpoint::Show { vnf } => out.record(&client.get(&at(&vnf)?)?),
            Endpoint::Set { vnf, api_root, mgmt, request: file } => {
                let mut body = request(file.as_deref())?;
                for (member, url) in [("vnf", api_root), ("mgmt", mgmt)] {
                    let Some(url) = url else { continue };
                    let one = body.entry(member).or_insert_with(|| Value::Object(Map::new()));
                    one["apiRoot"] = url.into();
                }
                let path = at(&vnf)?;
                client.put(&path, &Value::Object(body))?;
                out.done(&client.get(&path)?, &format!("{vnf} is asked there from now on"));
            }
            Endpoint::Delete { vnf } => {
                client.delete(&at(&vnf)?)?;
                out.done(&Value::Null, &format!("{vnf} is asked where its VNFD says"));
            }
        }
        Ok(())
    }
}
