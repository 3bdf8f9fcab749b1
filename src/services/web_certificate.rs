//! The certificate of the API and the panel: brought by somebody, or asked of an authority and renewed before it ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tracing::{info, warn};

use super::{Caller, Error, Ground};
use crate::domain::access::Right;
use crate::domain::audit::{Deed, Kind};
use crate::domain::ikev2::Certificate;
use crate::domain::refusal::Refusal;
use crate::domain::web_certificate::{
    Authority, AuthorityDraft, OwnCertificateDraft, Proof, WebCertificate, WebCredential,
};
use crate::observe::acme;
use crate::observe::fields;
use crate::runtime::os::clock;
use crate::store::Change;

/// How long the listener may take over an errand.
const DONE_WITHIN: Duration = Duration::from_secs(5);
/// How long a whole order may take.
const ORDER_WITHIN: Duration = Duration::from_secs(150);
/// How long nobody is asked again after the first order in a row that failed, in seconds; doubled by each further one.
const FIRST_PAUSE: i64 = 3_600;
/// And at most.
const LONGEST_PAUSE: i64 = 86_400;

/// The use cases of the certificate.
#[derive(Debug, Clone)]
pub struct WebCertificates {
    ground: Ground,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What the listener shows, as it said.
    shown: Mutex<Option<Certificate>>,
    /// What an authority looks for at the moment.
    proof: watch::Sender<Option<Arc<Errand<Proof>>>>,
    /// When another certificate of the listener's own was last asked for.
    renewal: watch::Sender<Option<Arc<Errand<Timestamp>>>>,
    tries: Mutex<Tries>,
    /// One order at a time.
    turn: tokio::sync::Mutex<()>,
}

/// How the last orders went.
#[derive(Debug, Clone, Default)]
struct Tries {
    failed: u32,
    last: Option<Timestamp>,
    why: Option<String>,
}

/// What the listener is to do, and what came of it.
#[derive(Debug)]
pub struct Errand<T> {
    /// What it is about.
    pub about: T,
    outcome: watch::Sender<Option<Result<(), String>>>,
}

impl<T> Errand<T> {
    /// The listener's word: it is done, or why it cannot be.
    pub fn tell(&self, outcome: Result<(), String>) {
        self.outcome.send_replace(Some(outcome));
    }
}

/// Hands an errand to the listener, and waits for its word.
async fn send<T>(to: &watch::Sender<Option<Arc<Errand<T>>>>, about: T) -> Result<(), String> {
    const NOBODY: &str = "nothing listens here that could do it";
    if to.receiver_count() == 0 {
        return Err(NOBODY.to_owned());
    }
    let outcome = watch::Sender::new(None);
    let mut told = outcome.subscribe();
    to.send_replace(Some(Arc::new(Errand { about, outcome })));
    let told = tokio::time::timeout(DONE_WITHIN, told.wait_for(Option::is_some)).await;
    match told {
        Ok(Ok(outcome)) => outcome.clone().unwrap_or(Ok(())),
        Ok(Err(_)) | Err(_) => Err(NOBODY.to_owned()),
    }
}

/// The certificate as people look at it.
#[derive(Debug, Clone)]
pub struct Look {
    /// What the listener shows; nothing where none runs.
    pub shown: Option<Certificate>,
    /// Whether the configuration names it.
    pub is_configured: bool,
    /// Whether it was brought, or given by an authority; the listener's own otherwise.
    pub is_brought: bool,
    /// Who renews it.
    pub authority: Option<Authority>,
    /// Why there was no certificate at the last try.
    pub fault: Option<String>,
}

impl WebCertificates {
    pub(super) fn new(ground: Ground) -> Self {
        let shared = Shared {
            shown: Mutex::default(),
            proof: watch::Sender::new(None),
            renewal: watch::Sender::new(None),
            tries: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        };
        Self { ground, shared: Arc::new(shared) }
    }

