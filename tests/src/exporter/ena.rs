//! ENA, which no machine here has: its statistics by the names and in the order that its driver
//! gives them (`ena_ethtool.c` of amzn/amzn-drivers), as the bytes that the kernel would answer,
//! through the same code as on a node.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alerting::config::Settings;
use anyhow::{Context as _, Result, ensure};
use ethtool_exporter::collector::Collector;
use ethtool_exporter::device::DeviceName;
use ethtool_exporter::ethtool::{Ethtool, Question};
use ethtool_exporter::exposition::Format;
use ethtool_exporter::page::Snapshot;
use ethtool_exporter::selection::{DEFAULT_METRICS, Selection};

use super::page::Page;
use crate::history::{History, START};
use crate::parts;
use crate::ruler::{Bench, patient, starter_rules, story};

const EIO: i32 = 5;
const ENODEV: i32 = 19;
const EOPNOTSUPP: u32 = 95;

const GLOBAL: &str = "total_resets reset_fail tx_timeout wd_expired interface_up interface_down \
    admin_q_pause bad_tx_req_id bad_rx_req_id bad_rx_desc_num missing_intr suspected_poll_starvation \
    missing_tx_cmpl rx_desc_malformed tx_desc_malformed invalid_state os_netdev_wd \
    missing_admin_interrupt admin_to device_request_reset missing_first_intr suspend resume \
    num_of_active_io_queues";
const ALLOWANCES: &str = "bw_in_allowance_exceeded bw_out_allowance_exceeded \
    pps_allowance_exceeded conntrack_allowance_exceeded linklocal_allowance_exceeded \
    conntrack_allowance_available";
const SRD: &str = "ena_srd_mode ena_srd_tx_pkts ena_srd_eligible_tx_pkts ena_srd_rx_pkts \
    ena_srd_resource_utilization";
const TX: &str = "cnt bytes queue_stop queue_wakeup dma_mapping_err linearize linearize_failed \
    napi_comp tx_poll doorbells prepare_ctx_err bad_req_id llq_buffer_copy missed_tx \
    unmask_interrupt xsk_need_wakeup_set xsk_wakeup_request";
const RX: &str = "cnt bytes rx_copybreak_pkt csum_good refil_partial csum_bad page_alloc_fail \
    skb_alloc_fail dma_mapping_err bad_desc_num bad_req_id empty_rx_ring csum_unchecked xdp_aborted \
    xdp_drop xdp_pass xdp_tx xdp_invalid xdp_redirect lpc_warm_up lpc_full lpc_wrong_numa \
    xsk_need_wakeup_set zc_queue_pkt_copy";
const ADMIN: &str = "aborted_cmd submitted_cmd completed_cmd out_of_space no_completion";

/// A device whose driver is ENA.
#[derive(Debug, Clone)]
pub(crate) struct Ena {
    statistics: Vec<(String, u64)>,
    /// What becomes of the next questions for values, the last one for ever.
    values: Vec<Values>,
}

/// What becomes of a question for values.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Values {
    /// The answer.
    Whole,
    /// An error of the driver's.
    Fails(i32),
    /// So many more than there are names: queues were added meanwhile.
    More(usize),
    /// So many fewer.
    Fewer(usize),
    /// As Linux 6.19 reports an unexpected number: zero statistics.
    Refused,
}

