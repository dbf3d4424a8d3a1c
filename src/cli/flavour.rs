//! `bothy vnf change-flavour`: a VNF to another deployment flavour of its VNFD (SOL003 5.4.7).

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
};

#[derive(Args)]
pub struct ChangeFlavour {
    pub vnf: String,
    pub flavour: String,
    /// Instantiation level of that flavour; its default where this is not given
    #[arg(long)]
    pub level: Option<String>,
    /// Parameter, KEY=VALUE, beside those it was instantiated with; repeat for more
    #[arg(long = "param", value_name = "KEY=VALUE")]
    pub params: Vec<String>,
    /// Only say what would change
    #[arg(long)]
    pub plan: bool,
    #[command(flatten)]
    pub wait: Wait,
}

impl ChangeFlavour {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let path = VNFS.find(client, &self.vnf)?;
        let ask = self.request()?;
        if self.plan {
            let id = path.rsplit('/').next();
            let made = client.post("/bothy/v1/plan", &json!({ "changeFlavour": { "vnfInstanceId": id, "request": ask } }))?.body;
            out.done(&made, &plan::text(&made));
            return Ok(());
        }
        let answer = client.post(&format!("{path}/change_flavour"), &ask)?;
        accepted(client, out, &answer, self.wait)
    }

    fn request(&self) -> Result<Value, Failure> {
        let mut ask = json!({ "newFlavourId": self.flavour });
        if let Some(level) = &self.level {
            ask["instantiationLevelId"] = level.as_str().into();
        }
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
        let ask = |level: Option<&str>, params: &[&str]| {
            let params = params.iter().map(|p| (*p).to_owned()).collect();
            let wait = Wait { no_wait: true, timeout: 1 };
            ChangeFlavour { vnf: "v".into(), flavour: "big".into(), level: level.map(Into::into), params, plan: false, wait }.request().ok()
        };
        assert_eq!(ask(None, &[]), Some(json!({ "newFlavourId": "big" })));
        let all = json!({ "newFlavourId": "big", "instantiationLevelId": "pair", "additionalParams": { "a": "x" } });
        assert_eq!(ask(Some("pair"), &["a=x"]), Some(all));
        assert_eq!(ask(None, &["a"]), None);
    }
}
