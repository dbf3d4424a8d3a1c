//! What an operation asks of the VNF itself, or of its element manager, in its plan: coordinations before all else and after it
//! (SOL002 10, SOL001's `coordination_stage`), and the configuration of guests that are new (SOL002 9). Pure.
//!
//! ```text
//! coordinate* -> (everything else) -> configure -> coordinate* -> what is left over goes
//! ```
//! What a change leaves over goes last of all: up to there it can be rolled back, also because of what was answered. A
//! forceful termination or stop asks nobody.

use super::{Vnfm, accept::vnfd_of};
use crate::model::{
    error::Result,
    id::VnfPkgId,
    op::OpKind,
    own::{Coordinated, OwnApi, OwnApis, Stage, What},
    package::VnfPackage,
    step::{Effect, PlanStep, Step, VnfStep},
};

impl Vnfm {
    /// The plan with them, where the package has some.
    pub fn coordinate_plan(&self, package: VnfPkgId, flavour: &str, kind: OpKind, steps: &mut Vec<PlanStep>) -> Result<()> {
        self.coordinate_change(&[(package, flavour)], kind, steps)
    }

    /// Where a VNF comes to another flavour or package: either of them may say which way is gone, the one that it comes to first.
    pub fn coordinate_change(&self, between: &[(VnfPkgId, &str)], kind: OpKind, steps: &mut Vec<PlanStep>) -> Result<()> {
        let mut found: Vec<OwnApis> = Vec::new();
        for (id, flavour) in between {
            let package: Option<VnfPackage> = self.store.get(id)?;
            found.extend(own_of(package.as_ref(), flavour).cloned());
        }
        *steps = with_asks(&found.iter().collect::<Vec<_>>(), kind, std::mem::take(steps));
        Ok(())
    }
}

fn own_of<'p>(package: Option<&'p VnfPackage>, flavour: &str) -> Option<&'p OwnApis> {
    package.and_then(|p| vnfd_of(p).ok()).and_then(|v| v.own(flavour))
}

/// The plan with them.
pub fn coordinated(package: Option<&VnfPackage>, flavour: &str, kind: OpKind, steps: Vec<PlanStep>) -> Vec<PlanStep> {
    with_asks(&own_of(package, flavour).into_iter().collect::<Vec<_>>(), kind, steps)
}

fn with_asks(own: &[&OwnApis], kind: OpKind, steps: Vec<PlanStep>) -> Vec<PlanStep> {
    // Whoever manages a VNF coordinates with it: of a foreign VNFM's, no guest is here that could be asked.
    if steps.iter().any(|s| matches!(s.step, Step::Vnf(VnfStep::Abroad(_)))) {
        return steps;
    }
    let Some(operation) = Coordinated::of(kind).filter(|_| !is_forceful(kind, &steps)) else { return steps };
    let said = own.iter().find(|o| o.coordinations.iter().any(|c| c.operation == operation));
    let of = |stage: Stage| {
        let all = said.into_iter().flat_map(|o| &o.coordinations);
        all.filter(move |c| (c.operation, c.stage) == (operation, stage)).map(|c| What::Coordinate(c.ask.clone()))
    };
    let is_new = matches!(kind, OpKind::Instantiate | OpKind::Heal | OpKind::ChangeFlavour | OpKind::ChangePackage);
    let configures = own.first().filter(|_| is_new).is_some_and(|o| o.doors.iter().any(|d| d.api == OwnApi::Configuration));
    around(of(Stage::Start).collect(), steps, configures.then_some(What::Configure).into_iter().chain(of(Stage::End)).collect())
}

fn is_forceful(kind: OpKind, steps: &[PlanStep]) -> bool {
    matches!(kind, OpKind::Terminate | OpKind::Start | OpKind::Stop)
        && steps.iter().any(|s| matches!(s.step, Step::Vnf(VnfStep::Stop { graceful_s: None, .. })))
}

