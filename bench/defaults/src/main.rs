//! The ruler's clients with every default setting, and one use of each.
//!
//! What `make bench` compares the ruler's start with. It evaluates no rules: it only makes the
//! calls that a run makes, so that no client is idle and nothing of it can be left out of the
//! build.
//!
//! With the URL of a server and a certificate to trust as arguments, it says how many
//! milliseconds its first request takes, and how many its second, both over a new connection.

use std::time::{Instant, SystemTime};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    expr: String,
}

struct Function {
    region: String,
    amp: aws_sdk_amp::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    sns: aws_sdk_sns::Client,
    sts: aws_sdk_sts::Client,
    http: reqwest::Client,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, url, certificate] = arguments.as_slice() {
        return handshakes(url, certificate).await;
    }
    let config = aws_config::load_from_env().await;
    let function = Function {
        region: config.region().map(ToString::to_string).unwrap_or_default(),
        amp: aws_sdk_amp::Client::new(&config),
        dynamodb: aws_sdk_dynamodb::Client::new(&config),
        sns: aws_sdk_sns::Client::new(&config),
        sts: aws_sdk_sts::Client::new(&config),
        http: reqwest::Client::new(),
    };
    let function = &function;
    run(service_fn(|_: LambdaEvent<Value>| async move {
        function.handle().await
    }))
    .await
}

impl Function {
    async fn handle(&self) -> Result<Value, Error> {
        let workspace = std::env::var("AMP_WORKSPACE")?;
        let table = std::env::var("STATE_TABLE")?;
        let described = self
            .amp
            .describe_workspace()
            .workspace_id(&workspace)
            .send()
            .await?;
        let endpoint = described
            .workspace()
            .and_then(|workspace| workspace.prometheus_endpoint())
            .ok_or("the workspace has no endpoint")?;
        let rules = std::fs::read_to_string(format!("{}/rules.yml", std::env::var("CONFIG_DIR")?))?;
        let rules: RuleFile = serde_saphyr::from_str(&rules)?;
        let id = AttributeValue::S(workspace.clone());
        let part = AttributeValue::S("state".to_owned());
        let kept = self.dynamodb.get_item().table_name(&table);
        let kept = kept
            .key("id", id.clone())
            .key("part", part.clone())
            .send()
            .await?;
        let mut firing = 0;
        for rule in rules.groups.iter().flat_map(|group| &group.rules) {
            firing += self.query(endpoint, &rule.expr).await?;
        }
        let notified = AttributeValue::N(firing.to_string());
        let write = self.dynamodb.put_item().table_name(&table);
        let write = write
            .item("id", id)
            .item("part", part)
            .item("last_run", notified.clone());
        write.send().await?;
        if kept.item().and_then(|item| item.get("last_run")) != Some(&notified) {
            let publish = self.sns.publish().topic_arn(std::env::var("TOPIC_ARN")?);
            let message = format!("{firing} are firing");
            publish.subject("alerts").message(message).send().await?;
        }
        Ok(json!({ "firing": firing }))
    }

    /// How many series an expression has now, by a query signed as the role that may ask.
    async fn query(&self, endpoint: &str, expression: &str) -> Result<usize, Error> {
        let role = self
            .sts
            .assume_role()
            .role_arn(std::env::var("QUERY_ROLE_ARN")?);
        let role = role.role_session_name("bench").send().await?;
        let role = role.credentials().ok_or("no credentials")?;
        let identity = aws_sdk_sts::config::Credentials::new(
            role.access_key_id(),
            role.secret_access_key(),
            Some(role.session_token().to_owned()),
            None,
            "AssumeRole",
        )
        .into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("aps")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let mut request = self
            .http
            .post(format!("{endpoint}api/v1/query"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(serde_urlencoded::to_string([("query", expression)])?)
            .build()?;
        let body = request
            .body()
            .and_then(reqwest::Body::as_bytes)
            .unwrap_or_default();
        let url = request.url().as_str();
        let signable =
            SignableRequest::new("POST", url, [].into_iter(), SignableBody::Bytes(body))?;
        let (instructions, _) = sign(signable, &params)?.into_parts();
        for header in instructions.into_parts().0 {
            let name: reqwest::header::HeaderName = header.name().parse()?;
            request.headers_mut().insert(name, header.value().parse()?);
        }
        let answer = self.http.execute(request).await?.error_for_status()?;
        let answer: Value = serde_json::from_slice(&answer.bytes().await?)?;
        Ok(answer["data"]["result"].as_array().map_or(0, Vec::len))
    }
}

async fn handshakes(url: &str, certificate: &str) -> Result<(), Error> {
    let certificate = reqwest::Certificate::from_pem(&std::fs::read(certificate)?)?;
    let http = reqwest::Client::builder()
        .add_root_certificate(certificate)
        .build()?;
    for _ in 0..2 {
        let began = Instant::now();
        http.get(url)
            .send()
            .await?
            .error_for_status()?
            .bytes()
            .await?;
        println!("{}", began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(())
}
