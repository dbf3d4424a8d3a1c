//! How far to scale, as `vnf scale` and `ns scale` take it, in the words of SOL003 and SOL005.

use clap::Args;
use serde_json::{Value, json};

use super::failure::Failure;

#[derive(Args)]
pub struct ScaleHow {
    /// Scaling aspect of its VNFD, or of the NSD
    #[arg(long, required_unless_present_any = ["level", "to"], conflicts_with_all = ["level", "to"])]
    aspect: Option<String>,
    /// Fewer instead of more
    #[arg(long = "in", requires = "aspect")]
    inward: bool,
    #[arg(long, default_value_t = 1, requires = "aspect")]
    steps: u32,
    /// Instantiation level of its VNFD, or of the NSD
    #[arg(long, conflicts_with = "to")]
    level: Option<String>,
    /// Scale level of an aspect; repeat for more
    #[arg(long, value_name = "ASPECT=LEVEL")]
    to: Vec<String>,
}

impl ScaleHow {
    fn direction(&self) -> &'static str {
        if self.inward { "SCALE_IN" } else { "SCALE_OUT" }
    }

    /// The task of a VNF instance, and its request.
    pub fn of_vnf(&self) -> Result<(&'static str, Value), Failure> {
        Ok(match (&self.aspect, &self.level) {
            (Some(aspect), _) => ("scale", json!({ "type": self.direction(), "aspectId": aspect, "numberOfSteps": self.steps })),
            (None, Some(level)) => ("scale_to_level", json!({ "instantiationLevelId": level })),
            (None, None) => ("scale_to_level", json!({ "scaleInfo": levels(&self.to)? })),
        })
    }

    /// A `ScaleNsData`.
    pub fn of_service(&self) -> Result<Value, Failure> {
        Ok(match (&self.aspect, &self.level) {
            (Some(aspect), _) => json!({ "scaleNsByStepsData": {
                "scalingDirection": self.direction(), "aspectId": aspect, "numberOfSteps": self.steps,
            } }),
            (None, Some(level)) => json!({ "scaleNsToLevelData": { "nsInstantiationLevel": level } }),
            (None, None) => {
                let wire = |(aspect, level): (&str, u32)| json!({ "nsScalingAspectId": aspect, "nsScaleLevelId": level.to_string() });
                let all: Vec<Value> = pairs(&self.to)?.into_iter().map(wire).collect();
                json!({ "scaleNsToLevelData": { "nsScaleInfo": all } })
            }
        })
    }

    /// A `ScaleVnfData` without the VNF's id.
    pub fn of_member(&self) -> Result<Value, Failure> {
        Ok(match (&self.aspect, &self.level) {
            (Some(aspect), _) => json!({
                "scaleVnfType": self.direction(),
                "scaleByStepData": { "aspectId": aspect, "numberOfSteps": self.steps },
            }),
            (None, Some(level)) => json!({
                "scaleVnfType": "SCALE_TO_INSTANTIATION_LEVEL",
                "scaleToLevelData": { "vnfInstantiationLevelId": level },
            }),
            (None, None) => json!({
                "scaleVnfType": "SCALE_TO_SCALE_LEVEL(S)",
                "scaleToLevelData": { "vnfScaleInfo": levels(&self.to)? },
            }),
        })
    }
}

/// `ASPECT=LEVEL` as `ScaleInfo`.
fn levels(all: &[String]) -> Result<Vec<Value>, Failure> {
    let wire = |(aspect, level): (&str, u32)| json!({ "aspectId": aspect, "scaleLevel": level });
    pairs(all).map(|all| all.into_iter().map(wire).collect())
}

fn pairs(all: &[String]) -> Result<Vec<(&str, u32)>, Failure> {
    fn one(text: &str) -> Option<(&str, u32)> {
        let (aspect, level) = text.split_once('=')?;
        Some((aspect, level.parse().ok()?))
    }
    all.iter().map(|t| one(t).ok_or_else(|| Failure::Usage(format!("'{t}': write ASPECT=LEVEL, such as workers=2")))).collect()
}