fn around(first: Vec<What>, steps: Vec<PlanStep>, last: Vec<What>) -> Vec<PlanStep> {
    let (Some(op), false) = (steps.first().map(|s| s.op), first.is_empty() && last.is_empty()) else { return steps };
    let mut out: Vec<PlanStep> = Vec::with_capacity(first.len() + steps.len() + last.len());
    let ask = |index: u32, after: Vec<u32>, c: What| PlanStep { op, index, after, step: Step::Vnf(VnfStep::Ask(Box::new(c))) };
    for (n, c) in (0..).zip(first) {
        out.push(ask(n, n.checked_sub(1).into_iter().collect(), c));
    }
    let by = out.len() as u32;
    let mut left = Vec::new();
    for mut s in steps {
        if s.step.effect() == Effect::Sheds {
            left.push(s);
            continue;
        }
        s.index += by;
        s.after.iter_mut().for_each(|a| *a += by);
        if s.after.is_empty() {
            s.after.extend(by.checked_sub(1));
        }
        out.push(s);
    }
    for c in last {
        let index = out.len() as u32;
        out.push(ask(index, (0..index).collect(), c));
    }
    for s in left {
        let index = out.len() as u32;
        out.push(PlanStep { index, after: (0..index).collect(), ..s });
    }
    out
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::{
        id::{OpId, VnfcId},
        own::CoordAsk,
        step::Shed,
    };

    fn plan(steps: Vec<(VnfStep, Vec<u32>)>) -> Vec<PlanStep> {
        let op = OpId(Uuid::nil());
        (0..).zip(steps).map(|(index, (step, after))| PlanStep { op, index, after, step: Step::Vnf(step) }).collect()
    }

    fn start(n: u128) -> VnfStep {
        VnfStep::Start(VnfcId(Uuid::from_u128(n)))
    }

    #[test]
    fn actions_come_before_everything_and_after_it_and_what_is_left_over_goes_last() {
        let action = |name: &str| What::Coordinate(CoordAsk { action: name.into(), endpoint: None, input: String::new() });
        let shed = VnfStep::Shed(Box::new(Shed { gone: Vec::new(), links: Vec::new() }));
        let before = plan(vec![(start(1), vec![]), (start(2), vec![0]), (shed, vec![0, 1])]);
        let shape = |steps: &[PlanStep]| -> Vec<(u32, String, Vec<u32>)> {
            let word =
                |s: &PlanStep| s.step.label().split(' ').take(1).chain(s.step.label().rsplit(' ').take(1)).collect::<Vec<_>>().join(" ");
            steps.iter().map(|s| (s.index, word(s), s.after.clone())).collect()
        };
        let id = |n: u128| format!("start {}", VnfcId(Uuid::from_u128(n)));
        let want = [
            (0, "ask 'a'".to_owned(), vec![]),
            (1, "ask 'b'".to_owned(), vec![0]),
            (2, id(1), vec![1]),
            (3, id(2), vec![2]),
            (4, "ask 'c'".to_owned(), vec![0, 1, 2, 3]),
            (5, "remove links".to_owned(), vec![0, 1, 2, 3, 4]),
        ];
        assert_eq!(shape(&around(vec![action("a"), action("b")], before.clone(), vec![action("c")])), want);
        assert_eq!(around(Vec::new(), before.clone(), Vec::new()), before);
        // Where nothing is to do, nobody is asked.
        assert_eq!(around(vec![action("a")], Vec::new(), Vec::new()), []);
    }

    #[test]
    fn nobody_is_asked_where_guests_go_at_once() {
        let stop = |graceful_s| plan(vec![(VnfStep::Stop { vnfc: VnfcId(Uuid::nil()), graceful_s }, vec![])]);
        for (kind, graceful, forceful) in [
            (OpKind::Terminate, None, true),
            (OpKind::Terminate, Some(5), false),
            (OpKind::Stop, None, true),
            (OpKind::Start, None, true),
            (OpKind::Heal, None, false),
        ] {
            assert_eq!(is_forceful(kind, &stop(graceful)), forceful, "{kind:?} {graceful:?}");
        }
    }
}