impl Ena {
    pub(crate) fn new(queues: usize) -> Self {
        let mut names: Vec<String> = [GLOBAL, ALLOWANCES, SRD]
            .iter()
            .flat_map(|names| names.split_whitespace().map(str::to_owned))
            .collect();
        for queue in 0..queues {
            for (way, statistics) in [("tx", TX), ("rx", RX)] {
                let statistics = statistics.split_whitespace();
                names.extend(statistics.map(|name| format!("queue_{queue}_{way}_{name}")));
            }
        }
        names.extend(
            ADMIN
                .split_whitespace()
                .map(|name| format!("ena_admin_q_{name}")),
        );
        Self {
            statistics: names.into_iter().map(|name| (name, 0)).collect(),
            values: vec![Values::Whole],
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: u64) {
        for (_, old) in self.statistics.iter_mut().filter(|(it, _)| it == name) {
            *old = value;
        }
    }

    fn without(mut self, name: &str) -> Self {
        self.statistics.retain(|(it, _)| it != name);
        self
    }

    /// The answer to an `ioctl`'s command, or the error's number.
    pub(crate) fn answer_to(&mut self, command: u32) -> Result<Vec<u8>, u32> {
        let count = u32::try_from(self.statistics.len()).expect("few");
        let question = match command {
            0x03 => Question::DriverInfo,
            0x37 => Question::SetSize,
            0x1b => Question::Names { count },
            0x1d => Question::Values { count },
            _ => return Err(EOPNOTSUPP),
        };
        let mut answer = Vec::new();
        let answered = self.answer(question, &mut answer);
        answered.map(|()| answer).map_err(|_| EOPNOTSUPP)
    }

    /// The answer as `linux/ethtool.h` lays it out.
    fn answer(&mut self, question: Question, room: &mut Vec<u8>) -> io::Result<()> {
        let count = u32::try_from(self.statistics.len()).expect("few");
        let words = |room: &mut Vec<u8>, words: &[u32]| {
            room.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        };
        let text = |room: &mut Vec<u8>, text: &str| {
            let mut padded = [0; 32];
            padded[..text.len()].copy_from_slice(text.as_bytes());
            room.extend(padded);
        };
        match question {
            Question::DriverInfo => {
                words(room, &[0x03]);
                for it in ["ena", "2.13.2g", "", "0000:00:05.0", ""] {
                    text(room, it);
                }
                words(room, &[0, 0, 0, 1, count, 0, 0, 0]);
            }
            Question::SetSize => {
                words(room, &[0x37, 0]);
                room.extend(2_u64.to_ne_bytes());
                words(room, &[count]);
            }
            Question::Names { .. } => {
                words(room, &[0x1b, 1, count]);
                for (name, _) in &self.statistics {
                    text(room, name);
                }
            }
            Question::Values { .. } => {
                let how = self.values[0];
                if self.values.len() > 1 {
                    self.values.remove(0);
                }
                let whole = self.statistics.len();
                let number = match how {
                    Values::Fails(errno) => return Err(io::Error::from_raw_os_error(errno)),
                    Values::Whole => whole,
                    Values::More(more) => whole + more,
                    Values::Fewer(fewer) => whole - fewer,
                    Values::Refused => 0,
                };
                words(room, &[0x1d, u32::try_from(number).expect("few")]);
                let values = self.statistics.iter().map(|(_, value)| *value);
                let values = values.chain(std::iter::repeat(7)).take(number);
                room.extend(values.flat_map(u64::to_ne_bytes));
            }
        }
        Ok(())
    }
}

/// A node's devices, in the test's hands.
#[derive(Debug, Clone, Default)]
struct Node {
    devices: Arc<Mutex<BTreeMap<String, Ena>>>,
    room: Vec<u8>,
}

impl Node {
    fn devices(&self) -> MutexGuard<'_, BTreeMap<String, Ena>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(self, device: &str, ena: Ena) -> Self {
        self.devices().insert(device.to_owned(), ena);
        self
    }

    fn change(&self, device: &str, change: impl FnOnce(&mut Ena)) {
        change(self.devices().get_mut(device).expect("it is there"));
    }
}

impl Ethtool for Node {
    fn devices(&mut self) -> io::Result<Vec<DeviceName>> {
        let devices = Self::devices(self);
        Ok(devices
            .keys()
            .filter_map(|it| DeviceName::new(it.as_bytes()))
            .collect())
    }

