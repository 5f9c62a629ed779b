//! Serves the machine over HTTP.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use chrono::Utc;
use futures::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::Response;
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::message::{Answer, Cut, Request, TRANSACTION, header};
use super::{LoggedCall, Shared};

/// The most bytes of a request's body.
const MOST_OF_A_BODY: usize = 64 << 10;

type Body = BoxBody<Bytes, io::Error>;

/// Serves every incoming connection.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>, closing: CancellationToken) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without this, small answers are delayed until more can be sent with them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!("a connection to the sandbox cannot be hurried: {error}");
                }
                let connection = connection(stream, Arc::clone(&shared));
                let closing = closing.clone();
                tokio::spawn(async move {
                    if let Some(Err(error)) = closing.run_until_cancelled(connection).await {
                        tracing::trace!("a connection to the sandbox broke: {error}");
                    }
                });
            }
            Err(error) => {
                tracing::warn!("the sandbox cannot take a connection: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

/// Serves one connection.
pub(super) async fn connection<I>(stream: I, shared: Arc<Shared>) -> Result<(), Box<dyn Error + Send + Sync>>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| respond(request, Arc::clone(&shared)));
    auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await
}

/// An error closes the connection without an answer.
async fn respond(request: hyper::Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, io::Error> {
    let arrived = Instant::now();
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MOST_OF_A_BODY).collect().await.map_err(io::Error::other)?;
    let request = Request::from_parts(head, body.to_bytes());
    let answer = {
        let mut machine = shared.machine.lock().expect("no panic while it is held");
        let mut answer = machine.answer(&request, arrived, Utc::now());
        answer.delay += machine.config.latency;
        shared.record(&request, &answer, arrived.duration_since(machine.started));
        answer
    };
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    response(answer)
}

impl Shared {
    fn record(&self, request: &Request, answer: &Answer, at: std::time::Duration) {
        let mut calls = self.calls.lock().expect("no panic while it is held");
        let Some(sender) = &*calls else {
            return;
        };
        let call = LoggedCall {
            at,
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            status: (answer.cut != Cut::Nothing).then_some(answer.status),
            faulted: answer.faulted,
            transaction: header(request, TRANSACTION).unwrap_or_default().to_owned(),
            correlation: answer.correlation.clone(),
            body: String::from_utf8_lossy(request.body()).into_owned(),
        };
        if sender.send(call).is_err() {
            // The receiver is gone.
            *calls = None;
        }
    }
}

fn response(answer: Answer) -> Result<Response<Body>, io::Error> {
    let body = Bytes::from(answer.body);
    let content_type = if answer.html { "text/html" } else { "application/json" };
    let mut response =
        Response::builder().status(answer.status).header(CONTENT_TYPE, content_type).header("correlation-id", answer.correlation);
    if let Some(seconds) = answer.retry_after {
        response = response.header(RETRY_AFTER, seconds);
    }
    let body = match answer.cut {
        Cut::Nothing => return Err(io::ErrorKind::ConnectionReset.into()),
        Cut::Whole => Full::new(body).map_err(|never: Infallible| match never {}).boxed(),
        Cut::Half => {
            response = response.header(CONTENT_LENGTH, body.len());
            let half = body.slice(..body.len() / 2);
            let frames = [Ok(Frame::data(half)), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
            StreamBody::new(stream::iter(frames)).boxed()
        }
    };
    response.body(body).map_err(io::Error::other)
}