    /// What is shown, and who renews it.
    pub fn look(&self) -> Look {
        let stored = self.follow().borrow().clone();
        Look {
            shown: self.shared.shown.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            is_configured: self.ground.settings.has_certificate,
            is_brought: stored.credential.is_some(),
            authority: stored.authority.clone(),
            fault: self.tries().why,
        }
    }

    /// What is stored, now and after each change: the listener's business.
    pub fn follow(&self) -> watch::Receiver<Arc<WebCertificate>> {
        self.ground.store.web_certificate()
    }

    /// What an authority looks for, now and after each change: the listener's business.
    pub fn follow_proof(&self) -> watch::Receiver<Option<Arc<Errand<Proof>>>> {
        self.shared.proof.subscribe()
    }

    /// When another certificate of its own is asked for, now and after each wish: the listener's business.
    pub fn follow_renewal(&self) -> watch::Receiver<Option<Arc<Errand<Timestamp>>>> {
        self.shared.renewal.subscribe()
    }

    /// The listener's word: this is what it shows from now on.
    pub fn show(&self, certificate: Option<Certificate>) {
        *self.shared.shown.lock().unwrap_or_else(PoisonError::into_inner) = certificate;
    }

    /// Shows a certificate that somebody brings. Nobody renews it.
    ///
    /// # Errors
    /// `CertificateConfigured`, the refusals of [`OwnCertificateDraft`].
    pub async fn bring(&self, by: &Caller, draft: OwnCertificateDraft) -> Result<(), Error> {
        self.may_be_changed(by)?;
        let at = clock::timestamp();
        let rule = move |change: &mut Change| {
            let certificate = draft.settle(at)?;
            let text = format!("Set the certificate of the panel: {}", names(certificate.credential.as_ref()));
            put(change, certificate);
            Ok(((), Deed::of(Kind::System, text)))
        };
        self.ground.write(by, rule).await?;
        self.forget_tries();
        Ok(())
    }

    /// Goes back to the certificate that the listener signed itself.
    ///
    /// # Errors
    /// `CertificateConfigured`.
    pub async fn withdraw(&self, by: &Caller) -> Result<(), Error> {
        self.may_be_changed(by)?;
        let rule = |change: &mut Change| {
            put(change, WebCertificate::default());
            Ok(((), Deed::of(Kind::System, "Set the certificate of the panel: its own".to_owned())))
        };
        self.ground.write(by, rule).await?;
        self.forget_tries();
        Ok(())
    }

    /// Has the listener sign another certificate with another key, and shows that one. Whoever trusted the last one has to
    /// trust anew.
    ///
    /// # Errors
    /// `CertificateConfigured`; `CertificateNotIssued` where it cannot be made.
    pub async fn make(&self, by: &Caller) -> Result<(), Error> {
        const TEXT: &str = "Made another certificate of the panel's own";
        self.may_be_changed(by)?;
        let _turn = self.shared.turn.lock().await;
        send(&self.shared.renewal, clock::timestamp()).await.map_err(Refusal::CertificateNotIssued)?;
        if *self.follow().borrow().as_ref() == WebCertificate::default() {
            self.ground.note(by, Deed::of(Kind::System, TEXT)).await;
            return Ok(());
        }
        let rule = |change: &mut Change| {
            put(change, WebCertificate::default());
            Ok(((), Deed::of(Kind::System, TEXT)))
        };
        self.ground.write(by, rule).await?;
        self.forget_tries();
        Ok(())
    }

    /// Asks an authority for a certificate, now, and has it renewed from then on. Nothing changes if it gives none.
    ///
    /// # Errors
    /// `CertificateConfigured`, the refusals of [`AuthorityDraft`], `CertificateNotIssued`.
    pub async fn ask(&self, by: &Caller, draft: AuthorityDraft) -> Result<(), Error> {
        self.may_be_changed(by)?;
        let present = self.follow().borrow().authority.clone();
        let authority = draft.settle(present.as_ref())?;
        self.order(by, authority).await
    }

