//! How far zero touch is on this box.
//!
//! ```text
//! Factory ──begin──> Running ──done──> Bootstrapped ──reset──> Factory
//!    ^                  │ failed, or found   │ unfit: the daemon did not come
//!    │                  v so after a cut     v up by what was conveyed
//!    └──── begin ──── Failed <───────────────┘
//! ```
//! Owns the states and what is shown of them. Never: the file that this is kept in (`node`).

use serde::{Deserialize, Serialize};

use super::report::Report;
use crate::model::{
    error::{Fault, Result},
    time::Stamp,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Factory,
    Running,
    Bootstrapped,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Begin,
    Done,
    Failed,
    Unfit,
    Reset,
}

impl State {
    /// `None`: not from here.
    pub fn turn(self, turn: Turn) -> Option<State> {
        match (self, turn) {
            // Running, found by somebody who begins: the run before was cut off.
            (State::Factory | State::Failed | State::Running, Turn::Begin) => Some(State::Running),
            (State::Running, Turn::Done) => Some(State::Bootstrapped),
            (State::Running, Turn::Failed) | (State::Bootstrapped, Turn::Unfit) => Some(State::Failed),
            (State::Factory | State::Running | State::Bootstrapped | State::Failed, Turn::Reset) => Some(State::Factory),
            (State::Bootstrapped, Turn::Begin)
            | (State::Factory | State::Bootstrapped | State::Failed, Turn::Done | Turn::Failed)
            | (State::Factory | State::Running | State::Failed, Turn::Unfit) => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
// A later version's word is passed over: the box may have gone back to this one.
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub state: State,
    /// Where the bootstrapping data came from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    #[serde(default)]
    pub reports: Vec<Report>,
    /// Sources of the last round that had nothing for this box, and why not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<String>,
    /// The folder of what came beside the configuration, below that of the state.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub files: String,
    /// The daemon has not come up by this configuration yet: it may still be taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
    /// When the sources are gone through again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Stamp>,
}

impl Default for Status {
    fn default() -> Status {
        Status {
            state: State::Factory,
            source: String::new(),
            reports: Vec::new(),
            passed: Vec::new(),
            files: String::new(),
            unproven: false,
            next: None,
        }
    }
}

impl Status {
    pub fn turn(&mut self, turn: Turn) -> Result<()> {
        self.state = self.state.turn(turn).ok_or_else(|| match (self.state, turn) {
            (State::Bootstrapped, Turn::Begin) => {
                Fault::conflict("this box has been bootstrapped: `bothy ztp reset` first, if it shall be somebody else's")
            }
            (s, t) => Fault::bug(format!("zero touch cannot go from {s:?} by {t:?}")),
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_bootstrapped_once_and_tries_until_it_is() {
        use State::{Bootstrapped, Factory, Failed, Running};
        use Turn::{Begin, Done, Failed as Fails, Reset, Unfit};
        let all = [
            (Factory, [Some(Running), None, None, None, Some(Factory)]),
            (Running, [Some(Running), Some(Bootstrapped), Some(Failed), None, Some(Factory)]),
            (Bootstrapped, [None, None, None, Some(Failed), Some(Factory)]),
            (Failed, [Some(Running), None, None, None, Some(Factory)]),
        ];
        for (from, to) in all {
            assert_eq!([Begin, Done, Fails, Unfit, Reset].map(|t| from.turn(t)), to, "{from:?}");
        }
    }
}
