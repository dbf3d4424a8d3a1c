//! `bothy vnfm`: foreign VNFMs, which have VNFs of this box's services.

use camino::Utf8PathBuf;
use clap::Subcommand;
use serde_json::{Map, Value};

use super::{
    client::Client,
    failure::Failure,
    identity::named,
    output::{Out, plain},
    resource::request,
};

const VNFMS: &str = "/bothy/v1/vnfms";

#[derive(Subcommand)]
pub enum Vnfm {
    List,
    Show {
        name: String,
    },
    /// Say where an account with the role vnfm is driven, and which VNFs it has; what is not said is nothing
    Set {
        name: String,
        /// What stands before /vnflcm/v2
        #[arg(long, value_name = "URL")]
        api_root: Option<String>,
        /// A `vnfm_info` of VNFDs that means it; none: its name. Repeat for more
        #[arg(long = "info", value_name = "TEXT")]
        info: Vec<String>,
        /// A VNFD that it has besides, by its id; repeat for more
        #[arg(long = "vnfd", value_name = "ID")]
        vnfds: Vec<String>,
        /// What a physical network of this box is there; repeat for more
        #[arg(long = "network", value_name = "NAME=RESOURCE")]
        networks: Vec<String>,
        /// Its VIM connection, where it has several
        #[arg(long, value_name = "ID")]
        vim: Option<String>,
        /// What stands before /bothy/v1 of this box, as the VNFM reaches it: its notifications are subscribed to then
        #[arg(long, value_name = "URL")]
        callback_root: Option<String>,
        /// The request, with `authentication` as a subscription has it, JSON or YAML
        #[arg(long, value_name = "FILE")]
        request: Option<Utf8PathBuf>,
    },
    /// It is driven no more; refused while services have VNFs there
    Delete {
        name: String,
    },
}

impl Vnfm {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Vnfm::List => {
                let all = client.get(VNFMS)?;
                let row = |m: &Value| ["name", "apiRoot", "authentication", "vnfmInfo", "vnfds"].iter().map(|k| plain(&m[*k])).collect();
                let rows = all.as_array().into_iter().flatten().map(row).collect();
                out.table(&all, &["NAME", "API ROOT", "AUTHENTICATION", "VNFM INFO", "VNFDS"], rows);
            }
            Vnfm::Show { name } => out.record(&client.get(&named(VNFMS, &name)?)?),
            Vnfm::Set { name, api_root, info, vnfds, networks, vim, callback_root, request: file } => {
                let mut body = request(file.as_deref())?;
                let texts = [("apiRoot", api_root), ("vim", vim), ("callbackRoot", callback_root)];
                body.extend(texts.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?.into()))));
                let lists = [("vnfmInfo", info), ("vnfds", vnfds)];
                body.extend(lists.into_iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (k.to_owned(), v.into())));
                if !networks.is_empty() {
                    body.insert("networks".into(), Value::Object(networks.iter().map(|n| pair(n)).collect::<Result<Map<_, _>, _>>()?));
                }
                let path = named(VNFMS, &name)?;
                client.put(&path, &Value::Object(body))?;
                let now = client.get(&path)?;
                out.done(&now, &format!("VNFs in the charge of {name} are driven at {}", plain(&now["apiRoot"])));
            }
            Vnfm::Delete { name } => {
                client.delete(&named(VNFMS, &name)?)?;
                out.done(&Value::Null, &format!("{name} is driven no more"));
            }
        }
        Ok(())
    }
}

/// Whatever a VIM calls it, it is text.
fn pair(of: &str) -> Result<(String, Value), Failure> {
    let (name, resource) = of.split_once('=').ok_or_else(|| Failure::Usage(format!("'{of}' must be NAME=RESOURCE")))?;
    Ok((name.to_owned(), resource.into()))
}
