//! Who is asking, from the gate to the domain: a value of the request's task, as its span is.
//!
//! A call into the domain without a caller is a fault of Bothy's, and is refused: nothing is done for nobody.

use std::{future::Future, ops::Deref, sync::Arc};

use tokio::task::JoinHandle;

use super::problem::{Answer, Problem};
use crate::{
    access::{
        Caller,
        manage::{Thing, owner},
    },
    model::{
        access::Action,
        error::{Fault, Result},
        id::ProjectId,
    },
    nfvo::Nfvo,
};

tokio::task_local! {
    static CALLER: Caller;
}

/// Sees what is begun, and what follows from it, through together: whoever asked may leave in between.
pub async fn through<T: Send + 'static>(f: impl Future<Output = Answer<T>> + Send + 'static) -> Answer<T> {
    spawn(f)
        .await
        .map_err(|_| Box::new(Problem::from(Fault::bug("what was begun failed by a fault in Bothy itself; the log has the details"))))?
}

/// Runs a request for its caller.
pub async fn within<F: Future>(caller: Caller, f: F) -> F::Output {
    CALLER.scope(caller, f).await
}

pub fn caller() -> Result<Caller> {
    CALLER.try_with(Clone::clone).map_err(|_| Fault::bug("a request went on without its caller"))
}

/// A task of its own that goes on for the same caller.
pub fn spawn<F>(f: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match caller() {
        Ok(c) => tokio::spawn(within(c, f)),
        Err(_) => tokio::spawn(f),
    }
}

/// The domain as a handler has it, and who is asking.
pub struct View {
    nfvo: Arc<Nfvo>,
    caller: Caller,
}

impl View {
    pub fn new(nfvo: Arc<Nfvo>) -> Result<View> {
        Ok(View { nfvo, caller: caller()? })
    }
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
    /// Where what the caller makes belongs, and where what he names by a descriptor's id is looked for.
    pub fn project(&self) -> ProjectId {
        self.caller.project
    }
    /// For an id that came in a body, where the gate does not look: not found unless the caller sees it.
    pub fn seen<T>(&self, thing: Thing, then: impl FnOnce(&Nfvo) -> Result<T>) -> Result<T> {
        let store = self.nfvo.vnfm().store();
        match owner(store, thing)? {
            Some(project) if self.caller.sees(project) => {
                if !self.caller.every_project {
                    self.caller.check_own(store, thing, Action::Read)?;
                }
                then(&self.nfvo)
            }
            Some(_) | None => Err(Fault::not_found(thing.missing())),
        }
    }
}

impl Deref for View {
    type Target = Arc<Nfvo>;
    fn deref(&self) -> &Arc<Nfvo> {
        &self.nfvo
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_begun_goes_on_when_nobody_waits_for_it_any_more() {
        let (go, gate) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let mut asked = Box::pin(through(async move {
            let _ = gate.await;
            let _ = tell.send("the rest");
            Ok(())
        }));
        tokio::select! {
            biased;
            _ = &mut asked => panic!("the gate is closed"),
            () = std::future::ready(()) => {}
        }
        drop(asked);
        go.send(()).expect("it still waits");
        assert_eq!(told.await, Ok("the rest"));
    }
}
