//! What a write works on: a private copy of everything, and the list of records to be written.

use std::sync::Arc;

use crate::domain::access::{AccessBook, AccessEntry, PanelUser};
use crate::domain::account::Account;
use crate::domain::intended::Intended;
use crate::domain::name::{AccountName, ServerName};
use crate::domain::refusal::Refusal;
use crate::domain::server::Server;

/// Everything that lasts.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    /// What ought to run.
    pub(super) intended: Intended,
    /// Who may call.
    pub(super) access: AccessBook,
}

/// One record that is written or taken away.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Server(Arc<Server>),
    NoServer(ServerName),
    Account(Arc<Account>),
    NoAccount(AccountName),
    Access(AccessEntry),
    NoAccess(String),
    PanelUser(PanelUser),
    NoPanelUser(String),
}

impl State {
    /// Takes a step, and returns the one that undoes it.
    fn take(&mut self, step: Step) -> Step {
        let AccessBook { entries, users } = &mut self.access;
        match step {
            Step::Server(server) => {
                let name = server.name.clone();
                self.intended.insert_server(server).map_or(Step::NoServer(name), Step::Server)
            }
            Step::NoServer(name) => match self.intended.servers.remove(&name) {
                Some(removed) => Step::Server(removed.server),
                None => Step::NoServer(name),
            },
            Step::Account(account) => {
                let name = account.name.clone();
                self.intended.insert_account(account).ok().flatten().map_or(Step::NoAccount(name), Step::Account)
            }
            Step::NoAccount(name) => {
                self.intended.remove_account(name.as_str()).map_or(Step::NoAccount(name), Step::Account)
            }
            Step::Access(entry) => {
                let label = entry.label.clone();
                entries.insert(label.clone(), entry).map_or(Step::NoAccess(label), Step::Access)
            }
            Step::NoAccess(label) => entries.remove(&label).map_or(Step::NoAccess(label), Step::Access),
            Step::PanelUser(user) => {
                let name = user.name.clone();
                users.insert(name.clone(), user).map_or(Step::NoPanelUser(name), Step::PanelUser)
            }
            Step::NoPanelUser(name) => users.remove(&name).map_or(Step::NoPanelUser(name), Step::PanelUser),
        }
    }
}

impl Step {
    /// Whether it changes what ought to run.
    fn is_intended(&self) -> bool {
        matches!(self, Self::Server(_) | Self::NoServer(_) | Self::Account(_) | Self::NoAccount(_))
    }
}

/// What a closure given to [`super::Store::write`] sees and changes. If it refuses, nothing of it remains.
#[derive(Debug)]
pub struct Change {
    state: State,
    steps: Vec<Step>,
    undo: Vec<Step>,
}

impl Change {
    pub(super) fn new(state: State) -> Self {
        Self { state, steps: Vec::new(), undo: Vec::new() }
    }

    /// What ought to run, with what this change has done so far.
    pub fn intended(&self) -> &Intended {
        &self.state.intended
    }

    /// Who may call, with what this change has done so far.
    pub fn access(&self) -> &AccessBook {
        &self.state.access
    }

    /// Stores a server; one of its name is replaced and keeps its accounts.
    pub fn put_server(&mut self, server: Server) -> Arc<Server> {
        let server = Arc::new(server);
        self.step(Step::Server(server.clone()));
        server
    }

    /// Removes a server that has no accounts.
    ///
    /// # Errors
    /// [`Refusal::ServerNotFound`], [`Refusal::ServerHasPeers`].
    pub fn remove_server(&mut self, name: &str) -> Result<(), Refusal> {
        let server = self.state.intended.server(name).ok_or(Refusal::ServerNotFound)?;
        if !server.accounts.is_empty() {
            return Err(Refusal::ServerHasPeers);
        }
        let name = server.server.name.clone();
        self.step(Step::NoServer(name));
        Ok(())
    }

    /// Stores an account; one of its name is replaced.
    ///
    /// # Errors
    /// [`Refusal::ServerNotValid`] where its server does not exist.
    pub fn put_account(&mut self, mut account: Account) -> Result<Arc<Account>, Refusal> {
        let server = self.state.intended.server(account.server.as_str()).ok_or(Refusal::ServerNotValid)?;
        // one name in memory for all accounts of a server
        account.server = server.server.name.clone();
        let account = Arc::new(account);
        self.step(Step::Account(account.clone()));
        Ok(account)
    }

    /// Removes an account.
    ///
    /// # Errors
    /// [`Refusal::AccountNotFound`].
    pub fn remove_account(&mut self, name: &str) -> Result<(), Refusal> {
        let name = self.state.intended.account(name).ok_or(Refusal::AccountNotFound)?.name.clone();
        self.step(Step::NoAccount(name));
        Ok(())
    }

    /// Stores an access hash; one of its label is replaced.
    pub fn put_access(&mut self, entry: AccessEntry) {
        self.step(Step::Access(entry));
    }

    /// Removes an access hash.
    ///
    /// # Errors
    /// [`Refusal::AccessNotFound`].
    pub fn remove_access(&mut self, label: &str) -> Result<(), Refusal> {
        if !self.state.access.entries.contains_key(label) {
            return Err(Refusal::AccessNotFound);
        }
        self.step(Step::NoAccess(label.to_owned()));
        Ok(())
    }

    /// Stores a login of the panel; one of its name is replaced.
    pub fn put_panel_user(&mut self, user: PanelUser) {
        self.step(Step::PanelUser(user));
    }

    fn step(&mut self, step: Step) {
        self.steps.push(step.clone());
        self.undo.push(self.state.take(step));
    }

    /// Where this change stands, for [`Self::back_to`].
    pub(super) fn mark(&self) -> usize {
        self.steps.len()
    }

    /// Undoes every step after `mark`.
    pub(super) fn back_to(&mut self, mark: usize) {
        self.steps.truncate(mark);
        for step in self.undo.split_off(mark).into_iter().rev() {
            self.state.take(step);
        }
    }

    /// The steps, in order.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether any step changes what ought to run.
    pub(super) fn is_intended(&self) -> bool {
        self.steps.iter().any(Step::is_intended)
    }

    /// Everything, as the steps left it.
    pub(super) fn into_state(self) -> State {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{account_of, account_seed, house};

    fn shown(change: &Change) -> String {
        format!("{:?}", change.state)
    }

    #[test]
    fn undoes_every_kind_of_step() {
        let mut change = Change::new(State { intended: house(), access: AccessBook::default() });
        let before = shown(&change);
        let mark = change.mark();

        let account = account_of("Default_2").settle(change.intended(), 9, &account_seed(7)).unwrap();
        change.put_account(account.clone()).unwrap();
        change.put_account(Account { enabled: false, ..account }).unwrap();
        change.remove_account("peer_1").unwrap();
        change.remove_account("peer_2").unwrap();
        change.remove_server("Default_2").unwrap();
        let server = change.intended().server("Default_1").unwrap().server.as_ref().clone();
        change.put_server(Server { mtu: 1300, ..server });
        assert_ne!(shown(&change), before);

        change.back_to(mark);
        assert_eq!(shown(&change), before);
        assert!(change.steps().is_empty());
    }

    #[test]
    fn removes_no_server_that_has_accounts() {
        let mut change = Change::new(State { intended: house(), access: AccessBook::default() });
        assert_eq!(change.remove_server("Default_1"), Err(Refusal::ServerHasPeers));
        assert_eq!(change.remove_server("Default_9"), Err(Refusal::ServerNotFound));
    }
}
