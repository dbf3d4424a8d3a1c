//! `bothy vnf change-package`: a VNF to another package, of another version of it (SOL003 5.4.11a).

use clap::Args;
use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    follow::{Wait, accepted},
    output::Out,
    plan,
    resource::key_values,
    vnf::VNFS,
    vnfpkg::VNFPKGS,
};

#[derive(Args)]
pub struct ChangePackage {
    pub vnf: String,
    /// By its id, its VNFD's id or its product's name
    pub package: String,
    /// Parameter, KEY=VALUE, beside those it was instantiated with; repeat for more
    #[arg(long = "param", value_name = "KEY=VALUE")]
    pub params: Vec<String>,
    /// Only say what would change
    #[arg(long)]
    pub plan: bool,
    #[command(flatten)]
    pub wait: Wait,
}

impl ChangePackage {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let path = VNFS.find(client, &self.vnf)?;
        // A VNFD's id looks as a package's does.
        let all = VNFPKGS.list(client)?;
        let package = VNFPKGS.pick(&all, &self.package)?;
        let vnfd = all.iter().find(|p| p["id"] == *package).map_or(Value::Null, |p| p["vnfdId"].clone());
        let ask = self.request(&vnfd)?;
        if self.plan {
            let id = path.rsplit('/').next();
            let made = client.post("/bothy/v1/plan", &json!({ "changeVnfPkg": { "vnfInstanceId": id, "request": ask } }))?.body;
            out.done(&made, &plan::text(&made));
            return Ok(());
        }
        let answer = client.post(&format!("{path}/change_vnfpkg"), &ask)?;
        accepted(client, out, &answer, self.wait)
    }

    fn request(&self, vnfd: &Value) -> Result<Value, Failure> {
        let mut ask = json!({ "vnfdId": vnfd });
        if !self.params.is_empty() {
            ask["additionalParams"] = key_values(&self.params)?;
        }
        Ok(ask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_says_no_more_than_was_given() {
        let ask = |params: &[&str]| {
            let params = params.iter().map(|p| (*p).to_owned()).collect();
            let wait = Wait { no_wait: true, timeout: 1 };
            ChangePackage { vnf: "v".into(), package: "p".into(), params, plan: false, wait }.request(&json!("two")).ok()
        };
        assert_eq!(ask(&[]), Some(json!({ "vnfdId": "two" })));
        assert_eq!(ask(&["a=x"]), Some(json!({ "vnfdId": "two", "additionalParams": { "a": "x" } })));
        assert_eq!(ask(&["a"]), None);
    }
}
