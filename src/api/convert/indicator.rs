//! VNF indicators as SOL003 8.5.2.2 shows them.

use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::Base;
use crate::{
    model::{id::VnfId, indicator::Reading},
    sol::vnfind::{IndicatorLinks, VnfIndicator},
};

/// A member for each guest, by its name: JSON where the guest wrote some, else its text.
pub fn value(of: &[(SmolStr, String)]) -> Value {
    let said = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    Value::Object(of.iter().map(|(guest, text)| (guest.to_string(), said(text))).collect::<Map<_, _>>())
}

pub fn indicator(vnf: VnfId, r: &Reading, base: &Base) -> VnfIndicator {
    VnfIndicator {
        id: r.id.to_string(),
        name: None,
        value: value(&r.values),
        vnf_instance_id: vnf.to_string(),
        links: IndicatorLinks {
            self_: base.link(format!("/vnfind/v1/indicators/{vnf}/{}", r.id)),
            vnf_instance: base.link(format!("/vnflcm/v2/vnf_instances/{vnf}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_guest_says_is_json_where_it_is_and_text_elsewhere() {
        for (said, is) in [("42", json!(42)), ("{\"a\": [1]}", json!({"a": [1]})), ("0.1 0.2", json!("0.1 0.2")), ("", json!(""))] {
            assert_eq!(value(&[("web-0".into(), said.into())]), json!({ "web-0": is }), "{said}");
        }
    }
}