    /// Renews the certificate if it is time to, and says nothing to nobody where it is not. A failed try is made again after
    /// a while, which grows.
    pub async fn renew_if_due(&self) {
        let stored = self.follow().borrow().clone();
        let now = clock::timestamp();
        let (Some(authority), true) = (stored.authority.clone(), stored.is_due(now)) else { return };
        if self.ground.settings.has_certificate || !self.tries().are_over(now) {
            return;
        }
        if let Err(error) = self.order(&Caller::schedule(), authority).await {
            let cause = error.reason();
            warn!({ fields::CAUSE } = %cause, "The certificate could not be renewed: {cause}");
        }
    }

    fn may_be_changed(&self, by: &Caller) -> Result<(), Error> {
        by.must(Right::Administer)?;
        if self.ground.settings.has_certificate { Err(Refusal::CertificateConfigured.into()) } else { Ok(()) }
    }

    async fn order(&self, by: &Caller, authority: Authority) -> Result<(), Error> {
        let _turn = self.shared.turn.lock().await;
        let order = acme::order(&authority, |proof| send(&self.shared.proof, proof));
        let issued = tokio::time::timeout(ORDER_WITHIN, order).await.unwrap_or_else(|_| Err("it took too long".into()));
        self.shared.proof.send_replace(None);
        let at = clock::timestamp();
        let kept = issued.and_then(|issued| {
            let credential = WebCredential::read(&issued.chain, issued.key.reveal(), at);
            let credential = credential.map_err(|refusal| format!("what the authority gave is unusable: {refusal}"))?;
            let authority = Authority { account: issued.account, ..authority };
            Ok(WebCertificate { credential: Some(credential), authority: Some(authority) })
        });
        let certificate = match kept {
            Ok(certificate) => certificate,
            Err(why) => {
                self.tries_mut(|tries| tries.fail(at, &why));
                return Err(Refusal::CertificateNotIssued(why).into());
            }
        };
        let rule = move |change: &mut Change| {
            let text = format!("Got a certificate for the panel: {}", names(certificate.credential.as_ref()));
            put(change, certificate);
            Ok(((), Deed::of(Kind::System, text)))
        };
        self.ground.write(by, rule).await?;
        self.forget_tries();
        info!("Got a certificate");
        Ok(())
    }

    fn tries(&self) -> Tries {
        self.shared.tries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tries_mut(&self, change: impl FnOnce(&mut Tries)) {
        change(&mut self.shared.tries.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn forget_tries(&self) {
        self.tries_mut(|tries| *tries = Tries::default());
    }
}

impl Tries {
    fn fail(&mut self, at: Timestamp, why: &str) {
        self.failed = self.failed.saturating_add(1);
        (self.last, self.why) = (Some(at), Some(why.to_owned()));
    }

    /// Whether enough time has passed since the last one.
    fn are_over(&self, now: Timestamp) -> bool {
        let pause = FIRST_PAUSE.checked_shl(self.failed.saturating_sub(1)).unwrap_or(LONGEST_PAUSE);
        let pause = if self.failed > 5 { LONGEST_PAUSE } else { pause.min(LONGEST_PAUSE) };
        self.last.is_none_or(|last| now.as_second() - last.as_second() >= pause)
    }
}

fn put(change: &mut Change, certificate: WebCertificate) {
    if *change.web_certificate() != certificate {
        change.put_web_certificate(certificate);
    }
}

fn names(credential: Option<&WebCredential>) -> String {
    let leaf = credential.and_then(|credential| credential.chain.first());
    let names = leaf.map(Certificate::names).unwrap_or_default();
    if names.is_empty() { "without a name".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_after_each_failure_but_never_more_than_a_day() {
        let begun: Timestamp = "2026-11-26T00:00:00Z".parse().unwrap();
        let at = |seconds: i64| Timestamp::from_second(begun.as_second() + seconds).unwrap();
        let mut tries = Tries::default();
        assert!(tries.are_over(begun));

        for (failed, pause) in [(1, 3_600), (2, 7_200), (5, 57_600), (6, 86_400), (90, 86_400)] {
            while tries.failed < failed {
                tries.fail(begun, "no");
            }
            assert!(!tries.are_over(at(pause - 1)) && tries.are_over(at(pause)), "{failed}");
        }
    }
}