    fn ask(&mut self, device: &DeviceName, question: Question) -> io::Result<&[u8]> {
        let devices = Arc::clone(&self.devices);
        let mut devices = devices.lock().unwrap_or_else(PoisonError::into_inner);
        let ena = devices.get_mut(&*device.text());
        let ena = ena.ok_or_else(|| io::Error::from_raw_os_error(ENODEV))?;
        self.room.clear();
        ena.answer(question, &mut self.room)?;
        Ok(&self.room)
    }
}

fn collector(node: &Node, all: bool) -> Collector<Node> {
    let selection = Selection {
        device_include: None,
        device_exclude: None,
        metrics_include: (!all).then(|| DEFAULT_METRICS.parse().expect("a good one")),
        metrics_exclude: None,
    };
    Collector::new(node.clone(), selection)
}

fn scrape(collector: &mut Collector<Node>) -> Result<Page> {
    let snapshot = Snapshot::new(collector.collect().map_err(|error| error.to_string()));
    let page = snapshot.page(Format::Text);
    Page::read(String::from_utf8(page.to_vec())?)
}

/// By default the throttling counters, and those that explain a counter reset.
#[test]
fn the_allowances_are_exported_and_what_is_absent_stays_absent() -> Result<()> {
    let node = Node::default()
        .with("ens5", Ena::new(8))
        // An older device.
        .with("ens6", Ena::new(2).without("conntrack_allowance_available"));
    node.change("ens5", |ena| {
        ena.set("linklocal_allowance_exceeded", u64::MAX);
    });
    let page = scrape(&mut collector(&node, false))?;
    let mut expected: Vec<&str> = ALLOWANCES.split_whitespace().collect();
    expected.extend(["total_resets", "interface_up", "interface_down"]);
    expected.sort_unstable();
    ensure!(
        page.statistics("ens5").keys().eq(&expected),
        "{}",
        page.text
    );
    expected.retain(|&it| it != "conntrack_allowance_available");
    ensure!(
        page.statistics("ens6").keys().eq(&expected),
        "{}",
        page.text
    );
    let whole = "type=\"linklocal_allowance_exceeded\"} 18446744073709551615\n";
    ensure!(page.text.contains(whole), "{}", page.text);
    let info = "node_net_ethtool_info{device=\"ens5\",driver=\"ena\",version=\"2.13.2g\",\
                firmware_version=\"\",bus_info=\"0000:00:05.0\"}";
    ensure!(page.value(info) == Some(1.0), "{}", page.text);

    let all = scrape(&mut collector(&node, true))?;
    let statistics = Ena::new(8).statistics.len();
    ensure!(statistics > 360 && all.statistics("ens5").len() == statistics);
    Ok(())
}

/// A device that fails, is detached for a reset, or has gone costs its own samples, no others, and
/// no zeros.
#[test]
fn a_failing_device_costs_its_own_samples_only() -> Result<()> {
    let node = Node::default()
        .with("ens5", Ena::new(2))
        .with("ens6", Ena::new(2));
    let mut collector = collector(&node, false);
    let whole = scrape(&mut collector)?.statistics("ens5").len();
    for errno in [EIO, ENODEV] {
        node.change("ens6", |ena| {
            ena.values = vec![Values::Fails(errno), Values::Whole];
        });
        let page = scrape(&mut collector)?;
        ensure!(page.statistics("ens5").len() == whole, "{}", page.text);
        ensure!(page.statistics("ens6").is_empty(), "{}", page.text);
        ensure!(page.success("ens5") == Some(1.0) && page.success("ens6") == Some(0.0));
        let page = scrape(&mut collector)?;
        ensure!(page.statistics("ens6").len() == whole, "{}", page.text);
    }
    node.devices().remove("ens6");
    let page = scrape(&mut collector)?;
    ensure!(page.devices().keys().eq(&["ens5"]), "{}", page.text);
    Ok(())
}

