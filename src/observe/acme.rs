//! A certificate by ACME (RFC 8555): an account, an order, the proof that a name leads here, the certificate.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType, HttpClient,
    Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use ureq::Agent;
use ureq::http::{Request, Response};

use super::trust;
use crate::domain::ikev2::Certificate;
use crate::domain::password::Password;
use crate::domain::web_certificate::{Authority, Challenge, Proof};

/// How long the authority may take to accept a connection, and to answer.
const PATIENCE: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(20)];
/// How long it may take to look for the proof, and again to make the certificate.
const LOOKED_AT: Duration = Duration::from_secs(60);
/// The longest answer that is read, in bytes.
const ANSWER: u64 = 256 * 1024;

/// What the authority gave.
#[derive(Debug)]
pub struct Issued {
    /// The chain in PEM.
    pub chain: String,
    /// The key in PEM.
    pub key: Password,
    /// The account there, for the next time.
    pub account: Password,
}

/// Asks `authority` for a certificate. `show` puts up what it looks for, and may be asked again.
///
/// # Errors
/// One sentence for the operator.
pub async fn order<S, F>(authority: &Authority, show: S) -> Result<Issued, String>
where
    S: Fn(Proof) -> F + Send + Sync,
    F: Future<Output = Result<(), String>> + Send,
{
    let (account, credentials) = account(authority).await?;
    let names = [Identifier::Dns(authority.name.clone())];
    let mut order = account.new_order(&NewOrder::new(&names)).await.map_err(told)?;
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(told)?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let kind = match authority.challenge {
            Challenge::Http => ChallengeType::Http01,
            Challenge::TlsAlpn => ChallengeType::TlsAlpn01,
        };
        let challenge = authorization.challenge(kind);
        let mut challenge =
            challenge.ok_or_else(|| format!("the authority does not offer {}", authority.challenge.word()))?;
        let answer = challenge.key_authorization();
        let proof = match authority.challenge {
            Challenge::Http => Proof::File { token: challenge.token.clone(), text: answer.as_str().to_owned() },
            Challenge::TlsAlpn => {
                let digest = answer.digest().as_ref().try_into().map_err(|_| "its proof is no SHA-256")?;
                Proof::Certificate { name: authority.name.clone(), digest }
            }
        };
        show(proof).await?;
        challenge.set_ready().await.map_err(told)?;
    }
    let retries = RetryPolicy::new().timeout(LOOKED_AT);
    if order.poll_ready(&retries).await.map_err(told)? != OrderStatus::Ready {
        return Err(why_invalid(&mut order).await);
    }
    let key = Password::new(order.finalize().await.map_err(told)?);
    let chain = order.poll_certificate(&retries).await.map_err(told)?;
    Ok(Issued { chain, key, account: credentials })
}

/// The account of before, or a new one.
async fn account(authority: &Authority) -> Result<(Account, Password), String> {
    let root: Vec<_> = authority.root.iter().map(Certificate::der).collect();
    let agent = trust::agent_that_trusts(&root, PATIENCE[0], PATIENCE[1], PATIENCE[1]);
    let builder = Account::builder_with_http(Box::new(Client(agent)));
    if !authority.account.is_empty() {
        let kept = serde_json::from_str::<AccountCredentials>(authority.account.reveal());
        let kept = kept.map_err(|error| format!("the account cannot be read: {error}"))?;
        let account = builder.from_credentials(kept).await.map_err(told)?;
        return Ok((account, authority.account.clone()));
    }
    let mail = format!("mailto:{}", authority.email);
    let contact = [mail.as_str()];
    let contact = if authority.email.is_empty() { &[][..] } else { &contact[..] };
    let wish = NewAccount { contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder.create(&wish, authority.directory.clone(), None).await.map_err(told)?;
    let credentials = serde_json::to_string(&credentials).map_err(|error| error.to_string())?;
    Ok((account, Password::new(credentials)))
}

/// What the authority says of the proof that it did not find.
async fn why_invalid(order: &mut instant_acme::Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(authorization)) = authorizations.next().await {
        if let Some(problem) = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
            return problem.to_string();
        }
    }
    "the authority did not find the proof".to_owned()
}

#[expect(clippy::needless_pass_by_value, reason = "an error, as it is handed to a closure of `map_err`")]
fn told(error: instant_acme::Error) -> String {
    let text = error.to_string();
    text.chars().filter(|sign| !sign.is_control()).take(400).collect()
}

/// The HTTP client of everything that leaves, as the library wants one.
struct Client(Agent);

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let agent = self.0.clone();
        let other = |error: String| instant_acme::Error::Other(error.into());
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let Ok(body) = body.collect().await;
            let body = body.to_bytes().to_vec();
            let work = move || -> Result<Response<Bytes>, String> {
                let answer = agent.run(Request::from_parts(head, body)).map_err(|error| error.to_string())?;
                let (head, mut body) = answer.into_parts();
                let bytes = body.with_config().limit(ANSWER).read_to_vec().map_err(|error| error.to_string())?;
                Ok(Response::from_parts(head, bytes.into()))
            };
            let answer = tokio::task::spawn_blocking(work).await.map_err(|error| other(error.to_string()))?;
            let (parts, body) = answer.map_err(other)?.into_parts();
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}
