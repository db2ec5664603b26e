//! Talking HTTP to the router of the local network (UPnP): short, small, without redirects, and to no one else.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Response;
use url::Url;

use super::USER_AGENT;
use super::client::{Client, words};
use super::names::Names;
use crate::wire::upnp::{Call, DOCUMENT, error};

/// A way to ask the router. Dropping it does not end what is under way; [`RouterHttp::end`] does.
#[derive(Clone)]
pub struct RouterHttp(Agent);

impl RouterHttp {
    /// Each request may take this long, all told.
    #[must_use]
    pub fn new(bind: Option<IpAddr>, time: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .user_agent(USER_AGENT)
            .timeout_global(Some(time))
            .build();
        let client = Client::new(&config, bind, &Names::default());
        client.rules.any_path.store(true, Ordering::Relaxed);
        RouterHttp(client.agent)
    }

    /// Ends the requests under way, and all that follow.
    pub fn end(&self) {
        self.0.clone().shutdown();
    }

    /// Fetches a document.
    ///
    /// # Errors
    /// In words, safe to print.
    pub fn get(&self, url: &Url) -> Result<String, String> {
        read(self.0.get(url.as_str()).call())
    }

    /// Makes a call; an answer that tells of an error is one.
    ///
    /// # Errors
    /// Its number, if there is one, and words, safe to print.
    pub fn call(&self, url: &Url, call: &Call) -> Result<String, (u16, String)> {
        let request = self.0.post(url.as_str()).header("SOAPAction", &call.action);
        let answer = read(request.header("Content-Type", "text/xml; charset=\"utf-8\"").send(&call.body));
        let answer = answer.map_err(|why| (0, why))?;
        match error(&answer) {
            Some((code, words)) => Err((code, format!("the router answers with error {code} {words}"))),
            None => Ok(answer),
        }
    }
}

fn read(answer: Result<Response<ureq::Body>, ureq::Error>) -> Result<String, String> {
    let mut answer = answer.map_err(|e| words(&e))?;
    let body = answer.body_mut().with_config().limit(DOCUMENT).read_to_vec().map_err(|e| words(&e))?;
    let text = String::from_utf8_lossy(&body).into_owned();
    match answer.status().as_u16() {
        200 => Ok(text),
        // What went wrong stands in the body.
        500 if error(&text).is_some() => Ok(text),
        status => Err(format!("the router answers with status {status}")),
    }
}
