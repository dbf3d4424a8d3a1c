//! Controllers and port maps as they are told over the API. What the configuration says is changed there.

use smol_str::SmolStr;

use super::{Outside, lock};
use crate::{
    model::{
        error::{Fault, Result},
        id::ProjectId,
        sdn::{Controller, PortMap},
        secret::Secret,
    },
    sdn::underlay::{Service, Underlay},
    store::Durability,
};

/// Who says that there is a controller or a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Config,
    Api,
}

fn configured(what: &str, key: &str) -> Fault {
    Fault::conflict(format!("{what} '{key}' is in the configuration, and is changed there"))
}

/// Refuses a change by which services would lose what they have.
fn unharmed(what: &str, before: &[Service], after: &[Service]) -> Result<()> {
    let stays = |s: &&Service| after.iter().any(|a| a.id == s.id && a.controller == s.controller && a.faults.len() <= s.faults.len());
    let lost: Vec<String> = before.iter().filter(|s| !s.leaving && !stays(s)).map(|s| format!("link {} ({})", s.link, s.id)).collect();
    if lost.is_empty() {
        return Ok(());
    }
    Err(Fault::conflict(format!("{what}: links of running guests would lose their switch ports")).with_reasons(lost))
}

impl Outside {
    pub fn controllers(&self) -> Result<Vec<(Controller, Origin)>> {
        let configured = lock(&self.settings).controllers.clone();
        let of = |c: &Controller| if configured.iter().any(|o| o.name == c.name) { Origin::Config } else { Origin::Api };
        Ok(self.underlay()?.controllers.into_iter().map(|c| (c.clone(), of(&c))).collect())
    }

    pub fn controller(&self, name: &str) -> Result<(Controller, Origin)> {
        let all = self.controllers()?;
        all.into_iter().find(|(c, _)| c.name == name).ok_or_else(|| Fault::not_found(format!("there is no SDN controller '{name}'")))
    }

    pub fn maps(&self) -> Result<Vec<(PortMap, Origin)>> {
        let configured = lock(&self.settings).maps.clone();
        let of = |m: &PortMap| if configured.iter().any(|o| o.node == m.node) { Origin::Config } else { Origin::Api };
        Ok(self.underlay()?.maps.into_iter().map(|m| (m.clone(), of(&m))).collect())
    }

    /// `change` on all that is told leaves every service as well off as it is.
    fn may(&self, what: &str, change: impl FnOnce(&mut Underlay)) -> Result<()> {
        let mut u = self.underlay()?;
        let before = self.planned(&u)?;
        change(&mut u);
        unharmed(what, &before, &self.planned(&u)?)
    }

    /// `password`: of its login, where it is told with it.
    pub fn set_controller(&self, c: Controller, password: Option<Secret>) -> Result<()> {
        let what = format!("controller {}", c.name);
        for (other, origin) in self.controllers()? {
            if other.name == c.name {
                match origin {
                    Origin::Config => return Err(configured("controller", &c.name)),
                    Origin::Api => continue,
                }
            }
            if let Some(n) = c.networks.iter().find(|n| other.networks.contains(n)) {
                return Err(Fault::conflict(format!("{what}: physical network '{n}' is in the hands of controller {}", other.name)));
            }
        }
        let own = Controller::own_secret(&c.name);
        if password.is_none()
            && let Some(login) = c.speaks.login()
            && (Secret::is_inner(&login.secret) && login.secret != own
                || self.store.get::<Secret>(&Secret::key_of(ProjectId::DEFAULT, &login.secret))?.is_none())
        {
            return Err(Fault::invalid(format!("there is no secret '{0}'; store it with `bothy secret set {0}`", login.secret)));
        }
        self.may(&what, |u| {
            u.controllers.retain(|o| o.name != c.name);
            u.controllers.push(c.clone());
        })?;
        self.store.write(Durability::Barrier, |tx| {
            match &password {
                Some(p) => tx.put(p)?,
                None if c.speaks.login().is_some_and(|l| l.secret == own) => {}
                None => tx.delete::<Secret>(&Secret::key_of(ProjectId::DEFAULT, &own)).map(drop)?,
            }
            tx.put(&c)
        })?;
        self.wake();
        Ok(())
    }

    pub fn delete_controller(&self, name: &str) -> Result<()> {
        if self.controller(name)?.1 == Origin::Config {
            return Err(configured("controller", name));
        }
        self.may(&format!("controller {name}"), |u| u.controllers.retain(|o| o.name != name))?;
        self.store.write(Durability::Barrier, |tx| {
            // A password that was told with it goes with it.
            tx.delete::<Secret>(&Secret::key_of(ProjectId::DEFAULT, &Controller::own_secret(name)))?;
            tx.delete::<Controller>(&SmolStr::new(name)).map(drop)
        })?;
        self.wake();
        Ok(())
    }

    pub fn set_map(&self, map: PortMap) -> Result<()> {
        let node = map.node.as_str().to_owned();
        if self.maps()?.iter().any(|(m, origin)| m.node == map.node && *origin == Origin::Config) {
            return Err(configured("port map", &node));
        }
        self.may(&format!("port map of {node}"), |u| {
            u.maps.retain(|o| o.node != map.node);
            u.maps.push(map.clone());
        })?;
        self.store.write(Durability::Barrier, |tx| tx.put(&map))?;
        self.wake();
        Ok(())
    }

    pub fn delete_map(&self, node: &str) -> Result<()> {
        match self.maps()?.iter().find(|(m, _)| m.node.as_str() == node) {
            None => return Err(Fault::not_found(format!("there is no port map of '{node}'"))),
            Some((_, Origin::Config)) => return Err(configured("port map", node)),
            Some((_, Origin::Api)) => {}
        }
        self.may(&format!("port map of {node}"), |u| u.maps.retain(|o| o.node.as_str() != node))?;
        self.store.write(Durability::Barrier, |tx| tx.delete::<PortMap>(&SmolStr::new(node)))?;
        self.wake();
        Ok(())
    }
}
