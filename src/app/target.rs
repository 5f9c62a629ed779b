//! The target of a run, and the application that it signs on as.

use std::sync::Arc;

use super::error::RunError;
use super::sandbox::start_sandbox;
use crate::clock::Clock;
use crate::config::{Connection, Identity};
use crate::domain::{EnvironmentId, RunId};
use crate::pace::Pacer;
use crate::pingone::{Credentials, Endpoints, HttpSettings, HttpTransport, Limits, Proof, Session, TokenSource, TrustedCa};
use crate::report::RunRecord;
use crate::sandbox::{Sandbox, SandboxConfig};

/// What the plan and the summary call the sandbox inside this process.
const SANDBOX: &str = "the sandbox inside this process; nothing is sent to PingOne";

/// What is known of a target before it is connected.
#[derive(Debug)]
pub(super) struct TargetInfo {
    pub(super) environment: EnvironmentId,
    /// The API's base URL; empty for a sandbox, whose URL is known once it is started.
    pub(super) api_url: String,
    pub(super) is_sandbox: bool,
    /// The target's name in the plan and the summary.
    pub(super) name: String,
    /// The hosts and their region; `None` for a sandbox.
    pub(super) hosts: Option<String>,
    /// The application's name in the plan.
    pub(super) identity: String,
}

impl TargetInfo {
    pub(super) fn of(connection: &Connection) -> Self {
        match connection {
            Connection::Sandbox => Self {
                environment: SandboxConfig::default().environment_id(),
                api_url: String::new(),
                is_sandbox: true,
                name: SANDBOX.to_owned(),
                hosts: None,
                identity: "the sandbox's application".to_owned(),
            },
            Connection::PingOne { endpoints, identity, .. } => Self {
                environment: endpoints.environment,
                api_url: endpoints.api.to_string(),
                is_sandbox: false,
                name: endpoints.to_string(),
                hosts: Some(endpoints.hosts()),
                identity: identity.to_string(),
            },
        }
    }
}

/// PingOne, or the sandbox inside this process.
pub(super) struct Target {
    pub(super) endpoints: Endpoints,
    pub(super) identity: Identity,
    pub(super) ca: TrustedCa,
    /// The sandbox, which stops when dropped.
    pub(super) sandbox: Option<Sandbox>,
}

impl Target {
    /// Connects the target. A sandbox is started.
    pub(super) async fn connect(connection: &Connection) -> Result<Self, RunError> {
        match connection {
            Connection::PingOne { endpoints, identity, ca } => {
                Ok(Self { endpoints: (**endpoints).clone(), identity: identity.clone(), ca: ca.clone(), sandbox: None })
            }
            Connection::Sandbox => {
                let sandbox = start_sandbox(SandboxConfig::default()).await?;
                let environment = sandbox.environment_id();
                let loopback = |url: String| url.parse().expect("the sandbox listens on loopback");
                let (api, auth) = (loopback(sandbox.api_url()), loopback(sandbox.auth_url()));
                let proof = Proof::Basic(sandbox.client_secret().into());
                let credentials = Credentials { client_id: sandbox.client_id(), proof };
                Ok(Self {
                    endpoints: Endpoints { api, auth, environment, auth_environment: environment, urls: None },
                    identity: Identity::Worker(credentials),
                    ca: TrustedCa::default(),
                    sandbox: Some(sandbox),
                })
            }
        }
    }

    /// The session with it, and its sandbox, which stops when dropped; `pacer` spaces its requests. Sends nothing yet.
    pub(super) fn open(
        self,
        pacer: Pacer,
        concurrency: usize,
        limits: Limits,
        run: RunId,
        clock: Clock,
    ) -> Result<(Session<HttpTransport>, Option<Sandbox>), RunError> {
        let Self { endpoints, identity, ca, sandbox } = self;
        let tokens = match identity {
            Identity::Worker(credentials) => TokenSource::Endpoint(credentials),
            Identity::Ready(token) => TokenSource::Ready(token),
        };
        let settings = HttpSettings { endpoints: endpoints.clone(), ca, timeout: limits.timeout, concurrency, run };
        let transport = HttpTransport::new(settings)?;
        Ok((Session::new(transport, endpoints, tokens, Arc::new(pacer), limits, clock), sandbox))
    }

    /// Adds to `record` what is known once the target is connected.
    pub(super) fn note_in(&self, record: &mut RunRecord) {
        record.api_url = self.endpoints.api.to_string();
    }
}
