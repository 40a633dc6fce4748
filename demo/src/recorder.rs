//! The way from the functions to the local AWS, on which every notification is
//! written down: that AWS has no e-mail to deliver it by.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use dnswatch_demo::listen;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;

/// An e-mail as it was handed to SNS.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Email {
    /// Its subject.
    pub(crate) subject: String,
    /// Its text.
    pub(crate) text: String,
}

impl Email {
    /// The e-mail in a form that is sent to AWS, if it asks SNS to publish one.
    fn parse(form: &[u8]) -> Option<Self> {
        let field = |name: &str| {
            let mut fields = form_urlencoded::parse(form);
            fields.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
        };
        if field("Action")? != "Publish" {
            return None;
        }
        let message = field("Message")?;
        let text = match field("MessageStructure") {
            Some(_) => {
                let bodies: Value = serde_json::from_str(&message).ok()?;
                let body = bodies.get("email").or(bodies.get("default"))?;
                body.as_str()?.to_owned()
            }
            None => message,
        };
        Some(Self {
            subject: field("Subject")?,
            text,
        })
    }
}

/// A port that leads to the local AWS.
#[derive(Debug)]
pub(crate) struct Recorder {
    listener: TcpListener,
}

impl Recorder {
    /// Binds a free port of 127.0.0.1.
    pub(crate) async fn bind() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no loopback port for the way to AWS")?;
        Ok(Self { listener })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Passes everything on to `aws`, and the e-mails that it accepted to `emails` too.
    pub(crate) async fn serve(
        self,
        aws: SocketAddr,
        emails: UnboundedSender<Email>,
    ) -> std::io::Error {
        listen::serve(self.listener, move |request| {
            let emails = emails.clone();
            async move {
                let email = Email::parse(request.body());
                match pass(request, aws).await {
                    Ok(answer) => {
                        if let (Some(email), true) = (email, answer.status().is_success()) {
                            // The receiver is gone when the demo is over.
                            let _ = emails.send(email);
                        }
                        answer
                    }
                    Err(error) => listen::answer(StatusCode::BAD_GATEWAY, format!("{error:#}")),
                }
            }
        })
        .await
    }
}

/// The request as it came, its host and signature too, to `aws`.
async fn pass(request: Request<Bytes>, aws: SocketAddr) -> anyhow::Result<Response<Full<Bytes>>> {
    let connection = TokioIo::new(TcpStream::connect(aws).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(connection).await?;
    tokio::spawn(connection);
    let (head, body) = request.into_parts();
    let answer = sender
        .send_request(Request::from_parts(head, Full::new(body)))
        .await?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response::from_parts(head, Full::new(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(form: &str, expected: Option<(&str, &str)>) {
        let expected = expected.map(|(subject, text)| Email {
            subject: subject.to_owned(),
            text: text.to_owned(),
        });
        assert_eq!(Email::parse(form.as_bytes()), expected, "{form}");
    }

    #[test]
    fn only_a_publish_is_an_email() {
        check("Action=Subscribe&Subject=a&Message=b", None);
        check("", None);
        check("{\"TableName\": \"a=b\"}", None);
        check(
            "Action=Publish&Subject=a&Message=b+c%0A",
            Some(("a", "b c\n")),
        );
        let json = "Action=Publish&MessageStructure=json&Subject=a&Message=";
        check(
            &format!("{json}%7B%22default%22:%22d%22,%22email%22:%22e%22%7D"),
            Some(("a", "e")),
        );
        check(
            &format!("{json}%7B%22default%22:%22d%22%7D"),
            Some(("a", "d")),
        );
        check(&format!("{json}no+json"), None);
    }
}
