//! What is read of an answer: tables, and a naive reading on `serde_json::Value`.

use alerting::query::FailureKind::{self, Refused, Transient};
use alerting::query::{Answer, Ask, At, Sample};
use alerting::timestamp::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::naive::{naive, same};
use super::{AT, instant, range};
use crate::prometheus::answer;
use crate::prometheus::failure::Repeat;

fn read(body: &str, ask: &Ask) -> Result<Answer, (FailureKind, bool, String)> {
    answer::read(body.as_bytes(), ask, &[])
        .map_err(|failure| (failure.kind, failure.repeat != Repeat::No, failure.message))
}

/// Reads `result` (and what follows it in `data`) and compares the first series' samples.
#[track_caller]
fn check(ask: &Ask, data: &str, expected: Option<&[(i64, &str)]>) {
    let body = format!(r#"{{"status":"success","data":{{{data}}}}}"#);
    let found = read(&body, ask).ok().map(|answer| {
        let samples = answer.series[0].samples.iter();
        samples
            .map(|sample| (sample.at.as_millis(), sample.value.to_string()))
            .collect::<Vec<_>>()
    });
    let expected = expected.map(|samples| {
        samples
            .iter()
            .map(|(at, value)| (*at, (*value).to_owned()))
            .collect::<Vec<_>>()
    });
    assert_eq!(found, expected, "{body}");
}

const NOW: i64 = 1_700_000_000_000;

#[test]
fn samples_of_every_kind() {
    let check = |result: &str, expected| {
        let vector = format!(r#""resultType":"vector","result":[{{"metric":{{}},{result}}}]"#);
        check(&instant(), &vector, expected);
    };
    check(r#""value":[1700000000,"1"]"#, Some(&[(NOW, "1")]));
    check(
        r#""value":[1700000000.000,"1e-3"]"#,
        Some(&[(NOW, "0.001")]),
    );
    check(r#""value":[1.7e9,"NaN"]"#, Some(&[(NOW, "NaN")]));
    check(r#""value":[1700000000.0004,"+Inf"]"#, Some(&[(NOW, "inf")]));
    check(r#""value":[1700000000,"-Inf"]"#, Some(&[(NOW, "-inf")]));
    check(
        r#""x":[{"value":[]}],"value":[1700000000,"-0"],"y":null"#,
        Some(&[(NOW, "-0")]),
    );
    check(
        r#""histogram":[1700000000,{"count":"3","sum":"1","buckets":[[0,"1","2","3"]],"x":[{}]}]"#,
        Some(&[(NOW, "0")]),
    );
    for wrong in [
        r#""value":[1700000000,1]"#,
        r#""value":["1700000000","1"]"#,
        r#""value":[1700000000,""]"#,
        r#""value":[1700000000," 1"]"#,
        r#""value":[1700000000,"one"]"#,
        r#""value":[1700000000]"#,
        r#""value":[]"#,
        r#""value":null"#,
        r#""value":[1700000000,"1","1"]"#,
        r#""value":[1e300,"1"]"#,
        r#""value":[9223372036854775808,"1"]"#,
        r#""value":[-9223372036854775808,"1"]"#,
        r#""value":[1700000000,"1"],"value":[1700000000,"1"]"#,
        r#""value":[1700000000,"1"],"histogram":[1700000000,{"count":"1","sum":"2"}]"#,
        r#""value":[1700000000,"1"],"values":[]"#,
        r#""values":[[1700000000,"1"]]"#,
        r#""histogram":[1700000000,"1"]"#,
        r#""histogram":[1700000000,null]"#,
        r#""histogram":[1700000000,{}]"#,
        r#""histogram":[1700000000,{"count":"3","sum":1}]"#,
        r#""histogram":[1700000000,{"count":"3","sum":"1","buckets":[[0,"1"]]}]"#,
        r#""histogram":[1700000000,{"count":"3","sum":"1","buckets":[[4,"1","2","3"]]}]"#,
        r#""histogram":[1700000000,{"count":"3","sum":"1"}],"histograms":[]"#,
        r#""metric":{},"value":[1700000000,"1"]"#,
        r#""value":[1700000000.001,"1"]"#,
        r#""value":[1700000001,"1"]"#,
        r#""nothing":1"#,
    ] {
        check(wrong, None);
    }
}

#[test]
fn samples_of_a_range() {
    let check = |series: &str, expected| {
        let matrix = format!(r#""result":[{{{series},"metric":{{}}}}],"resultType":"matrix""#);
        check(&range(), &matrix, expected);
    };
    check(
        r#""values":[[1699999940,"1"],[1699999985,"2"],[1700000000,"3"]]"#,
        Some(&[(NOW - 60_000, "1"), (NOW - 15_000, "2"), (NOW, "3")]),
    );
    check(
        r#""histograms":[[1699999940,{"count":"1","sum":"2"}],[1699999985,{"count":"1","sum":"2"}]],"values":[[1699999955,"5"],[1700000000,"6"]]"#,
        Some(&[
            (NOW - 60_000, "0"),
            (NOW - 45_000, "5"),
            (NOW - 15_000, "0"),
            (NOW, "6"),
        ]),
    );
    check(
        r#""histograms":[[1699999940,{"count":"1","sum":"2"}]]"#,
        Some(&[(NOW - 60_000, "0")]),
    );
    for wrong in [
        r#""values":[]"#,
        r#""values":[],"histograms":[]"#,
        r#""values":[[1699999985,"2"],[1699999940,"1"]]"#,
        r#""values":[[1699999940,"1"],[1699999940,"1"]]"#,
        r#""values":[[1699999940,"1"]],"histograms":[[1699999940,{"count":"1","sum":"2"}]]"#,
        r#""values":[[1699999955,"1"],[1699999970,"1"]],"histograms":[[1699999985,{"count":"1","sum":"2"}],[1699999940,{"count":"1","sum":"2"}]]"#,
        r#""value":[1699999940,"1"]"#,
        r#""values":[[1699999941,"1"]]"#,
        r#""values":[[1699999940.001,"1"]]"#,
        r#""values":[[1699999925,"1"]]"#,
        r#""values":[[1700000015,"1"]]"#,
    ] {
        check(wrong, None);
    }
}

#[test]
fn a_scalar_is_a_series_without_labels() {
    let scalar = r#""result":[1700000000,"2"],"resultType":"scalar""#;
    check(&instant(), scalar, Some(&[(NOW, "2")]));
    check(&range(), scalar, None);
    check(
        &instant(),
        r#""result":[1700000000,"x"],"resultType":"scalar""#,
        None,
    );
    check(
        &instant(),
        r#""result":[1700000001,"2"],"resultType":"scalar""#,
        None,
    );
    check(
        &instant(),
        r#""result":[1700000000,"2",3],"resultType":"scalar""#,
        None,
    );
    check(
        &instant(),
        r#""result":[1700000000,"2"],"resultType":"vector""#,
        None,
    );
    check(&instant(), r#""result":[],"resultType":"scalar""#, None);
}

/// Bodies that are no answer: what follows, and whether it is asked again.
#[test]
fn what_is_doubtful_is_a_failure() {
    #[track_caller]
    fn check(ask: &Ask, body: &str, kind: FailureKind, again: bool, notified: &str) {
        let (found, repeat, message) = read(body, ask).expect_err(body);
        assert_eq!((found, repeat), (kind, again), "{body}: {message}");
        assert!(message.contains(notified), "{body}: {message}");
    }
    let empty = r#""data":{"resultType":"vector","result":[]}"#;
    let with = |more: &str| format!(r#"{{"status":"success",{more},{empty}}}"#);
    let data = |data: &str| format!(r#"{{"status":"success","data":{{{data}}}}}"#);

    for unreadable in [
        r#"{"status":"success"}"#,
        r#"{"status":"success","data":null}"#,
        r#"{"status":"success","data":[]}"#,
        r#"{"status":"success","data":{}}"#,
        &format!("{{{empty}}}"),
        &format!(r#"{{"status":null,{empty}}}"#),
        &format!(r#"{{"status":"Success",{empty}}}"#),
        &with(r#""status":"success""#),
        &format!(r#"{},{{}}"#, with(r#""a":1"#)),
        &data(r#""resultType":"vector""#),
        &data(r#""result":[]"#),
        &data(r#""resultType":"vector","result":null"#),
        &data(r#""resultType":"vector","result":{}"#),
        &data(r#""resultType":"vector","result":"""#),
        &data(r#""resultType":"vector","result":[null]"#),
        &data(r#""resultType":"vector","result":[[]]"#),
        &data(r#""resultType":"vector","result":[{"metric":{},"value":[1700000000,"1"]},1]"#),
        &data(r#""resultType":"vector","result":[{"metric":{"a":null},"value":[1700000000,"1"]}]"#),
        &data(r#""resultType":"vector","result":[{"value":[1700000000,"1"]}]"#),
    ] {
        check(&instant(), unreadable, Transient, true, "the answer");
    }

    check(
        &instant(),
        &data(r#""resultType":"matrix","result":[]"#),
        Refused,
        false,
        "a matrix",
    );
    let text = r#""resultType":"string","result":[1700000000,"x"]"#;
    check(&instant(), &data(text), Refused, false, "a string");
    check(
        &instant(),
        &data(r#""resultType":"streams","result":[]"#),
        Transient,
        false,
        "streams",
    );
    check(
        &range(),
        &data(r#""resultType":"vector","result":[]"#),
        Transient,
        false,
        "vector",
    );
    let shifted = r#""resultType":"matrix","result":[{"metric":{},"values":[[1699999945,"1"]]}]"#;
    check(
        &range(),
        &data(shifted),
        Refused,
        false,
        "2023-11-14T22:12:25Z was not asked for",
    );

    let store = r#""warnings":["PromQL info: fine","receive series from store-1: rpc error"]"#;
    check(
        &instant(),
        &with(store),
        Transient,
        true,
        "partial: receive series from store-1",
    );
    let cortex = r#""warnings":["Query result may contain partial data."]"#;
    check(
        &instant(),
        &with(cortex),
        Transient,
        true,
        "partial: Query result",
    );
    check(
        &instant(),
        &with(r#""isPartial":true"#),
        Transient,
        true,
        "partial",
    );
    for omitted in [
        "2 more warning annotations omitted",
        "3 more annotations omitted",
    ] {
        let body = with(&format!(
            r#""warnings":["PromQL warning: bucket","{omitted}"]"#
        ));
        check(&instant(), &body, Transient, false, omitted);
    }

    for fine in [
        r#""warnings":[]"#,
        r#""warnings":null"#,
        r#""isPartial":false"#,
        r#""infos":["PromQL info: metric might not be a counter","9 more info annotations omitted"]"#,
        r#""warnings":["PromQL warning: quantile value should be between 0 and 1"]"#,
        r#""unknown":{"data":[{}]}"#,
    ] {
        assert!(read(&with(fine), &instant()).is_ok(), "{fine}");
    }
}

/// Nesting deeper than any stack.
#[test]
fn depth_is_bounded() {
    for nested in ["[", "{\"a\":"] {
        let deep = nested.repeat(1 << 17);
        for body in [
            deep.clone(),
            format!(r#"{{"status":{deep}"#),
            format!(r#"{{"unknown":{deep}"#),
            format!(r#"{{"data":{{"result":{deep}"#),
            format!(r#"{{"data":{{"result":[{{"unknown":{deep}"#),
            format!(r#"{{"data":{{"result":[{{"metric":{deep}"#),
            format!(r#"{{"data":{{"result":[{{"histogram":[1,{deep}"#),
            format!(r#"{{"data":{{"result":[{{"histogram":[1,{{"a":{deep}"#),
        ] {
            assert!(read(&body, &instant()).is_err());
        }
    }
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<f64>().prop_map(|value| value.to_string()),
        Just("NaN".to_owned()),
        Just("+Inf".to_owned()),
        Just("-Inf".to_owned()),
    ]
}

fn labels() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map("[a-z_\"é\\\\]{0,4}", ".{0,8}", 0..4)
        .prop_map(|labels| json!(labels))
}

/// Seconds since the epoch, and a float, or none for a histogram.
type Point = (f64, Option<String>);

/// The moments of a series: a subset of `of`, in order, each with a float or a histogram.
fn points(of: Vec<i64>) -> impl Strategy<Value = Vec<Point>> {
    let count = of.len();
    proptest::sample::subsequence(of, 1..=count).prop_flat_map(|moments| {
        moments
            .into_iter()
            .map(|at| {
                #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
                let seconds = at as f64 / 1000.0;
                (Just(seconds), proptest::option::weighted(0.8, value()))
            })
            .collect::<Vec<_>>()
    })
}

/// A question in milliseconds that need not be whole seconds, and a true answer to it.
fn answered() -> impl Strategy<Value = (Ask, String)> {
    let shape = (
        0..2_000_000_000_000i64,
        1..100_000i64,
        1..6i64,
        any::<bool>(),
    );
    shape.prop_flat_map(|(start, step, count, instant)| {
        let moments: Vec<i64> = match instant {
            true => vec![start],
            false => (0..count).map(|n| start + n * step).collect(),
        };
        let end = moments[moments.len() - 1];
        let at = match instant {
            true => At::Instant(Timestamp::from_millis(start)),
            false => At::Range {
                start: Timestamp::from_millis(start),
                end: Timestamp::from_millis(end),
                step: std::time::Duration::from_millis(step.unsigned_abs()),
            },
        };
        let ask = Ask {
            expr: "x".to_owned(),
            at,
        };
        let series = proptest::collection::vec((labels(), points(moments)), 0..4);
        (Just(ask), series, any::<[bool; 4]>()).prop_map(|(ask, series, order)| {
            let body = write(matches!(ask.at, At::Instant(_)), series, order);
            (ask, body)
        })
    })
}

/// Writes an answer, with its keys in some order.
fn write(instant: bool, series: Vec<(Value, Vec<Point>)>, order: [bool; 4]) -> String {
    let histogram = json!({
        "count": "4", "sum": "2",
        "buckets": [[1, "-2", "-1", "1"], [3, "-1", "1", "1"], [0, "1", "2", "1"], [2, "2", "+Inf", "1"]],
    });
    let elements = series.into_iter().map(|(labels, points)| {
        let mut fields = vec![("metric", labels)];
        let (floats, histograms): (Vec<_>, Vec<_>) =
            points.into_iter().partition(|(_, value)| value.is_some());
        let floats: Vec<_> = floats
            .iter()
            .map(|(at, value)| json!([at, value]))
            .collect();
        let histograms: Vec<_> = histograms
            .iter()
            .map(|(at, _)| json!([at, histogram]))
            .collect();
        for (one, many, points) in [
            ("value", "values", floats),
            ("histogram", "histograms", histograms),
        ] {
            match points.first() {
                None => {}
                Some(point) if instant => fields.push((one, point.clone())),
                Some(_) => fields.push((many, json!(points))),
            }
        }
        object(fields, order[0])
    });
    let result = format!("[{}]", elements.collect::<Vec<_>>().join(","));
    let kind = json!(if instant { "vector" } else { "matrix" });
    let mut data = [
        format!(r#""resultType":{kind}"#),
        r#""stats":{"result":[1,"2"]}"#.to_owned(),
        format!(r#""result":{result}"#),
    ];
    let mut all = vec![r#""status":"success""#.to_owned()];
    if order[1] {
        data.reverse();
    }
    all.push(format!(r#""data":{{{}}}"#, data.join(",")));
    if order[2] {
        all.reverse();
    }
    let comma = if order[3] { ",\n\t " } else { "," };
    format!("{{{}}}", all.join(comma))
}

fn object(mut fields: Vec<(&str, Value)>, reverse: bool) -> String {
    if reverse {
        fields.reverse();
    }
    let fields: Vec<_> = fields
        .iter()
        .map(|(key, value)| format!("{}:{value}", json!(key)))
        .collect();
    format!("{{{}}}", fields.join(","))
}

proptest! {
    #[test]
    fn reads_what_the_naive_reading_reads((ask, body) in answered()) {
        let found = read(&body, &ask).map_err(|failure| {
            TestCaseError::fail(format!("{body}: {failure:?}"))
        })?;
        let expected = naive(&body.parse().unwrap()).unwrap();
        prop_assert!(same(&found, &expected), "{body}\n{found:?}\n{expected:?}");
    }

    /// A byte that was changed, lost or doubled: what is still an answer is what it says.
    #[test]
    fn a_damaged_answer_is_not_misread(
        (ask, body) in answered(),
        at in any::<Index>(),
        byte in any::<u8>(),
        how in 0..3u8,
    ) {
        let mut bytes = body.into_bytes();
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => { bytes.remove(at); }
            _ => bytes.insert(at, byte),
        }
        if let Ok(found) = answer::read(&bytes, &ask, &[]) {
            let expected = naive(&serde_json::from_slice(&bytes).unwrap()).unwrap();
            prop_assert!(same(&found, &expected), "{found:?}\n{expected:?}");
        }
    }

    #[test]
    fn nothing_panics(
        text in r#"[\[\]{}":,a-z0-9.eE+\\ -]{0,80}"#,
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
        key in "(data|result|metric|value|values|histogram|status)",
    ) {
        for ask in [instant(), range()] {
            let _ = answer::read(&bytes, &ask, &[]);
            for body in [
                text.clone(),
                format!(r#"{{"{key}":{text}}}"#),
                format!(r#"{{"status":"success","data":{{"resultType":"vector","result":{text}}}}}"#),
                format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"{key}":{text}}}]}}}}"#),
            ] {
                let _ = answer::read(body.as_bytes(), &ask, &[]);
            }
        }
    }
}

#[test]
fn the_naive_reading_reads() {
    let body = r#"{"status":"success","data":{"resultType":"scalar","result":[1700000000,"2"]}}"#;
    assert_eq!(
        naive(&body.parse().unwrap()).unwrap().series[0].samples[0],
        Sample { at: AT, value: 2.0 }
    );
}