/// If values and names differ in number, the device is asked again.
#[test]
fn a_number_that_changes_between_two_calls_mixes_up_nothing() -> Result<()> {
    let node = Node::default().with("ens5", Ena::new(2));
    node.change("ens5", |ena| ena.set("linklocal_allowance_exceeded", 42));
    let mut collector = collector(&node, false);
    for values in [
        Values::More(41),
        Values::Fewer(1),
        Values::Fewer(60),
        Values::Refused,
    ] {
        node.change("ens5", |ena| {
            ena.values = vec![values, values, Values::Whole];
        });
        let page = scrape(&mut collector)?;
        let counter = page
            .statistics("ens5")
            .get("linklocal_allowance_exceeded")
            .copied();
        ensure!(counter == Some(42.0), "{values:?}: {}", page.text);
        node.change("ens5", |ena| ena.values = vec![values]);
        let page = scrape(&mut collector)?;
        ensure!(
            page.success("ens5") == Some(0.0),
            "{values:?}: {}",
            page.text
        );
        ensure!(
            page.statistics("ens5").is_empty(),
            "{values:?}: {}",
            page.text
        );
    }
    // Queues are added, and statistics with them.
    *node.devices().get_mut("ens5").context("it is there")? = Ena::new(4);
    node.change("ens5", |ena| ena.set("linklocal_allowance_exceeded", 43));
    let page = scrape(&mut collector)?;
    let counter = page
        .statistics("ens5")
        .get("linklocal_allowance_exceeded")
        .copied();
    ensure!(counter == Some(43.0), "{}", page.text);
    Ok(())
}

/// What it serves while a device drops packets makes the starter rules fire, on that device.
#[tokio::test]
async fn the_starter_rules_fire_on_its_samples() -> Result<()> {
    const SCRAPES: u64 = 4 * 20;
    let Some(tools) = parts::prometheus() else {
        return Ok(());
    };
    let node = Node::default()
        .with("ens5", Ena::new(8))
        .with("ens6", Ena::new(8));
    let mut collector = collector(&node, false);
    let mut series: BTreeMap<String, Vec<Option<f64>>> = BTreeMap::new();
    let mut dropped = 7000;
    for scraped in 0..SCRAPES {
        if (20..40).contains(&scraped) {
            dropped += 300;
        }
        node.change("ens6", |ena| {
            ena.set("linklocal_allowance_exceeded", dropped);
        });
        node.change("ens5", |ena| ena.set("linklocal_allowance_exceeded", 99));
        let page = scrape(&mut collector)?;
        for device in ["ens5", "ens6"] {
            for (name, value) in page.statistics(device) {
                // With the labels that a collector adds.
                let name = format!(
                    "node_net_ethtool{{device=\"{device}\",type=\"{name}\",cluster=\"prod\",\
                     node=\"n1\",instance=\"n1:9417\"}}"
                );
                series.entry(name).or_default().push(Some(value));
            }
        }
    }
    let mut history = History::new(Duration::from_secs(15));
    for (name, values) in series {
        history.push(&name, values);
    }
    let server = tools
        .server()
        .samples(history.samples(START))
        .start()
        .await?;
    let settings = Settings {
        workspace: "test".to_owned(),
        ..Settings::default()
    };
    let files = starter_rules(&["link-local.yml", "exporter.yml"])?;
    let mut bench = Bench::with_client(patient(server.url()), files, settings)?;
    for minute in 0..SCRAPES / 4 {
        let now = START.plus(Duration::from_secs(60 * minute + 7));
        let report = bench.run_at(now).await?;
        ensure!(
            report.failing.is_empty() && report.server.is_none(),
            "{report:?}"
        );
    }
    let story = story(&bench.notified(), START);
    let throttled = "LinkLocalThrottling prod (ens6 n1 warning)";
    ensure!(
        matches!(
            &*story,
            [fired, resolved]
                if fired.contains(&format!("[FIRING:1] {throttled}"))
                    && resolved.contains(&format!("[RESOLVED] {throttled}"))
        ),
        "{story:#?}"
    );
    Ok(())
}
