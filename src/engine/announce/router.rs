//! HTTP and SOAP client for the UPnP router on the local network. Timeouts are short, responses small, and redirects
//! are not followed.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Response;
use url::Url;

use super::USER_AGENT;
use super::client::Client;
use super::error::RouterError;
use super::names::HostResolver;
use crate::wire::upnp::{DOCUMENT, SoapFault, SoapRequest, error};

/// HTTP client for the router. Dropping it does not cancel requests in progress; [`RouterHttp::end`] does.
#[derive(Clone)]
pub(crate) struct RouterHttp(Agent);

impl RouterHttp {
    /// Creates a client bound to the address `bind`; `time` is the total timeout of each request.
    #[must_use]
    pub(crate) fn new(bind: Option<IpAddr>, time: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .user_agent(USER_AGENT)
            .timeout_global(Some(time))
            .build();
        let client = Client::new(&config, bind, &HostResolver::default());
        client.rules.any_path.store(true, Ordering::Relaxed);
        RouterHttp(client.agent)
    }

    /// Cancels the requests in progress and all later ones.
    pub(crate) fn end(&self) {
        self.0.clone().shutdown();
    }

    /// Downloads a document.
    ///
    /// # Errors
    /// If there is no answer, or not the document.
    pub(crate) fn get(&self, url: &Url) -> Result<String, RouterError> {
        read(self.0.get(url.as_str()).call())
    }

    /// Sends a SOAP request.
    ///
    /// # Errors
    /// If there is no answer, or a SOAP fault.
    pub(crate) fn call(&self, url: &Url, call: &SoapRequest) -> Result<String, RouterError> {
        let request = self.0.post(url.as_str()).header("SOAPAction", &call.action);
        let answer = read(request.header("Content-Type", "text/xml; charset=\"utf-8\"").send(&call.body));
        let answer = answer?;
        match error(&answer) {
            Some(SoapFault { code, message }) => Err(RouterError::Soap { code, message }),
            None => Ok(answer),
        }
    }
}

fn read(answer: Result<Response<ureq::Body>, ureq::Error>) -> Result<String, RouterError> {
    let mut answer = answer?;
    let body = answer.body_mut().with_config().limit(DOCUMENT).read_to_vec()?;
    let text = String::from_utf8_lossy(&body).into_owned();
    match answer.status().as_u16() {
        200 => Ok(text),
        // UPnP sends SOAP faults with status 500; `call` evaluates the body.
        500 if error(&text).is_some() => Ok(text),
        status => Err(RouterError::Status(status)),
    }
}
