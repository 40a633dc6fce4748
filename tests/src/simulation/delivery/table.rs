//! The part of DynamoDB that the delivery functions use: conditional writes of one item, by the
//! expressions that they send.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

type Item = Map<String, Value>;

/// The items, by their two keys.
#[derive(Debug, Default)]
pub(super) struct Table(BTreeMap<(String, String), Item>);

fn key(of: &Value) -> (String, String) {
    let text = |name: &str| of[name]["S"].as_str().expect("a key").to_owned();
    (text("id"), text("part"))
}

impl Table {
    /// Does what a request asks for: the status and the body of its answer.
    pub(super) fn act(&mut self, target: &str, request: &Value) -> (u16, Value) {
        let operation = target.rsplit('.').next().unwrap_or_default();
        let key = key(if operation == "PutItem" {
            &request["Item"]
        } else {
            &request["Key"]
        });
        let old = self.0.get(&key).cloned();
        if let Some(condition) = request["ConditionExpression"].as_str()
            && !Condition::new(condition, request, old.as_ref()).holds()
        {
            let mut refused = json!({
                "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
                "message": "The conditional request failed",
            });
            if let Some(old) = old {
                refused["Item"] = Value::Object(old);
            }
            return (400, refused);
        }
        match operation {
            "PutItem" => {
                let item = request["Item"].as_object().expect("an item").clone();
                self.0.insert(key, item);
                (200, json!({}))
            }
            "DeleteItem" => {
                self.0.remove(&key);
                (200, json!({}))
            }
            "UpdateItem" => {
                let mut item =
                    old.unwrap_or_else(|| request["Key"].as_object().expect("a key").clone());
                update(&mut item, request);
                self.0.insert(key, item.clone());
                (200, json!({"Attributes": item}))
            }
            other => panic!("the functions do not use {other}"),
        }
    }

    /// Deletes what has expired, as the table's TTL does.
    pub(super) fn expire(&mut self, now_s: i64) {
        self.0.retain(|_, item| number(&item["expires_at"]) > now_s);
    }

    /// Whether a notification is marked as sent.
    pub(super) fn is_posted(&self, id: &str) -> bool {
        self.0.iter().any(|((key, _), item)| {
            key.ends_with(&format!("#{id}")) && item.contains_key("posted_at")
        })
    }
}

fn number(value: &Value) -> i64 {
    value["N"]
        .as_str()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

fn named(name: &str, request: &Value) -> String {
    match name.starts_with('#') {
        true => request["ExpressionAttributeNames"][name]
            .as_str()
            .expect("a name")
            .to_owned(),
        false => name.to_owned(),
    }
}

/// `SET a = :a, b = :b REMOVE c, d`.
fn update(item: &mut Item, request: &Value) {
    let text = request["UpdateExpression"].as_str().expect("an update");
    let (set, remove) = text.split_once(" REMOVE ").unwrap_or((text, ""));
    for one in set.trim_start_matches("SET ").split(", ") {
        let (name, value) = one.split_once(" = ").expect("an assignment");
        let value = request["ExpressionAttributeValues"][value].clone();
        item.insert(named(name, request), value);
    }
    for name in remove.split(", ").filter(|name| !name.is_empty()) {
        item.remove(&named(name, request));
    }
}

/// A condition, read from left to right: `OR` of `AND` of comparisons.
struct Condition<'a> {
    tokens: Vec<String>,
    at: usize,
    request: &'a Value,
    item: Option<&'a Item>,
}

impl<'a> Condition<'a> {
    fn new(text: &str, request: &'a Value, item: Option<&'a Item>) -> Self {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        Self {
            tokens: spaced.split_whitespace().map(str::to_owned).collect(),
            at: 0,
            request,
            item,
        }
    }

    fn holds(mut self) -> bool {
        let holds = self.any();
        assert_eq!(self.at, self.tokens.len(), "{:?}", self.tokens);
        holds
    }

    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens[self.at - 1].clone()
    }

    fn is_next(&mut self, word: &str) -> bool {
        let is = self.tokens.get(self.at).is_some_and(|token| token == word);
        self.at += usize::from(is);
        is
    }

    fn any(&mut self) -> bool {
        let mut holds = self.all();
        while self.is_next("OR") {
            holds |= self.all();
        }
        holds
    }

    fn all(&mut self) -> bool {
        let mut holds = self.one();
        while self.is_next("AND") {
            holds &= self.one();
        }
        holds
    }

    fn one(&mut self) -> bool {
        if self.is_next("(") {
            let holds = self.any();
            assert!(self.is_next(")"), "{:?}", self.tokens);
            return holds;
        }
        let word = self.next();
        if word == "attribute_not_exists" {
            assert!(self.is_next("("));
            let name = self.next();
            assert!(self.is_next(")"));
            let name = named(&name, self.request);
            return self.item.is_none_or(|item| !item.contains_key(&name));
        }
        let (how, value) = (self.next(), self.next());
        let name = named(&word, self.request);
        let value = &self.request["ExpressionAttributeValues"][value.as_str()];
        let Some(stored) = self.item.and_then(|item| item.get(&name)) else {
            return false;
        };
        match how.as_str() {
            "=" => stored == value,
            "<=" => number(stored) <= number(value),
            ">" => number(stored) > number(value),
            other => panic!("no comparison {other}"),
        }
    }
}
