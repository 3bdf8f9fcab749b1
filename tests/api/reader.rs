//! Somebody who reads the panel: a user with a session, and what his browser sends.

use axum::body::Body;
use axum::http::{Method, header};
use culvert::domain::access::UserDraft;
use culvert::domain::password::Password;
use culvert::services::Caller;
use culvert::services::users::LoginDraft;

use crate::support::{HOME, Reply, World};

/// Somebody who is logged in.
pub(crate) struct Reader {
    pub(crate) token: String,
    pub(crate) csrf: String,
}

impl Reader {
    /// Makes a user of the role, by which he is named, and logs him in.
    pub(crate) async fn enter(world: &World, role: &str) -> Self {
        let password = Password::new("correct horse battery".into());
        let draft = UserDraft {
            name: Some(role.to_owned()),
            password: Some(password.clone()),
            role: Some(role.to_owned()),
            ..UserDraft::default()
        };
        world.services.users.add(&Caller::local(), draft).await.unwrap();
        let login = LoginDraft { name: role.to_owned(), password, code: None };
        let token = world.services.users.log_in(login, HOME, "test").await.unwrap();
        let csrf = world.services.users.session(&token).unwrap().csrf;
        Self { token, csrf }
    }

    /// A request as his browser sends it.
    pub(crate) async fn send(&self, world: &World, method: Method, path: &str, body: String) -> Reply {
        let request = World::request_from(HOME, method, path)
            .header(header::COOKIE, format!("__Host-culvert={}", self.token))
            .header(header::HOST, "vpn.example")
            .header(header::ORIGIN, "https://vpn.example")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        world.send(request.body(Body::from(body)).unwrap()).await
    }

    /// Looks at a page.
    pub(crate) async fn look(&self, world: &World, path: &str) -> Reply {
        self.send(world, Method::GET, path, String::new()).await
    }

    /// Sends a form of a page.
    pub(crate) async fn post(&self, world: &World, path: &str, form: &str) -> Reply {
        self.send(world, Method::POST, path, format!("csrf={}&{form}", self.csrf)).await
    }
}
