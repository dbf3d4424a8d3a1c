//! `bothy nfvo`: central NFVOs, which own the VNFs that they make and grant what is done to them.

use camino::Utf8PathBuf;
use clap::Subcommand;
use serde_json::Value;

use super::{
    client::Client,
    failure::Failure,
    identity::named,
    output::{Out, plain},
    resource::request,
};

pub const NFVOS: &str = "/bothy/v1/nfvos";

#[derive(Subcommand)]
pub enum Nfvo {
    List,
    Show {
        name: String,
    },
    /// Say where the grants of an account with the role nfvo are asked for
    Set {
        name: String,
        /// What stands before /grant/v1 and /vnfpkgm/v2
        #[arg(long, value_name = "URL")]
        api_root: Option<String>,
        /// The request, with `authentication` as a subscription has it, JSON or YAML
        #[arg(long, value_name = "FILE")]
        request: Option<Utf8PathBuf>,
    },
    /// It is asked no more: its VNFs are granted by this box from now on
    Delete {
        name: String,
    },
}

impl Nfvo {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Nfvo::List => {
                let all = client.get(NFVOS)?;
                let row = |n: &Value| ["name", "apiRoot", "authentication"].iter().map(|k| plain(&n[*k])).collect();
                let rows = all.as_array().into_iter().flatten().map(row).collect();
                out.table(&all, &["NAME", "API ROOT", "AUTHENTICATION"], rows);
            }
            Nfvo::Show { name } => out.record(&client.get(&named(NFVOS, &name)?)?),
            Nfvo::Set { name, api_root, request: file } => {
                let mut body = request(file.as_deref())?;
                if let Some(url) = api_root {
                    body.insert("apiRoot".into(), url.into());
                }
                let path = named(NFVOS, &name)?;
                client.put(&path, &Value::Object(body))?;
                let now = client.get(&path)?;
                out.done(&now, &format!("grants for the VNFs of {name} are asked of {}", plain(&now["apiRoot"])));
            }
            Nfvo::Delete { name } => {
                client.delete(&named(NFVOS, &name)?)?;
                out.done(&Value::Null, &format!("{name} is asked for no more grants"));
            }
        }
        Ok(())
    }
}
