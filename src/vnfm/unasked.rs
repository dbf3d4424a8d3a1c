//! Operations that no request began: whoever keeps account of what is done is told of each, of those from before he came too.
//!
//! Never: what he does with it.

use std::sync::{Arc, Mutex, PoisonError};

use super::Vnfm;
use crate::model::op::Operation;

type Teller = Arc<dyn Fn(&Operation) + Send + Sync>;

#[derive(Default)]
pub struct Unasked(Mutex<State>);

#[derive(Default)]
struct State {
    teller: Option<Teller>,
    waiting: Vec<Operation>,
}

impl Unasked {
    fn tell(&self, op: &Operation) {
        let teller = {
            let mut s = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if s.teller.is_none() {
                s.waiting.push(op.clone());
            }
            s.teller.clone()
        };
        if let Some(tell) = teller {
            tell(op);
        }
    }

    fn hear(&self, teller: Teller) {
        let waiting = {
            let mut s = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            s.teller = Some(teller.clone());
            std::mem::take(&mut s.waiting)
        };
        waiting.iter().for_each(|op| teller(op));
    }
}

impl Vnfm {
    /// Who is told from now on.
    pub fn on_unasked(&self, teller: impl Fn(&Operation) + Send + Sync + 'static) {
        self.unasked.hear(Arc::new(teller));
    }

    /// This operation was begun by nobody's request.
    pub fn unasked(&self, op: &Operation) {
        self.unasked.tell(op);
    }
}
