//! What a start finds: operations that were under way are taken up where they were.
//!
//! PROCESSING and ROLLING_BACK go on; STARTING waits for its grant or parent; FAILED_TEMP waits for
//! its client, as SOL003 says. A plan of an unknown format stops with that reason, and the start
//! goes on.

use tracing::{info, warn};

use super::{acts::check_format, engine::Engine};
use crate::{
    model::{
        error::Result,
        op::{Operation, Phase, Trigger},
    },
    store::Durability,
};

/// What was found, for the log and the health page.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    pub resumed: usize,
    pub held: usize,
    pub stuck: usize,
    pub refused: usize,
}

impl Engine {
    /// To be called once, before requests are taken.
    pub fn recover(&self) -> Result<Recovered> {
        let mut found = Recovered::default();
        // A kill may have come between a cancellation and its reaching the parts.
        for op in self.store.list::<Operation>()? {
            if let (Phase::Forward | Phase::Backward, Some(mode)) = (op.state.phase(), op.cancel) {
                self.runner.cancelled(&op, mode);
            }
        }
        for op in self.store.list::<Operation>()? {
            match op.state.phase() {
                Phase::Forward | Phase::Backward => match check_format(&op).and_then(|()| self.resume(op.clone())) {
                    Ok(()) => found.resumed += 1,
                    Err(fault) => {
                        warn!(op = %op.id, "{fault}");
                        let (id, now) = (op.id, self.clock.now());
                        self.store.write(Durability::Barrier, |tx| {
                            let mut op: Operation = tx.require(&id)?;
                            op.error = Some(fault.record());
                            op.apply(Trigger::Broke, now)?;
                            tx.put(&op)
                        })?;
                        found.refused += 1;
                    }
                },
                Phase::Held => found.held += 1,
                Phase::Stuck => found.stuck += 1,
                Phase::Over => {}
            }
        }
        info!(resumed = found.resumed, held = found.held, stuck = found.stuck, refused = found.refused, "operations taken up");
        Ok(found)
    }
}
